/* SPDX-License-Identifier: MIT */
/*
 * Cases FS of docs/contract.md with the futures of every executor; test_future.c and
 * test_future_read.c ask the same of promises.
 */
#include <stdio.h>
#include <string.h>

#include "tests/led_fixture.h"

#define NEVER_UNFINISHED "inline a task has ended before its future is handed out"

/* --- FS01 to FS05: states --- */

static void a_queued_task_is_pending(void)
{
    struct hkt_plug plug;
    hk_future *future;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_UNFINISHED);
        return;
    }
    hkt_fill(&plug);
    future = hkt_submit_int(hkt_executor, hkt_square, 3);
    HKT_EQ_INT(hk_future_state(future), HK_PENDING);
    HKT_TRUE(!hk_future_has_ended(future));
    hkt_plug_pull(&plug);
    HKT_EQ_INT(hkt_take_int(future), 9);
}

static void a_task_under_way_is_running_alone(void)
{
    struct hkt_led led;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_UNFINISHED);
        return;
    }
    hkt_led_begin(&led);
    hkt_led_runs(&led);
    HKT_EQ_INT(hk_future_state(led.future), HK_RUNNING);
    HKT_TRUE(!hk_future_has_ended(led.future));
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    HKT_EQ_INT(hk_future_state(led.future), HK_DONE);
    hkt_led_close(&led);
}

static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

static void each_end_is_done_and_its_own_state_alone(void)
{
    for (int i = 0; i < 3; i++) {
        struct hkt_led led;

        hkt_led_through(&led, ends[i]);
        HKT_OK(hk_future_wait(led.future, HK_FOREVER));
        HKT_TRUE(hk_future_has_ended(led.future));
        HKT_EQ_INT(hk_future_state(led.future), ends[i]);
        hkt_led_close(&led);
    }
}

/* --- FS06 to FS09: cancelling --- */

static void cancelling_a_queued_task_ends_it(void)
{
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    atomic_uint calls = 0;
    struct hkt_plug plug;
    hk_future *future;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_UNFINISHED);
        return;
    }
    hkt_fill(&plug);
    future = hkt_submit_pointer(hkt_executor, hkt_counts, runs);
    HKT_OK(hk_future_on_done(future, NULL, hkt_count_call, &calls, NULL));
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
    HKT_EQ_INT(atomic_load(&calls), 1);
    for (int level = HK_CANCEL_PENDING; level <= HK_CANCEL_KILL; level++) {
        HKT_OK(hk_future_cancel(future, (hk_cancel_level)level));
    }
    HKT_EQ_INT(atomic_load(&calls), 1);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(runs), 0);
    HKT_EQ_INT(atomic_load(&calls), 1);
    hk_future_unref(future);
}

static void a_running_task_is_not_cancelled_as_pending(void)
{
    struct hkt_led led;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_UNFINISHED);
        return;
    }
    hkt_led_begin(&led);
    hkt_led_runs(&led);
    HKT_STATUS(hk_future_cancel(led.future, HK_CANCEL_PENDING), HK_ESTATE);
    HKT_EQ_INT(hk_future_state(led.future), HK_RUNNING);
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    HKT_EQ_INT(hkt_peek_int(led.future), HKT_VALUE);
    hkt_led_close(&led);
}

static void what_has_ended_is_not_cancelled(void)
{
    for (int level = HK_CANCEL_PENDING; level <= HK_CANCEL_KILL; level++) {
        struct hkt_led done;
        struct hkt_led failed;
        const hk_error *before = NULL;
        const hk_error *after = NULL;

        hkt_led_through(&done, HK_DONE);
        hkt_led_through(&failed, HK_FAILED);
        HKT_OK(hk_future_wait(done.future, HK_FOREVER));
        HKT_OK(hk_future_error(failed.future, HK_FOREVER, &before));
        HKT_STATUS(hk_future_cancel(done.future, (hk_cancel_level)level), HK_ESTATE);
        HKT_STATUS(hk_future_cancel(failed.future, (hk_cancel_level)level), HK_ESTATE);
        HKT_EQ_INT(hkt_peek_int(done.future), HKT_VALUE);
        HKT_OK(hk_future_error(failed.future, 0, &after));
        HKT_EQ_PTR(after, before);
        hkt_led_close(&done);
        hkt_led_close(&failed);
    }
}

static void cancelling_twice_is_fine(void)
{
    struct hkt_led led;
    atomic_uint calls = 0;

    hkt_led_through(&led, HK_CANCELLED);
    HKT_OK(hk_future_on_done(led.future, NULL, hkt_count_call, &calls, NULL));
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    HKT_OK(hk_future_cancel(led.future, HK_CANCEL_PENDING));
    HKT_OK(hk_future_cancel(led.future, HK_CANCEL_KILL));
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&calls), 1);
    hkt_led_close(&led);
}

/* --- FS10 to FS16: reading --- */

static void expect_unfinished(hk_future *future)
{
    const hk_error *error = NULL;
    hk_future_view view;

    HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_ETIMEDOUT);
    HKT_STATUS(hk_future_error(future, 0, &error), HK_ETIMEDOUT);
    HKT_EQ_PTR(error, NULL);
    HKT_STATUS(hk_future_wait(future, HK_NS(1)), HK_ETIMEDOUT);
    HKT_OK(hk_future_snapshot(future, &view));
    HKT_EQ_PTR(view.value, NULL);
    HKT_EQ_PTR(view.error, NULL);
}

static void polling_an_unfinished_task_changes_nothing(void)
{
    struct hkt_led led;
    struct hkt_plug plug;
    hk_future *future;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_UNFINISHED);
        return;
    }
    hkt_fill(&plug);
    future = hkt_submit_int(hkt_executor, hkt_square, 4);
    expect_unfinished(future);
    HKT_EQ_INT(hk_future_state(future), HK_PENDING);
    hkt_plug_pull(&plug);
    HKT_EQ_INT(hkt_take_int(future), 16);
    hkt_led_begin(&led);
    hkt_led_runs(&led);
    expect_unfinished(led.future);
    HKT_EQ_INT(hk_future_state(led.future), HK_RUNNING);
    hkt_led_close(&led);
}

static void a_cancelled_task_has_neither_value_nor_error(void)
{
    const hk_error *error = NULL;
    struct hkt_led led;

    hkt_led_through(&led, HK_CANCELLED);
    HKT_STATUS(hk_future_result(led.future, HK_FOREVER, NULL, NULL), HK_ECANCELED);
    HKT_STATUS(hk_future_error(led.future, HK_FOREVER, &error), HK_ECANCELED);
    HKT_EQ_PTR(error, NULL);
    hkt_led_close(&led);
}

static void a_failed_task_has_status_and_error(void)
{
    const hk_error *error = NULL;
    const hk_error *again = NULL;
    struct hkt_led led;

    hkt_led_through(&led, HK_FAILED);
    HKT_STATUS(hk_future_result(led.future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_OK(hk_future_error(led.future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_EQ_INT(error->app_code, HKT_APP_CODE);
    HKT_EQ_STR(error->message, HKT_MESSAGE);
    HKT_OK(hk_future_error(led.future, HK_FOREVER, &again));
    HKT_EQ_PTR(again, error);
    hkt_led_close(&led);
}

static void a_done_task_has_its_value_as_often_as_asked(void)
{
    const hk_error *error = (const hk_error *)(const void *)&error;
    const void *first = NULL;
    const void *second = NULL;
    struct hkt_led led;

    hkt_led_through(&led, HK_DONE);
    HKT_OK(hk_future_result(led.future, HK_FOREVER, &first, NULL));
    HKT_OK(hk_future_result(led.future, 0, &second, NULL));
    HKT_EQ_PTR(second, first);
    HKT_EQ_INT(hkt_peek_int(led.future), HKT_VALUE);
    HKT_OK(hk_future_error(led.future, 0, &error));
    HKT_EQ_PTR(error, NULL);
    hkt_led_close(&led);
}

/* --- FS17 to FS19: sleepers --- */

struct sleeper {
    struct hkt_thread thread;
    hk_future *future;
    const hk_error *error;
    hk_status result;
    hk_status read;
};

static void read_it(void *arg)
{
    struct sleeper *sleeper = arg;

    sleeper->result = hk_future_result(sleeper->future, HK_FOREVER, NULL, NULL);
    sleeper->read = hk_future_error(sleeper->future, HK_FOREVER, &sleeper->error);
}

static void wake_a_sleeper(hk_state end, hk_status expected)
{
    struct sleeper sleeper = {0};
    struct hkt_plug plug;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_UNFINISHED);
        return;
    }
    hkt_fill(&plug);
    HKT_OK_FATAL(hk_submit(hkt_executor, end == HK_FAILED ? hkt_fails : hkt_nothing, NULL, 0, NULL,
                           &sleeper.future));
    hkt_thread_start(&sleeper.thread, read_it, &sleeper);
    hkt_thread_await_sleep(&sleeper.thread);
    if (end == HK_CANCELLED) {
        HKT_OK(hk_future_cancel(sleeper.future, HK_CANCEL_PENDING));
    }
    hkt_plug_pull(&plug);
    HKT_OK(hk_future_wait(sleeper.future, HK_FOREVER));
    hkt_thread_join(&sleeper.thread);
    HKT_STATUS(sleeper.result, expected);
    HKT_STATUS(sleeper.read, end == HK_CANCELLED ? HK_ECANCELED : HK_OK);
    HKT_TRUE((sleeper.error != NULL) == (end == HK_FAILED));
    hk_future_unref(sleeper.future);
}

static void a_sleeper_wakes_with_the_value(void)
{
    wake_a_sleeper(HK_DONE, HK_OK);
}

static void a_sleeper_wakes_with_the_cancel(void)
{
    wake_a_sleeper(HK_CANCELLED, HK_ECANCELED);
}

static void a_sleeper_wakes_with_the_failure(void)
{
    wake_a_sleeper(HK_FAILED, HK_EFAILED);
}

/* --- FS24 to FS26: describing --- */

static void a_description_tells_task_and_state(void)
{
    static const char *const words[] = {"finished", "failed", "cancelled"};
    char text[256];

    for (int i = 0; i < 3; i++) {
        struct hkt_led led;
        char address[32];

        hkt_led_through(&led, ends[i]);
        HKT_OK(hk_future_wait(led.future, HK_FOREVER));
        HKT_TRUE(hk_future_describe(led.future, text, sizeof(text)) < sizeof(text));
        snprintf(address, sizeof(address), "%p", (void *)led.future);
        HKT_TRUE(strstr(text, address) != NULL);
        HKT_TRUE(strstr(text, "hkt_follows_its_script") != NULL);
        HKT_TRUE(strstr(text, words[i]) != NULL);
        hkt_led_close(&led);
    }
}

static void a_snapshot_of_the_unfinished_is_empty(void)
{
    struct hkt_plug plug;
    hk_future_view view;
    hk_future *future;

    if (hkt_is_inline()) {
        hkt_not_here(NEVER_UNFINISHED);
        return;
    }
    hkt_fill(&plug);
    future = hkt_submit_int(hkt_executor, hkt_square, 5);
    HKT_OK(hk_future_snapshot(future, &view));
    HKT_EQ_INT(view.state, HK_PENDING);
    HKT_EQ_PTR(view.value, NULL);
    HKT_EQ_PTR(view.error, NULL);
    hkt_plug_pull(&plug);
    HKT_EQ_INT(hkt_take_int(future), 25);
}

static void a_snapshot_of_the_ended_shows_one_thing(void)
{
    for (int i = 0; i < 3; i++) {
        struct hkt_led led;
        hk_future_view view;

        hkt_led_through(&led, ends[i]);
        HKT_OK(hk_future_wait(led.future, HK_FOREVER));
        HKT_OK(hk_future_snapshot(led.future, &view));
        HKT_EQ_INT(view.state, ends[i]);
        HKT_TRUE((view.value != NULL) == (ends[i] == HK_DONE));
        HKT_TRUE((view.error != NULL) == (ends[i] == HK_FAILED));
        hkt_led_close(&led);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("FS01 a queued task is pending", a_queued_task_is_pending),
    HKT_CASE("FS03 a task under way is running alone", a_task_under_way_is_running_alone),
    HKT_CASE("FS04 FS05 each end is done, and its own state alone",
             each_end_is_done_and_its_own_state_alone),
    HKT_CASE("FS06 FS08 cancelling a queued task ends it once", cancelling_a_queued_task_ends_it),
    HKT_CASE("FS07 a running task is not cancelled as pending",
             a_running_task_is_not_cancelled_as_pending),
    HKT_CASE("FS08 cancelling what is cancelled is fine", cancelling_twice_is_fine),
    HKT_CASE("FS09 what has ended is not cancelled", what_has_ended_is_not_cancelled),
    HKT_CASE("FS10 FS14 polling an unfinished task changes nothing",
             polling_an_unfinished_task_changes_nothing),
    HKT_CASE("FS11 FS15 a cancelled task has neither value nor error",
             a_cancelled_task_has_neither_value_nor_error),
    HKT_CASE("FS12 FS16 a failed task has status and error", a_failed_task_has_status_and_error),
    HKT_CASE("FS13 FS16 a done task has its value as often as asked",
             a_done_task_has_its_value_as_often_as_asked),
    HKT_CASE("FS17 a sleeper wakes with the value", a_sleeper_wakes_with_the_value),
    HKT_CASE("FS18 a sleeper wakes with the cancel", a_sleeper_wakes_with_the_cancel),
    HKT_CASE("FS19 a sleeper wakes with the failure", a_sleeper_wakes_with_the_failure),
    HKT_CASE("FS24 a description tells task and state", a_description_tells_task_and_state),
    HKT_CASE("FS25 a snapshot of the unfinished is empty", a_snapshot_of_the_unfinished_is_empty),
    HKT_CASE("FS26 a snapshot of the ended shows one thing",
             a_snapshot_of_the_ended_shows_one_thing),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_future",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
