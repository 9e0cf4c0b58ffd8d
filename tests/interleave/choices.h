/* SPDX-License-Identifier: MIT */
/*
 * A run as the choices that were made in it, and all runs one after the other: depth
 * first, each run repeats the choices of the one before up to the last that can still
 * be another.
 */
#ifndef HKT_INTERLEAVE_CHOICES_H
#define HKT_INTERLEAVE_CHOICES_H

#include <stdbool.h>
#include <stddef.h>

/* Before the first run. */
void hkt_choices_reset(void);

/* From 0 to count - 1. */
unsigned hkt_choose(unsigned count);

/* Prepares the same run again. */
void hkt_choices_repeat(void);

/* Prepares the next run; false: all have been. */
bool hkt_choices_next(void);

#endif
