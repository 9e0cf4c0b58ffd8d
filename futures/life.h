/* SPDX-License-Identifier: MIT */
/*
 * The life of a future in one word: in the lower half the state, its phase and what is known of
 * it; in the upper half how many hold it. See future_impl.h for what the state says.
 *
 * Whoever gives up the last reference has the object, and sees all that earlier owners did with
 * it. Whoever sees the end sees what was written before it.
 */
#ifndef HOCKET_FUTURES_LIFE_H
#define HOCKET_FUTURES_LIFE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HKI_PENDING = 0,
    HKI_RUNNING = 1,
    HKI_ENDING = 2,
    HKI_DONE = 3,
    HKI_FAILED = 4,
    HKI_CANCELLED = 5,
    HKI_PHASE = 7, /* The bits of the phase. */
    HKI_WATCHED = 1 << 3,
    HKI_DRAINING = 1 << 4,
    HKI_STOP = 1 << 5,
    HKI_OBSERVED = 1 << 6,
    HKI_TAKEN = 1 << 7,
    HKI_SHARED = 1 << 8,
    HKI_CANCELLING = 1 << 9,
    /* The size of a value in body, plus one; 0: it is in the rest. With DONE. */
    HKI_BODY_SIZE_SHIFT = 16,
    HKI_BODY_SIZE = 15 << HKI_BODY_SIZE_SHIFT,
    /* The size of an input in body: see executors/job.h. */
    HKI_INPUT_SIZE_SHIFT = 20,
    HKI_INPUT_SIZE_MAX = 15,
    /* The last byte of the fork generation: 256 processes, each the child of the one before,
     * would have to inherit a future until it were taken for a child's own. */
    HKI_GENERATION_SHIFT = 24,
};

#define HKI_REFERENCE ((uint64_t)1 << 32)

struct hki_life {
    _Atomic(uint64_t) word;
};

static inline unsigned hki_phase(unsigned state)
{
    return state & HKI_PHASE;
}

static inline bool hki_phase_ended(unsigned state)
{
    return hki_phase(state) >= HKI_DONE;
}

/* The state with another phase, and perhaps more that belongs to it. */
static inline unsigned hki_with_phase(uint64_t word, unsigned phase)
{
    return ((unsigned)word & ~(unsigned)HKI_PHASE) | phase;
}

static inline unsigned hki_life_references(uint64_t word)
{
    return (unsigned)(word / HKI_REFERENCE);
}

static inline void hki_life_init(struct hki_life *life, unsigned references, unsigned state)
{
    atomic_init(&life->word, references * HKI_REFERENCE + state);
}

static inline uint64_t hki_life_see(struct hki_life *life)
{
    /* acquire: pairs with the exchanges below that publish, so that whoever sees the end may
     * read what was written before it. */
    return atomic_load_explicit(&life->word, memory_order_acquire);
}

/* Puts a state in the place of the one that was seen, if nothing has changed since; else sees
 * again. */
static inline bool hki_life_swap(struct hki_life *life, uint64_t *seen, unsigned state)
{
    return atomic_compare_exchange_weak(&life->word, seen,
                                        *seen / HKI_REFERENCE * HKI_REFERENCE + state);
}

/* PENDING -> RUNNING; the word before, or the one that stands against it. */
static inline bool hki_life_start(struct hki_life *life, uint64_t *word)
{
    *word = hki_life_see(life);
    do {
        if (hki_phase((unsigned)*word) != HKI_PENDING) {
            return false;
        }
    } while (!hki_life_swap(life, word, hki_with_phase(*word, HKI_RUNNING)));
    return true;
}

/* To ENDING from a phase up to `latest`, PENDING or RUNNING; the word before. False: somebody
 * else was first. */
static inline bool hki_life_claim_end(struct hki_life *life, unsigned latest, uint64_t *word)
{
    *word = hki_life_see(life);
    do {
        if (hki_phase((unsigned)*word) > latest) {
            return false;
        }
    } while (!hki_life_swap(life, word, hki_with_phase(*word, HKI_ENDING)));
    return true;
}

/* From PENDING or RUNNING, taking a reference in the same step. */
static inline bool hki_life_claim_end_and_hold(struct hki_life *life)
{
    uint64_t word = hki_life_see(life);

    do {
        if (hki_phase((unsigned)word) > HKI_RUNNING) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&life->word, &word,
                                           word / HKI_REFERENCE * HKI_REFERENCE + HKI_REFERENCE +
                                               hki_with_phase(word, HKI_ENDING)));
    return true;
}

/* To an ended phase, by who has the right to. False: somebody watches, and nothing has
 * happened. */
static inline bool hki_life_publish(struct hki_life *life, unsigned phase)
{
    uint64_t word = hki_life_see(life);

    do {
        if ((word & HKI_WATCHED) != 0) {
            return false;
        }
    } while (!hki_life_swap(life, &word, hki_with_phase(word, phase)));
    return true;
}

/* The same, giving up a reference in the same step. *last: it was the last one. */
static inline bool hki_life_publish_and_let_go(struct hki_life *life, unsigned phase, bool *last)
{
    uint64_t word = hki_life_see(life);

    do {
        if ((word & HKI_WATCHED) != 0) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&life->word, &word,
                                           word / HKI_REFERENCE * HKI_REFERENCE - HKI_REFERENCE +
                                               hki_with_phase(word, phase)));
    *last = hki_life_references(word) == 1;
    return true;
}

/* Says that somebody watches, unless it has ended: then false. */
static inline bool hki_life_watch(struct hki_life *life, uint64_t *word)
{
    *word = hki_life_see(life);
    while (!hki_phase_ended((unsigned)*word)) {
        if ((*word & HKI_WATCHED) != 0 ||
            hki_life_swap(life, word, (unsigned)*word | HKI_WATCHED)) {
            return true;
        }
    }
    return false;
}

static inline void hki_life_hold(struct hki_life *life)
{
    /* relaxed: the caller has a reference, so the object is stable. */
    atomic_fetch_add_explicit(&life->word, HKI_REFERENCE, memory_order_relaxed);
}

/* True for the last owner. Who reads that he is alone needs no exchange. */
static inline bool hki_life_let_go(struct hki_life *life)
{
    /* acquire, in here: pairs with the exchanges of those who were owners before. */
    return hki_life_references(hki_life_see(life)) == 1 ||
           /* acq_rel: pairs with itself; the last owner sees all earlier uses. */
           hki_life_references(
               atomic_fetch_sub_explicit(&life->word, HKI_REFERENCE, memory_order_acq_rel)) == 1;
}

/* Gives up a reference that is not the last; else false. */
static inline bool hki_life_let_go_shared(struct hki_life *life)
{
    /* relaxed: a first guess; the exchange looks again. */
    uint64_t word = atomic_load_explicit(&life->word, memory_order_relaxed);

    while (hki_life_references(word) > 1) {
        /* release: pairs with hki_life_let_go(), whose last owner sees all earlier uses.
         * relaxed: a failure is another guess. */
        if (atomic_compare_exchange_weak_explicit(&life->word, &word, word - HKI_REFERENCE,
                                                  memory_order_release, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

#endif
