/* SPDX-License-Identifier: MIT */
/* Weak stand-ins for memory.c, code_map.c and worker.c. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "executors/process_pool/code_map.h"
#include "executors/process_pool/memory.h"
#include "executors/process_pool/worker.h"

static char *reserved;
static uint64_t used;
static unsigned live;

#define ROOM ((uint64_t)64 << 30)

__attribute__((weak)) hk_status hki_pool_addresses_reserve(void)
{
    void *at;

    if (reserved != NULL) {
        return HK_OK;
    }
    at = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return HK_ESYS;
    }
    reserved = at;
    return HK_OK;
}

__attribute__((weak)) int hki_pool_memory_map_fixed(void *address, size_t bytes, int fd)
{
    return mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED
               ? -1
               : 0;
}

__attribute__((weak)) void hki_pool_memory_unmap_fixed(void *address, size_t bytes)
{
    (void)mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
               -1, 0);
}

__attribute__((weak)) hk_status hki_pool_memory_create(uint32_t channels, uint64_t arena_bytes,
                                                       struct hki_pool_memory **out)
{
    struct hki_pool_memory *memory = hki_zalloc(sizeof(*memory));
    uint64_t channels_at = (sizeof(struct hki_pool_page) + 4095) / 4096 * 4096;
    uint64_t overflow_at = channels_at + channels * sizeof(struct hki_channel);
    uint64_t arena_at = overflow_at + channels * HKI_OVERFLOW_EXTENT;

    memory->bytes = arena_at + arena_bytes;
    memory->fd = memfd_create("hocket", MFD_CLOEXEC);
    if (ftruncate(memory->fd, (off_t)memory->bytes) != 0) {
        abort();
    }
    used = live++ == 0 ? 0 : used;
    memory->page = (struct hki_pool_page *)(void *)(reserved + used);
    used += memory->bytes;
    hki_pool_memory_map_fixed(memory->page, memory->bytes, memory->fd);
    memory->page->base = (uint64_t)(uintptr_t)memory->page;
    memory->page->bytes = memory->bytes;
    memory->page->channels_at = channels_at;
    memory->page->channel_stride = sizeof(struct hki_channel);
    memory->page->channel_count = channels;
    memory->page->overflow_at = overflow_at;
    memory->page->arena_at = arena_at;
    memory->page->arena_bytes = arena_bytes;
    *out = memory;
    return HK_OK;
}

__attribute__((weak)) void hki_pool_memory_unref(struct hki_pool_memory *memory)
{
    hki_pool_memory_unmap_fixed(memory->page, memory->bytes);
    live--;
    if (memory->fd >= 0) {
        close(memory->fd);
    }
    hki_free(memory, sizeof(*memory));
}

__attribute__((weak)) hk_status hki_code_map_record(void)
{
    return HK_OK;
}

__attribute__((weak)) void hki_worker_main(const struct hki_worker_start *start)
{
    _exit((int)start->index);
}
