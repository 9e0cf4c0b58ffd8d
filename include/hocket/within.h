/* SPDX-License-Identifier: MIT */
/**
 * @addtogroup hk_chain
 * @{
 */
#ifndef HOCKET_WITHIN_H
#define HOCKET_WITHIN_H

#include <hocket/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_within_at(const hk_site *site, hk_future *source,
                                            hk_duration limit, hk_future **out);
/** @endcond */

/**
 * Give a future a time limit: hk_within(hk_future *source, hk_duration limit,
 * hk_future **out).
 *
 * The new future ends as @p source does, or FAILED with HK_EDEADLINE when the
 * limit comes first; @p source is then asked to stop, as by #HK_CANCEL_REQUEST: a worker
 * process is not killed.
 *
 * @param source  Borrowed; kept alive as long as needed.
 * @param limit   From now; 0 only takes what has ended already.
 * @param out     Receives a new reference.
 * @return HK_OK, HK_ENOMEM, HK_ESYS (no timer thread), HK_EINVAL, HK_EFORKED.
 */
#define hk_within(source, limit, out) hk_within_at(HK_SITE, (source), (limit), (out))

#ifdef __cplusplus
}
#endif

/** @} */
#endif
