/* SPDX-License-Identifier: MIT */
/* What queues and rings have in common: putting, getting, closing, joining and
 * their end. Descriptors are in test_queue_fd.c, orders in test_queue_order.c, several at
 * once in test_queue_select.c, races in test_queue_race.c. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/queue_fixture.h"

enum { CAPACITY = 4, SEVERAL = 3 };

/* --- Putting and getting ------------------------------------------------------------ */

static void items_come_in_the_order_in_which_they_were_put(void)
{
    void *queue = hkt_queue_open(CAPACITY);

    for (size_t round = 0; round < 7; round++) { /* Round and round the array. */
        hkt_put_numbers(queue, 10 * round, 3);
        HKT_EQ_INT(hkt_kind->length(queue), 3);
        hkt_expect_numbers(queue, 10 * round, 3);
        HKT_EQ_INT(hkt_kind->length(queue), 0);
    }
    hkt_queue_end(queue);
}

static void a_try_waits_for_nothing(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    void *item = &queue;
    size_t count = 9;

    HKT_STATUS(hkt_kind->get(queue, 0, &item), HK_ETIMEDOUT);
    HKT_EQ_PTR(item, &queue);
    HKT_STATUS(hkt_kind->take_many(queue, 0, &item, 1, &count), HK_ETIMEDOUT);
    HKT_EQ_INT(count, 0);
    hkt_put_numbers(queue, 0, CAPACITY);
    HKT_STATUS(hkt_kind->put(queue, NULL, 0), HK_ETIMEDOUT);
    HKT_STATUS(hkt_kind->put_many(queue, &item, 1, 0, &count), HK_ETIMEDOUT);
    HKT_EQ_INT(count, 0);
    hkt_expect_numbers(queue, 0, CAPACITY);
    hkt_queue_end(queue);
}

static void every_capacity_holds_that_many(void)
{
    for (size_t capacity = 1; capacity <= 16; capacity *= 2) {
        void *queue = hkt_queue_open(capacity);

        HKT_EQ_INT(hkt_kind->capacity(queue), capacity);
        for (size_t round = 0; round < 3; round++) {
            hkt_put_numbers(queue, round, capacity);
            HKT_EQ_INT(hkt_kind->length(queue), capacity);
            HKT_STATUS(hkt_kind->put(queue, NULL, 0), HK_ETIMEDOUT);
            hkt_expect_numbers(queue, round, capacity);
        }
        hkt_queue_end(queue);
    }
}

static void null_is_an_item(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    void *item = &queue;

    HKT_OK(hkt_kind->put(queue, NULL, 0));
    HKT_EQ_INT(hkt_kind->length(queue), 1);
    HKT_OK(hkt_kind->get(queue, 0, &item));
    HKT_EQ_PTR(item, NULL);
    hkt_queue_end(queue);
}

static void a_sleeping_getter_is_woken_by_a_put(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct hkt_caller getter;
    int value;

    hkt_start_getter(&getter, queue);
    value = 42; /* Plain: only the queue orders it. */
    HKT_OK(hkt_kind->put(queue, &value, 0));
    hkt_expect_caller(&getter, HK_OK);
    HKT_EQ_INT(*(int *)getter.item, 42);
    hkt_queue_end(queue);
}

static void a_sleeping_putter_is_woken_by_a_get(void)
{
    void *queue = hkt_queue_open(1);
    struct hkt_caller putter;

    hkt_put_numbers(queue, 1, 1);
    hkt_start_putter(&putter, queue, hkt_number(2));
    hkt_expect_numbers(queue, 1, 1);
    hkt_expect_caller(&putter, HK_OK);
    hkt_expect_numbers(queue, 2, 1);
    hkt_queue_end(queue);
}

static void a_wait_runs_out(void)
{
    void *queue = hkt_queue_open(1);
    int64_t begun_ns = hk_now_ns();
    void *item = &queue;
    size_t count = 9;

    HKT_STATUS(hkt_kind->get(queue, HK_MS(2), &item), HK_ETIMEDOUT);
    HKT_EQ_PTR(item, &queue);
    HKT_STATUS(hkt_kind->take_many(queue, HK_MS(2), &item, 1, &count), HK_ETIMEDOUT);
    HKT_EQ_INT(count, 0);
    hkt_put_numbers(queue, 1, 1);
    HKT_STATUS(hkt_kind->put(queue, NULL, HK_MS(2)), HK_ETIMEDOUT);
    HKT_STATUS(hkt_kind->join(queue, HK_MS(2)), HK_ETIMEDOUT);
    HKT_TRUE(hk_now_ns() - begun_ns >= HK_MS(8));
    hkt_expect_numbers(queue, 1, 1);
    hkt_queue_end(queue);
}

/* --- Many at once ------------------------------------------------------------------- */

static void many_are_put_as_far_as_they_fit(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    void *items[6];
    size_t count = 9;

    for (size_t i = 0; i < 6; i++) {
        items[i] = hkt_number(i);
    }
    HKT_OK(hkt_kind->put_many(queue, items, 3, 0, &count));
    HKT_EQ_INT(count, 3);
    HKT_STATUS(hkt_kind->put_many(queue, items + 3, 3, 0, &count), HK_ETIMEDOUT);
    HKT_EQ_INT(count, 1);
    HKT_OK(hkt_kind->put_many(queue, NULL, 0, 0, &count));
    HKT_EQ_INT(count, 0);
    HKT_OK(hkt_kind->take_many(queue, 0, items, 3, &count));
    HKT_EQ_INT(count, 3);
    for (size_t i = 0; i < 3; i++) {
        HKT_EQ_PTR(items[i], hkt_number(i));
    }
    HKT_OK(hkt_kind->take_many(queue, HK_FOREVER, items, 6, &count)); /* Waits for no more. */
    HKT_EQ_INT(count, 1);
    HKT_EQ_PTR(items[0], hkt_number(3));
    hkt_queue_end(queue);
}

struct batch {
    struct hkt_thread thread;
    void *queue;
    void *items[10];
    size_t count;
    hk_status status;
};

static void put_ten(void *arg)
{
    struct batch *batch = arg;

    batch->status = hkt_kind->put_many(batch->queue, batch->items, 10, HK_FOREVER, &batch->count);
}

static void start_batch(struct batch *batch, void *queue)
{
    batch->queue = queue;
    for (size_t i = 0; i < 10; i++) {
        batch->items[i] = hkt_number(i);
    }
    hkt_thread_start(&batch->thread, put_ten, batch);
    hkt_thread_await_sleep(&batch->thread);
}

static void the_rest_of_many_is_put_as_room_comes(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct batch batch;

    start_batch(&batch, queue);
    HKT_EQ_INT(hkt_kind->length(queue), CAPACITY);
    for (size_t i = 0; i < 10; i++) {
        void *item = NULL;

        HKT_OK(hkt_kind->get(queue, HK_FOREVER, &item));
        HKT_EQ_PTR(item, hkt_number(i));
    }
    hkt_thread_join(&batch.thread);
    HKT_OK(batch.status);
    HKT_EQ_INT(batch.count, 10);
    hkt_queue_end(queue);
}

static void a_close_tells_how_many_were_put(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct batch batch;
    void *item;

    start_batch(&batch, queue);
    HKT_OK(hkt_kind->close(queue));
    hkt_thread_join(&batch.thread);
    HKT_STATUS(batch.status, HK_ECLOSED);
    HKT_EQ_INT(batch.count, CAPACITY);
    hkt_expect_numbers(queue, 0, CAPACITY);
    HKT_STATUS(hkt_kind->get(queue, HK_FOREVER, &item), HK_EDONE);
    hkt_queue_end(queue);
}

static void a_batch_wakes_as_many_getters_as_it_serves(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct hkt_caller getters[SEVERAL];
    void *items[SEVERAL] = {hkt_number(1), hkt_number(2), hkt_number(4)};
    uintptr_t sum = 0;
    size_t count;

    for (int i = 0; i < SEVERAL; i++) {
        hkt_start_getter(&getters[i], queue);
    }
    HKT_OK(hkt_kind->put_many(queue, items, SEVERAL, 0, &count));
    for (int i = 0; i < SEVERAL; i++) {
        hkt_expect_caller(&getters[i], HK_OK);
        sum += (uintptr_t)getters[i].item;
    }
    HKT_EQ_INT(sum, 7);
    hkt_queue_end(queue);
}

static void a_batch_wakes_as_many_putters_as_it_makes_room_for(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct hkt_caller putters[SEVERAL];
    void *items[CAPACITY];
    size_t count;

    hkt_put_numbers(queue, 0, CAPACITY);
    for (int i = 0; i < SEVERAL; i++) {
        hkt_start_putter(&putters[i], queue, NULL);
    }
    HKT_OK(hkt_kind->take_many(queue, 0, items, CAPACITY, &count));
    HKT_EQ_INT(count, CAPACITY);
    for (int i = 0; i < SEVERAL; i++) {
        hkt_expect_caller(&putters[i], HK_OK);
    }
    HKT_EQ_INT(hkt_kind->length(queue), SEVERAL);
    hkt_queue_end(queue);
}

/* --- Closing ------------------------------------------------------------------------ */

static void a_closed_one_is_drained_and_then_over(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    void *item = NULL;
    size_t count;

    hkt_put_numbers(queue, 1, 2);
    HKT_OK(hkt_kind->close(queue));
    HKT_OK(hkt_kind->close(queue));
    HKT_STATUS(hkt_kind->put(queue, NULL, HK_FOREVER), HK_ECLOSED);
    HKT_STATUS(hkt_kind->put(queue, NULL, 0), HK_ECLOSED);
    HKT_STATUS(hkt_kind->put_many(queue, &item, 1, HK_FOREVER, &count), HK_ECLOSED);
    HKT_EQ_INT(count, 0);
    hkt_expect_numbers(queue, 1, 2);
    HKT_STATUS(hkt_kind->get(queue, HK_FOREVER, &item), HK_EDONE);
    HKT_STATUS(hkt_kind->get(queue, 0, &item), HK_EDONE);
    HKT_STATUS(hkt_kind->take_many(queue, HK_FOREVER, &item, 1, &count), HK_EDONE);
    HKT_EQ_INT(count, 0);
    hkt_queue_end(queue);
}

static void a_close_wakes_every_getter(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct hkt_caller getters[SEVERAL];

    for (int i = 0; i < SEVERAL; i++) {
        hkt_start_getter(&getters[i], queue);
    }
    HKT_OK(hkt_kind->close(queue));
    for (int i = 0; i < SEVERAL; i++) {
        hkt_expect_caller(&getters[i], HK_EDONE);
    }
    hkt_queue_end(queue);
}

static void a_close_wakes_every_putter(void)
{
    void *queue = hkt_queue_open(1);
    struct hkt_caller putters[SEVERAL];

    hkt_put_numbers(queue, 7, 1);
    for (int i = 0; i < SEVERAL; i++) {
        hkt_start_putter(&putters[i], queue, NULL);
    }
    HKT_OK(hkt_kind->close(queue));
    for (int i = 0; i < SEVERAL; i++) {
        hkt_expect_caller(&putters[i], HK_ECLOSED);
    }
    hkt_expect_numbers(queue, 7, 1);
    hkt_queue_end(queue);
}

/* --- Joining ------------------------------------------------------------------------ */

static void done_more_often_than_put_is_refused(void)
{
    void *queue = hkt_queue_open(CAPACITY);

    HKT_STATUS(hkt_kind->task_done(queue, 1), HK_ESTATE);
    HKT_OK(hkt_kind->task_done(queue, 0));
    hkt_put_numbers(queue, 0, 3);
    hkt_expect_numbers(queue, 0, 3);
    HKT_STATUS(hkt_kind->task_done(queue, 4), HK_ESTATE);
    HKT_OK(hkt_kind->task_done(queue, 2)); /* The refused ones did not count. */
    HKT_OK(hkt_kind->task_done(queue, 1));
    HKT_STATUS(hkt_kind->task_done(queue, 1), HK_ESTATE);
    HKT_STATUS(hkt_kind->task_done(queue, SIZE_MAX), HK_ESTATE);
    HKT_OK(hkt_kind->join(queue, 0));
    hkt_queue_end(queue);
}

static void a_join_waits_for_the_last_item(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct hkt_caller joiners[SEVERAL];

    HKT_OK(hkt_kind->join(queue, HK_FOREVER)); /* Nothing was put. */
    hkt_put_numbers(queue, 0, 2);
    HKT_STATUS(hkt_kind->join(queue, 0), HK_ETIMEDOUT);
    for (int i = 0; i < SEVERAL; i++) {
        hkt_start_joiner(&joiners[i], queue);
    }
    hkt_expect_numbers(queue, 0, 2);
    HKT_STATUS(hkt_kind->join(queue, 0), HK_ETIMEDOUT); /* Got is not done. */
    HKT_OK(hkt_kind->task_done(queue, 1));
    HKT_STATUS(hkt_kind->join(queue, 0), HK_ETIMEDOUT);
    HKT_OK(hkt_kind->task_done(queue, 1));
    for (int i = 0; i < SEVERAL; i++) {
        hkt_expect_caller(&joiners[i], HK_OK);
    }
    hkt_queue_end(queue);
}

static void a_put_that_follows_keeps_no_joiner(void)
{
    for (int round = 0; round < 20; round++) {
        void *queue = hkt_queue_open(CAPACITY);
        struct hkt_caller joiner;

        hkt_put_numbers(queue, 0, 1);
        hkt_start_joiner(&joiner, queue);
        hkt_expect_numbers(queue, 0, 1);
        HKT_OK(hkt_kind->task_done(queue, 1));
        hkt_put_numbers(queue, 1, 1);
        hkt_expect_caller(&joiner, HK_OK);
        HKT_STATUS(hkt_kind->join(queue, 0), HK_ETIMEDOUT);
        hkt_queue_end(queue);
    }
}

static void a_close_neither_ends_nor_loses_a_joiner(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct hkt_caller joiner;

    hkt_put_numbers(queue, 0, 1);
    hkt_start_joiner(&joiner, queue);
    HKT_OK(hkt_kind->close(queue));
    HKT_STATUS(hkt_kind->destroy(queue), HK_ESTATE);
    HKT_STATUS(hkt_kind->join(queue, 0), HK_ETIMEDOUT);
    hkt_expect_numbers(queue, 0, 1);
    HKT_OK(hkt_kind->task_done(queue, 1));
    hkt_expect_caller(&joiner, HK_OK);
    hkt_queue_end(queue);
}

/* --- The end ------------------------------------------------------------------------ */

static void note_drop(void *item, void *arg)
{
    hkt_order_note(arg, (int)(uintptr_t)item);
}

static void what_is_left_is_dropped_once_and_in_order(void)
{
    static const int left[] = {2, 3, 4};
    struct hkt_order order = {.count = 0};
    void *queue = NULL;

    HKT_OK_FATAL(hkt_kind->create(CAPACITY, note_drop, &order, &queue));
    hkt_put_numbers(queue, 1, CAPACITY);
    hkt_expect_numbers(queue, 1, 1);
    hkt_queue_end(queue);
    hkt_order_expect(&order, 3, left);
    queue = hkt_queue_open(CAPACITY); /* Without a drop they are forgotten. */
    hkt_put_numbers(queue, 1, CAPACITY);
    hkt_queue_end(queue);
    HKT_OK(hkt_kind->destroy(NULL));
}

static void who_waits_prevents_the_end(void)
{
    void *queue = hkt_queue_open(1);
    struct hkt_caller caller;

    hkt_start_getter(&caller, queue);
    HKT_STATUS(hkt_kind->destroy(queue), HK_ESTATE);
    hkt_put_numbers(queue, 0, 1);
    hkt_expect_caller(&caller, HK_OK);
    hkt_put_numbers(queue, 0, 1);
    hkt_start_putter(&caller, queue, NULL);
    HKT_STATUS(hkt_kind->destroy(queue), HK_ESTATE);
    HKT_OK(hkt_kind->close(queue));
    hkt_expect_caller(&caller, HK_ECLOSED);
    hkt_queue_end(queue);
}

/* --- What makes no sense, and another process ---------------------------------------- */

static void what_makes_no_sense_is_refused(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    void *item = NULL;
    size_t count = 9;
    int fd;

    HKT_STATUS(hkt_kind->put(NULL, NULL, 0), HK_EINVAL);
    HKT_STATUS(hkt_kind->put(queue, NULL, -2), HK_EINVAL);
    HKT_STATUS(hkt_kind->put_many(NULL, &item, 1, 0, &count), HK_EINVAL);
    HKT_EQ_INT(count, 0);
    HKT_STATUS(hkt_kind->put_many(queue, NULL, 1, 0, &count), HK_EINVAL);
    HKT_STATUS(hkt_kind->put_many(queue, &item, 1, -2, &count), HK_EINVAL);
    HKT_STATUS(hkt_kind->put_many(queue, &item, 1, 0, NULL), HK_EINVAL);
    HKT_EQ_INT(hkt_kind->length(queue), 0);
    hkt_put_numbers(queue, 1, 1);
    HKT_STATUS(hkt_kind->get(NULL, 0, &item), HK_EINVAL);
    HKT_STATUS(hkt_kind->get(queue, -2, &item), HK_EINVAL);
    HKT_STATUS(hkt_kind->get(queue, 0, NULL), HK_EINVAL);
    HKT_STATUS(hkt_kind->take_many(NULL, 0, &item, 1, &count), HK_EINVAL);
    HKT_STATUS(hkt_kind->take_many(queue, -2, &item, 1, &count), HK_EINVAL);
    HKT_STATUS(hkt_kind->take_many(queue, 0, NULL, 1, &count), HK_EINVAL);
    HKT_STATUS(hkt_kind->take_many(queue, 0, &item, 0, &count), HK_EINVAL);
    HKT_STATUS(hkt_kind->take_many(queue, 0, &item, 1, NULL), HK_EINVAL);
    hkt_expect_numbers(queue, 1, 1);
    HKT_STATUS(hkt_kind->close(NULL), HK_EINVAL);
    HKT_STATUS(hkt_kind->task_done(NULL, 1), HK_EINVAL);
    HKT_STATUS(hkt_kind->join(NULL, 0), HK_EINVAL);
    HKT_STATUS(hkt_kind->join(queue, -2), HK_EINVAL);
    HKT_STATUS(hkt_kind->fd(NULL, &fd), HK_EINVAL);
    HKT_STATUS(hkt_kind->fd(queue, NULL), HK_EINVAL);
    HKT_STATUS(hkt_kind->bind(NULL, HK_QUEUE_GETTER), HK_EINVAL);
    HKT_STATUS(hkt_kind->bind(queue, 0), HK_EINVAL);
    HKT_STATUS(hkt_kind->bind(queue, 4), HK_EINVAL);
    HKT_STATUS(hkt_kind->unbind(NULL, HK_QUEUE_GETTER), HK_EINVAL);
    HKT_STATUS(hkt_kind->unbind(queue, 8), HK_EINVAL);
    HKT_EQ_INT(hkt_kind->length(NULL), 0);
    HKT_EQ_INT(hkt_kind->capacity(NULL), 0);
    HKT_STATUS(hkt_kind->create(SIZE_MAX, NULL, NULL, &item), HK_EINVAL);
    hkt_queue_end(queue);
}

static void use_inherited(void *queue)
{
    void *item;
    size_t count;
    int fd;

    HKT_STATUS(hkt_kind->put(queue, NULL, HK_FOREVER), HK_EFORKED);
    HKT_STATUS(hkt_kind->put_many(queue, &item, 1, HK_FOREVER, &count), HK_EFORKED);
    HKT_STATUS(hkt_kind->get(queue, HK_FOREVER, &item), HK_EFORKED);
    HKT_STATUS(hkt_kind->take_many(queue, HK_FOREVER, &item, 1, &count), HK_EFORKED);
    HKT_STATUS(hkt_kind->close(queue), HK_EFORKED);
    HKT_STATUS(hkt_kind->task_done(queue, 1), HK_EFORKED);
    HKT_STATUS(hkt_kind->join(queue, HK_FOREVER), HK_EFORKED);
    HKT_STATUS(hkt_kind->fd(queue, &fd), HK_EFORKED);
    HKT_STATUS(hkt_kind->bind(queue, HK_QUEUE_GETTER), HK_EFORKED);
    HKT_STATUS(hkt_kind->unbind(queue, HK_QUEUE_GETTER), HK_EFORKED);
    HKT_EQ_INT(hkt_kind->length(queue), 0);
    HKT_STATUS(hkt_kind->destroy(queue), HK_EFORKED);
    if (hkt_fail_count() == 0) { /* A new one works. */
        queue = hkt_queue_open(CAPACITY);
        hkt_put_numbers(queue, 0, 2);
        hkt_expect_numbers(queue, 0, 2);
        hkt_queue_end(queue);
    }
    exit(hkt_fail_count() == 0 ? 7 : 8);
}

static void in_a_forked_child_it_belongs_to_the_parent(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct hkt_caller getter;
    struct hkt_child child;

    hkt_start_getter(&getter, queue);
    hkt_run_in_child(use_inherited, queue, &child);
    HKT_EQ_INT(child.exit_status, 7);
    if (child.exit_status != 7) {
        fprintf(stderr, "%s\n", child.output);
    }
    hkt_put_numbers(queue, 0, 1);
    hkt_expect_caller(&getter, HK_OK);
    hkt_queue_end(queue);
}

static CU_TestInfo tests[] = {
    HKT_TEST(items_come_in_the_order_in_which_they_were_put),
    HKT_TEST(a_try_waits_for_nothing),
    HKT_TEST(every_capacity_holds_that_many),
    HKT_TEST(null_is_an_item),
    HKT_TEST(a_sleeping_getter_is_woken_by_a_put),
    HKT_TEST(a_sleeping_putter_is_woken_by_a_get),
    HKT_TEST(a_wait_runs_out),
    HKT_TEST(many_are_put_as_far_as_they_fit),
    HKT_TEST(the_rest_of_many_is_put_as_room_comes),
    HKT_TEST(a_close_tells_how_many_were_put),
    HKT_TEST(a_batch_wakes_as_many_getters_as_it_serves),
    HKT_TEST(a_batch_wakes_as_many_putters_as_it_makes_room_for),
    HKT_TEST(a_closed_one_is_drained_and_then_over),
    HKT_TEST(a_close_wakes_every_getter),
    HKT_TEST(a_close_wakes_every_putter),
    HKT_TEST(done_more_often_than_put_is_refused),
    HKT_TEST(a_join_waits_for_the_last_item),
    HKT_TEST(a_put_that_follows_keeps_no_joiner),
    HKT_TEST(a_close_neither_ends_nor_loses_a_joiner),
    HKT_TEST(what_is_left_is_dropped_once_and_in_order),
    HKT_TEST(who_waits_prevents_the_end),
    HKT_TEST(what_makes_no_sense_is_refused),
    HKT_TEST(in_a_forked_child_it_belongs_to_the_parent),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = HKT_SUITES_OF_ALL_KINDS("queue", tests);

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
