/* SPDX-License-Identifier: MIT */
/* The producing side: setting, failing, following, and giving a promise up. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tests/promise_fixture.h"

/* --- Setting ---------------------------------------------------------------------- */

static void bytes_are_copied(void)
{
    static const size_t sizes[] = {1, 8, 15, 16, 17, 63, 64, 65, 1U << 20};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *bytes = malloc(sizes[i]);
        const void *value = NULL;
        size_t size = 0;
        struct hkt_pair pair;

        HKT_TRUE_FATAL(bytes != NULL);
        memset(bytes, 0x5a, sizes[i]);
        hkt_pair_open(&pair);
        HKT_OK(hk_promise_set(pair.promise, bytes, sizes[i]));
        memset(bytes, 0, sizes[i]); /* The caller's own again. */
        HKT_OK(hk_future_result(pair.future, 0, &value, &size));
        HKT_EQ_INT(size, sizes[i]);
        memset(bytes, 0x5a, sizes[i]);
        HKT_TRUE(value != NULL && memcmp(value, bytes, size) == 0);
        free(bytes);
        hkt_pair_close(&pair);
    }
}

static void a_value_may_have_no_bytes(void)
{
    const void *value = &value;
    size_t size = 99;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_promise_set(pair.promise, NULL, 0));
    HKT_OK(hk_future_result(pair.future, 0, &value, &size));
    HKT_EQ_PTR(value, NULL);
    HKT_EQ_INT(size, 0);
    hkt_pair_close(&pair);
}

static void nothing_to_set_is_refused(void)
{
    hk_cancel_token *token = NULL;
    hk_promise *promise = NULL;
    hk_future *future = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_STATUS(hk_promise_create(NULL, &future), HK_EINVAL);
    HKT_STATUS(hk_promise_create(&promise, NULL), HK_EINVAL);
    HKT_STATUS(hk_promise_set(NULL, &promise, 1), HK_EINVAL);
    HKT_STATUS(hk_promise_set(pair.promise, NULL, 1), HK_EINVAL);
    HKT_STATUS(hk_promise_set_ref(NULL, &promise, NULL), HK_EINVAL);
    HKT_STATUS(hk_promise_fail(NULL, 1, "nobody"), HK_EINVAL);
    HKT_STATUS(hk_promise_follow(NULL, pair.future), HK_EINVAL);
    HKT_STATUS(hk_promise_follow(pair.promise, NULL), HK_EINVAL);
    HKT_STATUS(hk_promise_token(NULL, &token), HK_EINVAL);
    HKT_STATUS(hk_promise_token(pair.promise, NULL), HK_EINVAL);
    hk_promise_destroy(NULL);
    HKT_EQ_INT(hk_future_state(pair.future), HK_PENDING);
    hkt_pair_close(&pair);
}

static void a_failure_is_one_whatever_its_payload(void)
{
    const hk_error *error = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_promise_fail(pair.promise, 0, "%s", ""));
    HKT_EQ_INT(hk_future_state(pair.future), HK_FAILED);
    HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_EFAILED);
    HKT_OK(hk_future_error(pair.future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_EQ_INT(error->app_code, 0);
    HKT_EQ_STR(error->message, "");
    hkt_pair_close(&pair);
}

static void a_promise_may_be_set_with_or_without_a_start(void)
{
    struct hkt_pair pair;

    for (int started = 0; started < 2; started++) {
        hkt_pair_open_in(&pair, started != 0 ? HK_RUNNING : HK_PENDING);
        HKT_OK(hkt_set_int(pair.promise, 5));
        HKT_EQ_INT(hkt_peek_int(pair.future), 5);
        hkt_pair_close(&pair);
    }
}

/* --- Giving up -------------------------------------------------------------------- */

static void wait_for_the_break(void *arg)
{
    HKT_STATUS(hk_future_result(arg, HK_FOREVER, NULL, NULL), HK_EBROKEN);
}

static void a_promise_destroyed_unset_breaks_its_future(void)
{
    static const hk_state unfinished[] = {HK_PENDING, HK_RUNNING};

    for (int i = 0; i < 2; i++) {
        const hk_error *error = NULL;
        struct hkt_thread waiter;
        struct hkt_pair pair;

        hkt_pair_open_in(&pair, unfinished[i]);
        hkt_thread_start(&waiter, wait_for_the_break, pair.future);
        hkt_thread_await_sleep(&waiter);
        hk_promise_destroy(pair.promise);
        pair.promise = NULL;
        hkt_thread_join(&waiter);
        HKT_EQ_INT(hk_future_state(pair.future), HK_FAILED);
        HKT_OK(hk_future_error(pair.future, 0, &error));
        HKT_TRUE_FATAL(error != NULL);
        HKT_STATUS(error->status, HK_EBROKEN);
        HKT_TRUE(error->message[0] != '\0');
        hkt_pair_close(&pair);
    }
}

static void a_promise_destroyed_after_its_end_changes_nothing(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 3; i++) {
        struct hkt_pair pair;

        hkt_pair_open_in(&pair, ends[i]);
        hk_promise_destroy(pair.promise);
        pair.promise = NULL;
        HKT_EQ_INT(hk_future_state(pair.future), ends[i]);
        hkt_pair_close(&pair);
    }
}

struct ending {
    hk_promise *promise;
    hk_future *source;
    int how;
};

static void end_it(void *arg)
{
    const struct ending *ending = arg;

    switch (ending->how) {
    case 0:
        HKT_OK(hkt_set_int(ending->promise, HKT_VALUE));
        return;
    case 1:
        HKT_OK(hk_promise_set_ref(ending->promise, NULL, NULL));
        return;
    case 2:
        HKT_OK(hk_promise_fail(ending->promise, HKT_APP_CODE, HKT_MESSAGE));
        return;
    default:
        HKT_OK(hk_promise_follow(ending->promise, ending->source));
        return;
    }
}

/* The call that ends it may not be back yet, and touches it no more: ThreadSanitizer sees if it
 * does, however late. */
static void who_sees_its_end_may_destroy_it(void)
{
    struct hkt_pair source;

    hkt_pair_open_in(&source, HK_DONE);
    for (int how = 0; how < 4; how++) {
        struct hkt_thread thread;
        struct hkt_pair pair;
        struct ending ending;

        hkt_pair_open(&pair);
        ending = (struct ending){pair.promise, source.future, how};
        hkt_thread_start(&thread, end_it, &ending);
        while (!hk_future_has_ended(pair.future)) {
            sched_yield();
        }
        HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), how == 2 ? HK_EFAILED : HK_OK);
        hk_promise_destroy(pair.promise);
        hk_future_unref(pair.future);
        hkt_thread_join(&thread);
    }
    hkt_pair_close(&source);
}

/* --- The token -------------------------------------------------------------------- */

static void the_token_fires_when_somebody_cancels(void)
{
    static const hk_state before[] = {HK_PENDING, HK_RUNNING};

    for (int i = 0; i < 2; i++) {
        hk_cancel_token *token = NULL;
        hk_cancel_token *again = NULL;
        struct hkt_pair pair;

        hkt_pair_open_in(&pair, before[i]);
        HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
        HKT_OK_FATAL(hk_promise_token(pair.promise, &again));
        HKT_EQ_PTR(again, token);
        HKT_TRUE(!hk_cancel_token_is_fired(token));
        HKT_OK(hk_future_cancel(pair.future, HK_CANCEL_REQUEST));
        HKT_TRUE(hk_cancel_token_is_fired(token));
        hkt_pair_close(&pair);
    }
}

static void a_token_asked_for_after_the_cancel_is_born_fired(void)
{
    static const hk_state before[] = {HK_PENDING, HK_RUNNING};

    for (int i = 0; i < 2; i++) {
        hk_cancel_token *token = NULL;
        struct hkt_pair pair;

        hkt_pair_open_in(&pair, before[i]);
        HKT_OK(hk_future_cancel(pair.future, HK_CANCEL_REQUEST));
        HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
        HKT_TRUE(hk_cancel_token_is_fired(token));
        hkt_pair_close(&pair);
    }
}

static void no_other_end_fires_the_token(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED};

    for (int i = 0; i < 2; i++) {
        hk_cancel_token *token = NULL;
        struct hkt_pair pair;

        hkt_pair_open(&pair);
        HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
        hkt_pair_end(&pair, ends[i]);
        HKT_STATUS(hk_future_cancel(pair.future, HK_CANCEL_REQUEST), HK_ESTATE);
        HKT_TRUE(!hk_cancel_token_is_fired(token));
        hk_cancel_token_ref(token);
        hkt_pair_close(&pair);
        HKT_TRUE(!hk_cancel_token_is_fired(token)); /* A reference keeps it. */
        hk_cancel_token_unref(token);
    }
}

static void a_child_of_the_token_fires_with_it(void)
{
    hk_cancel_token *token = NULL;
    hk_cancel_token *child = NULL;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_RUNNING);
    HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
    HKT_OK_FATAL(hk_cancel_token_create(token, &child));
    HKT_OK(hk_future_cancel(pair.future, HK_CANCEL_REQUEST));
    HKT_TRUE(hk_cancel_token_is_fired(child));
    hk_cancel_token_unref(child);
    hkt_pair_close(&pair);
}

/* --- Following -------------------------------------------------------------------- */

static void expect_same_end(hk_future *follower, hk_future *source, hk_state state)
{
    const void *value = NULL;
    const void *shown = NULL;
    const hk_error *error = NULL;

    HKT_EQ_INT(hk_future_state(follower), state);
    switch (state) {
    case HK_DONE:
        HKT_OK(hk_future_result(source, 0, &value, NULL));
        HKT_OK(hk_future_result(follower, 0, &shown, NULL));
        HKT_EQ_PTR(shown, value); /* Shared, not copied. */
        HKT_EQ_INT(hkt_peek_int(follower), HKT_VALUE);
        break;
    case HK_FAILED:
        HKT_OK(hk_future_error(follower, 0, &error));
        HKT_TRUE_FATAL(error != NULL);
        HKT_STATUS(error->status, HK_EFAILED);
        HKT_EQ_INT(error->app_code, HKT_APP_CODE);
        HKT_EQ_STR(error->message, HKT_MESSAGE);
        break;
    default:
        HKT_STATUS(hk_future_result(follower, 0, NULL, NULL), HK_ECANCELED);
        break;
    }
}

static void a_follower_ends_as_its_source(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 6; i++) {
        hk_state end = ends[i % 3];
        bool already = i >= 3;
        struct hkt_seen seen = {0};
        struct hkt_pair follower;
        struct hkt_pair source;

        hkt_pair_open(&follower);
        hkt_watch(follower.future, &seen);
        hkt_pair_open_in(&source, already ? end : HK_PENDING);
        HKT_OK(hk_promise_follow(follower.promise, source.future));
        if (!already) {
            HKT_EQ_INT(hk_future_state(follower.future), HK_RUNNING);
            hkt_pair_end(&source, end);
        }
        expect_same_end(follower.future, source.future, end);
        HKT_EQ_INT(seen.calls, 1);
        hkt_pair_close(&follower);
        hkt_pair_close(&source);
    }
}

static void a_followers_value_outlives_its_source(void)
{
    atomic_uint drops = 0;
    const void *value = NULL;
    struct hkt_pair follower;
    struct hkt_pair source;

    hkt_pair_open(&follower);
    hkt_pair_open(&source);
    HKT_OK(hk_promise_follow(follower.promise, source.future));
    HKT_OK(hk_promise_set_ref(source.promise, &drops, hkt_count_drop));
    hkt_pair_close(&source);
    HKT_EQ_INT(atomic_load(&drops), 0);
    HKT_OK(hk_future_result(follower.future, 0, &value, NULL));
    HKT_EQ_PTR(value, &drops);
    hkt_pair_close(&follower);
    HKT_EQ_INT(atomic_load(&drops), 1);
}

static void a_shared_value_cannot_be_taken_from_its_source(void)
{
    atomic_uint drops = 0;
    hk_value value;
    struct hkt_pair follower;
    struct hkt_pair source;

    hkt_pair_open(&follower);
    hkt_pair_open(&source);
    HKT_OK(hk_promise_set_ref(source.promise, &drops, hkt_count_drop));
    HKT_OK(hk_promise_follow(follower.promise, source.future));
    HKT_STATUS(hk_future_take(source.future, 0, &value), HK_ESTATE);
    HKT_OK(hk_future_result(source.future, 0, NULL, NULL));
    /* Its last sharer may have it; whoever drops it, it is dropped once. */
    HKT_OK(hk_future_take(follower.future, 0, &value));
    HKT_EQ_PTR(value.data, &drops);
    hkt_pair_close(&source);
    hkt_pair_close(&follower);
    HKT_EQ_INT(atomic_load(&drops), 0);
    hk_value_drop(&value);
    HKT_EQ_INT(atomic_load(&drops), 1);
}

static void following_a_taken_value_fails(void)
{
    const hk_error *error = NULL;
    hk_value value;
    struct hkt_pair follower;
    struct hkt_pair source;

    hkt_pair_open(&follower);
    hkt_pair_open_in(&source, HK_DONE);
    HKT_OK(hk_future_take(source.future, 0, &value));
    HKT_OK(hk_promise_follow(follower.promise, source.future));
    HKT_EQ_INT(hk_future_state(follower.future), HK_FAILED);
    HKT_OK(hk_future_error(follower.future, 0, &error));
    HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
    HKT_STATUS(error->cause->status, HK_ESTATE);
    HKT_EQ_STR(error->cause->message, hk_strerror(HK_ESTATE));
    hk_value_drop(&value);
    hkt_pair_close(&source);
    hkt_pair_close(&follower);
}

static void a_follower_cannot_be_ended_otherwise(void)
{
    struct hkt_pair follower;
    struct hkt_pair source;
    struct hkt_pair other;

    hkt_pair_open(&follower);
    hkt_pair_open(&source);
    hkt_pair_open_in(&other, HK_DONE);
    HKT_OK(hk_promise_follow(follower.promise, source.future));
    HKT_STATUS(hkt_set_int(follower.promise, 1), HK_ESTATE);
    HKT_STATUS(hk_promise_set_ref(follower.promise, &other, NULL), HK_ESTATE);
    HKT_STATUS(hk_promise_fail(follower.promise, 1, "no"), HK_ESTATE);
    HKT_STATUS(hk_promise_start(follower.promise), HK_ESTATE);
    HKT_STATUS(hk_promise_follow(follower.promise, other.future), HK_ESTATE);
    /* Nor does giving the promise up break it. */
    hk_promise_destroy(follower.promise);
    follower.promise = NULL;
    HKT_EQ_INT(hk_future_state(follower.future), HK_RUNNING);
    hkt_pair_end(&source, HK_DONE);
    HKT_EQ_INT(hkt_peek_int(follower.future), HKT_VALUE);
    hkt_pair_close(&other);
    hkt_pair_close(&source);
    hkt_pair_close(&follower);
}

static void what_has_ended_cannot_follow(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 3; i++) {
        struct hkt_pair follower;
        struct hkt_pair source;

        hkt_pair_open_in(&follower, ends[i]);
        hkt_pair_open(&source);
        HKT_STATUS(hk_promise_follow(follower.promise, source.future), HK_ESTATE);
        hkt_pair_end(&source, HK_DONE);
        HKT_EQ_INT(hk_future_state(follower.future), ends[i]);
        hkt_pair_close(&source);
        hkt_pair_close(&follower);
    }
}

static void cancelling_a_follower_cancels_its_source(void)
{
    hk_cancel_token *token = NULL;
    struct hkt_pair follower;
    struct hkt_pair source;

    hkt_pair_open(&follower);
    hkt_pair_open(&source);
    HKT_OK(hk_promise_follow(follower.promise, source.future));
    HKT_OK(hk_future_cancel(follower.future, HK_CANCEL_REQUEST));
    HKT_EQ_INT(hk_future_state(source.future), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(follower.future), HK_CANCELLED);
    hkt_pair_close(&source);
    hkt_pair_close(&follower);

    /* A source that runs is asked, and both end as it ends. */
    hkt_pair_open(&follower);
    hkt_pair_open_in(&source, HK_RUNNING);
    HKT_OK_FATAL(hk_promise_token(source.promise, &token));
    HKT_OK(hk_promise_follow(follower.promise, source.future));
    HKT_OK(hk_future_cancel(follower.future, HK_CANCEL_REQUEST));
    HKT_TRUE(hk_cancel_token_is_fired(token));
    HKT_EQ_INT(hk_future_state(follower.future), HK_RUNNING);
    hkt_pair_end(&source, HK_DONE);
    HKT_EQ_INT(hkt_peek_int(follower.future), HKT_VALUE);
    hkt_pair_close(&source);
    hkt_pair_close(&follower);
}

enum { RING_MAX = 4 };

/* Promise i follows future i + 1; the last one would close the ring. */
static void a_ring_is_refused(size_t count)
{
    hk_future *futures[RING_MAX];
    struct hkt_pair pairs[RING_MAX];

    hkt_pairs_open(pairs, futures, count);
    for (size_t i = 0; i + 1 < count; i++) {
        HKT_OK(hk_promise_follow(pairs[i].promise, futures[i + 1]));
    }
    HKT_STATUS(hk_promise_follow(pairs[count - 1].promise, futures[0]), HK_EDEADLK);
    /* Refused means unchanged: it can still be set, and all end with it. */
    HKT_EQ_INT(hk_future_state(futures[count - 1]), HK_PENDING);
    HKT_OK(hkt_set_int(pairs[count - 1].promise, 8));
    for (size_t i = 0; i < count; i++) {
        HKT_EQ_INT(hkt_peek_int(futures[i]), 8);
    }
    hkt_pairs_close(pairs, count);
}

static void following_in_a_ring_is_refused(void)
{
    for (size_t count = 1; count <= RING_MAX; count++) {
        a_ring_is_refused(count);
    }
}

/* Then there is no ring, and neither keeps the other. */
static void what_was_made_from_it_can_be_followed_once_it_has_failed(void)
{
    struct hkt_pair pair;
    hk_future *limited = NULL;

    hkt_pair_open_in(&pair, HK_RUNNING);
    HKT_OK_FATAL(hk_within(pair.future, 0, &limited));
    HKT_TRUE(hk_future_has_ended(limited));
    HKT_OK(hk_promise_follow(pair.promise, limited));
    HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_EDEADLINE);
    hk_future_unref(limited);
    hkt_pair_close(&pair);
}

/* Though something else may end it: the two would keep each other. */
static void what_was_made_from_it_cannot_be_followed_before(void)
{
    struct hkt_pair other;
    struct hkt_pair pair;
    hk_future *sources[2];
    hk_future *any = NULL;
    hk_future *limited = NULL;

    hkt_pair_open(&pair);
    hkt_pair_open(&other);
    sources[0] = pair.future;
    sources[1] = other.future;
    HKT_OK_FATAL(hk_when_any(sources, 2, &any));
    HKT_STATUS(hk_promise_follow(pair.promise, any), HK_EDEADLK);
    HKT_OK(hkt_set_int(other.promise, 1));
    HKT_EQ_INT(hk_future_state(any), HK_DONE);
    HKT_STATUS(hk_promise_follow(pair.promise, any), HK_EDEADLK);
    HKT_OK_FATAL(hk_within(any, HK_SEC(3600), &limited));
    HKT_STATUS(hk_promise_follow(pair.promise, limited), HK_EDEADLK);
    hk_future_unref(limited);
    HKT_OK_FATAL(hk_within(pair.future, HK_SEC(3600), &limited));
    HKT_STATUS(hk_promise_follow(pair.promise, limited), HK_EDEADLK);
    HKT_OK(hkt_set_int(pair.promise, 2));
    HKT_EQ_INT(hkt_peek_int(limited), 2);
    hk_future_unref(limited);
    hk_future_unref(any);
    hkt_pair_close(&pair);
    hkt_pair_close(&other);
}

static void a_long_line_of_followers_ends_with_its_first(void)
{
    enum { LENGTH = 500 };
    static hk_future *futures[LENGTH];
    static struct hkt_pair pairs[LENGTH];

    hkt_pairs_open(pairs, futures, LENGTH);
    for (size_t i = 1; i < LENGTH; i++) {
        HKT_OK(hk_promise_follow(pairs[i].promise, futures[i - 1]));
    }
    hkt_pair_end(&pairs[0], HK_DONE);
    for (size_t i = 0; i < LENGTH; i++) {
        HKT_EQ_INT(hkt_peek_int(futures[i]), HKT_VALUE);
    }
    hkt_pairs_close(pairs, LENGTH);
}

static CU_TestInfo tests[] = {
    HKT_CASE("bytes are copied", bytes_are_copied),
    HKT_CASE("a value may have no bytes", a_value_may_have_no_bytes),
    HKT_CASE("nothing to set is refused", nothing_to_set_is_refused),
    HKT_CASE("a failure is one whatever its payload", a_failure_is_one_whatever_its_payload),
    HKT_CASE("a promise may be set with or without a start",
             a_promise_may_be_set_with_or_without_a_start),
    HKT_CASE("a promise destroyed unset breaks its future",
             a_promise_destroyed_unset_breaks_its_future),
    HKT_CASE("a promise destroyed after its end changes nothing",
             a_promise_destroyed_after_its_end_changes_nothing),
    HKT_CASE("who sees its end may destroy it", who_sees_its_end_may_destroy_it),
    HKT_CASE("the token fires when somebody cancels", the_token_fires_when_somebody_cancels),
    HKT_CASE("a token asked for after the cancel is born fired",
             a_token_asked_for_after_the_cancel_is_born_fired),
    HKT_CASE("no other end fires the token", no_other_end_fires_the_token),
    HKT_CASE("a child of the token fires with it", a_child_of_the_token_fires_with_it),
    HKT_CASE("a follower ends as its source", a_follower_ends_as_its_source),
    HKT_CASE("a follower's value outlives its source", a_followers_value_outlives_its_source),
    HKT_CASE("a shared value cannot be taken from its source",
             a_shared_value_cannot_be_taken_from_its_source),
    HKT_CASE("following a taken value fails", following_a_taken_value_fails),
    HKT_CASE("a follower cannot be ended otherwise", a_follower_cannot_be_ended_otherwise),
    HKT_CASE("what has ended cannot follow", what_has_ended_cannot_follow),
    HKT_CASE("cancelling a follower cancels its source", cancelling_a_follower_cancels_its_source),
    HKT_CASE("XM04 following oneself, or in a ring, is refused", following_in_a_ring_is_refused),
    HKT_CASE("what was made from it can be followed once it has failed",
             what_was_made_from_it_can_be_followed_once_it_has_failed),
    HKT_CASE("what was made from it cannot be followed before",
             what_was_made_from_it_cannot_be_followed_before),
    HKT_CASE("a long line of followers ends with its first",
             a_long_line_of_followers_ends_with_its_first),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "promise", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
