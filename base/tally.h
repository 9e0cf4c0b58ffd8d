/* SPDX-License-Identifier: MIT */
/*
 * Counters that many threads move all the time and hardly anybody reads.
 *
 * Each thread has a cell of its own for every counter, which it alone writes: a load and
 * a store, where a shared word would cost a locked instruction and its line. A counter's
 * value is the sum of all threads' cells and of what ended threads have left; one cell alone may
 * be negative, as what one thread made another may end.
 *
 * A reader who has synchronised with the writers (joined them, or seen the end of a
 * future) gets the exact sum; any other gets one that some cells have since passed.
 */
#ifndef HOCKET_BASE_TALLY_H
#define HOCKET_BASE_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/live.h"
#include "base/slab.h"

enum {
    HKI_TALLY_BLOCKS, /* Of base/memory.c, as the next two. */
    HKI_TALLY_BYTES,
    HKI_TALLY_ALLOCATIONS,
    HKI_TALLY_LIVE, /* The first of base/live.c. */
    /* The first of base/slab.c: how many objects of each class were made, and released. Two
     * that only grow, as how many were made is asked for, too. */
    HKI_TALLY_MADE = HKI_TALLY_LIVE + HKI_LIVE_KINDS,
    HKI_TALLY_RELEASED = HKI_TALLY_MADE + HKI_SLAB_SLOTS,
    HKI_TALLIES = HKI_TALLY_RELEASED + HKI_SLAB_SLOTS
};

struct hki_tally {
    atomic_int_fast64_t cells[HKI_TALLIES];
    struct hki_list link; /* Among all threads'. Under the list's lock. */
    bool is_listed;       /* The thread's own. */
    bool has_ended;       /* It is, and no destructor will come for it again. */
};

extern _Thread_local struct hki_tally hki_own_tally __attribute__((tls_model("initial-exec")));

/* The first of a thread, and those it makes at its very end. */
void hki_tally_add_slowly(unsigned counter, int64_t change);

static inline void hki_tally_add(unsigned counter, int64_t change)
{
    atomic_int_fast64_t *cell = &hki_own_tally.cells[counter];

    if (__builtin_expect(!hki_own_tally.is_listed, false)) {
        hki_tally_add_slowly(counter, change);
        return;
    }
    /* relaxed: this thread is the only writer, and nothing is published through it; who
     * wants an exact sum has synchronised otherwise. */
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + change,
                          memory_order_relaxed);
}

int64_t hki_tally_sum(unsigned counter);

#endif
