/* SPDX-License-Identifier: MIT */
/*
 * As queue_loops.h, for queues that move several items with one call. The file that
 * includes this defines before:
 *
 *     queue_type
 *     queue_item                                      what it holds: a pointer or uint64_t
 *     void queue_put_many(queue_type *, queue_item *items, size_t count)
 *     size_t queue_take_many(queue_type *, queue_item *items, size_t max)
 *
 * of which the first puts all, and the second takes at least one.
 */

static bool queue_produce_batches(void *arg, uint64_t first, uint64_t count)
{
    queue_type *queue = arg;
    queue_item items[QUEUE_BATCH];

    while (count > 0) {
        size_t part = count < QUEUE_BATCH ? (size_t)count : QUEUE_BATCH;

        for (size_t i = 0; i < part; i++) {
            items[i] = (queue_item)(first + i);
        }
        queue_put_many(queue, items, part);
        first += part;
        count -= part;
    }
    return true;
}

static bool queue_consume_batches(void *arg, uint64_t count, uint64_t *sum)
{
    queue_type *queue = arg;
    queue_item items[QUEUE_BATCH];
    uint64_t total = 0;

    while (count > 0) {
        size_t got = queue_take_many(queue, items, count < QUEUE_BATCH ? count : QUEUE_BATCH);

        for (size_t i = 0; i < got; i++) {
            total += (uint64_t)items[i];
        }
        count -= got;
    }
    *sum += total;
    return true;
}
