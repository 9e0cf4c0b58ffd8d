/* SPDX-License-Identifier: MIT */
/*
 * Waits that look like deadlocks and are none: nobody is refused when a spare worker, a time
 * limit or a running thread can move things. What has been given already, and only not
 * been noticed, is in test_given_waits.c.
 */
#include <string.h>

#include "sync/lock_impl.h"
#include "tests/ring_fixture.h"

/* Lets them wait in order, and then has something moved (move may be NULL). */
static void expect_no_refusal(struct hkt_actor *const *actors, unsigned count, void (*move)(void))
{
    for (unsigned i = 0; i + 1 < count; i++) {
        hkt_actor_sleeps(actors[i]);
    }
    if (move == NULL) {
        hkt_actor_goes(actors[count - 1]);
    } else {
        hkt_actor_sleeps(actors[count - 1]);
        move();
    }
    hkt_actors_end(actors, count);
    HKT_EQ_INT(hkt_refusals_count(), 0);
}

/* --- Spare workers --- */

static hk_executor *wide; /* One worker, and spares. */
static hk_future *queued; /* Behind what its worker does. */

static void open_wide(unsigned spares)
{
    wide = hkt_pool_create((hk_executor_options){
        .name = "w", .workers = 1, .spare_workers = spares, .queue_capacity = 1});
}

static void queue_one(void)
{
    HKT_OK_FATAL(HKT_AT("queued", hk_submit(wide, hkt_nothing, NULL, 0, NULL, &queued)));
}

static hk_status wait_for_queued(void)
{
    return hk_future_wait(queued, HK_FOREVER);
}

static void a_spare_worker_runs_what_is_queued(void)
{
    struct hkt_actor inside = {.task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor outside = {
        .pool = hkt_b, .task = audit, .prepare = queue_one, .wait = wait_for_queued};
    struct hkt_actor *actors[] = {&inside, &outside};

    open_wide(0);
    inside.pool = wide;
    hkt_await_actors(&outside, NULL);
    for (unsigned first = 0; first < 2; first++) {
        hkt_actors_begin(actors, 2);
        expect_no_refusal((struct hkt_actor *[]){actors[first], actors[1 - first]}, 2, NULL);
        HKT_OK(inside.status);
        HKT_OK(outside.status);
        hkt_expect_end(queued, HK_OK);
    }
    HKT_OK(hk_executor_destroy(wide));
}

static hk_status submit_one(void)
{
    return hk_submit(wide, hkt_nothing, NULL, 0, NULL, NULL);
}

static void a_spare_worker_makes_room(void)
{
    struct hkt_actor inside = {.task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor outside = {
        .pool = hkt_b, .task = audit, .prepare = queue_one, .wait = submit_one};
    struct hkt_actor *actors[] = {&inside, &outside};

    open_wide(0);
    inside.pool = wide;
    hkt_await_actors(&outside, NULL);
    hkt_actors_begin(actors, 2);
    expect_no_refusal(actors, 2, NULL);
    HKT_OK(inside.status);
    HKT_OK(outside.status);
    hkt_expect_end(queued, HK_OK);
    HKT_OK(hk_executor_destroy(wide));
}

static void queue_one_and_take_accounts(void)
{
    queue_one();
    hkt_take_accounts();
}

/* The pool hears of the wait for a lock only after a while; until then nobody may think
 * that it will not. */
static void a_spare_worker_comes_for_one_that_wants_a_lock(void)
{
    struct hkt_actor inside = {
        .task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor holder = {.name = "holder",
                               .prepare = queue_one_and_take_accounts,
                               .wait = wait_for_queued,
                               .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&inside, &holder};

    open_wide(0);
    inside.pool = wide;
    for (unsigned i = 0; i < 200 / hkt_slowness(); i++) {
        hkt_actors_begin(actors, 2);
        hkt_actor_goes(&inside);
        hkt_actor_goes(&holder);
        hkt_actors_end(actors, 2);
        HKT_OK(inside.status);
        HKT_OK(holder.status);
        hkt_expect_end(queued, HK_OK);
    }
    HKT_EQ_INT(hkt_refusals_count(), 0);
    HKT_OK(hk_executor_destroy(wide));
}

/* The base of a serial executor has a spare, though the serial executor itself stands. */
static void a_spare_worker_of_the_base_goes_on(void)
{
    struct hkt_actor inside = {.task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor outside = {
        .pool = hkt_b, .task = audit, .prepare = queue_one, .wait = wait_for_queued};
    struct hkt_actor *actors[] = {&inside, &outside};
    hk_executor *serial = NULL;

    open_wide(0);
    HKT_OK_FATAL(hk_serial_create(wide, NULL, &serial));
    inside.pool = serial;
    inside.workers = wide;
    hkt_await_actors(&outside, NULL);
    hkt_actors_begin(actors, 2);
    expect_no_refusal(actors, 2, NULL);
    HKT_OK(outside.status);
    hkt_expect_end(queued, HK_OK);
    HKT_OK(hk_executor_destroy(serial));
    HKT_OK(hk_executor_destroy(wide));
}

static hk_status queue_one_and_wait(void)
{
    queue_one();
    return wait_for_queued();
}

/* One spare: with it blocked, too, the third wait is refused. */
static void only_as_long_as_there_is_a_spare(void)
{
    struct hkt_actor worker = {.task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor spare = {.task = post, .wait = hkt_wait_for_one};
    struct hkt_actor outside = {.pool = hkt_b, .task = audit, .wait = queue_one_and_wait};
    struct hkt_actor *actors[] = {&outside, &worker, &spare};

    open_wide(1);
    worker.pool = spare.pool = wide;
    hkt_await_actors(&outside, NULL);
    hkt_actors_begin(actors, 2);
    hkt_actor_sleeps(&worker);
    hkt_actors_begin(actors + 2, 1);
    hkt_actor_sleeps(&spare);
    hkt_actor_goes(&outside);
    hkt_actors_end(actors, 3);
    HKT_STATUS(outside.status, HK_EDEADLK);
    HKT_OK(worker.status);
    HKT_OK(spare.status);
    HKT_REPORT("worker b_0 waits for future 0x.. (hkt_nothing, submitted at "
               "test_false_alarms.c:{queued}) to be started by worker w_0, which waits for "
               "future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0");
    hkt_expect_end(queued, HK_OK);
    HKT_OK(hk_executor_destroy(wide));
}

/* --- Time limits --- */

#define A_WHILE HK_MS(60)

/* The untimed one closes the ring, and may: the timed one runs out. */
static void expect_time_out(struct hkt_actor *timed, struct hkt_actor *untimed)
{
    struct hkt_actor *actors[] = {timed, untimed};

    hkt_actors_begin(actors, 2);
    expect_no_refusal(actors, 2, NULL);
    HKT_STATUS(timed->status, HK_ETIMEDOUT);
    HKT_OK(untimed->status);
}

static struct hkt_actor holder_of(hk_status (*wait)(void))
{
    return (struct hkt_actor){
        .name = "holder", .prepare = hkt_take_accounts, .wait = wait, .release = hkt_give_accounts};
}

static struct hkt_actor task_that(hk_status (*wait)(void))
{
    return (struct hkt_actor){
        .pool = hkt_a, .task = sum, .wait = wait, .release = hkt_give_accounts};
}

static hk_status want_accounts_for_a_while(void)
{
    return hk_lock_acquire_timed(&hkt_accounts, A_WHILE);
}

static hk_status wait_for_a_while(void)
{
    return hk_future_wait(hkt_future_of_one(), A_WHILE);
}

static hk_status join_for_a_while(void)
{
    return hk_executor_shutdown(hkt_a, HK_SHUTDOWN_DRAIN, A_WHILE);
}

static hk_status wait_for_next_for_a_while(void)
{
    hk_completion *completion = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, hkt_future_of_one(), 1));
    status = hk_completion_next(completion, A_WHILE, NULL, NULL);
    hk_completion_destroy(completion);
    return status;
}

static void a_lock_with_a_limit(void)
{
    struct hkt_actor task = task_that(want_accounts_for_a_while);
    struct hkt_actor holder = holder_of(hkt_wait_for_one);

    hkt_await_actors(&task, NULL);
    expect_time_out(&task, &holder);
}

static bool somebody_sleeps_for_accounts(void)
{
    return (atomic_load((_Atomic(uint32_t) *)&hkt_accounts.word_) & HKI_LOCK_WAITERS) != 0;
}

static hk_status wait_as_soon_as_it_sleeps(void)
{
    while (!somebody_sleeps_for_accounts()) {
    }
    return hkt_wait_for_one();
}

/* The ring is closed before the pool of the timed waiter is told, when that one looks
 * once more: it is not the one who closed it. */
static void a_lock_with_a_limit_in_its_first_moment(void)
{
    struct hkt_actor task = task_that(want_accounts_for_a_while);
    struct hkt_actor holder = holder_of(wait_as_soon_as_it_sleeps);
    struct hkt_actor *actors[] = {&holder, &task};

    hkt_await_actors(&task, NULL);
    hkt_actors_begin(actors, 2);
    hkt_actor_goes(&holder);
    hkt_actor_goes(&task);
    hkt_actors_end(actors, 2);
    HKT_STATUS(task.status, HK_ETIMEDOUT);
    HKT_OK(holder.status);
    HKT_EQ_INT(hkt_refusals_count(), 0);
}

static void futures_with_a_limit(void)
{
    struct hkt_actor task = task_that(hkt_want_accounts);
    struct hkt_actor holder = holder_of(wait_for_a_while);
    struct hkt_actor reader = holder_of(wait_for_next_for_a_while);

    hkt_await_actors(&task, NULL);
    expect_time_out(&holder, &task);
    expect_time_out(&reader, &task);
}

static void a_join_with_a_limit(void)
{
    struct hkt_actor task = task_that(hkt_want_accounts);
    struct hkt_actor holder = holder_of(join_for_a_while);

    expect_time_out(&holder, &task);
    hkt_renew(&hkt_a, "a");
}

static hk_status submit_one_for_a_while(void)
{
    hk_submit_options options = {.queue_wait = A_WHILE};

    return hk_submit(wide, hkt_nothing, NULL, 0, &options, NULL);
}

static void room_with_a_limit(void)
{
    struct hkt_actor inside = {
        .task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor holder = {.name = "holder",
                               .prepare = queue_one_and_take_accounts,
                               .wait = submit_one_for_a_while,
                               .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&inside, &holder};

    open_wide(HK_NO_SPARES);
    inside.pool = wide;
    hkt_actors_begin(actors, 2);
    expect_no_refusal((struct hkt_actor *[]){&holder, &inside}, 2, NULL);
    HKT_STATUS(holder.status, HK_ETIMEDOUT);
    HKT_OK(inside.status);
    hkt_expect_end(queued, HK_OK);
    HKT_OK(hk_executor_destroy(wide));
}

static hk_status want_to_read_for_a_while(void)
{
    return hk_rwlock_read_timed(&hkt_table, A_WHILE);
}

static hk_status want_to_write_for_a_while(void)
{
    return hk_rwlock_write_timed(&hkt_table, A_WHILE);
}

static void a_read_write_lock_with_a_limit(void)
{
    struct hkt_actor reader = {
        .pool = hkt_a, .task = sum, .wait = want_to_read_for_a_while, .release = hkt_give_table};
    struct hkt_actor writer = {
        .pool = hkt_a, .task = sum, .wait = want_to_write_for_a_while, .release = hkt_give_table};
    struct hkt_actor holder = {.name = "holder",
                               .prepare = hkt_write_table,
                               .wait = hkt_wait_for_one,
                               .release = hkt_give_table};

    hkt_await_actors(&reader, NULL);
    expect_time_out(&reader, &holder);
    holder.prepare = hkt_read_table;
    hkt_await_actors(&writer, NULL);
    expect_time_out(&writer, &holder);
}

/* A writer with a limit keeps no reader out, so a ring through it is none. */
static void a_writer_with_a_limit_is_passed_by_readers(void)
{
    struct hkt_actor reader = {.name = "reader",
                               .prepare = hkt_read_table,
                               .wait = hkt_wait_for_one,
                               .release = hkt_give_table};
    struct hkt_actor writer = {
        .name = "writer", .wait = want_to_write_for_a_while, .release = hkt_give_table};
    struct hkt_actor task = {
        .pool = hkt_a, .task = sum, .wait = hkt_want_to_read, .release = hkt_give_table};
    struct hkt_actor *actors[] = {&writer, &reader, &task};

    hkt_await_actors(&task, NULL);
    hkt_actors_begin((struct hkt_actor *[]){&reader, &writer, &task}, 3);
    expect_no_refusal(actors, 3, NULL);
    HKT_OK(reader.status);
    HKT_OK(task.status);
}

/* A task with a run limit is ended by the clock, whatever it waits for. */
static void a_task_with_a_limit(void)
{
    struct hkt_actor holder = holder_of(hkt_wait_for_one);
    struct hkt_actor task = task_that(hkt_want_accounts);
    hk_submit_options options = {.timeout = HK_MS(60)};

    hkt_await_actors(&task, NULL);
    hkt_actors_begin((struct hkt_actor *[]){&holder}, 1);
    hkt_gate_init(&task.go, "the task may wait");
    hkt_gate_open(&task.go);
    HKT_OK_FATAL(hk_submit_ref(hkt_a, sum, &task, NULL, &options, &task.future));
    hkt_actor_goes(&holder);
    hkt_thread_join(&holder.thread);
    HKT_OK(holder.status);
    HKT_STATUS(hk_future_result(task.future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    hkt_renew(&hkt_a, "a"); /* Waits for the task itself. */
    HKT_OK(task.status);
    HKT_EQ_INT(hkt_refusals_count(), 0);
    hk_future_unref(task.future);
    hkt_gate_fini(&task.go);
    hkt_gate_fini(&holder.go);
}

/* --- Somebody else can move it --- */

static struct hkt_pair pair;

static void set_promise(void)
{
    HKT_OK(hk_promise_set(pair.promise, NULL, 0));
}

static hk_status wait_for_any(void)
{
    hk_future *futures[] = {hkt_future_of_one(), pair.future};

    return hk_wait(futures, 2, HK_FIRST_COMPLETED, HK_FOREVER, NULL, NULL);
}

static hk_status wait_for_first_error(void)
{
    hk_future *futures[] = {hkt_future_of_one(), pair.future};

    return hk_wait(futures, 2, HK_FIRST_ERROR, HK_FOREVER, NULL, NULL);
}

static hk_status wait_for_when_any(void)
{
    hk_future *futures[] = {hkt_future_of_one(), pair.future};
    hk_future *derived = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_when_any(futures, 2, &derived));
    status = hk_future_wait(derived, HK_FOREVER);
    hk_future_unref(derived);
    return status;
}

static hk_status wait_for_next(void)
{
    hk_completion *completion = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, hkt_future_of_one(), 1));
    HKT_OK(hk_completion_add(completion, pair.future, 2));
    status = hk_completion_next(completion, HK_FOREVER, NULL, NULL);
    hk_completion_destroy(completion);
    return status;
}

static void fail_promise(void)
{
    HKT_OK(hk_promise_fail(pair.promise, 1, "no luck"));
}

static void expect_any(hk_status (*wait)(void), void (*move)(void))
{
    struct hkt_actor task = task_that(hkt_want_accounts);
    struct hkt_actor holder = holder_of(wait);
    struct hkt_actor *actors[] = {&task, &holder};

    hkt_await_actors(&task, NULL);
    for (unsigned first = 0; first < 2; first++) {
        hkt_pair_open(&pair);
        hkt_actors_begin(actors, 2);
        expect_no_refusal((struct hkt_actor *[]){actors[first], actors[1 - first]}, 2, move);
        HKT_OK(task.status);
        HKT_OK(holder.status);
        hkt_pair_close(&pair);
    }
}

static void one_of_several_futures(void)
{
    expect_any(wait_for_any, set_promise);
    expect_any(wait_for_first_error, fail_promise);
    expect_any(wait_for_when_any, set_promise);
    expect_any(wait_for_next, set_promise);
}

static struct hkt_gate standing;

static void open_standing(void)
{
    hkt_gate_open(&standing);
}

/* Of two workers one stands in the ring, the other one only at a gate. */
static void another_worker_of_the_pool(void)
{
    struct hkt_actor inside = {.task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor outside = {
        .pool = hkt_b, .task = audit, .prepare = queue_one, .wait = wait_for_queued};
    struct hkt_actor *actors[] = {&inside, &outside};
    hk_future *other;

    wide = hkt_pool_create(
        (hk_executor_options){.name = "w", .workers = 2, .spare_workers = HK_NO_SPARES});
    inside.pool = wide;
    hkt_await_actors(&outside, NULL);
    hkt_gate_init(&standing, "the other worker");
    other = hkt_submit_ref(wide, hkt_stands_at_gate, &standing);
    hkt_gate_await_arrivals(&standing, 1);
    hkt_actors_begin(actors, 2);
    expect_no_refusal(actors, 2, open_standing);
    HKT_OK(inside.status);
    HKT_OK(outside.status);
    hkt_expect_end(queued, HK_OK);
    hkt_expect_end(other, HK_OK);
    HKT_OK(hk_executor_destroy(wide));
    hkt_gate_fini(&standing);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a spare worker runs what is queued", a_spare_worker_runs_what_is_queued),
    HKT_CASE("a spare worker makes room", a_spare_worker_makes_room),
    HKT_CASE("a spare worker comes for one that wants a lock",
             a_spare_worker_comes_for_one_that_wants_a_lock),
    HKT_CASE("a spare worker of the base goes on", a_spare_worker_of_the_base_goes_on),
    HKT_CASE("only as long as there is a spare", only_as_long_as_there_is_a_spare),
    HKT_CASE("a lock with a limit", a_lock_with_a_limit),
    HKT_CASE("a lock with a limit, in its first moment", a_lock_with_a_limit_in_its_first_moment),
    HKT_CASE("futures with a limit", futures_with_a_limit),
    HKT_CASE("a join with a limit", a_join_with_a_limit),
    HKT_CASE("room with a limit", room_with_a_limit),
    HKT_CASE("a read-write lock with a limit", a_read_write_lock_with_a_limit),
    HKT_CASE("a writer with a limit is passed by readers",
             a_writer_with_a_limit_is_passed_by_readers),
    HKT_CASE("a task with a limit", a_task_with_a_limit),
    HKT_CASE("one of several futures", one_of_several_futures),
    HKT_CASE("another worker of the pool", another_worker_of_the_pool),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "false_alarms",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
