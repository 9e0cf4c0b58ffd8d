/* SPDX-License-Identifier: MIT */
/*
 * The main() of every suite.
 *
 * CUnit gives the registry, the assertions and the summary. What it does not
 * give is here: an honest exit status (its own is 0 when tests failed), choosing
 * one test, a report that other programs can read, and checks around each test.
 *
 * Those checks stand in the set-up and the tear-down of each suite, because a
 * failure that is added later than that no longer fails the test. So each
 * suite's own functions are kept aside and called from ours.
 */
#include "tests/harness.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hocket/process_pool.h>

#include "base/os.h"
#include "tests/harness_impl.h"

enum { SUITES_MAX = 16, ALL_SKIPPED = 77 };

static CU_SuiteInfo *user_suites; /* As the test file wrote them. */
static const char *executor_spec = "inline";
static bool has_junit;
static int64_t test_started_ns;

/* The test whose function stands aside because its set-up failed, or NULL. */
static CU_pTest skipped_test;
static CU_TestFunc skipped_function;

/* What hkt_not_here() said in the running test, or NULL. */
static const char *not_here;

void hkt_not_here(const char *reason)
{
    not_here = reason;
}

/* Why no test of this program can run, or NULL. */
static const char *none_here;

void hkt_none_here(const char *reason)
{
    none_here = reason;
}

const char *hkt_executor_spec(void)
{
    return executor_spec;
}

unsigned hkt_slowness(void)
{
    const char *text = getenv("HOCKET_TEST_SLOW");
    unsigned long factor = text != NULL ? strtoul(text, NULL, 10) : 1;

    return factor >= 1 && factor <= 1000 ? (unsigned)factor : 1;
}

static const CU_SuiteInfo *current_user_suite(void)
{
    const char *name = CU_get_current_suite()->pName;

    for (const CU_SuiteInfo *suite = user_suites; suite->pName != NULL; suite++) {
        if (strcmp(suite->pName, name) == 0) {
            return suite;
        }
    }
    return NULL; /* Not reached: CUnit knows only the suites of this table. */
}

static void nothing(void)
{
}

/* CUnit arms its jump only after the set-up, so that a fatal assertion in one
 * would go on into the test. Here it is armed; false when it was taken. */
static bool came_back(CU_SetUpFunc function)
{
    jmp_buf jump;

    CU_get_current_test()->pJumpBuf = &jump;
    if (setjmp(jump) != 0) {
        CU_get_current_test()->pJumpBuf = NULL;
        return false;
    }
    function();
    CU_get_current_test()->pJumpBuf = NULL;
    return true;
}

static void set_up(void)
{
    const CU_SuiteInfo *suite = current_user_suite();

    hkt_checks_begin();
    hkt_executors_begin();
    hkt_leaks_begin();
    if (suite != NULL && suite->pSetUpFunc != NULL && !came_back(suite->pSetUpFunc)) {
        skipped_test = CU_get_current_test();
        skipped_function = skipped_test->pTestFunc;
        skipped_test->pTestFunc = nothing;
    }
}

static void tear_down(void)
{
    const CU_SuiteInfo *suite = current_user_suite();

    if (skipped_test != NULL) {
        skipped_test->pTestFunc = skipped_function;
        skipped_test = NULL;
    } else if (suite != NULL && suite->pTearDownFunc != NULL) {
        came_back(suite->pTearDownFunc);
    }
    hkt_checks_end();
    hkt_leaks_end();
}

static void on_suite_start(const CU_pSuite suite)
{
    printf("Suite: %s\n", suite->pName);
}

static void on_test_start(const CU_pTest test, const CU_pSuite suite)
{
    printf("  Test: %s ...", test->pName);
    fflush(stdout); /* The line has no end yet, and the test may not come back. */
    if (has_junit) {
        hkt_junit_running(suite->pName, test->pName);
    }
    hkt_watchdog_start(suite->pName, test->pName);
    not_here = NULL;
    test_started_ns = hkt_now_ns();
}

static void on_test_complete(const CU_pTest test, const CU_pSuite suite,
                             const CU_pFailureRecord failures)
{
    int64_t elapsed_ns = hkt_now_ns() - test_started_ns;
    unsigned number = 1;

    hkt_watchdog_stop();
    if (failures == NULL && not_here != NULL) {
        printf("not here: %s\n", not_here);
    } else {
        printf("%s\n", failures == NULL ? "passed" : "FAILED");
    }
    for (CU_pFailureRecord failure = failures; failure != NULL; failure = failure->pNext) {
        printf("    %u. %s:%u  - %s\n", number++, failure->strFileName, failure->uiLineNumber,
               failure->strCondition);
    }
    if (has_junit) {
        hkt_junit_test(suite->pName, test->pName, elapsed_ns, failures, not_here);
    }
}

static void on_suite_init_failure(const CU_pSuite suite)
{
    printf("Suite %s: its initialisation failed, its tests did not run\n", suite->pName);
    if (has_junit) {
        hkt_junit_suite_failure(suite->pName, "the suite's initialisation failed");
    }
}

static void on_suite_cleanup_failure(const CU_pSuite suite)
{
    printf("Suite %s: its clean-up failed\n", suite->pName);
    if (has_junit) {
        hkt_junit_suite_failure(suite->pName, "the suite's clean-up failed");
    }
}

static bool register_suites(void)
{
    static CU_SuiteInfo wrapped[SUITES_MAX + 1];
    size_t count = 0;

    for (; user_suites[count].pName != NULL; count++) {
        if (count == SUITES_MAX) {
            fprintf(stderr, "more than %d suites in one program; raise SUITES_MAX\n", SUITES_MAX);
            return false;
        }
        wrapped[count] = user_suites[count];
        wrapped[count].pSetUpFunc = set_up;
        wrapped[count].pTearDownFunc = tear_down;
    }
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(wrapped) != CUE_SUCCESS) {
        fprintf(stderr, "CUnit refused the suites: %s\n", CU_get_error_msg());
        return false;
    }
    CU_set_suite_start_handler(on_suite_start);
    CU_set_test_start_handler(on_test_start);
    CU_set_test_complete_handler(on_test_complete);
    CU_set_suite_init_failure_handler(on_suite_init_failure);
    CU_set_suite_cleanup_failure_handler(on_suite_cleanup_failure);
    return true;
}

static void list_tests(void)
{
    for (CU_pSuite suite = CU_get_registry()->pSuite; suite != NULL; suite = suite->pNext) {
        for (CU_pTest test = suite->pTest; test != NULL; test = test->pNext) {
            printf("%s/%s\n", suite->pName, test->pName);
        }
    }
}

/* "SUITE" or "SUITE/TEST": everything else becomes inactive. Returns the number
 * of tests left, 0 when the name fits none. */
static unsigned choose(const char *wanted)
{
    size_t suite_length = strcspn(wanted, "/");
    const char *test_name = wanted[suite_length] == '/' ? wanted + suite_length + 1 : NULL;
    unsigned chosen = 0;

    CU_set_fail_on_inactive(CU_FALSE);
    for (CU_pSuite suite = CU_get_registry()->pSuite; suite != NULL; suite = suite->pNext) {
        bool is_suite = strlen(suite->pName) == suite_length &&
                        strncmp(suite->pName, wanted, suite_length) == 0;

        CU_set_suite_active(suite, is_suite ? CU_TRUE : CU_FALSE);
        for (CU_pTest test = suite->pTest; is_suite && test != NULL; test = test->pNext) {
            bool is_test = test_name == NULL || strcmp(test->pName, test_name) == 0;

            CU_set_test_active(test, is_test ? CU_TRUE : CU_FALSE);
            chosen += is_test;
        }
    }
    return chosen;
}

/* Makes the test of this name inactive; false when there is none. */
static bool leave_out(const char *name)
{
    bool found = false;

    CU_set_fail_on_inactive(CU_FALSE);
    for (CU_pSuite suite = CU_get_registry()->pSuite; suite != NULL; suite = suite->pNext) {
        CU_pTest test = CU_get_test_by_name(name, suite);

        if (test != NULL) {
            CU_set_test_active(test, CU_FALSE);
            found = true;
        }
    }
    return found;
}

static void print_help(const char *program)
{
    printf("Usage: %s [OPTION]...\n"
           "Runs the test suites of this program.\n\n"
           "  --list               print SUITE/TEST for each test and exit\n"
           "  --run SUITE[/TEST]   run only this suite, or this test\n"
           "  --skip TEST          run all but this test; may be given several times\n"
           "  --executor SPEC      executor of the suites that take one (default inline)\n"
           "  --junit FILE         write a JUnit report to FILE as well\n"
           "  --help               print this and exit\n\n"
           "In the environment, HOCKET_TEST_LIMIT=N is the limit of one test in seconds\n"
           "(default 60), and HOCKET_TEST_SLOW=N multiplies every time limit by N.\n"
           "Exit status: 0 when all ran and passed, 1 when not, 2 for a wrong command line,\n"
           "77 when none can run on this machine.\n",
           program);
}

enum { SKIPS_MAX = 16 };

struct options {
    const char *run;
    const char *skip[SKIPS_MAX];
    unsigned skips;
    const char *junit;
    bool list;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"list", no_argument, NULL, 'l'},
        {"run", required_argument, NULL, 'r'},
        {"executor", required_argument, NULL, 'e'},
        {"junit", required_argument, NULL, 'j'},
        {"skip", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 'l':
            options->list = true;
            break;
        case 'r':
            options->run = optarg;
            break;
        case 's':
            if (options->skips == SKIPS_MAX) {
                fprintf(stderr, "more than %d tests to skip; raise SKIPS_MAX\n", SKIPS_MAX);
                return 2;
            }
            options->skip[options->skips++] = optarg;
            break;
        case 'e':
            executor_spec = optarg;
            break;
        case 'j':
            options->junit = optarg;
            break;
        case 'h':
            print_help(argv[0]);
            return 0;
        default:
            return 2; /* getopt has said what is wrong. */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: '%s' is no option; --help lists them\n", argv[0], argv[optind]);
        return 2;
    }
    return -1;
}

/* CUnit's error number is also 0 when assertions failed, and a suite that could
 * not start drops its tests without counting one of them: so count ourselves. */
static bool everything_passed(unsigned expected)
{
    return CU_get_number_of_failures() == 0 && CU_get_number_of_tests_failed() == 0 &&
           CU_get_number_of_suites_failed() == 0 && CU_get_number_of_failure_records() == 0 &&
           CU_get_number_of_tests_run() == expected;
}

/* CUnit would count them as passed. */
static int skip_all(void)
{
    printf("skipped: %s\n", none_here);
    for (CU_pSuite suite = CU_get_registry()->pSuite; suite != NULL; suite = suite->pNext) {
        for (CU_pTest test = suite->pTest; has_junit && test != NULL; test = test->pNext) {
            if (suite->fActive && test->fActive) {
                hkt_junit_test(suite->pName, test->pName, 0, NULL, none_here);
            }
        }
    }
    return has_junit && !hkt_junit_close() ? 1 : ALL_SKIPPED;
}

static int run(const struct options *options, const char *program)
{
    unsigned expected = CU_get_registry()->uiNumberOfTests;
    bool passed;

    if (options->run != NULL && (expected = choose(options->run)) == 0) {
        fprintf(stderr, "%s: no test is called '%s'; --list prints all names\n", program,
                options->run);
        return 2;
    }
    for (unsigned i = 0; i < options->skips; i++) {
        if (!leave_out(options->skip[i])) {
            fprintf(stderr, "%s: no test is called '%s'; --list prints all names\n", program,
                    options->skip[i]);
            return 2;
        }
        expected--;
    }
    if (options->junit != NULL) {
        if (!hkt_junit_open(options->junit, program)) {
            return 2;
        }
        has_junit = true;
    }
    if (none_here != NULL) {
        return skip_all();
    }
    /* Before there is a thread, and before anything is counted. */
    if (strncmp(executor_spec, "processes", strlen("processes")) == 0 &&
        hk_zygote_start() != HK_OK) {
        fprintf(stderr, "%s: no process to fork workers from\n", program);
        return 1;
    }
    hkt_watchdog_install();
    hkt_leaks_prepare();
    CU_run_all_tests();
    printf("\n");
    CU_print_run_results(stdout);
    printf("\n");

    passed = everything_passed(expected);
    if (!passed && CU_get_number_of_tests_run() != expected) {
        printf("%u of %u tests ran\n", CU_get_number_of_tests_run(), expected);
    }
    if (has_junit && !hkt_junit_close()) {
        passed = false;
    }
    return passed ? 0 : 1;
}

int hkt_main(int argc, char **argv, CU_SuiteInfo *suites)
{
    struct options options = {0};
    const char *program = strrchr(argv[0], '/');
    int status;

    /* What was printed before a crash must be seen, in a pipe too. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Which is its name but under valgrind; texts tell threads by it. */
    hki_os_thread_name(program != NULL ? program + 1 : argv[0]);
    status = parse_options(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    user_suites = suites;
    if (!register_suites()) {
        return 1;
    }
    if (options.list) {
        list_tests();
        status = 0;
    } else {
        status = run(&options, argv[0]);
    }
    CU_cleanup_registry();
    if (status == 0 && hkt_leaks_memory()) {
        status = 1; /* It has said what and where. */
    }
    return status;
}
