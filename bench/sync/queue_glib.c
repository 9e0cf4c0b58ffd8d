/* SPDX-License-Identifier: MIT */
/*
 * GAsyncQueue, which has no bound: a producer never waits.
 */
#include <glib.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

typedef GAsyncQueue queue_type;

static void *create(size_t capacity)
{
    (void)capacity;
    return g_async_queue_new();
}

static void destroy(void *queue)
{
    g_async_queue_unref(queue);
}

static inline bool queue_put(queue_type *queue, uint64_t item)
{
    g_async_queue_push(queue, (void *)(uintptr_t)item);
    return true;
}

static inline bool queue_take(queue_type *queue, uint64_t *item)
{
    *item = (uintptr_t)g_async_queue_pop(queue);
    return true;
}

#include "bench/sync/queue_loops.h"

const struct queue_peer queue_glib = {create, destroy, queue_produce, queue_consume};
