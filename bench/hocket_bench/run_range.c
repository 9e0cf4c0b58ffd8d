/* SPDX-License-Identifier: MIT */
/*
 * range: the trivial work in a loop, as the parallel for of a peer; no task for each turn.
 */
#include <stdlib.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/workload.h"

/* A loop of a million is over before the clock of one round means much. */
enum { ROUNDS = 20 };

bool run_range(struct trial *trial)
{
    uint64_t *answers = calloc(trial->n, sizeof(*answers));
    uint64_t sum = 0;
    int64_t began_ns;
    int64_t elapsed_ns;

    if (answers == NULL) {
        return false;
    }
    /* Once to have the memory, and the threads where the others have theirs. */
    trial->peer->range(trial->pool, answers, trial->n);
    began_ns = bench_now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        trial->peer->range(trial->pool, answers, trial->n);
    }
    elapsed_ns = bench_now_ns() - began_ns;
    for (uint64_t i = 0; i < trial->n; i++) {
        sum += answers[i];
    }
    free(answers);
    tell(trial, "time_per_turn", (double)elapsed_ns / ROUNDS / (double)trial->n, "ns");
    return sum == sum_of_trivial(trial->n);
}
