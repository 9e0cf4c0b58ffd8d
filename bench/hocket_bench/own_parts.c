/* SPDX-License-Identifier: MIT */
/*
 * Micro-benchmarks: single operations of one thread that nobody disturbs. What they cost is
 * what their users pay at least.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/own.h"
#include "bench/hocket_bench/peer_hocket.h"

/* --- Locks, queues, counters -------------------------------------------------------- */

int64_t repeat_lock_alone(struct trial *trial, uint64_t n)
{
    static hk_lock lock = HK_LOCK_INIT("alone");
    int64_t began_ns = bench_now_ns();
    uint64_t count = 0;

    (void)trial;
    for (uint64_t i = 0; i < n; i++) {
        hocket_must(hk_lock_acquire(&lock), "hk_lock_acquire");
        count++;
        hk_lock_release(&lock);
    }
    return count == n ? bench_now_ns() - began_ns : -1;
}

int64_t repeat_semaphore_alone(struct trial *trial, uint64_t n)
{
    hk_semaphore semaphore = HK_SEMAPHORE_INIT("alone", 1, 1);
    int64_t began_ns = bench_now_ns(), elapsed_ns;

    (void)trial;
    for (uint64_t i = 0; i < n; i++) {
        hocket_must(hk_semaphore_acquire(&semaphore, 1, HK_FOREVER), "hk_semaphore_acquire");
        hocket_must(hk_semaphore_release(&semaphore, 1), "hk_semaphore_release");
    }
    elapsed_ns = bench_now_ns() - began_ns;
    return hk_semaphore_value(&semaphore) == 1 ? elapsed_ns : -1;
}

int64_t repeat_queue_alone(struct trial *trial, uint64_t n)
{
    int64_t began_ns, elapsed_ns;
    uint64_t sum = 0;
    hk_queue *queue;

    (void)trial;
    hocket_must(hk_queue_create(NULL, &queue), "hk_queue_create");
    began_ns = bench_now_ns();
    for (uint64_t i = 1; i <= n; i++) {
        void *item;

        /* Never followed: the pointer is the number. */
        hocket_must(hk_queue_put(queue, (void *)(uintptr_t)i, HK_FOREVER), "hk_queue_put");
        hocket_must(hk_queue_get(queue, HK_FOREVER, &item), "hk_queue_get");
        sum += (uintptr_t)item;
    }
    elapsed_ns = bench_now_ns() - began_ns;
    hocket_must(hk_queue_destroy(queue), "hk_queue_destroy");
    return sum == n * (n + 1) / 2 ? elapsed_ns : -1;
}

int64_t repeat_ring_alone(struct trial *trial, uint64_t n)
{
    int64_t began_ns, elapsed_ns;
    uint64_t sum = 0;
    hk_ring *ring;

    (void)trial;
    hocket_must(hk_ring_create(NULL, &ring), "hk_ring_create");
    began_ns = bench_now_ns();
    for (uint64_t i = 1; i <= n; i++) {
        void *item;

        hocket_must(hk_ring_put(ring, (void *)(uintptr_t)i, HK_FOREVER), "hk_ring_put");
        hocket_must(hk_ring_get(ring, HK_FOREVER, &item), "hk_ring_get");
        sum += (uintptr_t)item;
    }
    elapsed_ns = bench_now_ns() - began_ns;
    hocket_must(hk_ring_destroy(ring), "hk_ring_destroy");
    return sum == n * (n + 1) / 2 ? elapsed_ns : -1;
}

int64_t repeat_counter(struct trial *trial, uint64_t n)
{
    static hk_counter counter = HK_COUNTER_INIT;
    int64_t began_ns = bench_now_ns(), elapsed_ns;

    (void)trial;
    for (uint64_t i = 0; i < n; i++) {
        hk_counter_add(&counter, 1);
    }
    elapsed_ns = bench_now_ns() - began_ns;
    return hk_counter_reset(&counter) == (int64_t)n ? elapsed_ns : -1;
}

/* --- Futures ------------------------------------------------------------------------ */

int64_t repeat_promise(struct trial *trial, uint64_t n)
{
    int64_t began_ns = bench_now_ns();
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t value = work_trivial(i);
        hk_promise *promise;
        hk_future *future;

        hocket_must(hk_promise_create(&promise, &future), "hk_promise_create");
        hocket_must(hk_promise_set(promise, &value, sizeof(value)), "hk_promise_set");
        hk_promise_destroy(promise);
        sum += hocket_result(trial->pool, &future);
    }
    return sum == sum_of_trivial(n) ? bench_now_ns() - began_ns : -1;
}

static hk_status hand_on(hk_future *source, hk_promise *result, void *arg)
{
    const void *value;
    hk_status status = hk_future_result(source, 0, &value, NULL);

    (void)arg;
    return status == HK_OK ? hk_promise_set(result, value, sizeof(uint64_t)) : status;
}

int64_t repeat_then(struct trial *trial, uint64_t n)
{
    uint64_t one = 1, sum = 0;
    int64_t began_ns, elapsed_ns;
    hk_promise *promise;
    hk_future *source;

    hocket_must(hk_promise_create(&promise, &source), "hk_promise_create");
    hocket_must(hk_promise_set(promise, &one, sizeof(one)), "hk_promise_set");
    began_ns = bench_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        hk_future *step;

        hocket_must(hk_then(source, NULL, hand_on, NULL, &step), "hk_then");
        sum += hocket_result(trial->pool, &step);
    }
    elapsed_ns = bench_now_ns() - began_ns;
    hk_promise_destroy(promise);
    hk_future_unref(source);
    return sum == n ? elapsed_ns : -1;
}

/* --- Tasks -------------------------------------------------------------------------- */

int64_t repeat_inline(struct trial *trial, uint64_t n)
{
    hk_executor *executor;
    int64_t began_ns, elapsed_ns;
    uint64_t sum = 0;

    (void)trial;
    hocket_must(hk_inline_create(NULL, &executor), "hk_inline_create");
    began_ns = bench_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        hk_future *future;

        hocket_submit(executor, WORK_TRIVIAL, i, &future);
        sum += hocket_result(executor, &future);
    }
    elapsed_ns = bench_now_ns() - began_ns;
    hocket_must(hk_executor_destroy(executor), "hk_executor_destroy");
    return sum == sum_of_trivial(n) ? elapsed_ns : -1;
}

static hk_status count_up(hk_scope *scope, void *arg)
{
    (void)scope;
    ++*(uint64_t *)arg;
    return HK_OK;
}

/* Forks and joins so many; gives the time it took, or -1. A thief may take any of them. */
HK_TASK(bench_fork_alone)
{
    uint64_t n, count = 0;
    int64_t began_ns = bench_now_ns(), elapsed_ns;
    hk_scope scope;

    if (in_size != sizeof(n)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(n), in_size);
    }
    memcpy(&n, in, sizeof(n));
    hocket_must(hk_scope_begin(&scope, call), "hk_scope_begin");
    for (uint64_t i = 0; i < n; i++) {
        hk_forked forked;

        hk_fork(&scope, &forked, count_up, &count);
        hocket_must(hk_join(&scope, &forked), "hk_join");
    }
    hocket_must(hk_scope_end(&scope), "hk_scope_end");
    elapsed_ns = count == n ? bench_now_ns() - began_ns : -1;
    return hk_return(call, &elapsed_ns, sizeof(elapsed_ns));
}

int64_t repeat_fork_alone(struct trial *trial, uint64_t n)
{
    const void *value;
    int64_t elapsed_ns;
    hk_future *future;

    hocket_must(hk_submit(trial->pool, bench_fork_alone, &n, sizeof(n), NULL, &future),
                "hk_submit");
    hocket_must(hk_future_result(future, HK_FOREVER, &value, NULL), "hk_future_result");
    memcpy(&elapsed_ns, value, sizeof(elapsed_ns));
    hk_future_unref(future);
    return elapsed_ns;
}
