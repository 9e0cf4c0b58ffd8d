/* SPDX-License-Identifier: MIT */
/*
 * A node of the wait-for graph: anything in a chain of waiting. A thread, a future,
 * a pool, a lock, a queue.
 *
 * Whoever owns the object tells how the node can move (struct hki_wait_ops); the
 * graph knows no futures, no executors and no locks.
 */
#ifndef HOCKET_SYNC_WAIT_NODE_H
#define HOCKET_SYNC_WAIT_NODE_H

#include <stdbool.h>
#include <stddef.h>

enum hki_wait_kind {
    HKI_WAIT_MOVES, /* Something outside can move it: a running thread, a timed wait. */
    HKI_WAIT_ANY,   /* It moves when one of its successors moves. */
    HKI_WAIT_ALL,   /* It moves when all of its successors can. */
};

struct hki_wait_ops;

/* A node by value; equal objects are the same node. */
struct hki_wait_node {
    const struct hki_wait_ops *ops;
    void *object;
};

struct hki_wait_ops {
    /* How the node moves, and how many successors it has. Under the graph's lock. */
    enum hki_wait_kind (*look)(void *object, size_t *count);
    /* Successor i; ops NULL stands for one that can move. */
    struct hki_wait_node (*next)(void *object, size_t i);
    /* A few words for a report: "future 0x... (sum, submitted at x.c:10)". */
    void (*describe)(void *object, char *text, size_t size);
    /* How it depends on a successor, before that one's words: "run by". NULL: ", which
     * needs". */
    const char *verb;
    /* The same where more is to be said, around the words: "held by A since y.c:33".
     * NULL: the verb will do. */
    void (*relate)(void *object, struct hki_wait_node next, const char *words, char *text,
                   size_t size);
    /* A lock: not what the warning about blocking with a lock held is about. */
    bool is_lock;
};

#endif
