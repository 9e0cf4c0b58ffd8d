/* SPDX-License-Identifier: MIT */
/* What the magazines of a thread do when they are empty or full, and when it ends. */
#include "base/slab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/magazine.h"

_Thread_local struct hki_magazines hki_own_magazines[HKI_SLAB_SLOTS]
    __attribute__((tls_model("initial-exec")));
static _Thread_local bool is_enlisted;
static _Thread_local bool has_ended;

static pthread_key_t key;
static atomic_bool has_key;
static atomic_uint enlisted; /* Threads. */

/* Bytes of each class's objects, for the statistics. */
static _Atomic(uint32_t) sizes[HKI_SLAB_SLOTS];

static void empty_magazines(void)
{
    for (unsigned slot = 0; slot < HKI_SLAB_SLOTS; slot++) {
        struct hki_magazines *mine = &hki_own_magazines[slot];

        if (mine->spare != NULL) {
            hki_depot_put((enum hki_slab_slot)slot, mine->spare);
        }
        if (mine->loaded != NULL && mine->room == 0) {
            hki_depot_put((enum hki_slab_slot)slot, mine->loaded);
        } else if (mine->loaded != NULL) {
            hki_depot_send_home((enum hki_slab_slot)slot, mine->loaded);
        }
        *mine = (struct hki_magazines){NULL, NULL, is_enlisted ? HKI_MAGAZINE : 0};
    }
}

static void leave(void *value)
{
    (void)value;
    is_enlisted = false;
    has_ended = true; /* No destructor need come for this thread again. */
    empty_magazines();
    atomic_fetch_sub(&enlisted, 1);
}

/* Whether this thread may have magazines. */
static bool enlist(void)
{
    if (is_enlisted) {
        return true;
    }
    if (has_ended || !atomic_load(&has_key) || pthread_setspecific(key, hki_own_magazines) != 0) {
        return false;
    }
    is_enlisted = true;
    atomic_fetch_add(&enlisted, 1);
    for (unsigned slot = 0; slot < HKI_SLAB_SLOTS; slot++) {
        hki_own_magazines[slot].room = HKI_MAGAZINE;
    }
    return true;
}

static void *take_from_depot(const struct hki_slab_class *kind, struct hki_magazines *mine)
{
    uint32_t count;
    struct hki_spare *chain = hki_depot_take(kind->slot, kind->size, &count);

    if (chain == NULL) {
        return NULL;
    }
    /* relaxed: always the same number; who sees an object counted has synchronised. */
    atomic_store_explicit(&sizes[kind->slot], kind->size, memory_order_relaxed);
    if (!enlist()) {
        hki_depot_send_home(kind->slot, chain->next);
        hki_tally_add(HKI_TALLY_MADE + kind->slot, 1);
        return chain;
    }
    mine->loaded = chain;
    mine->room = HKI_MAGAZINE - count;
    return hki_magazine_pop(kind, mine);
}

void *hki_slab_alloc_slowly(const struct hki_slab_class *kind, unsigned reasons)
{
    struct hki_magazines *mine = &hki_own_magazines[kind->slot];

    if ((reasons & HKI_MEMORY_UNSETTLED) != 0) {
        reasons = hki_memory_settle();
    }
    if ((reasons & (HKI_MEMORY_UNCACHED | HKI_MEMORY_FOREIGN)) != 0) {
        return hki_alloc(kind->size);
    }
    if (hki_memory_should_fail()) {
        return NULL;
    }
    if (mine->loaded == NULL && mine->spare == NULL) {
        return take_from_depot(kind, mine);
    }
    if (mine->loaded == NULL) {
        *mine = (struct hki_magazines){mine->spare, NULL, 0};
    }
    return hki_magazine_pop(kind, mine);
}

void *hki_slab_alloc(const struct hki_slab_class *kind)
{
    return hki_magazine_alloc(kind);
}

void *hki_slab_zalloc(const struct hki_slab_class *kind)
{
    void *object = hki_slab_alloc(kind);

    if (object != NULL) {
        memset(object, 0, kind->size);
    }
    return object;
}

void hki_slab_free_slowly(const struct hki_slab_class *kind, struct hki_spare *object,
                          unsigned reasons)
{
    struct hki_magazines *mine = &hki_own_magazines[kind->slot];

    if ((reasons & (HKI_MEMORY_UNCACHED | HKI_MEMORY_FOREIGN)) != 0) {
        hki_free(object, kind->size);
        return;
    }
    if (!enlist()) {
        object->next = NULL;
        hki_depot_send_home(kind->slot, object);
        hki_tally_add(HKI_TALLY_RELEASED + kind->slot, 1);
        return;
    }
    if (mine->room == 0) {
        if (mine->spare != NULL) {
            hki_depot_put(kind->slot, mine->spare);
        }
        *mine = (struct hki_magazines){NULL, mine->loaded, HKI_MAGAZINE};
    }
    hki_magazine_push(kind, mine, object);
}

void hki_slab_free(const struct hki_slab_class *kind, void *object)
{
    hki_magazine_free(kind, object);
}

void hki_slab_trim(void)
{
    empty_magazines();
    for (unsigned slot = 0; slot < HKI_SLAB_SLOTS; slot++) {
        hki_depot_trim((enum hki_slab_slot)slot);
    }
}

void hki_slab_count(uint64_t *blocks, uint64_t *bytes, uint64_t *allocations)
{
    for (unsigned slot = 0; slot < HKI_SLAB_SLOTS; slot++) {
        /* In this order: an object that is made and released in between is not missed, but counts
         * as live for this once. */
        int64_t released = hki_tally_sum(HKI_TALLY_RELEASED + slot);
        int64_t made = hki_tally_sum(HKI_TALLY_MADE + slot);
        uint64_t live = (uint64_t)(made - released);

        *blocks += live;
        /* relaxed: as where it is stored. */
        *bytes += live * atomic_load_explicit(&sizes[slot], memory_order_relaxed);
        *allocations += (uint64_t)made;
    }
}

/* The priority lets constructors of the application make objects. */
__attribute__((constructor(101))) static void take_key(void)
{
    atomic_store(&has_key, pthread_key_create(&key, leave) == 0);
}

/* A library that is unloaded must leave no key behind whose destructor is gone, nor memory, if
 * nobody can be using it. Going home one by one would take long, and nobody asks any more. */
__attribute__((destructor(101))) static void give_back(void)
{
    uint64_t blocks = 0;
    uint64_t ignored = 0;

    if (!atomic_exchange(&has_key, false)) {
        return;
    }
    pthread_key_delete(key);
    hki_slab_count(&blocks, &ignored, &ignored);
    if (blocks != 0 || atomic_load(&enlisted) != (is_enlisted ? 1U : 0U)) {
        return;
    }
    is_enlisted = false;
    memset(hki_own_magazines, 0, sizeof(hki_own_magazines));
    for (unsigned slot = 0; slot < HKI_SLAB_SLOTS; slot++) {
        hki_depot_dissolve((enum hki_slab_slot)slot);
    }
}
