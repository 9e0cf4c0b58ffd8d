/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_memory Memory
 * @brief Where the library's memory comes from, and how much there is.
 *
 * By default everything comes from malloc, so an application that links jemalloc
 * gets jemalloc. An application with an allocator of its own names it once,
 * before anything else.
 *
 * Small objects of one size (futures with their tasks, promises, callbacks) come from
 * slabs, blocks of malloc of some 100 KiB to 1 MiB, and what is released is kept for the next
 * ones: up to 128 of a kind for each thread, the others for all. What was not needed for a second
 * or more goes back by halves, as long as the program makes new ones, but for some 2 MiB of a
 * kind. Each object is allocated and released by itself with HOCKET_ALLOC=malloc in the
 * environment, in a build with AddressSanitizer or ThreadSanitizer (unless HOCKET_ALLOC=cache),
 * and while an allocator of the application's is set.
 *
 * **Thread safety.** hk_allocator_set() belongs before any other call; the rest
 * may be called from any thread.
 * @{
 */
#ifndef HOCKET_MEMORY_H
#define HOCKET_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <hocket/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Releases something that was handed over by reference. Called exactly once. */
typedef void hk_drop_fn(void *value);

/** An allocator of the application's own. */
typedef struct hk_allocator {
    /**
     * Return @p size bytes aligned for any type, or NULL. @p size is never 0.
     */
    void *(*allocate)(size_t size, void *arg);
    /**
     * Release what allocate returned. @p size is the size that was asked for;
     * @p memory is never NULL.
     */
    void (*release)(void *memory, size_t size, void *arg);
    /** Handed to both functions. */
    void *arg;
} hk_allocator;

/**
 * Use the application's allocator from now on.
 *
 * @param allocator  Copied; NULL goes back to malloc.
 * @retval HK_OK
 * @retval HK_EINVAL  A function pointer is missing.
 * @retval HK_ESTATE  Memory of the library is in use: too late.
 */
HK_API HK_MUST_CHECK hk_status hk_allocator_set(const hk_allocator *allocator);

/** What hk_memory_stats() fills in; all in bytes but the counts. */
typedef struct hk_memory_statistics {
    uint64_t live_blocks; /**< Blocks the library holds now, without what is kept for the next. */
    uint64_t live_bytes;  /**< Bytes the library holds now, likewise. */
    uint64_t allocations; /**< Blocks it ever asked for. */
    uint64_t process_allocated;    /**< Bytes the process's allocator has handed out. */
    uint64_t process_resident;     /**< Bytes it keeps in physical memory; 0 if it cannot say. */
    const char *process_allocator; /**< "jemalloc" or "malloc": whose figures those are. */
    uint64_t reserved[8];          /**< For later versions; 0. */
} hk_memory_statistics;

/**
 * Read the counters of the library and of the process's allocator.
 *
 * jemalloc is recognised by a weak reference to mallctl and by whether its
 * counter moves with a malloc (the test that folly uses); without it the
 * figures come from mallinfo2.
 *
 * @param[out] statistics  Filled in.
 * @retval HK_OK
 * @retval HK_EINVAL  @p statistics is NULL.
 *
 * Cost: some microseconds.
 */
HK_API hk_status hk_memory_stats(hk_memory_statistics *statistics);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
