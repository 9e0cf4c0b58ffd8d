/* SPDX-License-Identifier: MIT */
/*
 * What may happen to the application around its pool, cases G30 to G43: nobody is left behind,
 * nothing hangs, and what the pool cannot have it says.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "tests/fault_fixture.h"

enum { AROUND = 20 };

/* --- G30, G31, G33: the application's end --- */

HK_TASK(ignores_everything)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_IGN);
    }
    atomic_fetch_add(&hkt_shared->arrived, 1);
    while (hkt_shared != NULL) {
        (void)pause();
    }
    return HK_OK;
}

static hk_executor *busy_pool(void)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 3});

    hk_future_unref(hkt_fault_submit(pool, ignores_everything, NULL));
    hk_future_unref(hkt_fault_submit(pool, hkt_fault_loops, NULL));
    hk_future_unref(hkt_fault_submit(pool, hkt_fault_stands, NULL));
    hkt_fault_await(&hkt_shared->arrived, 3);
    return pool;
}

static void is_killed(void)
{
    (void)busy_pool();
    (void)raise(SIGKILL);
}

static void application_killed(void)
{
    hkt_fault_run_to_end(is_killed, SIGKILL, 0);
}

static void just_exits(void)
{
    (void)busy_pool();
    exit(7);
}

static void application_exits(void)
{
    hkt_fault_run_to_end(just_exits, 0, 7);
}

static void execs(void)
{
    (void)busy_pool();
    execl("/bin/sh", "sh", "-c", "exit 9", (char *)NULL);
}

static void application_execs(void)
{
    hkt_fault_run_to_end(execs, 0, 9);
}

/* --- G32: fork() with a live pool --- */

static void uses_parents_pool(hk_executor *pool, hk_future *future)
{
    hk_future *another = NULL;
    hk_executor *own = NULL;
    int n = 3;

    HKT_CHILD_STATUS(hk_submit(pool, hkt_square, &n, sizeof(n), NULL, &another), HK_EFORKED);
    HKT_CHILD_TRUE(another == NULL);
    HKT_CHILD_STATUS(hk_future_wait(future, HK_FOREVER), HK_EFORKED);
    HKT_CHILD_STATUS(hk_future_cancel(future, HK_CANCEL_KILL), HK_EFORKED);
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER), HK_EFORKED);
    HKT_CHILD_STATUS(hk_executor_destroy(pool), HK_EFORKED);
    hk_future_unref(future);
    if (HKT_CHILDREN_START_THREADS) {
        /* One of its own it may have: it has one thread. */
        HKT_CHILD_STATUS(hk_process_pool_create(&(hk_executor_options){.workers = 1}, &own), HK_OK);
        hkt_fault_works(own);
        hkt_fault_close(own);
    }
}

HKT_FAULT_CASE(application_forks)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hk_future *future = hkt_fault_stand(pool, NULL);
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        uses_parents_pool(pool, future);
        exit(5);
    }
    HKT_CHILD_TRUE(pid > 0 && waitpid(pid, &status, 0) == pid);
    HKT_CHILD_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    hkt_fault_works(pool);
    hkt_fault_open_gate();
    hkt_fault_ends(future, HK_OK);
    hkt_fault_close(pool);
}

/* --- G34: the thread that made the pool ends --- */

static void *makes_pool(void *out)
{
    hk_executor **pool = out;

    *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hkt_fault_works(*pool);
    return NULL;
}

HKT_FAULT_CASE(creating_thread_ends)
{
    hk_executor *pool = NULL;
    struct hkt_squares squares;
    pthread_t thread;
    int32_t pid;

    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    HKT_CHILD_TRUE(pthread_create(&thread, NULL, makes_pool, &pool) == 0);
    pthread_join(thread, NULL);
    pid = hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL));
    hkt_squares_submit(&squares, pool, AROUND);
    hkt_squares_expect(&squares);
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    hkt_squares_submit(&squares, pool, AROUND);
    hkt_squares_expect(&squares);
    hkt_fault_close(pool);
}

/* --- G35: SIGCHLD is the application's --- */

static volatile sig_atomic_t reaped;

static void reaps_everybody(int number)
{
    int error = errno;

    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        reaped++;
    }
    errno = error;
}

static void works_with_signal(const struct sigaction *action)
{
    struct hkt_squares squares;
    hk_future *future = NULL;
    hk_executor *pool;
    int32_t pid;

    HKT_CHILD_TRUE(sigaction(SIGCHLD, action, NULL) == 0);
    pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    for (int i = 0; i < 5; i++) {
        pid = hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL));
        HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
        hkt_squares_submit(&squares, pool, AROUND);
        for (int n = 0; n < AROUND; n++) { /* One of them may have had that worker. */
            hk_status status = hk_future_result(squares.futures[n], HK_FOREVER, NULL, NULL);

            HKT_CHILD_TRUE(status == HK_OK || status == HK_EWORKER);
            hk_future_unref(squares.futures[n]);
        }
    }
    HKT_CHILD_TRUE(reaped == 0); /* Of workers it hears nothing. */
    hkt_fault_works(pool);
    hkt_fault_close(pool);
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGKILL) == 0);
    if (hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, &future) == HK_OK) { /* Not heard yet. */
        HKT_CHILD_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
        hk_future_unref(future);
    }
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(foreign_sigchld)
{
    works_with_signal(&(struct sigaction){.sa_handler = reaps_everybody});
}

HKT_FAULT_CASE(ignored_sigchld)
{
    works_with_signal(&(struct sigaction){.sa_handler = SIG_IGN});
}

HKT_FAULT_CASE(sigchld_without_zombies)
{
    works_with_signal(&(struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT});
}

/* --- G36, G37: descriptors --- */

HKT_FAULT_CASE(descriptors_closed)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hk_future *future = hkt_fault_stand(pool, NULL);
    struct hkt_squares squares;

    hkt_squares_submit(&squares, pool, AROUND);
    closefrom(STDERR_FILENO + 1);
    for (int i = 0; i < AROUND; i++) {
        hk_status status = hk_future_result(squares.futures[i], HK_FOREVER, NULL, NULL);

        HKT_CHILD_TRUE(status == HK_OK || status == HK_EBROKEN || status == HK_EWORKER);
        hk_future_unref(squares.futures[i]);
    }
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER), HK_OK);
    HKT_CHILD_TRUE(hk_future_has_ended(future));
    hk_future_unref(future);
    hkt_fault_close(pool);
}

static int lowest_descriptor(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

/* Takes all descriptors up to the limit, and gives them back. */
struct taken {
    int fds[256];
    int count;
};

static void take_descriptors(struct taken *taken)
{
    struct rlimit limit;

    HKT_CHILD_TRUE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 128;
    HKT_CHILD_TRUE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    taken->count = 0;
    while ((taken->fds[taken->count] = dup(STDERR_FILENO)) >= 0) {
        taken->count++;
    }
}

static void give_back(struct taken *taken, int left)
{
    while (taken->count > left) {
        close(taken->fds[--taken->count]);
    }
}

HKT_FAULT_CASE(no_descriptor_at_create)
{
    hk_executor *pool = NULL;
    struct taken taken;
    int lowest;

    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    lowest = lowest_descriptor();
    take_descriptors(&taken);
    /* With each one more there is something else that it lacks. */
    for (int room = 0; room < 6; room++) {
        hk_status status;

        give_back(&taken, taken.count - room);
        status = hk_process_pool_create(&(hk_executor_options){.workers = 1}, &pool);
        HKT_CHILD_TRUE(status == HK_OK || (status == HK_ESYS && errno == EMFILE && pool == NULL));
        if (status == HK_OK) {
            hkt_fault_close(pool);
            pool = NULL;
        }
        while ((taken.fds[taken.count] = dup(STDERR_FILENO)) >= 0) {
            taken.count++;
        }
    }
    give_back(&taken, 0);
    HKT_CHILD_TRUE(lowest_descriptor() == lowest);
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(no_descriptor_at_respawn)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future;
    struct taken taken;
    int32_t pid;

    future = hkt_fault_stand(pool, &pid);
    take_descriptors(&taken);
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    hkt_fault_ends_by_signal(future, SIGKILL);
    while ((taken.fds[taken.count] = dup(STDERR_FILENO)) >= 0) {
        taken.count++; /* Those of the dead worker. */
    }
    future = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    HKT_CHILD_STATUS(hk_future_wait(future, HK_MS(20)), HK_ETIMEDOUT);
    give_back(&taken, 0);
    hkt_fault_ends(future, HK_OK);
    hkt_fault_close(pool);
}

/* --- G38, G39: memory --- */

/* Creating fails at this point, then succeeds. */
static void fails_at(const char *point, int32_t who, hk_status status)
{
    hk_executor *pool = NULL;
    int lowest;

    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    lowest = lowest_descriptor();
    HKT_CHILD_TRUE(hki_fault_set(point, who, 1, HKI_FAULT_FAILS));
    HKT_CHILD_STATUS(hk_process_pool_create(&(hk_executor_options){.workers = 1}, &pool), status);
    HKT_CHILD_TRUE(pool == NULL && hki_fault_passes(point, who) == 1);
    HKT_CHILD_TRUE(lowest_descriptor() == lowest);
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(memory_refused)
{
    fails_at("memfd_fails", HKI_FAULT_PARENT, HK_ESYS);
    fails_at("allocate_fails", HKI_FAULT_PARENT, HK_ENOMEM);
    fails_at("map_fails", HKI_FAULT_PARENT, HK_ENOMEM);
    fails_at("zygote_map_fails", HKI_FAULT_ZYGOTE, HK_ENOMEM);
    fails_at("register_fails", HKI_FAULT_PARENT, HK_ESYS);
    fails_at("supervisor_fails", HKI_FAULT_PARENT, HK_ESYS);
}

HKT_FAULT_CASE(zygote_refused)
{
    hk_executor *pool = NULL;

    HKT_CHILD_TRUE(hki_fault_set("zygote_fails", HKI_FAULT_PARENT, 1, HKI_FAULT_FAILS));
    HKT_CHILD_STATUS(hk_process_pool_create(NULL, &pool), HK_ESYS);
    HKT_CHILD_TRUE(pool == NULL && errno == EAGAIN);
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* With the default action for SIGXFSZ, which would end the process. */
HKT_FAULT_CASE(files_are_limited)
{
    const struct rlimit little = {1 << 20, RLIM_INFINITY};
    const struct rlimit enough = {RLIM_INFINITY, RLIM_INFINITY};
    hk_executor *pool = NULL;

    HKT_CHILD_TRUE(setrlimit(RLIMIT_FSIZE, &little) == 0);
    HKT_CHILD_STATUS(hk_process_pool_create(NULL, &pool), HK_ENOMEM);
    HKT_CHILD_TRUE(pool == NULL);
    HKT_CHILD_TRUE(setrlimit(RLIMIT_FSIZE, &enough) == 0);
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* --- G40: threads --- */

static void *stands(void *gate)
{
    hkt_gate_wait(gate);
    return NULL;
}

HKT_FAULT_CASE(threads_before_the_zygote)
{
    hk_executor *pool = NULL;
    struct hkt_gate gate;
    pthread_t thread;

    hkt_gate_init(&gate, "the other thread may end");
    HKT_CHILD_TRUE(pthread_create(&thread, NULL, stands, &gate) == 0);
    HKT_CHILD_STATUS(hk_process_pool_create(NULL, &pool), HK_ETHREADS);
    HKT_CHILD_STATUS(hk_zygote_start(), HK_ETHREADS);
    HKT_CHILD_TRUE(pool == NULL);
    hkt_gate_open(&gate);
    pthread_join(thread, NULL);
    hkt_gate_fini(&gate);
    while (hk_zygote_start() == HK_ETHREADS) { /* Joined, but not gone for the kernel. */
    }
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* --- G41 to G43: signals --- */

HKT_FAULT_CASE(interrupt_of_the_group)
{
    hk_executor *pool;
    hk_future *futures[2];

    HKT_CHILD_TRUE(setpgid(0, 0) == 0);
    pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    futures[0] = hkt_fault_stand(pool, NULL);
    futures[1] = hkt_fault_stand(pool, NULL);
    HKT_CHILD_TRUE(signal(SIGINT, SIG_IGN) != SIG_ERR && signal(SIGHUP, SIG_IGN) != SIG_ERR);
    HKT_CHILD_TRUE(kill(0, SIGINT) == 0 && kill(0, SIGHUP) == 0);
    hkt_fault_open_gate();
    hkt_fault_ends(futures[0], HK_OK);
    hkt_fault_ends(futures[1], HK_OK);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 2);
    hkt_fault_close(pool);
}

/* Stops the group, sees that it is stopped, and lets it go on. */
static _Noreturn void stops_group(pid_t application)
{
    setpgid(0, 0);
    HKT_CHILD_TRUE(kill(-application, SIGSTOP) == 0);
    while (hkt_process_state(application) != 'T') {
    }
    HKT_CHILD_TRUE(kill(-application, SIGCONT) == 0);
    _exit(0);
}

HKT_FAULT_CASE(stop_and_continue)
{
    hk_executor *pool;

    HKT_CHILD_TRUE(setpgid(0, 0) == 0);
    pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    for (int i = 0; i < 5; i++) {
        struct hkt_squares squares;
        pid_t application = getpid();
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
            stops_group(application);
        }
        hkt_squares_submit(&squares, pool, AROUND);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        HKT_CHILD_TRUE(status == 0);
        hkt_squares_expect(&squares);
    }
    hkt_fault_close(pool);
}

static volatile sig_atomic_t interrupted;

static void interrupts(int number)
{
    (void)number;
    interrupted++;
}

HKT_FAULT_CASE(storm_of_signals)
{
    enum { ROUNDS = 20 };
    const struct itimerspec often = {{0, 200000}, {0, 200000}};
    const struct itimerspec never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = interrupts}; /* Without SA_RESTART. */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t timer;

    HKT_CHILD_TRUE(sigaction(SIGUSR1, &action, NULL) == 0);
    HKT_CHILD_TRUE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    for (int round = 0; round < ROUNDS || interrupted < ROUNDS; round++) {
        hk_executor *pool;
        struct hkt_squares squares;
        hk_future *future;
        int32_t pid;

        HKT_CHILD_TRUE(timer_settime(timer, 0, &often, NULL) == 0);
        pool = hkt_fault_pool((hk_executor_options){.workers = 2});
        hkt_squares_submit(&squares, pool, AROUND);
        hkt_squares_expect(&squares);
        atomic_store(&hkt_shared->gate, 0);
        future = hkt_fault_stand(pool, &pid);
        HKT_CHILD_STATUS(hk_future_wait(future, HK_MS(1)), HK_ETIMEDOUT);
        HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
        hkt_fault_ends_by_signal(future, SIGKILL);
        hkt_fault_close(pool);
        HKT_CHILD_TRUE(timer_settime(timer, 0, &never, NULL) == 0);
    }
    timer_delete(timer);
}

static CU_TestInfo tests[] = {
    HKT_CASE("G30 an application that is killed leaves no process", application_killed),
    HKT_CASE("G31 an application that exits without a shutdown leaves no process",
             application_exits),
    HKT_CASE("G32 a forked child is refused the pool, and harms it in no way", application_forks),
    HKT_CASE("G33 exec() ends the zygote and the workers", application_execs),
    HKT_CASE("G34 the thread that made the pool may end", creating_thread_ends),
    HKT_CASE("G35 a handler that waits for every child hears of no worker", foreign_sigchld),
    HKT_CASE("G35 SIGCHLD may be ignored", ignored_sigchld),
    HKT_CASE("G35 SA_NOCLDWAIT may be set", sigchld_without_zombies),
    HKT_CASE("G36 descriptors closed by the application break the pool, and hang nobody",
             descriptors_closed),
    HKT_CASE("G37 creating without descriptors is refused, and works later",
             no_descriptor_at_create),
    HKT_CASE("G37 replacing a worker without descriptors is tried again", no_descriptor_at_respawn),
    HKT_CASE("G38 refused memory refuses the pool, with nothing left over", memory_refused),
    HKT_CASE("G38 so does a refused process", zygote_refused),
    HKT_CASE("G39 a limit on files is no memory, and no SIGXFSZ", files_are_limited),
    HKT_CASE("G40 a process with threads cannot begin", threads_before_the_zygote),
    HKT_CASE("G41 signals to the process group do not reach workers", interrupt_of_the_group),
    HKT_CASE("G42 stop and continue of the group lose nothing; a real terminal is not tried",
             stop_and_continue),
    HKT_CASE("G43 a storm of signals without SA_RESTART interrupts nothing", storm_of_signals),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "faults.parent", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
