/* SPDX-License-Identifier: MIT */
/* Cancels of a pool of processes that meet results, deaths and other cancels. */
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "executors/executor_impl.h"
#include "executors/process_pool/pool.h"
#include "futures/future_impl.h"
#include "tests/child_fixture.h"
#include "tests/process_fixture.h"

enum { CANCELLED_TASKS = 64, CANCELLED_ROUNDS = 300 };

HK_TASK(says_that_it_ran)
{
    atomic_store((atomic_uint *)hkt_pointer(in, in_size), 1);
    return HK_OK;
}

static void *await_end(void *future)
{
    HKT_OK(hk_future_wait(future, HK_FOREVER));
    return NULL;
}

/* Also in the moment between the fetching of its result and the end of its future, which another
 * thread sees to. */
static void a_task_that_ran_is_not_cancelled(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    atomic_uint *ran = hkt_shared_new(CANCELLED_TASKS * sizeof(*ran));

    for (unsigned round = 0; round < CANCELLED_ROUNDS / hkt_slowness(); round++) {
        hk_future *futures[CANCELLED_TASKS];
        pthread_t thread;

        for (unsigned i = 0; i < CANCELLED_TASKS; i++) {
            atomic_store(&ran[i], 0);
            futures[i] = hkt_submit_shared(pool, says_that_it_ran, &ran[i], NULL);
        }
        HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, await_end, futures[CANCELLED_TASKS - 1]), 0);
        for (unsigned i = 0; i < CANCELLED_TASKS - 1; i++) {
            while (atomic_load(&ran[i]) == 0 && !hk_future_has_ended(futures[i])) {
                sched_yield();
            }
            HKT_STATUS(hk_future_cancel(futures[i], HK_CANCEL_PENDING), HK_ESTATE);
        }
        pthread_join(thread, NULL);
        for (unsigned i = 0; i < CANCELLED_TASKS; i++) {
            hkt_expect_end(futures[i], HK_OK);
        }
    }
    hkt_processes_end(pool);
}

enum { KILLED_ROUNDS = 60 };

struct double_kill {
    hk_future *future;
    struct hkt_barrier barrier;
};

static void *kill_together(void *arg)
{
    struct double_kill *kill = arg;

    hkt_barrier_wait(&kill->barrier);
    HKT_OK(hk_future_cancel(kill->future, HK_CANCEL_KILL));
    return NULL;
}

static void two_kills_of_a_task_both_succeed(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    for (unsigned round = 0; round < KILLED_ROUNDS / hkt_slowness(); round++) {
        struct hkt_stand *stand = hkt_stand_new();
        struct double_kill kill;
        pthread_t thread;

        hkt_expect_health(pool); /* A worker that ended a task is replaced at once. */
        kill.future = hkt_stand_submit(pool, stand);
        hkt_barrier_init(&kill.barrier, 2, "kills");
        HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, kill_together, &kill), 0);
        (void)kill_together(&kill);
        pthread_join(thread, NULL);
        hkt_barrier_fini(&kill.barrier);
        hkt_expect_end(kill.future, HK_ECANCELED);
    }
    hkt_processes_end(pool);
}

struct second_try {
    atomic_uint workers;
    struct hkt_gate start; /* Of all workers but the first. */
    struct hkt_gate first; /* The first try stands here. */
    atomic_int pid;
};

static hk_status starts_second_at_gate(hk_call *call, void *arg, void **local)
{
    struct second_try *try = arg;

    (void)call;
    (void)local;
    if (atomic_fetch_add(&try->workers, 1) != 0) {
        hkt_gate_wait(&try->start);
    }
    return HK_OK;
}

HK_TASK_FLAGS(stands_at_first_try, HK_TASK_IDEMPOTENT)
{
    struct second_try *try = hkt_pointer(in, in_size);

    if (hk_call_attempt(call) == 1) {
        atomic_store(&try->pid, getpid());
        hkt_gate_wait(&try->first);
    }
    return HK_OK;
}

/* A pool whose only busy worker stands in the first try of a task that may be tried again. */
static hk_future *begin_first_try(struct second_try *try, unsigned workers,
                                  hk_worker_initializer_fn *initializer, hk_executor **pool)
{
    const hk_submit_options options = {.retries = 2};
    hk_future *future;

    hkt_gate_init(&try->start, "start");
    hkt_gate_init(&try->first, "first try");
    *pool = hkt_processes(
        (hk_executor_options){.workers = workers, .initializer = initializer, .worker_arg = try});
    future = hkt_submit_shared(*pool, stands_at_first_try, try, &options);
    hkt_gate_await_arrivals(&try->first, 1);
    return future;
}

/* A cancel that saw it PENDING comes when it runs, is lost, and waits in the queue to be tried
 * again: it is too late, and the task stays where it is. */
static void a_late_cancel_loses_no_second_try(void)
{
    struct second_try *try = hkt_shared_new(sizeof(*try));
    bool was_removed = false;
    hk_executor *pool;
    hk_future *future = begin_first_try(try, 1, starts_second_at_gate, &pool);

    HKT_EQ_INT(hk_future_state(future), HK_RUNNING);
    HKT_EQ_INT(kill(atomic_load(&try->pid), SIGKILL), 0);
    hkt_gate_await_arrivals(&try->start, 1);
    HKT_TRUE(!future->origin->recall(future, &was_removed) && !was_removed);
    HKT_STATUS(hk_future_cancel(future, HK_CANCEL_PENDING), HK_ESTATE);
    hkt_gate_open(&try->start);
    hkt_expect_end(future, HK_OK);
    hkt_processes_end(pool);
}

static const hk_cancel_level levels[] = {HK_CANCEL_PENDING, HK_CANCEL_REQUEST, HK_CANCEL_KILL};

/* Its pool is asked nothing any more: it is gone. */
static void a_cancel_after_the_pool_is_too_late(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    hk_future *future = hkt_submit_int(pool, hkt_square, 3);

    HKT_OK(hk_future_wait(future, HK_FOREVER));
    hkt_processes_end(pool);
    for (int i = 0; i < 3; i++) {
        HKT_STATUS(hk_future_cancel(future, levels[i]), HK_ESTATE);
    }
    HKT_EQ_INT(hkt_take_int(future), 9);
}

static void cancel_what_has_ended(void *future)
{
    for (int i = 0; i < 3; i++) {
        HKT_CHILD_STATUS(hk_future_cancel(future, levels[i]), HK_ESTATE);
    }
}

/* Its pool's lock may be held there, by a thread that is not: here it is. */
static void a_cancel_in_a_forked_child_is_too_late(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct process_pool *inside = pool->self;
    hk_future *future = hkt_submit_int(pool, hkt_square, 3);

    HKT_OK(hk_future_wait(future, HK_FOREVER));
    pthread_mutex_lock(&inside->lock);
    hkt_expect_good_child(cancel_what_has_ended, future);
    pthread_mutex_unlock(&inside->lock);
    HKT_EQ_INT(hkt_take_int(future), 9);
    hkt_processes_end(pool);
}

static void a_shutdown_ends_a_second_try(void)
{
    struct second_try *try = hkt_shared_new(sizeof(*try));
    hk_executor *pool;
    hk_future *future = begin_first_try(try, 1, starts_second_at_gate, &pool);

    HKT_EQ_INT(hk_future_state(future), HK_RUNNING);
    HKT_EQ_INT(kill(atomic_load(&try->pid), SIGKILL), 0);
    hkt_gate_await_arrivals(&try->start, 1);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    hkt_gate_open(&try->start);
    hkt_expect_end(future, HK_ECANCELED);
    hkt_processes_end(pool);
}

/* For the done callback of a task that a shutdown takes out of the queue. */
static void lose_the_worker(hk_future *future, void *arg)
{
    struct second_try *try = arg;

    (void)future;
    HKT_EQ_INT(kill(atomic_load(&try->pid), SIGKILL), 0);
    hkt_gate_await_arrivals(&try->start, 1); /* So the task is in the queue again. */
}

static void a_shutdown_by_force_ends_what_came_back_meanwhile(void)
{
    struct second_try *try = hkt_shared_new(sizeof(*try));
    hk_executor *pool;
    hk_future *future = begin_first_try(try, 1, starts_second_at_gate, &pool);
    hk_future *queued = NULL;

    HKT_OK_FATAL(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &queued));
    HKT_OK(hk_future_on_done(queued, NULL, lose_the_worker, try, NULL));
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER));
    hkt_expect_end(future, HK_ECANCELED);
    hkt_expect_end(queued, HK_ECANCELED);
    hkt_processes_end(pool);
}

static hk_status only_the_first_starts(hk_call *call, void *arg, void **local)
{
    struct second_try *try = arg;

    *local = NULL;
    return atomic_fetch_add(&try->workers, 1) == 0 ? HK_OK : hk_fail(call, 1, "one is enough");
}

/* It has a try left, but there is nobody to make it. */
static void a_pool_that_breaks_loses_no_second_try(void)
{
    struct second_try *try = hkt_shared_new(sizeof(*try));
    hk_executor *pool;
    hk_future *future = begin_first_try(try, 2, only_the_first_starts, &pool);
    hk_future *unlucky = NULL;

    HKT_OK_FATAL(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &unlucky));
    hkt_expect_end(unlucky, HK_EINIT);
    HKT_EQ_INT(kill(atomic_load(&try->pid), SIGKILL), 0);
    hkt_expect_lost(future, SIGKILL, -1);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_processes_end(pool);
}

enum { LATE_ROUNDS = 1000, LATE_BYTES = 200 };

HK_TASK(wants_its_input)
{
    HKT_EQ_INT(in_size, LATE_BYTES);
    return HK_OK;
}

/* The input is dropped with the future's end, which may come before the task is in any queue. */
static void a_deadline_within_the_submit_drops_no_input_in_use(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    const char bytes[LATE_BYTES] = {0};

    for (unsigned round = 0; round < LATE_ROUNDS / hkt_slowness(); round++) {
        const hk_submit_options options = {.deadline = 1 + (round % 64) * 500};
        hk_future *future = NULL;
        hk_status status;

        HKT_OK_FATAL(hk_submit(pool, wants_its_input, bytes, sizeof(bytes), &options, &future));
        status = hk_future_result(future, HK_FOREVER, NULL, NULL);
        HKT_TRUE(status == HK_OK || status == HK_EDEADLINE);
        hk_future_unref(future);
    }
    hkt_processes_end(pool);
}

static CU_TestInfo tests[] = {
    HKT_CASE("FS07 a task that ran is not cancelled", a_task_that_ran_is_not_cancelled),
    HKT_CASE("FS08 two kills of a task both succeed", two_kills_of_a_task_both_succeed),
    HKT_CASE("a late cancel loses no second try", a_late_cancel_loses_no_second_try),
    HKT_CASE("FS09 a cancel of what has ended comes too late, its pool gone or not",
             a_cancel_after_the_pool_is_too_late),
    HKT_CASE("FS09 so it does in a forked child", a_cancel_in_a_forked_child_is_too_late),
    HKT_CASE("a shutdown ends a second try", a_shutdown_ends_a_second_try),
    HKT_CASE("a shutdown by force ends what came back meanwhile",
             a_shutdown_by_force_ends_what_came_back_meanwhile),
    HKT_CASE("a pool that breaks loses no second try", a_pool_that_breaks_loses_no_second_try),
    HKT_CASE("a deadline within the submit drops no input in use",
             a_deadline_within_the_submit_drops_no_input_in_use),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_cancel", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
