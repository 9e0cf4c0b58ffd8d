/* SPDX-License-Identifier: MIT */
/* What every executor does with many items: cases MP of docs/contract.md. */
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "tests/fixture.h"

/* --- Sources and tasks --- */

enum { FOR_EVER = 1 << 30 };

/* The numbers 0, 1, 2 ... and what the map did with the source. */
struct numbers {
    int count;
    int pulled;
    hk_status end; /* HK_EDONE, or how the source fails. */
    int current;
};

static hk_status next_number(void *state, hk_map_input *input)
{
    struct numbers *numbers = state;

    HKT_TRUE(input->data == NULL && input->size == 0 && input->drop == NULL);
    if (numbers->pulled == numbers->count) {
        return numbers->end;
    }
    numbers->current = numbers->pulled++;
    input->data = &numbers->current;
    input->size = sizeof(numbers->current);
    return HK_OK;
}

static struct numbers numbers_up_to(int count)
{
    return (struct numbers){.count = count, .end = HK_EDONE};
}

/* Fails for multiples of 10 above 0. */
HK_TASK(square_but_not_tens)
{
    int n;

    memcpy(&n, in, sizeof(n));
    if (n > 0 && n % 10 == 0) {
        return hk_fail(call, n, "%d is no good", n);
    }
    n *= n;
    return hk_return(call, &n, sizeof(n));
}

static hk_map_iterator *start(const hk_task *task, struct numbers *numbers, hk_map_options options)
{
    hk_map_iterator *iterator = NULL;

    HKT_OK_FATAL(hk_map(hkt_executor, task, next_number, numbers, &options, &iterator));
    return iterator;
}

static void expect_square(hk_map_item *item, uint64_t index)
{
    int value = -1;

    HKT_OK(item->status);
    HKT_EQ_INT(item->index, index);
    if (HKT_EQ_INT(item->size, sizeof(value))) {
        memcpy(&value, item->data, sizeof(value));
    }
    HKT_EQ_INT(value, index * index);
    hk_map_item_drop(item);
}

static void expect_end(hk_map_iterator *iterator)
{
    hk_map_item item;

    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    HKT_STATUS(hk_map_next(iterator, 0, &item), HK_EDONE);
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
}

/* Squares of count numbers, in order, to the end. */
static void expect_squares(int count, hk_map_options options)
{
    struct numbers numbers = numbers_up_to(count);
    hk_map_iterator *iterator = start(hkt_square, &numbers, options);
    hk_map_item item;

    for (int i = 0; i < count; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        expect_square(&item, (uint64_t)i);
    }
    expect_end(iterator);
    HKT_EQ_INT(numbers.pulled, count);
    hk_map_destroy(iterator);
}

/* --- MP01 to MP04: order and chunks --- */

static void results_equal_the_loop_in_order(void)
{
    expect_squares(10, (hk_map_options){0});
    expect_squares(500, (hk_map_options){.count = 500});
}

static void chunks_change_nothing(void)
{
    static const size_t chunks[] = {1, 3, 6, 40, 50};

    expect_squares(10, (hk_map_options){.chunk = 3});
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        expect_squares(40, (hk_map_options){.chunk = chunks[i]});
        expect_squares(40, (hk_map_options){.chunk = chunks[i], .count = 40, .window = 2});
    }
}

static void expect_refused(hk_map_options options)
{
    struct numbers numbers = numbers_up_to(10);
    hk_map_iterator *iterator = NULL;

    HKT_STATUS(hk_map(hkt_executor, hkt_square, next_number, &numbers, &options, &iterator),
               HK_EINVAL);
    HKT_EQ_PTR(iterator, NULL);
    HKT_EQ_INT(numbers.pulled, 0);
}

static void absurd_chunks_are_refused(void)
{
    expect_refused((hk_map_options){.chunk = SIZE_MAX});
    expect_refused((hk_map_options){.chunk = ((size_t)1 << 20) + 1});
    expect_squares(10, (hk_map_options){.chunk = (size_t)1 << 20});
}

static void absurd_windows_are_refused(void)
{
    expect_refused((hk_map_options){.window = SIZE_MAX});
    expect_refused((hk_map_options){.window = ((size_t)1 << 20) + 1});
    expect_refused((hk_map_options){.timeout = -5});
    expect_refused((hk_map_options){.limit = -5});
    HKT_EQ_INT(hkt_stats(hkt_executor).submitted, 0);
}

/* --- MP05, MP06: failures --- */

/* Items 0 to count - 1, of which the tens fail; each costs itself alone. */
static void expect_single_failures(int count, size_t chunk)
{
    struct numbers numbers = numbers_up_to(count);
    hk_map_iterator *iterator =
        start(square_but_not_tens, &numbers, (hk_map_options){.chunk = chunk, .label = "tens"});
    hk_map_item item;

    for (int i = 0; i < count; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        if (i == 0 || i % 10 != 0) {
            expect_square(&item, (uint64_t)i);
            continue;
        }
        HKT_STATUS(item.status, HK_EFAILED);
        HKT_EQ_INT(item.index, i);
        if (HKT_TRUE(item.error != NULL)) {
            HKT_EQ_INT(item.error->app_code, i);
            HKT_TRUE(strstr(item.error->message, "is no good") != NULL);
            HKT_EQ_STR(item.error->task, "square_but_not_tens");
        }
        hk_map_item_drop(&item);
    }
    expect_end(iterator);
    hk_map_destroy(iterator);
}

static void a_bad_item_does_not_end_the_map(void)
{
    expect_single_failures(12, 1);
    expect_single_failures(11, 1); /* The bad one is the last. */
}

static void a_bad_item_costs_no_chunk_mate(void)
{
    expect_single_failures(32, 3);
    expect_single_failures(32, 64);
    expect_single_failures(32, 0);
}

/* --- MP08, XP05: limits in time --- */

static const hk_duration map_limit = HK_MS(30);

/* The third item begins within the map, so after that much time the map's limit
 * has passed. */
HK_TASK(third_overruns_the_map)
{
    int64_t end_ns = hk_now_ns() + map_limit;
    int n;

    memcpy(&n, in, sizeof(n));
    while (n == 2 && hk_now_ns() <= end_ns) {
        hkt_give_turn();
    }
    n *= n;
    return hk_return(call, &n, sizeof(n));
}

static void the_limit_ends_the_map_once(void)
{
    struct numbers numbers = numbers_up_to(4);
    hk_map_iterator *iterator =
        start(third_overruns_the_map, &numbers,
              (hk_map_options){.limit = map_limit, .chunk = 1, .window = 4});
    hk_map_item item;
    uint64_t delivered = 0;
    hk_status status;

    while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK) {
        expect_square(&item, delivered++);
    }
    HKT_STATUS(status, HK_ETIMEDOUT);
    HKT_TRUE(delivered <= 2);
    expect_end(iterator);
    hk_map_destroy(iterator);
}

/* Long for items that do nothing, and short enough to wait for. */
static const hk_duration item_limit = HK_MS(400);

/* The third item works until its own time is over. */
HK_TASK(third_overruns_itself)
{
    int64_t end_ns = hk_now_ns() + item_limit;
    int n;

    memcpy(&n, in, sizeof(n));
    while (n == 2 && hk_now_ns() <= end_ns) {
        hkt_give_turn();
    }
    n *= n;
    return hk_return(call, &n, sizeof(n));
}

static void expect_one_overrun(size_t chunk)
{
    struct numbers numbers = numbers_up_to(6);
    hk_map_iterator *iterator = start(third_overruns_itself, &numbers,
                                      (hk_map_options){.timeout = item_limit, .chunk = chunk});
    hk_map_item item;

    for (int i = 0; i < 6; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        if (i == 2) {
            HKT_STATUS(item.status, HK_EDEADLINE);
            HKT_EQ_INT(item.index, 2);
            hk_map_item_drop(&item);
        } else {
            expect_square(&item, (uint64_t)i);
        }
    }
    expect_end(iterator);
    hk_map_destroy(iterator);
}

static void the_time_of_an_item_costs_that_item(void)
{
    expect_one_overrun(0);
    expect_one_overrun(1);
    expect_one_overrun(3);
}

/* --- MP10, XP06, XL04: early ends --- */

static void nothing_comes_after_a_close(void)
{
    for (size_t chunk = 1; chunk <= 3; chunk += 2) {
        struct numbers numbers = numbers_up_to(FOR_EVER);
        hk_map_iterator *iterator =
            start(hkt_square, &numbers, (hk_map_options){.chunk = chunk, .window = 2});
        hk_map_item item;
        int pulled;

        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        expect_square(&item, 0);
        HKT_OK(hk_map_cancel(iterator));
        pulled = numbers.pulled;
        expect_end(iterator);
        HKT_EQ_INT(numbers.pulled, pulled);
        hk_map_destroy(iterator);
    }
    hk_map_destroy(NULL);
}

static void closing_at_once_harms_nothing(void)
{
    for (int round = 0; round < 50; round++) {
        struct numbers numbers = numbers_up_to(FOR_EVER);

        hk_map_destroy(
            start(hkt_square, &numbers, (hk_map_options){.chunk = 1 + (size_t)round % 4}));
    }
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 4)), 16);
}

static void a_failing_source_is_reported_behind_its_items(void)
{
    for (int count = 0; count < 8; count++) {
        struct numbers numbers = {.count = count, .end = HK_ESYS};
        hk_map_iterator *iterator =
            start(hkt_square, &numbers, (hk_map_options){.chunk = 2, .window = 2});
        hk_map_item item;

        for (int i = 0; i < count; i++) {
            HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
            expect_square(&item, (uint64_t)i);
        }
        HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_ESYS);
        expect_end(iterator);
        hk_map_destroy(iterator);
    }
}

static void a_fired_token_ends_the_items(void)
{
    struct numbers numbers = numbers_up_to(FOR_EVER);
    hk_cancel_token *token = NULL;
    hk_map_iterator *iterator;
    hk_map_item item;
    int items = 0;

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &token));
    iterator =
        start(hkt_square, &numbers, (hk_map_options){.token = token, .window = 4, .chunk = 1});
    HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
    expect_square(&item, 0);
    HKT_OK(hk_cancel_token_fire(token, "enough"));
    /* What had ended is still delivered, the rest as cancelled; then it is over. */
    for (hk_status status = HK_OK; status == HK_OK && items < 1000; items++) {
        status = hk_map_next(iterator, HK_FOREVER, &item);
        if (status == HK_OK) {
            HKT_TRUE(item.status == HK_OK || item.status == HK_ECANCELED);
            hk_map_item_drop(&item);
        }
    }
    HKT_TRUE(items < 1000);
    expect_end(iterator);
    hk_map_destroy(iterator);
    hk_cancel_token_unref(token);
}

/* --- MP13 to MP19: the window --- */

static void every_window_gives_all_results_in_order(void)
{
    static const size_t windows[] = {1, 2, 12, 24};

    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        expect_squares(12, (hk_map_options){.window = windows[i], .chunk = 1});
        expect_squares(12, (hk_map_options){.window = windows[i]});
    }
}

/* Two inputs side by side; ends with the shorter one. */
struct pair_source {
    const int *left;
    const int *right;
    size_t left_count;
    size_t right_count;
    size_t next;
    int packed[2];
};

static hk_status next_pair(void *state, hk_map_input *input)
{
    struct pair_source *source = state;

    if (source->next == source->left_count || source->next == source->right_count) {
        return HK_EDONE;
    }
    source->packed[0] = source->left[source->next];
    source->packed[1] = source->right[source->next++];
    input->data = source->packed;
    input->size = sizeof(source->packed);
    return HK_OK;
}

HK_TASK(multiply_pair)
{
    int pair[2];

    memcpy(pair, in, sizeof(pair));
    pair[0] *= pair[1];
    return hk_return(call, pair, sizeof(pair[0]));
}

static void a_source_may_pack_parallel_inputs(void)
{
    static const int left[] = {1, 2, 3, 4};
    static const int right[] = {10, 20, 30};
    struct pair_source source = {.left = left, .right = right, .left_count = 4, .right_count = 3};
    hk_map_options options = {.window = 2};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_OK_FATAL(hk_map(hkt_executor, multiply_pair, next_pair, &source, &options, &iterator));
    for (int i = 0; i < 3; i++) {
        int product;

        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_EQ_INT_FATAL(item.size, sizeof(product));
        memcpy(&product, item.data, sizeof(product));
        HKT_EQ_INT(product, left[i] * right[i]);
        hk_map_item_drop(&item);
    }
    expect_end(iterator);
    hk_map_destroy(iterator);
}

static void an_endless_source_is_pulled_as_it_is_read(void)
{
    struct numbers numbers = numbers_up_to(FOR_EVER);
    hk_map_iterator *iterator =
        start(hkt_square, &numbers, (hk_map_options){.window = 2, .chunk = 1});
    hk_map_item item;

    for (int i = 0; i < 1000; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        expect_square(&item, (uint64_t)i);
        HKT_TRUE(numbers.pulled <= i + 1 + 2);
    }
    hk_map_destroy(iterator);
}

static void an_empty_source_is_done_at_once(void)
{
    static const int none[1] = {0};
    hk_array_source array = {.items = none, .stride = sizeof(none[0])};
    hk_map_iterator *iterator = NULL;

    expect_squares(0, (hk_map_options){0});
    HKT_OK_FATAL(hk_map(hkt_executor, hkt_square, hk_array_source_next, &array, NULL, &iterator));
    expect_end(iterator);
    hk_map_destroy(iterator);
}

static void a_full_window_stops_the_source(void)
{
    struct numbers numbers = numbers_up_to(FOR_EVER);
    hk_map_iterator *iterator =
        start(hkt_square, &numbers, (hk_map_options){.window = 2, .chunk = 1});

    HKT_EQ_INT(numbers.pulled, 2);
    /* The source is only ever called by the reader, so nothing may follow. */
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(numbers.pulled, 2);
    hk_map_destroy(iterator);
    HKT_EQ_INT(numbers.pulled, 2);
}

HK_TASK(opens_gate)
{
    hkt_gate_open(hkt_pointer(in, in_size));
    return HK_OK;
}

static void work_starts_before_the_first_next(void)
{
    struct hkt_gate *begun = hkt_shared_new(sizeof(*begun));
    struct hkt_gate *const gates[] = {begun, begun, begun};
    hk_array_source source = {.items = gates, .count = 3, .stride = sizeof(void *)};
    hk_map_iterator *iterator = NULL;

    hkt_gate_init(begun, "an item has begun");
    HKT_OK_FATAL(hk_map(hkt_executor, opens_gate, hk_array_source_next, &source, NULL, &iterator));
    hkt_gate_wait(begun);
    hk_map_destroy(iterator);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
}

/* --- MP21: values --- */

static atomic_uint value_drops;

HK_TASK(returns_tracked)
{
    return hk_return_ref(call, &value_drops, hkt_count_drop);
}

static void a_delivered_value_is_the_readers_alone(void)
{
    enum { ITEMS = 6 };

    if (hkt_is_processes()) {
        /* test_process_uses.c looks at bytes. */
        hkt_not_here("a value is a copy: no reference comes back from a process");
        return;
    }
    for (size_t chunk = 1; chunk <= 3; chunk += 2) {
        struct numbers numbers = numbers_up_to(ITEMS);
        hk_map_iterator *iterator =
            start(returns_tracked, &numbers, (hk_map_options){.chunk = chunk, .window = 1});
        hk_map_item item;

        atomic_store(&value_drops, 0);
        for (unsigned i = 0; i < ITEMS; i++) {
            HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
            HKT_EQ_PTR(item.data, &value_drops);
            HKT_EQ_INT(item.size, HK_BY_REF);
            HKT_EQ_INT(atomic_load(&value_drops), i);
            hk_map_item_drop(&item);
            hk_map_item_drop(&item); /* Empty now: does nothing. */
            HKT_EQ_INT(atomic_load(&value_drops), i + 1);
        }
        hk_map_destroy(iterator);
        HKT_EQ_INT(atomic_load(&value_drops), ITEMS);
    }
}

static void an_item_outlives_its_map(void)
{
    struct numbers numbers = numbers_up_to(3);
    hk_map_iterator *iterator = start(hkt_square, &numbers, (hk_map_options){.chunk = 3});
    hk_map_item item;

    HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
    hk_map_destroy(iterator);
    expect_square(&item, 0);
}

/* --- XM02: unordered --- */

static void unordered_gives_each_result_once(void)
{
    enum { ITEMS = 100 };

    for (size_t chunk = 0; chunk <= 7; chunk += 7) {
        struct numbers numbers = numbers_up_to(ITEMS);
        hk_map_iterator *iterator =
            start(square_but_not_tens, &numbers,
                  (hk_map_options){.unordered = true, .chunk = chunk, .window = 5});
        bool seen[ITEMS] = {false};
        hk_map_item item;

        for (int i = 0; i < ITEMS; i++) {
            HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
            HKT_TRUE_FATAL(item.index < ITEMS && !seen[item.index]);
            seen[item.index] = true;
            if (item.index == 0 || item.index % 10 != 0) {
                expect_square(&item, item.index);
            } else {
                HKT_STATUS(item.status, HK_EFAILED);
                hk_map_item_drop(&item);
            }
        }
        expect_end(iterator);
        hk_map_destroy(iterator);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("MP01 results equal the sequential loop, in order", results_equal_the_loop_in_order),
    HKT_CASE("MP02 MP03 chunks change nothing", chunks_change_nothing),
    HKT_CASE("MP04 absurd chunks are refused before anything runs", absurd_chunks_are_refused),
    HKT_CASE("MP05 a bad item does not end the map", a_bad_item_does_not_end_the_map),
    HKT_CASE("MP06 XP06 a bad item costs no chunk-mate", a_bad_item_costs_no_chunk_mate),
    HKT_CASE("MP08 the limit of the whole map ends it once", the_limit_ends_the_map_once),
    HKT_CASE("XP05 the time of an item costs that item", the_time_of_an_item_costs_that_item),
    HKT_CASE("MP10 nothing comes after a close", nothing_comes_after_a_close),
    HKT_CASE("MP10 closing at once harms nothing", closing_at_once_harms_nothing),
    HKT_CASE("MP12 absurd windows are refused", absurd_windows_are_refused),
    HKT_CASE("MP13 every window gives all results in order",
             every_window_gives_all_results_in_order),
    HKT_CASE("MP14 a source may pack parallel inputs", a_source_may_pack_parallel_inputs),
    HKT_CASE("MP15 an endless source is pulled as it is read",
             an_endless_source_is_pulled_as_it_is_read),
    HKT_CASE("MP16 an empty source is done at once", an_empty_source_is_done_at_once),
    HKT_CASE("MP17 a full window stops the source", a_full_window_stops_the_source),
    HKT_CASE("MP19 work starts before the first next", work_starts_before_the_first_next),
    HKT_CASE("MP21 a delivered value is the reader's alone",
             a_delivered_value_is_the_readers_alone),
    HKT_CASE("MP21 an item outlives its map", an_item_outlives_its_map),
    HKT_CASE("XL04 a failing source is reported behind its items",
             a_failing_source_is_reported_behind_its_items),
    HKT_CASE("XP06 a fired token ends the items", a_fired_token_ends_the_items),
    HKT_CASE("XM02 unordered gives each result once", unordered_gives_each_result_once),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_map",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
