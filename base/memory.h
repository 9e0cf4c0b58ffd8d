/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the library goes through here, so that an application's
 * allocator sees all of it and a test can make any of it fail.
 */
#ifndef HOCKET_BASE_MEMORY_H
#define HOCKET_BASE_MEMORY_H

#include <hocket/memory.h>

#include <stddef.h>

/* Uninitialised memory for any type; NULL when there is none. size is not 0. */
__attribute__((malloc)) void *hki_alloc(size_t size);

/* The same, set to zero. */
__attribute__((malloc)) void *hki_zalloc(size_t size);

/* size as it was asked for; memory may be NULL. */
void hki_free(void *memory, size_t size);

/* A block that knows its size, so that callers can be handed it: hk_free(). */
__attribute__((malloc)) void *hki_block_alloc(size_t size);

/* A copy of text as a block; NULL without memory. */
__attribute__((malloc)) char *hki_block_text(const char *text);

/* Test hook: the nth allocation of this process from now on fails (1: the very
 * next), once. 0 switches it off. Returns how many were still to go. */
long hki_memory_fail_at(long nth);

#endif
