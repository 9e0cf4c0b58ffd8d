/* SPDX-License-Identifier: MIT */
/*
 * A pool of processes whose memory is used up: tasks wait in the queue until some is given back,
 * by whom ever, and then run, also when no worker had anything to do meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include <hocket/buffer.h>

#include "tests/process_fixture.h"

enum { MEMORY = 1 << 20, HALF = 512 << 10, INPUT = 300 << 10, SHOWN = 400 << 10 };

HK_TASK(counts_ones)
{
    const unsigned char *bytes = in;
    int ones = 0;

    for (size_t i = 0; i < in_size; i++) {
        ones += bytes[i] == 1 ? 1 : 0;
    }
    return hk_return(call, &ones, sizeof(ones));
}

HK_TASK(returns_its_buffer)
{
    return hk_return(call, in, in_size);
}

static hk_executor *small_pool(void)
{
    return hkt_processes((hk_executor_options){.workers = 1, .memory_bytes = MEMORY});
}

static hk_future *submit_large(hk_executor *pool)
{
    static unsigned char bytes[INPUT];
    hk_future *future = NULL;

    memset(bytes, 1, sizeof(bytes));
    HKT_OK_FATAL(hk_submit(pool, counts_ones, bytes, sizeof(bytes), NULL, &future));
    return future;
}

static hk_buffer *take_half(hk_executor *pool)
{
    hk_buffer *buffer = NULL;

    HKT_OK_FATAL(hk_buffer_create(pool, HALF, &buffer));
    return buffer;
}

/* Nobody runs, so nobody's end looks at the queue again. */
static void expect_waiting(hk_executor *pool, const hk_future *future)
{
    hk_executor_statistics statistics;

    HKT_OK(hk_executor_stats(pool, &statistics));
    HKT_EQ_INT(statistics.queued, 1);
    HKT_EQ_INT(statistics.running, 0);
    HKT_TRUE(!hk_future_has_ended(future));
}

static void expect_all_ones(hk_future *future)
{
    HKT_EQ_INT(hkt_take_int(future), INPUT);
}

static void a_task_runs_when_a_buffer_is_given_back(void)
{
    hk_executor *pool = small_pool();

    for (int i = 0; i < 20; i++) {
        hk_buffer *buffers[] = {take_half(pool), take_half(pool)};
        hk_future *future = submit_large(pool);

        expect_waiting(pool, future);
        hk_buffer_destroy(buffers[i % 2]);
        expect_all_ones(future);
        hk_buffer_destroy(buffers[1 - i % 2]);
    }
    hkt_processes_end(pool);
}

/* What the first waits for may be held by those behind it alone. */
static void who_has_a_buffer_passes_by_who_waits_for_memory(void)
{
    hk_executor *pool = small_pool();

    for (int i = 0; i < 20; i++) {
        hk_buffer *buffers[] = {take_half(pool), take_half(pool)};
        hk_future *future = submit_large(pool);
        hk_future *passing[2];

        expect_waiting(pool, future);
        for (int j = 0; j < 2; j++) {
            HKT_OK_FATAL(hk_submit_buffer(pool, counts_ones, buffers[j], NULL, &passing[j]));
        }
        expect_all_ones(future);
        for (int j = 0; j < 2; j++) {
            HKT_OK(hk_future_wait(passing[j], HK_FOREVER));
            hk_future_unref(passing[j]);
        }
    }
    hkt_processes_end(pool);
}

/* Also if it came while the worker was busy, and was looked at by nobody since. */
static void what_needs_no_memory_passes_by_who_waits_for_it(void)
{
    struct hkt_stand *stand = hkt_stand_new();
    hk_executor *pool = small_pool();
    hk_buffer *buffers[] = {take_half(pool), take_half(pool)};
    hk_future *holding = hkt_stand_submit(pool, stand);
    hk_future *small[3] = {NULL};
    hk_future *future;

    future = submit_large(pool);
    for (int i = 0; i < 3; i++) {
        HKT_OK_FATAL(hk_submit(pool, counts_ones, "\1\1", 2, NULL, &small[i]));
    }
    hkt_gate_open(&stand->gate);
    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(hkt_take_int(small[i]), 2);
    }
    expect_waiting(pool, future);
    hk_buffer_destroy(buffers[0]);
    expect_all_ones(future);
    hk_buffer_destroy(buffers[1]);
    HKT_OK(hk_future_result(holding, HK_FOREVER, NULL, NULL));
    hk_future_unref(holding);
    hkt_processes_end(pool);
}

static void a_task_runs_when_a_shown_value_is_dropped(void)
{
    hk_executor *pool = small_pool();

    for (int i = 0; i < 20; i++) {
        hk_buffer *buffer = take_half(pool);
        hk_buffer *input = take_half(pool);
        hk_future *shown = NULL;
        hk_future *future;

        HKT_OK_FATAL(hk_submit_buffer(pool, returns_its_buffer, input, NULL, &shown));
        HKT_OK(hk_future_wait(shown, HK_FOREVER));
        future = submit_large(pool);
        expect_waiting(pool, future);
        hk_future_unref(shown);
        expect_all_ones(future);
        hk_buffer_destroy(buffer);
    }
    hkt_processes_end(pool);
}

/* In their order, one after the other. */
static void several_tasks_share_what_comes_back(void)
{
    hk_executor *pool = small_pool();
    hk_buffer *buffers[] = {take_half(pool), take_half(pool)};
    hk_future *futures[8];

    for (int i = 0; i < 8; i++) {
        futures[i] = submit_large(pool);
    }
    hk_buffer_destroy(buffers[0]);
    for (int i = 0; i < 8; i++) {
        expect_all_ones(futures[i]);
    }
    hk_buffer_destroy(buffers[1]);
    hkt_processes_end(pool);
}

/* What is behind it needs no memory. */
static void who_gives_up_lets_the_next_one_run(void)
{
    hk_executor *pool = small_pool();

    hkt_expect_health(pool); /* From here on the worker rests. */
    for (int i = 0; i < 20; i++) {
        hk_buffer *buffers[] = {take_half(pool), take_half(pool)};
        hk_future *large = submit_large(pool);
        hk_future *small;

        expect_waiting(pool, large);
        small = hkt_submit_int(pool, hkt_square, 3);
        if (i % 2 == 0) {
            HKT_OK(hk_future_cancel(large, HK_CANCEL_PENDING));
        } else {
            HKT_OK(hk_future_cancel(large, HK_CANCEL_KILL));
        }
        HKT_EQ_INT(hkt_take_int(small), 9);
        HKT_STATUS(hk_future_result(large, HK_FOREVER, NULL, NULL), HK_ECANCELED);
        hk_future_unref(large);
        hk_buffer_destroy(buffers[0]);
        hk_buffer_destroy(buffers[1]);
    }
    hkt_processes_end(pool);
}

static void who_runs_out_of_time_lets_the_next_one_run(void)
{
    static unsigned char bytes[INPUT];
    const hk_submit_options options = {.deadline = HK_MS(20)};
    hk_executor *pool = small_pool();
    hk_buffer *buffers[] = {take_half(pool), take_half(pool)};
    hk_future *large = NULL;
    hk_future *small;

    HKT_OK_FATAL(hk_submit(pool, counts_ones, bytes, sizeof(bytes), &options, &large));
    small = hkt_submit_int(pool, hkt_square, 3);
    HKT_EQ_INT(hkt_take_int(small), 9);
    HKT_STATUS(hk_future_result(large, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    hk_future_unref(large);
    hk_buffer_destroy(buffers[0]);
    hk_buffer_destroy(buffers[1]);
    hkt_processes_end(pool);
}

struct giving {
    hk_buffer *buffer;
    struct hkt_gate gate;
};

static void *give_back(void *arg)
{
    struct giving *giving = arg;

    hkt_gate_wait(&giving->gate);
    hk_buffer_destroy(giving->buffer);
    return NULL;
}

/* The same while somebody waits for the task, and while one waits for the end. */
static void who_waits_hears_of_it(void)
{
    for (int i = 0; i < 20; i++) {
        hk_executor *pool = small_pool();
        hk_buffer *other = take_half(pool);
        struct giving giving = {.buffer = take_half(pool)};
        hk_future *future = submit_large(pool);
        pthread_t thread;

        hkt_gate_init(&giving.gate, "to give it back");
        HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, give_back, &giving), 0);
        if (i % 2 == 0) {
            hkt_gate_open(&giving.gate);
            HKT_OK(hk_future_wait(future, HK_FOREVER));
        } else {
            HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, 0)); /* It goes on by itself. */
            hkt_gate_open(&giving.gate);
            HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
        }
        HKT_EQ_INT(pthread_join(thread, NULL), 0);
        hkt_gate_fini(&giving.gate);
        expect_all_ones(future);
        hk_buffer_destroy(other);
        hkt_processes_end(pool);
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_task_runs_when_a_buffer_is_given_back),
    HKT_TEST(who_has_a_buffer_passes_by_who_waits_for_memory),
    HKT_TEST(what_needs_no_memory_passes_by_who_waits_for_it),
    HKT_TEST(a_task_runs_when_a_shown_value_is_dropped),
    HKT_TEST(several_tasks_share_what_comes_back),
    HKT_TEST(who_gives_up_lets_the_next_one_run),
    HKT_TEST(who_runs_out_of_time_lets_the_next_one_run),
    HKT_TEST(who_waits_hears_of_it),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "pool_full", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
