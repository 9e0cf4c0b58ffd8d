/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_cancel Cancel tokens
 * @brief One switch for many tasks: a tree of "please stop".
 *
 * A token is fired once and stays fired. Firing it fires its children. Tasks
 * submitted with a token are cancelled if they have not started, and asked to
 * stop if they have.
 *
 * **Thread safety.** Any thread.
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
typedef struct hk_cancel hk_cancel;

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
HK_API HK_MUST_CHECK hk_status hk_cancel_create(hk_cancel *parent, hk_cancel **out);

/**
 * Take one more reference.
 *
 * @param token  Borrowed; NULL is allowed.
 * @return @p token, as a new reference.
 */
HK_API hk_cancel *hk_cancel_ref(hk_cancel *token);

/**
 * Give one reference back. Never fires.
 *
 * @param token  Taken; NULL is allowed.
 */
HK_API void hk_cancel_unref(hk_cancel *token);

/**
 * Fire it and all below it. When this returns every task that had not started
 * is CANCELLED and every running one has been asked to stop.
 *
 * @param token  Borrowed.
 * @param why    Copied, cut to 127 bytes, shown by hk_future_why(); NULL for none. The first
 *               reason stays.
 * @retval HK_OK      Fired now or before.
 * @retval HK_EINVAL  @p token is NULL.
 */
HK_API hk_status hk_cancel_fire(hk_cancel *token, const char *why);

/**
 * Whether it was fired.
 *
 * @param token  Borrowed; NULL is never fired.
 * @return true once fired, for ever. Cost: one atomic load.
 */
HK_API bool hk_cancel_fired(const hk_cancel *token);

/**
 * The reason given to hk_cancel_fire().
 *
 * @param token  Borrowed.
 * @return borrowed from the token; "" before it was fired or without a reason.
 */
HK_API const char *hk_cancel_why(const hk_cancel *token);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
