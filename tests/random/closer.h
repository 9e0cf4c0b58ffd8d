/* SPDX-License-Identifier: MIT */
/* A thread that gives up, after a while, what the program left open: so whoever waits for a
 * promise without a limit waits for something that comes. */
#ifndef HKT_RANDOM_CLOSER_H
#define HKT_RANDOM_CLOSER_H

void hkt_closer_start(void);

/* The promise of this operation. */
void hkt_closer_watch(int op);

/* Gives everything up, and ends the thread. */
void hkt_closer_stop(void);

#endif
