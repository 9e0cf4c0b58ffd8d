/* SPDX-License-Identifier: MIT */
/*
 * Semaphores.
 *
 * One wide word: the units in its low half, which is the futex word, and who sleeps
 * above them. So one atomic operation adds units and learns whether anybody is to be
 * woken, and a release does not touch the semaphore after that: who took the units
 * may have freed it.
 *
 * Who to wake: n new units serve at most n sleepers that want one each. As soon as a
 * sleeper wants more than one (MANY) all are woken, for the kernel might pick one
 * that cannot be served and leave one that can. MANY stays until the last leaves.
 */
#include <hocket/semaphore.h>

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/os.h"
#include "base/time.h"
#include "sync/word.h"

/* Above the units: a count of sleepers, for which 31 bits are more than there can be
 * threads, and MANY. */
#define ONE_SLEEPER   (UINT64_C(1) << 32)
#define MANY          (UINT64_C(1) << 63)
#define SLEEPERS_MASK (MANY - ONE_SLEEPER)
#define UNITS_MASK    (ONE_SLEEPER - 1)

struct wait {
    struct hki_sleep sleep;
    hk_semaphore *semaphore;
    uint32_t count;
};

static uint32_t maximum_of(const hk_semaphore *semaphore)
{
    return semaphore->maximum_ == 0 ? HK_SEMAPHORE_MAX : semaphore->maximum_;
}

hk_status hk_semaphore_init(hk_semaphore *semaphore, const char *name, uint32_t initial,
                            uint32_t maximum)
{
    if (semaphore == NULL || maximum > HK_SEMAPHORE_MAX ||
        initial > (maximum == 0 ? HK_SEMAPHORE_MAX : maximum)) {
        return HK_EINVAL;
    }
    *semaphore = (hk_semaphore){name, initial, maximum};
    return HK_OK;
}

/* The word without one sleeper. */
static uint64_t without_sleeper(uint64_t state)
{
    state -= ONE_SLEEPER;
    return (state & SLEEPERS_MASK) == 0 ? state & ~MANY : state;
}

/* Takes the units; as a sleeper also leaves the sleepers. False if they are not there,
 * and *seen is what was found. */
static bool take(_Atomic(uint64_t) *state, uint32_t count, bool sleeps, uint64_t *seen)
{
    /* relaxed: the compare-and-swap tells whether it was right. */
    uint64_t old = atomic_load_explicit(state, memory_order_relaxed);
    uint64_t new;

    do {
        if ((old & UNITS_MASK) < count) {
            *seen = old;
            return false;
        }
        new = (sleeps ? without_sleeper(old) : old) - count;
        /* acquire: pairs with the release of units. relaxed: a failure only tries again. */
    } while (!atomic_compare_exchange_weak_explicit(state, &old, new, memory_order_acquire,
                                                    memory_order_relaxed));
    return true;
}

static bool take_as_sleeper(struct hki_sleep *sleep, uint32_t *expected)
{
    struct wait *wait = (struct wait *)sleep;
    uint64_t seen;

    if (take(hki_wide_word(&wait->semaphore->state_), wait->count, true, &seen)) {
        return true;
    }
    *expected = (uint32_t)(seen & UNITS_MASK);
    return false;
}

/* Anybody may release. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    (void)object;
    *count = 0;
    return HKI_WAIT_MOVES;
}

static void describe(void *object, char *text, size_t size)
{
    const struct wait *wait = object;
    const hk_semaphore *semaphore = wait->semaphore;

    snprintf(text, size, "semaphore %p (%s)", (const void *)semaphore,
             semaphore->name_ == NULL ? "unnamed" : semaphore->name_);
}

/* True: there are units and sleepers, perhaps with a wake for one of them under way that
 * did not know of this one; it may reach this one, whom it does not serve. */
static bool come(_Atomic(uint64_t) *state, bool many)
{
    /* relaxed: only counted here; the sleeper looks at the units again before it sleeps,
     * and the kernel compares them once more. */
    uint64_t old = atomic_load_explicit(state, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(state, &old,
                                                  (old + ONE_SLEEPER) | (many ? MANY : 0),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    return many && (old & UNITS_MASK) != 0 && (old & SLEEPERS_MASK) != 0;
}

static void go(_Atomic(uint64_t) *state)
{
    /* relaxed: nothing was taken, so there is nothing to see. */
    uint64_t old = atomic_load_explicit(state, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(state, &old, without_sleeper(old),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

hk_status hk_semaphore_acquire(hk_semaphore *semaphore, uint32_t count, hk_duration timeout)
{
    static const struct hki_wait_ops ops = {.look = look, .next = NULL, .describe = describe};
    struct wait wait = {.semaphore = semaphore, .count = count};
    _Atomic(uint64_t) *state;
    hk_status status;
    uint64_t seen;

    if (semaphore == NULL || !hki_duration_valid(timeout) || count == 0 ||
        count > maximum_of(semaphore)) {
        return HK_EINVAL;
    }
    state = hki_wide_word(&semaphore->state_);
    if (take(state, count, false, &seen)) {
        return HK_OK;
    }
    if (timeout == 0) {
        return HK_ETIMEDOUT;
    }
    wait.sleep.node = (struct hki_wait_node){&ops, &wait};
    wait.sleep.ready = take_as_sleeper;
    wait.sleep.word = hki_low_half(&semaphore->state_);
    wait.sleep.deadline_ns = hki_deadline(timeout);
    if (come(state, count > 1)) {
        hki_os_futex_wake(wait.sleep.word, INT_MAX);
    }
    status = hki_sleep(&wait.sleep);
    if (status != HK_OK) {
        go(state);
    }
    return status;
}

hk_status hk_semaphore_release(hk_semaphore *semaphore, uint32_t count)
{
    _Atomic(uint32_t) *word;
    _Atomic(uint64_t) *state;
    uint32_t maximum;
    uint64_t old;

    if (semaphore == NULL || count == 0) {
        return HK_EINVAL;
    }
    maximum = maximum_of(semaphore);
    word = hki_low_half(&semaphore->state_);
    state = hki_wide_word(&semaphore->state_);
    /* relaxed: the compare-and-swap tells whether it was right. */
    old = atomic_load_explicit(state, memory_order_relaxed);
    do {
        if (count > maximum || (old & UNITS_MASK) > maximum - count) {
            return HK_ESTATE;
        }
        /* release: pairs with the acquire of those who take the units. relaxed: a failure
         * only tries again. */
    } while (!atomic_compare_exchange_weak_explicit(state, &old, old + count, memory_order_release,
                                                    memory_order_relaxed));
    /* From here on the semaphore may be freed memory. */
    if ((old & ~UNITS_MASK) != 0) {
        hki_os_futex_wake(word, (old & MANY) != 0 ? INT_MAX : count);
    }
    return HK_OK;
}

uint32_t hk_semaphore_value(const hk_semaphore *semaphore)
{
    /* relaxed: a number that may be another by now. */
    return semaphore == NULL ? 0
                             : (uint32_t)(atomic_load_explicit(hki_wide_word(&semaphore->state_),
                                                               memory_order_relaxed) &
                                          UNITS_MASK);
}
