/* SPDX-License-Identifier: MIT */
/*
 * The command line.
 */
#ifndef HOCKET_LOGS_OPTIONS_H
#define HOCKET_LOGS_OPTIONS_H

#include "job.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

/* Exit statuses of the program. */
enum {
    EXIT_ALL_WELL = 0,
    EXIT_SOME_FAILED = 1, /* A file could not be read whole, or the answer not be written. */
    EXIT_USAGE = 2,
    EXIT_INTERRUPTED = 130, /* By SIGINT or SIGTERM; 128 + SIGINT, as shells say it. */
};

struct options {
    struct job job;
    size_t top_count; /* Rows of "top"; 0: all. */
    enum format format;
    const char *executor;
    uint64_t slice_size;
    bool is_quiet;
    bool shows_progress;
    char *const *paths; /* Of argv. */
    size_t path_count;
};

/* Fills in the options, or ends the program with a message. */
void options_parse(struct options *options, int argc, char **argv);

/* Whether the work is to run in worker processes. */
bool options_use_processes(const struct options *options);

#endif
