/* SPDX-License-Identifier: MIT */
#include <hocket/local.h>

#include <stdatomic.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "sync/agent.h"
#include "sync/local_impl.h"

/* --- Calls of the application's functions --- */

static void enter(struct hki_local_call *call)
{
    struct hki_local_call **innermost = hki_local_calls();

    call->outer = *innermost;
    *innermost = call;
    hki_agent_enter_function(hki_agent_self()); /* Others wait for its end. */
}

static void leave(const struct hki_local_call *call)
{
    hki_agent_leave_function(hki_agent_self());
    *hki_local_calls() = call->outer;
}

/* Whether this thread is within a function of the local of one of the kinds. */
static bool is_within(const hk_local *local, unsigned kinds)
{
    for (const struct hki_local_call *call = *hki_local_calls(); call != NULL; call = call->outer) {
        if (call->local == local && (call->kind & kinds) != 0) {
            return true;
        }
    }
    return false;
}

/* --- Slots, under the lock --- */

static void set_key(struct hk_local_slot_ *slot, uint64_t key)
{
    /* relaxed: its thread alone looks without the lock, and only for keys of locals that
     * it may use, which no other thread writes. */
    atomic_store_explicit((_Atomic(uint64_t) *)&slot->key, key, memory_order_relaxed);
}

static uint32_t place_of(const struct hki_local_thread *thread, const struct hk_local_slot_ *slot)
{
    return (uint32_t)(slot - thread->slots);
}

static void fill(struct hki_local_thread *thread, struct hk_local_slot_ *slot, uint64_t key,
                 void *object)
{
    slot->object = object;
    slot->next = 0;
    slot->previous = thread->newest;
    if (thread->newest != 0) {
        thread->slots[thread->newest].next = place_of(thread, slot);
    }
    thread->newest = place_of(thread, slot);
    set_key(slot, key);
}

static void empty(struct hki_local_thread *thread, struct hk_local_slot_ *slot)
{
    uint32_t place = place_of(thread, slot);

    set_key(slot, 0);
    slot->object = NULL;
    if (slot->previous != 0) {
        thread->slots[slot->previous].next = slot->next;
    }
    if (slot->next != 0) {
        thread->slots[slot->next].previous = slot->previous;
    } else if (thread->newest == place) {
        thread->newest = slot->previous;
    } else {
        thread->leaving = slot->previous;
    }
}

/* --- Objects --- */

/* The slot, once nobody visits its object or adds up the local's. NULL if it is empty by
 * then: its thread may even have ended. */
static struct hk_local_slot_ *await_slot(const hk_local *local, uint64_t key,
                                         struct hki_local_thread **thread)
{
    uint64_t serial = (*thread)->serial;

    for (;;) {
        struct hk_local_slot_ *slot = *thread == NULL ? NULL : hki_local_slot(*thread, key);

        if (local->folder_ == NULL && (slot == NULL || slot->visits == 0)) {
            return slot;
        }
        hki_local_await_change();
        *thread = hki_local_thread_after(serial - 1, serial);
    }
}

static void end_folding(hk_local *local)
{
    local->folder_ = NULL;
    hki_local_changed();
}

/* Under the lock, which is let go meanwhile: drops the object in a slot and puts another,
 * or none, into its place. The total never lacks it: until it is retired, nobody folds. */
static void replace(hk_local *local, struct hki_local_thread *thread, uint64_t key, void *object)
{
    bool folds = local->fold_ != NULL;
    struct hki_local_call call = {.local = local,
                                  .kind = folds ? HKI_LOCAL_FOLDS : HKI_LOCAL_DROPS};
    struct hk_local_slot_ *slot;
    void *old;

    local->uses_++;
    slot = await_slot(local, key, &thread);
    if (slot == NULL) {
        local->uses_--;
        hki_local_changed();
        return;
    }
    old = slot->object;
    if (object != NULL) {
        slot->object = object;
    } else {
        empty(thread, slot);
    }
    local->folder_ = folds ? hki_local_calls() : NULL;
    hki_local_unlock();
    enter(&call);
    if (folds) {
        local->fold_(local->retired_, old);
        hki_local_lock();
        call.kind = HKI_LOCAL_DROPS;
        end_folding(local);
        hki_local_unlock();
    }
    if (local->drop_ != NULL) {
        local->drop_(old);
    }
    leave(&call);
    hki_local_lock();
    local->uses_--;
    hki_local_changed();
}

hk_status hk_local_build(hk_local *local, void **object)
{
    struct hki_local_thread *thread;
    struct hk_local_slot_ *slot;
    uint64_t key;
    hk_status status;

    if (local == NULL || object == NULL) {
        return HK_EINVAL;
    }
    *object = hk_local_peek(local);
    if (*object != NULL) {
        return HK_OK;
    }
    if (local->make_ == NULL) {
        return HK_ESTATE;
    }
    status = hki_local_key(local, &key);
    if (status == HK_OK) {
        status = hki_local_thread_ready(key, &thread);
    }
    if (status != HK_OK) {
        return status;
    }
    slot = &thread->slots[key & thread->mask];
    if (slot->building != 0) {
        return HK_EDEADLK;
    }
    slot->building = 1;
    status = local->make_(local->arg_, object);
    /* It may have moved, if the make function used locals for the first time. */
    slot = &thread->slots[key & thread->mask];
    slot->building = 0;
    if (status != HK_OK || *object == NULL) {
        *object = NULL;
        return status != HK_OK ? status : HK_ENOMEM;
    }
    hki_local_lock();
    fill(thread, slot, key, *object);
    hki_local_unlock();
    return HK_OK;
}

hk_status hk_local_set(hk_local *local, void *object)
{
    struct hki_local_thread *thread;
    struct hk_local_slot_ *slot;
    uint64_t key;
    hk_status status;

    if (local == NULL) {
        return HK_EINVAL;
    }
    if (is_within(local, HKI_LOCAL_VISITS | HKI_LOCAL_FOLDS)) {
        return HK_EDEADLK;
    }
    if (object == hk_local_peek(local)) {
        return HK_OK;
    }
    status = hki_local_key(local, &key);
    if (status == HK_OK) {
        status = hki_local_thread_ready(key, &thread);
    }
    if (status != HK_OK) {
        return status;
    }
    slot = &thread->slots[key & thread->mask];
    if (slot->building != 0) {
        return HK_EDEADLK;
    }
    hki_local_lock();
    if (slot->key == key) {
        replace(local, thread, key, object);
    } else {
        fill(thread, slot, key, object);
    }
    hki_local_unlock();
    return HK_OK;
}

/* --- All threads --- */

/* Calls visit for the objects of all threads that are here now; the caller holds the lock,
 * which is let go for each. */
static void visit_all(hk_local *local, hk_local_visit_fn *visit, void *user)
{
    struct hki_local_call call = {.local = local, .kind = HKI_LOCAL_VISITS};
    uint32_t generation = hki_fork_generation();
    uint64_t last = hki_local_last_serial();
    uint64_t key = local->key_;
    struct hki_local_thread *thread = hki_local_thread_after(0, last);

    while (thread != NULL) {
        struct hk_local_slot_ *slot = hki_local_slot(thread, key);

        if (slot != NULL) {
            void *object = slot->object;

            slot->visits++;
            hki_local_unlock();
            enter(&call);
            visit(object, user);
            leave(&call);
            hki_local_lock();
            if (hki_fork_foreign(generation)) {
                return; /* In a child the other threads are gone, and nobody is visited. */
            }
            /* The visit kept the thread and its object here; its slots may have moved. */
            slot = hki_local_slot(thread, key);
            HKI_ASSERT(slot != NULL);
            if (--slot->visits == 0) {
                hki_local_changed();
            }
        }
        thread = hki_local_thread_next(thread, last);
    }
}

hk_status hk_local_each(hk_local *local, hk_local_visit_fn *visit, void *arg)
{
    if (local == NULL || visit == NULL) {
        return HK_EINVAL;
    }
    hki_local_lock();
    visit_all(local, visit, arg);
    hki_local_unlock();
    return HK_OK;
}

struct folding {
    hk_local_fold_fn *fold;
    void *total;
};

static void fold_one(void *object, void *user)
{
    const struct folding *folding = user;

    folding->fold(folding->total, object);
}

hk_status hk_local_fold(hk_local *local, void *total)
{
    struct hki_local_call call = {.local = local, .kind = HKI_LOCAL_FOLDS};
    struct folding folding;

    if (local == NULL || total == NULL) {
        return HK_EINVAL;
    }
    if (local->fold_ == NULL) {
        return HK_ESTATE;
    }
    if (is_within(local, HKI_LOCAL_FOLDS)) {
        return HK_EDEADLK;
    }
    folding = (struct folding){local->fold_, total};
    hki_local_lock();
    local->uses_++;
    while (local->folder_ != NULL) {
        hki_local_await_change();
    }
    local->folder_ = hki_local_calls();
    hki_local_unlock();
    enter(&call);
    local->fold_(total, local->retired_);
    hki_local_lock();
    visit_all(local, fold_one, &folding);
    leave(&call);
    end_folding(local);
    local->uses_--;
    hki_local_changed();
    hki_local_unlock();
    return HK_OK;
}

/* --- Ends --- */

bool hki_local_leave(void)
{
    struct hki_local_thread *thread = hki_local_thread_self();
    bool is_empty;

    if (thread == NULL) {
        return false;
    }
    hki_local_lock();
    /* What drop functions build from now on waits for the next round. There is something left
     * of an earlier one if a drop function has ended the process. */
    if (thread->leaving == 0) {
        thread->leaving = thread->newest;
        thread->newest = 0;
    }
    while (thread->leaving != 0) {
        uint64_t key = thread->slots[thread->leaving].key;

        replace(hki_local_of(key), thread, key, NULL);
    }
    is_empty = thread->newest == 0;
    if (is_empty) {
        hki_local_thread_remove(thread);
    }
    hki_local_unlock();
    if (is_empty) {
        hki_local_thread_free(thread);
    }
    return !is_empty;
}

hk_status hk_local_create(hk_local_make_fn *make, hk_drop_fn *drop, void *arg, hk_local **out)
{
    hk_local *local;

    if (out == NULL) {
        return HK_EINVAL;
    }
    local = hki_alloc(sizeof(*local));
    if (local == NULL) {
        return HK_ENOMEM;
    }
    *local = (hk_local)HK_LOCAL_INIT(make, drop, arg);
    local->created_ = true;
    hki_live_add(HKI_LIVE_LOCALS, 1);
    *out = local;
    return HK_OK;
}

hk_status hk_local_retire(hk_local *local, hk_local_fold_fn *fold, void *retired)
{
    hk_status status = HK_ESTATE;

    if (local == NULL || fold == NULL || retired == NULL) {
        return HK_EINVAL;
    }
    hki_local_lock();
    if (local->key_ == 0) {
        local->fold_ = fold;
        local->retired_ = retired;
        status = HK_OK;
    }
    hki_local_unlock();
    return status;
}

static void drop_all(hk_local *local)
{
    uint64_t key = local->key_;
    uint64_t last = hki_local_last_serial();
    uint64_t serial = 0;
    struct hki_local_thread *thread;

    while ((thread = hki_local_thread_after(serial, last)) != NULL) {
        serial = thread->serial;
        if (hki_local_slot(thread, key) != NULL) {
            replace(local, thread, key, NULL);
        }
    }
    /* Threads that end may be dropping what they took before. */
    while (local->uses_ != 0) {
        hki_local_await_change();
    }
    hki_local_forget_key(local);
}

/* Whether this thread is within the local's make function. */
static bool is_made_here(const hk_local *local)
{
    const struct hki_local_thread *thread = hki_local_thread_self();

    return thread != NULL && local->key_ != 0 &&
           (local->key_ & HKI_LOCAL_PLACE_MASK) <= thread->mask &&
           thread->slots[local->key_ & thread->mask].building != 0;
}

hk_status hk_local_destroy(hk_local *local)
{
    bool is_refused;

    if (local == NULL) {
        return HK_OK;
    }
    hki_local_lock();
    is_refused = is_made_here(local) ||
                 is_within(local, HKI_LOCAL_VISITS | HKI_LOCAL_FOLDS | HKI_LOCAL_DROPS);
    if (!is_refused && local->key_ != 0) {
        drop_all(local);
    }
    hki_local_unlock();
    if (is_refused) {
        return HK_EDEADLK;
    }
    if (local->created_) {
        hki_free(local, sizeof(*local));
        hki_live_add(HKI_LIVE_LOCALS, -1);
    }
    return HK_OK;
}
