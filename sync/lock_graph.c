/* SPDX-License-Identifier: MIT */
/*
 * A search marks what it has seen with the odd number of its own, and its targets with
 * the even one before, so that nothing is to be cleaned up. Since all that lies on a way
 * to a target has a lower place than it, a search never leaves the places between its
 * start and its last target.
 */
#include "sync/lock_graph.h"

#include <string.h>

#include "base/assert.h"
#include "sync/lock_outer.h"
#include "sync/lock_sight.h"

/* Copies a name, cut at the end of a character where it is UTF-8. */
static void copy_name(char *to, const char *from)
{
    size_t length = strnlen(from, HK_LOCK_NAME_BYTES);

    if (length == HK_LOCK_NAME_BYTES) {
        length--;
        while (length > 0 && ((unsigned char)from[length] & 0xC0U) == 0x80U) {
            length--;
        }
    }
    memcpy(to, from, length);
    to[length] = '\0';
}

uint32_t hki_lock_graph_node(struct hki_lock_graph *graph, const struct hki_held *lock)
{
    uint32_t number = HKI_LOCK_NONE;
    struct hki_lock_node *node;

    if (lock->identity == 0) {
        return HKI_LOCK_NONE;
    }
    number = hki_lock_node_find(&graph->table, lock->identity);
    if (number == HKI_LOCK_NONE) {
        number = hki_lock_node_add(&graph->table, lock->identity);
        if (number == HKI_LOCK_NONE) {
            return HKI_LOCK_NONE;
        }
        hki_lock_node_at(graph, number)->place = ++graph->last_place;
    }
    node = hki_lock_node_at(graph, number);
    /* A pair may be allowed before its locks are seen. */
    if (node->lock == NULL) {
        node->lock = lock->lock;
        if (lock->name != NULL) {
            copy_name(node->name, lock->name);
        }
    }
    return number;
}

static uint32_t flags_between(const struct hki_lock_graph *graph, uint32_t from, uint32_t to)
{
    uint32_t edge = hki_lock_edge_find(&graph->table, from, to);

    return edge != HKI_LOCK_NONE ? hki_lock_edge_at(graph, edge)->flags : 0;
}

bool hki_lock_graph_has(const struct hki_lock_graph *graph, uint32_t from, uint32_t to)
{
    return (flags_between(graph, from, to) & HKI_EDGE_ORDER) != 0;
}

/* A pair that is allowed says so on one edge: from the lower number to the higher. */
bool hki_lock_graph_allows(const struct hki_lock_graph *graph, uint32_t one, uint32_t other)
{
    uint32_t flags =
        one < other ? flags_between(graph, one, other) : flags_between(graph, other, one);

    return (flags & HKI_EDGE_ALLOWED) != 0;
}

bool hki_lock_graph_refuses(const struct hki_lock_graph *graph, uint32_t from, uint32_t to)
{
    return (flags_between(graph, from, to) & HKI_EDGE_REFUSED) != 0;
}

/* --- Searching --------------------------------------------------------------------- */

static uint64_t mark_of_targets(const struct hki_lock_graph *graph)
{
    return graph->last_mark - 1;
}

void hki_lock_search_begin(struct hki_lock_graph *graph)
{
    graph->last_mark += 2;
    graph->highest_target = 0;
    graph->seen = 0;
}

void hki_lock_search_target(struct hki_lock_graph *graph, uint32_t number)
{
    struct hki_lock_node *node = hki_lock_node_at(graph, number);

    node->mark = mark_of_targets(graph);
    if (node->place > graph->highest_target) {
        graph->highest_target = node->place;
    }
}

/* Counts a node as seen, which puts it into the queue of the search: the list. */
static void see(struct hki_lock_graph *graph, uint32_t number, uint32_t came_by)
{
    struct hki_lock_node *node = hki_lock_node_at(graph, number);

    node->mark = graph->last_mark;
    node->came_by = came_by;
    graph->table.nodes.list[graph->seen++] = number;
}

uint32_t hki_lock_search_run(struct hki_lock_graph *graph, uint32_t start)
{
    see(graph, start, HKI_LOCK_NONE);
    for (size_t at = 0; at < graph->seen; at++) {
        uint32_t number = hki_lock_node_at(graph, graph->table.nodes.list[at])->first_out;

        while (number != HKI_LOCK_NONE) {
            const struct hki_lock_edge *edge = hki_lock_edge_at(graph, number);
            struct hki_lock_node *to = hki_lock_node_at(graph, edge->to);

            if ((edge->flags & HKI_EDGE_ORDER) != 0 && to->mark != graph->last_mark &&
                to->place <= graph->highest_target) {
                bool is_target = to->mark == mark_of_targets(graph);

                see(graph, edge->to, number);
                if (is_target) {
                    return edge->to;
                }
            }
            number = edge->next_out;
        }
    }
    return HKI_LOCK_NONE;
}

void hki_lock_graph_show(const struct hki_lock_graph *graph, uint32_t number, hk_lock_edge *out)
{
    const struct hki_lock_edge *edge = hki_lock_edge_at(graph, number);

    memcpy(out->from_name, hki_lock_node_at(graph, edge->from)->name, sizeof(out->from_name));
    memcpy(out->to_name, hki_lock_node_at(graph, edge->to)->name, sizeof(out->to_name));
    hki_lock_sight_show(&graph->table.edges.sights[number], out);
}

/* The edge by which the way came to a node, or the longest step that hangs on this edge:
 * from a lock further out that is on the way as well. Gives the start of the step. */
static uint32_t step_back(const struct hki_lock_graph *graph, uint32_t at,
                          const struct hki_lock_outer **outer)
{
    const struct hki_lock_edge *edge =
        hki_lock_edge_at(graph, hki_lock_node_at(graph, at)->came_by);
    uint32_t from = edge->from;

    *outer = NULL;
    for (uint32_t i = edge->outer; i != HKI_LOCK_NONE; i = graph->table.outers.all[i].next) {
        const struct hki_lock_outer *one = &graph->table.outers.all[i];

        if (hki_lock_outer_counts(graph, one, at) &&
            hki_lock_node_at(graph, one->node)->mark == graph->last_mark &&
            hki_lock_node_at(graph, one->node)->place < hki_lock_node_at(graph, from)->place) {
            from = one->node;
            *outer = one;
        }
    }
    return from;
}

static void mark_way(struct hki_lock_graph *graph, uint32_t start, uint32_t target)
{
    graph->last_mark += 2;
    hki_lock_node_at(graph, target)->mark = graph->last_mark;
    while (target != start) {
        target = hki_lock_edge_at(graph, hki_lock_node_at(graph, target)->came_by)->from;
        hki_lock_node_at(graph, target)->mark = graph->last_mark;
    }
}

size_t hki_lock_search_path(struct hki_lock_graph *graph, uint32_t start, uint32_t target,
                            hk_lock_edge *edges, size_t room)
{
    const struct hki_lock_outer *outer;
    size_t length = 0;

    mark_way(graph, start, target);
    for (uint32_t at = target; at != start; length++) {
        at = step_back(graph, at, &outer);
    }
    /* It was found from its end, so it is written from there. */
    for (size_t i = length; i > 0; i--) {
        uint32_t from = step_back(graph, target, &outer);

        if (i <= room) {
            hki_lock_graph_show(graph, hki_lock_node_at(graph, target)->came_by, &edges[i - 1]);
        }
        if (i <= room && outer != NULL) {
            memcpy(edges[i - 1].from_name, hki_lock_node_at(graph, from)->name,
                   sizeof(edges->from_name));
            edges[i - 1].from_lock = outer->lock;
            edges[i - 1].from_site = outer->site;
        }
        target = from;
    }
    return length;
}

/* --- Keeping the order ----------------------------------------------------------------- */

/* Adds to the list what leads to start and has a place above lowest. */
static void see_backward(struct hki_lock_graph *graph, uint32_t start, uint64_t lowest)
{
    size_t first = graph->seen;

    graph->last_mark += 2;
    see(graph, start, HKI_LOCK_NONE);
    for (size_t at = first; at < graph->seen; at++) {
        uint32_t number = hki_lock_node_at(graph, graph->table.nodes.list[at])->first_in;

        while (number != HKI_LOCK_NONE) {
            const struct hki_lock_edge *edge = hki_lock_edge_at(graph, number);
            const struct hki_lock_node *from = hki_lock_node_at(graph, edge->from);

            if ((edge->flags & HKI_EDGE_ORDER) != 0 && from->mark != graph->last_mark &&
                from->place > lowest) {
                see(graph, edge->from, number);
            }
            number = edge->next_in;
        }
    }
}

/* By place, in place: a sort of the C library may allocate. */
static void sort_by_place(const struct hki_lock_graph *graph, uint32_t *list, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (size_t i = gap; i < count; i++) {
            uint32_t moved = list[i];
            uint64_t place = hki_lock_node_at(graph, moved)->place;
            size_t at = i;

            while (at >= gap && hki_lock_node_at(graph, list[at - gap])->place > place) {
                list[at] = list[at - gap];
                at -= gap;
            }
            list[at] = moved;
        }
    }
}

/* Both lists are sorted: so are their places, once merged. */
static void merge_places(const struct hki_lock_graph *graph, size_t ahead, size_t behind)
{
    const uint32_t *list = graph->table.nodes.list;
    uint64_t *places = graph->table.nodes.places;
    size_t i = 0;
    size_t j = ahead;

    for (size_t k = 0; k < ahead + behind; k++) {
        if (j == ahead + behind || (i < ahead && hki_lock_node_at(graph, list[i])->place <
                                                     hki_lock_node_at(graph, list[j])->place)) {
            places[k] = hki_lock_node_at(graph, list[i++])->place;
        } else {
            places[k] = hki_lock_node_at(graph, list[j++])->place;
        }
    }
}

/* Makes way for the edge in the order; false if it would close a cycle. What leads to
 * from and what to leads to share their places anew, the former first. */
static bool reorder(struct hki_lock_graph *graph, uint32_t from, uint32_t to)
{
    uint32_t *list = graph->table.nodes.list;
    const uint64_t *places = graph->table.nodes.places;
    size_t ahead;
    size_t behind;

    hki_lock_search_begin(graph);
    hki_lock_search_target(graph, from);
    if (hki_lock_search_run(graph, to) != HKI_LOCK_NONE) {
        return false;
    }
    ahead = graph->seen;
    see_backward(graph, from, hki_lock_node_at(graph, to)->place);
    behind = graph->seen - ahead;
    sort_by_place(graph, list, ahead);
    sort_by_place(graph, list + ahead, behind);
    merge_places(graph, ahead, behind);
    for (size_t i = 0; i < behind; i++) {
        hki_lock_node_at(graph, list[ahead + i])->place = places[i];
    }
    for (size_t i = 0; i < ahead; i++) {
        hki_lock_node_at(graph, list[i])->place = places[behind + i];
    }
    return true;
}

/* Sees to it that from comes before to; false if that would close a cycle. What leads to
 * nothing may come last, and what nothing leads to may come first, without a search. */
static bool make_way(struct hki_lock_graph *graph, uint32_t from, uint32_t to)
{
    struct hki_lock_node *start = hki_lock_node_at(graph, from);
    struct hki_lock_node *end = hki_lock_node_at(graph, to);

    if (start->place < end->place) {
        return true;
    }
    if (end->first_out == HKI_LOCK_NONE) {
        end->place = ++graph->last_place;
        return true;
    }
    if (start->first_in == HKI_LOCK_NONE) {
        start->place = --graph->first_place;
        return true;
    }
    return reorder(graph, from, to);
}

enum hki_lock_learned hki_lock_graph_learn(struct hki_lock_graph *graph, uint32_t from, uint32_t to,
                                           uint32_t flags, const struct hki_lock_sight *sight)
{
    uint32_t number = hki_lock_edge_find(&graph->table, from, to);
    struct hki_lock_edge *edge;

    HKI_ASSERT(from != to);
    if (number != HKI_LOCK_NONE && (hki_lock_edge_at(graph, number)->flags & HKI_EDGE_ORDER) != 0) {
        hki_lock_edge_at(graph, number)->flags |= flags;
        return HKI_LEARNED_BEFORE;
    }
    if (number == HKI_LOCK_NONE && !hki_lock_table_fits(&graph->table, 0, 1)) {
        return HKI_LEARNED_NO_ROOM;
    }
    if (!make_way(graph, from, to)) {
        return HKI_LEARNED_CYCLE;
    }
    if (number == HKI_LOCK_NONE) {
        number = hki_lock_edge_add(&graph->table, from, to, 0);
    }
    edge = hki_lock_edge_at(graph, number);
    /* What stood against the order when it was reported need not do so for ever. */
    edge->flags = (edge->flags & ~(uint32_t)HKI_EDGE_REFUSED) | HKI_EDGE_ORDER | flags;
    graph->table.edges.sights[number] = *sight;
    graph->order_edges++;
    return HKI_LEARNED;
}

/* --- What is no part of the order ------------------------------------------------------ */

/* Adds flags to an edge, a new one if need be; HKI_LOCK_NONE without room. */
static uint32_t flag_edge(struct hki_lock_graph *graph, uint32_t from, uint32_t to, uint32_t flags)
{
    uint32_t number = hki_lock_edge_find(&graph->table, from, to);

    if (number == HKI_LOCK_NONE) {
        return hki_lock_edge_add(&graph->table, from, to, flags);
    }
    hki_lock_edge_at(graph, number)->flags |= flags;
    return number;
}

/* Takes flags from an edge, which goes with the last of them. What hung on it as part of the
 * order is learned by other edges; false without room. */
static bool unflag_edge(struct hki_lock_graph *graph, uint32_t number, uint32_t flags)
{
    struct hki_lock_edge *edge = hki_lock_edge_at(graph, number);
    bool is_learned = (edge->flags & flags & HKI_EDGE_ORDER) != 0;
    uint32_t outer = is_learned ? edge->outer : HKI_LOCK_NONE;
    uint32_t to = edge->to;

    if (is_learned) {
        graph->order_edges--;
        edge->outer = HKI_LOCK_NONE;
    }
    edge->flags &= ~flags;
    if (edge->flags == 0) {
        hki_lock_edge_remove(&graph->table, number);
    }
    return hki_lock_outer_relearn(graph, outer, to, &graph->table.edges.sights[number]);
}

void hki_lock_graph_refuse(struct hki_lock_graph *graph, uint32_t from, uint32_t to,
                           const struct hki_lock_sight *sight)
{
    uint32_t number = flag_edge(graph, from, to, HKI_EDGE_REFUSED);

    if (number != HKI_LOCK_NONE) {
        graph->table.edges.sights[number] = *sight;
    }
}

bool hki_lock_graph_allow(struct hki_lock_graph *graph, uint32_t one, uint32_t other)
{
    uint32_t ends[2] = {one < other ? one : other, one < other ? other : one};
    bool done = true;

    if (flag_edge(graph, ends[0], ends[1], HKI_EDGE_ALLOWED) == HKI_LOCK_NONE) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        uint32_t number = hki_lock_edge_find(&graph->table, ends[i], ends[1 - i]);

        done &= hki_lock_outer_part(graph, ends[i], ends[1 - i]);
        if (number != HKI_LOCK_NONE) {
            uint32_t flags = hki_lock_edge_at(graph, number)->flags;

            done &= unflag_edge(graph, number,
                                (flags & HKI_EDGE_FIXED) != 0
                                    ? (uint32_t)HKI_EDGE_REFUSED
                                    : (uint32_t)(HKI_EDGE_ORDER | HKI_EDGE_REFUSED));
        }
    }
    return done;
}

bool hki_lock_graph_forget(struct hki_lock_graph *graph, uint32_t number)
{
    const struct hki_lock_node *node = hki_lock_node_at(graph, number);
    bool is_kept = true;

    while (node->first_in != HKI_LOCK_NONE) {
        struct hki_lock_edge *edge = hki_lock_edge_at(graph, node->first_in);

        /* Who comes before a lock that goes is of no interest. */
        hki_lock_outer_release(&graph->table, edge->outer);
        edge->outer = HKI_LOCK_NONE;
        (void)unflag_edge(graph, node->first_in, UINT32_MAX);
    }
    while (node->first_out != HKI_LOCK_NONE) {
        is_kept &= unflag_edge(graph, node->first_out, UINT32_MAX);
    }
    hki_lock_node_remove(&graph->table, number);
    return is_kept;
}
