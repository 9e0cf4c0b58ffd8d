/* SPDX-License-Identifier: MIT */
/* Limits, deadlines and tokens against the ends of tasks. */
#include "tests/schedule/scenario.h"

static hk_executor *pool;

/* What a task with a limit may end with; its value is right if it has one. */
static hk_status ends_somehow(hk_future *future, hk_status other)
{
    const void *value = NULL;
    hk_status status = hk_future_result(future, HK_FOREVER, &value, NULL);

    HKT_MUST(status == other || (status == HK_OK && *(const int *)value == 2));
    hk_future_unref(future);
    return status;
}

static hk_future *give_with(hk_submit_options options, const hk_task *task)
{
    hk_future *future = NULL;

    HKT_IS(hk_submit(pool, task, &(int){1}, sizeof(int), &options, &future), HK_OK);
    return future;
}

static void run_limit(void)
{
    hk_future *futures[2];

    pool = hkt_pool((hk_executor_options){.workers = 1});
    futures[0] = give_with((hk_submit_options){.timeout = HK_US(5)}, hkt_double);
    futures[1] = give_with((hk_submit_options){.timeout = HK_US(5)}, hkt_waits);
    (void)ends_somehow(futures[0], HK_EDEADLINE);
    hkt_ends(futures[1], HK_EDEADLINE);
    hkt_pool_end(pool);
}

static void queue_limit(void)
{
    hk_future *futures[3];

    pool = hkt_pool((hk_executor_options){.workers = 1});
    futures[0] = give_with((hk_submit_options){.deadline = HK_US(20)}, hkt_double);
    futures[1] = give_with((hk_submit_options){.deadline = HK_US(5)}, hkt_waits);
    futures[2] = give_with((hk_submit_options){.deadline = HK_US(4)}, hkt_double);
    (void)ends_somehow(futures[0], HK_EDEADLINE);
    hkt_ends(futures[1], HK_EDEADLINE);
    (void)ends_somehow(futures[2], HK_EDEADLINE);
    hkt_pool_end(pool);
}

static void cancel(void *arg)
{
    (void)hk_future_cancel(arg, HK_CANCEL_REQUEST);
}

/* The limit, the cancel and the end of the task are all about to win. */
static void limit_and_cancel(void)
{
    hk_future *future;
    const void *value;
    struct hkt_actor actor;
    hk_status status;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    future = give_with((hk_submit_options){.timeout = HK_US(3), .deadline = HK_US(4)}, hkt_waits);
    actor = hkt_act(cancel, future);
    status = hk_future_result(future, HK_FOREVER, &value, NULL);
    HKT_MUST(status == HK_ECANCELED || status == HK_EDEADLINE);
    hkt_await(actor);
    hk_future_unref(future);
    hkt_pool_end(pool);
}

static void limit_and_shutdown(void)
{
    hk_future *futures[2];

    pool = hkt_pool((hk_executor_options){.workers = 1});
    for (int i = 0; i < 2; i++) {
        futures[i] = give_with((hk_submit_options){.deadline = HK_US(5)}, hkt_waits);
    }
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER), HK_OK);
    for (int i = 0; i < 2; i++) {
        hk_status status = hk_future_result(futures[i], 0, &(const void *){NULL}, NULL);

        HKT_MUST(status == HK_ECANCELED || status == HK_EDEADLINE);
        hk_future_unref(futures[i]);
    }
    hkt_pool_end(pool);
}

/* Room in a queue, for so long. */
static void wait_for_room(void)
{
    hk_submit_options options = {.queue_wait = HK_US(3)};
    hk_future *futures[2];
    hk_future *last = NULL;
    hk_status status;
    int value = 1;

    pool = hkt_pool((hk_executor_options){.workers = 1, .queue_capacity = 1});
    for (int i = 0; i < 2; i++) {
        futures[i] = hkt_give(pool, hkt_double, 1);
    }
    status = hk_submit(pool, hkt_double, &value, sizeof(value), &options, &last);
    HKT_MUST(status == HK_OK || status == HK_ETIMEDOUT);
    if (status == HK_OK) {
        hkt_gives(last, 2);
    }
    hkt_gives(futures[0], 2);
    hkt_gives(futures[1], 2);
    hkt_pool_end(pool);
}

/* --- tokens --- */

static void fire(void *token)
{
    HKT_IS(hk_cancel_token_fire(token, "the client has gone"), HK_OK);
}

/* A submit after it has fired is refused. */
static void submit_with_token(hk_cancel_token *token, const hk_task *task)
{
    hk_submit_options options = {.token = token};
    hk_future *future;
    hk_status status = hk_submit(pool, task, &(int){1}, sizeof(int), &options, &future);

    HKT_MUST(status == HK_OK || (status == HK_ECANCELED && hk_cancel_token_is_fired(token)));
    if (status == HK_OK) {
        (void)ends_somehow(future, HK_ECANCELED);
    }
}

static void token_fires(void)
{
    hk_cancel_token *parent;
    hk_cancel_token *token;
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    HKT_IS(hk_cancel_token_create(NULL, &parent), HK_OK);
    HKT_IS(hk_cancel_token_create(parent, &token), HK_OK);
    actor = hkt_act(fire, parent);
    submit_with_token(token, hkt_double);
    submit_with_token(token, hkt_waits);
    hk_cancel_token_unref(token);
    hkt_await(actor);
    hk_cancel_token_unref(parent);
    hkt_pool_end(pool);
}

static void make_child(void *parent)
{
    hk_cancel_token *child;

    HKT_IS(hk_cancel_token_create(parent, &child), HK_OK);
    (void)hk_cancel_token_is_fired(child);
    hk_cancel_token_unref(child);
}

/* Limits that are far away are let go with their task, whoever ends it. */
static void far_limits(void)
{
    hk_submit_options options = {.timeout = HK_SEC(1000), .deadline = HK_SEC(1000)};
    hk_future *future = NULL;
    struct hkt_actor actors[2];
    hk_status status;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    HKT_IS(hk_cancel_token_create(NULL, &options.token), HK_OK);
    actors[0] = hkt_act(fire, options.token);
    status = hk_submit(pool, hkt_double, &(int){1}, sizeof(int), &options, &future);
    HKT_MUST(status == HK_OK || status == HK_ECANCELED);
    if (status == HK_OK) {
        hk_future_ref(future);
        actors[1] = hkt_act(cancel, future);
        (void)ends_somehow(future, HK_ECANCELED);
        hkt_await(actors[1]);
        hk_future_unref(future);
    }
    hkt_await(actors[0]);
    hk_cancel_token_unref(options.token);
    hkt_pool_end(pool);
}

/* Children come and go while their parent fires: whoever is there afterwards has fired. */
static void token_children(void)
{
    hk_cancel_token *parent;
    hk_cancel_token *child;
    struct hkt_actor actors[2];

    HKT_IS(hk_cancel_token_create(NULL, &parent), HK_OK);
    HKT_IS(hk_cancel_token_create(parent, &child), HK_OK);
    actors[0] = hkt_act(fire, parent);
    actors[1] = hkt_act(make_child, parent);
    make_child(parent);
    make_child(child);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    HKT_MUST(hk_cancel_token_is_fired(child) && hk_cancel_token_why(child) != NULL);
    hk_cancel_token_unref(child);
    hk_cancel_token_unref(parent);
}

/* --- derived limits --- */

static hk_promise *promise;

static void keep(void *unused)
{
    int value = 2;
    hk_status status = hk_promise_set(promise, &value, sizeof(value));

    (void)unused;
    HKT_MUST(status == HK_OK || status == HK_ESTATE || status == HK_ECANCELED);
    hk_promise_destroy(promise);
}

static void within(void)
{
    hk_future *source;
    hk_future *limited;
    struct hkt_actor actor;

    HKT_IS(hk_promise_create(&promise, &source), HK_OK);
    actor = hkt_act(keep, NULL);
    HKT_IS(hk_within(source, HK_US(3), &limited), HK_OK);
    hk_future_unref(source);
    (void)ends_somehow(limited, HK_EDEADLINE);
    hkt_await(actor);
}

static void within_cancelled(void)
{
    hk_future *source;
    hk_future *limited;
    struct hkt_actor actor;
    hk_status status;

    HKT_IS(hk_promise_create(&promise, &source), HK_OK);
    HKT_IS(hk_within(source, HK_US(4), &limited), HK_OK);
    hk_future_unref(source);
    actor = hkt_act(keep, NULL);
    (void)hk_future_cancel(limited, HK_CANCEL_REQUEST);
    status = hk_future_result(limited, HK_FOREVER, &(const void *){NULL}, NULL);
    HKT_MUST(status == HK_OK || status == HK_EDEADLINE || status == HK_ECANCELED);
    hk_future_unref(limited);
    hkt_await(actor);
}

/* A limit that is far away goes with its source. */
static void within_far(void)
{
    hk_future *source;
    hk_future *limited;
    struct hkt_actor actor;

    HKT_IS(hk_promise_create(&promise, &source), HK_OK);
    actor = hkt_act(keep, NULL);
    HKT_IS(hk_within(source, HK_SEC(1000), &limited), HK_OK);
    hk_future_unref(source);
    hkt_gives(limited, 2);
    hkt_await(actor);
}

/* The timer thread comes with the first who needs it, and goes with the last. */
static void limit_own(void *unused)
{
    hk_promise *own;
    hk_future *source;
    hk_future *limited;

    (void)unused;
    HKT_IS(hk_promise_create(&own, &source), HK_OK);
    HKT_IS(hk_within(source, HK_US(3), &limited), HK_OK);
    hk_future_unref(source);
    hkt_ends(limited, HK_EDEADLINE);
    hk_promise_destroy(own);
}

static void timers_come_and_go(void)
{
    struct hkt_actor actors[2];

    actors[0] = hkt_act(limit_own, NULL);
    actors[1] = hkt_act(limit_own, NULL);
    limit_own(NULL);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
}

/* --- waits that run out --- */

static void shutdown_runs_out(void)
{
    hk_future *future;
    hk_status status;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    future = hkt_give(pool, hkt_double, 1);
    status = hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_US(3));
    HKT_MUST(status == HK_OK || status == HK_ETIMEDOUT);
    hkt_gives(future, 2);
    hkt_pool_end(pool);
}

static void next_runs_out(void)
{
    hk_future *futures[2];
    hk_completion *completion;
    unsigned delivered = 0;
    hk_status status;

    pool = hkt_pool((hk_executor_options){.workers = 2});
    for (int i = 0; i < 2; i++) {
        futures[i] = hkt_give(pool, hkt_double, 1);
    }
    HKT_IS(hk_as_completed(futures, 2, HK_US(5), &completion), HK_OK);
    do {
        hk_future *next;
        uintptr_t place;

        status = hk_completion_next(completion, HK_FOREVER, &next, &place);
        HKT_MUST(status == HK_OK || status == HK_ETIMEDOUT || status == HK_EDONE);
        if (status == HK_OK) {
            delivered++;
            hkt_gives(next, 2);
        }
    } while (status == HK_OK);
    HKT_MUST(status != HK_EDONE || delivered == 2);
    hk_completion_destroy(completion);
    hkt_gives(futures[0], 2);
    hkt_gives(futures[1], 2);
    hkt_pool_end(pool);
}

const struct hkt_scenario hkt_time_scenarios[] = {
    {"run-limit", run_limit, false, HKT_FAULT(HKT_DISARMS_NOTHING)},
    {"queue-limit", queue_limit, false, HKT_FAULT(HKT_DISARMS_NOTHING)},
    {"limit-and-cancel", limit_and_cancel, false, 0},
    {"limit-and-shutdown", limit_and_shutdown, false, 0},
    {"wait-for-room", wait_for_room, false, 0},
    {"token-fires", token_fires, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"far-limits", far_limits, true, 0},
    {"token-children", token_children, true, 0},
    {"within", within, false, HKT_FAULT(HKT_DISARMS_NOTHING)},
    {"within-far", within_far, true, 0},
    {"timers-come-and-go", timers_come_and_go, false, 0},
    {"within-cancelled", within_cancelled, false, 0},
    {"shutdown-runs-out", shutdown_runs_out, false, 0},
    {"next-runs-out", next_runs_out, false, 0},
    {0}};
