/* SPDX-License-Identifier: MIT */
/*
 * The answers that a right log counter gives over the sample, counted while it is
 * made: from the numbers the lines are written from, never from the lines.
 */
#ifndef HOCKET_MAKE_LOGS_EXPECTED_H
#define HOCKET_MAKE_LOGS_EXPECTED_H

#include "request.h"

struct hour_count {
    char hour[16];
    uint64_t count;
};

struct expected {
    bool is_combined; /* Else every referrer and agent is "-". */
    uint64_t lines, malformed, requests;
    uint64_t hosts[HOST_COUNT], paths[PATH_COUNT], referrers[REFERRER_COUNT], agents[AGENT_COUNT];
    bool robots[HOST_COUNT];
    uint64_t status[1000];
    uint64_t bytes_sum, bytes_given, bytes_most;
    struct hour_count *hours; /* In the order of time. */
    size_t hour_count, hour_capacity;
};

/* False: no memory. */
bool expected_add(struct expected *expected, const struct request *request);

/* Writes the files expected-*.csv and expected-robots.txt. False: it has been said. */
bool expected_write(const struct expected *expected, const char *folder);

void expected_fini(struct expected *expected);

#endif
