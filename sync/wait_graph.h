/* SPDX-License-Identifier: MIT */
/*
 * The wait-for graph: who waits for what, and who must act. A wait can never end
 * when its node cannot move by the rules of sync/wait_node.h.
 *
 * Rules
 *   - Only threads that somebody may wait for take part: those that run a task or a
 *     callback, hold a lock, or are declared parties. They publish a wait before they
 *     sleep, under the graph's lock, and look in the same breath; so of those who close
 *     a cycle the last one sees it, and exactly one is refused.
 *   - What a published thread could change, it cannot change before it takes the
 *     graph's lock again; so a look sees all of a stuck set at one moment. The one
 *     exception is a lock that it has just been given: see look in sync/lock.c.
 *   - Nodes are read under the lock. Objects that may vanish are kept alive by a
 *     handshake: see hki_agent_leave() and hki_wait_graph_settle().
 */
#ifndef HOCKET_SYNC_WAIT_GRAPH_H
#define HOCKET_SYNC_WAIT_GRAPH_H

#include <hocket/status.h>

#include <stdbool.h>

#include "sync/agent.h"

enum { HKI_WAIT_REPORT_BYTES = 1024 };

/* Publish that the agent is about to wait; every HK_OK is followed by
 * hki_wait_graph_end(). HK_EDEADLK, and nothing published, if the wait could never
 * end: report (HKI_WAIT_REPORT_BYTES) then tells who waits for what. HK_ENOMEM if
 * more is to be looked at than fits on the stack and there is no memory: a wait
 * of which nobody can tell whether it ends is not begun. */
hk_status hki_wait_graph_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed,
                               char *report);

/* Publishes a timed wait once more, without a look. */
void hki_wait_graph_go_on(struct hki_agent *agent, struct hki_wait_node wanted);

void hki_wait_graph_end(struct hki_agent *agent);

/* HK_EDEADLK if start cannot move without target, which cannot move without start:
 * target has published that it waits for start. HK_OK if it can;
 * HK_ENOMEM if there is too much to look at and no memory. */
hk_status hki_wait_graph_reaches(struct hki_wait_node start, struct hki_wait_node target);

/* For what is guarded by the graph's lock besides waits: parties, slots. */
void hki_wait_graph_lock(void);
void hki_wait_graph_unlock(void);

/* Brackets, under the lock, what reads objects of others: see settle. */
void hki_wait_graph_looks(bool begin);

/* Waits for a look that is under way: called by an owner of nodes after they
 * can no longer be reached and before they are freed. */
void hki_wait_graph_settle(void);

#endif
