/* SPDX-License-Identifier: MIT */
#include "sync/learned_order.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/fork.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "sync/lock_chains.h"
#include "sync/lock_dot.h"
#include "sync/lock_order.h"
#include "sync/lock_outer.h"

enum {
    NODES_FIRST = 1024,
    NODES_MAX = 1 << 20,
    EDGES_OF_A_NODE = 4, /* Room for edges grows to so many for each node. */
    LINES_BYTES = 2 * HKI_DOT_LINE_BYTES,
};

static pthread_mutex_t learned_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hki_learned_order learned = {.graph = HKI_LOCK_GRAPH_EMPTY};
static size_t nodes_max = NODES_MAX;

/* The application's allocator may take our locks, which then do without new tables. */
static _Thread_local bool is_growing;

struct hki_learned_order *hki_learned_lock(void)
{
    pthread_mutex_lock(&learned_lock);
    return &learned;
}

void hki_learned_unlock(void)
{
    pthread_mutex_unlock(&learned_lock);
}

/* --- Room ---------------------------------------------------------------------------- */

/* 0: there is enough, or the limit is reached. */
static size_t larger_room(size_t room, size_t live, size_t more, size_t first, size_t most)
{
    size_t wanted = room;

    if (room - live >= more) {
        return 0;
    }
    if (wanted == 0) {
        wanted = first < most ? first : most;
    }
    while (wanted - live < more && wanted < most) {
        wanted *= 2;
    }
    return wanted > room ? wanted : 0;
}

/* Others may grow the tables in the same moment: then theirs or ours stay, whichever are
 * larger. A room of 0 is not wanted. */
static bool grow(size_t node_room, size_t edge_room, size_t outer_room)
{
    struct hki_lock_nodes nodes = {.room = 0};
    struct hki_lock_edges edges = {.room = 0};
    struct hki_lock_outers outers = {.room = 0};
    bool done;

    if (is_growing) {
        return false;
    }
    hki_learned_unlock();
    is_growing = true;
    done = (node_room == 0 || hki_lock_nodes_alloc(&nodes, node_room)) &&
           (edge_room == 0 || hki_lock_edges_alloc(&edges, edge_room)) &&
           (outer_room == 0 || hki_lock_outers_alloc(&outers, outer_room));
    hki_learned_lock();
    hki_lock_nodes_move(&learned.graph.table.nodes, &nodes);
    hki_lock_edges_move(&learned.graph.table.edges, &edges);
    hki_lock_outers_move(&learned.graph.table.outers, &outers);
    hki_learned_unlock();
    hki_lock_nodes_free(&nodes);
    hki_lock_edges_free(&edges);
    hki_lock_outers_free(&outers);
    is_growing = false;
    hki_learned_lock();
    return done;
}

bool hki_learned_make_room(size_t nodes, size_t edges, size_t outers)
{
    const struct hki_lock_table *table = &learned.graph.table;
    bool done = true;

    while (done) {
        size_t node_room =
            larger_room(table->nodes.room, table->nodes.live, nodes, NODES_FIRST, nodes_max);
        size_t edge_room = larger_room(table->edges.room, table->edges.live, edges,
                                       NODES_FIRST * EDGES_OF_A_NODE, nodes_max * EDGES_OF_A_NODE);
        size_t outer_room = larger_room(table->outers.room, table->outers.live, outers, NODES_FIRST,
                                        nodes_max * EDGES_OF_A_NODE);

        if (node_room == 0 && edge_room == 0 && outer_room == 0) {
            break;
        }
        done = grow(node_room, edge_room, outer_room);
    }
    return done;
}

void hki_learned_tell_loss(bool no_memory)
{
    static atomic_bool told;

    if (!is_growing && !atomic_exchange(&told, true)) {
        hki_log(HK_LOG_WARNING, "the order of locks is not fully checked any more: %s",
                no_memory ? "there is no memory to learn it"
                          : "there are more locks, or orders of them, than are kept");
    }
}

void hki_order_reset(void)
{
    struct hki_lock_nodes nodes;
    struct hki_lock_edges edges;
    struct hki_lock_outers outers;

    hki_learned_lock();
    nodes = learned.graph.table.nodes;
    edges = learned.graph.table.edges;
    outers = learned.graph.table.outers;
    learned = (struct hki_learned_order){.graph = HKI_LOCK_GRAPH_EMPTY};
    nodes_max = NODES_MAX;
    hki_learned_unlock();
    hki_lock_nodes_free(&nodes);
    hki_lock_edges_free(&edges);
    hki_lock_outers_free(&outers);
    hki_order_renew();
}

void hki_order_limit(size_t nodes)
{
    hki_learned_lock();
    nodes_max = nodes != 0 ? nodes : NODES_MAX;
    hki_learned_unlock();
}

/* --- Pairs and locks ------------------------------------------------------------------- */

/* What hangs on the edges of a lock becomes edges of its own, at the worst, if the lock goes
 * or a pair with it is dropped: so much room is needed. */
static size_t load_of(uint64_t identity)
{
    uint32_t node = hki_lock_node_find(&learned.graph.table, identity);

    return node != HKI_LOCK_NONE ? hki_lock_outer_load(&learned.graph, node) : 0;
}

hk_status hki_order_allow(uint64_t one, uint64_t other)
{
    const struct hki_held pair[2] = {{.identity = one}, {.identity = other}};
    struct hki_lock_graph *graph;
    size_t load;
    bool done;

    if (one == 0 || other == 0) {
        return HK_EINVAL;
    }
    graph = &hki_learned_lock()->graph;
    load = load_of(one) + load_of(other);
    done =
        hki_learned_make_room(2, 1 + load, load) && hki_lock_table_fits(&graph->table, 2, 1 + load);
    if (done) {
        done = hki_lock_graph_allow(graph, hki_lock_graph_node(graph, &pair[0]),
                                    hki_lock_graph_node(graph, &pair[1]));
    }
    hki_learned_unlock();
    return done ? HK_OK : HK_ENOMEM;
}

void hki_order_forget(uint64_t identity)
{
    struct hki_lock_graph *graph;
    bool has_memory = true;
    bool is_kept = true;
    size_t load;
    uint32_t node;

    if (identity == 0) {
        return;
    }
    graph = &hki_learned_lock()->graph;
    load = load_of(identity);
    if (load > 0) {
        has_memory = hki_learned_make_room(0, load, load);
    }
    node = hki_lock_node_find(&graph->table, identity);
    if (node != HKI_LOCK_NONE) {
        is_kept = hki_lock_graph_forget(graph, node);
        learned.dropped += !is_kept;
    }
    hki_learned_unlock();
    if (!is_kept) {
        hki_learned_tell_loss(!has_memory);
    }
}

/* --- What others see ------------------------------------------------------------------- */

hk_status hk_lock_order_stats(hk_lock_order_statistics *statistics)
{
    const struct hki_learned_order *now;

    if (statistics == NULL) {
        return HK_EINVAL;
    }
    now = hki_learned_lock();
    *statistics = (hk_lock_order_statistics){
        .nodes = now->graph.table.nodes.live,
        .edges = now->graph.order_edges,
        .chains = hki_chains_added(),
        .checks = now->checks,
        .inversions = now->inversions,
        .dropped = now->dropped,
    };
    hki_learned_unlock();
    return HK_OK;
}

/* Fills a text with whole lines from number *at on; false when there are no more. */
static bool write_lines(struct hki_text *text, bool of_edges, uint32_t *at)
{
    const struct hki_lock_graph *graph = &hki_learned_lock()->graph;
    size_t used = of_edges ? graph->table.edges.used : graph->table.nodes.used;

    while (*at < used && text->room - text->length > HKI_DOT_LINE_BYTES) {
        if (of_edges) {
            hki_dot_edge(text, graph, *at);
        } else {
            hki_dot_node(text, graph, *at);
        }
        ++*at;
    }
    hki_learned_unlock();
    return text->length > 0;
}

hk_status hk_lock_graph_write(int fd)
{
    char lines[LINES_BYTES];
    struct hki_text text = {.at = lines, .room = sizeof(lines)};
    bool done;

    if (fd < 0) {
        return HK_EINVAL;
    }
    hki_dot_open(&text);
    done = hki_os_write(fd, text.at, text.length);
    for (int of_edges = 0; of_edges < 2; of_edges++) {
        uint32_t at = 0;

        text.length = 0;
        while (done && write_lines(&text, of_edges != 0, &at)) {
            done = hki_os_write(fd, text.at, text.length);
            text.length = 0;
        }
    }
    if (done) {
        hki_dot_close(&text);
        done = hki_os_write(fd, text.at, text.length);
    }
    return done ? HK_OK : HK_ESYS;
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&learned_lock);
}
