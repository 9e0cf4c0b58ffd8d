/* SPDX-License-Identifier: MIT */
/*
 * A look at the wait-for graph: collect what can be reached, then find what can move.
 *
 * The least fixed point of the ANY/ALL rules: at first only MOVES nodes can move; a
 * node joins them when its rule says so; when nobody joins any more the rest is
 * stuck. Cycles need no special care. Graphs here have a handful of nodes, so the
 * plain repetition is enough.
 *
 * All of it under the graph's lock.
 */
#ifndef HOCKET_SYNC_WAIT_LOOK_H
#define HOCKET_SYNC_WAIT_LOOK_H

#include <stdint.h>

#include "sync/wait_node.h"

enum { HKI_LOOK_FEW = 32 };

struct hki_visit {
    struct hki_wait_node node;
    enum hki_wait_kind kind;
    size_t count;
    bool moves;
    /* Of hki_look_way(): positions in visits, from 1; 0 is none. */
    uint32_t before; /* From where it was reached first. */
    uint32_t after;  /* Where the way goes on. */
};

/* The visits are both a queue (breadth first) and, through table, a hash set: table
 * has twice as many places as visits and holds positions from 1. */
struct hki_look {
    struct hki_visit *visits;
    uint32_t *table;
    size_t used;
    size_t room; /* A power of two. */
    bool short_of_memory;
    struct hki_visit few_visits[HKI_LOOK_FEW]; /* Most graphs need no memory. */
    uint32_t few_table[2 * HKI_LOOK_FEW];
};

/* Collects from start on, and settles. Unless it ran short of memory, visits[0] is
 * start, and every visit knows whether it moves. */
void hki_look_from(struct hki_look *look, struct hki_wait_node start);
void hki_look_release(struct hki_look *look);

/* NULL: not reached. */
struct hki_visit *hki_look_find(struct hki_look *look, struct hki_wait_node node);

/* Lays a shortest way from the first visit to target, over what cannot move: each place on
 * it knows the next one by `after`. If there is none, the way goes to one of the furthest. */
void hki_look_way(struct hki_look *look, struct hki_wait_node target);

/* The next place on the way, or NULL. */
struct hki_visit *hki_look_after(struct hki_look *look, const struct hki_visit *place);

#endif
