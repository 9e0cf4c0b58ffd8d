/* SPDX-License-Identifier: MIT */
/* What every executor does with one task: cases EX of docs/contract.md. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

/* --- EX01, EX03, EX04: in and out --- */

HK_TASK(power)
{
    int operands[2];
    long result = 1;

    if (in_size != sizeof(operands)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(operands), in_size);
    }
    memcpy(operands, in, sizeof(operands));
    for (int i = 0; i < operands[1]; i++) {
        result *= operands[0];
    }
    return hk_return(call, &result, sizeof(result));
}

static void submit_gives_the_value(void)
{
    const int operands[2] = {2, 8};
    hk_future *future = NULL;
    const void *value = NULL;
    size_t size = 0;
    long result = 0;

    HKT_OK_FATAL(hk_submit(hkt_executor, power, operands, sizeof(operands), NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, &size));
    HKT_EQ_INT_FATAL(size, sizeof(result));
    memcpy(&result, value, sizeof(result));
    HKT_EQ_INT(result, 256);
    HKT_EQ_INT(hk_future_state(future), HK_DONE);
    hk_future_unref(future);
}

static void no_task_is_refused(void)
{
    hk_future *future = NULL;
    atomic_uint drops = 0;

    HKT_STATUS(hk_submit(hkt_executor, NULL, NULL, 0, NULL, &future), HK_EINVAL);
    HKT_EQ_PTR(future, NULL);
    HKT_STATUS(hk_submit_ref(hkt_executor, NULL, &drops, hkt_count_drop, NULL, &future), HK_EINVAL);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(atomic_load(&drops), 0);
    HKT_EQ_INT(hkt_stats(hkt_executor).submitted, 0);
}

static void absurd_worker_counts_are_refused(void)
{
    /* One process more than there may be, which are 1024, is as absurd. */
    const unsigned absurd[] = {hkt_is_processes() ? 1025 : 4097, INT_MAX, (unsigned)-1};
    hk_executor *other = NULL;

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        hk_executor_options options = {.workers = absurd[i]};

        HKT_STATUS(hkt_executor_create(options, &other), HK_EINVAL);
        HKT_EQ_PTR(other, NULL);
    }
    /* None asked for is no absurd count: the executor picks one. */
    HKT_OK_FATAL(hkt_executor_create_default(&other));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(other, hkt_square, 3)), 9);
    HKT_OK(hk_executor_destroy(other));
}

/* --- EX05, EX06: thrown away futures --- */

static void ignored_futures_do_not_hold_a_shutdown_up(void)
{
    unsigned count = hkt_worker_count() + 1;
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));

    for (unsigned i = 0; i < count; i++) {
        HKT_OK(hkt_try_pointer(hkt_executor, hkt_counts, runs, NULL));
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(runs), count);
}

struct input {
    atomic_uint runs;
    struct hkt_gate ran;     /* Opened by the task. */
    struct hkt_gate dropped; /* Opened when a reference is given back. */
};

static struct input *input_new(void)
{
    struct input *input = hkt_shared_new(sizeof(*input));

    hkt_gate_init(&input->ran, "the task has run");
    hkt_gate_init(&input->dropped, "the input is dropped");
    return input;
}

HK_TASK(uses_its_input)
{
    struct input *input = hkt_pointer(in, in_size);

    atomic_fetch_add(&input->runs, 1);
    hkt_gate_open(&input->ran);
    return HK_OK;
}

static void open_dropped(void *arg)
{
    struct input *input = arg;

    HKT_EQ_INT(atomic_load(&input->runs), 1);
    hkt_gate_open(&input->dropped);
}

/* As a reference with a drop, where there are references. */
static hk_status submit_input(struct input *input, hk_future **future)
{
    return hkt_is_processes()
               ? hkt_try_pointer(hkt_executor, uses_its_input, input, future)
               : hk_submit_ref(hkt_executor, uses_its_input, input, open_dropped, NULL, future);
}

enum { LARGE_BYTES = 1 << 20 };

struct large_input {
    atomic_uint *runs;
    unsigned char bytes[LARGE_BYTES];
};

HK_TASK(uses_a_large_input)
{
    const struct large_input *input = in;

    atomic_fetch_add(input->runs, in_size == sizeof(*input) && input->bytes[LARGE_BYTES - 1] == 7);
    return HK_OK;
}

/* What crosses is a copy that nobody sees go; but there is room for four at a time, so
 * that many can only follow one another if each goes when its task has ended. */
static void expect_copies_to_go(void)
{
    enum { INPUTS = 40 };
    hk_executor_options options = {.memory_bytes = 4 * LARGE_BYTES};
    struct large_input *input = calloc(1, sizeof(*input));
    hk_executor *executor = NULL;

    HKT_TRUE_FATAL(input != NULL);
    input->runs = hkt_shared_new(sizeof(*input->runs));
    input->bytes[LARGE_BYTES - 1] = 7;
    HKT_OK_FATAL(hkt_executor_create(options, &executor));
    for (int i = 0; i < INPUTS; i++) {
        HKT_OK(hk_submit(executor, uses_a_large_input, input, sizeof(*input), NULL, NULL));
    }
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(input->runs), INPUTS);
    HKT_OK(hk_executor_destroy(executor));
    free(input);
}

static void a_forgotten_task_runs_and_its_input_is_dropped_at_once(void)
{
    struct input *input = input_new();

    HKT_OK_FATAL(submit_input(input, NULL));
    if (hkt_is_inline()) {
        /* There is no later: submit returns after the end of the task. */
        HKT_TRUE(atomic_load(&input->dropped.is_open));
    }
    hkt_gate_wait(&input->ran);
    if (hkt_is_processes()) {
        expect_copies_to_go();
    } else {
        hkt_gate_wait(&input->dropped);
    }
    /* The executor lives on and is of use. */
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 5)), 25);
}

static void an_unreferenced_future_does_not_cancel_its_task(void)
{
    struct input *input = input_new();
    hk_future *future = NULL;

    HKT_OK_FATAL(submit_input(input, &future));
    hk_future_unref(future);
    hkt_gate_wait(&input->ran);
    if (!hkt_is_processes()) {
        hkt_gate_wait(&input->dropped);
    }
}

/* --- EX07: failures --- */

HK_TASK(fails_with_nothing_to_say)
{
    return hk_fail(call, 0, "%s", "");
}

static void a_failure_is_a_failure_whatever_its_payload(void)
{
    hk_future *future = NULL;
    const hk_error *error = NULL;

    HKT_OK_FATAL(hk_submit(hkt_executor, fails_with_nothing_to_say, NULL, 0, NULL, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_EQ_INT(hk_future_state(future), HK_FAILED);
    HKT_OK_FATAL(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_EQ_INT(error->app_code, 0);
    HKT_EQ_STR(error->message, "");
    HKT_TRUE(hk_future_why(future)[0] != '\0');
    hk_future_unref(future);
}

HK_TASK(fails_on_a_known_line)
{
    return hk_fail(call, 41, "a slice is %d bytes, got %d", 16, 3);
}

static void an_error_tells_what_where_and_from_where(void)
{
    hk_submit_options options = {.label = "the third slice"};
    hk_future *future = NULL;
    const hk_error *error = NULL;
    int line = __LINE__ + 1;
    hk_status status = hk_submit(hkt_executor, fails_on_a_known_line, NULL, 0, &options, &future);

    HKT_OK_FATAL(status);
    HKT_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_EQ_INT(error->app_code, 41);
    HKT_EQ_STR(error->message, "a slice is 16 bytes, got 3");
    HKT_EQ_STR(error->task, "fails_on_a_known_line");
    HKT_EQ_STR(error->label, "the third slice");
    HKT_EQ_STR(error->file, __FILE__);
    HKT_TRUE(error->line > 0 && error->line < line);
    HKT_EQ_STR(error->submit_file, __FILE__);
    HKT_EQ_INT(error->submit_line, line);
    HKT_TRUE(error->where[0] != '\0');
    HKT_EQ_INT(error->attempt, 1);
    HKT_TRUE(strstr(hk_future_why(future), "a slice is 16 bytes, got 3") != NULL);
    HKT_TRUE(strstr(hk_future_why(future), "fails_on_a_known_line") != NULL);
    hk_future_unref(future);
}

HK_TASK(returns_another_status)
{
    return HK_ESTATE;
}

static void another_status_fails_with_that_cause(void)
{
    hk_future *future = NULL;
    const hk_error *error = NULL;

    HKT_OK_FATAL(hk_submit(hkt_executor, returns_another_status, NULL, 0, NULL, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_OK_FATAL(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_STATUS(error->cause->status, HK_ESTATE);
    hk_future_unref(future);
}

static void a_task_may_end_itself_cancelled(void)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(hkt_executor, hkt_cancels, NULL, 0, NULL, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_ECANCELED);
    HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
    hk_future_unref(future);
}

/* --- What a task is given --- */

HK_TASK(looks_around)
{
    uint64_t here[3];

    /* In a worker process it is an inline one of its own, with the name of the worker. */
    here[0] = hkt_is_processes()
                  ? strncmp(hk_executor_name(hk_call_executor(call)), "processes", 9) == 0
                  : hk_call_executor(call) == hkt_executor;
    here[1] = hk_call_worker_local(call) == NULL;
    here[2] = !hk_should_stop(call) && hk_call_time_left(call) == HK_FOREVER;
    hk_progress(call, 3, 10);
    return hk_return(call, here, sizeof(here));
}

static void a_task_sees_its_surroundings(void)
{
    hk_future *future = NULL;
    const void *value = NULL;
    uint64_t here[3] = {0};
    uint64_t done = 0;
    uint64_t total = 0;

    HKT_OK_FATAL(hk_submit(hkt_executor, looks_around, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    memcpy(here, value, sizeof(here));
    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(here[i], 1);
    }
    HKT_OK(hk_future_progress(future, &done, &total));
    HKT_EQ_INT(done, 3);
    HKT_EQ_INT(total, 10);
    hk_future_unref(future);
}

HK_TASK(tells_size_of_reference)
{
    bool is_reference = in_size == HK_BY_REF && in == (const void *)&hkt_executor;

    return hk_return(call, &is_reference, sizeof(is_reference));
}

static void a_reference_arrives_as_it_is(void)
{
    hk_future *future = NULL;
    const void *value = NULL;

    if (hkt_is_processes()) {
        /* There it does not arrive at all, and never on the quiet: IS01. */
        HKT_STATUS(hk_submit_ref(hkt_executor, tells_size_of_reference, &hkt_executor, NULL, NULL,
                                 &future),
                   HK_EPORTABLE);
        HKT_EQ_PTR(future, NULL);
        return;
    }
    future = hkt_submit_ref(hkt_executor, tells_size_of_reference, &hkt_executor);
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    HKT_TRUE(*(const bool *)value);
    hk_future_unref(future);
}

HK_TASK(submits_another)
{
    hk_future *inner = NULL;
    const void *value = NULL;
    size_t size = 0;
    hk_status status = hk_submit(hk_call_executor(call), hkt_square, in, in_size, NULL, &inner);

    if (status == HK_OK) {
        status = hk_future_result(inner, HK_FOREVER, &value, &size);
    }
    if (status == HK_OK) {
        status = hk_return(call, value, size);
    }
    hk_future_unref(inner);
    return status;
}

static void a_task_may_submit_to_its_executor_and_wait(void)
{
    hk_future *future = hkt_submit_int(hkt_executor, submits_another, 12);

    if (hkt_is_serial()) {
        /* One task at a time: the inner one cannot begin before this one ends, which is told. */
        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
        HKT_TRUE(strstr(hk_future_why(future), "HK_EDEADLK") != NULL);
        hk_future_unref(future);
        return;
    }
    HKT_EQ_INT(hkt_take_int(future), 144);
}

/* XM03: two executors, one inside the other, at once. */
static hk_executor *other_executor;

HK_TASK(submits_to_the_other)
{
    hk_executor *own = NULL;
    hk_future *inner = NULL;
    const void *value = NULL;
    size_t size = 0;
    /* A worker process cannot reach the parent's; it may have another of its own. */
    hk_status status = hkt_is_processes() ? hk_executor_open("threads:2", &own) : HK_OK;

    if (status == HK_OK) {
        status = hk_submit(own != NULL ? own : other_executor, submits_another, in, in_size, NULL,
                           &inner);
    }
    if (status == HK_OK) {
        status = hk_future_result(inner, HK_FOREVER, &value, &size);
    }
    if (status == HK_OK) {
        status = hk_return(call, value, size);
    }
    hk_future_unref(inner);
    HKT_OK(hk_executor_destroy(own));
    return status;
}

static void several_executors_nest_and_interleave(void)
{
    enum { TASKS = 20 };
    hk_future *futures[TASKS];

    HKT_OK_FATAL(hk_executor_open("threads:2", &other_executor));
    for (int i = 0; i < TASKS; i++) {
        futures[i] = i % 2 == 0 ? hkt_submit_int(hkt_executor, submits_to_the_other, i)
                                : hkt_submit_int(other_executor, submits_another, i);
    }
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
    HKT_OK(hk_executor_destroy(other_executor));
}

/* --- Results, callbacks and counters --- */

static void a_result_outlives_its_executor(void)
{
    hk_future *future = hkt_submit_int(hkt_executor, hkt_square, 11);

    HKT_OK_FATAL(hk_executor_destroy(hkt_executor));
    hkt_executor = NULL;
    HKT_EQ_INT(hk_future_state(future), HK_DONE);
    HKT_EQ_INT(hkt_take_int(future), 121);
}

HK_TASK(returns_twice)
{
    static const char bytes[100000];
    void *out = NULL;
    /* Where no reference can be returned, bytes that lie elsewhere than the later ones. */
    hk_status first = in_size == HK_BY_REF
                          ? hk_return_ref(call, hkt_pointer(in, in_size), hkt_count_drop)
                          : hk_return(call, bytes, sizeof(bytes));

    if (first != HK_OK || hk_return_reserve(call, sizeof(int), &out) != HK_OK) {
        return HK_ESTATE;
    }
    memset(out, 0, sizeof(int));
    return HK_OK;
}

static void a_later_value_drops_the_earlier_one(void)
{
    atomic_uint *drops = hkt_shared_new(sizeof(*drops));

    HKT_EQ_INT(hkt_take_int(hkt_submit_pointer(hkt_executor, returns_twice, drops)), 0);
    HKT_EQ_INT(atomic_load(drops), hkt_is_processes() ? 0 : 1);
}

static void open_gate_when_done(hk_future *future, void *arg)
{
    HKT_TRUE(hk_future_has_ended(future));
    hkt_gate_open(arg);
}

static void a_callback_may_run_on_an_executor(void)
{
    struct hkt_gate called;
    hk_future *future = hkt_submit_int(hkt_executor, hkt_square, 2);

    hkt_gate_init(&called, "the callback has run");
    if (hkt_is_processes()) {
        /* A function with an argument of this process: refused, and not called. */
        HKT_STATUS(hk_future_on_done(future, hkt_executor, open_gate_when_done, &called, NULL),
                   HK_EPORTABLE);
        HKT_EQ_INT(hkt_take_int(future), 4);
        HKT_EQ_INT(atomic_load(&called.is_open), 0);
        return;
    }
    HKT_OK_FATAL(hk_future_on_done(future, hkt_executor, open_gate_when_done, &called, NULL));
    hkt_gate_wait(&called);
    HKT_EQ_INT(hkt_take_int(future), 4);
    /* The callback's executor has to outlive it, and its gate too. */
    HKT_OK(hk_executor_destroy(hkt_executor));
    hkt_executor = NULL;
    hkt_gate_fini(&called);
}

static void every_accepted_task_is_counted_where_it_ended(void)
{
    enum { EACH = 10 };
    hk_executor_statistics statistics;

    for (int i = 0; i < EACH; i++) {
        hk_future *future = NULL;

        HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, i)), i * i);
        HKT_OK_FATAL(hk_submit(hkt_executor, hkt_fails, NULL, 0, NULL, &future));
        hkt_expect_end(future, HK_EFAILED);
        HKT_OK_FATAL(hk_submit(hkt_executor, hkt_cancels, NULL, 0, NULL, &future));
        hkt_expect_end(future, HK_ECANCELED);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_STATUS(hk_submit(hkt_executor, hkt_nothing, NULL, 0, NULL, NULL), HK_ECLOSED);
    statistics = hkt_stats(hkt_executor);
    HKT_EQ_INT(statistics.submitted, 3 * EACH);
    HKT_EQ_INT(statistics.done, EACH);
    HKT_EQ_INT(statistics.failed, EACH);
    HKT_EQ_INT(statistics.cancelled, EACH);
    HKT_EQ_INT(statistics.refused, 1);
    HKT_EQ_INT(statistics.queued, 0);
    HKT_EQ_INT(statistics.running, 0);
    HKT_EQ_INT(statistics.straggling, 0);
}

static void an_executor_has_a_name(void)
{
    hk_executor *named = NULL;

    HKT_TRUE(hk_executor_name(hkt_executor)[0] != '\0');
    HKT_EQ_STR(hk_executor_name(NULL), "");
    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.name = "SpecialPool"}, &named));
    HKT_EQ_STR(hk_executor_name(named), "SpecialPool");
    HKT_OK(hk_executor_destroy(named));
}

static CU_TestInfo tests[] = {
    HKT_CASE("EX01 submit gives the value", submit_gives_the_value),
    HKT_CASE("EX03 a submit without a task is refused", no_task_is_refused),
    HKT_CASE("EX04 absurd worker counts are refused", absurd_worker_counts_are_refused),
    HKT_CASE("EX05 ignored futures do not hold a shutdown up",
             ignored_futures_do_not_hold_a_shutdown_up),
    HKT_CASE("EX06 a forgotten task runs and its input is dropped at once",
             a_forgotten_task_runs_and_its_input_is_dropped_at_once),
    HKT_CASE("EX06 an unreferenced future does not cancel its task",
             an_unreferenced_future_does_not_cancel_its_task),
    HKT_CASE("EX07 a failure is a failure whatever its payload",
             a_failure_is_a_failure_whatever_its_payload),
    HKT_CASE("EC04 an error tells what, where and from where",
             an_error_tells_what_where_and_from_where),
    HKT_CASE("EC01 another status fails the task with that cause",
             another_status_fails_with_that_cause),
    HKT_CASE("CX07 a task that returns HK_ECANCELED ends cancelled",
             a_task_may_end_itself_cancelled),
    HKT_CASE("a task sees its surroundings", a_task_sees_its_surroundings),
    HKT_CASE("OW07 a reference arrives as it is", a_reference_arrives_as_it_is),
    HKT_CASE("NW01 a task may submit to its executor and wait",
             a_task_may_submit_to_its_executor_and_wait),
    HKT_CASE("XM03 several executors nest and interleave", several_executors_nest_and_interleave),
    HKT_CASE("OW06 a result outlives its executor", a_result_outlives_its_executor),
    HKT_CASE("OW08 a later value drops the earlier one", a_later_value_drops_the_earlier_one),
    HKT_CASE("a callback may run on an executor", a_callback_may_run_on_an_executor),
    HKT_CASE("OE05 every accepted task is counted where it ended",
             every_accepted_task_is_counted_where_it_ended),
    HKT_CASE("an executor has a name", an_executor_has_a_name),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_execute",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
