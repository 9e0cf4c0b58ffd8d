/* SPDX-License-Identifier: MIT */
/*
 * The plain pool of pipes: no library, but what fork and pipes cost at least.
 */
#include <stdlib.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/peer.h"
#include "bench/process/pipe_pool.h"

enum { WINDOW = 64, ANY_CPU = -1 };

struct pipes {
    struct pipe_pool *tasks;
    /* Made with the first echo, with one worker: no more than one payload is under way. */
    struct pipe_pool *echoes;
};

static void *start(unsigned workers)
{
    struct pipes *pipes = calloc(1, sizeof(*pipes));
    struct pipe_pool_options options = {.workers = workers, .worker_cpu = ANY_CPU, .batch = 1};

    if (pipes == NULL) {
        bench_die("no memory");
    }
    pipes->tasks = pipe_pool_create(&options);
    return pipes;
}

static void stop(void *arg)
{
    struct pipes *pipes = arg;

    /* The younger one first: its worker has copies of the other's pipes. */
    if (pipes->echoes != NULL) {
        pipe_pool_destroy(pipes->echoes);
    }
    pipe_pool_destroy(pipes->tasks);
    free(pipes);
}

/* The workers know one kind of work: 2 * number + 1. */
static void submit(void *arg, enum work_kind kind, uint64_t number, void *future)
{
    struct pipe_message message = {.number = number};

    (void)kind;
    (void)future;
    pipe_pool_put(((struct pipes *)arg)->tasks, &message, 1);
}

/* Whichever comes first: the sum is the same. */
static uint64_t result(void *arg, void *future)
{
    (void)future;
    return pipe_pool_get(((struct pipes *)arg)->tasks, 1);
}

static void echo_send(void *arg, unsigned worker, const void *payload, size_t size)
{
    struct pipes *pipes = arg;
    struct pipe_pool_options options = {
        .workers = 1, .worker_cpu = ANY_CPU, .batch = 1, .echo_size = size};

    (void)worker;
    (void)payload;
    if (pipes->echoes == NULL) {
        pipes->echoes = pipe_pool_create(&options);
    }
}

static bool echo_receive(void *arg, unsigned worker, void *payload, size_t size)
{
    (void)worker;
    (void)size;
    pipe_pool_echo(((struct pipes *)arg)->echoes, payload);
    return true;
}

static const struct peer pipe_peer = {
    .name = "c-pipe",
    .is_processes = true,
    .future_size = 1,
    .window = WINDOW,
    .start = start,
    .stop = stop,
    .submit = submit,
    .result = result,
    .echo_send = echo_send,
    .echo_receive = echo_receive,
};

const char *const peer_program_name = "peer-pipe";
const struct peer *const peers[] = {&pipe_peer, NULL};
