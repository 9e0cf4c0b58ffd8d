/* SPDX-License-Identifier: MIT */
/* Copies of a few bytes, whose number is not known, without a call. */
#ifndef HOCKET_BASE_SMALL_COPY_H
#define HOCKET_BASE_SMALL_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { HKI_SMALL_COPY = 16 };

/* size to HKI_SMALL_COPY; the places may overlap. All is read before anything is written, the
 * bytes in the middle perhaps twice. */
static inline void hki_small_copy(void *to, const void *from, size_t size)
{
    unsigned char *target = to;
    const unsigned char *source = from;

    if (size >= sizeof(uint64_t)) {
        uint64_t first;
        uint64_t last;

        memcpy(&first, source, sizeof(first));
        memcpy(&last, source + size - sizeof(last), sizeof(last));
        memcpy(target, &first, sizeof(first));
        memcpy(target + size - sizeof(last), &last, sizeof(last));
    } else if (size >= sizeof(uint32_t)) {
        uint32_t first;
        uint32_t last;

        memcpy(&first, source, sizeof(first));
        memcpy(&last, source + size - sizeof(last), sizeof(last));
        memcpy(target, &first, sizeof(first));
        memcpy(target + size - sizeof(last), &last, sizeof(last));
    } else if (size != 0) {
        unsigned char first = source[0];
        unsigned char middle = source[size / 2];
        unsigned char last = source[size - 1];

        target[0] = first;
        target[size / 2] = middle;
        target[size - 1] = last;
    }
}

#endif
