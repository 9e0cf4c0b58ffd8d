/* SPDX-License-Identifier: MIT */
/*
 * The workloads of pools.
 */
#ifndef BENCH_PROCESS_POOL_DRIVERS_H
#define BENCH_PROCESS_POOL_DRIVERS_H

#include "bench/harness/harness.h"

/* The parameter of a case: where the caller and the workers stay. */
enum { POOL_FREE, POOL_APART, POOL_STACKED };

enum { POOL_ECHO_SIZE = 1 << 20 };

extern const struct bench_driver pool_hot_driver;
extern const struct bench_driver pool_cold_driver;
extern const struct bench_driver pool_throughput_driver;
extern const struct bench_driver pool_map_driver;

/* The parameter is the length of a task, in nanoseconds. */
extern const struct bench_driver pool_tasks_driver;

/* The parameter is an enum pool_echo. */
extern const struct bench_driver pool_echo_driver;

extern const struct bench_driver pool_create_driver;
extern const struct bench_driver pool_worker_driver;
extern const struct bench_driver pool_kill_driver;
extern const struct bench_driver pool_deadline_driver;
extern const struct bench_driver pool_idle_driver;

#endif
