/* SPDX-License-Identifier: MIT */
/*
 * Every call about tasks and executors that allocates, without memory, on every kind of
 * executor that shares memory. What a task's own call met shows in its future; so a case counts
 * a failed future as a refusal.
 */
#include <stdatomic.h>
#include <string.h>

#include "tests/allocation_fixture.h"
#include "tests/promise_fixture.h"

enum { SIZE = 300, FORKS = 40, NUMBERS = 12 };

static const char *spec;
static hk_executor *executor;
static const int numbers[NUMBERS] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static atomic_uint counter;

static void prepare(void)
{
    HKT_OK(hk_executor_open(spec, &executor));
    atomic_store(&counter, 0);
}

static void clean(void)
{
    HKT_OK(hk_executor_destroy(executor));
}

/* --- What happens to an executor shows in whether it works --- */

static void still_works(void)
{
    hk_future *future = NULL;
    int number = 7;

    HKT_OK(hk_submit(executor, hkt_square, &number, sizeof(number), NULL, &future));
    HKT_EQ_INT(hkt_take_int(future), 49);
}

/* HK_ENOMEM: refused, or the task has failed, which is what a task can say. */
static hk_status end_of(hk_status submitted, hk_future *future)
{
    hk_status status;

    if (submitted != HK_OK) {
        HKT_EQ_PTR(future, NULL);
        return submitted;
    }
    status = hk_future_result(future, HK_FOREVER, NULL, NULL);
    HKT_TRUE(status == HK_OK || status == HK_EFAILED || status == HK_ENOMEM);
    (void)hk_future_why(future);
    hk_future_unref(future);
    return status == HK_OK ? HK_OK : HK_ENOMEM;
}

static hk_status run(const hk_task *task, const hk_submit_options *options)
{
    hk_future *future = NULL;
    hk_status status = hk_submit(executor, task, numbers, sizeof(numbers), options, &future);

    return end_of(status, future);
}

/* --- Submits --- */

static hk_status submit(void)
{
    return run(hkt_echo, NULL);
}

static hk_status submit_with_limits(void)
{
    hk_submit_options options = {.label = "labelled", .timeout = HK_SEC(1000)};

    return run(hkt_echo, &options);
}

static hk_status submit_reference(void)
{
    hk_future *future = NULL;
    hk_status status = hk_submit_ref(executor, hkt_counts, &counter, hkt_count_drop, NULL, &future);

    status = end_of(status, future);
    if (status != HK_OK) {
        HKT_EQ_INT(atomic_load(&counter), 0);
    }
    return status;
}

static hk_status submit_buffer(void)
{
    hk_buffer *buffer = NULL;
    hk_future *future = NULL;
    hk_status status = hk_buffer_create(executor, SIZE, &buffer);

    if (status == HK_OK) {
        memset(hk_buffer_data(buffer), 1, SIZE);
        status = hk_submit_buffer(executor, hkt_nothing, buffer, NULL, &future);
        if (status != HK_OK) {
            HKT_EQ_INT(((const char *)hk_buffer_data(buffer))[SIZE - 1], 1);
            hk_buffer_destroy(buffer);
        }
        status = end_of(status, future);
    }
    return status;
}

static hk_status create_buffer(void)
{
    hk_buffer *buffer = NULL;
    hk_status status = hk_buffer_create(executor, SIZE, &buffer);

    HKT_EQ_INT(buffer != NULL, status == HK_OK);
    hk_buffer_destroy(buffer);
    return status;
}

static hk_status submit_many(void)
{
    hk_future *futures[NUMBERS] = {NULL};
    size_t accepted = 99;
    hk_status status = hk_submit_many(executor, hkt_square, numbers, NUMBERS, sizeof(int), NULL,
                                      futures, &accepted);

    HKT_EQ_INT(accepted == NUMBERS, status == HK_OK);
    for (size_t i = 0; i < NUMBERS; i++) {
        HKT_EQ_INT(futures[i] != NULL, i < accepted);
        if (futures[i] != NULL) {
            HKT_EQ_INT(hkt_take_int(futures[i]), numbers[i] * numbers[i]);
        }
    }
    return status;
}

/* --- What tasks call --- */

HK_TASK(returns_much)
{
    char bytes[SIZE] = {0};

    return hk_return(call, bytes, sizeof(bytes));
}

static hk_status return_much(void)
{
    return run(returns_much, NULL);
}

HK_TASK(outputs_much)
{
    void *room = NULL;
    hk_status status = hk_return_reserve(call, SIZE, &room);

    HKT_EQ_INT(room != NULL, status == HK_OK);
    if (status == HK_OK && room != NULL) {
        memset(room, 1, SIZE);
    }
    return status;
}

static hk_status output_much(void)
{
    return run(outputs_much, NULL);
}

HK_TASK(fails_with_words)
{
    return hk_fail(call, 3, "%s", "there was no luck to be had at all");
}

/* A failure stays one with its number, whatever becomes of its words. */
static hk_status fail_with_words(void)
{
    hk_future *future = NULL;
    const hk_error *error = NULL;
    hk_status status = hk_submit(executor, fails_with_words, NULL, 0, NULL, &future);

    if (status == HK_OK) {
        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
        HKT_OK(hk_future_error(future, 0, &error));
        HKT_TRUE(error != NULL && error->status == HK_EFAILED && error->message != NULL);
        (void)hk_future_why(future);
        hk_future_unref(future);
    }
    return status;
}

HK_TASK(fails_after_a_system_call)
{
    errno = ENOENT;
    return hk_fail_errno(call, "open %s", "a file that was never there");
}

static hk_status fail_with_errno(void)
{
    hk_future *future = NULL;
    hk_status status = hk_submit(executor, fails_after_a_system_call, NULL, 0, NULL, &future);

    if (status == HK_OK) {
        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
        (void)hk_future_why(future);
        hk_future_unref(future);
    }
    return status;
}

HK_TASK(wants_its_token)
{
    hk_cancel_token *token = NULL;
    hk_status status = hk_call_token(call, &token);

    HKT_EQ_INT(token != NULL, status == HK_OK);
    return status;
}

static hk_status call_token(void)
{
    return run(wants_its_token, NULL);
}

HK_TASK(wants_its_stop_fd)
{
    int fd = -1;
    hk_status status = hk_call_stop_fd(call, &fd);

    HKT_EQ_INT(fd >= 0, status == HK_OK);
    return status;
}

static hk_status stop_fd(void)
{
    return run(wants_its_stop_fd, NULL);
}

HK_TASK(sleeps_a_moment)
{
    return hk_sleep(call, HK_NS(1));
}

static hk_status sleep_a_moment(void)
{
    return run(sleeps_a_moment, NULL);
}

HK_TASK(tells_progress)
{
    hk_progress(call, 1, 2);
    return HK_OK;
}

static hk_status tell_progress(void)
{
    return run(tells_progress, NULL);
}

static hk_status count_fork(hk_scope *scope, void *arg)
{
    (void)scope;
    atomic_fetch_add((atomic_uint *)arg, 1);
    return HK_OK;
}

/* A fork that finds no memory runs at once: none is lost. */
HK_TASK(forks_much)
{
    hk_scope scope;
    hk_forked records[FORKS];

    HKT_OK(hk_scope_begin(&scope, call));
    for (int i = 0; i < FORKS; i++) {
        HKT_OK(hk_fork(&scope, &records[i], count_fork, &counter));
    }
    for (int i = FORKS; i-- != 0;) {
        HKT_OK(hk_join(&scope, &records[i]));
    }
    HKT_OK(hk_scope_end(&scope));
    HKT_EQ_INT(atomic_load(&counter), FORKS);
    return HK_OK;
}

static hk_status fork_much(void)
{
    return run(forks_much, NULL);
}

/* --- Ranges and maps --- */

static hk_status count_range(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)range;
    atomic_fetch_add((atomic_uint *)context, (unsigned)(end - begin));
    return HK_OK;
}

static hk_status parallel_for(void)
{
    hk_range range;
    hk_status status =
        hk_parallel_for(&range, executor, 0, FORKS, count_range, (void *)&counter, NULL);

    HKT_TRUE(hk_range_has_ended(&range));
    HKT_EQ_INT(atomic_load(&counter), status == HK_OK ? FORKS : 0);
    return status;
}

static hk_status begin_range(void)
{
    hk_range range;
    hk_status status =
        hk_range_begin(&range, executor, 0, FORKS, count_range, (void *)&counter, NULL);

    if (status == HK_OK) {
        HKT_OK(hk_range_end(&range));
    }
    HKT_EQ_INT(atomic_load(&counter), status == HK_OK ? FORKS : 0);
    return status;
}

/* What a failed item leaves out is said; the others come. */
static hk_status read_map(hk_map_iterator *iterator, int *sum, int *lost)
{
    hk_status status;
    hk_map_item item;

    while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK) {
        if (item.status == HK_OK) {
            *sum += *(const int *)item.data;
        } else {
            ++*lost;
        }
        hk_map_item_drop(&item);
    }
    return status;
}

enum { SQUARES = 650 }; /* The sum of those of 1 to NUMBERS. */

static hk_status map_numbers(void)
{
    hk_array_source source = {numbers, NUMBERS, sizeof(int), 0};
    hk_map_options options = {.chunk = 2, .window = 2};
    hk_map_iterator *iterator = NULL;
    int sum = 0;
    int lost = 0;
    hk_status status;

    status = hk_map(executor, hkt_square, hk_array_source_next, &source, &options, &iterator);
    HKT_EQ_INT(iterator != NULL, status == HK_OK);
    if (status != HK_OK) {
        return status;
    }
    status = read_map(iterator, &sum, &lost);
    HKT_TRUE(status == HK_EDONE || status == HK_ENOMEM);
    if (status == HK_EDONE && lost == 0) {
        HKT_EQ_INT(sum, SQUARES);
        status = HK_OK;
    }
    hk_map_destroy(iterator);
    return status == HK_OK ? HK_OK : HK_ENOMEM;
}

static hk_status add_up(void *sum, const hk_map_item *item)
{
    if (item->status != HK_OK) {
        return item->status;
    }
    *(int *)sum += *(const int *)item->data;
    return HK_OK;
}

static hk_status reduce_numbers(void)
{
    hk_array_source source = {numbers, NUMBERS, sizeof(int), 0};
    hk_map_options options = {.chunk = 2, .window = 2, .unordered = true};
    int sum = 0;
    hk_status status =
        hk_map_reduce(executor, hkt_square, hk_array_source_next, &source, add_up, &sum, &options);

    if (status == HK_OK) {
        HKT_EQ_INT(sum, SQUARES);
    }
    return status == HK_EFAILED ? HK_ENOMEM : status;
}

static const struct hkt_allocation_case cases[] = {
    {"hk_submit", prepare, submit, still_works, still_works, clean, false},
    {"hk_submit with limits", prepare, submit_with_limits, still_works, still_works, clean, false},
    {"hk_submit_ref", prepare, submit_reference, still_works, still_works, clean, false},
    {"hk_submit_buffer", prepare, submit_buffer, still_works, still_works, clean, false},
    {"hk_submit_many", prepare, submit_many, still_works, still_works, clean, true},
    {"hk_buffer_create", prepare, create_buffer, still_works, still_works, clean, false},
    {"hk_return", prepare, return_much, still_works, still_works, clean, false},
    {"hk_return_reserve", prepare, output_much, still_works, still_works, clean, false},
    {"hk_fail", prepare, fail_with_words, still_works, still_works, clean, true},
    {"hk_fail_errno", prepare, fail_with_errno, still_works, still_works, clean, true},
    {"hk_call_token", prepare, call_token, still_works, still_works, clean, false},
    {"hk_call_stop_fd", prepare, stop_fd, still_works, still_works, clean, false},
    {"hk_sleep", prepare, sleep_a_moment, still_works, still_works, clean, false},
    {"hk_progress", prepare, tell_progress, still_works, still_works, clean, true},
    {"hk_fork", prepare, fork_much, still_works, still_works, clean, true},
    {"hk_range_begin", prepare, begin_range, still_works, still_works, clean, true},
    {"hk_parallel_for", prepare, parallel_for, still_works, still_works, clean, true},
    {"hk_map", prepare, map_numbers, still_works, still_works, clean, true},
    {"hk_map_next", prepare, map_numbers, still_works, still_works, clean, true},
    {"hk_map_reduce", prepare, reduce_numbers, still_works, still_works, clean, true},
};

static void every_call_survives_without_memory(void)
{
    static const char *const specs[] = {"inline", "threads:1", "threads:2?queue_capacity=64",
                                        "serial:threads:1", "replay:1"};

    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        long allocations = 0;

        for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
            spec = specs[i];
            allocations += hkt_fail_each_allocation(&cases[k]);
        }
        hkt_check_true(HKT_SITE(false), allocations > 0, cases[k].name); /* Somewhere it does. */
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("every call of and about tasks survives without memory",
             every_call_survives_without_memory),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "allocation.tasks",
     .pSetUpFunc = hkt_be_quiet,
     .pTearDownFunc = hkt_be_loud,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
