/* SPDX-License-Identifier: MIT */
/*
 * The parent's side of the zygote: what zygote.c, which asks, and supervisor.c, the thread
 * that listens, have in common.
 *
 * The descriptors stay open as long as somebody holds the zygote, also after it was lost:
 * so who has one may use them without the lock.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_SUPERVISOR_H
#define HOCKET_EXECUTORS_PROCESS_POOL_SUPERVISOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "executors/process_pool/own_fd.h"
#include "executors/process_pool/zygote.h"
#include "sync/condition.h"

struct hki_zygote_parent {
    pthread_mutex_t lock;         /* A leaf, held across forks; not while clients are called. */
    struct hki_condition changed; /* lost, calling, ending; and rings, once it is lost. */
    struct hki_own_fd control;
    struct hki_own_fd ring; /* An event descriptor, for this process's own threads. */
    struct hki_own_fd rung; /* The end to read from of the pipe by which workers ring. */
    pid_t pid;              /* 0: there is none, or it was reaped. */
    atomic_bool lost;
    atomic_uint rings; /* Counts calls of hki_zygote_ring(). */
    unsigned holders;  /* Clients, and registrations that are under way. */
    uint64_t numbers;  /* Given to clients so far. */
    struct hki_list clients;
    struct hki_zygote_client *calling; /* Which the supervisor calls just now. */
    bool running;                      /* The supervisor's thread. */
    bool ending;                       /* It is to end, and somebody waits for that. */
    pthread_t thread;
    int thread_id; /* Of the same for the kernel. Its own until it is joined. */
};

extern struct hki_zygote_parent hki_zygote_parent;

/* Under the lock: starts the thread, with all signals blocked. HK_ESYS with errno. */
hk_status hki_supervisor_start(void);

/* Under the lock, which it lets go of in between: ends the thread and waits for it. */
void hki_supervisor_end(void);

/* Reaps it, which has ended, or is killed now. Takes the lock. */
void hki_zygote_bury(void);

/* In a child of fork(). */
void hki_supervisor_forget(void);

#endif
