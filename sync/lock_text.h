/* SPDX-License-Identifier: MIT */
/*
 * Text into a buffer that may be too short: what does not fit is counted, so that one
 * may measure first (room 0) and write then.
 */
#ifndef HOCKET_SYNC_LOCK_TEXT_H
#define HOCKET_SYNC_LOCK_TEXT_H

#include <hocket/error.h>

#include <stddef.h>

struct hki_text {
    char *at;      /* Ends with a NUL after every call, if room is not 0. */
    size_t room;   /* With the NUL. */
    size_t length; /* Of the whole text, without it. */
};

HK_PRINTF(2, 3) void hki_text_add(struct hki_text *text, const char *format, ...);

/* Bytes of somebody else, within quotes: quotes and backslashes get a backslash before
 * them, and control characters become backslash and letters, with as many backslashes
 * as the reader of the quotes wants to see for one. */
void hki_text_escape(struct hki_text *text, const char *bytes, const char *backslash);

#endif
