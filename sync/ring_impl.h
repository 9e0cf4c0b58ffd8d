/* SPDX-License-Identifier: MIT */
/*
 * The inside of a ring: the cells, and three eventcounts for those who wait.
 *
 * After a close every thread that slept wakes the next before it returns: a getter that
 * did not sleep may have taken the last item, and would not know of the sleepers.
 */
#ifndef HOCKET_SYNC_RING_IMPL_H
#define HOCKET_SYNC_RING_IMPL_H

#include <hocket/ring.h>

#include <pthread.h>

#include "base/fork.h"
#include "base/time.h"
#include "sync/eventcount.h"
#include "sync/ring_cells.h"
#include "sync/sides.h"
#include "sync/wait_graph.h"

enum { HKI_RING_NAME_BYTES = 32 };

struct hk_ring {
    /* Hardly ever written: */
    uint32_t generation;
    atomic_bool fd_wanted;
    hk_item_drop_fn *drop;
    void *drop_arg;
    struct hki_cells cells;
    /* Getters sleep here, and putters look. */
    struct hki_eventcount items;
    char apart_1[HKI_CACHE_LINE];
    /* Putters sleep here, and getters look. */
    struct hki_eventcount room;
    char apart_2[HKI_CACHE_LINE];
    _Atomic(uint64_t) done;    /* Items reported done. */
    _Atomic(uint64_t) settled; /* The highest count of tickets at which all were done. */
    struct hki_eventcount end; /* Joiners sleep here. */
    atomic_uint inside;        /* Threads that sleep in a call, or are about to. */
    pthread_mutex_t fd_lock;
    int fd;         /* Under fd_lock; -1 until asked for. */
    bool fd_raised; /* Under fd_lock: what it shows. */
    struct hki_sides sides;
    char name[HKI_RING_NAME_BYTES];
};

/* HK_OK if a public call with this timeout may go on. */
static inline hk_status hki_ring_usable(const hk_ring *ring, hk_duration timeout)
{
    if (ring == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    return hki_fork_foreign(ring->generation) ? HK_EFORKED : HK_OK;
}

/* Sets the descriptor to what holds now. Every change that it shows is followed by a
 * call, so the last one is right. */
void hki_ring_show(hk_ring *ring);

/* After a put or take, once the eventcount of the other side has been notified. */
static inline void hki_ring_changed(hk_ring *ring)
{
    /* relaxed: ordered by hki_eventcount_order() in hk_ring_fd(). */
    if (__builtin_expect(atomic_load_explicit(&ring->fd_wanted, memory_order_relaxed), 0)) {
        hki_ring_show(ring);
    }
}

/* How one kind of call waits. */
struct hki_ring_wait {
    struct hki_eventcount *eventcount;
    struct hki_wait_node node;
    const struct hki_parties *others; /* Whom it waits for. */
    /* HK_ETIMEDOUT: not now. */
    hk_status (*attempt)(hk_ring *ring, void *state);
    /* Whether a sibling of the one that slept has something to look at. */
    bool (*is_more)(hk_ring *ring);
};

/* Attempts until it is something else than HK_ETIMEDOUT, or the time is over. */
hk_status hki_ring_wait(hk_ring *ring, const struct hki_ring_wait *wait, void *state,
                        hk_duration timeout);

extern const struct hki_wait_ops hki_ring_getter_ops;
extern const struct hki_wait_ops hki_ring_putter_ops;

/* "room in ring 0x... (cells)" */
void hki_ring_describe(const char *what, const hk_ring *ring, char *text, size_t size);

#endif
