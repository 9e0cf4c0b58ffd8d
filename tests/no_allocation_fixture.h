/* SPDX-License-Identifier: MIT */
/*
 * Rows of calls that need no memory.
 *
 *     HKT_NEEDS_NO_MEMORY(hk_event_set, HKT_OK(hk_event_set(&event)));
 *
 * runs the statement and counts the allocations of the whole process meanwhile: one is a
 * failure. So no other thread may be at work. scripts/check_allocation_rows.py reads the first
 * argument: the name of the public function, without an _at.
 */
#ifndef HOCKET_TESTS_NO_ALLOCATION_FIXTURE_H
#define HOCKET_TESTS_NO_ALLOCATION_FIXTURE_H

#include "tests/harness.h"

/* Counts from now on. */
void hkt_allocations_begin(void);

/* What was counted, which nothing fails. */
long hkt_allocations_end(void);

#define HKT_NEEDS_NO_MEMORY(function, statement)                                                   \
    do {                                                                                           \
        hkt_allocations_begin();                                                                   \
        statement;                                                                                 \
        hkt_check_int(HKT_SITE(false), hkt_allocations_end(), 0, #function " allocates");          \
    } while (0)

#endif
