/* SPDX-License-Identifier: MIT */
/*
 * From pieces of a file to whole lines.
 *
 * The bytes come in pieces that end anywhere. Whole lines are counted from where
 * they are read into; the beginning of an unfinished one is moved to the front of
 * the buffer and the next piece is read behind it. So a line costs no copy, the
 * memory is bounded by LINE_SIZE_MAX, and most of it is never touched.
 */
#ifndef HOCKET_LOGS_LINES_H
#define HOCKET_LOGS_LINES_H

#include "tally.h"

/* Bytes read or inflated at a time: large enough to make the calls cheap, small
 * enough for a second-level cache. */
#define LINES_PIECE_SIZE ((size_t)128 << 10)

struct line_splitter {
    struct tally *tally;
    const struct job *job;
    uint64_t unit;
    char *buffer;
    size_t capacity;
    size_t kept;      /* Bytes of an unfinished line at the front; at most LINE_SIZE_MAX. */
    bool is_dropping; /* The rest of the line under way is of no interest. */
};

/* False: no memory. drop_first: the text begins inside a line that is not ours. */
bool lines_init(struct line_splitter *splitter, struct tally *tally, const struct job *job,
                uint64_t unit, bool drop_first);
void lines_fini(struct line_splitter *splitter);

/* Where the next piece is to be put: size bytes at *room. Gives size, or 0: no memory. */
size_t lines_room(struct line_splitter *splitter, size_t size, char **room);

/* Counts the lines that the next size bytes, now in the room, have completed. */
void lines_commit(struct line_splitter *splitter, size_t size);

/* Whether a line is unfinished that is of interest. */
bool lines_pending(const struct line_splitter *splitter);

/* Ends the text: what is pending is a last line without a newline. */
void lines_finish(struct line_splitter *splitter);

#endif
