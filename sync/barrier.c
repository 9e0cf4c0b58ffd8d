/* SPDX-License-Identifier: MIT */
/*
 * Barriers.
 *
 * Everything is under the lock of the barrier's stripe, but for the number of the round, on
 * which the waiters sleep. Who ends a round, well or badly, writes into the record of each
 * waiter what became of it; so a waiter that runs again late cannot take a later round
 * for its own. The records are on the waiters' stacks: once its outcome is written, a
 * waiter may be gone, and the last of them may have freed the barrier.
 */
#include <hocket/barrier.h>

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include "base/fork.h"
#include "base/os.h"
#include "base/time.h"
#include "sync/block.h"
#include "sync/stripe.h"
#include "sync/word.h"

struct waiter {
    struct waiter *next;
    const hk_barrier *barrier;
    _Atomic(int) outcome; /* A status, or WAITING. */
};

enum { WAITING = 1 };

hk_status hk_barrier_init(hk_barrier *barrier, const char *name, uint32_t size)
{
    if (barrier == NULL || size == 0) {
        return HK_EINVAL;
    }
    *barrier = (hk_barrier)HK_BARRIER_INIT(name, size);
    return HK_OK;
}

/* --- Under the lock of the stripe --- */

static hk_barrier *lock(const hk_barrier *const_barrier, struct hki_stripe **stripe)
{
    hk_barrier *barrier = (hk_barrier *)const_barrier;

    *stripe = hki_stripe_of(barrier);
    pthread_mutex_lock(&(*stripe)->lock);
    if (barrier->waiters_ != NULL && hki_fork_foreign(barrier->generation_)) {
        /* They wait in the parent; their records here are stacks of nobody. */
        barrier->waiters_ = NULL;
        barrier->arrived_ = 0;
    }
    return barrier;
}

/* Ends the round. The barrier may be gone when this returns, but the futex word may
 * still be woken. */
static void end_round(hk_barrier *barrier, hk_status outcome)
{
    struct waiter *waiter = barrier->waiters_;

    barrier->waiters_ = NULL;
    barrier->arrived_ = 0;
    /* relaxed: sleepers go by their outcome; this only makes the kernel look. */
    atomic_fetch_add_explicit(hki_word(&barrier->round_), 1, memory_order_relaxed);
    while (waiter != NULL) {
        struct waiter *next = waiter->next;

        /* release: pairs with the acquire in sleep(), for what all wrote before they came. */
        atomic_store_explicit(&waiter->outcome, outcome, memory_order_release);
        waiter = next;
    }
}

static void break_it(hk_barrier *barrier)
{
    barrier->broken_ = true;
    end_round(barrier, HK_EBROKEN);
}

/* The last to come ends the round and gets HK_OK. HK_ETIMEDOUT: others are missing. */
static hk_status come(hk_barrier *barrier)
{
    if (barrier->size_ == 0) {
        return HK_ESTATE;
    }
    if (barrier->broken_) {
        return HK_EBROKEN;
    }
    if (barrier->arrived_ + 1 < barrier->size_) {
        return HK_ETIMEDOUT;
    }
    end_round(barrier, HK_OK);
    return HK_OK;
}

static void join(hk_barrier *barrier, struct waiter *waiter)
{
    barrier->generation_ = hki_fork_generation();
    barrier->arrived_++;
    waiter->next = barrier->waiters_;
    barrier->waiters_ = waiter;
}

/* --- Waiting --- */

/* Anybody may come. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    (void)object;
    *count = 0;
    return HKI_WAIT_MOVES;
}

static void describe(void *object, char *text, size_t size)
{
    const struct waiter *waiter = object;
    const hk_barrier *barrier = waiter->barrier;

    snprintf(text, size, "barrier %p (%s)", (const void *)barrier,
             barrier->name_ == NULL ? "unnamed" : barrier->name_);
}

static int outcome_of(struct waiter *waiter)
{
    /* acquire: pairs with the release in end_round(). */
    return atomic_load_explicit(&waiter->outcome, memory_order_acquire);
}

/* Who runs out of time breaks the barrier, unless the round ended in this moment. */
static hk_status run_out(hk_barrier *const_barrier, struct waiter *waiter)
{
    struct hki_stripe *stripe;
    _Atomic(uint32_t) *word = hki_word(&const_barrier->round_);
    hk_barrier *barrier;
    int outcome;

    /* The barrier is there for as long as this waiter has no outcome, but the stripe is found
     * by its address alone. */
    stripe = hki_stripe_of(const_barrier);
    pthread_mutex_lock(&stripe->lock);
    outcome = outcome_of(waiter);
    if (outcome == WAITING) {
        barrier = const_barrier;
        break_it(barrier);
        outcome = HK_ETIMEDOUT;
    }
    pthread_mutex_unlock(&stripe->lock);
    if (outcome == HK_ETIMEDOUT) {
        hki_os_futex_wake(word, INT_MAX);
    }
    return (hk_status)outcome;
}

static hk_status sleep_through(hk_barrier *barrier, struct waiter *waiter, uint32_t round,
                               int64_t deadline_ns)
{
    _Atomic(uint32_t) *word = hki_word(&barrier->round_);
    struct hki_stripe *stripe = hki_stripe_of(barrier);

    while (outcome_of(waiter) == WAITING) {
        if (!hki_os_futex_wait(word, round, deadline_ns)) {
            return run_out(barrier, waiter);
        }
        if (outcome_of(waiter) == WAITING) {
            /* Somebody is ending the round, and through with it when the lock is free. Only
             * to look again could keep him from it for ever, if his priority is lower. */
            pthread_mutex_lock(&stripe->lock);
            pthread_mutex_unlock(&stripe->lock);
        }
    }
    return (hk_status)outcome_of(waiter);
}

/* Others are missing: come, unless it is too late by now, and sleep. */
static hk_status wait_for_others(hk_barrier *barrier, int64_t deadline_ns, bool *serial)
{
    static const struct hki_wait_ops ops = {.look = look, .next = NULL, .describe = describe};
    struct hki_agent *agent = hki_agent_self();
    struct waiter waiter = {.barrier = barrier, .outcome = WAITING};
    _Atomic(uint32_t) *word = hki_word(&barrier->round_);
    struct hki_stripe *stripe;
    uint32_t round;
    hk_status status =
        hki_block_begin(agent, (struct hki_wait_node){&ops, &waiter}, deadline_ns != HKI_NEVER);

    if (status != HK_OK) {
        return status;
    }
    lock(barrier, &stripe);
    round = barrier->round_;
    status = come(barrier);
    if (status == HK_ETIMEDOUT) {
        join(barrier, &waiter);
    }
    pthread_mutex_unlock(&stripe->lock);
    if (status == HK_ETIMEDOUT) {
        status = sleep_through(barrier, &waiter, round, deadline_ns);
    } else if (status == HK_OK) {
        *serial = true;
        hki_os_futex_wake(word, INT_MAX);
    }
    hki_block_end(agent);
    return status;
}

hk_status hk_barrier_wait(hk_barrier *barrier, hk_duration timeout, bool *serial)
{
    struct hki_stripe *stripe;
    _Atomic(uint32_t) *word;
    bool is_serial = false;
    bool wakes;
    hk_status status;

    if (barrier == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    word = hki_word(&barrier->round_);
    lock(barrier, &stripe);
    wakes = barrier->waiters_ != NULL;
    status = come(barrier);
    is_serial = status == HK_OK;
    if (status == HK_ETIMEDOUT && timeout == 0) {
        break_it(barrier);
    }
    pthread_mutex_unlock(&stripe->lock);
    if (status == HK_ETIMEDOUT && timeout != 0) {
        status = wait_for_others(barrier, hki_deadline(timeout), &is_serial);
    } else if (wakes) {
        hki_os_futex_wake(word, INT_MAX);
    }
    if (status == HK_OK && serial != NULL) {
        *serial = is_serial;
    }
    return status;
}

static hk_status end_for_all(hk_barrier *barrier, bool broken)
{
    struct hki_stripe *stripe;
    _Atomic(uint32_t) *word;

    if (barrier == NULL) {
        return HK_EINVAL;
    }
    word = hki_word(&barrier->round_);
    lock(barrier, &stripe);
    barrier->broken_ = broken;
    end_round(barrier, HK_EBROKEN);
    pthread_mutex_unlock(&stripe->lock);
    hki_os_futex_wake(word, INT_MAX);
    return HK_OK;
}

hk_status hk_barrier_abort(hk_barrier *barrier)
{
    return end_for_all(barrier, true);
}

hk_status hk_barrier_reset(hk_barrier *barrier)
{
    return end_for_all(barrier, false);
}

bool hk_barrier_is_broken(const hk_barrier *barrier)
{
    struct hki_stripe *stripe;
    bool broken;

    if (barrier == NULL) {
        return false;
    }
    lock(barrier, &stripe);
    broken = barrier->broken_;
    pthread_mutex_unlock(&stripe->lock);
    return broken;
}

uint32_t hk_barrier_arrived(const hk_barrier *barrier)
{
    struct hki_stripe *stripe;
    uint32_t arrived;

    if (barrier == NULL) {
        return 0;
    }
    arrived = lock(barrier, &stripe)->arrived_;
    pthread_mutex_unlock(&stripe->lock);
    return arrived;
}
