/* SPDX-License-Identifier: MIT */
/* The descriptors of queues and rings. Those of delay queues are in test_queue_order.c. */
#include <poll.h>

#include "tests/queue_fixture.h"

enum { CAPACITY = 4 };

static bool is_readable(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};

    return poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLIN) != 0;
}

static void the_descriptor_shows_whether_a_get_would_wait(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    void *items[CAPACITY];
    size_t count;
    int again = -1;
    int fd = -1;

    HKT_OK_FATAL(hkt_kind->fd(queue, &fd));
    HKT_OK(hkt_kind->fd(queue, &again));
    HKT_EQ_INT(fd, again);
    HKT_TRUE(!is_readable(fd));
    for (int round = 0; round < 3; round++) {
        hkt_put_numbers(queue, 0, 2);
        HKT_TRUE(is_readable(fd));
        hkt_expect_numbers(queue, 0, 1);
        HKT_TRUE(is_readable(fd));
        hkt_expect_numbers(queue, 1, 1);
        HKT_TRUE(!is_readable(fd));
    }
    hkt_put_numbers(queue, 0, CAPACITY);
    HKT_OK(hkt_kind->take_many(queue, 0, items, CAPACITY, &count));
    HKT_TRUE(!is_readable(fd));
    HKT_OK(hkt_kind->put_many(queue, items, count, 0, &count));
    HKT_TRUE(is_readable(fd));
    hkt_queue_end(queue);
}

static void the_descriptor_shows_a_close(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    int fd = -1;

    hkt_put_numbers(queue, 5, 1);
    HKT_OK_FATAL(hkt_kind->fd(queue, &fd)); /* Asked for late. */
    HKT_TRUE(is_readable(fd));
    HKT_OK(hkt_kind->close(queue));
    HKT_TRUE(is_readable(fd));
    hkt_expect_numbers(queue, 5, 1);
    HKT_TRUE(is_readable(fd));
    hkt_queue_end(queue);
    queue = hkt_queue_open(CAPACITY);
    HKT_OK_FATAL(hkt_kind->fd(queue, &fd));
    HKT_OK(hkt_kind->close(queue));
    HKT_TRUE(is_readable(fd));
    hkt_queue_end(queue);
    queue = hkt_queue_open(CAPACITY);
    HKT_OK(hkt_kind->close(queue));
    HKT_OK_FATAL(hkt_kind->fd(queue, &fd));
    HKT_TRUE(is_readable(fd));
    hkt_queue_end(queue);
}

static void poll_sleeps_until_something_is_put(void)
{
    void *queue = hkt_queue_open(CAPACITY);
    struct pollfd wanted = {.events = POLLIN};
    struct hkt_caller putter;

    hkt_put_numbers(queue, 0, CAPACITY);
    HKT_OK_FATAL(hkt_kind->fd(queue, &wanted.fd));
    hkt_start_putter(&putter, queue, hkt_number(CAPACITY));
    for (size_t i = 0; i <= CAPACITY; i++) {
        HKT_EQ_INT(poll(&wanted, 1, -1), 1);
        hkt_expect_numbers(queue, i, 1);
    }
    hkt_expect_caller(&putter, HK_OK);
    HKT_TRUE(!is_readable(wanted.fd));
    hkt_queue_end(queue);
}

static CU_TestInfo tests[] = {
    HKT_TEST(the_descriptor_shows_whether_a_get_would_wait),
    HKT_TEST(the_descriptor_shows_a_close),
    HKT_TEST(poll_sleeps_until_something_is_put),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = HKT_SUITES_OF_ALL_KINDS("queue_fd", tests);

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
