/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_counter Counters
 * @brief A number that many threads add to at once, and that is seldom read.
 *
 *     static hk_counter requests;
 *
 *     hk_counter_add(&requests, 1);
 *
 * The number is spread over stripes, each in a cache line of its own, so threads that add
 * do not get in each other's way. It orders nothing else: no thread may conclude from a sum
 * what another one has written elsewhere.
 *
 * **Thread safety.** Any thread.
 * **Ownership.** The counter is the caller's memory, static or not, about 1 KiB of it;
 * zero-filled memory is a counter at zero. It holds nothing, so there is nothing to destroy.
 * **Forks.** A child has a copy with what was added by then.
 * @{
 */
#ifndef HOCKET_COUNTER_H
#define HOCKET_COUNTER_H

#include <stdint.h>

#include <hocket/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Stripes of a counter. */
#define HK_COUNTER_STRIPES 16

/** @cond */
struct hk_counter_stripe_ {
    int64_t value_ __attribute__((aligned(8)));
    char padding_[56];
};
/** @endcond */

/** A counter; its fields are private. */
typedef struct hk_counter {
    /** @cond */
    struct hk_counter_stripe_ stripes_[HK_COUNTER_STRIPES];
    /** @endcond */
} hk_counter;

/** What a counter is initialised with, if its memory is not zero-filled anyway. */
#define HK_COUNTER_INIT                                                                            \
    {                                                                                              \
        {                                                                                          \
            {                                                                                      \
                0,                                                                                 \
                {                                                                                  \
                    0                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

/**
 * Add to it.
 *
 * @param counter  Borrowed; NULL does nothing.
 * @param amount   May be negative. The sum wraps around at the ends of 64 bits.
 *
 * Cost: one atomic operation on a cache line that few threads share.
 */
HK_API void hk_counter_add(hk_counter *counter, int64_t amount);

/**
 * What has been added. Exact once those who add have ended or were waited for. While they add
 * it is no snapshot: of two additions by different threads the later one may be in the sum and
 * the earlier one not. Nothing is counted twice, and nothing that was added before the call
 * by this thread is missing.
 *
 * @param counter  Borrowed.
 * @return the sum; 0 for NULL. Cost: a load for each stripe.
 */
HK_API int64_t hk_counter_sum(const hk_counter *counter);

/**
 * Put it back to zero. What is added meanwhile is either in the result or still in the
 * counter: nothing is lost.
 *
 * @param counter  Borrowed.
 * @return what it held; 0 for NULL. Cost: an atomic operation for each stripe.
 */
HK_API int64_t hk_counter_reset(hk_counter *counter);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
