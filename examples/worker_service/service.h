/* SPDX-License-Identifier: MIT */
/* The two tasks of the demonstration: what the workers do, and what the clients do. */
#ifndef HOCKET_EXAMPLES_WORKER_SERVICE_SERVICE_H
#define HOCKET_EXAMPLES_WORKER_SERVICE_SERVICE_H

#include <hocket/hocket.h>

#include <stdint.h>

/* Serves the connection that comes as its first descriptor: one line, one answer. */
HK_TASK_DECLARE(serve_connection);

/* Visits the service with every kind of request, the last time with a slow one in the middle of
 * which it sends SIGTERM. Takes the port as uint16_t, gives a struct visits. */
HK_TASK_DECLARE(visit_service);

struct visits {
    unsigned right;
    unsigned wrong;
};

#endif
