/* SPDX-License-Identifier: MIT */
/* Orders of locks as graphs for Graphviz. */
#ifndef HOCKET_SYNC_LOCK_DOT_H
#define HOCKET_SYNC_LOCK_DOT_H

#include "sync/lock_graph.h"
#include "sync/lock_text.h"

/* A line of output is shorter, whatever the names and paths are. */
enum { HKI_DOT_LINE_BYTES = 4096 };

/* The cycle of a report, the wrong step in red. False with errno if it cannot be
 * written. */
bool hki_dot_report(const hk_lock_report *report, int fd);

/* The lines around and of a graph, each a statement of its own. A node or an edge of
 * that number that is not in use writes nothing. */
void hki_dot_open(struct hki_text *text);
void hki_dot_node(struct hki_text *text, const struct hki_lock_graph *graph, uint32_t number);
void hki_dot_edge(struct hki_text *text, const struct hki_lock_graph *graph, uint32_t number);
void hki_dot_close(struct hki_text *text);

#endif
