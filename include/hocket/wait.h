/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_wait Waiting for several futures
 * @brief First, first failure, or all.
 *
 * **Thread safety.** Any thread. **Ownership.** Futures are borrowed.
 * @{
 */
#ifndef HOCKET_WAIT_H
#define HOCKET_WAIT_H

#include <hocket/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** When hk_wait() has enough. */
typedef enum hk_wait_for {
    HK_ALL_COMPLETED = 0,   /**< All have ended. */
    HK_FIRST_COMPLETED = 1, /**< One has ended. */
    HK_FIRST_ERROR = 2,     /**< One FAILED, or all have ended. A cancel alone does not count. */
} hk_wait_for;

/**
 * Wait for some of several futures, of any executors.
 *
 * Inside a task, an untimed HK_ALL_COMPLETED may run awaited tasks on this
 * stack; the other forms never do.
 *
 * @param futures     @p count borrowed futures; one that stands there twice counts once.
 * @param count       0 returns HK_OK at once.
 * @param what        When to return.
 * @param timeout     0 polls; #HK_FOREVER waits without limit.
 * @param[out] ended  @p count flags: which had ended at the return; may be NULL. Filled in on
 *                    HK_OK and HK_ETIMEDOUT.
 * @param[out] ended_count  How many of the places had; may be NULL.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  Not enough have; nothing is changed by that.
 * @retval HK_EDEADLK    This wait could never end.
 * @retval HK_EINVAL     Unknown @p what, a NULL future, more of them than memory could hold, a
 *                       negative @p timeout.
 * @retval HK_ENOMEM     More than a few futures and no memory to watch them. Not for all of them
 *                       outside of tasks, without locks held. Or, of any number, as in
 *                       hk_future_wait().
 * @retval HK_EFORKED    An unfinished one belongs to the parent process.
 *
 * Cost: some 50 ns a future, and one wake-up in all; for all of more than 16, outside of tasks,
 * a look at each, and a wake-up for each that ends later than those behind it.
 */
HK_API HK_MUST_CHECK hk_status hk_wait(hk_future *const *futures, size_t count, hk_wait_for what,
                                       hk_duration timeout, bool *ended, size_t *ended_count);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
