/* SPDX-License-Identifier: MIT */
#include "base/fork.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_uint generation = 1;

uint32_t hki_fork_generation(void)
{
    /* relaxed: it changes only in a child of fork, which has one thread then. */
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

static void in_child(void)
{
    atomic_fetch_add(&generation, 1);
}

__attribute__((constructor)) static void watch_forks(void)
{
    /* Fails only without memory at program start; then children would take the
     * parent's objects for their own, as they would without this library. */
    (void)pthread_atfork(NULL, NULL, in_child);
}
