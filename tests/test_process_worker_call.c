/* SPDX-License-Identifier: MIT */
/* What a task in a worker process may ask, and who hears of a stop. */
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>

#include "base/os.h"
#include "tests/worker_fixture.h"

/* What tasks, in their own process, let the test know. */
struct shared {
    atomic_int started;
    atomic_int seen;
};

static struct shared *shared;
static struct hkt_worker worker;

static void set_up(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    HKT_TRUE_FATAL(shared != MAP_FAILED);
    hkt_worker_open(&worker);
}

static void tear_down(void)
{
    hkt_worker_close(&worker);
    munmap(shared, sizeof(*shared));
}

static bool has_started(void *arg)
{
    (void)arg;
    return atomic_load(&shared->started) != 0;
}

/* --- Tasks --- */

HK_TASK(sleeps)
{
    hk_status status;

    atomic_store(&shared->started, 1);
    status = hk_sleep(call, HK_FOREVER);
    atomic_store(&shared->seen, hk_should_stop(call) ? 1 : 2);
    return status;
}

HK_TASK(polls)
{
    struct pollfd events = {.events = POLLIN};

    HKT_CHILD_STATUS(hk_call_stop_fd(call, &events.fd), HK_OK);
    HKT_CHILD_TRUE(!hk_should_stop(call));
    atomic_store(&shared->started, 1);
    HKT_CHILD_TRUE(poll(&events, 1, -1) == 1);
    return hk_should_stop(call) ? HK_ECANCELED : hk_fail(call, 1, "not stopped");
}

HK_TASK(is_not_stopped)
{
    struct pollfd events = {.events = POLLIN};

    HKT_CHILD_STATUS(hk_call_stop_fd(call, &events.fd), HK_OK);
    return !hk_should_stop(call) && poll(&events, 1, 0) == 0 &&
                   hk_call_time_left(call) == HK_FOREVER
               ? HK_OK
               : hk_fail(call, 1, "the stop of another task");
}

/* A nested task with this one's token. */
HK_TASK(asks)
{
    while (!hk_should_stop(call)) {
        sched_yield();
    }
    return HK_ECANCELED;
}

HK_TASK(nests)
{
    hk_submit_options options = {0};
    hk_future *future;
    hk_status status;

    HKT_CHILD_STATUS(hk_call_token(call, &options.token), HK_OK);
    HKT_CHILD_TRUE(!hk_cancel_token_is_fired(options.token));
    atomic_store(&shared->started, 1);
    HKT_CHILD_STATUS(hk_submit(hk_call_executor(call), asks, NULL, 0, &options, &future), HK_OK);
    status = hk_future_result(future, HK_FOREVER, NULL, NULL);
    HKT_CHILD_STATUS(status, HK_ECANCELED);
    hk_future_unref(future);
    HKT_CHILD_TRUE(hk_cancel_token_is_fired(options.token));
    return hk_return(call, "nested", 6);
}

HK_TASK(shuts_down)
{
    return hk_executor_shutdown(hk_call_executor(call), HK_SHUTDOWN_DRAIN, 0);
}

HK_TASK(does_nothing)
{
    (void)call;
    return HK_OK;
}

HK_TASK(submits)
{
    hk_status status = hk_submit(hk_call_executor(call), does_nothing, NULL, 0, NULL, NULL);

    return hk_return(call, status == HK_OK ? "open" : "shut", 4);
}

HK_TASK(has_little_time)
{
    hk_duration left = hk_call_time_left(call);

    atomic_store(&shared->seen, left > 0 && left <= HK_MS(20) ? 1 : 2);
    return hk_sleep(call, HK_FOREVER);
}

HK_TASK(reports_progress)
{
    hk_progress(call, 3, 9);
    return HK_OK;
}

/* --- Tests --- */

static void a_stop_reaches_the_task(void)
{
    static const hk_task *const tasks[] = {sleeps, polls};

    for (size_t i = 0; i < 2; i++) {
        uint32_t request;

        atomic_store(&shared->started, 0);
        request = hkt_worker_push(&worker, &(struct hkt_request){.task = tasks[i]});
        HKT_TRUE_FATAL(hkt_eventually(has_started, NULL));
        hkt_worker_stop(&worker, request);
        HKT_TRUE_FATAL(hkt_worker_await(&worker, request));
        HKT_STATUS(hkt_worker_cell(&worker, request)->outcome, HK_ECANCELED);
        /* The next one has nothing of it, not even of a signal that came late. */
        hki_os_event_signal(worker.stop_event);
        HKT_STATUS(hkt_worker_run(&worker, &(struct hkt_request){.task = is_not_stopped})->outcome,
                   HK_OK);
    }
    HKT_EQ_INT(atomic_load(&shared->seen), 1);
}

static void a_late_signal_does_not_end_a_sleep(void)
{
    uint32_t request = hkt_worker_push(&worker, &(struct hkt_request){.task = sleeps});

    HKT_TRUE_FATAL(hkt_eventually(has_started, NULL));
    for (unsigned i = 0; i < 100; i++) {
        hki_os_event_signal(worker.stop_event);
    }
    HKT_EQ_INT(atomic_load(&shared->seen), 0);
    hkt_worker_stop(&worker, request);
    HKT_TRUE_FATAL(hkt_worker_await(&worker, request));
    HKT_EQ_INT(atomic_load(&shared->seen), 1);
}

static void a_stop_reaches_what_it_runs_inside(void)
{
    uint32_t request = hkt_worker_push(&worker, &(struct hkt_request){.task = nests});

    HKT_TRUE_FATAL(hkt_eventually(has_started, NULL));
    hkt_worker_stop(&worker, request);
    HKT_TRUE_FATAL(hkt_worker_await(&worker, request));
    hkt_worker_expect(&worker, hkt_worker_cell(&worker, request), HKI_OUTPUT_CELL, "nested", 6);
}

static void one_task_closes_nothing_for_the_next(void)
{
    (void)hkt_worker_run(&worker, &(struct hkt_request){.task = shuts_down});
    hkt_worker_expect(&worker, hkt_worker_run(&worker, &(struct hkt_request){.task = submits}),
                      HKI_OUTPUT_CELL, "open", 4);
}

static void time_runs_out(void)
{
    struct hki_cell *cell = hkt_worker_run(
        &worker, &(struct hkt_request){.task = has_little_time, .timeout = HK_MS(20)});

    HKT_STATUS(cell->outcome, HK_EDEADLINE); /* Whatever the task says of its end. */
    HKT_EQ_INT(atomic_load(&shared->seen), 1);
    HKT_TRUE(atomic_load(&cell->started_ns) != 0);
}

static void progress_is_seen(void)
{
    struct hki_cell *cell =
        hkt_worker_run(&worker, &(struct hkt_request){.task = reports_progress});

    HKT_EQ_INT(atomic_load(&cell->progress_done), 3);
    HKT_EQ_INT(atomic_load(&cell->progress_total), 9);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a stop reaches a task that sleeps or polls, and no other", a_stop_reaches_the_task),
    HKT_CASE("a signal without a stop does not end a sleep", a_late_signal_does_not_end_a_sleep),
    HKT_CASE("a stop reaches a nested task by the token", a_stop_reaches_what_it_runs_inside),
    HKT_CASE("a task that shuts its executor down shuts none of the next",
             one_task_closes_nothing_for_the_next),
    HKT_CASE("a task knows its time, and a sleep ends with it", time_runs_out),
    HKT_CASE("progress is seen from outside", progress_is_seen),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process worker, its calls",
     .pSetUpFunc = set_up,
     .pTearDownFunc = tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
