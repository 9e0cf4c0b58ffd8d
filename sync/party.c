/* SPDX-License-Identifier: MIT */
#include "sync/party.h"

#include <pthread.h>

#include "base/fork.h"
#include "base/memory.h"

/* On two lists at once, both under the graph's lock. In a child of fork, those of the
 * threads that stayed in the parent are still on the lists of objects, but their agents are
 * memory of nobody: only their own fields are touched. */
struct hki_party {
    struct hki_parties *parties;
    struct hki_agent *agent;
    unsigned depth; /* Of the task that declared it; 0: the thread itself. */
    uint32_t generation;
    struct hki_party *next_of_object;
    struct hki_party *next_of_agent;
};

/* The thread that forked this process. */
static struct hki_agent *survivor;

static bool is_here(const struct hki_party *party)
{
    return !hki_fork_foreign(party->generation) || party->agent == survivor;
}

/* From at on, the first of this process. */
static struct hki_party *first_here(struct hki_party *at)
{
    while (at != NULL && !is_here(at)) {
        at = at->next_of_object;
    }
    return at;
}

static struct hki_party *find(const struct hki_parties *parties, const struct hki_agent *agent)
{
    struct hki_party *at = first_here(atomic_load(&parties->first));

    while (at != NULL && at->agent != agent) {
        at = first_here(at->next_of_object);
    }
    return at;
}

static void take_from_object(struct hki_party *party)
{
    struct hki_party *before = atomic_load(&party->parties->first);

    if (before == party) {
        atomic_store(&party->parties->first, party->next_of_object);
        return;
    }
    while (before->next_of_object != party) {
        before = before->next_of_object;
    }
    before->next_of_object = party->next_of_object;
}

static void take_from_agent(struct hki_party *party)
{
    struct hki_party *before = atomic_load(&party->agent->parties);

    if (before == party) {
        atomic_store(&party->agent->parties, party->next_of_agent);
        return;
    }
    while (before->next_of_agent != party) {
        before = before->next_of_agent;
    }
    before->next_of_agent = party->next_of_agent;
}

static void forget(struct hki_party *party)
{
    take_from_object(party);
    if (is_here(party)) {
        take_from_agent(party);
    }
    hki_free(party, sizeof(*party));
}

hk_status hki_parties_bind(struct hki_parties *parties)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_party *party;

    /* Attached, its end takes back what it declared. */
    if (!hki_agent_attach(agent) || (party = hki_alloc(sizeof(*party))) == NULL) {
        return HK_ENOMEM;
    }
    hki_wait_graph_lock();
    if (find(parties, agent) == NULL) {
        *party = (struct hki_party){.parties = parties,
                                    .agent = agent,
                                    .depth = agent->depth,
                                    .generation = hki_fork_generation(),
                                    .next_of_object = atomic_load(&parties->first),
                                    .next_of_agent = atomic_load(&agent->parties)};
        atomic_store(&parties->first, party);
        atomic_store(&agent->parties, party);
        party = NULL;
    }
    hki_wait_graph_unlock();
    hki_free(party, sizeof(*party));
    return HK_OK;
}

hk_status hki_parties_unbind(struct hki_parties *parties)
{
    struct hki_party *party;

    hki_wait_graph_lock();
    party = find(parties, hki_agent_self());
    if (party != NULL) {
        forget(party);
    }
    hki_wait_graph_unlock();
    return party == NULL ? HK_ESTATE : HK_OK;
}

void hki_parties_clear(struct hki_parties *parties)
{
    hki_wait_graph_lock();
    while (hki_parties_any(parties)) {
        forget(atomic_load(&parties->first));
    }
    hki_wait_graph_unlock();
}

void hki_parties_leave(struct hki_agent *agent, unsigned depth)
{
    struct hki_party *at;

    hki_wait_graph_lock();
    for (at = atomic_load(&agent->parties); at != NULL;) {
        struct hki_party *next = at->next_of_agent;

        if (at->depth >= depth) {
            forget(at);
        }
        at = next;
    }
    hki_wait_graph_unlock();
}

enum hki_wait_kind hki_parties_look(const struct hki_parties *parties, enum hki_wait_kind kind,
                                    size_t *count)
{
    *count = 0;
    if (hki_agents_are_over()) {
        return HKI_WAIT_MOVES;
    }
    for (const struct hki_party *at = first_here(atomic_load(&parties->first)); at != NULL;
         at = first_here(at->next_of_object)) {
        ++*count;
    }
    return *count == 0 ? HKI_WAIT_MOVES : kind;
}

struct hki_wait_node hki_parties_next(const struct hki_parties *parties, size_t i)
{
    const struct hki_party *at = first_here(atomic_load(&parties->first));

    while (at != NULL && i-- != 0) {
        at = first_here(at->next_of_object);
    }
    return at == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(at->agent);
}

static void survive(void)
{
    struct hki_agent *self = hki_agent_self();

    if (survivor != self) { /* Else the page need not be written, which the child would copy. */
        survivor = self;
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, survive);
}
