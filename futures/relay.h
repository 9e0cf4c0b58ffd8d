/* SPDX-License-Identifier: MIT */
/*
 * What goes along a chain of futures: an end goes forwards, a cancel and the last release go
 * backwards. A chain may have any length, so none of them may go by a call inside a call. Each
 * goes by a loop instead, at the first link that the thread comes to, and the links behind it
 * put what is left to do before that loop.
 *
 *     drains    futures that have ended, whose callbacks are to be run. Only the end of a
 *               derived future waits for the loop, and only while the watch runs that ends it,
 *               and with it those that a failure takes along: whatever else the application
 *               ends or cancels, from callbacks too, has run its callbacks when the call returns.
 *     cancels   sources that are to be cancelled
 *     burials   derived futures that nobody has any more
 *
 * All three belong to one thread, and are in its agent.
 */
#ifndef HOCKET_FUTURES_RELAY_H
#define HOCKET_FUTURES_RELAY_H

#include "futures/future_impl.h"

struct hki_drains {
    hk_future *bottom;  /* Held by who called hki_future_drain(); NULL: done with, or none. */
    hk_future *first;   /* Those that came up meanwhile, the last one first: linked by `below`. */
    hk_future *relayed; /* The derived future that the watch which runs now may end. */
};

/* --- relay.c --- */

/* Runs the callbacks of a future that has just ended, until none is left, and those of derived
 * futures that they end. */
void hki_future_drain(hk_future *future);

/* For a watch of a derived future, before it ends it: its callbacks run after the watch has
 * returned. */
void hki_relay_expect(hk_future *derived);

/* Whether the loop that runs will drain this one, which has just ended. */
bool hki_relay_takes(hk_future *future);

/* Ends one of those that a failure takes along: its callbacks are left to the loop that runs, if
 * there is one. For that it needs a rest: where there is no memory for one, they run here. */
void hki_relay_publish(hk_future *future, unsigned phase);

/* Runs something that may end a derived future, where no loop is waiting for it. */
void hki_relay_run(hk_future *derived, void (*run)(void *arg), void *arg);

/* The same for a watch whose source had ended already. */
void hki_relay_watch(hk_future *derived, struct hki_watch *watch);

/* For a watch: cancels a future now, and what it is derived from, and has the loop that runs the
 * watch run the callbacks of them all. */
void hki_relay_take_along(hk_future *source);

/* For the operation `stop` of a derived future: cancels a source. */
void hki_relay_cancel(hk_future *source, hk_cancel_level level);

#endif
