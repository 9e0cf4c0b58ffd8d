/* SPDX-License-Identifier: MIT */
/*
 * The system refuses a thread, a descriptor, memory or a clock to executors on threads, at every
 * call in turn. A status tells, every future ends, the shutdown returns, nothing is left; and
 * when the system gives again, everything works.
 */
#include <errno.h>

#include "tests/fault_fixture.h"
#include "tests/os_rounds_fixture.h"
#include "tests/use_fixture.h"

#include <hocket/waits.h>

static const struct hkt_os_fault faults[] = {
    {HKT_OS_pthread_create, EAGAIN},
    {HKT_OS_pthread_create, EPERM},
    {HKT_OS_pthread_key_create, EAGAIN},
    {HKT_OS_pthread_setspecific, ENOMEM},
    {HKT_OS_pthread_getattr_np, ENOMEM},
    {HKT_OS_pthread_setaffinity_np, EPERM},
    {HKT_OS_sched_getaffinity, EPERM},
    {HKT_OS_eventfd, EMFILE},
    {HKT_OS_eventfd, ENFILE},
    {HKT_OS_eventfd, ENOMEM},
    {HKT_OS_timerfd_create, EMFILE},
    {HKT_OS_timerfd_create, ENOMEM},
    {HKT_OS_fcntl, EMFILE},
    {HKT_OS_open, EMFILE},
    {HKT_OS_open, ENOENT},
    {HKT_OS_opendir, EMFILE},
    {HKT_OS_madvise, ENOMEM},
    {HKT_OS_prctl, EPERM},
    {HKT_OS_malloc, ENOMEM},
    {HKT_OS_aligned_alloc, ENOMEM},
};

enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

static void works(hk_executor *executor)
{
    hk_future *future = NULL;
    int n = 7;

    HKT_CHILD_STATUS(hk_submit(executor, hkt_square, &n, sizeof(n), NULL, &future), HK_OK);
    HKT_CHILD_TRUE(hkt_fault_int(future) == 49);
}

static void open_and_use(const char *spec)
{
    hk_executor *executor = NULL;
    hk_status status;

    hkt_os_arm();
    status = hk_executor_open(spec, &executor);
    HKT_CHILD_TRUE((executor != NULL) == (status == HK_OK));
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status == HK_OK) {
        status = hk_executor_prestart(executor, HK_FOREVER);
        HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
        hkt_use(executor);
        (void)hkt_os_relent();
        works(executor); /* It goes on as soon as it can. */
        HKT_CHILD_STATUS(hk_executor_destroy(executor), HK_OK);
    }
    (void)hkt_os_relent();
    HKT_CHILD_STATUS(hk_executor_open(spec, &executor), HK_OK);
    works(executor);
    HKT_CHILD_STATUS(hk_executor_destroy(executor), HK_OK);
}

static void use_threads(void)
{
    open_and_use("threads:3");
}

static void use_bounded_threads(void)
{
    open_and_use("threads:2?queue_capacity=4");
}

static void use_serial(void)
{
    open_and_use("serial:threads:1");
}

static void use_inline(void)
{
    open_and_use("inline");
}

static void use_replay(void)
{
    open_and_use("replay:1");
}

static void threads_are_refused(void)
{
    hkt_os_fail_each(faults, FAULTS, use_threads);
}

static void bounded_threads_are_refused(void)
{
    hkt_os_fail_each(faults, FAULTS, use_bounded_threads);
}

static void serial_is_refused(void)
{
    hkt_os_fail_each(faults, FAULTS, use_serial);
}

static void inline_is_refused(void)
{
    hkt_os_fail_each(faults, FAULTS, use_inline);
}

static void replay_is_refused(void)
{
    hkt_os_fail_each(faults, FAULTS, use_replay);
}

static void replay_without_a_thread(void)
{
    hk_executor *executor = NULL;
    hk_status status;

    errno = 0;
    hkt_os_arm();
    status = hk_replay_create(1, NULL, &executor);
    HKT_CHILD_TRUE(status == HK_OK || (status == HK_ESYS && errno == EAGAIN));
    (void)hkt_os_relent();
    HKT_CHILD_STATUS(hk_executor_destroy(executor), HK_OK);
}

static void a_replay_says_that_the_system_refused_a_thread(void)
{
    static const struct hkt_os_fault no_thread = {HKT_OS_pthread_create, EAGAIN};

    hkt_os_fail_each(&no_thread, 1, replay_without_a_thread);
}

/* --- Waits --- */

static hk_lock lock = HK_LOCK_INIT("lock");

HK_TASK(takes_the_lock)
{
    hk_status status = hk_lock_acquire(&lock);

    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    return status == HK_OK ? hk_lock_release(&lock) : HK_OK;
}

static void watch_and_wait(void)
{
    hk_executor *executor = NULL;
    hk_future *future = NULL;
    hk_status status;
    hk_status submitted;

    HKT_CHILD_STATUS(hk_executor_open("threads:1", &executor), HK_OK);
    works(executor);
    hkt_os_arm();
    errno = 0;
    status = hk_waits_watch(HK_SEC(100), 2);
    HKT_CHILD_TRUE(status == HK_OK || (status == HK_ESYS && errno != 0));
    status = hk_lock_acquire(&lock);
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    /* Refused where a sanitizer keeps nothing that was released for the next. */
    submitted = hk_submit(executor, takes_the_lock, NULL, 0, NULL, &future);
    HKT_CHILD_TRUE(submitted == HK_OK || submitted == HK_ENOMEM);
    if (status == HK_OK && submitted == HK_OK) {
        /* Done if it was refused the lock; if it waits for it already, this closes the ring. */
        status = hk_future_wait(future, HK_MS(2));
        HKT_CHILD_TRUE(status == HK_ETIMEDOUT || status == HK_OK || status == HK_EDEADLK);
        status = HK_OK;
    }
    if (status == HK_OK) {
        HKT_CHILD_STATUS(hk_lock_release(&lock), HK_OK);
    }
    if (submitted == HK_OK) {
        HKT_CHILD_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
    }
    hk_future_unref(future);
    HKT_CHILD_STATUS(hk_waits_watch(0, -1), HK_OK);
    (void)hkt_os_relent();
    HKT_CHILD_STATUS(hk_executor_destroy(executor), HK_OK);
}

static void watches_are_refused(void)
{
    hkt_os_fail_each(faults, FAULTS, watch_and_wait);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a thread pool that is refused something says so and goes on", threads_are_refused),
    HKT_CASE("so does one with a queue that was asked for", bounded_threads_are_refused),
    HKT_CASE("so does a serial executor", serial_is_refused),
    HKT_CASE("so does an inline executor", inline_is_refused),
    HKT_CASE("so does a replay executor", replay_is_refused),
    HKT_CASE("which says that it was the system, if that refused a thread",
             a_replay_says_that_the_system_refused_a_thread),
    HKT_CASE("so do locks and the watch over waits", watches_are_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "os_faults", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    hkt_os_prepare();
    return hkt_main(argc, argv, suites);
}
