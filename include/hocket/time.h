/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_time Time
 * @brief Relative durations on a clock that never jumps.
 *
 * Every public call takes a relative duration in nanoseconds of CLOCK_MONOTONIC.
 * Zero polls; #HK_FOREVER waits without limit; any other negative value is
 * HK_EINVAL. A duration too long for the clock counts as for ever.
 *
 * **Thread safety.** Any thread.
 * @{
 */
#ifndef HOCKET_TIME_H
#define HOCKET_TIME_H

#include <stdint.h>

#include <hocket/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A relative time in nanoseconds. */
typedef int64_t hk_duration;

/** Wait without limit. */
#define HK_FOREVER ((hk_duration)-1)
/** @p n nanoseconds. */
#define HK_NS(n) ((hk_duration)(n))
/** @p n microseconds. */
#define HK_US(n) ((hk_duration)(n)*1000)
/** @p n milliseconds. */
#define HK_MS(n) ((hk_duration)(n)*1000000)
/** @p n seconds. */
#define HK_SEC(n) ((hk_duration)(n)*1000000000)

/**
 * Nanoseconds of CLOCK_MONOTONIC since an unspecified moment.
 *
 * @return Never negative, never less than an earlier answer. Cost: about 26 ns.
 */
HK_API int64_t hk_now_ns(void);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
