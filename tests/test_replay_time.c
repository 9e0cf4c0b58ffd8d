/* SPDX-License-Identifier: MIT */
/* The time of replay executors, and waits on them. */
#include <string.h>

#include "tests/allocation_fixture.h"
#include "tests/fixture.h"

static hk_executor *executor;

static void open_seed(uint64_t seed)
{
    HKT_OK_FATAL(hk_replay_create(seed, NULL, &executor));
}

static void close_executor(void)
{
    HKT_OK_FATAL(hk_executor_destroy(executor));
    executor = NULL;
}

static hk_duration now(void)
{
    hk_duration passed = -1;

    HKT_OK(hk_replay_elapsed(executor, &passed));
    return passed;
}

enum { TASKS = 6 };

/* An int -> the same, after that many milliseconds. */
HK_TASK(sleeps_ms)
{
    int number;

    (void)in_size;
    memcpy(&number, in, sizeof(number));
    if (hk_sleep(call, HK_MS(number)) != HK_OK) {
        return HK_ECANCELED;
    }
    return hk_return(call, &number, sizeof(number));
}

/* --- Time --- */

static void a_limit_of_an_hour_is_over_at_once(void)
{
    hk_future *future = NULL;
    int64_t began_ns;

    open_seed(1);
    began_ns = hk_now_ns();
    HKT_OK_FATAL(hk_submit(executor, hkt_sleeps, NULL, 0,
                           &(hk_submit_options){.timeout = HK_SEC(3600)}, &future));
    HKT_STATUS(hk_future_wait(future, HK_SEC(60)), HK_ETIMEDOUT);
    HKT_EQ_INT(now(), HK_SEC(60));
    HKT_EQ_INT(hk_now_ns() - began_ns, HK_SEC(60));
    hkt_expect_end(future, HK_EDEADLINE);
    HKT_EQ_INT(now(), HK_SEC(3600));
    close_executor();
}

static void limits_are_those_of_virtual_time(void)
{
    hk_future *in_time = NULL;
    hk_future *late = NULL;
    hk_future *within = NULL;
    hk_future *sleeper = NULL;

    for (uint64_t seed = 0; seed < 10; seed++) {
        int two = 2;

        open_seed(seed);
        HKT_OK_FATAL(hk_submit(executor, sleeps_ms, &two, sizeof(two),
                               &(hk_submit_options){.timeout = HK_MS(3)}, &in_time));
        HKT_OK_FATAL(hk_submit(executor, sleeps_ms, &two, sizeof(two),
                               &(hk_submit_options){.deadline = HK_MS(1)}, &late));
        HKT_OK_FATAL(hk_submit(executor, hkt_sleeps, NULL, 0, NULL, &sleeper));
        HKT_OK_FATAL(hk_within(sleeper, HK_SEC(7200), &within));
        hkt_expect_end(within, HK_EDEADLINE);
        HKT_EQ_INT(now(), HK_SEC(7200));
        hkt_expect_end(in_time, HK_OK);
        hkt_expect_end(late, HK_EDEADLINE);
        hkt_expect_end(sleeper, HK_ECANCELED);
        close_executor();
    }
}

static void a_deadline_comes_while_a_task_is_queued(void)
{
    hk_future *sleeping;
    hk_future *queued = NULL;

    HKT_OK_FATAL(hk_replay_create(2, &(hk_executor_options){.workers = 1}, &executor));
    sleeping = hkt_submit_int(executor, sleeps_ms, 2);
    HKT_OK(hk_replay_run(executor, 1, NULL));
    HKT_OK_FATAL(hk_submit(executor, hkt_nothing, NULL, 0,
                           &(hk_submit_options){.deadline = HK_MS(1)}, &queued));
    hkt_expect_end(queued, HK_EDEADLINE);
    HKT_EQ_INT(now(), HK_MS(1));
    HKT_EQ_INT(hkt_take_int(sleeping), 2);
    HKT_STATUS(hk_replay_advance(executor, HK_FOREVER), HK_EINVAL);
    HKT_OK(hk_replay_advance(executor, HK_SEC(1)));
    HKT_EQ_INT(now(), HK_MS(2) + HK_SEC(1));
    close_executor();
}

/* The timer of hk_within() outlives what it watches, but not the world. */
static void what_was_to_come_comes_when_the_executor_ends(void)
{
    hk_promise *promise = NULL;
    hk_future *future = NULL;
    hk_future *within = NULL;

    open_seed(2);
    HKT_OK_FATAL(hk_promise_create(&promise, &future));
    HKT_OK_FATAL(hk_within(future, HK_SEC(100), &within));
    close_executor();
    hkt_expect_end(within, HK_EDEADLINE);
    hk_promise_destroy(promise);
    hkt_expect_end(future, HK_ECANCELED); /* hk_within() gave it up. */
}

/* --- Waits --- */

static void a_wait_that_could_never_end_is_refused(void)
{
    hk_promise *promise = NULL;
    hk_future *future = NULL;
    hk_event event = HK_EVENT_INIT("event");

    open_seed(4);
    HKT_OK_FATAL(hk_promise_create(&promise, &future));
    HKT_STATUS(hk_future_wait(future, HK_FOREVER), HK_EDEADLK);
    HKT_STATUS(hk_future_wait(future, HK_SEC(5)), HK_ETIMEDOUT);
    HKT_EQ_INT(now(), HK_SEC(5));
    HKT_STATUS(hk_event_wait(&event, HK_FOREVER), HK_EDEADLK);
    hk_promise_destroy(promise);
    hkt_expect_end(future, HK_EBROKEN);
    close_executor();
}

HK_TASK(waits_for_event)
{
    return hk_event_wait(hkt_pointer(in, in_size), HK_FOREVER);
}

HK_TASK(sets_event)
{
    (void)call;
    hk_event_set(hkt_pointer(in, in_size));
    return HK_OK;
}

static void a_task_that_waits_in_vain_is_refused_before_main(void)
{
    hk_event event = HK_EVENT_INIT("event");
    hk_future *future;

    open_seed(4);
    future = hkt_submit_ref(executor, waits_for_event, &event);
    HKT_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_TRUE(strstr(hk_future_why(future), "replay seed 4, step ") != NULL);
    hk_future_unref(future);
    close_executor();
}

static void other_sleeps_let_others_go_on(void)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        hk_event event = HK_EVENT_INIT("event");
        hk_future *waits;
        hk_future *sets;

        HKT_OK_FATAL(hk_replay_create(seed, &(hk_executor_options){.workers = 1}, &executor));
        waits = hkt_submit_ref(executor, waits_for_event, &event);
        sets = hkt_submit_ref(executor, sets_event, &event);
        HKT_OK(hk_event_wait(&event, HK_FOREVER));
        hkt_expect_end(waits, HK_OK);
        hkt_expect_end(sets, HK_OK);
        close_executor();
    }
}

struct pair {
    hk_lock lock;
    long value;
};

HK_TASK(adds_one_under_a_lock)
{
    struct pair *pair = hkt_pointer(in, in_size);
    long seen;

    HKT_OK(hk_lock_acquire(&pair->lock));
    seen = pair->value;
    HKT_OK(hk_sleep(call, HK_MS(1)));
    pair->value = seen + 1;
    HKT_OK(hk_lock_release(&pair->lock));
    return HK_OK;
}

static void locks_exclude_tasks_that_sleep(void)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct pair pair = {.lock = HK_LOCK_INIT("pair")};

        open_seed(seed);
        for (int i = 0; i < TASKS; i++) {
            hk_future_unref(hkt_submit_ref(executor, adds_one_under_a_lock, &pair));
        }
        HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
        HKT_EQ_INT(pair.value, TASKS);
        HKT_EQ_INT(now(), HK_MS(TASKS));
        close_executor();
    }
}

/* A pool of threads is not of this world: its work takes no time here, but is waited for. */
static void pools_of_threads_are_waited_for(void)
{
    hk_executor *pool;
    hk_future *future;

    open_seed(8);
    pool = hkt_pool_create((hk_executor_options){.workers = 1});
    future = hkt_submit_int(pool, hkt_square, 5);
    HKT_EQ_INT(hkt_take_int(future), 25);
    HKT_EQ_INT(now(), 0);
    HKT_OK(hk_executor_destroy(pool));
    close_executor();
}

HK_TASK(polls_until_told_to_stop)
{
    (void)in;
    (void)in_size;
    while (!hk_should_stop(call)) {
    }
    return HK_ECANCELED;
}

static void loops_that_look_come_to_an_end(void)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        hk_future *future = NULL;

        open_seed(seed);
        HKT_OK_FATAL(hk_submit(executor, polls_until_told_to_stop, NULL, 0,
                               &(hk_submit_options){.timeout = HK_MS(5)}, &future));
        while (hk_future_wait(future, 0) == HK_ETIMEDOUT) {
        }
        hkt_expect_end(future, HK_EDEADLINE);
        HKT_TRUE(now() >= HK_MS(5) && now() <= HK_MS(6));
        close_executor();
    }
}

/* --- Without memory --- */

static void nothing_yet(void)
{
    executor = NULL;
}

static hk_status make_one(void)
{
    return hk_replay_create(1, NULL, &executor);
}

static void no_world_was_entered(void)
{
    int64_t before_ns = hk_now_ns();

    HKT_TRUE(executor == NULL);
    while (hk_now_ns() == before_ns) { /* The system's time goes on by itself. */
    }
}

static void destroy_it(void)
{
    HKT_OK(hk_executor_destroy(executor));
    executor = NULL;
}

static void making_one_needs_all_its_memory(void)
{
    static const struct hkt_allocation_case one = {.name = "hk_replay_create",
                                                   .prepare = nothing_yet,
                                                   .call = make_one,
                                                   .unchanged = no_world_was_entered,
                                                   .clean = destroy_it};

    hkt_fail_each_allocation(&one);
}

static CU_TestInfo tests[] = {
    HKT_CASE("RP04 a limit of an hour is over at once", a_limit_of_an_hour_is_over_at_once),
    HKT_CASE("limits are those of virtual time", limits_are_those_of_virtual_time),
    HKT_CASE("a deadline comes while a task is queued", a_deadline_comes_while_a_task_is_queued),
    HKT_CASE("what was to come comes when the executor ends",
             what_was_to_come_comes_when_the_executor_ends),
    HKT_CASE("a wait that could never end is refused", a_wait_that_could_never_end_is_refused),
    HKT_CASE("a task that waits in vain is refused before main",
             a_task_that_waits_in_vain_is_refused_before_main),
    HKT_CASE("other sleeps let others go on", other_sleeps_let_others_go_on),
    HKT_CASE("locks exclude tasks that sleep", locks_exclude_tasks_that_sleep),
    HKT_CASE("loops that look come to an end", loops_that_look_come_to_an_end),
    HKT_CASE("making one needs all its memory", making_one_needs_all_its_memory),
    HKT_CASE("pools of threads are waited for", pools_of_threads_are_waited_for),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "replay_time", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
