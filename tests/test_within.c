/* SPDX-License-Identifier: MIT */
/* Futures with a time limit. No verdict here depends on how long anything takes:
 * either the source can never end, or the limit is far away. */
#include "tests/promise_fixture.h"

enum { FAR_AWAY_SECONDS = 100000 };

static void within_the_limit_it_ends_as_its_source(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 6; i++) {
        hk_state end = ends[i % 3];
        bool already = i >= 3;
        hk_status expected = HK_ECANCELED;
        struct hkt_pair pair;
        hk_future *limited = NULL;

        hkt_pair_open_in(&pair, already ? end : HK_PENDING);
        HKT_OK_FATAL(hk_within(pair.future, HK_SEC(FAR_AWAY_SECONDS), &limited));
        if (!already) {
            HKT_TRUE(!hk_future_has_ended(limited));
            hkt_pair_end(&pair, end);
        }
        if (end == HK_DONE) {
            HKT_EQ_INT(hkt_peek_int(limited), HKT_VALUE);
            expected = HK_OK;
        } else if (end == HK_FAILED) {
            expected = HK_EFAILED;
        }
        HKT_STATUS(hk_future_result(limited, 0, NULL, NULL), expected);
        hk_future_unref(limited);
        hkt_pair_close(&pair);
    }
}

static bool has_fired(void *arg)
{
    return hk_cancel_token_is_fired(arg);
}

static void expect_overrun(hk_state before, hk_duration limit)
{
    const hk_error *error = NULL;
    hk_cancel_token *token = NULL;
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open_in(&pair, before);
    HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
    HKT_OK_FATAL(hk_within(pair.future, limit, &limited));
    HKT_STATUS(hk_future_result(limited, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    HKT_EQ_INT(hk_future_state(limited), HK_FAILED);
    HKT_OK(hk_future_error(limited, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EDEADLINE);
    /* The source is then asked to stop; one that has not started ends here. */
    if (before == HK_PENDING) {
        HKT_OK(hk_future_wait(pair.future, HK_FOREVER));
    }
    HKT_TRUE(hkt_eventually(has_fired, token));
    HKT_EQ_INT(hk_future_state(pair.future), before == HK_PENDING ? HK_CANCELLED : HK_RUNNING);
    hk_future_unref(limited);
    hkt_pair_close(&pair);
}

static void when_the_limit_comes_first_it_fails(void)
{
    expect_overrun(HK_PENDING, HK_MS(2));
    expect_overrun(HK_RUNNING, HK_MS(2));
}

/* --- Without a limit nothing but its source ends it --- */

static void without_a_limit_a_ring_is_found(void)
{
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_within(pair.future, HK_FOREVER, &limited));
    HKT_STATUS(hk_promise_follow(pair.promise, limited), HK_EDEADLK);
    HKT_OK(hkt_set_int(pair.promise, 5));
    HKT_EQ_INT(hkt_peek_int(limited), 5);
    hk_future_unref(limited);
    hkt_pair_close(&pair);
}

struct own_end {
    struct hkt_gate gate;
    hk_future *limited;
};

HK_TASK(waits_for_its_own_end)
{
    struct own_end *own = hkt_pointer(in, in_size);

    hkt_gate_wait(&own->gate);
    HKT_STATUS(hk_future_wait(own->limited, HK_FOREVER), HK_EDEADLK);
    return HK_OK;
}

static void without_a_limit_a_wait_for_oneself_is_refused(void)
{
    struct own_end own = {.limited = NULL};
    hk_executor *pool = NULL;
    hk_future *future;

    hkt_gate_init(&own.gate, "its future is known");
    HKT_OK_FATAL(hk_executor_open("threads:1", &pool));
    future = hkt_submit_pointer(pool, waits_for_its_own_end, &own);
    HKT_OK_FATAL(hk_within(future, HK_FOREVER, &own.limited));
    hkt_gate_open(&own.gate);
    hkt_expect_end(future, HK_OK);
    hk_future_unref(own.limited);
    HKT_OK(hk_executor_destroy(pool));
    hkt_gate_fini(&own.gate);
}

static void no_time_at_all_takes_only_what_has_ended(void)
{
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK_FATAL(hk_within(pair.future, 0, &limited));
    HKT_EQ_INT(hkt_peek_int(limited), HKT_VALUE);
    hk_future_unref(limited);
    hkt_pair_close(&pair);
    expect_overrun(HK_PENDING, 0);
    expect_overrun(HK_RUNNING, 0);
}

static void without_a_limit_it_only_follows(void)
{
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_within(pair.future, HK_FOREVER, &limited));
    HKT_TRUE(!hk_future_has_ended(limited));
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(hkt_peek_int(limited), HKT_VALUE);
    hk_future_unref(limited);
    hkt_pair_close(&pair);
}

static void an_end_after_the_limit_changes_nothing(void)
{
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open_in(&pair, HK_RUNNING);
    HKT_OK_FATAL(hk_within(pair.future, HK_NS(1), &limited));
    HKT_OK(hk_future_wait(limited, HK_FOREVER));
    hkt_pair_end(&pair, HK_DONE);
    HKT_STATUS(hk_future_result(limited, 0, NULL, NULL), HK_EDEADLINE);
    HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
    hk_future_unref(limited);
    hkt_pair_close(&pair);
}

static void cancelling_it_cancels_its_source(void)
{
    hk_cancel_token *token = NULL;
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_within(pair.future, HK_SEC(FAR_AWAY_SECONDS), &limited));
    HKT_OK(hk_future_cancel(limited, HK_CANCEL_REQUEST));
    HKT_EQ_INT(hk_future_state(pair.future), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(limited), HK_CANCELLED);
    hk_future_unref(limited);
    hkt_pair_close(&pair);

    limited = NULL;
    hkt_pair_open_in(&pair, HK_RUNNING);
    HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
    HKT_OK_FATAL(hk_within(pair.future, HK_SEC(FAR_AWAY_SECONDS), &limited));
    HKT_OK(hk_future_cancel(limited, HK_CANCEL_REQUEST));
    HKT_TRUE(hk_cancel_token_is_fired(token));
    hk_future_unref(limited);
    hkt_pair_close(&pair);
}

static void one_nobody_holds_leaves_its_source_alone(void)
{
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_within(pair.future, HK_SEC(FAR_AWAY_SECONDS), &limited));
    hk_future_unref(limited);
    HKT_EQ_INT(hk_future_state(pair.future), HK_PENDING);
    hkt_pair_end(&pair, HK_DONE);
    hkt_pair_close(&pair);
}

static void what_makes_no_sense_is_refused(void)
{
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open(&pair);
    HKT_STATUS(hk_within(NULL, 1, &limited), HK_EINVAL);
    HKT_STATUS(hk_within(pair.future, -2, &limited), HK_EINVAL);
    HKT_STATUS(hk_within(pair.future, 1, NULL), HK_EINVAL);
    HKT_EQ_PTR(limited, NULL);
    hkt_pair_close(&pair);
}

/* --- Limits against ends ------------------------------------------------------------ */

enum { ROUNDS = 200 };

struct round {
    struct hkt_pair pair;
    int payload; /* Plain: who sees the value must see it. */
};

static void end_rounds(void *arg)
{
    struct round *rounds = arg;

    for (int i = 0; i < ROUNDS; i++) {
        rounds[i].payload = i + 1;
        /* Too late for some: what has not started is cancelled by its limit. */
        (void)hkt_set_int(rounds[i].pair.promise, i);
    }
}

static bool all_called(void *arg)
{
    return atomic_load((atomic_uint *)arg) >= ROUNDS;
}

static void each_ends_once_when_limits_race_with_ends(void)
{
    static struct round rounds[ROUNDS];
    static hk_future *limited[ROUNDS];
    struct hkt_thread ender;
    static atomic_uint calls;

    atomic_store(&calls, 0);
    for (int i = 0; i < ROUNDS; i++) {
        rounds[i].payload = 0;
        hkt_pair_open(&rounds[i].pair);
        HKT_OK_FATAL(hk_within(rounds[i].pair.future, HK_US(i % 20 * 50), &limited[i]));
        HKT_OK(hk_future_on_done(limited[i], NULL, hkt_count_call, &calls, NULL));
    }
    hkt_thread_start(&ender, end_rounds, rounds);
    for (int i = 0; i < ROUNDS; i++) {
        hk_status status = hk_future_result(limited[i], HK_FOREVER, NULL, NULL);

        HKT_TRUE(status == HK_OK || status == HK_EDEADLINE);
        if (status == HK_OK) {
            HKT_EQ_INT(rounds[i].payload, i + 1);
            HKT_EQ_INT(hkt_peek_int(limited[i]), i);
        }
    }
    hkt_thread_join(&ender);
    for (int i = 0; i < ROUNDS; i++) {
        hk_future_unref(limited[i]);
        HKT_OK(hk_future_wait(rounds[i].pair.future, HK_FOREVER));
        hkt_pair_close(&rounds[i].pair);
    }
    /* Waiters may wake before the callbacks have run. */
    HKT_TRUE_FATAL(hkt_eventually(all_called, &calls));
    HKT_EQ_INT(atomic_load(&calls), ROUNDS);
}

static CU_TestInfo tests[] = {
    HKT_CASE("within the limit it ends as its source", within_the_limit_it_ends_as_its_source),
    HKT_CASE("when the limit comes first it fails and its source is asked to stop",
             when_the_limit_comes_first_it_fails),
    HKT_CASE("no time at all takes only what has ended", no_time_at_all_takes_only_what_has_ended),
    HKT_CASE("without a limit it only follows", without_a_limit_it_only_follows),
    HKT_CASE("an end after the limit changes nothing", an_end_after_the_limit_changes_nothing),
    HKT_CASE("cancelling it cancels its source", cancelling_it_cancels_its_source),
    HKT_CASE("one nobody holds leaves its source alone", one_nobody_holds_leaves_its_source_alone),
    HKT_CASE("what makes no sense is refused", what_makes_no_sense_is_refused),
    HKT_CASE("each ends once when limits race with ends",
             each_ends_once_when_limits_race_with_ends),
    HKT_CASE("without a limit a ring is found", without_a_limit_a_ring_is_found),
    HKT_CASE("without a limit a wait for oneself is refused",
             without_a_limit_a_wait_for_oneself_is_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "within", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
