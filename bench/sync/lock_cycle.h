/* SPDX-License-Identifier: MIT */
/*
 * Deadlocks on purpose: how long a refusal takes, from the call that closes a ring of
 * two threads to its return.
 */
#ifndef BENCH_SYNC_LOCK_CYCLE_H
#define BENCH_SYNC_LOCK_CYCLE_H

#include <stdbool.h>

/* Two locks, 0 and 1. take gives false if the wait was refused. */
struct lock_cycle {
    void (*begin)(void);
    bool (*take)(int place);
    void (*give)(int place);
    void (*end)(void);
};

extern const struct lock_cycle lock_cycle_hocket __attribute__((weak));
extern const struct lock_cycle lock_cycle_futex;

#endif
