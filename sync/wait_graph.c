/* SPDX-License-Identifier: MIT */
#include "sync/wait_graph.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/fork.h"
#include "sync/wait_look.h"

/* Guards every agent's waits_for and timed, and all looks. Rank: before a pool's
 * lock and a completion queue's; no stripe is held when it is taken. */
static pthread_mutex_t graph_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct hki_wait_node nothing = {NULL, NULL};

/* Looks under way. seq_cst against the state words that owners publish: either
 * the look sees the object ended and leaves it alone, or the owner sees the look
 * and waits for it. */
static atomic_uint looks;

void hki_wait_graph_lock(void)
{
    pthread_mutex_lock(&graph_lock);
}

void hki_wait_graph_unlock(void)
{
    pthread_mutex_unlock(&graph_lock);
}

void hki_wait_graph_looks(bool begin)
{
    if (begin) {
        atomic_fetch_add(&looks, 1);
    } else {
        atomic_fetch_sub(&looks, 1);
    }
}

void hki_wait_graph_settle(void)
{
    if (atomic_load(&looks) != 0) {
        pthread_mutex_lock(&graph_lock);
        pthread_mutex_unlock(&graph_lock);
    }
}

/* Whether another thread, in an untimed wait, is part of what is stuck. */
static bool others_are_stuck(struct hki_look *look, struct hki_agent *agent)
{
    for (size_t i = 0; i < look->used; i++) {
        const struct hki_visit *place = &look->visits[i];

        if (!place->moves && hki_agent_is_node(place->node) && place->node.object != agent) {
            return true;
        }
    }
    return false;
}

static void append(char *report, const char *words)
{
    size_t used = strlen(report);

    snprintf(report + used, HKI_WAIT_REPORT_BYTES - used, "%s", words);
}

/* " held by A since y.c:33": how a place depends on its successor. */
static void append_relation(const struct hki_visit *place, const struct hki_visit *successor,
                            char *report)
{
    char name[256] = "";
    char words[512] = "";

    successor->node.ops->describe(successor->node.object, name, sizeof(name));
    if (hki_agent_is_node(place->node)) {
        snprintf(words, sizeof(words), ", which waits for %s", name);
    } else if (place->node.ops->relate != NULL) {
        words[0] = ' ';
        place->node.ops->relate(place->node.object, successor->node, name, words + 1,
                                sizeof(words) - 1);
    } else {
        snprintf(words, sizeof(words), "%s%s %s", place->node.ops->verb == NULL ? "" : " ",
                 place->node.ops->verb == NULL ? ", which needs" : place->node.ops->verb, name);
    }
    append(report, words);
}

/* Follows the stuck nodes from the agent's wait back to the agent. */
static void write_report(struct hki_look *look, struct hki_agent *agent, char *report)
{
    const struct hki_visit *place = &look->visits[0];
    const struct hki_visit *successor;
    char words[256] = "";

    hki_agent_node(agent).ops->describe(agent, report, HKI_WAIT_REPORT_BYTES);
    place->node.ops->describe(place->node.object, words, sizeof(words));
    append(report, " waits for ");
    append(report, words);
    hki_look_way(look, hki_agent_node(agent));
    while ((successor = hki_look_after(look, place)) != NULL) {
        append_relation(place, successor, report);
        place = successor;
    }
}

/* One walk: HK_EDEADLK if the agent's wait is stuck. A timed wait that is stuck by
 * itself alone runs out, and is not refused. */
static hk_status walk(struct hki_agent *agent, bool timed, char *report)
{
    struct hki_look look;
    hk_status status = HK_OK;

    hki_look_from(&look, agent->waits_for);
    if (look.short_of_memory) {
        status = HK_ENOMEM;
    } else if (!look.visits[0].moves && (!timed || others_are_stuck(&look, agent))) {
        status = HK_EDEADLK;
        write_report(&look, agent, report);
    }
    hki_look_release(&look);
    return status;
}

hk_status hki_wait_graph_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed,
                               char *report)
{
    hk_status status;

    pthread_mutex_lock(&graph_lock);
    atomic_fetch_add(&looks, 1);
    agent->waits_for = wanted;
    atomic_store(&agent->served, false);
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
        agent->waits_for = nothing;
    }
    atomic_fetch_sub(&looks, 1);
    pthread_mutex_unlock(&graph_lock);
    return status;
}

void hki_wait_graph_go_on(struct hki_agent *agent, struct hki_wait_node wanted)
{
    pthread_mutex_lock(&graph_lock);
    agent->waits_for = wanted;
    agent->timed = true;
    pthread_mutex_unlock(&graph_lock);
}

void hki_wait_graph_end(struct hki_agent *agent)
{
    pthread_mutex_lock(&graph_lock);
    agent->waits_for = nothing;
    pthread_mutex_unlock(&graph_lock);
}

/* One walk of the next one. */
static hk_status reach(struct hki_wait_node start, struct hki_wait_node target)
{
    struct hki_look look;
    hk_status status = HK_OK;

    hki_look_from(&look, start);
    if (look.short_of_memory) {
        status = HK_ENOMEM;
    } else if (hki_look_find(&look, target) != NULL && !look.visits[0].moves) {
        status = HK_EDEADLK;
    }
    hki_look_release(&look);
    return status;
}

hk_status hki_wait_graph_reaches(struct hki_wait_node start, struct hki_wait_node target)
{
    hk_status status;

    pthread_mutex_lock(&graph_lock);
    atomic_fetch_add(&looks, 1);
    status = reach(start, target);
    if (status == HK_EDEADLK) {
        status = reach(start, target);
    }
    atomic_fetch_sub(&looks, 1);
    pthread_mutex_unlock(&graph_lock);
    return status;
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&graph_lock);
}
