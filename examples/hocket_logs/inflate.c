/* SPDX-License-Identifier: MIT */
/*
 * Which inflate back end is used for what.
 *
 * "auto" streams with ISA-L where it is built in: it is about as fast as
 * libdeflate and its output is counted while it is in the cache, so its memory does
 * not depend on the file. libdeflate has no streaming; it takes whole small files,
 * and another library the rest.
 */
#include "inflate.h"

#include <string.h>

#ifdef HOCKET_LOGS_ISAL
#define ISAL_OR(other) (&inflate_isal)
#define ISAL_NAME      ", isal"
#else
#define ISAL_OR(other) (other)
#define ISAL_NAME      ""
#endif
#ifdef HOCKET_LOGS_LIBDEFLATE
#define LIBDEFLATE_OR(other) (&inflate_libdeflate)
#define LIBDEFLATE_NAME      ", libdeflate"
#else
#define LIBDEFLATE_OR(other) (other)
#define LIBDEFLATE_NAME      ""
#endif

bool inflate_choose(const char *name, size_t size, struct inflate_choice *choice)
{
    static const struct {
        const char *name;
        struct inflate_choice choice;
    } known[] = {
#ifdef HOCKET_LOGS_ISAL
        {"auto", {&inflate_isal, NULL}},
        {"isal", {&inflate_isal, NULL}},
#else
        {"auto", {&inflate_zlib, LIBDEFLATE_OR(NULL)}},
#endif
#ifdef HOCKET_LOGS_LIBDEFLATE
        {"libdeflate", {ISAL_OR(&inflate_zlib), &inflate_libdeflate}},
#endif
        {"zlib", {&inflate_zlib, NULL}},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].name) == size && memcmp(known[i].name, name, size) == 0) {
            *choice = known[i].choice;
            return true;
        }
    }
    return false;
}

const char *inflate_names(void)
{
    return "auto, zlib" ISAL_NAME LIBDEFLATE_NAME;
}
