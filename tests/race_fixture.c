/* SPDX-License-Identifier: MIT */
/* Runs the rounds of a race. */
#include "tests/race_fixture.h"

#include <sched.h>
#include <string.h>

static struct hkt_round rounds[HKT_ROUNDS];

/* Where the actors of a round meet: a count that all of them watch, because a
 * sleeping barrier would let one of them go long before the next. */
static atomic_uint arrived;

struct actor {
    struct hkt_thread thread;
    hkt_actor_fn *act;
    unsigned who;
    unsigned count; /* Of all actors. */
};

static void meet(unsigned round, unsigned count)
{
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < (round + 1) * count) {
        sched_yield();
    }
}

/* A little later, each time by another length, so that each order has its turn. */
static void dawdle(unsigned round, unsigned who)
{
    volatile unsigned steps = (round * 7 + who * 31) % 97 * (round % 4);

    while (steps > 0) {
        steps--;
    }
}

static void act_in_every_round(void *arg)
{
    struct actor *actor = arg;

    for (unsigned round = 0; round < HKT_ROUNDS; round++) {
        meet(round, actor->count);
        dawdle(round, actor->who);
        actor->act(&rounds[round], actor->who);
    }
}

void hkt_race(const struct hkt_race *race)
{
    struct actor actors[HKT_ACTORS_MAX];
    unsigned count = 0;

    memset(rounds, 0, sizeof(rounds));
    atomic_store(&arrived, 0);
    while (count < HKT_ACTORS_MAX && race->actors[count] != NULL) {
        count++;
    }
    for (unsigned i = 0; i < HKT_ROUNDS; i++) {
        race->open(&rounds[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        actors[i].act = race->actors[i];
        actors[i].who = i;
        actors[i].count = count;
        hkt_thread_start(&actors[i].thread, act_in_every_round, &actors[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        hkt_thread_join(&actors[i].thread);
    }
    for (unsigned i = 0; i < HKT_ROUNDS; i++) {
        race->check(&rounds[i]);
    }
}
