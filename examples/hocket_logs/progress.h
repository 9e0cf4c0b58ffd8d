/* SPDX-License-Identifier: MIT */
/*
 * A line on the terminal that tells how far the run is: bytes of input, rate, time
 * left. Bytes are those of the files, so a gzip file counts as large as it is.
 */
#ifndef HOCKET_LOGS_PROGRESS_H
#define HOCKET_LOGS_PROGRESS_H

#include <stdatomic.h>

#include "walk.h"

/* One thread draws; the one that reads the map reports finished units. */
struct progress {
    struct walk walk;      /* Adds up the sizes of all files, a step at a time. */
    bool is_measured;      /* The total is known. */
    uint64_t total_bytes;  /* Of the files seen so far. */
    _Atomic uint64_t done; /* Of finished units. */
    int64_t begin_ns;
};

void progress_init(struct progress *progress, char *const *paths, size_t path_count);
void progress_fini(struct progress *progress);

/* A unit has ended. Any thread. */
void progress_add(struct progress *progress, uint64_t bytes);

/* Adds up some more sizes. False: nothing is left to be added. */
bool progress_measure(struct progress *progress);

/* Draws the line anew on standard error; and removes it. */
void progress_draw(struct progress *progress);
void progress_erase(void);

#endif
