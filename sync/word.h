/* SPDX-License-Identifier: MIT */
/*
 * Words of public structs, and sleeping until one of them says so.
 *
 * Public structs hold plain unsigned words, since C++ has no _Atomic; the library
 * reaches them through these casts and in no other way, so every access is atomic.
 */
#ifndef HOCKET_SYNC_WORD_H
#define HOCKET_SYNC_WORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sync/wait_graph.h"

_Static_assert(sizeof(_Atomic(uint32_t)) == sizeof(uint32_t), "a word can be used as an atomic");
_Static_assert(sizeof(_Atomic(uint64_t)) == sizeof(uint64_t), "a word can be used as an atomic");

static inline _Atomic(uint32_t) *hki_word(const uint32_t *word)
{
    return (_Atomic(uint32_t) *)word;
}

static inline _Atomic(uint64_t) *hki_wide_word(const uint64_t *word)
{
    return (_Atomic(uint64_t) *)word;
}

/* The half of a wide word that holds its low 32 bits, for futex calls, which know
 * no wide words. */
static inline _Atomic(uint32_t) *hki_low_half(const uint64_t *word)
{
    const uint64_t one = 1;
    uint32_t first;

    __builtin_memcpy(&first, &one, sizeof(first));
    return (_Atomic(uint32_t) *)word + (first == 1 ? 0 : 1);
}

/* A wait for something that a futex word tells of. */
struct hki_sleep {
    struct hki_wait_node node;
    /* Whether it is there, which may take it. If not: *expected is what the word holds
     * as long as there is no need to look again. */
    bool (*ready)(struct hki_sleep *sleep, uint32_t *expected);
    _Atomic(uint32_t) *word; /* Not touched again once ready() was true. */
    int64_t deadline_ns;
};

/* Sleeps until it is ready. HK_ETIMEDOUT, HK_EDEADLK, HK_ENOMEM: it was not. */
hk_status hki_sleep(struct hki_sleep *sleep);

#endif
