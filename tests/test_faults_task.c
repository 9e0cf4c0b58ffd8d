/* SPDX-License-Identifier: MIT */
/*
 * What a task may do to the worker it runs in, cases G13 to G21: the pool, its other workers,
 * and what comes after the task do not suffer.
 */
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "base/time.h"
#include "executors/executor_impl.h"
#include "executors/process_pool/pool.h"
#include "executors/process_pool/worker.h"
#include "tests/fault_fixture.h"
#include "tests/security_fixture.h"

enum { AROUND = 20 };

/* --- G13: a time limit that races with the end --- */

#define RACE_NS HK_US(300)

HK_TASK(runs_up_to_its_limit)
{
    int64_t end_ns = hk_now_ns() + RACE_NS;
    int32_t skew_ns;

    if (in_size != sizeof(skew_ns)) {
        return hk_fail(call, 1, "no number");
    }
    memcpy(&skew_ns, in, sizeof(skew_ns));
    while (hk_now_ns() < end_ns + skew_ns) {
    }
    return hk_return(call, in, in_size);
}

HKT_FAULT_CASE(limit_races_with_end)
{
    enum { ROUNDS = 4000, BATCH = 20, STEP_NS = 2000 };
    const hk_submit_options limited = {.timeout = RACE_NS};
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    unsigned ok = 0;
    unsigned late = 0;

    for (unsigned round = 0; round < ROUNDS / hkt_slowness(); round += BATCH) {
        hk_future *futures[BATCH];
        struct hkt_squares neighbours;

        for (int32_t i = 0; i < BATCH; i++) {
            int32_t skew_ns = (i - BATCH) * STEP_NS;

            HKT_CHILD_STATUS(hk_submit(pool, runs_up_to_its_limit, &skew_ns, sizeof(skew_ns),
                                       &limited, &futures[i]),
                             HK_OK);
        }
        hkt_squares_submit(&neighbours, pool, BATCH);
        for (int32_t i = 0; i < BATCH; i++) {
            hk_status status = hk_future_result(futures[i], HK_FOREVER, NULL, NULL);

            HKT_CHILD_TRUE(status == HK_OK || status == HK_EDEADLINE);
            ok += status == HK_OK;
            late += status == HK_EDEADLINE;
            hk_future_unref(futures[i]);
        }
        hkt_squares_expect(&neighbours);
    }
    HKT_CHILD_TRUE(hkt_fault_stats(pool).failed == late && ok + late != 0);
    hkt_fault_close(pool);
}

/* --- G14, G15: tasks that hear nothing --- */

HK_TASK(ignores_signals)
{
    sigset_t all;

    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_IGN);
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    atomic_fetch_add(&hkt_shared->arrived, 1);
    while (hkt_shared != NULL) {
        (void)pause();
    }
    return HK_OK;
}

HKT_FAULT_CASE(signals_ignored)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1, .kill_grace = HK_MS(5)});
    hk_future *future = hkt_fault_submit(pool, ignores_signals, NULL);

    hkt_fault_await(&hkt_shared->arrived, 1);
    HKT_CHILD_STATUS(hk_future_cancel(future, HK_CANCEL_KILL), HK_OK);
    hkt_fault_ends(future, HK_ECANCELED);
    hkt_fault_works(pool);
    hkt_fault_ends(
        hkt_fault_submit(pool, ignores_signals, &(hk_submit_options){.timeout = HK_MS(10)}),
        HK_EDEADLINE);
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

HK_TASK(stops_itself)
{
    (void)raise(SIGSTOP);
    return HK_OK;
}

HKT_FAULT_CASE(stopped_worker)
{
    const hk_submit_options limited = {.timeout = HK_MS(20)};
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});

    hkt_fault_ends(hkt_fault_submit(pool, stops_itself, &limited), HK_EDEADLINE);
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* --- G16, G17: its own children and threads --- */

HK_TASK(leaves_a_child_and_dies)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (;;) {
            (void)pause();
        }
    }
    atomic_store(&hkt_shared->pid[0], pid);
    abort();
}

HKT_FAULT_CASE(child_of_a_dead_worker)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});

    hkt_fault_ends_by_signal(hkt_fault_submit(pool, leaves_a_child_and_dies, NULL), SIGABRT);
    hkt_fault_await_gone(atomic_load(&hkt_shared->pid[0]));
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

static void *lives_on(void *nothing)
{
    atomic_fetch_add(&hkt_shared->arrived, 1);
    while (hkt_shared != NULL) {
        (void)hki_os_futex_wait_shared(&hkt_shared->gate, 0, HKI_NEVER);
    }
    return nothing;
}

HK_TASK(leaves_threads)
{
    pthread_t thread;

    for (int i = 0; i < 3; i++) {
        HKT_CHILD_TRUE(pthread_create(&thread, NULL, lives_on, NULL) == 0);
        pthread_detach(thread);
    }
    return HK_OK;
}

HKT_FAULT_CASE(threads_left_behind)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});

    hkt_fault_ends(hkt_fault_submit(pool, leaves_threads, NULL), HK_OK);
    hkt_fault_await(&hkt_shared->arrived, 3);
    hkt_fault_works(pool);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 1);
    hkt_fault_close(pool); /* Which does not wait for them. */
}

/* --- G18: descriptors --- */

HK_TASK(closes_everything)
{
    closefrom(STDERR_FILENO + 1);
    return HK_OK;
}

/* The numbers have new owners, who would find a foreign word in their files. */
HK_TASK(closes_and_opens)
{
    closefrom(STDERR_FILENO + 1);
    for (int i = 0; i < 16; i++) {
        HKT_CHILD_TRUE(memfd_create("mine", 0) >= 0);
    }
    return HK_OK;
}

static void count_end(hk_future *future, void *arg)
{
    HKT_CHILD_TRUE(hk_future_state(future) == HK_DONE);
    atomic_fetch_add((_Atomic(uint32_t) *)arg, 1);
}

/* Nobody waits for it: only the worker could ring. */
static void ends_unwaited(hk_executor *pool, const hk_task *task, _Atomic(uint32_t) *ended)
{
    uint32_t before = atomic_load(ended);
    hk_future *future = hkt_fault_submit(pool, task, NULL);

    HKT_CHILD_STATUS(hk_future_on_done(future, NULL, count_end, (void *)ended, NULL), HK_OK);
    hkt_fault_await(ended, before + 1);
    hk_future_unref(future);
}

HKT_FAULT_CASE(descriptors_closed)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});

    hkt_fault_ends(hkt_fault_submit(pool, closes_everything, NULL), HK_OK);
    hkt_fault_works(pool);
    for (int i = 0; i < 5; i++) {
        ends_unwaited(pool, closes_everything, &hkt_shared->word[0]);
        ends_unwaited(pool, hkt_fault_counts, &hkt_shared->word[0]);
        ends_unwaited(pool, closes_and_opens, &hkt_shared->word[0]);
        ends_unwaited(pool, hkt_fault_counts, &hkt_shared->word[0]);
    }
    hkt_fault_works(pool);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).failed == 0);
    hkt_fault_close(pool);
}

/* --- G19: wild writes --- */

/* The bytes of its input: where to write, and what. */
struct scribble {
    unsigned char *at;
    size_t size;
    uint32_t seed;
};

HK_TASK(scribbles)
{
    struct scribble scribble;

    memcpy(&scribble, in, sizeof(scribble));
    for (size_t i = 0; i < scribble.size; i++) {
        scribble.seed = scribble.seed * 1664525U + 1013904223U;
        scribble.at[i] = (unsigned char)(scribble.seed >> 24);
    }
    return HK_OK;
}

/* On the worker's whole channel, or from its word `done` on; then on the neighbour's. */
HKT_FAULT_CASE(wild_writes)
{
    enum { ROUNDS = 12 };
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    struct process_pool *inside = pool->self;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct hki_channel *channel = inside->seats[round % 2].channel;
        struct scribble scribble = {(unsigned char *)channel, sizeof(*channel), round};
        struct hkt_squares squares;
        hk_future *held = hkt_fault_stand(pool, NULL);
        hk_future *future;
        hk_status status;

        if (round % 3 == 1) {
            scribble.at += offsetof(struct hki_channel, done);
            scribble.size = sizeof(uint32_t);
        } else if (round % 3 == 2) {
            scribble.at += offsetof(struct hki_channel, cells);
            scribble.size = sizeof(channel->cells);
        }
        HKT_CHILD_STATUS(hk_submit(pool, scribbles, &scribble, sizeof(scribble), NULL, &future),
                         HK_OK);
        status = hk_future_result(future, HK_FOREVER, NULL, NULL);
        /* The neighbour's channel is out of reach, and a number that was overwritten may be
         * mended by the very next write. */
        HKT_CHILD_TRUE(status == HK_EWORKER || (round % 3 == 1 && status == HK_OK));
        hk_future_unref(future);
        hkt_fault_open_gate();
        hkt_fault_ends(held, HK_OK); /* The other worker does not suffer. */
        atomic_store(&hkt_shared->gate, 0);
        hkt_squares_submit(&squares, pool, AROUND);
        hkt_squares_expect(&squares);
    }
    hkt_fault_close(pool);
}

/* --- G20: ways out --- */

HK_TASK(ends_its_thread)
{
    pthread_exit(NULL);
}

static jmp_buf way_out;

HK_TASK(jumps_out)
{
    /* Of a frame that is gone: what happens then is the worker's matter alone. */
    if (atomic_fetch_add(&hkt_shared->runs, 1) == 0) {
        if (setjmp(way_out) == 0) {
            return HK_OK;
        }
        _exit(44);
    }
    longjmp(way_out, 1);
}

HKT_FAULT_CASE(ways_out)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future;

    hkt_fault_ends_by_exit(hkt_fault_submit(pool, ends_its_thread, NULL), HKI_WORKER_EXIT_THREAD);
    hkt_fault_works(pool);
    hkt_fault_ends(hkt_fault_submit(pool, jumps_out, NULL), HK_OK);
    future = hkt_fault_submit(pool, jumps_out, NULL);
    HKT_CHILD_TRUE(hk_future_result(future, HK_FOREVER, NULL, NULL) == HK_EWORKER);
    hk_future_unref(future);
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* --- G21: what belongs to the process --- */

HK_TASK(changes_its_process)
{
    sigset_t all;

    HKT_CHILD_TRUE(chdir("/") == 0);
    (void)umask(0123);
    (void)setlocale(LC_ALL, "C.UTF-8");
    (void)setenv("HOCKET_TEST_CHANGED", "1", 1);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return HK_OK;
}

/* -> whether it sees the changes of the one before. */
HK_TASK(sees_its_process)
{
    char path[4096];
    mode_t mask = umask(0);
    int changes = 0;

    (void)umask(mask);
    changes += getcwd(path, sizeof(path)) != NULL && strcmp(path, "/") == 0 ? 1 : 0;
    changes += mask == 0123 ? 1 : 0;
    changes += getenv("HOCKET_TEST_CHANGED") != NULL ? 1 : 0;
    return hk_return(call, &changes, sizeof(changes));
}

HKT_FAULT_CASE(process_changed)
{
    hk_executor *pool;

    HKT_CHILD_TRUE(chdir("/proc") == 0);
    pool = hkt_fault_pool((hk_executor_options){.workers = 1, .tasks_per_worker = 3});
    hkt_fault_ends(hkt_fault_submit(pool, changes_its_process, NULL), HK_OK);
    HKT_CHILD_TRUE(hkt_fault_int(hkt_fault_submit(pool, sees_its_process, NULL)) == 3);
    HKT_CHILD_TRUE(hkt_fault_int(hkt_fault_submit(pool, sees_its_process, NULL)) == 3);
    /* The next one is a new process. */
    HKT_CHILD_TRUE(hkt_fault_int(hkt_fault_submit(pool, sees_its_process, NULL)) == 0);
    hkt_fault_close(pool);
}

/* --- Its end by force, while its worker dies --- */

/* Its worker dies while its future has been ended by force, and nobody has looked for it yet: it
 * comes back, for it may be tried again. The next worker is not there before it has been found. */
static void comes_back_meanwhile(hk_executor *pool, int32_t pid)
{
    while (hki_fault_passes("before_force", HKI_FAULT_PARENT) == 0) {
        (void)sched_yield();
    }
    HKT_CHILD_TRUE(hki_fault_set("before_ready", 0, 1, HKI_FAULT_HOLDS));
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    hkt_fault_reaches(pool, hkt_started, 2);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).queued == 1);
    hki_fault_release("before_force", HKI_FAULT_PARENT);
}

static void is_found(hk_executor *pool, hk_future *future, hk_status status)
{
    hkt_fault_ends(future, status);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).queued == 0);
    hki_fault_release("before_ready", 0);
    hkt_fault_works(pool);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->arrived) == 1);
    hkt_fault_close(pool);
}

static hk_future *stand_again(hk_executor *pool, hk_duration timeout, int32_t *pid)
{
    const hk_submit_options again = {.retries = 1, .timeout = timeout};
    hk_future *future = hkt_fault_submit(pool, hkt_fault_stands, &again);

    hkt_fault_await(&hkt_shared->arrived, 1);
    *pid = atomic_load(&hkt_shared->pid[0]);
    return future;
}

HKT_FAULT_CASE(overrun_comes_back)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future;
    int32_t pid;

    hkt_fault_works(pool);
    HKT_CHILD_TRUE(hki_fault_set("before_force", HKI_FAULT_PARENT, 1, HKI_FAULT_HOLDS));
    future = stand_again(pool, HK_MS(20), &pid);
    comes_back_meanwhile(pool, pid);
    is_found(pool, future, HK_EDEADLINE);
}

static void *kills(void *future)
{
    HKT_CHILD_STATUS(hk_future_cancel(future, HK_CANCEL_KILL), HK_OK);
    return NULL;
}

HKT_FAULT_CASE(killed_comes_back)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future;
    pthread_t thread;
    int32_t pid;

    hkt_fault_works(pool);
    HKT_CHILD_TRUE(hki_fault_set("before_force", HKI_FAULT_PARENT, 1, HKI_FAULT_HOLDS));
    future = stand_again(pool, 0, &pid);
    HKT_CHILD_TRUE(pthread_create(&thread, NULL, kills, future) == 0);
    comes_back_meanwhile(pool, pid);
    HKT_CHILD_TRUE(pthread_join(thread, NULL) == 0);
    is_found(pool, future, HK_ECANCELED);
}

/* --- Its beginning denied, after its end by force --- */

/* Out of time, it looks as if it had not begun. */
static void deny_the_beginning(void)
{
    HKT_CHILD_TRUE(hkt_deny_beginning());
    atomic_fetch_add(&hkt_shared->arrived, 1);
}

HK_TASK(denies_its_beginning_and_exits)
{
    deny_the_beginning();
    _exit(0);
}

HK_TASK(denies_its_beginning_and_stands)
{
    deny_the_beginning();
    while (atomic_load(&hkt_shared->gate) == 0) {
        (void)sched_yield();
    }
    _exit(0);
}

/* Its input is a buffer of the pool's, which is counted until it is dropped. */
static hk_executor *run_a_denier(const hk_task *task)
{
    hk_executor *pool =
        hkt_fault_pool((hk_executor_options){.workers = 1, .kill_grace = HK_MS(60000)});
    const hk_submit_options limited = {.timeout = HK_MS(20)};
    hk_buffer *buffer = NULL;
    hk_future *future = NULL;

    HKT_CHILD_STATUS(hk_buffer_create(pool, 1 << 20, &buffer), HK_OK);
    HKT_CHILD_STATUS(hk_submit_buffer(pool, task, buffer, &limited, &future), HK_OK);
    hkt_fault_ends(future, HK_EDEADLINE);
    hkt_fault_await(&hkt_shared->arrived, 1);
    return pool;
}

HKT_FAULT_CASE(denier_that_dies)
{
    hk_executor *pool = run_a_denier(denies_its_beginning_and_exits);

    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(denier_that_is_taken_back)
{
    hk_executor *pool = run_a_denier(denies_its_beginning_and_stands);

    (void)hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).straggling == 0);
    hkt_fault_open_gate();
    hkt_fault_close(pool);
}

static CU_TestInfo tests[] = {
    HKT_CASE("G13 a time limit that races with the end gives the one or the other, and harms "
             "nobody else",
             limit_races_with_end),
    HKT_CASE("G14 a task that ignores every signal is killed all the same", signals_ignored),
    HKT_CASE("G15 a stopped worker is killed at the time limit", stopped_worker),
    HKT_CASE("G16 a task's child goes with its worker", child_of_a_dead_worker),
    HKT_CASE("G17 threads of a task that has returned keep nobody", threads_left_behind),
    HKT_CASE("G18 a task may close all descriptors, and open others", descriptors_closed),
    HKT_CASE("G19 random bytes over a channel cost its worker alone", wild_writes),
    HKT_CASE("G20 pthread_exit() and longjmp() out of a task cost the one task", ways_out),
    HKT_CASE("G21 what a task changes of its process stays until the worker retires",
             process_changed),
    HKT_CASE("one that overran and comes back from a dead worker is not tried again",
             overrun_comes_back),
    HKT_CASE("nor is one that is killed", killed_comes_back),
    HKT_CASE("one that denies its beginning after its end leaves no input", denier_that_dies),
    HKT_CASE("nor when it is taken back", denier_that_is_taken_back),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "faults.task", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
