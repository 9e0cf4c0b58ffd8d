/* SPDX-License-Identifier: MIT */
/*
 * Gzip members around raw deflate data.
 *
 * The compressed bytes lie in a buffer from next to end. Before the buffer are
 * INFLATE_LOOKAHEAD spare bytes, so that a library may give back what it read too
 * far even when that was in an earlier piece.
 *
 * A fault that a fast library reports is looked at again: the member is restarted
 * with zlib, and what was already counted of it is skipped. So all libraries give
 * the same text up to the same fault, and a stream that only the fast library
 * refuses is still read. A member too large for a library without streaming
 * takes the same way, with nothing to skip.
 */
#include "gunzip.h"

#include <stdlib.h>
#include <zlib.h>

enum {
    IN_PIECE_SIZE = 64 << 10,
    FLAG_HEADER_CRC = 2,
    FLAG_EXTRA = 4,
    FLAG_NAME = 8,
    FLAG_COMMENT = 16,
    FLAGS_RESERVED = 0xe0,
    METHOD_DEFLATE = 8,
};

struct gunzip {
    struct input *input;
    struct line_splitter *lines;
    struct inflate_choice choice;
    void *stream_state, *whole_state;   /* Made when first needed. */
    const struct inflate_backend *made; /* What stream_state is a state of. */
    unsigned char *memory;              /* The spare bytes, then capacity bytes. */
    size_t capacity;
    unsigned char *next, *end;
    uint32_t header_crc; /* Over the header read so far. */
    uint64_t data_begin; /* Offset in the file of the member's deflate data. */
    uint32_t crc;        /* Of the member's text. */
    uint64_t text_size;  /* Bytes of text of this member so far. */
    uint64_t skip;       /* Of these, bytes that were counted before a restart. */
    size_t text_guess;   /* Size of a member's text; whole members only. */
};

bool gunzip_knows(const unsigned char *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

static uint64_t offset_of_next(const struct gunzip *gunzip)
{
    return gunzip->input->offset - (uint64_t)(gunzip->end - gunzip->next);
}

/* Reads more behind what is left. False: the end of the file, a stop or an error. */
static bool fill(struct gunzip *gunzip)
{
    unsigned char *begin = gunzip->memory + INFLATE_LOOKAHEAD;
    size_t left = (size_t)(gunzip->end - gunzip->next);
    size_t got;

    if (left > 0 && gunzip->next != begin) {
        memmove(begin, gunzip->next, left);
    }
    gunzip->next = begin;
    gunzip->end = begin + left;
    got = input_read(gunzip->input, gunzip->end, gunzip->capacity - left);
    gunzip->end += got;
    return got > 0;
}

/* Goes back (or on) to an offset of the file. */
static void seek(struct gunzip *gunzip, uint64_t offset)
{
    gunzip->next = gunzip->end = gunzip->memory + INFLATE_LOOKAHEAD;
    gunzip->input->offset = offset;
}

/* One byte, or -1 at the end. */
static int take_byte(struct gunzip *gunzip)
{
    if (gunzip->next == gunzip->end && !fill(gunzip)) {
        return -1;
    }
    return *gunzip->next++;
}

/* One byte of a header, which is under a checksum of its own; or -1. */
static int take_header_byte(struct gunzip *gunzip)
{
    int byte = take_byte(gunzip);
    unsigned char c = (unsigned char)byte;

    if (byte >= 0) {
        gunzip->header_crc = (uint32_t)crc32_z(gunzip->header_crc, &c, 1);
    }
    return byte;
}

/* A number of some bytes, the least significant first. False: the file ends. */
static bool take_number(struct gunzip *gunzip, unsigned bytes, uint32_t *number)
{
    *number = 0;
    for (unsigned i = 0; i < bytes; i++) {
        int byte = take_header_byte(gunzip);

        if (byte < 0) {
            return false;
        }
        *number |= (uint32_t)byte << (8 * i);
    }
    return true;
}

static bool skip_string(struct gunzip *gunzip)
{
    int byte;

    do {
        byte = take_header_byte(gunzip);
    } while (byte > 0);
    return byte == 0;
}

static bool complain_cut(struct gunzip *gunzip, const char *where)
{
    /* After a stop the file only seems to end. */
    if (!gunzip->input->is_stopped) {
        input_complain(gunzip->input, "cut off %s, at byte %llu; what came before is counted",
                       where, (unsigned long long)gunzip->input->offset);
    }
    return false;
}

/* What follows the first two bytes of a header. False: complained. */
static bool read_header(struct gunzip *gunzip)
{
    uint64_t begin = offset_of_next(gunzip) - 2;
    uint32_t method, flags, number, crc;

    gunzip->header_crc = (uint32_t)crc32_z(0, (const unsigned char *)"\x1f\x8b", 2);
    if (!take_number(gunzip, 1, &method) || !take_number(gunzip, 1, &flags) ||
        !take_number(gunzip, 4, &number) || !take_number(gunzip, 2, &number)) {
        return complain_cut(gunzip, "inside a gzip header");
    }
    if (method != METHOD_DEFLATE || (flags & FLAGS_RESERVED) != 0) {
        input_complain(gunzip->input, "damaged gzip header at byte %llu",
                       (unsigned long long)begin);
        return false;
    }
    if ((flags & FLAG_EXTRA) != 0) {
        bool is_whole = take_number(gunzip, 2, &number);

        while (is_whole && number-- > 0) {
            is_whole = take_header_byte(gunzip) >= 0;
        }
        if (!is_whole) {
            return complain_cut(gunzip, "inside a gzip header");
        }
    }
    if (((flags & FLAG_NAME) != 0 && !skip_string(gunzip)) ||
        ((flags & FLAG_COMMENT) != 0 && !skip_string(gunzip))) {
        return complain_cut(gunzip, "inside a gzip header");
    }
    crc = gunzip->header_crc & 0xffff;
    if ((flags & FLAG_HEADER_CRC) != 0) {
        if (!take_number(gunzip, 2, &number)) {
            return complain_cut(gunzip, "inside a gzip header");
        }
        if (number != crc) {
            input_complain(gunzip->input, "wrong checksum of the gzip header at byte %llu",
                           (unsigned long long)begin);
        }
    }
    return true;
}

/* Takes note of size bytes of text at text, and counts those that were not counted
 * before a restart. */
static void deliver(struct gunzip *gunzip, const struct inflate_backend *backend, char *text,
                    size_t size)
{
    size_t old = 0;

    if (gunzip->skip > gunzip->text_size) {
        uint64_t left = gunzip->skip - gunzip->text_size;

        old = left < size ? (size_t)left : size;
    }
    gunzip->crc = backend->crc32(gunzip->crc, text, size);
    gunzip->text_size += size;
    if (old > 0) {
        memmove(text, text + old, size - old);
    }
    if (size > old) {
        lines_commit(gunzip->lines, size - old);
    }
}

static bool prepare_stream(struct gunzip *gunzip, const struct inflate_backend *backend)
{
    if (gunzip->made != backend) {
        if (gunzip->made != NULL) {
            gunzip->made->destroy(gunzip->stream_state);
        }
        gunzip->made = NULL;
        gunzip->stream_state = backend->create();
        if (gunzip->stream_state == NULL) {
            input_complain(gunzip->input, "no memory to inflate with %s", backend->name);
            return false;
        }
        gunzip->made = backend;
    }
    gunzip->crc = 0;
    gunzip->text_size = 0;
    return backend->reset(gunzip->stream_state);
}

/* Fills one piece of text and counts it. INFLATE_MORE: the room was filled, or the
 * input ended, which *is_cut tells. */
static enum inflate_status run_piece(struct gunzip *gunzip, const struct inflate_backend *backend,
                                     char *room, size_t size, bool *is_cut)
{
    struct inflate_step step = {.out = (unsigned char *)room, .out_left = size};
    enum inflate_status status;

    for (;;) {
        size_t before, room_before = step.out_left;

        step.in = gunzip->next;
        step.in_left = (size_t)(gunzip->end - gunzip->next);
        before = step.in_left + step.out_left;
        status = backend->run(gunzip->stream_state, &step);
        gunzip->next = step.in;
        if (status == INFLATE_BAD && backend != &inflate_zlib) {
            /* A fast library may write some bytes past the fault before it sees it:
             * of this call nothing is believed, zlib will give what is good. */
            step.out_left = room_before;
        }
        if (status != INFLATE_MORE || step.out_left == 0) {
            break;
        }
        if (step.in_left > 0) {
            /* Room and input, and yet nothing was done: that would go on for ever. */
            if (step.in_left + step.out_left == before) {
                status = INFLATE_BAD;
                break;
            }
        } else if (!fill(gunzip)) {
            *is_cut = true;
            break;
        }
    }
    deliver(gunzip, backend, room, size - step.out_left);
    return status;
}

/* Inflates a member piece by piece. INFLATE_MORE: the input ended. */
static enum inflate_status run_stream(struct gunzip *gunzip, const struct inflate_backend *backend)
{
    enum inflate_status status = INFLATE_MORE;
    bool is_cut = false;

    if (!prepare_stream(gunzip, backend)) {
        return INFLATE_BAD;
    }
    while (status == INFLATE_MORE && !is_cut) {
        char *room;
        size_t size = lines_room(gunzip->lines, LINES_PIECE_SIZE, &room);

        if (size == 0) {
            input_complain(gunzip->input, "no memory for a long line");
            return INFLATE_BAD;
        }
        status = run_piece(gunzip, backend, room, size, &is_cut);
    }
    return status;
}

/* Inflates a member at once. INFLATE_LARGE: it has to be streamed. */
static enum inflate_status run_whole(struct gunzip *gunzip, const struct inflate_backend *backend)
{
    enum inflate_status status = INFLATE_LARGE;

    if (gunzip->whole_state == NULL) {
        gunzip->whole_state = backend->create();
        if (gunzip->whole_state == NULL) {
            return INFLATE_LARGE;
        }
    }
    gunzip->crc = 0;
    gunzip->text_size = 0;
    for (; gunzip->text_guess <= GUNZIP_WHOLE_TEXT_MAX; gunzip->text_guess *= 2) {
        struct inflate_step step = {
            .in = gunzip->next,
            .in_left = (size_t)(gunzip->end - gunzip->next),
            .out_left = gunzip->text_guess,
        };
        char *room;

        if (lines_room(gunzip->lines, gunzip->text_guess, &room) == 0) {
            return INFLATE_LARGE;
        }
        step.out = (unsigned char *)room;
        status = backend->run(gunzip->whole_state, &step);
        if (status == INFLATE_END) {
            gunzip->next = step.in;
            deliver(gunzip, backend, room, gunzip->text_guess - step.out_left);
        }
        if (status != INFLATE_LARGE) {
            break;
        }
    }
    return status;
}

/* Inflates the member whose data is next. False: complained, or stopped. */
static bool read_data(struct gunzip *gunzip)
{
    enum inflate_status status = INFLATE_LARGE;
    bool was_zlib = false;

    gunzip->data_begin = offset_of_next(gunzip);
    gunzip->skip = 0;
    if (gunzip->choice.whole != NULL) {
        status = run_whole(gunzip, gunzip->choice.whole);
    }
    if (status == INFLATE_LARGE) {
        status = run_stream(gunzip, gunzip->choice.stream);
        was_zlib = gunzip->choice.stream == &inflate_zlib;
    }
    if (status != INFLATE_END && !was_zlib && !gunzip->input->is_stopped &&
        gunzip->input->error[0] == '\0') {
        gunzip->skip = gunzip->text_size;
        seek(gunzip, gunzip->data_begin);
        status = run_stream(gunzip, &inflate_zlib);
    }
    if (status == INFLATE_MORE) {
        return complain_cut(gunzip, "inside the compressed data");
    }
    if (status == INFLATE_BAD) {
        input_complain(gunzip->input,
                       "damaged compressed data before byte %llu; what came before is counted",
                       (unsigned long long)offset_of_next(gunzip));
        return false;
    }
    return true;
}

/* Checks a member against its trailer. False: complained, and nothing can follow. */
static bool read_trailer(struct gunzip *gunzip)
{
    uint32_t crc, size;

    if (!take_number(gunzip, 4, &crc) || !take_number(gunzip, 4, &size)) {
        return complain_cut(gunzip, "inside the checksum at the end");
    }
    if (crc != gunzip->crc || size != (uint32_t)gunzip->text_size) {
        input_complain(gunzip->input,
                       "wrong %s: the data is complete but damaged; it is counted as it is",
                       crc != gunzip->crc ? "checksum" : "length");
    }
    return true;
}

/* Finds the next member. False: the end, with a complaint if it is not a clean one. */
static bool find_member(struct gunzip *gunzip, bool is_first)
{
    int first = take_byte(gunzip), second;

    if (first < 0 && is_first) {
        if (!gunzip->input->is_stopped) {
            input_complain(gunzip->input, "not a gzip file: it is empty");
        }
        return false;
    }
    if (first == 0 && !is_first) {
        /* Zero bytes up to the end are padding, as tapes leave it. */
        do {
            first = take_byte(gunzip);
        } while (first == 0);
    }
    if (first < 0) {
        return false;
    }
    second = take_byte(gunzip);
    if (first == 0x1f && second == 0x8b) {
        return true;
    }
    if (is_first) {
        input_complain(gunzip->input, "not a gzip file, though its name ends in .gz");
    } else if (!gunzip->input->is_stopped) {
        input_complain(gunzip->input, "trailing garbage at byte %llu is ignored",
                       (unsigned long long)offset_of_next(gunzip) - (second < 0 ? 1 : 2));
    }
    return false;
}

/* The last four bytes of a file are the size of its last member's text: a hint. Too
 * large a guess means that it is not worth trying. */
static size_t guess_text(struct gunzip *gunzip)
{
    const unsigned char *end = gunzip->end;
    size_t guess = LINES_PIECE_SIZE;

    if (end - gunzip->next > 4) {
        size_t hint =
            (size_t)end[-4] | (size_t)end[-3] << 8 | (size_t)end[-2] << 16 | (size_t)end[-1] << 24;

        if (hint > guess) {
            guess = hint <= GUNZIP_WHOLE_TEXT_MAX ? hint : GUNZIP_WHOLE_TEXT_MAX + 1;
        }
    }
    return guess;
}

void gunzip_count(struct input *input, uint64_t file_size, struct inflate_choice choice,
                  struct line_splitter *lines)
{
    struct gunzip gunzip = {.input = input, .lines = lines, .choice = choice};
    bool is_first = true;

    if (choice.whole != NULL && file_size > GUNZIP_WHOLE_FILE_MAX) {
        gunzip.choice.whole = NULL;
    }
    /* One byte more than the file, so that its end is seen without a second read. */
    gunzip.capacity = gunzip.choice.whole != NULL ? (size_t)file_size + 1 : IN_PIECE_SIZE;
    gunzip.memory = malloc(INFLATE_LOOKAHEAD + gunzip.capacity);
    if (gunzip.memory == NULL) {
        input_complain(input, "no memory to read it");
        return;
    }
    seek(&gunzip, input->offset);
    (void)fill(&gunzip);
    gunzip.text_guess = guess_text(&gunzip);
    while (find_member(&gunzip, is_first) && read_header(&gunzip) && read_data(&gunzip) &&
           read_trailer(&gunzip)) {
        is_first = false;
    }
    if (gunzip.made != NULL) {
        gunzip.made->destroy(gunzip.stream_state);
    }
    if (gunzip.whole_state != NULL) {
        gunzip.choice.whole->destroy(gunzip.whole_state);
    }
    free(gunzip.memory);
}
