/* SPDX-License-Identifier: MIT */
/*
 * Forks on a thread pool that changes, or is shut down; stacks that end, processes that fork,
 * and mistakes that end the program.
 */
#include <signal.h>
#include <string.h>

#include "tests/child_fixture.h"
#include "tests/scope_fixture.h"

/* --- When the pool changes --- */

static hk_status fork_before_change(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked[3];

    for (int i = 0; i < 3; i++) {
        HKT_OK(hk_fork(scope, &forked[i], hkt_stage_add_one, stage));
    }
    hkt_gate_open(&stage->gates[0]);
    hkt_gate_wait(&stage->gates[1]);
    for (int i = 3; i-- > 0;) {
        HKT_OK(hk_join(scope, &forked[i]));
    }
    HKT_EQ_INT(stage->sum, 3);
    return HK_OK;
}

static void a_shutdown_leaves_forks_to_their_task(void)
{
    static const hk_shutdown_how hows[] = {HK_SHUTDOWN_DRAIN, HK_SHUTDOWN_CANCEL_QUEUED,
                                           HK_SHUTDOWN_CANCEL_ALL};

    for (int i = 0; i < 3; i++) {
        hk_executor *pool = hkt_stage_pool(1, HK_NO_SPARES);
        struct hkt_stage stage;
        hk_future *future;

        hkt_stage_init(&stage, fork_before_change);
        future = hkt_submit_ref(pool, hkt_stage_task, &stage);
        hkt_gate_wait(&stage.gates[0]);
        HKT_OK(hk_executor_shutdown(pool, hows[i], 0));
        hkt_gate_open(&stage.gates[1]);
        hkt_expect_end(future, HK_OK);
        hkt_stage_fini(&stage);
        HKT_OK(hk_executor_destroy(pool));
    }
}

/* fib(n) in place of n. */
static hk_status fibonacci(hk_scope *scope, void *arg)
{
    int *n = arg;
    int one = *n - 1;
    int other = *n - 2;
    hk_forked forked;
    hk_status status;

    if (*n < 2) {
        return HK_OK;
    }
    hk_fork(scope, &forked, fibonacci, &one);
    status = fibonacci(scope, &other);
    if (hk_join(scope, &forked) != HK_OK) {
        return HK_EFAILED;
    }
    *n = one + other;
    return status;
}

static hk_status sum_a_tree(hk_scope *scope, void *arg)
{
    int n = 18;

    (void)arg;
    HKT_OK(fibonacci(scope, &n));
    HKT_EQ_INT(n, 2584);
    return HK_OK;
}

static void trees_survive_changes_of_the_pool(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 4, .tasks_per_worker = 3});
    struct hkt_stage stage;

    hkt_stage_init(&stage, sum_a_tree);
    for (unsigned i = 0; i < 40 / hkt_slowness() + 4; i++) {
        hk_future *futures[4];

        for (int j = 0; j < 4; j++) {
            futures[j] = hkt_submit_ref(pool, hkt_stage_task, &stage);
        }
        HKT_OK(i % 2 == 0 ? hk_executor_resize(pool, 1 + i % 4)
                          : hk_executor_restart_workers(pool));
        for (int j = 0; j < 4; j++) {
            hkt_expect_end(futures[j], HK_OK);
        }
    }
    hkt_stage_fini(&stage);
    HKT_OK(hk_executor_destroy(pool));
}

static hk_status ask(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;

    HKT_TRUE(!hk_scope_should_stop(scope));
    hkt_gate_open(&stage->gates[0]);
    hkt_gate_wait(&stage->gates[1]);
    HKT_TRUE(hk_scope_should_stop(scope));
    return HK_ECANCELED;
}

static hk_status fork_what_asks(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked;

    HKT_OK(hk_fork(scope, &forked, ask, stage));
    hkt_gate_wait(&stage->gates[0]);
    HKT_STATUS(hk_join(scope, &forked), HK_ECANCELED);
    HKT_TRUE(hk_scope_should_stop(scope));
    return HK_ECANCELED;
}

static void a_cancel_is_seen_in_forks(void)
{
    hk_executor *pool = hkt_stage_pool(2, 0);
    struct hkt_stage stage;
    hk_future *future;

    hkt_stage_init(&stage, fork_what_asks);
    future = hkt_submit_ref(pool, hkt_stage_task, &stage);
    hkt_gate_wait(&stage.gates[0]);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_REQUEST));
    hkt_gate_open(&stage.gates[1]);
    hkt_expect_end(future, HK_ECANCELED);
    hkt_stage_fini(&stage);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Depth --- */

struct link {
    int n;
    int sum;
};

static hk_status sum_down(hk_scope *scope, void *arg)
{
    struct link *link = arg;
    struct link next = {link->n - 1, 0};
    volatile char filler[2048];
    hk_forked forked;
    hk_status status;

    if (link->n == 0) {
        return HK_OK;
    }
    filler[0] = 1;
    (void)filler[0];
    hk_fork(scope, &forked, sum_down, &next);
    status = hk_join(scope, &forked);
    link->sum = link->n + next.sum;
    return status;
}

static hk_status go_deep(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    struct link link = {stage->count, 0};
    hk_status status = sum_down(scope, &link);

    stage->sum = link.sum;
    return status;
}

static void deep_chains_go_on_elsewhere(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1, .stack_size = 1 << 20});
    struct hkt_stage stage;

    hkt_stage_init(&stage, go_deep);
    stage.count = 2000;
    hkt_stage_play(pool, &stage);
    HKT_EQ_INT(stage.sum, 2000 * 2001 / 2);
    hkt_stage_fini(&stage);
    HKT_OK(hk_executor_destroy(pool));
}

static void a_chain_without_room_fails(void)
{
    hk_executor *pool = hkt_pool_create(
        (hk_executor_options){.workers = 1, .stack_size = 1 << 20, .spare_workers = HK_NO_SPARES});
    struct hkt_stage stage;
    hk_future *future;
    const hk_error *error = NULL;

    hkt_stage_init(&stage, go_deep);
    stage.count = 100000;
    future = hkt_submit_ref(pool, hkt_stage_task, &stage);
    HKT_OK(hk_future_error(future, HK_FOREVER, &error));
    HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
    HKT_STATUS(error->cause->status, HK_ENOMEM);
    hk_future_unref(future);
    hkt_stage_fini(&stage);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- What ends the program --- */

static hk_status fork_and_forget(hk_scope *scope, void *arg)
{
    hk_forked forked;

    return hk_fork(scope, &forked, hkt_stage_add_one, arg);
}

static hk_status fork_who_forgets(hk_scope *scope, void *arg)
{
    hk_forked forked;

    hk_fork(scope, &forked, fork_and_forget, arg);
    return hk_join(scope, &forked);
}

static void run_forgetful(void *arg)
{
    hkt_stage_play_alone(((struct hkt_stage *)arg)->run, 1, HK_NO_SPARES);
}

HK_TASK(keeps_scope_open)
{
    hk_scope scope;

    return hk_scope_begin(&scope, call);
}

static void run_open(void *arg)
{
    hk_executor *pool = hkt_stage_pool(1, HK_NO_SPARES);

    (void)arg;
    hkt_expect_end(hkt_submit_int(pool, keeps_scope_open, 0), HK_OK);
    HKT_OK(hk_executor_destroy(pool)); /* Its worker sees it when the task has ended. */
}

static void forgotten_forks_end_the_program(void)
{
    struct hkt_stage stage = {.run = fork_who_forgets};
    struct hkt_child child;

    hkt_run_in_child(run_forgetful, &stage, &child);
    HKT_EQ_INT(child.term_signal, SIGABRT);
    hkt_run_in_child(run_open, NULL, &child);
    HKT_EQ_INT(child.term_signal, SIGABRT);
}

/* --- Forks of the process --- */

struct inheritance {
    hk_scope *scope;
    hk_forked *taken;
};

static void go_on_in_child(void *arg)
{
    struct inheritance *inheritance = arg;
    int n = 10;

    HKT_CHILD_STATUS(hk_join(inheritance->scope, inheritance->taken), HK_EFORKED);
    HKT_CHILD_STATUS(fibonacci(inheritance->scope, &n), HK_OK);
    HKT_CHILD_TRUE(n == 55);
    HKT_CHILD_STATUS(hk_scope_end(inheritance->scope), HK_EFORKED);
    HKT_CHILD_STATUS(hk_scope_end(inheritance->scope), HK_EINVAL);
}

static hk_status fork_the_process(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked;
    struct inheritance inheritance = {scope, &forked};

    HKT_OK(hk_fork(scope, &forked, hkt_stage_stand, stage));
    hkt_gate_wait(&stage->gates[0]);
    hkt_expect_good_child(go_on_in_child, &inheritance);
    hkt_gate_open(&stage->gates[1]);
    HKT_STATUS(hk_join(scope, &forked), HK_EFAILED);
    return HK_OK;
}

static void a_child_process_goes_on_by_itself(void)
{
    hkt_stage_play_alone(fork_the_process, 2, HK_NO_SPARES);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_shutdown_leaves_forks_to_their_task),
    HKT_TEST(trees_survive_changes_of_the_pool),
    HKT_TEST(a_cancel_is_seen_in_forks),
    HKT_TEST(deep_chains_go_on_elsewhere),
    HKT_TEST(a_chain_without_room_fails),
    HKT_TEST(forgotten_forks_end_the_program),
    HKT_TEST(a_child_process_goes_on_by_itself),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "scope_change", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
