/* SPDX-License-Identifier: MIT */
/* Threads that declare themselves as putters or getters: waits that none of them can ever
 * end are refused, and no others. */
#include <string.h>

#include "tests/queue_fixture.h"

/* A thread that is bound, waits once, and then does what it was bound for. */
struct bound {
    struct hkt_thread thread;
    struct hkt_gate is_bound; /* Opened by the thread. */
    struct hkt_gate go_on;    /* Opened by the test: the wait is over. */
    void *own;                /* What it is bound to. */
    unsigned side;
    void *awaited; /* What it waits for: an item of it, or room in it. */
    hk_status status;
};

static void wait_while_bound(void *arg)
{
    struct bound *bound = arg;
    void *item;

    HKT_OK(hkt_kind->bind(bound->own, bound->side));
    hkt_gate_open(&bound->is_bound);
    bound->status = bound->side == HK_QUEUE_PUTTER
                        ? hkt_kind->get(bound->awaited, HK_FOREVER, &item)
                        : hkt_kind->put(bound->awaited, NULL, HK_FOREVER);
    hkt_gate_wait(&bound->go_on);
    HKT_OK(hkt_kind->unbind(bound->own, bound->side));
}

static void start_bound(struct bound *bound, void *own, unsigned side, void *awaited)
{
    memset(bound, 0, sizeof(*bound));
    bound->own = own;
    bound->side = side;
    bound->awaited = awaited;
    hkt_gate_init(&bound->is_bound, "a thread that binds itself");
    hkt_gate_init(&bound->go_on, "the end of a bound thread");
    hkt_thread_start(&bound->thread, wait_while_bound, bound);
    hkt_gate_wait(&bound->is_bound);
    hkt_thread_await_sleep(&bound->thread);
}

static void end_bound(struct bound *bound, hk_status status)
{
    hkt_gate_open(&bound->go_on);
    hkt_thread_join(&bound->thread);
    HKT_STATUS(bound->status, status);
    hkt_gate_fini(&bound->is_bound);
    hkt_gate_fini(&bound->go_on);
}

/* --- Cycles ---------------------------------------------------------------------------------- */

static void two_putters_that_wait_for_each_other_are_told(void)
{
    void *first = hkt_queue_open(1);
    void *second = hkt_queue_open(1);
    struct bound other;
    struct hkt_log log;
    void *item;

    HKT_OK(hkt_kind->bind(first, HK_QUEUE_PUTTER));
    start_bound(&other, second, HK_QUEUE_PUTTER, first);
    hkt_log_begin(&log);
    HKT_STATUS(hkt_kind->get(second, HK_FOREVER, &item), HK_EDEADLK);
    HKT_STATUS(hkt_kind->get(second, HK_SEC(1000), &item), HK_EDEADLK);
    HKT_STATUS(hkt_kind->get(second, 0, &item), HK_ETIMEDOUT);
    HKT_TRUE(hkt_log_has(&log, hkt_kind->name));
    HKT_TRUE(hkt_log_has(&log, "tested"));
    hkt_log_end(&log);
    HKT_OK(hkt_kind->put(first, NULL, 0)); /* The other is not disturbed. */
    end_bound(&other, HK_OK);
    HKT_OK(hkt_kind->unbind(first, HK_QUEUE_PUTTER));
    hkt_queue_end(first);
    hkt_queue_end(second);
}

static void two_getters_that_wait_for_each_others_room_are_told(void)
{
    void *first = hkt_queue_open(1);
    void *second = hkt_queue_open(1);
    struct bound other;
    void *item;

    hkt_put_numbers(first, 1, 1);
    hkt_put_numbers(second, 1, 1);
    HKT_OK(hkt_kind->bind(first, HK_QUEUE_GETTER));
    start_bound(&other, second, HK_QUEUE_GETTER, first);
    HKT_STATUS(hkt_kind->put(second, NULL, HK_FOREVER), HK_EDEADLK);
    HKT_STATUS(hkt_kind->put(second, NULL, 0), HK_ETIMEDOUT);
    HKT_OK(hkt_kind->get(first, 0, &item));
    end_bound(&other, HK_OK);
    HKT_OK(hkt_kind->unbind(first, HK_QUEUE_GETTER));
    hkt_queue_end(first);
    hkt_queue_end(second);
}

static void who_waits_for_itself_is_told(void)
{
    void *queue = hkt_queue_open(1);
    void *item;

    HKT_OK(hkt_kind->bind(queue, HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
    HKT_STATUS(hkt_kind->get(queue, HK_FOREVER, &item), HK_EDEADLK);
    HKT_STATUS(hkt_kind->get(queue, HK_MS(1), &item), HK_ETIMEDOUT); /* It runs out by itself. */
    hkt_put_numbers(queue, 1, 1);
    HKT_STATUS(hkt_kind->put(queue, NULL, HK_FOREVER), HK_EDEADLK);
    HKT_STATUS(hkt_kind->join(queue, HK_FOREVER), HK_EDEADLK);
    HKT_STATUS(hkt_kind->join(queue, 0), HK_ETIMEDOUT);
    hkt_expect_numbers(queue, 1, 1);
    HKT_OK(hkt_kind->task_done(queue, 1));
    HKT_OK(hkt_kind->join(queue, HK_FOREVER));
    HKT_OK(hkt_kind->unbind(queue, HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
    HKT_STATUS(hkt_kind->get(queue, HK_MS(1), &item), HK_ETIMEDOUT);
    hkt_queue_end(queue);
}

/* --- No cycles ---------------------------------------------------------------------------------
 */

static void without_bounds_nobody_is_refused(void)
{
    void *first = hkt_queue_open(1);
    void *second = hkt_queue_open(1);
    struct bound other;
    void *item;

    /* Only the other is bound: anybody might put into the first. */
    start_bound(&other, second, HK_QUEUE_PUTTER, first);
    HKT_STATUS(hkt_kind->get(second, HK_MS(2), &item), HK_ETIMEDOUT);
    HKT_OK(hkt_kind->put(first, NULL, 0));
    end_bound(&other, HK_OK);
    hkt_queue_end(first);
    hkt_queue_end(second);
}

static void who_can_be_served_by_another_is_not_refused(void)
{
    void *first = hkt_queue_open(1);
    void *second = hkt_queue_open(1);
    void *third = hkt_queue_open(1);
    struct bound waiting;
    struct bound free;
    void *item;

    HKT_OK(hkt_kind->bind(first, HK_QUEUE_PUTTER));
    start_bound(&waiting, second, HK_QUEUE_PUTTER, first);
    start_bound(&free, second, HK_QUEUE_PUTTER, third); /* Anybody may put into the third. */
    HKT_STATUS(hkt_kind->get(second, HK_MS(2), &item), HK_ETIMEDOUT);
    HKT_OK(hkt_kind->put(third, NULL, 0));
    HKT_OK(hkt_kind->put(first, NULL, 0));
    end_bound(&waiting, HK_OK);
    end_bound(&free, HK_OK);
    HKT_OK(hkt_kind->unbind(first, HK_QUEUE_PUTTER));
    hkt_queue_end(first);
    hkt_queue_end(second);
    hkt_queue_end(third);
}

static void a_close_is_no_deadlock(void)
{
    void *queue = hkt_queue_open(1);
    void *item;

    HKT_OK(hkt_kind->bind(queue, HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
    hkt_put_numbers(queue, 1, 1);
    HKT_OK(hkt_kind->close(queue));
    HKT_STATUS(hkt_kind->put(queue, NULL, HK_FOREVER), HK_ECLOSED);
    hkt_expect_numbers(queue, 1, 1);
    HKT_STATUS(hkt_kind->get(queue, HK_FOREVER, &item), HK_EDONE);
    HKT_OK(hkt_kind->unbind(queue, HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
    hkt_queue_end(queue);
}

/* --- Binding and unbinding ----------------------------------------------------------------------
 */

static void binding_twice_is_binding_once(void)
{
    void *queue = hkt_queue_open(1);

    HKT_STATUS(hkt_kind->unbind(queue, HK_QUEUE_PUTTER), HK_ESTATE);
    HKT_OK(hkt_kind->bind(queue, HK_QUEUE_PUTTER));
    HKT_OK(hkt_kind->bind(queue, HK_QUEUE_PUTTER));
    HKT_STATUS(hkt_kind->unbind(queue, HK_QUEUE_PUTTER | HK_QUEUE_GETTER), HK_ESTATE);
    HKT_OK(hkt_kind->unbind(queue, HK_QUEUE_PUTTER)); /* That changed nothing. */
    HKT_STATUS(hkt_kind->unbind(queue, HK_QUEUE_PUTTER), HK_ESTATE);
    HKT_OK(hkt_kind->bind(queue, HK_QUEUE_GETTER));
    hkt_queue_end(queue); /* Forgets it. */
}

struct errand {
    void *queue;
    hk_status alone;
};

HK_TASK(binds_itself)
{
    struct errand *errand = (struct errand *)(uintptr_t)in;
    void *item;

    (void)call;
    (void)in_size;
    HKT_OK(hkt_kind->bind(errand->queue, HK_QUEUE_PUTTER));
    errand->alone = hkt_kind->get(errand->queue, HK_FOREVER, &item);
    return HK_OK;
}

static void in_a_task_it_holds_until_the_task_ends(void)
{
    struct errand errand = {.queue = hkt_queue_open(1)};
    hk_executor *executor = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_future *future = hkt_submit_ref(executor, binds_itself, &errand);
    void *item;

    hkt_expect_end(future, HK_OK);
    HKT_STATUS(errand.alone, HK_EDEADLK);
    /* Were the worker still bound, which sleeps idle, nothing would be refused either; that
     * it is forgotten shows when the pool is gone. */
    HKT_OK(hk_executor_destroy(executor));
    HKT_OK(hkt_kind->bind(errand.queue, HK_QUEUE_PUTTER));
    HKT_STATUS(hkt_kind->get(errand.queue, HK_FOREVER, &item), HK_EDEADLK);
    HKT_OK(hkt_kind->unbind(errand.queue, HK_QUEUE_PUTTER));
    hkt_queue_end(errand.queue);
}

/* --- One graph for all waits
 * ---------------------------------------------------------------------- */

struct pair {
    void *queue;
    hk_future *getter;
    hk_status of_getter;
    hk_status of_putter;
};

HK_TASK(gets_an_item)
{
    struct pair *pair = (struct pair *)(uintptr_t)in;
    void *item;

    (void)call;
    (void)in_size;
    pair->of_getter = hkt_kind->get(pair->queue, HK_FOREVER, &item);
    return HK_OK;
}

/* It alone puts, and waits for the getter first. */
HK_TASK(waits_for_the_getter)
{
    struct pair *pair = (struct pair *)(uintptr_t)in;

    (void)call;
    (void)in_size;
    HKT_OK(hkt_kind->bind(pair->queue, HK_QUEUE_PUTTER));
    pair->getter = hkt_submit_ref(hk_call_executor(call), gets_an_item, pair);
    pair->of_putter = hk_future_wait(pair->getter, HK_FOREVER);
    if (pair->of_putter == HK_EDEADLK) {
        HKT_OK(hkt_kind->put(pair->queue, NULL, 0));
    }
    return HK_OK;
}

static void a_future_and_a_queue_can_close_a_cycle(void)
{
    struct pair pair = {.queue = hkt_queue_open(1)};
    hk_executor *executor = hkt_pool_create((hk_executor_options){.workers = 2});
    hk_future *future = hkt_submit_ref(executor, waits_for_the_getter, &pair);

    hkt_expect_end(future, HK_OK);
    hkt_expect_end(pair.getter, HK_OK);
    /* Whoever came second was told, and the other went on. */
    HKT_TRUE((pair.of_getter == HK_EDEADLK) != (pair.of_putter == HK_EDEADLK));
    HKT_TRUE(pair.of_getter == HK_OK || pair.of_putter == HK_OK);
    HKT_OK(hk_executor_destroy(executor));
    hkt_queue_end(pair.queue);
}

static CU_TestInfo tests[] = {
    HKT_TEST(two_putters_that_wait_for_each_other_are_told),
    HKT_TEST(two_getters_that_wait_for_each_others_room_are_told),
    HKT_TEST(who_waits_for_itself_is_told),
    HKT_TEST(without_bounds_nobody_is_refused),
    HKT_TEST(who_can_be_served_by_another_is_not_refused),
    HKT_TEST(a_close_is_no_deadlock),
    HKT_TEST(binding_twice_is_binding_once),
    HKT_TEST(in_a_task_it_holds_until_the_task_ends),
    HKT_TEST(a_future_and_a_queue_can_close_a_cycle),
    CU_TEST_INFO_NULL,
};

/* --- Several queues at once
 * ------------------------------------------------------------------------ */

static void a_choice_waits_for_any_putter_of_any_queue(void)
{
    void *first = hkt_queue_open(1);
    hk_queue *queues[3] = {hkt_queue_open(1), NULL, hkt_queue_open(1)};
    struct bound others[2];
    size_t which = 9;
    void *item;

    HKT_OK(hkt_kind->bind(first, HK_QUEUE_PUTTER));
    start_bound(&others[0], queues[0], HK_QUEUE_PUTTER, first);
    /* Anybody may put into the other. */
    HKT_STATUS(hk_queue_get_any(queues, 3, HK_MS(2), &item, &which), HK_ETIMEDOUT);
    HKT_STATUS(hk_queue_select(queues, 3, HK_MS(2), &which), HK_ETIMEDOUT);
    start_bound(&others[1], queues[2], HK_QUEUE_PUTTER, first);
    HKT_STATUS(hk_queue_get_any(queues, 3, HK_FOREVER, &item, &which), HK_EDEADLK);
    HKT_STATUS(hk_queue_select(queues, 3, HK_FOREVER, &which), HK_EDEADLK);
    HKT_OK(hk_queue_close(queues[0])); /* A select tells of it; a get passes it over. */
    HKT_STATUS(hk_queue_get_any(queues, 3, HK_FOREVER, &item, &which), HK_EDEADLK);
    HKT_OK(hk_queue_select(queues, 3, HK_FOREVER, &which));
    HKT_EQ_INT(which, 0);
    HKT_OK(hkt_kind->put(first, NULL, HK_FOREVER));
    HKT_OK(hkt_kind->put(first, NULL, HK_FOREVER)); /* Room comes: both get. */
    end_bound(&others[0], HK_OK);
    end_bound(&others[1], HK_OK);
    HKT_OK(hkt_kind->unbind(first, HK_QUEUE_PUTTER));
    hkt_queue_end(first);
    hkt_queue_end(queues[0]);
    hkt_queue_end(queues[2]);
}

static CU_TestInfo choice_tests[] = {
    HKT_TEST(a_choice_waits_for_any_putter_of_any_queue),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "queue_bound.queue", .pSetUpFunc = hkt_use_queues, .pTests = tests},
    {.pName = "queue_bound.choice", .pSetUpFunc = hkt_use_queues, .pTests = choice_tests},
    {.pName = "queue_bound.ring", .pSetUpFunc = hkt_use_rings, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
