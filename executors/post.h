/* SPDX-License-Identifier: MIT */
#ifndef HOCKET_EXECUTORS_POST_H
#define HOCKET_EXECUTORS_POST_H

#include "futures/place.h"

/* Runs fn(arg) as an errand on an executor: no capacity applies, nothing is
 * counted, no limit in time. HK_EPORTABLE where functions of this process cannot run. For a
 * callback's place and for serial executors. */
hk_status hki_post_to_executor(struct hki_place *place, void (*fn)(void *arg), void *arg);

/* The same; refused is told when the errand will not run after all (it was
 * queued and then discarded by a shutdown). */
hk_status hki_post(hk_executor *executor, void (*fn)(void *arg), void (*refused)(void *arg),
                   void *arg);

#endif
