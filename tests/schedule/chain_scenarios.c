/* SPDX-License-Identifier: MIT */
/* Futures made from futures, while their sources end and somebody cancels. */
#include "tests/schedule/scenario.h"

static hk_promise *promises[2];
static hk_future *sources[2];
static hk_future *derived;
static int steps; /* Of chains, that were run. */

static void make_two(void)
{
    for (int i = 0; i < 2; i++) {
        HKT_IS(hk_promise_create(&promises[i], &sources[i]), HK_OK);
    }
    steps = 0;
}

static void keep(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    int value = 1 + (int)i;
    hk_status status = hk_promise_set(promises[i], &value, sizeof(value));

    HKT_MUST(status == HK_OK || status == HK_ESTATE || status == HK_ECANCELED);
    hk_promise_destroy(promises[i]);
}

static void drop_sources(void)
{
    hk_future_unref(sources[0]);
    hk_future_unref(sources[1]);
}

static hk_status add_one(hk_future *source, hk_promise *result, void *arg)
{
    const void *value;
    int sum;

    (void)arg;
    steps++;
    HKT_IS(hk_future_result(source, 0, &value, NULL), HK_OK);
    sum = 1 + *(const int *)value;
    return hk_promise_set(result, &sum, sizeof(sum));
}

/* Two steps, made while the first source ends. */
static void then(void)
{
    hk_future *between;
    struct hkt_actor actor;

    make_two();
    actor = hkt_act(keep, (void *)0);
    HKT_IS(hk_then(sources[0], NULL, add_one, NULL, &between), HK_OK);
    HKT_IS(hk_then(between, NULL, add_one, NULL, &derived), HK_OK);
    hk_future_unref(between);
    keep((void *)1);
    drop_sources();
    hkt_gives(derived, 3);
    HKT_MUST(steps == 2);
    hkt_await(actor);
}

static void cancel(void *arg)
{
    hk_status status = hk_future_cancel(*(hk_future **)arg, HK_CANCEL_REQUEST);

    HKT_MUST(status == HK_OK || status == HK_ESTATE);
}

/* Whoever cancels, up or down: it ends as one or as the other. */
static void then_cancelled(hk_future **whom)
{
    hk_status status;
    const void *value = NULL;
    struct hkt_actor actors[2];

    make_two();
    HKT_IS(hk_then(sources[0], NULL, add_one, NULL, &derived), HK_OK);
    actors[0] = hkt_act(keep, (void *)0);
    actors[1] = hkt_act(cancel, whom);
    keep((void *)1);
    status = hk_future_result(derived, HK_FOREVER, &value, NULL);
    HKT_MUST(status == HK_ECANCELED || (status == HK_OK && *(const int *)value == 2));
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    HKT_MUST(steps <= 1 && (status != HK_OK || steps == 1));
    drop_sources();
    hk_future_unref(derived);
}

static void cancel_upstream(void)
{
    then_cancelled(&sources[0]);
}

static void cancel_downstream(void)
{
    then_cancelled(&derived);
}

static hk_status follow(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)arg;
    steps++;
    return hk_promise_follow(result, sources[1]);
}

static void follows(void)
{
    struct hkt_actor actors[2];

    make_two();
    actors[0] = hkt_act(keep, (void *)0);
    actors[1] = hkt_act(keep, (void *)1);
    HKT_IS(hk_then(sources[0], NULL, follow, NULL, &derived), HK_OK);
    hkt_gives(derived, 2);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    HKT_MUST(steps == 1);
    drop_sources();
}

static void cancel_first(void *arg)
{
    (void)arg;
    HKT_IS(hk_future_cancel(sources[0], HK_CANCEL_REQUEST), HK_OK);
}

/* A ring, unless the cancel breaks it meanwhile. What was not followed may go at once. */
static void refused_follow(void)
{
    struct hkt_actor actor;
    hk_status status;

    make_two();
    HKT_IS(hk_then(sources[0], NULL, add_one, NULL, &derived), HK_OK);
    actor = hkt_act(cancel_first, NULL);
    status = hk_promise_follow(promises[0], derived);
    HKT_MUST(status == HK_EDEADLK || status == HK_ESTATE);
    hk_future_unref(derived);
    hkt_await(actor);
    hk_promise_destroy(promises[0]);
    keep((void *)1);
    drop_sources();
    HKT_MUST(steps == 0);
}

static void when_all(void)
{
    struct hkt_actor actors[2];

    make_two();
    actors[0] = hkt_act(keep, (void *)0);
    HKT_IS(hk_when_all(sources, 2, &derived), HK_OK);
    actors[1] = hkt_act(keep, (void *)1);
    drop_sources();
    hkt_ends(derived, HK_OK);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
}

static void when_all_cancelled(void)
{
    struct hkt_actor actors[3];
    hk_status status;

    make_two();
    HKT_IS(hk_when_all(sources, 2, &derived), HK_OK);
    actors[0] = hkt_act(keep, (void *)0);
    actors[1] = hkt_act(keep, (void *)1);
    actors[2] = hkt_act(cancel, &derived);
    status = hk_future_result(derived, HK_FOREVER, &(const void *){NULL}, NULL);
    HKT_MUST(status == HK_OK || status == HK_ECANCELED);
    for (int i = 0; i < 3; i++) {
        hkt_await(actors[i]);
    }
    for (int i = 0; i < 2; i++) {
        HKT_MUST(hk_future_has_ended(sources[i]));
    }
    drop_sources();
    hk_future_unref(derived);
}

static void when_any(void)
{
    struct hkt_actor actors[2];

    make_two();
    actors[0] = hkt_act(keep, (void *)0);
    actors[1] = hkt_act(keep, (void *)1);
    HKT_IS(hk_when_any(sources, 2, &derived), HK_OK);
    hkt_ends(derived, HK_OK);
    drop_sources();
    hkt_await(actors[0]);
    hkt_await(actors[1]);
}

/* Steps on a pool, whose end comes early. */
static void then_on_a_pool(void)
{
    hk_executor *pool = hkt_pool((hk_executor_options){.workers = 1});
    struct hkt_actor actor;

    make_two();
    actor = hkt_act(keep, (void *)0);
    HKT_IS(hk_then(sources[0], pool, add_one, NULL, &derived), HK_OK);
    keep((void *)1);
    hkt_gives(derived, 2);
    hkt_await(actor);
    drop_sources();
    hkt_pool_end(pool);
    HKT_MUST(steps == 1);
}

static void shut_down(void *pool)
{
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, HK_FOREVER), HK_OK);
}

/* A callback runs, on the ending thread if its executor takes no more. */
static void then_on_a_closing_pool(void)
{
    hk_executor *pool = hkt_pool((hk_executor_options){.workers = 1});
    struct hkt_actor actors[2];
    hk_status status;

    make_two();
    HKT_IS(hk_then(sources[0], pool, add_one, NULL, &derived), HK_OK);
    actors[0] = hkt_act(keep, (void *)0);
    actors[1] = hkt_act(shut_down, pool);
    keep((void *)1);
    status = hk_future_result(derived, HK_FOREVER, &(const void *){NULL}, NULL);
    HKT_IS(status, HK_OK);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    drop_sources();
    hk_future_unref(derived);
    hkt_pool_end(pool);
    HKT_MUST(steps == 1);
}

const struct hkt_scenario hkt_chain_scenarios[] = {
    {"then", then, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"cancel-upstream", cancel_upstream, true, 0},
    {"cancel-downstream", cancel_downstream, true, 0},
    {"follows", follows, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"refused-follow", refused_follow, true, 0},
    {"when-all", when_all, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"when-all-cancelled", when_all_cancelled, true, 0},
    {"when-any", when_any, true, 0},
    {"then-on-a-pool", then_on_a_pool, true, 0},
    {"then-on-a-closing-pool", then_on_a_closing_pool, true, 0},
    {0}};
