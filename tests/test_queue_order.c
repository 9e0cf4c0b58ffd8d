/* SPDX-License-Identifier: MIT */
/* The four orders of a queue: what leaves first, and when; and that memory that is not
 * to be had changes nothing. */
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>

#include "tests/allocation_fixture.h"
#include "tests/queue_fixture.h"

static hk_queue *open_queue(hk_queue_order order, size_t capacity)
{
    hk_queue_options options = {.order = order, .capacity = capacity};
    hk_queue *queue = NULL;

    HKT_OK_FATAL(hk_queue_create(&options, &queue));
    return queue;
}

static void expect_next(hk_queue *queue, size_t number)
{
    void *item = NULL;

    HKT_OK(hk_queue_get(queue, 0, &item));
    HKT_EQ_PTR(item, hkt_number(number));
}

static void expect_nothing_now(hk_queue *queue)
{
    void *item;

    HKT_STATUS(hk_queue_get(queue, 0, &item), HK_ETIMEDOUT);
}

/* --- FIFO and LIFO --------------------------------------------------------------------- */

static void a_queue_without_options_is_fifo_without_limit(void)
{
    enum { COUNT = 5000 };
    hk_queue *queue = NULL;

    HKT_OK_FATAL(hk_queue_create(NULL, &queue));
    HKT_EQ_INT(hk_queue_capacity(queue), 0);
    for (size_t i = 0; i < COUNT; i++) {
        HKT_OK(hk_queue_put(queue, hkt_number(i), 0));
        if (i % 3 == 2) { /* So that it grows while it is in the middle of the array. */
            expect_next(queue, i / 3);
        }
    }
    HKT_EQ_INT(hk_queue_length(queue), COUNT - COUNT / 3);
    for (size_t i = COUNT / 3; i < COUNT; i++) {
        expect_next(queue, i);
    }
    expect_nothing_now(queue);
    HKT_OK(hk_queue_destroy(queue));
}

static void a_capacity_is_exact(void)
{
    static const size_t capacities[] = {1, 2, 3, 5, 17, 1000};

    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
        hk_queue *queue = open_queue(HK_QUEUE_FIFO, capacities[i]);

        HKT_EQ_INT(hk_queue_capacity(queue), capacities[i]);
        for (size_t put = 0; put < capacities[i]; put++) {
            HKT_OK(hk_queue_put(queue, NULL, 0));
        }
        HKT_STATUS(hk_queue_put(queue, NULL, 0), HK_ETIMEDOUT);
        HKT_OK(hk_queue_destroy(queue));
    }
}

static void lifo_gives_the_newest(void)
{
    enum { COUNT = 100 };
    hk_queue *queue = open_queue(HK_QUEUE_LIFO, 0);

    for (size_t i = 0; i < COUNT; i++) {
        HKT_OK(hk_queue_put(queue, hkt_number(i), 0));
    }
    for (size_t i = COUNT; i-- > 50;) {
        expect_next(queue, i);
    }
    HKT_OK(hk_queue_put(queue, hkt_number(777), 0));
    expect_next(queue, 777);
    for (size_t i = 50; i-- > 0;) {
        expect_next(queue, i);
    }
    expect_nothing_now(queue);
    HKT_OK(hk_queue_destroy(queue));
}

/* --- Priorities ------------------------------------------------------------------------- */

static void higher_priorities_leave_first(void)
{
    static const int priorities[] = {0, INT_MIN, 5, INT_MAX, -5, 6};
    static const size_t order[] = {3, 5, 2, 0, 4, 1};
    hk_queue *queue = open_queue(HK_QUEUE_PRIORITY, 0);

    for (size_t i = 0; i < 6; i++) {
        HKT_OK(hk_queue_put_priority(queue, hkt_number(i), priorities[i], 0));
    }
    for (size_t i = 0; i < 6; i++) {
        expect_next(queue, order[i]);
    }
    HKT_OK(hk_queue_destroy(queue));
}

static void equals_leave_in_the_order_in_which_they_came(void)
{
    enum { LEVELS = 5, EACH = 200 };
    hk_queue *queue = open_queue(HK_QUEUE_PRIORITY, 0);

    for (size_t i = 0; i < LEVELS * EACH; i++) {
        size_t level = i * 7 % LEVELS;

        HKT_OK(hk_queue_put_priority(queue, hkt_number(level * 10000 + i), (int)level, 0));
    }
    for (size_t level = LEVELS; level-- > 0;) {
        size_t last = 0;

        for (size_t i = 0; i < EACH; i++) {
            void *item = NULL;
            size_t number;

            HKT_OK(hk_queue_get(queue, 0, &item));
            number = (size_t)(uintptr_t)item;
            HKT_EQ_INT(number / 10000, level);
            HKT_TRUE(i == 0 || number > last);
            last = number;
        }
    }
    HKT_OK(hk_queue_destroy(queue));
}

static void a_plain_put_has_priority_zero(void)
{
    void *items[2] = {hkt_number(2), hkt_number(3)};
    hk_queue *queue = open_queue(HK_QUEUE_PRIORITY, 0);
    size_t count;

    HKT_OK(hk_queue_put_priority(queue, hkt_number(9), -1, 0));
    HKT_OK(hk_queue_put(queue, hkt_number(1), 0));
    HKT_OK(hk_queue_put_many(queue, items, 2, 0, &count));
    HKT_OK(hk_queue_put_priority(queue, hkt_number(0), 1, 0));
    HKT_OK(hk_queue_put_priority(queue, hkt_number(4), 0, 0));
    for (size_t i = 0; i < 5; i++) {
        expect_next(queue, i);
    }
    expect_next(queue, 9);
    HKT_OK(hk_queue_destroy(queue));
}

static void what_the_order_does_not_know_is_refused(void)
{
    hk_queue *queue = open_queue(HK_QUEUE_FIFO, 0);
    hk_queue_options options = {.order = (hk_queue_order)4};

    HKT_STATUS(hk_queue_create(&options, &queue), HK_EINVAL);
    options.order = (hk_queue_order)-1;
    HKT_STATUS(hk_queue_create(&options, &queue), HK_EINVAL);
    HKT_STATUS(hk_queue_create(NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_queue_put_priority(queue, NULL, 1, 0), HK_EINVAL);
    HKT_STATUS(hk_queue_put_delayed(queue, NULL, 1, 0), HK_EINVAL);
    HKT_STATUS(hk_queue_put_priority(NULL, NULL, 1, 0), HK_EINVAL);
    HKT_STATUS(hk_queue_put_delayed(NULL, NULL, 1, 0), HK_EINVAL);
    HKT_OK(hk_queue_destroy(queue));
    queue = open_queue(HK_QUEUE_PRIORITY, 0);
    HKT_STATUS(hk_queue_put_delayed(queue, NULL, 0, 0), HK_EINVAL);
    HKT_STATUS(hk_queue_put_priority(queue, NULL, 1, -2), HK_EINVAL);
    HKT_OK(hk_queue_destroy(queue));
    queue = open_queue(HK_QUEUE_DELAY, 0);
    HKT_STATUS(hk_queue_put_priority(queue, NULL, 1, 0), HK_EINVAL);
    HKT_STATUS(hk_queue_put_delayed(queue, NULL, HK_FOREVER, 0), HK_EINVAL);
    HKT_STATUS(hk_queue_put_delayed(queue, NULL, -2, 0), HK_EINVAL);
    HKT_STATUS(hk_queue_put_delayed(queue, NULL, 0, -2), HK_EINVAL);
    HKT_EQ_INT(hk_queue_length(queue), 0);
    HKT_OK(hk_queue_destroy(queue));
}

/* Every order against the simplest model of it. */
static size_t pick(hk_queue_order order, const int *priorities, const size_t *alive, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++) {
        bool better = order == HK_QUEUE_LIFO || (order == HK_QUEUE_PRIORITY &&
                                                 priorities[alive[i]] > priorities[alive[best]]);

        best = better ? i : best;
    }
    return best;
}

static void a_long_walk_agrees_with_the_model(void)
{
    enum { STEPS = 4000 };
    static int priorities[STEPS];
    static size_t alive[STEPS];

    for (int order = HK_QUEUE_FIFO; order <= HK_QUEUE_PRIORITY; order++) {
        hk_queue *queue = open_queue((hk_queue_order)order, 0);
        uint32_t random = 12345;
        size_t count = 0;

        for (size_t step = 0; step < STEPS; step++) {
            random = random * 1664525 + 1013904223;
            if (random >> 28 < 9 || count == 0) { /* Slightly more puts than gets. */
                priorities[step] = (int)(random >> 16 & 7) - 4;
                alive[count++] = step;
                HKT_OK(order == HK_QUEUE_PRIORITY
                           ? hk_queue_put_priority(queue, hkt_number(step), priorities[step], 0)
                           : hk_queue_put(queue, hkt_number(step), 0));
            } else {
                size_t at = pick((hk_queue_order)order, priorities, alive, count);

                expect_next(queue, alive[at]);
                count--;
                memmove(alive + at, alive + at + 1, (count - at) * sizeof(alive[0]));
            }
            HKT_EQ_INT(hk_queue_length(queue), count);
        }
        HKT_OK(hk_queue_destroy(queue));
    }
}

/* --- Delays ------------------------------------------------------------------------------ */

enum { LONG = 1000 }; /* Seconds: never over while a test runs. */

static void nothing_leaves_before_it_is_due(void)
{
    hk_queue *queue = open_queue(HK_QUEUE_DELAY, 3);
    /* Long enough that the two puts are not further apart. */
    hk_duration soon = HK_MS(10) * hkt_slowness();
    int64_t begun_ns = hk_now_ns();
    void *item = NULL;

    HKT_OK(hk_queue_put_delayed(queue, hkt_number(2), 2 * soon, 0));
    HKT_OK(hk_queue_put_delayed(queue, hkt_number(3), HK_SEC(LONG), 0));
    HKT_OK(hk_queue_put_delayed(queue, hkt_number(1), soon, 0));
    HKT_EQ_INT(hk_queue_length(queue), 3);
    HKT_STATUS(hk_queue_put(queue, NULL, 0), HK_ETIMEDOUT); /* They count. */
    HKT_OK(hk_queue_get(queue, HK_FOREVER, &item));
    HKT_EQ_PTR(item, hkt_number(1));
    HKT_TRUE(hk_now_ns() - begun_ns >= soon);
    HKT_OK(hk_queue_get(queue, HK_FOREVER, &item));
    HKT_EQ_PTR(item, hkt_number(2));
    HKT_TRUE(hk_now_ns() - begun_ns >= 2 * soon);
    expect_nothing_now(queue);
    HKT_STATUS(hk_queue_get(queue, HK_MS(1), &item), HK_ETIMEDOUT);
    HKT_OK(hk_queue_destroy(queue));
}

static void equal_moments_and_plain_puts_keep_their_order(void)
{
    hk_queue *queue = open_queue(HK_QUEUE_DELAY, 0);

    HKT_OK(hk_queue_put_delayed(queue, hkt_number(9), HK_SEC(LONG), 0));
    for (size_t i = 0; i < 8; i++) {
        HKT_OK(i % 2 == 0 ? hk_queue_put(queue, hkt_number(i), 0)
                          : hk_queue_put_delayed(queue, hkt_number(i), 0, 0));
    }
    for (size_t i = 0; i < 8; i++) {
        expect_next(queue, i);
    }
    expect_nothing_now(queue);
    HKT_OK(hk_queue_put_delayed(queue, hkt_number(10), INT64_MAX, 0)); /* Never, in effect. */
    expect_nothing_now(queue);
    HKT_OK(hk_queue_destroy(queue));
}

static void only_what_is_due_is_taken(void)
{
    hk_queue *queue = open_queue(HK_QUEUE_DELAY, 0);
    void *items[4];
    size_t count = 0;

    for (size_t i = 0; i < 2; i++) {
        HKT_OK(hk_queue_put_delayed(queue, hkt_number(9), HK_SEC(LONG), 0));
        HKT_OK(hk_queue_put(queue, hkt_number(i), 0));
    }
    HKT_OK(hk_queue_get_many(queue, 0, items, 4, &count));
    HKT_EQ_INT(count, 2);
    HKT_EQ_PTR(items[0], hkt_number(0));
    HKT_EQ_PTR(items[1], hkt_number(1));
    HKT_STATUS(hk_queue_get_many(queue, 0, items, 4, &count), HK_ETIMEDOUT);
    HKT_EQ_INT(count, 0);
    HKT_OK(hk_queue_destroy(queue));
}

static void something_earlier_wakes_who_waits_for_something_later(void)
{
    hk_queue *queue = open_queue(HK_QUEUE_DELAY, 0);
    struct hkt_caller getters[2];

    hkt_use_queues();
    HKT_OK(hk_queue_put_delayed(queue, hkt_number(3), HK_SEC(LONG), 0));
    hkt_start_getter(&getters[0], queue);
    hkt_start_getter(&getters[1], queue);
    HKT_OK(hk_queue_put_delayed(queue, hkt_number(2), HK_MS(10), 0));
    HKT_OK(hk_queue_put_delayed(queue, hkt_number(1), HK_MS(5), 0));
    hkt_expect_caller(&getters[0], HK_OK);
    hkt_expect_caller(&getters[1], HK_OK);
    HKT_EQ_INT((uintptr_t)getters[0].item + (uintptr_t)getters[1].item, 3);
    HKT_EQ_INT(hk_queue_length(queue), 1);
    HKT_OK(hk_queue_destroy(queue));
}

static void get_timed(void *arg)
{
    struct hkt_caller *caller = arg;

    caller->status = hk_queue_get(caller->queue, caller->timeout, &caller->item);
}

/* The one that sleeps until the first item is due gives up: another must take over. */
static void a_leader_that_leaves_is_followed(void)
{
    for (int round = 0; round < 10; round++) {
        hk_queue *queue = open_queue(HK_QUEUE_DELAY, 0);
        struct hkt_caller leader = {.queue = queue, .timeout = HK_MS(2)};
        struct hkt_caller follower = {.queue = queue, .timeout = HK_FOREVER};

        HKT_OK(hk_queue_put_delayed(queue, hkt_number(1), HK_MS(8), 0));
        hkt_thread_start(&leader.thread, get_timed, &leader);
        hkt_thread_start(&follower.thread, get_timed, &follower);
        hkt_thread_join(&leader.thread);
        if (leader.status == HK_OK) { /* It was slow enough to get the item itself. */
            HKT_OK(hk_queue_put(queue, hkt_number(1), 0));
        }
        hkt_expect_caller(&follower, HK_OK);
        HKT_EQ_PTR(follower.item, hkt_number(1));
        HKT_OK(hk_queue_destroy(queue));
    }
}

static void a_close_does_not_hurry_what_is_delayed(void)
{
    hk_queue *queue = open_queue(HK_QUEUE_DELAY, 0);
    struct hkt_caller getters[2];
    int64_t begun_ns = hk_now_ns();
    int got;

    HKT_OK(hk_queue_put_delayed(queue, hkt_number(1), HK_MS(10), 0));
    HKT_OK(hk_queue_close(queue));
    HKT_STATUS(hk_queue_put_delayed(queue, NULL, 1, HK_FOREVER), HK_ECLOSED);
    for (int i = 0; i < 2; i++) {
        getters[i] = (struct hkt_caller){.queue = queue, .timeout = HK_FOREVER};
        hkt_thread_start(&getters[i].thread, get_timed, &getters[i]);
    }
    for (int i = 0; i < 2; i++) {
        hkt_thread_join(&getters[i].thread);
    }
    HKT_TRUE(hk_now_ns() - begun_ns >= HK_MS(10));
    got = getters[0].status == HK_OK ? 0 : 1;
    HKT_STATUS(getters[got].status, HK_OK);
    HKT_EQ_PTR(getters[got].item, hkt_number(1));
    HKT_STATUS(getters[1 - got].status, HK_EDONE);
    HKT_OK(hk_queue_destroy(queue));
}

static bool is_readable(int fd, int wait_ms)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};

    return poll(&wanted, 1, wait_ms) == 1 && (wanted.revents & POLLIN) != 0;
}

static void the_descriptor_knows_when_the_first_is_due(void)
{
    hk_queue *queue = open_queue(HK_QUEUE_DELAY, 0);
    int fd = -1;

    HKT_OK(hk_queue_put_delayed(queue, hkt_number(2), HK_SEC(LONG), 0));
    HKT_OK_FATAL(hk_queue_fd(queue, &fd));
    HKT_TRUE(!is_readable(fd, 0));
    HKT_OK(hk_queue_put_delayed(queue, hkt_number(1), HK_MS(5), 0));
    HKT_TRUE(is_readable(fd, -1));
    expect_next(queue, 1);
    HKT_TRUE(!is_readable(fd, 0));
    HKT_OK(hk_queue_put(queue, hkt_number(0), 0));
    HKT_TRUE(is_readable(fd, -1));
    expect_next(queue, 0);
    HKT_OK(hk_queue_close(queue));
    HKT_TRUE(!is_readable(fd, 0)); /* Something is left. */
    HKT_OK(hk_queue_destroy(queue));
    queue = open_queue(HK_QUEUE_DELAY, 0);
    HKT_OK_FATAL(hk_queue_fd(queue, &fd));
    HKT_TRUE(!is_readable(fd, 0));
    HKT_OK(hk_queue_close(queue));
    HKT_TRUE(is_readable(fd, -1));
    HKT_OK(hk_queue_destroy(queue));
}

/* --- What is left --------------------------------------------------------------------- */

static void note_drop(void *item, void *arg)
{
    hkt_order_note(arg, (int)(uintptr_t)item);
}

static void what_is_left_is_dropped_in_the_queues_order(void)
{
    static const int expected[4][3] = {{1, 2, 3}, {3, 2, 1}, {2, 3, 1}, {3, 1, 2}};

    for (int order = HK_QUEUE_FIFO; order <= HK_QUEUE_DELAY; order++) {
        struct hkt_order dropped = {.count = 0};
        hk_queue_options options = {
            .order = (hk_queue_order)order, .drop = note_drop, .drop_arg = &dropped};
        hk_queue *queue = NULL;

        HKT_OK_FATAL(hk_queue_create(&options, &queue));
        for (size_t i = 1; i <= 3; i++) {
            hk_status status;

            if (order == HK_QUEUE_PRIORITY) {
                status = hk_queue_put_priority(queue, hkt_number(i), i == 1 ? 1 : 2, 0);
            } else if (order == HK_QUEUE_DELAY) {
                status = hk_queue_put_delayed(queue, hkt_number(i), HK_SEC(i == 3 ? 1 : LONG), 0);
            } else {
                status = hk_queue_put(queue, hkt_number(i), 0);
            }
            HKT_OK(status);
        }
        HKT_OK(hk_queue_destroy(queue));
        hkt_order_expect(&dropped, 3, expected[order]);
    }
}

/* --- Without memory ---------------------------------------------------------------------- */

static hk_queue *short_queue;
static hk_queue_order short_order;

static hk_status create_short(void)
{
    hk_queue_options options = {.order = short_order, .name = "short"};

    return hk_queue_create(&options, &short_queue);
}

static void prepare_full_array(void)
{
    HKT_OK_FATAL(create_short());
    for (size_t i = 0; i < 16; i++) { /* As many as the first array holds. */
        HKT_OK(hk_queue_put(short_queue, hkt_number(i), 0));
    }
}

static hk_status put_one_more(void)
{
    return hk_queue_put(short_queue, hkt_number(16), 0);
}

static hk_status put_forty_more(void)
{
    void *items[40];
    size_t count = 0;
    hk_status status;

    for (size_t i = 0; i < 40; i++) {
        items[i] = hkt_number(16 + i);
    }
    status = hk_queue_put_many(short_queue, items, 40, 0, &count);
    HKT_EQ_INT(count, status == HK_OK ? 40 : 0);
    return status;
}

static void expect_sixteen(void)
{
    HKT_EQ_INT(hk_queue_length(short_queue), 16);
}

static void expect_more(void)
{
    HKT_TRUE(hk_queue_length(short_queue) > 16);
}

static void end_short(void)
{
    HKT_OK(hk_queue_destroy(short_queue));
    short_queue = NULL;
}

static hk_status bind_both(void)
{
    return hk_queue_bind(short_queue, HK_QUEUE_PUTTER | HK_QUEUE_GETTER);
}

static void expect_unbound(void)
{
    HKT_STATUS(hk_queue_unbind(short_queue, HK_QUEUE_PUTTER), HK_ESTATE);
    HKT_STATUS(hk_queue_unbind(short_queue, HK_QUEUE_GETTER), HK_ESTATE);
}

static void prepare_empty(void)
{
    HKT_OK_FATAL(create_short());
}

static void nothing_to_prepare(void)
{
}

static void memory_that_is_not_there_changes_nothing(void)
{
    static const struct hkt_allocation_case cases[] = {
        {.name = "create", .prepare = nothing_to_prepare, .call = create_short, .clean = end_short},
        {.name = "put",
         .prepare = prepare_full_array,
         .call = put_one_more,
         .unchanged = expect_sixteen,
         .changed = expect_more,
         .clean = end_short},
        {.name = "put_many",
         .prepare = prepare_full_array,
         .call = put_forty_more,
         .unchanged = expect_sixteen,
         .changed = expect_more,
         .clean = end_short},
        {.name = "bind",
         .prepare = prepare_empty,
         .call = bind_both,
         .unchanged = expect_unbound,
         .clean = end_short},
    };

    for (int order = HK_QUEUE_FIFO; order <= HK_QUEUE_DELAY; order++) {
        short_order = (hk_queue_order)order;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            hkt_fail_each_allocation(&cases[i]);
        }
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_queue_without_options_is_fifo_without_limit),
    HKT_TEST(a_capacity_is_exact),
    HKT_TEST(lifo_gives_the_newest),
    HKT_TEST(higher_priorities_leave_first),
    HKT_TEST(equals_leave_in_the_order_in_which_they_came),
    HKT_TEST(a_plain_put_has_priority_zero),
    HKT_TEST(what_the_order_does_not_know_is_refused),
    HKT_TEST(a_long_walk_agrees_with_the_model),
    HKT_TEST(nothing_leaves_before_it_is_due),
    HKT_TEST(equal_moments_and_plain_puts_keep_their_order),
    HKT_TEST(only_what_is_due_is_taken),
    HKT_TEST(something_earlier_wakes_who_waits_for_something_later),
    HKT_TEST(a_leader_that_leaves_is_followed),
    HKT_TEST(a_close_does_not_hurry_what_is_delayed),
    HKT_TEST(the_descriptor_knows_when_the_first_is_due),
    HKT_TEST(what_is_left_is_dropped_in_the_queues_order),
    HKT_TEST(memory_that_is_not_there_changes_nothing),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "queue_order", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
