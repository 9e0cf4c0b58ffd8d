/* SPDX-License-Identifier: MIT */
/*
 * What the workloads share: a pool for a row of a case, and times.
 */
#ifndef BENCH_PROCESS_POOL_BENCH_H
#define BENCH_PROCESS_POOL_BENCH_H

#include "bench/harness/harness.h"
#include "bench/process/pool_peer.h"

/* The begin and end of a workload whose pool serves all its runs: run->state. Without a
 * pool, because the machine has too few CPUs, it is NULL. */
void pool_begin(struct bench_run *run);
void pool_end(struct bench_run *run);

/* The calling thread stays on a CPU of its own, if the case wants it, until it leaves. */
void pool_take_place(const struct bench_run *run);
void pool_leave_place(const struct bench_run *run);

/* One empty task, there and back. False: a wrong result. */
bool pool_round_trip(const struct pool_peer *peer, void *pool, uint64_t number);

/* Times of single events, in microseconds. */
struct pool_times {
    double *us;
    size_t count, room;
};

void pool_time_add(struct pool_times *times, int64_t duration_ns);

/* Median and 99th percentile into two values of the run; empties them. */
void pool_times_tell(struct pool_times *times, double *median, double *p99);

#endif
