/* SPDX-License-Identifier: MIT */
/*
 * A lock for sections of a few instructions: one word, taken and given back by one atomic
 * operation each, in line. Who finds it taken looks again a few times before it sleeps:
 * so short a section is over sooner than a sleep would begin.
 *
 * Not for what may block or call code of the application. After it has been given back the
 * object may be gone: only the word's address is used then.
 */
#ifndef HOCKET_SYNC_BRIEF_LOCK_H
#define HOCKET_SYNC_BRIEF_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/os.h"

enum { HKI_BRIEF_FREE = 0, HKI_BRIEF_TAKEN = 1, HKI_BRIEF_AWAITED = 2 /* Somebody may sleep. */ };

/* Zero-filled memory is a free lock. */
struct hki_brief_lock {
    _Atomic(uint32_t) word;
};

void hki_brief_lock_contend(struct hki_brief_lock *lock);

static inline bool hki_brief_lock_try(struct hki_brief_lock *lock)
{
    uint32_t free = HKI_BRIEF_FREE;

    /* acquire, pairs with the exchange in hki_brief_lock_release(). relaxed: a failure
     * reads nothing that the lock guards. */
    return atomic_compare_exchange_strong_explicit(&lock->word, &free, HKI_BRIEF_TAKEN,
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline void hki_brief_lock_take(struct hki_brief_lock *lock)
{
    if (__builtin_expect(!hki_brief_lock_try(lock), 0)) {
        hki_brief_lock_contend(lock);
    }
}

static inline void hki_brief_lock_release(struct hki_brief_lock *lock)
{
    /* release, pairs with hki_brief_lock_try() and the exchange of who contends. */
    uint32_t before = atomic_exchange_explicit(&lock->word, HKI_BRIEF_FREE, memory_order_release);

    if (__builtin_expect(before == HKI_BRIEF_AWAITED, 0)) {
        hki_os_futex_wake(&lock->word, 1);
    }
}

#endif
