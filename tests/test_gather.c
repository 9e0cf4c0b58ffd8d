/* SPDX-License-Identifier: MIT */
/* Futures made from several: when_all, settle_all, when_any. Case XM05 of
 * docs/contract.md. */
#include <string.h>

#include "tests/promise_fixture.h"

enum { THREE = 3, MANY = 200 };

typedef hk_status gather_fn(const hk_site *site, hk_future *const *futures, size_t count,
                            hk_future **out);

static void expect_no_bytes(hk_future *future)
{
    size_t size = 99;

    HKT_OK(hk_future_result(future, 0, NULL, &size));
    HKT_EQ_INT(size, 0);
}

static void expect_failure(hk_future *future)
{
    const hk_error *error = NULL;

    HKT_OK(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_EQ_INT(error->app_code, HKT_APP_CODE);
    HKT_EQ_STR(error->message, HKT_MESSAGE);
}

static void expect_place(hk_future *future, size_t expected)
{
    const void *value = NULL;
    size_t size = 0;
    size_t place = 99;

    HKT_OK(hk_future_result(future, 0, &value, &size));
    HKT_EQ_INT(size, sizeof(place));
    if (value != NULL && size == sizeof(place)) {
        memcpy(&place, value, size);
    }
    HKT_EQ_INT(place, expected);
}

/* --- when_all --------------------------------------------------------------------- */

static void all_of_none_is_done_at_once(void)
{
    hk_future *all = NULL;

    HKT_OK_FATAL(hk_when_all(NULL, 0, &all));
    expect_no_bytes(all);
    hk_future_unref(all);
    all = NULL;
    HKT_OK_FATAL(hk_settle_all(NULL, 0, &all));
    expect_no_bytes(all);
    hk_future_unref(all);
}

static void all_is_done_when_every_one_is(void)
{
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_future *all = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    hkt_pair_end(&pairs[1], HK_DONE);
    HKT_OK_FATAL(hk_when_all(futures, THREE, &all));
    HKT_EQ_INT(hk_future_state(all), HK_PENDING);
    hkt_pair_end(&pairs[2], HK_DONE);
    HKT_TRUE(!hk_future_has_ended(all));
    hkt_pair_end(&pairs[0], HK_DONE);
    expect_no_bytes(all);
    hk_future_unref(all);
    hkt_pairs_close(pairs, THREE);
}

static void the_first_failure_fails_the_whole_and_cancels_the_rest(void)
{
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_cancel_token *token = NULL;
    hk_future *all = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    HKT_OK(hk_promise_start(pairs[2].promise));
    HKT_OK_FATAL(hk_promise_token(pairs[2].promise, &token));
    HKT_OK_FATAL(hk_when_all(futures, THREE, &all));
    hkt_pair_end(&pairs[1], HK_FAILED);
    expect_failure(all);
    HKT_EQ_INT(hk_future_state(futures[0]), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(futures[2]), HK_RUNNING);
    HKT_TRUE(hk_cancel_token_is_fired(token)); /* What runs is asked. */
    hkt_pair_end(&pairs[2], HK_FAILED);
    expect_failure(all);
    hk_future_unref(all);
    hkt_pairs_close(pairs, THREE);
}

static void the_first_cancel_cancels_the_whole_and_the_rest(void)
{
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_future *all = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    HKT_OK_FATAL(hk_when_all(futures, THREE, &all));
    hkt_pair_end(&pairs[0], HK_DONE);
    hkt_pair_end(&pairs[1], HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(all), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(futures[2]), HK_CANCELLED);
    HKT_EQ_INT(hkt_peek_int(futures[0]), HKT_VALUE);
    hk_future_unref(all);
    hkt_pairs_close(pairs, THREE);
}

static void what_had_failed_before_decides_at_once(void)
{
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_future *all = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    hkt_pair_end(&pairs[2], HK_FAILED);
    HKT_OK_FATAL(hk_when_all(futures, THREE, &all));
    expect_failure(all);
    HKT_EQ_INT(hk_future_state(futures[0]), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(futures[1]), HK_CANCELLED);
    hk_future_unref(all);
    hkt_pairs_close(pairs, THREE);
}

static void one_that_stands_there_twice_counts_as_it_should(void)
{
    struct hkt_pair pair;
    hk_future *twice[2];
    hk_future *all = NULL;
    hk_future *settled = NULL;
    hk_future *any = NULL;

    hkt_pair_open(&pair);
    twice[0] = twice[1] = pair.future;
    HKT_OK_FATAL(hk_when_all(twice, 2, &all));
    HKT_OK_FATAL(hk_settle_all(twice, 2, &settled));
    HKT_OK_FATAL(hk_when_any(twice, 2, &any));
    hkt_pair_end(&pair, HK_DONE);
    expect_no_bytes(all);
    expect_no_bytes(settled);
    expect_place(any, 0);
    hk_future_unref(all);
    hk_future_unref(settled);
    hk_future_unref(any);
    hkt_pair_close(&pair);
}

/* --- Cancelling the whole ---------------------------------------------------------- */

static void cancel_the_whole(gather_fn *gather)
{
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_cancel_token *token = NULL;
    hk_future *whole = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    hkt_pair_end(&pairs[0], gather == hk_when_any_at ? HK_FAILED : HK_DONE);
    HKT_OK(hk_promise_start(pairs[1].promise));
    HKT_OK_FATAL(hk_promise_token(pairs[1].promise, &token));
    HKT_OK_FATAL(gather(HK_SITE, futures, THREE, &whole));
    HKT_OK(hk_future_cancel(whole, HK_CANCEL_REQUEST));
    HKT_EQ_INT(hk_future_state(whole), HK_CANCELLED);
    HKT_TRUE(hk_future_state(futures[0]) != HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(futures[1]), HK_RUNNING);
    HKT_TRUE(hk_cancel_token_is_fired(token));
    HKT_EQ_INT(hk_future_state(futures[2]), HK_CANCELLED);
    hkt_pair_end(&pairs[1], HK_DONE);
    HKT_EQ_INT(hk_future_state(whole), HK_CANCELLED);
    hk_future_unref(whole);
    hkt_pairs_close(pairs, THREE);
}

static void cancelling_the_whole_cancels_the_parts(void)
{
    cancel_the_whole(hk_when_all_at);
    cancel_the_whole(hk_settle_all_at);
    cancel_the_whole(hk_when_any_at);
}

static void a_whole_nobody_holds_harms_nobody(void)
{
    gather_fn *const gathers[] = {hk_when_all_at, hk_settle_all_at, hk_when_any_at};

    for (int i = 0; i < 3; i++) {
        struct hkt_pair pairs[THREE];
        hk_future *futures[THREE];
        hk_future *whole = NULL;

        hkt_pairs_open(pairs, futures, THREE);
        HKT_OK_FATAL(gathers[i](HK_SITE, futures, THREE, &whole));
        hk_future_unref(whole);
        for (int j = 0; j < THREE; j++) {
            HKT_EQ_INT(hk_future_state(futures[j]), HK_PENDING);
            hkt_pair_end(&pairs[j], HK_DONE);
        }
        hkt_pairs_close(pairs, THREE);
    }
}

/* --- settle_all -------------------------------------------------------------------- */

static void settle_all_waits_for_every_one_however_it_ends(void)
{
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_future *settled = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    HKT_OK_FATAL(hk_settle_all(futures, THREE, &settled));
    hkt_pair_end(&pairs[0], HK_FAILED);
    hkt_pair_end(&pairs[1], HK_CANCELLED);
    HKT_TRUE(!hk_future_has_ended(settled));
    HKT_EQ_INT(hk_future_state(futures[2]), HK_PENDING);
    hkt_pair_end(&pairs[2], HK_DONE);
    expect_no_bytes(settled);
    hk_future_unref(settled);
    hkt_pairs_close(pairs, THREE);
}

/* --- when_any ---------------------------------------------------------------------- */

static void any_is_the_place_of_the_first_that_ends_well(void)
{
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_future *any = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    HKT_OK_FATAL(hk_when_any(futures, THREE, &any));
    hkt_pair_end(&pairs[0], HK_FAILED);
    HKT_TRUE(!hk_future_has_ended(any));
    hkt_pair_end(&pairs[2], HK_DONE);
    expect_place(any, 2);
    /* The others go on. */
    HKT_EQ_INT(hk_future_state(futures[1]), HK_PENDING);
    hkt_pair_end(&pairs[1], HK_DONE);
    expect_place(any, 2);
    hk_future_unref(any);
    hkt_pairs_close(pairs, THREE);
}

static void when_none_can_any_fails_with_the_last_failure(void)
{
    const hk_error *error = NULL;
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_future *any = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    HKT_OK_FATAL(hk_when_any(futures, THREE, &any));
    HKT_OK(hk_promise_fail(pairs[1].promise, 1, "an early failure"));
    hkt_pair_end(&pairs[0], HK_FAILED);
    hkt_pair_end(&pairs[2], HK_CANCELLED);
    HKT_OK(hk_future_error(any, 0, &error));
    HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
    HKT_EQ_STR(error->cause->message, HKT_MESSAGE);
    HKT_EQ_INT(error->cause->app_code, HKT_APP_CODE);
    hk_future_unref(any);
    hkt_pairs_close(pairs, THREE);
}

static void when_all_were_cancelled_any_is_cancelled(void)
{
    struct hkt_pair pairs[THREE];
    hk_future *futures[THREE];
    hk_future *any = NULL;

    hkt_pairs_open(pairs, futures, THREE);
    hkt_pair_end(&pairs[0], HK_CANCELLED);
    HKT_OK_FATAL(hk_when_any(futures, THREE, &any));
    hkt_pair_end(&pairs[1], HK_CANCELLED);
    HKT_TRUE(!hk_future_has_ended(any));
    hkt_pair_end(&pairs[2], HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(any), HK_CANCELLED);
    hk_future_unref(any);
    hkt_pairs_close(pairs, THREE);
}

static void what_makes_no_sense_is_refused(void)
{
    hk_future *holes[2] = {NULL, NULL};
    hk_future *out = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    holes[0] = pair.future;
    HKT_STATUS(hk_when_any(NULL, 0, &out), HK_EINVAL);
    HKT_STATUS(hk_when_all(NULL, 1, &out), HK_EINVAL);
    HKT_STATUS(hk_when_all(holes, 2, &out), HK_EINVAL);
    HKT_STATUS(hk_settle_all(holes, 2, &out), HK_EINVAL);
    HKT_STATUS(hk_when_any(holes, 2, &out), HK_EINVAL);
    HKT_STATUS(hk_when_all(holes, 1, NULL), HK_EINVAL);
    HKT_STATUS(hk_settle_all(holes, 1, NULL), HK_EINVAL);
    HKT_STATUS(hk_when_any(holes, 1, NULL), HK_EINVAL);
    HKT_EQ_PTR(out, NULL);
    hkt_pair_close(&pair);
}

/* --- Many, from several threads ----------------------------------------------------- */

struct enders {
    struct hkt_pair *pairs;
    int *payload; /* Plain: written before each end, read after the whole has ended. */
    int first;
    struct hkt_barrier *start;
};

static void end_every_second(void *arg)
{
    struct enders *enders = arg;

    hkt_barrier_wait(enders->start);
    for (int i = enders->first; i < MANY; i += 2) {
        enders->payload[i] = i + 1;
        hkt_pair_end(&enders->pairs[i], HK_DONE);
    }
}

static void all_sees_what_each_of_many_left(void)
{
    static struct hkt_pair pairs[MANY];
    static hk_future *futures[MANY];
    static int payload[MANY];
    struct hkt_barrier start;
    struct enders enders[2];
    struct hkt_thread threads[2];
    hk_future *all = NULL;

    memset(payload, 0, sizeof(payload));
    hkt_barrier_init(&start, 3, "ending many parts at once");
    hkt_pairs_open(pairs, futures, MANY);
    for (int i = 0; i < 2; i++) {
        enders[i] = (struct enders){pairs, payload, i, &start};
        hkt_thread_start(&threads[i], end_every_second, &enders[i]);
    }
    hkt_barrier_wait(&start);
    HKT_OK_FATAL(hk_when_all(futures, MANY, &all)); /* While they end. */
    HKT_OK(hk_future_wait(all, HK_FOREVER));
    for (int i = 0; i < MANY; i++) {
        HKT_EQ_INT(payload[i], i + 1);
    }
    expect_no_bytes(all);
    hk_future_unref(all);
    for (int i = 0; i < 2; i++) {
        hkt_thread_join(&threads[i]);
    }
    hkt_pairs_close(pairs, MANY);
    hkt_barrier_fini(&start);
}

static CU_TestInfo tests[] = {
    HKT_CASE("XM05 all of none is done at once", all_of_none_is_done_at_once),
    HKT_CASE("XM05 all is done when every one is", all_is_done_when_every_one_is),
    HKT_CASE("XM05 the first failure fails the whole and cancels the rest",
             the_first_failure_fails_the_whole_and_cancels_the_rest),
    HKT_CASE("the first cancel cancels the whole and the rest",
             the_first_cancel_cancels_the_whole_and_the_rest),
    HKT_CASE("what had failed before decides at once", what_had_failed_before_decides_at_once),
    HKT_CASE("one that stands there twice counts as it should",
             one_that_stands_there_twice_counts_as_it_should),
    HKT_CASE("XM05 cancelling the whole cancels the parts", cancelling_the_whole_cancels_the_parts),
    HKT_CASE("a whole nobody holds harms nobody", a_whole_nobody_holds_harms_nobody),
    HKT_CASE("settle_all waits for every one, however it ends",
             settle_all_waits_for_every_one_however_it_ends),
    HKT_CASE("when_any is the place of the first that ends well",
             any_is_the_place_of_the_first_that_ends_well),
    HKT_CASE("when none can, when_any fails with the last failure as cause",
             when_none_can_any_fails_with_the_last_failure),
    HKT_CASE("when all were cancelled, when_any is cancelled",
             when_all_were_cancelled_any_is_cancelled),
    HKT_CASE("what makes no sense is refused", what_makes_no_sense_is_refused),
    HKT_CASE("all sees what each of many left", all_sees_what_each_of_many_left),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "gather", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
