/* SPDX-License-Identifier: MIT */
/* hk_executor_restart_workers(): new workers, and no task lost on the way. */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/child_fixture.h"
#include "tests/fixture.h"

enum { WORKERS_MAX = 8 };

/* Seen by threads and processes alike. */
static struct {
    atomic_int workers;  /* Initialised ever: the next one's number. */
    atomic_int finished; /* Finalisers run. */
    atomic_int arrived;  /* Tasks that hold still. */
    atomic_int freed;    /* Of these, how many may go on. */
    atomic_int counted;
} * shared;

static hk_executor *pool;

static hk_status number_worker(hk_call *call, void *arg, void **local)
{
    (void)call;
    (void)arg;
    *local = (void *)(uintptr_t)(atomic_fetch_add(&shared->workers, 1) + 1); // NOLINT
    return HK_OK;
}

static void count_finished(void *local, void *arg)
{
    (void)local;
    (void)arg;
    atomic_fetch_add(&shared->finished, 1);
}

static bool has_processes(void)
{
    return strncmp(hkt_executor_spec(), "processes", strlen("processes")) == 0;
}

static void set_up(void)
{
    hk_executor_options options = {.size = sizeof(options),
                                   .workers = hkt_worker_count(),
                                   .initializer = number_worker,
                                   .finalizer = count_finished};

    memset(shared, 0, sizeof(*shared));
    HKT_OK_FATAL(has_processes() ? hk_process_pool_create(&options, &pool)
                                 : hk_thread_pool_create(&options, &pool));
}

static void tear_down(void)
{
    HKT_OK(hk_executor_destroy(pool));
    pool = NULL;
    HKT_EQ_INT(atomic_load(&shared->finished), atomic_load(&shared->workers));
}

/* --- Tasks: each returns its worker's number --- */

static hk_status return_worker(hk_call *call)
{
    int number = (int)(uintptr_t)hk_call_worker_local(call);

    return hk_return(call, &number, sizeof(number));
}

HK_TASK(tells_its_worker)
{
    atomic_fetch_add(&shared->counted, 1);
    return return_worker(call);
}

/* The n-th to arrive goes on when n are freed. */
HK_TASK(holds_still)
{
    int place = atomic_fetch_add(&shared->arrived, 1);

    while (atomic_load(&shared->freed) <= place) {
        (void)sched_yield();
    }
    return return_worker(call);
}

static bool all_hold(void *arg)
{
    return atomic_load(&shared->arrived) == *(int *)arg;
}

/* One task on every worker, which holds still. */
static void hold_all(hk_future **futures)
{
    int count = (int)hkt_worker_count();

    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    atomic_store(&shared->arrived, 0);
    atomic_store(&shared->freed, 0);
    for (int i = 0; i < count; i++) {
        futures[i] = hkt_submit_int(pool, holds_still, i);
    }
    HKT_TRUE_FATAL(hkt_eventually(all_hold, &count));
}

/* Frees them; their workers' numbers: the least and the largest. */
static void free_all(hk_future **futures, int *least, int *largest)
{
    *least = INT_MAX;
    *largest = 0;
    atomic_store(&shared->freed, (int)hkt_worker_count());
    for (unsigned i = 0; i < hkt_worker_count(); i++) {
        int number = hkt_take_int(futures[i]);

        *least = number < *least ? number : *least;
        *largest = number > *largest ? number : *largest;
    }
}

/* --- Cases --- */

static void idle_workers_are_replaced(void)
{
    hk_future *futures[WORKERS_MAX];
    int before = 0;

    for (int round = 0; round < 5; round++) {
        int least;
        int largest;

        hold_all(futures);
        free_all(futures, &least, &largest);
        HKT_TRUE(least > before);
        before = largest;
        HKT_OK(hk_executor_restart_workers(pool));
    }
    /* New processes come also if there is nothing for them to do; new threads do not. */
    HKT_TRUE(hkt_becomes(pool, hkt_started, (has_processes() ? 6 : 5) * hkt_worker_count()));
}

static void a_task_under_way_ends_on_its_worker(void)
{
    hk_future *futures[WORKERS_MAX];
    int workers = (int)hkt_worker_count();
    int least;
    int largest;

    hold_all(futures);
    HKT_OK(hk_executor_restart_workers(pool));
    HKT_OK(hk_executor_restart_workers(pool)); /* Again: they leave once. */
    HKT_EQ_INT(hkt_stats(pool).workers_started, workers);
    free_all(futures, &least, &largest);
    HKT_EQ_INT(least, 1);
    HKT_EQ_INT(largest, workers);
    HKT_TRUE(hkt_take_int(hkt_submit_int(pool, tells_its_worker, 0)) > workers);
}

static void what_has_not_begun_goes_to_others(void)
{
    enum { TASKS = 50 };
    hk_future *held[WORKERS_MAX];
    hk_future *futures[TASKS];
    int workers = (int)hkt_worker_count();
    int least;
    int largest;

    hold_all(held);
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_int(pool, tells_its_worker, i);
    }
    HKT_OK(hk_executor_restart_workers(pool));
    atomic_store(&shared->freed, 1); /* Its successor has to do all of it. */
    for (int i = 0; i < TASKS; i++) {
        HKT_TRUE(hkt_take_int(futures[i]) > workers);
    }
    free_all(held, &least, &largest);
    HKT_EQ_INT(largest, workers);
}

static void *restart_again_and_again(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        HKT_OK(hk_executor_restart_workers(pool));
        for (int i = 0; i < 20; i++) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void no_task_is_lost_under_load(void)
{
    enum { TASKS = 100, REPLACEMENTS = 20 };
    atomic_bool stop = false;
    hk_future *futures[TASKS];
    int rounds = 0;
    int largest = 0;
    pthread_t thread;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, restart_again_and_again, &stop), 0);
    while (largest < REPLACEMENTS) {
        for (int i = 0; i < TASKS; i++) {
            futures[i] = hkt_submit_int(pool, tells_its_worker, i);
        }
        for (int i = 0; i < TASKS; i++) {
            int number = hkt_take_int(futures[i]);

            HKT_TRUE(number > 0);
            largest = number > largest ? number : largest;
        }
        rounds++;
    }
    atomic_store(&stop, true);
    HKT_EQ_INT(pthread_join(thread, NULL), 0);
    HKT_EQ_INT(atomic_load(&shared->counted), rounds * TASKS); /* Each once. */
    HKT_EQ_INT(hkt_stats(pool).failed, 0);
}

HK_TASK(restarts_its_own_executor)
{
    HKT_OK(hk_executor_restart_workers(hk_call_executor(call)));
    return return_worker(call);
}

static void a_task_may_ask_for_it(void)
{
    int number;

    if (has_processes()) {
        return; /* In a worker its executor is another one, without workers. */
    }
    number = hkt_take_int(hkt_submit_int(pool, restarts_its_own_executor, 0));
    HKT_TRUE(hkt_take_int(hkt_submit_int(pool, tells_its_worker, 0)) > number);
}

/* --- Refusals --- */

static void restart_in_child(void *arg)
{
    (void)arg;
    HKT_CHILD_STATUS(hk_executor_restart_workers(pool), HK_EFORKED);
}

static void it_is_refused_where_it_makes_no_sense(void)
{
    static const char *const without[] = {"inline", "serial:threads:1"};

    HKT_STATUS(hk_executor_restart_workers(NULL), HK_EINVAL);
    for (size_t i = 0; i < 2; i++) {
        hk_executor *executor = NULL;

        HKT_OK_FATAL(hk_executor_open(without[i], &executor));
        HKT_STATUS(hk_executor_restart_workers(executor), HK_EINVAL);
        HKT_OK(hk_executor_destroy(executor));
    }
    hkt_expect_good_child(restart_in_child, NULL);
    HKT_OK(hk_executor_restart_workers(pool)); /* One that never had a worker. */
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, 0));
    HKT_STATUS(hk_executor_restart_workers(pool), HK_ECLOSED);
}

static CU_TestInfo tests[] = {
    HKT_CASE("idle workers are replaced", idle_workers_are_replaced),
    HKT_CASE("a task under way ends on its worker", a_task_under_way_ends_on_its_worker),
    HKT_CASE("what has not begun goes to others", what_has_not_begun_goes_to_others),
    HKT_CASE("no task is lost under load", no_task_is_lost_under_load),
    HKT_CASE("a task may ask for it", a_task_may_ask_for_it),
    HKT_CASE("it is refused where it makes no sense", it_is_refused_where_it_makes_no_sense),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {"restart", NULL, NULL, set_up, tear_down, tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || hk_zygote_start() != HK_OK) {
        return EXIT_FAILURE;
    }
    return hkt_main(argc, argv, suites);
}
