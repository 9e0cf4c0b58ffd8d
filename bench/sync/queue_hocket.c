/* SPDX-License-Identifier: MIT */
/*
 * hk_queue, item by item and in batches.
 */
#include <hocket/queue.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

typedef hk_queue queue_type;

static void *create(size_t capacity)
{
    hk_queue_options options = {.capacity = capacity, .name = "bench"};
    hk_queue *queue;

    if (hk_queue_create(&options, &queue) != HK_OK) {
        bench_die("hk_queue_create");
    }
    return queue;
}

static void destroy(void *queue)
{
    if (hk_queue_destroy(queue) != HK_OK) {
        bench_die("hk_queue_destroy");
    }
}

static inline bool queue_put(queue_type *queue, uint64_t item)
{
    return hk_queue_put(queue, (void *)(uintptr_t)item, HK_FOREVER) == HK_OK;
}

static inline bool queue_take(queue_type *queue, uint64_t *item)
{
    void *got = NULL;
    hk_status status = hk_queue_get(queue, HK_FOREVER, &got);

    *item = (uintptr_t)got;
    return status == HK_OK;
}

typedef void *queue_item;

static void queue_put_many(queue_type *queue, queue_item *items, size_t count)
{
    size_t put;

    if (hk_queue_put_many(queue, items, count, HK_FOREVER, &put) != HK_OK || put != count) {
        bench_die("hk_queue_put_many");
    }
}

static size_t queue_take_many(queue_type *queue, queue_item *items, size_t max)
{
    size_t count;

    if (hk_queue_get_many(queue, HK_FOREVER, items, max, &count) != HK_OK) {
        bench_die("hk_queue_get_many");
    }
    return count;
}

#include "bench/sync/queue_batch_loops.h"
#include "bench/sync/queue_loops.h"

const struct queue_peer queue_hocket = {create, destroy, queue_produce, queue_consume};
const struct queue_peer queue_hocket_batch = {create, destroy, queue_produce_batches,
                                              queue_consume_batches};
