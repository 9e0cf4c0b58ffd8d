/* SPDX-License-Identifier: MIT */
/* Completion queues and as_completed: cases AC of docs/contract.md. Descriptors
 * are in test_completion_fd.c, executors in test_completion_executor.c. */
#include <string.h>

#include "tests/promise_fixture.h"

enum { FOUR = 4 };

/* --- What a queue delivers --------------------------------------------------------- */

static void expect_next(hk_completion *completion, hk_future *expected, uintptr_t tag)
{
    hk_future *future = NULL;
    uintptr_t got = 999;

    if (HKT_OK(hk_completion_next(completion, 0, &future, &got))) {
        HKT_EQ_PTR(future, expected);
        HKT_EQ_INT(got, tag);
        HKT_TRUE(hk_future_has_ended(future));
        hk_future_unref(future);
    }
}

static void expect_none(hk_completion *completion, hk_status expected)
{
    hk_future *future = NULL;

    HKT_STATUS(hk_completion_next(completion, 0, &future, NULL), expected);
    HKT_EQ_PTR(future, NULL);
}

/* Takes what is there now; bit i of the answer says that tag i was delivered. */
static unsigned take_all(hk_completion *completion, hk_status last)
{
    unsigned delivered = 0;
    uintptr_t tag = 0;
    hk_status status;

    while ((status = hk_completion_next(completion, 0, NULL, &tag)) == HK_OK) {
        HKT_TRUE((delivered >> tag & 1U) == 0);
        delivered |= 1U << tag;
    }
    HKT_STATUS(status, last);
    return delivered;
}

static void futures_come_in_the_order_in_which_they_end(void)
{
    struct hkt_pair pairs[FOUR];
    hk_future *futures[FOUR];
    hk_completion *completion = NULL;

    hkt_pairs_open(pairs, futures, FOUR);
    HKT_OK_FATAL(hk_completion_create(&completion));
    for (uintptr_t i = 0; i < FOUR; i++) {
        HKT_OK(hk_completion_add(completion, futures[i], 10 + i));
    }
    expect_none(completion, HK_ETIMEDOUT);
    hkt_pair_end(&pairs[2], HK_DONE);
    hkt_pair_end(&pairs[0], HK_CANCELLED);
    hkt_pair_end(&pairs[3], HK_FAILED);
    HKT_EQ_INT(hk_completion_outstanding(completion), 4);
    expect_next(completion, futures[2], 12);
    expect_next(completion, futures[0], 10);
    HKT_EQ_INT(hk_completion_outstanding(completion), 2);
    hkt_pair_end(&pairs[1], HK_DONE);
    expect_next(completion, futures[3], 13);
    expect_next(completion, futures[1], 11);
    expect_none(completion, HK_EDONE);
    hk_completion_destroy(completion);
    hkt_pairs_close(pairs, FOUR);
}

static void an_empty_queue_is_done_until_something_is_added(void)
{
    hk_completion *completion = NULL;
    struct hkt_pair pair;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK(hk_completion_add(completion, pair.future, 1));
    expect_next(completion, pair.future, 1);
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    hk_completion_destroy(completion);
    hkt_pair_close(&pair);
}

static void each_adding_is_delivered_with_its_tag(void)
{
    hk_completion *completion = NULL;
    struct hkt_pair pair;

    HKT_OK_FATAL(hk_completion_create(&completion));
    hkt_pair_open(&pair);
    HKT_OK(hk_completion_add(completion, pair.future, 0));
    HKT_OK(hk_completion_add(completion, pair.future, 1));
    hkt_pair_end(&pair, HK_DONE);
    HKT_OK(hk_completion_add(completion, pair.future, 2));
    HKT_EQ_INT(take_all(completion, HK_EDONE), 7);
    hk_completion_destroy(completion);
    hkt_pair_close(&pair);
}

static void the_queues_reference_passes_to_the_reader(void)
{
    hk_completion *completion = NULL;
    hk_future *future = NULL;
    atomic_uint drops = 0;
    struct hkt_pair pair;

    HKT_OK_FATAL(hk_completion_create(&completion));
    for (int round = 0; round < 2; round++) {
        hkt_pair_open(&pair);
        HKT_OK(hk_completion_add(completion, pair.future, 0));
        HKT_OK(hk_promise_set_ref(pair.promise, &drops, hkt_count_drop));
        hkt_pair_close(&pair);
        HKT_EQ_INT(atomic_load(&drops), round); /* The queue holds it. */
        /* Handed over, or dropped when nobody wants it. */
        HKT_OK(hk_completion_next(completion, 0, round == 0 ? &future : NULL, NULL));
        if (round == 0) {
            HKT_EQ_INT(atomic_load(&drops), 0);
            hk_future_unref(future);
        }
        HKT_EQ_INT(atomic_load(&drops), round + 1);
    }
    hk_completion_destroy(completion);
}

static void destroying_a_queue_leaves_the_futures_alone(void)
{
    struct hkt_pair pairs[FOUR];
    hk_future *futures[FOUR];
    hk_completion *completion = NULL;

    hkt_pairs_open(pairs, futures, FOUR);
    HKT_OK_FATAL(hk_completion_create(&completion));
    for (uintptr_t i = 0; i < FOUR; i++) {
        HKT_OK(hk_completion_add(completion, futures[i], i));
    }
    hkt_pair_end(&pairs[1], HK_DONE);
    hk_completion_destroy(completion);
    HKT_EQ_INT(hk_future_state(futures[0]), HK_PENDING);
    hkt_pair_end(&pairs[0], HK_DONE);
    hkt_pair_end(&pairs[2], HK_CANCELLED);
    HKT_EQ_INT(hkt_peek_int(futures[0]), HKT_VALUE);
    HKT_EQ_INT(hkt_peek_int(futures[1]), HKT_VALUE);
    hkt_pairs_close(pairs, FOUR);
    hk_completion_destroy(NULL);
}

static void what_makes_no_sense_is_refused(void)
{
    hk_completion *completion = NULL;
    hk_future *none = NULL;
    struct hkt_pair pair;

    HKT_OK_FATAL(hk_completion_create(&completion));
    hkt_pair_open(&pair);
    HKT_STATUS(hk_completion_create(NULL), HK_EINVAL);
    HKT_STATUS(hk_completion_add(NULL, pair.future, 0), HK_EINVAL);
    HKT_STATUS(hk_completion_add(completion, NULL, 0), HK_EINVAL);
    HKT_STATUS(hk_completion_next(NULL, 0, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_completion_next(completion, -2, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_completion_fd(NULL, &(int){0}), HK_EINVAL);
    HKT_STATUS(hk_completion_fd(completion, NULL), HK_EINVAL);
    HKT_EQ_INT(hk_completion_outstanding(NULL), 0);
    HKT_EQ_INT(hk_completion_outstanding(completion), 0);
    hk_completion_destroy(completion);
    completion = NULL;
    HKT_STATUS(hk_as_completed(&pair.future, 1, 0, NULL), HK_EINVAL);
    HKT_STATUS(hk_as_completed(NULL, 1, 0, &completion), HK_EINVAL);
    HKT_STATUS(hk_as_completed(&none, 1, 0, &completion), HK_EINVAL);
    HKT_STATUS(hk_as_completed(&pair.future, 1, -2, &completion), HK_EINVAL);
    HKT_EQ_PTR(completion, NULL);
    hkt_pair_close(&pair);
}

/* --- Readers that sleep ------------------------------------------------------------ */

struct reader {
    struct hkt_thread thread;
    hk_completion *completion;
    const int *source; /* Plain: written before the end that wakes the reader. */
    int payload;
    uintptr_t tag;
    hk_status status;
};

static void read_one(void *arg)
{
    struct reader *reader = arg;

    reader->status = hk_completion_next(reader->completion, HK_FOREVER, NULL, &reader->tag);
    reader->payload = *reader->source;
}

static void start_reader(struct reader *reader, hk_completion *completion, const int *source)
{
    *reader = (struct reader){.completion = completion, .source = source};
    hkt_thread_start(&reader->thread, read_one, reader);
    hkt_thread_await_sleep(&reader->thread);
}

static void a_sleeping_reader_is_woken_by_an_end(void)
{
    hk_completion *completion = NULL;
    struct reader reader;
    struct hkt_pair pair;
    int source = 0;

    HKT_OK_FATAL(hk_completion_create(&completion));
    hkt_pair_open(&pair);
    HKT_OK(hk_completion_add(completion, pair.future, 5));
    start_reader(&reader, completion, &source);
    source = 1;
    hkt_pair_end(&pair, HK_DONE);
    hkt_thread_join(&reader.thread);
    HKT_OK(reader.status);
    HKT_EQ_INT(reader.tag, 5);
    HKT_EQ_INT(reader.payload, 1);
    hk_completion_destroy(completion);
    hkt_pair_close(&pair);
}

static void a_sleeping_reader_is_woken_by_an_adding(void)
{
    hk_completion *completion = NULL;
    struct reader reader;
    struct hkt_pair slow;
    struct hkt_pair quick;
    int source = 0;

    HKT_OK_FATAL(hk_completion_create(&completion));
    hkt_pair_open(&slow);
    hkt_pair_open_in(&quick, HK_DONE);
    HKT_OK(hk_completion_add(completion, slow.future, 1));
    start_reader(&reader, completion, &source);
    source = 1;
    HKT_OK(hk_completion_add(completion, quick.future, 2));
    hkt_thread_join(&reader.thread);
    HKT_OK(reader.status);
    HKT_EQ_INT(reader.tag, 2);
    HKT_EQ_INT(reader.payload, 1);
    hk_completion_destroy(completion);
    hkt_pair_close(&slow);
    hkt_pair_close(&quick);
}

static void when_one_takes_the_last_the_others_are_done(void)
{
    enum { READERS = 3 };
    hk_completion *completion = NULL;
    struct reader readers[READERS];
    struct hkt_pair pair;
    int source = 0;
    int got = 0;

    HKT_OK_FATAL(hk_completion_create(&completion));
    hkt_pair_open(&pair);
    HKT_OK(hk_completion_add(completion, pair.future, 0));
    for (int i = 0; i < READERS; i++) {
        start_reader(&readers[i], completion, &source);
    }
    hkt_pair_end(&pair, HK_DONE);
    for (int i = 0; i < READERS; i++) {
        hkt_thread_join(&readers[i].thread);
        got += readers[i].status == HK_OK;
        HKT_TRUE(readers[i].status == HK_OK || readers[i].status == HK_EDONE);
    }
    HKT_EQ_INT(got, 1);
    hk_completion_destroy(completion);
    hkt_pair_close(&pair);
}

/* --- AC: as_completed -------------------------------------------------------------- */

static void end_last(void *arg)
{
    hkt_pair_end(arg, HK_DONE);
}

static void every_future_is_delivered_exactly_once(void)
{
    struct hkt_pair pairs[FOUR];
    hk_future *futures[FOUR];
    hk_completion *completion = NULL;
    struct hkt_thread ender;
    uintptr_t tag = 0;

    hkt_pairs_open(pairs, futures, FOUR);
    hkt_pair_end(&pairs[0], HK_CANCELLED);
    hkt_pair_end(&pairs[1], HK_FAILED);
    hkt_pair_end(&pairs[2], HK_DONE);
    HKT_OK(hk_promise_start(pairs[3].promise));
    HKT_OK_FATAL(hk_as_completed(futures, FOUR, HK_FOREVER, &completion));
    HKT_EQ_INT(hk_completion_outstanding(completion), FOUR);
    HKT_EQ_INT(take_all(completion, HK_ETIMEDOUT), 7);
    hkt_thread_start(&ender, end_last, &pairs[3]);
    HKT_OK(hk_completion_next(completion, HK_FOREVER, NULL, &tag));
    HKT_EQ_INT(tag, 3);
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    hkt_thread_join(&ender);
    hk_completion_destroy(completion);
    hkt_pairs_close(pairs, FOUR);
}

/* The already ended ones, then a time-out, however long the reader would wait. */
static void expect_time_out(hk_duration total)
{
    struct hkt_pair pairs[FOUR];
    hk_future *futures[FOUR];
    hk_completion *completion = NULL;
    struct hkt_log log;

    hkt_pairs_open(pairs, futures, FOUR);
    hkt_pair_end(&pairs[0], HK_CANCELLED);
    hkt_pair_end(&pairs[2], HK_FAILED);
    HKT_OK(hk_promise_start(pairs[3].promise));
    hkt_log_begin(&log);
    HKT_OK_FATAL(hk_as_completed(futures, FOUR, total, &completion));
    expect_next(completion, futures[0], 0);
    expect_next(completion, futures[2], 2);
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_ETIMEDOUT);
    HKT_EQ_INT(hk_completion_outstanding(completion), 2);
    HKT_TRUE(hkt_log_has(&log, "2 of 4"));
    HKT_EQ_INT(log.lines, 1);
    HKT_STATUS(hk_completion_next(completion, 0, NULL, NULL), HK_ETIMEDOUT);
    HKT_EQ_INT(log.lines, 1);
    hkt_log_end(&log);
    HKT_EQ_INT(hk_future_state(futures[1]), HK_PENDING);
    HKT_EQ_INT(hk_future_state(futures[3]), HK_RUNNING);
    hk_completion_destroy(completion);
    hkt_pairs_close(pairs, FOUR);
}

static void without_any_time_what_has_ended_is_delivered(void)
{
    expect_time_out(0);
}

static void after_some_time_what_has_ended_is_delivered(void)
{
    expect_time_out(HK_MS(5));
}

static void the_time_of_one_wait_is_not_the_time_for_all(void)
{
    hk_completion *completion = NULL;
    struct hkt_log log;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    hkt_log_begin(&log);
    HKT_OK_FATAL(hk_as_completed(&pair.future, 1, HK_SEC(1000), &completion));
    HKT_STATUS(hk_completion_next(completion, HK_NS(1), NULL, NULL), HK_ETIMEDOUT);
    HKT_EQ_INT(log.lines, 0);
    hkt_pair_end(&pair, HK_DONE);
    expect_next(completion, pair.future, 0);
    hkt_log_end(&log);
    hk_completion_destroy(completion);
    hkt_pair_close(&pair);
}

static void duplicates_are_delivered_once_with_their_first_place(void)
{
    struct hkt_pair pairs[2];
    hk_future *futures[2];
    hk_future *repeated[7];
    hk_completion *completion = NULL;

    hkt_pairs_open(pairs, futures, 2);
    for (int i = 0; i < 7; i++) {
        repeated[i] = futures[i < 3 ? 1 : i % 2];
    }
    HKT_OK_FATAL(hk_as_completed(repeated, 7, HK_FOREVER, &completion));
    HKT_EQ_INT(hk_completion_outstanding(completion), 2);
    hkt_pair_end(&pairs[0], HK_DONE);
    hkt_pair_end(&pairs[1], HK_DONE);
    expect_next(completion, futures[0], 4);
    expect_next(completion, futures[1], 0);
    expect_none(completion, HK_EDONE);
    hk_completion_destroy(completion);
    hkt_pairs_close(pairs, 2);
}

static void what_has_ended_comes_in_the_order_given(void)
{
    enum { COUNT = 20 };
    struct hkt_pair pairs[COUNT];
    hk_future *futures[COUNT];
    hk_completion *completion = NULL;

    hkt_pairs_open(pairs, futures, COUNT);
    for (int i = COUNT - 1; i >= 0; i--) {
        hkt_pair_end(&pairs[i], HK_DONE);
    }
    HKT_OK_FATAL(hk_as_completed(futures, COUNT, 0, &completion));
    for (uintptr_t i = 0; i < COUNT; i++) {
        expect_next(completion, futures[i], i);
    }
    expect_none(completion, HK_EDONE);
    hk_completion_destroy(completion);
    hkt_pairs_close(pairs, COUNT);
}

static void of_nothing_it_is_done_at_once(void)
{
    hk_completion *completion = NULL;

    HKT_OK_FATAL(hk_as_completed(NULL, 0, 0, &completion));
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    hk_completion_destroy(completion);
}

/* --- Many at once ------------------------------------------------------------------ */

enum { MANY = 600, READERS = 3 };

struct crowd {
    hk_completion *completion;
    struct hkt_pair pairs[MANY];
    int payload[MANY]; /* Plain: written before the end, read after the delivery. */
    atomic_uint delivered[MANY];
    atomic_uint total;
};

/* Readers count too: they stop when all is delivered, not when the queue is empty,
 * which it also is before the first adding. */
static void read_many(void *arg)
{
    struct crowd *crowd = arg;

    while (atomic_load(&crowd->total) < MANY) {
        hk_future *future = NULL;
        uintptr_t tag = 0;
        hk_status status = hk_completion_next(crowd->completion, HK_MS(1), &future, &tag);

        if (status != HK_OK) {
            HKT_TRUE(status == HK_EDONE || status == HK_ETIMEDOUT);
            continue;
        }
        HKT_EQ_INT(crowd->payload[tag], (int)tag + 1);
        HKT_EQ_PTR(future, crowd->pairs[tag].future);
        atomic_fetch_add(&crowd->delivered[tag], 1);
        atomic_fetch_add(&crowd->total, 1);
        hk_future_unref(future);
    }
}

static void end_many(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = MANY - 1; i >= 0; i--) {
        crowd->payload[i] = i + 1;
        HKT_OK(hkt_set_int(crowd->pairs[i].promise, i));
    }
}

static void adding_ending_and_reading_may_go_on_at_once(void)
{
    static struct crowd crowd;
    struct hkt_thread readers[READERS];
    struct hkt_thread ender;

    memset(&crowd, 0, sizeof(crowd));
    HKT_OK_FATAL(hk_completion_create(&crowd.completion));
    for (int i = 0; i < MANY; i++) {
        hkt_pair_open(&crowd.pairs[i]);
    }
    for (int i = 0; i < READERS; i++) {
        hkt_thread_start(&readers[i], read_many, &crowd);
    }
    hkt_thread_start(&ender, end_many, &crowd);
    for (int i = 0; i < MANY; i++) {
        HKT_OK(hk_completion_add(crowd.completion, crowd.pairs[i].future, (uintptr_t)i));
    }
    hkt_thread_join(&ender);
    for (int i = 0; i < READERS; i++) {
        hkt_thread_join(&readers[i]);
    }
    for (int i = 0; i < MANY; i++) {
        HKT_EQ_INT(atomic_load(&crowd.delivered[i]), 1);
        hkt_pair_close(&crowd.pairs[i]);
    }
    expect_none(crowd.completion, HK_EDONE);
    hk_completion_destroy(crowd.completion);
}

static CU_TestInfo tests[] = {
    HKT_CASE("futures come in the order in which they end",
             futures_come_in_the_order_in_which_they_end),
    HKT_CASE("an empty queue is done until something is added",
             an_empty_queue_is_done_until_something_is_added),
    HKT_CASE("each adding is delivered with its tag", each_adding_is_delivered_with_its_tag),
    HKT_CASE("the queue's reference passes to the reader",
             the_queues_reference_passes_to_the_reader),
    HKT_CASE("destroying a queue leaves the futures alone",
             destroying_a_queue_leaves_the_futures_alone),
    HKT_CASE("what makes no sense is refused", what_makes_no_sense_is_refused),
    HKT_CASE("a sleeping reader is woken by an end", a_sleeping_reader_is_woken_by_an_end),
    HKT_CASE("a sleeping reader is woken by an adding", a_sleeping_reader_is_woken_by_an_adding),
    HKT_CASE("when one takes the last, the others are done",
             when_one_takes_the_last_the_others_are_done),
    HKT_CASE("AC01 every future is delivered exactly once", every_future_is_delivered_exactly_once),
    HKT_CASE("AC02 AC06 without any time what has ended is delivered, then a time-out",
             without_any_time_what_has_ended_is_delivered),
    HKT_CASE("AC03 AC06 after some time what has ended is delivered, then a time-out",
             after_some_time_what_has_ended_is_delivered),
    HKT_CASE("AC03 the time of one wait is not the time for all",
             the_time_of_one_wait_is_not_the_time_for_all),
    HKT_CASE("AC04 duplicates are delivered once, with their first place",
             duplicates_are_delivered_once_with_their_first_place),
    HKT_CASE("what has ended comes in the order given", what_has_ended_comes_in_the_order_given),
    HKT_CASE("as_completed of nothing is done at once", of_nothing_it_is_done_at_once),
    HKT_CASE("adding, ending and reading may go on at once",
             adding_ending_and_reading_may_go_on_at_once),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "completion", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
