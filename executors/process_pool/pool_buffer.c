/* SPDX-License-Identifier: MIT */
/* Buffers that the workers see: the bytes in the pool's memory, the header in ours. */
#include "base/live.h"
#include "base/memory.h"
#include "executors/buffer_impl.h"
#include "executors/process_pool/pool.h"

struct pool_buffer {
    hk_buffer buffer; /* First. */
    struct chunk *chunk;
};

static void release(hk_buffer *buffer)
{
    hki_chunk_release(((struct pool_buffer *)(void *)buffer)->chunk);
}

hk_status hki_pool_buffer_create(void *self, size_t size, hk_buffer **out)
{
    struct process_pool *pool = self;
    struct pool_buffer *made;

    if (atomic_load(&pool->executor->broken) != NULL) {
        return HK_EBROKEN; /* A worker that is about to die may still write there. */
    }
    made = hki_alloc(sizeof(*made));
    if (made == NULL) {
        return HK_ENOMEM;
    }
    if (hki_chunk_reserve(pool, size, &made->chunk) != HK_OK) {
        hki_free(made, sizeof(*made));
        return HK_ENOMEM;
    }
    made->buffer = (hk_buffer){.executor = pool->executor,
                               .size = size,
                               .capacity = size,
                               .block_bytes = sizeof(*made),
                               .data = hki_pool_at(pool->page, made->chunk->at),
                               .release = release};
    hki_live_add(HKI_LIVE_BUFFERS, 1);
    *out = &made->buffer;
    return HK_OK;
}

struct chunk *hki_pool_buffer_chunk(const struct process_pool *pool, const hk_job *job)
{
    const unsigned char *data = job->input.data;
    const unsigned char *arena = hki_pool_at(pool->page, pool->page->arena_at);

    /* Nothing else of a job lies in the arena while it is queued. */
    if (job->copied || job->input.owner == NULL || data < arena ||
        data >= arena + pool->page->arena_bytes) {
        return NULL;
    }
    return ((struct pool_buffer *)job->input.owner)->chunk;
}
