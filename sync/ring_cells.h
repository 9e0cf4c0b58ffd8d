/* SPDX-License-Identifier: MIT */
/*
 * The array of a ring: cells that tickets lead to, and nothing that waits.
 *
 * A put takes a ticket from the tail, a get one from the head; ticket t belongs to cell
 * t modulo the capacity. The sequence of a cell says whose turn it is:
 *
 *     2t      free for the put with ticket t
 *     2t + 1  holds the item of ticket t, for the get with ticket t
 *
 * so a get leaves 2(t + capacity) behind. Doubled, that is also unambiguous with a single
 * cell. Only the owner of the turn writes a cell, so a cell that is found free (full) for
 * a ticket stays so until somebody takes that ticket: several can be taken at once after
 * one look at each cell.
 *
 * Closed is the top bit of the tail. It is set in the same word that tickets are taken
 * from, so no put comes after it, and tail and head say exactly whether anything is left.
 */
#ifndef HOCKET_SYNC_RING_CELLS_H
#define HOCKET_SYNC_RING_CELLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HKI_CELLS_CLOSED (UINT64_C(1) << 63)

enum { HKI_CACHE_LINE = 64 };

struct hki_cell {
    _Atomic(uint64_t) sequence;
    void *item;
};

/* What putters write and what getters write lie apart from each other. */
struct hki_cells {
    struct hki_cell *cell;
    uint64_t mask; /* Capacity - 1. */
    char apart_1[HKI_CACHE_LINE];
    _Atomic(uint64_t) tail; /* Next ticket of a put; top bit: closed. */
    char apart_2[HKI_CACHE_LINE];
    _Atomic(uint64_t) head; /* Next ticket of a get. */
    char apart_3[HKI_CACHE_LINE];
};

/* What came of a try. */
enum hki_cells_result { HKI_CELLS_DONE, HKI_CELLS_NOT_NOW, HKI_CELLS_CLOSED_FOR_GOOD };

static inline struct hki_cell *hki_cell_of(struct hki_cells *cells, uint64_t ticket)
{
    return &cells->cell[ticket & cells->mask];
}

/* How many cells from the ticket on have the turn that is theirs, up to max. turn 0: they are
 * free; 1: they hold an item. */
static inline size_t hki_cells_ready(struct hki_cells *cells, uint64_t ticket, unsigned turn,
                                     size_t max)
{
    size_t ready = 0;

    while (ready < max) {
        /* acquire, pairs with the releases of hki_cells_put() and hki_cells_take(): the
         * item, or that the one before was read, comes with the turn. */
        uint64_t sequence = atomic_load_explicit(&hki_cell_of(cells, ticket + ready)->sequence,
                                                 memory_order_acquire);

        if (sequence != 2 * (ticket + ready) + turn) {
            break;
        }
        ready++;
    }
    return ready;
}

/* Puts up to count items next to each other; done says how many. */
static inline enum hki_cells_result hki_cells_put(struct hki_cells *cells, void *const *items,
                                                  size_t count, size_t *done)
{
    /* relaxed: the tickets order nothing, the turns of the cells do. */
    uint64_t tail = atomic_load_explicit(&cells->tail, memory_order_relaxed);
    size_t free;

    for (;;) {
        uint64_t seen = tail;

        if ((tail & HKI_CELLS_CLOSED) != 0) {
            return HKI_CELLS_CLOSED_FOR_GOOD;
        }
        free = hki_cells_ready(cells, tail, 0, count);
        if (free == 0) {
            /* relaxed: only whether the ticket was old. */
            tail = atomic_load_explicit(&cells->tail, memory_order_relaxed);
            if (tail == seen) {
                return HKI_CELLS_NOT_NOW;
            }
            /* relaxed: as above. */
        } else if (atomic_compare_exchange_weak_explicit(&cells->tail, &tail, tail + free,
                                                         memory_order_relaxed,
                                                         memory_order_relaxed)) {
            break;
        }
    }
    for (size_t i = 0; i < free; i++) {
        struct hki_cell *cell = hki_cell_of(cells, tail + i);

        cell->item = items[i];
        /* release, pairs with hki_cells_ready() of the get with this ticket. */
        atomic_store_explicit(&cell->sequence, 2 * (tail + i) + 1, memory_order_release);
    }
    *done = free;
    return HKI_CELLS_DONE;
}

/* Takes up to max items; done says how many. */
static inline enum hki_cells_result hki_cells_take(struct hki_cells *cells, void **items,
                                                   size_t max, size_t *done)
{
    /* relaxed: the tickets order nothing, the turns of the cells do. */
    uint64_t head = atomic_load_explicit(&cells->head, memory_order_relaxed);
    size_t full;

    for (;;) {
        uint64_t seen = head;

        full = hki_cells_ready(cells, head, 1, max);
        if (full == 0) {
            /* relaxed: only whether the ticket was old. */
            head = atomic_load_explicit(&cells->head, memory_order_relaxed);
            if (head == seen) {
                /* acquire, pairs with hki_cells_close(): what came before the close. */
                return atomic_load_explicit(&cells->tail, memory_order_acquire) ==
                               (head | HKI_CELLS_CLOSED)
                           ? HKI_CELLS_CLOSED_FOR_GOOD
                           : HKI_CELLS_NOT_NOW;
            }
            /* relaxed: as above. */
        } else if (atomic_compare_exchange_weak_explicit(&cells->head, &head, head + full,
                                                         memory_order_relaxed,
                                                         memory_order_relaxed)) {
            break;
        }
    }
    for (size_t i = 0; i < full; i++) {
        struct hki_cell *cell = hki_cell_of(cells, head + i);

        items[i] = cell->item;
        /* release, pairs with hki_cells_ready() of the put one round later. */
        atomic_store_explicit(&cell->sequence, 2 * (head + i + cells->mask + 1),
                              memory_order_release);
    }
    *done = full;
    return HKI_CELLS_DONE;
}

/* No ticket is given to a put after this. */
static inline void hki_cells_close(struct hki_cells *cells)
{
    atomic_fetch_or(&cells->tail, HKI_CELLS_CLOSED);
}

/* How many tickets puts have taken. */
static inline uint64_t hki_cells_tickets(const struct hki_cells *cells)
{
    return atomic_load(&cells->tail) & ~HKI_CELLS_CLOSED;
}

static inline bool hki_cells_closed(const struct hki_cells *cells)
{
    return (atomic_load(&cells->tail) & HKI_CELLS_CLOSED) != 0;
}

/* Whether a take would bring something, or say that it never will. */
static inline bool hki_cells_can_take(struct hki_cells *cells)
{
    uint64_t head = atomic_load(&cells->head);
    uint64_t seen;

    do {
        seen = head;
        if (atomic_load(&cells->tail) == (head | HKI_CELLS_CLOSED) ||
            atomic_load(&hki_cell_of(cells, head)->sequence) == 2 * head + 1) {
            return true;
        }
        /* Taken meanwhile? Then the next may be there. */
        head = atomic_load(&cells->head);
    } while (head != seen);
    return false;
}

/* Whether a put would do something, or say that it never will. */
static inline bool hki_cells_can_put(struct hki_cells *cells)
{
    uint64_t tail = atomic_load(&cells->tail);
    uint64_t seen;

    do {
        seen = tail;
        if ((tail & HKI_CELLS_CLOSED) != 0 ||
            atomic_load(&hki_cell_of(cells, tail)->sequence) == 2 * tail) {
            return true;
        }
        tail = atomic_load(&cells->tail);
    } while (tail != seen);
    return false;
}

#endif
