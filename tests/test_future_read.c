/* SPDX-License-Identifier: MIT */
/* Reading a future: cases FS10 to FS21 of docs/contract.md, values that move out,
 * and the descriptor. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/promise_fixture.h"

/* --- FS10 to FS16: without waiting --- */

static void polling_an_unfinished_future_times_out(void)
{
    static const hk_state unfinished[] = {HK_PENDING, HK_RUNNING};

    for (int i = 0; i < 2; i++) {
        const void *value = &value;
        const void *untouched = value;
        const hk_error *error = NULL;
        size_t size = 77;
        struct hkt_pair pair;

        hkt_pair_open_in(&pair, unfinished[i]);
        HKT_STATUS(hk_future_result(pair.future, 0, &value, &size), HK_ETIMEDOUT);
        HKT_EQ_PTR(value, untouched);
        HKT_EQ_INT(size, 77);
        HKT_STATUS(hk_future_error(pair.future, 0, &error), HK_ETIMEDOUT);
        HKT_EQ_PTR(error, NULL);
        HKT_STATUS(hk_future_wait(pair.future, 0), HK_ETIMEDOUT);
        HKT_EQ_STR(hk_future_why(pair.future), "");
        HKT_EQ_INT(hk_future_state(pair.future), unfinished[i]);
        hkt_pair_end(&pair, HK_DONE);
        HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
        hkt_pair_close(&pair);
    }
}

static void a_wait_that_ran_out_leaves_the_future_as_it_was(void)
{
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_STATUS(hk_future_result(pair.future, HK_MS(1), NULL, NULL), HK_ETIMEDOUT);
    HKT_STATUS(hk_future_wait(pair.future, HK_NS(1)), HK_ETIMEDOUT);
    HKT_EQ_INT(hk_future_state(pair.future), HK_PENDING);
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
    hkt_pair_close(&pair);
}

static void a_cancelled_future_gives_cancelled(void)
{
    const hk_error *error = NULL;
    hk_value value;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_CANCELLED);
    HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_ECANCELED);
    HKT_STATUS(hk_future_error(pair.future, 0, &error), HK_ECANCELED);
    HKT_EQ_PTR(error, NULL);
    HKT_STATUS(hk_future_take(pair.future, 0, &value), HK_ECANCELED);
    HKT_EQ_STR(hk_future_why(pair.future), "cancelled");
    hkt_pair_close(&pair);
}

static void a_failed_future_gives_status_and_error(void)
{
    const hk_error *error = NULL;
    const hk_error *again = NULL;
    hk_value value;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_FAILED);
    HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_EFAILED);
    HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_EFAILED);
    HKT_OK(hk_future_error(pair.future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_EQ_INT(error->app_code, HKT_APP_CODE);
    HKT_EQ_STR(error->message, HKT_MESSAGE);
    HKT_OK(hk_future_error(pair.future, HK_FOREVER, &again));
    HKT_EQ_PTR(again, error);
    HKT_STATUS(hk_future_take(pair.future, 0, &value), HK_EFAILED);
    HKT_TRUE(strstr(hk_future_why(pair.future), HKT_MESSAGE) != NULL);
    hkt_pair_close(&pair);
}

static void a_done_future_gives_its_value_any_number_of_times(void)
{
    const hk_error *error = (const hk_error *)&error;
    const void *first = NULL;
    const void *second = NULL;
    size_t size = 0;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK(hk_future_result(pair.future, 0, &first, &size));
    HKT_EQ_INT(size, sizeof(int));
    HKT_OK(hk_future_result(pair.future, HK_FOREVER, &second, NULL));
    HKT_EQ_PTR(second, first);
    HKT_OK(hk_future_result(pair.future, 0, NULL, NULL));
    HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
    HKT_OK(hk_future_error(pair.future, 0, &error));
    HKT_EQ_PTR(error, NULL);
    HKT_EQ_STR(hk_future_why(pair.future), "");
    hkt_pair_close(&pair);
}

static void nothing_to_read_from_is_refused(void)
{
    const hk_error *error = NULL;
    hk_value value;
    int fd;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_STATUS(hk_future_wait(NULL, 0), HK_EINVAL);
    HKT_STATUS(hk_future_result(NULL, 0, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_future_result(pair.future, -7, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_future_error(NULL, 0, &error), HK_EINVAL);
    HKT_STATUS(hk_future_error(pair.future, 0, NULL), HK_EINVAL);
    HKT_STATUS(hk_future_error(pair.future, -7, &error), HK_EINVAL);
    HKT_STATUS(hk_future_take(NULL, 0, &value), HK_EINVAL);
    HKT_STATUS(hk_future_take(pair.future, 0, NULL), HK_EINVAL);
    HKT_STATUS(hk_future_take(pair.future, -7, &value), HK_EINVAL);
    HKT_STATUS(hk_future_fd(NULL, &fd), HK_EINVAL);
    HKT_STATUS(hk_future_fd(pair.future, NULL), HK_EINVAL);
    HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
    hkt_pair_close(&pair);
}

/* --- FS17 to FS19: threads that wait --- */

enum { READERS = 3 };

struct reader {
    struct hkt_thread thread;
    hk_future *future;
    int payload; /* Plain: what the other thread wrote before it ended the future. */
    const int *source;
    hk_status status;
    int value;
    const hk_error *error;
};

static void read_result(void *arg)
{
    struct reader *reader = arg;
    const void *value = NULL;
    size_t size = 0;

    reader->status = hk_future_result(reader->future, HK_FOREVER, &value, &size);
    reader->payload = *reader->source;
    if (reader->status == HK_OK && HKT_EQ_INT(size, sizeof(reader->value))) {
        memcpy(&reader->value, value, size);
    }
}

static void read_error(void *arg)
{
    struct reader *reader = arg;

    reader->status = hk_future_error(reader->future, HK_FOREVER, &reader->error);
    reader->payload = *reader->source;
}

/* Ends a future while some threads wait for it, and checks what each of them got. */
static void end_before_readers(hk_state state, void (*read)(void *arg), hk_status expected)
{
    struct reader readers[READERS];
    struct hkt_pair pair;
    int source = 0;

    hkt_pair_open(&pair);
    memset(readers, 0, sizeof(readers));
    for (int i = 0; i < READERS; i++) {
        readers[i].future = pair.future;
        readers[i].source = &source;
        hkt_thread_start(&readers[i].thread, read, &readers[i]);
    }
    for (int i = 0; i < READERS; i++) {
        hkt_thread_await_sleep(&readers[i].thread);
    }
    source = 1234;
    hkt_pair_end(&pair, state);
    for (int i = 0; i < READERS; i++) {
        const hk_error *error = NULL;

        hkt_thread_join(&readers[i].thread);
        HKT_STATUS(readers[i].status, expected);
        HKT_EQ_INT(readers[i].payload, 1234);
        HKT_EQ_INT(readers[i].value, expected == HK_OK && state == HK_DONE ? HKT_VALUE : 0);
        if (state == HK_FAILED) {
            HKT_OK(hk_future_error(pair.future, 0, &error));
        }
        HKT_EQ_PTR(readers[i].error, error);
    }
    hkt_pair_close(&pair);
}

static void a_blocked_reader_is_woken_by_a_value(void)
{
    end_before_readers(HK_DONE, read_result, HK_OK);
}

static void a_blocked_reader_is_woken_by_a_cancel(void)
{
    end_before_readers(HK_CANCELLED, read_result, HK_ECANCELED);
    end_before_readers(HK_CANCELLED, read_error, HK_ECANCELED);
}

static void a_blocked_reader_is_woken_by_a_failure(void)
{
    end_before_readers(HK_FAILED, read_error, HK_OK);
}

static void start_is_no_end(void *arg)
{
    struct reader *reader = arg;

    HKT_OK(hk_future_wait(reader->future, HK_FOREVER));
    reader->payload = *reader->source;
}

static void a_blocked_reader_sleeps_through_the_start(void)
{
    struct reader reader = {0};
    struct hkt_pair pair;
    int source = 0;

    hkt_pair_open(&pair);
    reader.future = pair.future;
    reader.source = &source;
    hkt_thread_start(&reader.thread, start_is_no_end, &reader);
    hkt_thread_await_sleep(&reader.thread);
    HKT_OK(hk_promise_start(pair.promise));
    HKT_STATUS(hk_future_cancel(pair.future, HK_CANCEL_PENDING), HK_ESTATE);
    hkt_thread_await_sleep(&reader.thread);
    source = 4;
    hkt_pair_end(&pair, HK_DONE);
    hkt_thread_join(&reader.thread);
    HKT_EQ_INT(reader.payload, 4);
    hkt_pair_close(&pair);
}

/* --- FS20, FS21: the first end stays --- */

static void the_first_value_stays(void)
{
    atomic_uint drops = 0;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_STATUS(hkt_set_int(pair.promise, 1), HK_ESTATE);
    HKT_STATUS(hk_promise_set_ref(pair.promise, &drops, hkt_count_drop), HK_ESTATE);
    HKT_STATUS(hk_promise_fail(pair.promise, 1, "late"), HK_ESTATE);
    HKT_TRUE(hk_future_has_ended(pair.future));
    HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
    hkt_pair_close(&pair);
    /* What was refused is still the caller's. */
    HKT_EQ_INT(atomic_load(&drops), 0);
}

static void the_first_error_stays(void)
{
    const hk_error *first = NULL;
    const hk_error *later = NULL;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_FAILED);
    HKT_OK(hk_future_error(pair.future, 0, &first));
    HKT_STATUS(hk_promise_fail(pair.promise, 1, "late"), HK_ESTATE);
    HKT_STATUS(hkt_set_int(pair.promise, 1), HK_ESTATE);
    HKT_OK(hk_future_error(pair.future, 0, &later));
    HKT_EQ_PTR(later, first);
    HKT_EQ_INT(later->app_code, HKT_APP_CODE);
    HKT_EQ_STR(later->message, HKT_MESSAGE);
    hkt_pair_close(&pair);
}

static void a_cancelled_promise_takes_no_value(void)
{
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_CANCELLED);
    HKT_STATUS(hkt_set_int(pair.promise, 1), HK_ESTATE);
    HKT_STATUS(hk_promise_fail(pair.promise, 1, "late"), HK_ESTATE);
    HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_ECANCELED);
    hkt_pair_close(&pair);
}

/* --- Taking --- */

static void a_value_of_any_size_can_be_taken_once(void)
{
    static const size_t sizes[] = {0, 1, 8, 16, 17, 48, 49, 4096};
    unsigned char bytes[4096];

    memset(bytes, 0xa5, sizeof(bytes));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        hk_value value = {0};
        hk_value second;
        struct hkt_pair pair;

        hkt_pair_open(&pair);
        HKT_OK(hk_promise_set(pair.promise, bytes, sizes[i]));
        HKT_OK(hk_future_take(pair.future, HK_FOREVER, &value));
        HKT_STATUS(hk_future_take(pair.future, 0, &second), HK_ESTATE);
        HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_ESTATE);
        HKT_EQ_INT(hk_future_state(pair.future), HK_DONE);
        hkt_pair_close(&pair); /* The value outlives its future. */
        HKT_EQ_INT(value.size, sizes[i]);
        HKT_TRUE(sizes[i] == 0 || memcmp(value.data, bytes, sizes[i]) == 0);
        hk_value_drop(&value);
        HKT_EQ_PTR(value.data, NULL);
        hk_value_drop(&value);
    }
}

static void a_reference_is_dropped_exactly_once(void)
{
    atomic_uint drops = 0;
    const void *seen = NULL;
    size_t size = 0;
    hk_value value;
    struct hkt_pair pair;

    /* Nobody takes it: the last reference drops it. */
    hkt_pair_open(&pair);
    HKT_OK(hk_promise_set_ref(pair.promise, &drops, hkt_count_drop));
    HKT_OK(hk_future_result(pair.future, 0, &seen, &size));
    HKT_EQ_PTR(seen, &drops);
    HKT_TRUE(size == HK_BY_REF);
    hk_promise_destroy(pair.promise);
    HKT_EQ_INT(atomic_load(&drops), 0);
    hk_future_unref(pair.future);
    HKT_EQ_INT(atomic_load(&drops), 1);

    /* Taken: the taker drops it. */
    hkt_pair_open(&pair);
    HKT_OK(hk_promise_set_ref(pair.promise, &drops, hkt_count_drop));
    HKT_OK(hk_future_take(pair.future, 0, &value));
    hkt_pair_close(&pair);
    HKT_EQ_INT(atomic_load(&drops), 1);
    HKT_EQ_PTR(value.data, &drops);
    HKT_TRUE(value.size == HK_BY_REF);
    hk_value_drop(&value);
    HKT_EQ_INT(atomic_load(&drops), 2);
    hk_value_drop(&value);
    HKT_EQ_INT(atomic_load(&drops), 2);

    /* Nothing to release it with is fine. */
    hkt_pair_open(&pair);
    HKT_OK(hk_promise_set_ref(pair.promise, NULL, NULL));
    HKT_OK(hk_future_take(pair.future, 0, &value));
    HKT_EQ_PTR(value.data, NULL);
    hk_value_drop(&value);
    hkt_pair_close(&pair);
}

static void a_result_nobody_could_read_is_dropped(void)
{
    atomic_uint drops = 0;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    hk_future_unref(pair.future);
    pair.future = NULL;
    HKT_OK(hk_promise_set_ref(pair.promise, &drops, hkt_count_drop));
    hkt_pair_close(&pair);
    HKT_EQ_INT(atomic_load(&drops), 1);
}

/* --- The descriptor --- */

static bool is_readable(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    int ready = poll(&entry, 1, 0);

    HKT_TRUE(ready >= 0);
    return ready == 1;
}

static void the_descriptor_turns_readable_at_the_end(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 3; i++) {
        struct hkt_pair pair;
        int again = -1;
        int fd = -1;

        hkt_pair_open(&pair);
        HKT_OK_FATAL(hk_future_fd(pair.future, &fd));
        HKT_TRUE(!is_readable(fd));
        if (ends[i] != HK_CANCELLED) {
            HKT_OK(hk_promise_start(pair.promise));
            HKT_TRUE(!is_readable(fd));
        }
        hkt_pair_end(&pair, ends[i]);
        HKT_TRUE(is_readable(fd));
        HKT_OK(hk_future_fd(pair.future, &again));
        HKT_EQ_INT(again, fd);
        HKT_TRUE(is_readable(fd));
        hkt_pair_close(&pair);
    }
}

static void the_descriptor_of_a_finished_future_is_readable(void)
{
    struct hkt_pair pair;
    int fd = -1;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK_FATAL(hk_future_fd(pair.future, &fd));
    HKT_TRUE(is_readable(fd));
    hkt_pair_close(&pair);
}

static void poll_for_ever(void *arg)
{
    struct pollfd entry = {.fd = *(const int *)arg, .events = POLLIN};

    HKT_EQ_INT(poll(&entry, 1, -1), 1);
    HKT_EQ_INT(entry.revents, POLLIN);
}

static void a_thread_that_polls_the_descriptor_is_woken(void)
{
    struct hkt_thread poller;
    struct hkt_pair pair;
    int fd = -1;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_future_fd(pair.future, &fd));
    hkt_thread_start(&poller, poll_for_ever, &fd);
    hkt_thread_await_sleep(&poller);
    hkt_pair_end(&pair, HK_DONE);
    hkt_thread_join(&poller);
    hkt_pair_close(&pair);
}

static CU_TestInfo tests[] = {
    HKT_CASE("FS10 FS14 polling an unfinished future times out",
             polling_an_unfinished_future_times_out),
    HKT_CASE("FS10 a wait that ran out leaves the future as it was",
             a_wait_that_ran_out_leaves_the_future_as_it_was),
    HKT_CASE("FS11 FS15 a cancelled future gives cancelled", a_cancelled_future_gives_cancelled),
    HKT_CASE("FS12 FS16 a failed future gives status and error",
             a_failed_future_gives_status_and_error),
    HKT_CASE("FS13 FS16 a done future gives its value any number of times",
             a_done_future_gives_its_value_any_number_of_times),
    HKT_CASE("nothing to read from is refused", nothing_to_read_from_is_refused),
    HKT_CASE("FS17 a blocked reader is woken by a value", a_blocked_reader_is_woken_by_a_value),
    HKT_CASE("FS18 a blocked reader is woken by a cancel", a_blocked_reader_is_woken_by_a_cancel),
    HKT_CASE("FS19 a blocked reader is woken by a failure", a_blocked_reader_is_woken_by_a_failure),
    HKT_CASE("a blocked reader sleeps through the start",
             a_blocked_reader_sleeps_through_the_start),
    HKT_CASE("FS20 the first value stays", the_first_value_stays),
    HKT_CASE("FS21 the first error stays", the_first_error_stays),
    HKT_CASE("a cancelled promise takes no value", a_cancelled_promise_takes_no_value),
    HKT_CASE("a value of any size can be taken once", a_value_of_any_size_can_be_taken_once),
    HKT_CASE("a reference is dropped exactly once", a_reference_is_dropped_exactly_once),
    HKT_CASE("a result nobody could read is dropped", a_result_nobody_could_read_is_dropped),
    HKT_CASE("the descriptor turns readable at the end", the_descriptor_turns_readable_at_the_end),
    HKT_CASE("the descriptor of a finished future is readable",
             the_descriptor_of_a_finished_future_is_readable),
    HKT_CASE("a thread that polls the descriptor is woken",
             a_thread_that_polls_the_descriptor_is_woken),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "future_read", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
