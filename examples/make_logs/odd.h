/* SPDX-License-Identifier: MIT */
/*
 * What a log counter must survive: lines that are none, and gzip files that are
 * damaged, or whole in an unusual way.
 */
#ifndef HOCKET_MAKE_LOGS_ODD_H
#define HOCKET_MAKE_LOGS_ODD_H

#include "expected.h"
#include "files.h"

/* Now and then writes a malformed line before the next good one, and counts it. */
void odd_line(struct log_file *log, struct random *random, struct expected *expected);

/* Writes two long lines: a good one of 200,000 bytes, and one over 1 MiB, which is
 * malformed. False: no memory. */
bool odd_long_lines(struct log_file *log, struct random *random, time_t *clock,
                    struct expected *expected);

/* Writes odd gzip files into a folder, and what they must give into
 * expected-odd.csv of folder_above: file, lines in it, 1 if an error is due. */
bool odd_files(const char *folder_above, const char *folder, struct random *random, time_t *clock);

#endif
