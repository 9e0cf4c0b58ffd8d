/* SPDX-License-Identifier: MIT */
#include "base/depot.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/time.h"

#define SLAB_BYTES ((size_t)64 * 1024)
#define KEPT_BYTES ((size_t)1024 * 1024)
#define WINDOW_NS  INT64_C(1000000000)

enum {
    LINE = 64,
    WORD_BITS = 64,
    WORDS = 16, /* Bits for the smallest objects. */
    BLOCK_SLABS_MOST = 16,
    HUGE_FROM_SLABS = 64, /* 4 MiB: by then the blocks are huge pages. */
    KEPT_SLABS = 16
};

struct block {
    struct hki_list link; /* Among the depot's. First: leak checkers look for pointers here. */
    size_t size;
    uint32_t slabs;
    uint32_t complete; /* Slabs with all their objects at home. */
};

/* At the beginning of its 64 KiB. */
struct slab {
    struct hki_list link; /* Among those with objects at home; else loose. */
    struct block *block;
    uint32_t at_home;
    uint64_t bits[WORDS]; /* Set: at home. */
};

#define HEADER_BYTES ((sizeof(struct slab) + LINE - 1) / LINE * LINE)

/* All of it under the lock. */
struct depot {
    pthread_mutex_t lock;
    uint32_t stride;   /* From object to object; 0: no object was asked for yet. */
    uint32_t capacity; /* Objects of a slab. */
    struct hki_spare *full;
    size_t full_count;
    size_t full_kept; /* How many never go home by themselves. */
    size_t full_low;  /* The fewest in this window. */
    size_t leaving;   /* How many are still to go home, one with each exchange. */
    int64_t window_end_ns;
    struct hki_list blocks;
    struct hki_list partial; /* Slabs. */
    size_t block_count;
    size_t slabs;
    size_t complete;
    uint32_t next_slabs; /* Of the next block: each is larger than the one before, to a limit. */
};

#define UNUSED                                                                                     \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }

static struct depot depots[HKI_SLAB_SLOTS] = {
    [HKI_SLAB_JOBS] = UNUSED,   [HKI_SLAB_PROMISES] = UNUSED, [HKI_SLAB_STEPS] = UNUSED,
    [HKI_SLAB_HOOKS] = UNUSED,  [HKI_SLAB_ENTRIES] = UNUSED,  [HKI_SLAB_ERRANDS] = UNUSED,
    [HKI_SLAB_TRIALS] = UNUSED,
};

static void set_size(struct depot *depot, uint32_t size)
{
    HKI_ASSERT(size != 0 && size <= HKI_SLAB_LARGEST);
    depot->stride = (size + LINE - 1) / LINE * LINE;
    depot->capacity = (uint32_t)((SLAB_BYTES - HEADER_BYTES) / depot->stride);
    depot->full_kept = KEPT_BYTES / ((size_t)depot->stride * HKI_MAGAZINE);
    depot->next_slabs = 1;
    hki_list_init(&depot->blocks);
    hki_list_init(&depot->partial);
}

static struct slab *slab_at(struct block *block, size_t i)
{
    uintptr_t first = ((uintptr_t)(block + 1) + SLAB_BYTES - 1) / SLAB_BYTES * SLAB_BYTES;
    size_t offset = first - (uintptr_t)block + i * SLAB_BYTES;

    return (struct slab *)(void *)((char *)block + offset);
}

static void fill_slab(struct depot *depot, struct block *block, struct slab *slab)
{
    uint32_t left = depot->capacity;

    slab->block = block;
    slab->at_home = left;
    for (size_t word = 0; word < WORDS; word++) {
        uint32_t here = left < WORD_BITS ? left : WORD_BITS;

        slab->bits[word] = here == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << here) - 1;
        left -= here;
    }
    hki_list_append(&depot->partial, &slab->link);
}

/* A block with room for its head and slabs. To give memory page by page is half of what a first
 * burst costs: many objects get pages that are 512 times larger, where the kernel has them. */
static struct block *alloc_block(const struct depot *depot)
{
    bool is_huge = depot->slabs >= HUGE_FROM_SLABS;
    /* One more than the slabs: for the head, and as malloc aligns to less. */
    size_t size = is_huge ? HKI_MEMORY_HUGE : ((size_t)depot->next_slabs + 1) * SLAB_BYTES;
    struct block *block = is_huge ? hki_memory_store_alloc_huge() : hki_memory_store_alloc(size);

    if (block != NULL) {
        block->size = size;
        block->slabs = (uint32_t)(size / SLAB_BYTES) - 1;
    }
    return block;
}

static bool add_block(struct depot *depot)
{
    struct block *block = alloc_block(depot);

    if (block == NULL) {
        return false;
    }
    /* If the place before the first slab is too small for the head, the last one does not fit. */
    if ((char *)slab_at(block, block->slabs) > (char *)block + block->size) {
        block->slabs--;
    }
    if (block->slabs == 0) {
        hki_memory_store_free(block);
        depot->next_slabs = 2;
        return add_block(depot);
    }
    block->complete = block->slabs;
    hki_list_append(&depot->blocks, &block->link);
    depot->block_count++;
    for (size_t i = 0; i < block->slabs; i++) {
        fill_slab(depot, block, slab_at(block, i));
    }
    depot->slabs += block->slabs;
    depot->complete += block->slabs;
    if (depot->next_slabs < BLOCK_SLABS_MOST) {
        depot->next_slabs *= 2;
    }
    return true;
}

static void release_block(struct depot *depot, struct block *block)
{
    for (size_t i = 0; i < block->slabs; i++) {
        hki_list_remove(&slab_at(block, i)->link);
    }
    depot->slabs -= block->slabs;
    depot->complete -= block->slabs;
    hki_list_remove(&block->link);
    if (--depot->block_count == 0) {
        depot->next_slabs = 1;
    }
    hki_memory_store_free(block);
}

/* Appends objects of the slab to a chain, up to wanted; returns how many. */
static uint32_t take_from(struct depot *depot, struct slab *slab, struct hki_spare ***tail,
                          uint32_t wanted)
{
    char *objects = (char *)slab + HEADER_BYTES;
    uint32_t taken = 0;

    if (slab->at_home == depot->capacity) {
        slab->block->complete--;
        depot->complete--;
    }
    for (size_t word = 0; word < WORDS && taken < wanted; word++) {
        uint64_t bits = slab->bits[word];

        for (; bits != 0 && taken < wanted; bits &= bits - 1, taken++) {
            size_t i = word * WORD_BITS + (size_t)__builtin_ctzll(bits);

            **tail = (struct hki_spare *)(void *)(objects + i * depot->stride);
            *tail = &(**tail)->next;
        }
        slab->bits[word] = bits;
    }
    slab->at_home -= taken;
    if (slab->at_home == 0) {
        hki_list_remove(&slab->link);
    }
    return taken;
}

static struct hki_spare *take_from_slabs(struct depot *depot, uint32_t *count)
{
    struct hki_spare *chain = NULL;
    struct hki_spare **tail = &chain;

    *count = 0;
    while (*count < HKI_MAGAZINE) {
        if (hki_list_empty(&depot->partial) && (*count != 0 || !add_block(depot))) {
            break;
        }
        *count += take_from(depot, HKI_CONTAINER(depot->partial.next, struct slab, link), &tail,
                            HKI_MAGAZINE - *count);
    }
    *tail = NULL;
    return chain;
}

static void take_home(struct depot *depot, struct hki_spare *object)
{
    size_t offset = (uintptr_t)object % SLAB_BYTES;
    struct slab *slab = (struct slab *)(void *)((char *)object - offset);
    size_t i = (offset - HEADER_BYTES) / depot->stride;
    uint64_t bit = UINT64_C(1) << i % WORD_BITS;

    HKI_ASSERT((slab->bits[i / WORD_BITS] & bit) == 0);
    slab->bits[i / WORD_BITS] |= bit;
    if (slab->at_home++ == 0) {
        hki_list_prepend(&depot->partial, &slab->link);
    }
    if (slab->at_home < depot->capacity) {
        return;
    }
    depot->complete++;
    if (++slab->block->complete == slab->block->slabs &&
        depot->complete - slab->block->slabs >= KEPT_SLABS) {
        release_block(depot, slab->block);
    }
}

static void take_chain_home(struct depot *depot, struct hki_spare *chain)
{
    for (struct hki_spare *next; chain != NULL; chain = next) {
        next = chain->next;
        take_home(depot, chain);
    }
}

static struct hki_spare *pop(struct depot *depot)
{
    struct hki_spare *magazine = depot->full;

    if (magazine != NULL) {
        depot->full = magazine->below;
        depot->full_count--;
        if (depot->full_count < depot->full_low) {
            depot->full_low = depot->full_count;
        }
    }
    return magazine;
}

/* With each magazine that comes, see depot.h. Not with one that goes: a new burst would find
 * the old one's memory on its way home, although it is about to need it. */
static void shrink(struct depot *depot)
{
    int64_t now;

    if (depot->full_count <= depot->full_kept) {
        depot->leaving = 0;
        return;
    }
    now = hki_system_now_ns();
    if (now >= depot->window_end_ns) {
        depot->leaving =
            depot->full_low > depot->full_kept ? (depot->full_low - depot->full_kept + 1) / 2 : 0;
        depot->full_low = depot->full_count;
        depot->window_end_ns = now + WINDOW_NS;
    }
    if (depot->leaving != 0) {
        depot->leaving--;
        take_chain_home(depot, pop(depot));
    }
}

struct hki_spare *hki_depot_take(enum hki_slab_slot slot, uint32_t size, uint32_t *count)
{
    struct depot *depot = &depots[slot];
    struct hki_spare *chain;

    pthread_mutex_lock(&depot->lock);
    if (depot->stride == 0) {
        set_size(depot, size);
    }
    if ((chain = pop(depot)) != NULL) {
        *count = HKI_MAGAZINE;
    } else {
        chain = take_from_slabs(depot, count);
    }
    pthread_mutex_unlock(&depot->lock);
    return chain;
}

void hki_depot_put(enum hki_slab_slot slot, struct hki_spare *magazine)
{
    struct depot *depot = &depots[slot];

    pthread_mutex_lock(&depot->lock);
    magazine->below = depot->full;
    depot->full = magazine;
    depot->full_count++;
    shrink(depot);
    pthread_mutex_unlock(&depot->lock);
}

void hki_depot_send_home(enum hki_slab_slot slot, struct hki_spare *chain)
{
    struct depot *depot = &depots[slot];

    pthread_mutex_lock(&depot->lock);
    take_chain_home(depot, chain);
    pthread_mutex_unlock(&depot->lock);
}

void hki_depot_trim(enum hki_slab_slot slot)
{
    struct depot *depot = &depots[slot];
    struct hki_list *next;

    pthread_mutex_lock(&depot->lock);
    if (depot->stride == 0) {
        pthread_mutex_unlock(&depot->lock);
        return;
    }
    while (depot->full != NULL) {
        take_chain_home(depot, pop(depot));
    }
    depot->leaving = 0;
    for (struct hki_list *link = depot->blocks.next; link != &depot->blocks; link = next) {
        struct block *block = HKI_CONTAINER(link, struct block, link);

        next = link->next;
        if (block->complete == block->slabs) {
            release_block(depot, block);
        }
    }
    pthread_mutex_unlock(&depot->lock);
}

void hki_depot_dissolve(enum hki_slab_slot slot)
{
    struct depot *depot = &depots[slot];
    struct hki_list *link;

    pthread_mutex_lock(&depot->lock);
    if (depot->stride != 0) {
        while ((link = hki_list_take_first(&depot->blocks)) != NULL) {
            hki_memory_store_free(HKI_CONTAINER(link, struct block, link));
        }
        depot->full = NULL;
        depot->full_count = 0;
        depot->full_low = 0;
        depot->leaving = 0;
        depot->block_count = 0;
        depot->slabs = 0;
        depot->complete = 0;
        depot->stride = 0; /* As in the beginning. */
    }
    pthread_mutex_unlock(&depot->lock);
}

void hki_depot_look(enum hki_slab_slot slot, struct hki_depot_view *view)
{
    struct depot *depot = &depots[slot];

    memset(view, 0, sizeof(*view));
    pthread_mutex_lock(&depot->lock);
    view->magazines = depot->full_count;
    view->slabs = depot->slabs;
    view->complete = depot->complete;
    view->blocks = depot->block_count;
    pthread_mutex_unlock(&depot->lock);
}

void hki_depot_end_window(enum hki_slab_slot slot)
{
    pthread_mutex_lock(&depots[slot].lock);
    depots[slot].window_end_ns = 0;
    pthread_mutex_unlock(&depots[slot].lock);
}

static void before_fork(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    for (size_t i = 0; i < HKI_SLAB_SLOTS; i++) {
        pthread_mutex_lock(&depots[i].lock);
    }
}

static void after_fork(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    for (size_t i = 0; i < HKI_SLAB_SLOTS; i++) {
        pthread_mutex_unlock(&depots[i].lock);
    }
}

/* Not by hki_fork_guard(), as objects are made and released under other locks: who is to hold
 * all of them takes these last, but for the tally's, which is taken under them. The handler
 * that is registered first is called last, hence the priority: one after base/tally.c's. In the
 * child, what other threads had in their magazines is lost. */
__attribute__((constructor(102))) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}
