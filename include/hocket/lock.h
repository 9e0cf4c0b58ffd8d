/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_lock Locks
 * @brief A mutex that refuses what would deadlock.
 *
 * Each lock knows its owner. Two checks are always on:
 *
 * - **Order.** Whoever takes B while holding A teaches the process that A comes before
 *   B. Taking A while holding B is then refused with HK_EORDER, nothing acquired: the
 *   first time, in any thread, long before two threads meet. What to do about it is
 *   told by <hocket/lock_order.h>.
 * - **Real cycles.** A wait that closes a ring of waits returns HK_EDEADLK to the thread
 *   that closes it, at once. Futures, joins, read-write locks, bound queues and latches
 *   are part of the same graph.
 *
 *     static hk_lock accounts = HK_LOCK_INIT("accounts");
 *
 *     if ((status = hk_lock_acquire(&accounts)) != HK_OK) {
 *         return status;
 *     }
 *     ...
 *     hk_lock_release(&accounts);
 *
 * An uncontended pair costs what a pthread mutex costs, checks included; the ideas are
 * lockdep's chain keys (Linux) and the incremental topological order of Pearce and Kelly
 * (2006). A static lock, or zero-filled memory, is ready for use.
 *
 * **Thread safety.** Any thread; never in a signal handler.
 * **Ownership.** The memory is the caller's, and stays where it is while in use.
 * **Fork.** In a child, a lock that another thread of the parent held stays taken, and
 * waiting for it gives HK_EFORKED.
 * **End of a thread.** A lock that its thread did not release stays taken; waiting for it
 * gives HK_EBROKEN, also to those who sleep already.
 * @{
 */
#ifndef HOCKET_LOCK_H
#define HOCKET_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hocket/error.h>
#include <hocket/lock_order.h>
#include <hocket/status.h>
#include <hocket/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How many subclasses a class has, from 0. */
#define HK_LOCK_SUBCLASSES 8

/**
 * Many locks that are alike (one in each account, one in each node): they share one
 * place in the order. Two of one class and subclass may not be held at once, but by
 * hk_lock_acquire_many(); a parent and its children take different subclasses. Static, or
 * zero-filled.
 */
typedef struct hk_lock_class {
    /** @cond */
    uint64_t identity_[HK_LOCK_SUBCLASSES];
    /** @endcond */
} hk_lock_class;

/** What a lock can be, to be combined. */
enum {
    HK_LOCK_RECURSIVE = 1, /**< Its owner may take it again, and releases it as often. */
    HK_LOCK_NOORDER = 2,   /**< Takes no part in the order; real cycles are still found. */
};

/** A lock; all fields are private. */
typedef struct hk_lock {
    /** @cond */
    uint32_t word_;
    uint32_t flags_;
    uint64_t identity_;
    uint64_t chain_;
    const hk_site *site_;
    const char *name_;
    hk_lock_class *class_;
    uint8_t subclass_;
    uint8_t policy_;
    /** @endcond */
} hk_lock;

/** A static lock. @p name: a literal, for reports, or NULL. */
#define HK_LOCK_INIT(name) HK_LOCK_INIT_AS(name, 0, HK_LOCK_DEFAULT, NULL, 0)

/**
 * The same, with flags, a policy of its own (#hk_lock_policy), and a class (or NULL) with
 * a subclass below #HK_LOCK_SUBCLASSES.
 */
#define HK_LOCK_INIT_AS(name, flags, policy, lock_class, subclass)                                 \
    {                                                                                              \
        0, (flags), 0, 0, NULL, (name), (lock_class), (uint8_t)(subclass), (uint8_t)(policy)       \
    }

/** What hk_lock_init() is told; zero-filled is the default. */
typedef struct hk_lock_options {
    size_t size;               /**< sizeof this struct, or 0. */
    const char *name;          /**< Not copied: a literal, or alive as long as the lock. */
    unsigned flags;            /**< #HK_LOCK_RECURSIVE, #HK_LOCK_NOORDER. */
    hk_lock_policy policy;     /**< For inversions that this lock would make. */
    hk_lock_class *lock_class; /**< NULL: a place in the order of its own. */
    unsigned subclass;         /**< Below #HK_LOCK_SUBCLASSES. */
} hk_lock_options;

/**
 * Make a lock in memory that holds none.
 *
 * @param lock     Overwritten.
 * @param options  NULL for defaults.
 * @retval HK_OK
 * @retval HK_EINVAL  NULL, unknown flags or policy, a subclass too high.
 */
HK_API hk_status hk_lock_init(hk_lock *lock, const hk_lock_options *options);

/**
 * Forget what was learned about a lock. Not needed for static ones; for those in objects
 * that come and go it keeps the tables small. The memory may then be freed or used again.
 *
 * @param lock  Free; NULL is allowed.
 * @retval HK_OK
 * @retval HK_ESTATE  Somebody holds it; nothing happened.
 */
HK_API hk_status hk_lock_destroy(hk_lock *lock);

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_lock_acquire_at(const hk_site *site, hk_lock *lock);
HK_API HK_MUST_CHECK hk_status hk_lock_acquire_timed_at(const hk_site *site, hk_lock *lock,
                                                        hk_duration timeout);
HK_API HK_MUST_CHECK hk_status hk_lock_acquire_many_at(const hk_site *site, hk_lock *const *locks,
                                                       size_t count, hk_duration timeout);
/** @endcond */

/**
 * Take a lock, waiting as long as it takes. A macro that records the line.
 *
 * @param lock  An hk_lock *.
 * @retval HK_OK       Held.
 * @retval HK_EORDER   The order of locks forbids it here; nothing acquired. The report says
 *                     which lock, and which lines taught the order.
 * @retval HK_EDEADLK  The caller holds it (and it is not recursive), or waiting for it would
 *                     close a ring of waits.
 * @retval HK_EBROKEN  Its owner ended without releasing it.
 * @retval HK_EFORKED  Its owner is a thread of the parent process.
 * @retval HK_ENOMEM   No memory for this thread's records: the first lock of a thread, the 33rd
 *                     at once, or a wait of which nobody could tell whether it ends.
 * @retval HK_EINVAL   NULL.
 *
 * Cost: about 14 ns with the release; a chain of locks seen for the first time some 3 us.
 */
#define hk_lock_acquire(lock) hk_lock_acquire_at(HK_SITE, (lock))

/**
 * Take a lock, waiting for a time. With 0 it is hk_lock_try().
 *
 * @param lock     An hk_lock *.
 * @param timeout  An #hk_duration.
 * @retval HK_ETIMEDOUT  It was not to be had in time.
 * @retval HK_EINVAL     NULL, or a negative @p timeout other than #HK_FOREVER.
 * @return else as hk_lock_acquire(). A timed wait that is part of a ring runs out and
 *         refuses nobody; one that closes a ring of untimed ones is refused.
 */
#define hk_lock_acquire_timed(lock, timeout) hk_lock_acquire_timed_at(HK_SITE, (lock), (timeout))

/**
 * Take a lock if it is free. Never waits, so nothing is checked; but what is taken
 * while it is held comes after it.
 *
 * @param lock  An hk_lock *.
 * @retval HK_ETIMEDOUT  Another thread holds it.
 * @return else as hk_lock_acquire(), without HK_EORDER.
 */
#define hk_lock_try(lock) hk_lock_acquire_timed_at(HK_SITE, (lock), 0)

/**
 * Give a lock back; in any order, not only the last one first.
 *
 * @param lock  Held by the caller.
 * @retval HK_OK
 * @retval HK_EPERM   The caller does not hold it; nothing happened.
 * @retval HK_EINVAL  NULL.
 */
HK_API hk_status hk_lock_release(hk_lock *lock);

/**
 * Take a whole set of locks, in an order that is the same for everybody: that which the
 * process has learned, else by age. Two threads that name the same locks in different
 * orders do not meet each other half way.
 *
 * @param locks  An hk_lock *const *: any order; the same one twice counts once.
 * @param count  How many; 0 is HK_OK.
 * @return as hk_lock_acquire(); on failure none of them is held. HK_EINVAL also if @p count is
 *         beyond any memory.
 *
 * Cost: sorting under one lock of the process, about 0.3 us for a pair.
 */
#define hk_lock_acquire_many(locks, count)                                                         \
    hk_lock_acquire_many_at(HK_SITE, (locks), (count), HK_FOREVER)

/**
 * The same, waiting for a time in all.
 *
 * @param locks    As hk_lock_acquire_many().
 * @param count    As hk_lock_acquire_many().
 * @param timeout  An #hk_duration; 0 takes them only if all are free.
 * @return as hk_lock_acquire_timed(); on failure none of them is held.
 */
#define hk_lock_acquire_many_timed(locks, count, timeout)                                          \
    hk_lock_acquire_many_at(HK_SITE, (locks), (count), (timeout))

/**
 * Give a set back, the last one taken first.
 *
 * @param locks  Borrowed; the same one twice counts once.
 * @param count  How many.
 * @retval HK_OK
 * @retval HK_EPERM   One is not held by the caller; none was released.
 * @retval HK_EINVAL  NULL.
 */
HK_API hk_status hk_lock_release_many(hk_lock *const *locks, size_t count);

/**
 * Whether the calling thread holds it.
 *
 * @param lock  Borrowed.
 * @return true if so. Cost: two loads.
 */
HK_API bool hk_lock_is_held_by_me(const hk_lock *lock);

/** @cond */
HK_API void hk_lock_assert_held_at(const hk_site *site, const hk_lock *lock);
/** @endcond */

/**
 * Stop the program, with the line, the lock's name and its owner, unless the calling
 * thread holds it: for functions that rely on their caller.
 *
 * @param lock  A const hk_lock *.
 */
#define hk_lock_assert_held(lock) hk_lock_assert_held_at(HK_SITE, (lock))

/**
 * Two locks that may be taken in either order, because something else (a third lock, a
 * phase of the program) keeps threads from meeting in them.
 *
 * @param one    Borrowed.
 * @param other  Borrowed.
 * @retval HK_OK
 * @retval HK_EINVAL  NULL, or a lock without order.
 * @retval HK_ENOMEM
 */
HK_API HK_MUST_CHECK hk_status hk_lock_allow(hk_lock *one, hk_lock *other);

/** One line of code that had to wait for locks. */
typedef struct hk_lock_contention {
    const hk_site *site;  /**< Where the lock was asked for. */
    const char *name;     /**< Of the lock that it first waited for there, cut to 47 bytes; may be
                               NULL. The library's copy, which stays. */
    uint64_t waits;       /**< How often it slept. */
    int64_t waited_ns;    /**< How long in all. */
    int64_t longest_ns;   /**< The longest wait. */
    uint64_t reserved[4]; /**< For later versions; 0. */
} hk_lock_contention;

/**
 * Where the process waited for locks (mutexes and read-write locks), by line of code.
 * Counted on the slow path alone, and therefore always.
 *
 * @param[out] lines  Filled with the lines that waited longest in all, longest first.
 * @param max         How many fit; beyond 1,024 lines the rest is not told apart.
 * @return how many were filled in.
 */
HK_API size_t hk_lock_contentions(hk_lock_contention *lines, size_t max);

/** @cond */
static inline hk_lock *hk_lock_scope_begin_(const hk_site *site, hk_lock *lock, hk_status *status)
{
    *status = hk_lock_acquire_at(site, lock);
    return *status == HK_OK ? lock : NULL;
}

static inline hk_lock *hk_lock_scope_leave_(hk_lock *lock)
{
    hk_lock_release(lock);
    return NULL;
}

static inline void hk_lock_scope_end_(hk_lock **lock)
{
    if (*lock != NULL) {
        hk_lock_release(*lock);
    }
}

/* A name of its own for each line, so that blocks nest without shadowing each other. */
#define HK_SCOPE_PASTE_(line) hk_scope_##line##_
#define HK_SCOPE_(line)       HK_SCOPE_PASTE_(line)
#define HK_WITH_LOCK_(lock, status, scope)                                                         \
    for (hk_lock * scope __attribute__((cleanup(hk_lock_scope_end_))) =                            \
             hk_lock_scope_begin_(HK_SITE, (lock), &(status));                                     \
         scope != NULL; scope = hk_lock_scope_leave_(scope))
/** @endcond */

/**
 * A block that runs with a lock held, and not at all if it could not be taken:
 *
 *     HK_WITH_LOCK(&accounts, status) {
 *         balance += amount;
 *     }
 *
 * The lock is released however the block is left: at its end, by break, return or goto.
 *
 * @param lock    An hk_lock *.
 * @param status  An lvalue of #hk_status; takes the answer of hk_lock_acquire().
 */
#define HK_WITH_LOCK(lock, status) HK_WITH_LOCK_(lock, status, HK_SCOPE_(__LINE__))

#ifdef __cplusplus
}
#endif

/** @} */
#endif
