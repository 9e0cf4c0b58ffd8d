/* SPDX-License-Identifier: MIT */
#include "complaints.h"

#include <stdio.h>
#include <stdlib.h>

#include "show.h"

void complaints_fini(struct complaints *complaints)
{
    for (size_t i = 0; i < complaints->held_count; i++) {
        free(complaints->held[i].text);
    }
    complaints->held_count = 0;
}

static int by_number(const void *a, const void *b)
{
    const struct complaint *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

void complaints_print(struct complaints *complaints)
{
    qsort(complaints->held, complaints->held_count, sizeof(complaints->held[0]), by_number);
    for (size_t i = 0; i < complaints->held_count; i++) {
        /* Each slice of one file may have met the same trouble. */
        if (i == 0 || strcmp(complaints->held[i].text, complaints->held[i - 1].text) != 0) {
            fprintf(stderr, "hocket-logs: %s\n", complaints->held[i].text);
        }
    }
    complaints_fini(complaints);
}

void complaints_add(struct complaints *complaints, uint64_t number, struct span path,
                    struct span what)
{
    char *text = NULL;
    size_t text_size;
    FILE *stream;

    complaints->count++;
    if (complaints->held_count == COMPLAINTS_HELD) {
        complaints_print(complaints);
    }
    stream = open_memstream(&text, &text_size);
    if (stream == NULL) {
        return; /* It is counted, so the exit status still tells. */
    }
    show_escaped(stream, path);
    fputs(": ", stream);
    show_escaped(stream, what);
    if (fclose(stream) == 0) {
        complaints->held[complaints->held_count++] = (struct complaint){number, text};
    }
}
