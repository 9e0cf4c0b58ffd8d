/* SPDX-License-Identifier: MIT */
/*
 * An eventcount: sleeping until some state that has no lock changes.
 *
 *     sleeper                                     who changes the state
 *       key = hki_eventcount_enter(ec)              make the change
 *       look at the state once more                 hki_eventcount_notify(ec)
 *       sleep, if it is not there yet
 *       hki_eventcount_leave(ec)
 *
 * Either the sleeper's second look sees the change, or notify sees the sleeper. Where the
 * kernel has membarrier, the sleeper pays for that with a system call (it is about to make
 * one anyway) and notify is one plain load; elsewhere both sides change the same word, and
 * who comes second sees what the first has done.
 *
 * At most one wake is in flight: who notifies while one is leaves it at that, for the
 * woken thread has not looked yet. So a thread that slept and found more than it could use
 * notifies in turn.
 *
 * Why no wake is lost. A wake is claimed by setting PENDING, in one step with the look at
 * the count, and only while somebody is counted. Every sleeper that the claim counted had
 * read the epoch before it was counted, so it holds an older one: it is woken, or does not
 * fall asleep. It leaves, which takes PENDING back, and then looks; and a notifier that
 * saw PENDING saw it in a read-modify-write of the word which the leaving one changes
 * later, so that look sees its change. (With the epoch read after the count, or a claim
 * that counted nobody, PENDING could stay with all asleep.)
 */
#ifndef HOCKET_SYNC_EVENTCOUNT_H
#define HOCKET_SYNC_EVENTCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HKI_EVENTCOUNT_PENDING = 1, /* A wake was claimed, and nobody has left since. */
    HKI_EVENTCOUNT_SLEEPER = 2  /* One of those counted. */
};

/* Made by hki_eventcount_init(). */
struct hki_eventcount {
    _Atomic(uint32_t) state; /* Twice the sleepers, plus PENDING. */
    _Atomic(uint32_t) epoch; /* What they sleep on; moves with every wake. */
    atomic_bool wants_all;   /* The next wake is for all of them. */
    bool has_barrier;        /* Never changes. */
};

void hki_eventcount_init(struct hki_eventcount *eventcount);

/* Counts the caller as a sleeper; the key is for hki_eventcount_sleep(). */
uint32_t hki_eventcount_enter(struct hki_eventcount *eventcount);

/* After enter: the next change wakes all, also while a wake is in flight; for one that
 * looks at the wait-for graph before it sleeps, see sync/waiters.h. */
void hki_eventcount_want_all(struct hki_eventcount *eventcount);

/* Sleeps until a wake that comes after enter. False: the deadline has passed. Between
 * enter and leave, at most once. */
bool hki_eventcount_sleep(struct hki_eventcount *eventcount, uint32_t key, int64_t deadline_ns);

/* Follows each enter, before the state is looked at again. */
void hki_eventcount_leave(struct hki_eventcount *eventcount);

/* Wakes one sleeper unless a wake is in flight. */
void hki_eventcount_wake(struct hki_eventcount *eventcount);

/* Wakes all that are counted now. */
void hki_eventcount_wake_all(struct hki_eventcount *eventcount);

/* For other flags that who notifies also looks at: after this call, either it has seen
 * what the caller wrote before, or the caller sees what it changed. */
void hki_eventcount_order(struct hki_eventcount *eventcount);

/* The state as who notifies sees it, ordered behind the change that it has made. */
static inline uint32_t hki_eventcount_look(struct hki_eventcount *eventcount)
{
    if (eventcount->has_barrier) {
        /* The compiler keeps the order; the processor is made to by the sleeper. */
        __asm__ volatile("" : : : "memory");
        /* relaxed: pairs with the barrier in hki_eventcount_enter(). */
        return atomic_load_explicit(&eventcount->state, memory_order_relaxed);
    }
    return atomic_fetch_add(&eventcount->state, 0);
}

/* After a change that a sleeper may wait for. */
static inline void hki_eventcount_notify(struct hki_eventcount *eventcount)
{
    if (__builtin_expect(hki_eventcount_look(eventcount) != 0, 0)) {
        hki_eventcount_wake(eventcount);
    }
}

/* Whether those made now leave the order to the sleeper; for others who do the same. */
bool hki_eventcount_has_barrier(void);

/* Test hook: eventcounts made from now on do without the kernel's barrier. */
void hki_eventcount_refuse_barrier(bool refuse);

#endif
