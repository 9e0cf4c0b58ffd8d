/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_time Time
 * @brief Relative durations on a clock that never jumps.
 *
 * Durations are relative, in nanoseconds of CLOCK_MONOTONIC. A wait that is given
 * zero polls; with #HK_FOREVER it has no limit; any other negative value is HK_EINVAL.
 * A duration too long for the clock counts as for ever.
 *
 * In a struct of options zero is the default: no limit, where nothing else is said. So
 * is #HK_FOREVER there, but for kill_grace and start_timeout, which refuse it with
 * HK_EINVAL. hk_queue_put_delayed(), hk_replay_advance() and hk_waits_watch() do so, too:
 * they are about a moment that comes.
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

/**
 * How long it is until a moment: for a loop of waits that has so much time in all.
 *
 *     int64_t end_ns = hk_now_ns() + HK_SEC(5);
 *     while ((status = hk_completion_next(queue, hk_time_until(end_ns), &future, NULL)) == HK_OK)
 *
 * @param at_ns  As from hk_now_ns().
 * @return 0 when it has passed, never #HK_FOREVER. Cost: as hk_now_ns().
 */
static inline hk_duration hk_time_until(int64_t at_ns)
{
    int64_t now_ns = hk_now_ns();

    return at_ns > now_ns ? at_ns - now_ns : 0;
}

#ifdef __cplusplus
}
#endif

/** @} */
#endif
