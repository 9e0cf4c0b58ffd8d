/* SPDX-License-Identifier: MIT */
/*
 * Free spans are in circular lists by index, two for each order: of those with touched pages
 * and of those without. The last given back is the first taken, for its pages are in caches.
 *
 * Invariants: two free buddies do not exist, they are one span. The bit of a page that is
 * taken says nothing; that of a free one whether it was written to.
 */
#include "executors/process_pool/spans.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

enum { WORD_BITS = 64 };

static size_t record_count(const struct hki_spans *spans)
{
    return (size_t)spans->pages + 2 * HKI_SPAN_ORDERS;
}

static size_t word_count(const struct hki_spans *spans)
{
    return ((size_t)spans->pages + WORD_BITS - 1) / WORD_BITS;
}

static uint32_t head_of(const struct hki_spans *spans, uint32_t order, bool touched)
{
    return spans->pages + 2 * order + touched;
}

static void put_free(struct hki_spans *spans, uint32_t page, uint32_t order, uint32_t touched)
{
    uint32_t head = head_of(spans, order, touched > 0);
    struct hki_span *span = &spans->span[page];

    span->state = HKI_SPAN_FREE;
    span->order = (uint8_t)order;
    span->touched = touched;
    span->previous = head;
    span->next = spans->span[head].next;
    spans->span[span->next].previous = page;
    spans->span[head].next = page;
}

static void unlink_free(struct hki_spans *spans, uint32_t page)
{
    struct hki_span *span = &spans->span[page];

    spans->span[span->previous].next = span->next;
    spans->span[span->next].previous = span->previous;
    span->state = HKI_SPAN_INSIDE;
}

/* --- Bits ---------------------------------------------------------------------------- */

static uint64_t bits_of(uint32_t page, uint32_t order)
{
    uint64_t bits = order >= HKI_PIECE_ORDER ? UINT64_MAX : ((uint64_t)1 << (1U << order)) - 1;

    return bits << (page % WORD_BITS);
}

static uint32_t words_of(uint32_t order)
{
    return order <= HKI_PIECE_ORDER ? 1 : 1U << (order - HKI_PIECE_ORDER);
}

static uint32_t count_touched(const struct hki_spans *spans, uint32_t page, uint32_t order)
{
    const uint64_t *word = &spans->touched[page / WORD_BITS];
    uint64_t bits = bits_of(page, order);
    uint32_t count = 0;

    for (uint32_t i = 0; i < words_of(order); i++) {
        count += (uint32_t)__builtin_popcountll(word[i] & bits);
    }
    return count;
}

static void set_touched(struct hki_spans *spans, uint32_t page, uint32_t order, bool touched)
{
    uint64_t *word = &spans->touched[page / WORD_BITS];
    uint64_t bits = bits_of(page, order);

    for (uint32_t i = 0; i < words_of(order); i++) {
        word[i] = touched ? word[i] | bits : word[i] & ~bits;
    }
}

/* --- Taking and giving back ------------------------------------------------------------ */

static uint32_t floor_log2(uint32_t value)
{
    return 31 - (uint32_t)__builtin_clz(value);
}

hk_status hki_spans_init(struct hki_spans *spans, uint32_t pages)
{
    memset(spans, 0, sizeof(*spans));
    spans->pages = pages;
    if (pages == 0) {
        return HK_OK;
    }
    spans->orders = floor_log2(pages) + 1;
    spans->span = hki_zalloc(record_count(spans) * sizeof(*spans->span));
    if (spans->span == NULL) {
        return HK_ENOMEM;
    }
    spans->touched = hki_zalloc(word_count(spans) * sizeof(*spans->touched));
    if (spans->touched == NULL) {
        hki_free(spans->span, record_count(spans) * sizeof(*spans->span));
        return HK_ENOMEM;
    }
    for (uint32_t i = pages; i < record_count(spans); i++) {
        spans->span[i].next = i;
        spans->span[i].previous = i;
    }
    for (uint32_t page = 0, order; page < pages; page += 1U << order) {
        uint32_t aligned = page == 0 ? HKI_SPAN_ORDERS - 1 : (uint32_t)__builtin_ctz(page);
        uint32_t fits = floor_log2(pages - page);

        order = aligned < fits ? aligned : fits;
        put_free(spans, page, order, 0);
    }
    return HK_OK;
}

void hki_spans_fini(struct hki_spans *spans)
{
    if (spans->pages != 0) {
        hki_free(spans->span, record_count(spans) * sizeof(*spans->span));
        hki_free(spans->touched, word_count(spans) * sizeof(*spans->touched));
    }
}

static void mark_taken(struct hki_spans *spans, uint32_t page, uint32_t order, uint32_t touched,
                       enum hki_span_state state)
{
    spans->span[page].state = (uint8_t)state;
    spans->span[page].order = (uint8_t)order;
    spans->span[page].owner = NULL;
    spans->free_touched -= touched;
}

/* A free span of an order, or HKI_NO_SPAN. */
static uint32_t first_free(const struct hki_spans *spans, uint32_t order)
{
    for (int touched = 1; touched >= 0; touched--) {
        uint32_t head = head_of(spans, order, touched != 0);

        if (spans->span[head].next != head) {
            return spans->span[head].next;
        }
    }
    return HKI_NO_SPAN;
}

uint32_t hki_spans_take(struct hki_spans *spans, uint32_t order)
{
    uint32_t page = HKI_NO_SPAN;
    uint32_t at = order;
    uint32_t touched;

    while (at < spans->orders && (page = first_free(spans, at)) == HKI_NO_SPAN) {
        at++;
    }
    if (page == HKI_NO_SPAN) {
        return HKI_NO_SPAN;
    }
    touched = spans->span[page].touched;
    unlink_free(spans, page);
    while (at > order) {
        uint32_t lower;

        at--;
        lower = touched == 0 ? 0 : count_touched(spans, page, at);
        put_free(spans, page + (1U << at), at, touched - lower);
        touched = lower;
    }
    mark_taken(spans, page, order, touched, HKI_SPAN_TAKEN);
    return page;
}

/* Joins it with its free buddies. */
static void merge(struct hki_spans *spans, uint32_t page, uint32_t touched)
{
    uint32_t order = spans->span[page].order;

    spans->free_touched += touched;
    spans->span[page].state = HKI_SPAN_INSIDE;
    for (; order + 1 < spans->orders; order++) {
        uint32_t buddy = page ^ (1U << order);

        if (buddy >= spans->pages || spans->span[buddy].state != HKI_SPAN_FREE ||
            spans->span[buddy].order != order) {
            break;
        }
        unlink_free(spans, buddy);
        touched += spans->span[buddy].touched;
        page = page < buddy ? page : buddy;
    }
    put_free(spans, page, order, touched);
}

void hki_spans_give_back(struct hki_spans *spans, uint32_t page)
{
    uint32_t order = spans->span[page].order;

    HKI_ASSERT(spans->span[page].state == HKI_SPAN_TAKEN);
    set_touched(spans, page, order, true);
    merge(spans, page, 1U << order);
}

uint32_t hki_spans_take_touched(struct hki_spans *spans, uint64_t *touched)
{
    uint32_t order = spans->orders;
    uint32_t page = 0;
    uint32_t count;
    uint32_t head;

    do {
        if (order == 0) {
            return HKI_NO_SPAN;
        }
        head = head_of(spans, --order, true);
        page = spans->span[head].previous; /* Free for longer than the others. */
    } while (page == head);
    count = spans->span[page].touched;
    unlink_free(spans, page);
    while (order > HKI_PIECE_ORDER) {
        uint32_t upper = page + (1U << --order);
        uint32_t lower_count = count_touched(spans, page, order);

        if (lower_count > 0) {
            put_free(spans, upper, order, count - lower_count);
            count = lower_count;
        } else {
            put_free(spans, page, order, 0);
            page = upper;
        }
    }
    mark_taken(spans, page, order, count, HKI_SPAN_AWAY);
    *touched = (spans->touched[page / WORD_BITS] & bits_of(page, order)) >> (page % WORD_BITS);
    return page;
}

void hki_spans_give_back_clean(struct hki_spans *spans, uint32_t page)
{
    HKI_ASSERT(spans->span[page].state == HKI_SPAN_AWAY);
    set_touched(spans, page, spans->span[page].order, false);
    merge(spans, page, 0);
}
