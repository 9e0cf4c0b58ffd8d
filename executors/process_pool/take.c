/* SPDX-License-Identifier: MIT */
/*
 * Reading what a worker left in a cell. Every number in it is the worker's word, and is
 * checked: a wild write of a task may cost that task its result and the worker its life, no
 * more.
 */
#include <string.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/snapshot.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/packed_error.h"
#include "executors/process_pool/pool.h"
#include "executors/process_pool/spill.h"

/* What a worker says, read once. */
struct said {
    uint64_t at;
    uint64_t size;
    int32_t outcome;
    unsigned place;
};

/* Where the bytes are, and what keeps them. */
struct bytes {
    const void *data;
    hk_drop_fn *drop; /* NULL: they must be copied. */
    void *owner;
};

static void drop_chunk(void *chunk)
{
    hki_chunk_release(chunk);
}

struct spilled {
    void *data;
    size_t size;
};

static void drop_spilled(void *owner)
{
    struct spilled *spilled = owner;

    hki_spill_close(spilled->data, spilled->size);
    hki_free(spilled, sizeof(*spilled));
}

/* --- results in a worker's own extent --- */

struct overflow {
    struct hki_pool_memory *memory; /* One reference. */
    struct hki_channel *channel;
    uint32_t index;
    uint32_t unit;
};

static void drop_overflow(void *owner)
{
    struct overflow *overflow = owner;

    if (hki_fork_foreign(overflow->memory->generation)) {
        return; /* It is the parent's, which still shows it. */
    }
    /* If another worker sits there now, it does not use the extent, because of this view. */
    atomic_fetch_add(&overflow->channel->returned[overflow->unit], 1);
    atomic_fetch_sub(&overflow->memory->views[overflow->index], 1);
    hki_pool_memory_unref(overflow->memory);
    hki_free(overflow, sizeof(*overflow));
}

static bool find_overflow(struct seat *seat, const struct said *said, struct bytes *bytes)
{
    const struct hki_pool_page *page = seat->pool->page;
    uint64_t extent = page->overflow_at + seat->index * HKI_OVERFLOW_EXTENT;
    struct overflow *overflow;

    if (said->at < extent || said->at - extent >= HKI_OVERFLOW_EXTENT ||
        (said->at - extent) % HKI_OVERFLOW_UNIT != 0 ||
        said->size > HKI_OVERFLOW_EXTENT - (said->at - extent)) {
        seat->broke_rules = true; /* No such place is its own. */
        return false;
    }
    if ((overflow = hki_alloc(sizeof(*overflow))) == NULL) {
        return false;
    }
    *overflow = (struct overflow){.memory = hki_pool_memory_ref(seat->pool->memory),
                                  .channel = seat->channel,
                                  .index = seat->index,
                                  .unit = (uint32_t)((said->at - extent) / HKI_OVERFLOW_UNIT)};
    atomic_fetch_add(&seat->pool->memory->views[seat->index], 1);
    *bytes = (struct bytes){hki_pool_at(page, said->at), drop_overflow, overflow};
    return true;
}

/* --- the other places --- */

/* The spill of a request. Those that nobody wanted any more come first: no more of them than the
 * socket holds, or a worker that goes on sending would keep its reader here. -1: there is none. */
static int receive_spill(struct seat *seat, uint32_t request)
{
    enum { STALE_MAX = 1024 };

    for (unsigned stale = 0; stale < STALE_MAX; stale++) {
        uint32_t number = 0;
        size_t count = 0;
        int fd = -1;
        bool is_whole = hki_receive_fds(seat->socket, &number, sizeof(number), &fd, 1, &count,
                                        false) == (ssize_t)sizeof(number);

        if (is_whole && count == 1 && number == request) {
            return fd;
        }
        if (count == 1) {
            hki_os_close(fd);
        }
        if (!is_whole || count != 1) {
            return -1;
        }
    }
    seat->broke_rules = true;
    return -1;
}

static bool find_spill(struct seat *seat, uint32_t request, const struct said *said,
                       struct bytes *bytes)
{
    struct spilled *spilled = hki_alloc(sizeof(*spilled));
    int fd;

    if (spilled == NULL) {
        return false;
    }
    spilled->size = said->size;
    if ((fd = receive_spill(seat, request)) < 0 ||
        hki_spill_open(fd, said->size, &spilled->data) != HK_OK) {
        hki_free(spilled, sizeof(*spilled));
        return false;
    }
    *bytes = (struct bytes){spilled->data, drop_spilled, spilled};
    return true;
}

/* A part of the input: what keeps the input keeps the result from now on. */
static bool find_in_input(struct seat *seat, struct entry *entry, const struct said *said,
                          struct bytes *bytes)
{
    struct process_pool *pool = seat->pool;
    hk_job *job = entry->job;
    struct chunk *chunk = entry->input != NULL ? entry->input : hki_pool_buffer_chunk(pool, job);

    if (chunk == NULL || said->at < chunk->at || said->size > chunk->capacity ||
        said->at - chunk->at > chunk->capacity - said->size) {
        return false;
    }
    if (entry->input != NULL) {
        *bytes = (struct bytes){hki_pool_at(pool->page, said->at), drop_chunk, chunk};
        entry->input = NULL;
    } else {
        *bytes =
            (struct bytes){hki_pool_at(pool->page, said->at), job->input.drop, job->input.owner};
        job->input = (struct hki_value){NULL, 0, NULL, NULL};
    }
    return true;
}

static bool find(struct seat *seat, uint32_t request, const struct said *said, struct bytes *bytes)
{
    struct hki_cell *cell = hki_seat_cell(seat, request);
    struct entry *entry = hki_seat_entry(seat, request);

    *bytes = (struct bytes){NULL, NULL, NULL};
    switch (said->place) {
    case HKI_OUTPUT_CELL:
        bytes->data = cell->output;
        return said->size <= HKI_CELL_OUTPUT;
    case HKI_OUTPUT_PAGE:
        bytes->data = seat->channel->pages[request % HKI_CELLS];
        return said->size <= HKI_CELL_PAGE;
    case HKI_OUTPUT_RESERVED:
        if (entry->reserved == NULL || said->size > entry->reserved->capacity) {
            return false;
        }
        *bytes = (struct bytes){hki_pool_at(seat->pool->page, entry->reserved->at), drop_chunk,
                                entry->reserved};
        entry->reserved = NULL;
        return true;
    case HKI_OUTPUT_INPUT:
        return find_in_input(seat, entry, said, bytes);
    case HKI_OUTPUT_OVERFLOW:
        return find_overflow(seat, said, bytes);
    case HKI_OUTPUT_SPILL:
        /* Before any of it is copied. Errors never lie there. */
        return said->outcome == HK_OK && said->size <= entry->job->executor->max_payload &&
               find_spill(seat, request, said, bytes);
    default:
        return false;
    }
}

/* --- outcomes --- */

static void fail(struct seat *seat, const hk_job *job, struct hki_outcome *outcome,
                 hk_status status, const char *message)
{
    char where[128];

    hki_seat_where(seat, where, sizeof(where));
    outcome->phase = HKI_FAILED;
    outcome->error = hki_error_make(&(struct hki_error_facts){.status = status,
                                                              .message = message,
                                                              .task = job->named->name,
                                                              .label = hki_job_label(job),
                                                              .submit_site = job->site,
                                                              .where = where,
                                                              .attempt = job->attempt});
}

static void unpack(struct seat *seat, const hk_job *job, const struct bytes *bytes,
                   const struct said *said, struct hki_outcome *outcome)
{
    unsigned char copy[HKI_CELL_PAGE];
    size_t size = said->size < sizeof(copy) ? said->size : sizeof(copy);
    char where[128];

    hki_snapshot(copy, bytes->data, size); /* It must not change while it is read. */
    hki_seat_where(seat, where, sizeof(where));
    outcome->phase = HKI_FAILED;
    outcome->error = hki_error_unpack(copy, size,
                                      &(struct hki_error_facts){.task = job->named->name,
                                                                .label = hki_job_label(job),
                                                                .submit_site = job->site,
                                                                .where = where,
                                                                .attempt = job->attempt});
}

static void learn(struct process_pool *pool, const hk_job *job, uint64_t size)
{
    struct learned *learned = &pool->learned[(uintptr_t)job->task / 16 % HKI_LEARNED];

    if (learned->task != job->task) {
        *learned = (struct learned){job->task, size};
    } else if (size > learned->bytes) {
        learned->bytes = size;
    } else {
        learned->bytes -= (learned->bytes - size) / 64; /* Forgets slowly. */
    }
}

static void value(struct seat *seat, hk_job *job, const struct bytes *bytes,
                  const struct said *said, struct hki_outcome *outcome)
{
    if (said->size > job->executor->max_payload) {
        fail(seat, job, outcome, HK_EFAILED, "its value is larger than max_payload");
        return;
    }
    learn(seat->pool, job, said->size);
    if (bytes->drop != NULL) {
        outcome->value =
            (struct hki_value){(void *)bytes->data, said->size, bytes->drop, bytes->owner};
    } else if (hki_value_reserve(job->rest.small, &outcome->value, said->size) == HK_OK) {
        if (said->size != 0) {
            memcpy(outcome->value.data, bytes->data, said->size);
        }
    } else {
        fail(seat, job, outcome, HK_ENOMEM, "no memory for its value");
        return;
    }
    outcome->phase = HKI_DONE;
}

void hki_seat_take(struct seat *seat, uint32_t request, struct hki_outcome *outcome)
{
    /* Volatile: a thread that a task left may still write there, and what was checked must be what
     * is used. */
    const volatile struct hki_cell *cell = hki_seat_cell(seat, request);
    struct entry *entry = hki_seat_entry(seat, request);
    struct said said = {cell->output_at, cell->output_size, cell->outcome, cell->output_place};
    struct bytes bytes;
    char late[128];

    *outcome = (struct hki_outcome){.phase = HKI_CANCELLED};
    if (said.outcome == HK_ECANCELED) {
        return;
    }
    if (said.outcome == HK_EDEADLINE) {
        hki_limits_explain(entry->job, true, late, sizeof(late));
        fail(seat, entry->job, outcome, HK_EDEADLINE, late);
        return;
    }
    if (!find(seat, request, &said, &bytes)) {
        /* Of these two it may be this process that has no memory, or no descriptor. */
        seat->broke_rules = seat->broke_rules ||
                            (said.place != HKI_OUTPUT_SPILL && said.place != HKI_OUTPUT_OVERFLOW);
        fail(seat, entry->job, outcome, HK_EWORKER,
             "its result could not be read: the worker's memory was overwritten, or there was "
             "no memory here");
        return;
    }
    if (said.outcome == HK_OK) {
        value(seat, entry->job, &bytes, &said, outcome);
    } else {
        unpack(seat, entry->job, &bytes, &said, outcome);
    }
    if (outcome->phase != HKI_DONE && bytes.drop != NULL) {
        bytes.drop(bytes.owner);
    }
}

void hki_cell_show_progress(const struct hki_cell *cell, hk_job *job)
{
    /* relaxed, all four: figures to look at; nothing is published through them. */
    uint64_t done =
        atomic_load_explicit(&((struct hki_cell *)cell)->progress_done, memory_order_relaxed);
    /* relaxed: see above. */
    uint64_t total =
        atomic_load_explicit(&((struct hki_cell *)cell)->progress_total, memory_order_relaxed);

    /* relaxed: see above. */
    atomic_store_explicit(&job->rest.progress_done, done, memory_order_relaxed);
    /* relaxed: see above. */
    atomic_store_explicit(&job->rest.progress_total, total, memory_order_relaxed);
}

void hki_seat_clear(struct seat *seat, uint32_t request)
{
    struct entry *entry = hki_seat_entry(seat, request);

    hki_chunk_release(entry->input);
    hki_chunk_release(entry->reserved);
    entry->input = NULL;
    entry->reserved = NULL;
    entry->job = NULL;
}
