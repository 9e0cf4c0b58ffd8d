/* SPDX-License-Identifier: MIT */
/*
 * Arrays of tasks on a thread pool, where they go in batches: none is lost, none is run twice,
 * and what was refused was refused as one by itself would have been.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/fixture.h"
#include "tests/promise_fixture.h"

enum { COUNT = 1000 }; /* More than a deque holds, and no multiple of a batch. */

/* --- In order, once --- */

static atomic_uint told;
static unsigned order[COUNT]; /* Of the first ones: each place is written once. */

HK_TASK(many_tell)
{
    unsigned number;
    unsigned place;

    memcpy(&number, in, sizeof(number));
    if ((place = atomic_fetch_add(&told, 1)) < COUNT) {
        order[place] = number;
    }
    return in_size == sizeof(number) ? hk_return(call, &number, sizeof(number)) : HK_EFAILED;
}

static void fill(unsigned *numbers)
{
    for (unsigned i = 0; i < COUNT; i++) {
        numbers[i] = i;
    }
    atomic_store(&told, 0);
}

static void tasks_of_an_array_begin_in_its_order(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_future *futures[COUNT];
    unsigned numbers[COUNT];
    size_t accepted = 0;
    unsigned wrong = 0;

    fill(numbers);
    HKT_OK(hk_submit_many(pool, many_tell, numbers, COUNT, sizeof(*numbers), NULL, futures,
                          &accepted));
    HKT_EQ_INT(accepted, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        wrong += hkt_take_int(futures[i]) != (int)i;
    }
    for (unsigned i = 0; i < COUNT; i++) {
        wrong += order[i] != i;
    }
    HKT_EQ_INT(wrong, 0);
    HKT_EQ_INT(hkt_stats(pool).submitted, COUNT);
    HKT_EQ_INT(hkt_stats(pool).done, COUNT);
    HKT_OK(hk_executor_destroy(pool));
}

HK_TASK(many_inside)
{
    hk_executor *pool = hk_call_executor(call);
    hk_future *futures[COUNT];
    unsigned numbers[COUNT];
    size_t accepted = 0;
    unsigned wrong = 0;

    fill(numbers);
    HKT_OK(hk_submit_many(pool, many_tell, numbers, COUNT, sizeof(*numbers), NULL, futures,
                          &accepted));
    HKT_EQ_INT(accepted, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        wrong += hkt_take_int(futures[i]) != (int)i;
    }
    HKT_EQ_INT(wrong, 0);
    return HK_OK;
}

static void a_task_may_submit_an_array(void)
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = workers});

        hkt_expect_end(hkt_submit_int(pool, many_inside, 0), HK_OK);
        HKT_EQ_INT(hkt_stats(pool).done, COUNT + 1);
        HKT_EQ_INT(told, COUNT);
        HKT_OK(hk_executor_destroy(pool));
    }
}

static void an_array_without_futures_runs_all_the_same(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 4});
    unsigned numbers[COUNT];

    fill(numbers);
    for (int round = 0; round < 20; round++) {
        HKT_OK(hk_submit_many(pool, many_tell, numbers, COUNT, sizeof(*numbers), NULL, NULL, NULL));
    }
    HKT_OK(hk_executor_destroy(pool));
    HKT_EQ_INT(told, 20 * COUNT);
}

/* --- Workers come --- */

static struct hkt_barrier barrier;

HK_TASK(many_meet)
{
    hkt_barrier_wait(&barrier);
    return HK_OK;
}

/* Who puts several calls one worker; those who find more than they can do call the others. */
static void as_many_workers_come_as_there_are_tasks(void)
{
    enum { WORKERS = 4 };
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = WORKERS});
    int numbers[WORKERS] = {0};
    hk_future *futures[WORKERS];

    hkt_barrier_init(&barrier, WORKERS, "tasks that need each other");
    for (unsigned round = 0; round < 2000 / hkt_slowness(); round++) {
        HKT_OK_FATAL(hk_submit_many(pool, many_meet, numbers, WORKERS, sizeof(*numbers), NULL,
                                    futures, NULL));
        for (int i = 0; i < WORKERS; i++) {
            hkt_expect_end(futures[i], HK_OK);
        }
    }
    hkt_barrier_fini(&barrier);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Refusals in the middle --- */

static void without_memory_the_first_ones_run(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    hk_future *futures[COUNT];
    unsigned numbers[COUNT];

    fill(numbers);
    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    for (long nth = 1; nth < COUNT; nth += 61) {
        unsigned wrong = 0;
        size_t accepted = 0;

        memset(futures, -1, sizeof(futures));
        hki_memory_fail_at(nth);
        HKT_STATUS(hk_submit_many(pool, many_tell, numbers, COUNT, sizeof(*numbers), NULL, futures,
                                  &accepted),
                   HK_ENOMEM);
        hki_memory_fail_at(0);
        HKT_EQ_INT(accepted, nth - 1);
        for (unsigned i = 0; i < accepted; i++) {
            wrong += hkt_take_int(futures[i]) != (int)i;
        }
        for (unsigned i = (unsigned)accepted; i < COUNT; i++) {
            wrong += futures[i] != NULL;
        }
        HKT_EQ_INT(wrong, 0);
    }
    HKT_OK(hk_executor_destroy(pool));
}

struct ending {
    hk_executor *pool;
    hk_shutdown_how how;
    atomic_size_t accepted;
    atomic_size_t ended;
};

static void submit_until_closed(void *arg)
{
    struct ending *ending = arg;
    hk_future *futures[COUNT];
    unsigned numbers[COUNT] = {0};
    hk_status status;

    do {
        size_t accepted = 0;

        status = hk_submit_many(ending->pool, hkt_nothing, numbers, COUNT, sizeof(*numbers), NULL,
                                futures, &accepted);
        atomic_fetch_add(&ending->accepted, accepted);
        for (size_t i = 0; i < accepted; i++) {
            hk_status end = hk_future_result(futures[i], HK_FOREVER, NULL, NULL);

            HKT_TRUE(end == HK_OK || (end == HK_ECANCELED && ending->how != HK_SHUTDOWN_DRAIN));
            atomic_fetch_add(&ending->ended, 1);
            hk_future_unref(futures[i]);
        }
    } while (status == HK_OK);
    HKT_STATUS(status, HK_ECLOSED);
}

/* The pool starts, grows and ends while arrays come: all that was accepted ends, once. */
static void what_was_accepted_before_a_shutdown_ends(void)
{
    enum { SUBMITTERS = 2 };

    for (unsigned round = 0; round < 150 / hkt_slowness(); round++) {
        struct ending ending = {.pool = hkt_pool_create((hk_executor_options){.workers = 2}),
                                .how = (hk_shutdown_how)(round % 3)};
        struct hkt_thread submitters[SUBMITTERS];
        hk_executor_statistics end;

        for (int i = 0; i < SUBMITTERS; i++) {
            hkt_thread_start(&submitters[i], submit_until_closed, &ending);
        }
        for (unsigned i = 0; i < round % 40 * 100; i++) {
            hkt_expect_end(hkt_submit_int(ending.pool, hkt_nothing, 0), HK_OK);
            if (i % 8 == 7) {
                break;
            }
        }
        HKT_OK(hk_executor_shutdown(ending.pool, ending.how, HK_FOREVER));
        for (int i = 0; i < SUBMITTERS; i++) {
            hkt_thread_join(&submitters[i]);
        }
        end = hkt_stats(ending.pool);
        HKT_EQ_INT(ending.accepted, ending.ended);
        HKT_EQ_INT(end.done + end.cancelled, end.submitted);
        HKT_TRUE(end.submitted >= ending.accepted);
        HKT_OK(hk_executor_destroy(ending.pool));
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(tasks_of_an_array_begin_in_its_order),
    HKT_TEST(a_task_may_submit_an_array),
    HKT_TEST(an_array_without_futures_runs_all_the_same),
    HKT_TEST(as_many_workers_come_as_there_are_tasks),
    HKT_TEST(without_memory_the_first_ones_run),
    HKT_TEST(what_was_accepted_before_a_shutdown_ends),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "submit_many", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
