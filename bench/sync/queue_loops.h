/* SPDX-License-Identifier: MIT */
/*
 * The timed loops of one kind of queue, written once and compiled for each. The file
 * that includes this defines before:
 *
 *     queue_type                                    the queue
 *     bool queue_put(queue_type *, uint64_t)        blocks while it is full
 *     bool queue_take(queue_type *, uint64_t *)     blocks while it is empty
 *
 * which give false only when bench_is_late(). Items are at least 1.
 * A file of C++ includes it inside an unnamed namespace.
 */

static bool queue_produce(void *arg, uint64_t first, uint64_t count)
{
    queue_type *queue = (queue_type *)arg;

    for (uint64_t i = 0; i < count; i++) {
        if (!queue_put(queue, first + i)) {
            return false;
        }
    }
    return true;
}

static bool queue_consume(void *arg, uint64_t count, uint64_t *sum)
{
    queue_type *queue = (queue_type *)arg;
    uint64_t total = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t item;

        if (!queue_take(queue, &item)) {
            return false;
        }
        total += item;
    }
    *sum += total;
    return true;
}
