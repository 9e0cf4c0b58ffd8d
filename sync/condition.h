/* SPDX-License-Identifier: MIT */
/*
 * The library's own condition variable, for its own mutexes: a futex word that counts
 * the signals. Not pthread_cond_t, whose signals could get lost in glibc up to 2.36
 * (glibc bug 25847): nothing of ours may hang on that.
 *
 * Every call is made with the mutex held. So a waiter has read the epoch before any
 * signal that concerns it, and the kernel sends it back if one came before it slept.
 * Zero-filled memory is ready for use, and nothing needs to be released.
 */
#ifndef HOCKET_SYNC_CONDITION_H
#define HOCKET_SYNC_CONDITION_H

#include <pthread.h>
#include <stdbool.h>

#include "base/os.h"
#include "base/time.h"

struct hki_condition {
    _Atomic(uint32_t) epoch;
    uint32_t waiting; /* Under the mutex. */
};

#define HKI_CONDITION_INIT                                                                         \
    {                                                                                              \
        0, 0                                                                                       \
    }

/* As new: in the child of a fork, where nobody waits any more. */
static inline void hki_condition_init(struct hki_condition *condition)
{
    atomic_init(&condition->epoch, 0);
    condition->waiting = 0;
}

/* False once the deadline has passed; true after a signal, which may have been meant for
 * another waiter. */
static inline bool hki_condition_wait(struct hki_condition *condition, pthread_mutex_t *mutex,
                                      int64_t deadline_ns)
{
    /* relaxed: read and written under the mutex; the kernel alone reads it without. */
    uint32_t epoch = atomic_load_explicit(&condition->epoch, memory_order_relaxed);
    bool woken;

    condition->waiting++;
    do {
        pthread_mutex_unlock(mutex);
        woken = hki_os_futex_wait(&condition->epoch, epoch, deadline_ns);
        pthread_mutex_lock(mutex);
        /* relaxed: as above. Unchanged: it woke without a cause, and callers that count
         * their time from each call would never run out of it. */
    } while (woken && atomic_load_explicit(&condition->epoch, memory_order_relaxed) == epoch);
    condition->waiting--;
    return woken;
}

static inline void hki_condition_wake_(struct hki_condition *condition, unsigned count)
{
    if (condition->waiting != 0) {
        /* relaxed: see hki_condition_wait(). */
        atomic_fetch_add_explicit(&condition->epoch, 1, memory_order_relaxed);
        hki_os_futex_wake(&condition->epoch, count);
    }
}

static inline void hki_condition_signal(struct hki_condition *condition)
{
    hki_condition_wake_(condition, 1);
}

static inline void hki_condition_broadcast(struct hki_condition *condition)
{
    hki_condition_wake_(condition, INT32_MAX);
}

#endif
