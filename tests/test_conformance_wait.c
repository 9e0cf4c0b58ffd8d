/* SPDX-License-Identifier: MIT */
/*
 * Cases WT and AC of docs/contract.md with the futures of every executor; test_wait.c and
 * test_completion.c ask the same of promises. What must not have ended stands still (inline a
 * promise does, beside the executor's ended futures).
 */
#include <string.h>

#include "tests/led_fixture.h"

enum { MOST = 4 };

static void expect_wait(struct hkt_led *leds, size_t count, hk_wait_for what, hk_duration timeout,
                        hk_status expected, unsigned mask)
{
    hk_future *futures[MOST] = {NULL};
    bool done[MOST];
    size_t ended = 99;

    for (size_t i = 0; i < count; i++) {
        futures[i] = leds[i].future;
    }
    HKT_STATUS(hk_wait(futures, count, what, timeout, done, &ended), expected);
    for (size_t i = 0; i < count; i++) {
        HKT_EQ_INT(done[i], (mask >> i & 1U) != 0);
    }
    HKT_EQ_INT(ended, (size_t)__builtin_popcount(mask));
}

/* The given ends and, behind them, one that stands still. */
static void open_leds(struct hkt_led *leds, const hk_state *ends, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hkt_led_through(&leds[i], ends[i]);
        HKT_OK(hk_future_wait(leds[i].future, HK_FOREVER));
    }
    hkt_led_begin(&leds[count]);
}

static void close_leds(struct hkt_led *leds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hkt_led_close(&leds[i]);
    }
}

/* --- WT --- */

static void one_that_stands_there_twice_counts_once(void)
{
    struct hkt_led leds[2];

    hkt_led_through(&leds[0], HK_DONE);
    leds[1] = leds[0];
    for (int what = HK_ALL_COMPLETED; what <= HK_FIRST_ERROR; what++) {
        expect_wait(leds, 2, (hk_wait_for)what, HK_FOREVER, HK_OK, 3);
    }
    hkt_led_close(&leds[0]);
}

static void the_first_is_enough(void)
{
    struct hkt_led leds[2];

    hkt_led_through(&leds[0], HK_DONE);
    hkt_led_begin(&leds[1]);
    expect_wait(leds, 2, HK_FIRST_COMPLETED, HK_FOREVER, HK_OK, 1);
    HKT_TRUE(!hk_future_has_ended(leds[1].future));
    close_leds(leds, 2);
}

static void a_cancelled_one_counts_at_once(void)
{
    struct hkt_led leds[2];
    struct hkt_plug plug;

    if (hkt_is_inline()) {
        hkt_led_through(&leds[0], HK_CANCELLED);
        expect_wait(leds, 1, HK_ALL_COMPLETED, 0, HK_OK, 1);
        hkt_led_close(&leds[0]);
        return;
    }
    hkt_fill(&plug);
    hkt_led_begin(&leds[0]);
    hkt_led_begin(&leds[1]);
    HKT_OK(hk_future_cancel(leds[0].future, HK_CANCEL_PENDING));
    expect_wait(leds, 2, HK_FIRST_COMPLETED, 0, HK_OK, 1);
    expect_wait(leds, 1, HK_ALL_COMPLETED, 0, HK_OK, 1);
    hkt_plug_pull(&plug);
    close_leds(leds, 2);
}

static void those_that_have_ended_are_told_at_once(void)
{
    static const hk_state ends[] = {HK_CANCELLED, HK_DONE, HK_FAILED};
    struct hkt_led leds[MOST];

    open_leds(leds, ends, 3);
    expect_wait(leds, 4, HK_FIRST_COMPLETED, HK_FOREVER, HK_OK, 7);
    expect_wait(leds, 4, HK_FIRST_COMPLETED, 0, HK_OK, 7);
    close_leds(leds, 4);
}

static void the_first_error_is_enough(void)
{
    static const hk_state ends[] = {HK_DONE};
    struct hkt_led leds[3];

    open_leds(leds, ends, 1);
    hkt_led_end(&leds[1], HK_FAILED);
    hkt_led_begin(&leds[2]);
    expect_wait(leds, 3, HK_FIRST_ERROR, HK_FOREVER, HK_OK, 3);
    HKT_TRUE(!hk_future_has_ended(leds[2].future));
    close_leds(leds, 3);
}

static void one_that_has_failed_is_told_at_once(void)
{
    static const hk_state ends[] = {HK_FAILED};
    struct hkt_led leds[2];

    open_leds(leds, ends, 1);
    expect_wait(leds, 2, HK_FIRST_ERROR, HK_FOREVER, HK_OK, 1);
    expect_wait(leds, 2, HK_FIRST_ERROR, 0, HK_OK, 1);
    close_leds(leds, 2);
}

static void without_a_failure_all_are_waited_for(void)
{
    static const hk_state ends[] = {HK_CANCELLED, HK_DONE};
    struct hkt_led leds[3];

    open_leds(leds, ends, 2);
    expect_wait(leds, 3, HK_FIRST_ERROR, 0, HK_ETIMEDOUT, 3);
    hkt_led_end(&leds[2], HK_DONE);
    expect_wait(leds, 3, HK_FIRST_ERROR, HK_FOREVER, HK_OK, 7);
    close_leds(leds, 3);
}

static void all_are_waited_for_failures_included(void)
{
    static const hk_state ends[] = {HK_FAILED, HK_CANCELLED};
    struct hkt_led leds[3];

    open_leds(leds, ends, 2);
    expect_wait(leds, 3, HK_ALL_COMPLETED, 0, HK_ETIMEDOUT, 3);
    hkt_led_end(&leds[2], HK_DONE);
    expect_wait(leds, 3, HK_ALL_COMPLETED, HK_FOREVER, HK_OK, 7);
    close_leds(leds, 3);
}

static void the_mask_tells_what_had_ended_in_time(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED};
    struct hkt_led leds[3];

    open_leds(leds, ends, 2);
    expect_wait(leds, 3, HK_ALL_COMPLETED, HK_MS(2), HK_ETIMEDOUT, 3);
    HKT_TRUE(!hk_future_has_ended(leds[2].future));
    hkt_led_end(&leds[2], HK_DONE);
    HKT_OK(hk_future_wait(leds[2].future, HK_FOREVER)); /* It went on. */
    HKT_EQ_INT(hkt_peek_int(leds[2].future), HKT_VALUE);
    close_leds(leds, 3);
}

static void an_unknown_condition_is_refused(void)
{
    bool done[1] = {true};
    size_t ended = 99;
    struct hkt_led led;

    hkt_led_through(&led, HK_DONE);
    HKT_STATUS(hk_wait(&led.future, 1, (hk_wait_for)3, 0, done, &ended), HK_EINVAL);
    HKT_STATUS(hk_wait(&led.future, 1, HK_ALL_COMPLETED, -2, done, &ended), HK_EINVAL);
    HKT_TRUE(done[0]);
    HKT_EQ_INT(ended, 99);
    hkt_led_close(&led);
}

static void futures_of_different_executors_mix(void)
{
    hk_executor *other = NULL;
    struct hkt_pair pair;
    hk_future *futures[4];
    size_t ended = 0;

    if (hkt_is_replay()) {
        HKT_OK_FATAL(hk_replay_create(7, NULL, &other));
    } else {
        HKT_OK_FATAL(hk_executor_open("threads:2", &other));
    }
    hkt_pair_open_in(&pair, HK_DONE);
    futures[0] = hkt_submit_int(hkt_executor, hkt_square, 2);
    futures[1] = hkt_submit_int(other, hkt_square, 3);
    futures[2] = hk_future_ref(pair.future);
    HKT_OK_FATAL(hk_settle_all(futures, 3, &futures[3]));
    HKT_OK(hk_wait(futures, 4, HK_ALL_COMPLETED, HK_FOREVER, NULL, &ended));
    HKT_EQ_INT(ended, 4);
    HKT_OK(hk_wait(NULL, 0, HK_ALL_COMPLETED, HK_FOREVER, NULL, &ended));
    HKT_EQ_INT(ended, 0);
    for (int i = 0; i < 4; i++) {
        hk_future_unref(futures[i]);
    }
    hkt_pair_close(&pair);
    HKT_OK(hk_executor_destroy(other));
}

/* --- AC --- */

/* Two that have ended and one that has not, in so much time. */
static void deliver_in(hk_duration timeout)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED};
    struct hkt_led leds[3];
    hk_future *futures[3];
    hk_completion *completion = NULL;
    uintptr_t place = 9;

    open_leds(leds, ends, 2);
    for (int i = 0; i < 3; i++) {
        futures[i] = leds[i].future;
    }
    HKT_OK_FATAL(hk_as_completed(futures, 3, timeout, &completion));
    for (int i = 0; i < 2; i++) {
        hk_future *next = NULL;

        HKT_OK(hk_completion_next(completion, HK_FOREVER, &next, &place));
        HKT_EQ_INT(place, i);
        hk_future_unref(next);
    }
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_ETIMEDOUT);
    HKT_EQ_INT(hk_completion_outstanding(completion), 1); /* One of the three: AC06. */
    hk_completion_destroy(completion);
    close_leds(leds, 3);
}

static void with_no_time_what_has_ended_comes(void)
{
    deliver_in(0);
}

static void after_a_short_time_it_is_the_same(void)
{
    deliver_in(HK_MS(3));
}

static void one_given_three_times_comes_once(void)
{
    struct hkt_led led;
    hk_future *futures[3];
    hk_future *next = NULL;
    hk_completion *completion = NULL;
    uintptr_t place = 9;

    hkt_led_through(&led, HK_DONE);
    futures[0] = futures[1] = futures[2] = led.future;
    HKT_OK_FATAL(hk_as_completed(futures, 3, HK_FOREVER, &completion));
    HKT_OK(hk_completion_next(completion, HK_FOREVER, &next, &place));
    HKT_EQ_PTR(next, led.future);
    HKT_EQ_INT(place, 0);
    hk_future_unref(next);
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    hk_completion_destroy(completion);
    hkt_led_close(&led);
}

static CU_TestInfo tests[] = {
    HKT_CASE("WT01 one that stands there twice counts once",
             one_that_stands_there_twice_counts_once),
    HKT_CASE("WT02 the first is enough", the_first_is_enough),
    HKT_CASE("WT03 a cancelled one counts at once", a_cancelled_one_counts_at_once),
    HKT_CASE("WT04 those that have ended are told at once", those_that_have_ended_are_told_at_once),
    HKT_CASE("WT05 the first error is enough", the_first_error_is_enough),
    HKT_CASE("WT07 one that has failed is told at once", one_that_has_failed_is_told_at_once),
    HKT_CASE("WT08 without a failure all are waited for", without_a_failure_all_are_waited_for),
    HKT_CASE("WT09 all are waited for, failures included", all_are_waited_for_failures_included),
    HKT_CASE("WT10 the mask tells what had ended in time", the_mask_tells_what_had_ended_in_time),
    HKT_CASE("WT12 an unknown condition is refused", an_unknown_condition_is_refused),
    HKT_CASE("WT13 futures of different executors mix", futures_of_different_executors_mix),
    HKT_CASE("AC02 AC06 with no time what has ended comes", with_no_time_what_has_ended_comes),
    HKT_CASE("AC03 AC06 after a short time it is the same", after_a_short_time_it_is_the_same),
    HKT_CASE("AC04 one given three times comes once", one_given_three_times_comes_once),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_wait",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
