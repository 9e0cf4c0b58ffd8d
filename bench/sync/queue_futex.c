/* SPDX-License-Identifier: MIT */
/*
 * No queue but a floor: one word that holds one item for one taker, and the kernel's
 * futex. What it costs to wake a thread, and nothing else.
 */
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

typedef struct {
    _Atomic(uint32_t) word;
} queue_type;

static void *create(size_t capacity)
{
    (void)capacity;
    return bench_lines(1);
}

static void destroy(void *queue)
{
    free(queue);
}

/* Only for ping-pong: the taker of the last item has taken it. */
static bool queue_put(queue_type *queue, uint64_t item)
{
    atomic_store(&queue->word, (uint32_t)item);
    syscall(SYS_futex, &queue->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return true;
}

static bool queue_take(queue_type *queue, uint64_t *item)
{
    while ((*item = atomic_load(&queue->word)) == 0) {
        syscall(SYS_futex, &queue->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    atomic_store(&queue->word, 0);
    return true;
}

#include "bench/sync/queue_loops.h"

const struct queue_peer queue_futex = {create, destroy, queue_produce, queue_consume};
