/* SPDX-License-Identifier: MIT */
/*
 * A memory cgroup of a test's own, below the one that the test runs in, so that all limits
 * above it stay in force. Version 1 or 2; nothing is written to a cgroup that was not made here.
 */
#ifndef HOCKET_TESTS_CGROUP_FIXTURE_H
#define HOCKET_TESTS_CGROUP_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct hkt_cgroup {
    char path[512];
    int alive; /* Its keeper removes the cgroup when nobody holds this any more. */
    pid_t keeper;
};

/* Makes one that may hold so many bytes. False, with a word on standard error: this system, or
 * these rights, do not allow it. */
bool hkt_cgroup_make(struct hkt_cgroup *cgroup, uint64_t limit_bytes);

/* The calling process belongs to it from here on, and so do its children to come. */
bool hkt_cgroup_enter(const struct hkt_cgroup *cgroup);

/* When all who were in it are gone. False: it could not be removed. */
bool hkt_cgroup_remove(struct hkt_cgroup *cgroup);

#endif
