/* SPDX-License-Identifier: MIT */
/*
 * A work-stealing deque of pointers, bounded: its owner puts at the bottom, everybody takes
 * at the top, the oldest first; the owner alone can take the newest back.
 *
 * After Chase and Lev, "Dynamic Circular Work-Stealing Deque" (SPAA 2005), without growing:
 * an owner that finds it full has another place for what he brings.
 *
 *     top     next to be taken; only ever grows, by compare-and-swap
 *     bottom  next free place; the owner's, who lowers it to reserve the newest for himself
 *
 * Invariants
 *   D1  A place between top and bottom holds an item; it is not written again before top
 *       has passed it.
 *   D2  Who moves top from t to t + 1 has the item of place t, and nobody else has.
 *   D3  The owner takes the newest without a compare-and-swap only if it has seen top below
 *       it after having lowered bottom; whoever takes at the top sees that, or has moved top
 *       before. So both the store of bottom and the loads are seq_cst: no weaker order keeps
 *       a store before a later load of another variable.
 */
#ifndef HOCKET_SYNC_DEQUE_H
#define HOCKET_SYNC_DEQUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { HKI_DEQUE_PLACES = 256, HKI_DEQUE_LINE = 64 };

/* Zero-filled memory is an empty one. */
struct hki_deque {
    _Atomic(int64_t) top;
    char apart_1[HKI_DEQUE_LINE - sizeof(int64_t)];
    _Atomic(int64_t) bottom;
    int64_t top_seen; /* The owner's: top was at least there. */
    char apart_2[HKI_DEQUE_LINE - 2 * sizeof(int64_t)];
    _Atomic(void *) place[HKI_DEQUE_PLACES];
};

static inline _Atomic(void *) *hki_deque_place(struct hki_deque *deque, int64_t i)
{
    return &deque->place[(uint64_t)i % HKI_DEQUE_PLACES];
}

/* The place of the oldest, as far as is known; and, for the owner, the next free one. */
static inline int64_t hki_deque_start(struct hki_deque *deque)
{
    /* relaxed: a hint. */
    return atomic_load_explicit(&deque->top, memory_order_relaxed);
}

static inline int64_t hki_deque_end(struct hki_deque *deque)
{
    /* relaxed: the owner's own. */
    return atomic_load_explicit(&deque->bottom, memory_order_relaxed);
}

/* Writes an item of the owner's, which is not to be seen yet. False: it is full. */
static inline bool hki_deque_write_(struct hki_deque *deque, int64_t bottom, void *item)
{
    if (bottom - deque->top_seen >= HKI_DEQUE_PLACES) {
        /* acquire: pairs with the compare-and-swap of who took it, so that the place is not
         * written before it was read (D1). Neither ThreadSanitizer nor relacy can show its lack,
         * for both run the steps of one thread in their order. */
        deque->top_seen = atomic_load_explicit(&deque->top, memory_order_acquire);
        if (bottom - deque->top_seen >= HKI_DEQUE_PLACES) {
            return false;
        }
    }
    /* relaxed: published by the store of bottom. */
    atomic_store_explicit(hki_deque_place(deque, bottom), item, memory_order_relaxed);
    return true;
}

/* The owner's. False: it is full. A later seq_cst load of the owner's comes after it: so he
 * may ask next whether somebody sleeps who should know. */
static inline bool hki_deque_put(struct hki_deque *deque, void *item)
{
    int64_t bottom = hki_deque_end(deque);

    if (!hki_deque_write_(deque, bottom, item)) {
        return false;
    }
    atomic_store(&deque->bottom, bottom + 1);
    return true;
}

/* The same for as many of count as there is room for; how many. They are seen all at once. */
static inline size_t hki_deque_put_many(struct hki_deque *deque, void *const *items, size_t count)
{
    int64_t bottom = hki_deque_end(deque);
    size_t put = 0;

    while (put < count && hki_deque_write_(deque, bottom + (int64_t)put, items[put])) {
        put++;
    }
    atomic_store(&deque->bottom, bottom + (int64_t)put);
    return put;
}

/* The same without that order, at a third of the price: for who is made to keep it, see
 * hki_os_barrier(). */
static inline bool hki_deque_put_quietly(struct hki_deque *deque, void *item)
{
    int64_t bottom = hki_deque_end(deque);

    if (!hki_deque_write_(deque, bottom, item)) {
        return false;
    }
    /* release: pairs with the load of bottom in hki_deque_take(), after which the place and
     * what the item points to are read. D3 needs no more of a store that raises it. */
    atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_release);
    return true;
}

/* Anybody's: the oldest, if it is wanted (NULL: whatever it is); NULL: there is none. */
static inline void *hki_deque_take_if(struct hki_deque *deque, bool (*wanted)(const void *item))
{
    for (;;) {
        int64_t top = atomic_load(&deque->top);
        void *item;

        if (top >= atomic_load(&deque->bottom)) {
            return NULL;
        }
        /* relaxed: came with bottom. It may have been written again by now, but then top has
         * moved, and the next step fails. */
        item = atomic_load_explicit(hki_deque_place(deque, top), memory_order_relaxed);
        if (wanted != NULL && !wanted(item)) {
            return NULL;
        }
        if (atomic_compare_exchange_strong(&deque->top, &top, top + 1)) {
            return item;
        }
    }
}

static inline void *hki_deque_take(struct hki_deque *deque)
{
    return hki_deque_take_if(deque, NULL);
}

/* The owner's: takes the newest back if it is this one. */
static inline bool hki_deque_take_back(struct hki_deque *deque, const void *item)
{
    /* relaxed: the owner's own, both. */
    int64_t newest = atomic_load_explicit(&deque->bottom, memory_order_relaxed) - 1;
    int64_t top;
    bool is_mine;

    /* relaxed: the owner wrote it. If it was taken long ago, top says so. */
    if (newest < deque->top_seen ||
        atomic_load_explicit(hki_deque_place(deque, newest), memory_order_relaxed) != item) {
        return false;
    }
    atomic_store(&deque->bottom, newest);
    top = atomic_load(&deque->top);
    if (top < newest) {
        return true; /* D3 */
    }
    is_mine = top == newest && atomic_compare_exchange_strong(&deque->top, &top, top + 1);
    /* relaxed: nothing new is published, it is empty either way. */
    atomic_store_explicit(&deque->bottom, newest + 1, memory_order_relaxed);
    return is_mine;
}

/* The owner's: the newest, which he can take back unless others are quicker. NULL: there is
 * none. */
static inline void *hki_deque_newest(struct hki_deque *deque)
{
    int64_t end = hki_deque_end(deque);

    /* relaxed: hki_deque_take_back() decides. Who finds none reads nothing that a taker wrote,
     * and writes no place but by hki_deque_write_(). */
    if (end <= atomic_load_explicit(&deque->top, memory_order_relaxed)) {
        return NULL;
    }
    /* relaxed: the owner wrote it. */
    return atomic_load_explicit(hki_deque_place(deque, end - 1), memory_order_relaxed);
}

/* How many; exact for who is alone. */
static inline size_t hki_deque_count(struct hki_deque *deque)
{
    int64_t top = atomic_load(&deque->top);
    int64_t bottom = atomic_load(&deque->bottom);

    return bottom > top ? (size_t)(bottom - top) : 0;
}

/* How many of a kind; exact while it does not change. */
static inline size_t hki_deque_count_if(struct hki_deque *deque, bool (*wanted)(const void *item))
{
    int64_t top = atomic_load(&deque->top);
    int64_t bottom = atomic_load(&deque->bottom);
    size_t count = 0;

    for (int64_t i = top; i < bottom && i < top + HKI_DEQUE_PLACES; i++) {
        /* relaxed: came with bottom, or was written again since, which is another moment. */
        count += wanted(atomic_load_explicit(hki_deque_place(deque, i), memory_order_relaxed));
    }
    return count;
}

#endif
