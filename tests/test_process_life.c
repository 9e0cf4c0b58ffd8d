/* SPDX-License-Identifier: MIT */
/*
 * Workers come and go: hard ends, resizing, idling, memory, environment and early starts:
 * cases XL and XM01 of docs/contract.md.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/process_fixture.h"

/* --- XL06: nothing is left --- */

struct family {
    struct hkt_gate born;
    atomic_int child;
};

HK_TASK(leaves_a_child_behind)
{
    struct family *family = hkt_pointer(in, in_size);
    pid_t child = fork();

    if (child == 0) {
        for (;;) {
            (void)pause();
        }
    }
    atomic_store(&family->child, child);
    hkt_gate_open(&family->born);
    return hk_sleep(call, HK_FOREVER);
}

HK_TASK(leaves_a_pool_behind)
{
    void *stand = hkt_pointer(in, in_size);
    hk_executor_options options = {.workers = 1};
    hk_executor *pool = NULL;
    hk_status status = hk_process_pool_create(&options, &pool);

    if (status == HK_OK) {
        status = hk_submit(pool, hkt_stands, &stand, sizeof(stand), NULL, NULL);
    }
    return status == HK_OK ? hk_sleep(call, HK_FOREVER) : status;
}

static void a_hard_shutdown_leaves_no_process(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    struct family *family = hkt_shared_new(sizeof(*family));
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *futures[2];

    hkt_gate_init(&family->born, "a task has a child");
    futures[0] = hkt_submit_shared(pool, leaves_a_child_behind, family, NULL);
    futures[1] = hkt_submit_shared(pool, leaves_a_pool_behind, stand, NULL);
    hkt_gate_wait(&family->born);
    hkt_gate_await_arrivals(&stand->gate, 1);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER));
    HKT_TRUE(hkt_goes(atomic_load(&family->child)));
    HKT_TRUE(hkt_goes(atomic_load(&stand->pid)));
    for (int i = 0; i < 2; i++) {
        hkt_expect_end(futures[i], HK_ECANCELED);
    }
    hkt_processes_end(pool);
}

static void every_killed_worker_of_a_shutdown_is_gone(void)
{
    enum { WORKERS = 4 };

    for (int round = 0; round < 5; round++) {
        hk_executor *pool = hkt_processes((hk_executor_options){.workers = WORKERS});
        struct hkt_stand *stands[WORKERS];
        hk_future *futures[WORKERS];

        for (int i = 0; i < WORKERS; i++) {
            stands[i] = hkt_stand_new();
            futures[i] = hkt_stand_submit(pool, stands[i]);
        }
        HKT_EQ_INT(kill(atomic_load(&stands[0]->pid), SIGKILL), 0); /* Amid the others. */
        HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER));
        for (int i = 0; i < WORKERS; i++) {
            HKT_TRUE(hkt_is_gone(atomic_load(&stands[i]->pid)));
            HKT_TRUE(hk_future_has_ended(futures[i]));
            hk_future_unref(futures[i]);
        }
        hkt_processes_end(pool);
    }
}

/* --- XL07, XL08: how many --- */

static void resizing_under_load_loses_nothing(void)
{
    enum { TASKS = 400 };
    static const unsigned sizes[] = {4, 1, 3, 2, 6, 1};
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    hk_future *futures[TASKS];

    for (int i = 0; i < TASKS; i++) {
        if (i % 60 == 0) {
            HKT_OK(hk_executor_resize(pool, sizes[(size_t)(i / 60) % 6]));
        }
        futures[i] = hkt_submit_int(pool, hkt_square, i);
    }
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
    HKT_OK(hk_executor_resize(pool, 1));
    HKT_TRUE(hkt_becomes(pool, hkt_workers, 1));
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void shrinking_waits_for_running_tasks(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 3});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *futures[3];

    for (int i = 0; i < 3; i++) {
        futures[i] = hkt_stand_submit(pool, stand);
    }
    HKT_OK(hk_executor_resize(pool, 1));
    hkt_gate_open(&stand->gate);
    for (int i = 0; i < 3; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    HKT_EQ_INT(atomic_load(&stand->passed), 3);
    HKT_TRUE(hkt_becomes(pool, hkt_workers, 1));
    HKT_OK(hk_executor_resize(pool, 4));
    stand = hkt_stand_new();
    for (int i = 0; i < 3; i++) {
        futures[i] = hkt_stand_submit(pool, stand); /* All at once again. */
    }
    hkt_gate_open(&stand->gate);
    for (int i = 0; i < 3; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    hkt_processes_end(pool);
}

static void idle_workers_leave_and_come_back(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 3, .idle_exit = HK_MS(1)});

    for (int round = 0; round < 3; round++) {
        pid_t pid = hkt_pid_of_worker(pool);

        hkt_expect_health(pool);
        HKT_TRUE(hkt_becomes(pool, hkt_workers, 0));
        HKT_TRUE(hkt_is_gone(pid));
    }
    HKT_OK(hk_executor_resize(pool, 2)); /* After all have left. */
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void a_large_submit_outlasts_idle_workers(void)
{
    enum { BYTES = 8 << 20 };
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2, .idle_exit = HK_US(10)});
    unsigned char *bytes = calloc(1, BYTES);

    HKT_TRUE_FATAL(bytes != NULL);
    for (int i = 0; i < 10; i++) {
        hk_future *future = NULL;
        const void *value = NULL;
        size_t size = 0;

        bytes[BYTES - 1] = (unsigned char)i;
        HKT_OK_FATAL(hk_submit(pool, hkt_echo, bytes, BYTES, NULL, &future));
        HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, &size));
        HKT_EQ_INT(size, BYTES);
        HKT_EQ_INT(((const unsigned char *)value)[BYTES - 1], i);
        hk_future_unref(future);
    }
    free(bytes);
    hkt_processes_end(pool);
}

/* --- XL09: memory --- */

static unsigned char *volatile kept; /* Volatile, or nobody would need it. */

HK_TASK(keeps_memory)
{
    enum { BYTES = 64 << 20 };
    pid_t pid = getpid();

    kept = malloc(BYTES);
    if (kept == NULL) {
        return HK_ENOMEM;
    }
    memset(kept, 1, BYTES);
    return hk_return(call, &pid, sizeof(pid));
}

static void a_worker_over_its_memory_is_replaced(void)
{
    enum { TASKS = 300 };
    hk_executor *pool =
        hkt_processes((hk_executor_options){.workers = 1, .worker_rss_limit = 48 << 20});
    int fat = hkt_take_int(hkt_submit_int(pool, keeps_memory, 0));
    hk_future *futures[TASKS];

    /* It is measured now and then: by so many tasks it has been, and none of them is lost. */
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_int(pool, hkt_square, i);
    }
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
    HKT_TRUE(hkt_pid_of_worker(pool) != fat);
    HKT_TRUE(hkt_goes(fat));
    HKT_EQ_INT(hkt_stats(pool).failed, 0);
    hkt_processes_end(pool);
}

/* --- XL11: while it goes --- */

struct users {
    hk_executor *pool;
    struct hkt_barrier start;
    struct hkt_gate closed;
};

static void *use_pool(void *arg)
{
    struct users *users = arg;
    hk_future *future = NULL;
    hk_status status;

    hkt_barrier_wait(&users->start);
    for (int i = 0;
         (status = hk_submit(users->pool, hkt_square, &i, sizeof(i), NULL, &future)) == HK_OK;
         i++) {
        int square = i * i;
        const void *value = NULL;

        /* What was accepted ends, in whatever way the shutdown says. */
        status = hk_future_result(future, HK_FOREVER, &value, NULL);
        HKT_TRUE(status == HK_ECANCELED ||
                 (status == HK_OK && memcmp(value, &square, sizeof(square)) == 0));
        hk_future_unref(future);
    }
    HKT_STATUS(status, HK_ECLOSED);
    return NULL;
}

static void threads_may_use_a_pool_while_it_is_replaced(void)
{
    enum { USERS = 2, ROUNDS = 12 };

    for (int round = 0; round < ROUNDS; round++) {
        struct users users = {.pool = hkt_processes((hk_executor_options){.workers = 2})};
        hk_executor *next;
        pthread_t threads[USERS];

        hkt_barrier_init(&users.start, USERS + 1, "users begin");
        for (int i = 0; i < USERS; i++) {
            HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, use_pool, &users), 0);
        }
        hkt_barrier_wait(&users.start);
        hkt_expect_health(users.pool);
        next = hkt_processes((hk_executor_options){.workers = 2});
        HKT_OK(hk_executor_shutdown(users.pool, (hk_shutdown_how)(round % 3), HK_FOREVER));
        hkt_expect_health(next);
        for (int i = 0; i < USERS; i++) {
            pthread_join(threads[i], NULL);
        }
        hkt_processes_end(users.pool);
        hkt_processes_end(next);
    }
}

/* --- XL12: the environment --- */

HK_TASK(reads_environment)
{
    const char *value = getenv((const char *)in);

    return value == NULL ? HK_ECANCELED : hk_return(call, value, strlen(value) + 1);
}

static void expect_environment(hk_executor *pool, const char *name, const char *expected)
{
    hk_future *future = NULL;
    const void *value = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_submit(pool, reads_environment, name, strlen(name) + 1, NULL, &future));
    status = hk_future_result(future, HK_FOREVER, &value, NULL);
    HKT_STATUS(status, expected == NULL ? HK_ECANCELED : HK_OK);
    HKT_EQ_STR(value, expected);
    hk_future_unref(future);
}

static void a_pool_may_set_its_workers_environment(void)
{
    static const char *const one[] = {"HOCKET_TEST_COLOUR=green", "PATH", NULL};
    static const char *const two[] = {"HOCKET_TEST_COLOUR=blue", NULL};
    static const char *const bad[] = {"=nothing", NULL};
    hk_executor_options options = {.environment = bad};
    hk_executor *green = hkt_processes((hk_executor_options){.workers = 1, .environment = one});
    hk_executor *blue = hkt_processes((hk_executor_options){.workers = 1, .environment = two});
    hk_executor *none = NULL;

    expect_environment(green, "HOCKET_TEST_COLOUR", "green");
    expect_environment(green, "PATH", NULL);
    expect_environment(blue, "HOCKET_TEST_COLOUR", "blue");
    expect_environment(blue, "PATH", getenv("PATH"));
    HKT_EQ_PTR(getenv("HOCKET_TEST_COLOUR"), NULL);
    HKT_STATUS(hk_process_pool_create(&options, &none), HK_EINVAL);
    hkt_processes_end(green);
    hkt_processes_end(blue);
}

/* --- XM01: early starts --- */

static void workers_may_be_started_early(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 3});

    HKT_EQ_INT(hkt_stats(pool).workers, 0);
    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(pool).workers, 3);
    HKT_EQ_INT(hkt_stats(pool).workers_idle, 3);
    hkt_expect_health(pool);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 3);
    hkt_processes_end(pool);
}

static void an_early_start_need_not_be_over(void)
{
    for (int round = 0; round < 12; round++) {
        hk_executor *pool = hkt_processes((hk_executor_options){.workers = 4});
        hk_status status = hk_executor_prestart(pool, 0);

        HKT_TRUE(status == HK_OK || status == HK_ETIMEDOUT);
        HKT_OK(hk_executor_shutdown(pool, (hk_shutdown_how)(round % 4), HK_FOREVER));
        HKT_EQ_INT(hkt_stats(pool).workers, 0);
        hkt_processes_end(pool);
    }
}

static hk_status starts_at_gate(hk_call *call, void *gate, void **local)
{
    (void)call;
    (void)local;
    hkt_gate_wait(gate);
    return HK_OK;
}

static void *start_early(void *pool)
{
    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    return NULL;
}

/* Those that a resize adds come with work, so an early start that waited for them would wait for
 * ever. */
static void an_early_start_does_not_wait_for_a_later_resize(void)
{
    struct hkt_gate *gate = hkt_shared_new(sizeof(*gate));
    hk_executor *pool;
    pthread_t thread;

    hkt_gate_init(gate, "initialiser");
    pool = hkt_processes(
        (hk_executor_options){.workers = 1, .initializer = starts_at_gate, .worker_arg = gate});
    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, start_early, pool), 0);
    hkt_gate_await_arrivals(gate, 1);
    HKT_OK(hk_executor_resize(pool, 3));
    hkt_gate_open(gate);
    pthread_join(thread, NULL);
    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(pool).workers_idle, 3);
    hkt_processes_end(pool);
}

static CU_TestInfo tests[] = {
    HKT_CASE("XL06 a hard shutdown leaves no process", a_hard_shutdown_leaves_no_process),
    HKT_CASE("XL06 every killed worker of a shutdown is gone",
             every_killed_worker_of_a_shutdown_is_gone),
    HKT_CASE("XL07 resizing under load loses nothing", resizing_under_load_loses_nothing),
    HKT_CASE("XL07 shrinking waits for running tasks", shrinking_waits_for_running_tasks),
    HKT_CASE("XL07 XL08 idle workers leave and come back", idle_workers_leave_and_come_back),
    HKT_CASE("XL08 a large submit outlasts idle workers", a_large_submit_outlasts_idle_workers),
    HKT_CASE("XL09 a worker over its memory is replaced", a_worker_over_its_memory_is_replaced),
    HKT_CASE("XL11 threads may use a pool while it is replaced",
             threads_may_use_a_pool_while_it_is_replaced),
    HKT_CASE("XL12 a pool may set its workers' environment",
             a_pool_may_set_its_workers_environment),
    HKT_CASE("XM01 workers may be started early", workers_may_be_started_early),
    HKT_CASE("XM01 an early start need not be over", an_early_start_need_not_be_over),
    HKT_CASE("XM01 an early start does not wait for a later resize",
             an_early_start_does_not_wait_for_a_later_resize),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_life", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
