/* SPDX-License-Identifier: MIT */
/*
 * A JUnit report with one testcase for each CUnit test. CUnit's own writer
 * aborts at the first failed assertion, so this one is ours.
 *
 * The counts stand in the first element, so the cases are kept in memory and the
 * file is written anew for each test. While a test runs it stands there as an
 * error: if the program dies in it, the report is whole and names it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness.h"
#include "tests/harness_impl.h"

static FILE *cases; /* The testcases so far, in memory. */
static const char *report_path;
static bool is_written = true; /* Every time so far. */
static char *cases_text;
static size_t cases_size;
static const char *program_name;
static unsigned tests_total;
static unsigned tests_failed;
static int64_t elapsed_total_ns;

/* XML has no way at all to write most control characters. */
static void write_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        switch (c) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\n':
        case '\t':
            fprintf(out, "&#%d;", c);
            break;
        default:
            fputc(c >= 0x20 && c < 0x7f ? c : '?', out);
        }
    }
}

static void write_attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    write_escaped(out, value);
    fputc('"', out);
}

static void write_seconds(FILE *out, int64_t elapsed_ns)
{
    fprintf(out, " time=\"%" PRId64 ".%06" PRId64 "\"", elapsed_ns / 1000000000,
            elapsed_ns % 1000000000 / 1000);
}

static void write_case_start(FILE *out, const char *suite, const char *test, int64_t elapsed_ns)
{
    char class_name[512];

    snprintf(class_name, sizeof(class_name), "%s[%s]", suite, hkt_executor_spec());
    fputs("    <testcase", out);
    write_attribute(out, "classname", class_name);
    write_attribute(out, "name", test);
    write_seconds(out, elapsed_ns);
    fputs(">\n", out);
}

static void begin_case(const char *suite, const char *test, int64_t elapsed_ns)
{
    char executors[128];

    write_case_start(cases, suite, test, elapsed_ns);
    hkt_executors_text(executors, sizeof(executors));
    fprintf(cases, "      <properties><property name=\"executors\" value=\"%s\"/></properties>\n",
            executors);
    tests_total++;
    elapsed_total_ns += elapsed_ns;
}

static void write_failure(const char *file, unsigned line, const char *text)
{
    fputs("      <failure", cases);
    write_attribute(cases, "message", text);
    fputs(">", cases);
    write_escaped(cases, file);
    fprintf(cases, ":%u</failure>\n", line);
}

/* Writes the whole report; with a test that is still running, unless NULL. */
static bool write_report(const char *suite, const char *test)
{
    FILE *out = fopen(report_path, "we");

    if (out == NULL) {
        perror(report_path);
        return false;
    }
    fflush(cases); /* Brings cases_text up to date. */
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite", out);
    write_attribute(out, "name", program_name);
    fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%d\"", tests_total + (test != NULL),
            tests_failed, test != NULL);
    write_seconds(out, elapsed_total_ns);
    fprintf(out, ">\n%s", cases_text);
    if (test != NULL) {
        write_case_start(out, suite, test, 0);
        fputs("      <error message=\"the program ended in this test\"/>\n    </testcase>\n", out);
    }
    fputs("  </testsuite>\n</testsuites>\n", out);
    bool is_broken = ferror(out) != 0;

    if (fclose(out) != 0 || is_broken) {
        perror(report_path);
        return false;
    }
    return true;
}

bool hkt_junit_open(const char *path, const char *program)
{
    cases = open_memstream(&cases_text, &cases_size);
    if (cases == NULL) {
        perror("open_memstream");
        return false;
    }
    report_path = path;
    program_name = program;
    return write_report(NULL, NULL);
}

void hkt_junit_running(const char *suite, const char *test)
{
    is_written = write_report(suite, test) && is_written;
}

void hkt_junit_test(const char *suite, const char *test, int64_t elapsed_ns,
                    const CU_FailureRecord *failures, const char *reason)
{
    begin_case(suite, test, elapsed_ns);
    if (reason != NULL && failures == NULL) {
        fputs("      <skipped", cases);
        write_attribute(cases, "message", reason);
        fputs("/>\n", cases);
    }
    for (const CU_FailureRecord *failure = failures; failure != NULL; failure = failure->pNext) {
        write_failure(failure->strFileName, failure->uiLineNumber, failure->strCondition);
    }
    fputs("    </testcase>\n", cases);
    tests_failed += failures != NULL;
}

void hkt_junit_suite_failure(const char *suite, const char *text)
{
    begin_case(suite, "(suite)", 0);
    write_failure(suite, 0, text);
    fputs("    </testcase>\n", cases);
    tests_failed++;
}

bool hkt_junit_close(void)
{
    is_written = write_report(NULL, NULL) && is_written;
    fclose(cases);
    free(cases_text);
    return is_written;
}
