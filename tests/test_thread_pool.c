/* SPDX-License-Identifier: MIT */
/* The workers of a thread pool: cases TP of docs/contract.md and what its options promise. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

/* --- TP01: how many --- */

static unsigned allowed_cpus(void)
{
    cpu_set_t set;

    HKT_EQ_INT_FATAL(sched_getaffinity(0, sizeof(set), &set), 0);
    return (unsigned)CPU_COUNT(&set);
}

static unsigned default_workers(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){0});
    unsigned workers;

    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    workers = hkt_stats(pool).workers;
    HKT_OK(hk_executor_destroy(pool));
    return workers;
}

static void there_are_as_many_workers_as_usable_cpus(void)
{
    unsigned cpus = allowed_cpus();
    unsigned workers = default_workers();
    cpu_set_t before;
    cpu_set_t one;

    /* A quota of the control group may allow less than the affinity. */
    HKT_TRUE(workers >= 1 && workers <= cpus);
    HKT_EQ_INT_FATAL(sched_getaffinity(0, sizeof(before), &before), 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &one);
        }
    }
    HKT_EQ_INT_FATAL(sched_setaffinity(0, sizeof(one), &one), 0);
    HKT_EQ_INT(default_workers(), 1);
    HKT_EQ_INT(sched_setaffinity(0, sizeof(before), &before), 0);
    HKT_EQ_INT(default_workers(), workers);
}

/* --- TP02, TP03, TP07: when they start and end --- */

static void saturation_starts_all_workers_and_no_more(void)
{
    enum { WORKERS = 4, TASKS = 15 * WORKERS };
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = WORKERS});
    hk_future *futures[TASKS];
    hk_executor_statistics statistics;
    struct hkt_gate gate;

    hkt_gate_init(&gate, "all tasks may end");
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_ref(pool, hkt_stands_at_gate, &gate);
    }
    hkt_gate_await_arrivals(&gate, WORKERS);
    statistics = hkt_stats(pool);
    HKT_EQ_INT(statistics.workers, WORKERS);
    HKT_EQ_INT(statistics.workers_started, WORKERS);
    HKT_EQ_INT(statistics.running, WORKERS);
    HKT_EQ_INT(statistics.queued, TASKS - WORKERS);
    HKT_EQ_INT(statistics.workers_idle, 0);
    /* Blocked outside the library: nothing that the pool could make up for. */
    HKT_EQ_INT(statistics.workers_blocked, 0);
    hkt_gate_open(&gate);
    for (int i = 0; i < TASKS; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    HKT_EQ_INT(hkt_stats(pool).workers_started, WORKERS);
    HKT_TRUE(hkt_stats(pool).queued_most <= TASKS);
    HKT_OK(hk_executor_destroy(pool));
    hkt_gate_fini(&gate);
}

static void an_idle_worker_is_used_again(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 4});

    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, i)), i * i);
        HKT_TRUE(hkt_becomes(pool, hkt_idle, 1));
    }
    HKT_EQ_INT(hkt_stats(pool).workers_started, 1);
    HKT_OK(hk_executor_destroy(pool));
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

static void workers_are_threads_that_end_with_the_pool(void)
{
    unsigned before = thread_count();
    unsigned during = before + 3;
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 3});
    struct hkt_plug plug;

    HKT_EQ_INT(thread_count(), before); /* Nothing to do, nobody to do it. */
    hkt_plug_insert(&plug, pool, 3);
    HKT_TRUE(hkt_eventually(threads_are, &during));
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    /* Joined, but the kernel may still be counting for an instant. */
    HKT_TRUE(hkt_eventually(threads_are, &before));
    HKT_EQ_INT(hkt_stats(pool).workers, 0);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- TP05, TP06: names --- */

enum { NAME_SIZE = 32 };

static struct hkt_barrier together;

HK_TASK(tells_its_threads_name)
{
    char name[NAME_SIZE] = "";

    hkt_barrier_wait(&together);
    if (pthread_getname_np(pthread_self(), name, sizeof(name)) != 0) {
        return hk_fail(call, 1, "the thread has no name");
    }
    return hk_return(call, name, sizeof(name));
}

static void collect_names(hk_executor *pool, char names[][NAME_SIZE], unsigned count)
{
    hk_future *futures[HKT_PLUG_MAX];

    hkt_barrier_init(&together, count, "one task in each worker");
    for (unsigned i = 0; i < count; i++) {
        HKT_OK_FATAL(hk_submit(pool, tells_its_threads_name, NULL, 0, NULL, &futures[i]));
    }
    for (unsigned i = 0; i < count; i++) {
        const void *value = NULL;

        HKT_OK_FATAL(hk_future_result(futures[i], HK_FOREVER, &value, NULL));
        memcpy(names[i], value, NAME_SIZE);
        hk_future_unref(futures[i]);
    }
    hkt_barrier_fini(&together);
}

static void workers_are_named_after_the_pool(void)
{
    enum { WORKERS = 5 };
    hk_executor *pool =
        hkt_pool_create((hk_executor_options){.name = "SpecialPool", .workers = WORKERS});
    char names[WORKERS][NAME_SIZE];
    unsigned seen = 0;

    collect_names(pool, names, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        for (int j = 0; j < WORKERS; j++) {
            char expected[NAME_SIZE];

            snprintf(expected, sizeof(expected), "SpecialPool_%d", j);
            seen |= strcmp(names[i], expected) == 0 ? 1U << j : 0;
        }
    }
    HKT_EQ_INT(seen, (1U << WORKERS) - 1);
    HKT_OK(hk_executor_destroy(pool));
}

static void default_names_are_readable_and_unique(void)
{
    hk_executor *pools[2];
    char names[4][NAME_SIZE];

    for (int i = 0; i < 2; i++) {
        pools[i] = hkt_pool_create((hk_executor_options){.workers = 2});
        collect_names(pools[i], &names[2 * i], 2);
        HKT_TRUE(hk_executor_name(pools[i])[0] != '\0');
    }
    HKT_TRUE(strcmp(hk_executor_name(pools[0]), hk_executor_name(pools[1])) != 0);
    for (int i = 0; i < 4; i++) {
        size_t length = strlen(names[i]);

        /* The number of the worker comes last. */
        HKT_TRUE_FATAL(length > 2);
        HKT_TRUE(names[i][length - 2] == '_');
        HKT_TRUE(strncmp(names[i], hk_executor_name(pools[i / 2]), length - 2) == 0);
        for (int j = 0; j < i; j++) {
            HKT_TRUE(strcmp(names[i], names[j]) != 0);
        }
    }
    for (int i = 0; i < 2; i++) {
        HKT_OK(hk_executor_destroy(pools[i]));
    }
}

static void a_long_name_is_cut(void)
{
    hk_executor *pool =
        hkt_pool_create((hk_executor_options){.name = "0123456789012345678901234567890123456789"});

    HKT_EQ_STR(hk_executor_name(pool), "0123456789012345678901234567890");
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, 2)), 4);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Idle exit, resize, prestart (XL07, XL08, XM01) --- */

static void idle_workers_leave_and_come_back(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2, .idle_exit = HK_MS(1)});

    for (int round = 0; round < 3; round++) {
        uint64_t started = hkt_stats(pool).workers_started;
        struct hkt_plug plug;

        hkt_plug_insert(&plug, pool, 2);
        HKT_TRUE(hkt_stats(pool).workers_started > started);
        hkt_plug_pull(&plug);
        HKT_TRUE(hkt_becomes(pool, hkt_workers, 0));
    }
    HKT_OK(hk_executor_destroy(pool));
}

/* A submit that meets a worker on its way out: no task may be lost between them. */
static void no_task_is_lost_to_a_leaving_worker(void)
{
    hk_executor *pool =
        hkt_pool_create((hk_executor_options){.workers = 2, .idle_exit = HK_US(50)});

    for (int i = 0; i < 2000 / (int)hkt_slowness(); i++) {
        int64_t until_ns = hk_now_ns() + HK_US(i % 100);

        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, i % 1000)),
                   (i % 1000) * (i % 1000));
        while (hk_now_ns() < until_ns) { /* Drifts over the moment of leaving. */
        }
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void a_pool_may_grow_while_tasks_run(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_future *futures[4];
    struct hkt_gate gate;

    hkt_gate_init(&gate, "four tasks at once");
    for (int i = 0; i < 4; i++) {
        futures[i] = hkt_submit_ref(pool, hkt_stands_at_gate, &gate);
    }
    hkt_gate_await_arrivals(&gate, 1);
    HKT_OK(hk_executor_resize(pool, 4));
    hkt_gate_await_arrivals(&gate, 4); /* What was queued gets the new workers. */
    HKT_EQ_INT(hkt_stats(pool).workers, 4);
    HKT_OK(hk_executor_resize(pool, 2));
    HKT_EQ_INT(hkt_stats(pool).running, 4); /* Nobody is torn from a task. */
    hkt_gate_open(&gate);
    for (int i = 0; i < 4; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    HKT_TRUE(hkt_becomes(pool, hkt_workers, 2));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, 9)), 81);
    HKT_OK(hk_executor_destroy(pool));
    hkt_gate_fini(&gate);
}

static void a_pool_may_be_resized_when_all_have_left(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1, .idle_exit = HK_MS(1)});
    struct hkt_plug plug;

    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, 2)), 4);
    HKT_TRUE(hkt_becomes(pool, hkt_workers, 0));
    HKT_OK(hk_executor_resize(pool, 3));
    hkt_plug_insert(&plug, pool, 3);
    hkt_plug_pull(&plug);
    HKT_TRUE(hkt_becomes(pool, hkt_workers, 0));
    HKT_OK(hk_executor_destroy(pool));
}

static void absurd_sizes_are_refused(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    hk_executor *none = NULL;

    HKT_STATUS(hk_executor_resize(pool, 4097), HK_EINVAL);
    HKT_STATUS(hk_executor_resize(pool, (unsigned)-1), HK_EINVAL);
    HKT_STATUS(hk_executor_resize(NULL, 1), HK_EINVAL);
    HKT_OK(hk_executor_resize(pool, 0)); /* The default again. */
    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(pool).workers, default_workers());
    HKT_STATUS(hk_executor_prestart(pool, -2), HK_EINVAL);
    HKT_STATUS(hk_executor_prestart(NULL, 0), HK_EINVAL);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_STATUS(hk_executor_resize(pool, 2), HK_ECLOSED);
    HKT_OK(hk_executor_destroy(pool));
    HKT_OK_FATAL(hk_inline_create(NULL, &none));
    HKT_STATUS(hk_executor_resize(none, 2), HK_EINVAL); /* It has none of its own. */
    HKT_OK(hk_executor_destroy(none));
}

static void prestart_starts_all(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 3});

    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(pool).workers, 3);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 3);
    HKT_TRUE(hkt_becomes(pool, hkt_idle, 3));
    HKT_OK(hk_executor_destroy(pool));
}

static void a_shutdown_may_overtake_a_prestart(void)
{
    for (int round = 0; round < 50; round++) {
        hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 4});
        hk_status status = hk_executor_prestart(pool, 0);

        HKT_TRUE(status == HK_OK || status == HK_ETIMEDOUT);
        HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0));
        HKT_OK(hk_executor_destroy(pool));
    }
}

/* --- tasks_per_worker --- */

static pid_t run_and_tell_thread(hk_executor *pool)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, hkt_thread_id, NULL, 0, NULL, &future));
    return hkt_take_int(future);
}

static void a_worker_is_replaced_after_its_tasks(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1, .tasks_per_worker = 3});
    struct hkt_plug plug;
    pid_t first = run_and_tell_thread(pool);

    HKT_EQ_INT(run_and_tell_thread(pool), first);
    HKT_EQ_INT(run_and_tell_thread(pool), first);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 1);
    /* The number of a thread that has ended may be given away again: count instead. */
    hkt_plug_insert(&plug, pool, 1);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 2);
    HKT_EQ_INT(hkt_stats(pool).workers, 1);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
}

static atomic_uint at_work;
static atomic_uint at_work_most;

HK_TASK(counts_who_is_at_work)
{
    unsigned now = atomic_fetch_add(&at_work, 1) + 1;
    unsigned most = atomic_load(&at_work_most);

    while (now > most && !atomic_compare_exchange_weak(&at_work_most, &most, now)) {
    }
    sched_yield();
    atomic_fetch_sub(&at_work, 1);
    return HK_OK;
}

static void replacing_loses_no_task_and_adds_no_worker(void)
{
    enum { WORKERS = 3, TASKS = 300 };
    hk_executor *pool =
        hkt_pool_create((hk_executor_options){.workers = WORKERS, .tasks_per_worker = 1});
    hk_future *futures[TASKS];

    atomic_store(&at_work, 0);
    atomic_store(&at_work_most, 0);
    for (int i = 0; i < TASKS; i++) {
        HKT_OK_FATAL(hk_submit(pool, counts_who_is_at_work, NULL, 0, NULL, &futures[i]));
        HKT_TRUE(hkt_stats(pool).workers <= WORKERS);
    }
    for (int i = 0; i < TASKS; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    HKT_TRUE(atomic_load(&at_work_most) <= WORKERS);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(pool).workers_started, TASKS);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Affinity and stacks --- */

HK_TASK(tells_its_cpus)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return hk_fail(call, 1, "no affinity");
    }
    return hk_return(call, &set, sizeof(set));
}

static void workers_keep_to_their_cpus(void)
{
    cpu_set_t before;
    cpu_set_t after;
    const void *value = NULL;
    hk_executor *pool;
    hk_future *future = NULL;
    size_t usable = 0;
    int cpu;

    HKT_EQ_INT_FATAL(sched_getaffinity(0, sizeof(before), &before), 0);
    while (!CPU_ISSET(usable, &before)) {
        usable++;
    }
    cpu = (int)usable;
    pool = hkt_pool_create((hk_executor_options){.workers = 2, .cpus = &cpu, .cpu_count = 1});
    HKT_OK_FATAL(hk_submit(pool, tells_its_cpus, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    HKT_EQ_INT(CPU_COUNT((const cpu_set_t *)value), 1);
    HKT_TRUE(CPU_ISSET(usable, (const cpu_set_t *)value));
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(pool));
    HKT_EQ_INT(sched_getaffinity(0, sizeof(after), &after), 0);
    HKT_TRUE(CPU_EQUAL(&before, &after)); /* Not of the thread that made the pool. */
}

static void absurd_cpus_are_refused(void)
{
    static const int absurd[] = {-1, 1 << 20};
    hk_executor *pool = NULL;

    for (int i = 0; i < 2; i++) {
        hk_executor_options options = {.cpus = &absurd[i], .cpu_count = 1};

        HKT_STATUS(hk_thread_pool_create(&options, &pool), HK_EINVAL);
        HKT_EQ_PTR(pool, NULL);
    }
    HKT_STATUS(hk_thread_pool_create(&(hk_executor_options){.cpu_count = 1}, &pool), HK_EINVAL);
    HKT_EQ_PTR(pool, NULL);
}

HK_TASK(tells_its_stack_size)
{
    pthread_attr_t attributes;
    size_t size = 0;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return hk_fail(call, 1, "no attributes");
    }
    pthread_attr_getstacksize(&attributes, &size);
    pthread_attr_destroy(&attributes);
    return hk_return(call, &size, sizeof(size));
}

static void workers_have_the_stack_that_was_asked_for(void)
{
    /* More than the system's default: a stack that is kept for reuse may be larger. */
    const size_t wanted = (size_t)32 << 20;
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1, .stack_size = wanted});
    const void *value = NULL;
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, tells_its_stack_size, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    HKT_TRUE(*(const size_t *)value >= wanted);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(pool));
}

static CU_TestInfo tests[] = {
    HKT_CASE("TP01 there are as many workers as usable CPUs",
             there_are_as_many_workers_as_usable_cpus),
    HKT_CASE("TP02 saturation starts all workers and no more",
             saturation_starts_all_workers_and_no_more),
    HKT_CASE("TP03 an idle worker is used again", an_idle_worker_is_used_again),
    HKT_CASE("TP05 workers are named after the pool", workers_are_named_after_the_pool),
    HKT_CASE("TP06 default names are readable and unique", default_names_are_readable_and_unique),
    HKT_CASE("TP07 workers are threads that end with the pool",
             workers_are_threads_that_end_with_the_pool),
    HKT_CASE("a long name is cut", a_long_name_is_cut),
    HKT_CASE("XL08 idle workers leave and come back", idle_workers_leave_and_come_back),
    HKT_CASE("XL08 no task is lost to a leaving worker", no_task_is_lost_to_a_leaving_worker),
    HKT_CASE("XL07 a pool may grow and shrink while tasks run", a_pool_may_grow_while_tasks_run),
    HKT_CASE("XL07 a pool may be resized when all workers have left",
             a_pool_may_be_resized_when_all_have_left),
    HKT_CASE("absurd sizes are refused", absurd_sizes_are_refused),
    HKT_CASE("XM01 prestart starts all workers", prestart_starts_all),
    HKT_CASE("XM01 a shutdown may overtake a prestart", a_shutdown_may_overtake_a_prestart),
    HKT_CASE("PP09 a worker is replaced after its tasks", a_worker_is_replaced_after_its_tasks),
    HKT_CASE("PP12 replacing loses no task and adds no worker",
             replacing_loses_no_task_and_adds_no_worker),
    HKT_CASE("workers keep to their CPUs", workers_keep_to_their_cpus),
    HKT_CASE("absurd CPUs are refused", absurd_cpus_are_refused),
    HKT_CASE("workers have the stack that was asked for",
             workers_have_the_stack_that_was_asked_for),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "thread_pool", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
