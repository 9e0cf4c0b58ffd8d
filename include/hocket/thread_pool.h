/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_executors Inline, threads, serial
 * @brief The executors that share the caller's memory.
 *
 * **Thread safety** and **ownership** as for @ref hk_executor.
 * @{
 */
#ifndef HOCKET_THREAD_POOL_H
#define HOCKET_THREAD_POOL_H

#include <hocket/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Threads of this process. Workers start when tasks come and none is idle.
 *
 * @param options   All fields apply but those that are for processes, and retries: no task here
 *                  loses its worker. NULL for defaults.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_EINVAL  An option is absurd.
 * @retval HK_ENOMEM
 * @retval HK_ECLOSED  The process is ending, see hk_executor_create().
 */
HK_API HK_MUST_CHECK hk_status hk_thread_pool_create(const hk_executor_options *options,
                                                     hk_executor **out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
