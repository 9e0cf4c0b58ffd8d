/* SPDX-License-Identifier: MIT */
#include "tests/arena_fixture.h"

#include <string.h>

struct hki_pool_memory *hkt_memory;
struct hki_arena *hkt_arena;

void hkt_arena_open(uint64_t bytes)
{
    HKT_OK_FATAL(hki_pool_memory_create(1, bytes, &hkt_memory));
    HKT_OK_FATAL(hki_arena_create(hkt_memory, &hkt_arena));
}

void hkt_arena_close(void)
{
    hki_arena_unref(hkt_arena);
    hki_pool_memory_unref(hkt_memory);
}

uint64_t hkt_arena_take(uint64_t bytes)
{
    uint64_t capacity = 0;
    uint64_t at = hki_arena_take(hkt_arena, bytes, &capacity);

    HKT_TRUE(at == 0 || capacity >= bytes);
    return at;
}

void hkt_arena_expect_whole(void)
{
    uint64_t at;

    HKT_EQ_INT(hki_arena_used(hkt_arena), 0);
    at = hkt_arena_take(hki_arena_largest(hkt_arena));
    HKT_TRUE(at != 0);
    if (at != 0) {
        hki_arena_give_back(hkt_arena, at);
    }
    HKT_EQ_INT(hki_arena_used(hkt_arena), 0);
}

void hkt_chunk_fill(struct hkt_chunk *chunk, unsigned char mark)
{
    chunk->mark = mark;
    memset(hki_pool_at(hkt_memory->page, chunk->at), mark, chunk->bytes);
}

bool hkt_chunk_is_intact(const struct hkt_chunk *chunk)
{
    const unsigned char *bytes = hki_pool_at(hkt_memory->page, chunk->at);

    return bytes[0] == chunk->mark && memcmp(bytes, bytes + 1, chunk->bytes - 1) == 0;
}
