/* SPDX-License-Identifier: MIT */
/*
 * This process and all that descend from it, as /proc shows them.
 */
#ifndef BENCH_PROCESS_TREE_H
#define BENCH_PROCESS_TREE_H

#include <stdint.h>

/* CPU time of all of them, and of those that have ended and been waited for. Counted in
 * ticks of the clock. */
int64_t bench_tree_cpu_ns(void);

/* What their threads have done so far; of those that live now. */
struct bench_activity {
    /* Times that a thread went to sleep of its own will. */
    uint64_t sleeps;
    int64_t cpu_ns;
};

/* Of all but the calling thread. */
struct bench_activity bench_tree_activity(void);

#endif
