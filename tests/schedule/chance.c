/* SPDX-License-Identifier: MIT */
#include "tests/schedule/chance.h"

enum {
    DEPTH_MAX = 16,
    LEAPS_MAX = 4,
    /* The steps at which something changes are drawn from the first 2^N, N of these. */
    HORIZON_MIN = 5,
    HORIZON_MAX = 11,
    RESTS = 6,         /* A rest lasts up to 2^N steps, N less than this. */
    WALK_LEAP = 512,   /* A walk leaps once in so many steps. */
    FAIR_EVERY = 5000, /* So often all priorities are drawn anew: some may look for what only
                          others bring. */
};

static struct {
    enum hkt_strategy strategy;
    uint64_t state;
    uint64_t step;
    unsigned walk_every; /* A walk passes the turn once in so many steps. */
    unsigned rest_max;
    unsigned changes;
    uint64_t change_at[DEPTH_MAX];
    unsigned leaps;
    uint64_t leap_at[LEAPS_MAX];
    int64_t lowest;
    int64_t priority[HKT_THREADS_MAX];
    uint64_t rests_until[HKT_THREADS_MAX];
} chance;

/* Splitmix64. */
static uint64_t draw(void)
{
    uint64_t mixed = chance.state += UINT64_C(0x9E3779B97F4A7C15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ mixed >> 31;
}

unsigned hkt_chance(unsigned count)
{
    return count == 0 ? 0 : (unsigned)(draw() % count);
}

void hkt_chance_begin(uint64_t seed, enum hkt_strategy strategy, unsigned depth)
{
    unsigned horizon;

    chance.strategy = strategy;
    chance.state = seed * UINT64_C(0xD1342543DE82EF95) + (unsigned)strategy;
    chance.step = 0;
    chance.lowest = 0;
    chance.walk_every = 2U << hkt_chance(6);
    chance.rest_max = 1U << hkt_chance(RESTS);
    /* How many steps a round takes is not known; so all magnitudes are as likely. */
    horizon = 1U << (HORIZON_MIN + hkt_chance(HORIZON_MAX - HORIZON_MIN + 1));
    chance.changes = depth == 0 ? 0 : depth - 1;
    chance.changes = chance.changes < DEPTH_MAX ? chance.changes : DEPTH_MAX;
    for (unsigned i = 0; i < chance.changes; i++) {
        chance.change_at[i] = hkt_chance(horizon);
    }
    chance.leaps = hkt_chance(LEAPS_MAX + 1);
    for (unsigned i = 0; i < chance.leaps; i++) {
        chance.leap_at[i] = hkt_chance(horizon);
    }
    for (unsigned i = 0; i < HKT_THREADS_MAX; i++) {
        chance.priority[i] = 0;
        chance.rests_until[i] = 0;
    }
}

void hkt_chance_add(unsigned number)
{
    chance.priority[number] = (int64_t)(draw() >> 2) + 1;
    chance.rests_until[number] = 0;
}

void hkt_chance_rest(unsigned number)
{
    chance.rests_until[number] = chance.step + 2 + hkt_chance(chance.rest_max);
}

static bool is_resting(unsigned number)
{
    return chance.rests_until[number] > chance.step;
}

static unsigned first_by_priority(const bool *can_go_on, unsigned count)
{
    unsigned first = HKT_THREADS_MAX;

    for (unsigned i = 0; i < count; i++) {
        if (can_go_on[i] &&
            (first == HKT_THREADS_MAX || (is_resting(first) && !is_resting(i)) ||
             (is_resting(first) == is_resting(i) && chance.priority[i] > chance.priority[first]))) {
            first = i;
        }
    }
    return first;
}

static unsigned anybody(const bool *can_go_on, unsigned count)
{
    unsigned among[HKT_THREADS_MAX] = {0};
    unsigned found = 0;

    for (unsigned rested = 0; rested < 2 && found == 0; rested++) {
        for (unsigned i = 0; i < count; i++) {
            if (can_go_on[i] && (rested != 0 || !is_resting(i))) {
                among[found++] = i;
            }
        }
    }
    return among[hkt_chance(found)];
}

unsigned hkt_chance_next(const bool *can_go_on, unsigned count, unsigned current)
{
    chance.step++;
    if (chance.strategy == HKT_PRIORITIES) {
        for (unsigned i = 0; chance.step % FAIR_EVERY == 0 && i < count; i++) {
            hkt_chance_add(i);
        }
        for (unsigned i = 0; i < chance.changes; i++) {
            if (chance.change_at[i] == chance.step) {
                chance.priority[current] = --chance.lowest;
            }
        }
        return first_by_priority(can_go_on, count);
    }
    if (can_go_on[current] && !is_resting(current) && hkt_chance(chance.walk_every) != 0) {
        return current;
    }
    return anybody(can_go_on, count);
}

bool hkt_chance_leaps(void)
{
    if (chance.strategy == HKT_RANDOM_WALK) {
        return hkt_chance(WALK_LEAP) == 0;
    }
    for (unsigned i = 0; i < chance.leaps; i++) {
        if (chance.leap_at[i] == chance.step) {
            return true;
        }
    }
    return false;
}
