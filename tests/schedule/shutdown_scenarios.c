/* SPDX-License-Identifier: MIT */
/* Executors that are shut down while others submit to them, cancel, wait, or fork. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/schedule/scenario.h"

static hk_executor *pool;

/* --- against submits from outside --- */

enum { GIVERS = 3 };

static int accepted;
static int ended_well;

/* A submit is refused, or its future ends. */
static void try_to_give(void *arg)
{
    const hk_task *task = arg;
    hk_future *future;
    int value = 4;
    hk_status status = hk_submit(pool, task, &value, sizeof(value), NULL, &future);

    HKT_MUST(status == HK_OK || status == HK_ECLOSED);
    if (status != HK_OK) {
        return;
    }
    accepted++;
    status = hk_future_wait(future, HK_FOREVER);
    HKT_IS(status, HK_OK);
    status = hk_future_result(future, 0, &(const void *){NULL}, NULL);
    HKT_MUST(status == HK_OK || status == HK_ECANCELED);
    ended_well += status == HK_OK;
    hk_future_unref(future);
}

static void shut_down(hk_executor_options options, const hk_task *task, hk_shutdown_how how)
{
    struct hkt_actor actors[GIVERS];
    hk_executor_statistics statistics;

    pool = hkt_pool(options);
    hkt_begun = 0;
    accepted = 0;
    ended_well = 0;
    for (int i = 0; i < GIVERS; i++) {
        actors[i] = hkt_act(try_to_give, (void *)(uintptr_t)task);
    }
    HKT_IS(hk_executor_shutdown(pool, how, HK_FOREVER), HK_OK);
    HKT_IS(hk_executor_stats(pool, &statistics), HK_OK);
    HKT_MUST(statistics.workers == 0 && statistics.queued == 0 && statistics.running == 0);
    for (int i = 0; i < GIVERS; i++) {
        hkt_await(actors[i]);
    }
    hkt_pool_end(pool);
    HKT_MUST(ended_well <= hkt_begun && hkt_begun <= accepted);
}

static void drain(void)
{
    shut_down((hk_executor_options){.workers = 2}, hkt_double, HK_SHUTDOWN_DRAIN);
    HKT_MUST(ended_well == accepted);
}

static void drain_bounded(void)
{
    shut_down((hk_executor_options){.workers = 1, .queue_capacity = 1}, hkt_double,
              HK_SHUTDOWN_DRAIN);
    HKT_MUST(ended_well == accepted);
}

static void drain_worn(void)
{
    shut_down((hk_executor_options){.workers = 1, .tasks_per_worker = 1}, hkt_double,
              HK_SHUTDOWN_DRAIN);
    HKT_MUST(ended_well == accepted);
}

static void cancel_queued(void)
{
    shut_down((hk_executor_options){.workers = 1}, hkt_double, HK_SHUTDOWN_CANCEL_QUEUED);
    HKT_MUST(ended_well == hkt_begun);
}

static void cancel_queued_bounded(void)
{
    shut_down((hk_executor_options){.workers = 1, .queue_capacity = 2}, hkt_double,
              HK_SHUTDOWN_CANCEL_QUEUED);
    HKT_MUST(ended_well == hkt_begun);
}

/* They run until they are asked to stop. */
static void cancel_all(void)
{
    shut_down((hk_executor_options){.workers = 2}, hkt_waits, HK_SHUTDOWN_CANCEL_ALL);
    HKT_MUST(ended_well == 0);
}

static void kill_all(void)
{
    shut_down((hk_executor_options){.workers = 1, .queue_capacity = 4}, hkt_waits,
              HK_SHUTDOWN_KILL);
    HKT_MUST(ended_well == 0);
}

/* --- two of them --- */

static void shut_down_hard(void *unused)
{
    (void)unused;
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER), HK_OK);
}

static void two_shutdowns(void)
{
    hk_future *running;
    hk_future *queued;
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    running = hkt_give(pool, hkt_waits, 1);
    queued = hkt_give(pool, hkt_waits, 2);
    actor = hkt_act(shut_down_hard, NULL);
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_OK);
    hkt_await(actor);
    hkt_ends(running, HK_ECANCELED);
    hkt_ends(queued, HK_ECANCELED);
    hkt_pool_end(pool);
}

/* --- against tasks that submit --- */

HK_TASK(hkt_gives_on)
{
    hk_executor *own = hk_call_executor(call);
    hk_future *future;
    hk_status status;
    int value;

    memcpy(&value, in, sizeof(value));
    hkt_begun++;
    if (value > 0) {
        value--;
        status = hk_submit(own, hkt_gives_on, &value, sizeof(value), NULL, &future);
        HKT_MUST(status == HK_OK || status == HK_ECLOSED);
        if (status == HK_OK) {
            hk_future_unref(future);
        }
    }
    return HK_OK;
}

static void drain_givers(void)
{
    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    hk_future_unref(hkt_give(pool, hkt_gives_on, 2));
    hk_future_unref(hkt_give(pool, hkt_gives_on, 1));
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun >= 2 && hkt_begun <= 5);
}

static void cancel_givers(void)
{
    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    hk_future_unref(hkt_give(pool, hkt_gives_on, 2));
    hk_future_unref(hkt_give(pool, hkt_gives_on, 1));
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, HK_FOREVER), HK_OK);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun <= 5);
}

/* --- against scopes, serial executors, callbacks --- */

static hk_status count(hk_scope *scope, void *arg)
{
    (void)scope;
    ++*(int *)arg;
    return HK_OK;
}

HK_TASK(hkt_forks_two)
{
    hk_scope scope;
    hk_forked forked[2];
    int counts[2] = {0, 0};

    HKT_IS(hk_scope_begin(&scope, call), HK_OK);
    HKT_IS(hk_fork(&scope, &forked[0], count, &counts[0]), HK_OK);
    HKT_IS(hk_fork(&scope, &forked[1], count, &counts[1]), HK_OK);
    HKT_IS(hk_join(&scope, &forked[1]), HK_OK);
    HKT_IS(hk_join(&scope, &forked[0]), HK_OK);
    HKT_IS(hk_scope_end(&scope), HK_OK);
    HKT_MUST(counts[0] == 1 && counts[1] == 1);
    hkt_begun++;
    return HK_OK;
}

/* What has begun goes through, whatever becomes of the pool. */
static void scope_and_shutdown(void)
{
    hk_future *futures[2];
    int done = 0;

    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    futures[0] = hkt_give(pool, hkt_forks_two, 0);
    futures[1] = hkt_give(pool, hkt_forks_two, 1);
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, HK_FOREVER), HK_OK);
    for (int i = 0; i < 2; i++) {
        hk_state state = hk_future_state(futures[i]);

        HKT_MUST(state == HK_DONE || state == HK_CANCELLED);
        done += state == HK_DONE;
        hk_future_unref(futures[i]);
    }
    HKT_MUST(done == hkt_begun);
    hkt_pool_end(pool);
}

static void give_to_serial(void *arg)
{
    hk_future *future;
    int value = 1;
    hk_status status = hk_submit(arg, hkt_double, &value, sizeof(value), NULL, &future);

    HKT_MUST(status == HK_OK || status == HK_ECLOSED);
    if (status == HK_OK) {
        accepted++;
        hkt_gives(future, 2);
    }
}

static void serial_shutdown(void)
{
    hk_executor *serial;
    struct hkt_actor actor;

    pool = hkt_pool((hk_executor_options){.workers = 1});
    HKT_IS(hk_serial_create(pool, NULL, &serial), HK_OK);
    hkt_begun = 0;
    accepted = 0;
    actor = hkt_act(give_to_serial, serial);
    give_to_serial(serial);
    HKT_IS(hk_executor_shutdown(serial, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_OK);
    HKT_MUST(hkt_begun <= 2);
    hkt_await(actor);
    HKT_MUST(hkt_begun == accepted);
    HKT_IS(hk_executor_destroy(serial), HK_OK);
    hkt_pool_end(pool);
}

static void shut_down_from_callback(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0), HK_OK);
}

static void callbacks_shut_down(void)
{
    hk_future *futures[2];

    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    for (int i = 0; i < 2; i++) {
        futures[i] = hkt_give(pool, hkt_double, i);
    }
    HKT_IS(hk_future_on_done(futures[0], NULL, shut_down_from_callback, NULL, NULL), HK_OK);
    for (int i = 0; i < 2; i++) {
        hk_status status = hk_future_wait(futures[i], HK_FOREVER);

        HKT_IS(status, HK_OK);
        hk_future_unref(futures[i]);
    }
    hkt_pool_end(pool);
}

/* --- against those who change the pool --- */

static void change(void *how)
{
    hk_status status = how == NULL ? hk_executor_resize(pool, 3) : HK_OK;

    HKT_MUST(status == HK_OK || status == HK_ECLOSED);
    status = hk_executor_prestart(pool, HK_FOREVER);
    HKT_MUST(status == HK_OK || status == HK_ECLOSED);
    status = hk_executor_restart_workers(pool);
    HKT_MUST(status == HK_OK || status == HK_ECLOSED);
}

static void changes_and_shutdown(void)
{
    struct hkt_actor actors[2];

    pool = hkt_pool((hk_executor_options){.workers = 2});
    hkt_begun = 0;
    actors[0] = hkt_act(change, NULL);
    actors[1] = hkt_act(change, pool);
    hk_future_unref(hkt_give(pool, hkt_double, 1));
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_OK);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 1);
}

/* Waits for two of its own, each of which may be cancelled under it. */
HK_TASK(hkt_waits_for_two)
{
    hk_future *futures[2] = {NULL, NULL};
    int value = 1;

    (void)in;
    hkt_begun++;
    for (int i = 0; i < 2; i++) {
        hk_status status =
            hk_submit(hk_call_executor(call), hkt_double, &value, sizeof(value), NULL, &futures[i]);

        HKT_MUST(status == HK_OK || status == HK_ECLOSED);
    }
    for (int i = 0; i < 2; i++) {
        if (futures[i] != NULL) {
            HKT_IS(hk_wait(&futures[i], 1, HK_FIRST_COMPLETED, HK_FOREVER, NULL, NULL), HK_OK);
            hk_future_unref(futures[i]);
        }
    }
    return HK_OK;
}

static void spares_and_shutdown(void)
{
    hk_future *futures[2];

    pool = hkt_pool((hk_executor_options){.workers = 1, .spare_workers = 2});
    hkt_begun = 0;
    futures[0] = hkt_give(pool, hkt_waits_for_two, 0);
    futures[1] = hkt_give(pool, hkt_waits_for_two, 1);
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, HK_FOREVER), HK_OK);
    for (int i = 0; i < 2; i++) {
        HKT_MUST(hk_future_has_ended(futures[i]));
        hk_future_unref(futures[i]);
    }
    hkt_pool_end(pool);
}

static void spares_and_drain(void)
{
    pool = hkt_pool((hk_executor_options){.workers = 2, .spare_workers = 2});
    hkt_begun = 0;
    hk_future_unref(hkt_give(pool, hkt_waits_for_two, 0));
    hk_future_unref(hkt_give(pool, hkt_waits_for_two, 1));
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun >= 2);
}

/* --- forks --- */

/* In the child nothing blocks: what has ended can be read, the rest is refused, and new
 * objects work. */
static void look_as_child(hk_future *ended, hk_future *running)
{
    const void *value;
    hk_promise *promise;
    hk_future *future;
    hk_status status;

    HKT_IS(hk_future_result(ended, HK_FOREVER, &value, NULL), HK_OK);
    HKT_MUST(*(const int *)value == 6);
    status = hk_future_wait(running, HK_FOREVER);
    HKT_MUST(status == HK_EFORKED || status == HK_OK);
    status = hk_submit(pool, hkt_double, &(int){1}, sizeof(int), NULL, &future);
    HKT_MUST(status == HK_EFORKED || status == HK_ECLOSED);
    HKT_IS(hk_promise_create(&promise, &future), HK_OK);
    HKT_IS(hk_promise_set(promise, NULL, 0), HK_OK);
    hk_promise_destroy(promise);
    HKT_IS(hk_future_wait(future, HK_FOREVER), HK_OK);
    hk_future_unref(future);
    hk_future_unref(ended);
    hk_future_unref(running);
    _exit(0);
}

static void fork_in_the_middle(void)
{
    hk_future *ended;
    hk_future *running;
    pid_t child;
    int status = -1;

    pool = hkt_pool((hk_executor_options){.workers = 2, .idle_exit = 1000});
    ended = hkt_give(pool, hkt_double, 3);
    HKT_IS(hk_future_wait(ended, HK_FOREVER), HK_OK);
    running = hkt_give(pool, hkt_gives_on, 1);
    child = fork();
    if (child == 0) {
        look_as_child(ended, running);
    }
    HKT_MUST(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    hk_future_unref(ended);
    hkt_ends(running, HK_OK);
    hkt_pool_end(pool);
}

#define LOST_WAKES (HKT_FAULT(HKT_LOSES_WAKES) | HKT_FAULT(HKT_SLEEPS_BLINDLY))

const struct hkt_scenario hkt_shutdown_scenarios[] = {
    {"drain", drain, true,
     LOST_WAKES | HKT_FAULT(HKT_FORGETS_ALERTS) | HKT_FAULT(HKT_FORGETS_JOINS)},
    {"drain-bounded", drain_bounded, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"drain-worn", drain_worn, true, HKT_FAULT(HKT_FORGETS_LATE)},
    {"cancel-queued", cancel_queued, true, HKT_FAULT(HKT_FORGETS_ALERTS)},
    {"cancel-queued-bounded", cancel_queued_bounded, true, 0},
    {"cancel-all", cancel_all, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"kill-all", kill_all, true, 0},
    {"two-shutdowns", two_shutdowns, true, 0},
    {"drain-givers", drain_givers, true, 0},
    {"cancel-givers", cancel_givers, true, 0},
    {"scope-and-shutdown", scope_and_shutdown, true, 0},
    {"serial-shutdown", serial_shutdown, true, 0},
    {"callbacks-shut-down", callbacks_shut_down, true, 0},
    {"changes-and-shutdown", changes_and_shutdown, true, 0},
    {"spares-and-shutdown", spares_and_shutdown, true, 0},
    {"spares-and-drain", spares_and_drain, true, 0},
    {"fork-in-the-middle", fork_in_the_middle, false, 0},
    {0}};
