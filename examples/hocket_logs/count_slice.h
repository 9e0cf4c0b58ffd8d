/* SPDX-License-Identifier: MIT */
/*
 * The one task of this program: a packed unit in, a packed outcome and tally out.
 */
#ifndef HOCKET_LOGS_COUNT_SLICE_H
#define HOCKET_LOGS_COUNT_SLICE_H

#include <hocket/hocket.h>

#include <stdint.h>

HK_TASK_DECLARE(count_slice);

/* Puts the number below where the processes see it that are forked from now on. */
void count_slice_share_live_bytes(void);

/* Bytes of input that tasks have read so far. An ornament for the progress bar: where tasks
 * run elsewhere it may stay 0, what dead workers read is counted twice, and nothing depends on
 * it. */
uint64_t count_slice_live_bytes(void);

#endif
