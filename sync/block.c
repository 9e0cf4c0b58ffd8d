/* SPDX-License-Identifier: MIT */
/*
 * A wait is shown, and perhaps published. Showing is for those who want to see what
 * everybody waits for: two stores, and a handshake like that of every node (see
 * hki_wait_graph_settle). Publishing, under the graph's lock, is for threads that
 * somebody may wait for.
 */
#include "sync/block.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/time.h"
#include "base/world.h"
#include "sync/holder.h"

/* What has to be undone. */
enum { SHOWN = 1, PUBLISHED = 2, HOST_TOLD = 4 };

/* Pauses between the looks of one that sleeps: from 64 ms up to 4 s. */
#define FIRST_PAUSE HK_MS(64)
enum { PAUSE_DOUBLINGS = 6 };

/* How long a brief wait may last before the pool makes up for its worker: some ten
 * times what starting a thread costs. */
#define PATIENCE HK_MS(1)

static atomic_bool warns;

void hki_block_warn(bool on)
{
    atomic_store(&warns, on);
}

static bool holds_locks(const struct hki_agent *agent)
{
    return agent->holder != NULL && agent->holder->depth != 0;
}

bool hki_block_is_awaited(const struct hki_agent *agent)
{
    return agent->depth != 0 || atomic_load(&agent->parties) != NULL || holds_locks(agent);
}

static void warn(struct hki_agent *agent, struct hki_wait_node wanted)
{
    const struct hki_held *held = &agent->holder->held[agent->holder->depth - 1];
    char who[64] = "";
    char what[256] = "";

    hki_agent_node(agent).ops->describe(agent, who, sizeof(who));
    wanted.ops->describe(wanted.object, what, sizeof(what));
    hki_holder_name_all(agent->holder);
    hki_log(HK_LOG_WARNING, "%s blocks on %s while it holds lock %p (%s) since %s:%d", who, what,
            held->lock, held->name == NULL ? "unnamed" : held->name, held->site->file,
            held->site->line);
}

static void show(struct hki_agent *agent, struct hki_wait_node wanted)
{
    (void)hki_agent_attach(agent); /* Else it is not seen, which does no harm. */
    atomic_store(&agent->shown_object, wanted.object);
    atomic_store(&agent->shown_since_ns, hk_now_ns());
    atomic_store(&agent->shown_ops, wanted.ops);
}

static void hide(struct hki_agent *agent)
{
    atomic_store(&agent->shown_ops, NULL);
    hki_wait_graph_settle();
}

static void tell_host(struct hki_agent *agent)
{
    if (agent->host_ops != NULL && agent->depth != 0) {
        agent->host_ops->block(agent->host);
        agent->block_state |= HOST_TOLD;
    }
}

static hk_status publish(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    char report[HKI_WAIT_REPORT_BYTES];
    hk_status status = hki_wait_graph_begin(agent, wanted, timed, report);

    if (status == HK_OK) {
        agent->block_state |= PUBLISHED;
        return HK_OK;
    }
    hki_block_end(agent);
    if (status == HK_EDEADLK) {
        hki_log(HK_LOG_WARNING, "a wait was refused, for it could never end: %s", report);
    }
    return status;
}

static hk_status begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed, bool brief)
{
    if (agent->block_state != 0) {
        /* A hook for the log, in the midst of a wait of a replay: it has no second one. */
        HKI_ASSERT(hki_world_self() != NULL);
        return HK_EDEADLK;
    }
    if (holds_locks(agent) && !wanted.ops->is_lock && atomic_load(&warns)) {
        warn(agent, wanted);
    }
    show(agent, wanted);
    agent->block_state = SHOWN;
    if (!hki_block_is_awaited(agent)) {
        return HK_OK;
    }
    /* Tell the pool first: one that could start a spare worker can move. */
    if (!brief) {
        tell_host(agent);
    }
    return publish(agent, wanted, timed);
}

hk_status hki_block_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    return begin(agent, wanted, timed, false);
}

hk_status hki_block_begin_briefly(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    return begin(agent, wanted, timed, true);
}

int64_t hki_block_patience(const struct hki_agent *agent, int64_t deadline_ns)
{
    return agent->host_ops == NULL || agent->depth == 0
               ? deadline_ns
               : hki_earlier(deadline_ns, hki_deadline(PATIENCE));
}

/* A timed wait was looked at when it began. Who has closed a ring since then has found it
 * timed, and counts on its running out; so it is not refused any more. */
static hk_status publish_again(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    if (!timed) {
        return publish(agent, wanted, false);
    }
    hki_wait_graph_go_on(agent, wanted);
    agent->block_state |= PUBLISHED;
    return HK_OK;
}

hk_status hki_block_lengthen(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    hki_wait_graph_end(agent);
    agent->block_state &= ~(unsigned)PUBLISHED;
    tell_host(agent);
    return publish_again(agent, wanted, timed);
}

bool hki_block_is_looked_at(const struct hki_agent *agent)
{
    return (agent->block_state & PUBLISHED) != 0 && !agent->timed;
}

int64_t hki_block_until(const struct hki_agent *agent, int64_t deadline_ns, unsigned *looks)
{
    unsigned doublings = *looks < PAUSE_DOUBLINGS ? *looks : PAUSE_DOUBLINGS;

    /* In a world nothing drops out unseen: where nothing is left to go on, it says so. */
    if (!hki_block_is_looked_at(agent) || hki_world_self() != NULL) {
        return deadline_ns;
    }
    ++*looks;
    return hki_earlier(deadline_ns, hki_deadline(FIRST_PAUSE << doublings));
}

hk_status hki_block_look_again(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    return (agent->block_state & PUBLISHED) == 0 ? HK_OK : publish_again(agent, wanted, timed);
}

void hki_block_served(struct hki_agent *agent)
{
    atomic_store(&agent->served, true);
}

void hki_block_attempt_begin(struct hki_agent *agent)
{
    if ((agent->block_state & PUBLISHED) != 0) {
        hki_wait_graph_lock();
    }
}

void hki_block_attempt_end(struct hki_agent *agent, bool served)
{
    if ((agent->block_state & PUBLISHED) != 0) {
        if (served) {
            agent->waits_for.ops = NULL;
        }
        hki_wait_graph_unlock();
    }
}

void hki_block_end(struct hki_agent *agent)
{
    unsigned state = agent->block_state;

    agent->block_state = 0;
    if ((state & PUBLISHED) != 0) {
        hki_wait_graph_end(agent);
    }
    hide(agent);
    if ((state & HOST_TOLD) != 0) {
        agent->host_ops->unblock(agent->host);
    }
}
