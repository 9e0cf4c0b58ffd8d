/* SPDX-License-Identifier: MIT */
/* Interest in a token, from the inside. */
#ifndef HOCKET_FUTURES_CANCEL_IMPL_H
#define HOCKET_FUTURES_CANCEL_IMPL_H

#include <hocket/cancel.h>

#include "base/list.h"

/*
 * One watch on a token. Exactly one of the two functions is set:
 *   signal  called under the tokens' lock: quick, takes nothing but leaves; after
 *           hki_cancel_unwatch() it is certain not to run any more.
 *   hold, act  hold is called under the lock and must keep the watch alive; act
 *           then runs without any lock and gives that hold back.
 */
struct hki_cancel_watch {
    struct hki_list link;
    void (*signal)(struct hki_cancel_watch *watch);
    void (*hold)(struct hki_cancel_watch *watch);
    void (*act)(struct hki_cancel_watch *watch, const char *why);
};

/* False if the token was fired before: nothing is linked then. */
bool hki_cancel_watch(hk_cancel_token *token, struct hki_cancel_watch *watch);

/* True if it had not been fired, and never will be. */
bool hki_cancel_unwatch(struct hki_cancel_watch *watch);

#endif
