/* SPDX-License-Identifier: MIT */
/* Makes a program that fails smaller. */
#ifndef HKT_RANDOM_SHRINK_H
#define HKT_RANDOM_SHRINK_H

#include "tests/random/trial.h"

/* Leaves out and simplifies operations of the program as long as it still fails in the way the
 * trial tells, in some of so many runs, which it finds out itself. The trial then tells how the
 * smaller one failed. False: it did not fail so again, and is as it was. */
bool hkt_shrink(struct hkt_trial *trial, const struct hkt_trial_setup *setup,
                struct hkt_program *program, unsigned seconds, bool is_quiet);

#endif
