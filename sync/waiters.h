/* SPDX-License-Identifier: MIT */
/*
 * Those who sleep until something under a lock changes: a condition variable of the
 * library's own, with at most one wake in flight.
 *
 * Who changes what they wait for claims the wake under the lock and carries it out
 * after letting go. Until a woken thread has the lock again no second wake is made:
 * that thread is about to look, and passes the wake on if there is more than it can use.
 * In a busy queue nearly all wakes are saved so, and most system calls with them.
 *
 *     lock; make a change
 *     claimed = something is there for them && hki_waiters_claim(&waiters);
 *     unlock; if (claimed) hki_waiters_wake(&waiters);
 *
 * Invariant: while there is something for a waiter and somebody waits, a wake is pending
 * whenever the lock is free. So every holder of the lock ends as above, the woken
 * sleepers too.
 *
 * Why no wake is lost: the epoch moves with the claim. Who counted before sleeps on the
 * old one, so it is woken, or does not fall asleep; in both cases it takes pending back
 * and looks. A claim without anybody counted is not made. Who runs out of time takes
 * pending back too, which makes one wake too many at most.
 */
#ifndef HOCKET_SYNC_WAITERS_H
#define HOCKET_SYNC_WAITERS_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/os.h"

/* All but the epoch's value under the lock. Zero-filled memory is nobody waiting. */
struct hki_waiters {
    _Atomic(uint32_t) epoch; /* What they sleep on; written under the lock. */
    unsigned count;
    bool pending; /* A wake was claimed, and nobody has woken since. */
};

static inline uint32_t hki_waiters_epoch(const struct hki_waiters *waiters)
{
    /* relaxed: written under the lock, which the caller holds. */
    return atomic_load_explicit(&waiters->epoch, memory_order_relaxed);
}

static inline void hki_waiters_advance(struct hki_waiters *waiters)
{
    /* relaxed: under the lock; a sleeper outside only compares it, and learns what
     * happened under the lock. */
    atomic_store_explicit(&waiters->epoch, hki_waiters_epoch(waiters) + 1, memory_order_relaxed);
}

/* Under the lock. True: hki_waiters_wake() is due once the lock is free. */
static inline bool hki_waiters_claim(struct hki_waiters *waiters)
{
    if (waiters->count == 0 || waiters->pending) {
        return false;
    }
    waiters->pending = true;
    hki_waiters_advance(waiters);
    return true;
}

/* Without the lock; the object may be gone by then. */
static inline void hki_waiters_wake(struct hki_waiters *waiters)
{
    hki_os_futex_wake(&waiters->epoch, 1);
}

/* The two halves of a sleep, under the lock. Between them the caller lets go of it and
 * calls hki_os_futex_wait() with the epoch that the first half gave. */
static inline uint32_t hki_waiters_enter(struct hki_waiters *waiters)
{
    waiters->count++;
    return hki_waiters_epoch(waiters);
}

static inline void hki_waiters_leave(struct hki_waiters *waiters)
{
    waiters->count--;
    waiters->pending = false;
}

#endif
