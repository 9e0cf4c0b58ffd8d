/* SPDX-License-Identifier: MIT */
/* Executors that come and go, and workers that change under load. */
#include "tests/soak/pools.h"
#include "tests/soak/soak.h"

enum { MANY = 24 };

static const char *const specs[] = {
    "inline",
    "threads:1",
    "threads:3?idle_exit=1ms",
    "threads:2?queue_capacity=8&when_full=caller_runs&tasks_per_worker=5",
    "serial",
    "serial:threads:2",
    "replay:7",
    "processes:1",
    "processes:2?tasks_per_worker=4"};

static void expect_ended(hk_future *future, uint32_t number, hk_shutdown_how how)
{
    hk_status status = hk_future_result(future, 0, NULL, NULL);

    if (how != HK_SHUTDOWN_DRAIN && status == HK_ECANCELED) {
        soak_count(SOAK_CANCELS, 1);
        hk_future_unref(future);
    } else if (how == HK_SHUTDOWN_KILL && status == HK_EWORKER) {
        hk_future_unref(future);
    } else {
        soak_expect_mixed(future, number);
    }
}

void soak_piece_executors(struct soak_actor *actor)
{
    const char *spec = specs[soak_draw(actor, sizeof(specs) / sizeof(specs[0]))];
    hk_shutdown_how how = (hk_shutdown_how)soak_draw(actor, 4);
    uint32_t first = soak_draw(actor, 1000000);
    uint32_t count = soak_draw(actor, MANY);
    hk_executor *executor = NULL;
    hk_executor_statistics statistics = {0};
    hk_future *futures[MANY];

    if (!SOAK_EXPECT(hk_executor_open(spec, &executor) == HK_OK)) {
        return;
    }
    soak_submit_mixes(actor, executor, first, futures, count);
    if (soak_draw(actor, 2) == 0) {
        SOAK_EXPECT(hk_executor_shutdown(executor, how, HK_FOREVER) == HK_OK);
    } else {
        how = HK_SHUTDOWN_DRAIN;
    }
    SOAK_EXPECT(hk_executor_shutdown(executor, how, HK_FOREVER) == HK_OK);
    SOAK_EXPECT(hk_executor_stats(executor, &statistics) == HK_OK);
    SOAK_EXPECT(statistics.done + statistics.failed + statistics.cancelled == count);
    SOAK_EXPECT(hk_executor_destroy(executor) == HK_OK);
    for (uint32_t i = 0; i < count; i++) {
        expect_ended(futures[i], first + i, how);
    }
    soak_count(SOAK_EXECUTORS, 1);
}

/* --- Workers --- */

static void resize(struct soak_actor *actor, hk_executor *executor, unsigned workers)
{
    SOAK_EXPECT(hk_executor_resize(executor, workers + soak_draw(actor, 2) + 1) == HK_OK);
    SOAK_EXPECT(hk_executor_prestart(executor, HK_FOREVER) == HK_OK);
    SOAK_EXPECT(hk_executor_resize(executor, workers) == HK_OK);
}

void soak_piece_worker_changes(struct soak_actor *actor)
{
    switch (soak_draw(actor, 5)) {
    case 0:
        SOAK_EXPECT(hk_executor_restart_workers(actor->pools->threads) == HK_OK);
        break;
    case 1:
        SOAK_EXPECT(hk_executor_restart_workers(actor->pools->processes) == HK_OK);
        break;
    case 2:
        SOAK_EXPECT(hk_executor_restart_workers(actor->pools->narrow) == HK_OK);
        break;
    case 3:
        resize(actor, actor->pools->threads, SOAK_POOL_THREADS);
        break;
    default:
        resize(actor, actor->pools->processes, SOAK_POOL_PROCESSES);
        break;
    }
}
