/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_status Status
 * @brief What every call that can fail returns.
 *
 * Zero is success and every failure is negative, so `if (status < 0)` is always
 * a complete test. Codes that the operating system has too keep its number;
 * codes that only Hocket knows start below -4095, which no Linux errno reaches.
 *
 * **Thread safety.** Any thread. **Ownership.** All strings are static.
 * @{
 */
#ifndef HOCKET_STATUS_H
#define HOCKET_STATUS_H

#include <errno.h>

#include <hocket/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Every status once: X(name, number, text). The enum, the names and the texts
 * are all made from this list, so that they cannot drift apart.
 */
#define HK_STATUS_MAP(X)                                                                           \
    X(HK_OK, 0, "success")                                                                         \
    X(HK_EINVAL, -EINVAL, "an argument is outside its domain; nothing happened")                   \
    X(HK_ENOMEM, -ENOMEM, "no memory; nothing happened")                                           \
    X(HK_ETIMEDOUT, -ETIMEDOUT, "this wait ran out; what it waited for goes on")                   \
    X(HK_ECANCELED, -ECANCELED, "cancelled")                                                       \
    X(HK_EDEADLK, -EDEADLK, "this wait could never end")                                           \
    X(HK_EPERM, -EPERM, "the caller does not own what it wants to release")                        \
    X(HK_EFAILED, -4096, "the task reported a failure")                                            \
    X(HK_EDEADLINE, -4097, "the task overran its time limit")                                      \
    X(HK_EWORKER, -4098, "the worker died while it ran the task")                                  \
    X(HK_EINIT, -4099, "the worker initialiser failed")                                            \
    X(HK_EORDER, -4100, "taking this lock here breaks the established lock order")                 \
    X(HK_ESTATE, -4101, "not possible in this state")                                              \
    X(HK_ECLOSED, -4102, "closed: no more is taken")                                               \
    X(HK_EFULL, -4103, "bounded and full")                                                         \
    X(HK_EPORTABLE, -4104, "a reference cannot leave this process")                                \
    X(HK_ETOOBIG, -4105, "larger than the configured limit")                                       \
    X(HK_ENOTASK, -4106, "the worker does not know this task")                                     \
    X(HK_ETHREADS, -4107, "not possible once the process has several threads")                     \
    X(HK_EFORKED, -4108, "the object belongs to the parent process")                               \
    X(HK_EBROKEN, -4109, "abandoned: nobody is left to finish it")                                 \
    X(HK_EUNKNOWN, -4110, "sent, but whether it was accepted is not known")                        \
    X(HK_EDONE, -4111, "exhausted: nothing is left")                                               \
    X(HK_ESYS, -4112, "the operating system refused; see the stored errno")

/** The result of every call that can fail; see the list above for meanings. */
typedef enum hk_status {
/** @cond */
#define HK_STATUS_ENUM_(name, number, text) name = number,
    HK_STATUS_MAP(HK_STATUS_ENUM_)
#undef HK_STATUS_ENUM_
    /** @endcond */
} hk_status;

/**
 * The identifier of a status, for logs that are read by programs.
 *
 * @param status  Any number.
 * @return "HK_EINVAL" and so on; "HK_?" for a number that is no status. Cost: a short search.
 */
HK_API const char *hk_status_name(hk_status status);

/**
 * The meaning of a status, for people.
 *
 * @param status  Any number.
 * @return One short sentence without a full stop, never NULL. Cost: a short search.
 */
HK_API const char *hk_strerror(hk_status status);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
