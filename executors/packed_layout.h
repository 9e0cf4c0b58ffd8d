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
    uint64_t expects; /* Bytes of result to reserve. */
};

struct hki_packed_item {
    uint64_t size;
    uint64_t unused; /* So that what follows is aligned. */
};

/* In front of a result. */
struct hki_packed_result {
    _Atomic(uint64_t) number;   /* Stored after `finished` was set to zero: what the memory held
                                 * before is no result of this chunk. */
    _Atomic(uint32_t) finished; /* Items whose records are whole. */
    int32_t rest;               /* Why the others have none: HK_ECANCELED, HK_ENOMEM. */
    _Atomic(int64_t) run_ns;    /* Time that the whole chunk took, once it has ended. */
    uint64_t unused;
};

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

/* Up to the next place for a record. Sizes near SIZE_MAX are refused before. */
static inline size_t hki_packed_align(size_t size)
{
    return (size + HKI_PACKED_ALIGN - 1) & ~(size_t)(HKI_PACKED_ALIGN - 1);
}

#endif
