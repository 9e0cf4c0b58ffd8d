/* SPDX-License-Identifier: MIT */
#include "sync/lock_text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

void hki_text_add(struct hki_text *text, const char *format, ...)
{
    bool fits = text->length < text->room;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(fits ? text->at + text->length : NULL, fits ? text->room - text->length : 0,
                       format, arguments);
    va_end(arguments);
    text->length += length > 0 ? (size_t)length : 0;
}

void hki_text_escape(struct hki_text *text, const char *bytes, const char *backslash)
{
    for (; *bytes != '\0'; bytes++) {
        unsigned char byte = (unsigned char)*bytes;

        if (byte == '"' || byte == '\\') {
            hki_text_add(text, "\\%c", byte);
        } else if (byte == '\n') {
            hki_text_add(text, "%sn", backslash);
        } else if (byte < 0x20 || byte == 0x7F) {
            hki_text_add(text, "%sx%02x", backslash, byte);
        } else {
            hki_text_add(text, "%c", byte);
        }
    }
}
