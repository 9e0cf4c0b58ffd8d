/* SPDX-License-Identifier: MIT */
/*
 * What the tasks do: compiled once, by the C compiler, so that a peer of another compiler
 * does the same work. Busy loops are counted in steps, not in time: being descheduled
 * never counts as work.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The items of the map that one task takes: usually, and where tasks are small. */
enum { WORK_CHUNK = 10000, WORK_CHUNK_FINE = 256 };

/* Takes 8 bytes and gives 8 bytes. */
typedef uint64_t work_body(uint64_t number);

enum work_kind { WORK_TRIVIAL, WORK_MAP, WORK_SKEW, WORK_KINDS };

/* 2 * number + 1. */
uint64_t work_trivial(uint64_t number);

/* The chunk of this number; gives the bits of the sum of what it wrote. */
uint64_t work_map_chunk(uint64_t number);

/* The busy loop of this number: a Pareto distribution (alpha 1) from about 1 us to 1 ms. */
uint64_t work_skewed(uint64_t number);

extern work_body *const work_bodies[WORK_KINDS];

/* Makes, before any thread starts, the memory that work_map_chunk() reads and writes, so
 * many items at a time. */
void work_map_prepare(uint64_t items, uint64_t chunk);
uint64_t work_map_chunks(void);
void work_map_release(void);

/* fib(n), and the calls above its leaves. */
uint64_t work_fibonacci(uint64_t n);
uint64_t work_fibonacci_branches(uint64_t n);

#ifdef __cplusplus
}
#endif

#endif
