/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_waits Who waits for whom
 * @brief Every wait of the process, at any time; and a watchdog over them.
 *
 * All waits of the library are nodes of one graph: for futures, locks, queues, latches,
 * the end of an executor. A wait that could never end is refused with HK_EDEADLK, and
 * the log says why, in one form:
 *
 *     worker a-1 waits for future 0x7f... (sum, submitted at x.c:10) run by worker b-1,
 *     which waits for lock 0x55... (accounts) held by worker a-1 since y.c:33
 *
 * Outside of it are semaphores, plain events, conditions and promises without an
 * executor: nobody owns them, so anybody may end the wait.
 *
 * **Thread safety.** Any thread; not in a signal handler.
 * @{
 */
#ifndef HOCKET_WAITS_H
#define HOCKET_WAITS_H

#include <stdbool.h>

#include <hocket/status.h>
#include <hocket/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Print every thread that waits inside the library: for how long, for what, who must
 * act, and which locks it holds.
 *
 * @param fd  Open for writing.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  A negative @p fd.
 * @retval HK_ESYS    It could not be written; errno says why.
 *
 * Cost: about 1 us a waiting thread, during which other waits cannot begin; the writing comes
 * after that.
 */
HK_API HK_MUST_CHECK hk_status hk_waits_dump(int fd);

/**
 * Print the same whenever a wait lasts longer than a limit, once for each such wait. A
 * thread of the library watches from then on.
 *
 * It writes like anybody: while a pipe or a terminal behind @p fd is full and is a blocking
 * one, the watch stands still (no wait of the process does), and so does the call that stops
 * it, and the end of the process. A non-blocking one loses the text instead.
 *
 * @param limit  0 stops the watch and ends its thread; else at least HK_MS(1).
 * @param fd     Open for writing as long as the watch lasts; ignored with 0.
 * @retval HK_OK
 * @retval HK_EINVAL  A limit below HK_MS(1), or a negative @p fd.
 * @retval HK_ESYS    The thread could not be started; errno says why.
 */
HK_API HK_MUST_CHECK hk_status hk_waits_watch(hk_duration limit, int fd);

/**
 * Warn in the log whenever a thread goes to sleep for a future, a queue or the like
 * while it holds a lock (for a condition: another than the one it gives up): legal, but how most
 * deadlocks begin. Off by default.
 *
 * @param on  Whether to warn.
 *
 * Cost: a look at one word when about to sleep.
 */
HK_API void hk_waits_warn_blocking(bool on);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
