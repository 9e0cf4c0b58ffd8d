/* SPDX-License-Identifier: MIT */
/*
 * hk_process_pool as a peer: small tasks.
 */
#include "bench/process/pool_hocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hocket/process_pool.h>

#include "bench/harness/harness.h"

enum { BATCH = 16 };

HK_TASK(pool_spin)
{
    struct pool_task task;
    uint64_t answer;

    if (in_size != sizeof(task)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(task), in_size);
    }
    memcpy(&task, in, sizeof(task));
    bench_spin((unsigned)task.turns);
    answer = pool_answer(task.number);
    return hk_return(call, &answer, sizeof(answer));
}

void hocket_must(hk_status status, const char *what)
{
    if (status != HK_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, hk_status_name(status), hk_strerror(status));
        bench_die(what);
    }
}

void pool_hocket_prepare(void)
{
    hocket_harm_prepare();
    hocket_must(hk_zygote_start(), "hk_zygote_start");
}

static void *create(const struct pool_wish *wish)
{
    struct hocket_pool *pool = calloc(1, sizeof(*pool));
    hk_executor_options options = {.workers = wish->workers};

    if (pool == NULL) {
        bench_die("no memory");
    }
    if (wish->worker_cpu != POOL_CPU_ANY) {
        options.cpus = &wish->worker_cpu;
        options.cpu_count = 1;
    }
    pool->workers = wish->workers;
    hocket_must(hk_process_pool_create(&options, &pool->executor), "hk_process_pool_create");
    hocket_must(hk_executor_prestart(pool->executor, HK_FOREVER), "hk_executor_prestart");
    return pool;
}

static void destroy(void *arg)
{
    struct hocket_pool *pool = arg;

    hocket_must(hk_executor_destroy(pool->executor), "hk_executor_destroy");
    free(pool);
}

static hk_future **next_place(struct hocket_pool *pool)
{
    return &pool->futures[(pool->first + pool->count++) % POOL_DEPTH_MAX];
}

static void put(void *arg, const struct pool_task *tasks, unsigned count)
{
    struct hocket_pool *pool = arg;

    for (unsigned i = 0; i < count; i++) {
        hocket_must(hk_submit(pool->executor, pool_spin, &tasks[i], sizeof(tasks[i]), NULL,
                              next_place(pool)),
                    "hk_submit");
    }
}

static void put_batch(void *arg, const struct pool_task *tasks, unsigned count)
{
    struct hocket_pool *pool = arg;
    hk_future *futures[POOL_DEPTH_MAX];

    hocket_must(hk_submit_many(pool->executor, pool_spin, tasks, count, sizeof(*tasks), NULL,
                               futures, NULL),
                "hk_submit_many");
    for (unsigned i = 0; i < count; i++) {
        *next_place(pool) = futures[i];
    }
}

static uint64_t get(void *arg, unsigned count)
{
    struct hocket_pool *pool = arg;
    uint64_t sum = 0;

    for (unsigned i = 0; i < count; i++) {
        hk_future *future = pool->futures[pool->first++ % POOL_DEPTH_MAX];
        const void *value;
        uint64_t answer;

        pool->count--;
        hocket_must(hk_future_result(future, HK_FOREVER, &value, NULL), "hk_future_result");
        memcpy(&answer, value, sizeof(answer));
        sum += answer;
        hk_future_unref(future);
    }
    return sum;
}

static void add_worker(void *arg)
{
    struct hocket_pool *pool = arg;

    hocket_must(hk_executor_resize(pool->executor, ++pool->workers), "hk_executor_resize");
    hocket_must(hk_executor_prestart(pool->executor, HK_FOREVER), "hk_executor_prestart");
}

const struct pool_peer pool_hocket = {.create = create,
                                      .destroy = destroy,
                                      .batch = 1,
                                      .put = put,
                                      .get = get,
                                      .echo = hocket_echo,
                                      .map = hocket_map,
                                      .add_worker = add_worker,
                                      .may_harm = hocket_may_harm,
                                      .kill_worker = hocket_kill_worker,
                                      .overrun = hocket_overrun};
const struct pool_peer pool_hocket_batch = {
    .create = create, .destroy = destroy, .batch = BATCH, .put = put_batch, .get = get};
const struct pool_peer pool_hocket_ballast = {.create = create,
                                              .destroy = destroy,
                                              .batch = 1,
                                              .put = put,
                                              .get = get,
                                              .add_worker = add_worker,
                                              .ballast_size = POOL_BALLAST_SIZE};
