/* SPDX-License-Identifier: MIT */
/*
 * The graph of learned orders, kept without cycles.
 *
 * Every node has a place in a topological order that is mended with each edge (the
 * algorithm of Pearce and Kelly): an edge that agrees with the places costs nothing,
 * and one that does not moves only nodes whose places lie between its ends.
 *
 * Invariant: place(from) < place(to) for every edge of the order.
 *
 * All of it is under the lock of the owner; what can run out of room says so.
 */
#ifndef HOCKET_SYNC_LOCK_GRAPH_H
#define HOCKET_SYNC_LOCK_GRAPH_H

#include "sync/held.h"
#include "sync/lock_table.h"

struct hki_lock_graph {
    struct hki_lock_table table;
    uint64_t first_place; /* None is lower; they begin in the middle of all numbers. */
    uint64_t last_place;  /* None is higher. */
    uint64_t last_mark;
    size_t order_edges; /* Those of the order among all edges. */
    /* The search under way: */
    uint64_t highest_target; /* Place of the last of its targets. */
    size_t seen;             /* Nodes in the list of the table. */
};

#define HKI_LOCK_GRAPH_EMPTY                                                                       \
    {                                                                                              \
        .table = HKI_LOCK_TABLE_EMPTY, .first_place = UINT64_C(1) << 63,                           \
        .last_place = UINT64_C(1) << 63                                                            \
    }

static inline struct hki_lock_node *hki_lock_node_at(const struct hki_lock_graph *graph,
                                                     uint32_t number)
{
    return &graph->table.nodes.all[number];
}

static inline struct hki_lock_edge *hki_lock_edge_at(const struct hki_lock_graph *graph,
                                                     uint32_t number)
{
    return &graph->table.edges.all[number];
}

/* The node of a lock, a new one if there is none; new ones come last in the order.
 * HKI_LOCK_NONE for the identity 0, and without room. */
uint32_t hki_lock_graph_node(struct hki_lock_graph *graph, const struct hki_held *lock);

/* Whether the edge is part of the order; nodes may be HKI_LOCK_NONE. */
bool hki_lock_graph_has(const struct hki_lock_graph *graph, uint32_t from, uint32_t to);

/* Whether the pair, in whichever order, is not to be judged. */
bool hki_lock_graph_allows(const struct hki_lock_graph *graph, uint32_t one, uint32_t other);

/* Whether the step was noted by hki_lock_graph_refuse(); nodes may be HKI_LOCK_NONE. */
bool hki_lock_graph_refuses(const struct hki_lock_graph *graph, uint32_t from, uint32_t to);

/* A search: begin, name targets, run. It finds the target with the fewest steps from
 * start that the order leads to, or HKI_LOCK_NONE. start is no target. */
void hki_lock_search_begin(struct hki_lock_graph *graph);
void hki_lock_search_target(struct hki_lock_graph *graph, uint32_t number);
uint32_t hki_lock_search_run(struct hki_lock_graph *graph, uint32_t start);

/* An edge with the names of its ends, for people. */
void hki_lock_graph_show(const struct hki_lock_graph *graph, uint32_t number, hk_lock_edge *out);

/* Right after a search: how many steps lead from start to the target it found; writes
 * the first of them, as far as there is room. A step is an edge, or what was seen as one
 * and follows from others (sync/lock_outer.h). */
size_t hki_lock_search_path(struct hki_lock_graph *graph, uint32_t start, uint32_t target,
                            hk_lock_edge *edges, size_t room);

enum hki_lock_learned { HKI_LEARNED, HKI_LEARNED_BEFORE, HKI_LEARNED_CYCLE, HKI_LEARNED_NO_ROOM };

/* Adds an edge to the order, if it closes no cycle; flags are added to one that is
 * there. The sight is copied for a new one. from and to are not the same. */
enum hki_lock_learned hki_lock_graph_learn(struct hki_lock_graph *graph, uint32_t from, uint32_t to,
                                           uint32_t flags, const struct hki_lock_sight *sight);

/* Notes that the step stands against the order, and was reported; without room it will
 * be reported again. */
void hki_lock_graph_refuse(struct hki_lock_graph *graph, uint32_t from, uint32_t to,
                           const struct hki_lock_sight *sight);

/* Drops what was learned between the two, but for what is fixed, and lets them be.
 * False without room. */
bool hki_lock_graph_allow(struct hki_lock_graph *graph, uint32_t one, uint32_t other);

/* Takes the node out, with all its edges; what hung on these is kept, else false. */
bool hki_lock_graph_forget(struct hki_lock_graph *graph, uint32_t number);

#endif
