/* SPDX-License-Identifier: MIT */
/*
 * What a thread shows with its outer locks, without an edge from each of them.
 *
 * Who holds a and b and takes c has shown a before c and b before c. The second is an edge;
 * the first follows from it if a before b is known, so it hangs on that edge: a record
 * in its list of outer locks, which mostly is that of the edge a -> b and shared with it.
 * So n locks that are nested cost n edges and not n * n / 2.
 *
 * A pair a, c is known if there is an edge of the order a -> c, or if a hangs on an edge
 * b -> c, still lives, and the two are not allowed in any order.
 *
 * Invariant: if a hangs on b -> c, then the pair a, b is known, or there is an edge a -> c.
 *
 * Why nothing is lost by it
 *   - What is judged depends on nothing but which locks a way of edges leads to. From the
 *     invariant, by induction over the place of c, a way leads from a to c for each pair
 *     that is known; and nothing is known that no thread has shown. So every way is the one
 *     that an edge for each pair would give.
 *   - A lock that was taken by a try, whose policy is off, that is allowed with a or that was
 *     taken when there was no memory has no known pair with a: then a does not hang on its
 *     edge, but on that of another lock, or has an edge of its own.
 *   - When an edge goes (a lock is destroyed, a pair is allowed), what hung on it is learned
 *     again by other edges, and so is what relied on it: hki_lock_outer_relearn(),
 *     hki_lock_outer_part(). What was shown by b alone goes with b, as it must.
 *
 * All of it is under the lock of the owner of the graph.
 */
#ifndef HOCKET_SYNC_LOCK_OUTER_H
#define HOCKET_SYNC_LOCK_OUTER_H

#include "sync/lock_graph.h"

/* Whether an entry of the list of an edge that leads to the node stands for anything. */
bool hki_lock_outer_counts(const struct hki_lock_graph *graph, const struct hki_lock_outer *outer,
                           uint32_t to);

/* Whether each of held[0..count), but for those that are allowed, is known to come before
 * wanted. */
bool hki_lock_outer_knows(struct hki_lock_graph *graph, const struct hki_held *held, size_t count,
                          const struct hki_held *wanted);

/* Makes it so, but for what would close a cycle. The sight is how it was seen; its locks
 * are filled in. False if there was no room for all. */
bool hki_lock_outer_learn(struct hki_lock_graph *graph, const struct hki_held *held, size_t count,
                          const struct hki_held *wanted, struct hki_lock_sight *sight);

/* Learns what hung on an edge to the node, which is taken out, and gives the list back. The
 * sight is that of the edge, and may still stand in its place. False without room. */
bool hki_lock_outer_relearn(struct hki_lock_graph *graph, uint32_t list, uint32_t to,
                            const struct hki_lock_sight *seen);

/* Before the pair is not known any more: gives the first an edge to whatever it comes before
 * by hanging on an edge of the second. False without room. */
bool hki_lock_outer_part(struct hki_lock_graph *graph, uint32_t first, uint32_t second);

/* How many edges and records the two calls above can need for a node, at most. */
size_t hki_lock_outer_load(const struct hki_lock_graph *graph, uint32_t node);

#endif
