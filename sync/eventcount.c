/* SPDX-License-Identifier: MIT */
#include "sync/eventcount.h"

#include <limits.h>

#include "base/os.h"
#include "base/sanitizers.h"

/* ThreadSanitizer understands the words alone. */
#define SEES_BARRIER (HKI_THREAD_SANITIZER == 0)

static atomic_bool refused;

void hki_eventcount_refuse_barrier(bool refuse)
{
    atomic_store(&refused, refuse);
}

bool hki_eventcount_has_barrier(void)
{
    return SEES_BARRIER && hki_os_barrier_ready() && !atomic_load(&refused);
}

void hki_eventcount_init(struct hki_eventcount *eventcount)
{
    atomic_init(&eventcount->state, 0);
    atomic_init(&eventcount->epoch, 0);
    atomic_init(&eventcount->wants_all, false);
    eventcount->has_barrier = hki_eventcount_has_barrier();
}

uint32_t hki_eventcount_enter(struct hki_eventcount *eventcount)
{
    /* relaxed: it must only come before the count, which is a release. */
    uint32_t key = atomic_load_explicit(&eventcount->epoch, memory_order_relaxed);

    atomic_fetch_add(&eventcount->state, HKI_EVENTCOUNT_SLEEPER);
    if (eventcount->has_barrier) {
        hki_os_barrier();
    }
    return key;
}

void hki_eventcount_want_all(struct hki_eventcount *eventcount)
{
    atomic_store(&eventcount->wants_all, true);
    hki_eventcount_order(eventcount); /* Either the change is seen, or this is. */
}

bool hki_eventcount_sleep(struct hki_eventcount *eventcount, uint32_t key, int64_t deadline_ns)
{
    return hki_os_futex_wait(&eventcount->epoch, key, deadline_ns);
}

void hki_eventcount_leave(struct hki_eventcount *eventcount)
{
    uint32_t state = atomic_load(&eventcount->state);
    uint32_t left;

    do {
        left = (state - HKI_EVENTCOUNT_SLEEPER) & ~(uint32_t)HKI_EVENTCOUNT_PENDING;
    } while (!atomic_compare_exchange_weak(&eventcount->state, &state, left));
}

void hki_eventcount_wake(struct hki_eventcount *eventcount)
{
    uint32_t state;

    do {
        /* Not a load: whoever takes PENDING back later must see what was changed here. */
        state = atomic_fetch_add(&eventcount->state, 0);
        if (atomic_load(&eventcount->wants_all) && atomic_exchange(&eventcount->wants_all, false)) {
            hki_eventcount_wake_all(eventcount);
            return;
        }
        if (state < HKI_EVENTCOUNT_SLEEPER || (state & HKI_EVENTCOUNT_PENDING) != 0) {
            return;
        }
    } while (
        !atomic_compare_exchange_weak(&eventcount->state, &state, state | HKI_EVENTCOUNT_PENDING));
    atomic_fetch_add(&eventcount->epoch, 1);
    hki_os_futex_wake(&eventcount->epoch, 1);
}

void hki_eventcount_wake_all(struct hki_eventcount *eventcount)
{
    if (atomic_fetch_add(&eventcount->state, 0) >= HKI_EVENTCOUNT_SLEEPER) {
        atomic_fetch_add(&eventcount->epoch, 1);
        hki_os_futex_wake(&eventcount->epoch, INT_MAX);
    }
}

void hki_eventcount_order(struct hki_eventcount *eventcount)
{
    if (eventcount->has_barrier) {
        hki_os_barrier();
    } else {
        (void)atomic_fetch_add(&eventcount->state, 0);
    }
}
