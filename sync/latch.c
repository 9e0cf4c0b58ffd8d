/* SPDX-License-Identifier: MIT */
/*
 * Latches.
 *
 * One wide word. Its low half is the futex word: WAITED, and the number of the round,
 * which changes when the count reaches zero. Its high half is the count, and BOUND:
 * some thread has declared itself. So one atomic operation counts down, ends the
 * round and learns whether anybody is to be woken, and the latch is not touched after
 * it: who was let through may have freed it.
 *
 * A waiter goes by the round. The number comes around after 2^31 rounds; only a
 * sleeper that did not run once in all that time would miss its end.
 */
#include <hocket/latch.h>

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/os.h"
#include "base/time.h"
#include "sync/party.h"
#include "sync/word.h"

#define WAITED     UINT64_C(1)
#define ONE_ROUND  UINT64_C(2)
#define LOW_HALF   UINT64_C(0xFFFFFFFF)
#define ONE_COUNT  (UINT64_C(1) << 32)
#define COUNT_MASK (UINT64_C(0x7FFFFFFF) << 32)
#define BOUND      (UINT64_C(1) << 63)

_Static_assert(sizeof(struct hki_parties) == sizeof(void *), "the parties fit into a latch");

struct wait {
    struct hki_sleep sleep;
    hk_latch *latch;
    uint64_t round;
};

static uint32_t count_of(uint64_t state)
{
    return (uint32_t)((state & COUNT_MASK) / ONE_COUNT);
}

static uint64_t round_of(uint64_t state)
{
    return (state & LOW_HALF) / ONE_ROUND;
}

static bool is_over(uint64_t state, uint64_t round)
{
    return count_of(state) == 0 || round_of(state) != round;
}

static struct hki_parties *parties_of(hk_latch *latch)
{
    return (struct hki_parties *)(void *)&latch->parties_;
}

hk_status hk_latch_init(hk_latch *latch, const char *name, uint32_t count)
{
    if (latch == NULL || count > HK_LATCH_MAX) {
        return HK_EINVAL;
    }
    *latch = (hk_latch){name, count * ONE_COUNT, NULL};
    return HK_OK;
}

hk_status hk_latch_add(hk_latch *latch, uint32_t count)
{
    _Atomic(uint64_t) *state;
    uint64_t old;

    if (latch == NULL || count == 0) {
        return HK_EINVAL;
    }
    state = hki_wide_word(&latch->state_);
    /* relaxed: the compare-and-swap tells whether it was right. */
    old = atomic_load_explicit(state, memory_order_relaxed);
    do {
        if (count > HK_LATCH_MAX - count_of(old)) {
            return HK_ESTATE;
        }
        /* relaxed: counting up announces nothing. It is a read-modify-write, so it does not
         * break the sequence that pairs with a wait. */
    } while (!atomic_compare_exchange_weak_explicit(state, &old, old + count * ONE_COUNT,
                                                    memory_order_relaxed, memory_order_relaxed));
    return HK_OK;
}

/* The word after counting down: at zero the round is over, and nobody waits. */
static uint64_t counted_down(uint64_t state, uint32_t count)
{
    uint64_t low;

    state -= count * ONE_COUNT;
    if (count_of(state) != 0) {
        return state;
    }
    low = (state & ~WAITED) + ONE_ROUND;
    return (state & ~LOW_HALF) | (low & LOW_HALF);
}

hk_status hk_latch_count_down(hk_latch *latch, uint32_t count)
{
    _Atomic(uint64_t) *state;
    _Atomic(uint32_t) *word;
    uint64_t old;

    if (latch == NULL || count == 0) {
        return HK_EINVAL;
    }
    state = hki_wide_word(&latch->state_);
    word = hki_low_half(&latch->state_);
    /* relaxed: a thread that is bound has set BOUND itself. */
    old = atomic_load_explicit(state, memory_order_relaxed);
    if (count > count_of(old)) {
        return HK_ESTATE;
    }
    if ((old & BOUND) != 0) {
        /* First: afterwards the latch may be gone. Between the two a look finds one thread
         * less to wait for, which refuses nobody wrongly. */
        (void)hki_parties_unbind(parties_of(latch));
    }
    do {
        if (count > count_of(old)) {
            return HK_ESTATE;
        }
        /* release: pairs with the acquire of those who find the round over. relaxed: a failure
         * only tries again. */
    } while (!atomic_compare_exchange_weak_explicit(state, &old, counted_down(old, count),
                                                    memory_order_release, memory_order_relaxed));
    if (count_of(old) == count && (old & WAITED) != 0) {
        hki_os_futex_wake(word, INT_MAX);
    }
    return HK_OK;
}

static bool is_through(struct hki_sleep *sleep, uint32_t *expected)
{
    struct wait *wait = (struct wait *)sleep;
    _Atomic(uint64_t) *state = hki_wide_word(&wait->latch->state_);

    for (;;) {
        /* acquire: pairs with hk_latch_count_down(). */
        uint64_t old = atomic_load_explicit(state, memory_order_acquire);

        if (is_over(old, wait->round)) {
            return true;
        }
        /* relaxed: who goes to sleep reads nothing that was written before the count, and a
         * failure looks again. */
        if ((old & WAITED) != 0 ||
            atomic_compare_exchange_weak_explicit(state, &old, old | WAITED, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *expected = (uint32_t)((old | WAITED) & LOW_HALF);
            return false;
        }
    }
}

/* All threads that are bound must be able to go on, unless the round is over: then the
 * waiter is about to notice. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    struct wait *wait = object;

    *count = 0;
    if (is_over(atomic_load(hki_wide_word(&wait->latch->state_)), wait->round)) {
        return HKI_WAIT_MOVES;
    }
    return hki_parties_look(parties_of(wait->latch), HKI_WAIT_ALL, count);
}

static struct hki_wait_node next(void *object, size_t i)
{
    struct wait *wait = object;

    return hki_parties_next(parties_of(wait->latch), i);
}

static void describe(void *object, char *text, size_t size)
{
    const struct wait *wait = object;
    const hk_latch *latch = wait->latch;

    snprintf(text, size, "latch %p (%s)", (const void *)latch,
             latch->name_ == NULL ? "unnamed" : latch->name_);
}

hk_status hk_latch_wait(hk_latch *latch, hk_duration timeout)
{
    static const struct hki_wait_ops ops = {
        .look = look, .next = next, .describe = describe, .verb = "to be counted down by"};
    struct wait wait = {.latch = latch};
    uint64_t state;

    if (latch == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    /* acquire: pairs with hk_latch_count_down(). */
    state = atomic_load_explicit(hki_wide_word(&latch->state_), memory_order_acquire);
    if (count_of(state) == 0) {
        return HK_OK;
    }
    if (timeout == 0) {
        return HK_ETIMEDOUT;
    }
    wait.round = round_of(state);
    wait.sleep.node = (struct hki_wait_node){&ops, &wait};
    wait.sleep.ready = is_through;
    wait.sleep.word = hki_low_half(&latch->state_);
    wait.sleep.deadline_ns = hki_deadline(timeout);
    return hki_sleep(&wait.sleep);
}

uint32_t hk_latch_count(const hk_latch *latch)
{
    /* relaxed: a number that may be another by now. */
    return latch == NULL ? 0
                         : count_of(atomic_load_explicit(hki_wide_word(&latch->state_),
                                                         memory_order_relaxed));
}

hk_status hk_latch_bind(hk_latch *latch)
{
    hk_status status;

    if (latch == NULL) {
        return HK_EINVAL;
    }
    status = hki_parties_bind(parties_of(latch));
    if (status == HK_OK) {
        /* relaxed: it is for this thread's own hk_latch_count_down(). */
        atomic_fetch_or_explicit(hki_wide_word(&latch->state_), BOUND, memory_order_relaxed);
    }
    return status;
}

hk_status hk_latch_unbind(hk_latch *latch)
{
    return latch == NULL ? HK_EINVAL : hki_parties_unbind(parties_of(latch));
}

void hk_latch_destroy(hk_latch *latch)
{
    if (latch != NULL) {
        hki_parties_clear(parties_of(latch));
        *latch = (hk_latch){latch->name_, 0, NULL};
    }
}
