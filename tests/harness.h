/* SPDX-License-Identifier: MIT */
/*
 * What every test suite is written with: a main() around CUnit, assertions that
 * print both values, gates in place of sleeps, and a leak check around each test.
 *
 *     static void a_future_starts_pending(void)
 *     {
 *         HKT_EQ_INT(hk_future_state(future), HK_PENDING);
 *     }
 *
 *     static CU_TestInfo tests[] = {HKT_TEST(a_future_starts_pending), CU_TEST_INFO_NULL};
 *     static CU_SuiteInfo suites[] = {{.pName = "future", .pTests = tests}, CU_SUITE_INFO_NULL};
 *
 *     int main(int argc, char **argv)
 *     {
 *         return hkt_main(argc, argv, suites);
 *     }
 *
 * Every HKT_ assertion may be used on every thread, and in worker processes: off the
 * test's own thread a failure is printed and counted, and the test fails when it ends. CUnit's own
 * CU_ASSERT macros belong to the test's thread alone.
 */
#ifndef HOCKET_TESTS_HARNESS_H
#define HOCKET_TESTS_HARNESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>

/* --- Running ------------------------------------------------------------------ */

/* Runs the suites as the command line says (see --help) and returns the exit
 * status of main(): 0 only when everything that was asked for ran and passed.
 * suites ends with CU_SUITE_INFO_NULL. */
int hkt_main(int argc, char **argv, CU_SuiteInfo *suites);

/* The executor that --executor named; "inline" without the option. */
const char *hkt_executor_spec(void);

/* Called by a test that proves nothing on this executor or machine, for a reason, before it
 * returns: it counts neither as passed nor as failed in docs/conformance.md. reason: a literal. */
void hkt_not_here(const char *reason);

/* Called before hkt_main() by a program none of whose tests can prove anything on this machine:
 * it runs none, reports each as skipped, and ends with 77, by which ctest knows. reason: a
 * literal. */
void hkt_none_here(const char *reason);

/* How much slower than a plain build this one may be (HOCKET_TEST_SLOW): a
 * factor for time limits and a divisor for repetitions; never below 1. */
unsigned hkt_slowness(void);

/* An entry of a test table, named after its function. */
#define HKT_TEST(function)                                                                         \
    {                                                                                              \
#function, function                                                                        \
    }

/* --- Assertions --------------------------------------------------------------- */

/* Where an assertion stands, and whether the test can go on without it. */
struct hkt_site {
    const char *file;
    int line;
    bool fatal;
};

#define HKT_SITE(is_fatal) ((struct hkt_site){__FILE__, __LINE__, is_fatal})

bool hkt_check_true(struct hkt_site site, bool value, const char *text);
bool hkt_check_int(struct hkt_site site, intmax_t actual, intmax_t expected, const char *text);
bool hkt_check_ptr(struct hkt_site site, const void *actual, const void *expected,
                   const char *text);
bool hkt_check_str(struct hkt_site site, const char *actual, const char *expected,
                   const char *text);
bool hkt_check_status(struct hkt_site site, int actual, int expected, const char *text);

/* Follows a fatal assertion that did not hold, and is never reached. */
_Noreturn void hkt_never_returns(void);

/* Each gives true when it holds, so that a helper may return early. */
#define HKT_TRUE(value) hkt_check_true(HKT_SITE(false), (value), #value)
#define HKT_EQ_INT(actual, expected)                                                               \
    hkt_check_int(HKT_SITE(false), (intmax_t)(actual), (intmax_t)(expected), #actual)
#define HKT_EQ_PTR(actual, expected) hkt_check_ptr(HKT_SITE(false), (actual), (expected), #actual)
#define HKT_EQ_STR(actual, expected) hkt_check_str(HKT_SITE(false), (actual), (expected), #actual)
#define HKT_STATUS(actual, expected)                                                               \
    hkt_check_status(HKT_SITE(false), (int)(actual), (int)(expected), #actual)
#define HKT_OK(status) HKT_STATUS(status, 0)

/* Fatal: the test ends here. Off the test's own thread the program ends. What is
 * false is not looked at again, which static analysis should know too. */
#define HKT_TRUE_FATAL(value)                                                                      \
    do {                                                                                           \
        bool hkt_holds_ = (value);                                                                 \
        hkt_check_true(HKT_SITE(true), hkt_holds_, #value);                                        \
        if (!hkt_holds_) {                                                                         \
            hkt_never_returns();                                                                   \
        }                                                                                          \
    } while (0)
#define HKT_EQ_INT_FATAL(actual, expected)                                                         \
    hkt_check_int(HKT_SITE(true), (intmax_t)(actual), (intmax_t)(expected), #actual)
#define HKT_EQ_PTR_FATAL(actual, expected)                                                         \
    hkt_check_ptr(HKT_SITE(true), (actual), (expected), #actual)
#define HKT_EQ_STR_FATAL(actual, expected)                                                         \
    hkt_check_str(HKT_SITE(true), (actual), (expected), #actual)
#define HKT_STATUS_FATAL(actual, expected)                                                         \
    hkt_check_status(HKT_SITE(true), (int)(actual), (int)(expected), #actual)
#define HKT_OK_FATAL(status) HKT_STATUS_FATAL(status, 0)

/* Counts a failure of the running test; safe on every thread. */
void hkt_fail(struct hkt_site site, const char *text);

/* Failures that other threads have counted in the running test so far. */
unsigned hkt_fail_count(void);

/* --- Gates: order without sleeping -------------------------------------------- */

/* Closed until somebody opens it; then open for ever. In shared memory (hkt_shared_new())
 * it is one for all processes, and one of them may be killed at it. A wait that lasts longer
 * than the watchdog's limit names the gate and ends the program. */
struct hkt_gate {
    atomic_uint arrived; /* Threads that have ever come to wait. */
    atomic_uint is_open;
    const char *name;
};

void hkt_gate_init(struct hkt_gate *gate, const char *name);
void hkt_gate_fini(struct hkt_gate *gate);
void hkt_gate_open(struct hkt_gate *gate);
void hkt_gate_wait(struct hkt_gate *gate);

/* Returns once count threads have come to the gate: they stand in front of it,
 * or have passed it. */
void hkt_gate_await_arrivals(struct hkt_gate *gate, unsigned count);

/* Everybody leaves when the last of count has come; may be used again at once. */
struct hkt_barrier {
    unsigned count;
    atomic_uint arrived;
    atomic_uint round;
    const char *name;
};

void hkt_barrier_init(struct hkt_barrier *barrier, unsigned count, const char *name);
void hkt_barrier_fini(struct hkt_barrier *barrier);
void hkt_barrier_wait(struct hkt_barrier *barrier);

/* Waits until done(arg) is true, looking again and again; for what cannot signal,
 * such as a thread that leaves the process. False when the watchdog's limit
 * passed first. done is called without a lock. */
bool hkt_eventually(bool (*done)(void *arg), void *arg);

/* Zeroed memory that worker processes see at the same address, for gates and counters;
 * it stays for the life of the program. */
void *hkt_shared_new(size_t bytes);

/* --- Child processes ---------------------------------------------------------- */

/* What a child process left behind. */
struct hkt_child {
    int exit_status;   /* Or -1: it was killed by term_signal. */
    int term_signal;   /* 0: it exited by itself. */
    char output[4096]; /* The start of its standard output and error. */
};

/* Runs fn(arg) in a forked child that then calls exit(0), and waits for its end:
 * for what ends a process, or happens at its exit. */
void hkt_run_in_child(void (*fn)(void *arg), void *arg, struct hkt_child *child);

#endif
