/* SPDX-License-Identifier: MIT */
/*
 * A thread held still in its sleep, by a signal whose handler does not return: so that
 * others act before it can notice anything. Not under ThreadSanitizer, which holds signals
 * back until the thread wakes.
 */
#ifndef HOCKET_TESTS_FREEZE_FIXTURE_H
#define HOCKET_TESTS_FREEZE_FIXTURE_H

#include "base/sanitizers.h"
#include "tests/wait_fixture.h"

#define HKT_CAN_FREEZE (!HKI_THREAD_SANITIZER)

/* On the thread itself, if it is a worker: these block all signals. To be an actor's
 * `prepare`. */
void hkt_allow_freezing(void);

/* Returns once the actor's thread stands still. One at a time. */
void hkt_freeze(struct hkt_actor *actor);
void hkt_thaw(void);

#endif
