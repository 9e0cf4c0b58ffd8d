/* SPDX-License-Identifier: MIT */
/* Limits in time, tokens, and how a running task learns that it should stop. */
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

static hk_executor *pool;
static struct hkt_plug plug;
static struct hkt_gate begun;
static struct hkt_gate may_end;
static atomic_uint drops;

static void set_up(void)
{
    pool = hkt_pool_create((hk_executor_options){.workers = 1});
    hkt_gate_init(&begun, "the task has begun");
    hkt_gate_init(&may_end, "the task may end");
    atomic_store(&drops, 0);
}

static void tear_down(void)
{
    HKT_OK(hk_executor_destroy(pool));
    hkt_gate_fini(&begun);
    hkt_gate_fini(&may_end);
}

static hk_future *submit(const hk_task *task, hk_submit_options options)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, task, NULL, 0, &options, &future));
    return future;
}

/* --- Tasks that are told to stop --- */

HK_TASK(begins_and_sleeps)
{
    hkt_gate_open(&begun);
    return hk_sleep(call, HK_FOREVER);
}

static void a_timeout_ends_a_running_task(void)
{
    hk_future *future = submit(begins_and_sleeps, (hk_submit_options){.timeout = HK_MS(5)});
    const hk_error *error = NULL;

    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    HKT_EQ_INT(hk_future_state(future), HK_FAILED);
    HKT_OK(hk_future_error(future, 0, &error));
    HKT_TRUE(error != NULL && error->status == HK_EDEADLINE && error->message[0] != '\0');
    HKT_EQ_STR(error->task, "begins_and_sleeps");
    hk_future_unref(future);
    /* The worker is of use again: the task was asked to stop, and did. */
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, 4)), 16);
}

static void a_deadline_ends_a_running_task(void)
{
    hkt_expect_end(submit(begins_and_sleeps, (hk_submit_options){.deadline = HK_MS(5)}),
                   HK_EDEADLINE);
}

static void the_nearer_limit_counts(void)
{
    hkt_expect_end(submit(begins_and_sleeps,
                          (hk_submit_options){.deadline = HK_SEC(3600), .timeout = HK_MS(5)}),
                   HK_EDEADLINE);
    hkt_expect_end(submit(begins_and_sleeps,
                          (hk_submit_options){.deadline = HK_MS(5), .timeout = HK_SEC(3600)}),
                   HK_EDEADLINE);
}

static void the_pool_has_a_default_timeout(void)
{
    hk_executor *limited =
        hkt_pool_create((hk_executor_options){.workers = 1, .task_timeout = HK_MS(5)});
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(limited, hkt_sleeps, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_EDEADLINE);
    HKT_OK(hk_executor_destroy(limited));
}

static void a_task_in_time_keeps_its_value(void)
{
    for (int i = 0; i < 200; i++) {
        hk_submit_options options = {.timeout = HK_SEC(3600), .deadline = HK_SEC(3600)};
        hk_future *future = NULL;

        HKT_OK_FATAL(hk_submit(pool, hkt_square, &i, sizeof(i), &options, &future));
        HKT_EQ_INT(hkt_take_int(future), i * i);
    }
}

static void a_timeout_counts_from_the_start(void)
{
    hk_future *future;

    hkt_plug_insert(&plug, pool, 1);
    future = submit(hkt_nothing, (hk_submit_options){.timeout = HK_SEC(1)});
    /* Longer in the queue than its run may take: by the clock, so that a slow
     * machine only waits longer. */
    HKT_STATUS(hk_future_wait(future, HK_MS(1100)), HK_ETIMEDOUT);
    hkt_plug_pull(&plug);
    hkt_expect_end(future, HK_OK);
}

static void a_deadline_ends_a_queued_task(void)
{
    hk_submit_options options = {.deadline = HK_MS(5)};
    hk_future *future = NULL;

    hkt_plug_insert(&plug, pool, 1);
    HKT_OK_FATAL(hk_submit_ref(pool, hkt_counts, &drops, hkt_count_drop, &options, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    hk_future_unref(future);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&drops), 1); /* Dropped once, and never run. */
    HKT_EQ_INT(hkt_stats(pool).failed, 1);
    HKT_EQ_INT(hkt_stats(pool).queued, 0);
}

/* --- Stragglers --- */

HK_TASK(ignores_its_limit)
{
    hkt_gate_open(&begun);
    hkt_gate_wait(&may_end);
    HKT_TRUE(hk_should_stop(call));
    HKT_EQ_INT(hk_call_time_left(call), 0);
    return hk_return_ref(call, &drops, hkt_count_drop);
}

static void a_straggler_is_counted_and_its_late_value_dropped(void)
{
    hk_future *future = submit(ignores_its_limit, (hk_submit_options){.timeout = HK_MS(5)});

    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    HKT_TRUE(hkt_becomes(pool, hkt_straggling, 1));
    HKT_EQ_INT(atomic_load(&drops), 0);
    hkt_gate_open(&may_end);
    HKT_TRUE(hkt_becomes(pool, hkt_straggling, 0));
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&drops), 1);
    HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_EDEADLINE);
    HKT_EQ_INT(hkt_stats(pool).failed, 1);
    HKT_EQ_INT(hkt_stats(pool).done, 0);
    hk_future_unref(future);
}

static void a_straggler_harms_no_shutdown(void)
{
    hk_future *future = submit(ignores_its_limit, (hk_submit_options){.timeout = HK_MS(5)});

    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    hk_future_unref(future);
    HKT_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_ALL, HK_MS(1)), HK_ETIMEDOUT);
    hkt_gate_open(&may_end);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&drops), 1);
}

/* --- Inline: judged on return --- */

HK_TASK(uses_its_time_up)
{
    while (hk_call_time_left(call) > 0) {
        sched_yield();
    }
    return hk_return(call, &in_size, sizeof(in_size));
}

static void inline_limits_are_judged_on_return(void)
{
    hk_submit_options by_timeout = {.timeout = HK_MS(2)};
    hk_submit_options by_deadline = {.deadline = HK_MS(2)};
    hk_executor *here = NULL;
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_inline_create(NULL, &here));
    HKT_OK_FATAL(hk_submit(here, uses_its_time_up, NULL, 0, &by_timeout, &future));
    HKT_TRUE(hk_future_has_ended(future));
    hkt_expect_end(future, HK_EDEADLINE);
    HKT_OK_FATAL(hk_submit(here, uses_its_time_up, NULL, 0, &by_deadline, &future));
    HKT_TRUE(hk_future_has_ended(future));
    hkt_expect_end(future, HK_EDEADLINE);
    HKT_OK(hk_executor_destroy(here));
}

/* --- What a task can see of its limits --- */

HK_TASK(tells_time_left)
{
    hk_duration left = hk_call_time_left(call);

    return hk_return(call, &left, sizeof(left));
}

static hk_duration time_left_with(hk_submit_options options)
{
    hk_future *future = submit(tells_time_left, options);
    const void *value = NULL;
    hk_duration left = 0;

    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    memcpy(&left, value, sizeof(left));
    hk_future_unref(future);
    return left;
}

static void a_task_knows_how_much_time_is_left(void)
{
    hk_duration left;

    HKT_EQ_INT(time_left_with((hk_submit_options){0}), HK_FOREVER);
    left = time_left_with((hk_submit_options){.timeout = HK_SEC(1000)});
    HKT_TRUE(left > 0 && left <= HK_SEC(1000));
    left = time_left_with((hk_submit_options){.deadline = HK_SEC(2000)});
    HKT_TRUE(left > 0 && left <= HK_SEC(2000));
    left = time_left_with((hk_submit_options){.timeout = HK_SEC(2000), .deadline = HK_SEC(1000)});
    HKT_TRUE(left > 0 && left <= HK_SEC(1000));
    left = time_left_with((hk_submit_options){.timeout = HK_SEC(1000), .deadline = HK_SEC(2000)});
    HKT_TRUE(left > 0 && left <= HK_SEC(1000));
    /* Too long for the clock counts as no limit. */
    left = time_left_with((hk_submit_options){.timeout = INT64_MAX});
    HKT_TRUE(left == HK_FOREVER || left > HK_SEC(1000000000));
}

static void absurd_limits_are_refused(void)
{
    static const hk_submit_options absurd[] = {
        {.timeout = -2}, {.deadline = -2}, {.queue_wait = -2}, {.timeout = INT64_MIN}};
    hk_executor *none = NULL;

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
        HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 0, &absurd[i], NULL), HK_EINVAL);
    }
    HKT_STATUS(hk_thread_pool_create(&(hk_executor_options){.task_timeout = -2}, &none), HK_EINVAL);
    HKT_STATUS(hk_thread_pool_create(&(hk_executor_options){.idle_exit = -2}, &none), HK_EINVAL);
    HKT_EQ_PTR(none, NULL);
}

/* --- should_stop, sleep, stop_fd --- */

HK_TASK(spins_until_it_should_stop)
{
    HKT_TRUE(!hk_should_stop(call));
    hkt_gate_open(&begun);
    while (!hk_should_stop(call)) {
        sched_yield();
    }
    return HK_OK; /* Asked, and not obeyed: it ends as it really ended. */
}

static void a_request_shows_in_should_stop(void)
{
    hk_future *future = submit(spins_until_it_should_stop, (hk_submit_options){0});

    hkt_gate_wait(&begun);
    HKT_STATUS(hk_future_cancel(future, HK_CANCEL_PENDING), HK_ESTATE);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_REQUEST));
    hkt_expect_end(future, HK_OK);
}

static void kill_is_a_request_on_threads(void)
{
    hk_future *future = submit(begins_and_sleeps, (hk_submit_options){0});

    hkt_gate_wait(&begun);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_KILL));
    hkt_expect_end(future, HK_ECANCELED);
}

HK_TASK(polls_its_stop_fd)
{
    struct pollfd watch = {.fd = -1, .events = POLLIN};
    int again = -1;

    if (!HKT_OK(hk_call_stop_fd(call, &watch.fd)) || !HKT_OK(hk_call_stop_fd(call, &again))) {
        return HK_ESYS;
    }
    HKT_EQ_INT(again, watch.fd);
    HKT_EQ_INT(poll(&watch, 1, 0), 0);
    HKT_STATUS(hk_call_stop_fd(call, NULL), HK_EINVAL);
    hkt_gate_open(&begun);
    while (poll(&watch, 1, -1) != 1) {
    }
    HKT_TRUE(hk_should_stop(call));
    return HK_ECANCELED;
}

static void the_stop_descriptor_wakes_a_poll(void)
{
    hk_future *future = submit(polls_its_stop_fd, (hk_submit_options){0});

    hkt_gate_wait(&begun);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_REQUEST));
    hkt_expect_end(future, HK_ECANCELED);
    hkt_expect_end(submit(polls_its_stop_fd, (hk_submit_options){.timeout = HK_MS(500)}),
                   HK_EDEADLINE);
}

HK_TASK(sleeps_a_little)
{
    int64_t before_ns = hk_now_ns();

    HKT_OK(hk_sleep(call, 0));
    HKT_OK(hk_sleep(call, HK_MS(2)));
    HKT_TRUE(hk_now_ns() - before_ns >= HK_MS(2));
    HKT_STATUS(hk_sleep(call, -2), HK_EINVAL);
    return HK_OK;
}

static void an_undisturbed_sleep_lasts(void)
{
    hkt_expect_end(submit(sleeps_a_little, (hk_submit_options){0}), HK_OK);
}

static void a_shutdown_cuts_a_sleep_short(void)
{
    hk_future *future = submit(begins_and_sleeps, (hk_submit_options){0});

    hkt_gate_wait(&begun);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
    hkt_expect_end(future, HK_ECANCELED);
}

/* --- Tokens --- */

static hk_cancel_token *new_token(void)
{
    hk_cancel_token *token = NULL;

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &token));
    return token;
}

static void a_fired_token_refuses_a_submit(void)
{
    hk_cancel_token *token = new_token();
    hk_submit_options options = {.token = token};
    hk_future *future = NULL;

    HKT_OK(hk_cancel_token_fire(token, "closing time"));
    HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 0, &options, &future), HK_ECANCELED);
    HKT_STATUS(hk_submit_ref(pool, hkt_counts, &drops, hkt_count_drop, &options, &future),
               HK_ECANCELED);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(atomic_load(&drops), 0);
    hk_cancel_token_unref(token);
}

static void a_token_cancels_what_is_queued(void)
{
    hk_cancel_token *token = new_token();
    hk_submit_options options = {.token = token};
    hk_future *future = NULL;

    hkt_plug_insert(&plug, pool, 1);
    HKT_OK_FATAL(hk_submit_ref(pool, hkt_counts, &drops, hkt_count_drop, &options, &future));
    HKT_OK(hk_cancel_token_fire(token, "closing time"));
    HKT_EQ_INT(hk_future_state(future), HK_CANCELLED); /* Already, at the return. */
    HKT_TRUE(strstr(hk_future_why(future), "closing time") != NULL);
    HKT_EQ_INT(atomic_load(&drops), 1);
    hk_future_unref(future);
    hkt_plug_pull(&plug);
    hk_cancel_token_unref(token);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&drops), 1);
}

static void a_token_asks_what_runs(void)
{
    hk_cancel_token *token = new_token();
    hk_future *future = submit(begins_and_sleeps, (hk_submit_options){.token = token});

    hkt_gate_wait(&begun);
    HKT_OK(hk_cancel_token_fire(token, NULL));
    hkt_expect_end(future, HK_ECANCELED);
    hk_cancel_token_unref(token);
}

static void a_token_may_be_given_back_at_once(void)
{
    hk_cancel_token *parent = new_token();
    hk_cancel_token *token = NULL;
    hk_future *future;

    HKT_OK_FATAL(hk_cancel_token_create(parent, &token));
    future = submit(begins_and_sleeps, (hk_submit_options){.token = token});
    hk_cancel_token_unref(token); /* The task keeps it. */
    hkt_gate_wait(&begun);
    HKT_OK(hk_cancel_token_fire(parent, NULL));
    hkt_expect_end(future, HK_ECANCELED);
    hk_cancel_token_unref(parent);
}

/* Hands its own token to a task of its own, so that a cancel reaches that too. */
HK_TASK(hands_its_token_on)
{
    hk_submit_options options = {0};
    hk_future *inner = NULL;
    hk_status status = hk_call_token(call, &options.token);

    if (status == HK_OK) {
        status = hk_submit(hk_call_executor(call), begins_and_sleeps, NULL, 0, &options, &inner);
    }
    if (status == HK_OK) {
        status = hk_future_result(inner, HK_FOREVER, NULL, NULL);
    }
    hk_future_unref(inner);
    return status;
}

static void a_cancel_reaches_nested_tasks(void)
{
    hk_future *future = submit(hands_its_token_on, (hk_submit_options){0});

    hkt_gate_wait(&begun);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_REQUEST));
    hkt_expect_end(future, HK_ECANCELED);
}

static void a_token_of_ended_tasks_holds_nothing(void)
{
    hk_cancel_token *token = new_token();

    for (int i = 0; i < 300; i++) {
        hkt_expect_end(submit(hkt_nothing, (hk_submit_options){.token = token}), HK_OK);
    }
    HKT_OK(hk_cancel_token_fire(token, NULL));
    hk_cancel_token_unref(token);
}

/* --- Callbacks of what ran out of time --- */

static hk_lock wanted = HK_LOCK_INIT("wanted");
static struct hkt_gate called;
static struct hkt_gate returns;
static atomic_int caller;

static void takes_the_lock(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    atomic_store(&caller, (int)gettid());
    hkt_gate_wait(&called);
    HKT_OK(hk_lock_acquire(&wanted));
    HKT_OK(hk_lock_release(&wanted));
    hkt_gate_open(&returns);
}

static void stands_at_the_gate(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    hkt_gate_wait(&called);
    hkt_gate_open(&returns);
}

static void begin_callbacks(void)
{
    hkt_gate_init(&called, "the callback may go on");
    hkt_gate_init(&returns, "the callback returns");
}

static void end_callbacks(void)
{
    hkt_gate_wait(&returns);
    hkt_gate_fini(&called);
    hkt_gate_fini(&returns);
}

/* What the callback waits for is the caller's, so the destroy must not wait for it. */
static void a_destroy_leaves_a_callback_that_waits_for_its_caller(void)
{
    hk_future *late;

    begin_callbacks();
    hkt_plug_insert(&plug, pool, 1);
    late = submit(hkt_nothing, (hk_submit_options){.deadline = HK_MS(1)});
    HKT_OK(hk_future_on_done(late, NULL, takes_the_lock, NULL, NULL));
    HKT_OK(hk_lock_acquire(&wanted));
    hkt_gate_await_arrivals(&called, 1);
    hkt_gate_open(&called);
    HKT_TRUE(hkt_falls_asleep(atomic_load(&caller)));
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
    pool = NULL;
    HKT_OK(hk_lock_release(&wanted));
    end_callbacks();
    hk_future_unref(late);
}

/* Nor does an unref wait, even for what no graph knows of. The next timer fires meanwhile. */
static void an_unref_waits_for_no_callback_of_others(void)
{
    hk_promise *promise;
    hk_future *source;
    hk_future *limited;
    hk_future *late;

    begin_callbacks();
    HKT_OK_FATAL(hk_promise_create(&promise, &source));
    HKT_OK_FATAL(hk_within(source, HK_SEC(3600), &limited));
    hkt_plug_insert(&plug, pool, 1);
    late = submit(hkt_nothing, (hk_submit_options){.deadline = HK_MS(1)});
    HKT_OK(hk_future_on_done(late, NULL, stands_at_the_gate, NULL, NULL));
    hkt_gate_await_arrivals(&called, 1);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
    hk_future_unref(source);
    hk_promise_destroy(promise);
    hk_future_unref(limited); /* The last that needed the timer thread. */
    pool = hkt_pool_create((hk_executor_options){.workers = 1});
    hkt_expect_end(submit(begins_and_sleeps, (hk_submit_options){.timeout = HK_MS(1)}),
                   HK_EDEADLINE);
    hkt_gate_open(&called);
    end_callbacks();
    hk_future_unref(late);
}

static CU_TestInfo tests[] = {
    HKT_CASE("XP01 a timeout ends a running task", a_timeout_ends_a_running_task),
    HKT_CASE("a deadline ends a running task", a_deadline_ends_a_running_task),
    HKT_CASE("the nearer limit counts", the_nearer_limit_counts),
    HKT_CASE("the pool has a default timeout", the_pool_has_a_default_timeout),
    HKT_CASE("a task in time keeps its value", a_task_in_time_keeps_its_value),
    HKT_CASE("CK04 a timeout counts from the start", a_timeout_counts_from_the_start),
    HKT_CASE("CK03 a deadline ends a queued task", a_deadline_ends_a_queued_task),
    HKT_CASE("a straggler is counted and its late value dropped",
             a_straggler_is_counted_and_its_late_value_dropped),
    HKT_CASE("a straggler harms no shutdown", a_straggler_harms_no_shutdown),
    HKT_CASE("inline limits are judged on return", inline_limits_are_judged_on_return),
    HKT_CASE("a task knows how much time is left", a_task_knows_how_much_time_is_left),
    HKT_CASE("absurd limits are refused", absurd_limits_are_refused),
    HKT_CASE("FS07 a request shows in should_stop", a_request_shows_in_should_stop),
    HKT_CASE("kill is a request on threads", kill_is_a_request_on_threads),
    HKT_CASE("the stop descriptor wakes a poll", the_stop_descriptor_wakes_a_poll),
    HKT_CASE("an undisturbed sleep lasts", an_undisturbed_sleep_lasts),
    HKT_CASE("a shutdown cuts a sleep short", a_shutdown_cuts_a_sleep_short),
    HKT_CASE("a fired token refuses a submit", a_fired_token_refuses_a_submit),
    HKT_CASE("a token cancels what is queued", a_token_cancels_what_is_queued),
    HKT_CASE("a token asks what runs", a_token_asks_what_runs),
    HKT_CASE("a token may be given back at once", a_token_may_be_given_back_at_once),
    HKT_CASE("a cancel reaches nested tasks", a_cancel_reaches_nested_tasks),
    HKT_CASE("a token of ended tasks holds nothing", a_token_of_ended_tasks_holds_nothing),
    HKT_CASE("a destroy leaves a callback that waits for its caller",
             a_destroy_leaves_a_callback_that_waits_for_its_caller),
    HKT_CASE("an unref waits for no callback of others", an_unref_waits_for_no_callback_of_others),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "limits", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
