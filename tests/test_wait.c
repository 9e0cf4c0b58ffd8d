/* SPDX-License-Identifier: MIT */
/* Waiting for several futures: cases WT of docs/contract.md. */
#include <string.h>

#include "tests/promise_fixture.h"

enum { SOME = 4, LOTS = 100 };

/* --- A wait that is seen to wait --------------------------------------------------- */

/* One hk_wait() on a thread of its own. */
struct waiting {
    struct hkt_thread thread;
    hk_future *const *futures;
    size_t count;
    hk_wait_for what;
    const int *source; /* Plain: written before the end that ends the wait. */
    int payload;
    bool done[LOTS];
    size_t ended;
    hk_status status;
};

static void wait_for_ever(void *arg)
{
    struct waiting *waiting = arg;

    waiting->status = hk_wait(waiting->futures, waiting->count, waiting->what, HK_FOREVER,
                              waiting->done, &waiting->ended);
    waiting->payload = *waiting->source;
}

/* Returns once the wait has gone to sleep. */
static void start_waiting(struct waiting *waiting, hk_future *const *futures, size_t count,
                          hk_wait_for what, const int *source)
{
    memset(waiting, 0, sizeof(*waiting));
    waiting->futures = futures;
    waiting->count = count;
    waiting->what = what;
    waiting->source = source;
    hkt_thread_start(&waiting->thread, wait_for_ever, waiting);
    hkt_thread_await_sleep(&waiting->thread);
}

/* mask: bit i says whether future i had ended when the wait returned. */
static void expect_woken(struct waiting *waiting, unsigned mask)
{
    size_t expected = 0;

    hkt_thread_join(&waiting->thread);
    HKT_OK(waiting->status);
    HKT_EQ_INT(waiting->payload, *waiting->source);
    for (size_t i = 0; i < waiting->count; i++) {
        HKT_EQ_INT(waiting->done[i], (mask >> i & 1U) != 0);
        expected += mask >> i & 1U;
    }
    HKT_EQ_INT(waiting->ended, expected);
}

/* The wait is not over yet: it sleeps still. */
static void expect_asleep(struct waiting *waiting)
{
    hkt_thread_await_sleep(&waiting->thread);
    HKT_EQ_INT(waiting->ended, 0);
}

/* A wait that must not sleep. */
static void expect_at_once(hk_future *const *futures, size_t count, hk_wait_for what,
                           hk_status expected, unsigned mask)
{
    bool done[SOME];
    size_t ended = 99;

    HKT_TRUE_FATAL(count <= SOME);
    HKT_STATUS(hk_wait(futures, count, what, 0, done, &ended), expected);
    for (size_t i = 0; i < count; i++) {
        HKT_EQ_INT(done[i], (mask >> i & 1U) != 0);
    }
    HKT_EQ_INT(ended, (size_t)__builtin_popcount(mask));
}

/* --- WT01, WT13: what may be waited for -------------------------------------------- */

static void the_same_future_twice_counts_once(void)
{
    struct hkt_pair pair;
    struct waiting waiting;
    hk_future *twice[2];
    int source = 0;

    for (int what = HK_ALL_COMPLETED; what <= HK_FIRST_ERROR; what++) {
        hkt_pair_open(&pair);
        twice[0] = twice[1] = pair.future;
        start_waiting(&waiting, twice, 2, (hk_wait_for)what, &source);
        source++;
        hkt_pair_end(&pair, HK_DONE);
        expect_woken(&waiting, 3);
        expect_at_once(twice, 2, (hk_wait_for)what, HK_OK, 3);
        hkt_pair_close(&pair);
    }
}

static void waiting_for_nothing_returns_at_once(void)
{
    size_t ended = 99;

    for (int what = HK_ALL_COMPLETED; what <= HK_FIRST_ERROR; what++) {
        HKT_OK(hk_wait(NULL, 0, (hk_wait_for)what, HK_FOREVER, NULL, &ended));
        HKT_EQ_INT(ended, 0);
    }
}

static void futures_of_different_origins_may_be_mixed(void)
{
    hk_executor *inline_executor = NULL;
    hk_executor *pool = NULL;
    hk_future *futures[SOME] = {NULL, NULL, NULL, NULL};
    struct hkt_gate gate;
    struct waiting waiting;
    struct hkt_pair pair;
    int source = 0;

    HKT_OK_FATAL(hk_executor_open("inline", &inline_executor));
    HKT_OK_FATAL(hk_executor_open("threads:1", &pool));
    hkt_gate_init(&gate, "a task among mixed futures");
    hkt_pair_open(&pair);
    futures[0] = hkt_submit_int(inline_executor, hkt_square, 2);
    futures[1] = hkt_submit_ref(pool, hkt_stands_at_gate, &gate);
    futures[2] = hk_future_ref(pair.future);
    HKT_OK_FATAL(hk_settle_all(&pair.future, 1, &futures[3]));
    start_waiting(&waiting, futures, SOME, HK_ALL_COMPLETED, &source);
    hkt_gate_open(&gate);
    HKT_OK(hk_future_wait(futures[1], HK_FOREVER));
    expect_asleep(&waiting);
    source = 5;
    hkt_pair_end(&pair, HK_FAILED);
    expect_woken(&waiting, 15);
    for (int i = 0; i < SOME; i++) {
        hk_future_unref(futures[i]);
    }
    hkt_pair_close(&pair);
    HKT_OK(hk_executor_destroy(pool));
    HKT_OK(hk_executor_destroy(inline_executor));
    hkt_gate_fini(&gate);
}

/* --- WT02 to WT04: the first ------------------------------------------------------- */

static void first_completed_returns_when_one_ends(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (unsigned i = 0; i < 3; i++) {
        struct hkt_pair pairs[SOME];
        hk_future *futures[SOME];
        struct waiting waiting;
        int source = 0;

        hkt_pairs_open(pairs, futures, SOME);
        HKT_OK(hk_promise_start(pairs[3].promise));
        start_waiting(&waiting, futures, SOME, HK_FIRST_COMPLETED, &source);
        source = 6;
        hkt_pair_end(&pairs[i], ends[i]);
        expect_woken(&waiting, 1U << i);
        HKT_EQ_INT(hk_future_state(futures[3]), HK_RUNNING);
        hkt_pairs_close(pairs, SOME);
    }
}

static void a_cancelled_future_counts_as_done_at_once(void)
{
    struct hkt_pair pairs[2];
    hk_future *futures[2];
    struct waiting waiting;
    int source = 0;

    hkt_pairs_open(pairs, futures, 2);
    start_waiting(&waiting, futures, 2, HK_FIRST_COMPLETED, &source);
    source = 1;
    hkt_pair_end(&pairs[0], HK_CANCELLED);
    expect_woken(&waiting, 1);
    /* And for those who come later. */
    expect_at_once(futures, 2, HK_FIRST_COMPLETED, HK_OK, 1);
    expect_at_once(futures, 1, HK_ALL_COMPLETED, HK_OK, 1);
    hkt_pairs_close(pairs, 2);
}

static void first_completed_returns_at_once_when_some_are_done(void)
{
    struct hkt_pair pairs[SOME];
    hk_future *futures[SOME];

    hkt_pairs_open(pairs, futures, SOME);
    hkt_pair_end(&pairs[1], HK_CANCELLED);
    hkt_pair_end(&pairs[3], HK_DONE);
    expect_at_once(futures, SOME, HK_FIRST_COMPLETED, HK_OK, 2 | 8);
    HKT_OK(hk_wait(futures, SOME, HK_FIRST_COMPLETED, HK_FOREVER, NULL, NULL));
    hkt_pairs_close(pairs, SOME);
}

/* --- WT05 to WT08: the first error ------------------------------------------------- */

static void first_error_returns_at_the_failure(void)
{
    struct hkt_pair pairs[3];
    hk_future *futures[3];
    struct waiting waiting;
    int source = 0;

    hkt_pairs_open(pairs, futures, 3);
    start_waiting(&waiting, futures, 3, HK_FIRST_ERROR, &source);
    hkt_pair_end(&pairs[0], HK_DONE);
    expect_asleep(&waiting);
    source = 2;
    hkt_pair_end(&pairs[1], HK_FAILED);
    expect_woken(&waiting, 1 | 2);
    hkt_pairs_close(pairs, 3);
}

static void first_error_returns_at_once_when_one_has_failed(void)
{
    struct hkt_pair pairs[3];
    hk_future *futures[3];

    hkt_pairs_open(pairs, futures, 3);
    hkt_pair_end(&pairs[2], HK_FAILED);
    expect_at_once(futures, 3, HK_FIRST_ERROR, HK_OK, 4);
    HKT_OK(hk_wait(futures, 3, HK_FIRST_ERROR, HK_FOREVER, NULL, NULL));
    hkt_pairs_close(pairs, 3);
}

static void first_error_without_a_failure_waits_for_all(void)
{
    struct hkt_pair pairs[3];
    hk_future *futures[3];
    struct waiting waiting;
    int source = 0;

    hkt_pairs_open(pairs, futures, 3);
    start_waiting(&waiting, futures, 3, HK_FIRST_ERROR, &source);
    hkt_pair_end(&pairs[0], HK_DONE);
    hkt_pair_end(&pairs[1], HK_CANCELLED);
    expect_asleep(&waiting);
    expect_at_once(futures, 3, HK_FIRST_ERROR, HK_ETIMEDOUT, 1 | 2);
    source = 3;
    hkt_pair_end(&pairs[2], HK_DONE);
    expect_woken(&waiting, 7);
    hkt_pairs_close(pairs, 3);
}

static void a_cancel_alone_does_not_end_first_error(void)
{
    struct hkt_pair pairs[2];
    hk_future *futures[2];

    hkt_pairs_open(pairs, futures, 2);
    hkt_pair_end(&pairs[0], HK_CANCELLED);
    expect_at_once(futures, 2, HK_FIRST_ERROR, HK_ETIMEDOUT, 1);
    hkt_pair_end(&pairs[1], HK_CANCELLED);
    expect_at_once(futures, 2, HK_FIRST_ERROR, HK_OK, 3);
    hkt_pairs_close(pairs, 2);
}

/* --- WT09: all --------------------------------------------------------------------- */

static void all_completed_returns_when_every_one_is_done(void)
{
    struct hkt_pair pairs[SOME];
    hk_future *futures[SOME];
    struct waiting waiting;
    int source = 0;

    hkt_pairs_open(pairs, futures, SOME);
    hkt_pair_end(&pairs[0], HK_DONE);
    start_waiting(&waiting, futures, SOME, HK_ALL_COMPLETED, &source);
    hkt_pair_end(&pairs[1], HK_FAILED);
    expect_asleep(&waiting);
    hkt_pair_end(&pairs[2], HK_CANCELLED);
    expect_asleep(&waiting);
    source = 4;
    hkt_pair_end(&pairs[3], HK_DONE);
    expect_woken(&waiting, 15);
    hkt_pairs_close(pairs, SOME);
}

static void a_hundred_futures_are_waited_for_as_well(void)
{
    static struct hkt_pair pairs[LOTS];
    static hk_future *futures[LOTS];
    struct waiting waiting;
    int source = 0;

    hkt_pairs_open(pairs, futures, LOTS);
    start_waiting(&waiting, futures, LOTS, HK_ALL_COMPLETED, &source);
    for (int i = LOTS - 1; i > 0; i--) {
        hkt_pair_end(&pairs[i], i % 2 == 0 ? HK_DONE : HK_FAILED);
    }
    expect_asleep(&waiting);
    source = 9;
    hkt_pair_end(&pairs[0], HK_CANCELLED);
    hkt_thread_join(&waiting.thread);
    HKT_OK(waiting.status);
    HKT_EQ_INT(waiting.payload, 9);
    HKT_EQ_INT(waiting.ended, LOTS);
    hkt_pairs_close(pairs, LOTS);
}

static void several_threads_may_wait_for_the_same(void)
{
    enum { THREADS = 4 };
    struct hkt_pair pairs[2];
    hk_future *futures[2];
    struct waiting waiting[THREADS];
    int source = 0;

    hkt_pairs_open(pairs, futures, 2);
    for (int i = 0; i < THREADS; i++) {
        start_waiting(&waiting[i], futures, 2, i % 2 == 0 ? HK_ALL_COMPLETED : HK_FIRST_COMPLETED,
                      &source);
    }
    source = 1;
    hkt_pair_end(&pairs[1], HK_DONE);
    expect_woken(&waiting[1], 2);
    expect_woken(&waiting[3], 2);
    expect_asleep(&waiting[0]);
    hkt_pair_end(&pairs[0], HK_DONE);
    expect_woken(&waiting[0], 3);
    expect_woken(&waiting[2], 3);
    hkt_pairs_close(pairs, 2);
}

/* --- WT10: time limits ------------------------------------------------------------- */

static void a_wait_that_ran_out_tells_what_is_done(void)
{
    static const hk_duration limits[] = {0, HK_MS(2)};

    for (int i = 0; i < 2; i++) {
        struct hkt_pair pairs[3];
        hk_future *futures[3];
        bool done[3] = {false, true, true};
        size_t ended = 99;

        hkt_pairs_open(pairs, futures, 3);
        hkt_pair_end(&pairs[0], HK_CANCELLED);
        HKT_OK(hk_promise_start(pairs[2].promise));
        HKT_STATUS(hk_wait(futures, 3, HK_ALL_COMPLETED, limits[i], done, &ended), HK_ETIMEDOUT);
        HKT_TRUE(done[0] && !done[1] && !done[2]);
        HKT_EQ_INT(ended, 1);
        /* The rest is untouched, and good for more. */
        HKT_EQ_INT(hk_future_state(futures[1]), HK_PENDING);
        HKT_EQ_INT(hk_future_state(futures[2]), HK_RUNNING);
        hkt_pair_end(&pairs[1], HK_DONE);
        HKT_OK(hkt_set_int(pairs[2].promise, 1));
        expect_at_once(futures, 3, HK_ALL_COMPLETED, HK_OK, 7);
        hkt_pairs_close(pairs, 3);
    }
}

static void many_waits_that_ran_out_leave_nothing_behind(void)
{
    enum { WAITS = 200 };
    static struct hkt_pair pairs[LOTS];
    static hk_future *futures[LOTS];

    hkt_pairs_open(pairs, futures, LOTS);
    for (int i = 0; i < WAITS; i++) {
        HKT_STATUS(
            hk_wait(futures, (size_t)(i % LOTS) + 1, (hk_wait_for)(i % 3), HK_NS(1), NULL, NULL),
            HK_ETIMEDOUT);
    }
    for (int i = 0; i < LOTS; i++) {
        hkt_pair_end(&pairs[i], HK_DONE);
    }
    hkt_pairs_close(pairs, LOTS);
}

/* --- WT12: refusals ---------------------------------------------------------------- */

static void what_makes_no_sense_is_refused(void)
{
    bool done[2] = {true, false};
    size_t ended = 99;
    struct hkt_pair pair;
    hk_future *futures[2];

    hkt_pair_open_in(&pair, HK_DONE);
    futures[0] = pair.future;
    futures[1] = NULL;
    HKT_STATUS(hk_wait(futures, 1, (hk_wait_for)3, 0, done, &ended), HK_EINVAL);
    HKT_STATUS(hk_wait(futures, 1, (hk_wait_for)-1, 0, done, &ended), HK_EINVAL);
    HKT_STATUS(hk_wait(futures, 0, (hk_wait_for)3, 0, done, &ended), HK_EINVAL);
    HKT_STATUS(hk_wait(futures, 2, HK_ALL_COMPLETED, 0, done, &ended), HK_EINVAL);
    HKT_STATUS(hk_wait(NULL, 1, HK_ALL_COMPLETED, 0, done, &ended), HK_EINVAL);
    HKT_STATUS(hk_wait(futures, 1, HK_ALL_COMPLETED, -2, done, &ended), HK_EINVAL);
    HKT_TRUE(done[0] && !done[1]);
    HKT_EQ_INT(ended, 99);
    hkt_pair_close(&pair);
}

static CU_TestInfo tests[] = {
    HKT_CASE("WT01 the same future twice counts once", the_same_future_twice_counts_once),
    HKT_CASE("WT02 FIRST_COMPLETED returns when one ends, the slow ones are not done",
             first_completed_returns_when_one_ends),
    HKT_CASE("WT03 a cancelled future counts as done at once",
             a_cancelled_future_counts_as_done_at_once),
    HKT_CASE("WT04 FIRST_COMPLETED returns at once when some are done",
             first_completed_returns_at_once_when_some_are_done),
    HKT_CASE("WT05 FIRST_ERROR returns at the failure", first_error_returns_at_the_failure),
    HKT_CASE("WT07 FIRST_ERROR returns at once when one has failed",
             first_error_returns_at_once_when_one_has_failed),
    HKT_CASE("WT08 FIRST_ERROR without a failure waits for all",
             first_error_without_a_failure_waits_for_all),
    HKT_CASE("WT08 a cancel alone does not end FIRST_ERROR",
             a_cancel_alone_does_not_end_first_error),
    HKT_CASE("WT09 ALL_COMPLETED returns when every one is done, failures included",
             all_completed_returns_when_every_one_is_done),
    HKT_CASE("WT09 a hundred futures are waited for as well",
             a_hundred_futures_are_waited_for_as_well),
    HKT_CASE("several threads may wait for the same", several_threads_may_wait_for_the_same),
    HKT_CASE("WT10 a wait that ran out tells what is done", a_wait_that_ran_out_tells_what_is_done),
    HKT_CASE("WT10 many waits that ran out leave nothing behind",
             many_waits_that_ran_out_leave_nothing_behind),
    HKT_CASE("WT12 what makes no sense is refused", what_makes_no_sense_is_refused),
    HKT_CASE("WT13 waiting for nothing returns at once", waiting_for_nothing_returns_at_once),
    HKT_CASE("WT13 futures of different origins may be mixed",
             futures_of_different_origins_may_be_mixed),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "wait", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
