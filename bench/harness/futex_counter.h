/* SPDX-License-Identifier: MIT */
/*
 * Counts the futex calls of this process, whoever makes them: the library, glibc, peers.
 * The kernel counts, by a tracepoint, which it allows only to some.
 */
#ifndef BENCH_FUTEX_COUNTER_H
#define BENCH_FUTEX_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

enum futex_count { FUTEX_COUNT_ALL, FUTEX_COUNT_WAKES };

/* Opens and closes nest; the first one decides what is counted. Nothing is yet. */
void futex_counter_open(enum futex_count what);
void futex_counter_close(void);

/* Whether the kernel lets this process count. */
bool futex_counter_is_allowed(void);

/* Counts for the calling thread and those that it has started since the opening; false if
 * the kernel does not allow it. */
bool futex_counter_begin(void);

/* Calls since the beginning. */
uint64_t futex_counter_end(void);

#endif
