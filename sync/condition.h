/* SPDX-License-Identifier: MIT */
/*
 * Waiting on a POSIX condition variable until a moment of CLOCK_MONOTONIC.
 *
 * pthread_cond_clockwait takes the clock with the call, so statically
 * initialised condition variables do, and making one cannot fail.
 */
#ifndef HOCKET_SYNC_CONDITION_H
#define HOCKET_SYNC_CONDITION_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/time.h"

/* False once the deadline has passed; true for a wake-up, also a spurious one. */
static inline bool hki_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                      int64_t deadline_ns)
{
    struct timespec deadline;

    if (deadline_ns == HKI_NEVER) {
        pthread_cond_wait(condition, mutex);
        return true;
    }
    deadline = hki_timespec(deadline_ns);
    return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT;
}

#endif
