/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_version Version
 * @brief Which Hocket this is, when compiled and when run.
 *
 * **Thread safety.** Any thread, any time.
 * **Ownership.** The string is static.
 * @{
 */
#ifndef HOCKET_VERSION_H
#define HOCKET_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

/** Changes when a program must be changed. */
#define HK_VERSION_MAJOR 0
/** Changes when something is added. */
#define HK_VERSION_MINOR 1
/** Changes when something is mended. */
#define HK_VERSION_PATCH 0

/** One number for comparisons: `#if HK_VERSION_NUMBER >= 10200` is 1.2.0 or later. */
#define HK_VERSION_NUMBER (HK_VERSION_MAJOR * 10000 + HK_VERSION_MINOR * 100 + HK_VERSION_PATCH)

/** Marks what the shared library exports; everything else is hidden. */
#define HK_API __attribute__((visibility("default")))
/** Makes the compiler warn when a caller drops a status on the floor. */
#define HK_MUST_CHECK __attribute__((warn_unused_result))
/** Makes the compiler check a printf-like call; both positions count from 1. */
#define HK_PRINTF(format_position, first_argument)                                                 \
    __attribute__((format(printf, format_position, first_argument)))

/**
 * The version of the library that runs, which may be newer than the header.
 *
 * @return "MAJOR.MINOR.PATCH", static. Cost: none.
 */
HK_API const char *hk_version(void);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
