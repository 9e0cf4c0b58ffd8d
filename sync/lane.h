/* SPDX-License-Identifier: MIT */
/*
 * A lane: an intrusive queue, first in first out, of many producers and one consumer at a
 * time. A put is two atomic operations and a store, whoever else puts; it never waits.
 *
 * After Dmitry Vyukov's "Intrusive MPSC node-based queue" (1024cores.net): the tail is
 * exchanged, then the node before is linked to the new one. Between the two the new node and
 * those behind it cannot be reached: then a take finds nothing, though the lane is not empty.
 *
 * Invariants
 *   L1  put counts before it exchanges the tail, take after it has a node: so the lane is
 *       never less full than it says, and who has put (seq_cst) and asks next whether
 *       somebody sleeps, or is about to sleep and asks next whether there is anything, one
 *       of the two sees the other.
 *   L2  head, and taken, belong to who holds the consumer's lock.
 */
#ifndef HOCKET_SYNC_LANE_H
#define HOCKET_SYNC_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/brief_lock.h"

enum { HKI_LANE_LINE = 64 };

struct hki_lane_node {
    _Atomic(struct hki_lane_node *) next;
};

/* What producers write and what the consumer writes lie apart. */
struct hki_lane {
    _Atomic(struct hki_lane_node *) tail;
    _Atomic(uint64_t) put;
    char apart[HKI_LANE_LINE];
    struct hki_lane_node *head; /* L2. */
    _Atomic(uint64_t) taken;    /* L2. */
    uint64_t most;              /* L2. The greatest count that a take has met. */
    struct hki_lane_node stub;  /* In the list whenever it would be empty. */
    struct hki_brief_lock consumer;
};

static inline void hki_lane_init(struct hki_lane *lane)
{
    atomic_init(&lane->stub.next, NULL);
    atomic_init(&lane->tail, &lane->stub);
    atomic_init(&lane->put, 0);
    lane->head = &lane->stub;
    atomic_init(&lane->taken, 0);
    lane->most = 0;
    atomic_init(&lane->consumer.word, 0);
}

/* A chain, linked from first to last. */
static inline void hki_lane_link_chain(struct hki_lane *lane, struct hki_lane_node *first,
                                       struct hki_lane_node *last)
{
    struct hki_lane_node *before;

    /* relaxed: reached only by the link below. */
    atomic_store_explicit(&last->next, NULL, memory_order_relaxed);
    before = atomic_exchange(&lane->tail, last);
    /* release: pairs with the acquire in hki_lane_unlink(): the nodes' contents, and the links
     * from first to last. */
    atomic_store_explicit(&before->next, first, memory_order_release);
}

static inline void hki_lane_link(struct hki_lane *lane, struct hki_lane_node *node)
{
    hki_lane_link_chain(lane, node, node);
}

/* count of them, linked from first to last, at the price of one. */
static inline void hki_lane_put_chain(struct hki_lane *lane, struct hki_lane_node *first,
                                      struct hki_lane_node *last, size_t count)
{
    atomic_fetch_add(&lane->put, count); /* L1 */
    hki_lane_link_chain(lane, first, last);
}

static inline void hki_lane_put(struct hki_lane *lane, struct hki_lane_node *node)
{
    hki_lane_put_chain(lane, node, node, 1);
}

/* How many, but for those that are just being put or taken. seq_cst, for L1. taken first: so
 * that it is not below 0. */
static inline size_t hki_lane_count(struct hki_lane *lane)
{
    uint64_t taken = atomic_load(&lane->taken);

    return (size_t)(atomic_load(&lane->put) - taken);
}

/* Under the consumer's lock. NULL: nothing, or nothing that can be reached yet. */
static inline struct hki_lane_node *hki_lane_unlink(struct hki_lane *lane)
{
    struct hki_lane_node *head = lane->head;
    /* acquire: pairs with the release of who linked it. */
    struct hki_lane_node *next = atomic_load_explicit(&head->next, memory_order_acquire);

    if (head == &lane->stub) {
        if (next == NULL) {
            return NULL;
        }
        lane->head = next;
        head = next;
        /* acquire: pairs with the release of who linked it. */
        next = atomic_load_explicit(&head->next, memory_order_acquire);
    }
    if (next == NULL) {
        if (atomic_load(&lane->tail) != head) {
            return NULL; /* Its successor is being linked. */
        }
        hki_lane_link(lane, &lane->stub);
        /* acquire: pairs with the release of who linked it. */
        next = atomic_load_explicit(&head->next, memory_order_acquire);
        if (next == NULL) {
            return NULL; /* Another one came in between, and is being linked. */
        }
    }
    lane->head = next;
    return head;
}

/* Under the consumer's lock: the oldest ones, up to max; how many. */
static inline size_t hki_lane_take(struct hki_lane *lane, struct hki_lane_node **nodes, size_t max)
{
    size_t count = hki_lane_count(lane);
    size_t got = 0;

    lane->most = count > lane->most ? count : lane->most;
    while (got < max && (nodes[got] = hki_lane_unlink(lane)) != NULL) {
        got++;
    }
    /* relaxed: L2, the load. The store is seq_cst, for who waits for room. */
    atomic_store(&lane->taken, atomic_load_explicit(&lane->taken, memory_order_relaxed) + got);
    return got;
}

#endif
