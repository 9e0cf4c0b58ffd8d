/* SPDX-License-Identifier: MIT */
/*
 * A __thread variable that lives in a shared object.
 */
#ifndef BENCH_SYNC_LOCAL_THREAD_SO_H
#define BENCH_SYNC_LOCAL_THREAD_SO_H

#include <stdint.h>

/* The calling thread's. */
uint64_t *local_thread_so_counter(void);

#endif
