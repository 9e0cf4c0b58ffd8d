/* SPDX-License-Identifier: MIT */
/*
 * Forks and execs at the wrong moments: in tasks, in callbacks, beside busy pools of all kinds.
 * A child uses everything that it has inherited, and ends in every way.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/process_fixture.h"

/* What a child inherits. */
static struct {
    hk_executor *threads;
    hk_executor *serial;
    hk_executor *processes;
    hk_future *pending;
    hk_promise *promise;
    hk_future *promised;
    hk_queue *queue;
    hk_ring *ring;
    hk_completion *completion;
    hk_map_iterator *map;
    hk_lock lock;
} its;

static hk_status endless(void *state, hk_map_input *input)
{
    static const int number = 3;

    (void)state;
    input->data = &number;
    input->size = sizeof(number);
    return HK_OK;
}

static void *holds_lock(void *arg)
{
    struct hkt_gate *gates = arg;

    HKT_OK(hk_lock_acquire(&its.lock));
    hkt_gate_open(&gates[0]);
    hkt_gate_wait(&gates[1]);
    HKT_OK(hk_lock_release(&its.lock));
    return NULL;
}

static void open_all(void)
{
    memset(&its, 0, sizeof(its));
    its.threads = hkt_pool_create((hk_executor_options){.workers = 3});
    its.processes = hkt_processes((hk_executor_options){.workers = 2});
    HKT_OK_FATAL(hk_serial_create(its.threads, NULL, &its.serial));
    HKT_OK_FATAL(hk_promise_create(&its.promise, &its.promised));
    HKT_OK_FATAL(hk_queue_create(NULL, &its.queue));
    HKT_OK_FATAL(hk_ring_create(NULL, &its.ring));
    HKT_OK_FATAL(hk_completion_create(&its.completion));
    HKT_OK_FATAL(hk_completion_add(its.completion, its.promised, 0));
    HKT_OK_FATAL(hk_submit(its.threads, hkt_sleeps, NULL, 0, NULL, &its.pending));
    HKT_OK_FATAL(hk_submit(its.processes, hkt_sleeps, NULL, 0, NULL, NULL));
    HKT_OK_FATAL(hk_map(its.processes, hkt_square, endless, NULL, NULL, &its.map));
}

static void close_all(void)
{
    hk_map_destroy(its.map);
    HKT_OK(hk_future_cancel(its.pending, HK_CANCEL_REQUEST));
    hk_future_unref(its.pending);
    HKT_OK(hk_promise_set(its.promise, NULL, 0));
    hk_promise_destroy(its.promise);
    hk_future_unref(its.promised);
    hk_completion_destroy(its.completion);
    HKT_OK(hk_queue_destroy(its.queue));
    HKT_OK(hk_ring_destroy(its.ring));
    HKT_OK(hk_executor_destroy(its.serial));
    HKT_OK(hk_executor_shutdown(its.processes, HK_SHUTDOWN_KILL, HK_FOREVER));
    HKT_OK(hk_executor_destroy(its.processes));
    HKT_OK(hk_executor_shutdown(its.threads, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
    HKT_OK(hk_executor_destroy(its.threads));
}

/* --- In the child: 0, or the line of what was not as it should be --- */

#define WANT(call, status)                                                                         \
    if ((call) != (status)) {                                                                      \
        return __LINE__;                                                                           \
    }

static int use_executor(hk_executor *executor)
{
    hk_executor_statistics statistics;
    hk_map_iterator *map = NULL;
    hk_buffer *buffer = NULL;
    hk_range range;

    WANT(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_EFORKED)
    WANT(hk_submit(executor, hkt_echo, "0123456789", 10, &(hk_submit_options){.timeout = 1}, NULL),
         HK_EFORKED)
    WANT(hk_submit_many(executor, hkt_nothing, "xy", 2, 1, NULL, NULL, NULL), HK_EFORKED)
    WANT(hk_executor_stats(executor, &statistics), HK_EFORKED)
    WANT(hk_executor_resize(executor, 1), HK_EFORKED)
    WANT(hk_executor_restart_workers(executor), HK_EFORKED)
    WANT(hk_executor_prestart(executor, HK_FOREVER), HK_EFORKED)
    WANT(hk_buffer_create(executor, 8, &buffer), HK_EFORKED)
    WANT(hk_map(executor, hkt_nothing, endless, NULL, NULL, &map), HK_EFORKED)
    WANT(hk_range_begin(&range, executor, 0, 9, NULL, NULL, NULL), HK_EINVAL)
    WANT(hk_executor_shutdown(executor, HK_SHUTDOWN_KILL, HK_FOREVER), HK_EFORKED)
    WANT(hk_executor_destroy(executor), HK_EFORKED)
    return 0;
}

static int use_rest(void)
{
    hk_future *future = NULL;
    hk_map_item map_item;
    void *item = NULL;
    int fd = -1;

    WANT(hk_future_wait(its.pending, HK_FOREVER), HK_EFORKED)
    WANT(hk_future_cancel(its.pending, HK_CANCEL_KILL), HK_EFORKED)
    WANT(hk_future_fd(its.pending, &fd), HK_EFORKED)
    WANT(hk_wait(&its.pending, 1, HK_FIRST_ERROR, HK_FOREVER, NULL, NULL), HK_EFORKED)
    WANT(hk_when_all(&its.pending, 1, &future), HK_EFORKED)
    WANT(hk_within(its.pending, HK_SEC(1), &future), HK_EFORKED)
    WANT(hk_promise_set(its.promise, NULL, 0), HK_EFORKED)
    WANT(hk_promise_start(its.promise), HK_EFORKED)
    WANT(hk_completion_next(its.completion, HK_FOREVER, NULL, NULL), HK_EFORKED)
    WANT(hk_completion_add(its.completion, its.pending, 1), HK_EFORKED)
    WANT(hk_map_next(its.map, HK_FOREVER, &map_item), HK_EFORKED)
    WANT(hk_queue_put(its.queue, &its, HK_FOREVER), HK_EFORKED)
    WANT(hk_queue_get(its.queue, HK_FOREVER, &item), HK_EFORKED)
    WANT(hk_queue_close(its.queue), HK_EFORKED)
    WANT(hk_queue_destroy(its.queue), HK_EFORKED)
    WANT(hk_ring_put(its.ring, &its, HK_FOREVER), HK_EFORKED)
    WANT(hk_ring_get(its.ring, HK_FOREVER, &item), HK_EFORKED)
    WANT(hk_ring_destroy(its.ring), HK_EFORKED)
    return 0;
}

/* And what a child has of its own works; with threads, too. */
static int use_own(void)
{
    hk_executor *own = NULL;
    hk_future *future = NULL;

    WANT(hk_executor_open(HKT_CHILDREN_START_THREADS ? "threads:2" : "inline", &own), HK_OK)
    WANT(hk_submit(own, hkt_nothing, NULL, 0, NULL, &future), HK_OK)
    WANT(hk_future_wait(future, HK_FOREVER), HK_OK)
    hk_future_unref(future);
    WANT(hk_executor_destroy(own), HK_OK)
    return 0;
}

enum { ENDS_BY_EXIT, ENDS_AT_ONCE, ENDS_BY_EXEC, WAYS };

/* Everything is cut to a byte: 0 is good. */
static _Noreturn void be_child(int way)
{
    int wrong = use_executor(its.threads);
    char command[32];

    alarm(60);
    wrong = wrong != 0 ? wrong : use_executor(its.serial);
    wrong = wrong != 0 ? wrong : use_executor(its.processes);
    wrong = wrong != 0 ? wrong : use_rest();
    wrong = wrong != 0 || !HKT_ALLOCATOR_SURVIVES_FORK ? wrong : use_own();
    if (wrong != 0) {
        fprintf(stderr, "%s:%d: not so in the child\n", __FILE__, wrong);
    }
    if (way == ENDS_BY_EXIT) {
        exit(wrong != 0);
    }
    snprintf(command, sizeof(command), "exit %d", wrong != 0);
    if (way == ENDS_BY_EXEC) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(wrong != 0);
}

static void fork_children(void)
{
    for (int way = 0; way < WAYS; way++) {
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
            be_child(way);
        }
        HKT_EQ_INT(waitpid(pid, &status, 0), pid);
        HKT_EQ_INT(status, 0);
    }
}

HK_TASK(forks)
{
    fork_children();
    return HK_OK;
}

static void fork_in_callback(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    fork_children();
}

static void forked_by(hk_status (*begin)(hk_future **future))
{
    hk_future *future = NULL;

    open_all();
    HKT_OK_FATAL(begin(&future));
    HKT_OK(hk_future_wait(future, HK_FOREVER));
    hk_future_unref(future);
    close_all();
}

static hk_status task_forks(hk_future **future)
{
    return hk_submit(its.threads, forks, NULL, 0, NULL, future);
}

static hk_status serial_task_forks(hk_future **future)
{
    return hk_submit(its.serial, forks, NULL, 0, NULL, future);
}

/* The second one: waiters may wake before callbacks have run. */
static hk_status callback_forks(hk_future **future)
{
    hk_future *first = NULL;
    struct hkt_gate gate;
    hk_status status;

    hkt_gate_init(&gate, "the callback is there");
    status = hkt_try_pointer(its.threads, hkt_stands_at_gate, &gate, &first);
    status = status == HK_OK ? hk_future_on_done(first, its.serial, fork_in_callback, NULL, NULL)
                             : status;
    hkt_gate_open(&gate);
    HKT_OK(hk_future_wait(first, HK_FOREVER));
    hk_future_unref(first);
    return status == HK_OK ? hk_submit(its.serial, hkt_nothing, NULL, 0, NULL, future) : status;
}

static void a_child_of_a_task_is_refused_everywhere(void)
{
    forked_by(task_forks);
    forked_by(serial_task_forks);
}

static void a_child_of_a_callback_is_refused_everywhere(void)
{
    forked_by(callback_forks);
}

static void a_child_of_a_thread_is_refused_everywhere(void)
{
    struct hkt_gate gates[2];
    pthread_t thread;

    open_all();
    hkt_gate_init(&gates[0], "the lock is held");
    hkt_gate_init(&gates[1], "the lock may go");
    HKT_EQ_INT(pthread_create(&thread, NULL, holds_lock, gates), 0);
    hkt_gate_wait(&gates[0]);
    fork_children();
    hkt_gate_open(&gates[1]);
    pthread_join(thread, NULL);
    HKT_OK(hk_lock_destroy(&its.lock));
    close_all();
}

/* --- exec --- */

/* Descriptors that a program has which this process becomes, but for the standard streams, and
 * for those that were open before the library was used. */
static int inherited_descriptors(void)
{
    int count = 0;

    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);

        count += flags >= 0 && (flags & FD_CLOEXEC) == 0;
    }
    return count;
}

static int before;

static void no_descriptor_is_passed_on(void)
{
    int fd = -1;

    open_all();
    HKT_OK(hk_future_fd(its.pending, &fd));
    HKT_OK(hk_queue_fd(its.queue, &fd));
    HKT_OK(hk_ring_fd(its.ring, &fd));
    HKT_OK(hk_completion_fd(its.completion, &fd));
    HKT_EQ_INT(inherited_descriptors(), before);
    close_all();
}

/* In a worker process: it becomes another program, which must not be taken for the worker. */
HK_TASK(becomes_another)
{
    execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
    return HK_OK;
}

static void a_worker_that_becomes_another_program_is_lost(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    for (int i = 0; i < 3; i++) {
        hk_future *future = NULL;

        HKT_OK_FATAL(hk_submit(pool, becomes_another, NULL, 0, NULL, &future));
        hkt_expect_lost(future, -1, -1);
        hkt_expect_health(pool);
    }
    hkt_processes_end(pool);
}

/* A task of a worker that forks: the child uses the pool of the parent's parent. */
HK_TASK(worker_forks)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        exit(hk_executor_destroy(hk_call_executor(call)) != HK_EFORKED);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        return hk_fail(call, status, "the child of the worker");
    }
    return HK_OK;
}

static void a_worker_may_fork(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, worker_forks, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_OK);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

/* --- What else only worker processes can show --- */

static void absurd_options_are_refused(void)
{
    static const hk_executor_options absurd[] = {
        {.workers = 1025},          {.when_full = HK_FULL_CALLER_RUNS},
        {.kill_grace = -1},         {.kill_grace = INT64_MIN},
        {.start_timeout = -1},      {.start_timeout = INT64_MIN},
        {.memory_bytes = SIZE_MAX}, {.limit_count = 1},
        {.limit_count = SIZE_MAX},
    };

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        hk_executor *pool = NULL;

        HKT_STATUS(hk_process_pool_create(&absurd[i], &pool), HK_EINVAL);
        HKT_EQ_PTR(pool, NULL);
    }
}

static void odd_options_are_borne(void)
{
    static const hk_executor_options odd[] = {
        {.retries = UINT_MAX},     {.tasks_per_worker = UINT_MAX}, {.worker_rss_limit = SIZE_MAX},
        {.kill_grace = INT64_MAX}, {.start_timeout = INT64_MAX},   {.nice_increment = INT_MAX},
        {.max_nesting = UINT_MAX}, {.idle_exit = INT64_MAX},       {.task_timeout = INT64_MAX},
    };

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        hk_executor_options options = odd[i];
        hk_executor *pool;

        options.workers = 1;
        pool = hkt_processes(options);
        hkt_expect_health(pool);
        hkt_processes_end(pool);
    }
}

static void destroy_it(hk_future *future, void *arg)
{
    hk_executor *pool = arg;

    (void)future;
    HKT_STATUS(hk_executor_destroy(pool), HK_EDEADLK);
}

static void a_callback_cannot_destroy_a_pool_of_processes(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *future = hkt_submit_shared(pool, hkt_stands, stand, NULL);

    HKT_OK(hk_future_on_done(future, NULL, destroy_it, pool, NULL));
    hkt_gate_open(&stand->gate);
    hk_future_unref(future);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_processes_end(pool);
}

static CU_TestInfo tests[] = {
    HKT_TEST(absurd_options_are_refused),
    HKT_TEST(odd_options_are_borne),
    HKT_TEST(a_callback_cannot_destroy_a_pool_of_processes),
    HKT_TEST(a_child_of_a_task_is_refused_everywhere),
    HKT_TEST(a_child_of_a_callback_is_refused_everywhere),
    HKT_TEST(a_child_of_a_thread_is_refused_everywhere),
    HKT_TEST(no_descriptor_is_passed_on),
    HKT_TEST(a_worker_that_becomes_another_program_is_lost),
    HKT_TEST(a_worker_may_fork),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "misuse_fork", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    before = inherited_descriptors();
    return hkt_process_main(argc, argv, suites);
}
