/* SPDX-License-Identifier: MIT */
/* What the files of the harness share with one another, not with the suites. */
#ifndef HOCKET_TESTS_HARNESS_IMPL_H
#define HOCKET_TESTS_HARNESS_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>

/* --- Failures (harness_check.c) --- */

/* Called on the test's own thread before each test: forgets failures counted so far. */
void hkt_checks_begin(void);

/* Turns failures of other threads into one CUnit failure. */
void hkt_checks_end(void);

/* --- Leaks (harness_leaks.c) --- */

/* Called once, before the first test. */
void hkt_leaks_prepare(void);

void hkt_leaks_begin(void);

/* Adds a CUnit failure for everything that is there now and was not before. */
void hkt_leaks_end(void);

/* Whether LeakSanitizer, if it is there, finds memory that nothing points to. */
bool hkt_leaks_memory(void);

/* --- Watchdog (harness_watchdog.c) --- */

/* The limit for one test, and for one wait in it. */
unsigned hkt_watchdog_seconds(void);

void hkt_watchdog_install(void);
void hkt_watchdog_start(const char *suite, const char *test);
void hkt_watchdog_stop(void);

/* Prints why, and every thread's stack, then ends the program with a core. */
_Noreturn void hkt_die(const char *why, const char *name);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t hkt_now_ns(void);

/* --- Executors (harness_executors.c) --- */

/* Called before each test: forgets the executors made so far. */
void hkt_executors_begin(void);

/* Kinds of those made since, also by child processes: "threads:1 processes". */
void hkt_executors_text(char *text, size_t size);

/* --- JUnit report (harness_junit.c) --- */

/* Opens the report; false when the file cannot be written. */
bool hkt_junit_open(const char *path, const char *program);
/* A test starts; until hkt_junit_test() it is the one in which the program died. */
void hkt_junit_running(const char *suite, const char *test);
/* reason: why it does not apply to this executor; NULL if it does. */
void hkt_junit_test(const char *suite, const char *test, int64_t elapsed_ns,
                    const CU_FailureRecord *failures, const char *reason);
/* A failure that belongs to no test, such as a suite that could not start. */
void hkt_junit_suite_failure(const char *suite, const char *text);
bool hkt_junit_close(void);

#endif
