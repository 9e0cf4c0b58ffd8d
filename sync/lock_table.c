/* SPDX-License-Identifier: MIT */
/*
 * Two hash tables with chains by number, each of them one block: records, then what goes
 * with them, then the heads of the chains. And a pool of list records.
 */
#include "sync/lock_table.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

static void fill_none(uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        numbers[i] = HKI_LOCK_NONE;
    }
}

/* --- Memory ---------------------------------------------------------------------- */

static size_t nodes_size(size_t room)
{
    return room * (sizeof(struct hki_lock_node) + sizeof(uint64_t) + 2 * sizeof(uint32_t));
}

static size_t edges_size(size_t room)
{
    return room * (sizeof(struct hki_lock_sight) + sizeof(struct hki_lock_edge) + sizeof(uint32_t));
}

bool hki_lock_nodes_alloc(struct hki_lock_nodes *nodes, size_t room)
{
    struct hki_lock_node *all = hki_alloc(nodes_size(room));

    if (all == NULL) {
        return false;
    }
    *nodes = (struct hki_lock_nodes){.room = room, .free = HKI_LOCK_NONE, .all = all};
    nodes->places = (uint64_t *)(all + room);
    nodes->list = (uint32_t *)(nodes->places + room);
    nodes->heads = nodes->list + room;
    fill_none(nodes->heads, room);
    return true;
}

bool hki_lock_edges_alloc(struct hki_lock_edges *edges, size_t room)
{
    struct hki_lock_sight *sights = hki_alloc(edges_size(room));

    if (sights == NULL) {
        return false;
    }
    *edges = (struct hki_lock_edges){.room = room, .free = HKI_LOCK_NONE, .sights = sights};
    edges->all = (struct hki_lock_edge *)(sights + room);
    edges->heads = (uint32_t *)(edges->all + room);
    fill_none(edges->heads, room);
    return true;
}

bool hki_lock_outers_alloc(struct hki_lock_outers *outers, size_t room)
{
    struct hki_lock_outer *all = hki_alloc(room * sizeof(*all));

    if (all == NULL) {
        return false;
    }
    *outers = (struct hki_lock_outers){.room = room, .free = HKI_LOCK_NONE, .all = all};
    return true;
}

void hki_lock_nodes_free(struct hki_lock_nodes *nodes)
{
    hki_free(nodes->all, nodes_size(nodes->room));
    *nodes = (struct hki_lock_nodes){.free = HKI_LOCK_NONE};
}

void hki_lock_edges_free(struct hki_lock_edges *edges)
{
    hki_free(edges->sights, edges_size(edges->room));
    *edges = (struct hki_lock_edges){.free = HKI_LOCK_NONE};
}

void hki_lock_outers_free(struct hki_lock_outers *outers)
{
    hki_free(outers->all, outers->room * sizeof(*outers->all));
    *outers = (struct hki_lock_outers){.free = HKI_LOCK_NONE};
}

/* --- Hashes ---------------------------------------------------------------------- */

/* Identities are well mixed already, see hki_order_new_identity(). */
static uint32_t *node_head(const struct hki_lock_nodes *nodes, uint64_t identity)
{
    return &nodes->heads[identity & (nodes->room - 1)];
}

static uint32_t *edge_head(const struct hki_lock_edges *edges, uint32_t from, uint32_t to)
{
    uint64_t mixed = ((uint64_t)from << 32 | to) * UINT64_C(0x9E3779B97F4A7C15);

    return &edges->heads[(mixed >> 32) & (edges->room - 1)];
}

static void put_node(struct hki_lock_nodes *nodes, uint32_t number)
{
    uint32_t *head = node_head(nodes, nodes->all[number].identity);

    nodes->all[number].next_alike = *head;
    *head = number;
}

static void put_edge(struct hki_lock_edges *edges, uint32_t number)
{
    uint32_t *head = edge_head(edges, edges->all[number].from, edges->all[number].to);

    edges->all[number].next_alike = *head;
    *head = number;
}

void hki_lock_nodes_move(struct hki_lock_nodes *nodes, struct hki_lock_nodes *larger)
{
    struct hki_lock_nodes old = *nodes;

    if (larger->room <= old.room) {
        return;
    }
    if (old.used > 0) {
        memcpy(larger->all, old.all, old.used * sizeof(*old.all));
    }
    larger->used = old.used;
    larger->live = old.live;
    larger->free = old.free;
    for (uint32_t i = 0; i < old.used; i++) {
        if (larger->all[i].identity != 0) {
            put_node(larger, i);
        }
    }
    *nodes = *larger;
    *larger = old;
}

void hki_lock_edges_move(struct hki_lock_edges *edges, struct hki_lock_edges *larger)
{
    struct hki_lock_edges old = *edges;

    if (larger->room <= old.room) {
        return;
    }
    if (old.used > 0) {
        memcpy(larger->all, old.all, old.used * sizeof(*old.all));
        memcpy(larger->sights, old.sights, old.used * sizeof(*old.sights));
    }
    larger->used = old.used;
    larger->live = old.live;
    larger->free = old.free;
    for (uint32_t i = 0; i < old.used; i++) {
        if (larger->all[i].from != HKI_LOCK_NONE) {
            put_edge(larger, i);
        }
    }
    *edges = *larger;
    *larger = old;
}

void hki_lock_outers_move(struct hki_lock_outers *outers, struct hki_lock_outers *larger)
{
    struct hki_lock_outers old = *outers;

    if (larger->room <= old.room) {
        return;
    }
    if (old.used > 0) {
        memcpy(larger->all, old.all, old.used * sizeof(*old.all));
    }
    outers->room = larger->room;
    outers->all = larger->all;
    *larger = old;
}

/* --- Nodes ------------------------------------------------------------------------- */

uint32_t hki_lock_node_find(const struct hki_lock_table *table, uint64_t identity)
{
    const struct hki_lock_nodes *nodes = &table->nodes;
    uint32_t at;

    if (nodes->room == 0) {
        return HKI_LOCK_NONE;
    }
    at = *node_head(nodes, identity);
    while (at != HKI_LOCK_NONE && nodes->all[at].identity != identity) {
        at = nodes->all[at].next_alike;
    }
    return at;
}

uint32_t hki_lock_node_add(struct hki_lock_table *table, uint64_t identity)
{
    struct hki_lock_nodes *nodes = &table->nodes;
    uint32_t number = nodes->free;

    if (number != HKI_LOCK_NONE) {
        nodes->free = nodes->all[number].next_alike;
    } else if (nodes->used < nodes->room) {
        number = (uint32_t)nodes->used++;
    } else {
        return HKI_LOCK_NONE;
    }
    nodes->all[number] = (struct hki_lock_node){
        .identity = identity,
        .came_by = HKI_LOCK_NONE,
        .first_out = HKI_LOCK_NONE,
        .first_in = HKI_LOCK_NONE,
    };
    put_node(nodes, number);
    nodes->live++;
    return number;
}

void hki_lock_node_remove(struct hki_lock_table *table, uint32_t number)
{
    struct hki_lock_nodes *nodes = &table->nodes;
    struct hki_lock_node *node = &nodes->all[number];
    uint32_t *at = node_head(nodes, node->identity);

    HKI_ASSERT(node->first_out == HKI_LOCK_NONE && node->first_in == HKI_LOCK_NONE);
    while (*at != number) {
        at = &nodes->all[*at].next_alike;
    }
    *at = node->next_alike;
    node->identity = 0;
    node->next_alike = nodes->free;
    nodes->free = number;
    nodes->live--;
}

/* --- Edges ------------------------------------------------------------------------- */

uint32_t hki_lock_edge_find(const struct hki_lock_table *table, uint32_t from, uint32_t to)
{
    const struct hki_lock_edges *edges = &table->edges;
    uint32_t at;

    if (edges->room == 0 || from == HKI_LOCK_NONE || to == HKI_LOCK_NONE) {
        return HKI_LOCK_NONE;
    }
    at = *edge_head(edges, from, to);
    while (at != HKI_LOCK_NONE && (edges->all[at].from != from || edges->all[at].to != to)) {
        at = edges->all[at].next_alike;
    }
    return at;
}

static void link_edge(struct hki_lock_table *table, uint32_t number)
{
    struct hki_lock_edge *all = table->edges.all;
    struct hki_lock_edge *edge = &all[number];
    struct hki_lock_node *from = &table->nodes.all[edge->from];
    struct hki_lock_node *to = &table->nodes.all[edge->to];

    edge->previous_out = HKI_LOCK_NONE;
    edge->next_out = from->first_out;
    if (edge->next_out != HKI_LOCK_NONE) {
        all[edge->next_out].previous_out = number;
    }
    from->first_out = number;
    edge->previous_in = HKI_LOCK_NONE;
    edge->next_in = to->first_in;
    if (edge->next_in != HKI_LOCK_NONE) {
        all[edge->next_in].previous_in = number;
    }
    to->first_in = number;
}

static void unlink_edge(struct hki_lock_table *table, uint32_t number)
{
    struct hki_lock_edge *all = table->edges.all;
    const struct hki_lock_edge *edge = &all[number];

    if (edge->previous_out != HKI_LOCK_NONE) {
        all[edge->previous_out].next_out = edge->next_out;
    } else {
        table->nodes.all[edge->from].first_out = edge->next_out;
    }
    if (edge->next_out != HKI_LOCK_NONE) {
        all[edge->next_out].previous_out = edge->previous_out;
    }
    if (edge->previous_in != HKI_LOCK_NONE) {
        all[edge->previous_in].next_in = edge->next_in;
    } else {
        table->nodes.all[edge->to].first_in = edge->next_in;
    }
    if (edge->next_in != HKI_LOCK_NONE) {
        all[edge->next_in].previous_in = edge->previous_in;
    }
}

uint32_t hki_lock_edge_add(struct hki_lock_table *table, uint32_t from, uint32_t to, uint32_t flags)
{
    struct hki_lock_edges *edges = &table->edges;
    uint32_t number = edges->free;

    if (number != HKI_LOCK_NONE) {
        edges->free = edges->all[number].next_alike;
    } else if (edges->used < edges->room) {
        number = (uint32_t)edges->used++;
    } else {
        return HKI_LOCK_NONE;
    }
    edges->all[number] =
        (struct hki_lock_edge){.from = from, .to = to, .flags = flags, .outer = HKI_LOCK_NONE};
    put_edge(edges, number);
    link_edge(table, number);
    edges->live++;
    return number;
}

void hki_lock_edge_remove(struct hki_lock_table *table, uint32_t number)
{
    struct hki_lock_edges *edges = &table->edges;
    struct hki_lock_edge *edge = &edges->all[number];
    uint32_t *at = edge_head(edges, edge->from, edge->to);

    HKI_ASSERT(edge->outer == HKI_LOCK_NONE);
    while (*at != number) {
        at = &edges->all[*at].next_alike;
    }
    *at = edge->next_alike;
    unlink_edge(table, number);
    edge->from = HKI_LOCK_NONE;
    edge->next_alike = edges->free;
    edges->free = number;
    edges->live--;
}

/* --- Outer locks ------------------------------------------------------------------- */

uint32_t hki_lock_outer_add(struct hki_lock_table *table, const struct hki_lock_outer *outer)
{
    struct hki_lock_outers *outers = &table->outers;
    uint32_t number = outers->free;

    if (number != HKI_LOCK_NONE) {
        outers->free = outers->all[number].next;
    } else if (outers->used < outers->room) {
        number = (uint32_t)outers->used++;
    } else {
        return HKI_LOCK_NONE;
    }
    outers->all[number] = *outer;
    outers->all[number].next = HKI_LOCK_NONE;
    outers->all[number].uses = 1;
    outers->live++;
    return number;
}

void hki_lock_outer_release(struct hki_lock_table *table, uint32_t list)
{
    struct hki_lock_outers *outers = &table->outers;

    while (list != HKI_LOCK_NONE && --outers->all[list].uses == 0) {
        uint32_t next = outers->all[list].next;

        outers->all[list].next = outers->free;
        outers->free = list;
        outers->live--;
        list = next;
    }
}
