/* SPDX-License-Identifier: MIT */
/*
 * Workloads that only Hocket has: parts of the library one at a time.
 */
#ifndef BENCH_OWN_H
#define BENCH_OWN_H

#include "bench/hocket_bench/workload.h"

/* Nanoseconds for n operations; negative: a wrong result. */
int64_t repeat_queue(struct trial *trial, uint64_t n);
int64_t repeat_lock(struct trial *trial, uint64_t n);
int64_t repeat_completion(struct trial *trial, uint64_t n);
int64_t repeat_callbacks(struct trial *trial, uint64_t n);
int64_t repeat_timers(struct trial *trial, uint64_t n);

/* Single operations, each by one thread. */
int64_t repeat_lock_alone(struct trial *trial, uint64_t n);
int64_t repeat_semaphore_alone(struct trial *trial, uint64_t n);
int64_t repeat_queue_alone(struct trial *trial, uint64_t n);
int64_t repeat_ring_alone(struct trial *trial, uint64_t n);
int64_t repeat_counter(struct trial *trial, uint64_t n);
int64_t repeat_promise(struct trial *trial, uint64_t n);
int64_t repeat_then(struct trial *trial, uint64_t n);
int64_t repeat_inline(struct trial *trial, uint64_t n);
int64_t repeat_fork_alone(struct trial *trial, uint64_t n);

bool run_timer_lateness(struct trial *trial);

#endif
