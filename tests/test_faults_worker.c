/* SPDX-License-Identifier: MIT */
/*
 * What may happen to a worker, cases G01 to G12 and G23 to G26: one task is lost, no more; the
 * others end as if nothing had been; and the worker is replaced.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/os.h"
#include "base/time.h"
#include "tests/fault_fixture.h"
#include "tests/fixture.h"

enum { AROUND = 20 };

/* --- G01, G02: SIGKILL --- */

HKT_FAULT_CASE(idle_worker_killed)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    int32_t pid = hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL));

    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    hkt_fault_reaches(pool, hkt_started, 2); /* Without a task that asks for it. */
    hkt_fault_works(pool);
    HKT_CHILD_TRUE(hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL)) != pid);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).failed == 0);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(busy_worker_killed)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    struct hkt_squares squares;
    int32_t pid;
    hk_future *future = hkt_fault_stand(pool, &pid);

    hkt_squares_submit(&squares, pool, AROUND); /* Some of them in the ring behind it. */
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    hkt_fault_ends_by_signal(future, SIGKILL);
    hkt_squares_expect(&squares);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).failed == 1);
    hkt_fault_close(pool);
}

/* --- G03: between the steps --- */

/* A worker dies at a step of its protocol, with tasks behind; so many of them are lost. */
static void dies_at(const char *step, unsigned lost)
{
    hk_executor *pool;
    hk_future *futures[AROUND];
    unsigned seen = 0;

    HKT_CHILD_TRUE(hki_fault_set(step, 0, 3, HKI_FAULT_DIES));
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    for (int i = 0; i < AROUND; i++) {
        futures[i] = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    }
    for (int i = 0; i < AROUND; i++) {
        hk_status status = hk_future_result(futures[i], HK_FOREVER, NULL, NULL);

        HKT_CHILD_TRUE(status == HK_OK || status == HK_EWORKER);
        seen += status == HK_OK ? 0 : 1;
        hk_future_unref(futures[i]);
    }
    HKT_CHILD_TRUE(hki_fault_passes(step, 0) >= 3);
    HKT_CHILD_TRUE(seen == lost);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 2);
    /* What was lost before it began did not run; everything else did, once. */
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == AROUND - (strcmp(step, "claimed") == 0));
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(dies_before_the_run)
{
    dies_at("claimed", 1);
}

HKT_FAULT_CASE(dies_after_the_run)
{
    dies_at("returned", 1);
}

HKT_FAULT_CASE(dies_after_the_result)
{
    dies_at("published", 0);
}

HKT_FAULT_CASE(dies_after_the_count)
{
    dies_at("counted", 0);
}

HKT_FAULT_CASE(dies_before_ready)
{
    hk_executor *pool;

    HKT_CHILD_TRUE(hki_fault_set("before_ready", 0, 1, HKI_FAULT_DIES));
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(pool);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 2);
    hkt_fault_close(pool);
}

/* --- G04 to G09: tasks that end their worker --- */

static volatile uintptr_t nowhere = 0x1230;
static volatile int bottom;

HK_TASK(aborts)
{
    abort();
}

HK_TASK(writes_nowhere)
{
    *(volatile int *)nowhere = 1;
    return HK_OK;
}

/* The mapping is longer than the file. */
HK_TASK(reads_beyond_a_file)
{
    int fd = memfd_create("short", MFD_CLOEXEC);
    volatile char *bytes;

    HKT_CHILD_TRUE(fd >= 0);
    bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    HKT_CHILD_TRUE((const volatile void *)bytes != MAP_FAILED);
    bytes[0] = 1;
    return HK_OK;
}

HK_TASK(divides_by_zero)
{
    (void)raise(SIGFPE);
    return HK_OK;
}

HK_TASK(runs_an_illegal_instruction)
{
    (void)raise(SIGILL);
    return HK_OK;
}

__attribute__((noinline)) static int goes_deeper(volatile char *above)
{
    volatile char here[4096];

    here[0] = above == NULL ? 0 : above[0];
    return bottom != 0 ? 0 : goes_deeper(here) + here[0];
}

HK_TASK(overflows_its_stack)
{
    return goes_deeper(NULL) == 0 ? HK_OK : HK_EFAILED;
}

static void *overflows_there(void *nothing)
{
    (void)goes_deeper(NULL);
    return nothing;
}

HK_TASK(overflows_a_small_stack)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)256 * 1024);
    HKT_CHILD_TRUE(pthread_create(&thread, &attributes, overflows_there, NULL) == 0);
    pthread_join(thread, NULL);
    return HK_OK;
}

HK_TASK(exits_0)
{
    exit(0);
}

HK_TASK(exits_3)
{
    exit(3);
}

HK_TASK(leaves_0)
{
    _exit(0);
}

/* The task ends its worker, between others on the same and on another worker. */
static void ends_worker(const hk_task *task, int signal, int exit_status)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    struct hkt_squares before;
    struct hkt_squares after;
    hk_future *future;

    hkt_squares_submit(&before, pool, AROUND);
    future = hkt_fault_submit(pool, task, NULL);
    hkt_squares_submit(&after, pool, AROUND);
    if (signal != 0) {
        hkt_fault_ends_by_signal(future, signal);
    } else {
        hkt_fault_ends_by_exit(future, exit_status);
    }
    hkt_squares_expect(&before);
    hkt_squares_expect(&after);
    hkt_fault_works(pool);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).failed == 1);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(task_aborts)
{
    ends_worker(aborts, SIGABRT, 0);
}

HKT_FAULT_CASE(task_segfaults)
{
    ends_worker(writes_nowhere, SIGSEGV, 0);
}

HKT_FAULT_CASE(task_gets_a_bus_error)
{
    ends_worker(reads_beyond_a_file, SIGBUS, 0);
}

HKT_FAULT_CASE(task_gets_fpe_and_ill)
{
    ends_worker(divides_by_zero, SIGFPE, 0);
    ends_worker(runs_an_illegal_instruction, SIGILL, 0);
}

HKT_FAULT_CASE(task_overflows_its_stack)
{
    ends_worker(overflows_its_stack, SIGSEGV, 0);
}

HKT_FAULT_CASE(thread_of_a_task_overflows)
{
    ends_worker(overflows_a_small_stack, SIGSEGV, 0);
}

HKT_FAULT_CASE(task_exits)
{
    ends_worker(exits_0, 0, 0);
    ends_worker(exits_3, 0, 3);
    ends_worker(leaves_0, 0, 0);
}

/* --- G10, G11: limits --- */

/* Of another code: how much it got. */
HK_TASK(wants_a_lot)
{
    void *memory = malloc((size_t)8 << 30);
    bool got = memory != NULL;

    free(memory);
    return got ? HK_OK : hk_fail(call, 12, "no memory");
}

/* Sanitizers reserve terabytes, and end the process when malloc() fails. */
#define HKT_LIMITS_MEMORY (HKT_ALLOCATOR_SURVIVES_FORK && HKT_CHILDREN_START_THREADS)

HKT_FAULT_CASE(task_without_memory)
{
    const hk_worker_limit limit = {RLIMIT_AS, UINT64_C(70) << 30, UINT64_C(70) << 30};
    const hk_worker_limit *limits = HKT_LIMITS_MEMORY ? &limit : NULL;
    hk_executor *pool = hkt_fault_pool((hk_executor_options){
        .workers = 1, .limits = limits, .limit_count = limits != NULL ? 1 : 0});
    int32_t pid = hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL));
    hk_future *future = hkt_fault_submit(pool, wants_a_lot, NULL);
    const hk_error *error = NULL;

    HKT_CHILD_STATUS(hk_future_error(future, HK_FOREVER, &error), HK_OK);
    if (HKT_LIMITS_MEMORY) {
        HKT_CHILD_TRUE(error != NULL && error->app_code == 12);
    }
    hk_future_unref(future);
    HKT_CHILD_TRUE(hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL)) == pid);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(task_out_of_processor_time)
{
    const hk_worker_limit limit = {RLIMIT_CPU, 1, 3};
    hk_executor *pool =
        hkt_fault_pool((hk_executor_options){.workers = 1, .limits = &limit, .limit_count = 1});
    hk_future *future = hkt_fault_submit(pool, hkt_fault_loops, NULL);

    hkt_fault_ends_by_signal(future, SIGXCPU);
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* --- G12: a time limit --- */

HKT_FAULT_CASE(endless_loop)
{
    const hk_submit_options limited = {.timeout = HK_MS(30)};
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    struct hkt_squares squares;
    hk_future *future = hkt_fault_submit(pool, hkt_fault_loops, &limited);

    hkt_fault_await(&hkt_shared->arrived, 1);
    hkt_squares_submit(&squares, pool, AROUND);
    hkt_fault_ends(future, HK_EDEADLINE);
    hkt_squares_expect(&squares);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 2);
    hkt_fault_close(pool);
}

/* --- G23, G24: many at once --- */

static void kills_at_once(unsigned workers, unsigned victims)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = workers});
    struct hkt_squares squares;
    hk_future *futures[8];
    int32_t pids[8];

    for (unsigned i = 0; i < workers; i++) {
        futures[i] = hkt_fault_stand(pool, &pids[i]);
    }
    hkt_squares_submit(&squares, pool, AROUND);
    for (unsigned i = 0; i < victims; i++) {
        HKT_CHILD_TRUE(kill(pids[i], SIGKILL) == 0);
    }
    for (unsigned i = 0; i < victims; i++) {
        hkt_fault_ends_by_signal(futures[i], SIGKILL);
    }
    hkt_squares_expect(&squares);
    hkt_fault_open_gate();
    for (unsigned i = victims; i < workers; i++) {
        hkt_fault_ends(futures[i], HK_OK);
    }
    HKT_CHILD_TRUE(hkt_fault_stats(pool).failed == victims);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(two_workers_killed_at_once)
{
    kills_at_once(4, 2);
}

HKT_FAULT_CASE(all_workers_killed_at_once)
{
    kills_at_once(4, 4);
}

HKT_FAULT_CASE(storm_of_kills)
{
    enum { ROUNDS = 100 };
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 3});
    unsigned rounds = ROUNDS / hkt_slowness();

    for (unsigned round = 0; round < rounds; round++) {
        struct hkt_squares squares;
        int32_t pid;
        hk_future *future = hkt_fault_stand(pool, &pid);

        hkt_squares_submit(&squares, pool, AROUND);
        HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
        hkt_fault_ends_by_signal(future, SIGKILL);
        hkt_squares_expect(&squares);
    }
    HKT_CHILD_TRUE(hkt_fault_stats(pool).failed == rounds);
    hkt_fault_close(pool);
}

/* --- G25, G26: tasks that always crash --- */

HKT_FAULT_CASE(every_task_crashes)
{
    enum { WORKERS = 2, TASKS = 2 * WORKERS + 3 };
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = WORKERS});
    hk_future *futures[TASKS];

    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_fault_submit(pool, hkt_fault_dies, NULL);
    }
    for (int i = 0; i < TASKS; i++) {
        hkt_fault_ends_by_signal(futures[i], SIGKILL);
    }
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == TASKS);
    /* None was started but for a task: nobody forks in vain. */
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started <= TASKS + WORKERS);
    hkt_fault_works(pool); /* When its turn comes. */
    hkt_fault_close(pool);
}

HK_TASK_FLAGS(kills_three, HK_TASK_IDEMPOTENT)
{
    atomic_fetch_add(&hkt_shared->runs, 1);
    (void)raise(SIGKILL);
    return HK_OK;
}

HK_TASK_FLAGS(kills_one, HK_TASK_IDEMPOTENT)
{
    if (atomic_fetch_add(&hkt_shared->word[0], 1) == 0) {
        (void)raise(SIGKILL);
    }
    return HK_OK;
}

HKT_FAULT_CASE(poison_task)
{
    const hk_submit_options often = {.retries = 10};
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hk_future *future = hkt_fault_submit(pool, kills_three, &often);
    const hk_error *error = NULL;

    HKT_CHILD_STATUS(hk_future_error(future, HK_FOREVER, &error), HK_OK);
    HKT_CHILD_TRUE(error != NULL && error->status == HK_EWORKER && error->attempt == 3);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == 3);
    hk_future_unref(future);
    hkt_fault_ends(hkt_fault_submit(pool, kills_one, &often), HK_OK);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->word[0]) == 2);
    /* Not idempotent: once, whatever is asked for. */
    hkt_fault_ends_by_signal(hkt_fault_submit(pool, hkt_fault_dies, &often), SIGKILL);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == 4);
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

static CU_TestInfo tests[] = {
    HKT_CASE("G01 an idle worker that is killed is replaced, and costs no task",
             idle_worker_killed),
    HKT_CASE("G02 a worker that is killed at work costs the one task", busy_worker_killed),
    HKT_CASE("G03 death before the run costs the one task, which did not run", dies_before_the_run),
    HKT_CASE("G03 death after the run costs the one task", dies_after_the_run),
    HKT_CASE("G03 death after the result costs nothing", dies_after_the_result),
    HKT_CASE("G03 death after the count costs nothing", dies_after_the_count),
    HKT_CASE("G03 death before the first task costs nothing", dies_before_ready),
    HKT_CASE("G04 abort() costs the one task", task_aborts),
    HKT_CASE("G05 a segmentation fault costs the one task", task_segfaults),
    HKT_CASE("G06 a bus error costs the one task", task_gets_a_bus_error),
    HKT_CASE("G07 SIGFPE and SIGILL cost the one task", task_gets_fpe_and_ill),
    HKT_CASE("G08 a stack that overflows costs the one task", task_overflows_its_stack),
    HKT_CASE("G08 so does a small one, of a thread of the task", thread_of_a_task_overflows),
    HKT_CASE("G09 exit() and _exit() cost the one task, also with code 0", task_exits),
    HKT_CASE("G10 a task that gets no memory may say so", task_without_memory),
    HKT_CASE("G11 a limit of processor time costs the one task", task_out_of_processor_time),
    HKT_CASE("G12 an endless loop ends at its time limit", endless_loop),
    HKT_CASE("G23 two workers killed at once cost two tasks", two_workers_killed_at_once),
    HKT_CASE("G23 all workers killed at once cost a task each", all_workers_killed_at_once),
    HKT_CASE("G24 a storm of kills costs one task a kill; chaos.c has the larger one",
             storm_of_kills),
    HKT_CASE("G25 tasks that all crash end in bounded time, with bounded forks",
             every_task_crashes),
    HKT_CASE("G26 a task that killed three workers fails for good", poison_task),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "faults.worker", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
