/* SPDX-License-Identifier: MIT */
/*
 * The libraries that can inflate raw deflate data, behind one interface. The gzip
 * wrapping around it is ours (gunzip.h), so that every library gives the same
 * answers and the same complaints.
 */
#ifndef HOCKET_LOGS_INFLATE_H
#define HOCKET_LOGS_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inflate_status {
    INFLATE_MORE,  /* Fine so far: give more input, or more room for output. */
    INFLATE_END,   /* The deflate stream is complete. */
    INFLATE_BAD,   /* The data is damaged. */
    INFLATE_LARGE, /* Whole streams only: the output has no room. */
};

/* One call's input and output; the call moves next and left along. At INFLATE_END
 * a library may move input.next back, behind the beginning of what it was given,
 * by up to INFLATE_LOOKAHEAD bytes that it had read too far in an earlier call:
 * these bytes must be writable and are put there again. */
struct inflate_step {
    unsigned char *in;
    size_t in_left;
    unsigned char *out;
    size_t out_left;
};

#define INFLATE_LOOKAHEAD 16

struct inflate_backend {
    const char *name;
    /* Needs all input in one piece and room for all output: run() is called once
     * for a stream and gives INFLATE_END, INFLATE_BAD or INFLATE_LARGE. */
    bool whole_only;
    void *(*create)(void); /* NULL: no memory. */
    void (*destroy)(void *state);
    bool (*reset)(void *state); /* Makes ready for a new stream. */
    enum inflate_status (*run)(void *state, struct inflate_step *step);
    uint32_t (*crc32)(uint32_t crc, const void *data, size_t size);
};

extern const struct inflate_backend inflate_zlib;
extern const struct inflate_backend inflate_isal;       /* Where it was found. */
extern const struct inflate_backend inflate_libdeflate; /* Where it was found. */

/* The back ends of a name. */
struct inflate_choice {
    const struct inflate_backend *stream; /* Never NULL. */
    const struct inflate_backend *whole;  /* For small files; may be NULL. */
};

/* Finds "zlib", "isal", "libdeflate" or "auto" among those built in. */
bool inflate_choose(const char *name, size_t size, struct inflate_choice *choice);

/* The names that inflate_choose() knows, for people: "auto, zlib, isal". */
const char *inflate_names(void);

#endif
