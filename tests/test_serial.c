/* SPDX-License-Identifier: MIT */
/* Serial executors: one task at a time, first in first out, on another executor. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/fixture.h"

static hk_executor *base;
static hk_executor *serial;

static void set_up(void)
{
    base = hkt_pool_create((hk_executor_options){.workers = 4});
    HKT_OK_FATAL(hk_serial_create(base, NULL, &serial));
}

static void tear_down(void)
{
    HKT_OK(hk_executor_destroy(serial));
    HKT_OK(hk_executor_destroy(base));
}

/* --- Order and exclusion --- */

enum { TASKS = 500, PRODUCERS = 3 };

/* Plain on purpose: only the serial executor orders these. */
static int next_place;
static int order[TASKS];
static long total;

HK_TASK(notes_its_number)
{
    int number;

    memcpy(&number, in, sizeof(number));
    order[next_place++] = number;
    return HK_OK;
}

HK_TASK(adds_without_a_lock)
{
    int value;

    memcpy(&value, in, sizeof(value));
    total += value;
    return HK_OK;
}

static void tasks_run_in_the_order_submitted(void)
{
    next_place = 0;
    for (int i = 0; i < TASKS; i++) {
        HKT_OK_FATAL(hk_submit(serial, notes_its_number, &i, sizeof(i), NULL, NULL));
    }
    HKT_OK(hk_executor_shutdown(serial, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(next_place, TASKS);
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(order[i], i);
    }
}

static void *produce(void *arg)
{
    (void)arg;
    for (int i = 1; i <= TASKS; i++) {
        HKT_OK(hk_submit(serial, adds_without_a_lock, &i, sizeof(i), NULL, NULL));
    }
    return NULL;
}

static void one_task_sees_what_the_one_before_wrote(void)
{
    for (unsigned round = 0; round < 20 / hkt_slowness() + 1; round++) {
        pthread_t threads[PRODUCERS];
        hk_future *last;

        total = 0;
        for (int i = 0; i < PRODUCERS; i++) {
            HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, produce, NULL), 0);
        }
        for (int i = 0; i < PRODUCERS; i++) {
            pthread_join(threads[i], NULL);
        }
        last = hkt_submit_int(serial, hkt_square, 1); /* Behind all of them. */
        HKT_EQ_INT(hkt_take_int(last), 1);
        HKT_EQ_INT(total, (long)PRODUCERS * TASKS * (TASKS + 1) / 2);
    }
}

static void several_serials_share_a_base(void)
{
    enum { SERIALS = 3 };
    hk_executor *serials[SERIALS];
    hk_future *futures[SERIALS];
    struct hkt_gate gate;

    /* Each may run while the others do: they only exclude their own tasks. */
    hkt_gate_init(&gate, "a task of every serial executor runs");
    for (int i = 0; i < SERIALS; i++) {
        HKT_OK_FATAL(hk_serial_create(base, NULL, &serials[i]));
        futures[i] = hkt_submit_ref(serials[i], hkt_stands_at_gate, &gate);
    }
    hkt_gate_await_arrivals(&gate, SERIALS);
    hkt_gate_open(&gate);
    for (int i = 0; i < SERIALS; i++) {
        hkt_expect_end(futures[i], HK_OK);
        HKT_OK(hk_executor_destroy(serials[i]));
    }
    hkt_gate_fini(&gate);
}

static void a_busy_serial_leaves_the_base_to_others(void)
{
    struct hkt_plug plug;
    hk_future *waiting;

    hkt_plug_insert(&plug, serial, 1);
    waiting = hkt_submit_int(serial, hkt_square, 3);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(base, hkt_square, 5)), 25);
    HKT_EQ_INT(hk_future_state(waiting), HK_PENDING);
    HKT_EQ_INT(hkt_stats(serial).queued, 1);
    HKT_EQ_INT(hkt_stats(serial).running, 1);
    hkt_plug_pull(&plug);
    HKT_EQ_INT(hkt_take_int(waiting), 9);
}

static void a_failure_stops_nobody(void)
{
    hk_future *bad = NULL;

    HKT_OK_FATAL(hk_submit(serial, hkt_fails, NULL, 0, NULL, &bad));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(serial, hkt_square, 6)), 36);
    hkt_expect_end(bad, HK_EFAILED);
}

HK_TASK(tells_its_executor)
{
    bool is_serial = hk_call_executor(call) == serial;

    return hk_return(call, &is_serial, sizeof(is_serial));
}

static void a_task_is_run_by_the_serial_executor(void)
{
    hk_future *future = NULL;
    const void *value = NULL;

    HKT_OK_FATAL(hk_submit(serial, tells_its_executor, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    HKT_TRUE(*(const bool *)value);
    hk_future_unref(future);
}

/* --- Cancelling --- */

static void a_queued_task_may_be_cancelled(void)
{
    struct hkt_plug plug;
    atomic_uint counter = 0;
    hk_future *first = NULL;
    hk_future *second;

    hkt_plug_insert(&plug, serial, 1);
    HKT_OK_FATAL(hk_submit_ref(serial, hkt_counts, &counter, hkt_count_drop, NULL, &first));
    second = hkt_submit_int(serial, hkt_square, 7);
    HKT_OK(hk_future_cancel(first, HK_CANCEL_PENDING));
    HKT_EQ_INT(atomic_load(&counter), 1);
    hkt_plug_pull(&plug);
    HKT_EQ_INT(hkt_take_int(second), 49);
    hkt_expect_end(first, HK_ECANCELED);
    HKT_EQ_INT(atomic_load(&counter), 1);
}

static void a_shutdown_may_cancel_what_is_queued(void)
{
    struct hkt_plug plug;
    hk_future *waiting;

    hkt_plug_insert(&plug, serial, 1);
    waiting = hkt_submit_int(serial, hkt_square, 3);
    HKT_OK(hk_executor_shutdown(serial, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    HKT_EQ_INT(hk_future_state(waiting), HK_CANCELLED);
    HKT_STATUS(hk_submit(serial, hkt_nothing, NULL, 0, NULL, NULL), HK_ECLOSED);
    HKT_STATUS(hk_executor_shutdown(serial, HK_SHUTDOWN_DRAIN, HK_MS(1)), HK_ETIMEDOUT);
    hkt_plug_pull(&plug);
    hk_future_unref(waiting);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(base, hkt_square, 2)), 4); /* Not the base's end. */
}

/* --- Full queues --- */

enum { CAPACITY = 2 };

struct bounded {
    hk_executor *executor;
    struct hkt_plug plug;
    hk_future *queued[CAPACITY];
};

static void fill(struct bounded *bounded, hk_when_full when_full)
{
    hk_executor_options options = {.queue_capacity = CAPACITY, .when_full = when_full};

    HKT_OK_FATAL(hk_serial_create(base, &options, &bounded->executor));
    hkt_plug_insert(&bounded->plug, bounded->executor, 1);
    for (int i = 0; i < CAPACITY; i++) {
        bounded->queued[i] = hkt_submit_int(bounded->executor, hkt_square, i);
    }
}

static void finish(struct bounded *bounded, int first)
{
    hkt_plug_pull(&bounded->plug);
    for (int i = first; i < CAPACITY; i++) {
        HKT_EQ_INT(hkt_take_int(bounded->queued[i]), i * i);
    }
    HKT_OK(hk_executor_destroy(bounded->executor));
}

static void a_full_queue_does_as_it_was_told(void)
{
    struct bounded bounded;
    hk_future *future = NULL;
    hk_submit_options options = {.queue_wait = HK_MS(2)};

    fill(&bounded, HK_FULL_FAIL);
    HKT_STATUS(hk_submit(bounded.executor, hkt_nothing, NULL, 0, NULL, &future), HK_EFULL);
    finish(&bounded, 0);

    fill(&bounded, HK_FULL_BLOCK);
    HKT_STATUS(hk_submit(bounded.executor, hkt_nothing, NULL, 0, &options, &future), HK_ETIMEDOUT);
    finish(&bounded, 0);

    fill(&bounded, HK_FULL_CALLER_RUNS); /* It may not: it waits for room as well. */
    HKT_STATUS(hk_submit(bounded.executor, hkt_nothing, NULL, 0, &options, &future), HK_ETIMEDOUT);
    finish(&bounded, 0);
    HKT_EQ_PTR(future, NULL);

    fill(&bounded, HK_FULL_DROP_OLDEST);
    future = hkt_submit_int(bounded.executor, hkt_square, 5);
    hkt_expect_end(bounded.queued[0], HK_EFULL);
    finish(&bounded, 1);
    HKT_EQ_INT(hkt_take_int(future), 25);
}

/* --- Ends --- */

static void destroy_finishes_what_is_queued(void)
{
    hk_executor *short_lived = NULL;
    hk_future *futures[20];

    HKT_OK_FATAL(hk_serial_create(base, NULL, &short_lived));
    for (int i = 0; i < 20; i++) {
        futures[i] = hkt_submit_int(short_lived, hkt_square, i);
    }
    HKT_OK(hk_executor_destroy(short_lived));
    for (int i = 0; i < 20; i++) {
        HKT_EQ_INT(hk_future_state(futures[i]), HK_DONE);
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
}

static void what_the_base_does_not_take_any_more_fails(void)
{
    hk_executor *other_base = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_executor *orphan = NULL;
    hk_future *future = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_serial_create(other_base, NULL, &orphan));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(orphan, hkt_square, 2)), 4);
    HKT_OK(hk_executor_shutdown(other_base, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    status = hk_submit(orphan, hkt_nothing, NULL, 0, NULL, &future);
    if (status == HK_OK) {
        hkt_expect_end(future, HK_ECLOSED);
    } else {
        HKT_STATUS(status, HK_ECLOSED);
    }
    HKT_OK(hk_executor_destroy(orphan));
    HKT_OK(hk_executor_destroy(other_base));
}

static void what_is_queued_when_the_base_ends_fails(void)
{
    hk_executor *other_base = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_executor *orphan = NULL;
    struct hkt_plug plug;
    hk_future *futures[3];

    HKT_OK_FATAL(hk_serial_create(other_base, NULL, &orphan));
    hkt_plug_insert(&plug, orphan, 1);
    for (int i = 0; i < 3; i++) {
        futures[i] = hkt_submit_int(orphan, hkt_square, i);
    }
    HKT_OK(hk_executor_shutdown(other_base, HK_SHUTDOWN_DRAIN, 0));
    hkt_plug_pull(&plug);
    for (int i = 0; i < 3; i++) {
        hk_status status = hk_future_result(futures[i], HK_FOREVER, NULL, NULL);

        /* The step under way may take some along; none is left unfinished. */
        HKT_TRUE(status == HK_OK || status == HK_ECLOSED);
        hk_future_unref(futures[i]);
    }
    HKT_OK(hk_executor_destroy(orphan));
    HKT_OK(hk_executor_destroy(other_base));
}

/* --- Waiting inside --- */

static hk_status inner_status;

HK_TASK(waits_for_the_next_of_its_serial)
{
    hk_future *next = NULL;
    hk_status status = hk_submit(serial, hkt_nothing, NULL, 0, NULL, &next);

    if (status == HK_OK) {
        inner_status = hk_future_result(next, HK_FOREVER, NULL, NULL);
    }
    hk_future_unref(next);
    return status;
}

static void a_wait_for_ones_successor_does_not_hang(void)
{
    hk_future *future = NULL;

    hkt_be_quiet();
    inner_status = HK_ESTATE;
    HKT_OK_FATAL(hk_submit(serial, waits_for_the_next_of_its_serial, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_OK);
    hkt_be_loud();
    /* It cannot run before this one has ended: one at a time. */
    HKT_STATUS(inner_status, HK_EDEADLK);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(serial, hkt_square, 4)), 16);
}

HK_TASK(waits_for_the_base)
{
    hk_future *other = NULL;
    hk_status status = hk_submit(base, hkt_square, in, in_size, NULL, &other);
    const void *value = NULL;
    size_t size = 0;

    if (status == HK_OK) {
        status = hk_future_result(other, HK_FOREVER, &value, &size);
    }
    if (status == HK_OK) {
        status = hk_return(call, value, size);
    }
    hk_future_unref(other);
    return status;
}

static void a_serial_task_may_wait_for_the_base(void)
{
    for (int i = 0; i < 50; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(serial, waits_for_the_base, i)), i * i);
    }
}

HK_TASK(waits_for_the_serial)
{
    hk_future *other = NULL;
    hk_status status = hk_submit(serial, hkt_square, in, in_size, NULL, &other);
    const void *value = NULL;
    size_t size = 0;

    if (status == HK_OK) {
        status = hk_future_result(other, HK_FOREVER, &value, &size);
    }
    if (status == HK_OK) {
        status = hk_return(call, value, size);
    }
    hk_future_unref(other);
    return status;
}

/* All workers of the base wait for the serial executor, which needs one of them. */
static void the_base_may_wait_for_a_serial_task(void)
{
    hk_future *futures[16];

    for (int i = 0; i < 16; i++) {
        futures[i] = hkt_submit_int(base, waits_for_the_serial, i);
    }
    for (int i = 0; i < 16; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
}

/* --- Bases --- */

static void a_serial_stands_on_every_base(void)
{
    static const char *const specs[] = {"serial", "serial:inline", "serial:threads:2"};

    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        hk_executor *executor = NULL;

        HKT_OK_FATAL(hk_executor_open(specs[i], &executor));
        next_place = 0;
        for (int j = 0; j < TASKS; j++) {
            HKT_OK(hk_submit(executor, notes_its_number, &j, sizeof(j), NULL, NULL));
        }
        HKT_OK(hk_executor_destroy(executor));
        HKT_EQ_INT(next_place, TASKS);
        for (int j = 0; j < TASKS; j++) {
            HKT_EQ_INT(order[j], j);
        }
    }
}

static void absurd_arguments_are_refused(void)
{
    hk_executor *none = NULL;

    HKT_STATUS(hk_serial_create(NULL, NULL, &none), HK_EINVAL);
    HKT_STATUS(hk_serial_create(base, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_serial_create(base, &(hk_executor_options){.when_full = (hk_when_full)9}, &none),
               HK_EINVAL);
    HKT_STATUS(hk_serial_create(base, &(hk_executor_options){.task_timeout = -2}, &none),
               HK_EINVAL);
    HKT_EQ_PTR(none, NULL);
    HKT_STATUS(hk_executor_resize(serial, 2), HK_EINVAL); /* It has no workers. */
}

/* The next allocation fails, whoever makes it; each task says so anew. */
HK_TASK(takes_the_memory)
{
    hki_memory_fail_at(1);
    return HK_OK;
}

/* More than an errand runs, so that the next one is to be posted. */
static void no_memory_for_the_next_errand_loses_nothing(void)
{
    enum { MORE = 20 };
    hk_executor *one = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_executor *own;
    hk_future *futures[MORE];
    struct hkt_plug plug;

    HKT_OK_FATAL(hk_serial_create(one, NULL, &own));
    hkt_plug_insert(&plug, own, 1);
    for (int i = 0; i < MORE; i++) {
        futures[i] = hkt_submit_ref(own, takes_the_memory, NULL);
    }
    hkt_plug_pull(&plug);
    for (int i = 0; i < MORE; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    hki_memory_fail_at(0);
    HKT_OK(hk_executor_destroy(own));
    HKT_OK(hk_executor_destroy(one));
}

static CU_TestInfo tests[] = {
    HKT_CASE("SR02 tasks run in the order submitted", tasks_run_in_the_order_submitted),
    HKT_CASE("SR03 one task sees what the one before wrote",
             one_task_sees_what_the_one_before_wrote),
    HKT_CASE("several serials share a base", several_serials_share_a_base),
    HKT_CASE("a busy serial leaves the base to others", a_busy_serial_leaves_the_base_to_others),
    HKT_CASE("a failure stops nobody", a_failure_stops_nobody),
    HKT_CASE("a task is run by the serial executor", a_task_is_run_by_the_serial_executor),
    HKT_CASE("a queued task may be cancelled", a_queued_task_may_be_cancelled),
    HKT_CASE("a shutdown may cancel what is queued", a_shutdown_may_cancel_what_is_queued),
    HKT_CASE("a full queue does as it was told", a_full_queue_does_as_it_was_told),
    HKT_CASE("destroy finishes what is queued", destroy_finishes_what_is_queued),
    HKT_CASE("SR04 what the base does not take any more fails",
             what_the_base_does_not_take_any_more_fails),
    HKT_CASE("SR04 what is queued when the base ends fails",
             what_is_queued_when_the_base_ends_fails),
    HKT_CASE("a wait for one's successor does not hang", a_wait_for_ones_successor_does_not_hang),
    HKT_CASE("a serial task may wait for the base", a_serial_task_may_wait_for_the_base),
    HKT_CASE("the base may wait for a serial task", the_base_may_wait_for_a_serial_task),
    HKT_CASE("a serial stands on every base", a_serial_stands_on_every_base),
    HKT_CASE("absurd arguments are refused", absurd_arguments_are_refused),
    HKT_CASE("no memory for the next errand loses nothing",
             no_memory_for_the_next_errand_loses_nothing),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "serial", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
