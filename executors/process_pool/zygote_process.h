/* SPDX-License-Identifier: MIT */
/*
 * The zygote from the inside: a process with one thread that does nothing but fork workers,
 * reap them, and tell of it. It ends when its control socket does.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_ZYGOTE_PROCESS_H
#define HOCKET_EXECUTORS_PROCESS_POOL_ZYGOTE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "executors/process_pool/oom_watch.h"
#include "executors/process_pool/worker.h"
#include "executors/process_pool/zygote_messages.h"

/* What the zygote knows of a channel's worker, and still has to say of it. */
struct hki_zygote_worker {
    struct hki_list report; /* In the reports that wait for room in the socket. */
    struct hki_zygote_pool *pool;
    uint32_t index;
    uint32_t generation;
    pid_t pid;      /* 0: none that is not reaped. */
    pid_t said_pid; /* Of the last one. -1: it could not be forked. */
    int fork_errno;
    int wait_status;
    bool killed; /* Somebody asked for SIGKILL. */
    bool out_of_memory;
    bool say_spawned;
    bool say_died;
};

struct hki_zygote_pool {
    struct hki_list link;
    uint64_t number;
    struct hki_pool_page *page;
    size_t bytes;
    uint32_t count; /* Of channels. */
    uint32_t alive; /* Workers that are not reaped. */
    bool leaving;   /* To be forgotten as soon as no worker is left. */
    struct hki_zygote_worker workers[];
};

struct hki_zygote_process {
    int control;
    int ring;
    int events; /* Readable when a child has ended. */
    int blame;  /* See hki_os_oom_blame_open(); -1: not to be had. */
    struct hki_oom_watch oom;
    pid_t pid;
    struct hki_list pools;
    struct hki_list reports;
    pid_t spare;       /* A child that waits to become a worker; 0: there is none. */
    int spare_socket;  /* By which it hears which one; -1: likewise. */
    bool spare_wanted; /* One is to be made when it has been quiet. */
};

/* The child's life after its fork, with all signals blocked. */
_Noreturn void hki_zygote_process_main(int control, int ring);

/* The record of a worker's channel; NULL: there is no such pool or channel. */
struct hki_zygote_worker *hki_zygote_channel(const struct hki_zygote_process *process,
                                             uint64_t number, uint32_t index);

/* --- zygote_spare.c --- */

/* A process for this worker, the spare or a new one, and asks for a spare. -1 with errno. */
pid_t hki_zygote_fork(struct hki_zygote_process *zygote, const struct hki_zygote_worker *worker,
                      const struct hki_zygote_message *message, const int *fds);

/* Makes the spare that is wanted; without the means it does without. */
void hki_zygote_spare_make(struct hki_zygote_process *zygote);

/* Kills it, for the pools are about to change. */
void hki_zygote_spare_drop(struct hki_zygote_process *zygote);

/* Whether it was the spare that has ended. */
bool hki_zygote_spare_died(struct hki_zygote_process *zygote, pid_t pid);

/* --- zygote_worker.c --- */

/* In a forked child: gives away what is the zygote's alone. */
void hki_zygote_leave_zygote(const struct hki_zygote_process *zygote);

/* Makes that child a worker, and runs it. */
_Noreturn void hki_zygote_become_worker(const struct hki_zygote_process *zygote,
                                        const struct hki_zygote_worker *worker, uint32_t generation,
                                        int socket, int stop_event);

/* What a worker runs, hki_worker_main(): a test that wants something else says so before it
 * starts the zygote. */
extern void (*hki_zygote_worker_main)(const struct hki_worker_start *start);

#endif
