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
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/memory.h"
#include "sync/party.h"

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
enum {
    FEW = 32,
    NEST_DEPTH_MAX = 256,
    NEST_STACK_BYTES = 128 * 1024, /* Room that a nested task must find. */
};

struct look {
    struct visit *visits;
    uint32_t *table;
    size_t used;
    size_t room; /* A power of two. */
    bool short_of_memory;
    struct visit few_visits[FEW]; /* Most graphs need no memory. */
    uint32_t few_table[2 * FEW];
};

struct hki_agent *hki_agent_self(void)
{
    return &own;
}

void hki_agent_enter(struct hki_agent *agent)
{
    agent->depth++;
}

void hki_wait_graph_lock(void)
{
    pthread_mutex_lock(&graph_lock);
}

void hki_wait_graph_unlock(void)
{
    pthread_mutex_unlock(&graph_lock);
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
    if (agent->parties != NULL) {
        hki_parties_leave(agent, agent->depth);
    }
    if (--agent->depth == 0) {
        hki_wait_graph_settle();
    }
}

bool hki_agent_may_nest(const struct hki_agent *agent)
{
    char *here = __builtin_frame_address(0);

    return agent->claim_depth < NEST_DEPTH_MAX &&
           (agent->stack_low == NULL || here - agent->stack_low > NEST_STACK_BYTES);
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

static void describe_agent(void *object, char *text, size_t size)
{
    const struct hki_agent *agent = object;

    if (agent->name != NULL) {
        snprintf(text, size, "%s", agent->name);
    } else {
        snprintf(text, size, "a thread (%p)", object);
    }
}

static const struct hki_wait_ops agent_ops = {look_at_agent, next_of_agent, describe_agent};

struct hki_wait_node hki_agent_node(struct hki_agent *agent)
{
    return (struct hki_wait_node){&agent_ops, agent};
}

static void prepare(struct look *look)
{
    look->visits = look->few_visits;
    look->table = look->few_table;
    look->used = 0;
    look->room = FEW;
    look->short_of_memory = false;
    memset(look->few_table, 0, sizeof(look->few_table));
}

static void release(struct look *look)
{
    if (look->visits == look->few_visits) {
        return;
    }
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
    uint32_t position = *place_of(look, node);

    return position == 0 ? NULL : &look->visits[position - 1];
}

static bool make_room(struct look *look)
{
    size_t room = look->room * 2;
    struct visit *visits;
    uint32_t *table;

    if (look->used < look->room) {
        return true;
    }
    visits = hki_alloc(room * sizeof(*visits));
    table = hki_zalloc(room * 2 * sizeof(*table));
    if (visits == NULL || table == NULL) {
        hki_free(visits, room * sizeof(*visits));
        hki_free(table, room * 2 * sizeof(*table));
        look->short_of_memory = true;
        return false;
    }
    memcpy(visits, look->visits, look->used * sizeof(*visits));
    release(look);
    look->visits = visits;
    look->table = table;
    look->room = room;
    for (size_t i = 0; i < look->used; i++) {
        *place_of(look, visits[i].node) = (uint32_t)i + 1;
    }
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

/* Whether another thread, in an untimed wait, is part of what is stuck. */
static bool others_are_stuck(struct look *look, struct hki_agent *agent)
{
    for (size_t i = 0; i < look->used; i++) {
        const struct visit *place = &look->visits[i];

        if (!place->moves && place->node.ops == &agent_ops && place->node.object != agent) {
            return true;
        }
    }
    return false;
}

/* The first successor that cannot move either, or NULL. */
static struct visit *stuck_successor(struct look *look, const struct visit *place)
{
    for (size_t i = 0; i < place->count; i++) {
        struct hki_wait_node next = place->node.ops->next(place->node.object, i);
        struct visit *found = next.ops == NULL ? NULL : find(look, next);

        if (found != NULL && !found->moves) {
            return found;
        }
    }
    return NULL;
}

/* Follows the stuck nodes from the agent's wait until they repeat. */
static void write_report(struct look *look, struct hki_agent *agent, char *report)
{
    struct visit *place = &look->visits[0];
    size_t used;

    describe_agent(agent, report, HKI_WAIT_REPORT_BYTES);
    for (size_t steps = 0; steps <= look->used && place != NULL; steps++) {
        char words[256] = "";
        bool is_agent = place->node.ops == &agent_ops;

        place->node.ops->describe(place->node.object, words, sizeof(words));
        used = strlen(report);
        snprintf(report + used, HKI_WAIT_REPORT_BYTES - used, "%s%s",
                 is_agent     ? ", which needs "
                 : steps == 0 ? " waits for "
                              : ", which waits for ",
                 words);
        if (is_agent && place->node.object == agent) {
            return;
        }
        place = stuck_successor(look, place);
    }
}

/* One walk: HK_EDEADLK if the agent's wait is stuck. A timed wait that is stuck by
 * itself alone runs out, and is not refused. */
static hk_status walk(struct hki_agent *agent, bool timed, char *report)
{
    struct look look;
    hk_status status = HK_OK;

    prepare(&look);
    collect(&look, agent->waits_for);
    if (look.short_of_memory) {
        status = HK_ENOMEM;
    } else {
        settle(&look);
        if (!look.visits[0].moves && (!timed || others_are_stuck(&look, agent))) {
            status = HK_EDEADLK;
            write_report(&look, agent, report);
        }
    }
    release(&look);
    return status;
}

hk_status hki_wait_graph_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed,
                               char *report)
{
    hk_status status;

    pthread_mutex_lock(&graph_lock);
    atomic_fetch_add(&looks, 1);
    agent->waits_for = wanted;
    /* Its own time limit does not excuse the one that closes a cycle of untimed
     * waits: it would wait in vain. For later looks of others it can move. */
    agent->timed = false;
    /* Two agreeing walks: the first may have read a future in the moment in which
     * somebody outside ended it; a stuck set cannot change between two walks, for
     * each of its threads sleeps and waits for another of the set. */
    status = walk(agent, timed, report);
    if (status == HK_EDEADLK) {
        status = walk(agent, timed, report);
    }
    agent->timed = timed;
    if (status != HK_OK) {
        agent->waits_for.ops = NULL;
    }
    atomic_fetch_sub(&looks, 1);
    pthread_mutex_unlock(&graph_lock);
    return status;
}

void hki_wait_graph_end(struct hki_agent *agent)
{
    pthread_mutex_lock(&graph_lock);
    agent->waits_for.ops = NULL;
    pthread_mutex_unlock(&graph_lock);
}

hk_status hki_wait_graph_reaches(struct hki_wait_node start, struct hki_wait_node target)
{
    struct look look;
    const struct visit *first;
    hk_status status = HK_OK;

    prepare(&look);
    pthread_mutex_lock(&graph_lock);
    atomic_fetch_add(&looks, 1);
    collect(&look, start);
    if (look.short_of_memory) {
        status = HK_ENOMEM;
    } else if (find(&look, target) != NULL) {
        settle(&look);
        first = find(&look, start);
        status = first != NULL && !first->moves ? HK_EDEADLK : HK_OK;
    }
    atomic_fetch_sub(&looks, 1);
    pthread_mutex_unlock(&graph_lock);
    release(&look);
    return status;
}

/* The thread that forked goes on in the child, but as nobody's worker: the pool and
 * its other threads stayed behind. */
static void forget_host(void)
{
    own.host_ops = NULL;
    own.host = NULL;
    own.host_owner = NULL;
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&graph_lock);
    (void)pthread_atfork(NULL, NULL, forget_host);
}
