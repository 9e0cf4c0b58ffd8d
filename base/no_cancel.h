/* SPDX-License-Identifier: MIT */
/*
 * No call of Hocket is a point at which pthread_cancel() may end its caller: he would go with
 * locks of the library held, and others would wait for ever. What sleeps does so by system calls
 * of our own, which are none; where the C library is asked for something that is, this comes
 * first in the block:
 *
 *     HKI_NO_CANCEL;
 *
 * and holds until the block is left. A thread that asked to be cancelled at any instruction is
 * beyond help.
 */
#ifndef HOCKET_BASE_NO_CANCEL_H
#define HOCKET_BASE_NO_CANCEL_H

#include <pthread.h>
#include <stddef.h>

static inline int hki_no_cancel_begin(void)
{
    int before = PTHREAD_CANCEL_ENABLE;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static inline void hki_no_cancel_end(const int *before)
{
    (void)pthread_setcancelstate(*before, NULL);
}

#define HKI_NO_CANCEL                                                                              \
    __attribute__((cleanup(hki_no_cancel_end), unused)) const int hki_no_cancel_before_ =          \
        hki_no_cancel_begin()

#endif
