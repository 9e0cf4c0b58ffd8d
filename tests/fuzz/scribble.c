/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/scribble.h"

#include <stdbool.h>
#include <string.h>

static uintptr_t begin;
static size_t length;
static _Thread_local bool is_armed; /* The thread of the test alone. */
static _Thread_local unsigned left;
static _Thread_local uint64_t change;

void hkf_scribble_where(void *memory, size_t bytes)
{
    begin = (uintptr_t)memory;
    length = bytes;
}

void hkf_scribble_arm(unsigned loads, uint64_t mask)
{
    left = loads;
    change = mask;
    is_armed = true;
}

void hkf_scribble_disarm(void)
{
    is_armed = false;
}

#ifdef HOCKET_FUZZ

/* Their own loads call nobody. */
#define UNSEEN __attribute__((no_sanitize("coverage")))

UNSEEN static void before_load(void *address, size_t size)
{
    unsigned char *bytes = address;

    if (!is_armed || (uintptr_t)address - begin >= length) {
        return;
    }
    if (left-- != 0) {
        return;
    }
    is_armed = false;
    for (size_t i = 0; i < size && i < sizeof(change); i++) {
        bytes[i] ^= (unsigned char)(change >> (8 * i));
    }
}

void __sanitizer_cov_load1(uint8_t *address);
void __sanitizer_cov_load2(uint16_t *address);
void __sanitizer_cov_load4(uint32_t *address);
void __sanitizer_cov_load8(uint64_t *address);
void __sanitizer_cov_load16(void *address);

UNSEEN void __sanitizer_cov_load1(uint8_t *address)
{
    before_load(address, 1);
}

UNSEEN void __sanitizer_cov_load2(uint16_t *address)
{
    before_load(address, 2);
}

UNSEEN void __sanitizer_cov_load4(uint32_t *address)
{
    before_load(address, 4);
}

UNSEEN void __sanitizer_cov_load8(uint64_t *address)
{
    before_load(address, 8);
}

UNSEEN void __sanitizer_cov_load16(void *address)
{
    before_load(address, 16);
}

#endif
