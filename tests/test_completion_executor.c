/* SPDX-License-Identifier: MIT */
/* as_completed over the tasks of an executor: cases AC of docs/contract.md. Inline
 * a task has ended before its future is there, so nothing is ever outstanding; each
 * case says what it asserts instead. */
#include <string.h>

#include "tests/promise_fixture.h"

enum { TASKS = 5 };

/* Delivers the next one, or says why not. */
static hk_state next_state(hk_completion *completion, hk_duration timeout, uintptr_t *tag)
{
    hk_future *future = NULL;
    hk_state state = HK_PENDING;

    if (HKT_OK(hk_completion_next(completion, timeout, &future, tag))) {
        state = hk_future_state(future);
        hk_future_unref(future);
    }
    return state;
}

/* Inline all four have ended before; the gate is open by then. */
static void ended_and_running_tasks_come_exactly_once(void)
{
    enum { RUNNING = 3, COUNT = 4 };
    static const hk_state expected[COUNT] = {HK_CANCELLED, HK_FAILED, HK_DONE, HK_DONE};
    hk_future *futures[COUNT];
    hk_completion *completion = NULL;
    bool seen[COUNT] = {false};
    struct hkt_gate *gate = hkt_shared_new(sizeof(*gate));
    uintptr_t tag = 0;

    hkt_gate_init(gate, "a task that runs while others are read");
    futures[0] = hkt_submit_int(hkt_executor, hkt_cancels, 0);
    futures[1] = hkt_submit_int(hkt_executor, hkt_fails, 0);
    futures[2] = hkt_submit_int(hkt_executor, hkt_square, 3);
    HKT_OK(hk_wait(futures, 3, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL));
    if (hkt_is_inline()) {
        hkt_gate_open(gate);
    }
    futures[RUNNING] = hkt_submit_pointer(hkt_executor, hkt_stands_at_gate, gate);
    hkt_gate_await_arrivals(gate, 1);
    HKT_OK_FATAL(hk_as_completed(futures, COUNT, HK_FOREVER, &completion));
    for (int i = 0; i < COUNT; i++) {
        if (i == RUNNING) {
            HKT_EQ_INT(hk_completion_outstanding(completion), 1);
            hkt_gate_open(gate);
        }
        HKT_EQ_INT(next_state(completion, HK_FOREVER, &tag), expected[i]);
        HKT_EQ_INT(tag, i);
        HKT_TRUE(!seen[tag]);
        seen[tag] = true;
    }
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    hk_completion_destroy(completion);
    for (int i = 0; i < COUNT; i++) {
        (void)hk_future_why(futures[i]);
        hk_future_unref(futures[i]);
    }
    hkt_gate_fini(gate);
}

/* Inline there is no unfinished task, and so no time-out. */
static void a_task_that_runs_on_is_not_delivered_in_time(void)
{
    hk_completion *completion = NULL;
    hk_future *futures[2];
    struct hkt_gate *gate = hkt_shared_new(sizeof(*gate));
    uintptr_t tag = 9;

    hkt_gate_init(gate, "a task that outlasts the time for all");
    if (hkt_is_inline()) {
        hkt_gate_open(gate);
    }
    futures[0] = hkt_submit_pointer(hkt_executor, hkt_stands_at_gate, gate);
    hkt_gate_await_arrivals(gate, 1);
    futures[1] = NULL;
    /* Not a second task: with one worker it could not end. */
    HKT_OK_FATAL(hk_settle_all(NULL, 0, &futures[1]));
    HKT_OK_FATAL(hk_as_completed(futures, 2, HK_MS(10), &completion));
    HKT_EQ_INT(next_state(completion, HK_FOREVER, &tag), HK_DONE);
    HKT_EQ_INT(tag, hkt_is_inline() ? 0 : 1);
    if (hkt_is_inline()) {
        HKT_EQ_INT(next_state(completion, HK_FOREVER, &tag), HK_DONE);
        HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    } else {
        HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_ETIMEDOUT);
        HKT_EQ_INT(hk_completion_outstanding(completion), 1);
        HKT_EQ_INT(hk_future_state(futures[0]), HK_RUNNING);
        hkt_gate_open(gate);
    }
    hk_completion_destroy(completion);
    hkt_expect_end(futures[0], HK_OK);
    hkt_expect_end(futures[1], HK_OK);
    hkt_gate_fini(gate);
}

/* Inline nothing is queued when the shutdown comes: all have ended DONE. */
static void futures_cancelled_by_a_shutdown_are_delivered(void)
{
    hk_completion *completion = NULL;
    hk_future *futures[TASKS];
    struct hkt_plug plug;
    unsigned seen = 0;

    if (!hkt_is_inline()) {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    }
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_int(hkt_executor, hkt_square, i);
    }
    HKT_OK_FATAL(hk_as_completed(futures, TASKS, HK_FOREVER, &completion));
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    for (int i = 0; i < TASKS; i++) {
        uintptr_t tag = 0;

        HKT_EQ_INT(next_state(completion, HK_FOREVER, &tag),
                   hkt_is_inline() ? HK_DONE : HK_CANCELLED);
        HKT_TRUE((seen >> tag & 1U) == 0);
        seen |= 1U << tag;
    }
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    HKT_EQ_INT(seen, (1U << TASKS) - 1);
    hk_completion_destroy(completion);
    for (int i = 0; i < TASKS; i++) {
        hk_future_unref(futures[i]);
    }
    if (!hkt_is_inline()) {
        hkt_plug_pull(&plug);
    }
}

static void many_tasks_come_each_once_with_their_value(void)
{
    enum { COUNT = 300 };
    static hk_future *futures[COUNT];
    static bool seen[COUNT];
    hk_completion *completion = NULL;

    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < COUNT; i++) {
        futures[i] = hkt_submit_int(hkt_executor, hkt_square, i);
    }
    HKT_OK_FATAL(hk_as_completed(futures, COUNT, HK_FOREVER, &completion));
    for (int i = 0; i < COUNT; i++) {
        hk_future *future = NULL;
        uintptr_t tag = 0;

        HKT_OK_FATAL(hk_completion_next(completion, HK_FOREVER, &future, &tag));
        HKT_TRUE(!seen[tag]);
        seen[tag] = true;
        HKT_EQ_INT(hkt_take_int(future), (int)(tag * tag));
    }
    HKT_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    hk_completion_destroy(completion);
    for (int i = 0; i < COUNT; i++) {
        hk_future_unref(futures[i]);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("AC01 ended and running tasks come exactly once",
             ended_and_running_tasks_come_exactly_once),
    HKT_CASE("AC01 many tasks come each once, with their value",
             many_tasks_come_each_once_with_their_value),
    HKT_CASE("AC03 a task that runs on is not delivered in time",
             a_task_that_runs_on_is_not_delivered_in_time),
    HKT_CASE("AC08 futures cancelled by a shutdown are delivered",
             futures_cancelled_by_a_shutdown_are_delivered),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "completion_executor",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
