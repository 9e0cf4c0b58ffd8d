/* SPDX-License-Identifier: MIT */
/*
 * The look: collect what can be reached, then find what can move.
 *
 * The least fixed point of the ANY/ALL rules: at first only MOVES nodes can
 * move; a node joins them when its rule says so; when nobody joins any more the
 * rest is stuck, and only a whole stuck set is a deadlock. Cycles need no special
 * care. Graphs here have a handful of nodes, so the plain repetition is enough.
 */
#include "sync/wait_graph.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/memory.h"

/* Guards every agent's waits_for and timed, and all looks. Rank: before a pool's
 * lock and a completion queue's; no stripe is held when it is taken. */
static pthread_mutex_t graph_lock = PTHREAD_MUTEX_INITIALIZER;

/* Looks under way. seq_cst against the state words that owners publish: either
 * the look sees the object ended and leaves it alone, or the owner sees the look
 * and waits for it. */
static atomic_uint looks;

static _Thread_local struct hki_agent own;

struct visit {
    struct hki_wait_node node;
    enum hki_wait_kind kind;
    size_t count;
    bool moves;
};

/* The visits are both a queue (breadth first) and, through table, a hash set:
 * table has twice as many places as visits and holds positions from 1. */
struct look {
    struct visit *visits;
    uint32_t *table;
    size_t used;
    size_t room; /* A power of two. */
    bool short_of_memory;
};

struct hki_agent *hki_agent_self(void)
{
    return &own;
}

void hki_agent_enter(struct hki_agent *agent)
{
    agent->depth++;
}

void hki_wait_graph_settle(void)
{
    if (atomic_load(&looks) != 0) {
        pthread_mutex_lock(&graph_lock);
        pthread_mutex_unlock(&graph_lock);
    }
}

void hki_agent_leave(struct hki_agent *agent)
{
    HKI_ASSERT(agent->depth > 0);
    if (--agent->depth == 0) {
        hki_wait_graph_settle();
    }
}

static enum hki_wait_kind look_at_agent(void *object, size_t *count)
{
    const struct hki_agent *agent = object;

    if (agent->waits_for.ops == NULL || agent->timed) {
        return HKI_WAIT_MOVES;
    }
    *count = 1;
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_agent(void *object, size_t i)
{
    const struct hki_agent *agent = object;

    (void)i;
    return agent->waits_for;
}

struct hki_wait_node hki_agent_node(struct hki_agent *agent)
{
    static const struct hki_wait_ops ops = {look_at_agent, next_of_agent};

    return (struct hki_wait_node){&ops, agent};
}

static void release(struct look *look)
{
    hki_free(look->visits, look->room * sizeof(*look->visits));
    hki_free(look->table, look->room * 2 * sizeof(*look->table));
}

/* The node's place in the table: its own, or the free one where it belongs. */
static uint32_t *place_of(struct look *look, struct hki_wait_node node)
{
    size_t mask = look->room * 2 - 1;
    uint64_t mixed = (uint64_t)(uintptr_t)node.object * UINT64_C(0x9E3779B97F4A7C15);

    for (size_t at = (size_t)(mixed >> 32) & mask;; at = (at + 1) & mask) {
        uint32_t position = look->table[at];
        struct hki_wait_node found;

        if (position == 0) {
            return &look->table[at];
        }
        found = look->visits[position - 1].node;
        if (found.object == node.object && found.ops == node.ops) {
            return &look->table[at];
        }
    }
}

static struct visit *find(struct look *look, struct hki_wait_node node)
{
    uint32_t position = look->room == 0 ? 0 : *place_of(look, node);

    return position == 0 ? NULL : &look->visits[position - 1];
}

static bool make_room(struct look *look)
{
    struct look larger = {.room = look->room == 0 ? 32 : look->room * 2, .used = look->used};

    if (look->used < look->room) {
        return true;
    }
    larger.visits = hki_alloc(larger.room * sizeof(*larger.visits));
    larger.table = hki_zalloc(larger.room * 2 * sizeof(*larger.table));
    if (larger.visits == NULL || larger.table == NULL) {
        release(&larger);
        look->short_of_memory = true;
        return false;
    }
    for (size_t i = 0; i < look->used; i++) {
        larger.visits[i] = look->visits[i];
        *place_of(&larger, larger.visits[i].node) = (uint32_t)i + 1;
    }
    release(look);
    *look = larger;
    return true;
}

/* Adds a node unless it is there; true if it can move by itself. */
static bool visit(struct look *look, struct hki_wait_node node)
{
    struct visit *place;

    if (node.ops == NULL) {
        return true;
    }
    if ((place = find(look, node)) != NULL) {
        return place->moves;
    }
    if (!make_room(look)) {
        return true;
    }
    place = &look->visits[look->used++];
    *place_of(look, node) = (uint32_t)look->used;
    place->node = node;
    place->count = 0;
    place->kind = node.ops->look(node.object, &place->count);
    place->moves = place->kind == HKI_WAIT_MOVES;
    return place->moves;
}

/* Breadth first. Of an ANY node nothing more is asked once a successor can move:
 * waits for the next of thousands of futures stay cheap. */
static void collect(struct look *look, struct hki_wait_node start)
{
    visit(look, start);
    for (size_t at = 0; at < look->used && !look->short_of_memory; at++) {
        struct hki_wait_node node = look->visits[at].node;
        size_t count = look->visits[at].count;

        for (size_t i = 0; i < count; i++) {
            bool moves = visit(look, node.ops->next(node.object, i));

            if (moves && look->visits[at].kind == HKI_WAIT_ANY) {
                look->visits[at].moves = true;
                break;
            }
        }
    }
}

static bool can_move(struct look *look, const struct visit *place)
{
    size_t movable = 0;

    for (size_t i = 0; i < place->count; i++) {
        struct hki_wait_node next = place->node.ops->next(place->node.object, i);
        struct visit *found = next.ops == NULL ? NULL : find(look, next);

        /* Not found: it changed since it was collected, so it is moving. */
        movable += found == NULL || found->moves ? 1 : 0;
    }
    return place->kind == HKI_WAIT_ANY ? movable > 0 : movable == place->count;
}

static void settle(struct look *look)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < look->used; i++) {
            struct visit *place = &look->visits[i];

            if (!place->moves && can_move(look, place)) {
                place->moves = true;
                changed = true;
            }
        }
    }
}

/* One walk: whether the agent's wait is stuck. */
static bool is_stuck(struct hki_agent *agent)
{
    struct look look = {0};
    bool stuck;

    collect(&look, agent->waits_for);
    settle(&look);
    stuck = !look.short_of_memory && look.used > 0 && !look.visits[0].moves;
    release(&look);
    return stuck;
}

bool hki_wait_graph_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    bool stuck;

    pthread_mutex_lock(&graph_lock);
    atomic_fetch_add(&looks, 1);
    agent->waits_for = wanted;
    /* Its own time limit does not excuse the one that closes a cycle of untimed
     * waits: it would wait in vain. For later looks of others it can move. */
    agent->timed = false;
    /* Two agreeing walks: the first may have read a future in the moment in which
     * somebody outside ended it; a stuck set cannot change between two walks, for
     * each of its threads sleeps and waits for another of the set. */
    stuck = is_stuck(agent) && is_stuck(agent);
    agent->timed = timed;
    if (stuck) {
        agent->waits_for.ops = NULL;
    }
    atomic_fetch_sub(&looks, 1);
    pthread_mutex_unlock(&graph_lock);
    return !stuck;
}

void hki_wait_graph_end(struct hki_agent *agent)
{
    pthread_mutex_lock(&graph_lock);
    agent->waits_for.ops = NULL;
    pthread_mutex_unlock(&graph_lock);
}

bool hki_wait_graph_reaches(struct hki_wait_node start, struct hki_wait_node target)
{
    struct look look = {0};
    bool reached;

    pthread_mutex_lock(&graph_lock);
    atomic_fetch_add(&looks, 1);
    collect(&look, start);
    reached = find(&look, target) != NULL;
    atomic_fetch_sub(&looks, 1);
    pthread_mutex_unlock(&graph_lock);
    release(&look);
    return reached;
}

static void before_fork(void)
{
    pthread_mutex_lock(&graph_lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&graph_lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}
