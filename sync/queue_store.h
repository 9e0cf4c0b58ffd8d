/* SPDX-License-Identifier: MIT */
/*
 * What a queue keeps its items in: a circular array, a stack or a heap. No locking, no
 * waiting, no limit; the array grows by doubling and is kept.
 */
#ifndef HOCKET_SYNC_QUEUE_STORE_H
#define HOCKET_SYNC_QUEUE_STORE_H

#include <hocket/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a heap: smaller keys leave first, of equals the one that came first. */
struct hki_store_entry {
    int64_t key;
    uint64_t sequence;
    void *item;
};

struct hki_store {
    size_t count;
    union {
        size_t head;       /* FIFO: runs on; the first item is at head modulo room. LIFO: 0. */
        uint64_t sequence; /* Heaps: of the next entry. */
    };
    union {
        void **items;
        struct hki_store_entry *heap; /* PRIORITY and DELAY. */
    };
    size_t room; /* Places in the array: a power of two, or 0 before the first item. */
    hk_queue_order order;
};

static inline bool hki_store_is_heap(const struct hki_store *store)
{
    return store->order >= HK_QUEUE_PRIORITY;
}

/* Makes sure that more items fit. False without memory: as before. */
bool hki_store_grow(struct hki_store *store, size_t more);

static inline bool hki_store_reserve(struct hki_store *store, size_t more)
{
    return store->room - store->count >= more || hki_store_grow(store, more);
}

void hki_store_push_heap(struct hki_store *store, void *item, int64_t key);
void *hki_store_pop_heap(struct hki_store *store);

/* There is room. The key matters to heaps alone. */
static inline void hki_store_push(struct hki_store *store, void *item, int64_t key)
{
    if (hki_store_is_heap(store)) {
        hki_store_push_heap(store, item, key);
    } else {
        /* The head of a stack is always 0. */
        store->items[(store->head + store->count) & (store->room - 1)] = item;
        store->count++;
    }
}

/* There is an item. */
static inline void *hki_store_pop(struct hki_store *store)
{
    if (hki_store_is_heap(store)) {
        return hki_store_pop_heap(store);
    }
    store->count--;
    if (store->order == HK_QUEUE_LIFO) {
        return store->items[store->count];
    }
    return store->items[store->head++ & (store->room - 1)];
}

/* The key of the next to leave, of a heap that has one. */
static inline int64_t hki_store_first_key(const struct hki_store *store)
{
    return store->heap[0].key;
}

/* Releases the array, not the items. */
void hki_store_release(struct hki_store *store);

#endif
