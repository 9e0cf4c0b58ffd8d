/* SPDX-License-Identifier: MIT */
/*
 * The library's one door to memory.
 *
 * Plain malloc by default: an application that links jemalloc then gets it for
 * everything, and one that brings malloc of its own keeps it. A strong reference
 * to jemalloc's own names would pull its malloc into every program that links
 * the static library, so the only reference is weak and only for statistics.
 *
 * Invariant: `allocator` changes only while no block is live, so whatever is
 * released goes back where it came from.
 */
#include "base/memory.h"

#include <hocket/memory.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/os.h"
#include "base/sanitizers.h"
#include "base/slab.h"
#include "base/tally.h"

/* jemalloc's control call; absent unless the process has jemalloc. */
extern int mallctl(const char *name, void *old, size_t *old_size, void *new_value, size_t new_size)
    __attribute__((weak));

static void *from_malloc(size_t size, void *arg)
{
    (void)arg;
    return malloc(size);
}

static void to_free(void *memory, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    free(memory);
}

static hk_allocator allocator = {from_malloc, to_free, NULL};

static atomic_long fail_countdown;
atomic_uint hki_memory_reasons = HKI_MEMORY_UNSETTLED;

/* A sanitizer must see each object come and go: one that is cached could be used after its end,
 * or by two threads, and look alive. */
#define SANITIZED (HKI_ADDRESS_SANITIZER || HKI_THREAD_SANITIZER || HKI_MEMORY_SANITIZER)

/* A header as large as the strictest alignment, so that what follows keeps it. */
union block {
    size_t size;
    max_align_t align;
};

bool hki_memory_should_fail(void)
{
    /* relaxed: a counter that tests set before they start; 0 is the normal case. */
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0) {
        return false;
    }
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

long hki_memory_fail_at(long nth)
{
    long left = atomic_exchange(&fail_countdown, nth);

    if (nth > 0) {
        atomic_fetch_or(&hki_memory_reasons, HKI_MEMORY_FAILING);
    } else {
        atomic_fetch_and(&hki_memory_reasons, ~(unsigned)HKI_MEMORY_FAILING);
    }
    return left > 0 ? left : 0;
}

unsigned hki_memory_settle(void)
{
    const char *word = getenv("HOCKET_ALLOC");
    bool is_cached = SANITIZED == 0;

    if (word != NULL && strcmp(word, "malloc") == 0) {
        is_cached = false;
    } else if (word != NULL && strcmp(word, "cache") == 0) {
        is_cached = true;
    }
    /* Several threads may do so at once, and come to the same. In this order nobody finds it
     * settled and misses the answer. */
    if (!is_cached) {
        atomic_fetch_or(&hki_memory_reasons, HKI_MEMORY_UNCACHED);
    }
    return atomic_fetch_and(&hki_memory_reasons, ~(unsigned)HKI_MEMORY_UNSETTLED) &
           ~(unsigned)HKI_MEMORY_UNSETTLED;
}

void *hki_memory_store_alloc(size_t size)
{
    return malloc(size);
}

void *hki_memory_store_alloc_huge(void)
{
    void *memory = aligned_alloc(HKI_MEMORY_HUGE, HKI_MEMORY_HUGE);

    if (memory != NULL) {
        hki_os_advise_huge(memory, HKI_MEMORY_HUGE);
    }
    return memory;
}

void hki_memory_store_free(void *memory)
{
    free(memory);
}

void *hki_alloc(size_t size)
{
    void *memory;

    HKI_ASSERT(size != 0);
    if (hki_memory_should_fail() || (memory = allocator.allocate(size, allocator.arg)) == NULL) {
        return NULL;
    }
    hki_tally_add(HKI_TALLY_BLOCKS, 1);
    hki_tally_add(HKI_TALLY_BYTES, (int64_t)size);
    hki_tally_add(HKI_TALLY_ALLOCATIONS, 1);
    return memory;
}

void *hki_zalloc(size_t size)
{
    void *memory = hki_alloc(size);

    if (memory != NULL) {
        memset(memory, 0, size);
    }
    return memory;
}

void hki_free(void *memory, size_t size)
{
    if (memory == NULL) {
        return;
    }
    allocator.release(memory, size, allocator.arg);
    hki_tally_add(HKI_TALLY_BYTES, -(int64_t)size);
    hki_tally_add(HKI_TALLY_BLOCKS, -1);
}

void *hki_block_alloc(size_t size)
{
    union block *block;
    size_t whole;

    if (__builtin_add_overflow(size, sizeof(*block), &whole) ||
        (block = hki_alloc(whole)) == NULL) {
        return NULL;
    }
    block->size = whole;
    return block + 1;
}

char *hki_block_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = hki_block_alloc(size);

    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

void hki_block_free(void *memory)
{
    union block *block = memory;

    if (block != NULL) {
        block--;
        hki_free(block, block->size);
    }
}

static void count(hk_memory_statistics *statistics)
{
    statistics->live_blocks = (uint64_t)hki_tally_sum(HKI_TALLY_BLOCKS);
    statistics->live_bytes = (uint64_t)hki_tally_sum(HKI_TALLY_BYTES);
    statistics->allocations = (uint64_t)hki_tally_sum(HKI_TALLY_ALLOCATIONS);
    hki_slab_count(&statistics->live_blocks, &statistics->live_bytes, &statistics->allocations);
}

hk_status hk_allocator_set(const hk_allocator *wanted)
{
    static const hk_allocator standard = {from_malloc, to_free, NULL};
    hk_memory_statistics statistics;

    if (wanted != NULL && (wanted->allocate == NULL || wanted->release == NULL)) {
        return HK_EINVAL;
    }
    count(&statistics);
    if (statistics.live_blocks != 0) {
        return HK_ESTATE;
    }
    hki_slab_trim();
    if (wanted != NULL) {
        atomic_fetch_or(&hki_memory_reasons, HKI_MEMORY_FOREIGN);
    } else {
        atomic_fetch_and(&hki_memory_reasons, ~(unsigned)HKI_MEMORY_FOREIGN);
    }
    allocator = wanted != NULL ? *wanted : standard;
    return HK_OK;
}

static bool control_u64(const char *name, uint64_t *value)
{
    size_t number = 0;
    size_t size = sizeof(number);

    if (mallctl(name, &number, &size, NULL, 0) != 0) {
        return false;
    }
    *value = number;
    return true;
}

/* mallctl being there does not prove that malloc is jemalloc's: a second copy
 * may be loaded beside another malloc. So see whether its counter moves. */
static bool malloc_is_jemalloc(void)
{
    uint64_t before = 0;
    uint64_t after = 0;
    void *volatile probe;

    if (mallctl == NULL || !control_u64("thread.allocated", &before) ||
        (probe = malloc(64)) == NULL) {
        return false;
    }
    if (!control_u64("thread.allocated", &after)) {
        after = before;
    }
    free(probe);
    return after != before;
}

static void ask_jemalloc(hk_memory_statistics *statistics)
{
    uint64_t epoch = 1;
    size_t size = sizeof(epoch);

    /* Its totals are cached until the epoch is advanced. */
    (void)mallctl("epoch", &epoch, &size, &epoch, sizeof(epoch));
    control_u64("stats.allocated", &statistics->process_allocated);
    control_u64("stats.resident", &statistics->process_resident);
    statistics->process_allocator = "jemalloc";
}

hk_status hk_memory_stats(hk_memory_statistics *statistics)
{
    if (statistics == NULL) {
        return HK_EINVAL;
    }
    memset(statistics, 0, sizeof(*statistics));
    count(statistics);
    if (malloc_is_jemalloc()) {
        ask_jemalloc(statistics);
    } else {
        hki_os_heap(&statistics->process_allocated, &statistics->process_resident);
        statistics->process_allocator = "malloc";
    }
    return HK_OK;
}
