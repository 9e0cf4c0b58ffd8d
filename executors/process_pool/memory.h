/* SPDX-License-Identifier: MIT */
/*
 * The memory of a pool: one memfd, sealed against change of size, mapped in a range of
 * addresses that the process reserved before its zygote was forked, so that the zygote and
 * every worker can map it at the same place. References: the pool's, and one for each
 * result that a future still shows.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_MEMORY_H
#define HOCKET_EXECUTORS_PROCESS_POOL_MEMORY_H

#include <hocket/status.h>

#include <stddef.h>

#include "executors/process_pool/layout.h"

struct hki_pool_memory {
    atomic_uint references;
    struct hki_pool_page *page;
    size_t bytes;
    int fd;              /* Until it has been sent to the zygote; -1 after. */
    uint32_t generation; /* Of the process it was made in. */
    /* Of each channel: results in its worker's extent that futures still show. */
    atomic_uint views[HKI_CHANNELS_MAX];
};

/* Reserves the addresses, once for the process: before the zygote's fork. HK_ESYS with errno. */
hk_status hki_pool_addresses_reserve(void);

/* In the zygote: a region of another pool or process goes to, or comes from, its address
 * again. Unmapping leaves the reservation. -1 with errno. */
int hki_pool_memory_map_fixed(void *address, size_t bytes, int fd);
void hki_pool_memory_unmap_fixed(void *address, size_t bytes);

/* In the zygote, for its workers to inherit: the page is read only, and cannot be made anything
 * else where its file can be opened anew; its settings are a copy; and what belongs to one worker
 * is out of reach. False with errno. */
bool hki_pool_memory_hide(struct hki_pool_page *page, int fd);
/* In a worker: its own channel and extent are within reach again. False with errno. */
bool hki_pool_memory_show(const struct hki_pool_page *page, uint32_t index);
/* In a worker that is confined, which may still change the access to what it has mapped: what
 * belongs to the others is not mapped any more. False with errno. */
bool hki_pool_memory_leave_others(const struct hki_pool_page *page, uint32_t index);

/*
 * Makes one for so many channels and bytes of arena, with the layout of the page filled in
 * and all that must not fail later allocated: the page and the channels (not their pages of
 * results, nor the arena, which are sparse). HK_ENOMEM (also: no addresses left), HK_ESYS
 * with errno (the kernel refused).
 */
hk_status hki_pool_memory_create(uint32_t channels, uint64_t arena_bytes,
                                 struct hki_pool_memory **out);
struct hki_pool_memory *hki_pool_memory_ref(struct hki_pool_memory *memory);

/* The last one unmaps it and gives the addresses back; safe on any thread. In a forked child
 * it forgets it without touching what the parent uses. */
void hki_pool_memory_unref(struct hki_pool_memory *memory);

/* Gives the pages of a range back to the system; they read as zero afterwards. */
void hki_pool_memory_discard(struct hki_pool_memory *memory, uint64_t offset, uint64_t bytes);

/* What errno means after the system refused memory: HK_ENOMEM or HK_ESYS. */
hk_status hki_pool_memory_refused(void);

#endif
