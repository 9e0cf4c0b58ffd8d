/* SPDX-License-Identifier: MIT */
/* How a worker process begins and ends: set-up, retirement, crashes, ways out of a task. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/packed_error.h"
#include "tests/worker_fixture.h"

/* What processes let each other know. */
struct shared {
    atomic_int initialised;
    atomic_int finished;
    atomic_int at_exit;
    atomic_int ran;
};

static struct shared *shared;
static struct hkt_worker worker;

static void set_up(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    HKT_TRUE_FATAL(shared != MAP_FAILED);
}

static void tear_down(void)
{
    munmap(shared, sizeof(*shared));
    shared = NULL;
    hki_fault_clear();
}

/* --- Tasks that do not come back --- */

static volatile uintptr_t somewhere = 0x1230;

HK_TASK(touches_nothing)
{
    *(volatile int *)somewhere = 1;
    return HK_OK;
}

HK_TASK(jumps_away)
{
    ((void (*)(void))somewhere)();
    return HK_OK;
}

HK_TASK(divides_by_zero)
{
    (void)raise(SIGFPE);
    return HK_OK;
}

HK_TASK(aborts)
{
    abort();
}

HK_TASK(uses_all_time)
{
    (void)raise(SIGXCPU);
    return HK_OK;
}

static volatile int depth_max = INT_MAX;
static volatile int depth;

__attribute__((noinline)) static int goes_deeper(volatile char *above)
{
    volatile char here[4096];

    here[0] = above == NULL ? 0 : above[0];
    return depth++ == depth_max ? 0 : goes_deeper(here) + here[0];
}

HK_TASK(overflows)
{
    return goes_deeper(NULL) == 0 ? HK_OK : HK_EFAILED;
}

HK_TASK(exits_with_3)
{
    printf("last words");
    exit(3);
}

HK_TASK(ends_its_thread)
{
    pthread_exit(NULL);
}

HK_TASK(comes_back_twice)
{
    (void)fork();
    return HK_OK;
}

/* A child of the task that crashes is no crash of the worker. */
HK_TASK(has_a_child_that_crashes)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        abort();
    }
    HKT_CHILD_TRUE(waitpid(pid, &status, 0) == pid);
    HKT_CHILD_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    return HK_OK;
}

HK_TASK(counts_runs)
{
    atomic_fetch_add(&shared->ran, 1);
    return HK_OK;
}

HK_TASK(says_environment)
{
    const char *value = getenv("HOCKET_TEST_PLAYED");

    return getenv("HOCKET_TEST_REMOVED") == NULL && value != NULL
               ? hk_return(call, value, strlen(value))
               : hk_fail(call, 1, "another environment");
}

HK_TASK(says_limit)
{
    struct rlimit limit;

    HKT_CHILD_TRUE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return hk_return(call, &limit.rlim_cur, sizeof(limit.rlim_cur));
}

HK_TASK(scribbles_on_the_page)
{
    memset(worker.page, 0xff, sizeof(*worker.page));
    return HK_OK;
}

/* --- Crashes --- */

static int run_to_death(const hk_task *task)
{
    hkt_worker_open(&worker);
    (void)hkt_worker_push(&worker, &(struct hkt_request){.task = task});
    return hkt_worker_await_death(&worker);
}

/* Dies by the signal, has said so, and the request is still RUNNING. */
static void expect_crash(const hk_task *task, int number)
{
    int status = run_to_death(task);
    const struct hki_crash *crash = &worker.channel->crash;

    HKT_TRUE(WIFSIGNALED(status));
    HKT_EQ_INT(WTERMSIG(status), number);
    HKT_EQ_INT(crash->said, 1);
    HKT_EQ_INT(crash->signal, number);
    HKT_EQ_INT(hkt_worker_cell(&worker, 0)->state, hki_cell_word(0, HKI_CELL_RUNNING));
    HKT_EQ_INT(atomic_load(&worker.channel->done), 0);
}

/* Whether one of the frames lies in the task. The walk of a sanitizer's build is the same. */
static bool names_task(const hk_task *task)
{
    const struct hki_crash *crash = &worker.channel->crash;
    uintptr_t begin = (uintptr_t)task->run;

    for (uint32_t i = 0; i < crash->frames; i++) {
        if ((uintptr_t)crash->frame[i] - begin < 512) {
            return true;
        }
    }
    return false;
}

static void a_wild_access_is_told(void)
{
    expect_crash(touches_nothing, SIGSEGV);
    HKT_EQ_INT(worker.channel->crash.address, somewhere);
    HKT_EQ_INT(worker.channel->crash.code, SEGV_MAPERR);
    HKT_TRUE_FATAL(worker.channel->crash.frames > 0);
    /* The innermost is where it happened, not the handler. */
    HKT_TRUE((uintptr_t)worker.channel->crash.frame[0] - (uintptr_t)touches_nothing->run < 512);
    hkt_worker_free(&worker);
}

static void a_wild_jump_is_told(void)
{
    expect_crash(jumps_away, SIGSEGV);
    HKT_EQ_INT(worker.channel->crash.address, somewhere);
    HKT_EQ_INT(worker.channel->crash.frames, 2);
    HKT_EQ_PTR(worker.channel->crash.frame[0], (void *)somewhere);
    HKT_TRUE(names_task(jumps_away));
    hkt_worker_free(&worker);
}

static void an_overflow_of_the_stack_is_told(void)
{
    expect_crash(overflows, SIGSEGV);
    HKT_EQ_INT(worker.channel->crash.frames, HKI_FRAMES_MAX);
    HKT_TRUE(worker.channel->crash.address != 0);
    hkt_worker_free(&worker);
}

static void other_signals_are_told(void)
{
    static const struct {
        const hk_task *task;
        int number;
    } cases[] = {{aborts, SIGABRT}, {divides_by_zero, SIGFPE}, {uses_all_time, SIGXCPU}};

    for (size_t i = 0; i < 3; i++) {
        expect_crash(cases[i].task, cases[i].number);
        HKT_EQ_INT(worker.channel->crash.address, 0);
        HKT_TRUE(names_task(cases[i].task));
        hkt_worker_free(&worker);
    }
}

static void a_child_of_a_task_says_nothing(void)
{
    hkt_worker_open(&worker);
    HKT_STATUS(
        hkt_worker_run(&worker, &(struct hkt_request){.task = has_a_child_that_crashes})->outcome,
        HK_OK);
    HKT_EQ_INT(worker.channel->crash.said, 0);
    hkt_worker_close(&worker);
}

static void a_task_cannot_write_the_page(void)
{
    expect_crash(scribbles_on_the_page, SIGSEGV);
    HKT_EQ_STR(worker.page->name, "played");
    hkt_worker_free(&worker);
}

/* --- Ways out of a task --- */

static void note_exit(void)
{
    if (shared != NULL) {
        atomic_fetch_add(&shared->at_exit, 1);
    }
}

static void exit_runs_nothing_of_the_parents(void)
{
    int output[2];
    int saved = dup(STDOUT_FILENO);
    char text[64] = "";
    ssize_t got;
    int status;

    HKT_EQ_INT_FATAL(pipe(output), 0);
    HKT_EQ_INT_FATAL(atexit(note_exit), 0);
    hkt_worker_create(&worker);
    fflush(NULL);
    dup2(output[1], STDOUT_FILENO);
    hkt_worker_start(&worker);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(output[1]);
    (void)hkt_worker_push(&worker, &(struct hkt_request){.task = exits_with_3});
    status = hkt_worker_await_death(&worker);
    HKT_TRUE(WIFEXITED(status));
    HKT_EQ_INT(WEXITSTATUS(status), 3);
    HKT_EQ_INT(atomic_load(&shared->at_exit), 0);
    HKT_EQ_INT(worker.channel->crash.said, 0);
    /* What the task printed is there, once. */
    got = read(output[0], text, sizeof(text) - 1);
    HKT_EQ_INT(got, 10);
    HKT_EQ_STR(text, "last words");
    close(output[0]);
    hkt_worker_free(&worker);
}

static void leaving_the_thread_ends_the_worker(void)
{
    int status = run_to_death(ends_its_thread);

    HKT_TRUE(WIFEXITED(status));
    HKT_EQ_INT(WEXITSTATUS(status), HKI_WORKER_EXIT_THREAD);
    hkt_worker_free(&worker);
}

static void a_forked_copy_serves_nothing(void)
{
    uint32_t last;

    hkt_worker_open(&worker);
    (void)hkt_worker_prepare(&worker, &(struct hkt_request){.task = comes_back_twice});
    last = hkt_worker_prepare(&worker, &(struct hkt_request){.task = counts_runs});
    hkt_worker_give(&worker);
    HKT_TRUE_FATAL(hkt_worker_await(&worker, last));
    hkt_worker_close(&worker);
    HKT_EQ_INT(atomic_load(&shared->ran), 1);
}

/* --- Beginning --- */

static hk_status initialise(hk_call *call, void *arg, void **local)
{
    (void)call;
    atomic_fetch_add(&shared->initialised, 1);
    *local = arg;
    return HK_OK;
}

static hk_status fail_to_initialise(hk_call *call, void *arg, void **local)
{
    (void)arg;
    (void)local;
    return hk_fail(call, 5, "not today");
}

static void finish(void *local, void *arg)
{
    if (local == arg) {
        atomic_fetch_add(&shared->finished, 1);
    }
}

HK_TASK(says_local)
{
    void *local = hk_call_worker_local(call);

    return hk_return(call, &local, sizeof(local));
}

static bool is_at_work(void *arg)
{
    (void)arg;
    return atomic_load(&worker.channel->stage) == HKI_WORKER_READY;
}

static void initialiser_and_finalizer_run_once(void)
{
    void *local = shared;

    hkt_worker_create(&worker);
    worker.page->initializer = initialise;
    worker.page->finalizer = finish;
    worker.page->worker_arg = shared;
    hkt_worker_start(&worker);
    for (unsigned i = 0; i < 3; i++) {
        const struct hki_cell *cell =
            hkt_worker_run(&worker, &(struct hkt_request){.task = says_local});

        hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, &local, sizeof(local));
    }
    HKT_EQ_INT(atomic_load(&shared->finished), 0);
    hkt_worker_close(&worker);
    HKT_EQ_INT(atomic_load(&shared->initialised), 1);
    HKT_EQ_INT(atomic_load(&shared->finished), 1);
}

static struct hki_error *die_at_start(void)
{
    uint64_t rings = 0;
    int status = hkt_worker_await_death(&worker);

    HKT_EQ_INT(status, 0);
    HKT_EQ_INT(atomic_load(&worker.channel->stage), HKI_WORKER_FAILED);
    HKT_EQ_INT(read(worker.ring, &rings, sizeof(rings)), sizeof(rings));
    return hki_error_unpack(worker.channel->failure, worker.channel->failure_size,
                            &(struct hki_error_facts){.status = HK_EINIT});
}

static void a_failed_initialiser_is_told(void)
{
    struct hki_error *error;

    hkt_worker_create(&worker);
    worker.page->initializer = fail_to_initialise;
    worker.page->finalizer = finish;
    hkt_worker_start(&worker);
    error = die_at_start();
    HKT_EQ_INT(error->shown.app_code, 5);
    HKT_EQ_STR(error->shown.message, "not today");
    hki_error_unref(error);
    HKT_EQ_INT(atomic_load(&shared->finished), 0);
    hkt_worker_free(&worker);
}

static void a_refused_limit_is_told(void)
{
    struct hki_error *error;

    hkt_worker_create(&worker);
    worker.page->rlimit_count = 1;
    worker.page->rlimits[0] = (struct hki_rlimit){RLIMIT_NOFILE, {.rlim_cur = 9, .rlim_max = 4}};
    hkt_worker_start(&worker);
    error = die_at_start();
    HKT_EQ_INT(error->shown.sys_errno, EINVAL);
    hki_error_unref(error);
    hkt_worker_free(&worker);
}

static void limits_and_environment_hold(void)
{
    static const char strings[] = "HOCKET_TEST_PLAYED=a=b\0HOCKET_TEST_REMOVED";
    rlim_t limit = 77;
    const struct hki_cell *cell;

    hkt_worker_create(&worker);
    HKT_EQ_INT_FATAL(setenv("HOCKET_TEST_REMOVED", "1", 1), 0);
    memcpy(worker.page->environment, strings, sizeof(strings));
    worker.page->environment_count = 2;
    worker.page->rlimit_count = 1;
    worker.page->rlimits[0] =
        (struct hki_rlimit){RLIMIT_NOFILE, {.rlim_cur = limit, .rlim_max = limit}};
    hkt_worker_start(&worker);
    HKT_EQ_INT(unsetenv("HOCKET_TEST_REMOVED"), 0);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = says_environment});
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, "a=b", 3);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = says_limit});
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, &limit, sizeof(limit));
    hkt_worker_close(&worker);
}

/* --- The parent's word --- */

static void what_was_given_is_served_before_it_leaves(void)
{
    hkt_worker_create(&worker);
    for (unsigned i = 0; i < HKI_CELLS; i++) {
        (void)hkt_worker_prepare(&worker, &(struct hkt_request){.task = counts_runs});
    }
    atomic_store(&worker.channel->tail, worker.tail);
    atomic_store(&worker.channel->retire, 1);
    hkt_worker_start(&worker);
    hkt_worker_close(&worker);
    HKT_EQ_INT(atomic_load(&shared->ran), HKI_CELLS);
}

HK_TASK(kills_its_request)
{
    /* As the parent would: from RUNNING to KILLING. */
    uint32_t running = hki_cell_word(0, HKI_CELL_RUNNING);

    HKT_CHILD_TRUE(atomic_compare_exchange_strong(&worker.channel->cells[0].state, &running,
                                                  hki_cell_word(0, HKI_CELL_KILLING)));
    atomic_store(&shared->ran, 100);
    return HK_OK;
}

static bool is_asleep(void *arg)
{
    (void)arg;
    return atomic_load(&shared->ran) == 100 && hkt_process_state(worker.pid) == 'S';
}

static void a_worker_that_is_killed_touches_nothing_more(void)
{
    int status;

    hkt_worker_open(&worker);
    (void)hkt_worker_prepare(&worker, &(struct hkt_request){.task = kills_its_request});
    (void)hkt_worker_prepare(&worker, &(struct hkt_request){.task = counts_runs});
    hkt_worker_give(&worker);
    HKT_TRUE(hkt_eventually(is_asleep, NULL));
    HKT_EQ_INT(atomic_load(&worker.channel->done), 0);
    kill(worker.pid, SIGKILL);
    status = hkt_worker_await_death(&worker);
    HKT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    HKT_EQ_INT(hkt_worker_cell(&worker, 0)->state, hki_cell_word(0, HKI_CELL_KILLING));
    HKT_EQ_INT(hkt_worker_cell(&worker, 1)->state, hki_cell_word(1, HKI_CELL_QUEUED));
    HKT_EQ_INT(atomic_load(&shared->ran), 100);
    hkt_worker_free(&worker);
}

/* Dies at a step; what it left in the channel says how far it came. */
static void every_step_may_be_the_last(void)
{
    static const struct {
        const char *name;
        uint32_t nth;
        enum hki_cell_phase phase;
        uint32_t done;
        int ran;
    } cases[] = {
        {"claimed", 1, HKI_CELL_RUNNING, 0, 0},     {"returned", 1, HKI_CELL_RUNNING, 0, 1},
        {"published", 1, HKI_CELL_DONE, 0, 1},      {"counted", 1, HKI_CELL_DONE, 1, 1},
        {"before_ready", 1, HKI_CELL_QUEUED, 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status;

        atomic_store(&shared->ran, 0);
        HKT_TRUE(hki_fault_set(cases[i].name, 0, cases[i].nth, HKI_FAULT_DIES));
        hkt_worker_create(&worker);
        hkt_worker_start(&worker);
        (void)hkt_worker_prepare(&worker, &(struct hkt_request){.task = counts_runs});
        (void)hkt_worker_prepare(&worker, &(struct hkt_request){.task = counts_runs});
        hkt_worker_give(&worker);
        status = hkt_worker_await_death(&worker);
        HKT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        HKT_EQ_INT(hki_fault_passes(cases[i].name, 0), 1);
        HKT_EQ_INT(hkt_worker_cell(&worker, 0)->state, hki_cell_word(0, cases[i].phase));
        HKT_EQ_INT(hkt_worker_cell(&worker, 1)->state, hki_cell_word(1, HKI_CELL_QUEUED));
        HKT_EQ_INT(atomic_load(&worker.channel->done), cases[i].done);
        HKT_EQ_INT(atomic_load(&shared->ran), cases[i].ran);
        hkt_worker_free(&worker);
        hki_fault_clear();
    }
}

static bool is_measured(void *arg)
{
    (void)arg;
    return atomic_load(&worker.channel->rss_bytes) != 0;
}

static void its_memory_is_measured_when_asked_for(void)
{
    hkt_worker_create(&worker);
    worker.page->rss_limit = 1;
    hkt_worker_start(&worker);
    HKT_TRUE_FATAL(hkt_eventually(is_at_work, NULL));
    HKT_STATUS(hkt_worker_run(&worker, &(struct hkt_request){.task = counts_runs})->outcome, HK_OK);
    HKT_TRUE(hkt_eventually(is_measured, NULL));
    HKT_TRUE(atomic_load(&worker.channel->rss_bytes) < (uint64_t)1 << 40);
    hkt_worker_close(&worker);
    hkt_worker_open(&worker);
    HKT_STATUS(hkt_worker_run(&worker, &(struct hkt_request){.task = counts_runs})->outcome, HK_OK);
    HKT_EQ_INT(atomic_load(&worker.channel->rss_bytes), 0);
    hkt_worker_close(&worker);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a wild access is told with its address and place", a_wild_access_is_told),
    HKT_CASE("a wild jump is told", a_wild_jump_is_told),
    HKT_CASE("an overflow of the stack is told", an_overflow_of_the_stack_is_told),
    HKT_CASE("abort and other signals are told", other_signals_are_told),
    HKT_CASE("a crash of a task's child is not the worker's", a_child_of_a_task_says_nothing),
    HKT_CASE("a task cannot write the page of the pool", a_task_cannot_write_the_page),
    HKT_CASE("exit() in a task runs nothing of the parent's", exit_runs_nothing_of_the_parents),
    HKT_CASE("a task that ends its thread ends the worker", leaving_the_thread_ends_the_worker),
    HKT_CASE("a copy that a task forked serves nothing", a_forked_copy_serves_nothing),
    HKT_CASE("initialiser and finalizer run once", initialiser_and_finalizer_run_once),
    HKT_CASE("a failed initialiser is told", a_failed_initialiser_is_told),
    HKT_CASE("a limit that the system refuses is told", a_refused_limit_is_told),
    HKT_CASE("limits and environment hold in the worker", limits_and_environment_hold),
    HKT_CASE("what was given is served before a worker leaves",
             what_was_given_is_served_before_it_leaves),
    HKT_CASE("a worker that is to be killed touches nothing more",
             a_worker_that_is_killed_touches_nothing_more),
    HKT_CASE("every step may be a worker's last", every_step_may_be_the_last),
    HKT_CASE("its memory is measured when there is a limit", its_memory_is_measured_when_asked_for),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process worker, its end",
     .pSetUpFunc = set_up,
     .pTearDownFunc = tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
