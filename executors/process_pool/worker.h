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
    int ring;           /* The end to write to of the supervisor's pipe. */
};

/*
 * What goes over the socket, either way: a request's number, and the descriptors that go
 * with it. To the worker: a spilled input first, then those of the task, before the request
 * is QUEUED; from it: a spilled result, before the request is DONE.
 */
struct hki_fds_message {
    uint32_t request;
};

/* Exit codes of a worker that lost its way; 0 is an orderly end. */
enum {
    HKI_WORKER_EXIT_THREAD = 121, /* The task ended its thread: pthread_exit(). */
    HKI_WORKER_EXIT_FORKED = 122, /* A child that the task forked came back from it. */
    HKI_WORKER_EXIT_MEMORY = 123, /* Its channel was overwritten. */
    HKI_WORKER_EXIT_MUTE = 124,   /* Its descriptors were closed: it cannot ring any more. */
};

/* How many pools of processes are around this one: 0, but in workers. */
extern uint32_t hki_process_depth;

/* In the zygote: what all workers would do alike is done once, for them to inherit. */
void hki_worker_rehearse(void);

/* Sets itself up, serves, and ends the process. The zygote has closed its own descriptors,
 * unmapped other pools, made it die with itself, and cleared its signal mask; handlers of signals
 * are back at their defaults, but for those that shall stay, and what was pending in stdio is
 * written. */
_Noreturn void hki_worker_main(const struct hki_worker_start *start);

#endif
