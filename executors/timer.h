/* SPDX-License-Identifier: MIT */
/*
 * Timers: one thread for the whole process, started when the first is needed and
 * gone when nobody holds it any more.
 */
#ifndef HOCKET_EXECUTORS_TIMER_H
#define HOCKET_EXECUTORS_TIMER_H

#include <hocket/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hki_timer {
    int64_t deadline_ns;
    size_t place; /* In the heap, from 1; 0: not armed. Under the timers' lock. */
    /* Called once, on the timer thread, with no lock held, unless disarmed first. */
    void (*fire)(struct hki_timer *timer);
};

/* Bracket the time in which timers may be armed. HK_ESYS: no thread to be had. */
hk_status hki_timers_hold(void);
void hki_timers_release(void);

/* A zeroed timer. HK_ENOMEM: not armed. */
hk_status hki_timer_arm(struct hki_timer *timer, int64_t deadline_ns,
                        void (*fire)(struct hki_timer *timer));

/* True: it will not fire. False: it was not armed, has fired, or is firing. */
bool hki_timer_disarm(struct hki_timer *timer);

#endif
