/* SPDX-License-Identifier: MIT */
/*
 * How bench_lock runs its workloads. The peer of a row is a struct lock_peer; of
 * lock_deadlock_driver it is a struct lock_cycle.
 */
#ifndef BENCH_SYNC_LOCK_DRIVERS_H
#define BENCH_SYNC_LOCK_DRIVERS_H

#include "bench/harness/harness.h"

enum { LOCK_EDGES = 2000 };

/* parameter: the depth. */
extern const struct bench_driver lock_nested_driver;
/* parameter: the number of children. */
extern const struct bench_driver lock_child_driver;
extern const struct bench_driver lock_contended_driver;
extern const struct bench_driver lock_realistic_driver;
/* parameter: the number of locks that are taken with one call. */
extern const struct bench_driver lock_many_driver;
/* LOCK_EDGES operations, each an order of two locks that was never seen before. */
extern const struct bench_driver lock_first_edge_driver;
extern const struct bench_driver lock_deadlock_driver;

#endif
