/* SPDX-License-Identifier: MIT */
/* A promise from the inside: chains build on it. */
#ifndef HOCKET_FUTURES_PROMISE_IMPL_H
#define HOCKET_FUTURES_PROMISE_IMPL_H

#include <hocket/promise.h>

#include "futures/future_impl.h"

/*
 * The promise and its future are one object. One reference is the promise's (or,
 * for a chain, the work's), one the caller's.
 *
 * Following: `following` is won by compare-and-swap and bars every other way to
 * end the promise. source is then set, for looks; if they find a ring, of waits or
 * of futures that keep each other, both are taken back. Else it is kept until the object is freed,
 * linked by source_watch, and `is_kept` says so to cancels, which are not waited for as looks are.
 */
struct hk_promise {
    hk_future future; /* First: the two convert. */
    struct hki_future_rest rest;
    const hk_site *site;
    atomic_bool following;
    atomic_bool is_kept;
    _Atomic(hk_future *) source;
    struct hki_watch source_watch;
};

void hki_promise_init(hk_promise *promise, const struct hki_origin *origin, const hk_site *site);

/* The parts of an origin that every promise-like object shares. */
void hki_promise_release(hk_promise *promise); /* Gives the source back. */
enum hki_wait_kind hki_promise_look(hk_future *future, size_t *count);
struct hki_wait_node hki_promise_next(hk_future *future, size_t i);
hk_future *hki_promise_kept(hk_future *future, size_t i);
void hki_promise_stop(hk_future *future, hk_cancel_level level);
const hk_site *hki_promise_site(const hk_future *future);

/* Ends the future as an ended source did: shares its value, its error, its
 * cancel. */
void hki_promise_end_as(hk_promise *promise, hk_future *source);

/* Ends it FAILED with a library status and message; cause is taken over. */
hk_status hki_promise_break(hk_promise *promise, hk_status status, const char *message,
                            struct hki_error *cause);

#endif
