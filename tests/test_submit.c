/* SPDX-License-Identifier: MIT */
/*
 * Submitting, with every kind of input: who owns it when, and what is refused.
 * Inputs and values are counted as they are dropped: once on every path.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/live.h"
#include "tests/fixture.h"

enum { MEBIBYTE = 1 << 20 };

static hk_executor *pool;
static struct hkt_plug plug;
static atomic_uint drops;

static void set_up(void)
{
    pool = hkt_pool_create((hk_executor_options){.workers = 1, .queue_capacity = 2});
    atomic_store(&drops, 0);
}

static void tear_down(void)
{
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Bytes --- */

static unsigned char *pattern(size_t size)
{
    unsigned char *bytes = malloc(size + 1); /* Never of no bytes. */

    HKT_TRUE_FATAL(bytes != NULL);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(i * 31 + size);
    }
    return bytes;
}

HK_TASK(returns_eight_bytes)
{
    return hk_return(call, "8 bytes", 8);
}

/* A small input and a small value live in the task itself. */
static void a_small_task_is_one_allocation(void)
{
    unsigned char given[48] = {1};
    hk_memory_statistics before;
    hk_memory_statistics after;
    hk_future *future = NULL;

    HKT_OK(hk_executor_prestart(pool, HK_FOREVER)); /* Workers are allocated, too. */
    HKT_OK(hk_memory_stats(&before));
    HKT_OK_FATAL(hk_submit(pool, returns_eight_bytes, given, sizeof(given), NULL, &future));
    HKT_OK(hk_future_result(future, HK_FOREVER, NULL, NULL));
    HKT_OK(hk_memory_stats(&after));
    HKT_EQ_INT(after.allocations - before.allocations, 1);
    hk_future_unref(future);
}

static void bytes_of_every_size_arrive(void)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 47, 48, 49, 64, 4096, MEBIBYTE};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *expected = pattern(sizes[i]);
        unsigned char *given = pattern(sizes[i]);
        hk_future *future = NULL;
        const void *value = NULL;
        size_t size = 1;

        HKT_OK_FATAL(hk_submit(pool, hkt_echo, given, sizes[i], NULL, &future));
        memset(given, 0, sizes[i]); /* Copied: the caller's again. */
        free(given);
        HKT_OK(hk_future_result(future, HK_FOREVER, &value, &size));
        HKT_EQ_INT(size, sizes[i]);
        if (sizes[i] > 0) {
            HKT_TRUE(memcmp(value, expected, sizes[i]) == 0);
        } else {
            HKT_EQ_PTR(value, NULL);
        }
        hk_future_unref(future);
        free(expected);
    }
}

HK_TASK(checks_alignment)
{
    void *out = NULL;
    hk_status status = hk_return_reserve(call, 5000, &out);

    if (status != HK_OK) {
        return status;
    }
    if ((uintptr_t)in % _Alignof(max_align_t) != 0) {
        return hk_fail(call, 1, "the input of %zu bytes is not aligned", in_size);
    }
    if ((uintptr_t)out % _Alignof(max_align_t) != 0) {
        return hk_fail(call, 2, "the output is not aligned");
    }
    memset(out, 7, 5000);
    return HK_OK;
}

static void bytes_are_aligned_for_any_type(void)
{
    static const unsigned char bytes[200] = {0};

    for (size_t size = 1; size <= sizeof(bytes); size++) {
        hk_future *future = NULL;

        HKT_OK_FATAL(hk_submit(pool, checks_alignment, bytes, size, NULL, &future));
        hkt_expect_end(future, HK_OK);
    }
}

static void a_value_may_be_taken_once(void)
{
    static const size_t sizes[] = {0, 1, 8, 48, 49, 10000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *bytes = pattern(sizes[i]);
        hk_future *future = NULL;
        hk_value value = {0};

        HKT_OK_FATAL(hk_submit(pool, hkt_echo, bytes, sizes[i], NULL, &future));
        HKT_OK_FATAL(hk_future_take(future, HK_FOREVER, &value));
        HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_ESTATE);
        HKT_STATUS(hk_future_take(future, 0, &(hk_value){0}), HK_ESTATE);
        hk_future_unref(future);
        HKT_EQ_INT(value.size, sizes[i]);
        HKT_TRUE(sizes[i] == 0 || memcmp(value.data, bytes, sizes[i]) == 0);
        hk_value_drop(&value);
        hk_value_drop(&value);
        hk_value_drop(NULL);
        free(bytes);
    }
}

static void too_many_bytes_are_refused(void)
{
    static const unsigned char bytes[101] = {0};
    hk_executor *small = hkt_pool_create((hk_executor_options){.workers = 1, .max_payload = 100});
    const hk_error *error = NULL;
    hk_future *future = NULL;
    hk_buffer *buffer = NULL;

    HKT_STATUS(hk_submit(small, hkt_echo, bytes, 101, NULL, &future), HK_ETOOBIG);
    HKT_EQ_PTR(future, NULL);
    HKT_STATUS(hk_buffer_create(small, 101, &buffer), HK_ETOOBIG);
    HKT_EQ_PTR(buffer, NULL);
    HKT_OK_FATAL(hk_submit(small, hkt_echo, bytes, 100, NULL, &future));
    hkt_expect_end(future, HK_OK);
    /* A value that is too large fails its task with that cause. */
    HKT_OK_FATAL(hk_submit(small, checks_alignment, bytes, 100, NULL, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_OK(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
    HKT_STATUS(error->cause->status, HK_ETOOBIG);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(small));
}

/* --- References --- */

static hk_status submit_counted(const hk_submit_options *options, hk_future **future)
{
    return hk_submit_ref(pool, hkt_counts, &drops, hkt_count_drop, options, future);
}

/* The task and the drop count alike: 2 when it ran, 1 when it did not. */
static void expect_total(unsigned total)
{
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&drops), total);
}

static void a_reference_is_dropped_after_its_task(void)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(submit_counted(NULL, &future));
    HKT_OK(submit_counted(NULL, NULL));
    hkt_expect_end(future, HK_OK);
    expect_total(4);
}

static void a_reference_is_dropped_by_a_cancel(void)
{
    hk_future *future = NULL;

    hkt_plug_insert(&plug, pool, 1);
    HKT_OK_FATAL(submit_counted(NULL, &future));
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    HKT_EQ_INT(atomic_load(&drops), 1);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    hk_future_unref(future);
    hkt_plug_pull(&plug);
    expect_total(1);
}

static void a_reference_is_dropped_by_a_shutdown(void)
{
    hk_future *future = NULL;

    hkt_plug_insert(&plug, pool, 1);
    HKT_OK_FATAL(submit_counted(NULL, &future));
    HKT_OK(submit_counted(NULL, NULL));
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    HKT_EQ_INT(atomic_load(&drops), 2);
    hkt_expect_end(future, HK_ECANCELED);
    hkt_plug_pull(&plug);
    expect_total(2);
}

static void a_refused_reference_stays_the_callers(void)
{
    hk_submit_options soon = {.queue_wait = HK_MS(1)};
    hk_submit_options absurd = {.priority = (hk_priority)5};
    hk_future *future = NULL;

    hkt_plug_insert(&plug, pool, 1);
    for (int i = 0; i < 2; i++) {
        HKT_OK(hk_submit(pool, hkt_nothing, NULL, 0, NULL, NULL));
    }
    HKT_STATUS(submit_counted(&soon, &future), HK_ETIMEDOUT);
    HKT_STATUS(submit_counted(&absurd, &future), HK_EINVAL);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, 0));
    HKT_STATUS(submit_counted(NULL, &future), HK_ECLOSED);
    HKT_EQ_PTR(future, NULL);
    hkt_plug_pull(&plug);
    expect_total(0);
}

HK_TASK(returns_its_reference)
{
    return hk_return_ref(call, (void *)(uintptr_t)in, hkt_count_drop);
}

static bool is_dropped_once(void *arg)
{
    (void)arg;
    return atomic_load(&drops) == 1;
}

static void a_returned_reference_is_dropped_once(void)
{
    hk_future *future = NULL;
    hk_value value = {0};
    const void *view = NULL;
    size_t size = 0;

    /* Nobody takes it: dropped with the future. */
    future = hkt_submit_ref(pool, returns_its_reference, &drops);
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &view, &size));
    HKT_EQ_PTR(view, &drops);
    HKT_EQ_INT(size, HK_BY_REF);
    HKT_EQ_INT(atomic_load(&drops), 0);
    hk_future_unref(future);
    /* The worker that ran it may hold the future for a moment longer. */
    HKT_TRUE(hkt_eventually(is_dropped_once, NULL));

    /* Taken: dropped by whoever took it. */
    future = hkt_submit_ref(pool, returns_its_reference, &drops);
    HKT_OK_FATAL(hk_future_take(future, HK_FOREVER, &value));
    hk_future_unref(future);
    HKT_EQ_PTR(value.data, &drops);
    HKT_EQ_INT(value.size, HK_BY_REF);
    HKT_EQ_INT(atomic_load(&drops), 1);
    hk_value_drop(&value);
    hk_value_drop(&value);

    /* Nobody even keeps the future. */
    HKT_OK(hk_submit_ref(pool, returns_its_reference, &drops, NULL, NULL, NULL));
    expect_total(3);
}

HK_TASK(returns_a_reference_and_fails)
{
    HKT_OK(hk_return_ref(call, (void *)(uintptr_t)in, hkt_count_drop));
    return hk_fail(call, 1, "changed my mind");
}

static void the_value_of_a_failed_task_is_dropped(void)
{
    hkt_expect_end(hkt_submit_ref(pool, returns_a_reference_and_fails, &drops), HK_EFAILED);
    expect_total(1);
}

/* --- Buffers --- */

static hk_buffer *buffer_with(hk_executor *executor, int value)
{
    hk_buffer *buffer = NULL;

    HKT_OK_FATAL(hk_buffer_create(executor, MEBIBYTE, &buffer));
    HKT_EQ_INT(hk_buffer_size(buffer), MEBIBYTE);
    HKT_EQ_INT((uintptr_t)hk_buffer_data(buffer) % 64, 0);
    memset(hk_buffer_data(buffer), value, MEBIBYTE);
    return buffer;
}

HK_TASK(returns_its_address)
{
    return hk_return(call, &in, sizeof(in));
}

static void a_buffer_moves_without_a_copy(void)
{
    hk_buffer *buffer = buffer_with(pool, 5);
    const void *data = hk_buffer_data(buffer);
    hk_future *future = NULL;
    const void *value = NULL;

    HKT_OK_FATAL(hk_submit_buffer(pool, returns_its_address, buffer, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    HKT_EQ_PTR(*(const void *const *)value, data);
    hk_future_unref(future);
}

HK_TASK(returns_a_buffer)
{
    hk_buffer *buffer = NULL;
    hk_status status = hk_buffer_create(hk_call_executor(call), 1000, &buffer);

    if (status != HK_OK) {
        return status;
    }
    memset(hk_buffer_data(buffer), 9, 1000);
    HKT_OK(hk_buffer_set_size(buffer, 600));
    HKT_STATUS(hk_return_buffer(call, NULL), HK_EINVAL);
    return hk_return_buffer(call, buffer);
}

/* It is the call's on every path. */
static void a_buffer_for_no_call_is_dropped(void)
{
    long before = hki_live_count(HKI_LIVE_BUFFERS);
    hk_buffer *buffer = NULL;

    HKT_OK_FATAL(hk_buffer_create(pool, 1000, &buffer));
    HKT_EQ_INT(hki_live_count(HKI_LIVE_BUFFERS), before + 1);
    HKT_STATUS(hk_return_buffer(NULL, buffer), HK_EINVAL);
    HKT_EQ_INT(hki_live_count(HKI_LIVE_BUFFERS), before);
}

static void a_buffer_may_be_a_value(void)
{
    hk_future *future = NULL;
    const unsigned char *bytes;
    const void *value = NULL;
    size_t size = 0;

    HKT_OK_FATAL(hk_submit(pool, returns_a_buffer, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, &size));
    HKT_EQ_INT(size, 600);
    bytes = value;
    HKT_EQ_INT(bytes[0], 9);
    HKT_EQ_INT(bytes[599], 9);
    hk_future_unref(future);
}

static void a_refused_buffer_stays_the_callers(void)
{
    hk_executor *other = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_buffer *buffer = buffer_with(pool, 1);
    hk_future *future = NULL;

    HKT_STATUS(hk_submit_buffer(other, hkt_nothing, buffer, NULL, &future), HK_EINVAL);
    HKT_STATUS(hk_submit_buffer(pool, NULL, buffer, NULL, &future), HK_EINVAL);
    HKT_STATUS(hk_submit_buffer(pool, hkt_nothing, NULL, NULL, &future), HK_EINVAL);
    HKT_STATUS(hk_buffer_set_size(buffer, MEBIBYTE + 1), HK_EINVAL);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, 0));
    HKT_STATUS(hk_submit_buffer(pool, hkt_nothing, buffer, NULL, &future), HK_ECLOSED);
    HKT_EQ_PTR(future, NULL);
    hk_buffer_destroy(buffer);
    HKT_OK(hk_executor_destroy(other));
}

static void a_queued_buffer_is_released_by_a_cancel(void)
{
    hk_future *future = NULL;

    hkt_plug_insert(&plug, pool, 1);
    HKT_OK_FATAL(hk_submit_buffer(pool, hkt_nothing, buffer_with(pool, 2), NULL, &future));
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    hk_future_unref(future);
    hkt_plug_pull(&plug);
}

static void absurd_buffers_are_refused(void)
{
    hk_buffer *buffer = NULL;

    HKT_STATUS(hk_buffer_create(pool, 0, &buffer), HK_EINVAL);
    HKT_STATUS(hk_buffer_create(NULL, 1, &buffer), HK_EINVAL);
    HKT_STATUS(hk_buffer_create(pool, 1, NULL), HK_EINVAL);
    HKT_STATUS(hk_buffer_create(pool, SIZE_MAX, &buffer), HK_ETOOBIG);
    HKT_EQ_PTR(buffer, NULL);
    HKT_EQ_PTR(hk_buffer_data(NULL), NULL);
    HKT_EQ_INT(hk_buffer_size(NULL), 0);
    HKT_STATUS(hk_buffer_set_size(NULL, 1), HK_EINVAL);
    hk_buffer_destroy(NULL);
}

/* --- Many at once --- */

static void many_are_submitted_at_once(void)
{
    enum { COUNT = 1000 };
    hk_executor *wide = hkt_pool_create((hk_executor_options){.workers = 2});
    int numbers[COUNT];
    hk_future *futures[COUNT];
    size_t accepted = 0;

    for (int i = 0; i < COUNT; i++) {
        numbers[i] = i;
    }
    HKT_OK(hk_submit_many(wide, hkt_square, numbers, COUNT, sizeof(int), NULL, futures, &accepted));
    HKT_EQ_INT(accepted, COUNT);
    for (int i = 0; i < COUNT; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
    HKT_OK(hk_submit_many(wide, hkt_square, numbers, COUNT, sizeof(int), NULL, NULL, NULL));
    HKT_OK(hk_submit_many(wide, hkt_nothing, NULL, 0, 4, NULL, NULL, &accepted));
    HKT_EQ_INT(accepted, 0);
    HKT_OK(hk_submit_many(wide, hkt_nothing, NULL, 3, 0, NULL, NULL, &accepted));
    HKT_EQ_INT(accepted, 3); /* Of no bytes each. */
    HKT_OK(hk_executor_shutdown(wide, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(wide).done, 2 * COUNT + 3);
    HKT_OK(hk_executor_destroy(wide));
}

static void what_has_no_room_is_refused_in_the_middle(void)
{
    static const int numbers[] = {0, 1, 2, 3, 4};
    hk_executor *narrow = hkt_pool_create(
        (hk_executor_options){.workers = 1, .queue_capacity = 3, .when_full = HK_FULL_FAIL});
    hk_future *futures[5];
    size_t accepted = 99;

    memset(futures, -1, sizeof(futures));
    hkt_plug_insert(&plug, narrow, 1);
    HKT_STATUS(
        hk_submit_many(narrow, hkt_square, numbers, 5, sizeof(int), NULL, futures, &accepted),
        HK_EFULL);
    HKT_EQ_INT(accepted, 3);
    HKT_EQ_PTR(futures[3], NULL);
    HKT_EQ_PTR(futures[4], NULL);
    hkt_plug_pull(&plug);
    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
    HKT_OK(hk_executor_destroy(narrow));
}

static void many_are_refused_as_one_is(void)
{
    static const int numbers[] = {0, 1};
    hk_submit_options absurd = {.timeout = -2};
    hk_future *futures[2] = {NULL, NULL};
    size_t accepted = 99;

    HKT_STATUS(hk_submit_many(pool, NULL, numbers, 2, 4, NULL, futures, &accepted), HK_EINVAL);
    HKT_EQ_INT(accepted, 0);
    HKT_EQ_PTR(futures[0], NULL);
    HKT_STATUS(hk_submit_many(pool, hkt_square, NULL, 2, 4, NULL, futures, &accepted), HK_EINVAL);
    HKT_STATUS(hk_submit_many(pool, hkt_square, numbers, 2, 4, &absurd, futures, &accepted),
               HK_EINVAL);
    HKT_STATUS(hk_submit_many(NULL, hkt_square, numbers, 2, 4, NULL, futures, &accepted),
               HK_EINVAL);
    HKT_EQ_INT(hkt_stats(pool).submitted, 0);
}

/* --- Bad arguments --- */

static void absurd_submits_change_nothing(void)
{
    static const hk_submit_options absurd[] = {{.priority = (hk_priority)2},
                                               {.priority = (hk_priority)-2},
                                               {.timeout = -2},
                                               {.deadline = INT64_MIN},
                                               {.queue_wait = -3},
                                               {.size = 1}};
    static const hk_task without_body = {.name = "without body"};
    hk_future *future = NULL;

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 0, &absurd[i], &future), HK_EINVAL);
    }
    HKT_STATUS(hk_submit(NULL, hkt_nothing, NULL, 0, NULL, &future), HK_EINVAL);
    HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 4, NULL, &future), HK_EINVAL);
    HKT_STATUS(hk_submit(pool, hkt_nothing, "a", HK_BY_REF, NULL, &future), HK_EINVAL);
    HKT_STATUS(hk_submit(pool, &without_body, NULL, 0, NULL, &future), HK_EINVAL);
    HKT_STATUS(hk_submit_ref(NULL, hkt_counts, &drops, hkt_count_drop, NULL, &future), HK_EINVAL);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(hkt_stats(pool).submitted, 0);
    expect_total(0);
}

static void absurd_executors_are_refused(void)
{
    static const hk_executor_options absurd[] = {
        {.workers = 4097},          {.when_full = (hk_when_full)4}, {.when_full = (hk_when_full)-1},
        {.idle_exit = -2},          {.task_timeout = INT64_MIN},    {.size = 3},
        {.spare_workers = 1 << 20}, {.stack_size = SIZE_MAX},       {.max_payload = SIZE_MAX}};
    hk_executor *none = NULL;

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        HKT_STATUS(hk_thread_pool_create(&absurd[i], &none), HK_EINVAL);
        HKT_EQ_PTR(none, NULL);
    }
    HKT_STATUS(hk_thread_pool_create(NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_inline_create(NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_executor_stats(pool, NULL), HK_EINVAL);
    HKT_STATUS(hk_executor_stats(NULL, &(hk_executor_statistics){0}), HK_EINVAL);
}

static void a_sized_options_struct_is_understood(void)
{
    hk_submit_options options = {.size = sizeof(options), .label = "sized"};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, hkt_fails, NULL, 0, &options, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_TRUE(strstr(hk_future_why(future), "sized") != NULL);
    hk_future_unref(future);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a small task is one allocation", a_small_task_is_one_allocation),
    HKT_CASE("bytes of every size arrive", bytes_of_every_size_arrive),
    HKT_CASE("bytes are aligned for any type", bytes_are_aligned_for_any_type),
    HKT_CASE("a value may be taken once", a_value_may_be_taken_once),
    HKT_CASE("too many bytes are refused", too_many_bytes_are_refused),
    HKT_CASE("a reference is dropped after its task", a_reference_is_dropped_after_its_task),
    HKT_CASE("a reference is dropped by a cancel", a_reference_is_dropped_by_a_cancel),
    HKT_CASE("a reference is dropped by a shutdown", a_reference_is_dropped_by_a_shutdown),
    HKT_CASE("a refused reference stays the caller's", a_refused_reference_stays_the_callers),
    HKT_CASE("a returned reference is dropped once", a_returned_reference_is_dropped_once),
    HKT_CASE("the value of a failed task is dropped", the_value_of_a_failed_task_is_dropped),
    HKT_CASE("a buffer moves without a copy", a_buffer_moves_without_a_copy),
    HKT_CASE("a buffer may be a value", a_buffer_may_be_a_value),
    HKT_CASE("a refused buffer stays the caller's", a_refused_buffer_stays_the_callers),
    HKT_CASE("a queued buffer is released by a cancel", a_queued_buffer_is_released_by_a_cancel),
    HKT_CASE("absurd buffers are refused", absurd_buffers_are_refused),
    HKT_CASE("many are submitted at once", many_are_submitted_at_once),
    HKT_CASE("what has no room is refused in the middle",
             what_has_no_room_is_refused_in_the_middle),
    HKT_CASE("a buffer for no call is dropped", a_buffer_for_no_call_is_dropped),
    HKT_CASE("many are refused as one is", many_are_refused_as_one_is),
    HKT_CASE("absurd submits change nothing", absurd_submits_change_nothing),
    HKT_CASE("absurd executors are refused", absurd_executors_are_refused),
    HKT_CASE("a sized options struct is understood", a_sized_options_struct_is_understood),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "submit", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
