/* SPDX-License-Identifier: MIT */
/*
 * Deadlines: absolute nanoseconds of CLOCK_MONOTONIC.
 *
 * Public calls take durations; they become a deadline once, at the door, so
 * that a wait which wakes early does not start its time again.
 */
#ifndef HOCKET_BASE_TIME_H
#define HOCKET_BASE_TIME_H

#include <hocket/time.h>

#include <stdbool.h>
#include <time.h>

#define HKI_NEVER INT64_MAX

/* The system's clock, also for a thread whose time is that of a world (see base/world.h). */
int64_t hki_system_now_ns(void);

/* Whether a public call may be given this duration. */
static inline bool hki_duration_valid(hk_duration duration)
{
    return duration >= 0 || duration == HK_FOREVER;
}

/* The moment a duration from now ends; too far ahead is never. */
static inline int64_t hki_deadline(hk_duration duration)
{
    int64_t deadline;

    if (duration == HK_FOREVER || __builtin_add_overflow(hk_now_ns(), duration, &deadline)) {
        return HKI_NEVER;
    }
    return deadline;
}

static inline int64_t hki_earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static inline struct timespec hki_timespec(int64_t deadline_ns)
{
    return (struct timespec){.tv_sec = (time_t)(deadline_ns / 1000000000),
                             .tv_nsec = (long)(deadline_ns % 1000000000)};
}

#endif
