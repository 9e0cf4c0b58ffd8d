/* SPDX-License-Identifier: MIT */
/* What a worker may do whose memory a task has overwritten: anything within its reach. */
#ifndef HOCKET_TESTS_FUZZ_HOSTILE_H
#define HOCKET_TESTS_FUZZ_HOSTILE_H

#include "tests/fuzz/fake_zygote.h"
#include "tests/fuzz/fuzz.h"

/* One move of its, as the input says. */
void hkf_hostile_move(struct hkf_worker *worker, struct hkf_input *input);

#endif
