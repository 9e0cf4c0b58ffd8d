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
    int fd;        /* Of the counter's file; -1: there is none that could be read. */
    uint64_t seen; /* Steps up to here explain nothing any more. */
    uint64_t now;
    int64_t stepped_ns; /* When the last step was found. */
};

/* Finds the counter and reads it. Allocates nothing, and keeps its file open: to find it again
 * would take longer than all else that is done for a death. */
void hki_oom_watch_start(struct hki_oom_watch *watch);
void hki_oom_watch_end(struct hki_oom_watch *watch);

/* Watches this file. False: it has no counter. */
bool hki_oom_watch_open(struct hki_oom_watch *watch, const char *path);

/* Before a number of deaths is looked at: reads the counter. Each of its steps explains one of
 * these deaths, or of those in the seconds that follow: the kernel counts before it kills, and
 * a large process takes its time to die, in which others may. */
void hki_oom_watch_read(struct hki_oom_watch *watch, int64_t now_ns);
bool hki_oom_watch_explains(struct hki_oom_watch *watch);

#endif
