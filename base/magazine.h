/* SPDX-License-Identifier: MIT */
/*
 * The magazines of a thread, see base/slab.h: for who makes and releases objects so often that
 * a call is too much. Of the two the spare one is full or missing, so a thread that makes and
 * releases around a boundary does not go to the depot each time.
 *
 * The zero state (nothing loaded, no room) sends both ways to the slow path: it is what a
 * thread begins with, and what it has again after its end, when destructors of other keys may
 * still make and release objects. Then they come from the slabs and go to them one by one.
 */
#ifndef HOCKET_BASE_MAGAZINE_H
#define HOCKET_BASE_MAGAZINE_H

#include <stdatomic.h>

#include "base/depot.h"
#include "base/memory.h"
#include "base/slab.h"
#include "base/tally.h"

struct hki_magazines {
    struct hki_spare *loaded;
    struct hki_spare *spare;
    uint32_t room; /* How many more objects the loaded one takes. */
};

extern _Thread_local struct hki_magazines hki_own_magazines[HKI_SLAB_SLOTS]
    __attribute__((tls_model("initial-exec")));

/* --- slab.c --- */

void *hki_slab_alloc_slowly(const struct hki_slab_class *kind, unsigned reasons);
void hki_slab_free_slowly(const struct hki_slab_class *kind, struct hki_spare *object,
                          unsigned reasons);

/* --- in line --- */

static inline void *hki_magazine_pop(const struct hki_slab_class *kind, struct hki_magazines *mine)
{
    struct hki_spare *object = mine->loaded;

    mine->loaded = object->next;
    __builtin_prefetch(mine->loaded, 1); /* The next one is wanted soon, and lies anywhere. */
    mine->room++;
    hki_tally_add(HKI_TALLY_MADE + kind->slot, 1);
    return object;
}

static inline void hki_magazine_push(const struct hki_slab_class *kind, struct hki_magazines *mine,
                                     struct hki_spare *object)
{
    object->next = mine->loaded;
    mine->loaded = object;
    mine->room--;
    hki_tally_add(HKI_TALLY_RELEASED + kind->slot, 1);
}

/* As hki_slab_alloc(). */
static inline void *hki_magazine_alloc(const struct hki_slab_class *kind)
{
    struct hki_magazines *mine = &hki_own_magazines[kind->slot];
    /* relaxed: what switches caching on or off does so before there are objects, or, in a
     * test, on the thread that allocates. */
    unsigned reasons = atomic_load_explicit(&hki_memory_reasons, memory_order_relaxed);

    if (__builtin_expect(mine->loaded == NULL || reasons != 0, false)) {
        return hki_slab_alloc_slowly(kind, reasons);
    }
    return hki_magazine_pop(kind, mine);
}

/* As hki_slab_free(). */
static inline void hki_magazine_free(const struct hki_slab_class *kind, void *object)
{
    struct hki_magazines *mine = &hki_own_magazines[kind->slot];
    /* relaxed: as above. */
    unsigned reasons = atomic_load_explicit(&hki_memory_reasons, memory_order_relaxed);

    if (__builtin_expect(mine->room == 0 || reasons != 0, false)) {
        hki_slab_free_slowly(kind, object, reasons);
        return;
    }
    hki_magazine_push(kind, mine, object);
}

#endif
