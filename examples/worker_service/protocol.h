/* SPDX-License-Identifier: MIT */
/* Lines over a socket: what server and client have in common. */
#ifndef HOCKET_EXAMPLES_WORKER_SERVICE_PROTOCOL_H
#define HOCKET_EXAMPLES_WORKER_SERVICE_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

enum { LINE_BYTES = 256 };

/* Reads up to a newline, which is cut off; false at the end, on an error, or if it is too long. */
bool line_read(int fd, char *line, size_t size);

/* Adds the newline; never raises SIGPIPE. */
bool line_write(int fd, const char *line);

#endif
