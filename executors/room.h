/* SPDX-License-Identifier: MIT */
/* A submit that waits for room in a full queue: as a wait that the graph knows. */
#ifndef HOCKET_EXECUTORS_ROOM_H
#define HOCKET_EXECUTORS_ROOM_H

#include "executors/executor_impl.h"
#include "executors/task_queue.h"

/* Called with the back end's lock held, and returns with it held; gives it up in
 * between. HK_OK: there is room, or closing() says that waiting is over. HK_ETIMEDOUT,
 * HK_EDEADLK, HK_ENOMEM: no room. */
hk_status hki_room_await(hk_executor *executor, struct hki_task_queue *queue, pthread_mutex_t *lock,
                         bool (*closing)(const void *self), int64_t deadline_ns);

#endif
