/* SPDX-License-Identifier: MIT */
/* Pools whose workers come and go, and queues that are full. */
#include "tests/schedule/scenario.h"

static hk_executor *pool;

static void give_one(void *unused)
{
    hk_future *future = hkt_give(pool, hkt_double, 7);

    (void)unused;
    hkt_gives(future, 14);
}

static void give_and_forget(void *unused)
{
    (void)unused;
    hk_future_unref(hkt_give(pool, hkt_double, 7));
}

/* --- workers that leave --- */

static void worn_workers(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1, .tasks_per_worker = 1});
    hkt_begun = 0;
    actor = hkt_act(give_one, NULL);
    give_and_forget(NULL);
    give_one(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 3);
}

/* They leave as soon as they have nothing to do. */
static void idle_workers(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1, .idle_exit = 1});
    hkt_begun = 0;
    actor = hkt_act(give_one, NULL);
    give_one(NULL);
    give_and_forget(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 3);
}

/* The same where tasks wait in the queue. */
static void idle_bounded_workers(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 2, .idle_exit = 1, .queue_capacity = 8});
    hkt_begun = 0;
    actor = hkt_act(give_one, NULL);
    give_one(NULL);
    give_and_forget(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 3);
}

static void resize(void *unused)
{
    (void)unused;
    HKT_IS(hk_executor_resize(pool, 1), HK_OK);
    HKT_IS(hk_executor_resize(pool, 2), HK_OK);
}

static void resizes(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    actor = hkt_act(resize, NULL);
    give_and_forget(NULL);
    give_one(NULL);
    give_one(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 3);
}

static void restart(void *unused)
{
    (void)unused;
    HKT_IS(hk_executor_restart_workers(pool), HK_OK);
}

static void restarts(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    hkt_begun = 0;
    give_and_forget(NULL);
    actor = hkt_act(restart, NULL);
    give_and_forget(NULL);
    give_one(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 3);
}

static hk_status refuse_to_work(hk_call *call, void *arg, void **local)
{
    (void)arg;
    (void)local;
    return hk_fail(call, 1, "no such luck");
}

static void give_to_broken(void *arg)
{
    int value = 1;
    hk_future *future;
    hk_status status = hk_submit(pool, hkt_double, &value, sizeof(value), NULL, &future);

    (void)arg;
    HKT_MUST(status == HK_OK || status == HK_EINIT);
    if (status == HK_OK) {
        hkt_ends(future, HK_EINIT);
    }
}

static void broken_workers(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 2, .initializer = refuse_to_work});
    hkt_begun = 0;
    actor = hkt_act(give_to_broken, NULL);
    give_to_broken(NULL);
    give_to_broken(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 0);
}

/* --- full queues --- */

static void full_blocks(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1, .queue_capacity = 1});
    hkt_begun = 0;
    actor = hkt_act(give_one, NULL);
    give_and_forget(NULL);
    give_and_forget(NULL);
    give_one(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 4);
}

static void give_or_not(void *arg)
{
    int value = 3;
    hk_future *future;
    hk_status status = hk_submit(pool, hkt_double, &value, sizeof(value), NULL, &future);

    HKT_MUST(status == HK_OK || status == HK_EFULL);
    if (status == HK_OK) {
        hkt_gives(future, 6);
        ++*(int *)arg;
    }
}

static void full_fails(void)
{
    struct hkt_actor actor;
    int accepted[2] = {0, 0};

    pool = hkt_pool(
        (hk_executor_options){.workers = 1, .queue_capacity = 1, .when_full = HK_FULL_FAIL});
    hkt_begun = 0;
    actor = hkt_act(give_or_not, &accepted[0]);
    give_or_not(&accepted[1]);
    give_or_not(&accepted[1]);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == accepted[0] + accepted[1] && hkt_begun >= 1);
}

static void give_or_lose(void *arg)
{
    hk_future *future = hkt_give(pool, hkt_double, 3);
    hk_status status = hk_future_wait(future, HK_FOREVER);
    const void *value;

    HKT_IS(status, HK_OK);
    status = hk_future_result(future, 0, &value, NULL);
    HKT_MUST(status == HK_EFULL || (status == HK_OK && *(const int *)value == 6));
    *(int *)arg += status == HK_OK;
    hk_future_unref(future);
}

static void full_drops(void)
{
    struct hkt_actor actors[2];
    int kept[3] = {0, 0, 0};

    pool = hkt_pool(
        (hk_executor_options){.workers = 1, .queue_capacity = 1, .when_full = HK_FULL_DROP_OLDEST});
    hkt_begun = 0;
    actors[0] = hkt_act(give_or_lose, &kept[0]);
    actors[1] = hkt_act(give_or_lose, &kept[1]);
    give_or_lose(&kept[2]);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == kept[0] + kept[1] + kept[2] && hkt_begun >= 1);
}

static void caller_runs(void)
{
    struct hkt_actor actor;

    pool = hkt_pool(
        (hk_executor_options){.workers = 1, .queue_capacity = 1, .when_full = HK_FULL_CALLER_RUNS});
    hkt_begun = 0;
    actor = hkt_act(give_one, NULL);
    give_and_forget(NULL);
    give_and_forget(NULL);
    give_one(NULL);
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 4);
}

/* --- one after the other --- */

static hk_executor *serial;
static int serial_inside;
static int serial_last;

/* In the order in which they came, never two at once. */
HK_TASK(hkt_serial_step)
{
    int value = *(const int *)in;

    HKT_MUST(++serial_inside == 1);
    HKT_MUST(hk_should_stop(call) == false); /* A few points. */
    HKT_MUST(value == serial_last + 1);
    serial_last = value;
    HKT_MUST(--serial_inside == 0);
    return hk_return(call, &value, sizeof(value));
}

static void serial_order(void)
{
    hk_future *futures[3];

    pool = hkt_pool((hk_executor_options){.workers = 2});
    HKT_IS(hk_serial_create(pool, NULL, &serial), HK_OK);
    serial_inside = 0;
    serial_last = 0;
    for (int i = 0; i < 3; i++) {
        futures[i] = hkt_give(serial, hkt_serial_step, i + 1);
    }
    for (int i = 0; i < 3; i++) {
        hkt_gives(futures[i], i + 1);
    }
    HKT_IS(hk_executor_destroy(serial), HK_OK);
    hkt_pool_end(pool);
}

static void give_serial(void *unused)
{
    hk_future *future = hkt_give(serial, hkt_double, 1);

    (void)unused;
    hkt_gives(future, 2);
}

static void serial_of_two(void)
{
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 2});
    HKT_IS(hk_serial_create(pool, NULL, &serial), HK_OK);
    hkt_begun = 0;
    actor = hkt_act(give_serial, NULL);
    give_serial(NULL);
    give_serial(NULL);
    hkt_await(actor);
    HKT_IS(hk_executor_destroy(serial), HK_OK);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 3);
}

const struct hkt_scenario hkt_change_scenarios[] = {
    {"worn-workers", worn_workers, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"idle-workers", idle_workers, false, HKT_FAULT(HKT_FORGETS_LATE)},
    {"idle-bounded-workers", idle_bounded_workers, false, 0},
    {"resizes", resizes, true, 0},
    {"restarts", restarts, true, 0},
    {"broken-workers", broken_workers, true, 0},
    {"full-blocks", full_blocks, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"full-fails", full_fails, true, 0},
    {"full-drops", full_drops, true, 0},
    {"caller-runs", caller_runs, true, 0},
    {"serial-order", serial_order, true, HKT_FAULT(HKT_OPEN_MUTEXES)},
    {"serial-of-two", serial_of_two, true, 0},
    {0}};
