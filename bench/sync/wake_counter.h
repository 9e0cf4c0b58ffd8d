/* SPDX-License-Identifier: MIT */
/*
 * Counts the futex wake calls of this process, whoever makes them: the library, glibc,
 * peers. The kernel counts, by a tracepoint, which it allows only to some.
 */
#ifndef BENCH_SYNC_WAKE_COUNTER_H
#define BENCH_SYNC_WAKE_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

/* Opens and closes nest. Nothing is counted yet. */
void wake_counter_open(void);
void wake_counter_close(void);

/* Counts for the calling thread and those that it starts from now on; false if the
 * kernel does not allow it. */
bool wake_counter_begin(void);

/* Calls since the beginning. */
uint64_t wake_counter_end(void);

#endif
