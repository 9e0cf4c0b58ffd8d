/* SPDX-License-Identifier: MIT */
#include "show.h"

#include <stdlib.h>

void show_escaped(FILE *stream, struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c < 0x20 || c == 0x7f) {
            fprintf(stream, "\\x%02x", c);
        } else {
            putc(c, stream);
        }
    }
}

size_t show_character(struct span text)
{
    const unsigned char *p = (const unsigned char *)text.data;
    size_t size;

    if (text.size == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        return 1;
    }
    /* C0, C1 and F5 upwards never occur; the second byte rules out longer forms than
     * needed, surrogates, and what is above U+10FFFF. */
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (text.size < size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return size;
}

char *show_as_utf8(struct span text, size_t *size)
{
    char *out = malloc(text.size * 2 + 1); /* Each byte becomes two at most. */
    size_t used = 0;

    if (out == NULL) {
        return NULL;
    }
    while (text.size > 0) {
        size_t step = show_character(text);

        if (step == 0) {
            unsigned char c = (unsigned char)text.data[0];

            out[used++] = (char)(0xc0 | c >> 6);
            out[used++] = (char)(0x80 | (c & 0x3f));
            step = 1;
        } else {
            memcpy(out + used, text.data, step);
            used += step;
        }
        text.data += step;
        text.size -= step;
    }
    out[used] = '\0';
    *size = used;
    return out;
}

const char *show_bytes(double bytes, char *buffer)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;

    while (bytes >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1000;
        unit++;
    }
    (void)snprintf(buffer, SHOW_BYTES_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return buffer;
}
