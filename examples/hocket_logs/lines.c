/* SPDX-License-Identifier: MIT */
#include "lines.h"

#include <stdlib.h>

bool lines_init(struct line_splitter *splitter, struct tally *tally, const struct job *job,
                uint64_t unit, bool drop_first)
{
    *splitter = (struct line_splitter){
        .tally = tally,
        .job = job,
        .unit = unit,
        .capacity = 2 * LINES_PIECE_SIZE,
        .is_dropping = drop_first,
    };
    splitter->buffer = malloc(splitter->capacity);
    return splitter->buffer != NULL;
}

void lines_fini(struct line_splitter *splitter)
{
    free(splitter->buffer);
}

size_t lines_room(struct line_splitter *splitter, size_t size, char **room)
{
    /* Only a line longer than a piece comes here, or a whole member, so doubling is
     * rare. Its end is LINE_SIZE_MAX plus the largest size, rounded up. */
    while (splitter->capacity - splitter->kept < size) {
        char *larger = realloc(splitter->buffer, splitter->capacity * 2);

        if (larger == NULL) {
            return 0;
        }
        splitter->buffer = larger;
        splitter->capacity *= 2;
    }
    *room = splitter->buffer + splitter->kept;
    return size;
}

void lines_commit(struct line_splitter *splitter, size_t size)
{
    char *piece = splitter->buffer + splitter->kept;
    char *begin = splitter->buffer;
    char *end = piece + size;
    char *last;

    if (splitter->is_dropping) {
        char *newline = memchr(piece, '\n', size);

        if (newline == NULL) {
            return;
        }
        splitter->is_dropping = false;
        begin = newline + 1;
        piece = begin;
    }
    last = memrchr(piece, '\n', (size_t)(end - piece));
    if (last != NULL) {
        tally_lines(splitter->tally, splitter->job, splitter->unit, begin,
                    (size_t)(last + 1 - begin));
        begin = last + 1;
    }
    splitter->kept = (size_t)(end - begin);
    if (splitter->kept > LINE_SIZE_MAX) {
        tally_malformed(splitter->tally, LINE_TOO_LONG, splitter->unit, begin, splitter->kept);
        splitter->kept = 0;
        splitter->is_dropping = true;
    } else if (begin != splitter->buffer) {
        memmove(splitter->buffer, begin, splitter->kept);
    }
}

bool lines_pending(const struct line_splitter *splitter)
{
    return splitter->kept > 0;
}

void lines_finish(struct line_splitter *splitter)
{
    if (splitter->kept > 0) {
        tally_lines(splitter->tally, splitter->job, splitter->unit, splitter->buffer,
                    splitter->kept);
        splitter->kept = 0;
    }
}
