/* SPDX-License-Identifier: MIT */
/*
 * How bench_queue runs its workloads. The peer of a row is a struct queue_peer.
 */
#ifndef BENCH_SYNC_QUEUE_DRIVERS_H
#define BENCH_SYNC_QUEUE_DRIVERS_H

#include "bench/harness/harness.h"

/* Half of the threads produce, half consume; time for each item. */
extern const struct bench_driver queue_stream_driver;
/* The same with the producers on one CPU and the consumers on another. */
extern const struct bench_driver queue_apart_driver;
/* As the first, and counts system calls that wake, for each item. */
extern const struct bench_driver queue_wakes_driver;
/* All threads wait for an item that does not come: CPU in percent of one. */
extern const struct bench_driver queue_idle_driver;
/* Two queues, one item back and forth: time for one way, at the median and at the 99th of
 * a hundred, and CPU time of both threads. parameter: 1 puts both threads on one CPU. */
extern const struct bench_driver queue_wake_driver;

#endif
