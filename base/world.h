/* SPDX-License-Identifier: MIT */
/*
 * Worlds: what stands in for the clock and for sleeping, thread by thread.
 *
 * A thread is in no world as a rule; then time is the system's, and who sleeps sleeps in
 * the kernel. In a world both are asked of its owner: so a replay executor (see
 * executors/replay.h) decides who goes on, and when, for everything in the library that
 * can sleep, without any of it knowing.
 */
#ifndef HOCKET_BASE_WORLD_H
#define HOCKET_BASE_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hki_timer_heap;

struct hki_world {
    int64_t (*now_ns)(struct hki_world *world);
    /* As hki_os_futex_wait(), but false without a deadline says that nothing is left that
     * could end this sleep. No lock of the library is held. */
    bool (*sleep)(struct hki_world *world, _Atomic(uint32_t) *word, uint32_t expected,
                  int64_t deadline_ns);
    struct hki_timer_heap *timers; /* Those that its threads arm. */
};

/* The calling thread's; NULL: none. A child of a fork is in none. */
struct hki_world *hki_world_self(void);

/* For calls that look and do not wait: in a world, others may go on, and a moment passes. Else a
 * loop around such a call would be the last thing that ever happened there. As for a sleep, no
 * lock of the library is held; and no wait has begun (see sync/block.h). */
void hki_world_poll(void);

/* Puts the calling thread into a world; NULL: takes it out. */
void hki_world_enter(struct hki_world *world);

#endif
