/* SPDX-License-Identifier: MIT */
/*
 * Memory that changes between two reads. The fuzzer's build calls a function before every load
 * of the library (-fsanitize-coverage=trace-loads); when one reads from the range that a
 * worker may write to, the bytes that are about to be read change, once, at a moment that the
 * input chooses. So what is checked and then read again is found without a second thread, and
 * the same way each time. In other builds nothing changes.
 */
#ifndef HOCKET_TESTS_FUZZ_SCRIBBLE_H
#define HOCKET_TESTS_FUZZ_SCRIBBLE_H

#include <stddef.h>
#include <stdint.h>

/* What may change. */
void hkf_scribble_where(void *memory, size_t bytes);

/* Before the load that follows `loads` others, the mask is xored into what it reads. */
void hkf_scribble_arm(unsigned loads, uint64_t mask);
void hkf_scribble_disarm(void);

#endif
