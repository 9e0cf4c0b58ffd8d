/* SPDX-License-Identifier: MIT */
/* Maps beyond the contract's cases: chunks, windows, references, and who does what. */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "tests/fixture.h"

/* --- Sources --- */

enum { FOR_EVER = 1 << 30 };

/* The numbers 0, 1, 2 ...; plain members: only the reader may call it. */
struct numbers {
    int count;
    int pulled;
    int current;
    pthread_t reader;
};

static hk_status next_number(void *state, hk_map_input *input)
{
    struct numbers *numbers = state;

    HKT_TRUE(pthread_equal(pthread_self(), numbers->reader));
    if (numbers->pulled == numbers->count) {
        return HK_EDONE;
    }
    numbers->current = numbers->pulled++;
    input->data = &numbers->current;
    input->size = sizeof(numbers->current);
    return HK_OK;
}

static struct numbers numbers_up_to(int count)
{
    return (struct numbers){.count = count, .reader = pthread_self()};
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

/* --- Chunks and windows --- */

static void the_window_counts_chunks(void)
{
    struct numbers numbers = numbers_up_to(FOR_EVER);
    hk_map_iterator *iterator =
        start(hkt_square, &numbers, (hk_map_options){.window = 3, .chunk = 5});
    hk_map_item item;

    HKT_EQ_INT(numbers.pulled, 15);
    for (int i = 0; i < 100; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        expect_square(&item, (uint64_t)i);
        /* The chunk that is being read is undelivered until its last item is. */
        HKT_TRUE(numbers.pulled <= (i + 1) + 15 + 4);
    }
    hk_map_destroy(iterator);
}

static void the_default_window_is_twice_the_workers(void)
{
    struct numbers numbers = numbers_up_to(FOR_EVER);
    hk_map_iterator *iterator = start(hkt_square, &numbers, (hk_map_options){.chunk = 1});

    HKT_EQ_INT(numbers.pulled, 2 * hkt_worker_count());
    hk_map_destroy(iterator);
}

static void small_items_travel_together(void)
{
    enum { ITEMS = 20000 };
    struct numbers numbers = numbers_up_to(ITEMS);
    hk_map_iterator *iterator = start(hkt_nothing, &numbers, (hk_map_options){.count = ITEMS});
    hk_map_item item;

    for (int i = 0; i < ITEMS; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_EQ_INT(item.index, i);
        HKT_EQ_INT(item.size, 0);
        HKT_EQ_PTR(item.data, NULL);
        hk_map_item_drop(&item);
    }
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    if (hkt_is_replay()) {
        hkt_not_here("items take no virtual time, so nothing is learned of their length");
        return;
    }
    /* An item that does nothing is far below what a chunk should take. */
    HKT_TRUE(hkt_stats(hkt_executor).submitted < ITEMS / 2);
}

static atomic_uint begun;

HK_TASK(takes_a_millisecond)
{
    int64_t end_ns = hk_now_ns() + HK_MS(1);

    atomic_fetch_add(&begun, 1);
    while (hk_now_ns() < end_ns) {
        hkt_give_turn();
    }
    return HK_OK;
}

static void large_items_travel_alone(void)
{
    enum { ITEMS = 40 };
    struct numbers numbers = numbers_up_to(ITEMS);
    hk_map_iterator *iterator = start(takes_a_millisecond, &numbers, (hk_map_options){0});
    hk_map_item item;

    for (int i = 0; i < ITEMS; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    /* Each is longer than a whole chunk should be, whatever the machine does. */
    HKT_EQ_INT(hkt_stats(hkt_executor).submitted, ITEMS);
}

/* --- References --- */

enum { TRACKED = 30 };

static atomic_uint tracked[TRACKED];
static int tracked_next;

static hk_status next_tracked(void *state, hk_map_input *input)
{
    if (tracked_next == *(const int *)state) {
        return HK_EDONE;
    }
    input->data = &tracked[tracked_next++];
    input->size = HK_BY_REF;
    input->drop = hkt_count_drop;
    return HK_OK;
}

/* Maps over count references and reads some; each that was pulled is dropped once. */
static void expect_single_drops(size_t chunk, int count, int read)
{
    hk_map_options options = {.chunk = chunk, .window = 3};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    memset(tracked, 0, sizeof(tracked));
    tracked_next = 0;
    HKT_OK_FATAL(hk_map(hkt_executor, hkt_nothing, next_tracked, &count, &options, &iterator));
    for (int i = 0; i < read; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        /* Right after its item ended, so at the latest when it is delivered. */
        HKT_EQ_INT(atomic_load(&tracked[i]), 1);
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    for (int i = 0; i < count; i++) {
        HKT_EQ_INT(atomic_load(&tracked[i]), i < tracked_next);
    }
    HKT_OK(hk_executor_destroy(hkt_executor));
    HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &hkt_executor));
}

static void items_by_reference_are_dropped_once(void)
{
    for (size_t chunk = 1; chunk <= 7; chunk += 3) {
        expect_single_drops(chunk, TRACKED, TRACKED);
        expect_single_drops(chunk, TRACKED, 5);
        expect_single_drops(chunk, TRACKED, 0);
    }
}

static void an_early_close_cancels_what_has_not_begun(void)
{
    struct numbers numbers = numbers_up_to(FOR_EVER);
    struct hkt_plug plug;
    hk_map_iterator *iterator;

    if (hkt_is_inline()) {
        /* What was pulled has ended within the call; nothing is left to cancel. */
        iterator = start(takes_a_millisecond, &numbers, (hk_map_options){.window = 4, .chunk = 1});
        hk_map_destroy(iterator);
        HKT_EQ_INT(hkt_stats(hkt_executor).done, numbers.pulled);
        return;
    }
    atomic_store(&begun, 0);
    hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    iterator = start(takes_a_millisecond, &numbers, (hk_map_options){.window = 4, .chunk = 1});
    HKT_EQ_INT(hkt_stats(hkt_executor).queued, 4);
    hk_map_destroy(iterator);
    HKT_EQ_INT(hkt_stats(hkt_executor).queued, 0);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&begun), 0);
    HKT_EQ_INT(hkt_stats(hkt_executor).cancelled, 4);
}

static void a_poll_takes_what_is_there(void)
{
    struct numbers numbers = numbers_up_to(2);
    struct hkt_plug plug;
    hk_map_iterator *iterator;
    hk_map_item item;

    if (hkt_is_inline()) {
        iterator = start(hkt_square, &numbers, (hk_map_options){0}); /* All is there. */
        HKT_OK_FATAL(hk_map_next(iterator, 0, &item));
        expect_square(&item, 0);
        hk_map_destroy(iterator);
        return;
    }
    hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    iterator = start(hkt_square, &numbers, (hk_map_options){0});
    HKT_STATUS(hk_map_next(iterator, 0, &item), HK_ETIMEDOUT);
    HKT_STATUS(hk_map_next(iterator, HK_MS(1), &item), HK_ETIMEDOUT);
    hkt_plug_pull(&plug);
    for (int i = 0; i < 2; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item)); /* Nothing was lost. */
        expect_square(&item, (uint64_t)i);
    }
    HKT_STATUS(hk_map_next(iterator, 0, &item), HK_EDONE);
    hk_map_destroy(iterator);
}

/* --- With other things --- */

static void a_shutdown_cancels_a_map(void)
{
    struct numbers numbers = numbers_up_to(FOR_EVER);
    hk_map_iterator *iterator =
        start(hkt_square, &numbers, (hk_map_options){.window = 8, .chunk = 1});
    hk_map_item item;
    hk_status status;
    int items = 0;

    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, HK_FOREVER));
    while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK && items < 100) {
        HKT_TRUE(item.status == HK_OK || item.status == HK_ECANCELED);
        hk_map_item_drop(&item);
        items++;
    }
    /* Told once that no more was taken, then it is over. */
    HKT_STATUS(status, HK_ECLOSED);
    HKT_TRUE(items <= 9);
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
}

static void two_maps_share_an_executor(void)
{
    struct numbers numbers[2];
    hk_map_iterator *iterators[2];
    hk_map_item item;

    for (int i = 0; i < 2; i++) {
        numbers[i] = numbers_up_to(200);
        iterators[i] = start(hkt_square, &numbers[i], (hk_map_options){.window = 3});
    }
    for (int i = 0; i < 200; i++) {
        for (int j = 0; j < 2; j++) {
            HKT_OK_FATAL(hk_map_next(iterators[j], HK_FOREVER, &item));
            expect_square(&item, (uint64_t)i);
        }
    }
    for (int i = 0; i < 2; i++) {
        hk_map_destroy(iterators[i]);
    }
}

HK_TASK(maps_inside)
{
    struct numbers numbers = numbers_up_to(40);
    hk_map_options options = {.window = 3, .chunk = 2};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    hk_status status =
        hk_map(hk_call_executor(call), hkt_square, next_number, &numbers, &options, &iterator);

    for (uint64_t i = 0; status == HK_OK && i < 40; i++) {
        if ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK) {
            expect_square(&item, i);
        }
    }
    hk_map_destroy(iterator);
    return status;
}

static void tasks_may_map_on_their_own_executor(void)
{
    hk_future *futures[8];

    for (int i = 0; i < 8; i++) {
        HKT_OK_FATAL(hk_submit(hkt_executor, maps_inside, NULL, 0, NULL, &futures[i]));
    }
    for (int i = 0; i < 8; i++) {
        /* One task at a time: its items could not begin before it ends, which is told. */
        hkt_expect_end(futures[i], hkt_is_serial() ? HK_EFAILED : HK_OK);
    }
}

static void bad_arguments_are_refused(void)
{
    struct numbers numbers = numbers_up_to(1);
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_STATUS(hk_map(NULL, hkt_square, next_number, &numbers, NULL, &iterator), HK_EINVAL);
    HKT_STATUS(hk_map(hkt_executor, NULL, next_number, &numbers, NULL, &iterator), HK_EINVAL);
    HKT_STATUS(hk_map(hkt_executor, hkt_square, NULL, &numbers, NULL, &iterator), HK_EINVAL);
    HKT_STATUS(hk_map(hkt_executor, hkt_square, next_number, &numbers, NULL, NULL), HK_EINVAL);
    HKT_EQ_INT(numbers.pulled, 0);
    iterator = start(hkt_square, &numbers, (hk_map_options){0});
    HKT_STATUS(hk_map_next(NULL, 0, &item), HK_EINVAL);
    HKT_STATUS(hk_map_next(iterator, 0, NULL), HK_EINVAL);
    HKT_STATUS(hk_map_next(iterator, -7, &item), HK_EINVAL);
    HKT_STATUS(hk_map_cancel(NULL), HK_EINVAL);
    hk_map_destroy(iterator);
}

static CU_TestInfo tests[] = {
    HKT_CASE("the window counts chunks", the_window_counts_chunks),
    HKT_CASE("the default window is twice the workers", the_default_window_is_twice_the_workers),
    HKT_CASE("small items travel together", small_items_travel_together),
    HKT_CASE("large items travel alone", large_items_travel_alone),
    HKT_CASE("items by reference are dropped once", items_by_reference_are_dropped_once),
    HKT_CASE("XP06 an early close cancels what has not begun",
             an_early_close_cancels_what_has_not_begun),
    HKT_CASE("a poll takes what is there", a_poll_takes_what_is_there),
    HKT_CASE("a shutdown cancels a map", a_shutdown_cancels_a_map),
    HKT_CASE("two maps share an executor", two_maps_share_an_executor),
    HKT_CASE("tasks may map on their own executor", tasks_may_map_on_their_own_executor),
    HKT_CASE("bad arguments are refused", bad_arguments_are_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "map",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
