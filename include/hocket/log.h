/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_log Log
 * @brief The few lines the library has to say, and where they go.
 *
 * The library prints nothing by itself but warnings of the kind "a failure that
 * nobody read", on standard error: one line each, but for the report of a lock
 * that was taken out of order, which has several. A hook takes them instead.
 *
 * **Thread safety.** Any thread; the hook may be called from any thread, several
 * at once. **Ownership.** Texts are borrowed for the call.
 * @{
 */
#ifndef HOCKET_LOG_H
#define HOCKET_LOG_H

#include <hocket/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How much a line matters. */
typedef enum hk_log_level {
    HK_LOG_ERROR = 0,   /**< Something was lost or is broken. */
    HK_LOG_WARNING = 1, /**< Something looks wrong. */
    HK_LOG_INFO = 2,    /**< Good to know; not printed by default. */
} hk_log_level;

/** Takes one line, or the several of a report, without the last newline. No lock of the library
 * is held. It may wait, but for this: where the library has something to say in the midst of a
 * wait, as a replay has that refuses one, a wait of the function that would have to sleep is
 * HK_EDEADLK. */
typedef void hk_log_fn(hk_log_level level, const char *text, void *arg);

/**
 * Send the library's lines to a function.
 *
 * @param fn   NULL goes back to standard error (errors and warnings only).
 * @param arg  Handed to @p fn. Has to live until calls have returned that had begun before the
 *             hook was replaced, and nothing tells when that is: best it is static.
 */
HK_API void hk_on_log(hk_log_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
