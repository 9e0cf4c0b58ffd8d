/* SPDX-License-Identifier: MIT */
#include "tests/random/trial.h"

#include <dirent.h>
#include <execinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hocket/process_pool.h>

#include "tests/random/census.h"
#include "tests/random/run.h"

#define DEBUG_NS 40000000000LL

enum { LOOK_EVERY_NS = 100000000, ANSWER_MS = 5000, FRAMES_MAX = 40 };

int64_t hkt_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int stack_signal(void)
{
    return SIGRTMIN + 6;
}

/* --- The child --- */

static int asked; /* The child's ends. */
static int tell;

static void *answer(void *nothing)
{
    char byte;

    while (read(asked, &byte, 1) == 1) {
        if (hk_waits_dump(STDERR_FILENO) != HK_OK || write(tell, &byte, 1) != 1) {
            break;
        }
    }
    return nothing;
}

static void print_stack(int number)
{
    void *frames[FRAMES_MAX];

    (void)number;
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
    (void)!write(STDERR_FILENO, "---\n", 4);
}

static _Noreturn void run_child(const struct hkt_trial_setup *setup)
{
    struct sigaction action = {.sa_handler = print_stack};
    pthread_t thread;
    sigset_t none;
    void *frame;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* For a debugger that the parent starts. */
    (void)backtrace(&frame, 1);                      /* The first one loads a library. */
    sigaction(stack_signal(), &action, NULL);
    if (hk_zygote_start() != HK_OK || pthread_create(&thread, NULL, answer, NULL) != 0) {
        hkt_fail_program("no zygote, or no thread");
        _exit(2);
    }
    hkt_run_prepare();
    hkt_census_begin();
    for (unsigned i = 0; i < setup->programs && !atomic_load(&hkt_stage->is_failed); i++) {
        if (setup->until_ns != 0 && hkt_clock_ns() >= setup->until_ns) {
            break;
        }
        if (!setup->is_given) {
            hkt_stage->seed = setup->seed + i;
            hkt_program_draw(&hkt_stage->program, hkt_stage->seed);
        }
        atomic_store(&hkt_stage->running_seed, hkt_stage->seed);
        atomic_store(&hkt_stage->started_ns, hkt_clock_ns());
        hkt_run_program();
        atomic_fetch_add(&hkt_stage->programs_run, 1);
        atomic_fetch_add(&hkt_stage->all_ops_run, atomic_load(&hkt_stage->ops_run));
    }
    atomic_store(&hkt_stage->started_ns, hkt_clock_ns());
    /* A sanitizer has its say at the exit. */
    exit(atomic_load(&hkt_stage->is_failed) ? 2 : 0);
}

/* --- The parent --- */

void hkt_trial_prepare(struct hkt_trial *trial)
{
    void *memory = mmap(NULL, sizeof(*trial->stage), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigset_t ends;

    if (memory == MAP_FAILED) {
        perror("random_programs: mmap");
        exit(EXIT_FAILURE);
    }
    memset(trial, 0, sizeof(*trial));
    trial->stage = memory;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ends, NULL);
}

void hkt_trial_begin(struct hkt_trial *trial, const struct hkt_trial_setup *setup)
{
    int questions[2];
    int answers[2];

    trial->failure[0] = '\0';
    trial->stage->failure[0] = '\0';
    atomic_store(&trial->stage->is_failed, false);
    atomic_store(&trial->stage->started_ns, hkt_clock_ns());
    fflush(NULL);
    if (pipe(questions) != 0 || pipe(answers) != 0 || (trial->pid = fork()) < 0) {
        perror("random_programs");
        exit(EXIT_FAILURE);
    }
    if (trial->pid == 0) {
        close(questions[1]);
        close(answers[0]);
        asked = questions[0];
        tell = answers[1];
        hkt_stage = trial->stage;
        run_child(setup);
    }
    close(questions[0]);
    close(answers[1]);
    trial->ask = questions[1];
    trial->told = answers[0];
}

/* A debugger may hang itself; then it is killed. */
static bool ends_in_time(pid_t child, int *status)
{
    const struct timespec moment = {0, LOOK_EVERY_NS};
    int64_t end_ns = hkt_clock_ns() + DEBUG_NS;
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    while (waitpid(child, status, WNOHANG) != child) {
        if (hkt_clock_ns() >= end_ns) {
            (void)kill(child, SIGKILL);
            (void)waitpid(child, status, 0);
            return false;
        }
        (void)sigtimedwait(&ends, NULL, &moment);
    }
    return true;
}

static bool debug(pid_t pid)
{
    char number[16];
    int status = 0;
    pid_t child;

    snprintf(number, sizeof(number), "%d", (int)pid);
    if ((child = fork()) == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execlp("gdb", "gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex",
               "thread apply all bt 30", "-p", number, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || !ends_in_time(child, &status)) {
        return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Without a debugger each thread prints its own stack, those of the library without names. */
static void signal_threads(pid_t pid)
{
    char path[64];
    DIR *threads;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    threads = opendir(path);
    for (struct dirent *entry; threads != NULL && (entry = readdir(threads)) != NULL;) {
        int64_t until_ns = hkt_clock_ns() + LOOK_EVERY_NS;

        if (entry->d_name[0] != '.') {
            (void)syscall(SYS_tgkill, pid, (pid_t)strtol(entry->d_name, NULL, 10), stack_signal());
            while (hkt_clock_ns() < until_ns) {
            }
        }
    }
    if (threads != NULL) {
        closedir(threads);
    }
}

static void see_to_hang(struct hkt_trial *trial, const struct hkt_trial_setup *setup)
{
    struct pollfd answered = {.fd = trial->told, .events = POLLIN};

    /* The signals of those who look can free what hangs: then the child ends instead of drawing
     * the next program over this one. */
    atomic_store(&trial->stage->is_failed, true);
    snprintf(trial->failure, sizeof(trial->failure), "hangs, for more than %u seconds%s%.200s",
             setup->limit_seconds, trial->stage->failure[0] != '\0' ? ", after " : "",
             trial->stage->failure);
    if (!setup->is_quiet) {
        fprintf(stderr, "random_programs: seed %llu hangs; who waits for whom, and all stacks:\n",
                (unsigned long long)atomic_load(&trial->stage->running_seed));
        if (write(trial->ask, "?", 1) != 1 || poll(&answered, 1, ANSWER_MS) != 1) {
            fprintf(stderr, "random_programs: it does not answer\n");
        }
        if (!debug(trial->pid)) {
            signal_threads(trial->pid);
        }
    }
    (void)kill(trial->pid, SIGKILL);
}

static void judge_end(struct hkt_trial *trial, int status)
{
    close(trial->ask);
    close(trial->told);
    trial->pid = 0;
    if (trial->failure[0] != '\0') {
        return; /* It hung. */
    }
    if (trial->stage->failure[0] != '\0') {
        memcpy(trial->failure, trial->stage->failure, sizeof(trial->failure));
    } else if (!WIFEXITED(status)) {
        snprintf(trial->failure, sizeof(trial->failure), "ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        snprintf(trial->failure, sizeof(trial->failure), "exited with %d", WEXITSTATUS(status));
    }
}

int hkt_trial_await(struct hkt_trial *trials, unsigned count, const struct hkt_trial_setup *setup)
{
    const struct timespec moment = {0, LOOK_EVERY_NS};
    sigset_t ends;
    int status;

    for (unsigned i = 0; i < count; i++) {
        int64_t limit_ns = setup->limit_seconds * 1000000000LL;

        if (trials[i].pid != 0 && waitpid(trials[i].pid, &status, WNOHANG) == trials[i].pid) {
            judge_end(&trials[i], status);
            return (int)i;
        }
        if (trials[i].pid != 0 && trials[i].failure[0] == '\0' &&
            hkt_clock_ns() - atomic_load(&trials[i].stage->started_ns) > limit_ns) {
            see_to_hang(&trials[i], setup);
        }
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    (void)sigtimedwait(&ends, NULL, &moment);
    return -1;
}

bool hkt_trial_run(struct hkt_trial *trial, const struct hkt_trial_setup *setup)
{
    hkt_trial_begin(trial, setup);
    while (hkt_trial_await(trial, 1, setup) < 0) {
    }
    return trial->failure[0] == '\0';
}
