/* SPDX-License-Identifier: MIT */
/* Runs the program of the stage, from its first operation to the verdict. */
#ifndef HKT_RANDOM_RUN_H
#define HKT_RANDOM_RUN_H

/* Once in a process, while it has one thread. */
void hkt_run_prepare(void);

void hkt_run_program(void);

#endif
