/* SPDX-License-Identifier: MIT */
/*
 * What a whole run is about: the question, and how files are read. It travels
 * with every unit of work.
 */
#ifndef HOCKET_LOGS_JOB_H
#define HOCKET_LOGS_JOB_H

#include "chaos.h"
#include "filter.h"

/* The numbers travel between processes. */
enum report {
    REPORT_ROBOTS,
    REPORT_TOP_HOSTS,
    REPORT_TOP_PATHS,
    REPORT_TOP_AGENTS,
    REPORT_TOP_REFERRERS,
    REPORT_STATUS,
    REPORT_BYTES,
    REPORT_HOURLY,
    REPORT_COUNT
};

struct job {
    enum report report;
    struct span inflate; /* Name of the inflate back end, or "auto". */
    struct filter_set filters;
    struct chaos chaos;
};

/* A report as it is asked for: "robots", "top hosts". */
const char *job_report_name(enum report report);

void job_pack(struct packer *packer, const struct job *job);
/* The job borrows from the bytes. */
void job_unpack(struct unpacker *unpacker, struct job *job);

#endif
