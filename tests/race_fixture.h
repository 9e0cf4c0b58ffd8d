/* SPDX-License-Identifier: MIT */
/*
 * Many short races instead of one long one: the window is at the start, so it is
 * opened again and again.
 *
 * Each actor has a thread of its own. In every round all of them set off together
 * on a fresh round; when the last round is over, each round is checked. Data that
 * is carried across the edge is plain on purpose: only what is under test orders
 * it, and ThreadSanitizer sees when it does not.
 */
#ifndef HOCKET_TESTS_RACE_FIXTURE_H
#define HOCKET_TESTS_RACE_FIXTURE_H

#include <stdatomic.h>

#include <hocket/hocket.h>

#include "tests/promise_fixture.h"

enum { HKT_ROUNDS = 300, HKT_ACTORS_MAX = 5, HKT_PAYLOAD = 4242 };

/* What one round is about; each test uses what it needs. */
struct hkt_round {
    struct hkt_pair pair;
    struct hkt_pair second;
    hk_future *futures[HKT_ACTORS_MAX];
    hk_future *out;
    hk_completion *completion;
    hk_cancel_token *token;
    void *object;
    hk_hook *hook;
    int payload[HKT_ACTORS_MAX];       /* Plain: an actor's own, written before its edge. */
    hk_status status[HKT_ACTORS_MAX];  /* What came of the actor's call. */
    atomic_uint calls[HKT_ACTORS_MAX]; /* Of an actor's callbacks. */
    atomic_uint drops;
};

/* Its number stands for the actor in the arrays of the round. */
typedef void hkt_actor_fn(struct hkt_round *round, unsigned who);

struct hkt_race {
    void (*open)(struct hkt_round *round);  /* On the test's thread, before all. */
    hkt_actor_fn *actors[HKT_ACTORS_MAX];   /* Ended by NULL if there are fewer. */
    void (*check)(struct hkt_round *round); /* On the test's thread, after all. */
};

void hkt_race(const struct hkt_race *race);

#endif
