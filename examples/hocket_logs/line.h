/* SPDX-License-Identifier: MIT */
/*
 * One line of an access log in the common or the combined format:
 *
 *     host ident user [time] "request" status size "referrer" "agent" ...
 *
 * What is accepted beyond the letter of the formats, because real logs have it:
 * several blanks or tabs between fields, blanks before the host, a user name with
 * blanks, the virtual host that Apache's vhost_combined puts first, further fields
 * at the end, quotes escaped by a backslash, and quotes that should have been.
 */
#ifndef HOCKET_LOGS_LINE_H
#define HOCKET_LOGS_LINE_H

#include <stdint.h>

#include "span.h"

/* What can be wrong with a line. The numbers travel between processes. */
enum line_fault {
    LINE_GOOD,
    LINE_EMPTY,          /* Nothing, or blanks only. */
    LINE_FIELDS_MISSING, /* Fewer than three fields before the time. */
    LINE_BAD_TIME,       /* No [day/month/year:hour:minute:second zone]. */
    LINE_NO_REQUEST,     /* The time is not followed by a quote. */
    LINE_OPEN_REQUEST,   /* The quote of the request is never closed. */
    LINE_BAD_STATUS,     /* The request is not followed by three digits. */
    LINE_BAD_SIZE,       /* The status is not followed by a number or "-". */
    LINE_TOO_LONG,       /* More bytes than LINE_SIZE_MAX. */
    LINE_FAULT_COUNT
};

/* A longer line is counted as malformed and not looked at: it bounds the memory
 * that one line can cost. */
#define LINE_SIZE_MAX ((size_t)1 << 20)

/* The length of "10/Jul/2012:00:18:50 -0500". */
#define LINE_TIME_SIZE 26

/* The fields of one line, all of them pointing into it. */
struct log_line {
    struct span host;
    const char *time; /* LINE_TIME_SIZE bytes, their form checked. */
    struct span request;
    unsigned status;     /* 0 to 999. */
    uint64_t size_bytes; /* 0 if has_size is false. */
    bool has_size;       /* False for "-". */
    struct span tail;    /* What follows the size: referrer, agent and more, or nothing. */
};

/* Takes a line apart. data has no newline; a carriage return at its end is not
 * part of the line. line is complete only for LINE_GOOD. */
enum line_fault line_parse(const char *data, size_t size, struct log_line *line);

/* A few words that name a fault, for a table. */
const char *line_fault_name(enum line_fault fault);

/* What was asked for: the request without its method and version, as logged. Its
 * data is NULL when the request is no HTTP request, such as "-" or rubbish. */
struct span line_path(const struct log_line *line);

/* Whether line_path() is exactly this path; quicker than asking for it. */
bool line_asks_for(const struct log_line *line, struct span path);

/* 1 to 12 for the three letters of a month as logs write it; 0 for anything else. */
unsigned line_month(const char *name);

/* The first and second quoted field after the size, as logged; "-" if there is
 * none, as the servers write it. */
struct span line_referrer(const struct log_line *line);
struct span line_agent(const struct log_line *line);

#endif
