/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator inside of pages of 64 KiB: a slab is the record of one such page, from
 * which chunks of 256 bytes to 32 KiB are taken. Numbers only; the caller locks.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_SLABS_H
#define HOCKET_EXECUTORS_PROCESS_POOL_SLABS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum {
    HKI_SLAB_UNIT = 256,  /* Bytes of the smallest chunk: order 0. */
    HKI_SLAB_UNITS = 256, /* In a page. */
    HKI_SLAB_ORDERS = 8,
    HKI_SLAB_PAGE = HKI_SLAB_UNIT * HKI_SLAB_UNITS,
};

/* The nodes of a binary tree, as bits: 1 is the whole page, the halves of node n are 2n and
 * 2n + 1; so nodes 256 to 511 are the units. */
struct hki_slab {
    uint64_t free[HKI_SLAB_UNITS * 2 / 64];
    uint64_t out[HKI_SLAB_UNITS * 2 / 64];
    struct hki_list links[HKI_SLAB_ORDERS]; /* Linked: it has a free chunk of that order. */
    uint32_t page;
    uint32_t chunks; /* That are out. */
};

/* The slabs that have a free chunk of an order. */
struct hki_slabs {
    struct hki_list with_free[HKI_SLAB_ORDERS];
};

void hki_slabs_init(struct hki_slabs *slabs);

/* A slab for a page, wholly free; NULL without memory. */
struct hki_slab *hki_slab_create(struct hki_slabs *slabs, uint32_t page);
void hki_slab_destroy(struct hki_slab *slab);

/* A chunk of 2^order units from any slab, and in *unit where it begins; NULL: none has one. */
struct hki_slab *hki_slabs_take(struct hki_slabs *slabs, uint32_t order, uint32_t *unit);

/* The order of the chunk that begins at a unit and is out; HKI_SLAB_ORDERS: there is none. */
uint32_t hki_slab_order(const struct hki_slab *slab, uint32_t unit);

void hki_slab_give_back(struct hki_slabs *slabs, struct hki_slab *slab, uint32_t unit,
                        uint32_t order);

#endif
