/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the peer "hk pool" share.
 */
#ifndef BENCH_PROCESS_POOL_HOCKET_H
#define BENCH_PROCESS_POOL_HOCKET_H

#include <hocket/hocket.h>

#include "bench/process/pool_peer.h"

struct hocket_pool {
    hk_executor *executor;
    unsigned workers;
    /* Tasks under way, the oldest at first % POOL_DEPTH_MAX. */
    hk_future *futures[POOL_DEPTH_MAX];
    unsigned first, count;
};

HK_TASK_DECLARE(pool_spin);

/* Ends the program unless status is HK_OK. */
void hocket_must(hk_status status, const char *what);

/* Whether tasks run in other processes: only these are killed. */
bool hocket_may_harm(void *arg);

/* Memory that tasks share with the program; made before any worker. */
void hocket_harm_prepare(void);

bool hocket_echo(void *arg, enum pool_echo how, void *payload, size_t size);
uint64_t hocket_map(void *arg, const struct pool_item *items, size_t count);
bool hocket_kill_worker(void *arg, struct pool_harm *harm);
bool hocket_overrun(void *arg, int64_t limit_ns, int64_t *over_ns);

#endif
