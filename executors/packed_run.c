/* SPDX-License-Identifier: MIT */
/*
 * The worker's side of a packed chunk: runs the items, and writes down how each ended.
 *
 * Values and records go into the memory that was reserved for the result, as long as there is
 * room; all but the smallest values are even made there. The rest goes into private memory, and at
 * the end all of it into one new result; if the worker dies before that, only the rest is lost.
 */
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "executors/packed_chunk.h"
#include "executors/packed_layout.h"
#include "executors/process_pool/packed_error.h"

enum { ERROR_BYTES = 2048, REST_FIRST = 4096 };

struct area {
    unsigned char *bytes;
    size_t size;
    size_t used;
};

struct run;

/* As the outer call's, but that a value has a place of its own. */
struct item_link {
    struct hki_call_link link; /* First: the two convert. */
    struct run *run;
    bool placed; /* A value was made in the result: the next one of this item is made elsewhere. */
};

/* One run of a chunk. */
struct run {
    hk_call *outer;
    struct hki_packed_head head;
    hk_task task;         /* As it was described: its descriptor may not be known here. */
    struct area reserved; /* What a reader sees even if this process dies. */
    struct area rest;
    uint32_t finished;
    bool is_dense;   /* So far all are values of one size, side by side in `reserved`. */
    bool is_limited; /* The whole chunk, in time. */
    int32_t why_rest;
    int64_t started_ns;
    /* Of the items, one after the other. */
    hk_call call;
    struct item_link link;
    unsigned char small[HKI_SMALL_VALUE] __attribute__((aligned(HKI_PACKED_ALIGN)));
};

/* --- Reading the input --- */

/* The caller's library wrote it; so it is taken apart, not distrusted. */
static void read_head(struct run *run, const unsigned char *in)
{
    memcpy(&run->head, in, sizeof(run->head));
    run->task = (hk_task){
        .name = (const char *)in + sizeof(run->head),
        .run = run->head.run,
        .file = (const char *)in + sizeof(run->head) + run->head.name_size,
        .line = run->head.line,
    };
}

static const unsigned char *first_item(const struct run *run, const unsigned char *in)
{
    return in + sizeof(run->head) +
           hki_packed_align((size_t)run->head.name_size + run->head.file_size);
}

/* --- Writing the result --- */

/* Room for the value of the whole chunk, which no limit for single values applies to. */
static hk_status reserve(hk_call *call, size_t size)
{
    return call->link != NULL ? call->link->ops->reserve(call->link, size, &call->value)
                              : hki_value_reserve(call->small, &call->value, size);
}

static struct hki_packed_result *result_of(const struct area *area)
{
    return (struct hki_packed_result *)(void *)area->bytes;
}

static hk_status begin_result(struct run *run)
{
    size_t size = (size_t)run->head.expects;
    hk_status status = reserve(run->outer, size);
    struct hki_packed_result *result;

    if (status != HK_OK) {
        /* So much may not be had, but that is only what was expected. */
        size = sizeof(struct hki_packed_result);
        if ((status = reserve(run->outer, size)) != HK_OK) {
            return status;
        }
    }
    run->reserved = (struct area){run->outer->value.data, size, sizeof(struct hki_packed_result)};
    result = result_of(&run->reserved);
    atomic_store(&result->finished, 0);
    atomic_store(&result->run_ns, 0);
    atomic_store(&result->dense, HKI_PACKED_ALL);
    result->rest = HK_OK;
    result->value_size = 0;
    atomic_store(&result->number, run->head.number);
    return HK_OK;
}

/* Where the next value would be, among those side by side; NULL: not there. */
static unsigned char *place_of_dense(const struct run *run, size_t size)
{
    if (!run->is_dense || size > run->reserved.size - run->reserved.used ||
        (run->finished != 0 && size != result_of(&run->reserved)->value_size)) {
        return NULL;
    }
    return run->reserved.bytes + run->reserved.used;
}

/* Where the bytes of the next record would be in the reserved memory; NULL: no room. */
static unsigned char *place_of_record(const struct run *run, size_t size)
{
    size_t at = hki_packed_align(run->reserved.used) + sizeof(struct hki_packed_record);

    if (run->rest.used != 0 || at > run->reserved.size || run->reserved.size - at < size) {
        return NULL;
    }
    return run->reserved.bytes + at;
}

/* Makes room in the private memory. */
static bool extend_rest(struct run *run, size_t more)
{
    struct area larger = {NULL, 0, run->rest.used};

    if (run->rest.size - run->rest.used >= more) {
        return true;
    }
    if (__builtin_add_overflow(run->rest.used, more, &larger.size) || larger.size > SIZE_MAX / 4) {
        return false;
    }
    larger.size = larger.size < REST_FIRST / 2 ? REST_FIRST : 2 * larger.size;
    if ((larger.bytes = hki_alloc(larger.size)) == NULL) {
        return false;
    }
    if (run->rest.bytes != NULL) {
        memcpy(larger.bytes, run->rest.bytes, run->rest.used);
        hki_free(run->rest.bytes, run->rest.size);
    }
    run->rest = larger;
    return true;
}

static void put_record(struct area *area, uint32_t phase, const void *bytes, size_t size)
{
    struct hki_packed_record record = {.phase = phase, .size = size};
    unsigned char *at = area->bytes + hki_packed_align(area->used);
    size_t end;

    memcpy(at, &record, sizeof(record));
    at += sizeof(record);
    if (size != 0 && bytes != at) {
        memcpy(at, bytes, size);
    }
    end = hki_packed_align((size_t)(at - area->bytes) + size);
    area->used = end > area->size ? area->size : end;
}

/* One more is whole, for whoever reads the memory. */
static void count_up(struct run *run)
{
    /* release: pairs with the reader's load of the header, for whom the bytes are there. */
    atomic_store_explicit(&result_of(&run->reserved)->finished, ++run->finished,
                          memory_order_release);
}

/* A value among those side by side; false if it cannot be there. */
static bool put_dense(struct run *run, const void *bytes, size_t size)
{
    struct area *area = &run->reserved;
    unsigned char *at = size > UINT32_MAX ? NULL : place_of_dense(run, size);

    if (at == NULL) {
        return false;
    }
    if (run->finished == 0) {
        result_of(area)->value_size = (uint32_t)size;
    }
    if (size != 0 && bytes != at) {
        memcpy(at, bytes, size);
    }
    area->used += hki_packed_pitch(size);
    area->used = area->used > area->size ? area->size : area->used;
    count_up(run);
    return true;
}

/* From here on there are records. */
static void end_dense(struct run *run)
{
    if (run->is_dense) {
        run->is_dense = false;
        atomic_store(&result_of(&run->reserved)->dense, run->finished);
    }
}

/* Writes down how an item ended; false without memory. */
static bool put(struct run *run, uint32_t phase, const void *bytes, size_t size)
{
    if (phase == HKI_DONE && put_dense(run, bytes, size)) {
        return true;
    }
    end_dense(run);
    if (place_of_record(run, size) != NULL) {
        put_record(&run->reserved, phase, bytes, size);
        count_up(run);
        return true;
    }
    if (size > SIZE_MAX / 4 ||
        !extend_rest(run, sizeof(struct hki_packed_record) + hki_packed_align(size))) {
        return false;
    }
    put_record(&run->rest, phase, bytes, size);
    run->finished++;
    return true;
}

/* Puts all of it into one result. */
static hk_status join_rest(struct run *run)
{
    size_t start = hki_packed_align(run->reserved.used); /* The room may end before it. */
    size_t size = start + run->rest.used;
    unsigned char *whole = hki_alloc(size);
    struct hki_packed_result *result;
    hk_status status;

    if (whole == NULL) {
        /* What is in the reserved memory is as good as ever. */
        run->why_rest = HK_ENOMEM;
        return HK_OK;
    }
    memcpy(whole, run->reserved.bytes, run->reserved.used);
    memset(whole + run->reserved.used, 0, start - run->reserved.used);
    memcpy(whole + start, run->rest.bytes, run->rest.used);
    if ((status = reserve(run->outer, size)) == HK_OK) {
        memcpy(run->outer->value.data, whole, size);
        run->reserved = (struct area){run->outer->value.data, size, size};
        result = result_of(&run->reserved);
        atomic_store(&result->finished, run->finished);
    }
    hki_free(whole, size);
    return status;
}

static hk_status end_result(struct run *run)
{
    hk_status status = run->rest.used == 0 ? HK_OK : join_rest(run);

    if (status == HK_OK) {
        result_of(&run->reserved)->rest = run->why_rest;
        atomic_store(&result_of(&run->reserved)->run_ns, hk_now_ns() - run->started_ns);
        run->outer->value.size = run->reserved.used; /* What was reserved in vain is no value. */
    }
    if (run->rest.bytes != NULL) {
        hki_free(run->rest.bytes, run->rest.size);
    }
    return status;
}

/* --- An item's call, where the outer one has a link --- */

static struct item_link *item_of(struct hki_call_link *link)
{
    return (struct item_link *)(void *)link;
}

static struct hki_call_link *outer_of(struct hki_call_link *link)
{
    return item_of(link)->run->outer->link;
}

static bool item_should_stop(struct hki_call_link *link)
{
    return outer_of(link)->ops->should_stop(outer_of(link));
}

static int64_t item_end_ns(struct hki_call_link *link)
{
    return outer_of(link)->ops->end_ns(outer_of(link));
}

static void item_sleep(struct hki_call_link *link, int64_t until_ns)
{
    outer_of(link)->ops->sleep(outer_of(link), until_ns);
}

static int item_stop_fd(struct hki_call_link *link)
{
    return outer_of(link)->ops->stop_fd(outer_of(link));
}

static void item_progress(struct hki_call_link *link, uint64_t done, uint64_t total)
{
    outer_of(link)->ops->progress(outer_of(link), done, total);
}

static hk_status item_take_fd(struct hki_call_link *link, size_t index, int *fd)
{
    return outer_of(link)->ops->take_fd(outer_of(link), index, fd);
}

static unsigned item_attempt(struct hki_call_link *link)
{
    return outer_of(link)->ops->attempt(outer_of(link));
}

static hk_status item_reserve(struct hki_call_link *link, size_t size, struct hki_value *value)
{
    struct item_link *item = item_of(link);
    unsigned char *place = NULL;

    /* Small ones are copied: side by side they are aligned for less than any type. */
    if (size > HKI_SMALL_VALUE && !item->placed &&
        (place = place_of_dense(item->run, size)) == NULL) {
        place = place_of_record(item->run, size);
    }
    if (place == NULL) {
        return hki_value_reserve(item->run->small, value, size);
    }
    item->placed = true;
    hki_value_drop(value);
    *value = (struct hki_value){place, size, NULL, NULL};
    return HK_OK;
}

static const struct hki_call_link_ops item_ops = {
    .should_stop = item_should_stop,
    .end_ns = item_end_ns,
    .sleep = item_sleep,
    .stop_fd = item_stop_fd,
    .progress = item_progress,
    .reserve = item_reserve,
    .take_fd = item_take_fd,
    .attempt = item_attempt,
};

/* --- Running --- */

/* A limit that nobody keeps for a single item: judged when it returns. */
static void judge(const struct run *run, const hk_call *call, struct hki_outcome *outcome)
{
    if (hk_now_ns() < call->item_end_ns) {
        return;
    }
    hki_outcome_drop(outcome);
    outcome->phase = HKI_FAILED;
    outcome->error = hki_error_make(&(struct hki_error_facts){
        .status = HK_EDEADLINE,
        .message = "this item ran longer than its limit",
        .task = run->task.name,
        .where = call->where,
    });
}

static bool put_outcome(struct run *run, const struct hki_outcome *outcome)
{
    unsigned char bytes[ERROR_BYTES];

    switch (outcome->phase) {
    case HKI_DONE:
        return put(run, HKI_DONE, outcome->value.data, outcome->value.size);
    case HKI_FAILED:
        return put(run, HKI_FAILED, bytes, hki_error_pack(outcome->error, bytes, sizeof(bytes)));
    default:
        return put(run, HKI_CANCELLED, NULL, 0);
    }
}

/* The call of the next items: one for all, as nearly all leave it as it was. */
static void begin_call(struct run *run)
{
    run->link = (struct item_link){.link = {&item_ops}, .run = run};
    run->call = (hk_call){
        .executor = run->outer->executor,
        .link = run->outer->link == NULL ? NULL : &run->link.link,
        .job = run->outer->job,
        .task = &run->task,
        .where = run->outer->where,
        .local = run->outer->local,
        .small = run->small,
    };
    hki_call_enter(&run->call);
}

/* How the item's task ended, with all there may be to it. */
static bool end_item(struct run *run, hk_status returned)
{
    struct hki_outcome outcome;
    bool stored;

    hki_call_outcome(&run->call, returned, &outcome);
    if (run->head.item_timeout != 0) {
        judge(run, &run->call, &outcome);
    }
    stored = put_outcome(run, &outcome);
    hki_outcome_drop(&outcome);
    hki_call_leave(&run->call);
    begin_call(run);
    return stored;
}

/* A value that needs no more than to be written down, from a call that is as it was before. */
static bool is_plain(const struct run *run, hk_status returned)
{
    const hk_call *call = &run->call;

    return returned == HK_OK && call->refused == HK_OK && call->value.drop == NULL &&
           call->error == NULL && call->token == NULL && call->stop_fd < 0 &&
           run->head.item_timeout == 0;
}

static bool run_item(struct run *run, const void *in, size_t in_size)
{
    hk_call *call = &run->call;
    hk_status returned;
    bool stored;

    if (run->head.item_timeout != 0) {
        call->item_end_ns = hki_deadline(run->head.item_timeout);
    }
    returned = run->task.run(call, in_size == 0 ? NULL : in, in_size);
    if (!is_plain(run, returned)) {
        return end_item(run, returned);
    }
    stored = put(run, HKI_DONE, call->value.data, call->value.size);
    call->value = (struct hki_value){NULL, 0, NULL, NULL};
    run->link.placed = false;
    return stored;
}

/* As hk_should_stop() of the outer call, of which nobody has a token. */
static bool shall_stop(const struct run *run)
{
    hk_call *outer = run->outer;

    if (outer->link == NULL) {
        return hk_should_stop(outer);
    }
    return outer->link->ops->should_stop(outer->link) ||
           (run->is_limited && hk_call_time_left(outer) == 0);
}

static void run_items(struct run *run, const unsigned char *at)
{
    size_t size = (size_t)run->head.item_size;

    for (uint32_t i = 0; i < run->head.count; i++) {
        if (shall_stop(run)) {
            run->why_rest = HK_ECANCELED;
            return;
        }
        if (run->head.item_size == HKI_PACKED_VARIES) {
            struct hki_packed_item item;

            memcpy(&item, at, sizeof(item));
            at += sizeof(item);
            size = (size_t)item.size;
        }
        if (!run_item(run, at, size)) {
            run->why_rest = HK_ENOMEM;
            return;
        }
        at += hki_packed_align(size);
    }
}

static hk_status run_chunk(hk_call *call, const void *in, size_t in_size)
{
    struct run run = {
        .outer = call, .is_dense = true, .why_rest = HK_OK, .started_ns = hk_now_ns()};
    hk_status status;

    (void)in_size;
    read_head(&run, in);
    if ((status = begin_result(&run)) != HK_OK) {
        return status;
    }
    run.is_limited = call->link != NULL && call->link->ops->end_ns(call->link) != HKI_NEVER;
    begin_call(&run);
    run_items(&run, first_item(&run, in));
    hki_call_leave(&run.call);
    return end_result(&run);
}

const hk_task hki_packed_chunk_task = {"hocket packed map", run_chunk, 0, __FILE__, 0};
