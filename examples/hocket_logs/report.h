/* SPDX-License-Identifier: MIT */
/*
 * The answer on standard output: as text, JSON or CSV.
 */
#ifndef HOCKET_LOGS_REPORT_H
#define HOCKET_LOGS_REPORT_H

#include "options.h"
#include "tally.h"

/* All that a report may tell. */
struct answer {
    const struct options *options;
    const struct tally *tally;
    uint64_t files;        /* Found. */
    uint64_t files_failed; /* Files and folders that had an error. */
    bool is_interrupted;   /* It covers only a part. */
};

/* The rows of a report, sorted as they are to be shown. */
struct rows {
    struct name_count *list;
    size_t count;
    char *status_names; /* What the names of REPORT_STATUS point into. */
};

/* False: no memory. REPORT_BYTES has no rows. */
bool rows_make(struct rows *rows, const struct answer *answer);
void rows_fini(struct rows *rows);

/* Prints the answer in the format of the options. False: it could not be written,
 * which has been said. */
bool report_print(const struct answer *answer);

/* One format each; false: no memory. */
bool report_text(const struct answer *answer, const struct rows *rows);
bool report_csv(const struct answer *answer, const struct rows *rows);
bool report_json(const struct answer *answer, const struct rows *rows);

/* Tells on standard error how many lines were malformed, and how. */
void report_malformed(const struct tally *tally);

#endif
