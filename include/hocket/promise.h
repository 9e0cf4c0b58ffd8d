/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_promise Promises
 * @brief The producing side of a future, for event loops and executors of one's own.
 *
 * **Thread safety.** Any thread; who sets first wins, the others get HK_ESTATE.
 * **Fork.** In a forked child the parent's promises cannot be started or ended:
 * HK_EFORKED.
 * **Ownership.** The creator owns the promise and destroys it once; destroyed
 * unset, its future ends FAILED with HK_EBROKEN, so that no waiter hangs.
 * @{
 */
#ifndef HOCKET_PROMISE_H
#define HOCKET_PROMISE_H

#include <hocket/cancel.h>
#include <hocket/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. */
typedef struct hk_promise hk_promise;

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_promise_create_at(const hk_site *site, hk_promise **promise,
                                                    hk_future **future);
HK_API HK_PRINTF(4, 5) hk_status hk_promise_fail_at(const hk_site *site, hk_promise *promise,
                                                    int app_code, const char *format, ...);
/** @endcond */

/**
 * Make a promise and its PENDING future: hk_promise_create(hk_promise **promise,
 * hk_future **future).
 *
 * @param promise  Receives the promise, owned by the caller.
 * @param future   Receives its future, a new reference.
 * @return HK_OK, HK_ENOMEM, or HK_EINVAL if a pointer is NULL.
 */
#define hk_promise_create(promise, future) hk_promise_create_at(HK_SITE, (promise), (future))

/**
 * Claim the work: PENDING becomes RUNNING.
 *
 * @param promise  Borrowed.
 * @retval HK_OK
 * @retval HK_ECANCELED  The future was cancelled: do not begin.
 * @retval HK_ESTATE     Started or ended before.
 * @retval HK_EFORKED    It belongs to the parent process.
 * @retval HK_EINVAL     NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_promise_start(hk_promise *promise);

/**
 * End it DONE with a copy of some bytes. Callbacks without a place of their own
 * run in this thread before it returns; those of a step's own result once the step has returned.
 *
 * @param promise  Borrowed.
 * @param value    Copied; may be NULL if @p size is 0.
 * @param size     Bytes.
 * @retval HK_OK
 * @retval HK_ESTATE  Ended before; the first value stays.
 * @retval HK_ENOMEM  Nothing happened.
 * @retval HK_EFORKED It belongs to the parent process.
 * @retval HK_EINVAL  NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_promise_set(hk_promise *promise, const void *value, size_t size);

/**
 * End it DONE with a reference.
 *
 * @param promise  Borrowed.
 * @param value    Passes to the future on HK_OK, stays the caller's otherwise.
 * @param drop     Releases @p value once, unless somebody takes it; may be NULL.
 * @retval HK_OK
 * @retval HK_ESTATE  Ended before.
 * @retval HK_EFORKED It belongs to the parent process.
 * @retval HK_EINVAL  @p promise is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_promise_set_ref(hk_promise *promise, void *value,
                                                  hk_drop_fn *drop);

/**
 * End it FAILED: hk_promise_fail(hk_promise *promise, int app_code, const char
 * *format, ...), with the line of the call in the error.
 *
 * @param promise   Borrowed.
 * @param app_code  Any number; a failure is a failure whatever it is. Behind it a format as for
 *                  printf(), with what it asks for.
 * @return HK_OK, HK_ESTATE if it had ended before, HK_EFORKED, HK_EINVAL for NULL.
 */
#define hk_promise_fail(promise, app_code, ...)                                                    \
    hk_promise_fail_at(HK_SITE, (promise), (app_code), __VA_ARGS__)

/**
 * End as another future will end.
 *
 * Cancelling this promise's future cancels @p source too.
 *
 * @param promise  Borrowed; counts as RUNNING from now on and cannot be set any more.
 * @param source   Borrowed; kept alive. Its value is shared, not copied.
 * @retval HK_OK
 * @retval HK_ESTATE   Ended, or following already.
 * @retval HK_EDEADLK  @p source is, or follows, or is derived from this promise's own future (and
 *                     has not failed or been cancelled); or it cannot end before this does, as the
 *                     only worker that could run it waits for this promise.
 * @retval HK_ENOMEM   Nothing happened.
 * @retval HK_EINVAL   NULL.
 * @retval HK_EFORKED  The promise, or @p source unfinished, belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_promise_follow(hk_promise *promise, hk_future *source);

/**
 * The token that fires when somebody cancels the future.
 *
 * @param promise   Borrowed.
 * @param[out] out  Borrowed from the promise.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  A pointer is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_promise_token(hk_promise *promise, hk_cancel_token **out);

/**
 * Give the promise up; unset, its future ends FAILED with HK_EBROKEN.
 *
 * @param promise  Taken; NULL is allowed.
 */
HK_API void hk_promise_destroy(hk_promise *promise);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
