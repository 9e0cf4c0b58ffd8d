/* SPDX-License-Identifier: MIT */
/* Invariant: two free buddies do not exist below the halves of a page, they are one chunk; the
 * two halves are never joined, for they are one exactly when no chunk is out. */
#include "executors/process_pool/slabs.h"

#include <stddef.h>

#include "base/memory.h"

enum { WORD_BITS = 64 };

/* The first node of an order; there are as many as its number. */
static uint32_t first_node(uint32_t order)
{
    return HKI_SLAB_UNITS >> order;
}

static bool bit_is_set(const uint64_t *bits, uint32_t node)
{
    return (bits[node / WORD_BITS] >> (node % WORD_BITS) & 1) != 0;
}

static void set_bit(uint64_t *bits, uint32_t node)
{
    bits[node / WORD_BITS] |= (uint64_t)1 << (node % WORD_BITS);
}

static void clear_bit(uint64_t *bits, uint32_t node)
{
    bits[node / WORD_BITS] &= ~((uint64_t)1 << (node % WORD_BITS));
}

/* A free node of an order; 0: there is none. */
static uint32_t find_free(const struct hki_slab *slab, uint32_t order)
{
    uint32_t first = first_node(order);

    if (first < WORD_BITS) {
        uint64_t bits = slab->free[0] & (((uint64_t)1 << first) - 1) << first;

        return bits == 0 ? 0 : (uint32_t)__builtin_ctzll(bits);
    }
    for (uint32_t word = first / WORD_BITS; word < 2 * first / WORD_BITS; word++) {
        if (slab->free[word] != 0) {
            return word * WORD_BITS + (uint32_t)__builtin_ctzll(slab->free[word]);
        }
    }
    return 0;
}

static void add_free(struct hki_slabs *slabs, struct hki_slab *slab, uint32_t node, uint32_t order)
{
    set_bit(slab->free, node);
    if (!hki_list_linked(&slab->links[order])) {
        hki_list_prepend(&slabs->with_free[order], &slab->links[order]);
    }
}

static void remove_free(struct hki_slab *slab, uint32_t node, uint32_t order)
{
    clear_bit(slab->free, node);
    if (find_free(slab, order) == 0) {
        hki_list_remove(&slab->links[order]);
    }
}

void hki_slabs_init(struct hki_slabs *slabs)
{
    for (uint32_t order = 0; order < HKI_SLAB_ORDERS; order++) {
        hki_list_init(&slabs->with_free[order]);
    }
}

struct hki_slab *hki_slab_create(struct hki_slabs *slabs, uint32_t page)
{
    struct hki_slab *slab = hki_zalloc(sizeof(*slab));

    if (slab == NULL) {
        return NULL;
    }
    slab->page = page;
    for (uint32_t order = 0; order < HKI_SLAB_ORDERS; order++) {
        hki_list_init(&slab->links[order]);
    }
    add_free(slabs, slab, 2, HKI_SLAB_ORDERS - 1);
    add_free(slabs, slab, 3, HKI_SLAB_ORDERS - 1);
    return slab;
}

void hki_slab_destroy(struct hki_slab *slab)
{
    for (uint32_t order = 0; order < HKI_SLAB_ORDERS; order++) {
        hki_list_remove(&slab->links[order]);
    }
    hki_free(slab, sizeof(*slab));
}

struct hki_slab *hki_slabs_take(struct hki_slabs *slabs, uint32_t order, uint32_t *unit)
{
    uint32_t at = order;
    struct hki_list *link;
    struct hki_slab *slab;
    uint32_t node;

    while (hki_list_empty(&slabs->with_free[at])) {
        if (++at == HKI_SLAB_ORDERS) {
            return NULL;
        }
    }
    link = slabs->with_free[at].next;
    slab = HKI_CONTAINER(link - at, struct hki_slab, links);
    node = find_free(slab, at);
    remove_free(slab, node, at);
    while (at > order) {
        node *= 2;
        add_free(slabs, slab, node + 1, --at);
    }
    set_bit(slab->out, node);
    slab->chunks++;
    *unit = (node - first_node(order)) << order;
    return slab;
}

uint32_t hki_slab_order(const struct hki_slab *slab, uint32_t unit)
{
    uint32_t order = 0;

    while (order < HKI_SLAB_ORDERS &&
           ((unit & ((1U << order) - 1)) != 0 ||
            !bit_is_set(slab->out, first_node(order) + (unit >> order)))) {
        order++;
    }
    return order;
}

void hki_slab_give_back(struct hki_slabs *slabs, struct hki_slab *slab, uint32_t unit,
                        uint32_t order)
{
    uint32_t node = first_node(order) + (unit >> order);

    clear_bit(slab->out, node);
    slab->chunks--;
    while (order < HKI_SLAB_ORDERS - 1 && bit_is_set(slab->free, node ^ 1)) {
        remove_free(slab, node ^ 1, order);
        node /= 2;
        order++;
    }
    add_free(slabs, slab, node, order);
}
