/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_process_pool Worker processes
 * @brief Tasks in processes of their own: a crash costs one task.
 *
 * Workers are children of a *zygote*, a process with one thread that is forked early from the
 * application, so that no lock of another thread is ever copied into a worker. They see the
 * program's code, and its memory as it was when the zygote was forked; what they change is
 * theirs alone. The application gets no SIGCHLD from them.
 *
 * **Signals.** Workers have a process group of their own, so that Ctrl-C at a terminal reaches
 * the application alone. In them no signal is blocked, all have their default actions, and SIGPIPE
 * is ignored, whatever the application has set. They do not outlive it.
 *
 * **What a crash costs.** The task that the worker ran ends FAILED with HK_EWORKER; the error
 * has the signal or exit code, the worker's pid, and what it could say about the cause. What
 * was queued stays queued, and the worker is replaced.
 *
 * **Thread safety** and **ownership** as for @ref hk_executor.
 * @{
 */
#ifndef HOCKET_PROCESS_POOL_H
#define HOCKET_PROCESS_POOL_H

#include <hocket/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Fork the zygote: the first line of a main() that will want processes later.
 *
 * What the process opens, loads and allocates later is unknown to the workers.
 * hk_process_pool_create() calls it when it was not called before.
 *
 * @retval HK_OK        There is one.
 * @retval HK_ETHREADS  The process has more than one thread already: a copy could hold
 *                      their locks for ever.
 * @retval HK_ENOMEM
 * @retval HK_ESYS      The system refused; errno says why.
 *
 * Cost: a fork, which grows with the memory of the process (30 ms for 1 GiB).
 */
HK_API HK_MUST_CHECK hk_status hk_zygote_start(void);

/**
 * Processes that run tasks.
 *
 * Inputs and values cross by copy, or in buffers that both sides see (hk_buffer_create(),
 * hk_submit_buffer()); references are refused with HK_EPORTABLE, functions that were loaded
 * after the zygote's fork with HK_ENOTASK.
 *
 * @param options   All fields apply but stack_size and spare_workers. At most 1024 workers: where
 *                  there are more processors, the number has to be given.
 *                  The initialiser, and what worker_arg points to, must be older than the
 *                  zygote; three failures of it in a row break the executor with HK_EINIT.
 *                  NULL for defaults.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_EINVAL    An option is absurd (#HK_FULL_CALLER_RUNS, too: the caller is no worker
 *                      process), pools are nested too deep, or the limits of this process
 *                      (RLIMIT_NPROC, RLIMIT_NOFILE) stand against so many workers.
 * @retval HK_ETHREADS  No zygote, and more than one thread: see hk_zygote_start().
 * @retval HK_ENOMEM
 * @retval HK_ESYS      The system refused memory, a descriptor, a process or a thread.
 * @retval HK_EBROKEN   The zygote is gone, and a new one could not be started.
 * @retval HK_ECLOSED   The process is ending, see hk_executor_create().
 *
 * Cost: some system calls; workers start when tasks come, in about 0.2 ms each.
 */
HK_API HK_MUST_CHECK hk_status hk_process_pool_create(const hk_executor_options *options,
                                                      hk_executor **out);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
