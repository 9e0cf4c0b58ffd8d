/* SPDX-License-Identifier: MIT */
/*
 * Calls at bad moments, cases G44 to G54: every one has an answer, every future an end. G57,
 * all of this under sanitizers and valgrind, is how these suites are run.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "tests/fault_fixture.h"

enum { AROUND = 20 };

/* --- G44: cancel --- */

HK_TASK(waits_to_be_stopped)
{
    atomic_fetch_add(&hkt_shared->arrived, 1);
    return hk_sleep(call, HK_FOREVER);
}

HKT_FAULT_CASE(cancel_everywhere)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *running = hkt_fault_stand(pool, NULL);
    hk_future *others[AROUND];
    hk_future *future;

    /* The first of them lie in the worker's ring, the others in the queue. */
    for (int i = 0; i < AROUND; i++) {
        others[i] = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    }
    for (int i = 0; i < AROUND; i++) {
        HKT_CHILD_STATUS(hk_future_cancel(others[i], HK_CANCEL_PENDING), HK_OK);
        hkt_fault_ends(others[i], HK_ECANCELED);
    }
    HKT_CHILD_STATUS(hk_future_cancel(running, HK_CANCEL_PENDING), HK_ESTATE);
    hkt_fault_open_gate();
    hkt_fault_ends(running, HK_OK);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == 0);
    future = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    HKT_CHILD_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
    HKT_CHILD_STATUS(hk_future_cancel(future, HK_CANCEL_KILL), HK_ESTATE); /* Done. */
    hkt_fault_ends(future, HK_OK);
    /* Asked, it stops; killed, it ends however deaf it is. */
    atomic_store(&hkt_shared->arrived, 0);
    future = hkt_fault_submit(pool, waits_to_be_stopped, NULL);
    hkt_fault_await(&hkt_shared->arrived, 1);
    HKT_CHILD_STATUS(hk_future_cancel(future, HK_CANCEL_REQUEST), HK_OK);
    hkt_fault_ends(future, HK_ECANCELED);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 1);
    future = hkt_fault_submit(pool, hkt_fault_loops, NULL);
    hkt_fault_await(&hkt_shared->arrived, 2);
    HKT_CHILD_STATUS(hk_future_cancel(future, HK_CANCEL_KILL), HK_OK);
    hkt_fault_ends(future, HK_ECANCELED);
    hkt_fault_works(pool);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 2);
    hkt_fault_close(pool);
}

/* --- G45, G46: shutdown --- */

static void shuts_down(hk_shutdown_how how, bool waits)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *running = hkt_fault_submit(pool, waits_to_be_stopped, NULL);
    hk_future *queued[AROUND];
    hk_future *late = NULL;
    bool cancels = how >= HK_SHUTDOWN_CANCEL_QUEUED;

    for (int i = 0; i < AROUND; i++) {
        queued[i] = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    }
    hkt_fault_await(&hkt_shared->arrived, 1);
    if (how < HK_SHUTDOWN_CANCEL_ALL) {
        HKT_CHILD_STATUS(hk_executor_shutdown(pool, how, waits ? HK_MS(5) : 0),
                         waits ? HK_ETIMEDOUT : HK_OK);
        HKT_CHILD_STATUS(hk_future_cancel(running, HK_CANCEL_REQUEST), HK_OK);
    }
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, how, waits ? HK_FOREVER : 0), HK_OK);
    HKT_CHILD_STATUS(hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, &late), HK_ECLOSED);
    HKT_CHILD_TRUE(late == NULL);
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, how, HK_FOREVER), HK_OK); /* Again. */
    HKT_CHILD_TRUE(hk_future_state(running) == HK_CANCELLED);
    hk_future_unref(running);
    for (int i = 0; i < AROUND; i++) {
        HKT_CHILD_TRUE(hk_future_state(queued[i]) == (cancels ? HK_CANCELLED : HK_DONE));
        hk_future_unref(queued[i]);
    }
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers == 0);
    hkt_fault_close(pool);
    atomic_store(&hkt_shared->arrived, 0);
}

HKT_FAULT_CASE(every_shutdown)
{
    for (int how = HK_SHUTDOWN_DRAIN; how <= HK_SHUTDOWN_KILL; how++) {
        shuts_down((hk_shutdown_how)how, false);
        shuts_down((hk_shutdown_how)how, true);
    }
}

HKT_FAULT_CASE(harder_and_harder)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *running = hkt_fault_submit(pool, hkt_fault_loops, NULL);

    hkt_fault_await(&hkt_shared->arrived, 1);
    for (int how = HK_SHUTDOWN_DRAIN; how < HK_SHUTDOWN_KILL; how++) {
        HKT_CHILD_STATUS(hk_executor_shutdown(pool, (hk_shutdown_how)how, HK_MS(2)), HK_ETIMEDOUT);
    }
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER), HK_OK);
    hkt_fault_ends(running, HK_ECANCELED);
    hkt_fault_close(pool);
}

static void shuts_down_in_callback(hk_future *future, void *arg)
{
    hk_executor *pool = arg;

    (void)future;
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0), HK_OK);
    HKT_CHILD_TRUE(hk_executor_destroy(pool) == HK_EDEADLK);
    atomic_store(&hkt_shared->word[0], 1);
}

HKT_FAULT_CASE(shutdown_in_a_callback)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hk_future *future = hkt_fault_stand(pool, NULL);

    HKT_CHILD_STATUS(hk_future_on_done(future, NULL, shuts_down_in_callback, pool, NULL), HK_OK);
    hkt_fault_open_gate();
    hkt_fault_await(&hkt_shared->word[0], 1);
    hkt_fault_ends(future, HK_OK);
    HKT_CHILD_STATUS(hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, NULL), HK_ECLOSED);
    hkt_fault_close(pool);
}

/* --- eight threads submit while it is shut down --- */

static hk_executor *busy;

static void *submits_on(void *nothing)
{
    for (;;) {
        hk_future *future = NULL;
        hk_status status = hk_submit(busy, hkt_fault_counts, NULL, 0, NULL, &future);

        if (status != HK_OK) {
            HKT_CHILD_TRUE(status == HK_ECLOSED && future == NULL);
            return nothing;
        }
        atomic_fetch_add(&hkt_shared->word[0], 1);
        status = hk_future_result(future, HK_FOREVER, NULL, NULL);
        HKT_CHILD_TRUE(status == HK_OK || status == HK_ECANCELED || status == HK_EWORKER);
        atomic_fetch_add(&hkt_shared->word[1], status == HK_OK ? 1 : 0);
        hk_future_unref(future);
    }
}

HKT_FAULT_CASE(shutdown_under_submits)
{
    enum { THREADS = 8 };

    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    for (int how = HK_SHUTDOWN_DRAIN; how <= HK_SHUTDOWN_KILL; how++) {
        pthread_t threads[THREADS];

        atomic_store(&hkt_shared->word[0], 0);
        atomic_store(&hkt_shared->word[1], 0);
        atomic_store(&hkt_shared->runs, 0);
        busy = hkt_fault_pool((hk_executor_options){.workers = 2});
        for (int i = 0; i < THREADS; i++) {
            HKT_CHILD_TRUE(pthread_create(&threads[i], NULL, submits_on, NULL) == 0);
        }
        hkt_fault_await(&hkt_shared->word[0], 200);
        HKT_CHILD_STATUS(hk_executor_shutdown(busy, (hk_shutdown_how)how, HK_FOREVER), HK_OK);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        HKT_CHILD_TRUE(how != HK_SHUTDOWN_DRAIN ||
                       atomic_load(&hkt_shared->word[0]) == atomic_load(&hkt_shared->word[1]));
        HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) >= atomic_load(&hkt_shared->word[1]));
        HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) <= atomic_load(&hkt_shared->word[0]));
        hkt_fault_close(busy);
    }
}

/* --- G47: callbacks --- */

struct chain {
    hk_executor *pool;
    hk_future *own; /* Whose last reference the callback gives back. */
};

static void goes_on(hk_future *future, void *arg);

static void submit_next(struct chain *chain)
{
    hk_future *future = hkt_fault_submit(chain->pool, hkt_fault_counts, NULL);

    HKT_CHILD_STATUS(hk_future_on_done(future, NULL, goes_on, chain, NULL), HK_OK);
    hk_future_unref(future); /* The callback holds it, and throws it away. */
}

static void goes_on(hk_future *future, void *arg)
{
    HKT_CHILD_TRUE(hk_future_state(future) == HK_DONE);
    if (atomic_fetch_add(&hkt_shared->word[0], 1) < AROUND) {
        submit_next(arg);
    }
}

HKT_FAULT_CASE(callback_submits)
{
    struct chain chain = {hkt_fault_pool((hk_executor_options){.workers = 2}), NULL};

    submit_next(&chain);
    hkt_fault_await(&hkt_shared->word[0], AROUND + 1);
    hkt_fault_close(chain.pool);
}

static void blocks(hk_future *future, void *arg)
{
    (void)future;
    hkt_gate_wait(arg);
    atomic_store(&hkt_shared->word[0], 1);
}

HKT_FAULT_CASE(callback_blocks)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hk_future *future = hkt_fault_stand(pool, NULL);
    struct hkt_squares squares;
    struct hkt_gate gate;
    int32_t pid;

    hkt_gate_init(&gate, "the callback may return");
    HKT_CHILD_STATUS(hk_future_on_done(future, NULL, blocks, &gate, NULL), HK_OK);
    hkt_fault_open_gate();
    hkt_gate_await_arrivals(&gate, 1);
    /* The pool works, and hears of deaths. */
    hkt_squares_submit(&squares, pool, AROUND);
    hkt_squares_expect(&squares);
    atomic_store(&hkt_shared->gate, 0);
    hk_future_unref(future);
    future = hkt_fault_stand(pool, &pid);
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    hkt_fault_ends_by_signal(future, SIGKILL);
    hkt_gate_open(&gate);
    hkt_fault_await(&hkt_shared->word[0], 1);
    hkt_fault_close(pool);
    hkt_gate_fini(&gate);
}

static void throws_away(hk_future *future, void *arg)
{
    hk_future_unref(future); /* The one that its owner left to it. */
    atomic_store((_Atomic(uint32_t) *)arg, 1);
}

HKT_FAULT_CASE(callback_throws_away)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future = hkt_fault_stand(pool, NULL);

    HKT_CHILD_STATUS(
        hk_future_on_done(future, NULL, throws_away, (void *)&hkt_shared->word[0], NULL), HK_OK);
    hkt_fault_open_gate();
    hkt_fault_await(&hkt_shared->word[0], 1);
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

static void kills(hk_future *future, void *arg)
{
    const void *value = NULL;
    size_t size = 0;
    int32_t pid;

    (void)arg;
    HKT_CHILD_STATUS(hk_future_result(future, 0, &value, &size), HK_OK);
    memcpy(&pid, value, sizeof(pid));
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    atomic_store(&hkt_shared->word[0], 1);
}

HKT_FAULT_CASE(callback_kills_a_worker)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future = hkt_fault_submit(pool, hkt_fault_pid, NULL);

    HKT_CHILD_STATUS(hk_future_on_done(future, NULL, kills, NULL, NULL), HK_OK);
    hk_future_unref(future);
    hkt_fault_await(&hkt_shared->word[0], 1);
    hkt_fault_reaches(pool, hkt_started, 2);
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* --- G50: pools in pools --- */

/* Its depth below -> the sum of what the pools below give, and one. */
HK_TASK(makes_a_pool)
{
    hk_executor *pool = NULL;
    hk_executor_options options = {.workers = 1, .max_nesting = 3};
    hk_future *future = NULL;
    int sum = 0;
    hk_status status = hk_process_pool_create(&options, &pool);

    if (status == HK_EINVAL) { /* Deep enough. */
        return hk_return(call, &sum, sizeof(sum));
    }
    HKT_CHILD_TRUE(status == HK_OK);
    HKT_CHILD_STATUS(hk_submit(pool, makes_a_pool, NULL, 0, NULL, &future), HK_OK);
    sum = hkt_fault_int(future) + 1;
    hkt_fault_close(pool);
    return hk_return(call, &sum, sizeof(sum));
}

HKT_FAULT_CASE(nested_pools)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});

    HKT_CHILD_TRUE(hkt_fault_int(hkt_fault_submit(pool, makes_a_pool, NULL)) == 2);
    hkt_fault_close(pool);
}

HK_TASK(breaks_down)
{
    (void)call;
    (void)raise(SIGSEGV);
    return HK_OK;
}

/* Whether the crash of a worker below is told with its place. */
HK_TASK(loses_a_worker)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future = hkt_fault_submit(pool, breaks_down, NULL);
    const hk_error *error = NULL;
    int told;

    HKT_CHILD_STATUS(hk_future_error(future, HK_FOREVER, &error), HK_OK);
    told =
        error != NULL && error->term_signal == SIGSEGV && strstr(error->message, "; in ") != NULL;
    hk_future_unref(future);
    hkt_fault_close(pool);
    return hk_return(call, &told, sizeof(told));
}

HKT_FAULT_CASE(crashes_in_nested_pools)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});

    HKT_CHILD_TRUE(hkt_fault_int(hkt_fault_submit(pool, loses_a_worker, NULL)) == 1);
    hkt_fault_close(pool);
}

/* --- G51: code that came later --- */

HKT_FAULT_CASE(code_loaded_later)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    void *plugin = dlopen(PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL);
    hk_task task = *hkt_fault_counts;
    hk_future *future = NULL;

    HKT_CHILD_TRUE(plugin != NULL);
    *(void **)(void *)&task.run = dlsym(plugin, "plugin_run");
    HKT_CHILD_TRUE(task.run != NULL);
    HKT_CHILD_STATUS(hk_submit(pool, &task, NULL, 0, NULL, &future), HK_ENOTASK);
    HKT_CHILD_TRUE(future == NULL);
    task.run = NULL;
    HKT_CHILD_STATUS(hk_submit(pool, &task, NULL, 0, NULL, &future), HK_EINVAL);
    hkt_fault_works(pool);
    hkt_fault_close(pool);
    dlclose(plugin);
}

/* --- G52: results outlive their pool --- */

HKT_FAULT_CASE(results_outlive_the_pool)
{
    enum { SIZES = 4 };
    static const size_t sizes[SIZES] = {8, 3000, 100000, 40 << 20};
    hk_executor *pool =
        hkt_fault_pool((hk_executor_options){.workers = 1, .memory_bytes = 16 << 20});
    hk_future *futures[SIZES];
    const unsigned char *values[SIZES];

    for (int i = 0; i < SIZES; i++) {
        unsigned char *bytes = malloc(sizes[i]);
        const void *value = NULL;
        size_t size = 0;

        HKT_CHILD_TRUE(bytes != NULL);
        memset(bytes, i + 1, sizes[i]);
        HKT_CHILD_STATUS(hk_submit(pool, hkt_echo, bytes, sizes[i], NULL, &futures[i]), HK_OK);
        free(bytes);
        HKT_CHILD_STATUS(hk_future_result(futures[i], HK_FOREVER, &value, &size), HK_OK);
        HKT_CHILD_TRUE(size == sizes[i]);
        values[i] = value;
    }
    hkt_fault_close(pool);
    for (int i = 0; i < SIZES; i++) {
        for (size_t at = 0; at < sizes[i]; at++) {
            HKT_CHILD_TRUE(values[i][at] == i + 1);
        }
        hk_future_unref(futures[i]);
    }
}

/* --- G54: times --- */

HKT_FAULT_CASE(times_at_the_edge)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future = hkt_fault_stand(pool, NULL);
    hk_future *limited = NULL;
    const hk_submit_options huge = {.timeout = INT64_MAX - 1, .deadline = INT64_MAX - 1};

    HKT_CHILD_STATUS(hk_future_wait(future, 0), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_future_wait(future, 1), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_future_wait(future, -5), HK_EINVAL);
    HKT_CHILD_STATUS(
        hk_submit(pool, hkt_fault_counts, NULL, 0, &(hk_submit_options){.timeout = -5}, &limited),
        HK_EINVAL);
    HKT_CHILD_STATUS(hk_submit(pool, hkt_fault_counts, NULL, 0, &huge, &limited), HK_OK);
    hkt_fault_open_gate();
    HKT_CHILD_STATUS(hk_future_wait(future, INT64_MAX - 1), HK_OK);
    HKT_CHILD_STATUS(hk_future_wait(future, 0), HK_OK);
    hk_future_unref(future);
    hkt_fault_ends(limited, HK_OK);
    hkt_fault_close(pool);
}

static CU_TestInfo tests[] = {
    HKT_CASE("G44 a cancel of what is queued, given, running or done", cancel_everywhere),
    HKT_CASE("G45 G46 every shutdown, twice, with and without waiting; then submits are refused",
             every_shutdown),
    HKT_CASE("G45 a shutdown may become harder", harder_and_harder),
    HKT_CASE("G45 a callback may shut down, and not wait", shutdown_in_a_callback),
    HKT_CASE("G45 a shutdown while eight threads submit", shutdown_under_submits),
    HKT_CASE("G47 a callback may submit", callback_submits),
    HKT_CASE("G47 a callback that blocks keeps nobody", callback_blocks),
    HKT_CASE("G47 a callback may throw its future away", callback_throws_away),
    HKT_CASE("G47 a callback may kill a worker", callback_kills_a_worker),
    HKT_CASE("G50 pools in workers of pools, down to the limit", nested_pools),
    HKT_CASE("G50 a crash in a pool within a pool is told with its place", crashes_in_nested_pools),
    HKT_CASE("G51 a function that was loaded later is no task", code_loaded_later),
    HKT_CASE("G52 results outlive their pool", results_outlive_the_pool),
    HKT_CASE("G54 times of zero, in the past, and without end", times_at_the_edge),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "faults.calls", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
