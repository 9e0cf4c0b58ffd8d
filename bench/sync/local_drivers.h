/* SPDX-License-Identifier: MIT */
/*
 * How bench_local runs its workloads. The peer of a row is a struct local_peer.
 */
#ifndef BENCH_SYNC_LOCAL_DRIVERS_H
#define BENCH_SYNC_LOCAL_DRIVERS_H

#include "bench/harness/harness.h"

extern const struct bench_driver local_get_driver;
/* The first access of a new thread to each of parameter locals. */
extern const struct bench_driver local_build_driver;
/* Adds up the objects of so many threads; the time is for each. */
extern const struct bench_driver local_each_driver;

#endif
