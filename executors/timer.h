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

struct hki_timer;

/* Armed timers, the next one first. */
struct hki_timer_heap {
    struct hki_timer **timers; /* [1 .. count]. */
    size_t count;
    size_t room;
};

struct hki_timer {
    int64_t deadline_ns;
    struct hki_timer_heap *heap; /* While armed. */
    size_t place;                /* In the heap, from 1; 0: not armed. Under the timers' lock. */
    /* Called once, on the timer thread or by its world, with no lock held, unless disarmed
     * first. */
    void (*fire)(struct hki_timer *timer);
};

/* Bracket the time in which timers may be armed. HK_ESYS: no thread to be had. A thread of a
 * world (see base/world.h) needs it not: its timers are the world's.
 *
 * The last one to release ends the thread. may_wait: and waits for a timer that fires, with the
 * callbacks that run there, unless these wait for what the caller holds. Else the thread ends
 * when they have returned. */
hk_status hki_timers_hold(void);
void hki_timers_release(bool may_wait);

/* A zeroed timer. HK_ENOMEM: not armed. */
hk_status hki_timer_arm(struct hki_timer *timer, int64_t deadline_ns,
                        void (*fire)(struct hki_timer *timer));

/* True: it will not fire. False: it was not armed, has fired, or is firing. */
bool hki_timer_disarm(struct hki_timer *timer);

/* --- For the owner of a world --- */

/* When the next one is due; HKI_NEVER: there is none. */
int64_t hki_timer_heap_next_ns(struct hki_timer_heap *heap);

/* Takes the next one out if it is due; the caller lets it fire. NULL: none is. */
struct hki_timer *hki_timer_heap_take_due(struct hki_timer_heap *heap, int64_t now_ns);

/* Of an empty one. */
void hki_timer_heap_free(struct hki_timer_heap *heap);

#endif
