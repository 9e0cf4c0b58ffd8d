/* SPDX-License-Identifier: MIT */
/*
 * apr_thread_pool, which gives no futures.
 */
#include <apr_general.h>
#include <apr_thread_pool.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/peer.h"

static apr_pool_t *memory;

static void *APR_THREAD_FUNC run(apr_thread_t *thread, void *slot)
{
    (void)thread;
    slot_run(slot);
    return NULL;
}

static void *start(unsigned workers)
{
    apr_thread_pool_t *pool;

    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&memory, NULL) != APR_SUCCESS ||
        apr_thread_pool_create(&pool, workers, workers, memory) != APR_SUCCESS) {
        bench_die("apr_thread_pool_create");
    }
    return pool;
}

static void stop(void *pool)
{
    apr_thread_pool_destroy(pool);
    apr_pool_destroy(memory);
    apr_terminate();
}

static void post(void *pool, struct slot *slot)
{
    if (apr_thread_pool_push(pool, run, slot, APR_THREAD_TASK_PRIORITY_NORMAL, NULL) !=
        APR_SUCCESS) {
        bench_die("apr_thread_pool_push");
    }
}

static const struct peer apr = {.name = "apr", .start = start, .stop = stop, .post = post};

const char *const peer_program_name = "peer-apr";
const struct peer *const peers[] = {&apr, NULL};
