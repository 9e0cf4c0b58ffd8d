/* SPDX-License-Identifier: MIT */
/*
 * Hocket's executors as peers.
 */
#ifndef BENCH_PEER_HOCKET_H
#define BENCH_PEER_HOCKET_H

#include <hocket/hocket.h>

#include "bench/hocket_bench/peer.h"

extern const struct peer peer_hocket_threads, peer_hocket_inline, peer_hocket_processes;

/* Ends the program unless status is HK_OK. */
void hocket_must(hk_status status, const char *what);

/* The parts that all three share; the pool is a hk_executor, the future a hk_future *. */
void hocket_stop(void *pool);
void hocket_submit(void *pool, enum work_kind kind, uint64_t number, void *future);
uint64_t hocket_result(void *pool, void *future);
void hocket_range(void *pool, uint64_t *answers, uint64_t n);

/* 8 bytes in, 8 bytes out. */
HK_TASK_DECLARE(bench_trivial);

#endif
