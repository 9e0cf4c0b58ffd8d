/* SPDX-License-Identifier: MIT */
/*
 * Memory that a test shares with its worker processes: mapped before main(), so before any
 * zygote, and at the same address in all of them.
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/harness.h"
#include "tests/harness_impl.h"

/* Far more than one program asks for; untouched pages cost nothing. */
enum { ARENA_BYTES = 1 << 28, ALIGNMENT = 64 };

/* At the start of the memory itself, so that all processes take from the same. */
struct arena {
    atomic_size_t used;
};

static struct arena *arena;

__attribute__((constructor)) static void map_arena(void)
{
    void *memory;

    if (arena != NULL) {
        return; /* Another constructor has asked for some. */
    }
    memory = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        hkt_die("no memory to share", "mmap");
    }
    arena = memory;
    atomic_store(&arena->used, ALIGNMENT);
}

void *hkt_shared_new(size_t bytes)
{
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    size_t at;

    map_arena();
    at = atomic_fetch_add(&arena->used, rounded);
    if (at + rounded > ARENA_BYTES) {
        hkt_die("too much shared memory; raise ARENA_BYTES", "hkt_shared_new");
    }
    return (char *)arena + at; /* Never given before, so it is zero. */
}
