/* SPDX-License-Identifier: MIT */
/* Calls about futures, tasks and executors that need no memory: a row for each. */
#include <string.h>
#include <unistd.h>

#include "tests/no_allocation_fixture.h"
#include "tests/promise_fixture.h"

/* --- Futures --- */

static void tokens(void)
{
    hk_cancel_token *token = NULL;
    int fd = -1;

    HKT_OK(hk_cancel_token_create(NULL, &token));
    HKT_NEEDS_NO_MEMORY(hk_cancel_token_ref, HKT_EQ_PTR(hk_cancel_token_ref(token), token));
    HKT_NEEDS_NO_MEMORY(hk_cancel_token_unref, hk_cancel_token_unref(token));
    HKT_NEEDS_NO_MEMORY(hk_cancel_token_is_fired, HKT_TRUE(!hk_cancel_token_is_fired(token)));
    HKT_NEEDS_NO_MEMORY(hk_cancel_token_fd, HKT_OK(hk_cancel_token_fd(token, &fd)));
    HKT_NEEDS_NO_MEMORY(hk_cancel_token_fire, HKT_OK(hk_cancel_token_fire(token, "enough")));
    HKT_NEEDS_NO_MEMORY(hk_cancel_token_why, HKT_TRUE(hk_cancel_token_why(token) != NULL));
    HKT_NEEDS_NO_MEMORY(hk_cancel_token_unref, hk_cancel_token_unref(token));
}

static void reading_a_future(void)
{
    struct hkt_pair pair;
    struct hkt_pair other;
    hk_future_view view;
    uint64_t done;
    uint64_t total;
    char text[64];
    int fd = -1;

    hkt_pair_open(&pair);
    hkt_pair_open(&other);
    HKT_NEEDS_NO_MEMORY(hk_future_ref, HKT_EQ_PTR(hk_future_ref(pair.future), pair.future));
    HKT_NEEDS_NO_MEMORY(hk_future_unref, hk_future_unref(pair.future));
    HKT_NEEDS_NO_MEMORY(hk_future_state, HKT_EQ_INT(hk_future_state(pair.future), HK_PENDING));
    HKT_NEEDS_NO_MEMORY(hk_promise_start, HKT_OK(hk_promise_start(pair.promise)));
    HKT_NEEDS_NO_MEMORY(hk_future_has_ended, HKT_TRUE(!hk_future_has_ended(pair.future)));
    HKT_NEEDS_NO_MEMORY(hk_future_fd, HKT_OK(hk_future_fd(pair.future, &fd)));
    HKT_NEEDS_NO_MEMORY(hk_future_progress, hk_future_progress(pair.future, &done, &total));
    HKT_NEEDS_NO_MEMORY(hk_future_wait, HKT_STATUS(hk_future_wait(pair.future, 1), HK_ETIMEDOUT));
    HKT_NEEDS_NO_MEMORY(hk_promise_set_ref, HKT_OK(hk_promise_set_ref(pair.promise, text, NULL)));
    HKT_NEEDS_NO_MEMORY(hk_future_wait, HKT_OK(hk_future_wait(pair.future, HK_FOREVER)));
    HKT_NEEDS_NO_MEMORY(hk_future_result, HKT_OK(hk_future_result(pair.future, 0, NULL, NULL)));
    HKT_NEEDS_NO_MEMORY(hk_future_snapshot, HKT_OK(hk_future_snapshot(pair.future, &view)));
    HKT_NEEDS_NO_MEMORY(hk_future_describe,
                        HKT_TRUE(hk_future_describe(pair.future, text, sizeof(text)) > 0));
    HKT_NEEDS_NO_MEMORY(hk_promise_follow, HKT_OK(hk_promise_follow(other.promise, pair.future)));
    hkt_pair_close(&other);
    hkt_pair_open(&other);
    HKT_NEEDS_NO_MEMORY(hk_future_cancel,
                        HKT_OK(hk_future_cancel(other.future, HK_CANCEL_PENDING)));
    hkt_pair_close(&other);
    hkt_pair_close(&pair);
}

static void reading_a_failure(void)
{
    struct hkt_pair pair;
    const hk_error *error = NULL;
    char text[256];

    hkt_pair_open_in(&pair, HK_FAILED);
    HKT_NEEDS_NO_MEMORY(hk_future_error, HKT_OK(hk_future_error(pair.future, 0, &error)));
    HKT_NEEDS_NO_MEMORY(hk_error_format, HKT_TRUE(hk_error_format(error, text, sizeof(text)) > 0));
    hkt_pair_close(&pair);
}

static void taking_hooks_and_values_back(void)
{
    struct hkt_pair pair;
    struct hkt_seen seen = {0};
    hk_hook *hooks[2] = {NULL, NULL};
    hk_value value = {0};
    char large[200] = {0};

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen, &hooks[0]));
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen, &hooks[1]));
    HKT_NEEDS_NO_MEMORY(hk_hook_remove, HKT_OK(hk_hook_remove(hooks[0])));
    HKT_NEEDS_NO_MEMORY(hk_hook_forget, hk_hook_forget(hooks[1]));
    HKT_OK(hk_promise_set(pair.promise, large, sizeof(large)));
    HKT_EQ_INT(seen.calls, 1);
    HKT_OK(hk_future_take(pair.future, 0, &value));
    HKT_NEEDS_NO_MEMORY(hk_value_drop, hk_value_drop(&value));
    hkt_pair_close(&pair);
}

static void completions(void)
{
    struct hkt_pair pair;
    hk_completion *completion = NULL;
    hk_future *future = NULL;
    int fd = -1;

    hkt_pair_open(&pair);
    HKT_OK(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, pair.future, 1));
    HKT_NEEDS_NO_MEMORY(hk_completion_outstanding,
                        HKT_EQ_INT(hk_completion_outstanding(completion), 1));
    HKT_NEEDS_NO_MEMORY(hk_completion_fd, HKT_OK(hk_completion_fd(completion, &fd)));
    HKT_NEEDS_NO_MEMORY(hk_completion_next,
                        HKT_STATUS(hk_completion_next(completion, 1, NULL, NULL), HK_ETIMEDOUT));
    hkt_pair_end(&pair, HK_DONE);
    HKT_NEEDS_NO_MEMORY(hk_completion_next,
                        HKT_OK(hk_completion_next(completion, HK_FOREVER, &future, NULL)));
    hk_future_unref(future);
    HKT_NEEDS_NO_MEMORY(hk_completion_destroy, hk_completion_destroy(completion));
    hkt_pair_close(&pair);
}

/* --- What a task may ask --- */

static hk_executor *open_inline(void)
{
    hk_executor *executor = NULL;

    HKT_OK_FATAL(hk_executor_open("inline", &executor));
    return executor;
}

static void run_inline(const hk_task *task, const hk_submit_options *options)
{
    hk_executor *executor = open_inline();
    hk_future *future = NULL;

    HKT_OK(hk_submit(executor, task, NULL, 0, options, &future));
    HKT_OK(hk_future_result(future, 0, NULL, NULL));
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor));
}

HK_TASK(asks_everything)
{
    int number = 1;
    int fd = -1;

    HKT_NEEDS_NO_MEMORY(hk_should_stop, HKT_TRUE(!hk_should_stop(call)));
    HKT_NEEDS_NO_MEMORY(hk_call_time_left, HKT_EQ_INT(hk_call_time_left(call), HK_FOREVER));
    HKT_NEEDS_NO_MEMORY(hk_call_worker_local, HKT_TRUE(hk_call_worker_local(call) == NULL));
    HKT_NEEDS_NO_MEMORY(hk_call_executor, HKT_TRUE(hk_call_executor(call) != NULL));
    HKT_NEEDS_NO_MEMORY(hk_call_attempt, HKT_EQ_INT(hk_call_attempt(call), 1));
    HKT_NEEDS_NO_MEMORY(hk_call_take_fd, HKT_OK(hk_call_take_fd(call, 0, &fd)));
    close(fd);
    HKT_NEEDS_NO_MEMORY(hk_return_ref, HKT_OK(hk_return_ref(call, &number, NULL)));
    return hk_return(call, &number, sizeof(number));
}

static void asking_in_a_task(void)
{
    int fds[] = {STDERR_FILENO};
    hk_submit_options options = {.fds = fds, .fd_count = 1};

    run_inline(asks_everything, &options);
}

HK_TASK(returns_its_buffer)
{
    hk_buffer *buffer = NULL;

    HKT_OK(hk_buffer_create(hk_call_executor(call), 100, &buffer));
    HKT_NEEDS_NO_MEMORY(hk_buffer_size, HKT_EQ_INT(hk_buffer_size(buffer), 100));
    HKT_NEEDS_NO_MEMORY(hk_buffer_data, HKT_TRUE(hk_buffer_data(buffer) != NULL));
    HKT_NEEDS_NO_MEMORY(hk_buffer_set_size, HKT_OK(hk_buffer_set_size(buffer, 10)));
    memset(hk_buffer_data(buffer), 1, 10);
    HKT_NEEDS_NO_MEMORY(hk_return_buffer, HKT_OK(hk_return_buffer(call, buffer)));
    HKT_OK(hk_buffer_create(hk_call_executor(call), 100, &buffer));
    HKT_NEEDS_NO_MEMORY(hk_buffer_destroy, hk_buffer_destroy(buffer));
    return HK_OK;
}

static void buffers(void)
{
    run_inline(returns_its_buffer, NULL);
}

static hk_status do_nothing(hk_scope *scope, void *arg)
{
    (void)arg;
    HKT_NEEDS_NO_MEMORY(hk_scope_should_stop, HKT_TRUE(!hk_scope_should_stop(scope)));
    return HK_OK;
}

HK_TASK(forks_and_joins)
{
    hk_scope scope;
    hk_forked record;

    HKT_NEEDS_NO_MEMORY(hk_scope_begin, HKT_OK(hk_scope_begin(&scope, call)));
    /* Inline, the fork runs within hk_fork(), and counts for itself. */
    HKT_OK(hk_fork(&scope, &record, do_nothing, NULL));
    HKT_NEEDS_NO_MEMORY(hk_join, HKT_OK(hk_join(&scope, &record)));
    HKT_NEEDS_NO_MEMORY(hk_forked_is_joined, HKT_TRUE(hk_forked_is_joined(&record)));
    HKT_NEEDS_NO_MEMORY(hk_scope_end, HKT_OK(hk_scope_end(&scope)));
    return HK_OK;
}

static void scopes(void)
{
    run_inline(forks_and_joins, NULL);
}

static hk_status range_body(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)context;
    HKT_TRUE(begin <= end);
    HKT_NEEDS_NO_MEMORY(hk_range_should_stop, HKT_TRUE(!hk_range_should_stop(range)));
    return HK_OK;
}

static void ranges(void)
{
    hk_executor *executor = open_inline();
    hk_range range;

    HKT_OK(hk_range_begin(&range, executor, 0, 1, range_body, NULL, NULL));
    HKT_OK(hk_range_end(&range));
    HKT_OK(hk_range_begin(&range, executor, 0, 0, range_body, NULL, NULL));
    HKT_NEEDS_NO_MEMORY(hk_range_end, HKT_OK(hk_range_end(&range)));
    HKT_NEEDS_NO_MEMORY(hk_range_has_ended, HKT_TRUE(hk_range_has_ended(&range)));
    HKT_OK(hk_executor_destroy(executor));
}

/* --- Executors --- */

static void asking_an_executor(void)
{
    hk_executor *executor = open_inline();
    hk_executor_statistics statistics;
    char text[64];

    HKT_NEEDS_NO_MEMORY(hk_executor_name, HKT_TRUE(hk_executor_name(executor) != NULL));
    HKT_NEEDS_NO_MEMORY(hk_executor_stats, HKT_OK(hk_executor_stats(executor, &statistics)));
    HKT_NEEDS_NO_MEMORY(hk_executor_check_spec,
                        HKT_OK(hk_executor_check_spec("threads:2", text, sizeof(text))));
    HKT_NEEDS_NO_MEMORY(hk_task_find, HKT_EQ_PTR(hk_task_find("hkt_square"), hkt_square));
    HKT_NEEDS_NO_MEMORY(hk_executor_shutdown,
                        HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER)));
    HKT_NEEDS_NO_MEMORY(hk_executor_destroy, HKT_OK(hk_executor_destroy(executor)));
}

static void ending_and_changing_a_pool(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});

    HKT_NEEDS_NO_MEMORY(hk_executor_resize, HKT_OK(hk_executor_resize(pool, 1)));
    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    HKT_TRUE(hkt_becomes(pool, hkt_idle, 1));
    HKT_NEEDS_NO_MEMORY(hk_executor_shutdown,
                        HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER)));
    HKT_NEEDS_NO_MEMORY(hk_executor_destroy, HKT_OK(hk_executor_destroy(pool)));
}

/* What a section was is told by where it begins; this one holds nothing. */
static void sections_of_tasks(void)
{
    static const hk_task *const section[1] = {hkt_square};

    HKT_NEEDS_NO_MEMORY(hk_task_section_add_, hk_task_section_add_(section, section));
    HKT_NEEDS_NO_MEMORY(hk_task_section_remove_, hk_task_section_remove_(section));
}

/* An executor of one's own, which runs or discards within the submit. */
static hk_status submit_at_once(void *self, hk_job *job, hk_duration queue_wait)
{
    bool runs = *(const bool *)self;

    (void)queue_wait;
    HKT_NEEDS_NO_MEMORY(hk_job_priority, HKT_EQ_INT(hk_job_priority(job), HK_PRIORITY_NORMAL));
    HKT_NEEDS_NO_MEMORY(hk_job_slot, HKT_TRUE(hk_job_slot(job) != NULL));
    if (runs) {
        HKT_NEEDS_NO_MEMORY(hk_job_run, HKT_TRUE(hk_job_run(job, NULL, "here")));
    } else {
        hk_job_discard(job, HK_ECANCELED, "no longer"); /* An error text: see the other table. */
    }
    return HK_OK;
}

static void running_a_job(void)
{
    static const hk_executor_ops ops = HKT_OWN_OPS(submit_at_once);
    hk_executor *executor = NULL;
    bool runs = true;

    HKT_OK_FATAL(hk_executor_create(&ops, &runs, NULL, &executor));
    HKT_OK(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL));
    runs = false;
    HKT_OK(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL));
    HKT_OK(hk_executor_destroy(executor));
}

/* --- Maps and replay --- */

static void giving_back_a_map(void)
{
    static const int numbers[] = {1, 2, 3};
    hk_array_source source = {numbers, 3, sizeof(int), 0};
    hk_executor *executor = open_inline();
    hk_map_iterator *iterator = NULL;
    hk_map_input input;
    hk_map_item item;

    HKT_NEEDS_NO_MEMORY(hk_array_source_next, HKT_OK(hk_array_source_next(&source, &input)));
    HKT_OK(hk_map(executor, hkt_square, hk_array_source_next, &source, NULL, &iterator));
    HKT_OK(hk_map_next(iterator, HK_FOREVER, &item));
    HKT_NEEDS_NO_MEMORY(hk_map_item_drop, hk_map_item_drop(&item));
    HKT_NEEDS_NO_MEMORY(hk_map_cancel, HKT_OK(hk_map_cancel(iterator)));
    HKT_NEEDS_NO_MEMORY(hk_map_destroy, hk_map_destroy(iterator));
    HKT_OK(hk_executor_destroy(executor));
}

static void see_nothing(const hk_replay_step_info *step, void *arg)
{
    (void)step;
    (void)arg;
}

static void replays(void)
{
    hk_executor *executor = NULL;
    hk_duration now = 0;
    uint64_t steps = 0;
    bool stepped = true;

    HKT_OK_FATAL(hk_replay_create(1, NULL, &executor));
    HKT_NEEDS_NO_MEMORY(hk_replay_on_step, HKT_OK(hk_replay_on_step(executor, see_nothing, NULL)));
    HKT_NEEDS_NO_MEMORY(hk_replay_elapsed, HKT_OK(hk_replay_elapsed(executor, &now)));
    HKT_NEEDS_NO_MEMORY(hk_replay_step, HKT_OK(hk_replay_step(executor, &stepped)));
    HKT_NEEDS_NO_MEMORY(hk_replay_run, HKT_OK(hk_replay_run(executor, 10, &steps)));
    HKT_NEEDS_NO_MEMORY(hk_replay_advance, HKT_OK(hk_replay_advance(executor, HK_MS(1))));
    HKT_OK(hk_executor_destroy(executor));
}

static CU_TestInfo tests[] = {
    HKT_CASE("cancelling by a token needs no memory", tokens),
    HKT_CASE("ending and reading a future needs no memory", reading_a_future),
    HKT_CASE("reading a failure needs no memory", reading_a_failure),
    HKT_CASE("giving back hooks and values needs no memory", taking_hooks_and_values_back),
    HKT_CASE("delivering completions needs no memory", completions),
    HKT_CASE("what a task asks needs no memory", asking_in_a_task),
    HKT_CASE("passing a buffer on needs no memory", buffers),
    HKT_CASE("joining forks needs no memory", scopes),
    HKT_CASE("ending a range needs no memory", ranges),
    HKT_CASE("asking and ending an executor needs no memory", asking_an_executor),
    HKT_CASE("ending a pool needs no memory", ending_and_changing_a_pool),
    HKT_CASE("sections of tasks need no memory", sections_of_tasks),
    HKT_CASE("running a job needs no memory", running_a_job),
    HKT_CASE("giving back a map needs no memory", giving_back_a_map),
    HKT_CASE("looking at a replay needs no memory", replays),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "no_allocation.tasks", .pTests = tests},
                                CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
