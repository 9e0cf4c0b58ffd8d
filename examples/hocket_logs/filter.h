/* SPDX-License-Identifier: MIT */
/*
 * Which lines count: by time, by status, by the beginning of the path.
 *
 * Of several filters of one kind any may match; filters of different kinds must
 * all match.
 */
#ifndef HOCKET_LOGS_FILTER_H
#define HOCKET_LOGS_FILTER_H

#include "line.h"
#include "wire.h"

enum filter_kind { FILTER_TIME, FILTER_STATUS, FILTER_PATH, FILTER_KIND_COUNT };

struct filter {
    enum filter_kind kind;
    /* Time: seconds since 1970, from <= t < to. With in_utc they are compared with
     * the line's time in UTC, else with the clock as the log shows it.
     * Status: from <= status < to. */
    int64_t from, to;
    bool from_in_utc, to_in_utc;
    struct span prefix; /* Of the path; borrowed. */
};

/* More would be a mistake of the caller; it bounds what a worker accepts. */
#define FILTER_COUNT_MAX 64

struct filter_set {
    struct filter filters[FILTER_COUNT_MAX];
    size_t count;
    bool has_kind[FILTER_KIND_COUNT];
};

/* Adds "time=...", "status=..." or "path=...". On failure *why is a static text that
 * says what is expected. text must outlive the set. */
bool filter_parse(struct filter_set *set, const char *text, const char **why);

bool filter_matches(const struct filter_set *set, const struct log_line *line);

void filter_pack(struct packer *packer, const struct filter_set *set);

/* The set borrows from the bytes. A nonsense set makes the unpacker fail. */
void filter_unpack(struct unpacker *unpacker, struct filter_set *set);

#endif
