/* SPDX-License-Identifier: MIT */
/*
 * What bench_queue wants of a queue. queue_loops.h makes it out of a few functions.
 */
#ifndef BENCH_SYNC_QUEUE_PEER_H
#define BENCH_SYNC_QUEUE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { QUEUE_CAPACITY = 1024, QUEUE_BATCH = 32 };

struct queue_peer {
    void *(*create)(size_t capacity);
    void (*destroy)(void *queue);
    /* Puts the numbers from first on, in order. False: it took too long. */
    bool (*produce)(void *queue, uint64_t first, uint64_t count);
    /* Takes so many, and adds them to *sum. */
    bool (*consume)(void *queue, uint64_t count, uint64_t *sum);
};

/* A peer that was not built is NULL: its package is not here. */
#define QUEUE_PEER(name) extern const struct queue_peer name __attribute__((weak))

QUEUE_PEER(queue_hocket);
QUEUE_PEER(queue_hocket_batch);
QUEUE_PEER(queue_hocket_ring);
QUEUE_PEER(queue_hocket_ring_batch);
QUEUE_PEER(queue_textbook);
QUEUE_PEER(queue_textbook_batch);
QUEUE_PEER(queue_futex);
QUEUE_PEER(queue_apr);
QUEUE_PEER(queue_glib);
QUEUE_PEER(queue_tbb);
QUEUE_PEER(queue_boost);
QUEUE_PEER(queue_ck);

#ifdef __cplusplus
}
#endif

#endif
