/* SPDX-License-Identifier: MIT */
/* One task that several threads want something of: its run, its end, its value. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/schedule/scenario.h"

static hk_executor *pool;
static hk_future *shared;
static volatile int is_shared; /* `shared` is there. */

static void begin(hk_executor_options options)
{
    pool = hkt_pool(options);
    is_shared = 0;
    hkt_begun = 0;
}

/* --- a claim, a cancel and a worker --- */

static hk_status child_status;

/* Waits for a task of its own, which others know. */
HK_TASK(hkt_shares)
{
    const void *value = NULL;

    (void)in;
    shared = hkt_give(hk_call_executor(call), hkt_double, 3);
    hk_future_ref(shared);
    is_shared = 1;
    child_status = hk_future_result(shared, HK_FOREVER, &value, NULL);
    HKT_MUST(child_status == HK_ECANCELED || (child_status == HK_OK && *(const int *)value == 6));
    hk_future_unref(shared);
    return HK_OK;
}

static void cancel_shared(void *status)
{
    hkt_machine_wait_for(&is_shared, 1);
    *(hk_status *)status = hk_future_cancel(shared, HK_CANCEL_PENDING);
}

static void claim_or_cancel(unsigned workers)
{
    hk_status cancelled = HK_EINVAL;
    struct hkt_actor actor;
    hk_future *task;

    begin((hk_executor_options){.workers = workers});
    actor = hkt_act(cancel_shared, &cancelled);
    task = hkt_give(pool, hkt_shares, 1);
    hkt_ends(task, HK_OK);
    hkt_await(actor);
    HKT_MUST(cancelled == HK_OK || cancelled == HK_ESTATE);
    HKT_IS(child_status, cancelled == HK_OK ? HK_ECANCELED : HK_OK);
    HKT_MUST(hkt_begun == (cancelled == HK_OK ? 0 : 1));
    hk_future_unref(shared);
    hkt_pool_end(pool);
}

static void claim_or_cancel_of_one(void)
{
    claim_or_cancel(1);
}

static void claim_or_cancel_of_two(void)
{
    claim_or_cancel(2);
}

/* Two tasks and a thread wait for the same one. */
HK_TASK(hkt_waits_for_shared)
{
    const void *value;

    (void)in;
    (void)call;
    HKT_IS(hk_future_result(shared, HK_FOREVER, &value, NULL), HK_OK);
    HKT_MUST(*(const int *)value == 6);
    return HK_OK;
}

static void several_claim(void)
{
    hk_future *tasks[2];

    begin((hk_executor_options){.workers = 2});
    shared = hkt_give(pool, hkt_double, 3);
    for (int i = 0; i < 2; i++) {
        tasks[i] = hkt_give(pool, hkt_waits_for_shared, i);
    }
    hk_future_ref(shared);
    hkt_gives(shared, 6);
    hkt_ends(tasks[0], HK_OK);
    hkt_ends(tasks[1], HK_OK);
    hk_future_unref(shared);
    hkt_pool_end(pool);
    HKT_MUST(hkt_begun == 1);
}

/* A claim, while the pool is shut down. */
static void shut_down(void *unused)
{
    (void)unused;
    hkt_machine_wait_for(&is_shared, 1);
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, HK_FOREVER), HK_OK);
}

static void claim_or_shutdown(void)
{
    struct hkt_actor actor;

    begin((hk_executor_options){.workers = 2});
    actor = hkt_act(shut_down, NULL);
    hkt_ends(hkt_give(pool, hkt_shares, 1), HK_OK);
    hkt_await(actor);
    HKT_MUST(hkt_begun == (child_status == HK_OK ? 1 : 0));
    hk_future_unref(shared);
    hkt_pool_end(pool);
}

/* A cancel of what waits in the lane, and a shutdown that takes it out. */
static void cancel(void *future)
{
    hk_status status = hk_future_cancel(future, HK_CANCEL_REQUEST);

    HKT_MUST(status == HK_OK || status == HK_ESTATE);
}

static void cancels_and_shutdown(hk_shutdown_how how)
{
    hk_future *futures[3];
    struct hkt_actor actors[2];

    begin((hk_executor_options){.workers = 1});
    for (int i = 0; i < 3; i++) {
        futures[i] = hkt_give(pool, hkt_double, i);
    }
    actors[0] = hkt_act(cancel, futures[1]);
    actors[1] = hkt_act(cancel, futures[2]);
    HKT_IS(hk_executor_shutdown(pool, how, HK_FOREVER), HK_OK);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    for (int i = 0; i < 3; i++) {
        HKT_MUST(hk_future_has_ended(futures[i]));
        hk_future_unref(futures[i]);
    }
    hkt_pool_end(pool);
}

static void cancels_and_drain(void)
{
    cancels_and_shutdown(HK_SHUTDOWN_DRAIN);
}

static void cancels_and_cancels(void)
{
    cancels_and_shutdown(HK_SHUTDOWN_CANCEL_QUEUED);
}

/* --- what passes over with a task --- */

static int dropped;

static void drop(void *value)
{
    HKT_MUST(value == &dropped);
    dropped++;
}

HK_TASK(hkt_gives_back)
{
    (void)in;
    return hk_return_ref(call, &dropped, drop);
}

static void take(void *got)
{
    hk_value value;
    hk_status status = hk_future_take(shared, HK_FOREVER, &value);

    HKT_MUST(status == HK_OK || status == HK_ESTATE);
    if (status == HK_OK) {
        hk_value_drop(&value);
        ++*(int *)got;
    }
}

/* Of two who take a value one gets it. */
static void one_takes(void)
{
    struct hkt_actor actor;
    int got[2] = {0, 0};

    begin((hk_executor_options){.workers = 1});
    dropped = 0;
    shared = hkt_give(pool, hkt_gives_back, 1);
    actor = hkt_act(take, &got[0]);
    take(&got[1]);
    hkt_await(actor);
    HKT_MUST(got[0] + got[1] == 1 && dropped == 1);
    hk_future_unref(shared);
    hkt_pool_end(pool);
}

/* An argument is dropped once, whatever becomes of its task; one that was refused is not. */
static void dropped_once(void)
{
    struct hkt_actor actor;
    hk_future *future;
    int wanted = 0;

    begin((hk_executor_options){.workers = 1});
    dropped = 0;
    shared = hkt_give(pool, hkt_double, 1);
    actor = hkt_act(cancel, shared);
    for (int i = 0; i < 2; i++) {
        hk_status status = hk_submit_ref(pool, hkt_refuses, &dropped, drop, NULL, &future);

        HKT_MUST(status == HK_OK || status == HK_ECLOSED);
        if (status == HK_OK) {
            wanted++;
            (void)hk_future_cancel(future, HK_CANCEL_PENDING);
            hk_future_unref(future);
        }
        (void)hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0); /* Has not to wait. */
    }
    hkt_await(actor);
    hkt_pool_end(pool);
    HKT_MUST(dropped == wanted && wanted >= 1);
    hk_future_unref(shared);
}

/* --- maps --- */

static void map_and_close(void)
{
    static const int numbers[4] = {1, 2, 3, 4};
    hk_array_source source = {numbers, 4, sizeof(numbers[0]), 0};
    hk_map_options options = {.window = 2, .chunk = 1};
    hk_map_iterator *it;
    hk_map_item item;

    begin((hk_executor_options){.workers = 2});
    HKT_IS(hk_map(pool, hkt_double, hk_array_source_next, &source, &options, &it), HK_OK);
    for (int i = 0; i < 2; i++) {
        HKT_IS(hk_map_next(it, HK_FOREVER, &item), HK_OK);
        HKT_MUST(item.status == HK_OK && *(const int *)item.data == 2 * numbers[i]);
        hk_map_item_drop(&item);
    }
    hk_map_destroy(it);
    hkt_pool_end(pool);
}

/* --- a fork while others work --- */

static void give_some(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        hkt_gives(hkt_give(pool, hkt_double, i), 2 * i);
    }
}

static void work_as_child(void)
{
    hk_executor *own;

    /* The parent's is refused; a new one, with all its locks, works as far as it needs no
     * thread. */
    HKT_IS(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, 0), HK_EFORKED);
    HKT_IS(hk_executor_open("inline", &own), HK_OK);
    hkt_gives(hkt_give(own, hkt_double, 4), 8);
    HKT_IS(hk_executor_destroy(own), HK_OK);
    _exit(0);
}

static void fork_while_others_work(void)
{
    struct hkt_actor actor;
    pid_t child;
    int status = -1;

    begin((hk_executor_options){.workers = 2});
    actor = hkt_act(give_some, NULL);
    hk_future_unref(hkt_give(pool, hkt_double, 1));
    child = fork();
    if (child == 0) {
        work_as_child();
    }
    HKT_MUST(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    hkt_await(actor);
    hkt_pool_end(pool);
}

const struct hkt_scenario hkt_task_scenarios[] = {
    {"claim-or-cancel-of-one", claim_or_cancel_of_one, true, 0},
    {"claim-or-cancel-of-two", claim_or_cancel_of_two, true, 0},
    {"several-claim", several_claim, true, HKT_FAULT(HKT_LOSES_WAKES)},
    {"claim-or-shutdown", claim_or_shutdown, true, 0},
    {"cancels-and-drain", cancels_and_drain, true, 0},
    {"cancels-and-cancels", cancels_and_cancels, true, 0},
    {"one-takes", one_takes, true, 0},
    {"dropped-once", dropped_once, true, 0},
    {"map-and-close", map_and_close, true, 0},
    {"fork-while-others-work", fork_while_others_work, true, 0},
    {0}};
