/* SPDX-License-Identifier: MIT */
/*
 * The wait-for graph: who waits for what, and who must act.
 *
 * A node is anything in a chain of waiting: a thread, a future, a pool, a
 * callback. Whoever owns the object tells the graph how the node can move
 * (struct hki_wait_ops); the graph knows no futures and no executors.
 *
 *   MOVES   something outside can move it: a running thread, a timed waiter, a
 *           promise that anybody may set.
 *   ANY     it moves when one of its successors moves.
 *   ALL     it moves when all of its successors can.
 *
 * A wait can never end when its node cannot move by these rules.
 *
 * Rules
 *   - Only threads that run a task or a callback take part: nobody else can be
 *     waited for. They publish a wait before they sleep, under the graph's lock,
 *     and look in the same breath; so of those who close a cycle the last one
 *     sees it, and exactly one is refused.
 *   - Nodes are read under the lock. Objects that may vanish are kept alive by a
 *     handshake: see hki_agent_leave() and hki_wait_graph_settle().
 */
#ifndef HOCKET_SYNC_WAIT_GRAPH_H
#define HOCKET_SYNC_WAIT_GRAPH_H

#include <hocket/status.h>

#include <stdbool.h>
#include <stddef.h>

enum hki_wait_kind { HKI_WAIT_MOVES, HKI_WAIT_ANY, HKI_WAIT_ALL };

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
    /* A few words for a report: "future 0x... of sum, submitted at x.c:10". */
    void (*describe)(void *object, char *text, size_t size);
};

/* What a pool wants to know of the thread that is its worker. */
struct hki_agent_host_ops {
    /* It is about to sleep in a wait, and it is back. */
    void (*block)(void *host);
    void (*unblock)(void *host);
    /* Its outermost task has ended, all but for telling: it is as good as idle. */
    void (*finishing)(void *host);
    /* It is not idle yet after all: callbacks of the application come first. */
    void (*occupied)(void *host);
};

/* A thread, as the graph sees it. One for each thread, in thread-local memory. */
struct hki_agent {
    unsigned depth;       /* Tasks and callbacks on this stack. */
    unsigned claim_depth; /* Of these, tasks that a wait or a submit took over. */
    const char *name;     /* For reports: "worker log_2"; NULL: an ordinary thread. */
    char *stack_low;      /* For the room check of claims; NULL: not asked yet. */
    /* The pool whose worker this is, or NULL. */
    const struct hki_agent_host_ops *host_ops;
    void *host;
    void *host_owner;          /* The executor that host works for. */
    struct hki_party *parties; /* What it has declared itself for, see sync/party.h. */
    /* Under the graph's lock: */
    struct hki_wait_node waits_for; /* ops NULL: not waiting. */
    bool timed;
};

struct hki_agent *hki_agent_self(void);

/* Brackets every task and callback. */
void hki_agent_enter(struct hki_agent *agent);

/* Leaving the outermost one also waits for a look that may still read this
 * thread's record, so that the thread may end. */
void hki_agent_leave(struct hki_agent *agent);

/* Whether one more task may be run on this stack, inside the one that runs:
 * bounded in depth (256), and by the room that is left. */
bool hki_agent_may_nest(const struct hki_agent *agent);

/* The node of a thread. */
struct hki_wait_node hki_agent_node(struct hki_agent *agent);

enum { HKI_WAIT_REPORT_BYTES = 1024 };

/* Publish that the agent is about to wait; every HK_OK is followed by
 * hki_wait_graph_end(). HK_EDEADLK, and nothing published, if the wait could never
 * end: report (HKI_WAIT_REPORT_BYTES) then tells who waits for what. HK_ENOMEM if
 * more is to be looked at than fits on the stack and there is no memory: a wait
 * of which nobody can tell whether it ends is not begun. */
hk_status hki_wait_graph_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed,
                               char *report);

void hki_wait_graph_end(struct hki_agent *agent);

/* HK_EDEADLK if start cannot move without target, which cannot move without start:
 * target has published that it waits for start. HK_OK if it can;
 * HK_ENOMEM if there is too much to look at and no memory. */
hk_status hki_wait_graph_reaches(struct hki_wait_node start, struct hki_wait_node target);

/* For what is guarded by the graph's lock besides waits: parties. */
void hki_wait_graph_lock(void);
void hki_wait_graph_unlock(void);

/* Waits for a look that is under way: called by an owner of nodes after they
 * can no longer be reached and before they are freed. */
void hki_wait_graph_settle(void);

#endif
