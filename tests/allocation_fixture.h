/* SPDX-License-Identifier: MIT */
/*
 * Failing every allocation of a call in turn.
 *
 * A case is three functions: one makes what the call needs, one is the call, one
 * takes everything away. For n = 1, 2, ... the nth allocation of the call fails,
 * until the call no longer gets that far. Each time it must say HK_ENOMEM, the
 * case may look that nothing happened, and after the clean-up the library holds
 * exactly what it held before.
 */
#ifndef HOCKET_TESTS_ALLOCATION_FIXTURE_H
#define HOCKET_TESTS_ALLOCATION_FIXTURE_H

#include <stdbool.h>

#include <hocket/hocket.h>

struct hkt_allocation_case {
    const char *name;
    void (*prepare)(void);
    hk_status (*call)(void);
    void (*unchanged)(void); /* After HK_ENOMEM; may be NULL. */
    void (*changed)(void);   /* After HK_OK, also when it had to do without; may be NULL. */
    void (*clean)(void);
    /* Allocations it can do without: HK_OK is then right as well. */
    bool copes;
};

/* Runs one case through; every failed expectation names it. How many allocations failed: a case
 * of 0 belongs to those that need none (tests/no_allocation_fixture.h). */
long hkt_fail_each_allocation(const struct hkt_allocation_case *one);

#endif
