/* SPDX-License-Identifier: MIT */
/*
 * A thread that waits for what may happen while the main thread waits for results:
 * a signal that ends the run, and the time to draw the progress anew.
 */
#ifndef HOCKET_LOGS_ATTENDANT_H
#define HOCKET_LOGS_ATTENDANT_H

#include <hocket/hocket.h>
#include <pthread.h>

#include "progress.h"

struct attendant {
    pthread_t thread;
    hk_cancel_token *token;    /* Borrowed; fired by SIGINT and SIGTERM. */
    struct progress *progress; /* Borrowed; NULL: nothing is drawn. */
};

/* Begins to handle SIGINT and SIGTERM, which must not be handled by another
 * attendant. The second one of a kind ends the program at once, as usual. False:
 * the system refused; errno tells. */
bool attendant_start(struct attendant *attendant, hk_cancel_token *token,
                     struct progress *progress);

/* Ends the thread and the drawing. Later signals end the program. */
void attendant_stop(struct attendant *attendant);

#endif
