/* SPDX-License-Identifier: MIT */
/*
 * No call on a pool of processes is a cancellation point: a thread that is asked to end would
 * leave the pool's lock behind. tests/test_misuse_threads.c is about all other calls.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/process_fixture.h"

enum { MIB = 1024 * 1024, POOL_BYTES = 8 * MIB, SPILLED = 7 * MIB };

/* Where the thread has come to. */
static atomic_uint passed;

static void echo_what_is_spilled(hk_executor *pool)
{
    char *bytes = calloc(1, SPILLED);
    const void *result = NULL;
    hk_future *future = NULL;
    size_t size = 0;

    HKT_TRUE_FATAL(bytes != NULL);
    bytes[SPILLED - 1] = 'z';
    HKT_OK(hk_submit(pool, hkt_echo, bytes, SPILLED, NULL, &future));
    HKT_OK(hk_future_result(future, HK_FOREVER, &result, &size));
    HKT_EQ_INT(size, SPILLED);
    HKT_TRUE(result != NULL && memcmp(result, bytes, SPILLED) == 0);
    hk_future_unref(future);
    free(bytes);
    atomic_fetch_add(&passed, 1);
}

static void lose_and_replace_workers(hk_executor *pool)
{
    hk_submit_options limit = {.timeout = HK_MS(1)};
    hk_future *future = NULL;

    HKT_OK(hk_executor_restart_workers(pool));
    HKT_OK(hk_executor_resize(pool, 1));
    HKT_OK(hk_submit(pool, hkt_ends_by, &(int){SIGKILL}, sizeof(int), NULL, &future));
    hkt_expect_lost(future, SIGKILL, -1);
    HKT_OK(hk_submit(pool, hkt_sleeps, NULL, 0, &limit, &future));
    hkt_expect_end(future, HK_EDEADLINE);
    atomic_fetch_add(&passed, 1);
}

static void *use_a_pool(void *arg)
{
    hk_executor_options options = {.workers = 2, .memory_bytes = POOL_BYTES};
    hk_executor_statistics statistics;
    hk_executor *pool = NULL;

    (void)pthread_cancel(pthread_self());
    HKT_OK_FATAL(hk_process_pool_create(&options, &pool));
    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    atomic_fetch_add(&passed, 1);
    echo_what_is_spilled(pool);
    lose_and_replace_workers(pool);
    HKT_OK(hk_executor_stats(pool, &statistics));
    HKT_OK(hk_submit(pool, hkt_sleeps, NULL, 0, NULL, NULL));
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER));
    HKT_OK(hk_executor_destroy(pool));
    atomic_fetch_add(&passed, 1);
    pthread_testcancel();
    return arg;
}

static void no_call_is_a_cancellation_point(void)
{
    pthread_t thread;
    void *result = NULL;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, use_a_pool, NULL), 0);
    pthread_join(thread, &result);
    HKT_EQ_PTR(result, PTHREAD_CANCELED);
    HKT_EQ_INT(atomic_load(&passed), 4);
}

static CU_TestInfo tests[] = {
    HKT_TEST(no_call_is_a_cancellation_point),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_cancelled_thread", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
