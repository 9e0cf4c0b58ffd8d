/* SPDX-License-Identifier: MIT */
/*
 * Lists go from the innermost lock outwards. That of a thread is built anew for each lock
 * that is learned, and its records are then dropped, hung on an edge, or replaced by a list
 * that is there already and says the same.
 */
#include "sync/lock_outer.h"

#include "sync/lock_sight.h"

/* So many edges of one step are tried as places to hang others on; each try looks at all
 * that is held. */
enum { HOSTS_MAX = 8 };

/* A list that grows at its end. */
struct list {
    uint32_t first;
    uint32_t last;
};

static struct hki_lock_outer *outer_at(const struct hki_lock_graph *graph, uint32_t number)
{
    return &graph->table.outers.all[number];
}

static void append(struct hki_lock_graph *graph, struct list *list, uint32_t number)
{
    outer_at(graph, number)->next = HKI_LOCK_NONE;
    if (list->first == HKI_LOCK_NONE) {
        list->first = number;
    } else {
        outer_at(graph, list->last)->next = number;
    }
    list->last = number;
}

static uint32_t order_edge(const struct hki_lock_graph *graph, uint32_t from, uint32_t to)
{
    uint32_t number = hki_lock_edge_find(&graph->table, from, to);

    return number != HKI_LOCK_NONE && (hki_lock_edge_at(graph, number)->flags & HKI_EDGE_ORDER) != 0
               ? number
               : HKI_LOCK_NONE;
}

bool hki_lock_outer_counts(const struct hki_lock_graph *graph, const struct hki_lock_outer *outer,
                           uint32_t to)
{
    return hki_lock_node_at(graph, outer->node)->identity == outer->identity &&
           !hki_lock_graph_allows(graph, outer->node, to);
}

/* --- What is known --------------------------------------------------------------------- */

static bool is_marked(const struct hki_lock_graph *graph, uint32_t node)
{
    return hki_lock_node_at(graph, node)->mark == graph->last_mark;
}

/* Marks from, and what hangs on its edge, if that leads to the node. */
static void mark_known(struct hki_lock_graph *graph, uint32_t from, uint32_t to)
{
    uint32_t number = order_edge(graph, from, to);

    if (number == HKI_LOCK_NONE) {
        return;
    }
    hki_lock_node_at(graph, from)->mark = graph->last_mark;
    for (uint32_t i = hki_lock_edge_at(graph, number)->outer; i != HKI_LOCK_NONE;
         i = outer_at(graph, i)->next) {
        if (hki_lock_outer_counts(graph, outer_at(graph, i), to)) {
            hki_lock_node_at(graph, outer_at(graph, i)->node)->mark = graph->last_mark;
        }
    }
}

/* Marks those of a list, and what hangs on their edges, that are known to come before. */
static void mark_list(struct hki_lock_graph *graph, uint32_t list, uint32_t to)
{
    graph->last_mark += 2;
    for (; list != HKI_LOCK_NONE; list = outer_at(graph, list)->next) {
        mark_known(graph, outer_at(graph, list)->node, to);
    }
}

static uint32_t node_of(const struct hki_lock_graph *graph, const struct hki_held *lock)
{
    return lock->identity != 0 ? hki_lock_node_find(&graph->table, lock->identity) : HKI_LOCK_NONE;
}

bool hki_lock_outer_knows(struct hki_lock_graph *graph, const struct hki_held *held, size_t count,
                          const struct hki_held *wanted)
{
    uint32_t to = node_of(graph, wanted);

    graph->last_mark += 2;
    for (size_t i = 0; i < count && to != HKI_LOCK_NONE; i++) {
        mark_known(graph, node_of(graph, &held[i]), to);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t from = node_of(graph, &held[i]);

        if (held[i].identity == 0 || held[i].identity == wanted->identity) {
            continue;
        }
        if (from == HKI_LOCK_NONE || to == HKI_LOCK_NONE ||
            (!is_marked(graph, from) && !hki_lock_graph_allows(graph, from, to))) {
            return false;
        }
    }
    return true;
}

/* --- Learning -------------------------------------------------------------------------- */

static bool are_alike(const struct hki_lock_graph *graph, uint32_t one, uint32_t other)
{
    while (one != other && one != HKI_LOCK_NONE && other != HKI_LOCK_NONE) {
        const struct hki_lock_outer *a = outer_at(graph, one);
        const struct hki_lock_outer *b = outer_at(graph, other);

        if (a->identity != b->identity || a->lock != b->lock || a->site != b->site) {
            return false;
        }
        one = a->next;
        other = b->next;
    }
    return one == other;
}

/* A list that begins with the lock next to the host: the rest of it mostly hangs on the edge
 * from that lock to the host, and can be shared. */
static void share(struct hki_lock_graph *graph, uint32_t list, uint32_t host)
{
    struct hki_lock_outer *first = outer_at(graph, list);
    uint32_t number = order_edge(graph, first->node, host);
    uint32_t other =
        number != HKI_LOCK_NONE ? hki_lock_edge_at(graph, number)->outer : HKI_LOCK_NONE;

    if (other != HKI_LOCK_NONE && first->next != other && are_alike(graph, first->next, other)) {
        hki_lock_outer_release(&graph->table, first->next);
        first->next = other;
        outer_at(graph, other)->uses++;
    }
}

/* Hangs on the edge, which leads on from host, those of the list that have to be learned and
 * are known to come before host: the invariant. Gives the others. */
static uint32_t hang(struct hki_lock_graph *graph, uint32_t number, uint32_t list)
{
    struct hki_lock_edge *edge = hki_lock_edge_at(graph, number);
    struct list hung = {HKI_LOCK_NONE, HKI_LOCK_NONE};
    struct list others = {HKI_LOCK_NONE, HKI_LOCK_NONE};

    mark_list(graph, list, edge->from);
    while (list != HKI_LOCK_NONE) {
        struct hki_lock_outer *outer = outer_at(graph, list);
        uint32_t next = outer->next;

        append(graph, !outer->is_known && is_marked(graph, outer->node) ? &hung : &others, list);
        list = next;
    }
    if (hung.first != HKI_LOCK_NONE) {
        share(graph, hung.first, edge->from);
        edge->outer = hung.first;
    }
    return others.first;
}

/* Makes all of a list known to come before the node; the records are used up. */
static bool learn_list(struct hki_lock_graph *graph, uint32_t list, uint32_t to,
                       struct hki_lock_sight *sight)
{
    bool is_kept = true;
    int hosts = 0;

    mark_list(graph, list, to);
    for (uint32_t i = list; i != HKI_LOCK_NONE; i = outer_at(graph, i)->next) {
        outer_at(graph, i)->is_known = is_marked(graph, outer_at(graph, i)->node);
    }
    while (list != HKI_LOCK_NONE) {
        const struct hki_lock_outer outer = *outer_at(graph, list);
        uint32_t number = order_edge(graph, outer.node, to);

        outer_at(graph, list)->next = HKI_LOCK_NONE;
        hki_lock_outer_release(&graph->table, list);
        list = outer.next;
        if (number == HKI_LOCK_NONE && !outer.is_known) {
            sight->from_lock = outer.lock;
            sight->from_site = outer.site;
            /* A cycle is left alone: it was reported, and the policy lets it pass. */
            is_kept &= hki_lock_graph_learn(graph, outer.node, to, 0, sight) != HKI_LEARNED_NO_ROOM;
            number = order_edge(graph, outer.node, to);
        }
        if (number != HKI_LOCK_NONE && list != HKI_LOCK_NONE && hosts < HOSTS_MAX &&
            hki_lock_edge_at(graph, number)->outer == HKI_LOCK_NONE) {
            list = hang(graph, number, list);
            hosts++;
        }
    }
    return is_kept;
}

/* Appends a lock to a list, or learns it by itself if there is no room or none is needed. */
static bool add_or_learn(struct hki_lock_graph *graph, struct list *list,
                         const struct hki_lock_outer *outer, uint32_t to,
                         struct hki_lock_sight *sight, bool is_alone)
{
    uint32_t number = is_alone ? HKI_LOCK_NONE : hki_lock_outer_add(&graph->table, outer);

    if (number != HKI_LOCK_NONE) {
        append(graph, list, number);
        return true;
    }
    sight->from_lock = outer->lock;
    sight->from_site = outer->site;
    return hki_lock_graph_learn(graph, outer->node, to, 0, sight) != HKI_LEARNED_NO_ROOM;
}

bool hki_lock_outer_learn(struct hki_lock_graph *graph, const struct hki_held *held, size_t count,
                          const struct hki_held *wanted, struct hki_lock_sight *sight)
{
    struct list list = {HKI_LOCK_NONE, HKI_LOCK_NONE};
    uint32_t to = hki_lock_graph_node(graph, wanted);
    bool is_kept = to != HKI_LOCK_NONE;

    sight->to_lock = wanted->lock;
    sight->to_site = wanted->site;
    for (size_t i = to != HKI_LOCK_NONE ? count : 0; i > 0; i--) {
        const struct hki_held *lock = &held[i - 1];
        struct hki_lock_outer outer = {
            .identity = lock->identity, .lock = lock->lock, .site = lock->site};

        if (lock->identity == 0 || lock->identity == wanted->identity) {
            continue;
        }
        outer.node = hki_lock_graph_node(graph, lock);
        if (outer.node == HKI_LOCK_NONE) {
            is_kept = false;
        } else if (!hki_lock_graph_allows(graph, outer.node, to)) {
            is_kept &= add_or_learn(graph, &list, &outer, to, sight, count == 1);
        }
    }
    return learn_list(graph, list.first, to, sight) && is_kept;
}

/* --- Edges that go --------------------------------------------------------------------- */

bool hki_lock_outer_relearn(struct hki_lock_graph *graph, uint32_t list, uint32_t to,
                            const struct hki_lock_sight *seen)
{
    struct list copy = {HKI_LOCK_NONE, HKI_LOCK_NONE};
    struct hki_lock_sight sight;
    bool is_kept = true;

    if (list == HKI_LOCK_NONE) {
        return true;
    }
    sight = *seen;
    for (uint32_t i = list; i != HKI_LOCK_NONE; i = outer_at(graph, i)->next) {
        const struct hki_lock_outer outer = *outer_at(graph, i);

        if (hki_lock_outer_counts(graph, &outer, to)) {
            is_kept &= add_or_learn(graph, &copy, &outer, to, &sight, false);
        }
    }
    is_kept &= learn_list(graph, copy.first, to, &sight);
    hki_lock_outer_release(&graph->table, list);
    return is_kept;
}

bool hki_lock_outer_part(struct hki_lock_graph *graph, uint32_t first, uint32_t second)
{
    uint32_t number = hki_lock_node_at(graph, second)->first_out;
    bool is_kept = true;

    for (; number != HKI_LOCK_NONE; number = hki_lock_edge_at(graph, number)->next_out) {
        uint32_t to = hki_lock_edge_at(graph, number)->to;
        uint32_t i = hki_lock_edge_at(graph, number)->outer;

        while (i != HKI_LOCK_NONE && (outer_at(graph, i)->node != first ||
                                      !hki_lock_outer_counts(graph, outer_at(graph, i), to))) {
            i = outer_at(graph, i)->next;
        }
        if (i != HKI_LOCK_NONE) {
            struct hki_lock_sight sight = graph->table.edges.sights[number];

            sight.from_lock = outer_at(graph, i)->lock;
            sight.from_site = outer_at(graph, i)->site;
            is_kept &= hki_lock_graph_learn(graph, first, to, 0, &sight) != HKI_LEARNED_NO_ROOM;
        }
    }
    return is_kept;
}

size_t hki_lock_outer_load(const struct hki_lock_graph *graph, uint32_t node)
{
    uint32_t number = hki_lock_node_at(graph, node)->first_out;
    size_t load = 0;

    for (; number != HKI_LOCK_NONE; number = hki_lock_edge_at(graph, number)->next_out) {
        for (uint32_t i = hki_lock_edge_at(graph, number)->outer; i != HKI_LOCK_NONE;
             i = outer_at(graph, i)->next) {
            load++;
        }
    }
    return load;
}
