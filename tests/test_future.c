/* SPDX-License-Identifier: MIT */
/* The states of a future and how it moves between them: cases FS01 to FS09, FS23
 * to FS26 of docs/contract.md. Reading is in test_future_read.c. */
#include <stdio.h>
#include <string.h>

#include "tests/promise_fixture.h"

enum { STATES = 5 };

static const hk_state every_state[STATES] = {HK_PENDING, HK_RUNNING, HK_DONE, HK_FAILED,
                                             HK_CANCELLED};

/* Calls fn with a future in each state. */
static void in_every_state(void (*fn)(struct hkt_pair *pair, hk_state state))
{
    for (int i = 0; i < STATES; i++) {
        struct hkt_pair pair;

        hkt_pair_open_in(&pair, every_state[i]);
        fn(&pair, every_state[i]);
        hkt_pair_close(&pair);
    }
}

/* --- FS01 to FS05: states --- */

static void a_new_future_is_pending(void)
{
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_EQ_INT(hk_future_state(pair.future), HK_PENDING);
    HKT_TRUE(!hk_future_has_ended(pair.future));
    hkt_pair_close(&pair);
}

static void a_started_future_is_running(void)
{
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_promise_start(pair.promise));
    HKT_EQ_INT(hk_future_state(pair.future), HK_RUNNING);
    HKT_TRUE(!hk_future_has_ended(pair.future));
    hkt_pair_close(&pair);
}

static void expect_state(struct hkt_pair *pair, hk_state state)
{
    HKT_EQ_INT(hk_future_state(pair->future), state);
}

/* One state at a time: running only when RUNNING, cancelled only when CANCELLED. */
static void each_state_is_seen_as_itself_alone(void)
{
    in_every_state(expect_state);
}

static void expect_done(struct hkt_pair *pair, hk_state state)
{
    bool expected = state == HK_DONE || state == HK_FAILED || state == HK_CANCELLED;

    HKT_EQ_INT(hk_future_has_ended(pair->future), expected);
    HKT_STATUS(hk_future_wait(pair->future, 0), expected ? HK_OK : HK_ETIMEDOUT);
}

static void cancelled_failed_and_done_are_done(void)
{
    in_every_state(expect_done);
}

/* --- FS06 to FS09: cancelling --- */

static void cancelling_a_pending_future_ends_it(void)
{
    for (int level = HK_CANCEL_PENDING; level <= HK_CANCEL_KILL; level++) {
        struct hkt_pair pair;

        hkt_pair_open(&pair);
        HKT_OK(hk_future_cancel(pair.future, (hk_cancel_level)level));
        HKT_EQ_INT(hk_future_state(pair.future), HK_CANCELLED);
        hkt_pair_close(&pair);
    }
}

static void a_running_future_is_not_cancelled_as_pending(void)
{
    hk_cancel_token *token = NULL;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_RUNNING);
    HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
    HKT_STATUS(hk_future_cancel(pair.future, HK_CANCEL_PENDING), HK_ESTATE);
    HKT_EQ_INT(hk_future_state(pair.future), HK_RUNNING);
    HKT_TRUE(!hk_cancel_token_is_fired(token));
    hkt_pair_close(&pair);
}

static void a_stronger_cancel_asks_a_running_future_to_stop(void)
{
    for (int level = HK_CANCEL_REQUEST; level <= HK_CANCEL_KILL; level++) {
        hk_cancel_token *token = NULL;
        struct hkt_pair pair;

        hkt_pair_open_in(&pair, HK_RUNNING);
        HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
        HKT_OK(hk_future_cancel(pair.future, (hk_cancel_level)level));
        HKT_EQ_INT(hk_future_state(pair.future), HK_RUNNING);
        HKT_TRUE(hk_cancel_token_is_fired(token));
        /* It ends as the work really ended. */
        hkt_pair_end(&pair, HK_DONE);
        HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
        hkt_pair_close(&pair);
    }
}

static void cancelling_twice_changes_nothing(void)
{
    struct hkt_seen seen = {0};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    hkt_watch(pair.future, &seen);
    HKT_OK(hk_future_cancel(pair.future, HK_CANCEL_PENDING));
    for (int level = HK_CANCEL_PENDING; level <= HK_CANCEL_KILL; level++) {
        HKT_OK(hk_future_cancel(pair.future, (hk_cancel_level)level));
    }
    HKT_EQ_INT(hk_future_state(pair.future), HK_CANCELLED);
    HKT_EQ_INT(seen.calls, 1);
    hkt_pair_close(&pair);
}

static void a_finished_future_cannot_be_cancelled(void)
{
    const hk_error *before = NULL;
    const hk_error *after = NULL;
    struct hkt_pair done;
    struct hkt_pair failed;

    hkt_pair_open_in(&done, HK_DONE);
    hkt_pair_open_in(&failed, HK_FAILED);
    HKT_OK(hk_future_error(failed.future, 0, &before));
    for (int level = HK_CANCEL_PENDING; level <= HK_CANCEL_KILL; level++) {
        HKT_STATUS(hk_future_cancel(done.future, (hk_cancel_level)level), HK_ESTATE);
        HKT_STATUS(hk_future_cancel(failed.future, (hk_cancel_level)level), HK_ESTATE);
    }
    HKT_EQ_INT(hkt_peek_int(done.future), HKT_VALUE);
    HKT_EQ_INT(hk_future_state(failed.future), HK_FAILED);
    HKT_OK(hk_future_error(failed.future, 0, &after));
    HKT_EQ_PTR(after, before);
    HKT_EQ_INT(after->app_code, HKT_APP_CODE);
    hkt_pair_close(&done);
    hkt_pair_close(&failed);
}

static void an_absurd_cancel_is_refused(void)
{
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_STATUS(hk_future_cancel(NULL, HK_CANCEL_PENDING), HK_EINVAL);
    HKT_STATUS(hk_future_cancel(pair.future, (hk_cancel_level)3), HK_EINVAL);
    HKT_STATUS(hk_future_cancel(pair.future, (hk_cancel_level)-1), HK_EINVAL);
    HKT_EQ_INT(hk_future_state(pair.future), HK_PENDING);
    hkt_pair_close(&pair);
}

/* --- FS23: starting --- */

static void expect_start(struct hkt_pair *pair, hk_state state)
{
    hk_status expected = HK_ESTATE;

    if (state == HK_PENDING) {
        expected = HK_OK;
    } else if (state == HK_CANCELLED) {
        expected = HK_ECANCELED;
    }
    HKT_STATUS(hk_promise_start(pair->promise), expected);
    HKT_EQ_INT(hk_future_state(pair->future), state == HK_PENDING ? HK_RUNNING : state);
}

static void only_a_pending_future_can_be_started(void)
{
    in_every_state(expect_start);
    HKT_STATUS(hk_promise_start(NULL), HK_EINVAL);
}

/* --- FS24: describe --- */

static void describe_tells_address_and_state(void)
{
    static const char *const expected[STATES] = {
        [HK_PENDING] = "pending",        [HK_RUNNING] = "running",
        [HK_DONE] = "finished, 4 bytes", [HK_FAILED] = "failed: HK_EFAILED",
        [HK_CANCELLED] = "cancelled",
    };

    for (int i = 0; i < STATES; i++) {
        char address[32];
        char text[128];
        struct hkt_pair pair;
        size_t length;

        hkt_pair_open_in(&pair, every_state[i]);
        length = hk_future_describe(pair.future, text, sizeof(text));
        HKT_EQ_INT(length, strlen(text));
        snprintf(address, sizeof(address), "future %p ", (void *)pair.future);
        HKT_TRUE(strncmp(text, address, strlen(address)) == 0);
        HKT_TRUE(strstr(text, expected[every_state[i]]) != NULL);
        hkt_pair_close(&pair);
    }
}

static void describe_cuts_to_fit_and_tells_the_whole_length(void)
{
    char whole[128];
    char cut[10];
    struct hkt_pair pair;
    size_t length;

    hkt_pair_open(&pair);
    length = hk_future_describe(pair.future, whole, sizeof(whole));
    HKT_TRUE(length > sizeof(cut));
    HKT_EQ_INT(hk_future_describe(pair.future, NULL, 0), length);
    memset(cut, 'x', sizeof(cut));
    HKT_EQ_INT(hk_future_describe(pair.future, cut, sizeof(cut)), length);
    HKT_EQ_INT(strlen(cut), sizeof(cut) - 1);
    HKT_TRUE(strncmp(cut, whole, strlen(cut)) == 0);
    hkt_pair_close(&pair);
}

/* --- FS25, FS26: snapshots --- */

static void expect_snapshot(struct hkt_pair *pair, hk_state state)
{
    hk_future_view view;

    memset(&view, 0xff, sizeof(view));
    HKT_OK(hk_future_snapshot(pair->future, &view));
    HKT_EQ_INT(view.state, state);
    HKT_EQ_INT(view.value != NULL, state == HK_DONE);
    HKT_EQ_INT(view.value_size, state == HK_DONE ? sizeof(int) : 0);
    HKT_EQ_INT(view.error != NULL, state == HK_FAILED);
    if (view.value != NULL) {
        HKT_EQ_INT(*(const int *)view.value, HKT_VALUE);
    }
    if (view.error != NULL) {
        HKT_EQ_INT(view.error->app_code, HKT_APP_CODE);
        HKT_STATUS(view.error->status, HK_EFAILED);
    }
}

static void a_snapshot_of_an_unfinished_future_holds_nothing(void)
{
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    expect_snapshot(&pair, HK_PENDING);
    HKT_OK(hk_promise_start(pair.promise));
    expect_snapshot(&pair, HK_RUNNING);
    hkt_pair_close(&pair);
}

static void a_snapshot_holds_value_or_error_or_neither(void)
{
    in_every_state(expect_snapshot);
}

static void a_snapshot_of_a_taken_value_shows_none(void)
{
    hk_future_view view;
    hk_value value;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK(hk_future_take(pair.future, 0, &value));
    HKT_OK(hk_future_snapshot(pair.future, &view));
    HKT_EQ_INT(view.state, HK_DONE);
    HKT_EQ_PTR(view.value, NULL);
    hk_value_drop(&value);
    HKT_STATUS(hk_future_snapshot(NULL, &view), HK_EINVAL);
    HKT_STATUS(hk_future_snapshot(pair.future, NULL), HK_EINVAL);
    hkt_pair_close(&pair);
}

/* --- References --- */

static void each_reference_keeps_the_future(void)
{
    struct hkt_pair pair;
    hk_future *more;

    hkt_pair_open_in(&pair, HK_DONE);
    more = hk_future_ref(pair.future);
    HKT_EQ_PTR(more, pair.future);
    hkt_pair_close(&pair);
    HKT_EQ_INT(hkt_peek_int(more), HKT_VALUE);
    hk_future_unref(more);
}

static void no_future_is_cancelled_and_done(void)
{
    HKT_EQ_PTR(hk_future_ref(NULL), NULL);
    hk_future_unref(NULL);
    HKT_EQ_INT(hk_future_state(NULL), HK_CANCELLED);
    HKT_TRUE(hk_future_has_ended(NULL));
    HKT_EQ_STR(hk_future_why(NULL), "");
}

static void dropping_the_last_reference_does_not_cancel(void)
{
    hk_cancel_token *token = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
    hk_future_unref(pair.future);
    pair.future = NULL;
    HKT_TRUE(!hk_cancel_token_is_fired(token));
    HKT_OK(hk_promise_start(pair.promise));
    HKT_OK(hkt_set_int(pair.promise, 1));
    hkt_pair_close(&pair);
}

static void a_promise_has_no_progress_to_report(void)
{
    uint64_t done = 1;
    uint64_t total = 1;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_progress(pair.future, &done, &total));
    HKT_EQ_INT(done, 0);
    HKT_EQ_INT(total, 0);
    HKT_STATUS(hk_future_progress(NULL, &done, &total), HK_EINVAL);
    HKT_STATUS(hk_future_progress(pair.future, NULL, &total), HK_EINVAL);
    HKT_STATUS(hk_future_progress(pair.future, &done, NULL), HK_EINVAL);
    hkt_pair_close(&pair);
}

static CU_TestInfo tests[] = {
    HKT_CASE("FS01 a new future is pending and not done", a_new_future_is_pending),
    HKT_CASE("FS02 a started future is running and not done", a_started_future_is_running),
    HKT_CASE("FS03 FS05 running and cancelled are seen in their own state alone",
             each_state_is_seen_as_itself_alone),
    HKT_CASE("FS04 cancelled, failed and done are done; pending and running are not",
             cancelled_failed_and_done_are_done),
    HKT_CASE("FS06 cancelling a pending future ends it cancelled",
             cancelling_a_pending_future_ends_it),
    HKT_CASE("FS07 a running future is not cancelled as pending",
             a_running_future_is_not_cancelled_as_pending),
    HKT_CASE("FS07 a stronger cancel asks a running future to stop",
             a_stronger_cancel_asks_a_running_future_to_stop),
    HKT_CASE("FS08 cancelling twice changes nothing", cancelling_twice_changes_nothing),
    HKT_CASE("FS09 a finished future cannot be cancelled", a_finished_future_cannot_be_cancelled),
    HKT_CASE("an absurd cancel is refused", an_absurd_cancel_is_refused),
    HKT_CASE("FS23 only a pending future can be started", only_a_pending_future_can_be_started),
    HKT_CASE("FS24 describe tells address and state", describe_tells_address_and_state),
    HKT_CASE("FS24 describe cuts to fit and tells the whole length",
             describe_cuts_to_fit_and_tells_the_whole_length),
    HKT_CASE("FS25 a snapshot of an unfinished future holds nothing",
             a_snapshot_of_an_unfinished_future_holds_nothing),
    HKT_CASE("FS26 a snapshot holds value, error, or neither",
             a_snapshot_holds_value_or_error_or_neither),
    HKT_CASE("FS26 a snapshot of a taken value shows none", a_snapshot_of_a_taken_value_shows_none),
    HKT_CASE("each reference keeps the future", each_reference_keeps_the_future),
    HKT_CASE("no future is cancelled and done", no_future_is_cancelled_and_done),
    HKT_CASE("dropping the last reference does not cancel",
             dropping_the_last_reference_does_not_cancel),
    HKT_CASE("a promise has no progress to report", a_promise_has_no_progress_to_report),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "future", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
