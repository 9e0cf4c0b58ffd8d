/* SPDX-License-Identifier: MIT */
/*
 * nsync_mu.
 */
#include <nsync.h>
#include <stdlib.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/sync/lock_peer.h"

typedef nsync_mu lock_type;

static void lock_begin(lock_type *lock)
{
    nsync_mu_init(lock);
}

static void lock_end(lock_type *lock)
{
    (void)lock;
}

static inline void lock_take(lock_type *lock)
{
    nsync_mu_lock(lock);
}

static inline void lock_give(lock_type *lock)
{
    nsync_mu_unlock(lock);
}

#include "bench/sync/lock_loops.h"

const struct lock_peer lock_nsync = {.loops = LOCK_LOOPS};
