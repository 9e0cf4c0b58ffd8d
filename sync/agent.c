/* SPDX-License-Identifier: MIT */
#include "sync/agent.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/os.h"
#include "sync/holder.h"
#include "sync/party.h"
#include "sync/wait_graph.h"

_Thread_local struct hki_agent hki_own_agent;

/* Stands in slots whose thread is gone for good: such slots are never given away
 * again, for locks still name them. */
static struct hki_agent foreign_agent = {.name = "a thread of the parent process"};

/* Filled by the thread itself, emptied under the graph's lock. 512 KiB, of which only
 * what there are threads for is ever touched. */
static _Atomic(struct hki_agent *) slots[HKI_SLOT_MAX + 1];
static atomic_uint slot_last;
static atomic_uint slot_hint = 1; /* Where a search begins; it need not be right. */

/* Its destructor detaches a thread that ends. */
static pthread_key_t at_thread_end;
static atomic_bool key_made;

/* The library was taken down, at the exit of the process: threads that end from then on do
 * not say so, and nobody looks for them any more. */
static atomic_bool is_over;

/* Its locks have been left to other destructors once. */
static _Thread_local bool put_off;

void hki_agent_enter_late(struct hki_agent *agent)
{
    if (agent->host_ops != NULL) {
        agent->host_ops->occupied(agent->host);
    }
    hki_agent_enter(agent);
}

void hki_agent_leave(struct hki_agent *agent)
{
    HKI_ASSERT(agent->depth > 0);
    if (atomic_load(&agent->parties) != NULL) {
        hki_parties_leave(agent, agent->depth);
    }
    if (--agent->depth == 0) {
        hki_wait_graph_settle();
    }
}

/* --- as a node --- */

static enum hki_wait_kind look_at_agent(void *object, size_t *count)
{
    const struct hki_agent *agent = object;

    if (agent->waits_for.ops == NULL || agent->timed || atomic_load(&agent->served)) {
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
        return;
    }
    snprintf(text, size, "thread %s (%d)", agent->thread_name, agent->thread_id);
}

static const struct hki_wait_ops agent_ops = {
    .look = look_at_agent, .next = next_of_agent, .describe = describe_agent};

struct hki_wait_node hki_agent_node(struct hki_agent *agent)
{
    return (struct hki_wait_node){&agent_ops, agent};
}

bool hki_agent_is_node(struct hki_wait_node node)
{
    return node.ops == &agent_ops;
}

/* --- slots --- */

bool hki_agents_are_over(void)
{
    return atomic_load(&is_over);
}

struct hki_agent *hki_slot_agent(uint32_t slot)
{
    return hki_agents_are_over() ? NULL : atomic_load(&slots[slot]);
}

bool hki_slot_foreign(uint32_t slot)
{
    return atomic_load(&slots[slot]) == &foreign_agent;
}

uint32_t hki_slot_last(void)
{
    return atomic_load(&slot_last);
}

/* Tries the places from first on. */
static uint32_t take_slot_from(uint32_t first, struct hki_agent *agent)
{
    for (uint32_t slot = first; slot <= HKI_SLOT_MAX; slot++) {
        struct hki_agent *nobody = NULL;

        if (atomic_compare_exchange_strong(&slots[slot], &nobody, agent)) {
            return slot;
        }
    }
    return HKI_SLOT_NONE;
}

static uint32_t take_slot(struct hki_agent *agent)
{
    uint32_t slot = take_slot_from(atomic_load(&slot_hint), agent);
    uint32_t last = atomic_load(&slot_last);

    if (slot == HKI_SLOT_NONE) {
        slot = take_slot_from(1, agent);
    }
    while (slot > last && !atomic_compare_exchange_weak(&slot_last, &last, slot)) {
    }
    return slot;
}

/* Under the graph's lock. */
static void free_slot(uint32_t slot)
{
    if (slot == HKI_SLOT_NONE) {
        return; /* There was none left for this thread. */
    }
    atomic_store(&slots[slot], NULL);
    if (slot < atomic_load(&slot_hint)) {
        atomic_store(&slot_hint, slot);
    }
}

bool hki_agent_attach(struct hki_agent *agent)
{
    if (agent->slot != HKI_SLOT_NONE) {
        return true;
    }
    if (!hki_agents_are_over() &&
        (!atomic_load(&key_made) || pthread_setspecific(at_thread_end, agent) != 0)) {
        return false;
    }
    /* Under the lock: others may tell of a thread that they came by in another way. */
    hki_wait_graph_lock();
    agent->thread_id = hki_os_thread_id();
    hki_os_thread_own_name(agent->thread_name, sizeof(agent->thread_name));
    hki_wait_graph_unlock();
    agent->slot = take_slot(agent);
    return agent->slot != HKI_SLOT_NONE;
}

void hki_agent_begin_watching_end(struct hki_agent *agent)
{
    agent->end_is_watched = !hki_agents_are_over() && atomic_load(&key_made) &&
                            pthread_setspecific(at_thread_end, agent) == 0;
}

void hki_agent_stop_if_inside(const struct hki_agent *agent)
{
    char name[16];

    if (agent->depth == 0 && agent->must_return == 0) {
        return;
    }
    hki_os_thread_own_name(name, sizeof(name));
    hki_log(HK_LOG_ERROR,
            "%s (%s, %d) ended inside a task, or another function that Hocket had called, by "
            "pthread_exit() or because it was cancelled; others count on its return, so the "
            "program stops",
            agent->name != NULL ? agent->name : "a thread", name, hki_os_thread_id());
    abort();
}

/* Runs at the end of a thread that is attached, or watched, perhaps several times: destructors of
 * the application that come later may attach it again, or release what it holds. */
static void detach(void *value)
{
    struct hki_agent *agent = value;

    hki_agent_stop_if_inside(agent);
    agent->end_is_watched = false;
    if (hki_holder_depth(agent) != 0 && !put_off &&
        pthread_setspecific(at_thread_end, agent) == 0) {
        put_off = true;
        return;
    }
    if (atomic_load(&agent->parties) != NULL) {
        hki_parties_leave(agent, 0);
    }
    hki_holder_abandon(agent);
    hki_wait_graph_lock();
    free_slot(agent->slot);
    hki_wait_graph_unlock();
    hki_holder_free(agent);
    agent->slot = HKI_SLOT_NONE;
}

/* The thread that forked goes on in the child, but as nobody's worker: the pool and
 * its other threads stayed behind, with the locks that they hold. */
static void leave_parent(void)
{
    uint32_t last = hki_slot_last();

    hki_own_agent.host_ops = NULL;
    hki_own_agent.host = NULL;
    hki_own_agent.host_owner = NULL;
    hki_own_agent.counts = NULL;
    if (hki_own_agent.slot != HKI_SLOT_NONE) {
        hki_own_agent.thread_id = hki_os_thread_id();
    }
    for (uint32_t slot = 1; slot <= last; slot++) {
        struct hki_agent *agent = atomic_load(&slots[slot]);

        if (agent != NULL && agent != &hki_own_agent) {
            atomic_store(&slots[slot], &foreign_agent);
        }
    }
}

/* The priority lets constructors and destructors of the application take locks; what is
 * per thread (sync/thread_end.c) goes before its thread does. */
__attribute__((constructor(102))) static void set_up(void)
{
    (void)pthread_atfork(NULL, NULL, leave_parent);
    atomic_store(&key_made, pthread_key_create(&at_thread_end, detach) == 0);
}

/* A library that is unloaded must not be called back by threads that end later. */
__attribute__((destructor(101))) static void tear_down(void)
{
    hki_wait_graph_lock();
    atomic_store(&is_over, true);
    hki_wait_graph_unlock();
    if (atomic_exchange(&key_made, false)) {
        pthread_key_delete(at_thread_end);
    }
}
