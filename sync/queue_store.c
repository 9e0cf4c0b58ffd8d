/* SPDX-License-Identifier: MIT */
#include "sync/queue_store.h"

#include <string.h>

#include "base/memory.h"

enum { ROOM_MIN = 16 };

/* The first power of two that holds count; 0 if there is none whose bytes can be counted. */
static size_t room_for(size_t count, size_t each)
{
    size_t room = ROOM_MIN;

    while (room < count) {
        if (room > SIZE_MAX / 2 / each) {
            return 0;
        }
        room *= 2;
    }
    return room;
}

static size_t entry_size(const struct hki_store *store)
{
    return hki_store_is_heap(store) ? sizeof(*store->heap) : sizeof(*store->items);
}

bool hki_store_grow(struct hki_store *store, size_t more)
{
    size_t each = entry_size(store);
    size_t room = more > SIZE_MAX - store->count ? 0 : room_for(store->count + more, each);
    void *array = room == 0 ? NULL : hki_alloc(room * each);

    if (array == NULL) {
        return false;
    }
    if (hki_store_is_heap(store)) {
        if (store->count != 0) {
            memcpy(array, store->heap, store->count * each);
        }
        hki_store_release(store);
        store->heap = array;
    } else {
        void **items = array;

        for (size_t i = 0; i < store->count; i++) {
            items[i] = store->items[(store->head + i) & (store->room - 1)];
        }
        hki_store_release(store);
        store->items = items;
        store->head = 0;
    }
    store->room = room;
    return true;
}

void hki_store_release(struct hki_store *store)
{
    hki_free(store->items, store->room * entry_size(store));
    store->items = NULL;
    store->room = 0;
}

static bool leaves_before(const struct hki_store_entry *one, const struct hki_store_entry *other)
{
    return one->key < other->key || (one->key == other->key && one->sequence < other->sequence);
}

/* The hole rises until its parent leaves before the entry. */
void hki_store_push_heap(struct hki_store *store, void *item, int64_t key)
{
    struct hki_store_entry entry = {key, store->sequence++, item};
    size_t at = store->count++;

    while (at > 0 && leaves_before(&entry, &store->heap[(at - 1) / 2])) {
        store->heap[at] = store->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    store->heap[at] = entry;
}

/* The hole at the top sinks until the last entry fits in. */
void *hki_store_pop_heap(struct hki_store *store)
{
    void *item = store->heap[0].item;
    struct hki_store_entry last = store->heap[--store->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= store->count) {
            break;
        }
        if (child + 1 < store->count &&
            leaves_before(&store->heap[child + 1], &store->heap[child])) {
            child++;
        }
        if (!leaves_before(&store->heap[child], &last)) {
            break;
        }
        store->heap[at] = store->heap[child];
        at = child;
    }
    store->heap[at] = last;
    return item;
}
