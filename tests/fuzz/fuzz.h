/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target takes any bytes and must come back, with every
 * promise kept; what it wants is said with HKF_WANT(), which ends the process.
 *
 * With clang and -DHOCKET_FUZZ=ON it is linked with libFuzzer; in every other build with
 * replay.c, which feeds it the files of its corpus, so that what was once found stays mended.
 */
#ifndef HOCKET_TESTS_FUZZ_FUZZ_H
#define HOCKET_TESTS_FUZZ_FUZZ_H

#include <hocket/hocket.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Says what was wanted and where, and aborts. */
_Noreturn void hkf_fail(const char *what, const char *file, int line);

#define HKF_WANT(condition) ((condition) ? (void)0 : hkf_fail(#condition, __FILE__, __LINE__))

/* The input, read from its front; all zero behind its end. */
struct hkf_input {
    const uint8_t *at;
    size_t left;
};

uint8_t hkf_u8(struct hkf_input *input);
uint16_t hkf_u16(struct hkf_input *input);
uint32_t hkf_u32(struct hkf_input *input);
uint64_t hkf_u64(struct hkf_input *input);

/* 0 to count - 1; count is at most 256. */
unsigned hkf_pick(struct hkf_input *input, unsigned count);

/* As many bytes as there are, and zeros for the rest. */
void hkf_bytes(struct hkf_input *input, void *to, size_t size);

/* Reads every byte of a value, so that one which is not there is a crash here. */
void hkf_touch(const void *bytes, size_t size);

/* Nothing is logged, and no failure told, by this process: hostile input makes plenty. */
void hkf_be_quiet(void);

/* What is alive, and that it is as much again later. A worker thread may be on its way out. */
size_t hkf_alive(void);
void hkf_want_alive(size_t before);

#endif
