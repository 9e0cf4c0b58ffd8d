/* SPDX-License-Identifier: MIT */
/*
 * Chunks of 64 KiB and more are spans of pages (spans.h); smaller ones come from pages that
 * are cut up (slabs.h). One page without a chunk is kept cut, so that a single small chunk
 * that comes and goes does not take and give back its page each time.
 *
 * Free pages that were written to still cost the system memory. When they are more than a
 * quarter of the arena, whoever gave back the last of them discards some, piece by piece and
 * without the lock; a piece is taken meanwhile, and who finds no room then waits for it.
 */
#include "executors/process_pool/arena.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/memory.h"
#include "base/no_cancel.h"
#include "executors/process_pool/slabs.h"
#include "executors/process_pool/spans.h"

enum { FREE_TOUCHED_SHARE = 4 }; /* One part in so many may be free and touched. */

struct hki_arena {
    atomic_uint references;
    uint32_t generation; /* Of the process it was made in. */
    struct hki_pool_memory *memory;
    uint64_t begin;   /* Offset in the memory. */
    uint64_t largest; /* Bytes of the largest span. */
    pthread_mutex_t lock;
    /* Under the lock. */
    pthread_cond_t returned; /* A piece was discarded. */
    bool discarding;         /* Somebody is at it. */
    struct hki_spans spans;
    struct hki_slabs slabs;
    struct hki_slab *spare; /* The slab that is kept without a chunk. */
    uint64_t used;
    bool wanted; /* Somebody waits for room. */
};

hk_status hki_arena_create(struct hki_pool_memory *memory, struct hki_arena **out)
{
    uint64_t pages = memory->page->arena_bytes / HKI_SLAB_PAGE;
    struct hki_arena *arena;

    if (pages > INT32_MAX || (arena = hki_zalloc(sizeof(*arena))) == NULL) {
        return HK_ENOMEM;
    }
    if (hki_spans_init(&arena->spans, (uint32_t)pages) != HK_OK) {
        hki_free(arena, sizeof(*arena));
        return HK_ENOMEM;
    }
    hki_slabs_init(&arena->slabs);
    atomic_init(&arena->references, 1);
    arena->generation = hki_fork_generation();
    arena->memory = hki_pool_memory_ref(memory);
    arena->begin = memory->page->arena_at;
    if (pages > 0) {
        arena->largest = (uint64_t)HKI_SLAB_PAGE << (arena->spans.orders - 1);
    }
    pthread_mutex_init(&arena->lock, NULL);
    pthread_cond_init(&arena->returned, NULL);
    *out = arena;
    return HK_OK;
}

struct hki_arena *hki_arena_ref(struct hki_arena *arena)
{
    atomic_fetch_add(&arena->references, 1);
    return arena;
}

void hki_arena_unref(struct hki_arena *arena)
{
    if (atomic_fetch_sub(&arena->references, 1) != 1) {
        return;
    }
    for (uint32_t page = 0; page < arena->spans.pages; page++) {
        struct hki_span *span = &arena->spans.span[page];

        if (span->state == HKI_SPAN_TAKEN && span->owner != NULL) {
            hki_slab_destroy(span->owner);
        }
    }
    hki_spans_fini(&arena->spans);
    if (!hki_fork_foreign(arena->generation)) {
        /* In a child, a thread that it does not have may hold them. */
        pthread_cond_destroy(&arena->returned);
        pthread_mutex_destroy(&arena->lock);
    }
    hki_pool_memory_unref(arena->memory);
    hki_free(arena, sizeof(*arena));
}

/* --- Taking ----------------------------------------------------------------------------- */

/* The least order of which so many units hold the bytes. */
static uint32_t order_for(uint64_t bytes, uint64_t unit)
{
    return bytes <= unit ? 0 : 64 - (uint32_t)__builtin_clzll((bytes - 1) / unit);
}

/* Under the lock. */
static void let_slab_go(struct hki_arena *arena, struct hki_slab *slab)
{
    uint32_t page = slab->page;

    hki_slab_destroy(slab);
    hki_spans_give_back(&arena->spans, page);
}

/* Under the lock. Offset in the arena, or UINT64_MAX. */
static uint64_t take_span(struct hki_arena *arena, uint32_t order)
{
    uint32_t page = hki_spans_take(&arena->spans, order);

    if (page == HKI_NO_SPAN && arena->spare != NULL) {
        let_slab_go(arena, arena->spare);
        arena->spare = NULL;
        page = hki_spans_take(&arena->spans, order);
    }
    return page == HKI_NO_SPAN ? UINT64_MAX : (uint64_t)page * HKI_SLAB_PAGE;
}

/* Under the lock. */
static struct hki_slab *cut_a_page(struct hki_arena *arena, bool *no_memory)
{
    uint32_t page = hki_spans_take(&arena->spans, 0);
    struct hki_slab *slab;

    if (page == HKI_NO_SPAN) {
        return NULL;
    }
    if ((slab = hki_slab_create(&arena->slabs, page)) == NULL) {
        hki_spans_give_back(&arena->spans, page);
        *no_memory = true;
        return NULL;
    }
    arena->spans.span[page].owner = slab;
    return slab;
}

/* Under the lock. Offset in the arena, or UINT64_MAX. */
static uint64_t take_small(struct hki_arena *arena, uint32_t order, bool *no_memory)
{
    uint32_t unit = 0;
    struct hki_slab *slab = hki_slabs_take(&arena->slabs, order, &unit);

    if (slab == NULL && cut_a_page(arena, no_memory) != NULL) {
        slab = hki_slabs_take(&arena->slabs, order, &unit);
    }
    if (slab == NULL) {
        return UINT64_MAX;
    }
    if (slab == arena->spare) {
        arena->spare = NULL;
    }
    return (uint64_t)slab->page * HKI_SLAB_PAGE + (uint64_t)unit * HKI_SLAB_UNIT;
}

uint64_t hki_arena_take(struct hki_arena *arena, uint64_t bytes, uint64_t *capacity)
{
    bool is_small = bytes <= HKI_SLAB_PAGE / 2;
    uint64_t unit = is_small ? HKI_SLAB_UNIT : HKI_SLAB_PAGE;
    uint32_t order = order_for(bytes, unit);
    bool no_memory = false;
    uint64_t at;

    *capacity = UINT64_MAX;
    if (bytes > arena->largest || hki_fork_foreign(arena->generation)) {
        return 0;
    }
    pthread_mutex_lock(&arena->lock);
    while ((at = is_small ? take_small(arena, order, &no_memory) : take_span(arena, order)) ==
               UINT64_MAX &&
           !no_memory && arena->discarding) {
        HKI_NO_CANCEL;

        pthread_cond_wait(&arena->returned, &arena->lock);
    }
    if (at != UINT64_MAX) {
        arena->used += unit << order;
    }
    pthread_mutex_unlock(&arena->lock);
    if (at == UINT64_MAX) {
        *capacity = no_memory ? 0 : *capacity;
        return 0;
    }
    *capacity = unit << order;
    return arena->begin + at;
}

/* --- Giving back ------------------------------------------------------------------------ */

/* A chunk that is out. */
struct chunk {
    uint32_t page;
    struct hki_slab *slab; /* NULL: a span. */
    uint32_t unit;
    uint32_t order;
    uint64_t bytes; /* 0: no chunk that is out begins there. */
};

/* Under the lock. */
static struct chunk find_chunk(const struct hki_arena *arena, uint64_t offset)
{
    struct chunk chunk = {0};
    uint64_t at = offset - arena->begin;
    const struct hki_span *span;

    if (offset < arena->begin || at / HKI_SLAB_PAGE >= arena->spans.pages ||
        at % HKI_SLAB_UNIT != 0) {
        return chunk;
    }
    chunk.page = (uint32_t)(at / HKI_SLAB_PAGE);
    chunk.unit = (uint32_t)(at % HKI_SLAB_PAGE / HKI_SLAB_UNIT);
    span = &arena->spans.span[chunk.page];
    if (span->state != HKI_SPAN_TAKEN) {
        return chunk;
    }
    chunk.slab = span->owner;
    if (chunk.slab != NULL) {
        chunk.order = hki_slab_order(chunk.slab, chunk.unit);
        if (chunk.order < HKI_SLAB_ORDERS) {
            chunk.bytes = (uint64_t)HKI_SLAB_UNIT << chunk.order;
        }
    } else if (chunk.unit == 0) {
        chunk.order = span->order;
        chunk.bytes = (uint64_t)HKI_SLAB_PAGE << chunk.order;
    }
    return chunk;
}

/* Under the lock. */
static bool too_much_touched(const struct hki_arena *arena)
{
    return (uint64_t)arena->spans.free_touched * FREE_TOUCHED_SHARE > arena->spans.pages;
}

/* Each run of touched pages with one call. */
static void discard_piece(struct hki_arena *arena, uint32_t page, uint64_t touched)
{
    while (touched != 0) {
        uint32_t skip = (uint32_t)__builtin_ctzll(touched);
        uint64_t rest = touched >> skip;
        uint32_t run = ~rest == 0 ? 64 : (uint32_t)__builtin_ctzll(~rest);

        hki_pool_memory_discard(arena->memory,
                                arena->begin + ((uint64_t)page + skip) * HKI_SLAB_PAGE,
                                (uint64_t)run * HKI_SLAB_PAGE);
        page += skip + run;
        touched = skip + run >= 64 ? 0 : touched >> (skip + run);
    }
}

/* With the lock, which it lets go of for each piece. */
static void discard_some(struct hki_arena *arena)
{
    arena->discarding = true;
    while (too_much_touched(arena)) {
        uint64_t touched = 0;
        uint32_t page = hki_spans_take_touched(&arena->spans, &touched);

        HKI_ASSERT(page != HKI_NO_SPAN);
        pthread_mutex_unlock(&arena->lock);
        discard_piece(arena, page, touched);
        pthread_mutex_lock(&arena->lock);
        hki_spans_give_back_clean(&arena->spans, page);
        pthread_cond_broadcast(&arena->returned);
    }
    arena->discarding = false;
}

void hki_arena_want(struct hki_arena *arena)
{
    if (!hki_fork_foreign(arena->generation)) {
        pthread_mutex_lock(&arena->lock);
        arena->wanted = true;
        pthread_mutex_unlock(&arena->lock);
    }
}

bool hki_arena_give_back(struct hki_arena *arena, uint64_t offset)
{
    struct chunk chunk;
    bool wanted;

    if (hki_fork_foreign(arena->generation)) {
        return false;
    }
    pthread_mutex_lock(&arena->lock);
    chunk = find_chunk(arena, offset);
    HKI_ASSERT(chunk.bytes != 0);
    arena->used -= chunk.bytes;
    if (chunk.slab == NULL) {
        hki_spans_give_back(&arena->spans, chunk.page);
    } else {
        hki_slab_give_back(&arena->slabs, chunk.slab, chunk.unit, chunk.order);
        if (chunk.slab->chunks == 0) {
            if (arena->spare != NULL) {
                let_slab_go(arena, chunk.slab);
            } else {
                arena->spare = chunk.slab;
            }
        }
    }
    if (too_much_touched(arena) && !arena->discarding) {
        discard_some(arena);
    }
    wanted = arena->wanted;
    arena->wanted = false;
    pthread_mutex_unlock(&arena->lock);
    return wanted;
}

/* --- Looking ---------------------------------------------------------------------------- */

uint64_t hki_arena_largest(const struct hki_arena *arena)
{
    return arena->largest;
}

uint64_t hki_arena_used(struct hki_arena *arena)
{
    uint64_t used;

    if (hki_fork_foreign(arena->generation)) {
        return 0;
    }
    pthread_mutex_lock(&arena->lock);
    used = arena->used;
    pthread_mutex_unlock(&arena->lock);
    return used;
}

bool hki_arena_inside(struct hki_arena *arena, uint64_t chunk, uint64_t offset, uint64_t size)
{
    uint64_t bytes;

    if (hki_fork_foreign(arena->generation)) {
        return false;
    }
    pthread_mutex_lock(&arena->lock);
    bytes = find_chunk(arena, chunk).bytes;
    pthread_mutex_unlock(&arena->lock);
    return bytes != 0 && offset >= chunk && offset - chunk <= bytes &&
           size <= bytes - (offset - chunk);
}
