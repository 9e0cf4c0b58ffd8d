/* SPDX-License-Identifier: MIT */
/* A few threads that use some object, and what must hold in every run of theirs. */
#ifndef HKT_INTERLEAVE_SCENARIO_H
#define HKT_INTERLEAVE_SCENARIO_H

#include "tests/interleave/machine.h"

#define HKT_FAULT(fault) (1U << (fault))

struct hkt_scenario {
    const char *name;
    void (*set_up)(void);
    void (*tear_down)(void); /* Also after a run that failed. */
    hkt_thread_fn *threads[HKT_THREADS_MAX];
    struct hkt_bounds bounds;
    bool has_barrier;
    unsigned faults; /* Which must be noticed: HKT_FAULT(...) of each. */
};

/* Each ends with one without a name. */
extern const struct hkt_scenario hkt_queue_scenarios[];
extern const struct hkt_scenario hkt_ring_scenarios[];
extern const struct hkt_scenario hkt_word_scenarios[];

#endif
