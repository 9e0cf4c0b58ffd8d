/* SPDX-License-Identifier: MIT */
/* The caller's side of a packed chunk: items into bytes, and bytes into slots. */
#include "executors/packed_chunk.h"

#include <string.h>

#include "base/memory.h"
#include "executors/packed_layout.h"
#include "executors/process_pool/packed_error.h"

enum { FIRST_BYTES_MAX = 1 << 20, FIRST_BYTES_MIN = 256 };

/* Items on their way; owned by the chunk, then by its job. */
struct hki_packed_input {
    struct hki_chunk *chunk; /* One reference once it is sealed. */
    size_t capacity;         /* Of bytes. */
    size_t used;
    size_t unused;
    unsigned char bytes[] __attribute__((aligned(HKI_PACKED_ALIGN)));
};

/* --- Items into bytes --- */

static struct hki_packed_input *create(size_t capacity)
{
    struct hki_packed_input *packed = hki_alloc(sizeof(*packed) + capacity);

    if (packed != NULL) {
        packed->chunk = NULL;
        packed->capacity = capacity;
        packed->used = 0;
    }
    return packed;
}

static void destroy(struct hki_packed_input *packed)
{
    hki_free(packed, sizeof(*packed) + packed->capacity);
}

/* Where the first item goes. */
static size_t head_size(const hk_task *task)
{
    return sizeof(struct hki_packed_head) +
           hki_packed_align(strlen(task->name) + 1 + (task->file == NULL ? 0 : strlen(task->file)) +
                            1);
}

static void write_head(struct hki_chunk *chunk, unsigned char *bytes)
{
    static _Atomic(uint64_t) numbers;
    const hk_task *task = chunk->task;
    const char *file = task->file == NULL ? "" : task->file;
    struct hki_packed_head head = {
        .number = chunk->number = atomic_fetch_add(&numbers, 1) + 1,
        .line = task->line,
        .name_size = (uint32_t)strlen(task->name) + 1,
        .file_size = (uint32_t)strlen(file) + 1,
        .run = task->run,
    };

    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + sizeof(head), task->name, head.name_size);
    memcpy(bytes + sizeof(head) + head.name_size, file, head.file_size);
}

/* The input with the head in it, and room for what is likely to come. */
static struct hki_packed_input *begin(struct hki_chunk *chunk, size_t item_bytes)
{
    size_t head = head_size(chunk->task);
    size_t items = FIRST_BYTES_MAX;
    struct hki_packed_input *packed;

    if (__builtin_mul_overflow(chunk->capacity, item_bytes, &items) || items > FIRST_BYTES_MAX) {
        items = FIRST_BYTES_MAX;
    }
    packed = create(head + items + FIRST_BYTES_MIN);
    if (packed != NULL) {
        memset(packed->bytes, 0, head);
        write_head(chunk, packed->bytes);
        packed->used = head;
    }
    return packed;
}

/* The input with room for so many bytes more, perhaps elsewhere. */
static struct hki_packed_input *reserve(struct hki_packed_input *packed, size_t more)
{
    struct hki_packed_input *larger;
    size_t needed;

    if (packed->capacity - packed->used >= more) {
        return packed;
    }
    if (__builtin_add_overflow(packed->used, more, &needed) || needed > SIZE_MAX / 4 ||
        (larger = create(2 * needed)) == NULL) {
        return NULL;
    }
    memcpy(larger->bytes, packed->bytes, packed->used);
    larger->used = packed->used;
    destroy(packed);
    return larger;
}

hk_status hki_packed_chunk_add(struct hki_chunk *chunk, const hk_map_input *input)
{
    struct hki_packed_item item = {.size = input->size};
    struct hki_packed_input *packed = chunk->packed;
    size_t bytes;

    if (input->data == NULL && input->size != 0) {
        return HK_EINVAL;
    }
    if (input->size > SIZE_MAX / 4) {
        return HK_ENOMEM;
    }
    bytes = sizeof(item) + hki_packed_align(input->size);
    packed = packed == NULL ? begin(chunk, bytes) : packed;
    if (packed == NULL) {
        return HK_ENOMEM;
    }
    chunk->packed = packed;
    if ((packed = reserve(packed, bytes)) == NULL) {
        return HK_ENOMEM;
    }
    chunk->packed = packed;
    memcpy(packed->bytes + packed->used, &item, sizeof(item));
    if (input->size != 0) {
        unsigned char *at = packed->bytes + packed->used + sizeof(item);

        memcpy(at, input->data, input->size);
        memset(at + input->size, 0, bytes - sizeof(item) - input->size); /* No old secrets. */
    }
    packed->used += bytes;
    hki_chunk_open_slot(chunk);
    return HK_OK;
}

size_t hki_packed_chunk_bytes(const struct hki_chunk *chunk)
{
    return chunk->packed == NULL ? 0 : chunk->packed->used;
}

size_t hki_packed_chunk_room(size_t count, size_t value_bytes)
{
    size_t bytes;

    if (value_bytes > SIZE_MAX / 4 ||
        __builtin_mul_overflow(
            count, sizeof(struct hki_packed_record) + hki_packed_align(value_bytes), &bytes) ||
        bytes > SIZE_MAX / 4) {
        return SIZE_MAX / 4;
    }
    return sizeof(struct hki_packed_result) + bytes;
}

static void drop_input(void *owner)
{
    struct hki_packed_input *packed = owner;
    struct hki_chunk *chunk = packed->chunk;

    destroy(packed);
    hki_chunk_unref(chunk);
}

struct hki_value hki_packed_chunk_seal(struct hki_chunk *chunk, size_t expects)
{
    struct hki_packed_input *packed = chunk->packed;
    struct hki_packed_head head;

    memcpy(&head, packed->bytes, sizeof(head));
    head.count = (uint32_t)chunk->count;
    head.item_timeout = chunk->item_timeout;
    head.expects = expects;
    memcpy(packed->bytes, &head, sizeof(head));
    packed->chunk = chunk;
    return (struct hki_value){packed->bytes, packed->used, drop_input, packed};
}

void hki_packed_chunk_sent(struct hki_chunk *chunk)
{
    chunk->packed = NULL;
}

void hki_packed_chunk_drop(struct hki_chunk *chunk)
{
    if (chunk->packed != NULL) {
        destroy(chunk->packed);
        chunk->packed = NULL;
    }
}

/* --- Bytes into slots --- */

/* What is left to read of a result, and how it is to be shown. */
struct reader {
    struct hki_chunk *chunk;
    const hk_job *job;
    const unsigned char *bytes;
    size_t size;
    size_t at;
    bool copies; /* The bytes will be gone: values are copied. */
};

/* An error about an item, from the worker or about it. */
static struct hki_error_facts facts_about(const hk_job *job)
{
    return (struct hki_error_facts){
        .task = job->named->name, .label = hki_job_label(job), .submit_site = job->site};
}

static struct hki_error *item_error(const hk_job *job, hk_status status, const char *message)
{
    struct hki_error_facts facts = facts_about(job);

    facts.status = status;
    facts.message = message;
    return hki_error_make(&facts);
}

/* Only one that is open: a chunk may come back twice, when it was tried again. */
static void fill_slot(struct hki_slot *slot, struct hki_outcome *outcome)
{
    if (atomic_load(&slot->state) != SLOT_OPEN) {
        hki_outcome_drop(outcome);
        return;
    }
    slot->outcome = *outcome;
    atomic_store(&slot->state, SLOT_ENDED);
}

/* A value, where it lies or copied; false without memory. */
static bool show_value(const struct reader *reader, struct hki_slot *slot, size_t size,
                       struct hki_value *value)
{
    void *place = size == 0 ? NULL : (void *)(reader->bytes + reader->at);

    if (!reader->copies) {
        *value = (struct hki_value){place, size, NULL, NULL};
        return true;
    }
    if (atomic_load(&slot->state) != SLOT_OPEN ||
        hki_value_reserve(slot->small, value, size) != HK_OK) {
        return false;
    }
    if (size != 0) {
        memcpy(value->data, place, size);
    }
    return true;
}

/* The next record into a slot; false if it makes no sense. */
static bool read_record(struct reader *reader, struct hki_slot *slot)
{
    struct hki_outcome outcome = {HKI_CANCELLED, {NULL, 0, NULL, NULL}, NULL};
    struct hki_error_facts about;
    struct hki_packed_record record;

    if (reader->size - reader->at < sizeof(record)) {
        return false;
    }
    memcpy(&record, reader->bytes + reader->at, sizeof(record));
    reader->at += sizeof(record);
    if (record.size > reader->size - reader->at) {
        return false;
    }
    outcome.phase = record.phase;
    switch (record.phase) {
    case HKI_DONE:
        if (show_value(reader, slot, (size_t)record.size, &outcome.value)) {
            fill_slot(slot, &outcome);
        } /* Else it shares the fate of the job. */
        break;
    case HKI_FAILED:
        about = facts_about(reader->job);
        outcome.error = hki_error_unpack(reader->bytes + reader->at, (size_t)record.size, &about);
        fill_slot(slot, &outcome);
        break;
    case HKI_CANCELLED:
        fill_slot(slot, &outcome);
        break;
    default:
        return false;
    }
    reader->at += (size_t)record.size;
    /* The last one need not be filled up to the next place. */
    reader->at = hki_packed_align(reader->at);
    reader->at = reader->at > reader->size ? reader->size : reader->at;
    return true;
}

/* Whether it is a result of this chunk. */
static bool read_head(struct reader *reader, struct hki_packed_result *head)
{
    if (reader->size < sizeof(*head)) {
        return false;
    }
    memcpy(head, reader->bytes, sizeof(*head));
    reader->at = sizeof(*head);
    return atomic_load(&head->number) == reader->chunk->number &&
           atomic_load(&head->finished) <= reader->chunk->count;
}

/* The records that are there; returns how many made sense. */
static size_t read_records(struct reader *reader, struct hki_packed_result *head)
{
    struct hki_chunk *chunk = reader->chunk;
    size_t finished = atomic_load(&head->finished);
    int64_t run_ns = atomic_load(&head->run_ns);
    size_t read = 0;

    while (read < finished && read_record(reader, &chunk->slots[read])) {
        read++;
    }
    atomic_store(&chunk->run_ns, run_ns < 0 ? 0 : run_ns);
    return read;
}

/* An item without a record. */
static struct hki_outcome missing(const hk_job *job, int32_t why)
{
    struct hki_outcome outcome = {HKI_FAILED, {NULL, 0, NULL, NULL}, NULL};

    if (why == HK_ECANCELED) {
        outcome.phase = HKI_CANCELLED;
    } else if (why == HK_ENOMEM) {
        outcome.error = item_error(job, HK_ENOMEM, "the worker had no memory for its result");
    } else {
        outcome.error = item_error(job, HK_EWORKER, "the worker sent a result that cannot be read");
    }
    return outcome;
}

void hki_packed_chunk_unpack(struct hki_chunk *chunk)
{
    const hk_job *job = hki_job_of(chunk->future);
    struct reader reader = {chunk, job, job->future.value.data, job->future.value.size, 0, false};
    struct hki_packed_result head = {.finished = 0};
    int32_t rest = HK_EWORKER;
    size_t read = 0;

    if (hki_phase(hki_future_state(chunk->future)) != HKI_DONE) {
        return; /* What was not salvaged shares the fate of the job. */
    }
    if (read_head(&reader, &head)) {
        read = read_records(&reader, &head);
        rest = read == atomic_load(&head.finished) ? head.rest : HK_EWORKER;
        chunk->result_bytes = reader.at;
    }
    for (size_t i = read; i < chunk->count; i++) {
        struct hki_outcome outcome = missing(job, rest);

        fill_slot(&chunk->slots[i], &outcome);
    }
}

void hki_packed_chunk_salvage(hk_job *job, const void *bytes, size_t size)
{
    const struct hki_packed_input *packed = job->input.owner;
    struct reader reader = {packed->chunk, job, bytes, bytes == NULL ? 0 : size, 0, true};
    struct hki_packed_result head;

    if (read_head(&reader, &head)) {
        (void)read_records(&reader, &head);
    }
}
