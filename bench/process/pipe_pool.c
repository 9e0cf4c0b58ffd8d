/* SPDX-License-Identifier: MIT */
/*
 * The plain pool.
 *
 * Messages are 16 bytes, answers 8, and all writes are shorter than PIPE_BUF: what a
 * read finds is always a number of whole ones.
 */
#include "bench/process/pipe_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"

enum { WORKERS_MAX = 16, MESSAGES_MAX = 64 };

struct worker {
    pid_t pid;
    int to, from;
    /* Messages without an answer. */
    unsigned pending;
};

struct pipe_pool {
    struct pipe_pool_options options;
    struct worker workers[WORKERS_MAX];
    unsigned count;
    int epoll;
    /* Answers that were read before they were asked for. */
    uint64_t early[WORKERS_MAX * MESSAGES_MAX];
    unsigned early_count;
    /* The worker's copy of an echo: made before the fork, for after it another thread's
     * lock could be held for ever. */
    void *echo;
};

/* As much as is there, at least one byte; 0 at the end. */
static size_t read_some(int fd, void *data, size_t size)
{
    ssize_t got;

    do {
        got = read(fd, data, size);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? 0 : (size_t)got;
}

static bool read_all(int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t got = read_some(fd, (char *)data + done, size - done);

        if (got == 0) {
            return false;
        }
        done += got;
    }
    return true;
}

static bool write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = write(fd, (const char *)data + done, size - done);

        if (put < 0 && errno != EINTR) {
            return false;
        }
        done += put < 0 ? 0 : (size_t)put;
    }
    return true;
}

/* --- In the worker -------------------------------------------------------------------- */

static void serve_messages(int in, int out, unsigned batch)
{
    struct pipe_message messages[MESSAGES_MAX];
    uint64_t answers[MESSAGES_MAX];
    size_t size;

    while ((size = read_some(in, messages, batch * sizeof(messages[0]))) > 0) {
        size_t count = size / sizeof(messages[0]);

        for (size_t i = 0; i < count; i++) {
            bench_spin((unsigned)messages[i].turns);
            answers[i] = 2 * messages[i].number + 1;
        }
        if (!write_all(out, answers, count * sizeof(answers[0]))) {
            break;
        }
    }
}

static void serve_echoes(int in, int out, void *payload, size_t size)
{
    while (read_all(in, payload, size)) {
        if (!write_all(out, payload, size)) {
            break;
        }
    }
}

__attribute__((noreturn)) static void work(const struct pipe_pool *pool, int in, int out)
{
    const struct pipe_pool_options *options = &pool->options;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Else a pipe of another worker would stay open after the parent has closed it. */
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        close_range(STDERR_FILENO + 1, ~0U, 0) != 0) {
        _exit(1);
    }
    if (options->worker_cpu >= 0) {
        crew_pin(options->worker_cpu);
    }
    if (options->echo_size > 0) {
        serve_echoes(STDIN_FILENO, STDOUT_FILENO, pool->echo, options->echo_size);
    } else {
        serve_messages(STDIN_FILENO, STDOUT_FILENO, options->batch);
    }
    _exit(0);
}

/* --- In the parent -------------------------------------------------------------------- */

static void start_worker(struct pipe_pool *pool)
{
    struct worker *worker = &pool->workers[pool->count];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = pool->count};
    int to[2], from[2];

    if (pool->count == WORKERS_MAX || pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
        bench_die("no pipes");
    }
    if (pool->options.pipe_size > 0) {
        fcntl(to[1], F_SETPIPE_SZ, (int)pool->options.pipe_size);
        fcntl(from[1], F_SETPIPE_SZ, (int)pool->options.pipe_size);
    }
    worker->pid = fork();
    if (worker->pid == 0) {
        close(to[1]);
        close(from[0]);
        work(pool, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    worker->to = to[1];
    worker->from = from[0];
    if (worker->pid < 0 || epoll_ctl(pool->epoll, EPOLL_CTL_ADD, worker->from, &event) != 0) {
        bench_die("no worker");
    }
    pool->count++;
}

struct pipe_pool *pipe_pool_create(const struct pipe_pool_options *options)
{
    struct pipe_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL || options->batch > MESSAGES_MAX ||
        (options->echo_size > 0 && (pool->echo = calloc(1, options->echo_size)) == NULL)) {
        bench_die("no pool of this kind");
    }
    pool->options = *options;
    pool->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < options->workers; i++) {
        start_worker(pool);
    }
    return pool;
}

void pipe_pool_destroy(struct pipe_pool *pool)
{
    for (unsigned i = 0; i < pool->count; i++) {
        close(pool->workers[i].to);
        close(pool->workers[i].from);
    }
    for (unsigned i = 0; i < pool->count; i++) {
        waitpid(pool->workers[i].pid, NULL, 0);
    }
    close(pool->epoll);
    free(pool->echo);
    free(pool);
}

static void send_messages(struct worker *worker, const struct pipe_message *messages,
                          unsigned count)
{
    if (!write_all(worker->to, messages, count * sizeof(*messages))) {
        bench_die("a worker of the pipe pool is gone");
    }
    worker->pending += count;
}

void pipe_pool_put(struct pipe_pool *pool, const struct pipe_message *messages, unsigned count)
{
    struct worker *least = &pool->workers[0];

    for (unsigned i = 1; i < pool->count; i++) {
        if (pool->workers[i].pending < least->pending) {
            least = &pool->workers[i];
        }
    }
    send_messages(least, messages, count);
}

/* Reads what a worker has answered. */
static void take(struct pipe_pool *pool, struct worker *worker)
{
    size_t room = sizeof(pool->early) - pool->early_count * sizeof(pool->early[0]);
    size_t size = read_some(worker->from, pool->early + pool->early_count, room);
    unsigned count = (unsigned)(size / sizeof(pool->early[0]));

    if (count == 0) {
        bench_die("a worker of the pipe pool is gone");
    }
    pool->early_count += count;
    worker->pending -= count;
}

static void wait_for_some(struct pipe_pool *pool)
{
    struct epoll_event events[WORKERS_MAX];
    int count;

    /* With one worker there is nothing to choose. */
    if (pool->count == 1) {
        take(pool, &pool->workers[0]);
        return;
    }
    do {
        count = epoll_wait(pool->epoll, events, WORKERS_MAX, -1);
    } while (count < 0 && errno == EINTR);
    for (int i = 0; i < count; i++) {
        take(pool, &pool->workers[events[i].data.u32]);
    }
}

uint64_t pipe_pool_get(struct pipe_pool *pool, unsigned count)
{
    uint64_t sum = 0;

    while (pool->early_count < count) {
        wait_for_some(pool);
    }
    for (unsigned i = 0; i < count; i++) {
        sum += pool->early[--pool->early_count];
    }
    return sum;
}

void pipe_pool_add_worker(struct pipe_pool *pool)
{
    start_worker(pool);
    send_messages(&pool->workers[pool->count - 1], &(struct pipe_message){0}, 1);
    pipe_pool_get(pool, 1);
}

void pipe_pool_echo(struct pipe_pool *pool, void *payload)
{
    struct worker *worker = &pool->workers[0];

    if (!write_all(worker->to, payload, pool->options.echo_size) ||
        !read_all(worker->from, payload, pool->options.echo_size)) {
        bench_die("a worker of the pipe pool is gone");
    }
}
