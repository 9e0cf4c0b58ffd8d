/* SPDX-License-Identifier: MIT */
/*
 * The model: what each future may have ended with, given what the program did, and what must have
 * been counted. Asked when everything has ended and nobody runs any more.
 */
#ifndef HKT_RANDOM_VERDICT_H
#define HKT_RANDOM_VERDICT_H

/* Fails the program for whatever is not as it has to be. */
void hkt_verdict(void);

#endif
