/* SPDX-License-Identifier: MIT */
#include "sync/stripe.h"

#include <stddef.h>
#include <stdint.h>

#include "base/fork.h"

/* A fork holds all of them, and ThreadSanitizer follows at most 64 locks a thread. */
enum { STRIPES = 32, STRIPE_BITS = 5 };

#define ONE                                                                                        \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, HKI_CONDITION_INIT                                              \
    }
#define FOUR    ONE, ONE, ONE, ONE
#define SIXTEEN FOUR, FOUR, FOUR, FOUR

static struct hki_stripe stripes[STRIPES] = {SIXTEEN, SIXTEEN};

struct hki_stripe *hki_stripe_of(const void *object)
{
    /* Fibonacci hashing: neighbouring allocations land on different stripes. */
    uint64_t mixed = (uint64_t)(uintptr_t)object * UINT64_C(0x9E3779B97F4A7C15);

    return &stripes[mixed >> (64 - STRIPE_BITS)];
}

static void lock_all(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    for (size_t i = 0; i < STRIPES; i++) {
        pthread_mutex_lock(&stripes[i].lock);
    }
}

static void unlock_all(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    for (size_t i = 0; i < STRIPES; i++) {
        pthread_mutex_unlock(&stripes[i].lock);
    }
}

/* The child has the forking thread alone, which holds every stripe; waiters on
 * the condition variables are gone, so those start afresh. */
static void renew_all(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    for (size_t i = 0; i < STRIPES; i++) {
        hki_condition_init(&stripes[i].changed);
        pthread_mutex_unlock(&stripes[i].lock);
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(lock_all, unlock_all, renew_all);
}
