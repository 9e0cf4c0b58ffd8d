/* SPDX-License-Identifier: MIT */
/*
 * Showing log data to people. A log is written by strangers: what they sent must
 * not reach a terminal as control sequences.
 */
#ifndef HOCKET_LOGS_SHOW_H
#define HOCKET_LOGS_SHOW_H

#include <stdio.h>

#include "span.h"

/* Bytes of control characters become \xNN; everything else stays. */
void show_escaped(FILE *stream, struct span text);

/* How many bytes of the text, from its beginning, are one valid character of UTF-8;
 * 0: none. */
size_t show_character(struct span text);

/* The text as valid UTF-8, to be freed by the caller: bytes that are not part of a
 * valid character are read as Latin-1, so that byte E9 becomes U+00E9. *size receives
 * the length. NULL: no memory. */
char *show_as_utf8(struct span text, size_t *size);

/* 1 234 567 bytes as "1.2 MB". buffer has at least SHOW_BYTES_SIZE bytes. */
#define SHOW_BYTES_SIZE 32
const char *show_bytes(double bytes, char *buffer);

#endif
