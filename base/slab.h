/* SPDX-License-Identifier: MIT */
/*
 * Small objects of one size that are made on one thread and released on another, all the time.
 *
 * Each thread keeps two magazines of every class, chains of free objects; as long as they
 * serve, an object costs a few plain loads and stores. An empty or a full one is exchanged at
 * the class's depot (base/depot.h), so what one thread releases another finds, 64 at a time.
 *
 * To everybody else objects are allocations like those of hki_alloc(): they count as live
 * blocks, and tests can make any of them fail. Nothing is kept, and each object comes
 * from the allocator and goes back to it, while an application's own allocator is set, in a build
 * with a sanitizer that looks at memory or at races, and with HOCKET_ALLOC=malloc.
 * (HOCKET_ALLOC=cache keeps in spite of a sanitizer.)
 */
#ifndef HOCKET_BASE_SLAB_H
#define HOCKET_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

/* A number for each class. */
enum hki_slab_slot {
    HKI_SLAB_JOBS,
    HKI_SLAB_SLIM_JOBS,
    HKI_SLAB_RESTS,
    HKI_SLAB_PROMISES,
    HKI_SLAB_STEPS,
    HKI_SLAB_HOOKS,
    HKI_SLAB_ENTRIES,
    HKI_SLAB_ERRANDS,
    HKI_SLAB_TRIALS, /* Of tests. */
    HKI_SLAB_SLOTS
};

struct hki_slab_class {
    enum hki_slab_slot slot;
    uint32_t size; /* Bytes of an object, to HKI_SLAB_LARGEST. */
};

enum { HKI_SLAB_LARGEST = 2048 };

/* Uninitialised, aligned to 64 bytes where it comes from a slab, else for any type. NULL: no
 * memory. */
__attribute__((malloc)) void *hki_slab_alloc(const struct hki_slab_class *kind);

/* The same, set to zero. */
__attribute__((malloc)) void *hki_slab_zalloc(const struct hki_slab_class *kind);

/* On any thread. object is not NULL. */
void hki_slab_free(const struct hki_slab_class *kind, void *object);

/* What is kept of all classes, as far as no other thread has it in a magazine, goes back. */
void hki_slab_trim(void);

/* Adds what is in use to the statistics. Exact as hki_tally_sum() is. */
void hki_slab_count(uint64_t *blocks, uint64_t *bytes, uint64_t *allocations);

#endif
