/* SPDX-License-Identifier: MIT */
#include "tests/order_fixture.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness.h"

void hkt_lock_init(struct hkt_lock *lock, const char *name)
{
    lock->name = name;
    lock->identity = hki_order_new_identity();
}

void hkt_locks_init(struct hkt_lock *locks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hkt_lock_init(&locks[i], NULL);
    }
}

static struct hki_held entry(const struct hkt_holder *holder, const hk_site *site,
                             struct hkt_lock *lock)
{
    uint64_t key = holder->count > 0 ? holder->held[holder->count - 1].key : hki_order_seed();

    return (struct hki_held){
        .lock = lock,
        .site = site,
        .name = lock->name,
        .identity = lock->identity,
        .key = hki_order_mix(key, lock->identity),
    };
}

static void push(struct hkt_holder *holder, const struct hki_held *held)
{
    HKT_TRUE_FATAL(holder->count < HKT_HELD_MAX);
    holder->held[holder->count++] = *held;
}

hk_status hkt_take_at(const hk_site *site, struct hkt_holder *holder, struct hkt_lock *lock)
{
    struct hki_held wanted = entry(holder, site, lock);

    if (holder->count > 0 && !hki_order_known(wanted.key)) {
        hk_status status = hki_order_check(holder->held, holder->count, &wanted, holder->policy);

        if (status != HK_OK) {
            return status;
        }
    }
    push(holder, &wanted);
    return HK_OK;
}

void hkt_take_by_try(struct hkt_holder *holder, struct hkt_lock *lock)
{
    struct hki_held wanted = entry(holder, HK_SITE, lock);

    push(holder, &wanted);
}

void hkt_order_drop(struct hkt_holder *holder)
{
    holder->count = 0;
}

hk_status hkt_order_nest(struct hkt_lock *first, struct hkt_lock *second)
{
    struct hkt_holder holder = {.count = 0};
    hk_status status = hkt_take(&holder, first);

    return status == HK_OK ? hkt_take(&holder, second) : status;
}

hk_status hkt_order_chain(struct hkt_lock *const *locks, size_t count)
{
    struct hkt_holder holder = {.count = 0};
    hk_status status = HK_OK;

    for (size_t i = 0; i < count && status == HK_OK; i++) {
        status = hkt_take(&holder, locks[i]);
    }
    return status;
}

hk_status hkt_order_sort(const struct hkt_holder *holder, struct hkt_lock **locks, size_t count)
{
    static const struct hkt_holder nothing = {.count = 0};
    struct hki_held wanted[64];
    hk_status status;

    HKT_TRUE_FATAL(count <= 64);
    holder = holder != NULL ? holder : &nothing;
    for (size_t i = 0; i < count; i++) {
        wanted[i] = entry(holder, HK_SITE, locks[i]);
    }
    status = hki_order_sort(holder->held, holder->count, wanted, count, holder->policy);
    for (size_t i = 0; i < count; i++) {
        locks[i] = wanted[i].lock;
    }
    return status;
}

hk_lock_order_statistics hkt_order_stats(void)
{
    hk_lock_order_statistics statistics = {.nodes = 0};

    HKT_OK(hk_lock_order_stats(&statistics));
    return statistics;
}

/* --- Reports --------------------------------------------------------------------- */

static void keep(const hk_lock_report *report, void *arg)
{
    struct hkt_reports *reports = arg;

    reports->count++;
    reports->kind = report->kind;
    reports->policy = report->policy;
    reports->edge_count = report->edge_count;
    for (size_t i = 0; i < report->edge_count && i < HKT_EDGES_MAX; i++) {
        reports->edges[i] = report->edges[i];
    }
    snprintf(reports->text, sizeof(reports->text), "%s", report->text);
}

void hkt_order_open(struct hkt_reports *reports)
{
    hki_order_reset();
    HKT_OK(hk_lock_policy_set(HK_LOCK_REFUSE));
    memset(reports, 0, sizeof(*reports));
    hk_on_lock_report(keep, reports);
}

void hkt_order_close(void)
{
    hk_on_lock_report(NULL, NULL);
    HKT_OK(hk_lock_policy_set(HK_LOCK_DEFAULT));
    hki_order_reset();
}
