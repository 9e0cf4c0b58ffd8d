/* SPDX-License-Identifier: MIT */
/**
 * @addtogroup hk_executors
 * @{
 */
#ifndef HOCKET_SERIAL_H
#define HOCKET_SERIAL_H

#include <hocket/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * One task at a time, first in first out, on another executor: a lock without
 * a lock (also known as a strand).
 *
 * It has no thread of its own and holds no lock while a task runs. Successive
 * tasks may run on different workers of @p base; each sees what the one before
 * wrote.
 *
 * @param base      Kept until the new one is gone; must share the caller's memory. Shut the
 *                  serial executor down first: when @p base takes no more, what is queued here
 *                  ends FAILED with HK_ECLOSED.
 * @param options   name, queue_capacity, when_full (drop oldest, fail, block, caller runs: the
 *                  last two wait for room, but not in one of its own tasks, which makes that room
 *                  by its end: there HK_EFULL comes at once), task_timeout, max_payload, roundtrip
 *                  and drain_at_exit apply. NULL for defaults.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_EINVAL  @p base is NULL, or an option is absurd.
 * @retval HK_EPORTABLE  @p base does not share memory.
 * @retval HK_EFORKED  @p base belongs to the parent process.
 * @retval HK_ECLOSED  The process is ending, see hk_executor_create().
 * @retval HK_ENOMEM
 */
HK_API HK_MUST_CHECK hk_status hk_serial_create(hk_executor *base,
                                                const hk_executor_options *options,
                                                hk_executor **out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
