/* SPDX-License-Identifier: MIT */
/* Tasks on a pool of threads: how they come, are taken, cancelled, and wait for each other. */
#include <string.h>

#include "tests/schedule/scenario.h"

static hk_executor *pool;

/* --- submits --- */

static void give_two(void *unused)
{
    hk_future *first = hkt_give(pool, hkt_double, 10);
    hk_future *second = hkt_give(pool, hkt_double, 20);

    (void)unused;
    hkt_gives(second, 40);
    hkt_gives(first, 20);
}

static void submits_of_two(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    actor = hkt_act(give_two, NULL);
    give_two(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 4);
}

/* Nobody waits for them but the pool's end. */
static void submits_and_end(void)
{
    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    for (int i = 0; i < 3; i++) {
        hk_future_unref(hkt_give(pool, hkt_double, i));
    }
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 3);
}

static void priorities(void)
{
    static const hk_priority wanted[3] = {HK_PRIORITY_LOW, HK_PRIORITY_NORMAL, HK_PRIORITY_HIGH};
    hk_future *futures[3];

    pool = hkt_pool((hk_executor_options){.workers = 2});
    for (int i = 0; i < 3; i++) {
        hk_submit_options options = {.priority = wanted[i]};

        HKT_IS(hk_submit(pool, hkt_double, &i, sizeof(i), &options, &futures[i]), HK_OK);
    }
    for (int i = 0; i < 3; i++) {
        hkt_gives(futures[i], 2 * i);
    }
    hkt_pool_end(pool);
}

static void submit_many(void)
{
    static const int items[4] = {1, 2, 3, 4};
    hk_future *futures[4];
    size_t accepted = 0;

    pool = hkt_pool((hk_executor_options){.workers = 2});
    HKT_IS(hk_submit_many(pool, hkt_double, items, 4, sizeof(items[0]), NULL, futures, &accepted),
           HK_OK);
    HKT_MUST(accepted == 4);
    for (int i = 0; i < 4; i++) {
        hkt_gives(futures[i], 2 * items[i]);
    }
    hkt_pool_end(pool);
}

/* --- cancelling --- */

struct wish {
    hk_future *future;
    hk_cancel_level level;
    hk_status status;
};

static void cancel(void *arg)
{
    struct wish *wish = arg;

    wish->status = hk_future_cancel(wish->future, wish->level);
}

/* A cancel that was granted is what everybody sees, and else the value is. */
static void cancel_a_task(void)
{
    struct wish wish = {.level = HK_CANCEL_PENDING};
    hk_future *other;
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    hkt_begun = 0;
    other = hkt_give(pool, hkt_double, 1);
    wish.future = hk_future_ref(hkt_give(pool, hkt_double, 2));
    actor = hkt_act(cancel, &wish);
    hkt_gives(other, 2);
    hkt_await(actor);
    HKT_MUST(wish.status == HK_OK || wish.status == HK_ESTATE);
    if (wish.status == HK_OK) {
        hkt_ends(wish.future, HK_ECANCELED);
    } else {
        hkt_gives(wish.future, 4);
    }
    hk_future_unref(wish.future);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == (wish.status == HK_OK ? 1 : 2));
}

static void ask_to_stop(void)
{
    struct wish wishes[2];
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    for (int i = 0; i < 2; i++) {
        wishes[i] = (struct wish){hkt_give(pool, hkt_waits, i), HK_CANCEL_REQUEST, HK_EINVAL};
    }
    actor = hkt_act(cancel, &wishes[0]);
    cancel(&wishes[1]);
    hkt_await(actor);
    HKT_IS(wishes[0].status, HK_OK);
    HKT_IS(wishes[1].status, HK_OK);
    hkt_ends(wishes[0].future, HK_ECANCELED);
    hkt_ends(wishes[1].future, HK_ECANCELED);
    hkt_pool_end(pool);
}

/* --- waiting inside a task --- */

/* int -> the sum of the doubles of it and of the next. */
HK_TASK(hkt_splits)
{
    hk_future *futures[2];
    hk_status status;
    int sum = 0;
    int value;

    memcpy(&value, in, sizeof(value));
    for (int i = 0; i < 2; i++) {
        futures[i] = hkt_give(hk_call_executor(call), hkt_double, value + i);
    }
    status = hk_wait(futures, 2, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL);
    HKT_IS(status, HK_OK);
    for (int i = 0; i < 2; i++) {
        const void *got;

        HKT_IS(hk_future_result(futures[i], 0, &got, NULL), HK_OK);
        sum += *(const int *)got;
        hk_future_unref(futures[i]);
    }
    return hk_return(call, &sum, sizeof(sum));
}

static void nested_wait(void)
{
    hk_future *first;
    hk_future *second;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    first = hkt_give(pool, hkt_splits, 1);
    second = hkt_give(pool, hkt_splits, 2);
    hkt_gives(first, 6);
    hkt_gives(second, 10);
    hkt_pool_end(pool);
}

static void nested_waits_of_two(void)
{
    hk_future *first;
    hk_future *second;

    pool = hkt_pool((hk_executor_options){.workers = 2});
    first = hkt_give(pool, hkt_splits, 1);
    second = hkt_give(pool, hkt_splits, 2);
    hkt_gives(first, 6);
    hkt_gives(second, 10);
    hkt_pool_end(pool);
}

/* A wait for the first of several is not run on the same stack: somebody else must come. */
HK_TASK(hkt_takes_first)
{
    hk_future *futures[2];
    size_t ended = 0;
    bool done[2];
    int value;

    memcpy(&value, in, sizeof(value));
    for (int i = 0; i < 2; i++) {
        futures[i] = hkt_give(hk_call_executor(call), hkt_double, value);
    }
    HKT_IS(hk_wait(futures, 2, HK_FIRST_COMPLETED, HK_FOREVER, done, &ended), HK_OK);
    HKT_MUST(ended >= 1);
    hk_future_unref(futures[0]);
    hk_future_unref(futures[1]);
    return hk_return(call, &value, sizeof(value));
}

static void spare_workers(void)
{
    hk_future *first;
    hk_future *second;

    pool = hkt_pool((hk_executor_options){.workers = 1, .spare_workers = 2});
    first = hkt_give(pool, hkt_takes_first, 1);
    second = hkt_give(pool, hkt_takes_first, 2);
    hkt_gives(first, 1);
    hkt_gives(second, 2);
    hkt_pool_end(pool);
}

/* A task that waits for itself, in the end, is told so. */
static hk_future *round_trip[2];
static hk_promise *may_begin;
static hk_future *begin;

HK_TASK(hkt_waits_for_other)
{
    hk_status status;
    int value;

    memcpy(&value, in, sizeof(value));
    HKT_IS(hk_future_wait(begin, HK_FOREVER), HK_OK);
    status = hk_future_wait(round_trip[1 - value], HK_FOREVER);
    HKT_MUST(status == HK_OK || status == HK_EDEADLK);
    value = status == HK_EDEADLK;
    return hk_return(call, &value, sizeof(value));
}

static void wait_in_a_ring(void)
{
    const void *refused[2];

    pool = hkt_pool((hk_executor_options){.workers = 2});
    HKT_IS(hk_promise_create(&may_begin, &begin), HK_OK);
    for (int i = 0; i < 2; i++) {
        round_trip[i] = hkt_give(pool, hkt_waits_for_other, i);
    }
    HKT_IS(hk_promise_set(may_begin, NULL, 0), HK_OK);
    hk_promise_destroy(may_begin);
    for (int i = 0; i < 2; i++) {
        HKT_IS(hk_future_result(round_trip[i], HK_FOREVER, &refused[i], NULL), HK_OK);
    }
    HKT_MUST(*(const int *)refused[0] + *(const int *)refused[1] == 1);
    hk_future_unref(round_trip[0]);
    hk_future_unref(round_trip[1]);
    hk_future_unref(begin);
    hkt_pool_end(pool);
}

/* --- scopes --- */

static hk_status add_up(hk_scope *scope, void *arg)
{
    int *sum = arg;
    int halves[2] = {*sum / 2, *sum - *sum / 2};
    hk_forked forked;

    if (*sum <= 1) {
        hkt_begun++;
        return HK_OK;
    }
    HKT_IS(hk_fork(scope, &forked, add_up, &halves[0]), HK_OK);
    HKT_IS(add_up(scope, &halves[1]), HK_OK);
    HKT_IS(hk_join(scope, &forked), HK_OK);
    *sum = halves[0] + halves[1];
    return HK_OK;
}

HK_TASK(hkt_forks)
{
    hk_scope scope;
    int value;

    memcpy(&value, in, sizeof(value));
    HKT_IS(hk_scope_begin(&scope, call), HK_OK);
    HKT_IS(add_up(&scope, &value), HK_OK);
    HKT_IS(hk_scope_end(&scope), HK_OK);
    return hk_return(call, &value, sizeof(value));
}

static void fork_and_join(void)
{
    hk_future *first;
    hk_future *second;

    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    first = hkt_give(pool, hkt_forks, 4);
    second = hkt_give(pool, hkt_double, 1);
    hkt_gives(first, 4);
    hkt_gives(second, 2);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 5);
}

#define LOST_WAKES (HKT_FAULT(HKT_LOSES_WAKES) | HKT_FAULT(HKT_SLEEPS_BLINDLY))

const struct hkt_scenario hkt_pool_scenarios[] = {
    {"submits-of-two", submits_of_two, true, LOST_WAKES | HKT_FAULT(HKT_OPEN_MUTEXES)},
    {"submits-and-end", submits_and_end, true, LOST_WAKES},
    {"priorities", priorities, true, HKT_FAULT(HKT_OPEN_MUTEXES)},
    {"submit-many", submit_many, true, 0},
    {"cancel-a-task", cancel_a_task, true, 0},
    {"ask-to-stop", ask_to_stop, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"nested-wait", nested_wait, true, 0},
    {"nested-waits-of-two", nested_waits_of_two, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"spare-workers", spare_workers, true, 0},
    {"wait-in-a-ring", wait_in_a_ring, true, 0},
    {"fork-and-join", fork_and_join, true, 0},
    {0}};
