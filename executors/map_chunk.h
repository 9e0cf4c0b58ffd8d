/* SPDX-License-Identifier: MIT */
/*
 * A chunk: items of a map that travel as one job, and come back one by one.
 *
 * References: the iterator's until the chunk is delivered, the job's until it has
 * ended, and one for each delivered item until its hk_map_item_drop().
 *
 * Each slot has one word. The runner wins it with SLOT_ENDED after it has written
 * the outcome; the iterator, when the job ended without having run the item, wins
 * it with SLOT_ABANDONED. So a thread that runs on after a time limit does no harm.
 */
#ifndef HOCKET_EXECUTORS_MAP_CHUNK_H
#define HOCKET_EXECUTORS_MAP_CHUNK_H

#include <hocket/map.h>

#include "executors/call.h"

enum { HKI_SLOT_INPUT = 48 };

enum { SLOT_OPEN, SLOT_ENDED, SLOT_ABANDONED };

struct hki_chunk;

/* What a delivered item points to: the first member of a slot of either kind. */
struct hki_item_owner {
    struct hki_chunk *chunk;
};

/* Of a chunk that shares memory with who runs it. */
struct hki_slot {
    struct hki_item_owner owner;
    atomic_int state;
    struct hki_value input;
    struct hki_outcome outcome;      /* SLOT_ENDED: the runner's. */
    struct hki_error *chunk_failure; /* SLOT_ABANDONED: why, one reference; or NULL. */
    unsigned char small[HKI_SMALL_VALUE] __attribute__((aligned(16)));
    unsigned char bytes[HKI_SLOT_INPUT] __attribute__((aligned(16)));
};

struct hki_packed_input;

/* Of a packed chunk; written when its item is delivered, and not before. */
struct hki_packed_slot {
    struct hki_item_owner owner;
    struct hki_error *error; /* One reference, or NULL. */
};

/* What is left to read of a packed chunk's result, item by item, as they are delivered. */
struct hki_packed_rest {
    const unsigned char *bytes;
    size_t size;
    size_t at;         /* The next record. */
    size_t finished;   /* Items that have an end here. */
    size_t dense;      /* Of these, values that lie side by side, in front of all records. */
    size_t value_size; /* Of each of those. */
    int32_t why;       /* Why the others have none; HK_OK: they share the fate of the job. */
};

struct hki_chunk {
    atomic_uint references;
    struct hki_list link; /* Among the iterator's chunks in flight. */
    const hk_task *task;
    hk_duration item_timeout; /* Judged on return; 0: none, or the job's own. */
    hk_future *future;        /* One reference, from the submit on. */
    uint64_t first_index;
    size_t capacity;
    size_t count;
    size_t delivered;
    atomic_int_fast64_t run_ns; /* Time of the items that ran. */
    /* For executors that do not share memory, see packed_chunk.h. */
    bool is_packed;
    struct hki_packed_input *packed; /* Items that were not sent yet. */
    uint64_t number;
    unsigned char *salvaged; /* A copy of what a dead worker had finished, or NULL. */
    size_t salvaged_size;
    struct hki_packed_rest rest;
    struct hki_slot slots[]; /* Of a packed one instead: struct hki_packed_slot. */
};

static inline struct hki_packed_slot *hki_chunk_packed_slots(struct hki_chunk *chunk)
{
    return (struct hki_packed_slot *)(void *)chunk->slots;
}

struct hki_chunk *hki_chunk_create(const hk_task *task, size_t capacity, uint64_t first_index,
                                   bool is_packed);

/* Takes one reference for each item, which the items that are delivered go off with. */
void hki_chunk_begin_delivery(struct hki_chunk *chunk);
void hki_chunk_unref(struct hki_chunk *chunk, unsigned count);

/* Adds an item; a reference is taken over also on failure. */
hk_status hki_chunk_add(struct hki_chunk *chunk, const hk_map_input *input);

/* The task that runs a chunk; its input is the chunk, by reference. */
extern const hk_task hki_chunk_task;
void hki_chunk_drop(void *chunk);

/* The next item of a chunk whose job has ended and whose delivery has begun; the caller checked
 * there is one. */
void hki_chunk_deliver(struct hki_chunk *chunk, hk_map_item *item);

/* An item that has no end of its own shares the fate of the job: its error, of which *failure
 * gets a reference, or a cancellation. */
void hki_chunk_share_fate(struct hki_chunk *chunk, struct hki_error **failure, hk_map_item *item);

/* Releases what the item has for itself, all but its reference to the chunk it gives; NULL for
 * one that was empty. */
struct hki_chunk *hki_map_item_empty(hk_map_item *item);

#endif
