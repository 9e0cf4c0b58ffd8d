/* SPDX-License-Identifier: MIT */
/*
 * A __thread variable that lives in a shared object, in the way that -fPIC takes.
 */
#include "bench/sync/local_thread_so.h"

static __thread uint64_t counter;

uint64_t *local_thread_so_counter(void)
{
    return &counter;
}
