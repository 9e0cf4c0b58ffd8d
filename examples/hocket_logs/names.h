/* SPDX-License-Identifier: MIT */
/*
 * How often each name was seen: a hash table from text to a count. Its memory
 * grows with the distinct names only.
 *
 * Invariants
 *   N1  slot_count is 0 or a power of two, and at least a quarter of the slots are
 *       empty, so that a search ends.
 *   N2  a name's bytes stay where they are until the table is released, so spans
 *       handed out stay valid while more names are added.
 */
#ifndef HOCKET_LOGS_NAMES_H
#define HOCKET_LOGS_NAMES_H

#include <stdint.h>

#include "span.h"

struct name_count {
    struct span name; /* data is NULL in an empty slot. */
    uint64_t count;
    uint64_t hash;
};

struct name_chunk;

struct name_table {
    struct name_count *slots;
    size_t slot_count;         /* N1. */
    size_t used;               /* Distinct names. */
    size_t text_size;          /* Bytes of all names together. */
    struct name_chunk *chunks; /* Where their bytes are; newest first (N2). */
};

/* A zeroed table is valid and empty. */
void names_init(struct name_table *table);

void names_fini(struct name_table *table);

/* Adds count to a name, which is copied when it is new. False: no memory, and
 * nothing changed. */
bool names_add(struct name_table *table, struct span name, uint64_t count);

/* The count of a name, 0 if it was never seen. */
uint64_t names_get(const struct name_table *table, struct span name);

/* All names in an array of table->used elements, to be freed by the caller, in no
 * order; NULL: no memory. The names are borrowed from the table. */
struct name_count *names_list(const struct name_table *table);

#endif
