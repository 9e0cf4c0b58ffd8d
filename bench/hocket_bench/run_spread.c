/* SPDX-License-Identifier: MIT */
/*
 * map and skew: work that could go on everywhere at once, beside the same done by one
 * thread.
 */
#include "bench/harness/harness.h"
#include "bench/hocket_bench/workload.h"

/* Does the work here; gives the sum of the answers. */
static uint64_t run_serially(work_body *body, uint64_t count, int64_t *elapsed_ns)
{
    int64_t began_ns = bench_now_ns();
    uint64_t sum = 0;

    for (uint64_t i = 0; i < count; i++) {
        sum += body(i);
    }
    *elapsed_ns = bench_now_ns() - began_ns;
    return sum;
}

void prepare_map(struct trial *trial)
{
    work_map_prepare(trial->n, WORK_CHUNK);
}

void prepare_map_fine(struct trial *trial)
{
    work_map_prepare(trial->n, WORK_CHUNK_FINE);
}

bool run_map(struct trial *trial)
{
    int64_t serial_ns, elapsed_ns;
    uint64_t chunks = work_map_chunks();
    uint64_t expected = run_serially(work_map_chunk, chunks, &serial_ns);
    uint64_t sum = batch_run_once(trial, WORK_MAP, chunks, &elapsed_ns);

    work_map_release();
    tell(trial, "speedup", (double)serial_ns / (double)elapsed_ns, "x");
    tell(trial, "time_per_item", (double)elapsed_ns / (double)trial->n, "ns");
    tell(trial, "serial_per_item", (double)serial_ns / (double)trial->n, "ns");
    return sum == expected;
}

bool run_skew(struct trial *trial)
{
    int64_t serial_ns, elapsed_ns;
    uint64_t expected = run_serially(work_skewed, trial->n, &serial_ns);
    uint64_t sum = batch_run_once(trial, WORK_SKEW, trial->n, &elapsed_ns);

    tell(trial, "efficiency", (double)serial_ns / ((double)trial->threads * (double)elapsed_ns),
         "ratio");
    return sum == expected;
}
