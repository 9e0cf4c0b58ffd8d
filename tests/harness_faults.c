/* SPDX-License-Identifier: MIT */
/*
 * Tests that fail on purpose, one for each thing the harness must notice.
 * tests/test_harness.py runs them one at a time and reads what is reported; ctest
 * never runs this program as a suite.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness.h"

static void passes(void)
{
    int here = 0;

    HKT_TRUE(true);
    HKT_EQ_INT(-1, -1);
    HKT_EQ_PTR(&here, &here);
    HKT_EQ_STR("same", "same");
    HKT_EQ_STR(NULL, NULL);
    HKT_OK(0);
}

static void proves_nothing(void)
{
    hkt_not_here("there are no workers");
}

static void proves_nothing_and_fails(void)
{
    hkt_not_here("there are no workers");
    HKT_TRUE(false);
}

static void int_differs(void)
{
    HKT_EQ_INT(6 * 7, 54);
}

static void text_differs(void)
{
    HKT_EQ_STR("<a & \"b\">", NULL);
}

static void status_differs(void)
{
    HKT_OK(-22);
}

static void fatal_ends_the_test(void)
{
    HKT_TRUE_FATAL(false);
    HKT_EQ_INT(1, 2); /* Must not be reached. */
}

static void *fail_here(void *arg)
{
    (void)arg;
    HKT_EQ_INT(3, 4);
    return NULL;
}

static void another_thread_fails(void)
{
    pthread_t thread;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, fail_here, NULL), 0);
    pthread_join(thread, NULL);
    HKT_EQ_INT(hkt_fail_count(), 1);
}

static void leaks_a_descriptor(void)
{
    HKT_TRUE(dup(STDOUT_FILENO) >= 0);
}

static void *wait_for_ever(void *arg)
{
    (void)arg;
    for (;;) {
        pause();
    }
    return NULL;
}

static void leaks_a_thread(void)
{
    pthread_t thread;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    pthread_detach(thread);
}

static void leaks_a_child(void)
{
    pid_t child = fork();

    if (child == 0) {
        alarm(30);            /* Nobody will wait for it. */
        close(STDOUT_FILENO); /* Or whoever reads our output waits for it after all. */
        close(STDERR_FILENO);
        wait_for_ever(NULL);
    }
    HKT_TRUE(child > 0);
}

static void leaks_memory(void)
{
    void *volatile block = malloc(100);

    HKT_TRUE(block != NULL);
    block = NULL;
} // NOLINT(clang-analyzer-unix.Malloc): the leak is what this test is for

static void hangs(void)
{
    alarm(1); /* In place of the watchdog's minute. */
    wait_for_ever(NULL);
}

static void set_up_fails(void)
{
    bool is_set_up = false;

    HKT_TRUE_FATAL(is_set_up);
}

static void must_not_run(void)
{
    bool has_set_up_failed = true;

    HKT_TRUE(!has_set_up_failed);
}

static void exits_with_three(void *arg)
{
    (void)arg;
    fputs("last words", stderr);
    exit(3);
}

static void child_reports(void)
{
    struct hkt_child child;

    hkt_run_in_child(exits_with_three, NULL, &child);
    HKT_EQ_INT(child.exit_status, 3);
    HKT_EQ_INT(child.term_signal, 0);
    HKT_EQ_STR(child.output, "last words");
}

static void *come_to_the_gate(void *arg)
{
    hkt_gate_wait(arg);
    return NULL;
}

static void gate_opens(void)
{
    struct hkt_gate gate;
    pthread_t threads[2];

    hkt_gate_init(&gate, "the gate");
    for (int i = 0; i < 2; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, come_to_the_gate, &gate), 0);
    }
    hkt_gate_await_arrivals(&gate, 2);
    hkt_gate_open(&gate);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    hkt_gate_fini(&gate);
}

static int suite_init_fails(void)
{
    return -1;
}

static CU_TestInfo tests[] = {
    HKT_TEST(passes),
    HKT_TEST(proves_nothing),
    HKT_TEST(proves_nothing_and_fails),
    HKT_TEST(int_differs),
    HKT_TEST(text_differs),
    HKT_TEST(status_differs),
    HKT_TEST(fatal_ends_the_test),
    HKT_TEST(another_thread_fails),
    HKT_TEST(leaks_a_descriptor),
    HKT_TEST(leaks_a_thread),
    HKT_TEST(leaks_a_child),
    HKT_TEST(leaks_memory),
    HKT_TEST(hangs),
    HKT_TEST(child_reports),
    HKT_TEST(gate_opens),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo behind_a_set_up[] = {HKT_TEST(must_not_run), CU_TEST_INFO_NULL};
static CU_TestInfo behind_an_init[] = {{"must_not_run_either", must_not_run}, CU_TEST_INFO_NULL};

static CU_SuiteInfo suites[] = {
    {.pName = "faults", .pTests = tests},
    {.pName = "set_up", .pSetUpFunc = set_up_fails, .pTests = behind_a_set_up},
    {.pName = "init", .pInitFunc = suite_init_fails, .pTests = behind_an_init},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    if (getenv("HOCKET_TEST_NONE_HERE") != NULL) {
        hkt_none_here("there is no machine");
    }
    return hkt_main(argc, argv, suites);
}
