/* SPDX-License-Identifier: MIT */
/* The bytes of a packed chunk. Both sides are the same program on the same machine. */
#ifndef HOCKET_EXECUTORS_PACKED_LAYOUT_H
#define HOCKET_EXECUTORS_PACKED_LAYOUT_H

#include <hocket/task.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HKI_PACKED_ALIGN = 16 }; /* Of every item's and value's bytes. */

/* In front of the items; behind it name and file of the task, each ended by a zero byte. */
struct hki_packed_head {
    uint64_t number; /* Of the chunk: comes back with its result. */
    uint32_t count;
    int32_t line;       /* Of the task. */
    uint32_t name_size; /* With the zero byte. */
    uint32_t file_size;
    hk_task_fn *run;
    int64_t item_timeout;
    uint64_t expects;   /* Bytes of result to reserve. */
    uint64_t item_size; /* Of every item; HKI_PACKED_VARIES: each says its own. */
    uint64_t unused;
};

#define HKI_PACKED_VARIES UINT64_MAX

/* In front of each item, if sizes vary. */
struct hki_packed_item {
    uint64_t size;
    uint64_t unused; /* So that what follows is aligned. */
};

/*
 * In front of a result. Behind it, as long as all items succeed with values of one size, lie
 * these values side by side; then, from the next place on, the records of the other items.
 */
struct hki_packed_result {
    _Atomic(uint64_t) number;   /* Stored after `finished` was set to zero: what the memory held
                                 * before is no result of this chunk. */
    _Atomic(uint32_t) finished; /* Items whose values or records are whole. */
    int32_t rest;               /* Why the others have none: HK_ECANCELED, HK_ENOMEM. */
    _Atomic(int64_t) run_ns;    /* Time that the whole chunk took, once it has ended. */
    _Atomic(uint32_t) dense;    /* Of these, values without a record; HKI_PACKED_ALL: so far all. */
    uint32_t value_size;        /* Of each of these. */
};

#define HKI_PACKED_ALL UINT32_MAX

struct hki_packed_record {
    uint32_t phase; /* HKI_DONE, HKI_FAILED, HKI_CANCELLED. */
    uint32_t unused;
    uint64_t size;
};

_Static_assert(sizeof(struct hki_packed_head) % HKI_PACKED_ALIGN == 0 &&
                   sizeof(struct hki_packed_item) == HKI_PACKED_ALIGN &&
                   sizeof(struct hki_packed_result) % HKI_PACKED_ALIGN == 0 &&
                   sizeof(struct hki_packed_record) == HKI_PACKED_ALIGN,
               "what follows them is aligned");

/* From one value of such a size to the next, side by side. What has at most 8 bytes needs no
 * more alignment than that. */
static inline size_t hki_packed_pitch(size_t size)
{
    size_t align = size <= HKI_PACKED_ALIGN / 2 ? HKI_PACKED_ALIGN / 2 : HKI_PACKED_ALIGN;

    return (size + align - 1) & ~(align - 1);
}

/* Up to the next place for a record. Sizes near SIZE_MAX are refused before. */
static inline size_t hki_packed_align(size_t size)
{
    return (size + HKI_PACKED_ALIGN - 1) & ~(size_t)(HKI_PACKED_ALIGN - 1);
}

#endif
