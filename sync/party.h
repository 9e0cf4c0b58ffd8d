/* SPDX-License-Identifier: MIT */
/*
 * Parties: threads that have declared themselves as those who will act on an object
 * that has no owner (a queue, a latch). Undeclared, anybody might act, and waits for
 * the object count as able to end.
 *
 * All lists are guarded by the graph's lock. Zero-filled memory is an empty list.
 */
#ifndef HOCKET_SYNC_PARTY_H
#define HOCKET_SYNC_PARTY_H

#include "sync/wait_graph.h"

struct hki_party;

struct hki_parties {
    _Atomic(struct hki_party *) first;
};

/* Whether there are any; without the lock. */
static inline bool hki_parties_any(const struct hki_parties *parties)
{
    return atomic_load(&parties->first) != NULL;
}

/* Declares the calling thread; idempotent. Inside a task it holds until the task
 * ends, else until it is taken back or the thread ends. HK_ENOMEM. */
hk_status hki_parties_bind(struct hki_parties *parties);

/* Takes it back; HK_ESTATE if the calling thread is not bound. */
hk_status hki_parties_unbind(struct hki_parties *parties);

/* Forgets all, before the object is freed. */
void hki_parties_clear(struct hki_parties *parties);

/* Takes back what the agent declared at this depth of tasks and deeper. */
void hki_parties_leave(struct hki_agent *agent, unsigned depth);

/* For the object's struct hki_wait_ops, under the graph's lock: who waits can move when
 * any party can (kind HKI_WAIT_ANY), or when all can (HKI_WAIT_ALL: a latch). With
 * nobody declared: HKI_WAIT_MOVES. */
enum hki_wait_kind hki_parties_look(const struct hki_parties *parties, enum hki_wait_kind kind,
                                    size_t *count);
struct hki_wait_node hki_parties_next(const struct hki_parties *parties, size_t i);

#endif
