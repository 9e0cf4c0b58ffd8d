/* SPDX-License-Identifier: MIT */
/*
 * A pool of processes: cases PP of docs/contract.md, and IS01 as far as only code and
 * memory of other processes can show it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/zygote.h"
#include "tests/process_fixture.h"

/* --- PP01 to PP04: what a death costs, and what is said of it --- */

static void a_killed_worker_costs_its_task(void)
{
    enum { QUEUED = 20 };
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    struct hkt_stand *victim = hkt_stand_new();
    struct hkt_stand *other = hkt_stand_new();
    hk_future *lost = hkt_stand_submit(pool, victim);
    hk_future *kept = hkt_stand_submit(pool, other);
    hk_future *queued[QUEUED];

    for (int i = 0; i < QUEUED; i++) {
        queued[i] = hkt_submit_int(pool, hkt_square, i);
    }
    HKT_EQ_INT(kill(atomic_load(&victim->pid), SIGKILL), 0);
    hkt_expect_lost(lost, SIGKILL, 0);
    HKT_EQ_INT(hk_future_state(kept), HK_RUNNING);
    for (int i = 0; i < QUEUED; i++) {
        HKT_EQ_INT(hkt_take_int(queued[i]), i * i);
    }
    hkt_gate_open(&other->gate);
    hkt_expect_end(kept, HK_OK);
    HKT_EQ_INT(atomic_load(&victim->passed), 0);
    hkt_expect_health(pool);
    HKT_TRUE(hkt_becomes(pool, hkt_workers, 2));
    hkt_processes_end(pool);
}

static void every_worker_may_be_killed_at_once(void)
{
    enum { WORKERS = 4 };
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = WORKERS});
    struct hkt_stand *stands[WORKERS];
    hk_future *futures[WORKERS];

    for (int i = 0; i < WORKERS; i++) {
        stands[i] = hkt_stand_new();
        futures[i] = hkt_stand_submit(pool, stands[i]);
    }
    for (int i = 0; i < WORKERS; i++) {
        HKT_EQ_INT(kill(atomic_load(&stands[i]->pid), SIGKILL), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        hkt_expect_lost(futures[i], SIGKILL, 0);
    }
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

enum { RAISED_LINE = __LINE__ + 4 };

HK_TASK(fails_in_the_worker)
{
    return hk_fail(call, 17, "the %s is missing", "route");
}

static void a_failure_carries_code_message_and_line(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1, .name = "loaders"});
    hk_submit_options options = {.label = "first"};
    hk_future *future = NULL;
    const hk_error *error = NULL;
    char line[512];
    char expected[128];

    HKT_OK_FATAL(hk_submit(pool, fails_in_the_worker, NULL, 0, &options, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_OK_FATAL(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_EQ_INT(error->app_code, 17);
    HKT_EQ_STR(error->message, "the route is missing");
    HKT_EQ_STR(error->file, __FILE__);
    HKT_EQ_INT(error->line, RAISED_LINE);
    HKT_EQ_STR(error->function, "fails_in_the_worker_run_");
    HKT_EQ_STR(error->task, "fails_in_the_worker");
    HKT_EQ_STR(error->label, "first");
    HKT_TRUE(strstr(error->where, "loaders_0") != NULL);
    HKT_EQ_INT(error->exit_status, 0);
    HKT_EQ_INT(error->term_signal, 0);

    /* PP03: and so does its line for people. */
    snprintf(expected, sizeof(expected), "%s:%d", __FILE__, RAISED_LINE);
    HKT_TRUE(hk_error_format(error, line, sizeof(line)) > 0);
    HKT_TRUE(strstr(line, expected) != NULL);
    HKT_TRUE(strstr(line, "the route is missing") != NULL);
    hk_future_unref(future);
    hkt_processes_end(pool);
}

static void an_exit_is_told_with_pid_and_code(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    pid_t pid = hkt_pid_of_worker(pool);
    hk_future *future = hkt_submit_int(pool, hkt_ends_by, -99);
    const hk_error *error = NULL;
    char number[32];

    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EWORKER);
    HKT_EQ_INT(error->exit_status, 99);
    HKT_EQ_INT(error->term_signal, 0);
    snprintf(number, sizeof(number), "pid %d", (int)pid);
    HKT_TRUE(strstr(hk_future_why(future), number) != NULL);
    HKT_TRUE(strstr(hk_future_why(future), "99") != NULL);
    hk_future_unref(future);
    hkt_processes_end(pool);
}

/* --- PP06 to PP12: how many processes, and for how long --- */

static void blocked_tasks_make_as_many_processes_as_workers(void)
{
    enum { WORKERS = 4, TASKS = 15 * WORKERS };
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = WORKERS});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *futures[TASKS];
    hk_executor_statistics statistics;

    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_shared(pool, hkt_stands, stand, NULL);
    }
    hkt_gate_await_arrivals(&stand->gate, WORKERS);
    statistics = hkt_stats(pool);
    HKT_EQ_INT(statistics.workers, WORKERS);
    HKT_EQ_INT(statistics.workers_started, WORKERS);
    HKT_EQ_INT(statistics.running, WORKERS);
    HKT_EQ_INT(statistics.queued, TASKS - WORKERS);
    hkt_gate_open(&stand->gate);
    for (int i = 0; i < TASKS; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    HKT_EQ_INT(hkt_stats(pool).workers_started, WORKERS);
    hkt_processes_end(pool);
}

static void tasks_one_after_the_other_use_one_process(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 4});
    pid_t pid = hkt_pid_of_worker(pool);

    HKT_TRUE(pid != getpid());
    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(hkt_pid_of_worker(pool), pid);
    }
    HKT_EQ_INT(hkt_stats(pool).workers_started, 1);
    hkt_processes_end(pool);
}

static void a_worker_is_replaced_after_its_tasks(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1, .tasks_per_worker = 3});
    pid_t last = 0;

    for (int i = 0; i < 12; i++) {
        pid_t pid = hkt_pid_of_worker(pool);

        HKT_TRUE(i % 3 == 0 ? pid != last : pid == last);
        HKT_TRUE(hkt_stats(pool).workers <= 1);
        if (i % 3 == 0 && last != 0) {
            HKT_TRUE(hkt_is_gone(last)); /* The new one starts after the exit. */
        }
        last = pid;
    }
    hkt_processes_end(pool);
}

HK_TASK(tells_its_parent)
{
    pid_t parent = getppid();

    return hk_return(call, &parent, sizeof(parent));
}

static void replacing_never_forks_this_process(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2, .tasks_per_worker = 1});

    for (int i = 0; i < 10; i++) {
        int parent = hkt_take_int(hkt_submit_int(pool, tells_its_parent, 0));

        HKT_TRUE(parent != getpid());
        HKT_EQ_INT(parent, hki_zygote_pid());
    }
    HKT_TRUE(hkt_stats(pool).workers_started >= 10);
    hkt_processes_end(pool);
}

static void replacing_and_an_early_shutdown_give_all_results(void)
{
    for (int round = 0; round < 10; round++) {
        hk_executor *pool =
            hkt_processes((hk_executor_options){.workers = 3, .tasks_per_worker = 1});
        hk_future *futures[6];

        for (int i = 0; i < 6; i++) {
            futures[i] = hkt_submit_int(pool, hkt_square, i + 7);
        }
        HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, round % 2 == 0 ? 0 : HK_FOREVER));
        for (int i = 0; i < 6; i++) {
            HKT_EQ_INT(hkt_take_int(futures[i]), (i + 7) * (i + 7));
        }
        hkt_processes_end(pool);
    }
}

/* --- PP14 to PP20: ending it --- */

static void workers_that_cannot_be_started_fail_what_waits(void)
{
    hk_executor *pool =
        hkt_processes((hk_executor_options){.workers = 2, .start_timeout = HK_MS(50)});
    hk_future *futures[5];

    HKT_TRUE(hki_fault_set("fork_fails", HKI_FAULT_ZYGOTE, HKI_FAULT_EVERY, HKI_FAULT_FAILS));
    for (int i = 0; i < 5; i++) {
        futures[i] = hkt_submit_int(pool, hkt_square, i);
    }
    for (int i = 0; i < 5; i++) {
        hkt_expect_end(futures[i], HK_EBROKEN);
    }
    HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 0, NULL, NULL), HK_EBROKEN);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_processes_end(pool);
}

static void a_worker_that_cannot_be_started_at_once_comes_later(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    HKT_TRUE(hki_fault_set("fork_fails", HKI_FAULT_ZYGOTE, 1, HKI_FAULT_FAILS));
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void count_call(hk_future *future, void *calls)
{
    (void)future;
    atomic_fetch_add((atomic_int *)calls, 1);
}

static void no_helper_thread_is_no_hang(void)
{
    atomic_int calls = 0;
    hk_executor_options options = {.workers = 1};
    hk_executor *pool = NULL;
    hk_future *future;

    /* The pool cannot do without either, and says so at once. */
    HKT_TRUE(hki_fault_set("supervisor_fails", HKI_FAULT_PARENT, 1, HKI_FAULT_FAILS));
    HKT_STATUS(hk_process_pool_create(&options, &pool), HK_ESYS);
    HKT_TRUE(hki_fault_set("courier_fails", HKI_FAULT_PARENT, 1, HKI_FAULT_FAILS));
    HKT_STATUS(hk_process_pool_create(&options, &pool), HK_ESYS);
    HKT_EQ_INT(errno, EAGAIN);
    HKT_EQ_PTR(pool, NULL);
    pool = hkt_processes(options);
    future = hkt_submit_int(pool, hkt_ends_by, -3);
    HKT_OK(hk_future_on_done(future, NULL, count_call, &calls, NULL));
    hkt_expect_lost(future, 0, 3);
    hkt_expect_health(pool);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&calls), 1);
    hkt_processes_end(pool);
}

/* Whose SIGTERM says that it came. */
static atomic_uint *terminated;

static void tell_of_sigterm(int number)
{
    (void)number;
    atomic_fetch_add(terminated, 1);
    _exit(0);
}

struct told {
    struct hkt_stand *stand;
    atomic_uint *terminated;
};

HK_TASK(stands_and_tells_of_sigterm)
{
    struct told told;

    memcpy(&told, in, sizeof(told));
    terminated = told.terminated;
    (void)signal(SIGTERM, tell_of_sigterm);
    atomic_store(&told.stand->pid, getpid());
    hkt_gate_wait(&told.stand->gate);
    return HK_OK;
}

static void expect_stop_signal(hk_duration kill_grace, unsigned terms)
{
    hk_executor *pool =
        hkt_processes((hk_executor_options){.workers = 1, .kill_grace = kill_grace});
    struct told told = {hkt_stand_new(), hkt_shared_new(sizeof(*told.terminated))};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, stands_and_tells_of_sigterm, &told, sizeof(told), NULL, &future));
    hkt_gate_await_arrivals(&told.stand->gate, 1);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER));
    hkt_expect_end(future, HK_ECANCELED);
    HKT_EQ_INT(atomic_load(told.terminated), terms);
    HKT_TRUE(hkt_is_gone(atomic_load(&told.stand->pid)));
    hkt_processes_end(pool);
}

static void a_hard_shutdown_ends_live_workers(void)
{
    expect_stop_signal(0, 0);            /* SIGKILL at once. */
    expect_stop_signal(HK_SEC(3600), 1); /* SIGTERM, and time to heed it. */
}

static void an_unknown_way_to_stop_is_refused(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    HKT_STATUS(hk_executor_shutdown(pool, (hk_shutdown_how)17, 0), HK_EINVAL);
    HKT_STATUS(hk_executor_shutdown(pool, (hk_shutdown_how)-1, HK_FOREVER), HK_EINVAL);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void a_task_that_waits_for_ever_is_killed(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *future = hkt_stand_submit(pool, stand);

    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER));
    HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
    hkt_gate_open(&stand->gate); /* Too late for anybody. */
    HKT_TRUE(hkt_is_gone(atomic_load(&stand->pid)));
    HKT_EQ_INT(atomic_load(&stand->passed), 0);
    hk_future_unref(future);
    hkt_processes_end(pool);
}

static const hk_shutdown_how hows[] = {HK_SHUTDOWN_DRAIN, HK_SHUTDOWN_CANCEL_QUEUED,
                                       HK_SHUTDOWN_CANCEL_ALL, HK_SHUTDOWN_KILL};

static void stopping_with_a_dead_worker_works(void)
{
    for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
        hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
        struct hkt_stand *stand = hkt_stand_new();
        hk_future *future = hkt_stand_submit(pool, stand);

        HKT_EQ_INT(kill(atomic_load(&stand->pid), SIGKILL), 0);
        HKT_OK(hk_executor_shutdown(pool, hows[i], HK_FOREVER));
        HKT_TRUE(hk_future_has_ended(future));
        HKT_TRUE(hk_future_state(future) == HK_FAILED ||
                 (hows[i] == HK_SHUTDOWN_KILL && hk_future_state(future) == HK_CANCELLED));
        HKT_EQ_INT(hkt_stats(pool).workers, 0);
        hk_future_unref(future);
        hkt_processes_end(pool);
    }
}

static void stopping_before_any_worker_is_nothing(void)
{
    for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
        hk_executor *pool = hkt_processes((hk_executor_options){.workers = 3});

        HKT_OK(hk_executor_shutdown(pool, hows[i], HK_FOREVER));
        HKT_EQ_INT(hkt_stats(pool).workers_started, 0);
        hkt_processes_end(pool);
    }
}

static void after_the_end_submits_are_refused_and_processes_gone(void)
{
    for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
        hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
        pid_t pid = hkt_pid_of_worker(pool);
        hk_future *future = NULL;

        HKT_OK(hk_executor_shutdown(pool, hows[i], HK_FOREVER));
        HKT_TRUE(hkt_is_gone(pid));
        HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &future), HK_ECLOSED);
        HKT_EQ_PTR(future, NULL);
        hkt_processes_end(pool);
    }
}

/* --- PP21: limits --- */

static void too_many_workers_are_refused_at_the_door(void)
{
    hk_executor_options options = {.workers = 1025};
    hk_executor *pool = NULL;
    struct rlimit before;
    struct rlimit tight;

    HKT_STATUS(hk_process_pool_create(&options, &pool), HK_EINVAL);
    HKT_EQ_PTR(pool, NULL);

    /* As many as the system has no descriptors for. */
    HKT_EQ_INT_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = 128;
    HKT_EQ_INT_FATAL(setrlimit(RLIMIT_NOFILE, &tight), 0);
    options.workers = 1000;
    HKT_STATUS(hk_process_pool_create(&options, &pool), HK_EINVAL);
    HKT_EQ_PTR(pool, NULL);
    options.workers = 2;
    HKT_OK(hk_process_pool_create(&options, &pool));
    HKT_EQ_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

/* --- States --- */

static void a_future_shows_that_its_task_runs(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *first = hkt_stand_submit(pool, stand);
    hk_future *second = hkt_submit_int(pool, hkt_square, 2);

    HKT_EQ_INT(hk_future_state(first), HK_RUNNING);
    HKT_EQ_INT(hk_future_state(second), HK_PENDING);
    HKT_STATUS(hk_future_cancel(first, HK_CANCEL_PENDING), HK_ESTATE);
    /* It lies in the worker's ring by now, and is certain to be cancelled all the same. */
    HKT_OK(hk_future_cancel(second, HK_CANCEL_PENDING));
    HKT_EQ_INT(hk_future_state(second), HK_CANCELLED);
    hk_future_unref(second);
    hkt_gate_open(&stand->gate);
    hkt_expect_end(first, HK_OK);
    hkt_processes_end(pool);
}

static CU_TestInfo tests[] = {
    HKT_CASE("PP01 a killed worker costs its task", a_killed_worker_costs_its_task),
    HKT_CASE("PP01 every worker may be killed at once", every_worker_may_be_killed_at_once),
    HKT_CASE("PP02 PP03 a failure carries code, message and line",
             a_failure_carries_code_message_and_line),
    HKT_CASE("PP04 an exit is told with pid and code", an_exit_is_told_with_pid_and_code),
    HKT_CASE("PP06 blocked tasks make as many processes as workers",
             blocked_tasks_make_as_many_processes_as_workers),
    HKT_CASE("PP07 tasks one after the other use one process",
             tasks_one_after_the_other_use_one_process),
    HKT_CASE("PP09 a worker is replaced after its tasks", a_worker_is_replaced_after_its_tasks),
    HKT_CASE("PP10 PP11 replacing never forks this process", replacing_never_forks_this_process),
    HKT_CASE("PP12 replacing and an early shutdown give all results",
             replacing_and_an_early_shutdown_give_all_results),
    HKT_CASE("PP14 no helper thread is no hang", no_helper_thread_is_no_hang),
    HKT_CASE("PP14 workers that cannot be started fail what waits",
             workers_that_cannot_be_started_fail_what_waits),
    HKT_CASE("PP14 a worker that cannot be started at once comes later",
             a_worker_that_cannot_be_started_at_once_comes_later),
    HKT_CASE("PP15 a hard shutdown ends live workers", a_hard_shutdown_ends_live_workers),
    HKT_CASE("PP16 an unknown way to stop is refused", an_unknown_way_to_stop_is_refused),
    HKT_CASE("PP17 a task that waits for ever is killed", a_task_that_waits_for_ever_is_killed),
    HKT_CASE("PP18 stopping with a dead worker works", stopping_with_a_dead_worker_works),
    HKT_CASE("PP19 stopping before any worker is nothing", stopping_before_any_worker_is_nothing),
    HKT_CASE("PP20 after the end submits are refused and processes gone",
             after_the_end_submits_are_refused_and_processes_gone),
    HKT_CASE("PP21 too many workers are refused at the door",
             too_many_workers_are_refused_at_the_door),
    HKT_CASE("a future shows that its task runs", a_future_shows_that_its_task_runs),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_pool", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
