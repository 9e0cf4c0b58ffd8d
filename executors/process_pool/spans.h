/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator of whole pages of 64 KiB: a span is 2^order of them, aligned to its
 * size. It knows which free pages have been written to, for who wants to give their memory
 * back to the system. Numbers only; the memory itself is never looked at. The caller locks.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_SPANS_H
#define HOCKET_EXECUTORS_PROCESS_POOL_SPANS_H

#include <hocket/status.h>

#include <stddef.h>
#include <stdint.h>

enum { HKI_SPAN_ORDERS = 32, HKI_PIECE_ORDER = 6 };

#define HKI_NO_SPAN UINT32_MAX

enum hki_span_state {
    HKI_SPAN_INSIDE, /* No span begins at this page. */
    HKI_SPAN_FREE,
    HKI_SPAN_TAKEN,
    HKI_SPAN_AWAY, /* Taken for its touched pages. */
};

struct hki_span {
    uint32_t next; /* In a list of free spans. */
    uint32_t previous;
    uint32_t touched; /* Free: how many of its pages were written to. */
    uint8_t state;
    uint8_t order;
    void *owner; /* Taken: whatever the caller put there; NULL at first. */
};

struct hki_spans {
    struct hki_span *span; /* One for each page, and then the heads of the lists. */
    uint64_t *touched;     /* A bit for each page. */
    uint32_t pages;
    uint32_t orders;       /* Of the largest span, and one. */
    uint32_t free_touched; /* Pages in all free spans that were written to. */
};

/* All pages are free and untouched. HK_ENOMEM. */
hk_status hki_spans_init(struct hki_spans *spans, uint32_t pages);
void hki_spans_fini(struct hki_spans *spans);

/* The first page of a span; HKI_NO_SPAN: none is free. Pages that were written to first. */
uint32_t hki_spans_take(struct hki_spans *spans, uint32_t order);

/* Takes a span back, which somebody wrote to. */
void hki_spans_give_back(struct hki_spans *spans, uint32_t page);

/* Takes a span of at most 2^HKI_PIECE_ORDER pages, of those that have been free for long,
 * that has touched pages: bit i of *touched stands for its page i. HKI_NO_SPAN: none has. */
uint32_t hki_spans_take_touched(struct hki_spans *spans, uint64_t *touched);

/* Takes it back, with none of its pages touched any more. */
void hki_spans_give_back_clean(struct hki_spans *spans, uint32_t page);

#endif
