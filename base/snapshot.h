/* SPDX-License-Identifier: MIT */
/*
 * Copies of bytes that another process may write to meanwhile. They may come out torn, but what
 * is judged then is what is used: the compiler must not read the source once more, which it
 * could instead of keeping a copy whose source it thinks unchanged.
 */
#ifndef HOCKET_BASE_SNAPSHOT_H
#define HOCKET_BASE_SNAPSHOT_H

#include <stddef.h>
#include <string.h>

static inline void hki_snapshot(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    /* From here on the source may have changed, for all that the compiler knows. */
    __asm__ volatile("" : : : "memory");
}

#endif
