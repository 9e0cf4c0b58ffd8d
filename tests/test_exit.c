/* SPDX-License-Identifier: MIT */
/*
 * The end of a process, and forked children: cases SD07, SD09, SD10 and TP04 of
 * docs/contract.md.
 *
 * What happens at exit is watched from outside: this program runs itself again
 * as "test_exit --child NAME SPEC", and the parent reads what that printed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sanitizers.h"
#include "tests/fixture.h"

/* --- Children: programs that end in some way --- */

/* Not stdio: it is flushed by then, or about to be. */
static void say(const char *text)
{
    ssize_t ignored = write(STDOUT_FILENO, text, strlen(text));

    (void)ignored;
}

HK_TASK(says_ran)
{
    say("ran\n");
    return HK_OK;
}

enum { QUEUED = 3, MANY = 100 };

static struct hkt_gate *never; /* Shared with worker processes. */

static hk_executor *open_or_die(const char *spec)
{
    hk_executor *executor = NULL;

    if (hk_executor_open(spec, &executor) != HK_OK) {
        say("cannot open the executor\n");
        _exit(9);
    }
    return executor;
}

static void submit_or_die(hk_executor *executor, const hk_task *task, void *arg)
{
    if (hk_submit(executor, task, &arg, sizeof(arg), NULL, NULL) != HK_OK) {
        say("cannot submit\n");
        _exit(9);
    }
}

static const char *child_spec; /* The executor that the parent was told to test. */

/* That executor with an option more. */
static hk_executor *open_with(const char *option)
{
    char spec[128];

    snprintf(spec, sizeof(spec), "%s?%s", child_spec, option);
    return open_or_die(spec);
}

/* How many tasks can run at a time, and keep others waiting. */
static unsigned workers_of_child(void)
{
    const char *colon = strchr(child_spec, ':');

    if (strncmp(child_spec, "replay", 6) == 0) {
        return 4;
    }
    if (strncmp(child_spec, "serial", 6) == 0) {
        return 1;
    }
    return colon == NULL ? 0 : (unsigned)strtoul(colon + 1, NULL, 10);
}

/* An executor whose workers all stand still, with three tasks behind them. Inline
 * has no workers that could, so there the three have run. */
static hk_executor *busy_executor(void)
{
    hk_executor *executor = open_with("name=forgotten");
    unsigned workers = workers_of_child();

    never = hkt_shared_new(sizeof(*never));
    hkt_gate_init(never, "nobody opens this gate");
    for (unsigned i = 0; i < workers; i++) {
        submit_or_die(executor, hkt_stands_at_gate, never);
    }
    hkt_gate_await_arrivals(never, workers);
    for (int i = 0; i < QUEUED; i++) {
        submit_or_die(executor, says_ran, NULL);
    }
    return executor;
}

static void leaves_an_idle_pool(void)
{
    hk_executor *executor = open_or_die("threads:1?name=forgotten");

    submit_or_die(executor, says_ran, NULL);
    hkt_becomes(executor, hkt_idle, 1);
}

static void leaves_a_busy_pool(void)
{
    (void)busy_executor();
}

static void leaves_a_cancelled_pool(void)
{
    (void)hk_executor_shutdown(busy_executor(), HK_SHUTDOWN_CANCEL_QUEUED, 0);
}

static void leaves_a_draining_pool(void)
{
    hk_executor *executor = open_with("drain_at_exit=1");

    for (int i = 0; i < QUEUED; i++) {
        submit_or_die(executor, says_ran, NULL);
    }
}

/* More than one errand to the base runs, so that it is needed to the last. */
static void leaves_a_draining_serial(void)
{
    hk_executor *executor = open_or_die("serial:threads:2?drain_at_exit=1");

    for (int i = 0; i < MANY; i++) {
        submit_or_die(executor, says_ran, NULL);
    }
}

/* Its base was made first, and is not asked to drain. */
static void leaves_a_serial_on_another(void)
{
    hk_executor_options options = {.drain_at_exit = true};
    hk_executor *serial = NULL;

    if (hk_serial_create(open_or_die("threads:1?name=below"), &options, &serial) != HK_OK) {
        _exit(9);
    }
    for (int i = 0; i < MANY; i++) {
        submit_or_die(serial, says_ran, NULL);
    }
}

static void leaves_several_pools(void)
{
    (void)open_or_die("threads:1?name=alpha");
    (void)open_or_die("inline?name=beta");
    (void)open_or_die("serial:threads:2?name=gamma");
}

static void leaves_nothing(void)
{
    hk_executor *executor = open_or_die("threads:2");

    submit_or_die(executor, says_ran, NULL);
    (void)hk_executor_destroy(executor);
}

/* SD10: at first an exit handler, then a destructor behind the library's own. */
static hk_executor *late_executor;

static void submit_late(const char *when)
{
    hk_future *future = NULL;
    hk_status status = hk_submit(late_executor, says_ran, NULL, 0, NULL, &future);
    char line[80];

    /* In one piece: the task speaks, too. */
    snprintf(line, sizeof(line), "%s%s\n", when, hk_status_name(status));
    say(line);
    if (status == HK_OK) {
        say(hk_future_wait(future, HK_FOREVER) == HK_OK ? "waited\n" : "not waited\n");
        hk_future_unref(future);
    }
}

static void submit_in_exit_handler(void)
{
    submit_late("exit handler: ");
}

/* The lowest priority that programs may have, so it runs behind all others. */
__attribute__((destructor(101))) static void submit_in_last_destructor(void)
{
    hk_executor *fresh = NULL;

    if (late_executor != NULL) {
        submit_late("destructor: ");
        say(hk_inline_create(NULL, &fresh) == HK_ECLOSED ? "none new\n" : "a new one\n");
    }
}

static void submits_late(void)
{
    late_executor = open_with("name=late");
    if (atexit(submit_in_exit_handler) != 0) {
        _exit(9);
    }
}

HK_TASK(ends_the_process)
{
    exit(3);
}

static void a_task_exits(void)
{
    submit_or_die(open_or_die("threads:1"), ends_the_process, NULL);
    pause();
}

static void a_task_of_a_draining_pool_exits(void)
{
    submit_or_die(open_or_die("threads:1?drain_at_exit=1"), ends_the_process, NULL);
    pause();
}

static const struct {
    const char *name;
    void (*run)(void);
} children[] = {
    {"idle", leaves_an_idle_pool},
    {"busy", leaves_a_busy_pool},
    {"cancelled", leaves_a_cancelled_pool},
    {"draining", leaves_a_draining_pool},
    {"draining serial", leaves_a_draining_serial},
    {"serial on another", leaves_a_serial_on_another},
    {"several", leaves_several_pools},
    {"nothing", leaves_nothing},
    {"late", submits_late},
    {"task", a_task_exits},
    {"draining task", a_task_of_a_draining_pool_exits},
};

/* --- Running them --- */

static void append_option(const char *variable, const char *option)
{
    const char *before = getenv(variable);
    char text[512];

    snprintf(text, sizeof(text), "%s%s%s", before != NULL ? before : "", before != NULL ? ":" : "",
             option);
    setenv(variable, text, 1);
}

static void run_this_program(void *name)
{
    char path[4096] = "";

    /* These children leave pools and threads behind: that is what they are for. */
    append_option("ASAN_OPTIONS", "detect_leaks=0");
    append_option("TSAN_OPTIONS", "report_thread_leaks=0");
    /* By its name: the link itself may lead to what runs this program, such as valgrind. */
    if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0) {
        _exit(9);
    }
    execl(path, "test_exit", "--child", (const char *)name, hkt_executor_spec(), (char *)NULL);
    _exit(9);
}

static struct hkt_child run_child(const char *name, int exit_status)
{
    struct hkt_child child;
    char copy[64];

    snprintf(copy, sizeof(copy), "%s", name);
    hkt_run_in_child(run_this_program, copy, &child);
    if (child.exit_status != exit_status) {
        printf("\n    child '%s' printed: %s\n", name, child.output);
    }
    HKT_EQ_INT(child.exit_status, exit_status);
    HKT_EQ_INT(child.term_signal, 0);
    return child;
}

static unsigned occurrences(const char *text, const char *wanted)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at += strlen(wanted)) {
        count++;
    }
    return count;
}

static void a_pool_left_open_is_told_of(void)
{
    struct hkt_child child = run_child("idle", 0);

    HKT_EQ_INT(occurrences(child.output, "ran\n"), 1);
    HKT_EQ_INT(occurrences(child.output, "forgotten"), 1);
    child = run_child("several", 0);
    HKT_EQ_INT(occurrences(child.output, "alpha"), 1);
    HKT_EQ_INT(occurrences(child.output, "beta"), 1);
    HKT_EQ_INT(occurrences(child.output, "gamma"), 1);
}

static void a_pool_that_was_destroyed_is_not_mentioned(void)
{
    struct hkt_child child = run_child("nothing", 0);

    HKT_EQ_STR(child.output, "ran\n");
}

static void queued_tasks_are_left_behind_and_told_of(void)
{
    struct hkt_child child = run_child("busy", 0);
    char left_behind[64];

    snprintf(left_behind, sizeof(left_behind), "%u tasks running, %d queued",
             hkt_is_inline() ? 0 : hkt_worker_count(), hkt_is_inline() ? 0 : QUEUED);
    HKT_EQ_INT(occurrences(child.output, "ran\n"), hkt_is_inline() ? QUEUED : 0);
    HKT_EQ_INT(occurrences(child.output, "forgotten"), 1);
    HKT_EQ_INT(occurrences(child.output, left_behind), 1);
}

static void a_cancelled_pool_ends_cleanly_without_waiting(void)
{
    struct hkt_child child = run_child("cancelled", 0);

    HKT_EQ_INT(occurrences(child.output, "ran\n"), hkt_is_inline() ? QUEUED : 0);
}

static void queued_tasks_run_if_that_was_asked_for(void)
{
    struct hkt_child child = run_child("draining", 0);

    HKT_EQ_STR(child.output, "ran\nran\nran\n"); /* And no complaint. */
}

static void a_serial_executor_is_drained_before_its_base(void)
{
    struct hkt_child child;

    if (!hkt_is_serial()) {
        hkt_not_here("is about serial executors");
        return;
    }
    child = run_child("draining serial", 0);
    HKT_EQ_INT(occurrences(child.output, "ran\n"), MANY);
    HKT_EQ_INT(occurrences(child.output, "hocket"), 0); /* No complaint of either. */
    child = run_child("serial on another", 0);
    HKT_EQ_INT(occurrences(child.output, "ran\n"), MANY);
    HKT_EQ_INT(occurrences(child.output, "executor below was still open at exit"), 1);
}

static void late_submits_are_taken_or_refused(void)
{
    struct hkt_child child = run_child("late", 0);

    HKT_TRUE(strstr(child.output, "exit handler: HK_OK\n") != NULL);
    HKT_TRUE(strstr(child.output, "waited\n") != NULL);
    HKT_TRUE(strstr(child.output, "destructor: HK_ECLOSED\n") != NULL);
    HKT_TRUE(strstr(child.output, "none new\n") != NULL);
    HKT_EQ_INT(occurrences(child.output, "ran\n"), 1);
}

static void a_task_may_end_the_process(void)
{
    (void)run_child("task", 3);
    (void)run_child("draining task", 3);
}

/* --- Forked children --- */

struct parents {
    hk_executor *pool;
    hk_executor *serial;
    hk_future *finished;
    hk_future *pending;
    hk_future *queued;
};

static void expect_forked(void *arg)
{
    struct parents *parents = arg;
    hk_executor_statistics statistics;
    hk_future *future = NULL;
    int value = 5;
    int fd = -1;

    HKT_EQ_INT(hkt_take_int(parents->finished), 49);
    HKT_STATUS(hk_future_wait(parents->pending, HK_FOREVER), HK_EFORKED);
    HKT_STATUS(hk_future_result(parents->queued, HK_FOREVER, NULL, NULL), HK_EFORKED);
    HKT_STATUS(hk_future_cancel(parents->queued, HK_CANCEL_PENDING), HK_EFORKED);
    HKT_STATUS(hk_future_fd(parents->queued, &fd), HK_EFORKED);
    HKT_STATUS(hk_wait(&parents->queued, 1, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL), HK_EFORKED);
    HKT_EQ_INT(hk_future_state(parents->queued), HK_PENDING);
    HKT_STATUS(hk_submit(parents->pool, hkt_square, &value, sizeof(value), NULL, &future),
               HK_EFORKED);
    HKT_STATUS(hk_submit(parents->serial, hkt_square, &value, sizeof(value), NULL, &future),
               HK_EFORKED);
    HKT_STATUS(hk_executor_stats(parents->pool, &statistics), HK_EFORKED);
    HKT_STATUS(hk_executor_resize(parents->pool, 2), HK_EFORKED);
    HKT_STATUS(hk_executor_prestart(parents->pool, HK_FOREVER), HK_EFORKED);
    HKT_STATUS(hk_executor_shutdown(parents->pool, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_EFORKED);
    HKT_EQ_PTR(future, NULL);
    /* Only this process's copy goes; a future that cannot end may be given back. */
    HKT_STATUS(hk_executor_destroy(parents->serial), HK_EFORKED);
    HKT_STATUS(hk_executor_destroy(parents->pool), HK_EFORKED);
    hk_future_unref(parents->queued);
    if (CU_get_number_of_failure_records() > 0 || hkt_fail_count() > 0) {
        _exit(7);
    }
}

static void a_forked_child_is_refused_and_harms_nothing(void)
{
    struct parents parents = {.pool = hkt_pool_create((hk_executor_options){.workers = 1})};
    struct hkt_plug plug;
    struct hkt_child child;

    HKT_OK_FATAL(hk_serial_create(parents.pool, NULL, &parents.serial));
    parents.finished = hkt_submit_int(parents.pool, hkt_square, 7);
    HKT_OK(hk_future_wait(parents.finished, HK_FOREVER));
    hkt_plug_insert(&plug, parents.pool, 1);
    parents.pending = plug.futures[0];
    parents.queued = hkt_submit_int(parents.pool, hkt_square, 8);
    hkt_run_in_child(expect_forked, &parents, &child);
    HKT_EQ_INT(child.exit_status, 0);
    HKT_EQ_INT(child.term_signal, 0);
    HKT_EQ_STR(child.output, ""); /* No word on executors that are not its own. */
    hkt_plug_pull(&plug);
    HKT_EQ_INT(hkt_take_int(parents.queued), 64);
    HKT_EQ_INT(hkt_take_int(parents.finished), 49);
    HKT_OK(hk_executor_destroy(parents.serial));
    HKT_OK(hk_executor_destroy(parents.pool));
}

/* ThreadSanitizer allows no new threads in the child of a process with threads. */
static const char *const childs_own_executor = HKI_THREAD_SANITIZER ? "inline" : "threads:2";

static void use_an_executor_of_its_own(void *arg)
{
    hk_executor *executor = open_or_die(childs_own_executor);
    hk_future *futures[10];
    int sum = 0;

    (void)arg;
    for (int i = 0; i < 10; i++) {
        futures[i] = hkt_submit_int(executor, hkt_square, i);
    }
    for (int i = 0; i < 10; i++) {
        sum += hkt_take_int(futures[i]);
    }
    if (sum != 285 || hk_executor_destroy(executor) != HK_OK) {
        _exit(7);
    }
}

static void a_forked_child_may_have_executors_of_its_own(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct hkt_child child;

    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, 2)), 4);
    hkt_run_in_child(use_an_executor_of_its_own, NULL, &child);
    HKT_EQ_INT(child.exit_status, 0);
    HKT_EQ_STR(child.output, "");
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, 3)), 9);
    HKT_OK(hk_executor_destroy(pool));
}

static atomic_bool enough;

/* Keeps the pool busy for ever: each one submits the next. */
HK_TASK(submits_itself)
{
    if (!atomic_load(&enough)) {
        hk_status status = hk_submit(hk_call_executor(call), submits_itself, NULL, 0,
                                     &(hk_submit_options){.deadline = HK_SEC(3600)}, NULL);

        /* The end of the pool ends the chain. */
        return status == HK_ECLOSED ? HK_OK : status;
    }
    return HK_OK;
}

/* Keeps the pool's lock busy, and allocates nothing. */
HK_TASK(asks_its_pool)
{
    hk_executor_statistics statistics;

    while (!atomic_load(&enough)) {
        (void)hk_executor_stats(hk_call_executor(call), &statistics);
    }
    return HK_OK;
}

static void forks_beside_a_busy_pool_hang_no_child(void)
{
    const hk_task *task = HKT_ALLOCATOR_SURVIVES_FORK ? submits_itself : asks_its_pool;
    unsigned forks = 50 / hkt_slowness();
    hk_executor *pool;

    if (hkt_is_inline() || hkt_is_serial() || hkt_is_replay() || hkt_is_processes()) {
        hkt_not_here("is about threads");
        return;
    }
    pool = hkt_pool_create((hk_executor_options){.workers = hkt_worker_count()});
    atomic_store(&enough, false);
    for (int i = 0; i < 4; i++) {
        HKT_OK(hk_submit(pool, task, NULL, 0, NULL, NULL));
    }
    hkt_becomes(pool, hkt_running, hkt_worker_count()); /* So no thread is being made meanwhile. */
    for (unsigned i = 0; i < forks; i++) {
        struct hkt_child child;

        hkt_run_in_child(use_an_executor_of_its_own, NULL, &child);
        HKT_EQ_INT(child.exit_status, 0);
        HKT_EQ_INT(child.term_signal, 0);
    }
    atomic_store(&enough, true);
    HKT_OK(hk_executor_destroy(pool));
}

static CU_TestInfo tests[] = {
    HKT_CASE("a pool left open is told of at exit", a_pool_left_open_is_told_of),
    HKT_CASE("a pool that was destroyed is not mentioned",
             a_pool_that_was_destroyed_is_not_mentioned),
    HKT_CASE("SD09 queued tasks are left behind and told of",
             queued_tasks_are_left_behind_and_told_of),
    HKT_CASE("SD09 queued tasks run if that was asked for", queued_tasks_run_if_that_was_asked_for),
    HKT_CASE("SD09 a serial executor is drained before its base",
             a_serial_executor_is_drained_before_its_base),
    HKT_CASE("SD07 a cancelled pool ends cleanly without waiting",
             a_cancelled_pool_ends_cleanly_without_waiting),
    HKT_CASE("SD10 late submits are taken, then refused", late_submits_are_taken_or_refused),
    HKT_CASE("a task may end the process", a_task_may_end_the_process),
    HKT_CASE("a forked child is refused and harms nothing",
             a_forked_child_is_refused_and_harms_nothing),
    HKT_CASE("a forked child may have executors of its own",
             a_forked_child_may_have_executors_of_its_own),
    HKT_CASE("TP04 forks beside a busy pool hang no child", forks_beside_a_busy_pool_hang_no_child),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "exit", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0) {
        child_spec = argv[3];
        for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
            if (strcmp(argv[2], children[i].name) == 0) {
                children[i].run();
                return 0;
            }
        }
        return 9;
    }
    return hkt_main(argc, argv, suites);
}
