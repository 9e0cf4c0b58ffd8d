/* SPDX-License-Identifier: MIT */
/*
 * The answer to one question over some lines. Tallies of parts add up to the
 * tally of the whole, in any order.
 */
#ifndef HOCKET_LOGS_TALLY_H
#define HOCKET_LOGS_TALLY_H

#include "job.h"
#include "names.h"

/* An example of a malformed line is cut to this. */
#define TALLY_EXAMPLE_SIZE 160

/* Malformed lines of one kind, and the first of them in the order of the input. */
struct malformed {
    uint64_t count;
    uint64_t unit; /* Where the example is from: merging keeps the lowest unit. */
    size_t example_size;
    char example[TALLY_EXAMPLE_SIZE];
};

struct tally {
    uint64_t lines;    /* All of them. */
    uint64_t requests; /* Well formed. */
    uint64_t matched;  /* And through the filters: what the rest is of. */
    struct malformed malformed[LINE_FAULT_COUNT]; /* lines - requests in all. */
    uint64_t bytes_sum, bytes_most, bytes_given;  /* REPORT_BYTES; how many had a size. */
    uint64_t status[1000];                        /* REPORT_STATUS. */
    struct name_table names;                      /* The other reports. */
    bool out_of_memory;                           /* A name was lost: the answer is wrong. */
};

void tally_init(struct tally *tally);
void tally_fini(struct tally *tally);

/* Counts the lines of a text that ends where a line ends. unit orders examples. */
void tally_lines(struct tally *tally, const struct job *job, uint64_t unit, const char *text,
                 size_t size);

/* Counts one line that could not even be kept; text is its beginning. */
void tally_malformed(struct tally *tally, enum line_fault fault, uint64_t unit, const char *text,
                     size_t size);

void tally_pack(struct packer *packer, const struct tally *tally);
/* Adds a packed tally to another: nothing is built in between, because a tally may
 * have millions of names. */
void tally_merge_packed(struct unpacker *unpacker, struct tally *into);

#endif
