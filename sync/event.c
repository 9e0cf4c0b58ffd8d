/* SPDX-License-Identifier: MIT */
/*
 * Events.
 *
 * One word: SET, WAITED (somebody sleeps or is about to), and above them a count of
 * the times it was set. A sleeper goes by the count, so that a reset right after a
 * set cannot take away what it was woken for. The count comes around after 2^30
 * sets; only a sleeper that did not run once in all that time would miss it.
 *
 * Every change is a read-modify-write, also a set of what is set: so the release
 * sequence never breaks, and who resets sees what all earlier setters wrote.
 */
#include <hocket/event.h>

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/os.h"
#include "base/time.h"
#include "sync/word.h"

enum { SET = 1, WAITED = 2, ONE_TIME = 4 };

struct wait {
    struct hki_sleep sleep;
    hk_event *event;
    uint32_t times; /* How often it had been set when the wait began. */
};

hk_status hk_event_set(hk_event *event)
{
    _Atomic(uint32_t) *state;
    uint32_t old;
    uint32_t new;

    if (event == NULL) {
        return HK_EINVAL;
    }
    state = hki_word(&event->state_);
    /* relaxed: the compare-and-swap below tells whether it was right. */
    old = atomic_load_explicit(state, memory_order_relaxed);
    do {
        new = (old & SET) != 0 ? old : ((old & ~(uint32_t)WAITED) | SET) + ONE_TIME;
        /* release: pairs with the acquire of those who find it set. relaxed: a failure only
         * tries again. */
    } while (!atomic_compare_exchange_weak_explicit(state, &old, new, memory_order_release,
                                                    memory_order_relaxed));
    /* From here on the event may be freed memory. WAITED is clear while SET is on: a
     * waiter sets it only where it found the event not set. */
    if ((old & WAITED) != 0) {
        hki_os_futex_wake(state, INT_MAX);
    }
    return HK_OK;
}

hk_status hk_event_reset(hk_event *event)
{
    if (event == NULL) {
        return HK_EINVAL;
    }
    /* acquire: pairs with hk_event_set(), so that what follows the reset sees all that
     * earlier sets announced. */
    atomic_fetch_and_explicit(hki_word(&event->state_), ~(uint32_t)SET, memory_order_acquire);
    return HK_OK;
}

bool hk_event_is_set(const hk_event *event)
{
    /* acquire: pairs with hk_event_set(). */
    return event != NULL &&
           (atomic_load_explicit(hki_word(&event->state_), memory_order_acquire) & SET) != 0;
}

static bool is_through(struct hki_sleep *sleep, uint32_t *expected)
{
    const struct wait *wait = (const struct wait *)sleep;

    for (;;) {
        /* acquire: pairs with hk_event_set(). */
        uint32_t old = atomic_load_explicit(sleep->word, memory_order_acquire);

        if ((old & SET) != 0 || old / ONE_TIME != wait->times) {
            return true;
        }
        /* relaxed: who goes to sleep reads nothing that a setter wrote, and a failure looks
         * again. */
        if ((old & WAITED) != 0 ||
            atomic_compare_exchange_weak_explicit(sleep->word, &old, old | WAITED,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            *expected = old | WAITED;
            return false;
        }
    }
}

/* Anybody may set it. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    (void)object;
    *count = 0;
    return HKI_WAIT_MOVES;
}

static void describe(void *object, char *text, size_t size)
{
    const struct wait *wait = object;
    const hk_event *event = wait->event;

    snprintf(text, size, "event %p (%s)", (const void *)event,
             event->name_ == NULL ? "unnamed" : event->name_);
}

hk_status hk_event_wait(hk_event *event, hk_duration timeout)
{
    static const struct hki_wait_ops ops = {.look = look, .next = NULL, .describe = describe};
    struct wait wait = {.event = event};
    uint32_t state;

    if (event == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    /* acquire: pairs with hk_event_set(). */
    state = atomic_load_explicit(hki_word(&event->state_), memory_order_acquire);
    if ((state & SET) != 0) {
        return HK_OK;
    }
    if (timeout == 0) {
        return HK_ETIMEDOUT;
    }
    wait.times = state / ONE_TIME;
    wait.sleep.node = (struct hki_wait_node){&ops, &wait};
    wait.sleep.ready = is_through;
    wait.sleep.word = hki_word(&event->state_);
    wait.sleep.deadline_ns = hki_deadline(timeout);
    return hki_sleep(&wait.sleep);
}
