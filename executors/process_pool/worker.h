/* SPDX-License-Identifier: MIT */
/* A worker process from the inside: what the zygote's child does after its fork. */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_WORKER_H
#define HOCKET_EXECUTORS_PROCESS_POOL_WORKER_H

#include "executors/process_pool/layout.h"

struct hki_worker_start {
    struct hki_pool_page *page;
    uint32_t index;
    uint32_t generation;
    int32_t zygote_pid; /* It dies with it. */
    int socket;         /* For descriptors, both ways. */
    int stop_event;     /* An eventfd that the parent signals to stop a task. */
    int ring;           /* The supervisor's eventfd. */
};

/* Sets itself up, serves, and ends the process. The zygote has closed its own descriptors,
 * and unmapped other pools, before. */
_Noreturn void hki_worker_main(const struct hki_worker_start *start);

#endif
