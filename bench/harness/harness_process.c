/* SPDX-License-Identifier: MIT */
/*
 * Peers in processes of their own: Java, Python.
 *
 * One request is a line, "FAMILY THREADS PARAMETER N DURATION_NS"; the answer is
 * "ok ELAPSED_NS N [VALUE...]", "cannot", or "wrong WHY". Between requests the
 * process sleeps, so the rows of other peers are not disturbed by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness_impl.h"

enum { ANSWER_MS_MAX = 60 * 1000, END_MS_MAX = 5000, WARM_UP_RUNS = 100 };

struct process {
    const char *name, *command;
    pid_t pid;
    int in, out;
    /* The case that it has been warmed up for. */
    const struct bench_case *warm;
    bool is_dead;
};

static struct process processes[BENCH_PROCESSES_MAX];
static size_t process_count;

bool bench_process_add(char *text)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || process_count == BENCH_PROCESSES_MAX) {
        return false;
    }
    *equals = '\0';
    processes[process_count++] = (struct process){.name = text, .command = equals + 1};
    return true;
}

void bench_process_rows(struct bench_rows *rows)
{
    for (size_t i = 0; i < process_count; i++) {
        bench_add_row(rows, processes[i].name, &processes[i], "");
        rows->rows[rows->count - 1].driver = &bench_process_driver;
    }
}

static void start(struct process *process)
{
    int to[2], from[2];
    char line[1024];
    posix_spawn_file_actions_t actions;
    char *const words[] = {(char *)"sh", (char *)"-c", line, NULL};

    /* exec: the process is to be the peer itself, whose CPU time is read. */
    if (snprintf(line, sizeof(line), "exec %s", process->command) >= (int)sizeof(line) ||
        pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
        bench_die("no pipes");
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    if (posix_spawn(&process->pid, "/bin/sh", &actions, NULL, words, environ) != 0) {
        bench_die(process->command);
    }
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    process->in = to[1];
    process->out = from[0];
}

/* At the end of its input it ends by itself, with what it has started. */
static void stop(struct process *process)
{
    static const int64_t pause_ns = 1000 * 1000;

    if (process->pid == 0) {
        return;
    }
    close(process->in);
    close(process->out);
    for (int i = 0; waitpid(process->pid, NULL, WNOHANG) == 0; i++) {
        if (i == END_MS_MAX) {
            kill(process->pid, SIGKILL);
        }
        crew_rest(pause_ns);
    }
    process->pid = 0;
    process->is_dead = true;
}

void bench_process_end_all(void)
{
    for (size_t i = 0; i < process_count; i++) {
        stop(&processes[i]);
    }
}

/* Reads one line; false when it does not come. */
static bool read_answer(struct process *process, char *line, size_t size)
{
    size_t used = 0;

    while (used + 1 < size) {
        struct pollfd ready = {.fd = process->out, .events = POLLIN};
        int count = poll(&ready, 1, ANSWER_MS_MAX);

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count != 1 || read(process->out, line + used, 1) != 1) {
            return false;
        }
        if (line[used] == '\n') {
            line[used] = '\0';
            return true;
        }
        used++;
    }
    return false;
}

static enum bench_outcome understand(struct bench_run *run, const char *line)
{
    long long elapsed_ns;
    unsigned long long n;
    int used = 0;
    const char *rest;

    if (strcmp(line, "cannot") == 0) {
        return BENCH_CANNOT;
    }
    if (sscanf(line, "ok %lld %llu%n", &elapsed_ns, &n, &used) != 2 || n == 0) {
        fprintf(stderr, "    answer: %s\n", line);
        return BENCH_WRONG;
    }
    run->n = n;
    bench_took(run, elapsed_ns);
    rest = line + used;
    for (size_t i = run->what->family->is_first_told ? 0 : 1; i < run->what->family->metric_count;
         i++) {
        char *end;

        run->values[i] = strtod(rest, &end);
        rest = end;
    }
    return BENCH_OK;
}

static enum bench_outcome ask(struct process *process, struct bench_run *run)
{
    char line[256];
    int size = snprintf(line, sizeof(line), "%s %u %zu %llu %lld\n", run->what->family->name,
                        run->what->threads, run->what->parameter, (unsigned long long)run->n,
                        (long long)run->duration_ns);

    if (write(process->in, line, (size_t)size) != size ||
        !read_answer(process, line, sizeof(line))) {
        fprintf(stderr, "    %s gives no answer\n", process->name);
        stop(process);
        return BENCH_WRONG;
    }
    return understand(run, line);
}

/* A compiler at run time needs to have seen the workload for a while. */
static enum bench_outcome warm_up(struct process *process, struct bench_run *run)
{
    int64_t limit = bench_now_ns() + WARM_UP_RUNS * run->duration_ns;
    uint64_t n = run->n;
    enum bench_outcome outcome = BENCH_OK;

    process->warm = run->what;
    while (outcome == BENCH_OK && bench_now_ns() < limit) {
        run->n = n;
        outcome = ask(process, run);
        if (run->elapsed_ns < run->duration_ns) {
            n *= 2;
        }
    }
    run->n = n;
    return outcome;
}

static enum bench_outcome run_process(struct bench_run *run)
{
    struct process *process = (struct process *)run->peer;
    uint64_t n = run->n;

    if (process->is_dead) {
        return BENCH_WRONG;
    }
    if (process->pid == 0) {
        start(process);
    }
    if (process->warm != run->what) {
        enum bench_outcome outcome = warm_up(process, run);

        if (outcome != BENCH_OK) {
            return outcome;
        }
        run->n = n;
    }
    return ask(process, run);
}

const struct bench_driver bench_process_driver = {.run = run_process};
