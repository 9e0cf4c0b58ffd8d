/* SPDX-License-Identifier: MIT */
/* Tasks, callbacks, joins and forks inside tasks: nothing nests without end, waits
 * for itself, or acts for a process that it is not in. */
#include <string.h>
#include <unistd.h>

#include "tests/promise_fixture.h"

/* Submits itself to its own executor, n times in all. */
HK_TASK(submits_the_next)
{
    int n;
    hk_status status;

    memcpy(&n, in, sizeof(n));
    if (--n <= 0) {
        return HK_OK;
    }
    status = hk_submit(hk_call_executor(call), submits_the_next, &n, sizeof(n), NULL, NULL);
    return status == HK_EFULL || status == HK_ECLOSED ? HK_OK : status;
}

static void submits_nest_to_a_bounded_depth(void)
{
    hk_executor *pool = hkt_pool_create(
        (hk_executor_options){.workers = 1, .queue_capacity = 1, .spare_workers = HK_NO_SPARES});
    hk_future *futures[2] = {NULL};
    int n = 20000;

    /* The queue is full most of the time, so the task runs inside its submit. */
    for (int i = 0; i < 2; i++) {
        HKT_OK_FATAL(hk_submit(pool, submits_the_next, &n, sizeof(n), NULL, &futures[i]));
    }
    hkt_expect_end(futures[0], HK_OK);
    hkt_expect_end(futures[1], HK_OK);
    HKT_OK(hk_executor_destroy(pool));
}

/* Submits n tasks to the executor given. */
HK_TASK(submits_many)
{
    hk_executor *executor = (hk_executor *)(uintptr_t)in;

    for (int i = 0; i < 100000; i++) {
        hk_status status = hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL);

        if (status != HK_OK) {
            return status;
        }
    }
    return HK_OK;
}

static void a_serial_on_inline_does_not_recurse(void)
{
    hk_executor *serial = NULL;
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_executor_open("serial:inline", &serial));
    HKT_OK_FATAL(hk_submit_ref(serial, submits_many, serial, NULL, NULL, &future));
    hkt_expect_end(future, HK_OK);
    HKT_OK(hk_executor_destroy(serial));
}

/* Makes a serial executor on its own pool, and waits for its end. */
HK_TASK(joins_a_serial_on_its_pool)
{
    hk_executor *serial = NULL;
    hk_status status = hk_serial_create(hk_call_executor(call), NULL, &serial);

    if (status == HK_OK) {
        status = hk_submit(serial, hkt_nothing, NULL, 0, NULL, NULL);
    }
    return status == HK_OK ? hk_executor_destroy(serial) : status;
}

static void a_join_inside_a_task_gets_a_spare_worker(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, joins_a_serial_on_its_pool, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_OK);
    HKT_OK(hk_executor_destroy(pool));
}

static hk_executor *joined;

HK_TASK(joins_without_a_spare)
{
    hk_status status = hk_serial_create(hk_call_executor(call), NULL, &joined);

    if (status == HK_OK) {
        status = hk_submit(joined, hkt_nothing, NULL, 0, NULL, NULL);
    }
    return status == HK_OK ? hk_executor_shutdown(joined, HK_SHUTDOWN_DRAIN, HK_FOREVER) : status;
}

/* Nobody else could run what the task waits for; after it its worker does. */
static void a_join_inside_a_task_without_a_spare_is_refused(void)
{
    hk_executor *pool =
        hkt_pool_create((hk_executor_options){.workers = 1, .spare_workers = HK_NO_SPARES});
    hk_future *future = NULL;
    const hk_error *error = NULL;
    struct hkt_log log;

    hkt_log_begin(&log);
    HKT_OK_FATAL(hk_submit(pool, joins_without_a_spare, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_TRUE(error != NULL && error->cause != NULL && error->cause->status == HK_EDEADLK);
    HKT_TRUE(hkt_log_has(&log, "waits for the end of executor"));
    hkt_log_end(&log);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(joined));
    HKT_OK(hk_executor_destroy(pool));
}

/* Fills the other pool's queue from inside its own, whose queue is full as well. */
struct crossing {
    hk_executor *other;
    struct hkt_gate full;
    hk_future *future;
    hk_status status;
};

HK_TASK(submits_across)
{
    struct crossing *crossing = (struct crossing *)(uintptr_t)in;

    hkt_gate_wait(&crossing->full);
    crossing->status = hk_submit(crossing->other, hkt_nothing, NULL, 0, NULL, NULL);
    return HK_OK;
}

static void two_pools_that_wait_for_each_others_room_refuse_one(void)
{
    hk_executor_options options = {
        .workers = 1, .spare_workers = HK_NO_SPARES, .queue_capacity = 1};
    struct hkt_log log;

    hkt_log_begin(&log);
    for (unsigned round = 0; round < 100 / hkt_slowness() + 1; round++) {
        hk_executor *pools[2] = {hkt_pool_create(options), hkt_pool_create(options)};
        struct crossing crossings[2] = {{.other = pools[1]}, {.other = pools[0]}};

        for (int i = 0; i < 2; i++) {
            hkt_gate_init(&crossings[i].full, "both queues are full");
            crossings[i].future = hkt_submit_ref(pools[i], submits_across, &crossings[i]);
            hkt_gate_await_arrivals(&crossings[i].full, 1);
            HKT_OK_FATAL(hk_submit(pools[i], hkt_nothing, NULL, 0, NULL, NULL));
        }
        hkt_gate_open(&crossings[0].full);
        hkt_gate_open(&crossings[1].full);
        HKT_OK(hk_future_wait(crossings[0].future, HK_FOREVER));
        hkt_expect_end(crossings[1].future, HK_OK);
        hk_future_unref(crossings[0].future);
        HKT_EQ_INT(crossings[0].status == HK_OK ? crossings[1].status : crossings[0].status,
                   HK_EDEADLK);
        HKT_TRUE(crossings[0].status == HK_OK || crossings[1].status == HK_OK);
        for (int i = 0; i < 2; i++) {
            HKT_OK(hk_executor_destroy(pools[i]));
            hkt_gate_fini(&crossings[i].full);
        }
    }
    hkt_log_end(&log);
}

static void drain_and_keep_status(hk_future *future, void *arg)
{
    hk_executor **pool = arg;

    HKT_STATUS(hk_executor_shutdown(*pool, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_EDEADLK);
    (void)future;
    *pool = NULL;
}

static void a_callback_of_a_discarded_task_may_not_wait(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_executor *seen = pool;
    struct hkt_plug plug;
    hk_future *first = NULL;
    hk_future *second = NULL;

    hkt_plug_insert(&plug, pool, 1);
    HKT_OK_FATAL(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &first));
    HKT_OK_FATAL(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &second));
    HKT_OK(hk_future_on_done(first, NULL, drain_and_keep_status, &seen, NULL));
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    HKT_EQ_PTR(seen, NULL);
    hkt_expect_end(first, HK_ECANCELED);
    hkt_expect_end(second, HK_ECANCELED);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
}

/* Reserves more than it needs, and returns the part that it used. */
HK_TASK(returns_a_part_of_its_output)
{
    unsigned char *room = NULL;
    hk_status status = hk_return_reserve(call, 100, (void **)&room);

    (void)in;
    if (status != HK_OK) {
        return status;
    }
    memset(room, 7, 100);
    return hk_return(call, room + 10, in_size);
}

static void a_part_of_an_output_may_be_returned(void)
{
    static const unsigned char given[64] = {0};
    static const size_t sizes[] = {1, 8, 16, 17, 64};
    hk_executor *here = NULL;

    HKT_OK_FATAL(hk_inline_create(NULL, &here));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        hk_future *future = NULL;
        const void *value = NULL;
        size_t size = 0;

        HKT_OK_FATAL(hk_submit(here, returns_a_part_of_its_output, given, sizes[i], NULL, &future));
        HKT_OK_FATAL(hk_future_result(future, 0, &value, &size));
        HKT_EQ_INT(size, sizes[i]);
        HKT_EQ_INT(((const unsigned char *)value)[size - 1], 7);
        hk_future_unref(future);
    }
    HKT_OK(hk_executor_destroy(here));
}

static atomic_int marks;

HK_TASK(marks_that_it_ran)
{
    atomic_fetch_add(&marks, 1);
    return HK_OK;
}

/* In the child: a wait for a promise of its own must start no worker on the copy of
 * the parent's pool. */
static void wait_in_child(void *arg)
{
    hk_promise *promise = NULL;
    hk_future *future = NULL;

    (void)arg;
    if (hk_promise_create(&promise, &future) != HK_OK ||
        hk_future_wait(future, HK_MS(20)) != HK_ETIMEDOUT || atomic_load(&marks) != 0) {
        _exit(7);
    }
    hk_promise_destroy(promise);
    hk_future_unref(future);
}

HK_TASK(forks_inside)
{
    struct hkt_child *child = (struct hkt_child *)(uintptr_t)in;

    hkt_run_in_child(wait_in_child, NULL, child);
    return HK_OK;
}

static void a_child_forked_inside_a_task_runs_none_of_the_parents(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    static struct hkt_child child;
    hk_future *future = NULL;

    atomic_store(&marks, 0);
    future = hkt_submit_ref(pool, forks_inside, &child);
    for (int i = 0; i < 3; i++) {
        HKT_OK(hk_submit(pool, marks_that_it_ran, NULL, 0, NULL, NULL));
    }
    hkt_expect_end(future, HK_OK);
    HKT_EQ_INT(child.exit_status, 0);
    HKT_OK(hk_executor_destroy(pool));
    HKT_EQ_INT(atomic_load(&marks), 3);
}

HK_TASK(overruns_its_item)
{
    while (!hk_should_stop(call)) {
    }
    return HK_OK;
}

static void an_error_about_an_item_names_its_task(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    int one = 1;
    hk_array_source source = {&one, 1, sizeof(one), 0};
    hk_map_options options = {.timeout = HK_MS(5)};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_OK_FATAL(
        hk_map(pool, overruns_its_item, hk_array_source_next, &source, &options, &iterator));
    HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
    HKT_STATUS(item.status, HK_EDEADLINE);
    HKT_EQ_STR(item.error->task, "overruns_its_item");
    hk_map_item_drop(&item);
    hk_map_destroy(iterator);
    HKT_OK(hk_executor_destroy(pool));
}

static CU_TestInfo tests[] = {
    HKT_CASE("NW09 submits inside tasks nest to a bounded depth", submits_nest_to_a_bounded_depth),
    HKT_CASE("a serial on inline does not recurse", a_serial_on_inline_does_not_recurse),
    HKT_CASE("a join inside a task gets a spare worker", a_join_inside_a_task_gets_a_spare_worker),
    HKT_CASE("a join inside a task without a spare is refused",
             a_join_inside_a_task_without_a_spare_is_refused),
    HKT_CASE("two pools that wait for each other's room refuse one",
             two_pools_that_wait_for_each_others_room_refuse_one),
    HKT_CASE("a callback of a discarded task may not wait",
             a_callback_of_a_discarded_task_may_not_wait),
    HKT_CASE("a part of an output may be returned", a_part_of_an_output_may_be_returned),
    HKT_CASE("a child forked inside a task runs none of the parent's",
             a_child_forked_inside_a_task_runs_none_of_the_parents),
    HKT_CASE("an error about an item names its task", an_error_about_an_item_names_its_task),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "nesting", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
