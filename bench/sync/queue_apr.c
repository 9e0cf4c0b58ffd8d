/* SPDX-License-Identifier: MIT */
/*
 * apr_queue.
 */
#include <apr_general.h>
#include <apr_queue.h>
#include <stdlib.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

typedef struct {
    apr_pool_t *pool;
    apr_queue_t *queue;
} queue_type;

static void *create(size_t capacity)
{
    static bool is_initialized;
    queue_type *queue = calloc(1, sizeof(*queue));

    if (!is_initialized && apr_initialize() != APR_SUCCESS) {
        bench_die("apr_initialize");
    }
    is_initialized = true;
    if (queue == NULL || apr_pool_create(&queue->pool, NULL) != APR_SUCCESS ||
        apr_queue_create(&queue->queue, (unsigned)capacity, queue->pool) != APR_SUCCESS) {
        bench_die("apr_queue_create");
    }
    return queue;
}

static void destroy(void *arg)
{
    queue_type *queue = arg;

    apr_pool_destroy(queue->pool);
    free(queue);
}

static inline bool queue_put(queue_type *queue, uint64_t item)
{
    /* It may return early when a signal comes; then it is to be called again. */
    apr_status_t status;

    do {
        status = apr_queue_push(queue->queue, (void *)(uintptr_t)item);
    } while (status == APR_EINTR);
    return status == APR_SUCCESS;
}

static inline bool queue_take(queue_type *queue, uint64_t *item)
{
    apr_status_t status;
    void *got = NULL;

    do {
        status = apr_queue_pop(queue->queue, &got);
    } while (status == APR_EINTR);
    *item = (uintptr_t)got;
    return status == APR_SUCCESS;
}

#include "bench/sync/queue_loops.h"

const struct queue_peer queue_apr = {create, destroy, queue_produce, queue_consume};
