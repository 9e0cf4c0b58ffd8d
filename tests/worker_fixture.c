/* SPDX-License-Identifier: MIT */
#include "tests/worker_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/memory.h"
#include "executors/process_pool/packed_error.h"

enum { ARENA_BYTES = 1 << 20 };

void hkt_worker_create(struct hkt_worker *worker)
{
    memset(worker, 0, sizeof(*worker));
    HKT_OK_FATAL(hki_pool_memory_create(1, ARENA_BYTES, &worker->memory));
    worker->page = worker->memory->page;
    worker->channel = hki_channel_of(worker->page, 0);
    worker->page->max_payload = (uint64_t)1 << 30;
    snprintf(worker->page->name, sizeof(worker->page->name), "played");
    atomic_store(&worker->channel->overflow_allowed, 1);
}

static _Noreturn void be_worker(const struct hkt_worker *worker, int socket, pid_t parent)
{
    const struct hki_worker_start start = {
        .page = worker->page,
        .index = 0,
        .generation = 1,
        .zygote_pid = parent,
        .socket = socket,
        .stop_event = worker->stop_event,
        .ring = worker->ring,
    };

    /* As the zygote does: also a sanitizer's handlers would change how it dies. */
    for (int number = 1; number < SIGRTMIN; number++) {
        (void)signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
    }
    if (!hki_pool_memory_hide(worker->page, -1) || !hki_pool_memory_show(worker->page, 0)) {
        _exit(EXIT_FAILURE);
    }
    hki_os_die_with_parent();
    if (getppid() != parent) {
        _exit(EXIT_FAILURE);
    }
    hki_worker_main(&start);
}

void hkt_worker_start(struct hkt_worker *worker)
{
    pid_t parent = getpid();
    int pair[2];

    HKT_TRUE_FATAL(hki_socket_pair(pair));
    worker->stop_event = hki_os_event_create();
    worker->ring = hki_os_event_create();
    HKT_TRUE_FATAL(worker->stop_event >= 0 && worker->ring >= 0);
    fflush(NULL);
    worker->pid = fork();
    HKT_TRUE_FATAL(worker->pid >= 0);
    if (worker->pid == 0) {
        close(pair[0]);
        be_worker(worker, pair[1], parent);
    }
    close(pair[1]);
    worker->socket = pair[0];
}

/* It rings after it has said what it is. */
static bool has_rung(void *arg)
{
    const struct hkt_worker *worker = arg;
    uint64_t rings;

    return read(worker->ring, &rings, sizeof(rings)) == sizeof(rings);
}

void hkt_worker_open(struct hkt_worker *worker)
{
    hkt_worker_create(worker);
    hkt_worker_start(worker);
    HKT_TRUE_FATAL(hkt_eventually(has_rung, worker));
    HKT_EQ_INT(atomic_load(&worker->channel->stage), HKI_WORKER_READY);
}

int hkt_worker_await_death(struct hkt_worker *worker)
{
    int status = 0;

    while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR) {
    }
    worker->pid = 0;
    return status;
}

void hkt_worker_free(struct hkt_worker *worker)
{
    close(worker->socket);
    close(worker->stop_event);
    close(worker->ring);
    hki_pool_memory_unref(worker->memory);
}

static void wake(struct hkt_worker *worker)
{
    if (atomic_load(&worker->channel->sleeping) != 0) {
        atomic_fetch_add(&worker->channel->doorbell, 1);
        (void)hki_os_futex_wake_shared(&worker->channel->doorbell, 1);
    }
}

void hkt_worker_close(struct hkt_worker *worker)
{
    atomic_store(&worker->channel->retire, 1);
    wake(worker);
    HKT_EQ_INT(hkt_worker_await_death(worker), 0);
    HKT_EQ_INT(atomic_load(&worker->channel->stage), HKI_WORKER_LEAVING);
    hkt_worker_free(worker);
}

struct hki_cell *hkt_worker_cell(const struct hkt_worker *worker, uint32_t request)
{
    return &worker->channel->cells[request % HKI_CELLS];
}

uint32_t hkt_worker_prepare(struct hkt_worker *worker, const struct hkt_request *request)
{
    uint32_t number = worker->tail;
    struct hki_cell *cell = hkt_worker_cell(worker, number);

    worker->tail++;
    atomic_store(&cell->stop, 0);
    atomic_store(&cell->urgent, request->urgent ? 1 : 0);
    cell->input_place = (uint8_t)request->place;
    cell->fd_count = request->fd_count;
    cell->attempt = 1;
    cell->run = request->task->run;
    cell->task = request->is_unknown ? NULL : request->task;
    cell->input_at = request->input_at;
    cell->input_size = request->in_size;
    cell->reserved_at = request->reserved_at;
    cell->reserved_size = request->reserved_size;
    cell->deadline_ns = INT64_MAX;
    cell->timeout_ns = request->timeout;
    if (request->place == HKI_INPUT_CELL && request->in_size != 0) {
        memcpy(cell->input, request->in, request->in_size);
    }
    atomic_store(&cell->state, hki_cell_word(number, HKI_CELL_QUEUED));
    return number;
}

void hkt_worker_give(struct hkt_worker *worker)
{
    atomic_store(&worker->channel->tail, worker->tail);
    wake(worker);
}

uint32_t hkt_worker_push(struct hkt_worker *worker, const struct hkt_request *request)
{
    uint32_t number = hkt_worker_prepare(worker, request);

    hkt_worker_give(worker);
    return number;
}

struct awaited {
    const struct hkt_worker *worker;
    uint32_t request;
};

static bool is_done(void *arg)
{
    const struct awaited *awaited = arg;

    return (int32_t)(atomic_load(&awaited->worker->channel->done) - awaited->request) > 0;
}

bool hkt_worker_await(const struct hkt_worker *worker, uint32_t request)
{
    return hkt_eventually(is_done, &(struct awaited){worker, request});
}

struct hki_cell *hkt_worker_run(struct hkt_worker *worker, const struct hkt_request *request)
{
    uint32_t number = hkt_worker_push(worker, request);
    struct hki_cell *cell = hkt_worker_cell(worker, number);

    HKT_TRUE_FATAL(hkt_worker_await(worker, number));
    HKT_EQ_INT(atomic_load(&cell->state), hki_cell_word(number, HKI_CELL_DONE));
    return cell;
}

const void *hkt_worker_output(const struct hkt_worker *worker, uint32_t request)
{
    const struct hki_cell *cell = hkt_worker_cell(worker, request);

    switch (cell->output_place) {
    case HKI_OUTPUT_CELL:
        return cell->output;
    case HKI_OUTPUT_PAGE:
        return worker->channel->pages[request % HKI_CELLS];
    case HKI_OUTPUT_RESERVED:
        return hki_pool_at(worker->page, cell->reserved_at);
    default:
        return hki_pool_at(worker->page, cell->output_at);
    }
}

static uint32_t number_of(const struct hkt_worker *worker, const struct hki_cell *cell)
{
    return (uint32_t)(cell - worker->channel->cells);
}

void hkt_worker_expect(const struct hkt_worker *worker, const struct hki_cell *cell,
                       enum hki_output_place place, const void *bytes, size_t size)
{
    HKT_STATUS(cell->outcome, HK_OK);
    HKT_EQ_INT(cell->output_place, place);
    HKT_EQ_INT(cell->output_size, size);
    if (cell->output_place == place && cell->output_size == size && size != 0) {
        HKT_TRUE(memcmp(hkt_worker_output(worker, number_of(worker, cell)), bytes, size) == 0);
    }
}

struct hki_error *hkt_worker_error(const struct hkt_worker *worker, const struct hki_cell *cell,
                                   hk_status status)
{
    HKT_STATUS(cell->outcome, status);
    HKT_EQ_INT(cell->output_place, HKI_OUTPUT_PAGE);
    return hki_error_unpack(
        hkt_worker_output(worker, number_of(worker, cell)), cell->output_size,
        &(struct hki_error_facts){.task = cell->task == NULL ? "unknown" : cell->task->name});
}

void hkt_worker_send(struct hkt_worker *worker, uint32_t request, const int *fds, size_t count)
{
    struct hki_fds_message message = {request};

    HKT_TRUE(hki_send_fds(worker->socket, &message, sizeof(message), fds, count, true));
}

void hkt_worker_stop(struct hkt_worker *worker, uint32_t request)
{
    atomic_store(&hkt_worker_cell(worker, request)->stop, 1);
    hki_os_event_signal(worker->stop_event);
}
