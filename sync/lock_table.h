/* SPDX-License-Identifier: MIT */
/*
 * The records behind the order of locks: nodes (a lock, or a class of locks) found by
 * their identity, edges found by their two ends, and lists of outer locks that hang on
 * edges (sync/lock_outer.h). Records are numbered; a number stays good while the tables
 * grow, until its record is taken out.
 *
 * The table never allocates by itself: who adds asks first whether there is room, and
 * gets memory for larger tables while it holds no lock. Everything else is under the
 * lock of the owner.
 */
#ifndef HOCKET_SYNC_LOCK_TABLE_H
#define HOCKET_SYNC_LOCK_TABLE_H

#include <hocket/lock_order.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No record. */
#define HKI_LOCK_NONE UINT32_MAX

struct hki_lock_node {
    uint64_t identity; /* 0: free. */
    uint64_t place;    /* In the topological order; no two have the same. */
    uint64_t mark;     /* Of the search that was here last. */
    uint32_t came_by;  /* The edge by which that search came. */
    uint32_t first_out;
    uint32_t first_in;
    uint32_t next_alike; /* Of the same hash; of the free ones. */
    const void *lock;    /* The first seen of its class. */
    char name[HK_LOCK_NAME_BYTES];
};

enum hki_lock_edge_flags {
    HKI_EDGE_ORDER = 1,   /* Part of the order: searches follow it. */
    HKI_EDGE_FIXED = 2,   /* Made where several were sorted: stays while its locks do. */
    HKI_EDGE_REFUSED = 4, /* Stands against the order, and was reported. */
    HKI_EDGE_ALLOWED = 8, /* The two are not judged; on the edge hki_lock_pair() tells. */
};

/* What searches read; the rest is in struct hki_lock_sight. On two lists at once, that of
 * its start and that of its end. */
struct hki_lock_edge {
    uint32_t from; /* HKI_LOCK_NONE: free. */
    uint32_t to;
    uint32_t flags; /* Never 0 while it is in use. */
    uint32_t next_out;
    uint32_t previous_out;
    uint32_t next_in;
    uint32_t previous_in;
    uint32_t next_alike;
    uint32_t outer; /* First of the outer locks that it stands for. */
};

/* One lock of a list that hangs on an edge. Lists share their ends. */
struct hki_lock_outer {
    uint64_t identity; /* Another one than that of the node: it was destroyed since. */
    const void *lock;
    const hk_site *site; /* Where it was taken; may be NULL. */
    uint32_t node;
    uint32_t next; /* Further out; of the free ones. */
    uint32_t uses; /* Edges and records that lead here. */
    bool is_known; /* Of a list that is being learned. */
};

/* How an edge was seen first. */
struct hki_lock_sight {
    const void *from_lock;
    const void *to_lock;
    const hk_site *from_site;
    const hk_site *to_site;
    int thread_id;
    uint32_t frame_count;
    char thread_name[HK_LOCK_THREAD_BYTES];
    void *frames[HK_LOCK_FRAMES];
};

/* One block of memory each; room is a power of two, or 0. */
struct hki_lock_nodes {
    size_t room;
    size_t used; /* Places from the start that were ever in use. */
    size_t live;
    uint32_t free; /* First of those in between. */
    struct hki_lock_node *all;
    uint64_t *places; /* Room for a search, as many as nodes. */
    uint32_t *list;   /* The same. */
    uint32_t *heads;
};

struct hki_lock_edges {
    size_t room;
    size_t used;
    size_t live;
    uint32_t free;
    struct hki_lock_edge *all;
    struct hki_lock_sight *sights; /* One for each edge. */
    uint32_t *heads;
};

struct hki_lock_outers {
    size_t room;
    size_t used;
    size_t live;
    uint32_t free;
    struct hki_lock_outer *all;
};

struct hki_lock_table {
    struct hki_lock_nodes nodes;
    struct hki_lock_edges edges;
    struct hki_lock_outers outers;
};

/* An empty table without room. */
#define HKI_LOCK_TABLE_EMPTY                                                                       \
    {                                                                                              \
        {.free = HKI_LOCK_NONE}, {.free = HKI_LOCK_NONE},                                          \
        {                                                                                          \
            .free = HKI_LOCK_NONE                                                                  \
        }                                                                                          \
    }

/* Allocates empty tables; false, and nothing, without memory. No lock is held. */
bool hki_lock_nodes_alloc(struct hki_lock_nodes *nodes, size_t room);
bool hki_lock_edges_alloc(struct hki_lock_edges *edges, size_t room);
bool hki_lock_outers_alloc(struct hki_lock_outers *outers, size_t room);
void hki_lock_nodes_free(struct hki_lock_nodes *nodes);
void hki_lock_edges_free(struct hki_lock_edges *edges);
void hki_lock_outers_free(struct hki_lock_outers *outers);

/* Moves all records into larger ones; those take their place, and what is to be freed
 * is in larger afterwards. Nothing happens if larger is not. */
void hki_lock_nodes_move(struct hki_lock_nodes *nodes, struct hki_lock_nodes *larger);
void hki_lock_edges_move(struct hki_lock_edges *edges, struct hki_lock_edges *larger);
void hki_lock_outers_move(struct hki_lock_outers *outers, struct hki_lock_outers *larger);

static inline bool hki_lock_table_fits(const struct hki_lock_table *table, size_t nodes,
                                       size_t edges)
{
    return table->nodes.room - table->nodes.live >= nodes &&
           table->edges.room - table->edges.live >= edges;
}

/* HKI_LOCK_NONE if there is none. */
uint32_t hki_lock_node_find(const struct hki_lock_table *table, uint64_t identity);
uint32_t hki_lock_edge_find(const struct hki_lock_table *table, uint32_t from, uint32_t to);

/* A new one, on no list, its name "" and its place not set; HKI_LOCK_NONE without room. */
uint32_t hki_lock_node_add(struct hki_lock_table *table, uint64_t identity);

/* A new one on the lists of its ends, without outer locks, its sight not set; HKI_LOCK_NONE
 * without room. */
uint32_t hki_lock_edge_add(struct hki_lock_table *table, uint32_t from, uint32_t to,
                           uint32_t flags);

/* A record on no list, with one use; HKI_LOCK_NONE without room. */
uint32_t hki_lock_outer_add(struct hki_lock_table *table, const struct hki_lock_outer *outer);

/* One use less of a list: gives its records back up to the first that is used elsewhere. */
void hki_lock_outer_release(struct hki_lock_table *table, uint32_t list);

/* Takes records out. A node must have no edges, an edge no outer locks. */
void hki_lock_edge_remove(struct hki_lock_table *table, uint32_t number);
void hki_lock_node_remove(struct hki_lock_table *table, uint32_t number);

#endif
