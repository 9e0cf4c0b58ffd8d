/* SPDX-License-Identifier: MIT */
/*
 * The run itself: units out to an executor, tallies back and added up.
 */
#ifndef HOCKET_LOGS_RUN_H
#define HOCKET_LOGS_RUN_H

#include "complaints.h"
#include "options.h"
#include "tally.h"

struct run {
    const struct options *options; /* Borrowed. */
    struct tally tally;            /* The sum. */
    struct complaints complaints;
    uint64_t files;
    uint64_t workers_lost; /* Processes that died; their units were done again. */
    bool is_interrupted;
    bool has_failed; /* The executor could not do its part; it has been said. */
};

/* Counts all that the options ask for. */
void run_all(struct run *run, const struct options *options);
void run_fini(struct run *run);

#endif
