/* SPDX-License-Identifier: MIT */
/*
 * A buddy allocator over a range of a pool's memory. Its own records lie in private
 * memory, so nothing that a worker writes can confuse it; only the parent calls it, under
 * a lock of its own. Chunks are powers of two from HKI_ARENA_LEAST on, aligned to a line
 * at least, to a page from a page on.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_ARENA_H
#define HOCKET_EXECUTORS_PROCESS_POOL_ARENA_H

#include <hocket/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "executors/process_pool/memory.h"

enum { HKI_ARENA_LEAST = 256 };

struct hki_arena;

/* Over the arena of a pool's memory, to which it holds a reference. HK_ENOMEM. */
hk_status hki_arena_create(struct hki_pool_memory *memory, struct hki_arena **out);

/* References: a view of a chunk keeps the arena. */
struct hki_arena *hki_arena_ref(struct hki_arena *arena);
void hki_arena_unref(struct hki_arena *arena);

/* A chunk of at least so many bytes: its offset in the pool's memory, and in *capacity its
 * whole size. 0: no room (an offset is never 0), or, with *capacity 0, no memory to keep account
 * of it, which no give-back brings. Cost: O(log(bytes)), no system call. */
uint64_t hki_arena_take(struct hki_arena *arena, uint64_t bytes, uint64_t *capacity);

/* Who found no room says so, and tries once more: from then on the next give-back tells. */
void hki_arena_want(struct hki_arena *arena);

/* Gives one back; chunks of 64 KiB and more that stay free give their pages to the system
 * when more than a share of the arena is free and touched, not at once. True: somebody has
 * wanted room since the last time that this was said. */
bool hki_arena_give_back(struct hki_arena *arena, uint64_t offset);

/* The largest chunk there could ever be. */
uint64_t hki_arena_largest(const struct hki_arena *arena);

/* Bytes in chunks that are out. */
uint64_t hki_arena_used(struct hki_arena *arena);

/* Whether [offset, offset + size) lies inside the chunk that begins at `chunk`, which is out. */
bool hki_arena_inside(struct hki_arena *arena, uint64_t chunk, uint64_t offset, uint64_t size);

#endif
