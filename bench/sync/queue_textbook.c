/* SPDX-License-Identifier: MIT */
/*
 * The bounded queue of the textbooks: a ring, a mutex and two condition variables,
 * with a signal on each operation.
 */
#include <pthread.h>
#include <stdlib.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t has_item, has_room;
    size_t capacity, head, count;
    uint64_t items[];
} queue_type;

static void *create(size_t capacity)
{
    queue_type *queue = calloc(1, sizeof(*queue) + capacity * sizeof(queue->items[0]));

    if (queue == NULL || pthread_mutex_init(&queue->lock, NULL) != 0 ||
        pthread_cond_init(&queue->has_item, NULL) != 0 ||
        pthread_cond_init(&queue->has_room, NULL) != 0) {
        bench_die("no queue");
    }
    queue->capacity = capacity;
    return queue;
}

static void destroy(void *arg)
{
    queue_type *queue = arg;

    pthread_cond_destroy(&queue->has_room);
    pthread_cond_destroy(&queue->has_item);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

/* The lock is held. */
static void append(queue_type *queue, uint64_t item)
{
    size_t place = queue->head + queue->count;

    queue->items[place < queue->capacity ? place : place - queue->capacity] = item;
    queue->count++;
}

static uint64_t remove_first(queue_type *queue)
{
    uint64_t item = queue->items[queue->head];

    queue->head = queue->head + 1 < queue->capacity ? queue->head + 1 : 0;
    queue->count--;
    return item;
}

static bool queue_put(queue_type *queue, uint64_t item)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == queue->capacity) {
        pthread_cond_wait(&queue->has_room, &queue->lock);
    }
    append(queue, item);
    pthread_cond_signal(&queue->has_item);
    pthread_mutex_unlock(&queue->lock);
    return true;
}

static bool queue_take(queue_type *queue, uint64_t *item)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0) {
        pthread_cond_wait(&queue->has_item, &queue->lock);
    }
    *item = remove_first(queue);
    pthread_cond_signal(&queue->has_room);
    pthread_mutex_unlock(&queue->lock);
    return true;
}

/* --- Batches: as many as go at once, and everybody is woken --------------------------- */

typedef uint64_t queue_item;

static void queue_put_many(queue_type *queue, const queue_item *items, size_t count)
{
    pthread_mutex_lock(&queue->lock);
    for (size_t i = 0; i < count; i++) {
        while (queue->count == queue->capacity) {
            pthread_cond_broadcast(&queue->has_item);
            pthread_cond_wait(&queue->has_room, &queue->lock);
        }
        append(queue, items[i]);
    }
    pthread_cond_broadcast(&queue->has_item);
    pthread_mutex_unlock(&queue->lock);
}

static size_t queue_take_many(queue_type *queue, queue_item *items, size_t max)
{
    size_t count = 0;

    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0) {
        pthread_cond_wait(&queue->has_item, &queue->lock);
    }
    while (count < max && queue->count > 0) {
        items[count++] = remove_first(queue);
    }
    pthread_cond_broadcast(&queue->has_room);
    pthread_mutex_unlock(&queue->lock);
    return count;
}

#include "bench/sync/queue_batch_loops.h"
#include "bench/sync/queue_loops.h"

const struct queue_peer queue_textbook = {create, destroy, queue_produce, queue_consume};
const struct queue_peer queue_textbook_batch = {create, destroy, queue_produce_batches,
                                                queue_consume_batches};
