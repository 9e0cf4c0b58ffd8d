/* SPDX-License-Identifier: MIT */
#include "tests/soak/pools.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/soak/census.h"

static hk_executor *open_pool(const char *spec)
{
    hk_executor *pool = NULL;
    hk_status status = hk_executor_open(spec, &pool);

    if (status != HK_OK) {
        fprintf(stderr, "soak: %s: %s\n", spec, hk_strerror(status));
        exit(EXIT_FAILURE);
    }
    soak_count(SOAK_EXECUTORS, 1);
    return pool;
}

void soak_pools_open(struct soak_pools *pools)
{
    pools->threads = open_pool("threads:4?name=many");
    pools->narrow =
        open_pool("threads:2?name=narrow&queue_capacity=32&when_full=caller_runs&spare_workers=4");
    pools->processes =
        open_pool("processes:2?name=steady&tasks_per_worker=3000&retries=2&memory_bytes=64m");
    pools->wild = open_pool("processes:2?name=wild&memory_bytes=4m");
    if (hk_serial_create(pools->threads, NULL, &pools->serial) != HK_OK) {
        fprintf(stderr, "soak: no serial executor\n");
        exit(EXIT_FAILURE);
    }
    soak_count(SOAK_EXECUTORS, 1);
}

struct wanted {
    hk_executor *executor;
    unsigned workers;
};

static bool rests(void *arg)
{
    const struct wanted *wanted = arg;
    hk_executor_statistics now = {0};

    return SOAK_EXPECT(hk_executor_stats(wanted->executor, &now) == HK_OK) && now.queued == 0 &&
           now.running == 0 && now.straggling == 0 &&
           (wanted->workers == 0 || now.workers == wanted->workers);
}

static void say_unrest(const struct wanted *wanted)
{
    hk_executor_statistics now = {0};

    SOAK_EXPECT(hk_executor_stats(wanted->executor, &now) == HK_OK);
    fprintf(stderr, "soak: %s: %zu queued, %zu running, %zu straggling, %u workers, not %u\n",
            hk_executor_name(wanted->executor), now.queued, now.running, now.straggling,
            now.workers, wanted->workers);
}

static void note_end(hk_future *future, void *arg)
{
    (void)future;
    SOAK_EXPECT(hk_event_set((hk_event *)arg) == HK_OK);
}

/* The first callback starts a thread that stays: so that it is there in every census. */
static void call_back(hk_executor *executor)
{
    const hk_duration nap = HK_MS(20); /* So that the callback comes before the end. */
    hk_event ended = HK_EVENT_INIT("ended");
    hk_future *future = NULL;

    SOAK_EXPECT(hk_submit(executor, soak_nap, &nap, sizeof(nap), NULL, &future) == HK_OK);
    SOAK_EXPECT(hk_future_on_done(future, NULL, note_end, &ended, NULL) == HK_OK);
    SOAK_EXPECT(hk_event_wait(&ended, HK_FOREVER) == HK_OK);
    hk_future_unref(future);
}

bool soak_pools_rest(const struct soak_pools *pools)
{
    struct wanted all[] = {{pools->serial, 0},
                           {pools->threads, SOAK_POOL_THREADS},
                           {pools->narrow, SOAK_POOL_NARROW},
                           {pools->processes, SOAK_POOL_PROCESSES},
                           {pools->wild, SOAK_POOL_PROCESSES}};
    bool rest = true;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].workers != 0) {
            rest = SOAK_EXPECT(hk_executor_prestart(all[i].executor, HK_FOREVER) == HK_OK) && rest;
        }
        call_back(all[i].executor);
        if (!soak_eventually(rests, &all[i])) {
            say_unrest(&all[i]);
            rest = false;
        }
    }
    return rest;
}

void soak_pools_close(struct soak_pools *pools)
{
    hk_executor *all[] = {pools->serial, pools->threads, pools->narrow, pools->processes,
                          pools->wild};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        SOAK_EXPECT(hk_executor_destroy(all[i]) == HK_OK);
    }
}
