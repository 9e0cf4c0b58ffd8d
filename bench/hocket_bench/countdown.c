/* SPDX-License-Identifier: MIT */
/*
 * An atomic counter and a condition variable: what one writes around a pool that has no
 * futures.
 */
#include "bench/hocket_bench/countdown.h"

#include "bench/hocket_bench/peer.h"

void countdown_init(struct countdown *countdown)
{
    pthread_mutex_init(&countdown->lock, NULL);
    pthread_cond_init(&countdown->over, NULL);
    countdown_set(countdown, 0);
}

void countdown_destroy(struct countdown *countdown)
{
    pthread_mutex_destroy(&countdown->lock);
    pthread_cond_destroy(&countdown->over);
}

void countdown_set(struct countdown *countdown, uint64_t count)
{
    atomic_store(&countdown->left, count);
    countdown->is_over = count == 0;
}

void slot_answer(void *arg)
{
    struct slot *slot = arg;

    slot->answer = slot->body(slot->number);
}

void countdown_wait(struct countdown *countdown)
{
    pthread_mutex_lock(&countdown->lock);
    while (!countdown->is_over) {
        pthread_cond_wait(&countdown->over, &countdown->lock);
    }
    pthread_mutex_unlock(&countdown->lock);
}

/* Whoever waits may reuse slot and countdown at once: the last task touches nothing after
 * it has given the lock back, the others nothing after they have counted. */
void slot_run(void *arg)
{
    struct slot *slot = arg;
    struct countdown *countdown = slot->countdown;

    slot->answer = slot->body(slot->number);
    if (atomic_fetch_sub(&countdown->left, 1) == 1) {
        pthread_mutex_lock(&countdown->lock);
        countdown->is_over = true;
        pthread_cond_signal(&countdown->over);
        pthread_mutex_unlock(&countdown->lock);
    }
}
