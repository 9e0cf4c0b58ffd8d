/* SPDX-License-Identifier: MIT */
/* Futures and completion queues in an event loop: cases IS06 and IS07 of
 * docs/contract.md, for any executor, with epoll as the loop. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/promise_fixture.h"

static bool is_readable(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    int ready = poll(&entry, 1, 0);

    HKT_TRUE(ready >= 0);
    return ready == 1;
}

/* --- A smallest event loop --------------------------------------------------------- */

static int loop_open(void)
{
    int loop = epoll_create1(EPOLL_CLOEXEC);

    HKT_TRUE_FATAL(loop >= 0);
    return loop;
}

static void loop_watch(int loop, int fd, uint32_t number)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = number}};

    HKT_EQ_INT(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
}

static void loop_forget(int loop, int fd)
{
    HKT_EQ_INT(epoll_ctl(loop, EPOLL_CTL_DEL, fd, NULL), 0);
}

/* The number of one descriptor that is ready; waits for it. */
static uint32_t loop_wait(int loop)
{
    struct epoll_event event = {0};
    int ready;

    do {
        ready = epoll_wait(loop, &event, 1, -1);
    } while (ready < 0 && errno == EINTR);
    HKT_EQ_INT(ready, 1);
    return event.data.u32;
}

static bool loop_is_quiet(int loop)
{
    struct epoll_event event;

    return epoll_wait(loop, &event, 1, 0) == 0;
}

/* --- When the queue's descriptor is readable --------------------------------------- */

static void it_is_readable_while_something_can_be_taken(void)
{
    struct hkt_pair pairs[2];
    hk_future *futures[2];
    hk_completion *completion = NULL;
    int again = -1;
    int fd = -1;

    hkt_pairs_open(pairs, futures, 2);
    HKT_OK_FATAL(hk_as_completed(futures, 2, HK_FOREVER, &completion));
    HKT_OK_FATAL(hk_completion_fd(completion, &fd));
    HKT_TRUE(!is_readable(fd));
    hkt_pair_end(&pairs[0], HK_DONE);
    HKT_TRUE(is_readable(fd));
    HKT_TRUE(is_readable(fd)); /* Level, not edge. */
    hkt_pair_end(&pairs[1], HK_CANCELLED);
    HKT_OK(hk_completion_next(completion, 0, NULL, NULL));
    HKT_TRUE(is_readable(fd));
    HKT_OK(hk_completion_next(completion, 0, NULL, NULL));
    HKT_TRUE(!is_readable(fd));
    HKT_STATUS(hk_completion_next(completion, 0, NULL, NULL), HK_EDONE);
    HKT_TRUE(!is_readable(fd));
    HKT_OK(hk_completion_add(completion, futures[0], 5));
    HKT_TRUE(is_readable(fd));
    HKT_OK(hk_completion_fd(completion, &again));
    HKT_EQ_INT(again, fd);
    hk_completion_destroy(completion);
    hkt_pairs_close(pairs, 2);
}

static void asked_for_late_it_is_readable_at_once(void)
{
    hk_completion *completion = NULL;
    struct hkt_pair pair;
    int fd = -1;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK_FATAL(hk_as_completed(&pair.future, 1, HK_FOREVER, &completion));
    HKT_OK_FATAL(hk_completion_fd(completion, &fd));
    HKT_TRUE(is_readable(fd));
    hk_completion_destroy(completion);
    hkt_pair_close(&pair);
}

/* --- IS06: completions arrive through the loop -------------------------------------- */

enum { MANY = 200, QUEUE = 1 };

struct batch {
    struct hkt_pair pairs[MANY];
    hk_future *futures[MANY];
    int payload[MANY]; /* Plain: written before the end, read in the loop. */
};

static void end_batch(void *arg)
{
    struct batch *batch = arg;

    for (int i = 0; i < MANY; i++) {
        batch->payload[i] = i + 1;
        HKT_OK(hkt_set_int(batch->pairs[i].promise, i));
    }
}

static void a_queue_brings_many_futures_through_one_descriptor(void)
{
    static struct batch batch;
    hk_completion *completion = NULL;
    struct hkt_thread ender;
    int loop = loop_open();
    int delivered = 0;
    int fd = -1;

    memset(&batch, 0, sizeof(batch));
    hkt_pairs_open(batch.pairs, batch.futures, MANY);
    HKT_OK_FATAL(hk_as_completed(batch.futures, MANY, HK_FOREVER, &completion));
    HKT_OK_FATAL(hk_completion_fd(completion, &fd));
    loop_watch(loop, fd, QUEUE);
    hkt_thread_start(&ender, end_batch, &batch);
    while (delivered < MANY) {
        uintptr_t tag = 0;

        HKT_EQ_INT(loop_wait(loop), QUEUE);
        /* One for each turn: a level-triggered loop comes back for the rest. */
        HKT_OK_FATAL(hk_completion_next(completion, 0, NULL, &tag));
        HKT_EQ_INT(batch.payload[tag], (int)tag + 1);
        delivered++;
    }
    HKT_TRUE(loop_is_quiet(loop));
    hkt_thread_join(&ender);
    loop_forget(loop, fd);
    hk_completion_destroy(completion);
    hkt_pairs_close(batch.pairs, MANY);
    close(loop);
}

static void single_futures_can_be_watched_too(void)
{
    enum { COUNT = 3 };
    struct hkt_pair pairs[COUNT];
    hk_future *futures[COUNT];
    int fds[COUNT];
    int loop = loop_open();

    hkt_pairs_open(pairs, futures, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        HKT_OK_FATAL(hk_future_fd(futures[i], &fds[i]));
        loop_watch(loop, fds[i], i);
    }
    HKT_TRUE(loop_is_quiet(loop));
    for (uint32_t i = COUNT; i-- > 0;) {
        hkt_pair_end(&pairs[i], HK_DONE);
        HKT_EQ_INT(loop_wait(loop), i);
        loop_forget(loop, fds[i]);
    }
    HKT_TRUE(loop_is_quiet(loop));
    hkt_pairs_close(pairs, COUNT);
    close(loop);
}

/* --- IS07: a loop that is gone before the end ---------------------------------------- */

static void a_late_end_touches_nothing_of_a_closed_loop(void)
{
    struct hkt_pair pairs[2];
    hk_future *futures[2];
    hk_completion *completion = NULL;
    int loop = loop_open();
    int in_loop[2] = {-1, -1};
    int own[2] = {-1, -1};
    int queue_fd = -1;
    int future_fd = -1;

    hkt_pairs_open(pairs, futures, 2);
    HKT_OK_FATAL(hk_as_completed(futures, 2, HK_FOREVER, &completion));
    HKT_OK_FATAL(hk_completion_fd(completion, &queue_fd));
    HKT_OK_FATAL(hk_future_fd(futures[0], &future_fd));
    loop_watch(loop, queue_fd, QUEUE);
    loop_watch(loop, future_fd, 2);
    close(loop);
    hk_completion_destroy(completion);
    /* The queue's number is free now: take it, and see that nobody writes there. */
    HKT_EQ_INT(pipe(in_loop), 0);
    HKT_EQ_INT(pipe(own), 0);
    HKT_TRUE(in_loop[0] == queue_fd || in_loop[1] == queue_fd || own[0] == queue_fd ||
             own[1] == queue_fd);
    hkt_pair_end(&pairs[0], HK_DONE);
    hkt_pair_end(&pairs[1], HK_CANCELLED);
    HKT_TRUE(!is_readable(in_loop[0]));
    HKT_TRUE(!is_readable(own[0]));
    HKT_TRUE(is_readable(future_fd)); /* The future's own is still there. */
    for (int i = 0; i < 2; i++) {
        close(in_loop[i]);
        close(own[i]);
    }
    hkt_pairs_close(pairs, 2);
}

static void cancelling_from_the_loop_arrives_through_the_loop(void)
{
    hk_completion *completion = NULL;
    hk_future *future = NULL;
    struct hkt_pair pair;
    int loop = loop_open();
    int fd = -1;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_as_completed(&pair.future, 1, HK_FOREVER, &completion));
    HKT_OK_FATAL(hk_completion_fd(completion, &fd));
    loop_watch(loop, fd, QUEUE);
    HKT_OK(hk_future_cancel(pair.future, HK_CANCEL_REQUEST));
    HKT_EQ_INT(loop_wait(loop), QUEUE);
    HKT_OK(hk_completion_next(completion, 0, &future, NULL));
    HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
    hk_future_unref(future);
    hk_completion_destroy(completion);
    hkt_pair_close(&pair);
    close(loop);
}

static CU_TestInfo tests[] = {
    HKT_CASE("the descriptor is readable while something can be taken",
             it_is_readable_while_something_can_be_taken),
    HKT_CASE("asked for late it is readable at once", asked_for_late_it_is_readable_at_once),
    HKT_CASE("IS06 a queue brings many futures through one descriptor",
             a_queue_brings_many_futures_through_one_descriptor),
    HKT_CASE("IS06 single futures can be watched too", single_futures_can_be_watched_too),
    HKT_CASE("IS07 a late end touches nothing of a closed loop",
             a_late_end_touches_nothing_of_a_closed_loop),
    HKT_CASE("IS07 cancelling from the loop arrives through the loop",
             cancelling_from_the_loop_arrives_through_the_loop),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "completion_fd", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
