/* SPDX-License-Identifier: MIT */
/*
 * Workers that crash, leave, overrun, lie or are killed, at every step of a task's way:
 * cases DL of docs/contract.md, and XP01 to XP04, XP09 and XP11.
 */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/layout.h"
#include "tests/process_fixture.h"

/* --- DL02 to DL09: at each step --- */

/* Of three tasks the one that is second at the step is lost; the others are not. */
static void expect_loss_at(const char *step, enum hki_fault_action action, int signal, int status)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    hk_future *futures[3];

    HKT_TRUE(hki_fault_set(step, HKI_FAULT_ANYBODY, 2, action));
    for (int i = 0; i < 3; i++) {
        futures[i] = hkt_submit_int(pool, hkt_square, i + 2);
    }
    HKT_EQ_INT(hkt_take_int(futures[0]), 4);
    hkt_expect_lost(futures[1], signal, status);
    HKT_EQ_INT(hkt_take_int(futures[2]), 16);
    hkt_expect_health(pool);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 2);
    HKT_EQ_INT(hkt_stats(pool).failed, 1);
    hkt_processes_end(pool);
}

static void an_exit_before_the_task_costs_it(void)
{
    expect_loss_at("claimed", HKI_FAULT_EXITS, 0, HKI_FAULT_EXIT_STATUS);
}

static void a_crash_before_the_task_costs_it(void)
{
    expect_loss_at("claimed", HKI_FAULT_CRASHES, SIGSEGV, 0);
    expect_loss_at("claimed", HKI_FAULT_DIES, SIGKILL, 0);
}

static void a_crash_behind_the_value_costs_the_task(void)
{
    expect_loss_at("returned", HKI_FAULT_CRASHES, SIGSEGV, 0);
    expect_loss_at("returned", HKI_FAULT_DIES, SIGKILL, 0);
}

static void an_exit_behind_the_value_costs_the_task(void)
{
    expect_loss_at("returned", HKI_FAULT_EXITS, 0, HKI_FAULT_EXIT_STATUS);
}

static void a_death_behind_the_publishing_costs_nothing(void)
{
    static const char *const steps[] = {"published", "counted"};
    static const enum hki_fault_action actions[] = {HKI_FAULT_DIES, HKI_FAULT_CRASHES,
                                                    HKI_FAULT_EXITS};

    for (size_t i = 0; i < 6; i++) {
        hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
        hk_future *futures[4];

        HKT_TRUE(hki_fault_set(steps[i % 2], HKI_FAULT_ANYBODY, 2, actions[i / 2]));
        for (int n = 0; n < 4; n++) {
            futures[n] = hkt_submit_int(pool, hkt_square, n);
        }
        for (int n = 0; n < 4; n++) {
            HKT_EQ_INT(hkt_take_int(futures[n]), n * n);
        }
        HKT_EQ_INT(hkt_stats(pool).workers_started, 2);
        hkt_processes_end(pool);
    }
}

static void a_death_before_it_is_ready_costs_no_task(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    HKT_TRUE(hki_fault_set("before_ready", HKI_FAULT_ANYBODY, 1, HKI_FAULT_CRASHES));
    hkt_expect_health(pool);
    HKT_EQ_INT(hkt_stats(pool).failed, 0);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 2);
    hkt_processes_end(pool);
}

static void a_crash_inside_the_task_costs_it(void)
{
    static const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTERM, SIGKILL};
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        hk_future *before = hkt_submit_int(pool, hkt_square, 5);
        hk_future *lost = hkt_submit_int(pool, hkt_ends_by, signals[i]);
        hk_future *after = hkt_submit_int(pool, hkt_square, 6);

        hkt_expect_lost(lost, signals[i], 0);
        HKT_EQ_INT(hkt_take_int(before), 25);
        HKT_EQ_INT(hkt_take_int(after), 36);
    }
    HKT_EQ_INT(hkt_stats(pool).failed, sizeof(signals) / sizeof(signals[0]));
    hkt_processes_end(pool);
}

static void an_exit_inside_the_task_costs_it(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    for (int status = 0; status < 4; status++) {
        hkt_expect_lost(hkt_submit_int(pool, hkt_ends_by, -status), 0, status);
    }
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void a_plain_failure_costs_no_worker(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    pid_t pid = hkt_pid_of_worker(pool);

    for (int i = 0; i < 5; i++) {
        hk_future *future = NULL;

        HKT_OK_FATAL(hk_submit(pool, hkt_fails, NULL, 0, NULL, &future));
        hkt_expect_end(future, HK_EFAILED);
        HKT_EQ_INT(hkt_pid_of_worker(pool), pid);
    }
    HKT_EQ_INT(hkt_stats(pool).workers_started, 1);
    hkt_processes_end(pool);
}

/* Each task ends its worker, and yet what can be done is done, in bounded time. */
static void crashes_one_after_the_other_end(void)
{
    enum { TASKS = 12 };
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    hk_future *bad[TASKS];
    hk_future *good[TASKS];

    for (int i = 0; i < TASKS; i++) {
        bad[i] = hkt_submit_int(pool, hkt_ends_by, i % 2 == 0 ? SIGKILL : -1);
        good[i] = hkt_submit_int(pool, hkt_square, i);
    }
    for (int i = 0; i < TASKS; i++) {
        hkt_expect_lost(bad[i], i % 2 == 0 ? SIGKILL : 0, i % 2 == 0 ? 0 : 1);
        HKT_EQ_INT(hkt_take_int(good[i]), i * i);
    }
    hkt_processes_end(pool);
}

/* --- Tries --- */

struct tries {
    atomic_uint count;
    unsigned deadly; /* So many of them end the worker. */
};

HK_TASK_FLAGS(dies_a_few_times, HK_TASK_IDEMPOTENT)
{
    struct tries *tries = hkt_pointer(in, in_size);
    unsigned count = atomic_fetch_add(&tries->count, 1) + 1;

    if (count <= tries->deadly) {
        (void)raise(SIGKILL);
    }
    return hk_return(call, &count, sizeof(count));
}

static hk_future *submit_tries(hk_executor *pool, struct tries *tries, unsigned retries)
{
    hk_submit_options options = {.retries = retries};

    return hkt_submit_shared(pool, dies_a_few_times, tries, &options);
}

static void an_idempotent_task_is_tried_again_but_not_for_ever(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct tries *few = hkt_shared_new(sizeof(*few));
    struct tries *many = hkt_shared_new(sizeof(*many));
    hk_future *future;
    const hk_error *error = NULL;

    few->deadly = 2;
    HKT_EQ_INT(hkt_take_int(submit_tries(pool, few, 2)), 3);
    many->deadly = 100;
    future = submit_tries(pool, many, 50);
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EWORKER);
    HKT_OK(hk_future_error(future, 0, &error));
    HKT_EQ_INT(error->attempt, 3);
    HKT_EQ_INT(atomic_load(&many->count), 3); /* It killed 3 workers: that is enough. */
    hk_future_unref(future);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

/* --- DL12: lies --- */

enum lie {
    LIE_PLACE,
    LIE_ADDRESS,
    LIE_SIZE,
    LIE_ERROR,
    LIE_FAR_AHEAD,
    LIE_BACKWARDS,
    LIE_STATE,
    LIE_NOISE,
    LIES,
};

struct told {
    int lie;
    struct hkt_gate *believed; /* Opened when the parent has read the lie. */
};

/* The task of request 0 writes what only the library should. Those who get away with it come
 * back, so that the next task is served. */
HK_TASK(lies)
{
    struct hki_cell *cell = (struct hki_cell *)((uintptr_t)in - offsetof(struct hki_cell, input));
    struct hki_channel *channel =
        (struct hki_channel *)((uintptr_t)cell - offsetof(struct hki_channel, cells));
    uint32_t count = 1;
    struct told told;

    memcpy(&told, in, sizeof(told));
    cell->outcome = HK_OK;
    cell->output_place = HKI_OUTPUT_RESERVED;
    cell->output_at = 0;
    cell->output_size = 1;
    switch ((enum lie)told.lie) {
    case LIE_PLACE:
        cell->output_place = 200;
        break;
    case LIE_ADDRESS:
        cell->output_place = HKI_OUTPUT_OVERFLOW;
        cell->output_at = UINT64_MAX - 8;
        cell->output_size = 4096;
        break;
    case LIE_SIZE:
        cell->output_place = HKI_OUTPUT_CELL;
        cell->output_size = UINT64_MAX;
        break;
    case LIE_ERROR:
        cell->outcome = HK_EFAILED;
        cell->output_place = HKI_OUTPUT_PAGE;
        cell->output_size = HKI_CELL_PAGE;
        memset(channel->pages[0], 0xff, HKI_CELL_PAGE);
        break;
    case LIE_FAR_AHEAD:
        count = 1000;
        break;
    case LIE_BACKWARDS:
        count = UINT32_MAX;
        break;
    case LIE_STATE:
        atomic_store(&cell->state, 0xdeadbeef);
        break;
    default:
        memset((unsigned char *)channel + offsetof(struct hki_channel, done), 0x5a,
               sizeof(*channel) - offsetof(struct hki_channel, done));
        break;
    }
    if (told.lie != LIE_STATE && told.lie != LIE_NOISE) {
        atomic_store(&cell->state, hki_cell_word(0, HKI_CELL_DONE));
    }
    atomic_store(&channel->done, count);
    hkt_gate_wait(told.believed);
    atomic_store(&cell->state, hki_cell_word(0, HKI_CELL_RUNNING));
    return HK_OK;
}

static void let_it_come_back(hk_future *future, void *believed)
{
    (void)future;
    hkt_gate_open(believed);
}

/* Many that die on the word of one token leave no debt, which all who come later would have to
 * wait for. */
static void crashes_of_all_workers_at_once_leave_no_debt(void)
{
    enum { CRASHES = 40 };
    const int exits = -1;
    hk_executor *pool =
        hkt_processes((hk_executor_options){.workers = 8, .start_timeout = HK_SEC(10)});
    hk_future *futures[CRASHES];
    hk_future *good;

    for (int i = 0; i < CRASHES; i++) {
        HKT_OK_FATAL(hk_submit(pool, hkt_ends_by, &exits, sizeof(exits), NULL, &futures[i]));
    }
    good = hkt_submit_int(pool, hkt_square, 5);
    for (int i = 0; i < CRASHES; i++) {
        hkt_expect_lost(futures[i], -1, 1);
    }
    HKT_EQ_INT(hkt_take_int(good), 25);
    hkt_processes_end(pool);
}

static void lies_of_a_worker_harm_nobody_else(void)
{
    for (int lie = 0; lie < LIES; lie++) {
        hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
        struct told told = {lie, hkt_shared_new(sizeof(*told.believed))};
        hk_future *future = NULL;

        hkt_gate_init(told.believed, "a lie is believed");
        HKT_OK_FATAL(hk_submit(pool, lies, &told, sizeof(told), NULL, &future));
        /* Not later, as the next task may be given to the liar, who seems to be free. */
        HKT_OK_FATAL(hk_future_on_done(future, NULL, let_it_come_back, told.believed, NULL));
        /* The liar does not ring; with the results of others its own are looked at. */
        while (!hk_future_has_ended(future)) {
            hk_future *other = hkt_submit_int(pool, hkt_square, 3);
            hk_status status = hk_future_result(other, HK_FOREVER, NULL, NULL);

            /* Noise over the cell of one that waits behind the liar is its end as well: nobody
             * can tell whether it has begun. */
            HKT_TRUE(status == HK_OK || (lie == LIE_NOISE && status == HK_EWORKER));
            hk_future_unref(other);
        }
        HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_EWORKER);
        hk_future_unref(future);
        hkt_expect_health(pool);
        hkt_processes_end(pool);
    }
}

/* --- DL14: refusals --- */

static void refused_input_and_a_shutdown_end_readably(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1, .max_payload = 1000});
    hk_future *future = NULL;
    char large[2000] = {0};

    HKT_STATUS(hk_submit(pool, hkt_echo, large, sizeof(large), NULL, &future), HK_ETOOBIG);
    HKT_EQ_PTR(future, NULL);
    HKT_STATUS(hk_submit_ref(pool, hkt_echo, large, NULL, NULL, &future), HK_EPORTABLE);
    HKT_EQ_PTR(future, NULL);
    future = hkt_submit_int(pool, hkt_square, 3);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, 0));
    HKT_EQ_INT(hkt_take_int(future), 9);
    hkt_processes_end(pool); /* And no thread or descriptor is left: the harness counts. */
}

/* --- XP01 to XP04: stopping --- */

static void a_task_over_its_limit_is_stopped(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct hkt_stand *stand = hkt_stand_new();
    hk_submit_options options = {.timeout = HK_MS(20)};
    hk_future *future = NULL;
    pid_t pid = hkt_pid_of_worker(pool);

    future = hkt_submit_shared(pool, hkt_stands, stand, &options);
    hkt_expect_end(future, HK_EDEADLINE);
    HKT_TRUE(hkt_goes(pid));
    HKT_TRUE(hkt_pid_of_worker(pool) != pid);
    HKT_TRUE(hkt_becomes(pool, hkt_straggling, 0));
    hkt_processes_end(pool);
}

static void a_cancelled_tasks_worker_is_replaced(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *future = hkt_stand_submit(pool, stand);
    hk_future *next = hkt_submit_int(pool, hkt_thread_id, 0);
    pid_t pid = atomic_load(&stand->pid);

    HKT_OK(hk_future_cancel(future, HK_CANCEL_KILL));
    HKT_EQ_INT(hk_future_state(future), HK_CANCELLED); /* At once. */
    HKT_TRUE(hkt_take_int(next) != pid);
    HKT_TRUE(hkt_goes(pid));
    HKT_EQ_INT(atomic_load(&stand->passed), 0);
    hk_future_unref(future);
    hkt_processes_end(pool);
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
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1, .kill_grace = HK_MS(10)});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *future = NULL;

    future = hkt_submit_shared(pool, ignores_every_signal, stand, NULL);
    hkt_gate_await_arrivals(&stand->gate, 1);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_KILL));
    hkt_expect_end(future, HK_ECANCELED);
    HKT_TRUE(hkt_goes(atomic_load(&stand->pid)));
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void a_stopped_worker_overruns_all_the_same(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    hk_submit_options options = {.timeout = HK_MS(20)};
    int how = SIGSTOP;
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, hkt_ends_by, &how, sizeof(how), &options, &future));
    hkt_expect_end(future, HK_EDEADLINE);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void a_worker_that_leaves_fails_its_own_task(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    hk_future *lost = hkt_submit_int(pool, hkt_ends_by, -7);
    hk_future *next = hkt_submit_int(pool, hkt_square, 7);

    hkt_expect_lost(lost, 0, 7);
    HKT_EQ_INT(hkt_take_int(next), 49);
    hkt_processes_end(pool);
}

/* --- XP09: large payloads --- */

static size_t large_bytes(void)
{
    return (size_t)100 * 1000 * 1000 / hkt_slowness();
}

static void large_payloads_pass(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    size_t size = large_bytes();
    unsigned char *bytes = malloc(size);
    const void *value = NULL;
    size_t value_size = 0;
    hk_future *future = NULL;

    HKT_TRUE_FATAL(bytes != NULL);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    }
    for (int round = 0; round < 3; round++) {
        HKT_OK_FATAL(hk_submit(pool, hkt_echo, bytes, size, NULL, &future));
        HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, &value_size));
        HKT_EQ_INT(value_size, size);
        HKT_TRUE(memcmp(value, bytes, size) == 0);
        hk_future_unref(future);
    }
    free(bytes);
    hkt_processes_end(pool);
}

static void stopping_amid_large_payloads_works(void)
{
    enum { TASKS = 4 };
    size_t size = large_bytes() / 4;
    unsigned char *bytes = calloc(1, size);

    HKT_TRUE_FATAL(bytes != NULL);
    for (int round = 0; round < 6; round++) {
        hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
        hk_future *futures[TASKS];

        for (int i = 0; i < TASKS; i++) {
            HKT_OK_FATAL(hk_submit(pool, hkt_echo, bytes, size, NULL, &futures[i]));
        }
        HKT_OK(hk_executor_shutdown(
            pool, round % 2 == 0 ? HK_SHUTDOWN_KILL : HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
        for (int i = 0; i < TASKS; i++) {
            HKT_TRUE(hk_future_has_ended(futures[i]));
            hk_future_unref(futures[i]);
        }
        hkt_processes_end(pool);
    }
    free(bytes);
}

/* --- XP11: processes of a worker --- */

HK_TASK(starts_a_process)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        _exit(5);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return hk_fail(call, 1, "no child");
    }
    status = WEXITSTATUS(status);
    return hk_return(call, &status, sizeof(status));
}

HK_TASK(has_a_pool_of_its_own)
{
    hk_executor_options options = {.workers = 2};
    hk_executor *pool = NULL;
    hk_future *future = NULL;
    const void *value = NULL;
    size_t size = 0;
    hk_status status = hk_process_pool_create(&options, &pool);

    if (status == HK_OK) {
        status = hk_submit(pool, hkt_square, in, in_size, NULL, &future);
    }
    if (status == HK_OK) {
        status = hk_future_result(future, HK_FOREVER, &value, &size);
    }
    if (status == HK_OK) {
        status = hk_return(call, value, size);
    }
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(pool));
    return status;
}

static void a_worker_may_start_processes_and_pools(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});

    for (int i = 0; i < 4; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, starts_a_process, 0)), 5);
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, has_a_pool_of_its_own, i)), i * i);
    }
    hkt_processes_end(pool);
}

static CU_TestInfo tests[] = {
    HKT_CASE("DL02 an exit before the task costs it", an_exit_before_the_task_costs_it),
    HKT_CASE("DL04 a crash before the task costs it", a_crash_before_the_task_costs_it),
    HKT_CASE("DL05 a crash inside the task costs it", a_crash_inside_the_task_costs_it),
    HKT_CASE("DL06 an exit inside the task costs it", an_exit_inside_the_task_costs_it),
    HKT_CASE("DL07 a plain failure costs no worker", a_plain_failure_costs_no_worker),
    HKT_CASE("DL08 a crash behind the value costs the task",
             a_crash_behind_the_value_costs_the_task),
    HKT_CASE("DL09 an exit behind the value costs the task",
             an_exit_behind_the_value_costs_the_task),
    HKT_CASE("a death behind the publishing costs nothing",
             a_death_behind_the_publishing_costs_nothing),
    HKT_CASE("a death before it is ready costs no task", a_death_before_it_is_ready_costs_no_task),
    HKT_CASE("crashes one after the other end", crashes_one_after_the_other_end),
    HKT_CASE("crashes of all workers at once leave no debt",
             crashes_of_all_workers_at_once_leave_no_debt),
    HKT_CASE("an idempotent task is tried again, but not for ever",
             an_idempotent_task_is_tried_again_but_not_for_ever),
    HKT_CASE("DL12 lies of a worker harm nobody else", lies_of_a_worker_harm_nobody_else),
    HKT_CASE("DL14 refused input and a shutdown end readably",
             refused_input_and_a_shutdown_end_readably),
    HKT_CASE("XP01 a task over its limit is stopped", a_task_over_its_limit_is_stopped),
    HKT_CASE("XP01 a stopped worker overruns all the same", a_stopped_worker_overruns_all_the_same),
    HKT_CASE("XP02 a cancelled task's worker is replaced", a_cancelled_tasks_worker_is_replaced),
    HKT_CASE("XP03 a worker that ignores signals is stopped",
             a_worker_that_ignores_signals_is_stopped),
    HKT_CASE("XP04 a worker that leaves fails its own task",
             a_worker_that_leaves_fails_its_own_task),
    HKT_CASE("XP09 large payloads pass", large_payloads_pass),
    HKT_CASE("XP09 stopping amid large payloads works", stopping_amid_large_payloads_works),
    HKT_CASE("XP11 a worker may start processes and pools", a_worker_may_start_processes_and_pools),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_crash", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
