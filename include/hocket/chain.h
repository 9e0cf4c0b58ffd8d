/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_chain Chains
 * @brief Futures made from futures.
 *
 * A derived future ends when its sources say so; cancelling it cancels them.
 * A failure that a chain passes on counts as read.
 *
 * A task that shall begin when other futures have ended is submitted by a step, which
 * lets its result follow it; nobody waits meanwhile:
 *
 *     static hk_status begin(hk_future *needs, hk_promise *result, void *arg)
 *     {
 *         struct job *job = arg;
 *         hk_future *task;
 *         hk_status status = hk_submit_ref(job->executor, work, job, NULL, NULL, &task);
 *
 *         if (status == HK_OK) {
 *             status = hk_promise_follow(result, task);
 *             hk_future_unref(task);
 *         }
 *         return status;
 *     }
 *
 *     status = hk_settle_all(needs, count, &all);
 *     status = hk_then(all, NULL, begin, job, &future); // and hk_future_unref(all)
 *
 * **Thread safety.** Any thread. **Ownership.** Sources are borrowed and kept
 * alive as long as needed; results are new references.
 * @{
 */
#ifndef HOCKET_CHAIN_H
#define HOCKET_CHAIN_H

#include <hocket/promise.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A step of a chain.
 *
 * It ends @p result with hk_promise_set(), hk_promise_set_ref(),
 * hk_promise_fail() or hk_promise_follow() (the last to go on with another
 * future) and returns HK_OK. Returning HK_OK without any of them ends it DONE
 * with no bytes; returning another status ends it FAILED with that status as
 * cause, or CANCELLED for HK_ECANCELED. It is not called at all if @p result was
 * cancelled before.
 *
 * @param source  Borrowed; ended.
 * @param result  Borrowed for the call.
 * @param arg     As given.
 */
typedef hk_status hk_chain_fn(hk_future *source, hk_promise *result, void *arg);

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_then_at(const hk_site *site, hk_future *source,
                                          hk_executor *where, hk_chain_fn *fn, void *arg,
                                          hk_future **out);
HK_API HK_MUST_CHECK hk_status hk_catch_at(const hk_site *site, hk_future *source,
                                           hk_executor *where, hk_chain_fn *fn, void *arg,
                                           hk_future **out);
HK_API HK_MUST_CHECK hk_status hk_when_all_at(const hk_site *site, hk_future *const *futures,
                                              size_t count, hk_future **out);
HK_API HK_MUST_CHECK hk_status hk_settle_all_at(const hk_site *site, hk_future *const *futures,
                                                size_t count, hk_future **out);
HK_API HK_MUST_CHECK hk_status hk_when_any_at(const hk_site *site, hk_future *const *futures,
                                              size_t count, hk_future **out);
/** @endcond */

/**
 * Go on when a future ends DONE; a failure or a cancel passes by the step:
 * hk_then(hk_future *source, hk_executor *where, hk_chain_fn *fn, void *arg,
 * hk_future **out).
 *
 * @param source  Borrowed.
 * @param where   As in hk_future_on_done().
 * @param fn      The step.
 * @param arg     Handed to @p fn.
 * @param out     Receives a new reference.
 * @return HK_OK, HK_ENOMEM, HK_EINVAL (a NULL), HK_EFORKED, HK_EPORTABLE (@p where does not share
 *         memory).
 */
#define hk_then(source, where, fn, arg, out)                                                       \
    hk_then_at(HK_SITE, (source), (where), (fn), (arg), (out))

/**
 * Go on when a future ends FAILED; a value or a cancel passes by the step:
 * hk_catch(hk_future *source, hk_executor *where, hk_chain_fn *fn, void *arg,
 * hk_future **out). A step that fails itself replaces the error.
 *
 * @param source  Borrowed.
 * @param where   As in hk_future_on_done().
 * @param fn      The step.
 * @param arg     Handed to @p fn.
 * @param out     Receives a new reference.
 * @return as hk_then().
 */
#define hk_catch(source, where, fn, arg, out)                                                      \
    hk_catch_at(HK_SITE, (source), (where), (fn), (arg), (out))

/**
 * DONE, with no bytes, when all are; the first failure (or cancel) ends it the
 * same way at once and cancels the rest: hk_when_all(hk_future *const *futures,
 * size_t count, hk_future **out). Of no futures it is DONE at once. Where others wait for
 * the same sources hk_settle_all() leaves these alone.
 *
 * @param futures  Borrowed.
 * @param count    How many.
 * @param out      Receives a new reference.
 * @return HK_OK, HK_ENOMEM, HK_EINVAL (a NULL, or @p count beyond any memory), HK_EFORKED.
 */
#define hk_when_all(futures, count, out) hk_when_all_at(HK_SITE, (futures), (count), (out))

/**
 * DONE, with no bytes, when all have ended, however: hk_settle_all(hk_future
 * *const *futures, size_t count, hk_future **out).
 *
 * @param futures  Borrowed.
 * @param count    How many.
 * @param out      Receives a new reference.
 * @return as hk_when_all().
 */
#define hk_settle_all(futures, count, out) hk_settle_all_at(HK_SITE, (futures), (count), (out))

/**
 * Ends as the first of them that ends DONE, and its value is that one's place (a
 * size_t). The others go on. When none can any more it ends FAILED with the
 * last failure as cause, or CANCELLED when all were cancelled:
 * hk_when_any(hk_future *const *futures, size_t count, hk_future **out).
 *
 * @param futures  Borrowed.
 * @param count    At least 1.
 * @param out      Receives a new reference.
 * @return as hk_when_all(); HK_EINVAL also for no futures.
 */
#define hk_when_any(futures, count, out) hk_when_any_at(HK_SITE, (futures), (count), (out))

#ifdef __cplusplus
}
#endif

/** @} */
#endif
