/* SPDX-License-Identifier: MIT */
/* Arrays that callers name by a pointer and a count. */
#ifndef HOCKET_BASE_ARRAY_H
#define HOCKET_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether there may be such an array: no object is larger than what two pointers into it can be
 * apart. A count beyond that is a caller's mistake, such as a length of -1, and is refused before
 * anything is read. */
static inline bool hki_array_exists(size_t count, size_t element_bytes)
{
    return element_bytes == 0 ? count <= PTRDIFF_MAX : count <= PTRDIFF_MAX / element_bytes;
}

#endif
