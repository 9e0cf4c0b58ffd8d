/* SPDX-License-Identifier: MIT */
/*
 * The bodies of the tasks.
 */
#include "bench/hocket_bench/work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness/harness.h"

work_body *const work_bodies[WORK_KINDS] = {work_trivial, work_map_chunk, work_skewed};

uint64_t work_trivial(uint64_t number)
{
    return 2 * number + 1;
}

/* --- The map ------------------------------------------------------------------------ */

static struct {
    double *in, *out;
    uint64_t items, chunk;
} map;

/* About 50 ns, as the CPU works on some items at once. Not inlined, else several would be
 * computed by one vector instruction, which no other language's peer does. */
__attribute__((noinline)) static double transform(double x)
{
    enum { STEPS = 13 };

    for (int i = 0; i < STEPS; i++) {
        x = sqrt(x * 1.5 + 1.0);
    }
    return x;
}

void work_map_prepare(uint64_t items, uint64_t chunk)
{
    map.items = items;
    map.chunk = chunk;
    map.in = calloc(items, sizeof(double));
    map.out = calloc(items, sizeof(double));
    if (map.in == NULL || map.out == NULL) {
        bench_die("no memory");
    }
    /* Also writes the second one, so that no page is missing when the clock runs. */
    for (uint64_t i = 0; i < items; i++) {
        map.in[i] = (double)(i % 1000);
        map.out[i] = -1;
    }
}

void work_map_release(void)
{
    free(map.in);
    free(map.out);
}

uint64_t work_map_chunks(void)
{
    return (map.items + map.chunk - 1) / map.chunk;
}

uint64_t work_map_chunk(uint64_t number)
{
    uint64_t first = number * map.chunk, bits;
    uint64_t end = first + map.chunk < map.items ? first + map.chunk : map.items;
    double sum = 0;

    for (uint64_t i = first; i < end; i++) {
        map.out[i] = transform(map.in[i]);
        sum += map.out[i];
    }
    memcpy(&bits, &sum, sizeof(bits));
    return bits;
}

/* --- Busy loops --------------------------------------------------------------------- */

/* Mixes all bits: neighbours get lengths that have nothing to do with each other. */
static uint64_t mix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15U;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9U;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebU;
    return number ^ (number >> 31);
}

static uint64_t skewed_steps(uint64_t number)
{
    static const double steps_least = 700, ratio = 1000;
    double uniform = (double)(mix(number) >> 11) / 9007199254740992.0;

    return (uint64_t)(steps_least / (1 - uniform * (1 - 1 / ratio)));
}

uint64_t work_skewed(uint64_t number)
{
    uint64_t x = number;

    for (uint64_t steps = skewed_steps(number); steps > 0; steps--) {
        x = x * 6364136223846793005U + 1442695040888963407U;
    }
    return x;
}

/* --- Fibonacci numbers -------------------------------------------------------------- */

uint64_t work_fibonacci(uint64_t n)
{
    uint64_t value = 0, next = 1;

    while (n-- > 0) {
        uint64_t sum = value + next;

        value = next;
        next = sum;
    }
    return value;
}

uint64_t work_fibonacci_branches(uint64_t n)
{
    return work_fibonacci(n + 1) - 1;
}
