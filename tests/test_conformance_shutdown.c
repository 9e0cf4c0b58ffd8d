/* SPDX-License-Identifier: MIT */
/*
 * How every executor ends: cases SD of docs/contract.md. Those that need the end
 * of a process (SD07, SD09, SD10) are in test_exit.c.
 */
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

enum { TASKS = 50 };

/* --- SD01, SD02: once and again --- */

static void submit_after_shutdown_is_refused(void)
{
    hk_future *future = NULL;
    hk_map_iterator *iterator = NULL;
    hk_array_source source = {.items = "ab", .count = 2, .stride = 1};
    atomic_uint drops = 0;

    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, 0));
    HKT_STATUS(hk_submit(hkt_executor, hkt_nothing, NULL, 0, NULL, &future), HK_ECLOSED);
    HKT_EQ_PTR(future, NULL);
    HKT_STATUS(hk_submit_ref(hkt_executor, hkt_counts, &drops, hkt_count_drop, NULL, &future),
               hkt_is_processes() ? HK_EPORTABLE : HK_ECLOSED);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(atomic_load(&drops), 0);
    HKT_STATUS(hk_map(hkt_executor, hkt_square, hk_array_source_next, &source, NULL, &iterator),
               HK_ECLOSED);
    HKT_EQ_PTR(iterator, NULL);
    HKT_STATUS(hk_executor_prestart(hkt_executor, 0), HK_ECLOSED);
}

static void shutdown_may_be_repeated(void)
{
    hk_future *future = hkt_submit_int(hkt_executor, hkt_square, 3);

    for (int i = 0; i < 3; i++) {
        HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_KILL, HK_FOREVER));
    HKT_OK(
        hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER)); /* Softer: nothing. */
    HKT_EQ_INT(hkt_take_int(future), 9);
}

static void absurd_shutdowns_are_refused(void)
{
    HKT_STATUS(hk_executor_shutdown(NULL, HK_SHUTDOWN_DRAIN, 0), HK_EINVAL);
    HKT_STATUS(hk_executor_shutdown(hkt_executor, (hk_shutdown_how)4, 0), HK_EINVAL);
    HKT_STATUS(hk_executor_shutdown(hkt_executor, (hk_shutdown_how)-1, 0), HK_EINVAL);
    HKT_STATUS(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, -2), HK_EINVAL);
    HKT_OK(hk_executor_destroy(NULL));
    /* Nothing has happened to it. */
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 2)), 4);
}

/* --- SD03 to SD05: drain and cancel --- */

static void drain_runs_everything(void)
{
    hk_future *futures[TASKS];

    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_int(hkt_executor, hkt_square, i);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hk_future_state(futures[i]), HK_DONE);
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
}

static void cancel_queued_spares_what_runs(void)
{
    struct hkt_plug plug = {0};
    hk_future *futures[TASKS];
    int cancelled = 0;
    int ran = 0;

    /* Inline nothing is ever queued: every task has ended before the shutdown. */
    if (!hkt_is_inline()) {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    }
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_int(hkt_executor, hkt_square, i);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    for (int i = 0; i < TASKS; i++) {
        hk_status status = hk_future_result(futures[i], 0, NULL, NULL);

        /* None is left unfinished: who did not run is cancelled by now. */
        HKT_TRUE(hk_future_has_ended(futures[i]));
        HKT_TRUE(status == HK_OK || status == HK_ECANCELED);
        cancelled += status == HK_ECANCELED;
        ran += status == HK_OK;
        hk_future_unref(futures[i]);
    }
    if (hkt_is_inline()) {
        HKT_EQ_INT(ran, TASKS);
    } else {
        HKT_EQ_INT(cancelled, TASKS);
        hkt_plug_pull(&plug); /* Its tasks were running, and end as they like. */
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
}

static void no_future_is_left_unfinished(void)
{
    static const hk_shutdown_how hows[] = {HK_SHUTDOWN_DRAIN, HK_SHUTDOWN_CANCEL_QUEUED,
                                           HK_SHUTDOWN_CANCEL_ALL, HK_SHUTDOWN_KILL};

    for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
        hk_executor *executor = NULL;
        hk_executor_statistics statistics;
        hk_future *futures[TASKS];

        HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &executor));
        for (int j = 0; j < TASKS; j++) {
            futures[j] = hkt_submit_int(executor, hkt_square, j);
        }
        HKT_OK(hk_executor_shutdown(executor, hows[i], HK_FOREVER));
        for (int j = 0; j < TASKS; j++) {
            HKT_TRUE(hk_future_has_ended(futures[j]));
            HKT_TRUE(hk_future_state(futures[j]) != HK_FAILED);
            hk_future_unref(futures[j]);
        }
        statistics = hkt_stats(executor);
        HKT_EQ_INT(statistics.done + statistics.cancelled, TASKS);
        HKT_EQ_INT(statistics.queued, 0);
        HKT_EQ_INT(statistics.workers, 0);
        HKT_OK(hk_executor_destroy(executor));
    }
}

HK_TASK(sleeps_behind_gate)
{
    hkt_gate_open(hkt_pointer(in, in_size));
    return hk_sleep(call, HK_FOREVER);
}

/* Returns once the task has begun. */
static hk_future *submit_sleeper(hk_executor *executor)
{
    struct hkt_gate *begun = hkt_shared_new(sizeof(*begun));
    hk_future *future;

    hkt_gate_init(begun, "the sleeper has begun");
    future = hkt_submit_pointer(executor, sleeps_behind_gate, begun);
    hkt_gate_wait(begun);
    return future;
}

static void cancel_all_asks_running_tasks_to_stop(void)
{
    static const hk_shutdown_how hows[] = {HK_SHUTDOWN_CANCEL_ALL, HK_SHUTDOWN_KILL};

    for (size_t i = 0; i < 2; i++) {
        hk_executor *executor = NULL;
        hk_future *future = NULL;

        if (hkt_is_inline()) {
            /* The submit would not return: nobody is left to shut it down. */
            HKT_OK(hk_executor_shutdown(hkt_executor, hows[i], HK_FOREVER));
            hkt_not_here("the submit would not return: nobody is left to shut it down");
            continue;
        }
        HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &executor));
        future = submit_sleeper(executor);
        HKT_OK(hk_executor_shutdown(executor, hows[i], HK_FOREVER));
        HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
        hk_future_unref(future);
        HKT_OK(hk_executor_destroy(executor));
    }
}

static void a_shutdown_may_be_made_harder(void)
{
    hk_future *future = NULL;

    if (hkt_is_inline()) {
        /* Nothing runs outside a submit, so the softest is over at once. */
        HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, 0));
        HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_ALL, HK_NS(1)));
        hkt_not_here("nothing runs outside a submit: no shutdown has to wait");
        return;
    }
    future = submit_sleeper(hkt_executor);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, 0));
    HKT_STATUS(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_MS(1)), HK_ETIMEDOUT);
    HKT_STATUS(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, HK_MS(1)),
               HK_ETIMEDOUT);
    HKT_EQ_INT(hk_future_state(future), HK_RUNNING);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
    hkt_expect_end(future, HK_ECANCELED);
}

/* --- SD11 to SD13: scopes, destroy, no wait --- */

static void destroy_completes_what_is_queued(void)
{
    hk_future *futures[TASKS];
    struct hkt_plug plug = {0};

    if (!hkt_is_inline()) {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    }
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_int(hkt_executor, hkt_square, i);
    }
    if (!hkt_is_inline()) {
        hkt_plug_pull(&plug);
    }
    HKT_OK(hk_executor_destroy(hkt_executor));
    hkt_executor = NULL;
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hk_future_state(futures[i]), HK_DONE);
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
}

static hk_map_iterator *map_squares(hk_array_source *source, size_t window)
{
    hk_map_options options = {.window = window, .chunk = 1};
    hk_map_iterator *iterator = NULL;

    HKT_OK_FATAL(
        hk_map(hkt_executor, hkt_square, hk_array_source_next, source, &options, &iterator));
    return iterator;
}

static void expect_all_squares(hk_map_iterator *iterator, int count)
{
    hk_map_item item;

    for (int i = 0; i < count; i++) {
        int value = -1;

        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_OK(item.status);
        if (HKT_EQ_INT(item.size, sizeof(value))) {
            memcpy(&value, item.data, sizeof(value));
        }
        HKT_EQ_INT(value, i * i);
        hk_map_item_drop(&item);
    }
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
}

static void a_scope_ends_with_complete_results(void)
{
    static const int numbers[] = {0, 1, 2, 3, 4, 5};
    hk_array_source source = {.items = numbers, .count = 6, .stride = sizeof(numbers[0])};
    hk_map_iterator *iterator = map_squares(&source, 6);

    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    expect_all_squares(iterator, 6);
}

static void queued_results_appear_after_a_shutdown_without_waiting(void)
{
    static const int numbers[] = {0, 1, 2, 3, 4, 5};
    hk_array_source source = {.items = numbers, .count = 6, .stride = sizeof(numbers[0])};
    hk_map_iterator *iterator = map_squares(&source, 6);

    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, 0));
    expect_all_squares(iterator, 6);
    /* The workers end by themselves. */
    HKT_TRUE(hkt_becomes(hkt_executor, hkt_workers, 0));
}

static void workers_are_gone_after_a_shutdown(void)
{
    unsigned workers = hkt_worker_count();
    struct hkt_plug plug = {0};

    if (hkt_is_inline()) {
        /* Its only worker is whoever submits; it has none of its own. */
        HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
        HKT_EQ_INT(hkt_stats(hkt_executor).workers, 0);
        return;
    }
    hkt_plug_insert(&plug, hkt_executor, workers);
    /* A serial one runs on the workers of its base. */
    HKT_EQ_INT(hkt_stats(hkt_executor).workers, hkt_is_serial() ? 0 : workers);
    HKT_EQ_INT(hkt_stats(hkt_executor).running, workers);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, 0));
    HKT_EQ_INT(hkt_stats(hkt_executor).running, workers);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(hkt_executor).workers, 0);
    HKT_EQ_INT(hkt_stats(hkt_executor).running, 0);
}

static void recycling_and_failing_harm_no_shutdown(void)
{
    for (int round = 0; round < 20; round++) {
        hk_executor *executor = NULL;
        hk_future *good = NULL;
        hk_future *bad = NULL;
        hk_executor_options options = {
            .workers = hkt_is_inline() ? 0 : 2,
            .tasks_per_worker = 1,
        };

        HKT_OK_FATAL(hkt_executor_create(options, &executor));
        HKT_OK_FATAL(hk_submit(executor, hkt_fails, NULL, 0, NULL, &bad));
        good = hkt_submit_int(executor, hkt_square, round);
        HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, 0));
        hkt_expect_end(bad, HK_EFAILED);
        HKT_EQ_INT(hkt_take_int(good), round * round);
        HKT_OK(hk_executor_destroy(executor));
    }
}

/* --- From inside --- */

struct inside {
    hk_status begin;
    hk_status wait;
    hk_status destroy;
    hk_status submit;
};

HK_TASK(ends_its_executor)
{
    struct inside *inside = hkt_pointer(in, in_size);
    hk_executor *executor = hk_call_executor(call);

    inside->begin = hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, 0);
    inside->wait = hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER);
    inside->destroy = hk_executor_destroy(executor);
    inside->submit = hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL);
    return HK_OK;
}

static void a_worker_may_end_its_executor_without_waiting(void)
{
    /* In a process it is the worker's own: the pool is out of its reach. */
    struct inside *inside = hkt_shared_new(sizeof(*inside));

    hkt_expect_end(hkt_submit_pointer(hkt_executor, ends_its_executor, inside), HK_OK);
    HKT_OK(inside->begin);
    HKT_STATUS(inside->wait, HK_EDEADLK);
    HKT_STATUS(inside->destroy, HK_EDEADLK);
    HKT_STATUS(inside->submit, HK_ECLOSED);
}

struct callback_end {
    struct hkt_gate called;
    hk_status begin;
    bool runs_in_worker;
    pthread_t submitter;
    hk_status destroy;
};

static void end_executor_when_done(hk_future *future, void *arg)
{
    struct callback_end *end = arg;

    (void)future;
    end->begin = hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_ALL, 0);
    end->runs_in_worker = !pthread_equal(pthread_self(), end->submitter);
    if (end->runs_in_worker) {
        end->destroy = hk_executor_destroy(hkt_executor);
    }
    hkt_gate_open(&end->called);
}

static void a_callback_may_end_its_executor_without_waiting(void)
{
    struct callback_end end = {.submitter = pthread_self()};
    struct hkt_plug plug = {0};
    hk_future *future;

    hkt_gate_init(&end.called, "the callback has run");
    if (!hkt_is_inline()) {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    }
    future = hkt_submit_int(hkt_executor, hkt_square, 8);
    HKT_OK_FATAL(hk_future_on_done(future, NULL, end_executor_when_done, &end, NULL));
    if (!hkt_is_inline()) {
        hkt_plug_pull(&plug);
    }
    hkt_gate_wait(&end.called);
    HKT_OK(end.begin);
    if (end.runs_in_worker) {
        HKT_STATUS(end.destroy, HK_EDEADLK);
    } else {
        HKT_TRUE(hkt_is_inline()); /* Added after the end: runs in the adding thread. */
    }
    HKT_EQ_INT(hkt_take_int(future), 64);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_gate_fini(&end.called);
}

/* --- Races --- */

struct ender {
    struct hkt_barrier start;
    hk_executor *executor;
    hk_shutdown_how how;
};

static void *end_it(void *arg)
{
    struct ender *ender = arg;

    hkt_barrier_wait(&ender->start);
    HKT_OK(hk_executor_shutdown(ender->executor, ender->how, HK_FOREVER));
    return NULL;
}

static void several_threads_may_end_it_at_once(void)
{
    enum { ROUNDS = 40 };

    if (hkt_is_replay()) {
        hkt_not_here("it serves the thread that made it");
        return;
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct ender ender = {.how = (hk_shutdown_how)(round % 4)};
        hk_future *futures[TASKS];
        pthread_t threads[2];
        int ended = 0;

        HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &ender.executor));
        hkt_barrier_init(&ender.start, 3, "shutdowns begin");
        for (int i = 0; i < 2; i++) {
            HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, end_it, &ender), 0);
        }
        hkt_barrier_wait(&ender.start);
        for (int i = 0; i < TASKS; i++) {
            futures[i] = NULL;
            if (hk_submit(ender.executor, hkt_nothing, NULL, 0, NULL, &futures[i]) == HK_OK) {
                HKT_OK(hk_future_wait(futures[i], HK_FOREVER));
                ended++;
            }
            hk_future_unref(futures[i]);
        }
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
        }
        HKT_EQ_INT(hkt_stats(ender.executor).submitted, ended);
        HKT_OK(hk_executor_destroy(ender.executor));
        hkt_barrier_fini(&ender.start);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("SD01 submit after shutdown is refused", submit_after_shutdown_is_refused),
    HKT_CASE("SD02 shutdown may be repeated", shutdown_may_be_repeated),
    HKT_CASE("SD03 drain runs everything", drain_runs_everything),
    HKT_CASE("SD04 cancelling what is queued spares what runs", cancel_queued_spares_what_runs),
    HKT_CASE("SD05 no future is left unfinished", no_future_is_left_unfinished),
    HKT_CASE("SD11 a scope ends with complete results", a_scope_ends_with_complete_results),
    HKT_CASE("SD12 destroy completes what is queued", destroy_completes_what_is_queued),
    HKT_CASE("SD13 queued results appear after a shutdown without waiting",
             queued_results_appear_after_a_shutdown_without_waiting),
    HKT_CASE("SD14 workers are gone after a shutdown", workers_are_gone_after_a_shutdown),
    HKT_CASE("SD15 recycling and failing harm no shutdown", recycling_and_failing_harm_no_shutdown),
    HKT_CASE("PP16 absurd shutdowns are refused", absurd_shutdowns_are_refused),
    HKT_CASE("SE08 cancel all asks running tasks to stop", cancel_all_asks_running_tasks_to_stop),
    HKT_CASE("XP07 a shutdown that takes too long may be made harder",
             a_shutdown_may_be_made_harder),
    HKT_CASE("SE04 a worker may end its executor without waiting",
             a_worker_may_end_its_executor_without_waiting),
    HKT_CASE("CB11 a callback may end its executor without waiting",
             a_callback_may_end_its_executor_without_waiting),
    HKT_CASE("SE09 several threads may end it at once", several_threads_may_end_it_at_once),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_shutdown",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
