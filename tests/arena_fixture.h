/* SPDX-License-Identifier: MIT */
/*
 * An arena over a pool's memory, as the suites of arenas need one, and chunks of it that
 * notice when somebody else writes into them.
 */
#ifndef HOCKET_TESTS_ARENA_FIXTURE_H
#define HOCKET_TESTS_ARENA_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "executors/process_pool/arena.h"
#include "tests/harness.h"

/* Of the running test. */
extern struct hki_pool_memory *hkt_memory;
extern struct hki_arena *hkt_arena;

void hkt_arena_open(uint64_t bytes);
void hkt_arena_close(void);

/* The offset of a chunk of at least so many bytes; 0: none. */
uint64_t hkt_arena_take(uint64_t bytes);

/* That nothing is out, and the arena is one piece again. */
void hkt_arena_expect_whole(void);

struct hkt_chunk {
    uint64_t at; /* 0: none. */
    uint64_t bytes;
    unsigned char mark;
};

/* Whoever overlaps writes another mark over it. */
void hkt_chunk_fill(struct hkt_chunk *chunk, unsigned char mark);
bool hkt_chunk_is_intact(const struct hkt_chunk *chunk);

#endif
