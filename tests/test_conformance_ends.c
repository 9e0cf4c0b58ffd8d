/* SPDX-License-Identifier: MIT */
/*
 * What follows from "what is accepted ends, once" and "ownership is exact" for every executor:
 * cases OE and OW of docs/contract.md.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/led_fixture.h"

/* --- OE: once, for everybody --- */

static bool is_readable(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    return poll(&polled, 1, 0) == 1;
}

struct tally {
    atomic_uint *calls;
    unsigned expected;
};

static bool are_counted(void *arg)
{
    const struct tally *tally = arg;

    return atomic_load(tally->calls) >= tally->expected;
}

/* Waiters may wake before callbacks have run: so many there are in the end, and no more. */
static void expect_calls(atomic_uint *calls, unsigned expected)
{
    struct tally tally = {calls, expected};

    hkt_until(are_counted, &tally);
    HKT_EQ_INT(atomic_load(calls), expected);
}

static void everybody_sees_the_end_at_once(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 3; i++) {
        struct hkt_led led;
        hk_completion *completion = NULL;
        hk_future *next = NULL;
        atomic_uint calls = 0;
        bool done = false;
        int fd = -1;

        hkt_led_begin(&led);
        HKT_OK_FATAL(hk_completion_create(&completion));
        HKT_OK(hk_completion_add(completion, led.future, 1));
        HKT_OK_FATAL(hk_future_fd(led.future, &fd));
        HKT_OK(hk_future_on_done(led.future, NULL, hkt_count_call, &calls, NULL));
        HKT_TRUE(!is_readable(fd));
        hkt_led_end(&led, ends[i]);
        HKT_OK(hk_future_wait(led.future, HK_FOREVER));
        HKT_EQ_INT(hk_future_state(led.future), ends[i]);
        HKT_OK(hk_wait(&led.future, 1, HK_ALL_COMPLETED, 0, &done, NULL));
        HKT_TRUE(done);
        HKT_OK(hk_completion_next(completion, HK_FOREVER, &next, NULL));
        HKT_EQ_PTR(next, led.future);
        hk_future_unref(next);
        HKT_EQ_INT(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
        expect_calls(&calls, 1);
        hk_completion_destroy(completion);
        hkt_led_close(&led);
    }
}

static void cancel_limit_and_value_end_it_once(void)
{
    enum { ROUNDS = 60 };
    atomic_uint calls = 0;
    hk_executor_statistics statistics;

    for (int round = 0; round < ROUNDS; round++) {
        hk_submit_options options = {.timeout = HK_US(20 + 40 * (round % 5)),
                                     .deadline = HK_US(100)};
        int value = round;
        hk_future *future = NULL;
        hk_status status;

        HKT_OK_FATAL(hk_submit(hkt_executor, hkt_square, &value, sizeof(value), &options, &future));
        HKT_OK(hk_future_on_done(future, NULL, hkt_count_call, &calls, NULL));
        if (round % 3 != 0) {
            (void)hk_future_cancel(future, (hk_cancel_level)(round % 3));
        }
        status = hk_future_result(future, HK_FOREVER, NULL, NULL);
        HKT_TRUE(status == HK_OK || status == HK_ECANCELED || status == HK_EDEADLINE);
        HKT_STATUS(hk_future_result(future, 0, NULL, NULL), status);
        (void)hk_future_cancel(future, HK_CANCEL_KILL);
        HKT_STATUS(hk_future_result(future, 0, NULL, NULL), status);
        (void)hk_future_why(future);
        hk_future_unref(future);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    expect_calls(&calls, ROUNDS);
    statistics = hkt_stats(hkt_executor);
    HKT_EQ_INT(statistics.submitted, ROUNDS);
    HKT_EQ_INT(statistics.done + statistics.failed + statistics.cancelled, ROUNDS);
}

static void unref_cancel_and_deadline_lose_nothing(void)
{
    enum { ROUNDS = 90 };
    atomic_uint calls = 0;
    hk_executor_statistics statistics;

    for (int round = 0; round < ROUNDS; round++) {
        hk_submit_options options = {.deadline = HK_US(30 + 50 * (round % 4))};
        int value = round;
        hk_future *future = NULL;

        HKT_OK_FATAL(hk_submit(hkt_executor, hkt_square, &value, sizeof(value), &options, &future));
        HKT_OK(hk_future_on_done(future, NULL, hkt_count_call, &calls, NULL));
        if (round % 2 == 0) {
            (void)hk_future_cancel(future, (hk_cancel_level)(round % 3));
        }
        (void)hk_future_why(future); /* So that a failure counts as read, if there is one yet. */
        hk_future_unref(future);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    expect_calls(&calls, ROUNDS);
    statistics = hkt_stats(hkt_executor);
    HKT_EQ_INT(statistics.done + statistics.failed + statistics.cancelled, ROUNDS);
    HKT_EQ_INT(statistics.queued, 0);
    HKT_EQ_INT(statistics.running, 0);
}

/* --- OE: order of callbacks over chains --- */

struct order {
    char text[16];
    atomic_uint begun;
    atomic_uint count; /* Of these, written. */
};

static struct order order;

static void note(char who)
{
    unsigned at = atomic_fetch_add(&order.begun, 1);

    HKT_TRUE_FATAL(at + 1 < sizeof(order.text));
    order.text[at] = who;
    atomic_fetch_add(&order.count, 1);
}

static void note_callback(hk_future *future, void *who)
{
    (void)future;
    note(*(const char *)who);
}

static hk_status note_step(hk_future *source, hk_promise *result, void *who)
{
    (void)source;
    note(*(const char *)who);
    return hkt_set_int(result, 1);
}

static bool all_are_noted(void *arg)
{
    (void)arg;
    return atomic_load(&order.count) == 6;
}

/* What is added to the source runs in the order added, steps among callbacks; what hangs on a
 * step runs with it, before the next one of the source. */
static void steps_and_callbacks_keep_the_order_added(void)
{
    struct hkt_led led;
    hk_future *first = NULL;
    hk_future *second = NULL;

    memset(&order, 0, sizeof(order));
    hkt_led_begin(&led);
    HKT_OK(hk_future_on_done(led.future, NULL, note_callback, "a", NULL));
    HKT_OK_FATAL(hk_then(led.future, NULL, note_step, "b", &first));
    HKT_OK(hk_future_on_done(first, NULL, note_callback, "c", NULL));
    HKT_OK(hk_future_on_done(led.future, NULL, note_callback, "d", NULL));
    HKT_OK_FATAL(hk_then(first, NULL, note_step, "e", &second));
    HKT_OK(hk_future_on_done(led.future, NULL, note_callback, "f", NULL));
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(second, HK_FOREVER));
    hkt_until(all_are_noted, NULL);
    HKT_EQ_STR(order.text, "abcedf");
    hk_future_unref(first);
    hk_future_unref(second);
    hkt_led_close(&led);
}

/* --- OW: whose it is --- */

enum { TAKERS = 4 };

struct taker {
    struct hkt_barrier *start;
    hk_future *future;
    hk_status status;
    hk_value value;
};

static void *take_it(void *arg)
{
    struct taker *taker = arg;

    hkt_barrier_wait(taker->start);
    taker->status = hk_future_take(taker->future, HK_FOREVER, &taker->value);
    return NULL;
}

static void of_many_who_take_one_has_it(void)
{
    for (int round = 0; round < 20; round++) {
        struct hkt_barrier start;
        struct taker takers[TAKERS];
        pthread_t threads[TAKERS];
        hk_future *future = hkt_submit_int(hkt_executor, hkt_square, 9);
        unsigned taken = 0;

        HKT_OK(hk_future_wait(future, HK_FOREVER));
        hkt_barrier_init(&start, TAKERS, "takers");
        for (int i = 0; i < TAKERS; i++) {
            takers[i] = (struct taker){.start = &start, .future = future};
            HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, take_it, &takers[i]), 0);
        }
        for (int i = 0; i < TAKERS; i++) {
            pthread_join(threads[i], NULL);
            if (takers[i].status == HK_OK) {
                taken++;
                HKT_EQ_INT(*(int *)takers[i].value.data, 81);
                hk_value_drop(&takers[i].value);
                hk_value_drop(&takers[i].value); /* Emptied: does nothing. */
            } else {
                HKT_STATUS(takers[i].status, HK_ESTATE);
            }
        }
        HKT_EQ_INT(taken, 1);
        hkt_barrier_fini(&start);
        hk_future_unref(future);
    }
}

static void a_taken_value_is_not_read(void)
{
    hk_future *future = hkt_submit_int(hkt_executor, hkt_square, 5);
    hk_future_view view;
    hk_value value;
    hk_value again;

    HKT_OK_FATAL(hk_future_take(future, HK_FOREVER, &value));
    HKT_STATUS(hk_future_take(future, HK_FOREVER, &again), HK_ESTATE);
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_ESTATE);
    HKT_EQ_INT(hk_future_state(future), HK_DONE);
    HKT_OK(hk_future_snapshot(future, &view));
    HKT_EQ_PTR(view.value, NULL);
    hk_future_unref(future);
    HKT_EQ_INT(*(int *)value.data, 25); /* It outlives its future. */
    hk_value_drop(&value);
}

static void bytes_are_copied_by_the_submit(void)
{
    enum { BYTES = 5000 };
    unsigned char *bytes = malloc(BYTES);
    hk_future *future = NULL;
    const unsigned char *value = NULL;
    const void *seen = NULL;
    size_t size = 0;

    HKT_TRUE_FATAL(bytes != NULL);
    for (size_t large = 0; large < 2; large++) {
        size_t count = large != 0 ? BYTES : 8;

        memset(bytes, 0x11, BYTES);
        HKT_OK_FATAL(hk_submit(hkt_executor, hkt_echo, bytes, count, NULL, &future));
        memset(bytes, 0x22, BYTES);
        HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &seen, &size));
        value = seen;
        HKT_EQ_INT(size, count);
        HKT_TRUE(value[0] == 0x11 && value[count - 1] == 0x11);
        hk_future_unref(future);
    }
    free(bytes);
}

static void dropping_the_last_reference_neither_cancels_nor_waits(void)
{
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    struct hkt_plug plug;

    if (!hkt_is_inline()) {
        hkt_fill(&plug);
    }
    for (int i = 0; i < 5; i++) {
        hk_future_unref(hkt_submit_pointer(hkt_executor, hkt_counts, runs));
    }
    if (!hkt_is_inline()) {
        HKT_EQ_INT(atomic_load(runs), 0); /* It has not waited, and nothing could run. */
        hkt_plug_pull(&plug);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(runs), 5);
    HKT_EQ_INT(hkt_stats(hkt_executor).done, hkt_is_inline() ? 5 : 5 + plug.count);
}

HK_TASK(returns_a_reference)
{
    return hk_return_ref(call, hkt_pointer(in, in_size), hkt_count_drop);
}

static void a_result_that_nobody_took_is_dropped_once(void)
{
    atomic_uint drops = 0;
    hk_future *future;
    hk_value value;

    if (hkt_is_processes()) {
        hkt_not_here("a value is a copy: no reference comes back from a process");
        return;
    }
    future = hkt_submit_ref(hkt_executor, returns_a_reference, &drops);
    HKT_OK(hk_future_wait(future, HK_FOREVER));
    HKT_OK(hk_executor_destroy(hkt_executor)); /* A result outlives its executor. */
    HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &hkt_executor));
    HKT_EQ_INT(atomic_load(&drops), 0);
    hk_future_unref(future);
    HKT_EQ_INT(atomic_load(&drops), 1);
    future = hkt_submit_ref(hkt_executor, returns_a_reference, &drops);
    HKT_OK(hk_future_take(future, HK_FOREVER, &value));
    hk_future_unref(future);
    HKT_EQ_INT(atomic_load(&drops), 1); /* Taken: the taker's. */
    HKT_EQ_PTR(value.data, &drops);
    hk_value_drop(&value);
    HKT_EQ_INT(atomic_load(&drops), 2);
}

static void a_result_outlives_its_executor(void)
{
    static const char text[] = "longer than what lies in the future itself, and kept elsewhere";
    hk_future *done = NULL;
    hk_future *failed = NULL;
    const void *value = NULL;

    HKT_OK_FATAL(hk_submit(hkt_executor, hkt_echo, text, sizeof(text), NULL, &done));
    HKT_OK_FATAL(hk_submit(hkt_executor, hkt_fails, NULL, 0, NULL, &failed));
    HKT_OK(hk_executor_destroy(hkt_executor));
    hkt_executor = NULL;
    HKT_OK(hk_future_result(done, 0, &value, NULL));
    HKT_EQ_STR(value, text);
    HKT_STATUS(hk_future_result(failed, 0, NULL, NULL), HK_EFAILED);
    HKT_TRUE(strstr(hk_future_why(failed), "no luck") != NULL);
    hk_future_unref(done);
    hk_future_unref(failed);
}

static CU_TestInfo tests[] = {
    HKT_CASE("OE01 everybody sees the end at once", everybody_sees_the_end_at_once),
    HKT_CASE("OE02 cancel, limit and value end it once", cancel_limit_and_value_end_it_once),
    HKT_CASE("OE03 unref, cancel and deadline lose nothing",
             unref_cancel_and_deadline_lose_nothing),
    HKT_CASE("OE04 steps and callbacks keep the order added",
             steps_and_callbacks_keep_the_order_added),
    HKT_CASE("OW01 of many who take one has it", of_many_who_take_one_has_it),
    HKT_CASE("OW02 a taken value is not read", a_taken_value_is_not_read),
    HKT_CASE("OW03 bytes are copied by the submit", bytes_are_copied_by_the_submit),
    HKT_CASE("OW04 dropping the last reference neither cancels nor waits",
             dropping_the_last_reference_neither_cancels_nor_waits),
    HKT_CASE("OW05 a result that nobody took is dropped once",
             a_result_that_nobody_took_is_dropped_once),
    HKT_CASE("OW06 a result outlives its executor", a_result_outlives_its_executor),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_ends",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
