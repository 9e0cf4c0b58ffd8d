/* SPDX-License-Identifier: MIT */
/*
 * Threads that hold locks, without locks: what a thread holds is a list, and taking is
 * asking the checker. So tests of the order need no two threads that meet.
 */
#ifndef HOCKET_TESTS_ORDER_FIXTURE_H
#define HOCKET_TESTS_ORDER_FIXTURE_H

#include <hocket/hocket.h>

#include "sync/lock_order.h"

enum { HKT_HELD_MAX = 16 };

struct hkt_lock {
    const char *name;
    uint64_t identity;
};

struct hkt_holder {
    struct hki_held held[HKT_HELD_MAX];
    size_t count;
    hk_lock_policy policy; /* Zero-filled memory: the process's. */
};

/* A lock of its own; locks of a class have one identity, which is the class's. */
void hkt_lock_init(struct hkt_lock *lock, const char *name);
void hkt_locks_init(struct hkt_lock *locks, size_t count);

/* As hk_lock() asks: the chain's key, then the set, then the graph. HK_OK: it is held. */
hk_status hkt_take_at(const hk_site *site, struct hkt_holder *holder, struct hkt_lock *lock);
#define hkt_take(holder, lock) hkt_take_at(HK_SITE, holder, lock)

/* Without asking, as a successful try does. */
void hkt_take_by_try(struct hkt_holder *holder, struct hkt_lock *lock);

/* Lets go of all. */
void hkt_order_drop(struct hkt_holder *holder);

/* Takes first, then second, then drops both; what came of the second. */
hk_status hkt_order_nest(struct hkt_lock *first, struct hkt_lock *second);

/* The same for many, each inside the one before; ends with the first that is refused. */
hk_status hkt_order_chain(struct hkt_lock *const *locks, size_t count);

/* Asks for an order of the locks, below what is held; they change places in the array. */
hk_status hkt_order_sort(const struct hkt_holder *holder, struct hkt_lock **locks, size_t count);

/* The counters of the checker. */
hk_lock_order_statistics hkt_order_stats(void);

/* --- Reports --------------------------------------------------------------------- */

enum { HKT_EDGES_MAX = 16, HKT_TEXT_BYTES = 16384 };

/* The last report, and how many there were. */
struct hkt_reports {
    unsigned count;
    hk_lock_report_kind kind;
    hk_lock_policy policy;
    size_t edge_count;
    hk_lock_edge edges[HKT_EDGES_MAX];
    char text[HKT_TEXT_BYTES];
};

/* An empty graph that reports here, with the policy refuse; and back. */
void hkt_order_open(struct hkt_reports *reports);
void hkt_order_close(void);

#endif
