/* SPDX-License-Identifier: MIT */
/*
 * What the code under test needs of the rest of the library: enough to go on, and
 * nothing that waits. The wait-for graph is not what is tried here.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/time.h"
#include "sync/block.h"
#include "sync/party.h"
#include "sync/stripe.h"
#include "sync/thread_end.h"
#include "tests/interleave/machine.h"

hk_status hki_block_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    (void)agent;
    (void)wanted;
    (void)timed;
    return HK_OK;
}

void hki_agent_begin_watching_end(struct hki_agent *agent)
{
    agent->end_is_watched = true; /* No thread ends in here. */
}

void hki_block_end(struct hki_agent *agent)
{
    (void)agent;
}

void hki_block_attempt_begin(struct hki_agent *agent)
{
    (void)agent;
}

void hki_block_attempt_end(struct hki_agent *agent, bool served)
{
    (void)agent;
    (void)served;
}

bool hki_block_is_looked_at(const struct hki_agent *agent)
{
    (void)agent;
    return false;
}

int64_t hki_block_until(const struct hki_agent *agent, int64_t deadline_ns, unsigned *looks)
{
    (void)agent;
    (void)looks;
    return deadline_ns;
}

hk_status hki_block_look_again(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    (void)agent;
    (void)wanted;
    (void)timed;
    return HK_OK;
}

struct hki_agent *hki_agent_self(void)
{
    static struct hki_agent agents[HKT_THREADS_MAX];

    return &agents[hkt_machine_self()];
}

void hki_agent_leave(struct hki_agent *agent)
{
    agent->depth--;
}

struct hki_wait_node hki_agent_node(struct hki_agent *agent)
{
    (void)agent;
    return (struct hki_wait_node){NULL, NULL};
}

void hki_wait_graph_lock(void)
{
}

void hki_wait_graph_unlock(void)
{
}

void hki_wait_graph_settle(void)
{
}

hk_status hki_parties_bind(struct hki_parties *parties)
{
    (void)parties;
    return HK_OK;
}

hk_status hki_parties_unbind(struct hki_parties *parties)
{
    (void)parties;
    return HK_OK;
}

void hki_parties_clear(struct hki_parties *parties)
{
    (void)parties;
}

enum hki_wait_kind hki_parties_look(const struct hki_parties *parties, enum hki_wait_kind kind,
                                    size_t *count)
{
    (void)parties;
    (void)kind;
    *count = 0;
    return HKI_WAIT_MOVES;
}

struct hki_wait_node hki_parties_next(const struct hki_parties *parties, size_t i)
{
    (void)parties;
    (void)i;
    return (struct hki_wait_node){NULL, NULL};
}

int64_t hk_now_ns(void)
{
    return 1;
}

struct hki_fork_self hki_fork_self = {.generation = 1};

void hki_live_add(enum hki_live_kind kind, long change)
{
    (void)kind;
    (void)change;
}

void *hki_alloc(size_t size)
{
    return malloc(size);
}

void *hki_zalloc(size_t size)
{
    return calloc(1, size);
}

void hki_free(void *memory, size_t size)
{
    (void)size;
    free(memory);
}

/* No scenario asks for a descriptor. */
int hki_os_event_create(void)
{
    return -1;
}

void hki_os_event_signal(int fd)
{
    (void)fd;
}

void hki_os_event_drain(int fd)
{
    (void)fd;
}

void hki_os_close(int fd)
{
    (void)fd;
}

int hki_os_timer_create(void)
{
    return -1;
}

void hki_os_timer_set(int fd, int64_t when_ns)
{
    (void)fd;
    (void)when_ns;
}

void hki_os_pause(void)
{
}

void hki_block_served(struct hki_agent *agent)
{
    (void)agent;
}

bool hki_thread_end_watch(void)
{
    return true;
}

struct hki_stripe *hki_stripe_of(const void *object)
{
    static struct hki_stripe only;

    (void)object;
    return &only;
}
