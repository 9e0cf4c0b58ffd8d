/* SPDX-License-Identifier: MIT */
/*
 * What happens where two rules of docs/contract.md meet, on every executor: cases PR, each a pair
 * that no other case looks at.
 */
#include <poll.h>
#include <string.h>

#include "tests/led_fixture.h"

#define NEVER_QUEUED "inline nothing is ever queued, and nothing runs outside a submit"

enum { CAPACITY = 4, MANY = 10 };

/* --- Arrays and bounds --- */

static void an_array_that_does_not_fit_is_accepted_up_to_there(void)
{
    hk_executor *executor = NULL;
    hk_future *futures[MANY];
    struct hkt_plug plug;
    int numbers[MANY];
    size_t accepted = 99;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_QUEUED);
        return;
    }
    HKT_OK_FATAL(hkt_executor_create(
        (hk_executor_options){.queue_capacity = CAPACITY, .when_full = HK_FULL_FAIL}, &executor));
    for (int i = 0; i < MANY; i++) {
        numbers[i] = i;
    }
    plug =
        (struct hkt_plug){.count = hkt_worker_count(), .gate = hkt_shared_new(sizeof(*plug.gate))};
    hkt_gate_init(plug.gate, "the plug of the workers");
    for (unsigned i = 0; i < plug.count; i++) {
        plug.futures[i] = hkt_submit_pointer(executor, hkt_stands_at_gate, plug.gate);
        hkt_gate_await_arrivals(plug.gate, i + 1);
    }
    HKT_STATUS(hk_submit_many(executor, hkt_square, numbers, MANY, sizeof(numbers[0]), NULL,
                              futures, &accepted),
               HK_EFULL);
    HKT_EQ_INT(accepted, CAPACITY);
    for (int i = CAPACITY; i < MANY; i++) {
        HKT_EQ_PTR(futures[i], NULL);
    }
    hkt_plug_pull(&plug);
    for (int i = 0; i < CAPACITY; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
    HKT_OK(hk_executor_destroy(executor));
}

/* --- Limits and shutdowns --- */

static void a_limit_of_the_executor_is_that_of_tasks_that_bring_none(void)
{
    hk_executor *executor = NULL;
    hk_submit_options options = {.timeout = HK_SEC(3000)};
    hk_future *limited = NULL;
    hk_future *own = NULL;
    struct hkt_gate *gate = hkt_shared_new(sizeof(*gate));

    if (hkt_is_inline()) {
        hkt_not_here("inline limits are judged on return: CK02");
        return;
    }
    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.task_timeout = HK_MS(15)}, &executor));
    HKT_OK_FATAL(hk_submit(executor, hkt_sleeps, NULL, 0, NULL, &limited));
    hkt_expect_end(limited, HK_EDEADLINE);
    HKT_TRUE(hkt_becomes(executor, hkt_straggling, 0));
    /* Longer than that of the executor, by the clock of another task's limit. */
    hkt_gate_init(gate, "a task with a limit of its own");
    HKT_OK_FATAL(hkt_try_pointer_with(executor, hkt_stands_at_gate, gate, &options, &own));
    options = (hk_submit_options){.deadline = HK_MS(60)};
    HKT_OK_FATAL(hk_submit(executor, hkt_sleeps, NULL, 0, &options, &limited));
    hkt_expect_end(limited, HK_EDEADLINE);
    HKT_TRUE(!hk_future_has_ended(own));
    hkt_gate_open(gate);
    hkt_expect_end(own, HK_OK);
    HKT_OK(hk_executor_destroy(executor));
}

static bool all_have_ended(void *arg)
{
    hk_future **futures = arg;

    for (int i = 0; i < MANY; i++) {
        if (!hk_future_has_ended(futures[i])) {
            return false;
        }
    }
    return true;
}

static void a_drain_is_not_held_up_by_what_ran_out_in_the_queue(void)
{
    hk_submit_options options = {.deadline = HK_MS(10)};
    hk_future *futures[MANY];
    struct hkt_plug plug;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_QUEUED);
        return;
    }
    hkt_fill(&plug);
    for (int i = 0; i < MANY; i++) {
        HKT_OK_FATAL(hk_submit(hkt_executor, hkt_nothing, NULL, 0, &options, &futures[i]));
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, 0));
    hkt_until(all_have_ended, futures);
    for (int i = 0; i < MANY; i++) {
        hkt_expect_end(futures[i], HK_EDEADLINE);
    }
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(hkt_executor).failed, MANY);
}

struct resubmit {
    atomic_uint calls;
    atomic_uint closed;
};

static void submit_the_next(hk_future *future, void *arg)
{
    struct resubmit *resubmit = arg;
    hk_future *next = NULL;

    (void)future;
    if (hk_submit(hkt_executor, hkt_nothing, NULL, 0, NULL, &next) == HK_ECLOSED) {
        atomic_fetch_add(&resubmit->closed, 1);
    }
    hk_future_unref(next);
    atomic_fetch_add(&resubmit->calls, 1);
}

static bool all_were_called(void *arg)
{
    return atomic_load(&((struct resubmit *)arg)->calls) == MANY;
}

static void a_callback_of_what_a_shutdown_cancelled_is_refused(void)
{
    struct resubmit resubmit = {.calls = 0};
    struct hkt_plug plug;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_QUEUED);
        return;
    }
    hkt_fill(&plug);
    for (int i = 0; i < MANY; i++) {
        hk_future *future = hkt_submit_int(hkt_executor, hkt_square, i);

        HKT_OK(hk_future_on_done(future, NULL, submit_the_next, &resubmit, NULL));
        hk_future_unref(future);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    hkt_until(all_were_called, &resubmit);
    HKT_EQ_INT(atomic_load(&resubmit.closed), MANY);
    hkt_plug_pull(&plug);
}

/* --- Derived futures, and what they derive from --- */

static void a_limit_from_outside_asks_the_task_to_stop(void)
{
    hk_future *task = NULL;
    hk_future *within = NULL;

    if (hkt_is_inline()) {
        hkt_not_here("inline a task has ended before its future is handed out");
        return;
    }
    HKT_OK_FATAL(hk_submit(hkt_executor, hkt_sleeps, NULL, 0, NULL, &task));
    HKT_OK_FATAL(hk_within(task, HK_MS(10), &within));
    HKT_STATUS(hk_future_result(within, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    HKT_STATUS(hk_future_result(task, HK_FOREVER, NULL, NULL), HK_ECANCELED);
    hk_future_unref(within);
    hk_future_unref(task);
}

static void a_value_that_shows_through_is_not_taken(void)
{
    struct hkt_led led;
    hk_future *within = NULL;
    hk_value value;

    hkt_led_begin(&led);
    HKT_OK_FATAL(hk_within(led.future, HK_SEC(3000), &within));
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(within, HK_FOREVER));
    HKT_STATUS(hk_future_take(led.future, HK_FOREVER, &value), HK_ESTATE);
    HKT_EQ_INT(hkt_peek_int(within), HKT_VALUE);
    HKT_EQ_INT(hkt_peek_int(led.future), HKT_VALUE);
    hk_future_unref(within);
    hkt_led_close(&led);
}

static void the_first_of_several_cancels_the_losers(void)
{
    struct hkt_led winner;
    struct hkt_led loser;
    hk_future *futures[2];
    hk_future *any = NULL;

    hkt_led_through(&winner, HK_DONE);
    HKT_OK(hk_future_wait(winner.future, HK_FOREVER));
    hkt_led_begin(&loser); /* It is deaf if it runs, and goes on then. */
    futures[0] = winner.future;
    futures[1] = loser.future;
    HKT_OK_FATAL(hk_when_any(futures, 2, &any));
    HKT_OK(hk_future_wait(any, HK_FOREVER));
    HKT_EQ_INT(hk_future_state(any), HK_DONE);
    hk_future_unref(any);
    hkt_led_close(&loser);
    hkt_led_close(&winner);
}

/* --- Descriptors and late comers --- */

static bool is_readable(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    return poll(&polled, 1, 0) == 1;
}

static void a_descriptor_asked_for_late_is_readable(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 3; i++) {
        struct hkt_led led;
        hk_completion *completion = NULL;
        hk_future *next = NULL;
        int fd = -1;

        hkt_led_through(&led, ends[i]);
        HKT_OK(hk_future_wait(led.future, HK_FOREVER));
        HKT_OK_FATAL(hk_future_fd(led.future, &fd));
        HKT_TRUE(is_readable(fd));
        HKT_OK_FATAL(hk_completion_create(&completion));
        HKT_OK(hk_completion_add(completion, led.future, 7));
        HKT_OK_FATAL(hk_completion_fd(completion, &fd));
        HKT_TRUE(is_readable(fd));
        HKT_OK(hk_completion_next(completion, 0, &next, NULL));
        hk_future_unref(next);
        hk_completion_destroy(completion);
        hkt_led_close(&led);
    }
}

/* --- A task and its own future --- */

struct own {
    hk_future *future;
    struct hkt_gate known;
    hk_status pending;
    hk_status request;
    bool stop_before;
    bool stop_after;
    hk_status take;
};

HK_TASK(cancels_itself_from_outside)
{
    struct own *own = hkt_pointer(in, in_size);
    hk_value value;

    hkt_gate_wait(&own->known);
    own->take = hk_future_take(own->future, 0, &value);
    own->pending = hk_future_cancel(own->future, HK_CANCEL_PENDING);
    own->stop_before = hk_should_stop(call);
    own->request = hk_future_cancel(own->future, HK_CANCEL_REQUEST);
    own->stop_after = hk_should_stop(call);
    return HK_OK;
}

static void a_task_may_cancel_its_own_future(void)
{
    struct own own = {.future = NULL};

    if (hkt_is_inline() || hkt_is_processes()) {
        hkt_not_here("its own future does not come to a task there");
        return;
    }
    hkt_gate_init(&own.known, "the future is known");
    own.future = hkt_submit_pointer(hkt_executor, cancels_itself_from_outside, &own);
    hkt_gate_open(&own.known);
    HKT_OK(hk_future_result(own.future, HK_FOREVER, NULL, NULL)); /* It gave its value. */
    HKT_STATUS(own.take, HK_ETIMEDOUT);
    HKT_STATUS(own.pending, HK_ESTATE);
    HKT_TRUE(!own.stop_before);
    HKT_OK(own.request);
    HKT_TRUE(own.stop_after);
    hk_future_unref(own.future);
}

static CU_TestInfo tests[] = {
    HKT_CASE("PR01 an array that does not fit is accepted up to there",
             an_array_that_does_not_fit_is_accepted_up_to_there),
    HKT_CASE("PR02 a limit of the executor is that of tasks that bring none",
             a_limit_of_the_executor_is_that_of_tasks_that_bring_none),
    HKT_CASE("PR03 a drain is not held up by what ran out in the queue",
             a_drain_is_not_held_up_by_what_ran_out_in_the_queue),
    HKT_CASE("PR04 a callback of what a shutdown cancelled is refused",
             a_callback_of_what_a_shutdown_cancelled_is_refused),
    HKT_CASE("PR05 a limit from outside asks the task to stop",
             a_limit_from_outside_asks_the_task_to_stop),
    HKT_CASE("PR06 a value that shows through is not taken",
             a_value_that_shows_through_is_not_taken),
    HKT_CASE("PR07 the first of several ends the whole", the_first_of_several_cancels_the_losers),
    HKT_CASE("PR08 a descriptor asked for late is readable",
             a_descriptor_asked_for_late_is_readable),
    HKT_CASE("PR09 a task may cancel its own future", a_task_may_cancel_its_own_future),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_pairs",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
