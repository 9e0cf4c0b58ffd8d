/* SPDX-License-Identifier: MIT */
/*
 * Fork and join on the workers of a thread pool: forks that others take, and waits for them.
 */
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "sync/eventcount.h"
#include "tests/scope_fixture.h"

/* --- Who runs it --- */

static hk_status note_thief(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;

    (void)scope;
    stage->thief = gettid();
    hkt_gate_open(&stage->gates[0]);
    return HK_OK;
}

static hk_status fork_and_join_at_once(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked;

    HKT_OK(hk_fork(scope, &forked, note_thief, stage));
    HKT_EQ_INT(hkt_stats(stage->pool).queued, 0); /* It is no task. */
    HKT_OK(hk_join(scope, &forked));
    HKT_EQ_INT(stage->thief, stage->owner);
    return HK_OK;
}

static void a_join_runs_what_nobody_took(void)
{
    hkt_stage_play_alone(fork_and_join_at_once, 1, HK_NO_SPARES);
}

static hk_status fork_and_wait_for_thief(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked;

    HKT_OK(hk_fork(scope, &forked, note_thief, stage));
    hkt_gate_wait(&stage->gates[0]);
    HKT_OK(hk_join(scope, &forked));
    HKT_TRUE(stage->thief != stage->owner);
    return HK_OK;
}

static void an_idle_worker_takes_a_fork(void)
{
    for (int i = 0; i < 20; i++) {
        hkt_stage_play_alone(fork_and_wait_for_thief, 2, HK_NO_SPARES);
    }
}

static void an_idle_worker_takes_a_fork_without_the_kernels_barrier(void)
{
    hki_eventcount_refuse_barrier(true);
    an_idle_worker_takes_a_fork();
    hki_eventcount_refuse_barrier(false);
}

/* Forks again and again, with pauses in which the others fall asleep. */
static void sleepers_are_woken_for_forks(void)
{
    hk_executor *pool = hkt_stage_pool(2, HK_NO_SPARES);

    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    for (unsigned i = 0; i < 200 / hkt_slowness(); i++) {
        struct hkt_stage stage;

        hkt_stage_init(&stage, fork_and_wait_for_thief);
        if (i % 4 == 0) {
            HKT_TRUE(hkt_becomes(pool, hkt_idle, 2));
        }
        hkt_stage_play(pool, &stage);
        hkt_stage_fini(&stage);
    }
    HKT_OK(hk_executor_destroy(pool));
}

static hk_status meet(hk_scope *scope, void *arg)
{
    (void)scope;
    hkt_barrier_wait(&((struct hkt_stage *)arg)->barrier);
    return HK_OK;
}

static hk_status fork_three_and_meet(hk_scope *scope, void *arg)
{
    hk_forked forked[3];

    for (int i = 0; i < 3; i++) {
        HKT_OK(hk_fork(scope, &forked[i], meet, arg));
    }
    HKT_OK(meet(scope, arg));
    for (int i = 3; i-- > 0;) {
        HKT_OK(hk_join(scope, &forked[i]));
    }
    return HK_OK;
}

static void as_many_forks_run_as_there_are_workers(void)
{
    hk_executor *pool = hkt_stage_pool(4, HK_NO_SPARES);

    for (unsigned i = 0; i < 100 / hkt_slowness(); i++) {
        struct hkt_stage stage;

        hkt_stage_init(&stage, fork_three_and_meet);
        hkt_barrier_init(&stage.barrier, 4, "all workers");
        hkt_stage_play(pool, &stage);
        hkt_barrier_fini(&stage.barrier);
        hkt_stage_fini(&stage);
    }
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Waiting --- */

static hk_status join_what_is_held_up(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked;

    HKT_OK(hk_fork(scope, &forked, hkt_stage_stand, stage));
    hkt_gate_wait(&stage->gates[0]);
    HKT_STATUS(hk_join(scope, &forked), HK_EFAILED);
    HKT_EQ_INT(stage->sum, 5);
    return HK_OK;
}

static void a_join_waits_and_the_pool_makes_up_for_it(void)
{
    hk_executor *pool = hkt_stage_pool(2, 0);
    struct hkt_stage stage;
    hk_future *future;

    hkt_stage_init(&stage, join_what_is_held_up);
    future = hkt_submit_ref(pool, hkt_stage_task, &stage);
    HKT_TRUE(hkt_becomes(pool, hkt_blocked, 1));
    HKT_TRUE(hkt_take_int(hkt_submit_int(pool, hkt_square, 3)) == 9); /* By a spare one. */
    hkt_gate_open(&stage.gates[1]);
    hkt_expect_end(future, HK_OK);
    HKT_EQ_INT(hkt_stats(pool).workers_blocked, 0);
    hkt_stage_fini(&stage);
    HKT_OK(hk_executor_destroy(pool));
}

static hk_status note_helper(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;

    (void)scope;
    HKT_EQ_INT(gettid(), stage->owner);
    hkt_gate_open(&stage->gates[1]);
    return HK_OK;
}

/* On the thief: what it forks is taken by who waits for it; a task is not. */
static hk_status fork_for_helper(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked;

    stage->thief = gettid();
    hkt_gate_open(&stage->gates[0]);
    HKT_OK(hk_fork(scope, &forked, note_helper, stage));
    hkt_gate_wait(&stage->gates[1]);
    HKT_OK(hk_submit_ref(stage->pool, hkt_nothing, stage, NULL, NULL, &stage->future));
    hkt_gate_wait(&stage->gates[2]);
    HKT_EQ_INT(hk_future_state(stage->future), HK_PENDING);
    return hk_join(scope, &forked);
}

static hk_status join_with_help(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked;

    HKT_OK(hk_fork(scope, &forked, fork_for_helper, stage));
    hkt_gate_wait(&stage->gates[0]);
    HKT_OK(hk_join(scope, &forked));
    HKT_TRUE(stage->thief != stage->owner);
    return HK_OK;
}

static void who_waits_helps_with_forks_alone(void)
{
    hk_executor *pool = hkt_stage_pool(2, HK_NO_SPARES);
    struct hkt_stage stage;
    hk_future *future;

    hkt_stage_init(&stage, join_with_help);
    future = hkt_submit_ref(pool, hkt_stage_task, &stage);
    HKT_TRUE(hkt_becomes(pool, hkt_blocked, 1));
    hkt_gate_open(&stage.gates[2]);
    hkt_expect_end(future, HK_OK);
    hkt_expect_end(stage.future, HK_OK);
    hkt_stage_fini(&stage);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Rings --- */

static hk_status want_lock(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;

    (void)scope;
    stage->thief = gettid();
    hkt_gate_open(&stage->gates[0]);
    stage->statuses[0] = hk_lock_acquire(&stage->lock);
    if (stage->statuses[0] == HK_OK) {
        HKT_OK(hk_lock_release(&stage->lock));
    }
    return HK_OK;
}

static hk_status join_with_what_it_waits_for(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_forked forked;

    HKT_OK(hk_lock_acquire(&stage->lock));
    HKT_OK(hk_fork(scope, &forked, want_lock, stage));
    hkt_gate_wait(&stage->gates[0]);
    HKT_TRUE(hkt_falls_asleep(stage->thief));
    HKT_STATUS(hk_join(scope, &forked), HK_EDEADLK);
    HKT_TRUE(!hk_forked_is_joined(&forked));
    HKT_OK(hk_lock_release(&stage->lock));
    HKT_OK(hk_join(scope, &forked));
    HKT_TRUE(hk_forked_is_joined(&forked));
    HKT_OK(stage->statuses[0]);
    return HK_OK;
}

static void a_join_that_closes_a_ring_is_refused(void)
{
    hkt_stage_play_alone(join_with_what_it_waits_for, 2, 0);
    hkt_stage_play_alone(join_with_what_it_waits_for, 2, HK_NO_SPARES);
}

/* --- Beside tasks --- */

static hk_status submit_between(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    hk_executor *pool = stage->pool;
    hk_future *futures[2];
    hk_forked forked[2];

    HKT_OK(hk_submit(pool, hkt_thread_id, NULL, 0, NULL, &futures[0]));
    HKT_OK(hk_fork(scope, &forked[0], hkt_stage_add_one, stage));
    HKT_OK(hk_submit(pool, hkt_thread_id, NULL, 0, NULL, &futures[1]));
    HKT_OK(hk_fork(scope, &forked[1], hkt_stage_add_one, stage));
    HKT_OK(hk_future_wait(futures[0], HK_FOREVER)); /* Run here, from below. */
    HKT_OK(hk_join(scope, &forked[1]));
    HKT_OK(hk_join(scope, &forked[0])); /* From below a task. */
    HKT_EQ_INT(stage->sum, 2);
    for (int i = 0; i < 2; i++) {
        HKT_OK(hk_future_wait(futures[i], HK_FOREVER));
        hk_future_unref(futures[i]);
    }
    return HK_OK;
}

static void forks_and_tasks_may_mix(void)
{
    hkt_stage_play_alone(submit_between, 1, HK_NO_SPARES);
    hkt_stage_play_alone(submit_between, 1, 0);
    for (int i = 0; i < 20; i++) {
        hkt_stage_play_alone(submit_between, 3, 0);
    }
}

/* --- All at once --- */

struct node {
    hk_executor *pool;
    unsigned seed;
    int depth;
    unsigned sum; /* Of all seeds below it, and its own. */
};

static unsigned mix(unsigned seed, unsigned i)
{
    unsigned x = (seed + i) * 2654435761U;

    return x ^ x >> 15;
}

static unsigned expected_sum(unsigned seed, int depth)
{
    unsigned sum = seed;

    for (unsigned i = 0; depth > 0 && i < 3; i++) {
        sum += expected_sum(mix(seed, i), depth - 1);
    }
    return sum;
}

/* Three children each; some nodes wait for a task meanwhile, some let others go first. */
static hk_status visit(hk_scope *scope, void *arg)
{
    struct node *node = arg;
    struct node children[3];
    hk_forked forked[3];

    node->sum = node->seed;
    if (node->depth == 0) {
        return HK_OK;
    }
    for (unsigned i = 0; i < 3; i++) {
        children[i] = (struct node){node->pool, mix(node->seed, i), node->depth - 1, 0};
        HKT_OK(hk_fork(scope, &forked[i], visit, &children[i]));
        if (node->seed % 8 == i) {
            (void)sched_yield();
        }
    }
    if (node->seed % 16 == 9) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(node->pool, hkt_square, 4)), 16);
    }
    for (unsigned i = 0; i < 3; i++) {
        unsigned j = node->seed % 4 == 1 ? i : 2 - i;

        HKT_OK(hk_join(scope, &forked[j]));
        node->sum += children[j].sum;
    }
    return HK_OK;
}

static hk_status visit_all(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;
    struct node root = {stage->pool, 1, 7, 0};

    HKT_OK(visit(scope, &root));
    HKT_EQ_INT(root.sum, expected_sum(1, 7));
    return HK_OK;
}

static void trees_tasks_and_waits_may_mix(void)
{
    static const unsigned sizes[] = {1, 2, 3, 8};

    for (unsigned i = 0; i < 40 / hkt_slowness(); i++) {
        hk_executor *pool = hkt_stage_pool(sizes[i % 4], i % 3 == 0 ? HK_NO_SPARES : 0);
        struct hkt_stage stage;
        hk_future *futures[3];

        hkt_stage_init(&stage, visit_all);
        for (int j = 0; j < 3; j++) {
            futures[j] = hkt_submit_ref(pool, hkt_stage_task, &stage);
        }
        for (int j = 0; j < 3; j++) {
            hkt_expect_end(futures[j], HK_OK);
        }
        hkt_stage_fini(&stage);
        HKT_OK(hk_executor_destroy(pool));
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_join_runs_what_nobody_took),
    HKT_TEST(an_idle_worker_takes_a_fork),
    HKT_TEST(an_idle_worker_takes_a_fork_without_the_kernels_barrier),
    HKT_TEST(sleepers_are_woken_for_forks),
    HKT_TEST(as_many_forks_run_as_there_are_workers),
    HKT_TEST(a_join_waits_and_the_pool_makes_up_for_it),
    HKT_TEST(who_waits_helps_with_forks_alone),
    HKT_TEST(a_join_that_closes_a_ring_is_refused),
    HKT_TEST(forks_and_tasks_may_mix),
    HKT_TEST(trees_tasks_and_waits_may_mix),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "scope_pool", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
