/* SPDX-License-Identifier: MIT */
/*
 * Only a clock that nobody can set is used: every look at a clock, every timer and every sleep
 * until a moment goes by tests/os_fixture.c, where another clock than CLOCK_MONOTONIC is
 * counted. scripts/check_symbols.py sees to it that no call is used that has a clock inside.
 */
#include "tests/fault_fixture.h"
#include "tests/os_fixture.h"
#include "tests/use_fixture.h"

#include <hocket/waits.h>

static void wait_a_little(void)
{
    hk_event event = HK_EVENT_INIT("event");
    hk_semaphore semaphore = HK_SEMAPHORE_INIT("semaphore", 0, 1);
    hk_barrier barrier = HK_BARRIER_INIT("barrier", 2);
    hk_lock lock = HK_LOCK_INIT("lock");
    hk_cond cond = HK_COND_INIT("cond");
    hk_queue *queue = NULL;
    void *item = NULL;
    int fd = -1;

    HKT_CHILD_STATUS(hk_event_wait(&event, HK_US(1)), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_semaphore_acquire(&semaphore, 1, HK_US(1)), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_barrier_wait(&barrier, HK_US(1), NULL), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_lock_acquire(&lock), HK_OK);
    HKT_CHILD_STATUS(hk_cond_wait(&cond, &lock, HK_US(1)), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_lock_release(&lock), HK_OK);
    HKT_CHILD_STATUS(hk_queue_create(&(hk_queue_options){.order = HK_QUEUE_DELAY}, &queue), HK_OK);
    HKT_CHILD_STATUS(hk_queue_put_delayed(queue, &lock, HK_US(1), 0), HK_OK);
    HKT_CHILD_STATUS(hk_queue_fd(queue, &fd), HK_OK);
    HKT_CHILD_STATUS(hk_queue_get(queue, HK_FOREVER, &item), HK_OK);
    HKT_CHILD_STATUS(hk_queue_destroy(queue), HK_OK);
    HKT_CHILD_STATUS(hk_lock_destroy(&lock), HK_OK);
    HKT_CHILD_STATUS(hk_waits_watch(HK_SEC(1000), 2), HK_OK);
    HKT_CHILD_STATUS(hk_waits_watch(0, -1), HK_OK);
}

HKT_FAULT_CASE(everything_is_used)
{
    static const char *const specs[] = {"processes:2", "threads:2", "serial:threads:1", "inline",
                                        "replay:1"};

    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        hk_submit_options limit = {.timeout = HK_MS(1)};
        hk_executor *executor = NULL;
        hk_future *future = NULL;

        HKT_CHILD_STATUS(hk_executor_open(specs[i], &executor), HK_OK);
        hkt_use(executor);
        HKT_CHILD_STATUS(hk_submit(executor, hkt_sleeps, NULL, 0, &limit, &future), HK_OK);
        hkt_fault_ends(future, HK_EDEADLINE);
        HKT_CHILD_STATUS(hk_executor_destroy(executor), HK_OK);
    }
    wait_a_little();
}

static void no_clock_that_can_be_set_is_used(void)
{
    everything_is_used();
    HKT_TRUE(hkt_os_monotonic_clocks() > 0); /* What is led here is seen here. */
    HKT_EQ_INT(hkt_os_settable_clocks(), 0);
}

static CU_TestInfo tests[] = {
    HKT_CASE("no clock that can be set is used", no_clock_that_can_be_set_is_used),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "clocks", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    hkt_os_prepare();
    return hkt_main(argc, argv, suites);
}
