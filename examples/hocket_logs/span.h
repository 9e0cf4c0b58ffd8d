/* SPDX-License-Identifier: MIT */
/*
 * A piece of text inside somebody else's buffer. Log data may hold any byte, zero
 * bytes too, so nothing here ends with one.
 */
#ifndef HOCKET_LOGS_SPAN_H
#define HOCKET_LOGS_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *data; /* NULL: there is no such text, which is not the same as an empty one. */
    size_t size;
};

/* A span of a string literal. */
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})

static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* By byte, a shorter one before its extensions: the order of `LC_ALL=C sort`. */
static inline int span_compare(struct span a, struct span b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);

    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

static inline bool span_starts_with(struct span text, struct span prefix)
{
    return text.size >= prefix.size &&
           (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

#endif
