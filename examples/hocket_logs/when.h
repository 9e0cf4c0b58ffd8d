/* SPDX-License-Identifier: MIT */
/*
 * Dates and times, of log lines and of the command line, as seconds since 1970.
 */
#ifndef HOCKET_LOGS_WHEN_H
#define HOCKET_LOGS_WHEN_H

#include <stdint.h>

#include "span.h"

/* A moment that somebody typed. */
struct moment {
    int64_t seconds; /* Since 1970 by UTC, or by an unnamed clock. */
    int64_t width;   /* 86400 for a day, 3600, 60 or 1: as exact as it was given. */
    bool in_utc;     /* A zone was given. */
};

/* Reads YYYY-MM-DD[THH[:MM[:SS]]][Z|+HH:MM|-HH:MM]. */
bool when_parse(struct span text, struct moment *moment);

/* The seconds of a checked time stamp (LINE_TIME_SIZE bytes) by the clock it shows. */
int64_t when_of_line(const char *time);

/* What its zone is ahead of UTC, in seconds. */
int64_t when_zone_of_line(const char *time);

/* The length of "2015-05-17T10". */
#define WHEN_HOUR_SIZE 13

/* Writes the hour of a checked time stamp as WHEN_HOUR_SIZE bytes that sort by time. */
void when_hour_of_line(const char *time, char *hour);

#endif
