/* SPDX-License-Identifier: MIT */
/*
 * Threads and inline: hk_submit() with 8 bytes of input, a future for each task.
 */
#include "bench/hocket_bench/peer_hocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hocket_must(hk_status status, const char *what)
{
    if (status != HK_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, hk_status_name(status), hk_strerror(status));
        exit(1);
    }
}

/* --- Tasks -------------------------------------------------------------------------- */

static hk_status do_work(hk_call *call, const void *in, size_t in_size, work_body *body)
{
    uint64_t number, answer;

    if (in_size != sizeof(number)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(number), in_size);
    }
    memcpy(&number, in, sizeof(number));
    answer = body(number);
    return hk_return(call, &answer, sizeof(answer));
}

HK_TASK(bench_trivial)
{
    return do_work(call, in, in_size, work_trivial);
}

HK_TASK(bench_map)
{
    return do_work(call, in, in_size, work_map_chunk);
}

HK_TASK(bench_skewed)
{
    return do_work(call, in, in_size, work_skewed);
}

static const hk_task *const tasks[WORK_KINDS] = {bench_trivial, bench_map, bench_skewed};

void hocket_submit(void *pool, enum work_kind kind, uint64_t number, void *future)
{
    hocket_must(hk_submit(pool, tasks[kind], &number, sizeof(number), NULL, future), "hk_submit");
}

static uint64_t read_future(hk_future *future)
{
    const void *value;
    uint64_t answer;

    hocket_must(hk_future_result(future, HK_FOREVER, &value, NULL), "hk_future_result");
    memcpy(&answer, value, sizeof(answer));
    hk_future_unref(future);
    return answer;
}

uint64_t hocket_result(void *pool, void *future)
{
    (void)pool;
    return read_future(*(hk_future **)future);
}

static void wait_for_all(void *pool, void *futures, uint64_t count)
{
    (void)pool;
    hocket_must(hk_wait(futures, count, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL), "hk_wait");
}

/* --- Trees -------------------------------------------------------------------------- */

static hk_future *spawn(hk_executor *executor, const hk_task *task, uint64_t n)
{
    hk_future *future;

    hocket_must(hk_submit(executor, task, &n, sizeof(n), NULL, &future), "hk_submit");
    return future;
}

HK_TASK_DECLARE(bench_fork_both);

static uint64_t fork_both(void *executor, uint64_t n)
{
    hk_future *one, *other;
    uint64_t sum;

    if (n < 2) {
        return n;
    }
    one = spawn(executor, bench_fork_both, n - 1);
    other = spawn(executor, bench_fork_both, n - 2);
    sum = read_future(other);
    return sum + read_future(one);
}

HK_TASK(bench_fork_both)
{
    uint64_t n, answer;

    if (in_size != sizeof(n)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(n), in_size);
    }
    memcpy(&n, in, sizeof(n));
    answer = fork_both(hk_call_executor(call), n);
    return hk_return(call, &answer, sizeof(answer));
}

HK_TASK_DECLARE(bench_fork_one);

static uint64_t fork_one(void *executor, uint64_t n)
{
    hk_future *one;
    uint64_t sum;

    if (n < 2) {
        return n;
    }
    one = spawn(executor, bench_fork_one, n - 1);
    sum = fork_one(executor, n - 2);
    return sum + read_future(one);
}

HK_TASK(bench_fork_one)
{
    uint64_t n, answer;

    if (in_size != sizeof(n)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(n), in_size);
    }
    memcpy(&n, in, sizeof(n));
    answer = fork_one(hk_call_executor(call), n);
    return hk_return(call, &answer, sizeof(answer));
}

/* fib(n) in place of n. */
static hk_status fork_scoped(hk_scope *scope, void *arg)
{
    uint64_t *number = arg;
    uint64_t one, other;
    hk_forked forked;
    hk_status status;

    if (*number < 2) {
        return HK_OK;
    }
    one = *number - 1;
    other = *number - 2;
    hk_fork(scope, &forked, fork_scoped, &one);
    status = fork_scoped(scope, &other);
    if (hk_join(scope, &forked) != HK_OK || status != HK_OK) {
        return HK_EFAILED;
    }
    *number = one + other;
    return HK_OK;
}

HK_TASK(bench_fork_scoped)
{
    uint64_t number;
    hk_scope scope;

    if (in_size != sizeof(number)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(number), in_size);
    }
    memcpy(&number, in, sizeof(number));
    hocket_must(hk_scope_begin(&scope, call), "hk_scope_begin");
    hocket_must(fork_scoped(&scope, &number), "hk_fork");
    hocket_must(hk_scope_end(&scope), "hk_scope_end");
    return hk_return(call, &number, sizeof(number));
}

/* The root is a task too, as with other pools of this kind: all of it happens inside. */
static uint64_t start_fork_both(void *pool, uint64_t n)
{
    return read_future(spawn(pool, bench_fork_both, n));
}

static uint64_t start_fork_one(void *pool, uint64_t n)
{
    return read_future(spawn(pool, bench_fork_one, n));
}

static uint64_t start_fork_scoped(void *pool, uint64_t n)
{
    return read_future(spawn(pool, bench_fork_scoped, n));
}

/* --- The executors ------------------------------------------------------------------ */

void hocket_stop(void *pool)
{
    hocket_must(hk_executor_destroy(pool), "hk_executor_destroy");
}

static void *start_threads(unsigned workers)
{
    hk_executor_options options = {.workers = workers};
    hk_executor *executor;

    hocket_must(hk_thread_pool_create(&options, &executor), "hk_thread_pool_create");
    hocket_must(hk_executor_prestart(executor, HK_FOREVER), "hk_executor_prestart");
    return executor;
}

static void *start_inline(unsigned workers)
{
    hk_executor *executor;

    (void)workers;
    hocket_must(hk_inline_create(NULL, &executor), "hk_inline_create");
    return executor;
}

const struct peer peer_hocket_threads = {
    .name = "hocket-threads",
    .future_size = sizeof(hk_future *),
    .start = start_threads,
    .stop = hocket_stop,
    .submit = hocket_submit,
    .result = hocket_result,
    .wait_all = wait_for_all,
    .fork_both = start_fork_both,
    .fork_one = start_fork_one,
    .fork_scoped = start_fork_scoped,
    .range = hocket_range,
};

const struct peer peer_hocket_inline = {
    .name = "hocket-inline",
    .future_size = sizeof(hk_future *),
    .workers_max = 1,
    .start = start_inline,
    .stop = hocket_stop,
    .submit = hocket_submit,
    .result = hocket_result,
    .fork_both = start_fork_both,
    .fork_one = start_fork_one,
    .fork_scoped = start_fork_scoped,
    .range = hocket_range,
};
