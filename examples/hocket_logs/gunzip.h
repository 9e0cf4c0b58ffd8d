/* SPDX-License-Identifier: MIT */
/*
 * From a gzip file to the lines in it (RFC 1952).
 *
 * A file is one or several members, then perhaps zero bytes as padding. What was
 * inflated before a fault is counted; the fault becomes the input's one error.
 */
#ifndef HOCKET_LOGS_GUNZIP_H
#define HOCKET_LOGS_GUNZIP_H

#include "inflate.h"
#include "input.h"
#include "lines.h"

/* Whether a file that begins with these bytes is a gzip file. */
bool gunzip_knows(const unsigned char *bytes, size_t size);

/* A whole member is inflated at once only if its file and its text are no larger
 * than this; it bounds the memory of a worker. */
#define GUNZIP_WHOLE_FILE_MAX ((size_t)4 << 20)
#define GUNZIP_WHOLE_TEXT_MAX ((size_t)16 << 20)

/* Counts the lines of the file from input->offset on. file_size is a hint. */
void gunzip_count(struct input *input, uint64_t file_size, struct inflate_choice choice,
                  struct line_splitter *lines);

#endif
