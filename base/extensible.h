/* SPDX-License-Identifier: MIT */
/*
 * Structs of options that later versions add fields to. Who fills one in says how large it was
 * to him, or 0 for the fields of the first version.
 */
#ifndef HOCKET_BASE_EXTENSIBLE_H
#define HOCKET_BASE_EXTENSIBLE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a struct that was said to have `size` bytes, of which this library knows `known`, asks
 * for nothing that it does not know: what is behind them must be zero. */
static inline bool hki_extension_valid(const void *options, size_t size, size_t known)
{
    const unsigned char *bytes = options;

    if (size == 0) {
        return true;
    }
    if (size < known || size > known + 4096) {
        return false;
    }
    for (size_t i = known; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/*
 * The same for options, with the size that their struct has had since version 1.0. It does not
 * compile once the struct has grown: from then on that size is what a caller's has to have at
 * least, and the new fields are to be read from a copy of as many bytes as he says he has.
 */
#define HKI_OPTIONS_VALID(options, first_bytes)                                                    \
    (__extension__({                                                                               \
        _Static_assert(sizeof(*(options)) == (first_bytes), "a struct of options has grown");      \
        hki_extension_valid((options), (options)->size, sizeof(*(options)));                       \
    }))

#endif
