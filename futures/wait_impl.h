/* SPDX-License-Identifier: MIT */
/* The blocking wait, for futures/ and executors/. */
#ifndef HOCKET_FUTURES_WAIT_IMPL_H
#define HOCKET_FUTURES_WAIT_IMPL_H

#include <hocket/wait.h>

#include "futures/future_impl.h"
#include "sync/block.h"

/* Waits for some of several futures; arguments checked. poll: never sleeps. */
hk_status hki_wait(hk_future *const *futures, size_t count, hk_wait_for what, int64_t deadline_ns,
                   bool poll);

/* Whether an untimed wait of the agent may try to run the future on its stack. */
static inline bool hki_future_claimable(hk_future *future, const struct hki_agent *agent)
{
    return future->origin->claimable != NULL && future->origin->claimable(future, agent);
}

/* For an untimed wait: runs it on this stack if it may; whether it has ended. */
static inline bool hki_wait_claim(hk_future *future)
{
    struct hki_agent *agent = hki_agent_self();

    return agent->depth > 0 && future->origin->claim != NULL &&
           future->origin->claim(future, agent) && hki_future_ended(future);
}

/* The node of a future. */
struct hki_wait_node hki_future_node(hk_future *future);

/* What those who are to be told of its end by a callback wait for: the end, and then
 * the thread that runs the callbacks before theirs. */
struct hki_wait_node hki_source_node(hk_future *source);

#endif
