/* SPDX-License-Identifier: MIT */
/* Buffers on the heap, for executors that share memory: one allocation, the
 * header in front, the bytes on a cache line of their own. */
#include "executors/buffer_impl.h"

#include "base/live.h"
#include "base/memory.h"
#include "executors/executor_impl.h"

enum { LINE_BYTES = 64 };

hk_status hk_buffer_create(hk_executor *executor, size_t size, hk_buffer **out)
{
    hk_status status;
    hk_buffer *buffer;
    size_t whole;

    if (out == NULL || size == 0) {
        return HK_EINVAL;
    }
    if ((status = hki_executor_usable(executor)) != HK_OK) {
        return status;
    }
    if (size > executor->max_payload ||
        __builtin_add_overflow(size, sizeof(*buffer) + LINE_BYTES, &whole)) {
        return HK_ETOOBIG;
    }
    if (executor->traits->remote != NULL) {
        return executor->traits->remote->buffer_create(executor->self, size, out);
    }
    if ((buffer = hki_alloc(whole)) == NULL) {
        return HK_ENOMEM;
    }
    buffer->executor = executor;
    buffer->size = size;
    buffer->capacity = size;
    buffer->block_bytes = whole;
    buffer->release = NULL;
    buffer->data =
        (void *)(((uintptr_t)(buffer + 1) + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1));
    hki_live_add(HKI_LIVE_BUFFERS, 1);
    *out = buffer;
    return HK_OK;
}

void *hk_buffer_data(hk_buffer *buffer)
{
    return buffer == NULL ? NULL : buffer->data;
}

size_t hk_buffer_size(const hk_buffer *buffer)
{
    return buffer == NULL ? 0 : buffer->size;
}

hk_status hk_buffer_set_size(hk_buffer *buffer, size_t size)
{
    if (buffer == NULL || size > buffer->capacity) {
        return HK_EINVAL;
    }
    buffer->size = size;
    return HK_OK;
}

void hk_buffer_destroy(hk_buffer *buffer)
{
    if (buffer != NULL) {
        if (buffer->release != NULL) {
            buffer->release(buffer);
        }
        hki_free(buffer, buffer->block_bytes);
        hki_live_add(HKI_LIVE_BUFFERS, -1);
    }
}
