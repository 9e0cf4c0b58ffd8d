/* SPDX-License-Identifier: MIT */
/*
 * Who has been given what it waits for, and has not noticed yet, counts as able to move.
 *
 * Each test is many short rounds of two tasks. The giver gives, and at once waits for the
 * taker's future; the taker may still sleep in the wait that has just been served. There
 * is never a ring, so nobody may be refused.
 */
#include <sched.h>
#include <unistd.h>

#include "sync/rwlock_impl.h"
#include "tests/ring_fixture.h"

enum { ROUNDS = 4000 };

/* --- Rounds --- */

/* Set before the tasks of a round start. */
static unsigned round_number;
static hk_future *giver_future;
static hk_future *taker_future;
static struct hkt_gate known; /* Both tasks run, and all futures are known. */
static atomic_bool ready;     /* The giver has what the taker will want. */

/* A little later, each time by another length, so that each order has its turn. */
static void dawdle(void)
{
    volatile unsigned steps = round_number * 7 % 97 * (round_number % 8);

    while (steps > 0) {
        steps--;
    }
}

static void await_ready(void)
{
    while (!atomic_load(&ready)) {
        sched_yield();
    }
}

static void wait_for_the_taker(void)
{
    HKT_OK(hk_future_wait(taker_future, HK_FOREVER));
}

/* The first two are tasks; the rest is done on the test's thread, and may be NULL. */
struct game {
    void (*give)(void);
    void (*take)(void);
    void (*begin)(void);
    void (*behind)(void); /* Once the giver runs: submits what comes behind it. */
    void (*during)(void);
    void (*end)(void);
};

static const struct game *game;

HK_TASK(gives)
{
    hkt_gate_wait(&known);
    game->give();
    return HK_OK;
}

HK_TASK(takes)
{
    hkt_gate_wait(&known);
    game->take();
    return HK_OK;
}

HK_TASK(waits_for_the_taker)
{
    wait_for_the_taker();
    return HK_OK;
}

static void call(void (*step)(void))
{
    if (step != NULL) {
        step();
    }
}

static void play_round(void)
{
    atomic_store(&ready, false);
    call(game->begin);
    hkt_gate_init(&known, "all futures are known");
    HKT_OK_FATAL(hk_submit(hkt_a, takes, NULL, 0, NULL, &taker_future));
    HKT_OK_FATAL(hk_submit(hkt_b, gives, NULL, 0, NULL, &giver_future));
    hkt_gate_await_arrivals(&known, 2);
    call(game->behind);
    hkt_gate_open(&known);
    call(game->during);
    HKT_OK(hk_future_wait(giver_future, HK_FOREVER));
    HKT_OK(hk_future_wait(taker_future, HK_FOREVER));
    call(game->end);
    hk_future_unref(giver_future);
    hk_future_unref(taker_future);
    hkt_gate_fini(&known);
}

static void play(const struct game *played)
{
    game = played;
    for (round_number = 0; round_number < ROUNDS / hkt_slowness(); round_number++) {
        play_round();
    }
    HKT_EQ_INT(hkt_refusals_count(), 0);
}

/* --- Locks --- */

static void give_a_lock(void)
{
    HKT_OK(hk_lock_acquire(&hkt_accounts));
    atomic_store(&ready, true);
    dawdle();
    HKT_OK(hk_lock_release(&hkt_accounts));
    wait_for_the_taker();
}

static void take_a_lock(void)
{
    await_ready();
    HKT_OK(hk_lock_acquire(&hkt_accounts));
    HKT_OK(hk_lock_release(&hkt_accounts));
}

static void a_lock(void)
{
    play(&(struct game){.give = give_a_lock, .take = take_a_lock});
}

static hk_lock outer = HK_LOCK_INIT("outer");

static void give_and_take_the_outer(void)
{
    await_ready();
    HKT_OK(hk_lock_release(&hkt_accounts));
    HKT_OK(hk_lock_acquire(&outer));
    HKT_OK(hk_lock_release(&outer));
    wait_for_the_taker();
}

static atomic_bool taken;

static void begin_outer(void)
{
    atomic_store(&taken, false);
}

static void give_the_inner(void)
{
    HKT_OK(hk_lock_acquire(&hkt_accounts));
    atomic_store(&taken, true);
    give_and_take_the_outer();
}

static void take_the_inner(void)
{
    HKT_OK(hk_lock_acquire(&outer));
    while (!atomic_load(&taken)) {
        sched_yield();
    }
    atomic_store(&ready, true);
    HKT_OK(hk_lock_acquire(&hkt_accounts));
    HKT_OK(hk_lock_release(&hkt_accounts));
    HKT_OK(hk_lock_release(&outer));
}

/* The taker holds another lock, which the giver wants next. */
static void a_lock_inside_another(void)
{
    play(&(struct game){.begin = begin_outer, .give = give_the_inner, .take = take_the_inner});
}

/* --- Read-write locks --- */

static void give_as_reader(void)
{
    HKT_OK(hk_rwlock_read(&hkt_table));
    atomic_store(&ready, true);
    dawdle();
    HKT_OK(hk_rwlock_release(&hkt_table));
    wait_for_the_taker();
}

static void give_as_writer(void)
{
    HKT_OK(hk_rwlock_write(&hkt_table));
    atomic_store(&ready, true);
    dawdle();
    HKT_OK(hk_rwlock_release(&hkt_table));
    wait_for_the_taker();
}

static void take_as_writer(void)
{
    await_ready();
    HKT_OK(hk_rwlock_write(&hkt_table));
    HKT_OK(hk_rwlock_release(&hkt_table));
}

static void take_as_reader(void)
{
    await_ready();
    HKT_OK(hk_rwlock_read(&hkt_table));
    HKT_OK(hk_rwlock_release(&hkt_table));
}

static void a_read_write_lock(void)
{
    play(&(struct game){.give = give_as_reader, .take = take_as_writer});
    play(&(struct game){.give = give_as_writer, .take = take_as_reader});
    play(&(struct game){.give = give_as_writer, .take = take_as_writer});
}

/* --- A reader among others --- */

/* Two readers come in together behind a writer. Then another writer comes, and one reader
 * waits for the other one's future: who is in must not look as if it stood outside. */
static struct hkt_thread next_writer;
static _Atomic pid_t taker_id;
static atomic_bool written;

static uint64_t word_of_table(void)
{
    return atomic_load((_Atomic(uint64_t) *)&hkt_table.word_);
}

static void write_once(void *arg)
{
    (void)arg;
    while ((word_of_table() & HKI_RW_READERS) != 2 && !atomic_load(&ready)) {
        sched_yield();
    }
    HKT_OK(hk_rwlock_write(&hkt_table));
    atomic_store(&written, true);
    HKT_OK(hk_rwlock_release(&hkt_table));
}

static void begin_crowd(void)
{
    atomic_store(&taker_id, 0);
    atomic_store(&written, false);
    HKT_OK(hk_rwlock_write(&hkt_table));
    hkt_thread_start(&next_writer, write_once, NULL);
}

static void read_and_wait(void)
{
    HKT_OK(hk_rwlock_read(&hkt_table));
    while ((word_of_table() & HKI_RW_WAITERS) == 0 && !atomic_load(&written)) {
        sched_yield();
    }
    wait_for_the_taker();
    HKT_OK(hk_rwlock_release(&hkt_table));
}

static void read_and_leave(void)
{
    atomic_store(&taker_id, gettid());
    HKT_OK(hk_rwlock_read(&hkt_table));
    HKT_OK(hk_rwlock_release(&hkt_table));
    atomic_store(&ready, true); /* Whoever has not seen it inside need not look on. */
}

static bool taker_sleeps(void *arg)
{
    (void)arg;
    return atomic_load(&taker_id) != 0 && hkt_is_asleep(atomic_load(&taker_id));
}

static void let_crowd_in(void)
{
    HKT_TRUE(hkt_eventually(taker_sleeps, NULL));
    HKT_OK(hk_rwlock_release(&hkt_table));
}

static void join_next_writer(void)
{
    hkt_thread_join(&next_writer);
}

static void a_reader_that_is_in(void)
{
    play(&(struct game){.begin = begin_crowd,
                        .give = read_and_wait,
                        .take = read_and_leave,
                        .during = let_crowd_in,
                        .end = join_next_writer});
}

/* --- Conditions --- */

static hk_cond changed = HK_COND_INIT("changed");
static bool is_changed; /* Under accounts. */

static void begin_condition(void)
{
    is_changed = false;
    HKT_OK(hk_rwlock_write(&hkt_table));
}

/* The giver's wait for the table looks at what all threads that wait hold: also at the
 * taker, which gives its lock back while it waits. */
static void signal_a_condition(void)
{
    await_ready();
    dawdle();
    HKT_OK(hk_rwlock_read(&hkt_table));
    HKT_OK(hk_rwlock_release(&hkt_table));
    HKT_OK(hk_lock_acquire(&hkt_accounts));
    is_changed = true;
    HKT_OK(hk_lock_release(&hkt_accounts));
    HKT_OK(hk_cond_signal(&changed));
    wait_for_the_taker();
}

static void wait_for_a_condition(void)
{
    HKT_OK(hk_lock_acquire(&outer));
    HKT_OK(hk_lock_acquire(&hkt_accounts));
    atomic_store(&ready, true);
    while (!is_changed) {
        HKT_OK(hk_cond_wait(&changed, &hkt_accounts, HK_FOREVER));
    }
    HKT_OK(hk_lock_release(&hkt_accounts));
    HKT_OK(hk_lock_release(&outer));
}

static void give_the_table(void)
{
    while ((word_of_table() & HKI_RW_SLEEPERS) == 0) {
        sched_yield();
    }
    HKT_OK(hk_rwlock_release(&hkt_table));
}

static void a_condition(void)
{
    play(&(struct game){.begin = begin_condition,
                        .give = signal_a_condition,
                        .take = wait_for_a_condition,
                        .during = give_the_table});
}

/* --- Futures --- */

static hk_future *second_future; /* The giver's worker does this next. */

static void queue_the_next(void)
{
    HKT_OK_FATAL(hk_submit(hkt_b, waits_for_the_taker, NULL, 0, NULL, &second_future));
}

static void end_the_next(void)
{
    hkt_expect_end(second_future, HK_OK);
}

static void wait_for_the_giver(void)
{
    HKT_OK(hk_future_wait(giver_future, HK_FOREVER));
}

static void wait_for_any(void)
{
    hk_future *futures[] = {giver_future, second_future};

    HKT_OK(hk_wait(futures, 2, HK_FIRST_COMPLETED, HK_FOREVER, NULL, NULL));
}

static void wait_for_next(void)
{
    hk_completion *completion = NULL;
    hk_future *next = NULL;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, giver_future, 1));
    HKT_OK(hk_completion_add(completion, second_future, 2));
    HKT_OK(hk_completion_next(completion, HK_FOREVER, &next, NULL));
    HKT_EQ_PTR(next, giver_future);
    hk_future_unref(next);
    hk_completion_destroy(completion);
}

static void wait_for_derived(void)
{
    hk_future *derived = NULL;

    HKT_OK_FATAL(hk_when_all(&giver_future, 1, &derived));
    HKT_OK(hk_future_wait(derived, HK_FOREVER));
    hk_future_unref(derived);
}

/* The taker waits for the giver's task; behind it stands one that waits for the taker. */
static void a_future(void)
{
    static void (*const takes_one[])(void) = {wait_for_the_giver, wait_for_any, wait_for_next,
                                              wait_for_derived};

    for (size_t i = 0; i < sizeof(takes_one) / sizeof(takes_one[0]); i++) {
        play(&(struct game){
            .give = dawdle, .take = takes_one[i], .behind = queue_the_next, .end = end_the_next});
    }
}

/* --- Callbacks --- */

static struct hkt_pair pair;
static hk_hook *hook;

static void be_called(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    atomic_store(&ready, true);
    dawdle();
}

static void begin_callback(void)
{
    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_future_on_done(pair.future, NULL, be_called, NULL, &hook));
}

static void call_back(void)
{
    HKT_OK(hk_promise_set(pair.promise, NULL, 0));
    wait_for_the_taker();
}

static void remove_callback(void)
{
    await_ready();
    HKT_STATUS(hk_hook_remove(hook), HK_ESTATE);
}

static void end_callback(void)
{
    hkt_pair_close(&pair);
}

static void a_callback(void)
{
    play(&(struct game){
        .begin = begin_callback, .give = call_back, .take = remove_callback, .end = end_callback});
}

/* --- Room, and the end of an executor --- */

static hk_executor *narrow;
static hk_future *last_future;

static void fill_narrow(void)
{
    HKT_OK_FATAL(hk_submit(hkt_b, waits_for_the_taker, NULL, 0, NULL, &second_future));
    atomic_store(&ready, true);
}

static void wait_for_room(void)
{
    await_ready();
    HKT_OK(hk_submit(hkt_b, hkt_nothing, NULL, 0, NULL, &last_future));
}

static void end_room(void)
{
    hkt_expect_end(second_future, HK_OK);
    hkt_expect_end(last_future, HK_OK);
}

static void give_room(void)
{
    await_ready();
    dawdle();
}

/* b with a queue for one task: as soon as the giver's has ended, its worker takes the one
 * behind it out, which makes room, and waits. */
static void room(void)
{
    HKT_OK(hk_executor_destroy(hkt_b));
    hkt_b = hkt_pool_create((hk_executor_options){
        .name = "b", .workers = 1, .spare_workers = HK_NO_SPARES, .queue_capacity = 1});
    play(&(struct game){
        .give = give_room, .take = wait_for_room, .behind = fill_narrow, .end = end_room});
}

static void begin_end(void)
{
    HKT_OK_FATAL(hk_serial_create(hkt_b, NULL, &narrow));
}

static void submit_last(void)
{
    HKT_OK_FATAL(hk_submit(narrow, hkt_nothing, NULL, 0, NULL, NULL));
    queue_the_next();
    atomic_store(&ready, true);
}

static void join_narrow(void)
{
    await_ready();
    HKT_OK(hk_executor_shutdown(narrow, HK_SHUTDOWN_DRAIN, HK_FOREVER));
}

static void end_end(void)
{
    end_the_next();
    HKT_OK(hk_executor_destroy(narrow));
}

/* Of a serial executor: its errand ends, and the worker goes on. */
static void the_end_of_an_executor(void)
{
    play(&(struct game){.begin = begin_end,
                        .give = give_room,
                        .take = join_narrow,
                        .behind = submit_last,
                        .end = end_end});
}

static CU_TestInfo tests[] = {
    HKT_CASE("a lock", a_lock),
    HKT_CASE("a lock inside another", a_lock_inside_another),
    HKT_CASE("a read-write lock", a_read_write_lock),
    HKT_CASE("a reader that is in", a_reader_that_is_in),
    HKT_CASE("a condition", a_condition),
    HKT_CASE("a future", a_future),
    HKT_CASE("a callback", a_callback),
    HKT_CASE("room", room),
    HKT_CASE("the end of an executor", the_end_of_an_executor),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "given_race",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
