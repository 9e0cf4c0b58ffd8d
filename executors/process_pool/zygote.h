/* SPDX-License-Identifier: MIT */
/*
 * The zygote as the parent sees it: one for the process, forked while it had one thread;
 * and the supervisor, the thread that hears of deaths.
 *
 * The supervisor lives while a pool is registered. It sleeps in poll() on the zygote's
 * socket and on a pipe that workers write, all without time limit but for what pools
 * ask for by their `until`. It calls pools with no lock held.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_ZYGOTE_H
#define HOCKET_EXECUTORS_PROCESS_POOL_ZYGOTE_H

#include <hocket/status.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "executors/process_pool/memory.h"

/* A pool, as far as the zygote is concerned. Zeroed but for the first part. */
struct hki_zygote_client {
    /* Set by the pool. All are called on the supervisor's thread, with no lock held. */
    void (*spawned)(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                    int32_t pid, int sys_errno); /* pid -1: it failed, why. */
    void (*died)(struct hki_zygote_client *client, uint32_t index, uint32_t generation, int32_t pid,
                 int wait_status, bool out_of_memory);     /* out_of_memory: the
                                                   memory cgroup counted an OOM kill. */
    void (*zygote_lost)(struct hki_zygote_client *client); /* Its workers were killed. */
    /* Somebody rang, or the time of the last answer has come: look. Returns until when
     * to sleep at most (INT64_MAX: until somebody rings). */
    int64_t (*attend)(struct hki_zygote_client *client);
    struct hki_pool_memory *memory;
    /* The zygote's. */
    struct hki_list link;
    uint64_t number; /* Of the pool, in messages. */
    int64_t until_ns;
    bool lost; /* The zygote that knew it is gone. */
};

/* Starts the zygote, if there is none: HK_OK; HK_ETHREADS when this process has more threads;
 * HK_ESYS with errno. A forked child of the application has none until it starts its own,
 * by the same rule. Idempotent; thread-safe. */
hk_status hki_zygote_start(void);

/* Registers a pool: maps its memory in the zygote, closes its descriptor, and starts the
 * supervisor if needed. Gives its number. Any thread. HK_ESYS, HK_ENOMEM, HK_EBROKEN (there is
 * no zygote, it is lost, or it did not answer for five seconds). */
hk_status hki_zygote_register(struct hki_zygote_client *client);

/* Takes it out: when it returns, no call of it is under way or comes. Its workers must be
 * gone. Not from the supervisor's thread; the last one ends that thread. */
void hki_zygote_unregister(struct hki_zygote_client *client);

/* Asks for a worker in channel `index`, which has none: it was never spawned, could not be, or
 * its death was told. socket: the worker's end, sent and closed here in
 * any case; stop_event is sent, and stays the caller's. The answer comes by spawned(). HK_EBROKEN,
 * HK_ESYS. */
hk_status hki_zygote_spawn(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                           int socket, int stop_event);

/* Sends a signal to a worker's process group, if it is still that worker. */
hk_status hki_zygote_kill(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                          int signal);

/* Makes the supervisor call attend() soon, of all clients. Any thread, while a client is
 * registered; never fails. */
void hki_zygote_ring(void);

/* Whether this is the supervisor's thread. */
bool hki_zygote_is_supervisor(void);

/* Whether it is stopped, as by SIGSTOP. */
bool hki_zygote_is_stopped(void);

/* Kills it, and with it all workers: it does not answer. */
void hki_zygote_sever(void);

/* The descriptor that workers write to ring: inherited by them through the zygote. */
int hki_zygote_ring_fd(void);

/* Its process, 0 without one: for tests and statistics. */
int32_t hki_zygote_pid(void);

#endif
