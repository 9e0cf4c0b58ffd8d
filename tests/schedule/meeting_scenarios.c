/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for each other in ways that the library does not see: they all must run at
 * once, as far as there are workers. A call for help that is forgotten shows here.
 */
#include <string.h>

#include "tests/schedule/point.h"
#include "tests/schedule/scenario.h"

static hk_executor *pool;
static volatile int come; /* Who has come. */

static void begin(unsigned workers)
{
    pool = hkt_pool((hk_executor_options){.workers = workers});
    come = 0;
    hkt_begun = 0;
}

/* int: how many are to come. */
HK_TASK(hkt_meets)
{
    int wanted;

    (void)call;
    memcpy(&wanted, in, sizeof(wanted));
    hkt_point("meet", &come, HKT_SITE);
    come++;
    hkt_machine_wait_for(&come, wanted);
    return HK_OK;
}

/* The same; 0: it meets nobody. */
HK_TASK(hkt_may_meet)
{
    int wanted;

    (void)call;
    memcpy(&wanted, in, sizeof(wanted));
    if (wanted != 0) {
        come++;
        hkt_machine_wait_for(&come, wanted);
    }
    return HK_OK;
}

static void meet(unsigned workers, int count)
{
    hk_future *futures[3];

    begin(workers);
    for (int i = 0; i < count; i++) {
        futures[i] = hkt_give(pool, hkt_meets, count);
    }
    for (int i = 0; i < count; i++) {
        hkt_ends(futures[i], HK_OK);
    }
    hkt_pool_end(pool);
}

static void two_meet(void)
{
    meet(2, 2);
}

static void three_meet(void)
{
    meet(3, 3);
}

/* Workers that are there already, and asleep or about to be. */
static void two_meet_again(void)
{
    hk_future *futures[2];

    begin(2);
    for (int i = 0; i < 2; i++) {
        hk_future_unref(hkt_give(pool, hkt_double, 1));
    }
    hkt_gives(hkt_give(pool, hkt_double, 1), 2);
    for (int i = 0; i < 2; i++) {
        futures[i] = hkt_give(pool, hkt_meets, 2);
    }
    hkt_ends(futures[0], HK_OK);
    hkt_ends(futures[1], HK_OK);
    hkt_pool_end(pool);
}

static void give_one(void *arg)
{
    hkt_ends(hkt_give(pool, hkt_meets, *(int *)arg), HK_OK);
}

static void two_submitters_meet(void)
{
    struct hkt_actor actor;
    int two = 2;

    begin(2);
    actor = hkt_act(give_one, &two);
    give_one(&two);
    hkt_await(actor);
    hkt_pool_end(pool);
}

/* Submits its like, which others must take from its own deck, and meets them. */
HK_TASK(hkt_calls_others)
{
    hk_executor *own = hk_call_executor(call);
    int count;

    memcpy(&count, in, sizeof(count));
    for (int i = 1; i < count; i++) {
        hk_future_unref(hkt_give(own, hkt_meets, count));
    }
    come++;
    hkt_machine_wait_for(&come, count);
    return HK_OK;
}

static void other_is_called(void)
{
    begin(2);
    hkt_ends(hkt_give(pool, hkt_calls_others, 2), HK_OK);
    hkt_pool_end(pool);
}

static void others_are_called(void)
{
    begin(3);
    hk_future_unref(hkt_give(pool, hkt_double, 1));
    hkt_ends(hkt_give(pool, hkt_calls_others, 3), HK_OK);
    hkt_pool_end(pool);
}

/* With restarts in between: who is called may be about to leave. */
static void called_from_worn(void)
{
    pool = hkt_pool((hk_executor_options){.workers = 2, .tasks_per_worker = 1});
    come = 0;
    for (int i = 0; i < 2; i++) {
        hk_future_unref(hkt_give(pool, hkt_double, 1));
    }
    hkt_ends(hkt_give(pool, hkt_calls_others, 2), HK_OK);
    hkt_pool_end(pool);
}

static void called_while_idle_leave(void)
{
    pool = hkt_pool((hk_executor_options){.workers = 2, .idle_exit = 1});
    come = 0;
    hkt_gives(hkt_give(pool, hkt_double, 1), 2);
    hkt_ends(hkt_give(pool, hkt_calls_others, 2), HK_OK);
    hkt_pool_end(pool);
}

/* Two of a batch, which one worker takes from the lane in one go. */
static void two_of_a_batch(void)
{
    static const int items[6] = {0, 0, 2, 0, 2, 0};
    hk_future *futures[6];
    size_t accepted;

    begin(2);
    hkt_gives(hkt_give(pool, hkt_double, 1), 2);
    HKT_IS(hk_submit_many(pool, hkt_may_meet, items, 6, sizeof(items[0]), NULL, futures, &accepted),
           HK_OK);
    for (int i = 0; i < 6; i++) {
        hkt_ends(futures[i], HK_OK);
    }
    hkt_pool_end(pool);
}

/* A callback keeps a worker that counted as good as idle. */
static void wait_for_other(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    come++;
    hkt_machine_wait_for(&come, 2);
}

static void callback_meets(void)
{
    hk_future *first;

    begin(2);
    first = hkt_give(pool, hkt_double, 1);
    HKT_IS(hk_future_on_done(first, pool, wait_for_other, NULL, NULL), HK_OK);
    hkt_gives(first, 2);
    hkt_ends(hkt_give(pool, hkt_meets, 2), HK_OK);
    hkt_pool_end(pool);
}

static void wait_for_one(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    hkt_machine_wait_for(&come, 1);
}

static void add_callback(void *future)
{
    HKT_IS(hk_future_on_done(future, NULL, wait_for_one, NULL, NULL), HK_OK);
}

/* The same on the thread that ends the task, or that adds the callback. */
static void own_callback_meets(void)
{
    hk_future *first;
    struct hkt_actor actor;

    begin(2);
    first = hkt_give(pool, hkt_double, 1);
    actor = hkt_act(add_callback, first);
    hkt_ends(hkt_give(pool, hkt_meets, 1), HK_OK);
    hkt_await(actor);
    hk_future_unref(first);
    hkt_pool_end(pool);
}

/* --- forks --- */

static hk_status come_too(hk_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    come++;
    hkt_machine_wait_for(&come, 2);
    return HK_OK;
}

/* A fork that somebody else must run. */
HK_TASK(hkt_forks_and_meets)
{
    hk_scope scope;
    hk_forked forked;

    HKT_IS(hk_scope_begin(&scope, call), HK_OK);
    HKT_IS(hk_fork(&scope, &forked, come_too, NULL), HK_OK);
    come++;
    hkt_machine_wait_for(&come, 2);
    HKT_IS(hk_join(&scope, &forked), HK_OK);
    HKT_IS(hk_scope_end(&scope), HK_OK);
    return HK_OK;
}

static void fork_meets(void)
{
    begin(2);
    hk_future_unref(hkt_give(pool, hkt_double, 1));
    hkt_ends(hkt_give(pool, hkt_forks_and_meets, 1), HK_OK);
    hkt_pool_end(pool);
}

static volatile int begun; /* What was forked. */

static hk_status wait_to_end(hk_scope *scope, void *arg)
{
    (void)scope;
    (void)arg;
    begun = 1;
    hkt_machine_wait_for(&come, 1);
    return HK_OK;
}

/* A join of what somebody else runs, and goes on running. */
HK_TASK(hkt_joins_slowly)
{
    hk_scope scope;
    hk_forked forked;

    HKT_IS(hk_scope_begin(&scope, call), HK_OK);
    HKT_IS(hk_fork(&scope, &forked, wait_to_end, NULL), HK_OK);
    hkt_machine_wait_for(&begun, 1);
    HKT_IS(hk_join(&scope, &forked), HK_OK);
    HKT_IS(hk_scope_end(&scope), HK_OK);
    return HK_OK;
}

static void slow_join(void)
{
    hk_future *task;

    begin(2);
    begun = 0;
    task = hkt_give(pool, hkt_joins_slowly, 1);
    hkt_machine_wait_for(&begun, 1);
    for (unsigned i = hkt_chance(500); i > 0; i--) {
        hkt_point("linger", &come, HKT_SITE);
    }
    come = 1;
    hkt_ends(task, HK_OK);
    hkt_pool_end(pool);
}

#define LOST_WAKES (HKT_FAULT(HKT_LOSES_WAKES) | HKT_FAULT(HKT_SLEEPS_BLINDLY))

const struct hkt_scenario hkt_meeting_scenarios[] = {
    {"two-meet", two_meet, true, LOST_WAKES},
    {"three-meet", three_meet, true, 0},
    {"two-meet-again", two_meet_again, true, 0},
    {"two-submitters-meet", two_submitters_meet, true, 0},
    {"other-is-called", other_is_called, true, 0},
    {"others-are-called", others_are_called, true, 0},
    {"called-from-worn", called_from_worn, true, 0},
    {"called-while-idle-leave", called_while_idle_leave, false, 0},
    {"two-of-a-batch", two_of_a_batch, true, 0},
    {"callback-meets", callback_meets, true, 0},
    {"own-callback-meets", own_callback_meets, true, 0},
    {"fork-meets", fork_meets, true, 0},
    {"slow-join", slow_join, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {0}};
