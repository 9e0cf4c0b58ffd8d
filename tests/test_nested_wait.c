/* SPDX-License-Identifier: MIT */
/*
 * Waiting inside a task: an awaited task is run here, or somebody else is found
 * to run it. What is refused is in test_wait_cycles.c.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

/* --- Claim --- */

/* How a parent waits for its child, and what it found. */
struct family {
    hk_duration timeout;       /* Of the wait. */
    hk_submit_options options; /* Of the child. */
    hk_wait_for what;
    bool has_stranger; /* Queued in front of the child. */
    hk_state stranger_state;
    hk_status status;
    bool same_thread; /* The child ran on the parent's stack. */
};

HK_TASK(waits_for_its_child)
{
    struct family *family = (struct family *)(uintptr_t)in;
    hk_executor *pool = hk_call_executor(call);
    hk_future *stranger = NULL;
    hk_future *child = NULL;
    const void *value = NULL;

    if (family->has_stranger) {
        HKT_OK(hk_submit(pool, hkt_thread_id, NULL, 0, NULL, &stranger));
    }
    HKT_OK(hk_submit(pool, hkt_thread_id, NULL, 0, &family->options, &child));
    family->status = hk_wait(&child, 1, family->what, family->timeout, NULL, NULL);
    if (hk_future_result(child, 0, &value, NULL) == HK_OK) {
        family->same_thread = *(const pid_t *)value == gettid();
    }
    family->stranger_state = hk_future_state(stranger);
    hk_future_unref(child);
    hk_future_unref(stranger);
    return HK_OK;
}

static hk_executor *single(unsigned spares)
{
    return hkt_pool_create((hk_executor_options){.workers = 1, .spare_workers = spares});
}

static void run_family(hk_executor *pool, struct family *family)
{
    hkt_expect_end(hkt_submit_ref(pool, waits_for_its_child, family), HK_OK);
}

static void an_untimed_wait_runs_the_awaited_task_here(void)
{
    hk_executor *pool = single(HK_NO_SPARES);
    struct family family = {.timeout = HK_FOREVER};

    run_family(pool, &family);
    HKT_OK(family.status);
    HKT_TRUE(family.same_thread);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 1);
    HKT_OK(hk_executor_destroy(pool));
}

static void a_wait_runs_no_stranger(void)
{
    hk_executor *pool = single(HK_NO_SPARES);
    struct family family = {.timeout = HK_FOREVER, .has_stranger = true};

    run_family(pool, &family);
    HKT_OK(family.status);
    HKT_EQ_INT(family.stranger_state, HK_PENDING);
    HKT_OK(hk_executor_destroy(pool));
}

static void a_thread_that_is_no_worker_runs_no_task(void)
{
    hk_executor *pool = single(HK_NO_SPARES);
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, hkt_thread_id, NULL, 0, NULL, &future));
    HKT_TRUE(hkt_take_int(future) != gettid());
    HKT_OK(hk_executor_destroy(pool));
}

/* Sums 1 to n, each number in a task of its own that waits for the next. */
HK_TASK(sums_down)
{
    int n;
    int rest = 0;

    memcpy(&n, in, sizeof(n));
    if (n > 0) {
        int next = n - 1;
        hk_future *child = NULL;
        const void *value = NULL;
        hk_status status =
            hk_submit(hk_call_executor(call), sums_down, &next, sizeof(next), NULL, &child);

        if (status == HK_OK) {
            status = hk_future_result(child, HK_FOREVER, &value, NULL);
        }
        if (status != HK_OK) {
            hk_future_unref(child);
            return hk_fail(call, n, "the wait at %d gave %s", n, hk_status_name(status));
        }
        memcpy(&rest, value, sizeof(rest));
        hk_future_unref(child);
    }
    rest += n;
    return hk_return(call, &rest, sizeof(rest));
}

static void a_chain_may_be_deeper_than_claims_go(void)
{
    hk_executor *pool = single(0);

    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, sums_down, 200)), 200 * 201 / 2);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, sums_down, 1000)), 1000 * 1001 / 2);
    HKT_OK(hk_executor_destroy(pool));
}

static void a_chain_that_nobody_can_go_on_with_is_refused(void)
{
    hk_executor *pool = single(HK_NO_SPARES);
    hk_future *future = hkt_submit_int(pool, sums_down, 1000);

    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Compensate --- */

static void expect_compensation(struct family family)
{
    hk_executor *pool = single(0);

    run_family(pool, &family);
    HKT_OK(family.status);
    HKT_TRUE(!family.same_thread);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 2);
    HKT_TRUE(hkt_becomes(pool, hkt_workers, 1)); /* The spare leaves again. */
    HKT_EQ_INT(hkt_stats(pool).workers_blocked, 0);
    HKT_OK(hk_executor_destroy(pool));
}

static void other_waits_get_a_spare_worker(void)
{
    expect_compensation((struct family){.timeout = HK_SEC(3600)});
    expect_compensation((struct family){.timeout = HK_FOREVER, .what = HK_FIRST_COMPLETED});
    expect_compensation((struct family){.timeout = HK_FOREVER, .what = HK_FIRST_ERROR});
}

static void a_task_with_a_limit_is_not_claimed(void)
{
    expect_compensation(
        (struct family){.timeout = HK_FOREVER, .options = {.timeout = HK_SEC(3600)}});
    expect_compensation(
        (struct family){.timeout = HK_FOREVER, .options = {.deadline = HK_SEC(3600)}});
}

static void without_spares_a_wait_that_cannot_claim_is_refused(void)
{
    hk_executor *pool = single(HK_NO_SPARES);
    struct family first = {.timeout = HK_FOREVER, .what = HK_FIRST_COMPLETED};
    struct family timed = {.timeout = HK_MS(5)};
    struct family limited = {.timeout = HK_FOREVER, .options = {.timeout = HK_SEC(3600)}};

    run_family(pool, &first);
    HKT_STATUS(first.status, HK_EDEADLK);
    run_family(pool, &timed); /* Stuck by itself alone, it ends by its own limit. */
    HKT_STATUS(timed.status, HK_ETIMEDOUT);
    run_family(pool, &limited);
    HKT_STATUS(limited.status, HK_EDEADLK);
    HKT_OK(hk_executor_destroy(pool));
}

/* Waits with a limit for a child that does the same, n deep. */
HK_TASK(waits_timed_down)
{
    int n;
    hk_future *child = NULL;
    hk_status status = HK_OK;

    memcpy(&n, in, sizeof(n));
    if (n-- > 0) {
        status = hk_submit(hk_call_executor(call), waits_timed_down, &n, sizeof(n), NULL, &child);
    }
    if (status == HK_OK && child != NULL) {
        /* The innermost wait is the shortest, and the only one that runs out. */
        status = hk_future_wait(child, n == 0 ? HK_MS(5) : HK_SEC(3600));
        status = n == 0 && status == HK_ETIMEDOUT ? HK_OK : status;
    }
    hk_future_unref(child);
    return status;
}

static void spares_are_bounded(void)
{
    hk_executor *pool = single(2);

    /* Three wait, of which two are made up for: the fourth has to wait for the third. */
    hkt_expect_end(hkt_submit_int(pool, waits_timed_down, 3), HK_OK);
    HKT_TRUE(hkt_stats(pool).workers_started <= 3);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- No false alarm --- */

static hk_executor *forest[2];

/* Counts the leaves below; each level waits in another way, for tasks of both pools. */
HK_TASK(counts_leaves)
{
    int depth;
    int leaves = 1;

    memcpy(&depth, in, sizeof(depth));
    if (depth > 0) {
        int below = depth - 1;
        hk_duration timeout = depth % 2 == 0 ? HK_FOREVER : HK_SEC(3600);
        hk_wait_for what = depth % 3 == 0 ? HK_FIRST_COMPLETED : HK_ALL_COMPLETED;
        hk_future *children[2] = {NULL};

        leaves = 0;
        for (int i = 0; i < 2; i++) {
            HKT_OK(hk_submit(forest[i], counts_leaves, &below, sizeof(below), NULL, &children[i]));
        }
        HKT_OK(hk_wait(children, 2, what, timeout, NULL, NULL));
        for (int i = 0; i < 2; i++) {
            const void *value = NULL;

            if (HKT_OK(hk_future_result(children[i], HK_FOREVER, &value, NULL))) {
                leaves += *(const int *)value;
            }
            hk_future_unref(children[i]);
        }
    }
    return hk_return(call, &leaves, sizeof(leaves));
}

static void trees_of_waits_raise_no_false_alarm(void)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        for (int i = 0; i < 2; i++) {
            forest[i] = hkt_pool_create((hk_executor_options){.workers = workers});
        }
        for (unsigned round = 0; round < 60 / hkt_slowness(); round++) {
            HKT_EQ_INT(hkt_take_int(hkt_submit_int(forest[round % 2], counts_leaves, 5)), 32);
        }
        for (int i = 0; i < 2; i++) {
            HKT_OK(hk_executor_destroy(forest[i]));
        }
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("an untimed wait runs the awaited task here",
             an_untimed_wait_runs_the_awaited_task_here),
    HKT_CASE("a wait runs no stranger", a_wait_runs_no_stranger),
    HKT_CASE("a thread that is no worker runs no task", a_thread_that_is_no_worker_runs_no_task),
    HKT_CASE("a chain may be deeper than claims go", a_chain_may_be_deeper_than_claims_go),
    HKT_CASE("NW05 a chain that nobody can go on with is refused",
             a_chain_that_nobody_can_go_on_with_is_refused),
    HKT_CASE("other waits get a spare worker", other_waits_get_a_spare_worker),
    HKT_CASE("NW10 a task with a limit is not claimed", a_task_with_a_limit_is_not_claimed),
    HKT_CASE("without spares a wait that cannot claim is refused",
             without_spares_a_wait_that_cannot_claim_is_refused),
    HKT_CASE("NW11 spares are bounded", spares_are_bounded),
    HKT_CASE("trees of waits raise no false alarm", trees_of_waits_raise_no_false_alarm),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "nested_wait",
     .pSetUpFunc = hkt_be_quiet,
     .pTearDownFunc = hkt_be_loud,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
