/* SPDX-License-Identifier: MIT */
/*
 * Tasks that a test leads by the hand, the same on every executor: they stand still where the
 * test wants them to, and end as it says. Inline a task has ended before its future is handed
 * out, so there they stand nowhere; what is unfinished there is a promise.
 */
#ifndef HOCKET_TESTS_LED_FIXTURE_H
#define HOCKET_TESTS_LED_FIXTURE_H

#include "tests/promise_fixture.h"

/* A task and its future. */
struct hkt_led {
    struct hkt_script *script; /* Shared with worker processes. */
    hk_future *future;         /* The fixture's reference. */
    hk_promise *promise;       /* Inline: what stands in for an unfinished task. */
};

/* Submits one that will end so: the value is the int HKT_VALUE, the failure HKT_MESSAGE with
 * HKT_APP_CODE. It runs through at once, when its turn comes. */
void hkt_led_through(struct hkt_led *led, hk_state end);

/* One that stands still when it has begun, until hkt_led_end(). Asked to stop it does not. */
void hkt_led_begin(struct hkt_led *led);

/* The same with options; the status of the submit. Not inline. */
hk_status hkt_led_try(struct hkt_led *led, const hk_submit_options *options);

/* Returns once it stands still: RUNNING. Not inline. */
void hkt_led_runs(struct hkt_led *led);

/* Lets it end so; does not wait. */
void hkt_led_end(struct hkt_led *led, hk_state end);

/* Waits for the end if there is none yet, and gives all back; a failure counts as read. */
void hkt_led_close(struct hkt_led *led);

/* --- The executor full ------------------------------------------------------------ */

/* Keeps every worker of hkt_executor still, so that what is submitted next stays PENDING. Not
 * inline. */
void hkt_fill(struct hkt_plug *plug);

/* Asks until a condition of the test holds, as hkt_eventually(), and fails the test if not. */
void hkt_until(bool (*holds)(void *arg), void *arg);

#endif
