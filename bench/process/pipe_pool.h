/* SPDX-License-Identifier: MIT */
/*
 * A plain pool of processes, as one would write it in an afternoon: forked workers, a
 * pair of pipes for each, messages of a fixed size, epoll in the parent. A worker that
 * dies takes its tasks with it.
 */
#ifndef BENCH_PROCESS_PIPE_POOL_H
#define BENCH_PROCESS_PIPE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pipe_pool;

struct pipe_pool_options {
    unsigned workers;
    /* Where workers stay; negative: anywhere. */
    int worker_cpu;
    /* A worker takes and answers so many messages with one system call. */
    unsigned batch;
    /* Bytes that a pipe holds; 0: as the system likes. */
    size_t pipe_size;
    /* Not 0: messages of so many bytes, which come back as they are. */
    size_t echo_size;
};

struct pipe_message {
    uint64_t number, turns;
};

struct pipe_pool *pipe_pool_create(const struct pipe_pool_options *options);
void pipe_pool_destroy(struct pipe_pool *pool);

/* Ready when it has answered. */
void pipe_pool_add_worker(struct pipe_pool *pool);

/* All of them go to the worker that has least to do. The caller sees to it that no pipe
 * overflows. */
void pipe_pool_put(struct pipe_pool *pool, const struct pipe_message *messages, unsigned count);

/* Waits for so many answers; gives the sum of 2 * number + 1 of them. */
uint64_t pipe_pool_get(struct pipe_pool *pool, unsigned count);

/* Sends a message of echo_size bytes through the first worker, and back. */
void pipe_pool_echo(struct pipe_pool *pool, void *payload);

#endif
