/* SPDX-License-Identifier: MIT */
#include "tests/schedule/heap.h"

#include <hocket/memory.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/live.h"
#include "base/sanitizers.h"
#include "tests/schedule/machine.h"

#define HEAP_BYTES ((size_t)64 << 20)
#define HEAP_PLACE ((void *)0x100000000000) /* NOLINT(performance-no-int-to-ptr) */

enum { GRAIN = 64, CLASSES = 256, RELEASED = 0xDB };

struct block {
    size_t size; /* As asked for. */
    size_t room;
    struct block *next; /* Of its class, once released. */
    bool is_released;
    _Alignas(max_align_t) unsigned char bytes[];
};

static char *begin;
static size_t used;
static struct block *released[CLASSES]; /* By room, the newest first. */

static void check_released(const struct block *block)
{
    for (size_t i = 0; i < block->room; i++) {
        if (block->bytes[i] != RELEASED) {
            hkt_fail("%zu released bytes at %p were written to, at byte %zu", block->size,
                     (const void *)block->bytes, i);
        }
    }
}

static void *allocate(size_t size, void *context)
{
    size_t room = (size + sizeof(struct block) + GRAIN - 1) / GRAIN * GRAIN - sizeof(struct block);
    size_t kind = (room + sizeof(struct block)) / GRAIN;
    struct block *block = kind < CLASSES ? released[kind] : NULL;

    (void)context;
    if (HKI_ADDRESS_SANITIZER) {
        return malloc(size);
    }
    /* Soon used again, or never: both find errors of their own. */
    if (block != NULL && hkt_chance(2) == 0) {
        check_released(block);
        released[kind] = block->next;
    } else {
        block = (struct block *)(void *)(begin + used);
        used += room + sizeof(struct block);
        if (used > HEAP_BYTES) {
            hkt_fail("a round takes more memory than there is");
        }
        block->room = room;
    }
    block->size = size;
    block->is_released = false;
    return block->bytes;
}

static void release(void *memory, size_t size, void *context)
{
    struct block *block = (struct block *)(void *)((char *)memory - offsetof(struct block, bytes));
    size_t kind;

    (void)context;
    if (HKI_ADDRESS_SANITIZER) {
        free(memory);
        return;
    }
    if (block->is_released || block->size != size) {
        hkt_fail("%zu bytes at %p are released %s", size, memory,
                 block->is_released ? "twice" : "in another size");
    }
    kind = (block->room + sizeof(struct block)) / GRAIN;
    memset(block->bytes, RELEASED, block->room);
    block->is_released = true;
    if (kind < CLASSES) {
        block->next = released[kind];
        released[kind] = block;
    }
}

void hkt_heap_reserve(void)
{
    enum { HOW = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE };

    if (HKI_ADDRESS_SANITIZER) {
        return;
    }
    begin = mmap(HEAP_PLACE, HEAP_BYTES, PROT_READ | PROT_WRITE, HOW | MAP_FIXED_NOREPLACE, -1, 0);
    if (begin == MAP_FAILED) {
        /* Seeds tell the same only within one run of the program then. */
        begin = mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE, HOW, -1, 0);
    }
    if (begin == MAP_FAILED) {
        abort();
    }
}

void hkt_heap_begin(void)
{
    static const hk_allocator allocator = {allocate, release, NULL};

    if (hk_allocator_set(&allocator) != HK_OK) {
        hkt_fail("the library has memory before the round");
    }
}

void hkt_heap_check(void)
{
    char text[512];

    if (hki_live_total(text, sizeof(text)) != 0) {
        hkt_fail("left behind: %s", text);
    }
    for (size_t at = 0; !HKI_ADDRESS_SANITIZER && at < used;) {
        struct block *block = (struct block *)(void *)(begin + at);

        if (block->is_released) {
            check_released(block);
        }
        at += block->room + sizeof(struct block);
    }
}
