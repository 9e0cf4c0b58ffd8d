/* SPDX-License-Identifier: MIT */
/*
 * Assertions that print both values, on any thread.
 *
 * CUnit keeps its results in globals without a lock, and a fatal assertion is a
 * jump to the test's own stack. So only the test's own thread talks to CUnit;
 * the others print what failed at once and leave a count, which the end of the
 * test turns into a failure.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hocket/status.h>

#include "tests/harness.h"
#include "tests/harness_impl.h"

enum { TEXT_SIZE = 1024 };

static pthread_t test_thread;
static pid_t test_process;
static atomic_uint *failures_elsewhere; /* Counted by worker processes too. */

__attribute__((constructor)) static void share_count(void)
{
    failures_elsewhere = hkt_shared_new(sizeof(*failures_elsewhere));
}

void hkt_checks_begin(void)
{
    test_thread = pthread_self();
    test_process = getpid();
    atomic_store(failures_elsewhere, 0);
}

/* A forked process's only thread has the number of the one that forked it. */
static bool is_test_thread(void)
{
    return pthread_equal(pthread_self(), test_thread) && getpid() == test_process;
}

void hkt_checks_end(void)
{
    unsigned count = hkt_fail_count();

    if (count > 0) {
        char text[TEXT_SIZE];

        snprintf(text, sizeof(text), "%u failure(s) on other threads or in workers, printed above",
                 count);
        CU_assertImplementation(CU_FALSE, __LINE__, text, __FILE__, "", CU_FALSE);
    }
}

unsigned hkt_fail_count(void)
{
    return atomic_load(failures_elsewhere);
}

void hkt_fail(struct hkt_site site, const char *text)
{
    if (is_test_thread()) {
        CU_assertImplementation(CU_FALSE, (unsigned)site.line, text, site.file, "",
                                site.fatal ? CU_TRUE : CU_FALSE);
        return;
    }
    fprintf(stderr, "\n    %s:%d  - on another thread: %s\n", site.file, site.line, text);
    atomic_fetch_add(failures_elsewhere, 1);
    if (site.fatal) {
        hkt_die("a fatal assertion failed on another thread", text);
    }
}

_Noreturn void hkt_never_returns(void)
{
    hkt_die("a fatal assertion returned", "hkt_never_returns");
}

/* Counts an assertion that holds, as CUnit does for its own. */
static bool pass(struct hkt_site site)
{
    if (is_test_thread()) {
        CU_assertImplementation(CU_TRUE, (unsigned)site.line, "", site.file, "", CU_FALSE);
    }
    return true;
}

__attribute__((format(printf, 2, 3))) static bool fail(struct hkt_site site, const char *format,
                                                       ...)
{
    char text[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    hkt_fail(site, text);
    return false;
}

bool hkt_check_true(struct hkt_site site, bool value, const char *text)
{
    return value ? pass(site) : fail(site, "%s is false", text);
}

bool hkt_check_int(struct hkt_site site, intmax_t actual, intmax_t expected, const char *text)
{
    return actual == expected
               ? pass(site)
               : fail(site, "%s is %" PRIdMAX ", expected %" PRIdMAX, text, actual, expected);
}

bool hkt_check_ptr(struct hkt_site site, const void *actual, const void *expected, const char *text)
{
    return actual == expected ? pass(site)
                              : fail(site, "%s is %p, expected %p", text, actual, expected);
}

bool hkt_check_str(struct hkt_site site, const char *actual, const char *expected, const char *text)
{
    if (actual == NULL || expected == NULL) {
        return actual == expected
                   ? pass(site)
                   : fail(site, "%s is %s, expected %s", text, actual != NULL ? actual : "NULL",
                          expected != NULL ? expected : "NULL");
    }
    return strcmp(actual, expected) == 0
               ? pass(site)
               : fail(site, "%s is \"%s\", expected \"%s\"", text, actual, expected);
}

bool hkt_check_status(struct hkt_site site, int actual, int expected, const char *text)
{
    return actual == expected ? pass(site)
                              : fail(site, "%s gave %s (%d), expected %s (%d)", text,
                                     hk_status_name((hk_status)actual), actual,
                                     hk_status_name((hk_status)expected), expected);
}
