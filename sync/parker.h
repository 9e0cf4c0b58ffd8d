/* SPDX-License-Identifier: MIT */
/*
 * Parking: how a thread sleeps until somebody wakes it. The one place where the
 * library blocks for futures.
 *
 * A parker holds one token. A wake puts it there, parking takes it away; so a
 * wake that comes first is not lost, and a stale one only costs a look. Callers
 * therefore always park in a loop around the condition they wait for.
 */
#ifndef HOCKET_SYNC_PARKER_H
#define HOCKET_SYNC_PARKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hki_parker {
    _Atomic(uint32_t) token; /* 0 or 1, and a futex word. */
};

/* The calling thread's own; valid until the thread ends. */
struct hki_parker *hki_parker_self(void);

/* Sleeps until the token is there and takes it; false when the deadline passed
 * first. Only the parker's own thread calls it. */
bool hki_parker_park(struct hki_parker *parker, int64_t deadline_ns);

/* For who has something else to do meanwhile: takes the token if it is there. */
bool hki_parker_try(struct hki_parker *parker);

/* Any thread. Takes no lock. Once the token is there the sleeper may go on and end, so
 * the kernel is told about memory that may be gone: it then wakes nobody. */
void hki_parker_wake(struct hki_parker *parker);

#endif
