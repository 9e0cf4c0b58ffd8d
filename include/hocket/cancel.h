/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_cancel_token Cancel tokens
 * @brief One switch for many tasks: a tree of "please stop".
 *
 * A token is fired once and stays fired. Firing it fires its children. Tasks
 * submitted with a token are cancelled if they have not started, and asked to
 * stop if they have.
 *
 * **Thread safety.** Any thread; in signal handlers hk_cancel_token_is_fired() alone. A program
 * that stops on a signal sets an event in its handler; or blocks the signal before it has threads,
 * and fires the token when a signalfd or sigwait() tells.
 * **Ownership.** Reference counted; a parent does not keep its children alive,
 * a child keeps its parent.
 * @{
 */
#ifndef HOCKET_CANCEL_H
#define HOCKET_CANCEL_H

#include <stdbool.h>

#include <hocket/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. */
typedef struct hk_cancel_token hk_cancel_token;

/**
 * Make a token.
 *
 * @param parent    Borrowed; fires the new one too. NULL for a root. The child of a fired parent
 *                  is born fired.
 * @param[out] out  New reference.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  @p out is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_cancel_token_create(hk_cancel_token *parent,
                                                      hk_cancel_token **out);

/**
 * Take one more reference.
 *
 * @param token  Borrowed; NULL is allowed.
 * @return @p token, as a new reference.
 */
HK_API hk_cancel_token *hk_cancel_token_ref(hk_cancel_token *token);

/**
 * Give one reference back. Never fires.
 *
 * @param token  Taken; NULL is allowed.
 */
HK_API void hk_cancel_token_unref(hk_cancel_token *token);

/**
 * Fire it and all below it. When this returns every task that had not started
 * is CANCELLED and every running one has been asked to stop; meanwhile one of them may begin on
 * the worker of another that has stopped already. (Of two calls at the same time the
 * second may return before the first is through.)
 *
 * @param token  Borrowed.
 * @param why    Copied, cut to 127 bytes, shown by hk_future_why(); NULL for none. The first
 *               reason stays.
 * @retval HK_OK      Fired now or before.
 * @retval HK_EINVAL  @p token is NULL.
 */
HK_API hk_status hk_cancel_token_fire(hk_cancel_token *token, const char *why);

/**
 * A descriptor that becomes readable when the token is fired, for any event loop, and for threads
 * that wait in the system and not in Hocket.
 *
 * Made at the first call. It belongs to the token: poll it, do not read or close it, and stop
 * watching it before the last reference goes.
 *
 * @param token    Borrowed.
 * @param[out] fd  An eventfd.
 * @retval HK_OK
 * @retval HK_ESYS     No descriptor to be had; errno tells.
 * @retval HK_EFORKED  It was made in the parent process.
 * @retval HK_EINVAL   A pointer is NULL.
 *
 * Cost: about 1 us, once.
 */
HK_API HK_MUST_CHECK hk_status hk_cancel_token_fd(hk_cancel_token *token, int *fd);

/**
 * Whether it was fired.
 *
 * @param token  Borrowed; NULL is never fired.
 * @return true once fired, for ever. Cost: one atomic load.
 */
HK_API bool hk_cancel_token_is_fired(const hk_cancel_token *token);

/**
 * The reason given to hk_cancel_token_fire().
 *
 * @param token  Borrowed.
 * @return borrowed from the token; "" before it was fired or without a reason.
 */
HK_API const char *hk_cancel_token_why(const hk_cancel_token *token);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
