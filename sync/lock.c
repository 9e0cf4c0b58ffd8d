/* SPDX-License-Identifier: MIT */
/*
 * hk_lock: a futex word with an owner. The fast path is one function: look up the
 * chain, one compare-and-swap, push.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/extensible.h"
#include "base/log.h"
#include "base/os.h"
#include "base/time.h"
#include "sync/block.h"
#include "sync/contention.h"
#include "sync/lock_impl.h"
#include "sync/wait_graph.h"

/* A pause is some 70 ns here; four of them bridge a short section, and more would only
 * fight for the line (measured: 4 to 5 beat both 0 and 20). */
enum { SPINS = 4 };

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Fields of a public struct, which cannot be _Atomic there: C++ reads it, too. */
static _Atomic(uint32_t) *word_of(hk_lock *lock)
{
    return (_Atomic(uint32_t) *)&lock->word_;
}

static _Atomic(uint64_t) *identity_of(hk_lock *lock)
{
    return (_Atomic(uint64_t) *)&lock->identity_;
}

/* The key of a chain in which this lock came last and which is in order: for the many
 * locks that are always taken in the same way, and too many for a thread's cache. */
static _Atomic(uint64_t) *chain_of(hk_lock *lock)
{
    return (_Atomic(uint64_t) *)&lock->chain_;
}

static _Atomic(const hk_site *) *site_of(hk_lock *lock)
{
    return (_Atomic(const hk_site *) *)&lock->site_;
}

/* --- as a node of the wait-for graph --- */

/* NULL: it is free, or abandoned, which those who wait are told. */
static struct hki_agent *owner_of(uint32_t word)
{
    return (word & HKI_LOCK_ABANDONED) != 0 ? NULL : hki_slot_agent(word >> HKI_LOCK_OWNER_SHIFT);
}

static enum hki_wait_kind look_at_lock(void *object, size_t *count)
{
    struct hki_agent *agent = owner_of(atomic_load(word_of(object)));

    /* A thread that waits for its own lock has just got it, and only not said so yet. */
    if (agent == NULL || agent->waits_for.object == object) {
        return HKI_WAIT_MOVES;
    }
    *count = 1;
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_lock(void *object, size_t i)
{
    struct hki_agent *agent = owner_of(atomic_load(word_of(object)));

    (void)i;
    return agent == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(agent);
}

static void describe_lock(void *object, char *text, size_t size)
{
    const hk_lock *lock = object;

    if (lock->name_ == NULL) {
        snprintf(text, size, "lock %p", object);
    } else {
        snprintf(text, size, "lock %p (%s)", object, lock->name_);
    }
}

static void relate_lock(void *object, struct hki_wait_node next, const char *words, char *text,
                        size_t size)
{
    /* relaxed: a figure for a report; a site is static memory. */
    const hk_site *site = atomic_load_explicit(site_of(object), memory_order_relaxed);

    (void)next;
    snprintf(text, size, "held by %s since %s:%d", words, site == NULL ? "?" : site->file,
             site == NULL ? 0 : site->line);
}

static const struct hki_wait_ops lock_ops = {.look = look_at_lock,
                                             .next = next_of_lock,
                                             .describe = describe_lock,
                                             .relate = relate_lock,
                                             .is_lock = true};

/* --- identity --- */

static uint64_t new_identity(_Atomic(uint64_t) *place)
{
    uint64_t mine = hki_order_new_identity();
    uint64_t seen = 0;

    return atomic_compare_exchange_strong(place, &seen, mine) ? mine : seen;
}

uint64_t hki_lock_identity(hk_lock *lock)
{
    uint64_t identity = atomic_load(identity_of(lock));

    if (identity != 0 || (lock->flags_ & HK_LOCK_NOORDER) != 0) {
        return identity;
    }
    if (lock->class_ != NULL) {
        _Atomic(uint64_t) *shared =
            (_Atomic(uint64_t) *)&lock->class_->identity_[lock->subclass_ % HK_LOCK_SUBCLASSES];

        identity = atomic_load(shared);
        identity = identity != 0 ? identity : new_identity(shared);
        atomic_store(identity_of(lock), identity);
        return identity;
    }
    return new_identity(identity_of(lock));
}

/* --- taking --- */

/* It is the caller's now. */
static hk_status push(hk_lock *lock, struct hki_holder *holder, const hk_site *site,
                      uint64_t identity, uint64_t key)
{
    struct hki_held *held = &holder->held[holder->depth];

    held->lock = lock;
    held->site = site;
    held->identity = identity;
    held->key = key;
    held->flags = HKI_HELD_LOCK;
    held->depth = 0;
    holder->depth++;
    /* relaxed: read for reports alone. */
    atomic_store_explicit(site_of(lock), site, memory_order_relaxed);
    return HK_OK;
}

static bool try_word(hk_lock *lock, uint32_t mine)
{
    uint32_t nobody = 0;

    /* acquire: pairs with the release in open_word(). relaxed: a refusal reads nothing
     * that the lock guards. */
    return atomic_compare_exchange_strong_explicit(word_of(lock), &nobody, mine,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* Why a lock with this word will not be given back, or HK_OK. */
static hk_status owner_gone(uint32_t word)
{
    if ((word & HKI_LOCK_ABANDONED) != 0) {
        return HK_EBROKEN;
    }
    return hki_slot_foreign(word >> HKI_LOCK_OWNER_SHIFT) ? HK_EFORKED : HK_OK;
}

/* Sleeps until the word may be free: HK_OK to look again. */
static hk_status sleep_on(hk_lock *lock, uint32_t word, int64_t deadline_ns)
{
    hk_status gone = owner_gone(word);

    if (gone != HK_OK) {
        return gone;
    }
    if ((word & HKI_LOCK_WAITERS) == 0 &&
        !atomic_compare_exchange_strong(word_of(lock), &word, word | HKI_LOCK_WAITERS)) {
        return HK_OK;
    }
    return hki_os_futex_wait(word_of(lock), word | HKI_LOCK_WAITERS, deadline_ns) ? HK_OK
                                                                                  : HK_ETIMEDOUT;
}

/* HK_OK: the word is the caller's, with the waiters bit: others may sleep. */
static hk_status await_word(hk_lock *lock, uint32_t mine, int64_t deadline_ns)
{
    hk_status status = HK_OK;

    for (;;) {
        uint32_t word;

        if (try_word(lock, mine | HKI_LOCK_WAITERS)) {
            return HK_OK;
        }
        if (status != HK_OK) {
            return status;
        }
        /* relaxed: a guess, checked by the exchange or the kernel. */
        word = atomic_load_explicit(word_of(lock), memory_order_relaxed);
        status = word == 0 ? HK_OK : sleep_on(lock, word, deadline_ns);
    }
}

static hk_status wait_for_word(hk_lock *lock, struct hki_holder *holder, const hk_site *site,
                               int64_t deadline_ns)
{
    struct hki_wait_node node = {&lock_ops, lock};
    int64_t patience_ns;
    int64_t start_ns;
    hk_status status;

    for (int i = 0; i < SPINS; i++) {
        __builtin_ia32_pause();
        if (try_word(lock, holder->word)) {
            return HK_OK;
        }
    }
    start_ns = hk_now_ns();
    if ((status = hki_block_begin_briefly(holder->agent, node, deadline_ns != HKI_NEVER)) !=
        HK_OK) {
        return status;
    }
    patience_ns = hki_block_patience(holder->agent, deadline_ns);
    status = await_word(lock, holder->word, patience_ns);
    if (status == HK_ETIMEDOUT && patience_ns != deadline_ns) {
        status = hki_block_lengthen(holder->agent, node, deadline_ns != HKI_NEVER);
        if (status != HK_OK) {
            return status; /* Not blocked any more. */
        }
        status = await_word(lock, holder->word, deadline_ns);
    }
    hki_block_end(holder->agent);
    hki_contention_add(site, lock->name_, hk_now_ns() - start_ns);
    return status;
}

/* The word was not free. */
static hk_status contend(hk_lock *lock, struct hki_holder *holder, const hk_site *site,
                         int64_t deadline_ns, bool poll, bool *again)
{
    uint32_t word = atomic_load(word_of(lock));

    if ((word & ~HKI_LOCK_WAITERS) == holder->word) {
        if ((lock->flags_ & HK_LOCK_RECURSIVE) == 0) {
            return HK_EDEADLK;
        }
        hki_holder_find(holder, lock)->depth++;
        *again = true;
        return HK_OK;
    }
    if (poll) {
        hk_status gone = owner_gone(word);

        return gone != HK_OK ? gone : HK_ETIMEDOUT;
    }
    return wait_for_word(lock, holder, site, deadline_ns);
}

hk_status hki_lock_take(hk_lock *lock, struct hki_holder *holder, const hk_site *site,
                        int64_t deadline_ns, bool poll)
{
    uint64_t identity = hki_lock_identity(lock);
    uint64_t below = hki_holder_key(holder);
    bool again = false;
    hk_status status;

    if (holder->depth == holder->room && (status = hki_holder_grow(holder)) != HK_OK) {
        return status;
    }
    if (!try_word(lock, holder->word)) {
        status = contend(lock, holder, site, deadline_ns, poll, &again);
        if (status != HK_OK || again) {
            return status;
        }
    }
    return push(lock, holder, site, identity,
                identity == 0 ? below : hki_order_mix(below, identity));
}

/* Whether the order allows it; HK_OK also for a lock that the caller holds already: taking
 * that says more about it. */
static hk_status check_order(hk_lock *lock, struct hki_holder *holder, const hk_site *site)
{
    struct hki_held wanted = {.lock = lock, .site = site, .name = lock->name_};

    wanted.identity = hki_lock_identity(lock);
    if (holder->depth == 0 || wanted.identity == 0 || hki_holder_find(holder, lock) != NULL) {
        return HK_OK;
    }
    wanted.key = hki_order_mix(hki_holder_key(holder), wanted.identity);
    return hki_holder_check_order(holder, &wanted, (hk_lock_policy)lock->policy_);
}

/* All that is rare: the first lock of a thread, the first use of a lock, flags, a chain
 * that is not in this thread's cache, contention. */
static __attribute__((noinline)) hk_status acquire_slowly(const hk_site *site, hk_lock *lock,
                                                          int64_t deadline_ns, bool poll)
{
    struct hki_holder *holder = hki_holder_make();
    hk_status status;

    if (holder == NULL) {
        return HK_ENOMEM;
    }
    if (!poll && (status = check_order(lock, holder, site)) != HK_OK) {
        return status;
    }
    return hki_lock_take(lock, holder, site, deadline_ns, poll);
}

/* A chain that is not the lock's own: perhaps this thread, or the process, knows it. */
static __attribute__((noinline)) hk_status acquire_in_other_chain(const hk_site *site,
                                                                  hk_lock *lock,
                                                                  struct hki_holder *holder,
                                                                  uint64_t key)
{
    if (!hki_holder_knows(holder, key)) {
        return acquire_slowly(site, lock, HKI_NEVER, false);
    }
    /* relaxed: the key is the whole message. */
    atomic_store_explicit(chain_of(lock), key, memory_order_relaxed);
    if (!try_word(lock, holder->word)) {
        return acquire_slowly(site, lock, HKI_NEVER, false);
    }
    return push(lock, holder, site, hki_lock_identity(lock), key);
}

/* The way of nearly all: calls nothing, so that it saves no registers. */
hk_status hk_lock_acquire_at(const hk_site *site, hk_lock *lock)
{
    struct hki_holder *holder = hki_own_holder;
    uint64_t identity;
    uint64_t key;

    if (UNLIKELY(lock == NULL || site == NULL)) {
        return HK_EINVAL;
    }
    /* relaxed: it is set once; 0 is looked into. */
    identity = atomic_load_explicit(identity_of(lock), memory_order_relaxed);
    if (UNLIKELY(holder == NULL || identity == 0 || lock->flags_ != 0 ||
                 holder->depth == holder->room)) {
        return acquire_slowly(site, lock, HKI_NEVER, false);
    }
    key = hki_order_mix(hki_holder_key(holder), identity);
    /* relaxed: the key is the whole message. */
    if (UNLIKELY(holder->depth != 0 &&
                 atomic_load_explicit(chain_of(lock), memory_order_relaxed) != key)) {
        return acquire_in_other_chain(site, lock, holder, key);
    }
    if (UNLIKELY(!try_word(lock, holder->word))) {
        return acquire_slowly(site, lock, HKI_NEVER, false);
    }
    return push(lock, holder, site, identity, key);
}

hk_status hk_lock_acquire_timed_at(const hk_site *site, hk_lock *lock, hk_duration timeout)
{
    if (lock == NULL || site == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    return acquire_slowly(site, lock, timeout == 0 ? 0 : hki_deadline(timeout), timeout == 0);
}

/* --- giving back --- */

static __attribute__((noinline, cold)) hk_status wake_one(hk_lock *lock)
{
    hki_os_futex_wake(word_of(lock), 1);
    return HK_OK;
}

static inline hk_status open_word(hk_lock *lock)
{
    /* release: pairs with the acquire in try_word(). */
    uint32_t word = atomic_exchange_explicit(word_of(lock), 0, memory_order_release);

    return UNLIKELY((word & HKI_LOCK_WAITERS) != 0) ? wake_one(lock) : HK_OK;
}

void hki_lock_open(hk_lock *lock)
{
    (void)open_word(lock);
}

/* Not the one that was taken last, or taken more than once, or not held. */
static __attribute__((noinline)) hk_status release_slowly(hk_lock *lock)
{
    struct hki_holder *holder = hki_own_holder;
    struct hki_held *held = hki_holder_find(holder, lock);

    if (lock == NULL || held == NULL) {
        return lock == NULL ? HK_EINVAL : HK_EPERM;
    }
    if (held->depth != 0) {
        held->depth--;
        return HK_OK;
    }
    hki_holder_remove(holder, held);
    return open_word(lock);
}

hk_status hk_lock_release(hk_lock *lock)
{
    struct hki_holder *holder = hki_own_holder;
    struct hki_held *held;

    if (UNLIKELY(lock == NULL || holder == NULL || holder->depth == 0)) {
        return release_slowly(lock);
    }
    held = &holder->held[holder->depth - 1];
    if (UNLIKELY(held->lock != lock || held->depth != 0)) {
        return release_slowly(lock);
    }
    holder->depth--;
    return open_word(lock);
}

void hki_lock_abandon(hk_lock *lock)
{
    /* In the word, so that who is about to sleep on it does not. */
    atomic_fetch_or(word_of(lock), HKI_LOCK_ABANDONED);
    hki_os_futex_wake(word_of(lock), INT32_MAX);
}

/* --- the rest --- */

bool hk_lock_is_held_by_me(const hk_lock *lock)
{
    return lock != NULL && hki_holder_find(hki_own_holder, lock) != NULL;
}

/* "held by thread b (17) since x.c:10", as far as it can be told. */
static void describe_owner(hk_lock *lock, char *text, size_t size)
{
    struct hki_agent *agent;
    char name[64] = "";

    hki_wait_graph_lock();
    if ((agent = owner_of(atomic_load(word_of(lock)))) == NULL) {
        snprintf(text, size, "no thread holds it");
    } else {
        hki_agent_node(agent).ops->describe(agent, name, sizeof(name));
        relate_lock(lock, hki_agent_node(agent), name, text, size);
    }
    hki_wait_graph_unlock();
}

void hk_lock_assert_held_at(const hk_site *site, const hk_lock *lock)
{
    char what[128] = "no lock";
    char owner[256] = "NULL was given";
    const hk_site nowhere = {"somewhere", 0, "no site was given"};

    site = site == NULL ? &nowhere : site;
    if (hk_lock_is_held_by_me(lock)) {
        return;
    }
    if (lock != NULL) {
        describe_lock((void *)(uintptr_t)lock, what, sizeof(what));
        describe_owner((hk_lock *)(uintptr_t)lock, owner, sizeof(owner));
    }
    hki_log(HK_LOG_ERROR, "%s:%d (%s): the caller must hold %s here, and does not: %s", site->file,
            site->line, site->function, what, owner);
    abort();
}

hk_status hk_lock_init(hk_lock *lock, const hk_lock_options *options)
{
    static const hk_lock_options defaults;
    const unsigned known = HK_LOCK_RECURSIVE | HK_LOCK_NOORDER;

    options = options == NULL ? &defaults : options;
    if (lock == NULL || !HKI_OPTIONS_VALID(options, 40) || (options->flags & ~known) != 0 ||
        options->policy < HK_LOCK_DEFAULT || options->policy > HK_LOCK_ABORT ||
        options->subclass >= HK_LOCK_SUBCLASSES) {
        return HK_EINVAL;
    }
    memset(lock, 0, sizeof(*lock));
    lock->name_ = options->name;
    lock->flags_ = options->flags;
    lock->policy_ = (uint8_t)options->policy;
    lock->class_ = options->lock_class;
    lock->subclass_ = (uint8_t)options->subclass;
    return HK_OK;
}

hk_status hk_lock_destroy(hk_lock *lock)
{
    uint64_t identity;

    if (lock == NULL) {
        return HK_OK;
    }
    if (atomic_load(word_of(lock)) != 0) {
        return HK_ESTATE;
    }
    identity = atomic_exchange(identity_of(lock), 0);
    if (identity != 0 && lock->class_ == NULL) {
        hki_order_forget(identity);
    }
    return HK_OK;
}

hk_status hk_lock_allow(hk_lock *one, hk_lock *other)
{
    uint64_t first = one == NULL ? 0 : hki_lock_identity(one);
    uint64_t second = other == NULL ? 0 : hki_lock_identity(other);

    return first == 0 || second == 0 ? HK_EINVAL : hki_order_allow(first, second);
}
