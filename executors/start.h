/* SPDX-License-Identifier: MIT */
/* Waiting until an executor's workers have come up, as a wait that the graph knows. */
#ifndef HOCKET_EXECUTORS_START_H
#define HOCKET_EXECUTORS_START_H

#include "executors/executor_impl.h"
#include "sync/condition.h"

/* Called without the back end's lock. has_started() is asked under it, and `changed` signalled
 * whenever it may say something else. HK_OK, HK_ETIMEDOUT, HK_EDEADLK, HK_ENOMEM. */
hk_status hki_start_await(hk_executor *executor, pthread_mutex_t *lock,
                          struct hki_condition *changed, bool (*has_started)(const void *self),
                          int64_t deadline_ns);

#endif
