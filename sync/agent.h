/* SPDX-License-Identifier: MIT */
/*
 * Agents: threads, as the wait-for graph and the locks see them.
 *
 * The record is thread-local memory of its thread. A thread that can be found by
 * others (it owns a lock, is a declared party, or sleeps in a wait) is attached: it
 * has a slot, a small number that stands for it in lock words. At the end of the
 * thread the slot is given back, under the graph's lock, so that a look which holds
 * that lock never reads a record that is gone.
 */
#ifndef HOCKET_SYNC_AGENT_H
#define HOCKET_SYNC_AGENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sync/wait_node.h"

struct hk_future;
struct hki_cancels;
struct hki_drains;
struct hki_holder;
struct hki_party;
struct hki_work_counts;

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

enum {
    HKI_SLOT_NONE = 0,
    HKI_SLOT_MAX = 65535,
    HKI_NEST_DEPTH_MAX = 256,
    HKI_NEST_STACK_BYTES = 128 * 1024, /* Room that a nested task must find. */
};

struct hki_agent {
    unsigned depth;       /* Tasks and callbacks on this stack. */
    unsigned claim_depth; /* Of these, tasks that a wait or a submit took over. */
    unsigned must_return; /* Other functions of the application that somebody counts on. */
    bool end_is_watched;  /* See hki_agent_watch_end(). */
    const char *name;     /* For reports: "worker log_2"; NULL: an ordinary thread. */
    char *stack_low;      /* For the room check of claims; NULL: not asked yet. */
    /* The pool whose worker this is, or NULL. */
    const struct hki_agent_host_ops *host_ops;
    void *host;
    void *host_owner;               /* The executor that host works for. */
    struct hki_work_counts *counts; /* What this thread alone counts for it; NULL: nothing. */
    /* What it has declared itself for, see sync/party.h. Written under the graph's lock, also
     * by others, when an object ends; its own thread asks without it whether there is any. */
    _Atomic(struct hki_party *) parties;
    struct hki_holder *holder; /* The locks it holds, see sync/holder.h; NULL: never one. */
    uint32_t slot;             /* HKI_SLOT_NONE: not attached. */
    int thread_id;             /* Set with the slot. */
    char thread_name[16];      /* The same: to ask /proc takes longer than the rest of a look. */
    unsigned block_state;      /* Own thread: what hki_block_end() has to undo. */
    /* Own thread: what goes along chains of futures, see futures/relay.h. */
    struct hki_drains *drains;
    struct hki_cancels *cancels;
    struct hk_future **burials;
    /* Under the graph's lock: */
    struct hki_wait_node waits_for; /* ops NULL: not waiting, or nobody can wait for it. */
    bool timed;
    /* Has what it waits for, and has not said so yet: see hki_block_served(). */
    atomic_bool served;
    /* The wait, for who only wants to see it (hk_waits_dump): see sync/block.c. */
    _Atomic(const struct hki_wait_ops *) shown_ops;
    _Atomic(void *) shown_object;
    atomic_int_fast64_t shown_since_ns;
    int64_t told_since_ns; /* Of the wait that the watchdog told of. Under the graph's lock. */
};

#ifdef HKI_SIMULATED_THREADS /* Tests that run many threads on one. */
struct hki_agent *hki_agent_self(void);
#else
/* In the block of thread-local memory that every thread has from its start: a few hundred bytes
 * that every task asks for several times. */
extern _Thread_local struct hki_agent hki_own_agent __attribute__((tls_model("initial-exec")));

static inline struct hki_agent *hki_agent_self(void)
{
    struct hki_agent *self = &hki_own_agent;

    /* Nothing is done here. But else gcc may ask the addition that makes the address whether it
     * is 0, and the linker turns that addition into an instruction that leaves no answer: seen
     * with the checks of the undefined behaviour sanitizer. */
    __asm__("" : "+r"(self));
    return self;
}
#endif

/* A thread that ends inside a function of the application (by pthread_exit(), or cancelled) takes
 * the stack with it on which we stand, and that others count on. What it was doing can neither go
 * on nor be taken back, so the program stops, with a line that says why. To see it, the end of a
 * thread is watched from when it first runs such a function; without a thread key it is not. */
void hki_agent_begin_watching_end(struct hki_agent *agent);

/* At the end of a thread, before anything of it is waited for. */
void hki_agent_stop_if_inside(const struct hki_agent *agent);

static inline void hki_agent_watch_end(struct hki_agent *agent)
{
    if (__builtin_expect(!agent->end_is_watched, 0)) {
        hki_agent_begin_watching_end(agent);
    }
}

/* Brackets every task and callback. */
static inline void hki_agent_enter(struct hki_agent *agent)
{
    agent->depth++;
    hki_agent_watch_end(agent);
}

/* The same around functions that are neither, and leave alone what is declared in them. */
static inline void hki_agent_enter_function(struct hki_agent *agent)
{
    agent->must_return++;
    hki_agent_watch_end(agent);
}

static inline void hki_agent_leave_function(struct hki_agent *agent)
{
    agent->must_return--;
}

/* The same for code of the application that may come after a task has ended, such as a
 * drop function: the worker is not as good as idle then. */
void hki_agent_enter_late(struct hki_agent *agent);

/* Leaving takes back what was declared inside. Leaving the outermost one also waits
 * for a look that may still read this thread's record, so that the thread may end. */
void hki_agent_leave(struct hki_agent *agent);

/* Whether one more task may be run on this stack, inside the one that runs:
 * bounded in depth (256), and by the room that is left. */
static inline bool hki_agent_may_nest(const struct hki_agent *agent)
{
    const char *here = __builtin_frame_address(0);

    return agent->claim_depth < HKI_NEST_DEPTH_MAX &&
           (agent->stack_low == NULL || here - agent->stack_low > HKI_NEST_STACK_BYTES);
}

/* The node of a thread. */
struct hki_wait_node hki_agent_node(struct hki_agent *agent);
bool hki_agent_is_node(struct hki_wait_node node);

/* Gives the calling thread a slot, once. False without memory for it, or when
 * HKI_SLOT_MAX threads have one. */
bool hki_agent_attach(struct hki_agent *agent);

/* Whether the process exits: then threads may end unseen, and none is to be looked at. */
bool hki_agents_are_over(void);

/* Who a slot stands for. Under the graph's lock, but for the one that follows. NULL:
 * nobody. */
struct hki_agent *hki_slot_agent(uint32_t slot);
bool hki_slot_foreign(uint32_t slot); /* Its thread stayed in the parent process. */

/* Slots from 1 up to this one have been in use. */
uint32_t hki_slot_last(void);

#endif
