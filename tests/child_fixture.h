/* SPDX-License-Identifier: MIT */
/*
 * Expectations in a forked child. CUnit there is a copy that nobody asks; so a child
 * says what is wrong on its standard error and leaves with another status than 0.
 */
#ifndef HOCKET_TESTS_CHILD_FIXTURE_H
#define HOCKET_TESTS_CHILD_FIXTURE_H

#include <stdbool.h>

#include "tests/harness.h"

void hkt_child_expect(bool holds, const char *file, int line, const char *text);

#define HKT_CHILD_TRUE(value) hkt_child_expect((value), __FILE__, __LINE__, #value)
#define HKT_CHILD_STATUS(call, expected)                                                           \
    hkt_child_expect((call) == (expected), __FILE__, __LINE__, #call " == " #expected)

/* Runs fn(arg) in a child, and wants a clean and silent exit. */
void hkt_expect_good_child(void (*fn)(void *arg), void *arg);

/* The same, and wants this output. */
void hkt_expect_child_output(void (*fn)(void *arg), void *arg, const char *output);

#endif
