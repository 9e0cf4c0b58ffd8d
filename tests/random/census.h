/* SPDX-License-Identifier: MIT */
/* What this process has: objects of the library, threads, descriptors, children, mappings. */
#ifndef HKT_RANDOM_CENSUS_H
#define HKT_RANDOM_CENSUS_H

/* Before the first program: what is there for good. */
void hkt_census_begin(void);

/* After each: fails the program unless, soon, nothing more is there. */
void hkt_census_check(void);

#endif
