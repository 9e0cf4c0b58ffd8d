/* SPDX-License-Identifier: MIT */
/*
 * Cases PP and DL of docs/contract.md, and those of XP and XL that are about processes, on pools
 * of one and of several workers; what needs a certain number is in test_process_pool.c,
 * test_process_crash.c and test_process_life.c.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executors/process_pool/fault_point.h"
#include "tests/process_fixture.h"

static hk_executor *create(hk_executor_options options)
{
    hk_executor *executor = NULL;

    HKT_OK_FATAL(hkt_executor_create(options, &executor));
    return executor;
}

/* --- PP01 to PP04: deaths and failures --- */

static void a_killed_worker_costs_its_task(void)
{
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *lost = hkt_stand_submit(hkt_executor, stand);
    hk_future *queued = hkt_submit_int(hkt_executor, hkt_square, 9);

    HKT_EQ_INT(kill(atomic_load(&stand->pid), SIGKILL), 0);
    hkt_expect_lost(lost, SIGKILL, 0);
    HKT_EQ_INT(hkt_take_int(queued), 81);
    hkt_expect_health(hkt_executor);
    HKT_EQ_INT(hkt_stats(hkt_executor).failed, 1);
}

enum { RAISED_LINE = __LINE__ + 4 };

HK_TASK(fails_over_there)
{
    return hk_fail(call, 17, "the %s is missing", "route");
}

static void a_failure_carries_code_message_and_line(void)
{
    hk_future *future = NULL;
    const hk_error *error = NULL;
    char line[512];
    char expected[128];

    HKT_OK_FATAL(hk_submit(hkt_executor, fails_over_there, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_EQ_INT(error->app_code, 17);
    HKT_EQ_STR(error->message, "the route is missing");
    HKT_EQ_INT(error->line, RAISED_LINE);
    snprintf(expected, sizeof(expected), "%s:%d", __FILE__, RAISED_LINE);
    HKT_TRUE(hk_error_format(error, line, sizeof(line)) > 0);
    HKT_TRUE(strstr(line, expected) != NULL);
    hk_future_unref(future);
}

HK_TASK(tells_its_pid_and_exits)
{
    atomic_int *pid = hkt_pointer(in, in_size);

    atomic_store(pid, getpid());
    exit(99);
}

static void an_exit_is_told_with_pid_and_code(void)
{
    atomic_int *pid = hkt_shared_new(sizeof(*pid));
    hk_future *future = hkt_submit_pointer(hkt_executor, tells_its_pid_and_exits, pid);
    char expected[32];

    HKT_OK(hk_future_wait(future, HK_FOREVER));
    snprintf(expected, sizeof(expected), "pid %d", atomic_load(pid));
    HKT_TRUE(strstr(hk_future_why(future), expected) != NULL);
    hkt_expect_lost(future, 0, 99);
}

/* --- PP10, PP11, PP14: starting --- */

HK_TASK(tells_its_parent)
{
    pid_t parent = getppid();

    return hk_return(call, &parent, sizeof(parent));
}

static void replacing_never_forks_this_process(void)
{
    hk_executor *executor = create((hk_executor_options){.tasks_per_worker = 1});

    for (int i = 0; i < 6; i++) {
        HKT_TRUE(hkt_take_int(hkt_submit_int(executor, tells_its_parent, 0)) != getpid());
    }
    HKT_TRUE(hkt_stats(executor).workers_started >= 6);
    HKT_OK(hk_executor_destroy(executor));
}

static void no_worker_to_be_had_is_no_hang(void)
{
    enum { TASKS = 5 };
    hk_executor *executor = create((hk_executor_options){.start_timeout = HK_MS(50)});
    hk_future *futures[TASKS];

    HKT_TRUE(hki_fault_set("fork_fails", HKI_FAULT_ZYGOTE, HKI_FAULT_EVERY, HKI_FAULT_FAILS));
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_int(executor, hkt_square, i);
    }
    for (int i = 0; i < TASKS; i++) {
        hkt_expect_end(futures[i], HK_EBROKEN);
    }
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_processes_end(executor);
}

/* --- PP15 to PP21: ending --- */

static void a_hard_shutdown_ends_live_workers(void)
{
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *future = hkt_stand_submit(hkt_executor, stand);

    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_KILL, HK_FOREVER));
    hkt_expect_end(future, HK_ECANCELED);
    HKT_TRUE(hkt_is_gone(atomic_load(&stand->pid)));
    HKT_EQ_INT(atomic_load(&stand->passed), 0); /* What follows its wait never runs. */
    HKT_STATUS(hk_submit(hkt_executor, hkt_nothing, NULL, 0, NULL, NULL), HK_ECLOSED);
}

static void stopping_with_a_dead_worker_works(void)
{
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *future = hkt_stand_submit(hkt_executor, stand);

    HKT_EQ_INT(kill(atomic_load(&stand->pid), SIGKILL), 0);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, HK_FOREVER));
    hkt_expect_lost(future, SIGKILL, 0);
}

static void stopping_before_any_worker_is_nothing(void)
{
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_KILL, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(hkt_executor).workers_started, 0);
}

static void too_many_workers_are_refused_at_the_door(void)
{
    hk_executor *none = NULL;

    HKT_STATUS(hkt_executor_create((hk_executor_options){.workers = 1025}, &none), HK_EINVAL);
    HKT_EQ_PTR(none, NULL);
}

static void a_serial_executor_on_it_is_refused(void)
{
    hk_executor *none = NULL;

    HKT_STATUS(hk_serial_create(hkt_executor, NULL, &none), HK_EPORTABLE);
    HKT_EQ_PTR(none, NULL);
    HKT_STATUS(hk_executor_open("serial:processes:2", &none), HK_EPORTABLE);
    HKT_EQ_PTR(none, NULL);
    hkt_expect_health(hkt_executor);
}

/* --- DL: at each step --- */

static void expect_loss_at(const char *step, enum hki_fault_action action, int signal, int status)
{
    hk_executor *executor = create((hk_executor_options){0});

    HKT_TRUE(hki_fault_set(step, HKI_FAULT_ANYBODY, 1, action));
    hkt_expect_lost(hkt_submit_int(executor, hkt_square, 3), signal, status);
    hkt_expect_health(executor);
    HKT_EQ_INT(hkt_stats(executor).failed, 1);
    hkt_processes_end(executor);
}

static void an_exit_before_the_task_costs_it(void)
{
    expect_loss_at("claimed", HKI_FAULT_EXITS, 0, HKI_FAULT_EXIT_STATUS);
}

static void a_crash_before_the_task_costs_it(void)
{
    expect_loss_at("claimed", HKI_FAULT_CRASHES, SIGSEGV, 0);
}

static void a_crash_behind_the_value_costs_the_task(void)
{
    expect_loss_at("returned", HKI_FAULT_CRASHES, SIGSEGV, 0);
}

static void an_exit_behind_the_value_costs_the_task(void)
{
    expect_loss_at("returned", HKI_FAULT_EXITS, 0, HKI_FAULT_EXIT_STATUS);
}

static void a_crash_or_an_exit_inside_costs_the_task(void)
{
    hkt_expect_lost(hkt_submit_int(hkt_executor, hkt_ends_by, SIGSEGV), SIGSEGV, 0);
    hkt_expect_lost(hkt_submit_int(hkt_executor, hkt_ends_by, -3), 0, 3);
    hkt_expect_health(hkt_executor);
}

static void a_plain_failure_costs_no_worker(void)
{
    for (int i = 0; i < 5; i++) {
        hkt_expect_end(hkt_submit_int(hkt_executor, hkt_fails, 0), HK_EFAILED);
    }
    hkt_expect_health(hkt_executor);
    HKT_TRUE(hkt_stats(hkt_executor).workers_started <= hkt_worker_count());
    HKT_EQ_INT(hkt_stats(hkt_executor).failed, 5);
}

/* Writes over the library's own cells as far as the worker may write behind its input. */
HK_TASK(writes_nonsense)
{
    memset((void *)(uintptr_t)in, 0xa5, 512);
    (void)raise(SIGKILL);
    return HK_OK;
}

static void nonsense_from_a_worker_takes_nobody_down(void)
{
    hk_future *future = hkt_submit_int(hkt_executor, writes_nonsense, 0);

    HKT_OK(hk_future_wait(future, HK_FOREVER));
    HKT_EQ_INT(hk_future_state(future), HK_FAILED);
    (void)hk_future_why(future);
    hk_future_unref(future);
    hkt_expect_health(hkt_executor);
}

static void a_refused_input_and_a_shutdown_end_readably(void)
{
    hk_executor *executor = create((hk_executor_options){.max_payload = 1000});
    hk_future *future = NULL;
    char large[2000] = {0};

    HKT_STATUS(hk_submit(executor, hkt_echo, large, sizeof(large), NULL, &future), HK_ETOOBIG);
    HKT_EQ_PTR(future, NULL);
    future = hkt_submit_int(executor, hkt_square, 3);
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, 0));
    HKT_EQ_INT(hkt_take_int(future), 9);
    HKT_OK(hk_executor_destroy(executor));
}

/* --- XP and XL: stopping, sizes, what workers start --- */

static void a_cancelled_tasks_worker_is_replaced(void)
{
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *future = hkt_stand_submit(hkt_executor, stand);

    HKT_OK(hk_future_cancel(future, HK_CANCEL_KILL));
    hkt_expect_end(future, HK_ECANCELED);
    HKT_TRUE(hkt_goes(atomic_load(&stand->pid)));
    hkt_expect_health(hkt_executor);
    HKT_EQ_INT(atomic_load(&stand->passed), 0);
}

HK_TASK(ignores_every_signal)
{
    for (int number = 1; number < SIGRTMIN; number++) {
        (void)signal(number, SIG_IGN);
    }
    return hkt_stands->run(call, in, in_size);
}

static void a_worker_that_ignores_signals_is_stopped(void)
{
    hk_executor *executor = create((hk_executor_options){.kill_grace = HK_MS(10)});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *future = hkt_submit_pointer(executor, ignores_every_signal, stand);

    hkt_gate_await_arrivals(&stand->gate, 1);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_KILL));
    hkt_expect_end(future, HK_ECANCELED);
    HKT_TRUE(hkt_goes(atomic_load(&stand->pid)));
    HKT_OK(hk_executor_destroy(executor));
}

static void large_payloads_pass_and_may_be_stopped(void)
{
    enum { BYTES = 8 << 20 };
    unsigned char *bytes = calloc(1, BYTES);
    hk_future *futures[2];
    const void *value = NULL;
    size_t size = 0;

    HKT_TRUE_FATAL(bytes != NULL);
    memset(bytes, 0x5a, BYTES);
    HKT_OK_FATAL(hk_submit(hkt_executor, hkt_echo, bytes, BYTES, NULL, &futures[0]));
    HKT_OK_FATAL(hk_future_result(futures[0], HK_FOREVER, &value, &size));
    HKT_EQ_INT(size, BYTES);
    HKT_TRUE(memcmp(value, bytes, BYTES) == 0);
    hk_future_unref(futures[0]);
    for (int i = 0; i < 2; i++) {
        HKT_OK_FATAL(hk_submit(hkt_executor, hkt_echo, bytes, BYTES, NULL, &futures[i]));
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_KILL, HK_FOREVER));
    for (int i = 0; i < 2; i++) {
        HKT_TRUE(hk_future_has_ended(futures[i]));
        hk_future_unref(futures[i]);
    }
    free(bytes);
}

HK_TASK(starts_a_process_and_a_pool)
{
    int status = -1;
    pid_t child = fork();
    hk_executor *own = NULL;
    int result = 0;

    if (child == 0) {
        _exit(5);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 5) {
        return hk_fail(call, 1, "no child");
    }
    if (hk_executor_open("processes:1", &own) != HK_OK) {
        return hk_fail(call, 2, "no pool");
    }
    result = hkt_take_int(hkt_submit_int(own, hkt_square, 5));
    HKT_OK(hk_executor_destroy(own));
    return hk_return(call, &result, sizeof(result));
}

static void a_worker_may_start_processes_and_pools(void)
{
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, starts_a_process_and_a_pool, 0)), 25);
}

static unsigned char *volatile kept; /* Volatile, or nobody would need it. */

HK_TASK(keeps_memory)
{
    enum { BYTES = 64 << 20 };
    pid_t pid = getpid();

    kept = malloc(BYTES);
    if (kept == NULL) {
        return HK_ENOMEM;
    }
    memset(kept, 1, BYTES);
    return hk_return(call, &pid, sizeof(pid));
}

static void a_worker_over_its_memory_is_replaced(void)
{
    enum { TASKS = 300 };
    hk_executor *executor = create((hk_executor_options){.worker_rss_limit = 48 << 20});
    pid_t fat = hkt_take_int(hkt_submit_int(executor, keeps_memory, 0));

    /* It is measured now and then: by so many tasks of its own it has been. */
    for (int i = 0; i < TASKS && !hkt_is_gone(fat); i++) {
        for (unsigned worker = 0; worker < hkt_worker_count(); worker++) {
            HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, i)), i * i);
        }
    }
    HKT_TRUE(hkt_goes(fat));
    HKT_EQ_INT(hkt_stats(executor).failed, 0);
    HKT_OK(hk_executor_destroy(executor));
}

HK_TASK(reads_the_colour)
{
    const char *value = getenv("HOCKET_TEST_COLOUR");

    return value == NULL ? HK_ECANCELED : hk_return(call, value, strlen(value) + 1);
}

static void an_executor_may_set_its_workers_environment(void)
{
    static const char *const environment[] = {"HOCKET_TEST_COLOUR=green", NULL};
    hk_executor *executor = create((hk_executor_options){.environment = environment});
    hk_future *future = NULL;
    const void *value = NULL;

    HKT_OK_FATAL(hk_submit(executor, reads_the_colour, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    HKT_EQ_STR(value, "green");
    hk_future_unref(future);
    HKT_OK_FATAL(hk_submit(hkt_executor, reads_the_colour, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_ECANCELED);
    HKT_OK(hk_executor_destroy(executor));
}

static CU_TestInfo tests[] = {
    HKT_CASE("PP01 a killed worker costs its task", a_killed_worker_costs_its_task),
    HKT_CASE("PP02 PP03 a failure carries code, message and line",
             a_failure_carries_code_message_and_line),
    HKT_CASE("PP04 XP04 an exit is told with pid and code", an_exit_is_told_with_pid_and_code),
    HKT_CASE("PP10 PP11 replacing never forks this process", replacing_never_forks_this_process),
    HKT_CASE("PP14 no worker to be had is no hang", no_worker_to_be_had_is_no_hang),
    HKT_CASE("PP15 PP17 PP20 XL06 a hard shutdown ends live workers",
             a_hard_shutdown_ends_live_workers),
    HKT_CASE("PP18 stopping with a dead worker works", stopping_with_a_dead_worker_works),
    HKT_CASE("PP19 stopping before any worker is nothing", stopping_before_any_worker_is_nothing),
    HKT_CASE("PP21 too many workers are refused at the door",
             too_many_workers_are_refused_at_the_door),
    HKT_CASE("SR01 a serial executor on it is refused", a_serial_executor_on_it_is_refused),
    HKT_CASE("DL02 an exit before the task costs it", an_exit_before_the_task_costs_it),
    HKT_CASE("DL04 a crash before the task costs it", a_crash_before_the_task_costs_it),
    HKT_CASE("DL05 DL06 a crash or an exit inside costs the task",
             a_crash_or_an_exit_inside_costs_the_task),
    HKT_CASE("DL07 a plain failure costs no worker", a_plain_failure_costs_no_worker),
    HKT_CASE("DL08 a crash behind the value costs the task",
             a_crash_behind_the_value_costs_the_task),
    HKT_CASE("DL09 an exit behind the value costs the task",
             an_exit_behind_the_value_costs_the_task),
    HKT_CASE("DL12 nonsense from a worker takes nobody down",
             nonsense_from_a_worker_takes_nobody_down),
    HKT_CASE("DL14 a refused input and a shutdown end readably",
             a_refused_input_and_a_shutdown_end_readably),
    HKT_CASE("XP02 a cancelled task's worker is replaced", a_cancelled_tasks_worker_is_replaced),
    HKT_CASE("XP03 a worker that ignores signals is stopped",
             a_worker_that_ignores_signals_is_stopped),
    HKT_CASE("XP09 large payloads pass, and may be stopped",
             large_payloads_pass_and_may_be_stopped),
    HKT_CASE("XP11 a worker may start processes and pools", a_worker_may_start_processes_and_pools),
    HKT_CASE("XL09 a worker over its memory is replaced", a_worker_over_its_memory_is_replaced),
    HKT_CASE("XL12 an executor may set its workers' environment",
             an_executor_may_set_its_workers_environment),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_process",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
