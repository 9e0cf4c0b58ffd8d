/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_cond Condition variables
 * @brief Sleeping, with a lock given up, until something has changed.
 *
 *     HK_WITH_LOCK(&lock, status) {
 *         while (status == HK_OK && !ready) {
 *             status = hk_cond_wait(&changed, &lock, HK_FOREVER);
 *         }
 *     }
 *
 * A wait may return without a cause, so it stands in a loop around its condition. No
 * wake-up is lost: whoever has begun to wait before a signal is not passed over for
 * one who came later and found the change already (glibc's condition variables up to
 * 2.36 could lose one, glibc bug 25847). Built on one futex word.
 *
 * Nobody owns a condition, so a wait for it is never refused as a deadlock. But the lock
 * is taken again at its end: that is checked, order included, before the wait begins.
 *
 * **Thread safety.** Any thread; never in a signal handler.
 * **Ownership.** The memory is the caller's, until all who waited have returned. Static or
 * zero-filled memory is ready for use; nothing needs to be released.
 * @{
 */
#ifndef HOCKET_COND_H
#define HOCKET_COND_H

#include <hocket/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A condition variable; all fields are private. */
typedef struct hk_cond {
    /** @cond */
    uint32_t epoch_;
    uint32_t waiters_;
    hk_lock *lock_;
    const char *name_;
    /** @endcond */
} hk_cond;

/** A static condition. @p name: a literal, for reports, or NULL. */
#define HK_COND_INIT(name)                                                                         \
    {                                                                                              \
        0, 0, NULL, (name)                                                                         \
    }

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_cond_wait_at(const hk_site *site, hk_cond *cond, hk_lock *lock,
                                               hk_duration timeout);
/** @endcond */

/**
 * Give up the lock, sleep until a signal, take the lock again.
 *
 * @param cond     An hk_cond *.
 * @param lock     An hk_lock * that the caller holds once. All who wait at the same time name the
 *                 same lock.
 * @param timeout  An #hk_duration; 0 only lets others have the lock for a moment.
 * @retval HK_OK         Woken, perhaps without a cause; the lock is held.
 * @retval HK_ETIMEDOUT  The time ran out; the lock is held.
 * @retval HK_EPERM      The caller does not hold the lock; nothing happened.
 * @retval HK_EORDER     The caller holds other locks, and taking this one again after them breaks
 *                       the order; nothing happened, the lock is held.
 * @retval HK_ESTATE     A recursive lock that is held more than once; nothing happened.
 * @retval HK_EINVAL     NULL, a bad @p timeout, or others wait with another lock.
 * @retval HK_EDEADLK    Taking the lock again would close a ring of waits. The lock is NOT held;
 *                       this can happen only to who holds other locks meanwhile.
 * @retval HK_EBROKEN    Meanwhile somebody took the lock and ended with it. It is NOT held.
 * @retval HK_EFORKED    The same, in a child process. It is NOT held.
 * @retval HK_ENOMEM     No memory to find out whether the wait can end: before it, with the lock
 *                       held; or, with other locks held as well, when it was to be taken again.
 *                       hk_lock_is_held_by_me() tells which.
 */
#define hk_cond_wait(cond, lock, timeout) hk_cond_wait_at(HK_SITE, (cond), (lock), (timeout))

/**
 * Wake one who waits, if any. Best called with the lock held, or after the change
 * was made under it.
 *
 * @param cond  Borrowed.
 * @retval HK_OK
 * @retval HK_EINVAL  NULL.
 *
 * Cost: one load while nobody waits.
 */
HK_API hk_status hk_cond_signal(hk_cond *cond);

/**
 * Wake all who wait.
 *
 * @param cond  Borrowed.
 * @retval HK_OK
 * @retval HK_EINVAL  NULL.
 */
HK_API hk_status hk_cond_broadcast(hk_cond *cond);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
