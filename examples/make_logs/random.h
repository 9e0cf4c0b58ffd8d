/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that are the same everywhere for one seed (splitmix64).
 */
#ifndef HOCKET_MAKE_LOGS_RANDOM_H
#define HOCKET_MAKE_LOGS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* From 0 to bound - 1; every value as likely, but for a bias below 2^-32. */
static inline unsigned random_below(struct random *random, unsigned bound)
{
    return (unsigned)((random_next(random) >> 32) * bound >> 32);
}

/* True in percent of 100 cases. */
static inline bool random_percent(struct random *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

/* From 0 to bound - 1, small values far more often, as visitors and pages are. */
static inline unsigned random_skewed(struct random *random, unsigned bound)
{
    unsigned a = random_below(random, bound), b = random_below(random, bound);

    return (unsigned)((uint64_t)a * b / bound);
}

#endif
