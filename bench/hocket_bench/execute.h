/* SPDX-License-Identifier: MIT */
/*
 * Runs a workload in this process.
 */
#ifndef BENCH_EXECUTE_H
#define BENCH_EXECUTE_H

#include "bench/hocket_bench/workload.h"

/* n is what the user asked for: repetitions do not grow it. False: a wrong result. */
bool execute(const struct workload *workload, struct trial *trial, bool is_n_given);

#endif
