/* SPDX-License-Identifier: MIT */
/*
 * hk_cond: an epoch that every signal moves on. A waiter reads it while it holds the
 * lock, so a signal that follows the release finds either a sleeper to wake, or one
 * whom the kernel sends back because the epoch is another.
 */
#include <hocket/cond.h>

#include <stdio.h>

#include "base/os.h"
#include "base/time.h"
#include "sync/block.h"
#include "sync/lock_impl.h"

static _Atomic(uint32_t) *epoch_of(hk_cond *cond)
{
    return (_Atomic(uint32_t) *)&cond->epoch_;
}

static _Atomic(uint32_t) *waiters_of(hk_cond *cond)
{
    return (_Atomic(uint32_t) *)&cond->waiters_;
}

static _Atomic(hk_lock *) *lock_of(hk_cond *cond)
{
    return (_Atomic(hk_lock *) *)&cond->lock_;
}

/* Anybody may signal. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    (void)object;
    (void)count;
    return HKI_WAIT_MOVES;
}

static struct hki_wait_node next(void *object, size_t i)
{
    (void)object;
    (void)i;
    return (struct hki_wait_node){NULL, NULL};
}

static void describe(void *object, char *text, size_t size)
{
    const hk_cond *cond = object;

    if (cond->name_ == NULL) {
        snprintf(text, size, "condition %p", object);
    } else {
        snprintf(text, size, "condition %p (%s)", object, cond->name_);
    }
}

static const struct hki_wait_ops ops = {.look = look, .next = next, .describe = describe};

/* Whether the lock can be taken again when all others are held still. It then stands on
 * top of them, where it comes back to; it never left its owner's hands. */
static hk_status check_return(struct hki_holder *holder, hk_lock *lock, struct hki_held *held,
                              const hk_site *site)
{
    struct hki_held wanted = *held;
    struct hki_held before = *held;
    size_t at = (size_t)(held - holder->held);
    hk_status status;

    if (held->identity == 0 || holder->depth == 1) {
        return HK_OK;
    }
    if (at == holder->depth - 1 && hki_holder_knows(holder, held->key)) {
        return HK_OK; /* Back onto a chain that is in order; taken by a try it need not be. */
    }
    wanted.site = site;
    wanted.name = lock->name_;
    hki_holder_remove(holder, held);
    wanted.key = hki_order_mix(hki_holder_key(holder), wanted.identity);
    status = hki_holder_check_order(holder, &wanted, (hk_lock_policy)lock->policy_);
    if (status == HK_OK) {
        holder->held[holder->depth++] = wanted;
    } else {
        hki_holder_put_back(holder, at, &before);
    }
    return status;
}

/* Off the list before the wait is published, from when on others may read it; the word
 * stays the caller's. A refusal leaves everything as it was. */
static hk_status leave_list(struct hki_holder *holder, struct hki_held *held,
                            struct hki_wait_node node, bool timed)
{
    struct hki_held left = *held;
    hk_status status;

    hki_holder_remove(holder, held);
    if ((status = hki_block_begin(holder->agent, node, timed)) != HK_OK) {
        left.key = hki_order_mix(hki_holder_key(holder), left.identity);
        holder->held[holder->depth++] = left;
    }
    return status;
}

static hk_status sleep_and_return(hk_cond *cond, hk_lock *lock, struct hki_holder *holder,
                                  const hk_site *site, int64_t deadline_ns)
{
    uint32_t epoch = atomic_load(epoch_of(cond));
    hk_status status;
    bool woken;

    hki_lock_open(lock);
    /* Without a signal it goes on sleeping: who waits for a time in a loop would begin that
     * time again whenever it woke without a cause. */
    do {
        woken = hki_os_futex_wait(epoch_of(cond), epoch, deadline_ns);
    } while (woken && atomic_load(epoch_of(cond)) == epoch);
    atomic_fetch_sub(waiters_of(cond), 1);
    hki_block_end(holder->agent);
    status = hki_lock_take(lock, holder, site, HKI_NEVER, false);
    if (status != HK_OK) {
        return status;
    }
    return woken ? HK_OK : hki_block_ran_out(deadline_ns);
}

hk_status hk_cond_wait_at(const hk_site *site, hk_cond *cond, hk_lock *lock, hk_duration timeout)
{
    struct hki_holder *holder = hki_own_holder;
    struct hki_held *held;
    hk_status status;

    if (site == NULL || cond == NULL || lock == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    if ((held = hki_holder_find(holder, lock)) == NULL) {
        return HK_EPERM;
    }
    if (held->depth != 0) {
        return HK_ESTATE;
    }
    if (atomic_load(waiters_of(cond)) != 0 && atomic_load(lock_of(cond)) != lock) {
        return HK_EINVAL;
    }
    if ((status = check_return(holder, lock, held, site)) != HK_OK) {
        return status;
    }
    status = leave_list(holder, hki_holder_find(holder, lock), (struct hki_wait_node){&ops, cond},
                        timeout != HK_FOREVER);
    if (status != HK_OK) {
        return status;
    }
    atomic_store(lock_of(cond), lock);
    atomic_fetch_add(waiters_of(cond), 1);
    return sleep_and_return(cond, lock, holder, site, hki_deadline(timeout));
}

static hk_status wake(hk_cond *cond, unsigned count)
{
    if (cond == NULL) {
        return HK_EINVAL;
    }
    if (atomic_load(waiters_of(cond)) != 0) {
        atomic_fetch_add(epoch_of(cond), 1);
        hki_os_futex_wake(epoch_of(cond), count);
    }
    return HK_OK;
}

hk_status hk_cond_signal(hk_cond *cond)
{
    return wake(cond, 1);
}

hk_status hk_cond_broadcast(hk_cond *cond)
{
    return wake(cond, INT32_MAX);
}
