/* SPDX-License-Identifier: MIT */
/*
 * One made-up request, and how a server would log it.
 */
#ifndef HOCKET_MAKE_LOGS_REQUEST_H
#define HOCKET_MAKE_LOGS_REQUEST_H

#include <time.h>

#include "random.h"
#include "vocabulary.h"

#define REQUEST_LINE_SIZE 2048

struct request {
    unsigned host, path, referrer, agent; /* Numbers of the vocabulary. */
    time_t when;
    unsigned status;
    long size_bytes; /* -1: logged as "-". */
    const char *user;
    const char *method;
    const char *version; /* With the blank before it; "" for HTTP/0.9. */
};

/* Makes a request that comes a little later than *clock, which moves on. */
void request_make(struct request *request, struct random *random, time_t *clock);

/* Writes it as a line without its end. Gives the length. */
size_t request_write(const struct request *request, bool is_combined, char line[REQUEST_LINE_SIZE]);

/* The hour that the line shows, like 2024-02-29T13. */
void request_hour(const struct request *request, char hour[16]);

#endif
