/* SPDX-License-Identifier: MIT */
/*
 * The word of a lock: owner's slot << 1 | waiters; 0 is free. The abandoned bit is set when
 * the owner's thread ends, and stays: the slot may by then be another thread's.
 *
 * Invariant: a thread that sleeps has seen the waiters bit in the word and does not
 * take the lock afterwards without setting it again; so a release that finds the bit
 * clear has nobody to wake.
 */
#ifndef HOCKET_SYNC_LOCK_IMPL_H
#define HOCKET_SYNC_LOCK_IMPL_H

#include <hocket/lock.h>

#include "sync/holder.h"

#define HKI_LOCK_WAITERS     ((uint32_t)1)
#define HKI_LOCK_OWNER_SHIFT 1
#define HKI_LOCK_ABANDONED   ((uint32_t)1 << 31)

/* The lock's place in the order, given out on first use; 0: it has none. */
uint64_t hki_lock_identity(hk_lock *lock);

/* Takes a lock without asking whether the order allows it. Waits until the
 * deadline; poll: not at all. */
hk_status hki_lock_take(hk_lock *lock, struct hki_holder *holder, const hk_site *site,
                        int64_t deadline_ns, bool poll);

/* The caller has it no more on its list: opens the word, for the next one. */
void hki_lock_open(hk_lock *lock);

/* Its owner ends: those who wait, and who come, learn that it will not be given back. */
void hki_lock_abandon(hk_lock *lock);

#endif
