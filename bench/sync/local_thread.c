/* SPDX-License-Identifier: MIT */
/*
 * __thread variables: what the compiler and the linker can do, in a program and in a
 * shared object. There is nothing to build.
 */
#include "bench/harness/harness.h"
#include "bench/sync/local_peer.h"
#include "bench/sync/local_thread_so.h"

static void begin(size_t count)
{
    (void)count;
}

static void end(void)
{
}

static __thread struct local_object own;

static uint64_t count_up(uint64_t times)
{
    uint64_t counter = 0;

    for (uint64_t i = 0; i < times; i++) {
        counter = ++own.counter;
        __asm__ volatile("" : : : "memory");
    }
    return counter;
}

static uint64_t count_up_so(uint64_t times)
{
    uint64_t counter = 0;

    for (uint64_t i = 0; i < times; i++) {
        counter = ++*local_thread_so_counter();
        __asm__ volatile("" : : : "memory");
    }
    return counter;
}

const struct local_peer local_thread = {.begin = begin, .end = end, .count_up = count_up};
const struct local_peer local_thread_so = {.begin = begin, .end = end, .count_up = count_up_so};
