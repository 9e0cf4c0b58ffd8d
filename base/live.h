/* SPDX-License-Identifier: MIT */
/*
 * How many objects of each kind are alive: what a leak test compares before and
 * after. Each birth and death is one step of a thread's own counter (base/tally.h).
 */
#ifndef HOCKET_BASE_LIVE_H
#define HOCKET_BASE_LIVE_H

#include <stddef.h>

enum hki_live_kind {
    HKI_LIVE_FUTURES,
    HKI_LIVE_ERRORS,
    HKI_LIVE_HOOKS,
    HKI_LIVE_TOKENS,
    HKI_LIVE_COMPLETIONS,
    HKI_LIVE_BUFFERS,
    HKI_LIVE_EXECUTORS,
    HKI_LIVE_WORKERS,
    HKI_LIVE_TIMERS,
    HKI_LIVE_MAPS,
    HKI_LIVE_QUEUES,
    HKI_LIVE_RINGS,
    HKI_LIVE_LOCALS,
    HKI_LIVE_POOL_MEMORY,
    HKI_LIVE_KINDS
};

void hki_live_add(enum hki_live_kind kind, long change);

long hki_live_count(enum hki_live_kind kind);

/* The sum of all, and as a text "futures 1, errors 0, ..."; text may be NULL
 * with size 0. */
size_t hki_live_total(char *text, size_t size);

#endif
