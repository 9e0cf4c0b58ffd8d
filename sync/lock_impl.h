/* SPDX-License-Identifier: MIT */
/*
 * The word of a lock: owner's slot << 1 | waiters; 0 is free. Abandoned: its owner has
 * ended. The bit changes the word, so that nobody falls asleep on it any more.
 *
 * Invariant: a thread that sleeps has seen the waiters bit in the word and does not
 * take the lock afterwards without setting it again; so a release that finds the bit
 * clear has nobody to wake.
 */
#ifndef HOCKET_SYNC_LOCK_IMPL_H
#define HOCKET_SYNC_LOCK_IMPL_H

#include <hocket/lock.h>

#include "sync/holder.h"

enum { HKI_LOCK_WAITERS = 1, HKI_LOCK_OWNER_SHIFT = 1 };

#define HKI_LOCK_ABANDONED (UINT32_C(1) << 31)

/* The slot of the owner; HKI_SLOT_NONE: it is free. */
static inline uint32_t hki_lock_owner(uint32_t word)
{
    return (word & ~HKI_LOCK_ABANDONED) >> HKI_LOCK_OWNER_SHIFT;
}

/* The lock's place in the order, given out on first use; 0: it has none. */
uint64_t hki_lock_identity(hk_lock *lock);

/* Takes a lock without asking whether the order allows it. Waits until the
 * deadline; poll: not at all. */
hk_status hki_lock_take(hk_lock *lock, struct hki_holder *holder, const hk_site *site,
                        int64_t deadline_ns, bool poll);

/* Opens the word of a lock that the caller has taken out of its list. */
void hki_lock_open(hk_lock *lock);

/* Its owner has ended: those who wait look again. */
void hki_lock_abandon(hk_lock *lock);

#endif
