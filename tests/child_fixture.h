/* SPDX-License-Identifier: MIT */
/*
 * Expectations in a forked child. CUnit there is a copy that nobody asks; so a child
 * says what is wrong on its standard error and leaves with another status than 0.
 */
#ifndef HOCKET_TESTS_CHILD_FIXTURE_H
#define HOCKET_TESTS_CHILD_FIXTURE_H

#include "tests/harness.h"

/* Says it and leaves. */
_Noreturn void hkt_child_is_wrong(const char *file, int line, const char *text);

#define HKT_CHILD_TRUE(value)                                                                      \
    do {                                                                                           \
        if (!(value)) {                                                                            \
            hkt_child_is_wrong(__FILE__, __LINE__, #value);                                        \
        }                                                                                          \
    } while (0)
#define HKT_CHILD_STATUS(call, expected) HKT_CHILD_TRUE((call) == (expected))

/* Runs fn(arg) in a child, and wants a clean and silent exit. */
void hkt_expect_good_child(void (*fn)(void *arg), void *arg);

/* The same, and wants this output. */
void hkt_expect_child_output(void (*fn)(void *arg), void *arg, const char *output);

#endif
