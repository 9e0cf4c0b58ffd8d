/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_completion Completion queues
 * @brief Futures in the order in which they end.
 *
 * **Thread safety.** Adding and reading may go on from any threads at once.
 * Destroy it when no other call is under way.
 * **Ownership.** The queue holds a reference to a future from hk_completion_add()
 * until it delivers it; that reference then passes to the reader.
 * @{
 */
#ifndef HOCKET_COMPLETION_H
#define HOCKET_COMPLETION_H

#include <hocket/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. */
typedef struct hk_completion hk_completion;

/**
 * Make an empty queue.
 *
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  @p out is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_completion_create(hk_completion **out);

/**
 * Watch one more future, also while others read.
 *
 * @param completion  Borrowed.
 * @param future      Borrowed; the queue takes a reference of its own. The same future may be
 *                    added again with another tag and is then delivered for each.
 * @param tag         Handed out with it.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL   A pointer is NULL.
 * @retval HK_EFORKED  The queue, or the unfinished future, belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_completion_add(hk_completion *completion, hk_future *future,
                                                 uintptr_t tag);

/**
 * Wait for the next future that has ended.
 *
 * @param completion   Borrowed.
 * @param timeout      0 polls; #HK_FOREVER waits without limit. The time given to
 *                     hk_as_completed() limits it too.
 * @param[out] future  New reference; may be NULL to drop it.
 * @param[out] tag     As given; may be NULL.
 * @retval HK_OK
 * @retval HK_EDONE      Nothing is outstanding.
 * @retval HK_ETIMEDOUT  None yet. hk_completion_outstanding() tells how many are unfinished.
 * @retval HK_EDEADLK    This wait could never end.
 * @retval HK_ENOMEM     Inside a task: no memory to find out whether it could end.
 * @retval HK_EFORKED    The queue belongs to the parent process.
 * @retval HK_EINVAL     NULL or a negative @p timeout.
 */
HK_API HK_MUST_CHECK hk_status hk_completion_next(hk_completion *completion, hk_duration timeout,
                                                  hk_future **future, uintptr_t *tag);

/**
 * How many were added and not delivered yet.
 *
 * @param completion  Borrowed.
 * @return the count; 0 for NULL, and in a forked child.
 */
HK_API size_t hk_completion_outstanding(const hk_completion *completion);

/**
 * A descriptor that is readable while hk_completion_next() would deliver at
 * once. Belongs to the queue: poll it, do not read or close it.
 *
 * It does not tell that the limit of hk_as_completed() has run out: an event loop needs a
 * timer of its own for that.
 *
 * @param completion  Borrowed.
 * @param[out] fd     An eventfd.
 * @retval HK_OK
 * @retval HK_ESYS    No descriptor to be had; errno tells.
 * @retval HK_EFORKED The queue belongs to the parent process.
 * @retval HK_EINVAL  A pointer is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_completion_fd(hk_completion *completion, int *fd);

/**
 * Stop watching and release the queue; the futures go on.
 *
 * @param completion  Taken; NULL is allowed.
 */
HK_API void hk_completion_destroy(hk_completion *completion);

/**
 * A completion queue filled from an array, duplicates removed; a future's tag is
 * the first place where it stands.
 *
 * @param futures   @p count borrowed futures, of any executors.
 * @param count     May be 0.
 * @param limit     Time for all of them, counted from here. What has ended by then is still
 *                  delivered, then comes HK_ETIMEDOUT, with a line in the log that says how many
 *                  of how many are unfinished (#HK_LOG_INFO, not printed by default).
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL   A pointer is NULL, @p limit negative, or @p count beyond any memory.
 * @retval HK_EFORKED  An unfinished one belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_as_completed(hk_future *const *futures, size_t count,
                                               hk_duration limit, hk_completion **out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
