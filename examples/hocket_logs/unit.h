/* SPDX-License-Identifier: MIT */
/*
 * One unit of work: a file, or a slice of a large plain one, and the job it is
 * part of. It is all that a worker needs to know.
 *
 * A slice owns the lines that start inside it. Every line of a file therefore
 * belongs to exactly one slice, wherever the file is cut.
 */
#ifndef HOCKET_LOGS_UNIT_H
#define HOCKET_LOGS_UNIT_H

#include "input.h"
#include "tally.h"

/* The numbers travel between processes. */
enum unit_kind {
    UNIT_FILE,  /* A whole file; its first bytes tell whether it is a gzip file. */
    UNIT_SLICE, /* length bytes at offset of a plain file. */
    UNIT_KIND_COUNT
};

struct unit {
    uint64_t number; /* Its place in the input, from 0. */
    enum unit_kind kind;
    struct span path; /* Ends with a zero byte that is not part of its size. */
    uint64_t offset;  /* Slices only. */
    uint64_t length;  /* Of a slice; of a file its size, as a hint. */
    struct job job;
};

/* What became of a unit beside its tally. */
struct outcome {
    uint64_t number;
    uint64_t read_bytes; /* Compressed ones, where they are. */
    bool is_stopped;     /* Not read to the end, because somebody wanted it to stop. */
    struct span error;   /* A sentence about the file; empty if all is well. */
    struct span path;    /* Of that file. */
};

/* Reads and counts a unit. The error of the outcome is borrowed from the input. */
void unit_count(const struct unit *unit, struct input_watch watch, struct input *input,
                struct tally *tally, struct outcome *outcome);

void unit_pack(struct packer *packer, const struct unit *unit);
/* The unit borrows from the bytes; false: they are none. */
bool unit_unpack(struct unpacker *unpacker, struct unit *unit);

void outcome_pack(struct packer *packer, const struct outcome *outcome);
/* The outcome borrows from the bytes. */
void outcome_unpack(struct unpacker *unpacker, struct outcome *outcome);

/* Whether a path ends in ".gz". */
bool unit_is_named_gz(struct span path);

#endif
