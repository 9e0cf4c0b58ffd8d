/* SPDX-License-Identifier: MIT */
/* What the program, its zygote and its workers hold; as lines of a CSV file. */
#ifndef HOCKET_TESTS_SOAK_CENSUS_H
#define HOCKET_TESTS_SOAK_CENSUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum soak_moment {
    SOAK_LOADED, /* In the middle of a phase. */
    SOAK_CALM,   /* At the end of one, the pools at rest. */
    SOAK_EMPTY   /* At the end of one, the pools destroyed. */
};

struct soak_census {
    long parent_kib; /* Resident; so all below. */
    long zygote_kib;
    long worker_kib; /* The mean of the workers. */
    long workers;
    long descriptors;
    long threads;
    long children; /* The zygote and its children. */
    long mappings;
    long objects; /* Of the library. */
    uint64_t blocks;
    uint64_t allocated_kib;
    double cpu_seconds; /* Of all processes, those that have ended included. */
};

void soak_census_take(struct soak_census *census);

/* Seconds since the first call. */
double soak_seconds(void);

void soak_census_begin(FILE *file);
void soak_census_write(FILE *file, enum soak_moment moment, const struct soak_census *census);

/* At rest: takes a census again and again until descriptors, threads, children and objects are
 * as they were the first time at such a moment, or too much time has passed. */
void soak_census_rest(FILE *file, enum soak_moment moment);

/* Asks again and again until true; false when too much time has passed. */
bool soak_eventually(bool (*holds)(void *arg), void *arg);

/* Too much time is soon: it is known that something will not be as it was. */
void soak_be_impatient(void);

#endif
