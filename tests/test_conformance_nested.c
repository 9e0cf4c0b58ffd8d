/* SPDX-License-Identifier: MIT */
/*
 * What follows from "waiting inside a task" for every executor: cases NW of docs/contract.md. A
 * worker process has an inline executor of its own for what its tasks submit, and a serial one
 * begins no task before the last has ended: there the same calls are refused, and say so.
 */
#include <string.h>

#include "tests/led_fixture.h"

/* --- NW01, NW02: waiting for one's own --- */

HK_TASK(counts_down)
{
    int left = 0;
    int below = 0;
    hk_future *future = NULL;
    const void *value = NULL;
    hk_status status;

    memcpy(&left, in, sizeof(left));
    if (left == 0) {
        return hk_return(call, &left, sizeof(left));
    }
    left--;
    status = hk_submit(hk_call_executor(call), counts_down, &left, sizeof(left), NULL, &future);
    if (status == HK_OK) {
        status = hk_future_result(future, HK_FOREVER, &value, NULL);
    }
    if (status == HK_OK) {
        memcpy(&below, value, sizeof(below));
        below++;
        status = hk_return(call, &below, sizeof(below));
    }
    hk_future_unref(future);
    return status;
}

static void a_task_may_wait_for_what_it_submits(void)
{
    hk_future *future = hkt_submit_int(hkt_executor, counts_down, 1);

    if (hkt_is_serial()) {
        const hk_error *error = NULL;

        HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
        HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
        HKT_STATUS(error->cause->status, HK_EDEADLK);
        hk_future_unref(future);
        return;
    }
    HKT_EQ_INT(hkt_take_int(future), 1);
}

static void waits_may_nest_deeply(void)
{
    if (hkt_is_serial()) {
        hkt_not_here("one task at a time: what a task submits begins after it");
        return;
    }
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, counts_down, 60)), 60);
}

/* --- NW03: timed waits and the first of several --- */

struct nested {
    atomic_int timed;
    atomic_int first;
    atomic_int polled;
    atomic_int rest;
};

HK_TASK(waits_in_every_way)
{
    struct nested *nested = hkt_pointer(in, in_size);
    hk_executor *executor = hk_call_executor(call);
    hk_future *futures[3] = {NULL};
    int value = 3;
    size_t ended = 0;

    for (int i = 0; i < 3; i++) {
        if (hk_submit(executor, hkt_square, &value, sizeof(value), NULL, &futures[i]) != HK_OK) {
            return hk_fail(call, 1, "refused");
        }
    }
    atomic_store(&nested->polled, hk_future_wait(futures[2], 0));
    atomic_store(&nested->timed, hk_future_wait(futures[0], HK_SEC(600)));
    atomic_store(&nested->first,
                 hk_wait(futures, 3, HK_FIRST_COMPLETED, HK_SEC(600), NULL, &ended));
    atomic_store(&nested->rest, hk_wait(futures, 3, HK_ALL_COMPLETED, HK_FOREVER, NULL, &ended));
    for (int i = 0; i < 3; i++) {
        hk_future_unref(futures[i]);
    }
    return HK_OK;
}

static void every_wait_is_made_up_for(void)
{
    struct nested *nested = hkt_shared_new(sizeof(*nested));

    if (hkt_is_serial()) {
        hkt_not_here("one task at a time: what a task submits begins after it");
        return;
    }
    hkt_expect_end(hkt_submit_pointer(hkt_executor, waits_in_every_way, nested), HK_OK);
    HKT_OK(atomic_load(&nested->timed));
    HKT_OK(atomic_load(&nested->first));
    HKT_OK(atomic_load(&nested->rest));
    /* A poll is never refused. */
    HKT_TRUE(atomic_load(&nested->polled) == HK_OK || atomic_load(&nested->polled) == HK_ETIMEDOUT);
}

/* --- NW04, NW05: waits that could never end --- */

struct ring {
    hk_future *futures[2];
    struct hkt_gate both;
    atomic_int refused;
    atomic_int ended;
};

static struct ring ring;

static hk_status wait_for(int which)
{
    hk_status status;

    hkt_gate_wait(&ring.both);
    status = hk_future_wait(ring.futures[which], HK_FOREVER);
    atomic_fetch_add(status == HK_EDEADLK ? &ring.refused : &ring.ended, 1);
    return HK_OK;
}

HK_TASK(waits_for_itself)
{
    return wait_for(0);
}

HK_TASK(waits_for_the_second)
{
    return wait_for(1);
}

static bool has_waits_of_its_own(void)
{
    if (hkt_is_inline()) {
        hkt_not_here("inline no task has its own future, or runs beside another");
    } else if (hkt_is_processes()) {
        hkt_not_here("no future of the pool goes to a worker process");
    }
    return !hkt_is_inline() && !hkt_is_processes();
}

static void silence(hk_log_level level, const char *text, void *arg)
{
    (void)level;
    (void)text;
    (void)arg;
}

static void reset_ring(void)
{
    memset(&ring, 0, sizeof(ring));
    hkt_gate_init(&ring.both, "both futures are known");
    hk_on_log(silence, NULL);
}

static void waiting_for_oneself_is_refused(void)
{
    if (!has_waits_of_its_own()) {
        return;
    }
    reset_ring();
    HKT_OK_FATAL(hk_submit(hkt_executor, waits_for_itself, NULL, 0, NULL, &ring.futures[0]));
    hkt_gate_open(&ring.both);
    hkt_expect_end(ring.futures[0], HK_OK);
    HKT_EQ_INT(atomic_load(&ring.refused), 1);
    hk_on_log(NULL, NULL);
}

static void of_a_ring_of_tasks_one_is_refused(void)
{
    if (!has_waits_of_its_own()) {
        return;
    }
    reset_ring();
    /* The first waits for the second, which waits for the first. With one worker the second is
     * run inside the first, or would never begin. */
    HKT_OK_FATAL(hk_submit(hkt_executor, waits_for_the_second, NULL, 0, NULL, &ring.futures[0]));
    HKT_OK_FATAL(hk_submit(hkt_executor, waits_for_itself, NULL, 0, NULL, &ring.futures[1]));
    hkt_gate_open(&ring.both);
    for (int i = 0; i < 2; i++) { /* Each is in use by the other task until that has ended. */
        HKT_OK(hk_future_wait(ring.futures[i], HK_FOREVER));
    }
    hkt_expect_end(ring.futures[0], HK_OK);
    hkt_expect_end(ring.futures[1], HK_OK);
    HKT_EQ_INT(atomic_load(&ring.refused), 1);
    HKT_EQ_INT(atomic_load(&ring.ended), 1);
    hk_on_log(NULL, NULL);
}

/* --- NW06: only awaited tasks are run on a stack that waits --- */

struct stranger {
    hk_executor *executor;
    hk_promise *promise;
    hk_future *future;
    struct hkt_gate waits;
    pthread_t waiter;
    atomic_bool is_inside;
    atomic_bool ran_inside;
};

HK_TASK(waits_for_a_promise)
{
    struct stranger *stranger = hkt_pointer(in, in_size);
    hk_status status;

    stranger->waiter = pthread_self();
    atomic_store(&stranger->is_inside, true);
    hkt_gate_open(&stranger->waits);
    status = hk_future_wait(stranger->future, HK_FOREVER);
    atomic_store(&stranger->is_inside, false);
    return status;
}

HK_TASK(runs_elsewhere)
{
    struct stranger *stranger = hkt_pointer(in, in_size);
    const int value = 1;

    if (pthread_equal(stranger->waiter, pthread_self()) && atomic_load(&stranger->is_inside)) {
        atomic_store(&stranger->ran_inside, true);
    }
    return hk_promise_set(stranger->promise, &value, sizeof(value));
}

static void strangers_are_not_run_by_who_waits(void)
{
    struct stranger stranger = {.executor = hkt_executor};
    hk_future *waits;
    hk_future *runs;

    if (!has_waits_of_its_own()) {
        return;
    }
    if (hkt_is_serial()) {
        hkt_not_here("one task at a time: what a task waits for cannot come from a later one");
        return;
    }
    hkt_gate_init(&stranger.waits, "a task waits");
    HKT_OK_FATAL(hk_promise_create(&stranger.promise, &stranger.future));
    waits = hkt_submit_pointer(hkt_executor, waits_for_a_promise, &stranger);
    hkt_gate_wait(&stranger.waits);
    /* A spare worker runs it where there is one alone. */
    runs = hkt_submit_pointer(hkt_executor, runs_elsewhere, &stranger);
    hkt_expect_end(runs, HK_OK);
    hkt_expect_end(waits, HK_OK);
    HKT_TRUE(!atomic_load(&stranger.ran_inside));
    hk_promise_destroy(stranger.promise);
    hk_future_unref(stranger.future);
}

/* --- NW07: a shutdown amid a nested wait --- */

struct amid {
    struct hkt_gate inside; /* Open when the inner task has begun. */
    atomic_int inner;       /* What the outer one's wait saw. */
};

HK_TASK(sleeps_inside)
{
    struct amid *amid = hkt_pointer(in, in_size);

    hkt_gate_open(&amid->inside);
    return hk_sleep(call, HK_FOREVER);
}

HK_TASK(waits_for_a_sleeper)
{
    struct amid *amid = hkt_pointer(in, in_size);
    hk_future *inner = NULL;
    hk_submit_options options = {0};
    hk_status status = hk_call_token(call, &options.token);

    if (status == HK_OK) {
        status =
            in_size == HK_BY_REF
                ? hk_submit_ref(hk_call_executor(call), sleeps_inside, amid, NULL, &options, &inner)
                : hk_submit(hk_call_executor(call), sleeps_inside, in, in_size, &options, &inner);
    }
    if (status == HK_OK) {
        status = hk_future_result(inner, HK_FOREVER, NULL, NULL);
    }
    atomic_store(&amid->inner, status);
    hk_future_unref(inner);
    return status;
}

static void a_hard_shutdown_ends_a_nested_wait(void)
{
    static const hk_shutdown_how hows[] = {HK_SHUTDOWN_CANCEL_ALL, HK_SHUTDOWN_KILL};

    if (hkt_is_inline()) {
        hkt_not_here("the submit would not return: nobody is left to shut it down");
        return;
    }
    if (hkt_is_serial()) {
        hkt_not_here("one task at a time: what a task submits begins after it");
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        struct amid *amid = hkt_shared_new(sizeof(*amid));
        hk_executor *executor = NULL;
        hk_future *future;

        if (hkt_is_processes() && hows[i] == HK_SHUTDOWN_CANCEL_ALL) {
            continue; /* A nested hk_sleep() is not cut short there: see hk_call_token(). */
        }
        hkt_gate_init(&amid->inside, "the inner task has begun");
        HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &executor));
        future = hkt_submit_pointer(executor, waits_for_a_sleeper, amid);
        hkt_gate_wait(&amid->inside);
        HKT_OK(hk_executor_shutdown(executor, hows[i], HK_FOREVER));
        HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
        HKT_EQ_INT(hkt_stats(executor).running, 0);
        hk_future_unref(future);
        HKT_OK(hk_executor_destroy(executor));
    }
}

/* --- NW08: a full pool does not stop its own workers --- */

HK_TASK(submits_more_than_fits)
{
    enum { MORE = 12 };
    hk_future *futures[MORE] = {NULL};
    int sum = 0;
    hk_status status = HK_OK;

    for (int i = 0; i < MORE && status == HK_OK; i++) {
        status = hk_submit(hk_call_executor(call), hkt_square, &i, sizeof(i), NULL, &futures[i]);
    }
    for (int i = 0; i < MORE && status == HK_OK; i++) {
        const void *value = NULL;
        int square = 0;

        if ((status = hk_future_result(futures[i], HK_FOREVER, &value, NULL)) == HK_OK) {
            memcpy(&square, value, sizeof(square));
            sum += square;
        }
    }
    for (int i = 0; i < MORE; i++) {
        hk_future_unref(futures[i]);
    }
    return status == HK_OK ? hk_return(call, &sum, sizeof(sum)) : status;
}

static void a_full_pool_does_not_stop_its_workers(void)
{
    hk_executor *executor = NULL;
    hk_future *future;

    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.queue_capacity = 2}, &executor));
    future = hkt_submit_int(executor, submits_more_than_fits, 0);
    if (hkt_is_serial()) {
        const hk_error *error = NULL;

        HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
        HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
        HKT_STATUS(error->cause->status, HK_EFULL);
        hk_future_unref(future);
    } else {
        HKT_EQ_INT(hkt_take_int(future), 506);
    }
    HKT_OK(hk_executor_destroy(executor));
}

static CU_TestInfo tests[] = {
    HKT_CASE("NW01 a task may wait for what it submits", a_task_may_wait_for_what_it_submits),
    HKT_CASE("NW02 waits may nest deeply", waits_may_nest_deeply),
    HKT_CASE("NW03 every wait is made up for", every_wait_is_made_up_for),
    HKT_CASE("NW04 waiting for oneself is refused", waiting_for_oneself_is_refused),
    HKT_CASE("NW05 of a ring of tasks one is refused", of_a_ring_of_tasks_one_is_refused),
    HKT_CASE("NW06 strangers are not run by who waits", strangers_are_not_run_by_who_waits),
    HKT_CASE("NW07 a hard shutdown ends a nested wait", a_hard_shutdown_ends_a_nested_wait),
    HKT_CASE("NW08 a full pool does not stop its workers", a_full_pool_does_not_stop_its_workers),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_nested",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
