/* SPDX-License-Identifier: MIT */
#include "executors/map_chunk.h"

#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "executors/packed_chunk.h"

static size_t size_of(size_t capacity, bool is_packed)
{
    return sizeof(struct hki_chunk) +
           capacity * (is_packed ? sizeof(struct hki_packed_slot) : sizeof(struct hki_slot));
}

struct hki_chunk *hki_chunk_create(const hk_task *task, size_t capacity, uint64_t first_index,
                                   bool is_packed)
{
    /* A packed one writes its slots before it reads them. */
    struct hki_chunk *chunk =
        is_packed ? hki_alloc(size_of(capacity, true)) : hki_zalloc(size_of(capacity, false));

    if (chunk != NULL) {
        memset(chunk, 0, sizeof(*chunk));
        atomic_init(&chunk->references, 1);
        hki_list_init(&chunk->link);
        chunk->task = task;
        chunk->capacity = capacity;
        chunk->first_index = first_index;
        chunk->is_packed = is_packed;
    }
    return chunk;
}

static void drop_slots(struct hki_chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        hki_value_drop(&chunk->slots[i].input);
        if (i >= chunk->delivered && atomic_load(&chunk->slots[i].state) == SLOT_ENDED) {
            hki_outcome_drop(&chunk->slots[i].outcome);
        }
    }
}

void hki_chunk_unref(struct hki_chunk *chunk, unsigned count)
{
    /* acq_rel: pairs with itself; the last owner sees all earlier uses. */
    if (atomic_fetch_sub_explicit(&chunk->references, count, memory_order_acq_rel) != count) {
        return;
    }
    if (chunk->is_packed) {
        hki_packed_chunk_drop(chunk);
    } else {
        drop_slots(chunk);
    }
    hk_future_unref(chunk->future);
    hki_free(chunk, size_of(chunk->capacity, chunk->is_packed));
}

void hki_chunk_drop(void *chunk)
{
    hki_chunk_unref(chunk, 1);
}

void hki_chunk_begin_delivery(struct hki_chunk *chunk)
{
    if (chunk->is_packed) {
        hki_packed_chunk_open(chunk);
    }
    /* relaxed: whoever adds a reference has one. */
    atomic_fetch_add_explicit(&chunk->references, (unsigned)chunk->count, memory_order_relaxed);
}

hk_status hki_chunk_add(struct hki_chunk *chunk, const hk_map_input *input)
{
    struct hki_slot *slot = &chunk->slots[chunk->count];
    void *block;

    if (input->size == HK_BY_REF) {
        void *reference = (void *)input->data;

        slot->input = (struct hki_value){reference, HK_BY_REF, input->drop, reference};
    } else if (input->data == NULL && input->size != 0) {
        return HK_EINVAL;
    } else if (input->size <= HKI_SLOT_INPUT) {
        slot->input =
            (struct hki_value){input->size == 0 ? NULL : slot->bytes, input->size, NULL, NULL};
    } else {
        if ((block = hki_block_alloc(input->size)) == NULL) {
            return HK_ENOMEM;
        }
        slot->input = (struct hki_value){block, input->size, hki_block_free, block};
    }
    if (input->size != HK_BY_REF && input->size != 0) {
        memcpy(slot->input.data, input->data, input->size);
    }
    slot->owner.chunk = chunk;
    atomic_init(&slot->state, SLOT_OPEN);
    chunk->count++;
    return HK_OK;
}

/* A limit for items that the job cannot keep for each: judged when they return. */
static void judge(const struct hki_chunk *chunk, hk_call *call, int64_t ran_ns,
                  struct hki_outcome *outcome)
{
    if (chunk->item_timeout == 0 || ran_ns < chunk->item_timeout) {
        return;
    }
    hki_outcome_drop(outcome);
    outcome->phase = HKI_FAILED;
    outcome->error = hki_job_error(call->job, HK_EDEADLINE, call->where,
                                   "this item ran longer than its limit", NULL);
}

static void run_item(hk_call *outer, struct hki_slot *slot)
{
    struct hki_chunk *chunk = slot->owner.chunk;
    hk_call call = {
        .executor = outer->executor,
        .job = outer->job,
        .task = chunk->task,
        .where = outer->where,
        .local = outer->local,
        .small = slot->small,
    };
    struct hki_outcome outcome;
    int64_t started_ns = hk_now_ns();
    int64_t ran_ns;
    hk_status returned;
    int open = SLOT_OPEN;

    if (chunk->item_timeout != 0) {
        call.item_end_ns = hki_deadline(chunk->item_timeout);
    }
    hki_call_enter(&call);
    returned = chunk->task->run(&call, slot->input.data, slot->input.size);
    hki_call_outcome(&call, returned, &outcome);
    ran_ns = hk_now_ns() - started_ns;
    judge(chunk, &call, ran_ns, &outcome);
    hki_call_leave(&call);
    hki_value_drop(&slot->input);
    atomic_fetch_add(&chunk->run_ns, ran_ns);
    slot->outcome = outcome;
    if (!atomic_compare_exchange_strong(&slot->state, &open, SLOT_ENDED)) {
        hki_outcome_drop(&slot->outcome); /* Too late: it was given up. */
    }
}

static hk_status run_chunk(hk_call *call, const void *in, size_t in_size)
{
    struct hki_chunk *chunk = (struct hki_chunk *)in;

    (void)in_size;
    for (size_t i = 0; i < chunk->count; i++) {
        if (hk_should_stop(call)) {
            return HK_ECANCELED; /* The rest has no outcome: see hki_chunk_deliver(). */
        }
        run_item(call, &chunk->slots[i]);
    }
    return HK_OK;
}

const hk_task hki_chunk_task = {"hocket map", run_chunk, 0, __FILE__, 0};

void hki_chunk_share_fate(struct hki_chunk *chunk, struct hki_error **failure, hk_map_item *item)
{
    hk_future *future = chunk->future;

    if (hki_phase(hki_future_state(future)) == HKI_FAILED) {
        hki_future_observe(future);
        *failure = hki_error_ref(future->body.error);
        item->error = &(*failure)->shown;
        item->status = item->error->status;
    } else {
        item->status = HK_ECANCELED;
    }
}

static void deliver_ended(struct hki_slot *slot, hk_map_item *item)
{
    switch (slot->outcome.phase) {
    case HKI_DONE:
        item->status = HK_OK;
        item->data = slot->outcome.value.data;
        item->size = slot->outcome.value.size;
        return;
    case HKI_FAILED:
        item->error = &slot->outcome.error->shown;
        item->status = item->error->status;
        return;
    default:
        item->status = HK_ECANCELED;
        return;
    }
}

static void deliver_slot(struct hki_chunk *chunk, struct hki_slot *slot, hk_map_item *item)
{
    int open = SLOT_OPEN;
    bool abandoned = atomic_compare_exchange_strong(&slot->state, &open, SLOT_ABANDONED);

    /* Alone in its job, the item is what the job's limit is for: a value that came
     * after it is late, even if nobody looked in between. */
    if (!abandoned && chunk->capacity == 1 &&
        hki_phase(hki_future_state(chunk->future)) == HKI_FAILED) {
        hki_outcome_drop(&slot->outcome);
        atomic_store(&slot->state, SLOT_ABANDONED);
        abandoned = true;
    }
    item->owner = &slot->owner;
    if (abandoned) {
        /* The item did not run, or not to its end. */
        hki_chunk_share_fate(chunk, &slot->chunk_failure, item);
    } else {
        deliver_ended(slot, item);
    }
}

void hki_chunk_deliver(struct hki_chunk *chunk, hk_map_item *item)
{
    *item = (hk_map_item){.index = chunk->first_index + chunk->delivered};
    if (chunk->is_packed) {
        hki_packed_chunk_deliver(chunk, item);
    } else {
        deliver_slot(chunk, &chunk->slots[chunk->delivered], item);
    }
    chunk->delivered++;
}

static void empty_slot(struct hki_slot *slot)
{
    if (atomic_load(&slot->state) == SLOT_ENDED) {
        hki_outcome_drop(&slot->outcome);
    } else {
        hki_error_unref(slot->chunk_failure);
        slot->chunk_failure = NULL;
    }
}

struct hki_chunk *hki_map_item_empty(hk_map_item *item)
{
    struct hki_item_owner *owner = item->owner;

    if (owner == NULL) {
        return NULL;
    }
    *item = (hk_map_item){0};
    if (owner->chunk->is_packed) {
        struct hki_packed_slot *slot = HKI_CONTAINER(owner, struct hki_packed_slot, owner);

        if (slot->error != NULL) {
            hki_error_unref(slot->error);
            slot->error = NULL;
        }
    } else {
        empty_slot(HKI_CONTAINER(owner, struct hki_slot, owner));
    }
    return owner->chunk;
}

void hk_map_item_drop(hk_map_item *item)
{
    struct hki_chunk *chunk = item == NULL ? NULL : hki_map_item_empty(item);

    if (chunk != NULL) {
        hki_chunk_unref(chunk, 1);
    }
}
