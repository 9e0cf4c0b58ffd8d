/* SPDX-License-Identifier: MIT */
/*
 * The set of chains that were validated: keys alone, which is all there is to know.
 *
 * A line holds eight keys, and a key belongs to one line, where it begins to look at a
 * place of its own; so it costs one cache miss to learn that a chain is known, and one
 * compare if it came first. A full line loses a key: that chain is checked again.
 */
#include "sync/lock_chains.h"

#include <stdatomic.h>

enum { PLACE_BITS = 16, LINE_PLACES = 8 };

/* 0: free. Nothing is published through a key: who finds it acts on the key alone. */
static _Alignas(64) _Atomic(uint64_t) places[1U << PLACE_BITS];

static atomic_uint_fast64_t added;

static inline size_t place_of(uint64_t key, size_t i)
{
    return (size_t)(key >> (64 - PLACE_BITS)) ^ i;
}

static inline uint64_t key_at(uint64_t key, size_t i)
{
    /* relaxed: the key is the whole message. */
    return atomic_load_explicit(&places[place_of(key, i)], memory_order_relaxed);
}

bool hki_chains_have(uint64_t key)
{
    for (size_t i = 0; i < LINE_PLACES; i++) {
        uint64_t found = key_at(key, i);

        if (found == key) {
            return key != 0;
        }
        if (found == 0) {
            return false;
        }
    }
    return false;
}

void hki_chains_add(uint64_t key)
{
    uint64_t number;
    size_t i = 0;

    if (key == 0 || hki_chains_have(key)) {
        return;
    }
    /* relaxed: a statistic, and a source of different victims. */
    number = atomic_fetch_add_explicit(&added, 1, memory_order_relaxed);
    while (i < LINE_PLACES && key_at(key, i) != 0) {
        i++;
    }
    if (i == LINE_PLACES) {
        i = (size_t)number % LINE_PLACES;
    }
    /* relaxed: the key is the whole message. If two write at once one is lost, and
     * checked again. */
    atomic_store_explicit(&places[place_of(key, i)], key, memory_order_relaxed);
}

uint64_t hki_chains_added(void)
{
    return atomic_load(&added);
}
