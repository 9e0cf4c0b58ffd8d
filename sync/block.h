/* SPDX-License-Identifier: MIT */
/*
 * Every sleep of the library stands between these two calls: so the wait-for graph
 * knows it, the pool makes up for a worker that sleeps, and a wait that could never
 * end is refused.
 *
 *     status = hki_block_begin(agent, node, deadline_ns != HKI_NEVER);
 *     if (status == HK_OK) {
 *         ...sleep until it is there, or the deadline...
 *         hki_block_end(agent);
 *     }
 *
 * No lock of the library is held at either call: a look at the node takes the lock
 * of its object.
 */
#ifndef HOCKET_SYNC_BLOCK_H
#define HOCKET_SYNC_BLOCK_H

#include "sync/wait_graph.h"

/* Publishes the wait. HK_EDEADLK, and not begun, if it could never end: what waits
 * for what has been logged. HK_ENOMEM: nobody can tell, see hki_wait_graph_begin(). */
hk_status hki_block_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed);

void hki_block_end(struct hki_agent *agent);

#endif
