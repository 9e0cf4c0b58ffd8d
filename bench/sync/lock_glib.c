/* SPDX-License-Identifier: MIT */
/*
 * GMutex.
 */
#include <glib.h>
#include <stdlib.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/sync/lock_peer.h"

typedef GMutex lock_type;

static void lock_begin(lock_type *lock)
{
    g_mutex_init(lock);
}

static void lock_end(lock_type *lock)
{
    g_mutex_clear(lock);
}

static inline void lock_take(lock_type *lock)
{
    g_mutex_lock(lock);
}

static inline void lock_give(lock_type *lock)
{
    g_mutex_unlock(lock);
}

#include "bench/sync/lock_loops.h"

const struct lock_peer lock_glib = {.loops = LOCK_LOOPS};
