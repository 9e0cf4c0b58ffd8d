/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_error Errors
 * @brief What went wrong, where, and from where the work was handed out.
 *
 * A failed future owns one error. It names the line that failed (recorded by
 * hk_fail()), the line that submitted the task, and the worker that ran it.
 *
 * **Thread safety.** An error never changes; any thread may read it.
 * **Ownership.** An error is borrowed from its future and lives as long as the
 * caller holds that future.
 * @{
 */
#ifndef HOCKET_ERROR_H
#define HOCKET_ERROR_H

#include <stddef.h>

#include <hocket/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A line of source; made by the macros, always static.
 *
 * A macro that records its line, such as hk_submit(...), is the function of the same name with
 * _at behind it and the line in front of its arguments: hk_submit_at(HK_SITE, ...). A wrapper that
 * is to show its caller's line in errors and reports takes a hk_site and calls that function.
 */
typedef struct hk_site {
    const char *file;     /**< As given to the compiler. */
    int line;             /**< From 1; 0 is unknown. */
    const char *function; /**< Its name. */
} hk_site;

/** The line this macro stands on, as a pointer to a static record. */
#define HK_SITE                                                                                    \
    (__extension__({                                                                               \
        static const hk_site hk_site_here_ = {__FILE__, __LINE__, __func__};                       \
        &hk_site_here_;                                                                            \
    }))

/** How many causes are kept below an error. */
#define HK_ERROR_DEPTH 8

/** One failure. Strings are never NULL; numbers that do not apply are 0. */
typedef struct hk_error {
    hk_status status;             /**< What the future ended with. */
    int app_code;                 /**< The number the task gave to hk_fail(). */
    int sys_errno;                /**< The errno behind HK_ESYS, or that hk_fail_errno() found. */
    int exit_status;              /**< Exit code of a worker that left. */
    int term_signal;              /**< Signal that ended a worker. */
    unsigned attempt;             /**< 1 for the first try. */
    const char *message;          /**< What the task, or the library, had to say. */
    const char *file;             /**< Where it failed; "" if unknown. */
    int line;                     /**< Where it failed. */
    const char *function;         /**< Where it failed. */
    const char *task;             /**< Name of the task, or "" for a promise. */
    const char *label;            /**< Label given at submit, or "". */
    const char *submit_file;      /**< Who handed the work out; "" if unknown. */
    int submit_line;              /**< Who handed the work out. */
    const char *where;            /**< Who ran it: "worker log_2", "the submitting thread". */
    const struct hk_error *cause; /**< What led to it, or NULL; at most #HK_ERROR_DEPTH deep. */
} hk_error;

/**
 * Write an error as one line for people.
 *
 * "count_errors failed at log.c:41 in worker log_2: a slice is 16 bytes, got 3
 * (submitted at main.c:70); caused by ..."
 *
 * @param error   Borrowed; NULL gives "no error".
 * @param text    Receives the line, cut to fit, always ended by a zero byte; may be NULL if
 *                @p size is 0.
 * @param size    Bytes at @p text.
 * @return the length of the whole line, as snprintf does. Cost: formatting.
 */
HK_API size_t hk_error_format(const hk_error *error, char *text, size_t size);

/**
 * Called for a failure that nobody read, when its future is released.
 *
 * The library's own hook writes one warning to the log. No lock is held.
 */
typedef void hk_unobserved_fn(const hk_error *error, void *arg);

/**
 * Send failures nobody read to a function.
 *
 * A failure counts as read once a caller got it from hk_future_result(),
 * hk_future_take(), hk_future_error(), hk_future_why() or hk_future_snapshot(),
 * or once a chain or a map passed it on. Cancelled futures are no failures.
 *
 * @param fn   NULL goes back to one warning in the log.
 * @param arg  Handed to @p fn. Has to live until calls have returned that had begun before the
 *             hook was replaced, and nothing tells when that is: best it is static.
 */
HK_API void hk_on_unobserved(hk_unobserved_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
