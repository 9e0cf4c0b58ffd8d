/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_buffer Buffers
 * @brief Large payloads that move instead of being copied.
 *
 * A buffer belongs to an executor, which knows what memory its workers can
 * reach: the heap for inline and threads, memory shared with the workers for processes.
 *
 * **Thread safety.** One owner at a time.
 * **Ownership.** The creator's, until a submit or a return takes it over.
 * @{
 */
#ifndef HOCKET_BUFFER_H
#define HOCKET_BUFFER_H

#include <hocket/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. */
typedef struct hk_buffer hk_buffer;

/**
 * Make a buffer for an executor.
 *
 * @param executor  Borrowed.
 * @param size      Bytes, not 0.
 * @param[out] out  Owned by the caller; its bytes are not set to anything.
 * @retval HK_OK
 * @retval HK_ENOMEM   Also: the pool's memory (memory_bytes) has no room for it now.
 * @retval HK_EBROKEN  A pool of processes that can serve no more.
 * @retval HK_ETOOBIG  Over the executor's max_payload.
 * @retval HK_EFORKED  The executor belongs to the parent process.
 * @retval HK_EINVAL   A pointer is NULL or @p size is 0.
 */
HK_API HK_MUST_CHECK hk_status hk_buffer_create(hk_executor *executor, size_t size,
                                                hk_buffer **out);

/**
 * Its memory.
 *
 * @param buffer  Borrowed.
 * @return hk_buffer_size() bytes, aligned to 64; NULL for NULL.
 */
HK_API void *hk_buffer_data(hk_buffer *buffer);

/**
 * Its size.
 *
 * @param buffer  Borrowed.
 * @return bytes; 0 for NULL.
 */
HK_API size_t hk_buffer_size(const hk_buffer *buffer);

/**
 * Use less of it than was reserved.
 *
 * @param buffer  Borrowed.
 * @param size    At most what it was created with.
 * @retval HK_OK
 * @retval HK_EINVAL  NULL, or larger.
 */
HK_API hk_status hk_buffer_set_size(hk_buffer *buffer, size_t size);

/**
 * Release it.
 *
 * @param buffer  Taken; NULL is allowed.
 */
HK_API void hk_buffer_destroy(hk_buffer *buffer);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
