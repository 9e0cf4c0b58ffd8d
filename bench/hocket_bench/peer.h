/* SPDX-License-Identifier: MIT */
/*
 * What the workloads want of a pool. Hocket's executors are peers among others.
 *
 * A peer with futures gives one for each task. One without runs slots: the workload then
 * keeps the answers in an array of its own, counts down an atomic and signals a condition
 * variable at zero, which is cheaper than any future.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/hocket_bench/work.h"

#ifdef __cplusplus
extern "C" {
#endif

struct countdown;

/* A task of a peer without futures. */
struct slot {
    work_body *body;
    uint64_t number, answer;
    struct countdown *countdown;
};

/* Does a slot's work, and counts it; takes a void pointer for peers who want to call it
 * themselves. */
void slot_run(void *arg);

/* Only does the work, for peers that know themselves when all is done: those with join. */
void slot_answer(void *arg);

/* Only name, start, stop and either submit and result or post must be there. */
struct peer {
    const char *name;
    /* Its workers are processes: only the workloads proc_* make sense. */
    bool is_processes;
    /* With futures: their size. */
    size_t future_size;
    /* It keeps so many tasks at most; 0: any number. */
    uint64_t window;
    /* What it is spared: more tasks, or a larger tree, would take minutes. 0: nothing. */
    uint64_t tasks_max, fork_max;
    /* Most threads it has; 0: any number. */
    unsigned workers_max;
    /* The workers have started when it returns. */
    void *(*start)(unsigned workers);
    void (*stop)(void *pool);
    void (*submit)(void *pool, enum work_kind kind, uint64_t number, void *future);
    /* Waits; the future is done with then. */
    uint64_t (*result)(void *pool, void *future);
    /* Waits for all of them, where one call does that. */
    void (*wait_all)(void *pool, void *futures, uint64_t count);
    void (*post)(void *pool, struct slot *slot);
    /* Calls work where post is allowed, for peers whose submitter must be one of their
     * own threads. */
    void (*enclose)(void *pool, void (*work)(void *arg), void *arg);
    /* Waits for all that was posted; the submitter may work meanwhile. */
    void (*join)(void *pool);
    /* fib(n), a task for each call above the leaves; or only for one of the two halves. */
    uint64_t (*fork_both)(void *pool, uint64_t n);
    uint64_t (*fork_one)(void *pool, uint64_t n);
    /* The latter with records on the stack: nothing that one could ask later. */
    uint64_t (*fork_scoped)(void *pool, uint64_t n);
    /* answers[i] = work_trivial(i) for all i below n, as its parallel for; the caller is one of
     * its threads. */
    void (*range)(void *pool, uint64_t *answers, uint64_t n);
    /* A payload to a worker, and back into the same memory: first all are sent, then all
     * are received. False: not what was sent. */
    void (*echo_send)(void *pool, unsigned worker, const void *payload, size_t size);
    bool (*echo_receive)(void *pool, unsigned worker, void *payload, size_t size);
};

/* Each program names its peers; NULL ends them. */
extern const char *const peer_program_name;
extern const struct peer *const peers[];

#ifdef __cplusplus
}
#endif

#endif
