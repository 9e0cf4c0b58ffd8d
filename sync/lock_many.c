/* SPDX-License-Identifier: MIT */
/*
 * The ordered multi-acquire. The canonical order is that of the learned graph, so it
 * never contradicts what threads do one lock after the other; locks that the graph
 * does not know yet are added to it in the same step (sync/lock_order.h).
 */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/time.h"
#include "sync/lock_impl.h"

enum { FEW = 16 };

/* A set of locks, sorted; on the stack while it is small. */
struct set {
    struct hki_held *wanted;
    size_t count;
    size_t room;
    struct hki_held few[FEW];
};

static int compare_addresses(const void *one, const void *other)
{
    uintptr_t a = (uintptr_t)((const struct hki_held *)one)->lock;
    uintptr_t b = (uintptr_t)((const struct hki_held *)other)->lock;

    return a < b ? -1 : a > b;
}

static void drop_doubles(struct set *set)
{
    size_t kept = 0;

    qsort(set->wanted, set->count, sizeof(*set->wanted), compare_addresses);
    for (size_t i = 0; i < set->count; i++) {
        if (kept == 0 || set->wanted[kept - 1].lock != set->wanted[i].lock) {
            set->wanted[kept++] = set->wanted[i];
        }
    }
    set->count = kept;
}

static hk_status fill(struct set *set, const hk_site *site, hk_lock *const *locks, size_t count)
{
    set->count = count;
    set->room = count;
    set->wanted = set->few;
    if (count > FEW && (count > SIZE_MAX / sizeof(*set->wanted) ||
                        (set->wanted = hki_alloc(count * sizeof(*set->wanted))) == NULL)) {
        return HK_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        set->wanted[i] = (struct hki_held){.lock = locks[i],
                                           .site = site,
                                           .name = locks[i]->name_,
                                           .identity = hki_lock_identity(locks[i])};
    }
    drop_doubles(set);
    return HK_OK;
}

static void release_set(struct set *set)
{
    if (set->wanted != set->few) {
        hki_free(set->wanted, set->room * sizeof(*set->wanted));
    }
}

/* Those that the caller holds already come first and are not judged: a recursive one
 * is taken again, any other refused. */
static size_t move_held_first(struct set *set, struct hki_holder *holder)
{
    size_t held = 0;

    for (size_t i = 0; i < set->count; i++) {
        if (hki_holder_find(holder, set->wanted[i].lock) != NULL) {
            struct hki_held moved = set->wanted[held];

            set->wanted[held++] = set->wanted[i];
            set->wanted[i] = moved;
        }
    }
    return held;
}

/* The strictest of the locks' policies. */
static hk_lock_policy policy_of(const struct set *set)
{
    hk_lock_policy strictest = HK_LOCK_OFF;

    for (size_t i = 0; i < set->count; i++) {
        const hk_lock *lock = set->wanted[i].lock;
        hk_lock_policy policy = hki_order_policy((hk_lock_policy)lock->policy_);

        strictest = policy > strictest ? policy : strictest;
    }
    return strictest;
}

/* Who only polls never waits, so nothing is judged. */
static hk_status sort(struct set *set, struct hki_holder *holder, bool poll)
{
    size_t held = move_held_first(set, holder);

    hki_holder_name_all(holder);
    return hki_order_sort(holder->held, holder->depth, set->wanted + held, set->count - held,
                          poll ? HK_LOCK_OFF : policy_of(set));
}

static hk_status take_all(struct set *set, struct hki_holder *holder, const hk_site *site,
                          hk_duration timeout)
{
    int64_t deadline_ns = hki_deadline(timeout);

    for (size_t i = 0; i < set->count; i++) {
        hk_status status =
            hki_lock_take(set->wanted[i].lock, holder, site, deadline_ns, timeout == 0);

        if (status != HK_OK) {
            while (i-- != 0) {
                (void)hk_lock_release(set->wanted[i].lock);
            }
            return status;
        }
    }
    return HK_OK;
}

static bool all_given(hk_lock *const *locks, size_t count)
{
    if ((locks == NULL && count != 0) || !hki_array_exists(count, sizeof(hk_lock *))) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (locks[i] == NULL) {
            return false;
        }
    }
    return true;
}

hk_status hk_lock_acquire_many_at(const hk_site *site, hk_lock *const *locks, size_t count,
                                  hk_duration timeout)
{
    struct hki_holder *holder;
    struct set set;
    hk_status status;

    if (site == NULL || !hki_duration_valid(timeout) || !all_given(locks, count)) {
        return HK_EINVAL;
    }
    if (count == 0) {
        return HK_OK;
    }
    if ((holder = hki_holder_make()) == NULL) {
        return HK_ENOMEM;
    }
    if ((status = fill(&set, site, locks, count)) != HK_OK) {
        return status;
    }
    if ((status = sort(&set, holder, timeout == 0)) == HK_OK) {
        status = take_all(&set, holder, site, timeout);
    }
    release_set(&set);
    return status;
}

/* Whether this place is the first that names its lock. */
static bool first_of_its_lock(hk_lock *const *locks, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (locks[i] == locks[place]) {
            return false;
        }
    }
    return true;
}

/* The topmost entry below limit whose lock is among the given ones; depth if none. */
static uint32_t topmost(const struct hki_holder *holder, uint32_t limit, hk_lock *const *locks,
                        size_t count)
{
    while (limit-- != 0) {
        for (size_t i = 0; i < count; i++) {
            if (holder->held[limit].lock == locks[i]) {
                return limit;
            }
        }
    }
    return holder->depth;
}

hk_status hk_lock_release_many(hk_lock *const *locks, size_t count)
{
    struct hki_holder *holder = hki_own_holder;
    size_t distinct = 0;
    uint32_t limit;

    if (!all_given(locks, count)) {
        return HK_EINVAL;
    }
    if (holder == NULL) {
        return count == 0 ? HK_OK : HK_EPERM;
    }
    for (size_t i = 0; i < count; i++) {
        if (hki_holder_find(holder, locks[i]) == NULL) {
            return HK_EPERM;
        }
        distinct += first_of_its_lock(locks, i) ? 1 : 0;
    }
    limit = holder->depth;
    for (; distinct != 0; distinct--) {
        limit = topmost(holder, limit, locks, count);
        (void)hk_lock_release(holder->held[limit].lock);
    }
    return HK_OK;
}
