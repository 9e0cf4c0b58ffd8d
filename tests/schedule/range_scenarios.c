/* SPDX-License-Identifier: MIT */
/* Loops in pieces, while workers come, fail and are shut down. */
#include "tests/schedule/point.h"
#include "tests/schedule/scenario.h"

enum { TURNS = 6 };

static hk_executor *pool;
static int turns[TURNS]; /* How often each was run. */
static int under_way;    /* Bodies. */

static void begin(unsigned workers)
{
    pool = hkt_pool((hk_executor_options){.workers = workers});
    under_way = 0;
    for (int i = 0; i < TURNS; i++) {
        turns[i] = 0;
    }
}

/* No body is under way when the range has ended, and no turn was run twice. */
static int count_turns(void)
{
    int sum = 0;

    HKT_MUST(under_way == 0);
    for (int i = 0; i < TURNS; i++) {
        HKT_MUST(turns[i] <= 1);
        sum += turns[i];
    }
    return sum;
}

static hk_status run_turns(hk_range *range, size_t first, size_t end, void *fails_at)
{
    hk_status status = HK_OK;

    under_way++;
    for (size_t i = first; i < end; i++) {
        hkt_point("turn", &turns[i], HKT_SITE);
        turns[i]++;
        if (fails_at != NULL && i == *(const size_t *)fails_at) {
            status = HK_ESTATE;
        }
    }
    (void)hk_range_should_stop(range);
    under_way--;
    return status;
}

static void range_of_all(void)
{
    hk_range range;

    begin(2);
    HKT_IS(hk_parallel_for(&range, pool, 0, TURNS, run_turns, NULL, NULL), HK_OK);
    HKT_MUST(count_turns() == TURNS);
    hkt_pool_end(pool);
}

static void range_that_fails(void)
{
    hk_range range;
    size_t fails_at = 2;

    begin(2);
    HKT_IS(hk_parallel_for(&range, pool, 0, TURNS, run_turns, &fails_at, NULL), HK_ESTATE);
    HKT_MUST(count_turns() >= 3);
    hkt_pool_end(pool);
}

static void fire(void *token)
{
    HKT_IS(hk_cancel_token_fire(token, "enough"), HK_OK);
}

static void range_and_token(void)
{
    hk_range range;
    hk_range_options options = {.grain = 1};
    struct hkt_actor actor;
    hk_status status;

    begin(2);
    HKT_IS(hk_cancel_token_create(NULL, &options.token), HK_OK);
    actor = hkt_act(fire, options.token);
    status = hk_parallel_for(&range, pool, 0, TURNS, run_turns, NULL, &options);
    HKT_MUST(status == HK_ECANCELED || (status == HK_OK && count_turns() == TURNS));
    HKT_MUST(count_turns() <= TURNS);
    hkt_await(actor);
    hk_cancel_token_unref(options.token);
    hkt_pool_end(pool);
}

static void shut_down(void *unused)
{
    (void)unused;
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER), HK_OK);
}

static void range_and_shutdown(void)
{
    hk_range range;
    struct hkt_actor actor;
    hk_status status;

    begin(2);
    actor = hkt_act(shut_down, NULL);
    status = hk_parallel_for(&range, pool, 0, TURNS, run_turns, NULL, NULL);
    HKT_MUST(status == HK_ECANCELED || status == HK_ECLOSED ||
             (status == HK_OK && count_turns() == TURNS));
    HKT_MUST(status != HK_ECLOSED || count_turns() == 0);
    hkt_await(actor);
    HKT_MUST(count_turns() <= TURNS);
    hkt_pool_end(pool);
}

HK_TASK(hkt_runs_range)
{
    hk_range range;

    (void)in;
    HKT_IS(hk_parallel_for(&range, hk_call_executor(call), 0, TURNS, run_turns, NULL, NULL), HK_OK);
    return HK_OK;
}

static void range_in_a_task(void)
{
    hk_future *other;

    begin(2);
    other = hkt_give(pool, hkt_double, 1);
    hkt_ends(hkt_give(pool, hkt_runs_range, 1), HK_OK);
    HKT_MUST(count_turns() == TURNS);
    hkt_gives(other, 2);
    hkt_pool_end(pool);
}

const struct hkt_scenario hkt_range_scenarios[] = {
    {"range-of-all", range_of_all, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"range-that-fails", range_that_fails, true, 0},
    {"range-and-token", range_and_token, true, 0},
    {"range-and-shutdown", range_and_shutdown, true, 0},
    {"range-in-a-task", range_in_a_task, true, 0},
    {0}};
