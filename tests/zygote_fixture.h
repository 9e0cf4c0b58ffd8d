/* SPDX-License-Identifier: MIT */
/*
 * A client of the zygote that counts what it is told, for tests without a pool. Used in
 * forked children (child_fixture.h): each starts a zygote of its own.
 */
#ifndef HOCKET_TESTS_ZYGOTE_FIXTURE_H
#define HOCKET_TESTS_ZYGOTE_FIXTURE_H

#include <pthread.h>

#include "executors/process_pool/worker.h"
#include "executors/process_pool/zygote.h"
#include "executors/process_pool/zygote_process.h"
#include "tests/child_fixture.h"

/* What a client was told of a channel. */
struct hkt_seen {
    int spawned;
    int died;
    uint32_t generation; /* Of the last that was told. */
    int32_t pid;
    int sys_errno;
    int wait_status;
    bool out_of_memory;
    int socket; /* The parent's end; at its end when nobody holds the worker's. */
};

struct hkt_client {
    struct hki_zygote_client zygote;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t count; /* Of channels. */
    struct hkt_seen *seen;
    int spawned; /* Of all channels. */
    int died;
    int lost;
    int attended;
    int64_t next_ns;       /* What attend() answers, once. */
    struct hkt_gate *gate; /* Where spawned() waits; NULL: nowhere. */
};

/* Starts the zygote; its workers will run this function. */
void hkt_zygote_start(void (*worker)(const struct hki_worker_start *start));

/* Registered, with four channels, or so many. */
void hkt_client_open(struct hkt_client *client);
void hkt_client_open_wide(struct hkt_client *client, uint32_t channels);

/* With its memory, but not registered. */
void hkt_client_init(struct hkt_client *client, uint32_t channels);
void hkt_client_fini(struct hkt_client *client);

void hkt_client_close(struct hkt_client *client);

/* Waits until a counter of it has come to a number; the watchdog is the limit. */
void hkt_client_await(struct hkt_client *client, const int *counter, int number);

/* A counter of it now; and what its attend() is to answer, once. */
int hkt_client_count(struct hkt_client *client, const int *counter);
void hkt_client_set_next(struct hkt_client *client, int64_t next_ns);

/* Asks for a worker; the second waits for the answer and gives its process. */
void hkt_spawn_asked(struct hkt_client *client, uint32_t index, uint32_t generation);
int32_t hkt_spawn(struct hkt_client *client, uint32_t index, uint32_t generation);

/* Waits until nobody holds the worker's end of the socket any more: it is gone. */
void hkt_await_gone(const struct hkt_client *client, uint32_t index);

/* --- Workers --- */

void hkt_worker_stays(const struct hki_worker_start *start);

/* Ends as its generation says: by exit code, or from 100 on by a signal. */
void hkt_worker_ends(const struct hki_worker_start *start);

#endif
