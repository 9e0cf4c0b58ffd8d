/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at every allocation in turn around a pool of processes: in the application,
 * in the zygote, and in a worker. Each round is a child of its own, with a zygote of its own:
 * whatever failed, every future ends, the shutdown returns, nothing is left, and with memory
 * everything works again.
 *
 * The rows of scripts/check_allocation_rows.py are below.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tests/fault_fixture.h"
#include "tests/use_fixture.h"

enum { ROUNDS_MAX = 400 };

/* Shared with the children: which allocation fails, and whether the round came so far. */
struct round {
    _Atomic(int64_t) nth;
    _Atomic(int64_t) left; /* Allocations to go at the end: 0 while rounds meet their failure. */
};

static struct round *current;

/* After it all with memory: whether in this pool, or, where the zygote is gone, in a new one. */
static void works_again(void)
{
    hk_executor *pool = NULL;
    hk_status status = hk_process_pool_create(&(hk_executor_options){.workers = 1}, &pool);

    /* A zygote that was forked meanwhile counts on, and may refuse once. */
    if (hkt_is_refusal(status)) {
        pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    }
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

static void run_pool(void)
{
    hk_executor_options options = {.workers = 2, .start_timeout = HK_SEC(5)};
    hk_executor *pool = NULL;
    hk_status status = hk_process_pool_create(&options, &pool);

    HKT_CHILD_TRUE((pool != NULL) == (status == HK_OK));
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status == HK_OK) {
        status = hk_executor_prestart(pool, HK_FOREVER);
        HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
        hkt_use(pool);
        HKT_CHILD_STATUS(hk_executor_destroy(pool), HK_OK);
    }
}

/* --- Where it fails --- */

static void in_the_application(void)
{
    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    hki_memory_fail_at((long)atomic_load(&current->nth));
    run_pool();
    atomic_store(&current->left, hki_memory_fail_at(0));
    works_again();
}

static void at_the_first_pool(void)
{
    hk_status status;

    hki_memory_fail_at((long)atomic_load(&current->nth));
    status = hk_zygote_start();
    HKT_CHILD_TRUE(status == HK_OK || status == HK_ENOMEM || status == HK_ESYS);
    atomic_store(&current->left, hki_memory_fail_at(0));
    works_again();
}

HK_TASK(tells_what_is_left)
{
    atomic_store(&current->left, hki_memory_fail_at(0));
    return HK_OK;
}

/* The zygote, and every worker that it forks, count on from what is left when they begin. */
static void in_the_zygote(void)
{
    hk_executor *pool = NULL;
    hk_status status;

    hki_memory_fail_at((long)atomic_load(&current->nth));
    status = hk_zygote_start();
    hki_memory_fail_at(0);
    if (status != HK_OK) {
        HKT_CHILD_STATUS(status, HK_ENOMEM);
        return;
    }
    run_pool();
    if (hk_process_pool_create(&(hk_executor_options){.workers = 1}, &pool) == HK_OK) {
        hkt_use_submit(pool, tells_what_is_left, 1, false);
        HKT_CHILD_STATUS(hk_executor_destroy(pool), HK_OK);
    }
}

HK_TASK(runs_out_of_memory)
{
    hk_status status;
    void *room = NULL;
    hk_cancel_token *token = NULL;

    hki_memory_fail_at((long)atomic_load(&current->nth));
    hk_progress(call, 1, 2);
    status = hk_return_reserve(call, in_size, &room);
    if (status == HK_OK) {
        memcpy(room, in, in_size);
        status = hk_call_token(call, &token);
    }
    if (status == HK_OK) {
        status = hk_return(call, in, in_size);
    }
    if (status == HK_OK) {
        status = hk_fail(call, 5, "%.*s", (int)in_size, (const char *)in);
    }
    atomic_store(&current->left, hki_memory_fail_at(0));
    return status == HK_ENOMEM ? HK_OK : status;
}

static void in_the_worker(void)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});

    for (size_t size = 1; size <= HKT_USE_MOST; size *= 100) {
        hkt_use_submit(pool, runs_out_of_memory, size, false);
    }
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* --- Rounds --- */

static void each_allocation(void (*inside)(void), bool must_fail)
{
    unsigned before = CU_get_number_of_failures();
    long nth = 0;

    if (current == NULL) {
        current = hkt_shared_new(sizeof(*current));
    }
    atomic_store(&current->left, 0);
    while (atomic_load(&current->left) == 0 && nth < ROUNDS_MAX &&
           CU_get_number_of_failures() == before) {
        atomic_store(&current->nth, ++nth);
        atomic_store(&current->left, 0);
        hkt_fault_run(inside);
    }
    printf("%ld ", nth - 1);
    fflush(stdout);
    HKT_TRUE(nth < ROUNDS_MAX);
    HKT_TRUE(nth > 1 || !must_fail);
}

static void the_application_has_no_memory(void)
{
    each_allocation(in_the_application, true);
}

static void the_zygote_has_no_memory(void)
{
    each_allocation(in_the_zygote, true);
}

static void a_worker_has_no_memory(void)
{
    each_allocation(in_the_worker, true);
}

static void the_start_has_no_memory(void)
{
    each_allocation(at_the_first_pool, false);
}

static CU_TestInfo tests[] = {
    /* Rows for scripts/check_allocation_rows.py: {"hk_zygote_start", ...}. */
    {"hk_zygote_start without memory is refused", the_start_has_no_memory},
    {"hk_process_pool_create without memory, and all that follows, loses no future",
     the_application_has_no_memory},
    {"hk_executor_prestart of a zygote without memory loses no future", the_zygote_has_no_memory},
    {"a task in a worker without memory fails alone", a_worker_has_no_memory},
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "process_allocation", .pTests = tests},
                                CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
