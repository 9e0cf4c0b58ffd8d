/* SPDX-License-Identifier: MIT */
/*
 * Invariants of the library itself. A caller's mistake is a status; a broken
 * invariant is a bug of ours, and going on would only hide where.
 */
#ifndef HOCKET_BASE_ASSERT_H
#define HOCKET_BASE_ASSERT_H

__attribute__((noreturn, cold)) void hki_assert_failed(const char *condition, const char *file,
                                                       int line, const char *function);

/* Always on: the checks are cheap and a service would rather stop than corrupt. */
#define HKI_ASSERT(condition)                                                                      \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            hki_assert_failed(#condition, __FILE__, __LINE__, __func__);                           \
        }                                                                                          \
    } while (0)

#endif
