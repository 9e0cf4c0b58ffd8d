/* SPDX-License-Identifier: MIT */
/*
 * The one learned order of the process: its graph, its mutex, its memory and its
 * counters.
 *
 * While the mutex is held nothing is allocated, no stack is walked and nothing of the
 * application is called; no other lock is taken under it, nor it under another.
 */
#ifndef HOCKET_SYNC_LEARNED_ORDER_H
#define HOCKET_SYNC_LEARNED_ORDER_H

#include "sync/lock_graph.h"

struct hki_learned_order {
    struct hki_lock_graph graph;
    uint64_t checks;
    uint64_t inversions;
    uint64_t dropped;
};

struct hki_learned_order *hki_learned_lock(void);
void hki_learned_unlock(void);

/* Between the two calls above: finds room for so many more nodes, edges and outer locks, or
 * at the limit as much as there is. Releases the mutex while it allocates, so what was read before
 * is old. False without memory. */
bool hki_learned_make_room(size_t nodes, size_t edges, size_t outers);

/* Says once in the life of the process that not all is kept. No lock is held. */
void hki_learned_tell_loss(bool no_memory);

#endif
