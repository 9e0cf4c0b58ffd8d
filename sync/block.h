/* SPDX-License-Identifier: MIT */
/*
 * Every sleep of the library stands between these calls: so the wait-for graph
 * knows it, the pool makes up for a worker that sleeps, and a wait that could never
 * end is refused.
 *
 *     status = hki_block_begin(agent, node, deadline_ns != HKI_NEVER);
 *     if (status == HK_OK) {
 *         ...sleep until it is there, or the deadline...
 *         hki_block_end(agent);
 *     }
 *
 * No lock of the library is held at any of them: a look at the node takes the lock
 * of its object.
 */
#ifndef HOCKET_SYNC_BLOCK_H
#define HOCKET_SYNC_BLOCK_H

#include <stdint.h>

#include "base/time.h"
#include "sync/wait_graph.h"

/* Publishes the wait. HK_EDEADLK, and not begun, if it could never end: what waits
 * for what has been logged; or, told nowhere, if one has begun. HK_ENOMEM: nobody can tell, see
 * hki_wait_graph_begin(). */
hk_status hki_block_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed);

void hki_block_end(struct hki_agent *agent);

/* What a sleep that has run out gives. One without a deadline does only in a world (see
 * base/world.h), where nothing is left that could end it. */
static inline hk_status hki_block_ran_out(int64_t deadline_ns)
{
    return deadline_ns == HKI_NEVER ? HK_EDEADLK : HK_ETIMEDOUT;
}

/*
 * For what is short as a rule, a lock: the pool is not told at once, since a spare
 * worker would cost more than the wait. Sleep until hki_block_patience(); if it is still
 * not there, and the deadline is later, go on after hki_block_lengthen(), which tells the
 * pool and looks again. Unless that gives HK_OK, the block has ended.
 */
hk_status hki_block_begin_briefly(struct hki_agent *agent, struct hki_wait_node wanted, bool timed);
int64_t hki_block_patience(const struct hki_agent *agent, int64_t deadline_ns);
hk_status hki_block_lengthen(struct hki_agent *agent, struct hki_wait_node wanted, bool timed);

/* Whether somebody may wait for this thread, the caller: nobody else can be part of a cycle. */
bool hki_block_is_awaited(const struct hki_agent *agent);

/* Whether the wait that has begun counts for others' looks. Then it is to be woken whenever
 * what it waits for was there, also if another gets it, to look again. */
bool hki_block_is_looked_at(const struct hki_agent *agent);

/*
 * Until when it may sleep before it looks again: soon at first, then ever more seldom.
 * Most rings are seen by who closes them; but a wait for one of several can also get
 * stuck because another one drops out, which ends, or takes back its promise, and need
 * not look: a future that ended without the error that is waited for, a party of a queue.
 * looks begins at 0. Timed waits, and those that nobody may wait for: the deadline.
 */
int64_t hki_block_until(const struct hki_agent *agent, int64_t deadline_ns, unsigned *looks);

/* Looks at the same wait once more, before it goes on sleeping: for objects that may have
 * opened for a moment, and that closed again by who need not look. Unless that gives HK_OK,
 * the block has ended. */
hk_status hki_block_look_again(struct hki_agent *agent, struct hki_wait_node wanted, bool timed);

/*
 * What is waited for can be taken only once, by this thread or by another: then taking
 * it and not waiting any more must be one step for whoever looks. Else a look could find
 * it gone, and believe that this thread, which has it, still waits.
 *
 * Under the lock of the object, where it is taken: a look that finds it gone (under the
 * same lock) sees in its second walk that the wait was served.
 */
void hki_block_served(struct hki_agent *agent);

/* Objects without a lock: around every attempt after the wait has begun. No lock of the
 * library is held at the first, and none is taken in between that comes before the graph's. */
void hki_block_attempt_begin(struct hki_agent *agent);
void hki_block_attempt_end(struct hki_agent *agent, bool served);

/* Whether waits with a lock held are told in the log: hk_waits_warn_blocking(). */
void hki_block_warn(bool on);

#endif
