/* SPDX-License-Identifier: MIT */
#include "base/fork.h"

#include <pthread.h>
#include <stddef.h>

#include "base/assert.h"

enum { GUARDED_MAX = 16 };

struct hki_fork_self hki_fork_self = {.generation = 1};

/* Written by constructors alone. */
static pthread_mutex_t *guarded[GUARDED_MAX];
static size_t guarded_count;

void hki_fork_guard(pthread_mutex_t *lock)
{
    HKI_ASSERT(guarded_count < GUARDED_MAX);
    guarded[guarded_count++] = lock;
}

void hki_fork_set_alone(bool alone)
{
    atomic_store(&hki_fork_self.is_alone, alone);
}

bool hki_fork_is_alone(void)
{
    /* relaxed: it was written before there was another thread. */
    return atomic_load_explicit(&hki_fork_self.is_alone, memory_order_relaxed);
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
    hki_fork_self.generation++;
    in_parent();
}

__attribute__((constructor)) static void watch_forks(void)
{
    /* Fails only without memory at program start; then children would take the
     * parent's objects for their own, as they would without this library. */
    (void)pthread_atfork(before, in_parent, in_child);
}
