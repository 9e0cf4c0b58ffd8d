/* SPDX-License-Identifier: MIT */
/* Runs the rows of the misuse tables, each as a test; --rows names them. See rows.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/misuse/rows.h"

enum { NAME_BYTES = 96 };

struct misuse m;

const hk_duration misuse_durations[MISUSE_DURATIONS] = {-2, INT64_MIN + 1, INT64_MIN};
const size_t misuse_sizes[MISUSE_SIZES] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1};

/* --- objects --- */

static void set_up(void)
{
    hk_promise *promise = NULL;

    memset(&m, 0, sizeof(m));
    HKT_OK_FATAL(hk_inline_create(NULL, &m.executor));
    HKT_OK_FATAL(hk_promise_create(&m.promise, &m.pending));
    HKT_OK_FATAL(hk_promise_create(&promise, &m.done));
    HKT_OK_FATAL(hk_promise_set(promise, "done", 4));
    hk_promise_destroy(promise);
    HKT_OK_FATAL(hk_queue_create(NULL, &m.queue));
    HKT_OK_FATAL(hk_ring_create(NULL, &m.ring));
    HKT_OK_FATAL(hk_completion_create(&m.completion));
    HKT_OK_FATAL(hk_cancel_token_create(NULL, &m.token));
}

/* And they are still good for what they are for. */
static void tear_down(void)
{
    (void)hk_future_why(m.pending); /* Read, if it has failed. */
    hk_promise_destroy(m.promise);
    HKT_TRUE(hk_future_has_ended(m.pending) && hk_future_has_ended(m.done));
    (void)hk_future_why(m.pending);
    hk_future_unref(m.pending);
    hk_future_unref(m.done);
    HKT_OK(hk_queue_destroy(m.queue));
    HKT_OK(hk_ring_destroy(m.ring));
    hk_completion_destroy(m.completion);
    hk_cancel_token_unref(m.token);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(m.executor, hkt_square, 3)), 9);
    HKT_OK(hk_executor_destroy(m.executor));
}

/* --- what rows call --- */

static bool (*asked)(void);
static bool answer;

HK_TASK(asks)
{
    m.call = call;
    answer = asked();
    m.call = NULL;
    return HK_OK;
}

bool misuse_in_task(bool (*holds)(void))
{
    hk_future *future = NULL;

    asked = holds;
    answer = false;
    HKT_OK(hk_submit(m.executor, asks, NULL, 0, NULL, &future));
    HKT_TRUE(hk_future_has_ended(future));
    (void)hk_future_why(future);
    hk_future_unref(future);
    return answer;
}

/* A back end of which each job is at once in our hands. */
static hk_job *caught;

static hk_status catches(void *self, hk_job *job, hk_duration queue_wait)
{
    (void)self;
    (void)queue_wait;
    caught = job;
    return HK_OK;
}

static void shuts_down(void *self, hk_shutdown_how how)
{
    (void)self;
    (void)how;
}

static hk_status joins(void *self, hk_duration timeout)
{
    (void)self;
    (void)timeout;
    return HK_OK;
}

static void destroys(void *self)
{
    (void)self;
}

static hk_executor *open_catcher(void)
{
    static const hk_executor_ops ops = {.size = sizeof(ops),
                                        .kind = "catcher",
                                        .flags = HK_EXECUTOR_SHARES_MEMORY,
                                        .submit = catches,
                                        .shutdown = shuts_down,
                                        .join = joins,
                                        .destroy = destroys};
    hk_executor *executor = NULL;

    HKT_OK_FATAL(hk_executor_create(&ops, NULL, NULL, &executor));
    return executor;
}

bool misuse_discards(hk_status status, const char *message)
{
    hk_executor *executor = open_catcher();
    hk_future *future = NULL;
    bool ended;

    HKT_OK_FATAL(hk_submit(executor, hkt_nothing, NULL, 0, NULL, &future));
    hk_job_discard(caught, status, message);
    ended = hk_future_state(future) == HK_FAILED || hk_future_state(future) == HK_CANCELLED;
    ended = ended && hk_future_wait(future, 0) == HK_OK &&
            hk_future_result(future, 0, NULL, NULL) != HK_OK;
    (void)hk_future_why(future);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor));
    return ended;
}

bool misuse_runs_job(void *local, const char *where)
{
    hk_executor *executor = open_catcher();
    hk_future *future = NULL;
    bool ran;

    HKT_OK_FATAL(hk_submit(executor, hkt_fails, NULL, 0, NULL, &future));
    ran = hk_job_run(caught, local, where) && hk_future_state(future) == HK_FAILED &&
          hk_future_why(future)[0] != '\0';
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor));
    return ran;
}

bool misuse_pool_refuses_sizes(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    bool refuses = hk_executor_resize(pool, 4097) == HK_EINVAL &&
                   hk_executor_resize(pool, UINT_MAX) == HK_EINVAL &&
                   hk_executor_resize(pool, (unsigned)INT_MAX + 1) == HK_EINVAL;

    HKT_OK(hk_executor_destroy(pool));
    return refuses;
}

/* --- absurd options --- */

static const int no_cpu[] = {-1};
static const int far_cpu[] = {INT_MAX};

static const hk_executor_options absurd_executors[] = {
    {.size = 1},
    {.size = sizeof(hk_executor_options) - 1},
    {.workers = 4097},
    {.workers = UINT_MAX},
    {.queue_capacity = SIZE_MAX},
    {.when_full = (hk_when_full)4},
    {.when_full = (hk_when_full)-1},
    {.idle_exit = -2},
    {.idle_exit = INT64_MIN},
    {.spare_workers = 4097},
    {.spare_workers = UINT_MAX - 1},
    {.stack_size = 1},
    {.stack_size = SIZE_MAX},
    {.cpus = NULL, .cpu_count = 1},
    {.cpus = no_cpu, .cpu_count = 1},
    {.cpus = far_cpu, .cpu_count = 1},
    {.cpus = no_cpu, .cpu_count = SIZE_MAX},
    {.task_timeout = -2},
    {.task_timeout = INT64_MIN},
    {.max_payload = SIZE_MAX},
};

bool misuse_refuses_options(hk_status (*create)(const hk_executor_options *options,
                                                hk_executor **out))
{
    bool refuses = true;

    for (size_t i = 0; i < sizeof(absurd_executors) / sizeof(absurd_executors[0]); i++) {
        hk_executor *executor = NULL;

        if (create(&absurd_executors[i], &executor) != HK_EINVAL || executor != NULL) {
            printf("    absurd options %zu are taken\n", i);
            HKT_OK(hk_executor_destroy(executor));
            refuses = false;
        }
    }
    return refuses;
}

bool misuse_refuses_submit_options(hk_status (*submit)(const hk_submit_options *options))
{
    static const int bad_fd[] = {-1};
    const hk_submit_options absurd[] = {
        {.size = 1},
        {.size = sizeof(hk_submit_options) - 1},
        {.priority = (hk_priority)2},
        {.priority = (hk_priority)-2},
        {.priority = (hk_priority)INT_MIN},
        {.timeout = -2},
        {.timeout = INT64_MIN},
        {.deadline = -2},
        {.deadline = INT64_MIN},
        {.queue_wait = -2},
        {.queue_wait = INT64_MIN},
        {.fds = NULL, .fd_count = 1},
        {.fds = bad_fd, .fd_count = 1},
        {.fds = bad_fd, .fd_count = 17},
        {.fds = bad_fd, .fd_count = SIZE_MAX},
    };
    bool refuses = true;

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        if (submit(&absurd[i]) != HK_EINVAL) {
            printf("    absurd options %zu are taken\n", i);
            refuses = false;
        }
    }
    /* What is odd, but not absurd. */
    return refuses && submit(&(hk_submit_options){.timeout = INT64_MAX,
                                                  .deadline = INT64_MAX,
                                                  .queue_wait = INT64_MAX,
                                                  .retries = UINT_MAX}) == HK_OK;
}

/* --- running --- */

static size_t row_count(void)
{
    return (size_t)(__stop_misuse_rows - __start_misuse_rows);
}

int main(int argc, char **argv)
{
    size_t count = row_count();
    CU_TestInfo *tests = calloc(count + 1, sizeof(*tests));
    char(*names)[NAME_BYTES] = calloc(count + 1, sizeof(*names));
    CU_SuiteInfo suites[] = {
        {.pName = "misuse", .pTests = tests, .pSetUpFunc = set_up, .pTearDownFunc = tear_down},
        CU_SUITE_INFO_NULL};
    int status = EXIT_FAILURE;

    if (tests == NULL || names == NULL) {
        goto end;
    }
    for (size_t i = 0; i < count; i++) {
        const struct misuse_row *row = __start_misuse_rows[i];

        snprintf(names[i], NAME_BYTES, "%s() with a bad %s", row->function, row->argument);
        tests[i] = (CU_TestInfo){names[i], row->test};
        if (argc == 2 && strcmp(argv[1], "--rows") == 0) {
            printf("%s %s\n", row->function, row->argument);
        }
    }
    status =
        argc == 2 && strcmp(argv[1], "--rows") == 0 ? EXIT_SUCCESS : hkt_main(argc, argv, suites);
end:
    free(names);
    free(tests);
    return status;
}
