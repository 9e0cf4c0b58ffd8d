/* SPDX-License-Identifier: MIT */
/*
 * The order of locks: learned from what threads do, and what contradicts it.
 *
 * Whoever holds A and takes B has said "A before B". The graph of these edges stays
 * without cycles: an edge that would close one is an inversion, two threads that do
 * both at one moment would wait for each other for ever. So a possible deadlock is
 * found by the first run that shows both orders, however unlikely the deadlock.
 *
 * A thread sums up the identities of what it holds in a key, one multiplication a lock.
 * Keys of chains whose edges are all known are in a lock-free set: taking a lock that
 * was taken before under the same locks costs one look there, and neither the graph nor
 * its mutex. Two different chains have the same key with a chance of 2^-64.
 *
 * What the caller does, holding no lock of the library:
 *
 *     wanted.key = hki_order_mix(count > 0 ? held[count - 1].key : hki_order_seed(),
 *                                wanted.identity);
 *     if (count > 0 && !hki_order_known(wanted.key)) {
 *         status = hki_order_check(held, count, &wanted, policy);
 *     }
 *
 * Rules
 *   - An identity stands for a lock, or for a class of them; 0 takes no part, and leaves
 *     the key as it is.
 *   - Locks of one identity have one policy: the set of known chains does not ask.
 *   - Only the wanted lock is judged against the held ones, never these among each
 *     other: a lock that was taken by a try has no edge to it, but edges from it.
 *   - Two locks of one class at once are an inversion of their own kind. A chain of two
 *     of one class has the key of "the same lock twice": who allows the first must find
 *     the second by itself.
 *   - Without memory, or at the limit of 2^20 locks, locks go on and unknown ones are not
 *     checked. It is counted, and logged once.
 *   - A policy that changes counts for what is taken from then on by a thread that holds
 *     nothing; what a thread holds keeps its key.
 */
#ifndef HOCKET_SYNC_LOCK_ORDER_H
#define HOCKET_SYNC_LOCK_ORDER_H

#include <hocket/lock_order.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/held.h"

/* Never 0, and never again. */
uint64_t hki_order_new_identity(void);

/* The key of the empty chain. Another one after every change that makes known chains
 * unknown. Use hki_order_seed(). */
extern _Atomic(uint64_t) hki_order_seed_word;

static inline uint64_t hki_order_seed(void)
{
    /* relaxed: a stale seed only means that this chain began before the change. */
    return atomic_load_explicit(&hki_order_seed_word, memory_order_relaxed);
}

/* The key of a chain with one more lock. Identities are random-looking words, so one
 * multiplication spreads them; it also makes the order count. */
static inline uint64_t hki_order_mix(uint64_t key, uint64_t identity)
{
    return identity == 0 ? key : (key ^ identity) * UINT64_C(0x9E3779B97F4A7C15);
}

/* Whether a chain was validated. Lock-free; looks into one cache line. A chain may be
 * forgotten again, when many share a line. */
bool hki_order_known(uint64_t key);

/* Makes all known chains unknown: another seed. */
void hki_order_renew(void);

/* The policy that counts for a lock whose own is given. */
hk_lock_policy hki_order_policy(hk_lock_policy own);

/*
 * Whether wanted may be acquired while held[0..count) are held: makes it known that each of
 * them comes before it, by new edges or as what follows from them (sync/lock_outer.h), and
 * makes wanted->key known.
 *
 * HK_OK; HK_EORDER with policy refuse: nothing is learned, nothing is to be acquired.
 * Whatever the policy, a report is delivered, once for each pair. With report what does
 * not stand against the order is learned all the same. Off: HK_OK without looking. The
 * application's hook and its allocator are called with no lock of the library held.
 */
hk_status hki_order_check(const struct hki_held *held, size_t count, const struct hki_held *wanted,
                          hk_lock_policy policy);

/*
 * Puts wanted[0..n) into the order in which all of them may be acquired while
 * held[0..count) are held: the graph's own topological order, of one identity by
 * address, those without identity last. The edges from the held ones and among the
 * wanted ones are added in the same breath, so threads with any two sets agree, and
 * nobody contradicts an edge that was learned before.
 *
 * HK_OK; HK_EORDER if a held lock stands against a wanted one, as for
 * hki_order_check(): the order is then as it was. Off: sorts, and keeps to it, but
 * judges nothing.
 * Of wanted, key is not read: fill the keys in afterwards.
 */
hk_status hki_order_sort(const struct hki_held *held, size_t count, struct hki_held *wanted,
                         size_t n, hk_lock_policy policy);

/* From now on the two may be taken in any order, also without a report: what was
 * learned between them is dropped. one == other: two of that class at once. HK_EINVAL
 * for the identity 0; HK_ENOMEM. */
hk_status hki_order_allow(uint64_t one, uint64_t other);

/* The lock, or class, is destroyed: drops all that was learned about it. */
void hki_order_forget(uint64_t identity);

/* Test hooks: forget everything, allowed pairs too, and give the memory back; and let
 * no more locks be known than a power of two (0: as many as ever). */
void hki_order_reset(void);
void hki_order_limit(size_t nodes_max);

#endif
