/* SPDX-License-Identifier: MIT */
/*
 * What bench_process wants of a pool of processes.
 */
#ifndef BENCH_PROCESS_POOL_PEER_H
#define BENCH_PROCESS_POOL_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_DEPTH_MAX = 64, POOL_CPU_ANY = -1, POOL_BALLAST_SIZE = 1 << 30, POOL_LINE_SIZE = 64 };

/* A task of this comparison: turns of bench_spin(), and a number that comes back. */
struct pool_task {
    uint64_t number, turns;
};

static inline uint64_t pool_answer(uint64_t number)
{
    return 2 * number + 1;
}

/* The first bytes of all cache lines together. */
static inline uint64_t pool_sum_of_lines(const unsigned char *data, size_t size)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < size; i += POOL_LINE_SIZE) {
        sum += data[i];
    }
    return sum;
}

/* An item of a map; its answer is the sum, 8 bytes. */
struct pool_item {
    uint64_t numbers[4];
};

struct pool_wish {
    unsigned workers;
    /* Where all workers stay, or POOL_CPU_ANY. */
    int worker_cpu;
    /* Not 0: only echoes of so many bytes are wanted. */
    size_t echo_size;
};

/* How a large payload goes to a worker and comes back. */
enum pool_echo {
    POOL_IN_PLACE,  /* the worker reads it, and gives the same memory back */
    POOL_ZERO_COPY, /* the worker writes as much of its own, which is read where it is */
    POOL_COPIED     /* out of the caller's memory, and back into it */
};

struct pool_harm {
    int64_t to_error_ns, to_heal_ns;
};

/* Only create, destroy, put and get must be there. A peer without them stands for no
 * pool at all: threads that have nothing to send. */
struct pool_peer {
    /* All workers have started when it returns. */
    void *(*create)(const struct pool_wish *wish);
    void (*destroy)(void *pool);
    /* Tasks are put so many at a time. */
    unsigned batch;
    /* At most POOL_DEPTH_MAX tasks are under way. */
    void (*put)(void *pool, const struct pool_task *tasks, unsigned count);
    /* Waits for so many results, the oldest first if it can; gives the sum of them. */
    uint64_t (*get)(void *pool, unsigned count);
    /* Its first 8 bytes differ each time. False: they did not come back. */
    bool (*echo)(void *pool, enum pool_echo how, void *payload, size_t size);
    /* 64 items in a message; gives the sum of the answers. */
    uint64_t (*map)(void *pool, const struct pool_item *items, size_t count);
    /* Starts one more worker, and returns when it can work. */
    void (*add_worker)(void *pool);
    /* Whether the workers are processes, which may be killed. */
    bool (*may_harm)(void *pool);
    /* Kills the only worker while it runs a task, with another task behind. False: the
     * pool told something else than what happened. */
    bool (*kill_worker)(void *pool, struct pool_harm *harm);
    /* Runs a task that does not end; gives when it was given up, less its limit. */
    bool (*overrun)(void *pool, int64_t limit_ns, int64_t *over_ns);
    /* What the program holds while a worker starts. */
    size_t ballast_size;
};

/* Called first in main(). */
void pool_hocket_prepare(void) __attribute__((weak));

/* A peer that was not built is NULL. */
#define POOL_PEER(name) extern const struct pool_peer name __attribute__((weak))

POOL_PEER(pool_hocket);
POOL_PEER(pool_hocket_batch);
POOL_PEER(pool_hocket_ballast);
POOL_PEER(pool_pipe);
POOL_PEER(pool_pipe_batch);
POOL_PEER(pool_pipe_large);
POOL_PEER(pool_pipe_ballast);
extern const struct pool_peer pool_none;

#endif
