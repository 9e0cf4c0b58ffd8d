/* SPDX-License-Identifier: MIT */
#include "sync/rwlock_impl.h"

#include <stdio.h>

#include "base/fork.h"
#include "base/os.h"
#include "base/time.h"
#include "sync/block.h"
#include "sync/contention.h"
#include "sync/holder.h"

static _Atomic(uint64_t) *word_of(hk_rwlock *lock)
{
    return (_Atomic(uint64_t) *)&lock->word_;
}

static _Atomic(uint32_t) *epoch_of(hk_rwlock *lock)
{
    return (_Atomic(uint32_t) *)&lock->epoch_;
}

static _Atomic(const hk_site *) *site_of(hk_rwlock *lock)
{
    return (_Atomic(const hk_site *) *)&lock->site_;
}

/* Whether a word lets one more in. */
static bool admits(uint64_t word, bool write)
{
    return write ? (word & (HKI_RW_READERS | HKI_RW_WRITER)) == 0
                 : (word & (HKI_RW_WAITERS | HKI_RW_WRITER)) == 0;
}

/* --- as a node of the wait-for graph --- */

/* One wait, on the stack of its thread: the word does not tell whether a reader is in. */
struct wait {
    hk_rwlock *lock;
    bool write;
    atomic_bool entering; /* It tries to come in, or is in already. */
};

/*
 * The successors are those holders that wait, too: found by looking at what the waiting
 * threads hold, which only they could change. A holder that runs moves, and whoever waits
 * for ALL of them need not hear of it.
 */
static struct hki_agent *waiting_holder(const hk_rwlock *lock, size_t i)
{
    uint32_t last = hki_slot_last();

    for (uint32_t slot = 1; slot <= last; slot++) {
        struct hki_agent *agent = hki_slot_agent(slot);

        if (agent != NULL && agent->waits_for.ops != NULL &&
            hki_holder_find(agent->holder, lock) != NULL && i-- == 0) {
            return agent;
        }
    }
    return NULL;
}

static enum hki_wait_kind look(void *object, size_t *count)
{
    struct wait *wait = object;

    if (atomic_load(&wait->entering) || admits(atomic_load(word_of(wait->lock)), wait->write)) {
        return HKI_WAIT_MOVES;
    }
    while (waiting_holder(wait->lock, *count) != NULL) {
        ++*count;
    }
    return *count == 0 ? HKI_WAIT_MOVES : HKI_WAIT_ALL;
}

static struct hki_wait_node next(void *object, size_t i)
{
    struct hki_agent *agent = waiting_holder(((const struct wait *)object)->lock, i);

    return agent == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(agent);
}

static void describe(void *object, char *text, size_t size)
{
    const hk_rwlock *lock = ((const struct wait *)object)->lock;

    if (lock->name_ == NULL) {
        snprintf(text, size, "read-write lock %p", (const void *)lock);
    } else {
        snprintf(text, size, "read-write lock %p (%s)", (const void *)lock, lock->name_);
    }
}

static void relate(void *object, struct hki_wait_node next_node, const char *words, char *text,
                   size_t size)
{
    struct hki_agent *agent = next_node.object;
    const hk_rwlock *lock = ((const struct wait *)object)->lock;
    const struct hki_held *held =
        hki_agent_is_node(next_node) ? hki_holder_find(agent->holder, lock) : NULL;

    snprintf(text, size, "held by %s as a %s since %s:%d", words,
             held != NULL && held->flags == HKI_HELD_WRITE ? "writer" : "reader",
             held == NULL ? "?" : held->site->file, held == NULL ? 0 : held->site->line);
}

static const struct hki_wait_ops ops = {look, next, describe, relate, true};

/* --- the word --- */

static uint64_t generation(void)
{
    return (uint64_t)hki_fork_generation() << HKI_RW_GENERATION_SHIFT;
}

/* Why a lock with this word will not be given back, or HK_OK. */
static hk_status holder_gone(uint64_t word)
{
    if ((word & HKI_RW_ABANDONED) != 0) {
        return HK_EBROKEN;
    }
    return (word & ~HKI_RW_GENERATION) != 0 && (word & HKI_RW_GENERATION) != generation()
               ? HK_EFORKED
               : HK_OK;
}

/* One step in, if the word allows. own: HKI_RW_WAITING if the caller counts as a writer
 * that waits. */
static bool enter(hk_rwlock *lock, bool write, uint64_t own)
{
    /* relaxed: a guess that the exchange checks. */
    uint64_t word = atomic_load_explicit(word_of(lock), memory_order_relaxed);

    while (admits(word, write)) {
        uint64_t wanted = word - own + (write ? HKI_RW_WRITER : HKI_RW_READER);

        if ((word & ~HKI_RW_GENERATION) == 0) {
            wanted = (wanted & ~HKI_RW_GENERATION) | generation();
        }
        if (atomic_compare_exchange_weak(word_of(lock), &word, wanted)) {
            return true;
        }
    }
    return false;
}

/* Takes something out of the word, and wakes all who sleep if that opened it. */
static void change(hk_rwlock *lock, uint64_t minus)
{
    uint64_t word = atomic_load(word_of(lock));
    uint64_t wanted;
    bool opens;

    do {
        wanted = word - minus;
        opens = (wanted & HKI_RW_SLEEPERS) != 0 && (admits(wanted, true) || admits(wanted, false));
        wanted &= opens ? ~HKI_RW_SLEEPERS : ~UINT64_C(0);
    } while (!atomic_compare_exchange_weak(word_of(lock), &word, wanted));
    if (opens) {
        atomic_fetch_add(epoch_of(lock), 1);
        hki_os_futex_wake(epoch_of(lock), INT32_MAX);
    }
}

/* Sleeps until the word may have opened. HK_OK: look again. */
static hk_status sleep_on(hk_rwlock *lock, bool write, int64_t deadline_ns)
{
    uint32_t epoch = atomic_load(epoch_of(lock));
    uint64_t word = atomic_load(word_of(lock));

    hk_status gone = holder_gone(word);

    if (gone != HK_OK && !admits(word, write)) {
        return gone;
    }
    if (admits(word, write) ||
        !atomic_compare_exchange_strong(word_of(lock), &word, word | HKI_RW_SLEEPERS)) {
        return HK_OK;
    }
    return hki_os_futex_wait(epoch_of(lock), epoch, deadline_ns) ? HK_OK : HK_ETIMEDOUT;
}

/* Others that look find this one either waiting or entering. Those who found it entering
 * have counted on it; so when it is not let in, it looks itself before it sleeps on. */
static hk_status await_word(struct wait *wait, struct hki_agent *agent, uint64_t own, bool timed,
                            int64_t deadline_ns)
{
    for (;;) {
        hk_status status = sleep_on(wait->lock, wait->write, deadline_ns);

        atomic_store(&wait->entering, true);
        if (enter(wait->lock, wait->write, own)) {
            return HK_OK;
        }
        if (status != HK_OK) {
            return status;
        }
        atomic_store(&wait->entering, false);
        status = hki_block_look_again(agent, (struct hki_wait_node){&ops, wait}, timed);
        if (status != HK_OK) {
            return status;
        }
    }
}

static hk_status wait_for_word(hk_rwlock *lock, struct hki_holder *holder, const hk_site *site,
                               bool write, int64_t deadline_ns)
{
    struct wait wait = {.lock = lock, .write = write};
    struct hki_wait_node node = {&ops, &wait};
    bool timed = deadline_ns != HKI_NEVER;
    /* A timed writer keeps nobody out: a reader would wait for it, and the graph
     * could not tell that this wait ends. */
    uint64_t own = write && !timed ? HKI_RW_WAITING : 0;
    int64_t start_ns = hk_now_ns();
    int64_t patience_ns;
    hk_status status;

    if ((status = hki_block_begin_briefly(holder->agent, node, timed)) != HK_OK) {
        return status;
    }
    atomic_fetch_add(word_of(lock), own);
    patience_ns = hki_block_patience(holder->agent, deadline_ns);
    status = await_word(&wait, holder->agent, own, timed, patience_ns);
    if (status == HK_ETIMEDOUT && patience_ns != deadline_ns) {
        atomic_store(&wait.entering, false);
        status = hki_block_lengthen(holder->agent, node, timed);
        if (status != HK_OK) {
            change(lock, own);
            return status;
        }
        status = await_word(&wait, holder->agent, own, timed, deadline_ns);
    }
    if (status != HK_OK) {
        change(lock, own);
    }
    hki_block_end(holder->agent);
    hki_contention_add(site, lock->name_, hk_now_ns() - start_ns);
    return status;
}

/* --- the calls --- */

static uint64_t identity(hk_rwlock *lock)
{
    _Atomic(uint64_t) *place = (_Atomic(uint64_t) *)&lock->identity_;
    uint64_t seen = atomic_load(place);
    uint64_t mine;

    if (seen != 0) {
        return seen;
    }
    mine = hki_order_new_identity();
    return atomic_compare_exchange_strong(place, &seen, mine) ? mine : seen;
}

static hk_status take(const hk_site *site, hk_rwlock *lock, bool write, hk_duration timeout)
{
    struct hki_holder *holder = hki_holder_make();
    struct hki_held wanted = {.lock = lock, .site = site};
    hk_status status = HK_OK;

    if (site == NULL || lock == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    if (holder == NULL ||
        (holder->depth == holder->room && (status = hki_holder_grow(holder)) != HK_OK)) {
        return HK_ENOMEM;
    }
    if (hki_holder_find(holder, lock) != NULL) {
        return HK_EDEADLK;
    }
    wanted.name = lock->name_;
    wanted.identity = identity(lock);
    wanted.key = hki_order_mix(hki_holder_key(holder), wanted.identity);
    wanted.flags = write ? HKI_HELD_WRITE : HKI_HELD_READ;
    if (timeout != 0 && holder->depth != 0 && !hki_holder_knows(holder, wanted.key)) {
        status = hki_holder_check_order(holder, &wanted, (hk_lock_policy)lock->policy_);
    }
    if (status == HK_OK && !enter(lock, write, 0)) {
        status = timeout == 0 ? holder_gone(atomic_load(word_of(lock)))
                              : wait_for_word(lock, holder, site, write, hki_deadline(timeout));
        status = status == HK_OK && timeout == 0 ? HK_ETIMEDOUT : status;
    }
    if (status == HK_OK) {
        holder->held[holder->depth++] = wanted;
        /* relaxed: read for reports alone. */
        atomic_store_explicit(site_of(lock), site, memory_order_relaxed);
    }
    return status;
}

hk_status hk_rwlock_read_at(const hk_site *site, hk_rwlock *lock, hk_duration timeout)
{
    return take(site, lock, false, timeout);
}

hk_status hk_rwlock_write_at(const hk_site *site, hk_rwlock *lock, hk_duration timeout)
{
    return take(site, lock, true, timeout);
}

hk_status hk_rwlock_release(hk_rwlock *lock)
{
    struct hki_held *held = hki_holder_find(hki_own_holder, lock);
    bool write;

    if (lock == NULL || held == NULL) {
        return lock == NULL ? HK_EINVAL : HK_EPERM;
    }
    write = held->flags == HKI_HELD_WRITE;
    hki_holder_remove(hki_own_holder, held);
    change(lock, write ? HKI_RW_WRITER : HKI_RW_READER);
    return HK_OK;
}

bool hk_rwlock_held_by_me(const hk_rwlock *lock, bool write)
{
    const struct hki_held *held = lock == NULL ? NULL : hki_holder_find(hki_own_holder, lock);

    return held != NULL && (!write || held->flags == HKI_HELD_WRITE);
}

hk_status hk_rwlock_destroy(hk_rwlock *lock)
{
    _Atomic(uint64_t) *place;
    uint64_t known;

    if (lock == NULL) {
        return HK_OK;
    }
    if ((atomic_load(word_of(lock)) & ~HKI_RW_GENERATION) != 0) {
        return HK_ESTATE;
    }
    place = (_Atomic(uint64_t) *)&lock->identity_;
    if ((known = atomic_exchange(place, 0)) != 0) {
        hki_order_forget(known);
    }
    return HK_OK;
}

void hki_rwlock_abandon(hk_rwlock *lock)
{
    atomic_fetch_or(word_of(lock), HKI_RW_ABANDONED);
    atomic_fetch_add(epoch_of(lock), 1);
    hki_os_futex_wake(epoch_of(lock), INT32_MAX);
}
