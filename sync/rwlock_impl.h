/* SPDX-License-Identifier: MIT */
/*
 * The word of a read-write lock: how many hold it as readers, how many writers wait and
 * keep new readers out, and flags. Who waits sleeps on the epoch, which moves on
 * when something opened that a sleeper may use.
 *
 * Invariant: a sleeper has read the epoch before it saw the word with SLEEPERS set;
 * who clears SLEEPERS moves the epoch on afterwards. So it never sleeps past a change.
 */
#ifndef HOCKET_SYNC_RWLOCK_IMPL_H
#define HOCKET_SYNC_RWLOCK_IMPL_H

#include <hocket/rwlock.h>

#define HKI_RW_READER    ((uint64_t)1)
#define HKI_RW_READERS   ((uint64_t)0xFFFFFF)
#define HKI_RW_WAITING   ((uint64_t)1 << 24) /* One writer that waits. */
#define HKI_RW_WAITERS   ((uint64_t)0xFFFFFF << 24)
#define HKI_RW_WRITER    ((uint64_t)1 << 48)
#define HKI_RW_SLEEPERS  ((uint64_t)1 << 49)
#define HKI_RW_ABANDONED ((uint64_t)1 << 50) /* A thread ended while it held it. */
/* The process in which it was last taken from being free (see base/fork.h), cut to
 * what fits: in a child, holders that stayed behind are told by it. */
#define HKI_RW_GENERATION_SHIFT 51
#define HKI_RW_GENERATION       (~(uint64_t)0 << HKI_RW_GENERATION_SHIFT)

/* A holder has ended: those who wait look again, and give up. */
void hki_rwlock_abandon(hk_rwlock *lock);

#endif
