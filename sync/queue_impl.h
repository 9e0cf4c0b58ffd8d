/* SPDX-License-Identifier: MIT */
/*
 * The inside of a queue: one lock, three groups of sleepers, and the rule that who lets
 * go of the lock wakes whom the state owes a wake (hki_queue_unlock()).
 *
 * Who is about to sleep counts itself inside first, and out as its last touch: so a
 * destroy sees it. Everybody else touches nothing of the queue once the lock is free, but
 * for the address that it wakes: so a getter of the last item may destroy it.
 */
#ifndef HOCKET_SYNC_QUEUE_IMPL_H
#define HOCKET_SYNC_QUEUE_IMPL_H

#include <hocket/queue.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fork.h"
#include "base/list.h"
#include "base/time.h"
#include "sync/brief_lock.h"
#include "sync/queue_store.h"
#include "sync/sides.h"
#include "sync/wait_graph.h"
#include "sync/waiters.h"

enum { HKI_QUEUE_NAME_BYTES = 32, HKI_CACHE_LINE = 64 };

/* What every put and get touches comes first and fills one cache line, for it travels from
 * processor to processor together with the lock. */
struct hk_queue {
    struct hki_brief_lock lock;
    /* Under the lock: */
    unsigned attention; /* Threads that sleep, plus 1 if it is closed, plus 1 if observed. */
    struct hki_store store;
    size_t capacity;     /* SIZE_MAX: no limit. */
    uint64_t unfinished; /* Put, and not reported done. */
    bool closed;
    bool observed; /* There is a descriptor or a selector: see queue_watch.c. */
    bool news;     /* Something a selector wants to look at. */
    struct hki_waiters getters;
    struct hki_waiters putters;
    struct hki_waiters joiners; /* Their epoch moves when unfinished becomes 0. */
    const void *leader;         /* DELAY: the getter that sleeps until the first is due. */
    int fd;                     /* -1 until asked for. */
    bool fd_raised;             /* What the descriptor shows. */
    int64_t fd_due_ns;          /* DELAY: when the descriptor becomes readable; 0: never. */
    struct hki_list selectors;  /* Links of struct hki_selector_link. */
    /* Not under the lock: */
    atomic_uint inside; /* Threads that sleep in a call, or are about to. */
    struct hki_sides sides;
    char apart[HKI_CACHE_LINE]; /* What follows is only read, by every call. */
    uint32_t generation;
    void *memory; /* What was allocated; the queue begins with a cache line in it. */
    hk_item_drop_fn *drop;
    void *drop_arg;
    char name[HKI_QUEUE_NAME_BYTES];
};

_Static_assert(offsetof(struct hk_queue, closed) <= HKI_CACHE_LINE,
               "a put that wakes nobody touches one cache line");

/* HK_OK if a public call with this timeout may go on. */
static inline hk_status hki_queue_usable(const hk_queue *queue, hk_duration timeout)
{
    if (queue == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    return hki_fork_foreign(queue->generation) ? HK_EFORKED : HK_OK;
}

/* Closed, and nothing left. */
static inline bool hki_queue_drained(const hk_queue *queue)
{
    return queue->closed && queue->store.count == 0;
}

/* Whether a sleeping getter should look. While a leader sees to the first delayed item,
 * the others have nothing to look for. */
static inline bool hki_queue_owes_getter(const hk_queue *queue)
{
    return (queue->store.count != 0 && queue->leader == NULL) || hki_queue_drained(queue);
}

static inline bool hki_queue_owes_putter(const hk_queue *queue)
{
    return queue->store.count < queue->capacity || queue->closed;
}

/* Descriptors and selectors; under the lock. */
void hki_queue_tell(hk_queue *queue);

static inline void hki_queue_lock(hk_queue *queue)
{
    hki_brief_lock_take(&queue->lock);
}

/* With somebody to tell or to wake, perhaps. */
void hki_queue_unlock_watched(hk_queue *queue);

/* Lets go, and wakes whom the state owes a wake. */
static inline void hki_queue_unlock(hk_queue *queue)
{
    if (__builtin_expect(queue->attention != 0, 0)) {
        hki_queue_unlock_watched(queue);
    } else {
        hki_brief_lock_release(&queue->lock);
    }
}

/* Sleeps as one of waiters, under the lock, which is free meanwhile. False: the deadline
 * has passed. */
bool hki_queue_sleep(hk_queue *queue, struct hki_waiters *waiters, int64_t deadline_ns);

struct hki_queue_looks {
    unsigned count;
    hk_status status; /* HK_OK, or why it did not sleep, nor may any more. */
};

/* The same for what can be taken by others, with a look at the wait-for graph before. */
bool hki_queue_look_and_sleep(hk_queue *queue, const struct hki_wait_ops *ops, int64_t deadline_ns,
                              struct hki_queue_looks *looks);

/* Before and after a sleep, without the lock. HK_OK: hki_queue_sleep() may be called. */
hk_status hki_queue_begin_wait(hk_queue *queue, const struct hki_wait_ops *ops,
                               int64_t deadline_ns);
void hki_queue_end_wait(void);

/* The last touch of a sleeper. */
static inline void hki_queue_leave(hk_queue *queue)
{
    /* release, pairs with the load in hk_queue_destroy(): what was done here comes first. */
    atomic_fetch_sub_explicit(&queue->inside, 1, memory_order_release);
}

/* Under the lock: takes what is there and due, up to max. */
size_t hki_queue_take(hk_queue *queue, void **items, size_t max);

/* Whether a get would not wait; under the lock. */
bool hki_queue_can_get(const hk_queue *queue);

/* "room in queue 0x... (jobs)" */
void hki_queue_describe(const char *what, const hk_queue *queue, char *text, size_t size);

/* What waits for the queue: an item, or room. */
extern const struct hki_wait_ops hki_queue_getter_ops;
extern const struct hki_wait_ops hki_queue_putter_ops;

#endif
