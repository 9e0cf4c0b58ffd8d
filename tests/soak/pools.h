/* SPDX-License-Identifier: MIT */
/* The executors that live through several phases. */
#ifndef HOCKET_TESTS_SOAK_POOLS_H
#define HOCKET_TESTS_SOAK_POOLS_H

#include "tests/soak/soak.h"

enum { SOAK_POOL_THREADS = 4, SOAK_POOL_NARROW = 2, SOAK_POOL_PROCESSES = 2 };

void soak_pools_open(struct soak_pools *pools);

/* Starts all workers, and waits until nothing is queued, running, or more than asked for.
 * False: it took too long. */
bool soak_pools_rest(const struct soak_pools *pools);

void soak_pools_close(struct soak_pools *pools);

#endif
