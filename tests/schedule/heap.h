/* SPDX-License-Identifier: MIT */
/*
 * The memory that the library gets in a round: always at the same addresses, so that a seed
 * tells them, too. What was released is filled with a pattern, which must still be there when
 * the round ends or the place is used again. A sanitizer's build uses malloc.
 */
#ifndef HKT_SCHEDULE_HEAP_H
#define HKT_SCHEDULE_HEAP_H

/* Once, before the first round. */
void hkt_heap_reserve(void);

/* In a round's process: the library's memory comes from here. */
void hkt_heap_begin(void);

/* At the end of a round: fails it if something was written where nobody had it, or if the
 * library still counts objects. */
void hkt_heap_check(void);

#endif
