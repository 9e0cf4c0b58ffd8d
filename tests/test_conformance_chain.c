/* SPDX-License-Identifier: MIT */
/*
 * Chains and groups over the futures of every executor: cases XM04 and XM05 of docs/contract.md,
 * and EC about errors that cross them.
 */
#include <string.h>

#include "tests/led_fixture.h"

static hk_status add_one(hk_future *source, hk_promise *result, void *arg)
{
    (void)arg;
    return hkt_set_int(result, hkt_peek_int(source) + 1);
}

static hk_status recover(hk_future *source, hk_promise *result, void *arg)
{
    const hk_error *error = NULL;

    (void)arg;
    HKT_OK(hk_future_error(source, 0, &error));
    return hkt_set_int(result, error == NULL ? -1 : error->app_code);
}

static hk_status fail_again(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)arg;
    return hk_promise_fail(result, 70, "the handler failed too");
}

static hk_status go_on_with(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    return hk_promise_follow(result, arg);
}

static hk_status follow_itself(hk_future *source, hk_promise *result, void *arg)
{
    hk_future **own = arg;

    (void)source;
    HKT_STATUS(hk_promise_follow(result, *own), HK_EDEADLK);
    return hkt_set_int(result, 8);
}

/* --- XM04 --- */

static void a_value_passes_and_an_error_skips(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 3; i++) {
        struct hkt_led led;
        hk_future *step = NULL;
        hk_future *caught = NULL;

        hkt_led_begin(&led);
        HKT_OK_FATAL(hk_then(led.future, NULL, add_one, NULL, &step));
        HKT_OK_FATAL(hk_catch(step, NULL, recover, NULL, &caught));
        hkt_led_end(&led, ends[i]);
        HKT_OK(hk_future_wait(caught, HK_FOREVER));
        HKT_EQ_INT(hk_future_state(step), ends[i]);
        if (ends[i] == HK_CANCELLED) {
            HKT_EQ_INT(hk_future_state(caught), HK_CANCELLED);
        } else {
            HKT_EQ_INT(hkt_peek_int(caught), ends[i] == HK_DONE ? HKT_VALUE + 1 : HKT_APP_CODE);
        }
        (void)hk_future_why(step);
        hk_future_unref(caught);
        hk_future_unref(step);
        hkt_led_close(&led);
    }
}

static void a_failing_handler_replaces_the_error(void)
{
    struct hkt_led led;
    hk_future *caught = NULL;
    const hk_error *error = NULL;

    hkt_led_begin(&led);
    HKT_OK_FATAL(hk_catch(led.future, NULL, fail_again, NULL, &caught));
    hkt_led_end(&led, HK_FAILED);
    HKT_OK_FATAL(hk_future_error(caught, HK_FOREVER, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_EQ_INT(error->app_code, 70);
    hk_future_unref(caught);
    hkt_led_close(&led);
}

static void a_step_may_go_on_with_another_task(void)
{
    struct hkt_led led;
    hk_future *other = hkt_submit_int(hkt_executor, hkt_square, 12);
    hk_future *step = NULL;

    hkt_led_begin(&led);
    HKT_OK_FATAL(hk_then(led.future, NULL, go_on_with, other, &step));
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(step, HK_FOREVER));
    HKT_EQ_INT(hkt_peek_int(step), 144);
    hk_future_unref(step);
    hk_future_unref(other);
    hkt_led_close(&led);
}

static void a_ring_is_refused(void)
{
    struct hkt_led led;
    hk_future *step = NULL;

    hkt_led_begin(&led);
    HKT_OK_FATAL(hk_then(led.future, NULL, follow_itself, &step, &step));
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(step, HK_FOREVER));
    HKT_EQ_INT(hkt_peek_int(step), 8);
    hk_future_unref(step);
    hkt_led_close(&led);
}

/* --- XM05 --- */

static void a_group_of_none_is_done(void)
{
    hk_future *all = NULL;

    HKT_OK_FATAL(hk_when_all(NULL, 0, &all));
    HKT_EQ_INT(hk_future_state(all), HK_DONE);
    hk_future_unref(all);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 2)), 4);
}

static void the_first_failure_cancels_the_rest(void)
{
    struct hkt_led failing;
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    hk_future *futures[3];
    hk_future *all = NULL;
    struct hkt_plug plug = {.count = 0};
    struct hkt_pair pair;

    /* All workers but that of the failing task stand still, and what it cancels is queued. */
    if (!hkt_is_inline() && hkt_worker_count() > 1) {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count() - 1);
    }
    hkt_led_begin(&failing);
    if (!hkt_is_inline()) {
        hkt_led_runs(&failing);
    }
    hkt_pair_open(&pair);
    futures[0] = failing.future;
    futures[1] = hkt_is_inline() ? hk_future_ref(pair.future)
                                 : hkt_submit_pointer(hkt_executor, hkt_counts, runs);
    futures[2] = hkt_is_inline() ? hk_future_ref(pair.future)
                                 : hkt_submit_pointer(hkt_executor, hkt_counts, runs);
    HKT_OK_FATAL(hk_when_all(futures, 3, &all));
    hkt_led_end(&failing, HK_FAILED);
    HKT_STATUS(hk_future_result(all, HK_FOREVER, NULL, NULL), HK_EFAILED);
    if (plug.count != 0) {
        hkt_plug_pull(&plug);
    }
    HKT_OK(hk_wait(futures, 3, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL));
    /* One worker may have begun the next before the failure was passed on; none is lost. */
    HKT_TRUE(hk_future_state(futures[2]) == HK_CANCELLED || atomic_load(runs) > 0);
    if (hkt_is_inline()) {
        HKT_EQ_INT(hk_future_state(futures[1]), HK_CANCELLED);
    }
    hk_future_unref(futures[1]);
    hk_future_unref(futures[2]);
    hk_future_unref(all);
    hkt_pair_close(&pair);
    hkt_led_close(&failing);
}

static void cancelling_the_whole_cancels_the_parts(void)
{
    struct hkt_plug plug = {.count = 0};
    struct hkt_led parts[2];
    hk_future *futures[2];
    hk_future *all = NULL;

    if (!hkt_is_inline()) {
        hkt_fill(&plug);
    }
    for (int i = 0; i < 2; i++) {
        hkt_led_begin(&parts[i]);
        futures[i] = parts[i].future;
    }
    HKT_OK_FATAL(hk_when_all(futures, 2, &all));
    HKT_OK(hk_future_cancel(all, HK_CANCEL_PENDING));
    for (int i = 0; i < 2; i++) {
        HKT_EQ_INT(hk_future_state(futures[i]), HK_CANCELLED);
    }
    HKT_EQ_INT(hk_future_state(all), HK_CANCELLED);
    if (plug.count != 0) {
        hkt_plug_pull(&plug);
    }
    hk_future_unref(all);
    hkt_led_close(&parts[0]);
    hkt_led_close(&parts[1]);
}

/* --- EC: errors --- */

HK_TASK(returns_a_status)
{
    int status = 0;

    memcpy(&status, in, sizeof(status));
    return (hk_status)status;
}

static void every_status_of_a_task_arrives_as_its_cause(void)
{
    static const hk_status causes[] = {HK_ENOMEM, HK_ETIMEDOUT, HK_EDEADLINE, HK_EWORKER,
                                       HK_EINIT,  HK_EBROKEN,   HK_EDONE,     HK_ESYS};

    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        hk_future *future = hkt_submit_int(hkt_executor, returns_a_status, causes[i]);
        const hk_error *error = NULL;

        /* Whatever it is: the task failed, and nobody's clock or worker did. */
        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
        HKT_OK_FATAL(hk_future_error(future, 0, &error));
        HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
        HKT_STATUS(error->cause->status, causes[i]);
        HKT_EQ_PTR(error->cause->cause, NULL);
        hk_future_unref(future);
    }
}

enum { LONG_BYTES = 20000 };

HK_TASK(fails_at_length)
{
    static char text[LONG_BYTES];

    memset(text, 'x', sizeof(text) - 1);
    return hk_fail(call, INT32_MIN, "%s", text);
}

static void a_long_message_is_cut_and_not_lost(void)
{
    hk_future *future = hkt_submit_int(hkt_executor, fails_at_length, 0);
    const hk_error *error = NULL;
    size_t length;

    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_EQ_INT(error->app_code, INT32_MIN);
    length = strlen(error->message);
    HKT_TRUE(length > 100 && length < LONG_BYTES);
    HKT_EQ_INT(strspn(error->message, "x"), length);
    hk_future_unref(future);
}

static void an_error_outlives_what_it_passed_through(void)
{
    struct hkt_led led;
    hk_future *steps[6] = {NULL};
    const hk_error *error = NULL;

    hkt_led_begin(&led);
    HKT_OK_FATAL(hk_then(led.future, NULL, add_one, NULL, &steps[0]));
    for (int i = 1; i < 6; i++) {
        HKT_OK_FATAL(hk_then(steps[i - 1], NULL, add_one, NULL, &steps[i]));
    }
    hkt_led_end(&led, HK_FAILED);
    HKT_STATUS(hk_future_result(steps[5], HK_FOREVER, NULL, NULL), HK_EFAILED);
    hkt_led_close(&led);
    for (int i = 0; i < 5; i++) {
        hk_future_unref(steps[i]);
    }
    HKT_OK(hk_executor_destroy(hkt_executor));
    HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &hkt_executor));
    HKT_OK_FATAL(hk_future_error(steps[5], 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_EQ_INT(error->app_code, HKT_APP_CODE);
    HKT_EQ_STR(error->message, HKT_MESSAGE);
    hk_future_unref(steps[5]);
}

static CU_TestInfo tests[] = {
    HKT_CASE("XM04 a value passes, and an error skips", a_value_passes_and_an_error_skips),
    HKT_CASE("XM04 a failing handler replaces the error", a_failing_handler_replaces_the_error),
    HKT_CASE("XM04 a step may go on with another task", a_step_may_go_on_with_another_task),
    HKT_CASE("XM04 a ring is refused", a_ring_is_refused),
    HKT_CASE("XM05 a group of none is done", a_group_of_none_is_done),
    HKT_CASE("XM05 the first failure cancels the rest", the_first_failure_cancels_the_rest),
    HKT_CASE("XM05 cancelling the whole cancels the parts", cancelling_the_whole_cancels_the_parts),
    HKT_CASE("EC01 every status of a task arrives as its cause",
             every_status_of_a_task_arrives_as_its_cause),
    HKT_CASE("EC02 a long message is cut and not lost", a_long_message_is_cut_and_not_lost),
    HKT_CASE("EC03 an error outlives what it passed through",
             an_error_outlives_what_it_passed_through),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_chain",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
