/* SPDX-License-Identifier: MIT */
#include "base/fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/assert.h"

enum { GUARDED_MAX = 16 };

/* Both are written in a child of the zygote: together, as each page that is written costs it a
 * copy. */
static struct {
    atomic_uint generation;
    atomic_bool is_alone; /* Atomic for threads that fork at a time; written where there is one. */
} self = {.generation = 1};

/* Written by constructors alone. */
static pthread_mutex_t *guarded[GUARDED_MAX];
static size_t guarded_count;

uint32_t hki_fork_generation(void)
{
    /* relaxed: it changes only in a child of fork, which has one thread then. */
    return atomic_load_explicit(&self.generation, memory_order_relaxed);
}

void hki_fork_guard(pthread_mutex_t *lock)
{
    HKI_ASSERT(guarded_count < GUARDED_MAX);
    guarded[guarded_count++] = lock;
}

void hki_fork_set_alone(bool alone)
{
    atomic_store(&self.is_alone, alone);
}

bool hki_fork_is_alone(void)
{
    /* relaxed: it was written before there was another thread. */
    return atomic_load_explicit(&self.is_alone, memory_order_relaxed);
}

static void before(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    for (size_t i = 0; i < guarded_count; i++) {
        pthread_mutex_lock(guarded[i]);
    }
}

static void in_parent(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    for (size_t i = 0; i < guarded_count; i++) {
        pthread_mutex_unlock(guarded[i]);
    }
}

static void in_child(void)
{
    atomic_fetch_add(&self.generation, 1);
    in_parent();
}

__attribute__((constructor)) static void watch_forks(void)
{
    /* Fails only without memory at program start; then children would take the
     * parent's objects for their own, as they would without this library. */
    (void)pthread_atfork(before, in_parent, in_child);
}
