/* SPDX-License-Identifier: MIT */
/*
 * The units of work of a run, made one at a time as the map asks for them: so
 * neither the list of files nor the slices of a huge one are ever in memory.
 */
#ifndef HOCKET_LOGS_SOURCE_H
#define HOCKET_LOGS_SOURCE_H

#include <hocket/hocket.h>

#include "complaints.h"
#include "unit.h"
#include "walk.h"

/* The usual slice of a plain file: large against the cost of a unit, small enough
 * to share one file among workers evenly. */
#define SOURCE_SLICE_SIZE ((uint64_t)8 << 20)

struct unit_source {
    const struct job *job;         /* Borrowed. */
    uint64_t slice_size;           /* Above 0. */
    const hk_cancel_token *token;  /* Borrowed; once fired, nothing more is given. */
    struct complaints *complaints; /* Borrowed; what is wrong with paths. */
    struct walk walk;
    struct unit unit;     /* The one given last; while slicing, of the file under way. */
    uint64_t file_left;   /* Bytes of the file under way behind that unit. */
    uint64_t next_number; /* Of a unit or a complaint. */
    uint64_t files;       /* Seen so far. */
    unsigned char *bytes; /* The packed unit, reused. */
    size_t bytes_size;
};

void source_init(struct unit_source *source, const struct job *job, uint64_t slice_size,
                 const hk_cancel_token *token, char *const *paths, size_t path_count,
                 struct complaints *complaints);
void source_fini(struct unit_source *source);

/* A hk_source_fn; state is a struct unit_source. */
hk_status source_next(void *state, hk_map_input *input);

#endif
