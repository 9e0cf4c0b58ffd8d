/* SPDX-License-Identifier: MIT */
/* The order in a pool's memory: page, channels, overflow extents, arena; each on pages of its
 * own. Only the page and the fixed parts of the channels are allocated; everything else is
 * sparse until it is written. */
#include "executors/process_pool/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/os.h"
#include "executors/process_pool/addresses.h"
#include "executors/process_pool/fault_point.h"

enum { ARENA_GRANULE = 65536 };

static uint64_t page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

hk_status hki_pool_memory_refused(void)
{
    return errno == ENOMEM || errno == ENOSPC || errno == EFBIG ? HK_ENOMEM : HK_ESYS;
}

/* False: more than could ever be mapped. */
static bool lay_out(uint32_t channels, uint64_t arena_bytes, struct hki_pool_page *layout)
{
    uint64_t unit = page_size();

    if (arena_bytes > (uint64_t)1 << 60) {
        return false;
    }
    /* None of these sums can overflow: channels are fewer than 2^32, of less than 2^27 bytes. */
    layout->channel_count = channels;
    layout->channels_at = round_up(sizeof(struct hki_pool_page), unit);
    layout->channel_stride = round_up(sizeof(struct hki_channel), unit);
    layout->overflow_at =
        round_up(layout->channels_at + channels * layout->channel_stride, ARENA_GRANULE);
    layout->arena_at = layout->overflow_at + channels * HKI_OVERFLOW_EXTENT;
    layout->arena_bytes = round_up(arena_bytes, ARENA_GRANULE);
    layout->bytes = layout->arena_at + layout->arena_bytes;
    return true;
}

/* What must be there whatever happens to the system's memory later. */
static bool allocate_fixed_parts(int fd, const struct hki_pool_page *layout)
{
    if (HKI_FAULT("allocate_fails")) {
        errno = ENOSPC;
        return false;
    }
    if (!hki_os_memfd_allocate(fd, 0, layout->channels_at)) {
        return false;
    }
    for (uint32_t i = 0; i < layout->channel_count; i++) {
        if (!hki_os_memfd_allocate(fd, layout->channels_at + i * layout->channel_stride,
                                   offsetof(struct hki_channel, pages))) {
            return false;
        }
    }
    return true;
}

static bool map_there(void *address, size_t bytes, int fd)
{
    if (HKI_FAULT("map_fails")) {
        errno = ENOMEM;
        return false;
    }
    // cppcheck-suppress leakReturnValNotUsed ; it is mapped where it was asked for
    return mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd,
                0) != MAP_FAILED;
}

/* A file of that layout, mapped at an address of its own. -1 with errno. */
static int make_file(const struct hki_pool_page *layout, void **address)
{
    int error;
    int fd;

    if (HKI_FAULT("memfd_fails")) {
        errno = ENOSYS; /* As where a filter refuses the call. */
        return -1;
    }
    if ((fd = hki_os_memfd_create("hocket-pool", layout->bytes)) < 0) {
        return -1;
    }
    if (allocate_fixed_parts(fd, layout) && hki_os_memfd_seal(fd) &&
        (*address = hki_pool_addresses_take(layout->bytes)) != NULL) {
        if (map_there(*address, layout->bytes, fd)) {
            return fd;
        }
        error = errno;
        hki_pool_addresses_give_back(*address);
        errno = error;
    }
    error = errno;
    hki_os_close(fd);
    errno = error;
    return -1;
}

hk_status hki_pool_memory_create(uint32_t channels, uint64_t arena_bytes,
                                 struct hki_pool_memory **out)
{
    struct hki_pool_page layout = {0};
    struct hki_pool_memory *memory;
    void *address = NULL;
    hk_status status = hki_pool_addresses_reserve();

    if (status != HK_OK) {
        return status;
    }
    if (channels > HKI_CHANNELS_MAX || !lay_out(channels, arena_bytes, &layout) ||
        (memory = hki_zalloc(sizeof(*memory))) == NULL) {
        return HK_ENOMEM;
    }
    memory->fd = make_file(&layout, &address);
    if (memory->fd < 0) {
        int error = errno;

        status = hki_pool_memory_refused();
        hki_free(memory, sizeof(*memory));
        errno = error;
        return status;
    }
    atomic_init(&memory->references, 1);
    memory->bytes = layout.bytes;
    memory->generation = hki_fork_generation();
    memory->page = address;
    memory->page->base = (uintptr_t)address;
    memory->page->bytes = layout.bytes;
    memory->page->channels_at = layout.channels_at;
    memory->page->channel_stride = layout.channel_stride;
    memory->page->channel_count = layout.channel_count;
    memory->page->overflow_at = layout.overflow_at;
    memory->page->arena_at = layout.arena_at;
    memory->page->arena_bytes = layout.arena_bytes;
    hki_live_add(HKI_LIVE_POOL_MEMORY, 1);
    *out = memory;
    return HK_OK;
}

struct hki_pool_memory *hki_pool_memory_ref(struct hki_pool_memory *memory)
{
    atomic_fetch_add(&memory->references, 1);
    return memory;
}

void hki_pool_memory_unref(struct hki_pool_memory *memory)
{
    if (atomic_fetch_sub(&memory->references, 1) != 1) {
        return;
    }
    /* A child may be a worker that lives by this mapping, and its descriptors may be others
     * by now: both stay. */
    if (!hki_fork_foreign(memory->generation)) {
        hki_pool_addresses_give_back(memory->page);
        if (memory->fd >= 0) {
            hki_os_close(memory->fd);
        }
    }
    hki_free(memory, sizeof(*memory));
    hki_live_add(HKI_LIVE_POOL_MEMORY, -1);
}

int hki_pool_memory_map_fixed(void *address, size_t bytes, int fd)
{
    int error;

    if (!hki_pool_addresses_take_at(address, bytes)) {
        return -1;
    }
    if (map_there(address, bytes, fd)) {
        return 0;
    }
    error = errno;
    hki_pool_addresses_give_back(address);
    errno = error;
    return -1;
}

void hki_pool_memory_unmap_fixed(void *address, size_t bytes)
{
    (void)bytes; /* The list knows them. */
    hki_pool_addresses_give_back(address);
}

/* Replaces the settings by a copy of them that is this process's own. */
static bool own_settings(struct hki_pool_page *page)
{
    size_t at = offsetof(struct hki_pool_page, base);
    size_t bytes = (size_t)page->channels_at - at;
    void *settings = (unsigned char *)page + at;
    void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int error;

    if (copy == MAP_FAILED) {
        return false;
    }
    memcpy(copy, settings, bytes);
    if (mprotect(copy, bytes, PROT_READ) == 0 &&
        mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, settings) != MAP_FAILED) {
        return true;
    }
    error = errno;
    (void)munmap(copy, bytes);
    errno = error;
    return false;
}

/* A mapping of a file that was opened for reading alone can never be written; one that is only
 * protected could be again. */
static bool only_read(struct hki_pool_page *page, int fd)
{
    size_t bytes = offsetof(struct hki_pool_page, base);
    int reader = hki_os_open_again_to_read(fd);
    bool is_mapped;

    if (reader < 0) {
        return mprotect(page, bytes, PROT_READ) == 0;
    }
    // cppcheck-suppress leakReturnValNotUsed ; it takes the place of the page
    is_mapped = mmap(page, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, reader, 0) != MAP_FAILED;
    hki_os_close(reader);
    return is_mapped;
}

/* A core file holds nothing of what is hidden: reading all of a sparse file would fill it. */
bool hki_pool_memory_hide(struct hki_pool_page *page, int fd)
{
    size_t hidden = (size_t)(page->arena_at - page->channels_at);
    void *first = hki_pool_at(page, page->channels_at);
    /* On larger pages the settings do not begin one: then all of it is protected as it is. */
    bool is_apart = offsetof(struct hki_pool_page, base) % (size_t)sysconf(_SC_PAGESIZE) == 0;
    bool is_safe = is_apart ? own_settings(page) && only_read(page, fd)
                            : mprotect(page, (size_t)page->channels_at, PROT_READ) == 0;

    return is_safe && mprotect(first, hidden, PROT_NONE) == 0 &&
           madvise(first, hidden, MADV_DONTDUMP) == 0;
}

bool hki_pool_memory_show(const struct hki_pool_page *page, uint32_t index)
{
    struct hki_channel *channel = hki_channel_of(page, index);
    void *extent = hki_pool_at(page, page->overflow_at + index * HKI_OVERFLOW_EXTENT);

    if (mprotect(channel, (size_t)page->channel_stride, PROT_READ | PROT_WRITE) != 0 ||
        mprotect(extent, HKI_OVERFLOW_EXTENT, PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    (void)madvise(channel, (size_t)page->channel_stride, MADV_DODUMP);
    return true;
}

/* Nothing comes to these addresses, as before. */
static bool leave(const struct hki_pool_page *page, uint64_t from, uint64_t to)
{
    return from == to ||
           // cppcheck-suppress leakReturnValNotUsed ; it takes the place of what was there
           mmap(hki_pool_at(page, from), (size_t)(to - from), PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool hki_pool_memory_leave_others(const struct hki_pool_page *page, uint32_t index)
{
    uint64_t channel = page->channels_at + index * page->channel_stride;
    uint64_t extent = page->overflow_at + index * HKI_OVERFLOW_EXTENT;

    return leave(page, page->channels_at, channel) &&
           leave(page, channel + page->channel_stride, extent) &&
           leave(page, extent + HKI_OVERFLOW_EXTENT, page->arena_at);
}

void hki_pool_memory_discard(struct hki_pool_memory *memory, uint64_t offset, uint64_t bytes)
{
    uint64_t unit = page_size();
    uint64_t end = offset + bytes;
    uint64_t first = round_up(offset, unit);
    uint64_t last = end / unit * unit;
    unsigned char *base = (unsigned char *)memory->page;

    /* What has no whole page, or no kernel's help, is set to zero all the same. */
    if (first >= last || !hki_os_memory_discard(base + first, last - first)) {
        memset(base + offset, 0, bytes);
        return;
    }
    memset(base + offset, 0, first - offset);
    memset(base + last, 0, end - last);
}
