/* SPDX-License-Identifier: MIT */
/*
 * OpenMP tasks; compiled once by each compiler that brings a runtime. The submitter is one
 * of the threads, and works while it waits.
 */
#include <stdlib.h>

#include "bench/hocket_bench/peer.h"

/* A larger tree takes minutes. */
enum { FORK_MAX = 27 };

static unsigned thread_count;

/* The runtime makes its threads in the first parallel region and keeps them. */
static void *start(unsigned workers)
{
    thread_count = workers;
    return &thread_count;
}

static void stop(void *pool)
{
    (void)pool;
}

static void enclose(void *pool, void (*work)(void *arg), void *arg)
{
    (void)pool;
#pragma omp parallel num_threads(thread_count)
#pragma omp single
    work(arg);
}

static void post(void *pool, struct slot *slot)
{
    (void)pool;
#pragma omp task firstprivate(slot)
    slot_answer(slot);
}

static void join(void *pool)
{
    (void)pool;
#pragma omp taskwait
}

static uint64_t fork_both(void *pool, uint64_t n)
{
    uint64_t one, other;

    if (n < 2) {
        return n;
    }
#pragma omp task shared(one)
    one = fork_both(pool, n - 1);
#pragma omp task shared(other)
    other = fork_both(pool, n - 2);
#pragma omp taskwait
    return one + other;
}

/* As it is written without a second thought: equal shares, fixed beforehand. */
static void range(void *pool, uint64_t *answers, uint64_t n)
{
    (void)pool;
#pragma omp parallel for num_threads(thread_count)
    for (uint64_t i = 0; i < n; i++) {
        answers[i] = work_trivial(i);
    }
}

static uint64_t fork_one(void *pool, uint64_t n)
{
    uint64_t one, other;

    if (n < 2) {
        return n;
    }
#pragma omp task shared(one)
    one = fork_one(pool, n - 1);
    other = fork_one(pool, n - 2);
#pragma omp taskwait
    return one + other;
}

static const struct peer openmp = {
#if defined(__clang__)
    .name = "openmp-llvm",
#else
    .name = "openmp-gnu",
#endif
    .fork_max = FORK_MAX,
    .start = start,
    .stop = stop,
    .post = post,
    .enclose = enclose,
    .join = join,
    .fork_both = fork_both,
    .fork_one = fork_one,
    .range = range,
};

const char *const peer_program_name = "peer-openmp";
const struct peer *const peers[] = {&openmp, NULL};
