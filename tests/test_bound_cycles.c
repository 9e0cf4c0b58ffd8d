/* SPDX-License-Identifier: MIT */
/*
 * Queues, rings of cells, latches and once in rings of waits, together with locks and
 * futures: closed from either side, each is refused once, with an exact report. Threads
 * have to be bound; unbound, anybody might act, and nobody is refused.
 */
#include <hocket/latch.h>
#include <hocket/once.h>
#include <hocket/queue.h>
#include <hocket/ring.h>

#include "tests/ring_fixture.h"

static hk_queue *jobs; /* For one item. */
static hk_ring *cells;
static hk_latch parts;
static hk_once once;

static void set_up(void)
{
    hkt_ring_set_up();
    HKT_OK_FATAL(hk_queue_create(&(hk_queue_options){.name = "jobs", .capacity = 1}, &jobs));
    HKT_OK_FATAL(hk_ring_create(&(hk_ring_options){.name = "cells", .capacity = 2}, &cells));
    parts = (hk_latch)HK_LATCH_INIT("parts", 0);
    once = (hk_once)HK_ONCE_INIT("open");
}

static void tear_down(void)
{
    HKT_OK(hk_queue_destroy(jobs));
    HKT_OK(hk_ring_destroy(cells));
    hk_latch_destroy(&parts);
    hkt_ring_tear_down();
}

#define ONE   "future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0"
#define OTHER "future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0"
#define WHICH ", which waits for "

/* A task of a acts on an object and waits for one of b, which waits for the object. */
static void expect_object(void (*bind)(void), void (*act)(void), hk_status (*wait)(void),
                          const char *actor_refused, const char *waiter_refused)
{
    struct hkt_actor actor = {
        .pool = hkt_a, .task = sum, .prepare = bind, .wait = hkt_wait_for_one, .release = act};
    struct hkt_actor waiter = {.pool = hkt_b, .task = audit, .wait = wait};

    hkt_await_actors(&waiter, NULL);
    hkt_expect_either_refused(&actor, &waiter, actor_refused, waiter_refused);
}

/* --- Queues --- */

static void bind_as_putter(void)
{
    HKT_OK(hk_queue_bind(jobs, HK_QUEUE_PUTTER));
}

static hk_status get_job(void)
{
    void *item;

    return hk_queue_get(jobs, HK_FOREVER, &item);
}

static void put_job(void)
{
    hk_status status = hk_queue_put(jobs, NULL, 0);

    HKT_TRUE(status == HK_OK || status == HK_ETIMEDOUT); /* One that nobody got may be there. */
}

#define ITEM "an item of queue 0x.. (jobs) to be put by worker a_0"

static void an_item_and_a_future(void)
{
    void *item;

    expect_object(bind_as_putter, put_job, get_job, "worker a_0 waits for " OTHER WHICH ITEM,
                  "worker b_0 waits for " ITEM WHICH OTHER);
    HKT_OK(hk_queue_get(jobs, 0, &item)); /* Of the round in which the getter was refused. */
}

static void bind_as_getter_of_full(void)
{
    HKT_OK(hk_queue_bind(jobs, HK_QUEUE_GETTER));
    put_job();
}

static hk_status put_second_job(void)
{
    return hk_queue_put(jobs, NULL, HK_FOREVER);
}

static void drop_job(void)
{
    void *item;

    HKT_OK(hk_queue_get(jobs, 0, &item));
}

#define ROOM "room in queue 0x.. (jobs) to be made by worker a_0"

static void room_and_a_future(void)
{
    void *item;

    expect_object(bind_as_getter_of_full, drop_job, put_second_job,
                  "worker a_0 waits for " OTHER WHICH ROOM,
                  "worker b_0 waits for " ROOM WHICH OTHER);
    HKT_STATUS(hk_queue_get(jobs, 0, &item), HK_ETIMEDOUT);
}

static hk_status join_jobs(void)
{
    return hk_queue_join(jobs, HK_FOREVER);
}

static void report_done(void)
{
    drop_job();
    HKT_OK(hk_queue_task_done(jobs, 1));
}

#define ALL "all of queue 0x.. (jobs) held up by worker a_0"

static void the_end_of_all_and_a_future(void)
{
    expect_object(bind_as_getter_of_full, report_done, join_jobs,
                  "worker a_0 waits for " OTHER WHICH ALL, "worker b_0 waits for " ALL WHICH OTHER);
}

/* A consumer that holds a lock, and the producer that wants it. */
static void expect_lock(unsigned last, const char *expected)
{
    struct hkt_actor consumer = {.name = "consumer",
                                 .prepare = hkt_take_accounts,
                                 .wait = get_job,
                                 .release = hkt_give_accounts};
    struct hkt_actor producer = {
        .pool = hkt_a, .task = sum, .prepare = bind_as_putter, .wait = hkt_want_accounts};
    struct hkt_actor *actors[] = {&consumer, &producer};
    void *item;

    producer.release = hkt_give_accounts;
    hkt_actors_begin(actors, 2);
    hkt_actor_sleeps(actors[1 - last]);
    hkt_actor_goes(actors[last]);
    if (last == 1) {
        HKT_OK(hk_future_wait(producer.future, HK_FOREVER));
        put_job(); /* In its place: it is bound no more. */
    }
    hkt_actors_end(actors, 2);
    HKT_STATUS(actors[last]->status, HK_EDEADLK);
    HKT_OK(actors[1 - last]->status);
    HKT_REPORT(expected);
    HKT_STATUS(hk_queue_get(jobs, 0, &item), HK_ETIMEDOUT);
}

#define ACCOUNTS "lock 0x.. (accounts) held by thread consumer (#) since " HKT_TAKEN

static void an_item_and_a_lock(void)
{
    expect_lock(0, "thread consumer (#) waits for " ITEM WHICH ACCOUNTS);
    expect_lock(1, "worker a_0 waits for " ACCOUNTS WHICH ITEM);
}

/* --- Rings of cells --- */

static void bind_to_cells(void)
{
    HKT_OK(hk_ring_bind(cells, HK_QUEUE_PUTTER));
}

static hk_status get_cell(void)
{
    void *item;

    return hk_ring_get(cells, HK_FOREVER, &item);
}

static void put_cell(void)
{
    HKT_OK(hk_ring_put(cells, NULL, 0));
}

#define CELL "an item of ring 0x.. (cells) to be put by worker a_0"

static void a_ring_of_cells_and_a_future(void)
{
    expect_object(bind_to_cells, put_cell, get_cell, "worker a_0 waits for " OTHER WHICH CELL,
                  "worker b_0 waits for " CELL WHICH OTHER);
}

/* --- Latches --- */

static void bind_to_parts(void)
{
    if (hk_latch_count(&parts) == 0) {
        HKT_OK(hk_latch_add(&parts, 1));
    }
    HKT_OK(hk_latch_bind(&parts));
}

static hk_status wait_for_parts(void)
{
    return hk_latch_wait(&parts, HK_FOREVER);
}

static void do_part(void)
{
    HKT_OK(hk_latch_count_down(&parts, 1));
}

#define PARTS "latch 0x.. (parts) to be counted down by worker a_0"

static void a_latch_and_a_future(void)
{
    expect_object(bind_to_parts, do_part, wait_for_parts, "worker a_0 waits for " OTHER WHICH PARTS,
                  "worker b_0 waits for " PARTS WHICH OTHER);
}

static void bind_to_two_parts(void)
{
    HKT_OK(hk_latch_add(&parts, 2));
    HKT_OK(hk_latch_bind(&parts));
}

/* Of two threads that are bound one stands: that is enough. */
static void a_latch_of_two_and_a_future(void)
{
    struct hkt_actor stuck = {.pool = hkt_a,
                              .task = sum,
                              .prepare = bind_to_two_parts,
                              .wait = hkt_wait_for_one,
                              .release = do_part};
    struct hkt_actor waiter = {.pool = hkt_b, .task = audit, .wait = wait_for_parts};
    struct hkt_actor *actors[] = {&stuck, &waiter};

    HKT_OK(hk_latch_bind(&parts)); /* This thread, which does not wait. */
    hkt_await_actors(&waiter, NULL);
    hkt_actors_begin(actors, 2);
    hkt_expect_last_refused(actors, 2, (const unsigned[]){0, 1});
    HKT_REPORT("worker b_0 waits for " PARTS WHICH OTHER);
    HKT_OK(hk_latch_count_down(&parts, 1));
    HKT_EQ_INT(hk_latch_count(&parts), 0);
}

/* --- Once --- */

static struct hkt_actor runner;

static hk_status act_in_once(void *arg)
{
    return hkt_act(arg);
}

static void run_once(struct hkt_actor *self)
{
    HKT_OK(hk_once_run(&once, act_in_once, self));
}

static hk_status wait_for_once(void)
{
    return hk_once_run(&once, act_in_once, NULL);
}

static void once_and_a_lock(void)
{
    struct hkt_actor holder = {.name = "holder",
                               .prepare = hkt_take_accounts,
                               .wait = wait_for_once,
                               .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&holder, &runner};

    for (unsigned last = 0; last < 2; last++) {
        runner = (struct hkt_actor){.name = "runner",
                                    .start = run_once,
                                    .wait = hkt_want_accounts,
                                    .release = hkt_give_accounts};
        once = (hk_once)HK_ONCE_INIT("open");
        hkt_actors_begin(actors, 2);
        hkt_expect_last_refused(actors, 2, (const unsigned[]){!last, last});
        HKT_REPORT(last == 0 ? "thread holder (#) waits for once 0x.. (open) run by thread runner "
                               "(#), which waits for lock 0x.. (accounts) held by thread holder "
                               "(#) since " HKT_TAKEN
                             : "thread runner (#) waits for lock 0x.. (accounts) held by thread "
                               "holder (#) since " HKT_TAKEN ", which waits for once 0x.. (open) "
                               "run by thread runner (#)");
    }
}

/* --- Unbound --- */

static void unbound_nobody_is_refused(void)
{
    struct hkt_actor putter = {
        .pool = hkt_a, .task = sum, .wait = hkt_wait_for_one, .release = NULL};
    struct hkt_actor getter = {.pool = hkt_b, .task = audit, .wait = get_job};
    struct hkt_actor counter = {.pool = hkt_b, .task = audit, .wait = wait_for_parts};
    struct hkt_actor *actors[] = {&putter, NULL};

    for (int i = 0; i < 2; i++) {
        actors[1] = i == 0 ? &getter : &counter;
        hkt_await_actors(actors[1], NULL);
        HKT_OK(hk_latch_add(&parts, 1));
        hkt_actors_begin(actors, 2);
        hkt_actor_sleeps(actors[0]);
        hkt_actor_sleeps(actors[1]);
        put_job();
        do_part();
        hkt_actors_end(actors, 2);
        HKT_OK(actors[0]->status);
        HKT_OK(actors[1]->status);
        if (i != 0) {
            drop_job();
        }
    }
    HKT_EQ_INT(hkt_refusals_count(), 0);
}

static CU_TestInfo tests[] = {
    HKT_CASE("an item of a queue and a future", an_item_and_a_future),
    HKT_CASE("room in a queue and a future", room_and_a_future),
    HKT_CASE("the end of all of a queue and a future", the_end_of_all_and_a_future),
    HKT_CASE("an item of a queue and a lock", an_item_and_a_lock),
    HKT_CASE("a ring of cells and a future", a_ring_of_cells_and_a_future),
    HKT_CASE("a latch and a future", a_latch_and_a_future),
    HKT_CASE("a latch of two and a future", a_latch_of_two_and_a_future),
    HKT_CASE("once and a lock", once_and_a_lock),
    HKT_CASE("unbound nobody is refused", unbound_nobody_is_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "bound_cycles", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
