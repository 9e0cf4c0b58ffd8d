/* SPDX-License-Identifier: MIT */
/*
 * What an executor counts, without a lock and without a word that all threads fight for:
 * each of its workers has counts of its own, all other threads share one.
 *
 * A worker's counts are written by it alone: a load and a store, no locked operation. What a
 * reader sees may be a moment old; but who has seen a job's end sees it counted, for the
 * count was stored before, and ACCEPTED is never behind what ended.
 */
#ifndef HOCKET_EXECUTORS_WORK_COUNTS_H
#define HOCKET_EXECUTORS_WORK_COUNTS_H

#include <stdatomic.h>
#include <stdint.h>

enum hki_counted {
    HKI_ACCEPTED,   /* Jobs that were made. */
    HKI_UNCOUNTED,  /* Of these, errands of the library, and those refused after all. */
    HKI_ENDED_WELL, /* From here on without errands. */
    HKI_ENDED_ILL,
    HKI_ENDED_EARLY, /* Cancelled. */
    HKI_STARTED,
    HKI_STOPPED,  /* Not running any more. */
    HKI_RESOLVED, /* Who ended it is done with the executor. Errands as well. */
    HKI_COUNTED_KINDS
};

struct hki_work_counts {
    _Atomic(uint64_t) of[HKI_COUNTED_KINDS];
};

/* By its only writer. */
static inline void hki_work_count_own_many(struct hki_work_counts *counts, enum hki_counted what,
                                           uint64_t more)
{
    /* relaxed: nobody else writes it. */
    uint64_t count = atomic_load_explicit(&counts->of[what], memory_order_relaxed);

    /* release: pairs with the acquire in hki_work_count_read(); what was counted earlier, also by
     * others, is seen by who sees this. */
    atomic_store_explicit(&counts->of[what], count + more, memory_order_release);
}

static inline void hki_work_count_own(struct hki_work_counts *counts, enum hki_counted what)
{
    hki_work_count_own_many(counts, what, 1);
}

static inline uint64_t hki_work_count_read(const struct hki_work_counts *counts,
                                           enum hki_counted what)
{
    /* acquire: pairs with hki_work_count_own(). */
    return atomic_load_explicit(&((struct hki_work_counts *)counts)->of[what],
                                memory_order_acquire);
}

#endif
