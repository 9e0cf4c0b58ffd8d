/* SPDX-License-Identifier: MIT */
/*
 * What follows from "refusals are told where they can be handled", "bounded unless told
 * otherwise" and "all-zero options are the defaults" for every executor: cases RF, BD and OP of
 * docs/contract.md.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/led_fixture.h"

enum { LIMIT_BYTES = 1000, LARGE_BYTES = 2000 };

/* --- RF: what a refused submit leaves as it was --- */

/* Why a submit is refused, and how it is brought about. */
struct refusal {
    const char *name;
    hk_status status;
    hk_executor_options executor;
    hk_submit_options submit;
    bool fired;
    bool closed;
    bool large;
};

static const struct refusal refusals[] = {
    {.name = "a negative limit", .status = HK_EINVAL, .submit = {.timeout = -5}},
    {.name = "an unknown priority", .status = HK_EINVAL, .submit = {.priority = (hk_priority)5}},
    {.name = "too many descriptors", .status = HK_EINVAL, .submit = {.fd_count = 17}},
    {.name = "no descriptors", .status = HK_EINVAL, .submit = {.fd_count = 1}},
    {.name = "a fired token", .status = HK_ECANCELED, .fired = true},
    {.name = "a shutdown", .status = HK_ECLOSED, .closed = true},
    {.name = "too much",
     .status = HK_ETOOBIG,
     .executor = {.max_payload = LIMIT_BYTES},
     .large = true},
};

enum { REFUSALS = sizeof(refusals) / sizeof(refusals[0]) };

/* An executor that refuses for this reason; options for the submit. */
static hk_executor *refusing(const struct refusal *refusal, hk_submit_options *options)
{
    hk_executor *executor = NULL;

    HKT_OK_FATAL(hkt_executor_create(refusal->executor, &executor));
    *options = refusal->submit;
    if (refusal->fired) {
        HKT_OK_FATAL(hk_cancel_token_create(NULL, &options->token));
        HKT_OK(hk_cancel_token_fire(options->token, NULL));
    }
    if (refusal->closed) {
        HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, 0));
    }
    return executor;
}

static void let_go(const struct refusal *refusal, hk_executor *executor,
                   const hk_submit_options *options)
{
    hk_executor_statistics statistics = hkt_stats(executor);

    if (statistics.submitted != 0 || statistics.queued != 0 || statistics.running != 0) {
        printf("\n    %s: something was accepted\n", refusal->name);
    }
    HKT_EQ_INT(statistics.submitted, 0);
    HKT_EQ_INT(statistics.queued, 0);
    HKT_EQ_INT(statistics.running, 0);
    hk_cancel_token_unref(options->token);
    HKT_OK(hk_executor_destroy(executor));
}

static void refused_bytes_change_nothing(void)
{
    static const char bytes[LARGE_BYTES];

    for (size_t i = 0; i < REFUSALS; i++) {
        const struct refusal *refusal = &refusals[i];
        hk_submit_options options;
        hk_executor *executor = refusing(refusal, &options);
        hk_future *future = NULL;

        HKT_STATUS(hk_submit(executor, hkt_nothing, bytes, refusal->large ? LARGE_BYTES : 8,
                             &options, &future),
                   refusal->status);
        HKT_EQ_PTR(future, NULL);
        let_go(refusal, executor, &options);
    }
}

static void a_refused_reference_stays_the_callers(void)
{
    atomic_uint drops = 0;

    for (size_t i = 0; i < REFUSALS; i++) {
        const struct refusal *refusal = &refusals[i];
        hk_submit_options options;
        hk_executor *executor = refusing(refusal, &options);
        hk_future *future = NULL;
        hk_status status =
            hk_submit_ref(executor, hkt_nothing, &drops, hkt_count_drop, &options, &future);

        if (refusal->large && !hkt_is_processes()) {
            HKT_OK(status); /* A reference has no size. */
            hkt_expect_end(future, HK_OK);
            HKT_EQ_INT(atomic_exchange(&drops, 0), 1);
            hk_cancel_token_unref(options.token);
            HKT_OK(hk_executor_destroy(executor));
            continue;
        }
        HKT_TRUE(status == refusal->status || (hkt_is_processes() && status == HK_EPORTABLE));
        HKT_EQ_PTR(future, NULL);
        HKT_EQ_INT(atomic_load(&drops), 0);
        let_go(refusal, executor, &options);
    }
}

static hk_buffer *buffer_for(hk_executor *executor, size_t size)
{
    hk_buffer *buffer = NULL;

    HKT_OK_FATAL(hk_buffer_create(executor, size, &buffer));
    memset(hk_buffer_data(buffer), 0x5a, size);
    return buffer;
}

static void a_refused_buffer_stays_the_callers(void)
{
    for (size_t i = 0; i < REFUSALS; i++) {
        const struct refusal *refusal = &refusals[i];
        hk_submit_options options;
        hk_executor *executor = refusing(refusal, &options);
        hk_buffer *buffer = NULL;
        hk_future *future = NULL;

        if (hk_buffer_create(executor, refusal->large ? LARGE_BYTES : 8, &buffer) != HK_OK) {
            HKT_TRUE(refusal->large || refusal->closed); /* Refused before there was any. */
            let_go(refusal, executor, &options);
            continue;
        }
        memset(hk_buffer_data(buffer), 0x5a, 8);
        HKT_STATUS(hk_submit_buffer(executor, hkt_echo, buffer, &options, &future),
                   refusal->status);
        HKT_EQ_PTR(future, NULL);
        HKT_EQ_INT(*(unsigned char *)hk_buffer_data(buffer), 0x5a);
        hk_buffer_destroy(buffer);
        let_go(refusal, executor, &options);
    }
}

static void the_buffer_of_another_executor_stays_the_callers(void)
{
    hk_executor *other = NULL;
    hk_buffer *buffer;
    hk_future *future = NULL;

    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){0}, &other));
    buffer = buffer_for(other, 8);
    HKT_STATUS(hk_submit_buffer(hkt_executor, hkt_echo, buffer, NULL, &future), HK_EINVAL);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(*(unsigned char *)hk_buffer_data(buffer), 0x5a);
    HKT_OK(hk_submit_buffer(other, hkt_echo, buffer, NULL, &future)); /* Taken now. */
    hkt_expect_end(future, HK_OK);
    HKT_OK(hk_executor_destroy(other));
}

static void what_is_refused_is_counted_as_refused(void)
{
    for (size_t i = 0; i < REFUSALS; i++) {
        static const char bytes[LARGE_BYTES];
        const struct refusal *refusal = &refusals[i];
        hk_submit_options options;
        hk_executor *executor = refusing(refusal, &options);

        HKT_STATUS(hk_submit(executor, hkt_nothing, bytes, refusal->large ? LARGE_BYTES : 8,
                             &options, NULL),
                   refusal->status);
        HKT_EQ_INT(hkt_stats(executor).refused, 1);
        let_go(refusal, executor, &options);
    }
}

/* --- BD: bounds --- */

enum { CAPACITY = 3 };

/* A full one: all workers stand still, and so many tasks as may wait do. Not inline. */
struct full {
    hk_executor *executor;
    struct hkt_plug plug;
    hk_future *queued[CAPACITY];
};

static bool fill(struct full *full, hk_when_full when_full)
{
    if (hkt_is_inline()) {
        hkt_not_here("inline nothing is ever queued");
        return false;
    }
    HKT_OK_FATAL(hkt_executor_create(
        (hk_executor_options){.queue_capacity = CAPACITY, .when_full = when_full},
        &full->executor));
    /* One at a time, as those that stand still have been in the queue. */
    full->plug.gate = hkt_shared_new(sizeof(*full->plug.gate));
    hkt_gate_init(full->plug.gate, "the plug of the workers");
    full->plug.count = hkt_worker_count();
    for (unsigned i = 0; i < full->plug.count; i++) {
        full->plug.futures[i] =
            hkt_submit_pointer(full->executor, hkt_stands_at_gate, full->plug.gate);
        hkt_gate_await_arrivals(full->plug.gate, i + 1);
    }
    for (int i = 0; i < CAPACITY; i++) {
        full->queued[i] = hkt_submit_int(full->executor, hkt_square, i);
    }
    HKT_EQ_INT(hkt_stats(full->executor).queued, CAPACITY);
    return true;
}

/* Lets all go on; the first so many of the queue were dropped. */
static void empty(struct full *full, int dropped)
{
    hkt_plug_pull(&full->plug);
    for (int i = 0; i < CAPACITY; i++) {
        if (i < dropped) {
            hkt_expect_end(full->queued[i], HK_EFULL);
        } else {
            HKT_EQ_INT(hkt_take_int(full->queued[i]), i * i);
        }
    }
    HKT_OK(hk_executor_destroy(full->executor));
}

static void a_capacity_is_kept_to_the_task(void)
{
    struct full full;
    hk_future *future = NULL;

    if (fill(&full, HK_FULL_FAIL)) {
        HKT_STATUS(hk_submit(full.executor, hkt_nothing, NULL, 0, NULL, &future), HK_EFULL);
        HKT_EQ_PTR(future, NULL);
        HKT_EQ_INT(hkt_stats(full.executor).queued, CAPACITY);
        /* A place that was given up is a place. */
        HKT_OK(hk_future_cancel(full.queued[0], HK_CANCEL_PENDING));
        hk_future_unref(full.queued[0]);
        full.queued[0] = hkt_submit_int(full.executor, hkt_square, 0);
        HKT_STATUS(hk_submit(full.executor, hkt_nothing, NULL, 0, NULL, NULL), HK_EFULL);
        HKT_EQ_INT(hkt_stats(full.executor).refused, 2);
        empty(&full, 0);
    }
}

/* These are refused by the back end itself, when the task has been made already. */
static void a_full_queue_takes_neither_reference_nor_buffer(void)
{
    static const hk_when_full policies[] = {HK_FULL_FAIL, HK_FULL_BLOCK};
    static const hk_status statuses[] = {HK_EFULL, HK_ETIMEDOUT};
    hk_submit_options options = {.queue_wait = HK_MS(2)};

    for (int i = 0; i < 2; i++) {
        atomic_uint drops = 0;
        hk_future *future = NULL;
        hk_buffer *buffer;
        hk_status status;
        struct full full;

        if (!fill(&full, policies[i])) {
            return;
        }
        status =
            hk_submit_ref(full.executor, hkt_nothing, &drops, hkt_count_drop, &options, &future);
        HKT_STATUS(status, hkt_is_processes() ? HK_EPORTABLE : statuses[i]);
        HKT_EQ_PTR(future, NULL);
        HKT_EQ_INT(atomic_load(&drops), 0);
        buffer = buffer_for(full.executor, 8);
        HKT_STATUS(hk_submit_buffer(full.executor, hkt_echo, buffer, &options, &future),
                   statuses[i]);
        HKT_EQ_PTR(future, NULL);
        HKT_EQ_INT(*(unsigned char *)hk_buffer_data(buffer), 0x5a);
        hk_buffer_destroy(buffer);
        empty(&full, 0);
        HKT_EQ_INT(atomic_load(&drops), 0);
    }
}

static void no_room_in_time_is_a_time_out_and_no_future(void)
{
    hk_submit_options options = {.queue_wait = HK_MS(3)};
    struct full full;
    hk_future *future = NULL;

    if (fill(&full, HK_FULL_BLOCK)) {
        HKT_STATUS(hk_submit(full.executor, hkt_nothing, NULL, 0, &options, &future), HK_ETIMEDOUT);
        HKT_EQ_PTR(future, NULL);
        HKT_EQ_INT(hkt_stats(full.executor).submitted, CAPACITY + full.plug.count);
        empty(&full, 0);
    }
}

static void the_oldest_is_dropped_as_failed(void)
{
    struct full full;
    hk_future *future;

    if (fill(&full, HK_FULL_DROP_OLDEST)) {
        future = hkt_submit_int(full.executor, hkt_square, 7);
        HKT_STATUS(hk_future_result(full.queued[0], 0, NULL, NULL), HK_EFULL);
        HKT_EQ_INT(hk_future_state(full.queued[0]), HK_FAILED);
        HKT_EQ_INT(hkt_stats(full.executor).queued, CAPACITY);
        empty(&full, 1);
        HKT_EQ_INT(hkt_take_int(future), 49);
    }
}

HK_TASK(returns_too_much)
{
    static const char bytes[LARGE_BYTES];
    hk_status status = hk_return(call, bytes, sizeof(bytes));

    HKT_STATUS(status, HK_ETOOBIG);
    return status;
}

static void a_value_that_is_too_large_fails_the_task(void)
{
    hk_executor *executor = NULL;
    hk_future *future = NULL;
    const hk_error *error = NULL;

    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.max_payload = LIMIT_BYTES}, &executor));
    HKT_OK_FATAL(hk_submit(executor, returns_too_much, NULL, 0, NULL, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_OK_FATAL(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
    HKT_STATUS(error->cause->status, HK_ETOOBIG);
    hk_future_unref(future);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, 5)), 25);
    HKT_OK(hk_executor_destroy(executor));
}

static void exactly_the_limit_passes(void)
{
    static const char bytes[LIMIT_BYTES];
    hk_executor *executor = NULL;
    hk_future *future = NULL;
    size_t size = 0;

    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.max_payload = LIMIT_BYTES}, &executor));
    HKT_OK_FATAL(hk_submit(executor, hkt_echo, bytes, LIMIT_BYTES, NULL, &future));
    HKT_OK(hk_future_result(future, HK_FOREVER, NULL, &size));
    HKT_EQ_INT(size, LIMIT_BYTES);
    hk_future_unref(future);
    HKT_STATUS(hk_submit(executor, hkt_echo, bytes, LIMIT_BYTES + 1, NULL, NULL), HK_ETOOBIG);
    HKT_OK(hk_executor_destroy(executor));
}

/* --- OP: options --- */

static void options_of_zero_are_the_defaults(void)
{
    const hk_executor_options with_size = {.size = sizeof(with_size)};
    const hk_submit_options zero = {0};
    hk_executor *one = NULL;
    hk_executor *two = NULL;
    hk_future *future = NULL;
    int value = 6;

    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){0}, &one));
    HKT_OK_FATAL(hkt_executor_create(with_size, &two));
    HKT_OK_FATAL(hk_submit(one, hkt_square, &value, sizeof(value), &zero, &future));
    HKT_EQ_INT(hkt_take_int(future), 36);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(two, hkt_square, 7)), 49);
    HKT_OK(hk_executor_destroy(one));
    HKT_OK(hk_executor_destroy(two));
}

static void absurd_options_are_refused_before_anything_happens(void)
{
    const hk_executor_options absurd[] = {
        {.workers = UINT_MAX},     {.when_full = (hk_when_full)9}, {.idle_exit = -3},
        {.task_timeout = -3},      {.queue_capacity = SIZE_MAX},   {.size = 1},
        {.kill_grace = -3},        {.start_timeout = -3},          {.stack_size = SIZE_MAX},
        {.max_payload = SIZE_MAX},
    };

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        hk_executor *executor = NULL;
        hk_status status = hkt_executor_create(absurd[i], &executor);

        /* What this executor has no use for it may overlook, but never half obey. */
        if (status == HK_OK) {
            HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, 5)), 25);
            HKT_OK(hk_executor_destroy(executor));
        } else {
            HKT_STATUS(status, HK_EINVAL);
            HKT_EQ_PTR(executor, NULL);
        }
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("RF01 refused bytes change nothing", refused_bytes_change_nothing),
    HKT_CASE("RF02 a refused reference stays the caller's", a_refused_reference_stays_the_callers),
    HKT_CASE("RF03 a refused buffer stays the caller's", a_refused_buffer_stays_the_callers),
    HKT_CASE("RF03 the buffer of another executor stays the caller's",
             the_buffer_of_another_executor_stays_the_callers),
    HKT_CASE("RF04 what is refused is counted as refused", what_is_refused_is_counted_as_refused),
    HKT_CASE("BD01 a capacity is kept to the task", a_capacity_is_kept_to_the_task),
    HKT_CASE("RF02 RF03 a full queue takes neither reference nor buffer",
             a_full_queue_takes_neither_reference_nor_buffer),
    HKT_CASE("BD02 no room in time is a time-out, and no future",
             no_room_in_time_is_a_time_out_and_no_future),
    HKT_CASE("BD03 the oldest is dropped as failed", the_oldest_is_dropped_as_failed),
    HKT_CASE("BD04 a value that is too large fails the task",
             a_value_that_is_too_large_fails_the_task),
    HKT_CASE("BD05 exactly the limit passes", exactly_the_limit_passes),
    HKT_CASE("OP01 options of zero are the defaults", options_of_zero_are_the_defaults),
    HKT_CASE("OP02 absurd options are refused before anything happens",
             absurd_options_are_refused_before_anything_happens),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_refusals",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
