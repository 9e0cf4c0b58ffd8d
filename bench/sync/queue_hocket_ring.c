/* SPDX-License-Identifier: MIT */
/*
 * hk_ring, item by item and in batches.
 */
#include <hocket/ring.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

typedef hk_ring queue_type;

static void *create(size_t capacity)
{
    hk_ring_options options = {.capacity = capacity, .name = "bench"};
    hk_ring *queue;

    if (hk_ring_create(&options, &queue) != HK_OK) {
        bench_die("hk_ring_create");
    }
    return queue;
}

static void destroy(void *queue)
{
    if (hk_ring_destroy(queue) != HK_OK) {
        bench_die("hk_ring_destroy");
    }
}

static inline bool queue_put(queue_type *queue, uint64_t item)
{
    return hk_ring_put(queue, (void *)(uintptr_t)item, HK_FOREVER) == HK_OK;
}

static inline bool queue_take(queue_type *queue, uint64_t *item)
{
    void *got = NULL;
    hk_status status = hk_ring_get(queue, HK_FOREVER, &got);

    *item = (uintptr_t)got;
    return status == HK_OK;
}

typedef void *queue_item;

static void queue_put_many(queue_type *queue, queue_item *items, size_t count)
{
    size_t put;

    if (hk_ring_put_many(queue, items, count, HK_FOREVER, &put) != HK_OK || put != count) {
        bench_die("hk_ring_put_many");
    }
}

static size_t queue_take_many(queue_type *queue, queue_item *items, size_t max)
{
    size_t count;

    if (hk_ring_get_many(queue, HK_FOREVER, items, max, &count) != HK_OK) {
        bench_die("hk_ring_get_many");
    }
    return count;
}

#include "bench/sync/queue_batch_loops.h"
#include "bench/sync/queue_loops.h"

const struct queue_peer queue_hocket_ring = {create, destroy, queue_produce, queue_consume};
const struct queue_peer queue_hocket_ring_batch = {create, destroy, queue_produce_batches,
                                                   queue_consume_batches};
