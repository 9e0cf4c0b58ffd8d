/* SPDX-License-Identifier: MIT */
#include "sync/holder.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "sync/lock_impl.h"
#include "sync/rwlock_impl.h"
#include "sync/wait_graph.h"

enum { FEW_HELD = 32 };

_Thread_local struct hki_holder *hki_own_holder;

struct hki_holder *hki_holder_make(void)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_holder *holder;

    if (hki_own_holder != NULL) {
        return hki_own_holder;
    }
    if ((holder = hki_zalloc(sizeof(*holder))) == NULL) {
        return NULL;
    }
    holder->held = hki_alloc(FEW_HELD * sizeof(*holder->held));
    if (holder->held == NULL || !hki_agent_attach(agent)) {
        hki_free(holder->held, FEW_HELD * sizeof(*holder->held));
        hki_free(holder, sizeof(*holder));
        return NULL;
    }
    holder->room = FEW_HELD;
    holder->agent = agent;
    holder->word = agent->slot << HKI_LOCK_OWNER_SHIFT;
    agent->holder = holder;
    hki_own_holder = holder;
    return holder;
}

hk_status hki_holder_grow(struct hki_holder *holder)
{
    struct hki_held *more = hki_alloc(2 * holder->room * sizeof(*more));

    if (more == NULL) {
        return HK_ENOMEM;
    }
    /* No other thread looks: this one has not published a wait. */
    memcpy(more, holder->held, holder->depth * sizeof(*more));
    hki_free(holder->held, holder->room * sizeof(*holder->held));
    holder->held = more;
    holder->room *= 2;
    return HK_OK;
}

struct hki_held *hki_holder_find(struct hki_holder *holder, const void *lock)
{
    for (uint32_t i = holder == NULL ? 0 : holder->depth; i-- != 0;) {
        if (holder->held[i].lock == lock) {
            return &holder->held[i];
        }
    }
    return NULL;
}

/* The keys of the entries from there on. */
static void count_keys(struct hki_holder *holder, size_t at)
{
    for (; at < holder->depth; at++) {
        uint64_t below = at == 0 ? hki_order_seed() : holder->held[at - 1].key;

        holder->held[at].key = hki_order_mix(below, holder->held[at].identity);
    }
}

void hki_holder_remove(struct hki_holder *holder, struct hki_held *held)
{
    size_t at = (size_t)(held - holder->held);

    holder->depth--;
    memmove(held, held + 1, (holder->depth - at) * sizeof(*held));
    count_keys(holder, at);
}

void hki_holder_put_back(struct hki_holder *holder, size_t at, const struct hki_held *held)
{
    struct hki_held *place = &holder->held[at];

    memmove(place + 1, place, (holder->depth - at) * sizeof(*place));
    holder->depth++;
    *place = *held;
    count_keys(holder, at);
}

const char *hki_held_name(const struct hki_held *held)
{
    if (held->flags == HKI_HELD_LOCK) {
        return ((const hk_lock *)held->lock)->name_;
    }
    return ((const hk_rwlock *)held->lock)->name_;
}

void hki_holder_name_all(struct hki_holder *holder)
{
    for (uint32_t i = 0; i < holder->depth; i++) {
        holder->held[i].name = hki_held_name(&holder->held[i]);
    }
}

hk_status hki_holder_check_order(struct hki_holder *holder, const struct hki_held *wanted,
                                 hk_lock_policy policy)
{
    hk_status status = HK_OK;

    if (!hki_order_known(wanted->key)) {
        hki_holder_name_all(holder);
        status = hki_order_check(holder->held, holder->depth, wanted, policy);
    }
    if (status == HK_OK) {
        holder->chains[wanted->key >> HKI_CHAIN_SHIFT] = wanted->key;
    }
    return status;
}

void hki_holder_tell_kept(const struct hki_agent *agent, uint32_t from, const char *who)
{
    struct hki_holder *holder = agent->holder;

    hki_holder_name_all(holder);
    for (uint32_t i = from; i < holder->depth; i++) {
        const struct hki_held *held = &holder->held[i];

        hki_log(HK_LOG_WARNING,
                "task %s returned and its thread still holds lock %p (%s), taken at %s:%d: "
                "release it before the task returns",
                who, held->lock, held->name == NULL ? "unnamed" : held->name, held->site->file,
                held->site->line);
    }
}

static void tell_abandoned(const struct hki_held *held, const char *thread)
{
    const char *name = hki_held_name(held);

    hki_log(HK_LOG_ERROR,
            "%s ended and did not release lock %p (%s), held since %s:%d: whoever waits for it "
            "gets HK_EBROKEN",
            thread, held->lock, name == NULL ? "unnamed" : name, held->site->file,
            held->site->line);
}

void hki_holder_abandon(struct hki_agent *agent)
{
    struct hki_holder *holder = agent->holder;
    char thread[64];

    if (holder == NULL || holder->depth == 0) {
        return;
    }
    hki_agent_node(agent).ops->describe(agent, thread, sizeof(thread));
    /* The hook of the log may take locks of its own, above these. */
    for (uint32_t i = 0; i < holder->depth; i++) {
        tell_abandoned(&holder->held[i], thread);
    }
    for (uint32_t i = 0; i < holder->depth; i++) {
        if (holder->held[i].flags == HKI_HELD_LOCK) {
            hki_lock_abandon(holder->held[i].lock);
        } else {
            hki_rwlock_abandon(holder->held[i].lock);
        }
    }
}

void hki_holder_free(struct hki_agent *agent)
{
    struct hki_holder *holder = agent->holder;

    if (holder != NULL) {
        agent->holder = NULL;
        hki_own_holder = NULL;
        hki_free(holder->held, holder->room * sizeof(*holder->held));
        hki_free(holder, sizeof(*holder));
    }
}
