/* SPDX-License-Identifier: MIT */
/*
 * An executor that says it shares no memory, and runs everything in this process: what
 * travels to it travels as bytes, and a test can look at them, or lose them.
 */
#ifndef HOCKET_TESTS_ELSEWHERE_FIXTURE_H
#define HOCKET_TESTS_ELSEWHERE_FIXTURE_H

#include "executors/call.h"
#include "tests/fixture.h"

enum { HKT_HELD_MAX = 8 };

struct hkt_elsewhere {
    hk_executor *executor;
    bool holds;                 /* Keeps jobs instead of running them inside the submit. */
    hk_job *held[HKT_HELD_MAX]; /* The test's to run or discard. */
    size_t held_count;
    size_t largest_input; /* Of the jobs that came, in bytes. */
};

void hkt_elsewhere_open(struct hkt_elsewhere *elsewhere, const hk_executor_options *options);
void hkt_elsewhere_close(struct hkt_elsewhere *elsewhere);

/* Runs a held job's task as a worker process does, by a call with a link: its result comes
 * into `area` (16 aligned), or, if that is too small, into a block.
 */
struct hkt_result {
    unsigned char *area;
    size_t area_size;
    hk_status status;
    unsigned char *bytes; /* In the area, or a block for hki_block_free(). */
    size_t size;
};

void hkt_run_by_link(hk_job *job, struct hkt_result *result);

#endif
