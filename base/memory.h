/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the library goes through here, so that an application's
 * allocator sees all of it and a test can make any of it fail.
 */
#ifndef HOCKET_BASE_MEMORY_H
#define HOCKET_BASE_MEMORY_H

#include <hocket/memory.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Uninitialised memory for any type; NULL when there is none. size is not 0. */
__attribute__((malloc)) void *hki_alloc(size_t size);

/* The same, set to zero. */
__attribute__((malloc)) void *hki_zalloc(size_t size);

/* size as it was asked for; memory may be NULL. */
void hki_free(void *memory, size_t size);

/* A block that knows its size, so that it can be released as a value. */
__attribute__((malloc)) void *hki_block_alloc(size_t size);
void hki_block_free(void *memory);

/* A copy of text as a block; NULL without memory. */
__attribute__((malloc)) char *hki_block_text(const char *text);

/* Test hook: the nth allocation of this process from now on fails (1: the very
 * next), once. 0 switches it off. Returns how many were still to go. */
long hki_memory_fail_at(long nth);

/* --- For caches (base/slab.c) --- */

/* Why a cache may not serve just like that: one look tells that there is no reason. */
enum hki_memory_reason {
    HKI_MEMORY_UNSETTLED = 1, /* hki_memory_settle() has not been asked. */
    HKI_MEMORY_UNCACHED = 2,  /* By the build, or by HOCKET_ALLOC. */
    HKI_MEMORY_FOREIGN = 4,   /* An allocator of the application is set. */
    HKI_MEMORY_FAILING = 8    /* hki_memory_fail_at() is counting. */
};

extern atomic_uint hki_memory_reasons;

/* Reads HOCKET_ALLOC, once; the reasons that are left. Before the first object of a cache. */
unsigned hki_memory_settle(void);

/* Counts an allocation down; whether it has to fail. */
bool hki_memory_should_fail(void);

#define HKI_MEMORY_HUGE ((size_t)2 * 1024 * 1024)

/* What a cache keeps: from malloc, whatever allocator is set, and not counted. */
void *hki_memory_store_alloc(size_t size);
/* HKI_MEMORY_HUGE bytes, and as much aligned: a page of that size, if the kernel likes. */
void *hki_memory_store_alloc_huge(void);
void hki_memory_store_free(void *memory);

#endif
