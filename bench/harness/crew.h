/* SPDX-License-Identifier: MIT */
/*
 * Threads that start together and are timed from the first start to the last end.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stdbool.h>
#include <stdint.h>

enum { CREW_MAX = 256 };

/* What one thread does. */
typedef void crew_work(void *arg, unsigned index);

/* Runs work in so many new threads; gives the nanoseconds it took. */
int64_t crew_run(unsigned count, crew_work *work, void *arg);

/* As crew_run(), and sets *stop after so long. The threads read it with crew_stops(). */
int64_t crew_run_for(unsigned count, crew_work *work, void *arg, int64_t duration_ns, int *stop);

static inline bool crew_stops(const int *stop)
{
    /* Relaxed: nothing but the time depends on it. */
    return __atomic_load_n(stop, __ATOMIC_RELAXED) != 0;
}

/* Keeps the calling thread on one CPU; false if the kernel refuses. */
bool crew_pin(int cpu);

/* The same until crew_unpin(); for one thread of the program at a time. */
bool crew_pin_for_now(int cpu);
void crew_unpin(void);

/* Sleeps. */
void crew_rest(int64_t duration_ns);

/* Whether this process may use CPUs 0 to count - 1. */
bool crew_has_cpus(int count);

#endif
