/* SPDX-License-Identifier: MIT */
/*
 * Waits for so many slots.
 */
#ifndef BENCH_COUNTDOWN_H
#define BENCH_COUNTDOWN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct countdown {
    _Atomic(uint64_t) left;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
};

void countdown_init(struct countdown *countdown);
void countdown_destroy(struct countdown *countdown);

/* Before the first of them is posted. */
void countdown_set(struct countdown *countdown, uint64_t count);
void countdown_wait(struct countdown *countdown);

#endif
