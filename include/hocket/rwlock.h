/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_rwlock Read-write locks
 * @brief Many readers or one writer, with the checks of <hocket/lock.h>.
 *
 * Readers and writers take part in the order of locks like any lock, and in the search
 * for real cycles: a writer waits for all who hold it, a reader for the writer, or for
 * those whom a waiting writer waits for. Writers that wait without a time limit go
 * first: readers that come later let them pass. One thread holds it once: taking it again,
 * in either way, is HK_EDEADLK, since between the two a writer may have come to wait.
 *
 * It pays when sections are long: for short ones hk_lock is faster, because entering
 * writes to the same line in both.
 *
 * **Thread safety.** Any thread; never in a signal handler.
 * **Ownership.** The memory is the caller's. Static or zero-filled memory is ready.
 * **Fork.** As for hk_lock.
 * **End of a thread.** What its thread did not release stays taken. After a writer nobody
 * comes in any more. After a reader no writer does, and other readers still do: only in the
 * moment in which a writer that waits is being turned away they are, too. Whoever cannot come
 * in gets HK_EBROKEN, also those who sleep already.
 * @{
 */
#ifndef HOCKET_RWLOCK_H
#define HOCKET_RWLOCK_H

#include <hocket/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A read-write lock; all fields are private. */
typedef struct hk_rwlock {
    /** @cond */
    uint64_t word_;
    uint64_t identity_;
    const hk_site *site_;
    const char *name_;
    uint32_t epoch_;
    uint8_t policy_;
    /** @endcond */
} hk_rwlock;

/** A static read-write lock. @p name: a literal, for reports, or NULL. */
#define HK_RWLOCK_INIT(name) HK_RWLOCK_INIT_AS(name, HK_LOCK_DEFAULT)

/**
 * The same, with a policy of its own (#hk_lock_policy). In memory that was allocated:
 * `*lock = (hk_rwlock)HK_RWLOCK_INIT_AS("routes", HK_LOCK_REPORT)`.
 */
#define HK_RWLOCK_INIT_AS(name, policy)                                                            \
    {                                                                                              \
        0, 0, NULL, (name), 0, (uint8_t)(policy)                                                   \
    }

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_rwlock_read_at(const hk_site *site, hk_rwlock *lock,
                                                 hk_duration timeout);
HK_API HK_MUST_CHECK hk_status hk_rwlock_write_at(const hk_site *site, hk_rwlock *lock,
                                                  hk_duration timeout);
/** @endcond */

/**
 * Take it together with other readers, waiting as long as it takes.
 *
 * @param lock  An hk_rwlock *.
 * @retval HK_OK
 * @retval HK_EORDER   As hk_lock_acquire().
 * @retval HK_EDEADLK  The caller holds it, in either way; or waiting would close a ring of waits.
 * @retval HK_EBROKEN  A thread ended while it held it, and it does not let the caller in.
 * @retval HK_EFORKED  A thread of the parent process may hold it.
 * @retval HK_ENOMEM   As hk_lock_acquire().
 * @retval HK_EINVAL   NULL.
 *
 * Cost: about 20 ns with the release.
 */
#define hk_rwlock_read(lock) hk_rwlock_read_at(HK_SITE, (lock), HK_FOREVER)

/** The same, waiting for a time; 0 polls, unchecked by the order. HK_ETIMEDOUT: not in time. */
#define hk_rwlock_read_timed(lock, timeout) hk_rwlock_read_at(HK_SITE, (lock), (timeout))

/**
 * Take it alone, waiting as long as it takes.
 *
 * @param lock  An hk_rwlock *.
 * @return as hk_rwlock_read().
 */
#define hk_rwlock_write(lock) hk_rwlock_write_at(HK_SITE, (lock), HK_FOREVER)

/** The same, waiting for a time; 0 polls. A timed writer does not keep readers out. */
#define hk_rwlock_write_timed(lock, timeout) hk_rwlock_write_at(HK_SITE, (lock), (timeout))

/**
 * Give it back, however it was taken.
 *
 * @param lock  Held by the caller.
 * @retval HK_OK
 * @retval HK_EPERM   The caller does not hold it; nothing happened.
 * @retval HK_EINVAL  NULL.
 */
HK_API hk_status hk_rwlock_release(hk_rwlock *lock);

/**
 * Whether the calling thread holds it.
 *
 * @param lock   Borrowed.
 * @param write  Whether as the writer; false: in either way.
 * @return true if so.
 */
HK_API bool hk_rwlock_is_held_by_me(const hk_rwlock *lock, bool write);

/**
 * Forget what was learned about it, as hk_lock_destroy().
 *
 * @param lock  Free; NULL is allowed.
 * @retval HK_OK
 * @retval HK_ESTATE  Somebody holds it; nothing happened.
 */
HK_API hk_status hk_rwlock_destroy(hk_rwlock *lock);

/** @cond */
static inline hk_rwlock *hk_rwlock_scope_begin_(
    const hk_site *site, hk_rwlock *lock, hk_duration timeout, hk_status *status,
    hk_status (*take)(const hk_site *site, hk_rwlock *lock, hk_duration timeout))
{
    *status = take(site, lock, timeout);
    return *status == HK_OK ? lock : NULL;
}

static inline void hk_rwlock_scope_end_(hk_rwlock **lock)
{
    if (*lock != NULL) {
        hk_rwlock_release(*lock);
    }
}

static inline hk_rwlock *hk_rwlock_scope_leave_(hk_rwlock *lock)
{
    hk_rwlock_release(lock);
    return NULL;
}
/** @endcond */

/** A block that runs as a reader, and not at all if that failed; see HK_WITH_LOCK(). */
#define HK_WITH_READ(lock, status) HK_WITH_RWLOCK_(read, lock, status, HK_SCOPE_(__LINE__))
/** A block that runs as the writer, and not at all if that failed; see HK_WITH_LOCK(). */
#define HK_WITH_WRITE(lock, status) HK_WITH_RWLOCK_(write, lock, status, HK_SCOPE_(__LINE__))
/** @cond */
#define HK_WITH_RWLOCK_(how, lock, status, scope)                                                  \
    for (hk_rwlock * scope __attribute__((cleanup(hk_rwlock_scope_end_))) =                        \
             hk_rwlock_scope_begin_(HK_SITE, (lock), HK_FOREVER, &(status), hk_rwlock_##how##_at); \
         scope != NULL; scope = hk_rwlock_scope_leave_(scope))
/** @endcond */

#ifdef __cplusplus
}
#endif

/** @} */
#endif
