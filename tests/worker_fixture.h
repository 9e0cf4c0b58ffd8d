/* SPDX-License-Identifier: MIT */
/*
 * One worker process without a pool: the test plays the parent by hand, word by word, as
 * executors/process_pool/layout.h says. Tasks run in the worker: what they expect is said
 * with HKT_CHILD_TRUE().
 */
#ifndef HOCKET_TESTS_WORKER_FIXTURE_H
#define HOCKET_TESTS_WORKER_FIXTURE_H

#include "executors/process_pool/memory.h"
#include "executors/process_pool/worker.h"
#include "futures/error_impl.h"
#include "tests/child_fixture.h"
#include "tests/fixture.h"

struct hkt_worker {
    struct hki_pool_memory *memory;
    struct hki_pool_page *page;
    struct hki_channel *channel;
    pid_t pid; /* 0: not running. */
    int socket;
    int stop_event;
    int ring;
    uint32_t tail;
};

/* What is asked of it; zero for what does not matter. */
struct hkt_request {
    const hk_task *task;
    const void *in;
    size_t in_size;
    uint64_t input_at; /* With HKI_INPUT_ARENA. */
    enum hki_input_place place;
    uint64_t reserved_at;
    uint64_t reserved_size;
    hk_duration timeout;
    uint8_t fd_count; /* Sent before, by hkt_worker_send(). */
    bool urgent;
    bool is_unknown; /* The descriptor was not known at the fork. */
};

/* Memory for one worker; the page and the channel may be written until the start. */
void hkt_worker_create(struct hkt_worker *worker);

/* Forks it. */
void hkt_worker_start(struct hkt_worker *worker);

/* All of these, and waits until it is ready. */
void hkt_worker_open(struct hkt_worker *worker);

/* Lets it retire, wants an orderly end, and frees everything. */
void hkt_worker_close(struct hkt_worker *worker);

/* Waits for its death and gives the wait status; its memory stays. */
int hkt_worker_await_death(struct hkt_worker *worker);

/* Its memory, after its death. */
void hkt_worker_free(struct hkt_worker *worker);

/* Puts a request into its cell, without counting it. */
uint32_t hkt_worker_prepare(struct hkt_worker *worker, const struct hkt_request *request);

/* Counts what was prepared, and wakes the worker. */
void hkt_worker_give(struct hkt_worker *worker);

/* Both; gives the request's number. */
uint32_t hkt_worker_push(struct hkt_worker *worker, const struct hkt_request *request);

struct hki_cell *hkt_worker_cell(const struct hkt_worker *worker, uint32_t request);

/* Waits until it is done with a request. */
bool hkt_worker_await(const struct hkt_worker *worker, uint32_t request);

/* Pushes and waits, and wants DONE; its cell. */
struct hki_cell *hkt_worker_run(struct hkt_worker *worker, const struct hkt_request *request);

/* Where the bytes of a result lie that is in the pool's memory. */
const void *hkt_worker_output(const struct hkt_worker *worker, uint32_t request);

/* Wants a result in a place, byte for byte. */
void hkt_worker_expect(const struct hkt_worker *worker, const struct hki_cell *cell,
                       enum hki_output_place place, const void *bytes, size_t size);

/* Wants an error, and gives it unpacked. */
struct hki_error *hkt_worker_error(const struct hkt_worker *worker, const struct hki_cell *cell,
                                   hk_status status);

/* Sends the descriptors of a request. */
void hkt_worker_send(struct hkt_worker *worker, uint32_t request, const int *fds, size_t count);

/* Asks the task that it runs to stop. */
void hkt_worker_stop(struct hkt_worker *worker, uint32_t request);

#endif
