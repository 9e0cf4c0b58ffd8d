/* SPDX-License-Identifier: MIT */
/* The caller's side of a packed chunk: items into bytes, and bytes into slots. */
#include "executors/packed_chunk.h"

#include <string.h>

#include "base/memory.h"
#include "base/snapshot.h"
#include "executors/packed_layout.h"
#include "executors/process_pool/packed_error.h"

enum { FIRST_BYTES_MAX = 1 << 20, FIRST_BYTES_MIN = 256 };

/* Items on their way; owned by the chunk, then by its job. */
struct hki_packed_input {
    struct hki_chunk *chunk; /* One reference once it is sealed. */
    size_t capacity;         /* Of bytes. */
    size_t used;
    size_t item_size; /* Of all so far; SIZE_MAX: they vary. */
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
        packed->item_size = SIZE_MAX;
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

/* The input with the head in it, for items of a size, and room for what is likely to come. */
static struct hki_packed_input *begin(struct hki_chunk *chunk, size_t item_size)
{
    size_t head = head_size(chunk->task);
    size_t items = FIRST_BYTES_MAX;
    struct hki_packed_input *packed;

    if (__builtin_mul_overflow(chunk->capacity, hki_packed_align(item_size), &items) ||
        items > FIRST_BYTES_MAX) {
        items = FIRST_BYTES_MAX;
    }
    packed = create(head + items + FIRST_BYTES_MIN);
    if (packed != NULL) {
        memset(packed->bytes, 0, head);
        write_head(chunk, packed->bytes);
        packed->used = head;
        packed->item_size = item_size;
        chunk->packed = packed;
    }
    return packed;
}

/* The input with room for so many bytes more, perhaps elsewhere. */
static struct hki_packed_input *reserve(struct hki_chunk *chunk, size_t more)
{
    struct hki_packed_input *packed = chunk->packed;
    struct hki_packed_input *larger;
    size_t needed;

    if (packed->capacity - packed->used >= more) {
        return packed;
    }
    if (__builtin_add_overflow(packed->used, more, &needed) || needed > SIZE_MAX / 4 ||
        (larger = create(needed > 2 * packed->capacity ? needed : 2 * packed->capacity)) == NULL) {
        return NULL;
    }
    memcpy(larger->bytes, packed->bytes, packed->used);
    larger->used = packed->used;
    larger->item_size = packed->item_size;
    destroy(packed);
    chunk->packed = larger;
    return larger;
}

/* Bytes of an item, and nothing else up to the next one's place: no old secrets. */
static void put_bytes(struct hki_packed_input *packed, const void *bytes, size_t size)
{
    unsigned char *at = packed->bytes + packed->used;
    size_t pitch = hki_packed_align(size);

    if (size != 0) {
        memcpy(at, bytes, size);
        memset(at + size, 0, pitch - size);
    }
    packed->used += pitch;
}

static void put_size(struct hki_packed_input *packed, size_t size)
{
    struct hki_packed_item item = {.size = size};

    memcpy(packed->bytes + packed->used, &item, sizeof(item));
    packed->used += sizeof(item);
}

/* The items so far, each behind its size from now on. */
static struct hki_packed_input *let_vary(struct hki_chunk *chunk)
{
    struct hki_packed_input *packed = chunk->packed;
    size_t head = head_size(chunk->task);
    size_t size = packed->item_size;
    struct hki_packed_input *varied;

    if (packed->used > SIZE_MAX / 4 ||
        (varied = create(packed->capacity + chunk->capacity * sizeof(struct hki_packed_item))) ==
            NULL) {
        return NULL;
    }
    memcpy(varied->bytes, packed->bytes, head);
    varied->used = head;
    for (size_t i = 0; i < chunk->count; i++) {
        put_size(varied, size);
        put_bytes(varied, packed->bytes + head + i * hki_packed_align(size), size);
    }
    destroy(packed);
    chunk->packed = varied;
    return varied;
}

hk_status hki_packed_chunk_add(struct hki_chunk *chunk, const hk_map_input *input)
{
    struct hki_packed_input *packed = chunk->packed;

    if (input->data == NULL && input->size != 0) {
        return HK_EINVAL;
    }
    if (input->size > SIZE_MAX / 4) {
        return HK_ENOMEM;
    }
    packed = packed == NULL ? begin(chunk, input->size) : packed;
    if (packed != NULL && packed->item_size != SIZE_MAX && packed->item_size != input->size) {
        packed = let_vary(chunk);
    }
    if (packed == NULL || (packed = reserve(chunk, sizeof(struct hki_packed_item) +
                                                       hki_packed_align(input->size))) == NULL) {
        return HK_ENOMEM;
    }
    if (packed->item_size == SIZE_MAX) {
        put_size(packed, input->size);
    }
    put_bytes(packed, input->data, input->size);
    chunk->count++;
    return HK_OK;
}

bool hki_packed_chunk_add_array(struct hki_chunk *chunk, const void *items, size_t count,
                                size_t size)
{
    const unsigned char *item = items;
    struct hki_packed_input *packed;
    size_t bytes;

    if (chunk->packed != NULL || size > SIZE_MAX / 4 ||
        __builtin_mul_overflow(count, hki_packed_align(size), &bytes) ||
        begin(chunk, size) == NULL || (packed = reserve(chunk, bytes)) == NULL) {
        return false;
    }
    if (hki_packed_align(size) == size) {
        put_bytes(packed, items, bytes);
    } else {
        for (size_t i = 0; i < count; i++) {
            put_bytes(packed, item + i * size, size);
        }
    }
    chunk->count += count;
    return true;
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
    hki_chunk_unref(chunk, 1);
}

struct hki_value hki_packed_chunk_seal(struct hki_chunk *chunk, size_t expects)
{
    struct hki_packed_input *packed = chunk->packed;
    struct hki_packed_head head;

    memcpy(&head, packed->bytes, sizeof(head));
    head.count = (uint32_t)chunk->count;
    head.item_timeout = chunk->item_timeout;
    head.expects = expects;
    head.item_size = packed->item_size == SIZE_MAX ? HKI_PACKED_VARIES : packed->item_size;
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
    if (chunk->salvaged != NULL) {
        hki_free(chunk->salvaged, chunk->salvaged_size);
        chunk->salvaged = NULL;
    }
}

/* --- Bytes into ends of items --- */

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

/* Begins to read a result, if the bytes are one of this chunk. `why` is for items without an
 * end in it. */
static void begin_rest(struct hki_chunk *chunk, const unsigned char *bytes, size_t size, bool ended)
{
    struct hki_packed_rest *rest = &chunk->rest;
    struct hki_packed_result head;
    size_t dense;

    *rest = (struct hki_packed_rest){.bytes = bytes, .size = size, .why = ended ? HK_EWORKER : 0};
    if (size < sizeof(head)) {
        return;
    }
    hki_snapshot(&head, bytes, sizeof(head)); /* It must not change while it is judged. */
    rest->finished = atomic_load(&head.finished);
    if (atomic_load(&head.number) != chunk->number || rest->finished > chunk->count) {
        rest->finished = 0;
        return;
    }
    dense = atomic_load(&head.dense);
    rest->dense = dense < rest->finished ? dense : rest->finished;
    rest->value_size = head.value_size;
    rest->at = sizeof(head) + rest->dense * hki_packed_pitch(rest->value_size);
    rest->at = hki_packed_align(rest->at);
    rest->at = rest->at > size ? size : rest->at; /* The last one need not be filled up. */
    if (ended) {
        int64_t run_ns = atomic_load(&head.run_ns);

        rest->why = head.rest == HK_OK ? HK_EWORKER : head.rest;
        atomic_store(&chunk->run_ns, run_ns < 0 ? 0 : run_ns);
    }
}

/* The next record; NULL if it makes no sense. What it says is in *record. */
static const unsigned char *read_record(struct hki_packed_rest *rest,
                                        struct hki_packed_record *record)
{
    const unsigned char *bytes;

    if (rest->size - rest->at < sizeof(*record)) {
        return NULL;
    }
    hki_snapshot(record, rest->bytes + rest->at, sizeof(*record));
    if (record->size > rest->size - rest->at - sizeof(*record)) {
        return NULL;
    }
    bytes = rest->bytes + rest->at + sizeof(*record);
    rest->at = hki_packed_align(rest->at + sizeof(*record) + (size_t)record->size);
    rest->at = rest->at > rest->size ? rest->size : rest->at;
    return bytes;
}

/* The value of an item among those that lie side by side; NULL if the bytes are not there. */
static const unsigned char *dense_value(const struct hki_packed_rest *rest, size_t index)
{
    size_t at = sizeof(struct hki_packed_result) + index * hki_packed_pitch(rest->value_size);

    return at > rest->size || rest->value_size > rest->size - at ? NULL : rest->bytes + at;
}

static void show_value(hk_map_item *item, const unsigned char *bytes, size_t size)
{
    item->status = HK_OK;
    item->data = size == 0 ? NULL : bytes;
    item->size = size;
}

static void show_error(struct hki_packed_slot *slot, hk_map_item *item, struct hki_error *error)
{
    slot->error = error;
    item->error = &error->shown;
    item->status = error->shown.status;
}

/* False: there is no end that makes sense. */
static bool show_record(struct hki_chunk *chunk, struct hki_packed_slot *slot, hk_map_item *item)
{
    const hk_job *job = hki_job_of(chunk->future);
    struct hki_error_facts about = facts_about(job);
    struct hki_packed_record record;
    const unsigned char *bytes = read_record(&chunk->rest, &record);

    if (bytes == NULL) {
        return false;
    }
    switch (record.phase) {
    case HKI_DONE:
        show_value(item, bytes, (size_t)record.size);
        return true;
    case HKI_FAILED:
        show_error(slot, item, hki_error_unpack(bytes, (size_t)record.size, &about));
        return true;
    case HKI_CANCELLED:
        item->status = HK_ECANCELED;
        return true;
    default:
        return false;
    }
}

/* An item without an end of its own. */
static void show_missing(struct hki_chunk *chunk, struct hki_packed_slot *slot, hk_map_item *item)
{
    const hk_job *job = hki_job_of(chunk->future);

    switch (chunk->rest.why) {
    case HK_OK:
        hki_chunk_share_fate(chunk, &slot->error, item);
        return;
    case HK_ECANCELED:
        item->status = HK_ECANCELED;
        return;
    case HK_ENOMEM:
        show_error(slot, item,
                   item_error(job, HK_ENOMEM, "the worker had no memory for its result"));
        return;
    default:
        show_error(slot, item,
                   item_error(job, HK_EWORKER, "the worker sent a result that cannot be read"));
        return;
    }
}

void hki_packed_chunk_deliver(struct hki_chunk *chunk, hk_map_item *item)
{
    struct hki_packed_slot *slot = &hki_chunk_packed_slots(chunk)[chunk->delivered];
    struct hki_packed_rest *rest = &chunk->rest;
    const unsigned char *value;

    slot->owner.chunk = chunk;
    slot->error = NULL;
    item->owner = &slot->owner;
    if (chunk->delivered < rest->dense && (value = dense_value(rest, chunk->delivered)) != NULL) {
        show_value(item, value, rest->value_size);
        return;
    }
    if (chunk->delivered < rest->dense || chunk->delivered >= rest->finished ||
        !show_record(chunk, slot, item)) {
        if (chunk->delivered < rest->finished) {
            /* What follows cannot be trusted either. */
            rest->why = rest->why == HK_OK ? HK_OK : HK_EWORKER;
            rest->finished = chunk->delivered;
            rest->dense = 0;
        }
        show_missing(chunk, slot, item);
    }
}

void hki_packed_chunk_open(struct hki_chunk *chunk)
{
    unsigned phase = hki_phase(hki_future_state(chunk->future));

    if (phase == HKI_DONE) {
        struct hki_value value = hki_future_value(chunk->future);

        begin_rest(chunk, value.data, value.size, true);
    } else if (chunk->capacity != 1 || phase != HKI_FAILED) {
        /* Else, alone in its job, an item fails as the job does. */
        begin_rest(chunk, chunk->salvaged, chunk->salvaged_size, false);
    }
}

void hki_packed_chunk_salvage(hk_job *job, const void *bytes, size_t size)
{
    const struct hki_packed_input *packed = job->input.owner;
    struct hki_chunk *chunk = packed->chunk;
    struct hki_packed_rest *rest = &chunk->rest;
    struct hki_packed_record record;

    if (chunk->salvaged != NULL) {
        return;
    }
    begin_rest(chunk, bytes, bytes == NULL ? 0 : size, false);
    for (size_t i = rest->dense; i < rest->finished && read_record(rest, &record) != NULL; i++) {
    }
    /* No more is copied than has an end. */
    if (rest->finished != 0 && (chunk->salvaged = hki_alloc(rest->at)) != NULL) {
        memcpy(chunk->salvaged, bytes, rest->at);
        chunk->salvaged_size = rest->at;
    }
    *rest = (struct hki_packed_rest){.why = HK_OK};
}
