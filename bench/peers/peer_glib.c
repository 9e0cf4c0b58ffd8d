/* SPDX-License-Identifier: MIT */
/*
 * GThreadPool, which gives no futures.
 */
#include <glib.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/peer.h"

static void run(void *slot, void *data)
{
    (void)data;
    slot_run(slot);
}

static void *start(unsigned workers)
{
    GThreadPool *pool = g_thread_pool_new(run, NULL, (gint)workers, TRUE, NULL);

    if (pool == NULL) {
        bench_die("g_thread_pool_new");
    }
    return pool;
}

static void stop(void *pool)
{
    g_thread_pool_free(pool, FALSE, TRUE);
}

static void post(void *pool, struct slot *slot)
{
    if (!g_thread_pool_push(pool, slot, NULL)) {
        bench_die("g_thread_pool_push");
    }
}

static const struct peer glib = {.name = "glib", .start = start, .stop = stop, .post = post};

const char *const peer_program_name = "peer-glib";
const struct peer *const peers[] = {&glib, NULL};
