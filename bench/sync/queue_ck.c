/* SPDX-License-Identifier: MIT */
/*
 * Concurrency Kit's ring for many producers and consumers. It does not block, so
 * whoever cannot go on yields. A producer that loses the CPU in the middle of a put
 * holds up all others; hence the look at the clock.
 */
#include <ck_ring.h>
#include <sched.h>
#include <stdlib.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

typedef struct {
    ck_ring_t ring;
    ck_ring_buffer_t *buffer;
} queue_type;

static void *create(size_t capacity)
{
    queue_type *queue = calloc(1, sizeof(*queue));

    if (queue == NULL || (queue->buffer = calloc(capacity, sizeof(*queue->buffer))) == NULL) {
        bench_die("no memory");
    }
    ck_ring_init(&queue->ring, (unsigned)capacity);
    return queue;
}

static void destroy(void *arg)
{
    queue_type *queue = arg;

    free(queue->buffer);
    free(queue);
}

static inline bool queue_put(queue_type *queue, uint64_t item)
{
    while (!ck_ring_enqueue_mpmc(&queue->ring, queue->buffer, (void *)(uintptr_t)item)) {
        if (bench_is_late()) {
            return false;
        }
        sched_yield();
    }
    return true;
}

static inline bool queue_take(queue_type *queue, uint64_t *item)
{
    void *got;

    while (!ck_ring_dequeue_mpmc(&queue->ring, queue->buffer, (void *)&got)) {
        if (bench_is_late()) {
            return false;
        }
        sched_yield();
    }
    *item = (uintptr_t)got;
    return true;
}

#include "bench/sync/queue_loops.h"

const struct queue_peer queue_ck = {create, destroy, queue_produce, queue_consume};
