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

/*
 * The successors are those holders that wait, too: found by looking at what the waiting
 * threads hold, which only they could change. A holder that runs moves, and whoever waits
 * for ALL of them need not hear of it.
 */
static struct hki_agent *waiting_holder(const void *lock, size_t i)
{
    uint32_t last = hki_slot_last();

    for (uint32_t slot = 1; slot <= last; slot++) {
        struct hki_agent *agent = hki_slot_agent(slot);

        if (agent != NULL && agent->waits_for.ops != NULL && agent->waits_for.object != lock &&
            hki_holder_find(agent->holder, lock) != NULL && i-- == 0) {
            return agent;
        }
    }
    return NULL;
}

static enum hki_wait_kind look(void *object, size_t *count)
{
    while (waiting_holder(object, *count) != NULL) {
        ++*count;
    }
    return *count == 0 ? HKI_WAIT_MOVES : HKI_WAIT_ALL;
}

/* Who waits for an open lock has been woken, and only not entered yet. */
static enum hki_wait_kind look_as_reader(void *object, size_t *count)
{
    return admits(atomic_load(word_of(object)), false) ? HKI_WAIT_MOVES : look(object, count);
}

static enum hki_wait_kind look_as_writer(void *object, size_t *count)
{
    return admits(atomic_load(word_of(object)), true) ? HKI_WAIT_MOVES : look(object, count);
}

static struct hki_wait_node next(void *object, size_t i)
{
    struct hki_agent *agent = waiting_holder(object, i);

    return agent == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(agent);
}

static void describe(void *object, char *text, size_t size)
{
    const hk_rwlock *lock = object;

    if (lock->name_ == NULL) {
        snprintf(text, size, "read-write lock %p", object);
    } else {
        snprintf(text, size, "read-write lock %p (%s)", object, lock->name_);
    }
}

static void relate(void *object, struct hki_wait_node next_node, const char *words, char *text,
                   size_t size)
{
    struct hki_agent *agent = next_node.object;
    const struct hki_held *held =
        hki_agent_is_node(next_node) ? hki_holder_find(agent->holder, object) : NULL;

    snprintf(text, size, "held by %s as a %s since %s:%d", words,
             held != NULL && held->flags == HKI_HELD_WRITE ? "writer" : "reader",
             held == NULL ? "?" : held->site->file, held == NULL ? 0 : held->site->line);
}

/* Two nodes, since what keeps a writer out need not keep a reader out. */
static const struct hki_wait_ops reader_ops = {
    .look = look_as_reader, .next = next, .describe = describe, .relate = relate, .is_lock = true};
static const struct hki_wait_ops writer_ops = {
    .look = look_as_writer, .next = next, .describe = describe, .relate = relate, .is_lock = true};

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

/* One call that waits. */
struct wait {
    hk_rwlock *lock;
    struct hki_agent *agent;
    bool write;
    bool timed;
    bool begun;   /* Its block has begun. */
    uint64_t own; /* What it counts for in the word while it waits. */
};

static struct hki_wait_node node_of(const struct wait *wait)
{
    return (struct hki_wait_node){wait->write ? &writer_ops : &reader_ops, wait->lock};
}

/*
 * Looks at the graph, and again before every sleep: after the word was seen closed, and
 * with the epoch of that moment. A lock may open and be closed again by a writer that
 * comes to wait, holds nothing, and so never looks itself; then the epoch has moved.
 */
static hk_status look_before_sleep(struct wait *wait)
{
    hk_status status;

    if (wait->begun) {
        status = hki_block_look_again(wait->agent, node_of(wait), wait->timed);
    } else {
        status = hki_block_begin_briefly(wait->agent, node_of(wait), wait->timed);
    }
    wait->begun = status == HK_OK;
    return status;
}

/* In, and in the same breath not waiting any more: else a look could take who holds
 * it already for one who waits for the other holders. */
static bool enter_after_sleep(struct wait *wait)
{
    bool entered;

    if (!wait->begun) {
        return enter(wait->lock, wait->write, wait->own);
    }
    hki_block_attempt_begin(wait->agent);
    entered = enter(wait->lock, wait->write, wait->own);
    hki_block_attempt_end(wait->agent, entered);
    return entered;
}

/* Sleeps until the word may have opened. HK_OK: look again. */
static hk_status sleep_on(struct wait *wait, int64_t deadline_ns)
{
    hk_rwlock *lock = wait->lock;
    uint32_t epoch = atomic_load(epoch_of(lock));
    uint64_t word = atomic_load(word_of(lock));
    hk_status status = holder_gone(word);

    if (admits(word, wait->write)) {
        return HK_OK;
    }
    if (status != HK_OK) {
        return status;
    }
    if (!atomic_compare_exchange_strong(word_of(lock), &word, word | HKI_RW_SLEEPERS)) {
        return HK_OK;
    }
    if ((status = look_before_sleep(wait)) != HK_OK) {
        return status;
    }
    return hki_os_futex_wait(epoch_of(lock), epoch, deadline_ns) ? HK_OK : HK_ETIMEDOUT;
}

static hk_status await_word(struct wait *wait, int64_t deadline_ns)
{
    hk_status status = HK_OK;

    while (!enter_after_sleep(wait)) {
        if (status != HK_OK) {
            return status;
        }
        status = sleep_on(wait, deadline_ns);
        if (status != HK_OK && status != HK_ETIMEDOUT) {
            return status; /* Told in the log: not to be had by luck after all. */
        }
    }
    return HK_OK;
}

static hk_status await_patiently(struct wait *wait, int64_t deadline_ns)
{
    int64_t patience_ns = hki_block_patience(wait->agent, deadline_ns);
    hk_status status = await_word(wait, patience_ns);

    if (status != HK_ETIMEDOUT || patience_ns == deadline_ns) {
        return status;
    }
    status = hki_block_lengthen(wait->agent, node_of(wait), wait->timed);
    wait->begun = status == HK_OK;
    return status == HK_OK ? await_word(wait, deadline_ns) : status;
}

static hk_status wait_for_word(hk_rwlock *lock, struct hki_holder *holder, const hk_site *site,
                               bool write, int64_t deadline_ns)
{
    struct wait wait = {
        .lock = lock, .agent = holder->agent, .write = write, .timed = deadline_ns != HKI_NEVER};
    int64_t start_ns = hk_now_ns();
    hk_status status;

    /* A timed writer keeps nobody out: a reader would wait for it, and the graph
     * could not tell that this wait ends. */
    wait.own = write && !wait.timed ? HKI_RW_WAITING : 0;
    atomic_fetch_add(word_of(lock), wait.own);
    status = await_patiently(&wait, deadline_ns);
    if (status != HK_OK) {
        change(lock, wait.own);
    }
    if (wait.begun) {
        hki_block_end(holder->agent);
        hki_contention_add(site, lock->name_, hk_now_ns() - start_ns);
    }
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

bool hk_rwlock_is_held_by_me(const hk_rwlock *lock, bool write)
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
