/* SPDX-License-Identifier: MIT */
#include "protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Byte by byte: lines are short, and what follows the newline stays in the socket. */
bool line_read(int fd, char *line, size_t size)
{
    size_t length = 0;

    while (length + 1 < size) {
        ssize_t got = recv(fd, line + length, 1, 0);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        if (line[length] == '\n') {
            line[length] = '\0';
            return true;
        }
        length++;
    }
    return false;
}

bool line_write(int fd, const char *line)
{
    char text[LINE_BYTES];
    int length = snprintf(text, sizeof text, "%s\n", line);
    size_t sent = 0;

    if (length < 0 || (size_t)length >= sizeof text) {
        return false;
    }
    while (sent < (size_t)length) {
        ssize_t put = send(fd, text + sent, (size_t)length - sent, MSG_NOSIGNAL);

        if (put < 0 && errno != EINTR) {
            return false;
        }
        sent += put > 0 ? (size_t)put : 0;
    }
    return true;
}
