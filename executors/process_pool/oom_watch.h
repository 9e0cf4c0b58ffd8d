/* SPDX-License-Identifier: MIT */
/*
 * Whether the kernel killed for want of memory: the counter `oom_kill` of this process's
 * memory cgroup, version 2 or 1. A guess, since others in the cgroup count as well.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_OOM_WATCH_H
#define HOCKET_EXECUTORS_PROCESS_POOL_OOM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct hki_oom_watch {
    char path[512]; /* "": there is no counter that could be read. */
    uint64_t seen;  /* What it was when it was last asked for. */
    uint64_t now;
};

/* Finds the counter and reads it. Allocates nothing, and keeps no descriptor. */
void hki_oom_watch_start(struct hki_oom_watch *watch);

/* Before a number of deaths is looked at: reads the counter; each of its steps since the
 * last time explains one of these deaths. */
void hki_oom_watch_read(struct hki_oom_watch *watch);
bool hki_oom_watch_explains(struct hki_oom_watch *watch);

#endif
