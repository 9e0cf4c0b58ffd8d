/* SPDX-License-Identifier: MIT */
/* Giving a job to a worker: its bytes, its limits, its descriptors, and the wake. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/os.h"
#include "executors/job_fds.h"
#include "executors/process_pool/code_map.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/pool.h"
#include "executors/process_pool/spill.h"

/* Larger results than this are not made room for before anybody saw one. */
enum { RESERVED_LEAST = HKI_CELL_PAGE };

hk_status hki_chunk_reserve(struct process_pool *pool, uint64_t bytes, struct chunk **out)
{
    struct chunk *chunk = hki_alloc(sizeof(*chunk));
    hk_status status;

    *out = NULL;
    if (chunk == NULL) {
        return HK_ENOMEM;
    }
    if ((chunk->at = hki_arena_take(pool->arena, bytes, &chunk->capacity)) == 0) {
        status = chunk->capacity == 0 ? HK_ENOMEM : HK_EFULL;
        hki_free(chunk, sizeof(*chunk));
        return status;
    }
    chunk->arena = hki_arena_ref(pool->arena);
    *out = chunk;
    return HK_OK;
}

void hki_chunk_release(struct chunk *chunk)
{
    if (chunk != NULL) {
        /* By whom ever, also long after the pool's last task: only the supervisor is sure to
         * look at the queue. */
        if (hki_arena_give_back(chunk->arena, chunk->at)) {
            hki_zygote_ring();
        }
        hki_arena_unref(chunk->arena);
        hki_free(chunk, sizeof(*chunk));
    }
}

static bool must_spill(const struct process_pool *pool, const hk_job *job)
{
    return job->input.size > HKI_CELL_INPUT && hki_pool_buffer_chunk(pool, job) == NULL &&
           job->input.size > hki_arena_largest(pool->arena) / 2;
}

bool hki_job_needs_room(const struct process_pool *pool, const hk_job *job)
{
    return job->input.size > HKI_CELL_INPUT && hki_pool_buffer_chunk(pool, job) == NULL &&
           !must_spill(pool, job);
}

bool hki_job_needs_socket(const struct process_pool *pool, const hk_job *job)
{
    return hki_job_fds(job) != NULL || must_spill(pool, job);
}

static size_t fd_count(const hk_job *job)
{
    return hki_job_fds(job) == NULL ? 0 : hki_job_fds(job)->count;
}

/* Why a message did not leave. A worker that has nothing to do has read all that came before: one
 * whose socket is full does not read, and one that has closed it, or is dead, never will again. */
static hk_status send_failure(int error)
{
    switch (error) {
    case EAGAIN:
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return HK_EWORKER;
    default:
        return HK_ESYS;
    }
}

/* A spilled input and the task's descriptors, in one message. */
static hk_status send_descriptors(struct seat *seat, const hk_job *job, uint32_t request)
{
    bool spills = must_spill(seat->pool, job);
    int fds[HKI_FDS_MAX + 1];
    size_t count = 0;
    hk_status status;
    void *data;

    if (spills) {
        if ((status = hki_spill_create(job->input.size, &fds[0], &data)) != HK_OK) {
            return status;
        }
        memcpy(data, job->input.data, job->input.size);
        if ((status = hki_spill_seal(fds[0], data, job->input.size)) != HK_OK) {
            hki_os_close(fds[0]);
            return status;
        }
        count = 1;
    }
    for (size_t i = 0; i < fd_count(job); i++) {
        fds[count++] = hki_job_fds(job)->fds[i];
    }
    status = hki_send_fds(seat->socket, &request, sizeof(request), fds, count, false)
                 ? HK_OK
                 : send_failure(errno);
    if (spills) {
        hki_os_close(fds[0]);
    }
    return status;
}

static hk_status place_input(struct seat *seat, const hk_job *job, struct hki_cell *cell,
                             struct entry *entry)
{
    struct process_pool *pool = seat->pool;
    const struct chunk *own;
    hk_status status;

    cell->input_size = job->input.size;
    cell->input_at = 0;
    if (job->input.size <= HKI_CELL_INPUT) {
        cell->input_place = HKI_INPUT_CELL;
        if (job->input.size != 0) {
            memcpy(cell->input, job->input.data, job->input.size);
        }
        return HK_OK;
    }
    if ((own = hki_pool_buffer_chunk(pool, job)) != NULL) {
        cell->input_place = HKI_INPUT_ARENA;
        cell->input_at = own->at;
        return HK_OK;
    }
    if (must_spill(pool, job)) {
        cell->input_place = HKI_INPUT_SPILL;
        return HK_OK;
    }
    status = hki_chunk_reserve(pool, job->input.size, &entry->input);
    if (status == HK_EFULL) {
        hki_arena_want(pool->arena); /* What was given back before this was not told. */
        status = hki_chunk_reserve(pool, job->input.size, &entry->input);
    }
    if (status != HK_OK) {
        return status; /* Without memory nobody would tell when to try again: the task fails. */
    }
    cell->input_place = HKI_INPUT_ARENA;
    cell->input_at = entry->input->at;
    memcpy(hki_pool_at(pool->page, cell->input_at), job->input.data, job->input.size);
    return HK_OK;
}

/* Room for a result as large as those of late; without it the worker finds a place itself. */
static void reserve_output(struct seat *seat, const hk_job *job, struct hki_cell *cell,
                           struct entry *entry)
{
    struct process_pool *pool = seat->pool;
    const struct learned *learned = &pool->learned[(uintptr_t)job->task / 16 % HKI_LEARNED];
    uint64_t bytes = learned->task == job->task ? learned->bytes : 0;

    bytes = job->expects > bytes ? job->expects : bytes;
    cell->reserved_at = 0;
    cell->reserved_size = 0;
    /* What is to be salvaged from a dead worker must lie where nobody else writes meanwhile. */
    if ((bytes > RESERVED_LEAST || job->salvage != NULL) &&
        bytes <= hki_arena_largest(pool->arena) / 4 &&
        hki_chunk_reserve(pool, bytes, &entry->reserved) == HK_OK) {
        cell->reserved_at = entry->reserved->at;
        cell->reserved_size = entry->reserved->capacity;
    }
}

static void fill(struct seat *seat, hk_job *job, struct hki_cell *cell, uint32_t request)
{
    /* relaxed: published together, by the state. */
    atomic_store_explicit(&cell->stop, 0, memory_order_relaxed);
    /* relaxed: likewise. */
    atomic_store_explicit(&cell->urgent, 0, memory_order_relaxed);
    /* relaxed: likewise. */
    atomic_store_explicit(&cell->started_ns, 0, memory_order_relaxed);
    cell->fd_count = (uint8_t)fd_count(job);
    cell->attempt = job->attempt;
    cell->run = job->task->run;
    cell->task = hki_code_map_has_data(job->task, sizeof(*job->task)) ? job->task : NULL;
    cell->deadline_ns = job->limits == NULL ? HKI_NEVER : job->limits->deadline_ns;
    cell->timeout_ns = job->limits == NULL ? 0 : job->limits->timeout;
    if ((hki_future_state(&job->future) & HKI_STOP) != 0) {
        /* relaxed: likewise. */
        atomic_store_explicit(&cell->stop, 1, memory_order_relaxed);
    }
    /* release: pairs with the worker's compare-and-swap to RUNNING; it sees all of the cell. */
    atomic_store_explicit(&cell->state, hki_cell_word(request, HKI_CELL_QUEUED),
                          memory_order_release);
    /* seq_cst with `sleeping`: the worker sees the request, or we see that it sleeps. */
    atomic_store(&seat->channel->tail, request + 1);
}

void hki_seat_wake(struct seat *seat)
{
    /* It may take a while to get a processor, in which more is given to it: one ring is enough,
     * as it looks for what there is before it says again that it sleeps. */
    if (atomic_load(&seat->channel->sleeping) != 0 &&
        atomic_exchange(&seat->channel->sleeping, 0) != 0) {
        atomic_fetch_add(&seat->channel->doorbell, 1);
        hki_os_futex_wake_shared(&seat->channel->doorbell, 1);
    }
}

static void account(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    if (hki_seat_outstanding(seat) == 1) {
        pool->busy++;
        hki_list_remove(&seat->idle);
    }
    pool->outstanding++;
    pool->given++;
    if (seat->tasks_left != UINT_MAX) {
        seat->tasks_left--;
    }
    /* Only the one that was given something last looks for more, and only while there are
     * processors for all who look or work, this thread included. */
    /* relaxed: a hint. */
    atomic_store_explicit(&seat->channel->may_spin, pool->busy < pool->cpus ? 1 : 0,
                          memory_order_relaxed);
}

hk_status hki_seat_give(struct seat *seat, hk_job *job)
{
    /* relaxed: only written under the lock. */
    uint32_t request = atomic_load_explicit(&seat->tail, memory_order_relaxed);
    struct hki_cell *cell = hki_seat_cell(seat, request);
    struct entry *entry = hki_seat_entry(seat, request);
    hk_status status;

    *entry = (struct entry){.seat = seat, .request = request};
    if ((status = place_input(seat, job, cell, entry)) == HK_OK) {
        status = hki_limits_started(job);
    }
    /* Last: what was sent cannot be taken back, and would come to the next task of this number.
     * A timer may run before its task does, for it asks when that began. */
    if (status == HK_OK && hki_job_needs_socket(seat->pool, job)) {
        status = send_descriptors(seat, job, request);
    }
    if (status != HK_OK) {
        hki_chunk_release(entry->input);
        entry->input = NULL;
        return status;
    }
    reserve_output(seat, job, cell, entry);
    entry->job = job;
    job->slot = entry;
    /* relaxed: see above; a leader that reads it only looks at one seat more. */
    atomic_store_explicit(&seat->tail, request + 1, memory_order_relaxed);
    account(seat);
    fill(seat, job, cell, request);
    hki_seat_wake(seat);
    return HK_OK;
}
