/* SPDX-License-Identifier: MIT */
/*
 * queue and lock: what threads do to each other without a pool.
 */
#include <stdatomic.h>

#include "bench/harness/crew.h"
#include "bench/hocket_bench/own.h"
#include "bench/hocket_bench/peer_hocket.h"

enum { CAPACITY = 1024 };

/* --- Queue -------------------------------------------------------------------------- */

struct flow {
    hk_queue *queue;
    unsigned pairs;
    /* Items of one producer. */
    uint64_t share;
    _Atomic(unsigned) producers_left;
    _Atomic(uint64_t) count, sum;
};

static void produce(struct flow *flow)
{
    for (uint64_t i = 1; i <= flow->share; i++) {
        /* Never followed: the pointer is the number. */
        hocket_must(hk_queue_put(flow->queue, (void *)(uintptr_t)i, HK_FOREVER), "hk_queue_put");
    }
    if (atomic_fetch_sub(&flow->producers_left, 1) == 1) {
        hocket_must(hk_queue_close(flow->queue), "hk_queue_close");
    }
}

static void consume(struct flow *flow)
{
    uint64_t sum = 0, count = 0;
    void *item;

    while (hk_queue_get(flow->queue, HK_FOREVER, &item) == HK_OK) {
        sum += (uintptr_t)item;
        count++;
    }
    atomic_fetch_add(&flow->sum, sum);
    atomic_fetch_add(&flow->count, count);
}

static void flow_member(void *arg, unsigned index)
{
    struct flow *flow = arg;

    if (index < flow->pairs) {
        produce(flow);
    } else {
        consume(flow);
    }
}

int64_t repeat_queue(struct trial *trial, uint64_t n)
{
    hk_queue_options options = {.capacity = CAPACITY};
    struct flow flow = {.pairs = trial->threads < 4 ? 1 : trial->threads / 2};
    uint64_t expected;
    int64_t elapsed_ns;

    flow.share = (n + flow.pairs - 1) / flow.pairs;
    expected = flow.pairs * (flow.share * (flow.share + 1) / 2);
    atomic_store(&flow.producers_left, flow.pairs);
    hocket_must(hk_queue_create(&options, &flow.queue), "hk_queue_create");
    elapsed_ns = crew_run(2 * flow.pairs, flow_member, &flow);
    hocket_must(hk_queue_destroy(flow.queue), "hk_queue_destroy");
    return atomic_load(&flow.sum) == expected && atomic_load(&flow.count) == flow.pairs * flow.share
               ? elapsed_ns
               : -1;
}

/* --- Lock --------------------------------------------------------------------------- */

struct turns {
    hk_lock lock;
    uint64_t share;
    /* Under the lock. */
    uint64_t count;
};

static void take_turns(void *arg, unsigned index)
{
    struct turns *turns = arg;

    (void)index;
    for (uint64_t i = 0; i < turns->share; i++) {
        hocket_must(hk_lock_acquire(&turns->lock), "hk_lock_acquire");
        turns->count++;
        hk_lock_release(&turns->lock);
    }
}

int64_t repeat_lock(struct trial *trial, uint64_t n)
{
    struct turns turns = {.share = (n + trial->threads - 1) / trial->threads};
    int64_t elapsed_ns;

    hocket_must(hk_lock_init(&turns.lock, NULL), "hk_lock_init");
    elapsed_ns = crew_run(trial->threads, take_turns, &turns);
    hocket_must(hk_lock_destroy(&turns.lock), "hk_lock_destroy");
    return turns.count == trial->threads * turns.share ? elapsed_ns : -1;
}
