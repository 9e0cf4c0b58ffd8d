/* SPDX-License-Identifier: MIT */
/* Who goes on, drawn from a seed. The same seed draws the same, whatever the machine. */
#ifndef HKT_SCHEDULE_CHANCE_H
#define HKT_SCHEDULE_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

enum { HKT_THREADS_MAX = 24 };

enum hkt_strategy {
    /* Each thread has a priority, drawn at its birth, and the first that can go on does. At
     * depth - 1 steps, drawn beforehand, who is at turn falls behind all others (Burckhardt and
     * others, "A randomized scheduler with probabilistic guarantees of finding bugs"). */
    HKT_PRIORITIES,
    /* At each step, with a probability that is drawn beforehand, anybody. */
    HKT_RANDOM_WALK
};

void hkt_chance_begin(uint64_t seed, enum hkt_strategy strategy, unsigned depth);

/* A thread is born. */
void hkt_chance_add(unsigned number);

/* It has nothing to do until others went on for a moment. */
void hkt_chance_rest(unsigned number);

/* Who of those that can is at turn now; at least one can. */
unsigned hkt_chance_next(const bool *can_go_on, unsigned count, unsigned current);

/* Whether the clock leaps now to the next moment that somebody sleeps until. */
bool hkt_chance_leaps(void);

/* From 0 to count - 1. */
unsigned hkt_chance(unsigned count);

#endif
