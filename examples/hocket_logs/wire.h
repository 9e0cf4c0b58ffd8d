/* SPDX-License-Identifier: MIT */
/*
 * Values as bytes, the same on every machine: numbers have 8 bytes, the least
 * significant first; texts are led by their length. Units of work and their
 * results travel like this, so that a worker may be another process.
 */
#ifndef HOCKET_LOGS_WIRE_H
#define HOCKET_LOGS_WIRE_H

#include <stdint.h>

#include "span.h"

/* Writes into size bytes at data; with data NULL it only counts. */
struct packer {
    unsigned char *data;
    size_t size;
    size_t used; /* Never above size unless data is NULL. */
};

/* Reads bytes that somebody else wrote: nothing in them is trusted. */
struct unpacker {
    const unsigned char *next;
    size_t left;
    bool failed; /* Something did not fit; every later value is 0 or empty. */
};

void pack_number(struct packer *packer, uint64_t number);
void pack_text(struct packer *packer, struct span text);

uint64_t unpack_number(struct unpacker *unpacker);
/* A number that must not be above most. */
uint64_t unpack_number_up_to(struct unpacker *unpacker, uint64_t most);
/* Borrowed from the bytes that are read. */
struct span unpack_text(struct unpacker *unpacker);

#endif
