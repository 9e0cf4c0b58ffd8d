/* SPDX-License-Identifier: MIT */
/*
 * Worker processes.
 */
#include <stdlib.h>
#include <string.h>

#include <hocket/process_pool.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/peer_hocket.h"

enum { WORKERS_MAX = 256, COMPARED = 64 };

struct process_pool {
    hk_executor *executor;
    hk_future *echoes[WORKERS_MAX];
};

static void *start_processes(unsigned workers)
{
    struct process_pool *pool = calloc(1, sizeof(*pool));
    hk_executor_options options = {.workers = workers};

    if (pool == NULL) {
        bench_die("no memory");
    }
    hocket_must(hk_zygote_start(), "hk_zygote_start");
    hocket_must(hk_process_pool_create(&options, &pool->executor), "hk_process_pool_create");
    hocket_must(hk_executor_prestart(pool->executor, HK_FOREVER), "hk_executor_prestart");
    return pool;
}

static void stop_processes(void *arg)
{
    struct process_pool *pool = arg;

    hocket_stop(pool->executor);
    free(pool);
}

static void submit(void *pool, enum work_kind kind, uint64_t number, void *future)
{
    hocket_submit(((struct process_pool *)pool)->executor, kind, number, future);
}

/* The worker gives back a copy of what it got. */
HK_TASK(bench_echo)
{
    return hk_return(call, in, in_size);
}

static void echo_send(void *arg, unsigned worker, const void *payload, size_t size)
{
    struct process_pool *pool = arg;

    hocket_must(hk_submit(pool->executor, bench_echo, payload, size, NULL, &pool->echoes[worker]),
                "hk_submit");
}

static bool echo_receive(void *arg, unsigned worker, void *payload, size_t size)
{
    struct process_pool *pool = arg;
    hk_future *future = pool->echoes[worker];
    const void *value;
    size_t value_size;
    bool is_right;

    hocket_must(hk_future_result(future, HK_FOREVER, &value, &value_size), "hk_future_result");
    /* Compared before the copy, which would hide an old payload. */
    is_right = value_size == size && memcmp(value, payload, COMPARED) == 0;
    if (is_right) {
        memcpy(payload, value, size);
    }
    hk_future_unref(future);
    return is_right;
}

const struct peer peer_hocket_processes = {
    .name = "hocket-processes",
    .is_processes = true,
    .future_size = sizeof(hk_future *),
    .start = start_processes,
    .stop = stop_processes,
    .submit = submit,
    .result = hocket_result,
    .echo_send = echo_send,
    .echo_receive = echo_receive,
};
