/* SPDX-License-Identifier: MIT */
/*
 * What follows from "two clocks, two statuses" and "cancelling, limits, retries" for every
 * executor: cases CK, CX and RT of docs/contract.md, and XP01.
 */
#include <signal.h>
#include <string.h>

#include "tests/led_fixture.h"

#define NOTHING_RUNS "inline nothing runs while somebody could cancel it, or waits in a queue"

static bool is_inline_here(void)
{
    if (hkt_is_inline()) {
        hkt_not_here(NOTHING_RUNS);
    }
    return hkt_is_inline();
}

/* --- CK: time --- */

/* Works until the limit of its own is over, and gives a value all the same. */
HK_TASK(overruns)
{
    const int value = HKT_VALUE;

    while (hk_call_time_left(call) > 0) {
        hkt_give_turn();
    }
    return hk_return(call, &value, sizeof(value));
}

static hk_future *submit_with(const hk_task *task, hk_submit_options options)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(hkt_executor, task, NULL, 0, &options, &future));
    return future;
}

static void expect_overrun(hk_future *future)
{
    const hk_error *error = NULL;

    for (int i = 0; i < 2; i++) {
        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
        HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_EDEADLINE);
    }
    HKT_EQ_INT(hk_future_state(future), HK_FAILED);
    HKT_OK(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EDEADLINE);
    HKT_EQ_INT(hkt_stats(hkt_executor).failed, 1);
    HKT_EQ_INT(hkt_stats(hkt_executor).done, 0);
    hk_future_unref(future);
    HKT_TRUE(hkt_becomes(hkt_executor, hkt_straggling, 0));
}

static void a_run_limit_is_kept_in_the_future(void)
{
    expect_overrun(submit_with(overruns, (hk_submit_options){.timeout = HK_MS(20)}));
}

static void a_deadline_is_kept_in_the_future(void)
{
    expect_overrun(submit_with(overruns, (hk_submit_options){.deadline = HK_MS(20)}));
}

static void a_wait_that_ran_out_is_not_kept(void)
{
    struct hkt_led led;

    hkt_led_begin(&led);
    HKT_STATUS(hk_future_result(led.future, HK_MS(1), NULL, NULL), HK_ETIMEDOUT);
    HKT_STATUS(hk_future_wait(led.future, 0), HK_ETIMEDOUT);
    HKT_TRUE(!hk_future_has_ended(led.future));
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    HKT_EQ_INT(hkt_peek_int(led.future), HKT_VALUE);
    hkt_led_close(&led);
}

static bool has_ended(void *arg)
{
    return hk_future_has_ended(arg);
}

static void a_deadline_counts_in_the_queue(void)
{
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    hk_submit_options options = {.deadline = HK_MS(10)};
    struct hkt_plug plug;
    hk_future *future = NULL;

    if (is_inline_here()) {
        return;
    }
    hkt_fill(&plug);
    HKT_OK_FATAL(hkt_try_pointer_with(hkt_executor, hkt_counts, runs, &options, &future));
    hkt_until(has_ended, future); /* While nobody could begin it. */
    HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_EDEADLINE);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(runs), 0);
    hk_future_unref(future);
}

static void a_run_limit_does_not_count_in_the_queue(void)
{
    hk_duration limit = HK_MS(400) * hkt_slowness(); /* Far more than doing nothing takes. */
    struct hkt_plug plug;
    hk_future *limited;
    hk_future *clock;

    if (is_inline_here()) {
        return;
    }
    hkt_fill(&plug);
    limited = submit_with(hkt_nothing, (hk_submit_options){.timeout = limit});
    clock = submit_with(hkt_nothing, (hk_submit_options){.deadline = limit + HK_MS(20)});
    hkt_until(has_ended, clock); /* So much time has passed, by the library's own clock. */
    HKT_EQ_INT(hk_future_state(limited), HK_PENDING);
    hkt_plug_pull(&plug);
    hkt_expect_end(limited, HK_OK);
    hkt_expect_end(clock, HK_EDEADLINE);
}

static void the_nearest_limit_counts(void)
{
    hk_submit_options options = {.timeout = HK_SEC(3000), .deadline = HK_MS(20)};

    expect_overrun(submit_with(overruns, options));
}

static void a_straggler_is_counted_until_it_returns(void)
{
    hk_submit_options options = {.timeout = HK_MS(5)};
    struct hkt_led led;

    if (is_inline_here()) {
        return;
    }
    HKT_OK_FATAL(hkt_led_try(&led, &options));
    HKT_STATUS(hk_future_result(led.future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    if (!hkt_is_processes()) {
        HKT_EQ_INT(hkt_stats(hkt_executor).straggling, 1); /* A process would be killed. */
    }
    hkt_led_end(&led, HK_DONE);
    HKT_TRUE(hkt_becomes(hkt_executor, hkt_straggling, 0));
    HKT_STATUS(hk_future_result(led.future, 0, NULL, NULL),
               HK_EDEADLINE); /* Its value is dropped. */
    hkt_led_close(&led);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 4)), 16);
}

static void negative_limits_are_refused(void)
{
    const hk_submit_options absurd[] = {{.timeout = -5}, {.deadline = -5}, {.queue_wait = -5}};

    for (size_t i = 0; i < 3; i++) {
        hk_future *future = NULL;

        HKT_STATUS(hk_submit(hkt_executor, hkt_nothing, NULL, 0, &absurd[i], &future), HK_EINVAL);
        HKT_EQ_PTR(future, NULL);
    }
    HKT_EQ_INT(hkt_stats(hkt_executor).submitted, 0);
}

/* --- CX: cancelling --- */

/* Runs until it is asked to stop, and ends as it was told to. */
struct asked {
    struct hkt_gate gate;
    atomic_int end;
    atomic_bool holds; /* It ends only once this is false. */
};

HK_TASK(runs_until_asked)
{
    struct asked *asked = hkt_pointer(in, in_size);
    const int value = HKT_VALUE;

    hkt_gate_open(&asked->gate);
    while (!hk_should_stop(call) || atomic_load(&asked->holds)) {
        hkt_give_turn();
    }
    switch ((hk_state)atomic_load(&asked->end)) {
    case HK_FAILED:
        return hk_fail(call, HKT_APP_CODE, "%s", HKT_MESSAGE);
    case HK_CANCELLED:
        return HK_ECANCELED;
    default:
        return hk_return(call, &value, sizeof(value));
    }
}

static void a_request_lets_the_task_say_how_it_ends(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    if (is_inline_here()) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        struct asked *asked = hkt_shared_new(sizeof(*asked));
        hk_future *future;

        hkt_gate_init(&asked->gate, "the task runs");
        atomic_store(&asked->end, ends[i]);
        future = hkt_submit_pointer(hkt_executor, runs_until_asked, asked);
        hkt_gate_wait(&asked->gate);
        HKT_OK(hk_future_cancel(future, HK_CANCEL_REQUEST));
        HKT_OK(hk_future_wait(future, HK_FOREVER));
        HKT_EQ_INT(hk_future_state(future), ends[i]);
        (void)hk_future_why(future);
        hk_future_unref(future);
    }
}

static void a_kill_stops_processes_and_asks_others(void)
{
    struct hkt_led led;

    if (is_inline_here()) {
        return;
    }
    hkt_led_begin(&led);
    hkt_led_runs(&led);
    HKT_OK(hk_future_cancel(led.future, HK_CANCEL_KILL));
    if (hkt_is_processes()) {
        HKT_OK(hk_future_wait(led.future, HK_FOREVER));
        HKT_EQ_INT(hk_future_state(led.future), HK_CANCELLED);
    } else {
        HKT_EQ_INT(hk_future_state(led.future), HK_RUNNING); /* It is deaf, and goes on. */
        hkt_led_end(&led, HK_DONE);
        HKT_OK(hk_future_wait(led.future, HK_FOREVER));
        HKT_EQ_INT(hk_future_state(led.future), HK_DONE);
    }
    hkt_led_close(&led);
}

static void a_cancel_in_the_queue_drops_the_input_at_once(void)
{
    atomic_uint drops = 0;
    struct hkt_plug plug;
    hk_future *future = NULL;

    if (is_inline_here()) {
        return;
    }
    if (hkt_is_processes()) {
        hkt_not_here("an input is a copy: no reference goes to a process");
        return;
    }
    hkt_fill(&plug);
    HKT_OK_FATAL(hk_submit_ref(hkt_executor, hkt_nothing, &drops, hkt_count_drop, NULL, &future));
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    HKT_EQ_INT(atomic_load(&drops), 1);
    hkt_plug_pull(&plug);
    hk_future_unref(future);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&drops), 1);
}

static hk_status pass_value_on(hk_future *source, hk_promise *result, void *arg)
{
    (void)arg;
    return hkt_set_int(result, hkt_peek_int(source) + 1);
}

static void cancelling_what_derives_cancels_the_source(void)
{
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    hk_future *sources[2];
    hk_future *step = NULL;
    hk_future *all = NULL;
    struct hkt_plug plug;

    if (is_inline_here()) {
        return;
    }
    hkt_fill(&plug);
    sources[0] = hkt_submit_pointer(hkt_executor, hkt_counts, runs);
    sources[1] = hkt_submit_pointer(hkt_executor, hkt_counts, runs);
    HKT_OK_FATAL(hk_then(sources[0], NULL, pass_value_on, NULL, &step));
    HKT_OK_FATAL(hk_when_all(sources, 2, &all));
    HKT_OK(hk_future_cancel(all, HK_CANCEL_PENDING));
    HKT_EQ_INT(hk_future_state(sources[0]), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(sources[1]), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(step), HK_CANCELLED);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(runs), 0);
    hk_future_unref(step);
    hk_future_unref(all);
    hk_future_unref(sources[0]);
    hk_future_unref(sources[1]);
}

/* The step holds still while somebody cancels its source and itself. */
struct amid {
    hk_future *source;
    hk_future *derived;
    hk_status of_source;
    hk_status of_derived;
    atomic_uint through;
};

static hk_status cancel_amid(hk_future *source, hk_promise *result, void *arg)
{
    struct amid *amid = arg;

    amid->of_source = hk_future_cancel(source, HK_CANCEL_KILL);
    amid->of_derived =
        amid->derived == NULL ? HK_OK : hk_future_cancel(amid->derived, HK_CANCEL_REQUEST);
    atomic_fetch_add(&amid->through, 1);
    return hkt_set_int(result, 5);
}

static void cancelling_amid_a_step_leaves_its_end_to_it(void)
{
    struct amid amid = {.derived = NULL};
    struct hkt_led led;

    hkt_led_begin(&led);
    HKT_OK_FATAL(hk_then(led.future, NULL, cancel_amid, &amid, &amid.derived));
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(amid.derived, HK_FOREVER));
    HKT_EQ_INT(hkt_peek_int(amid.derived), 5);
    HKT_STATUS(amid.of_source, HK_ESTATE);
    HKT_OK(amid.of_derived); /* It ran, and was asked. */
    hk_future_unref(amid.derived);
    hkt_led_close(&led);
}

static void a_token_reaches_queued_and_running(void)
{
    hk_submit_options options = {0};
    struct asked *asked = hkt_shared_new(sizeof(*asked));
    hk_future *running = NULL;
    hk_future *queued[3] = {NULL};
    struct hkt_plug plug;
    hk_future *refused = NULL;

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &options.token));
    if (!hkt_is_inline()) {
        hkt_gate_init(&asked->gate, "the task runs");
        atomic_store(&asked->end, HK_CANCELLED);
        /* Its worker must not begin a queued one before the token comes to that. */
        atomic_store(&asked->holds, true);
        HKT_OK_FATAL(
            hkt_try_pointer_with(hkt_executor, runs_until_asked, asked, &options, &running));
        hkt_gate_wait(&asked->gate);
        if (hkt_worker_count() > 1) {
            hkt_plug_insert(&plug, hkt_executor, hkt_worker_count() - 1);
        }
        for (int i = 0; i < 3; i++) {
            queued[i] = submit_with(hkt_nothing, options);
        }
    }
    HKT_OK(hk_cancel_token_fire(options.token, "the client has gone"));
    HKT_STATUS(hk_submit(hkt_executor, hkt_nothing, NULL, 0, &options, &refused), HK_ECANCELED);
    HKT_EQ_PTR(refused, NULL);
    if (!hkt_is_inline()) {
        for (int i = 0; i < 3; i++) {
            HKT_EQ_INT(hk_future_state(queued[i]), HK_CANCELLED);
            HKT_TRUE(strstr(hk_future_why(queued[i]), "the client has gone") != NULL);
            hk_future_unref(queued[i]);
        }
        atomic_store(&asked->holds, false);
        HKT_OK(hk_future_wait(running, HK_FOREVER));
        HKT_EQ_INT(hk_future_state(running), HK_CANCELLED);
        hk_future_unref(running);
        if (hkt_worker_count() > 1) {
            hkt_plug_pull(&plug);
        }
    }
    hk_cancel_token_unref(options.token);
}

/* --- RT: retries --- */

struct tries {
    atomic_uint count;
    unsigned deadly; /* So many of them end the worker. */
    bool fails;
};

static hk_status try_it(hk_call *call, struct tries *tries)
{
    unsigned count = atomic_fetch_add(&tries->count, 1) + 1;

    if (count <= tries->deadly) {
        (void)raise(SIGKILL);
    }
    return tries->fails ? hk_fail(call, 3, "no luck") : hk_return(call, &count, sizeof(count));
}

HK_TASK_FLAGS(tries_again, HK_TASK_IDEMPOTENT)
{
    return try_it(call, hkt_pointer(in, in_size));
}

HK_TASK(tries_once)
{
    return try_it(call, hkt_pointer(in, in_size));
}

static hk_future *submit_tries(const hk_task *task, struct tries *tries, hk_submit_options options)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hkt_try_pointer_with(hkt_executor, task, tries, &options, &future));
    return future;
}

static void a_failure_is_not_tried_again(void)
{
    struct tries *tries = hkt_shared_new(sizeof(*tries));

    tries->fails = true;
    hkt_expect_end(submit_tries(tries_again, tries, (hk_submit_options){.retries = 2}), HK_EFAILED);
    HKT_EQ_INT(atomic_load(&tries->count), 1);
}

static bool is_for_processes(void)
{
    if (!hkt_is_processes()) {
        hkt_not_here("a thread that crashes takes the process along: no worker is ever lost");
    }
    return hkt_is_processes();
}

static void what_is_idempotent_is_tried_again_up_to_three_times(void)
{
    struct tries *few = hkt_shared_new(sizeof(*few));
    struct tries *many = hkt_shared_new(sizeof(*many));

    if (!is_for_processes()) {
        return;
    }
    few->deadly = 2;
    HKT_EQ_INT(hkt_take_int(submit_tries(tries_again, few, (hk_submit_options){.retries = 2})), 3);
    many->deadly = 100;
    hkt_expect_end(submit_tries(tries_again, many, (hk_submit_options){.retries = 50}), HK_EWORKER);
    HKT_EQ_INT(atomic_load(&many->count), 3);
}

static void what_is_not_idempotent_is_not_tried_again(void)
{
    struct tries *tries = hkt_shared_new(sizeof(*tries));

    if (!is_for_processes()) {
        return;
    }
    tries->deadly = 1;
    hkt_expect_end(submit_tries(tries_once, tries, (hk_submit_options){.retries = 2}), HK_EWORKER);
    HKT_EQ_INT(atomic_load(&tries->count), 1);
}

/* Dies, is tried again, and stands still then until the deadline of the submit. */
struct second_try {
    atomic_uint count;
    struct hkt_gate gate;
};

HK_TASK_FLAGS(dies_then_stands, HK_TASK_IDEMPOTENT)
{
    struct second_try *second = hkt_pointer(in, in_size);

    if (atomic_fetch_add(&second->count, 1) == 0) {
        (void)raise(SIGKILL);
    }
    hkt_gate_wait(&second->gate);
    return HK_OK;
}

static void a_deadline_holds_over_all_tries(void)
{
    struct second_try *second = hkt_shared_new(sizeof(*second));
    hk_submit_options options = {.retries = 2, .deadline = HK_MS(300)};
    hk_future *future = NULL;

    if (!is_for_processes()) {
        return;
    }
    hkt_gate_init(&second->gate, "nobody opens this gate");
    HKT_OK_FATAL(hkt_try_pointer_with(hkt_executor, dies_then_stands, second, &options, &future));
    hkt_expect_end(future, HK_EDEADLINE); /* And is not tried a third time. */
    HKT_TRUE(hkt_becomes(hkt_executor, hkt_straggling, 0));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 3)), 9);
    HKT_TRUE(atomic_load(&second->count) <= 2);
}

static CU_TestInfo tests[] = {
    HKT_CASE("CK01 a wait that ran out is not kept", a_wait_that_ran_out_is_not_kept),
    HKT_CASE("CK02 CK08 XP01 a run limit is kept in the future, and a late value is not",
             a_run_limit_is_kept_in_the_future),
    HKT_CASE("CK02 a deadline is kept in the future", a_deadline_is_kept_in_the_future),
    HKT_CASE("CK03 a deadline counts in the queue", a_deadline_counts_in_the_queue),
    HKT_CASE("CK04 a run limit does not count in the queue",
             a_run_limit_does_not_count_in_the_queue),
    HKT_CASE("CK05 the nearest limit counts", the_nearest_limit_counts),
    HKT_CASE("CK06 a straggler is counted until it returns",
             a_straggler_is_counted_until_it_returns),
    HKT_CASE("CK07 negative limits are refused", negative_limits_are_refused),
    HKT_CASE("CX01 a cancel in the queue drops the input at once",
             a_cancel_in_the_queue_drops_the_input_at_once),
    HKT_CASE("CX02 a request lets the task say how it ends",
             a_request_lets_the_task_say_how_it_ends),
    HKT_CASE("CX03 a kill stops processes, and asks others",
             a_kill_stops_processes_and_asks_others),
    HKT_CASE("CX04 cancelling what derives cancels the source",
             cancelling_what_derives_cancels_the_source),
    HKT_CASE("CX05 cancelling amid a step leaves its end to it",
             cancelling_amid_a_step_leaves_its_end_to_it),
    HKT_CASE("CX06 a token reaches queued and running", a_token_reaches_queued_and_running),
    HKT_CASE("RT01 a failure is not tried again", a_failure_is_not_tried_again),
    HKT_CASE("RT02 what is idempotent is tried again, up to three times",
             what_is_idempotent_is_tried_again_up_to_three_times),
    HKT_CASE("RT03 what is not idempotent is not tried again",
             what_is_not_idempotent_is_not_tried_again),
    HKT_CASE("RT04 a deadline holds over all tries", a_deadline_holds_over_all_tries),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_limits",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
