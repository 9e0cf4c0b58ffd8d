/* SPDX-License-Identifier: MIT */
/*
 * A worker that waits for a lock is made up for only after a while, since a lock is held
 * for a short time as a rule, and a thread costs more than that.
 */
#include <sched.h>

#include "sync/lock_impl.h"
#include "tests/ring_fixture.h"

static hk_executor *wide; /* One worker, and spares. */
static hk_future *queued; /* Behind what its worker does. */

static void open_wide(void)
{
    wide = hkt_pool_create((hk_executor_options){.name = "w", .workers = 1});
}

static void queue_one(void)
{
    HKT_OK_FATAL(hk_submit(wide, hkt_nothing, NULL, 0, NULL, &queued));
}

static void a_long_wait_for_a_lock_lets_another_task_run(void)
{
    struct hkt_actor task = {.task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};

    open_wide();
    task.pool = wide;
    hkt_take_accounts();
    hkt_actors_begin((struct hkt_actor *[]){&task}, 1);
    hkt_actor_goes(&task);
    queue_one();
    hkt_expect_end(queued, HK_OK); /* While the first task waits. */
    HKT_EQ_INT(hkt_stats(wide).workers_started, 2);
    HKT_EQ_INT(hkt_stats(wide).workers_blocked, 1);
    hkt_give_accounts();
    hkt_actors_end((struct hkt_actor *[]){&task}, 1);
    HKT_OK(task.status);
    HKT_EQ_INT(hkt_stats(wide).workers_blocked, 0);
    HKT_OK(hk_executor_destroy(wide));
}

enum { SHORT_WAITS = 20, TRIES = 2000 };

/* How long the task may have waited for the lock. */
static hk_duration wait_shortly(struct hkt_actor *task)
{
    hk_duration begin;

    hkt_take_accounts();
    hkt_actors_begin(&task, 1);
    queue_one();
    begin = hk_now_ns();
    hkt_actor_goes(task);
    while ((atomic_load((_Atomic(uint32_t) *)&hkt_accounts.word_) & HKI_LOCK_WAITERS) == 0) {
        sched_yield(); /* It has not come to sleep yet. */
    }
    hkt_give_accounts();
    HKT_OK(hk_future_wait(task->future, HK_FOREVER));
    return hk_now_ns() - begin;
}

/* Only rounds in which the whole took less than the patience are judged. */
static void a_short_wait_for_a_lock_starts_no_thread(void)
{
    struct hkt_actor task = {.task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&task};
    unsigned judged = 0;

    for (unsigned i = 0; i < TRIES && judged < SHORT_WAITS; i++) {
        bool is_short;

        open_wide();
        task.pool = wide;
        is_short = wait_shortly(&task) < HK_MS(1);
        hkt_actors_end(actors, 1);
        hkt_expect_end(queued, HK_OK);
        if (is_short) {
            HKT_EQ_INT(hkt_stats(wide).workers_started, 1);
            judged++;
        }
        HKT_OK(hk_executor_destroy(wide));
    }
    HKT_TRUE(judged == SHORT_WAITS || hkt_slowness() > 1);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a long wait for a lock lets another task run",
             a_long_wait_for_a_lock_lets_another_task_run),
    HKT_CASE("a short wait for a lock starts no thread", a_short_wait_for_a_lock_starts_no_thread),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "patience",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
