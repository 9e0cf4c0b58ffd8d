/* SPDX-License-Identifier: MIT */
#include "base/fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/assert.h"

enum { GUARDED_MAX = 16 };

static atomic_uint generation = 1;

/* Written by constructors alone. */
static pthread_mutex_t *guarded[GUARDED_MAX];
static size_t guarded_count;

uint32_t hki_fork_generation(void)
{
    /* relaxed: it changes only in a child of fork, which has one thread then. */
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

void hki_fork_guard(pthread_mutex_t *lock)
{
    HKI_ASSERT(guarded_count < GUARDED_MAX);
    guarded[guarded_count++] = lock;
}

static void before(void)
{
    for (size_t i = 0; i < guarded_count; i++) {
        pthread_mutex_lock(guarded[i]);
    }
}

static void in_parent(void)
{
    for (size_t i = 0; i < guarded_count; i++) {
        pthread_mutex_unlock(guarded[i]);
    }
}

static void in_child(void)
{
    atomic_fetch_add(&generation, 1);
    in_parent();
}

__attribute__((constructor)) static void watch_forks(void)
{
    /* Fails only without memory at program start; then children would take the
     * parent's objects for their own, as they would without this library. */
    (void)pthread_atfork(before, in_parent, in_child);
}
