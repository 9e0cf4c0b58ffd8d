/* SPDX-License-Identifier: MIT */
/*
 * The crew word of a pool of threads: who would have to hear of new work.
 *
 *     searching  workers that have no task and look for one; they find what comes
 *     sleeping   workers that must be woken
 *     WANTS      a worker could be started; or everybody who brings work is to ask under the
 *                pool's lock, as the pool is closed, broken or without any worker
 *
 * Who brings work publishes it, then reads the word: if nobody searches, and somebody sleeps
 * or is wanted, it calls for help under the pool's lock. A worker that gives up searching, or
 * is about to sleep, says so in the word, then looks for work once more. All of it seq_cst:
 * one of the two sees the other. Who wakes a sleeper counts it as searching at once, so that
 * a burst of submits wakes one and not all; the last searcher that finds something calls for
 * the next one, if there is more.
 *
 * WANTS and sleeping change under the pool's lock, searching at any time.
 */
#ifndef HOCKET_EXECUTORS_CREW_H
#define HOCKET_EXECUTORS_CREW_H

#include <stdatomic.h>
#include <stdbool.h>

#define HKI_CREW_SEARCHING 1U /* 14 bits; 16 for who sleeps: more workers there are not. */
#define HKI_CREW_SLEEPING  (1U << 14)
#define HKI_CREW_WANTS     (1U << 30)

struct hki_crew {
    atomic_uint word;
};

static inline unsigned hki_crew_searching(unsigned word)
{
    return word & (HKI_CREW_SLEEPING - 1);
}

/* For who has brought work, or leaves work behind: whether to call for help. */
static inline bool hki_crew_calls(struct hki_crew *crew)
{
    unsigned word = atomic_load(&crew->word);

    return hki_crew_searching(word) == 0 && word != 0;
}

static inline void hki_crew_add(struct hki_crew *crew, unsigned what)
{
    atomic_fetch_add(&crew->word, what);
}

/* The word after it. */
static inline unsigned hki_crew_remove(struct hki_crew *crew, unsigned what)
{
    return atomic_fetch_sub(&crew->word, what) - what;
}

/* Whether it was not wanted before, and is now. */
static inline bool hki_crew_want(struct hki_crew *crew, bool wants)
{
    if (wants) {
        return (atomic_fetch_or(&crew->word, HKI_CREW_WANTS) & HKI_CREW_WANTS) == 0;
    }
    atomic_fetch_and(&crew->word, ~HKI_CREW_WANTS);
    return false;
}

#endif
