/* SPDX-License-Identifier: MIT */
/**
 * @addtogroup hk_executors
 * @{
 */
#ifndef HOCKET_INLINE_EXECUTOR_H
#define HOCKET_INLINE_EXECUTOR_H

#include <hocket/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Each task runs within its submit, in the submitting thread: for tests, for
 * debuggers, and as the base line that others are compared with.
 *
 * Time limits are judged when the task returns: hk_should_stop() and hk_sleep() know
 * of them, the descriptor of hk_call_stop_fd() does not. The initialiser runs within the
 * first submit (or hk_executor_prestart()), the finalizer within the shutdown.
 *
 * @param options   name, task_timeout, max_payload, initializer, finalizer, worker_arg and
 *                  roundtrip apply; the rest has nothing to act on. NULL for defaults.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_EINVAL  An option is absurd.
 * @retval HK_ENOMEM
 * @retval HK_ECLOSED  The process is ending, see hk_executor_create().
 */
HK_API HK_MUST_CHECK hk_status hk_inline_create(const hk_executor_options *options,
                                                hk_executor **out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
