/* SPDX-License-Identifier: MIT */
/*
 * The locks that a thread holds, in the order in which it took them.
 *
 * Written by its own thread alone. Others read `held` under the graph's lock, and only
 * of a thread that has published a wait there: such a thread changes nothing before it
 * has had that lock again.
 */
#ifndef HOCKET_SYNC_HOLDER_H
#define HOCKET_SYNC_HOLDER_H

#include <hocket/status.h>

#include <stdbool.h>
#include <stdint.h>

#include "sync/agent.h"
#include "sync/held.h"
#include "sync/lock_order.h"

/* hki_held.flags: what it is, and how it is held. */
enum { HKI_HELD_LOCK = 0, HKI_HELD_READ = 1, HKI_HELD_WRITE = 2 };

enum { HKI_CHAIN_CACHE = 256, HKI_CHAIN_SHIFT = 56 };

struct hki_holder {
    uint32_t word; /* The thread's slot, as it stands in the word of a lock. */
    uint32_t depth;
    uint32_t room;
    struct hki_held *held;
    struct hki_agent *agent;
    uint64_t chains[HKI_CHAIN_CACHE]; /* Keys of chains that are known to be in order. */
};

/* NULL until the thread first takes a lock. */
extern _Thread_local struct hki_holder *hki_own_holder __attribute__((tls_model("initial-exec")));

/* Makes the calling thread's; NULL without memory, or without a slot. */
struct hki_holder *hki_holder_make(void);

/* Room for one more lock. HK_ENOMEM. */
hk_status hki_holder_grow(struct hki_holder *holder);

/* The key of the chain of all that is held. */
static inline uint64_t hki_holder_key(const struct hki_holder *holder)
{
    return holder->depth == 0 ? hki_order_seed() : holder->held[holder->depth - 1].key;
}

/* The entry of a lock that the thread holds, or NULL. */
struct hki_held *hki_holder_find(struct hki_holder *holder, const void *lock);

/* Takes an entry out, and counts the keys of those above it anew. */
void hki_holder_remove(struct hki_holder *holder, struct hki_held *held);

/* Puts an entry back to where it was taken out; there is room. */
void hki_holder_put_back(struct hki_holder *holder, size_t at, const struct hki_held *held);

/* The name of the lock; NULL: it has none. */
const char *hki_held_name(const struct hki_held *held);

/* Fills in the names, for a report. */
void hki_holder_name_all(struct hki_holder *holder);

/* Whether a chain is known to be in order: to this thread, or to the process. */
static inline bool hki_holder_knows(struct hki_holder *holder, uint64_t key)
{
    uint64_t *place = &holder->chains[key >> HKI_CHAIN_SHIFT];

    if (__builtin_expect(*place == key, 1)) {
        return true;
    }
    if (!hki_order_known(key)) {
        return false;
    }
    *place = key;
    return true;
}

/* HK_EORDER if a lock may not be taken on top of what is held, HK_OK if so; the
 * chain is then known. key is that of the chain with it. */
hk_status hki_holder_check_order(struct hki_holder *holder, const struct hki_held *wanted,
                                 hk_lock_policy policy);

/* How many locks the thread holds. */
static inline uint32_t hki_holder_depth(const struct hki_agent *agent)
{
    return agent->holder == NULL ? 0 : agent->holder->depth;
}

/* Says in the log that a task (who) has returned with the locks from that depth on. */
void hki_holder_tell_kept(const struct hki_agent *agent, uint32_t from, const char *who);

/* At the end of a thread: the locks that it holds stay taken for ever. Says so in the log,
 * and to those who wait for them. */
void hki_holder_abandon(struct hki_agent *agent);

void hki_holder_free(struct hki_agent *agent);

#endif
