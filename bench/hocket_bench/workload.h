/* SPDX-License-Identifier: MIT */
/*
 * Workloads: what is done with a pool, and what is told about it.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/hocket_bench/peer.h"

/* One workload on one peer, in a process of its own. */
struct trial {
    const char *workload;
    const struct peer *peer;
    /* Started and warmed before the workload runs. */
    void *pool;
    unsigned threads;
    uint64_t n;
};

struct workload {
    const char *name, *title;
    /* What --n says unless it is given. */
    uint64_t n;
    bool (*is_for)(const struct peer *peer);
    /* Before the pool starts; may be NULL. */
    void (*prepare)(struct trial *trial);
    /* Tells its metrics; false: a wrong result. */
    bool (*run)(struct trial *trial);
    /* Alternatively: the time of n operations, or a negative number for a wrong result. It
     * is repeated, and the time of one operation is told under this name. */
    int64_t (*repeat)(struct trial *trial, uint64_t n);
    const char *metric;
    /* n is as given; else it grows until a repetition takes long enough. */
    bool is_fixed;
};

/* Prints a line of the CSV. */
void tell(const struct trial *trial, const char *metric, double value, const char *unit);

/* Tells quantiles of times, in microseconds; sorts them. */
void tell_quantiles(const struct trial *trial, double *times, uint64_t count);

/* What every program has, and what only the program with Hocket has; the last has no name. */
extern const struct workload pool_workloads[];
extern const struct workload own_workloads[] __attribute__((weak));

/* --- For the workloads -------------------------------------------------------------- */

/* Tasks that one thread has submitted and waits for. */
struct batch;

/* A peer's tasks, kind and numbers from first on. */
struct batch *batch_create(const struct trial *trial, uint64_t count);
void batch_destroy(struct batch *batch);

/* Submits and waits; gives the sum of the answers. submit_ns may be NULL. */
uint64_t batch_run(struct batch *batch, enum work_kind kind, int64_t *submit_ns);

/* The same with a batch of its own. */
uint64_t batch_run_once(const struct trial *trial, enum work_kind kind, uint64_t count,
                        int64_t *elapsed_ns);

/* The sum of 2 * i + 1 for all i < count. */
static inline uint64_t sum_of_trivial(uint64_t count)
{
    return count * count;
}

bool is_for_threads(const struct peer *peer);
bool is_for_outsiders(const struct peer *peer);
bool is_for_fork_both(const struct peer *peer);
bool is_for_fork_one(const struct peer *peer);
bool is_for_fork_scoped(const struct peer *peer);
bool is_for_range(const struct peer *peer);
bool is_for_counted(const struct peer *peer);
bool is_for_processes(const struct peer *peer);
bool is_for_echo(const struct peer *peer);

bool run_burst(struct trial *trial);
bool run_burst_recycled(struct trial *trial);
bool run_burst_futex(struct trial *trial);
bool run_producers(struct trial *trial);
bool run_roundtrip(struct trial *trial);
bool run_roundtrip_idle(struct trial *trial);
bool run_map(struct trial *trial);
bool run_skew(struct trial *trial);
bool run_fork_both(struct trial *trial);
bool run_fork_one(struct trial *trial);
bool run_fork_scoped(struct trial *trial);
bool run_range(struct trial *trial);
bool run_proc_throughput(struct trial *trial);
bool run_proc_echo(struct trial *trial);
void prepare_counter(struct trial *trial);
void prepare_map(struct trial *trial);
void prepare_map_fine(struct trial *trial);
void prepare_pinned(struct trial *trial);

#endif
