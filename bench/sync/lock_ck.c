/* SPDX-License-Identifier: MIT */
/*
 * Concurrency Kit's plain test-and-set spinlock; its calls are inline.
 */
#include <ck_spinlock.h>
#include <stdlib.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/sync/lock_peer.h"

typedef ck_spinlock_fas_t lock_type;

static void lock_begin(lock_type *lock)
{
    ck_spinlock_fas_init(lock);
}

static void lock_end(lock_type *lock)
{
    (void)lock;
}

static inline void lock_take(lock_type *lock)
{
    ck_spinlock_fas_lock(lock);
}

static inline void lock_give(lock_type *lock)
{
    ck_spinlock_fas_unlock(lock);
}

#include "bench/sync/lock_loops.h"

const struct lock_peer lock_ck = {.loops = LOCK_LOOPS};
