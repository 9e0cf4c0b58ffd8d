/* SPDX-License-Identifier: MIT */
/*
 * What the pools of threads and of processes promise about their workers: cases TP of
 * docs/contract.md, and those of PP, XL and XM that are true of both.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "tests/fixture.h"

static bool is_for_threads(void)
{
    if (hkt_is_processes()) {
        hkt_not_here("is about threads; a case of PP asks the same of processes");
    }
    return !hkt_is_processes();
}

static bool is_for_processes(void)
{
    if (!hkt_is_processes()) {
        hkt_not_here("is about worker processes");
    }
    return hkt_is_processes();
}

static hk_executor *create(hk_executor_options options)
{
    hk_executor *executor = NULL;

    HKT_OK_FATAL(hkt_executor_create(options, &executor));
    return executor;
}

static void expect_health(hk_executor *executor)
{
    for (int i = 0; i < 8; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, i)), i * i);
    }
}

/* --- How many --- */

static void saturate(void)
{
    enum { TASKS = 60 };
    unsigned workers = hkt_worker_count();
    struct hkt_gate *gate = hkt_shared_new(sizeof(*gate));
    hk_future *futures[TASKS];
    hk_executor_statistics statistics;

    hkt_gate_init(gate, "all tasks may end");
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_pointer(hkt_executor, hkt_stands_at_gate, gate);
    }
    hkt_gate_await_arrivals(gate, workers);
    statistics = hkt_stats(hkt_executor);
    HKT_EQ_INT(statistics.workers, workers);
    HKT_EQ_INT(statistics.workers_started, workers);
    HKT_EQ_INT(statistics.running, workers);
    HKT_EQ_INT(statistics.queued, TASKS - workers);
    hkt_gate_open(gate);
    for (int i = 0; i < TASKS; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    HKT_EQ_INT(hkt_stats(hkt_executor).workers_started, workers);
}

static void blocked_tasks_make_as_many_threads_as_workers(void)
{
    if (is_for_threads()) {
        saturate();
    }
}

static void blocked_tasks_make_as_many_processes_as_workers(void)
{
    if (is_for_processes()) {
        saturate();
    }
}

static void one_after_the_other(void)
{
    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, i)), i * i);
        HKT_TRUE(hkt_becomes(hkt_executor, hkt_idle, 1));
    }
    HKT_EQ_INT(hkt_stats(hkt_executor).workers_started, 1);
}

static void tasks_one_after_the_other_use_one_thread(void)
{
    if (is_for_threads()) {
        one_after_the_other();
    }
}

static void tasks_one_after_the_other_use_one_process(void)
{
    if (is_for_processes()) {
        one_after_the_other();
    }
}

/* --- Names and ends of threads --- */

HK_TASK(tells_the_name_of_its_thread)
{
    char name[16] = "";

    (void)prctl(PR_GET_NAME, name);
    return hk_return(call, name, sizeof(name));
}

static bool has_number_of_worker(const char *text, unsigned workers)
{
    unsigned number = 0;

    return sscanf(text, "_%u", &number) == 1 && number < workers;
}

static void a_name_names_the_threads(void)
{
    hk_executor *executor;
    hk_future *future = NULL;
    const void *value = NULL;

    if (!is_for_threads()) {
        return;
    }
    executor = create((hk_executor_options){.name = "crew"});
    HKT_OK_FATAL(hk_submit(executor, tells_the_name_of_its_thread, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    HKT_TRUE(strncmp(value, "crew", 4) == 0);
    HKT_TRUE(has_number_of_worker((const char *)value + 4, hkt_worker_count()));
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor));
}

static void without_a_name_there_is_a_unique_one(void)
{
    hk_executor *one;
    hk_executor *two;

    if (!is_for_threads()) {
        return;
    }
    one = create((hk_executor_options){0});
    two = create((hk_executor_options){0});
    HKT_TRUE(strncmp(hk_executor_name(one), "threads-", 8) == 0);
    HKT_TRUE(strcmp(hk_executor_name(one), hk_executor_name(two)) != 0);
    HKT_OK(hk_executor_destroy(one));
    HKT_OK(hk_executor_destroy(two));
}

static unsigned thread_count(void)
{
    char line[256];
    unsigned count = 0;
    FILE *file = fopen("/proc/self/status", "re");

    HKT_TRUE_FATAL(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Threads: %u", &count) == 1) {
            break;
        }
    }
    fclose(file);
    return count;
}

static bool threads_are(void *arg)
{
    return thread_count() == *(const unsigned *)arg;
}

static void after_a_shutdown_all_threads_are_joined(void)
{
    unsigned before = thread_count();
    struct hkt_plug plug;

    if (!is_for_threads()) {
        return;
    }
    hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    HKT_EQ_INT(thread_count(), before + hkt_worker_count());
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    /* Joined, but the kernel may still be counting for an instant. */
    HKT_TRUE(hkt_eventually(threads_are, &before));
}

/* --- Replacing --- */

static void a_worker_is_replaced_after_its_tasks(void)
{
    enum { TASKS = 12 };
    hk_executor *executor = create((hk_executor_options){.tasks_per_worker = 3});

    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, i)), i * i);
        HKT_TRUE(hkt_stats(executor).workers <= hkt_worker_count());
    }
    HKT_TRUE(hkt_stats(executor).workers_started >= TASKS / 3);
    HKT_OK(hk_executor_destroy(executor));
}

static void replacing_and_an_early_shutdown_give_all_results(void)
{
    enum { TASKS = 6 };

    for (int round = 0; round < 10; round++) {
        hk_executor *executor = create((hk_executor_options){.tasks_per_worker = 1});
        hk_future *futures[TASKS];

        for (int i = 0; i < TASKS; i++) {
            futures[i] = hkt_submit_int(executor, hkt_square, i + 7);
        }
        HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, round % 2 == 0 ? 0 : HK_FOREVER));
        for (int i = 0; i < TASKS; i++) {
            HKT_EQ_INT(hkt_take_int(futures[i]), (i + 7) * (i + 7));
        }
        HKT_OK(hk_executor_destroy(executor));
    }
}

/* --- Resizing, idling, early starts --- */

static void resizing_under_load_loses_nothing(void)
{
    enum { TASKS = 300 };
    static const unsigned sizes[] = {4, 1, 3, 2, 6, 1};
    hk_future *futures[TASKS];

    for (int i = 0; i < TASKS; i++) {
        if (i % 50 == 0) {
            HKT_OK(hk_executor_resize(hkt_executor, sizes[(size_t)(i / 50) % 6]));
        }
        futures[i] = hkt_submit_int(hkt_executor, hkt_square, i);
    }
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
    HKT_TRUE(hkt_stats(hkt_executor).workers <= 6);
    HKT_OK(hk_executor_resize(hkt_executor, 2));
    expect_health(hkt_executor);
}

static void idle_workers_leave_and_come_back(void)
{
    hk_executor *executor = create((hk_executor_options){.idle_exit = HK_MS(1)});

    for (int round = 0; round < 3; round++) {
        expect_health(executor);
        HKT_TRUE(hkt_becomes(executor, hkt_workers, 0));
    }
    HKT_OK(hk_executor_resize(executor, 2)); /* After all have left. */
    expect_health(executor);
    HKT_OK(hk_executor_destroy(executor));
}

static void workers_may_be_started_early(void)
{
    unsigned workers = hkt_worker_count();
    hk_executor *other = create((hk_executor_options){0});
    hk_status status;

    HKT_EQ_INT(hkt_stats(hkt_executor).workers, 0);
    HKT_OK(hk_executor_prestart(hkt_executor, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(hkt_executor).workers, workers);
    expect_health(hkt_executor);
    HKT_EQ_INT(hkt_stats(hkt_executor).workers_started, workers);
    status = hk_executor_prestart(other, 0); /* Without waiting, and a shutdown amid it. */
    HKT_TRUE(status == HK_OK || status == HK_ETIMEDOUT);
    HKT_OK(hk_executor_destroy(other));
}

/* --- While it goes --- */

struct users {
    hk_executor *executor;
    struct hkt_barrier start;
};

static void *use_it(void *arg)
{
    struct users *users = arg;
    hk_future *future = NULL;
    hk_status status;

    hkt_barrier_wait(&users->start);
    for (int i = 0;
         (status = hk_submit(users->executor, hkt_square, &i, sizeof(i), NULL, &future)) == HK_OK;
         i++) {
        status = hk_future_wait(future, HK_FOREVER); /* What was accepted ends. */
        HKT_OK(status);
        HKT_TRUE(hk_future_state(future) == HK_DONE || hk_future_state(future) == HK_CANCELLED);
        hk_future_unref(future);
    }
    HKT_STATUS(status, HK_ECLOSED);
    return NULL;
}

static void threads_may_use_it_while_it_is_shut_down(void)
{
    enum { USERS = 2, ROUNDS = 8 };

    for (int round = 0; round < ROUNDS; round++) {
        struct users users = {.executor = create((hk_executor_options){0})};
        pthread_t threads[USERS];

        hkt_barrier_init(&users.start, USERS + 1, "users begin");
        for (int i = 0; i < USERS; i++) {
            HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, use_it, &users), 0);
        }
        hkt_barrier_wait(&users.start);
        expect_health(users.executor);
        HKT_OK(hk_executor_shutdown(users.executor, (hk_shutdown_how)(round % 3), HK_FOREVER));
        for (int i = 0; i < USERS; i++) {
            pthread_join(threads[i], NULL);
        }
        HKT_OK(hk_executor_destroy(users.executor));
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("TP02 blocked tasks make as many threads as workers",
             blocked_tasks_make_as_many_threads_as_workers),
    HKT_CASE("PP06 blocked tasks make as many processes as workers",
             blocked_tasks_make_as_many_processes_as_workers),
    HKT_CASE("TP03 tasks one after the other use one thread",
             tasks_one_after_the_other_use_one_thread),
    HKT_CASE("PP07 tasks one after the other use one process",
             tasks_one_after_the_other_use_one_process),
    HKT_CASE("TP05 a name names the threads", a_name_names_the_threads),
    HKT_CASE("TP06 without a name there is a unique one", without_a_name_there_is_a_unique_one),
    HKT_CASE("TP07 after a shutdown all threads are joined",
             after_a_shutdown_all_threads_are_joined),
    HKT_CASE("PP09 a worker is replaced after its tasks", a_worker_is_replaced_after_its_tasks),
    HKT_CASE("PP12 replacing and an early shutdown give all results",
             replacing_and_an_early_shutdown_give_all_results),
    HKT_CASE("XL07 resizing under load loses nothing", resizing_under_load_loses_nothing),
    HKT_CASE("XL07 XL08 idle workers leave and come back", idle_workers_leave_and_come_back),
    HKT_CASE("XM01 workers may be started early", workers_may_be_started_early),
    HKT_CASE("XL11 threads may use it while it is shut down",
             threads_may_use_it_while_it_is_shut_down),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_workers",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
