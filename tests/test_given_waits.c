/* SPDX-License-Identifier: MIT */
/*
 * Who has been given what it waits for, and has not noticed yet, counts as able to move.
 *
 * The taker's thread is held still by a signal in its wait. The giver gives, and waits for
 * the taker's future: it may. Where taking changes something before the taker's wait is
 * over (the word of a lock), it is held still in between, too: there it needs the graph's
 * lock, which the test has meanwhile. The same as a race is in test_given_race.c.
 */
#include <hocket/latch.h>
#include <hocket/queue.h>
#include <hocket/ring.h>

#include "sync/lock_impl.h"
#include "sync/wait_graph.h"
#include "tests/freeze_fixture.h"
#include "tests/ring_fixture.h"

/* --- Giver and taker --- */

static struct hkt_actor taker;
static struct hkt_actor giver;
static void (*give)(void);
static struct hkt_gate given; /* The giver may wait. */

static hk_status give_and_wait(void)
{
    give();
    hkt_gate_wait(&given);
    return hk_future_wait(taker.future, HK_FOREVER);
}

static void begin(struct hkt_actor one, struct hkt_actor other, void (*gives)(void))
{
    taker = one;
    taker.pool = hkt_a;
    taker.task = sum;
    taker.prepare = hkt_allow_freezing;
    giver = other;
    giver.pool = hkt_b;
    giver.task = audit;
    giver.wait = give_and_wait;
    give = gives;
    hkt_gate_init(&given, "the giver may wait");
    hkt_actors_begin((struct hkt_actor *[]){&giver, &taker}, 2);
}

/* The taker is frozen; the giver has given, and is let into its wait. */
static void expect_no_refusal(void)
{
    hkt_gate_open(&given);
    HKT_TRUE(hkt_becomes(giver.pool, hkt_blocked, 1));
    HKT_TRUE(hkt_falls_asleep(atomic_load(&giver.id)));
    HKT_EQ_INT(hkt_refusals_count(), 0);
    hkt_thaw();
    hkt_actors_end((struct hkt_actor *[]){&giver, &taker}, 2);
    HKT_OK(taker.status);
    HKT_OK(giver.status);
    HKT_EQ_INT(hkt_refusals_count(), 0);
    hkt_gate_fini(&given);
}

/* Frozen before it notices anything. */
static void expect_given(struct hkt_actor one, struct hkt_actor other, void (*gives)(void))
{
    begin(one, other, gives);
    hkt_actor_sleeps(&taker);
    hkt_freeze(&taker);
    hkt_actor_goes(&giver);
    hkt_gate_await_arrivals(&given, 1);
    expect_no_refusal();
}

/* Frozen when it has taken already: is_in sees that. */
static void expect_taken(struct hkt_actor one, struct hkt_actor other, void (*gives)(void),
                         bool (*is_in)(void *arg))
{
    begin(one, other, gives);
    hkt_actor_sleeps(&taker);
    hki_wait_graph_lock();
    hkt_actor_goes(&giver);
    HKT_TRUE(hkt_eventually(is_in, NULL));
    HKT_TRUE(hkt_falls_asleep(atomic_load(&taker.id)));
    hkt_freeze(&taker);
    hki_wait_graph_unlock();
    hkt_gate_await_arrivals(&given, 1);
    expect_no_refusal();
}

/* --- Locks --- */

static uint32_t word_of_accounts(void)
{
    return atomic_load((_Atomic(uint32_t) *)&hkt_accounts.word_);
}

static uint32_t givers_word;

static void take_accounts_and_note(void)
{
    hkt_take_accounts();
    givers_word = (word_of_accounts() >> HKI_LOCK_OWNER_SHIFT);
}

static bool taker_has_accounts(void *arg)
{
    uint32_t owner = (word_of_accounts() >> HKI_LOCK_OWNER_SHIFT);

    (void)arg;
    return owner != 0 && owner != givers_word;
}

static void a_lock(void)
{
    struct hkt_actor one = {.wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor other = {.prepare = take_accounts_and_note};

    expect_given(one, other, hkt_give_accounts);
    expect_taken(one, other, hkt_give_accounts, taker_has_accounts);
}

/* There is no moment in which a thread is in and looks as if it waited: both are one step
 * under the graph's lock. */
static void a_read_write_lock(void)
{
    struct hkt_actor reader = {.wait = hkt_want_to_read, .release = hkt_give_table};
    struct hkt_actor writer = {.wait = hkt_want_to_write, .release = hkt_give_table};
    struct hkt_actor held_by_reader = {.prepare = hkt_read_table};
    struct hkt_actor held_by_writer = {.prepare = hkt_write_table};

    expect_given(reader, held_by_writer, hkt_give_table);
    expect_given(writer, held_by_reader, hkt_give_table);
    expect_given(writer, held_by_writer, hkt_give_table);
}

/* The giver lets the taker in, and comes in itself, too. */
static void give_and_read(void)
{
    hkt_give_table();
    hkt_read_table();
}

static void a_reader_among_others(void)
{
    struct hkt_actor reader = {.wait = hkt_want_to_read, .release = hkt_give_table};
    struct hkt_actor held_by_writer = {.prepare = hkt_write_table, .release = hkt_give_table};

    expect_given(reader, held_by_writer, give_and_read);
}

/* --- Futures --- */

static hk_future *child; /* Queued behind the giver, which runs it to give it. */
static struct hkt_pair pair;

static void have_a_child(void)
{
    HKT_OK_FATAL(hk_submit(giver.pool, hkt_nothing, NULL, 0, NULL, &child));
}

static void run_the_child(void)
{
    HKT_OK(hk_future_wait(child, HK_FOREVER));
}

static hk_status wait_for_child(void)
{
    return hk_future_wait(child, HK_FOREVER);
}

static hk_status wait_for_any(void)
{
    hk_future *futures[] = {pair.future, child};

    return hk_wait(futures, 2, HK_FIRST_COMPLETED, HK_FOREVER, NULL, NULL);
}

static hk_status wait_for_all(void)
{
    hk_future *futures[] = {child, child};

    return hk_wait(futures, 2, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL);
}

static hk_status wait_for_derived(void)
{
    hk_future *derived = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_when_all(&child, 1, &derived));
    status = hk_future_wait(derived, HK_FOREVER);
    hk_future_unref(derived);
    return status;
}

static hk_status wait_for_next(void)
{
    hk_completion *completion = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, child, 1));
    HKT_OK(hk_completion_add(completion, pair.future, 2));
    status = hk_completion_next(completion, HK_FOREVER, NULL, NULL);
    hk_completion_destroy(completion);
    return status;
}

static void a_future(void)
{
    static hk_status (*const waits[])(void) = {wait_for_child, wait_for_any, wait_for_all,
                                               wait_for_derived, wait_for_next};

    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        hkt_pair_open(&pair);
        expect_given((struct hkt_actor){.wait = waits[i]},
                     (struct hkt_actor){.prepare = have_a_child}, run_the_child);
        hkt_expect_end(child, HK_OK);
        hkt_pair_close(&pair);
    }
}

/* --- Room --- */

static hk_status submit_to_b(void)
{
    return hk_submit(hkt_b, hkt_nothing, NULL, 0, NULL, NULL);
}

static void room(void)
{
    HKT_OK(hk_executor_destroy(hkt_b));
    hkt_b = hkt_pool_create((hk_executor_options){
        .name = "b", .workers = 1, .spare_workers = HK_NO_SPARES, .queue_capacity = 1});
    expect_given((struct hkt_actor){.wait = submit_to_b},
                 (struct hkt_actor){.prepare = have_a_child}, run_the_child);
    hkt_expect_end(child, HK_OK);
}

/* --- What the giver runs, until it returns --- */

static struct hkt_gate running;
static hk_hook *hook;
static hk_executor *below; /* Runs on the giver's stack. */

static void run_until_told(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    hkt_gate_wait(&running);
}

HK_TASK(runs_until_told)
{
    run_until_told(NULL, NULL);
    return HK_OK;
}

/* The taker waits for the end of what runs there; then it ends. */
static void expect_run_out(hk_status (*wait)(void), void (*runs)(void))
{
    hkt_gate_init(&running, "what the giver runs");
    begin((struct hkt_actor){.wait = wait}, (struct hkt_actor){0}, runs);
    hkt_actor_goes(&giver);
    hkt_gate_await_arrivals(&running, 1);
    hkt_actor_sleeps(&taker);
    hkt_freeze(&taker);
    hkt_gate_open(&running);
    hkt_gate_await_arrivals(&given, 1);
    expect_no_refusal();
    hkt_gate_fini(&running);
}

static void run_a_callback(void)
{
    HKT_OK(hk_promise_set(pair.promise, NULL, 0));
}

static hk_status remove_the_callback(void)
{
    return hk_hook_remove(hook) == HK_ESTATE ? HK_OK : HK_EINVAL;
}

static void a_callback(void)
{
    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_future_on_done(pair.future, NULL, run_until_told, NULL, &hook));
    expect_run_out(remove_the_callback, run_a_callback);
    hkt_pair_close(&pair);
}

static void run_below(void)
{
    HKT_OK(hk_submit(below, runs_until_told, NULL, 0, NULL, NULL));
}

static hk_status join_below(void)
{
    return hk_executor_shutdown(below, HK_SHUTDOWN_DRAIN, HK_FOREVER);
}

static void the_end_of_an_executor(void)
{
    static const char *const specs[] = {"inline", "serial:inline"};

    for (int i = 0; i < 2; i++) {
        HKT_OK_FATAL(hk_executor_open(specs[i], &below));
        expect_run_out(join_below, run_below);
        HKT_OK(hk_executor_destroy(below));
    }
}

/* --- What its owner leaves behind --- */

/* Never free again, and so not used by other tests. */
static hk_lock left = HK_LOCK_INIT("left");
static hk_rwlock left_table = HK_RWLOCK_INIT("left table");
static struct hkt_thread leaver;
static struct hkt_gate leaving;

static void take_and_leave(void *arg)
{
    HKT_EQ_INT(pthread_setname_np(pthread_self(), "leaver"), 0);
    HKT_OK(arg == NULL ? hk_lock_acquire(&left) : hk_rwlock_write(&left_table));
    hkt_gate_wait(&leaving);
}

static void let_it_leave(void)
{
    hkt_gate_open(&leaving);
    hkt_thread_join(&leaver);
}

static hk_status want_left(void)
{
    return hk_lock_acquire(&left) == HK_EBROKEN ? HK_OK : HK_EINVAL;
}

static hk_status want_left_table(void)
{
    return hk_rwlock_read(&left_table) == HK_EBROKEN ? HK_OK : HK_EINVAL;
}

static hk_status want_left_inside_a_task(void)
{
    return hk_lock_acquire(&left);
}

/* Who waits for it gets HK_EBROKEN, and goes on. */
static void a_lock_whose_owner_has_ended(void)
{
    for (int i = 0; i < 2; i++) {
        hkt_gate_init(&leaving, "the owner may end");
        hkt_thread_start(&leaver, take_and_leave, i == 0 ? NULL : &left_table);
        hkt_gate_await_arrivals(&leaving, 1);
        expect_given((struct hkt_actor){.wait = i == 0 ? want_left : want_left_table},
                     (struct hkt_actor){0}, let_it_leave);
        hkt_gate_fini(&leaving);
    }
}

/* A task that comes later is told the same, not that it would wait for ever. */
static void a_lock_that_was_left_behind(void)
{
    struct hkt_actor task = {.pool = hkt_a, .task = sum, .wait = want_left_inside_a_task};
    struct hkt_actor *actors[] = {&task};

    hkt_actors_begin(actors, 1);
    hkt_actor_goes(&task);
    hkt_actors_end(actors, 1);
    HKT_STATUS(task.status, HK_EBROKEN);
    HKT_EQ_INT(hkt_refusals_count(), 0);
}

/* --- Queues and latches --- */

static hk_queue *jobs;
static hk_ring *cells;
static hk_latch parts;

static void open_objects(void)
{
    HKT_OK_FATAL(hk_queue_create(&(hk_queue_options){.name = "jobs", .capacity = 1}, &jobs));
    HKT_OK_FATAL(hk_ring_create(&(hk_ring_options){.name = "cells", .capacity = 2}, &cells));
    parts = (hk_latch)HK_LATCH_INIT("parts", 1);
}

static void close_objects(void)
{
    HKT_OK(hk_queue_destroy(jobs));
    HKT_OK(hk_ring_destroy(cells));
    hk_latch_destroy(&parts);
}

/* The giver is all there is on both sides of all of them. */
static void bind_to_all(void)
{
    HKT_OK(hk_queue_bind(jobs, HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
    HKT_OK(hk_ring_bind(cells, HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
    HKT_OK(hk_latch_bind(&parts));
}

static void bind_and_put(void)
{
    bind_to_all();
    HKT_OK(hk_queue_put(jobs, NULL, 0));
}

static void get_job(void)
{
    void *item;

    HKT_OK(hk_queue_get(jobs, 0, &item));
}

static void put_job(void)
{
    HKT_OK(hk_queue_put(jobs, NULL, 0));
}

static void put_cell(void)
{
    HKT_OK(hk_ring_put(cells, NULL, 0));
}

static hk_status want_job(void)
{
    void *item;

    return hk_queue_get(jobs, HK_FOREVER, &item);
}

static hk_status want_room(void)
{
    return hk_queue_put(jobs, NULL, HK_FOREVER);
}

static hk_status want_cell(void)
{
    void *item;

    return hk_ring_get(cells, HK_FOREVER, &item);
}

static hk_status want_all_done(void)
{
    return hk_queue_join(jobs, HK_FOREVER);
}

static void bind_and_put_cell(void)
{
    bind_to_all();
    put_cell();
}

static hk_status want_cells_done(void)
{
    return hk_ring_join(cells, HK_FOREVER);
}

static void finish_cells_and_begin_anew(void)
{
    void *item;

    HKT_OK(hk_ring_get(cells, 0, &item));
    HKT_OK(hk_ring_task_done(cells, 1));
    put_cell();
}

static hk_status want_parts(void)
{
    return hk_latch_wait(&parts, HK_FOREVER);
}

/* All was done, and at once there is more to do. */
static void finish_and_begin_anew(void)
{
    get_job();
    HKT_OK(hk_queue_task_done(jobs, 1));
    put_job();
}

/* The same with a latch: its round is over, and another one has begun. */
static void count_down_and_begin_anew(void)
{
    HKT_OK(hk_latch_count_down(&parts, 1));
    HKT_OK(hk_latch_add(&parts, 1));
    HKT_OK(hk_latch_bind(&parts));
}

static void queues_and_latches(void)
{
    static const struct {
        hk_status (*want)(void);
        void (*prepare)(void);
        void (*gives)(void);
    } cases[] = {
        {want_job, bind_to_all, put_job},
        {want_room, bind_and_put, get_job},
        {want_cell, bind_to_all, put_cell},
        {want_all_done, bind_and_put, finish_and_begin_anew},
        {want_cells_done, bind_and_put_cell, finish_cells_and_begin_anew},
        {want_parts, bind_to_all, count_down_and_begin_anew},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_objects();
        expect_given((struct hkt_actor){.wait = cases[i].want},
                     (struct hkt_actor){.prepare = cases[i].prepare}, cases[i].gives);
        close_objects();
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("a lock", a_lock),
    HKT_CASE("a read-write lock", a_read_write_lock),
    HKT_CASE("a reader among others", a_reader_among_others),
    HKT_CASE("a future", a_future),
    HKT_CASE("room", room),
    HKT_CASE("a callback", a_callback),
    HKT_CASE("the end of an executor", the_end_of_an_executor),
    HKT_CASE("queues and latches", queues_and_latches),
    HKT_CASE("a lock whose owner has ended", a_lock_whose_owner_has_ended),
    HKT_CASE("a lock that was left behind", a_lock_that_was_left_behind),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "given_waits",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
