/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/live.h"

void hkf_fail(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    abort();
}

/* --- reading --- */

void hkf_bytes(struct hkf_input *input, void *to, size_t size)
{
    size_t there = size < input->left ? size : input->left;

    memset(to, 0, size);
    if (there != 0) {
        memcpy(to, input->at, there);
        input->at += there;
        input->left -= there;
    }
}

uint8_t hkf_u8(struct hkf_input *input)
{
    uint8_t value;

    hkf_bytes(input, &value, sizeof(value));
    return value;
}

uint16_t hkf_u16(struct hkf_input *input)
{
    uint16_t value;

    hkf_bytes(input, &value, sizeof(value));
    return value;
}

uint32_t hkf_u32(struct hkf_input *input)
{
    uint32_t value;

    hkf_bytes(input, &value, sizeof(value));
    return value;
}

uint64_t hkf_u64(struct hkf_input *input)
{
    uint64_t value;

    hkf_bytes(input, &value, sizeof(value));
    return value;
}

unsigned hkf_pick(struct hkf_input *input, unsigned count)
{
    return hkf_u8(input) % count;
}

/* --- wanting --- */

void hkf_touch(const void *bytes, size_t size)
{
    static volatile unsigned char sink;
    const volatile unsigned char *at = bytes;
    unsigned char sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum = (unsigned char)(sum + at[i]);
    }
    sink = sum;
    (void)sink;
}

static void ignore_line(hk_log_level level, const char *line, void *arg)
{
    (void)level;
    (void)line;
    (void)arg;
}

static void ignore_failure(const hk_error *error, void *arg)
{
    (void)error;
    (void)arg;
}

void hkf_be_quiet(void)
{
    static bool is_quiet;

    if (!is_quiet) {
        is_quiet = true;
        hk_on_log(ignore_line, NULL);
        hk_on_unobserved(ignore_failure, NULL);
    }
}

size_t hkf_alive(void)
{
    return hki_live_total(NULL, 0);
}

void hkf_want_alive(size_t before)
{
    enum { LOOKS = 2000000 };
    char text[512];

    for (unsigned looks = 0; looks < LOOKS; looks++) {
        if (hki_live_total(NULL, 0) == before) {
            return;
        }
        sched_yield();
    }
    (void)hki_live_total(text, sizeof(text));
    hkf_fail(text, __FILE__, __LINE__);
}
