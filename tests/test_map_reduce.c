/* SPDX-License-Identifier: MIT */
/* Map and reduce, start to end, on every executor. */
#include <string.h>

#include "tests/fixture.h"

/* --- Sources, tasks and accumulators --- */

struct numbers {
    int count;
    int pulled;
    hk_status end;
};

static hk_status next_number(void *state, hk_map_input *input)
{
    struct numbers *numbers = state;

    if (numbers->pulled == numbers->count) {
        return numbers->end;
    }
    input->data = &numbers->pulled;
    input->size = sizeof(numbers->pulled);
    numbers->pulled++; /* So the numbers begin with 1: the copy is made after this. */
    return HK_OK;
}

/* Plain members: the reducer runs in the caller's thread, one item at a time. */
struct sum {
    long total;
    uint64_t items;
    uint64_t failed;
    bool in_order;
    pthread_t caller;
    uint64_t stop_after; /* 0: never. */
};

static hk_status add(void *accumulator, const hk_map_item *item)
{
    struct sum *sum = accumulator;
    int value;

    HKT_TRUE(pthread_equal(pthread_self(), sum->caller));
    sum->in_order = sum->in_order && item->index == sum->items;
    sum->items++;
    if (item->status != HK_OK) {
        HKT_TRUE(item->error != NULL);
        sum->failed++;
    } else if (HKT_EQ_INT(item->size, sizeof(value))) {
        memcpy(&value, item->data, sizeof(value));
        sum->total += value;
    }
    return sum->items == sum->stop_after ? HK_ECANCELED : HK_OK;
}

static struct sum new_sum(void)
{
    return (struct sum){.in_order = true, .caller = pthread_self()};
}

static struct numbers up_to(int count)
{
    return (struct numbers){.count = count, .end = HK_EDONE};
}

static long sum_of_squares(long n)
{
    return n * (n + 1) * (2 * n + 1) / 6;
}

/* --- Results --- */

static void the_result_is_that_of_the_loop(void)
{
    static const hk_map_options options[] = {{0},           {.chunk = 1},   {.chunk = 7},
                                             {.window = 1}, {.chunk = 100}, {.count = 1000}};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct numbers numbers = up_to(1000);
        struct sum sum = new_sum();

        HKT_OK(
            hk_map_reduce(hkt_executor, hkt_square, next_number, &numbers, add, &sum, &options[i]));
        HKT_EQ_INT(sum.total, sum_of_squares(1000));
        HKT_EQ_INT(sum.items, 1000);
        HKT_TRUE(sum.in_order);
        HKT_EQ_INT(numbers.pulled, 1000);
    }
}

static void unordered_gives_the_same_sum(void)
{
    hk_map_options options = {.unordered = true, .chunk = 3};
    struct numbers numbers = up_to(500);
    struct sum sum = new_sum();

    HKT_OK(hk_map_reduce(hkt_executor, hkt_square, next_number, &numbers, add, &sum, &options));
    HKT_EQ_INT(sum.total, sum_of_squares(500));
    HKT_EQ_INT(sum.items, 500);
}

static void nothing_is_reduced_to_nothing(void)
{
    struct numbers numbers = up_to(0);
    struct sum sum = new_sum();

    HKT_OK(hk_map_reduce(hkt_executor, hkt_square, next_number, &numbers, add, &sum, NULL));
    HKT_EQ_INT(sum.items, 0);
}

static void an_array_may_be_the_source(void)
{
    static const int items[] = {3, 4, 5};
    hk_array_source source = {.items = items, .count = 3, .stride = sizeof(items[0])};
    struct sum sum = new_sum();

    HKT_OK(hk_map_reduce(hkt_executor, hkt_square, hk_array_source_next, &source, add, &sum, NULL));
    HKT_EQ_INT(sum.total, 50);
}

/* --- Failures and early ends --- */

HK_TASK(square_of_even)
{
    int n;

    memcpy(&n, in, sizeof(n));
    if (n % 2 != 0) {
        return hk_fail(call, n, "%d is odd", n);
    }
    n *= n;
    return hk_return(call, &n, sizeof(n));
}

static void a_failed_item_comes_with_its_status(void)
{
    struct numbers numbers = up_to(20);
    struct sum sum = new_sum();

    HKT_OK(hk_map_reduce(hkt_executor, square_of_even, next_number, &numbers, add, &sum, NULL));
    HKT_EQ_INT(sum.items, 20);
    HKT_EQ_INT(sum.failed, 10);
    HKT_EQ_INT(sum.total, 4 * sum_of_squares(10));
}

static void the_reducer_may_end_the_map(void)
{
    hk_map_options options = {.chunk = 1, .window = 2};
    struct numbers numbers = up_to(1 << 30);
    struct sum sum = new_sum();

    sum.stop_after = 10;
    HKT_STATUS(hk_map_reduce(hkt_executor, hkt_square, next_number, &numbers, add, &sum, &options),
               HK_ECANCELED);
    HKT_EQ_INT(sum.items, 10);
    HKT_TRUE(numbers.pulled <= 10 + 2);
}

static void a_failing_source_ends_the_map(void)
{
    struct numbers numbers = {.count = 7, .end = HK_ESYS};
    struct sum sum = new_sum();

    HKT_STATUS(hk_map_reduce(hkt_executor, hkt_square, next_number, &numbers, add, &sum, NULL),
               HK_ESYS);
    HKT_EQ_INT(sum.total, sum_of_squares(7)); /* What was pulled before is reduced. */
}

static void what_map_refuses_is_refused(void)
{
    hk_map_options absurd = {.window = SIZE_MAX};
    struct numbers numbers = up_to(5);
    struct sum sum = new_sum();

    HKT_STATUS(hk_map_reduce(NULL, hkt_square, next_number, &numbers, add, &sum, NULL), HK_EINVAL);
    HKT_STATUS(hk_map_reduce(hkt_executor, NULL, next_number, &numbers, add, &sum, NULL),
               HK_EINVAL);
    HKT_STATUS(hk_map_reduce(hkt_executor, hkt_square, NULL, &numbers, add, &sum, NULL), HK_EINVAL);
    HKT_STATUS(hk_map_reduce(hkt_executor, hkt_square, next_number, &numbers, NULL, &sum, NULL),
               HK_EINVAL);
    HKT_STATUS(hk_map_reduce(hkt_executor, hkt_square, next_number, &numbers, add, &sum, &absurd),
               HK_EINVAL);
    HKT_EQ_INT(numbers.pulled, 0);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_STATUS(hk_map_reduce(hkt_executor, hkt_square, next_number, &numbers, add, &sum, NULL),
               HK_ECLOSED);
    HKT_EQ_INT(sum.items, 0);
}

/* --- Inside a task --- */

HK_TASK(reduces_inside)
{
    struct numbers numbers = up_to(50);
    struct sum sum = new_sum();
    hk_status status = hk_map_reduce(hk_call_executor(call), hkt_square, next_number, &numbers, add,
                                     &sum, &(hk_map_options){.chunk = 4});

    if (status != HK_OK) {
        return hk_fail(call, 1, "the inner map gave %s", hk_status_name(status));
    }
    return sum.total == sum_of_squares(50) ? HK_OK : hk_fail(call, 2, "a wrong sum");
}

static void tasks_may_reduce_on_their_own_executor(void)
{
    hk_future *futures[8];

    for (int i = 0; i < 8; i++) {
        HKT_OK_FATAL(hk_submit(hkt_executor, reduces_inside, NULL, 0, NULL, &futures[i]));
    }
    for (int i = 0; i < 8; i++) {
        /* One task at a time: its items could not begin before it ends, which is told. */
        hkt_expect_end(futures[i], hkt_is_serial() ? HK_EFAILED : HK_OK);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("the result is that of the loop", the_result_is_that_of_the_loop),
    HKT_CASE("XM02 unordered gives the same sum", unordered_gives_the_same_sum),
    HKT_CASE("nothing is reduced to nothing", nothing_is_reduced_to_nothing),
    HKT_CASE("an array may be the source", an_array_may_be_the_source),
    HKT_CASE("a failed item comes with its status", a_failed_item_comes_with_its_status),
    HKT_CASE("the reducer may end the map", the_reducer_may_end_the_map),
    HKT_CASE("XL04 a failing source ends the map", a_failing_source_ends_the_map),
    HKT_CASE("what map refuses is refused", what_map_refuses_is_refused),
    HKT_CASE("tasks may reduce on their own executor", tasks_may_reduce_on_their_own_executor),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "map_reduce",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
