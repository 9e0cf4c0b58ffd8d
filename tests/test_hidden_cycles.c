/* SPDX-License-Identifier: MIT */
/*
 * Rings that are easily overlooked: each has a part that looks as if it could move. A
 * callback that was handed to an executor whose workers stand, a callback behind the one
 * that waits, a future that has ended and was not enough, a task that runs on the thread of
 * its submitter, a place that somebody else was quicker to take.
 */
#include "tests/freeze_fixture.h"
#include "tests/ring_fixture.h"

#define WHICH ", which waits for "

static hk_future *derived;
static struct hkt_pair pair;

static void give_derived_back(void)
{
    hk_future_unref(derived);
    hkt_pair_close(&pair);
}

/* --- Callbacks --- */

static hk_status do_nothing(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    (void)arg;
    return HK_OK;
}

static hk_status wait_for_derived(void)
{
    return hk_future_wait(derived, HK_FOREVER);
}

static hk_status wait_for_derived_step(void)
{
    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK_FATAL(HKT_AT("then", hk_then(pair.future, hkt_a, do_nothing, NULL, &derived)));
    return wait_for_derived();
}

/* The step is queued behind the very task that waits for it. */
static void a_step_on_the_executor_that_waits_for_it(void)
{
    struct hkt_actor task = {.pool = hkt_a, .task = sum, .wait = wait_for_derived_step};
    struct hkt_actor *actors[] = {&task};

    hkt_actors_begin(actors, 1);
    hkt_expect_last_refused(actors, 1, (const unsigned[]){0});
    HKT_REPORT("worker a_0 waits for future 0x.. (made at test_hidden_cycles.c:{then}) to be "
               "started by worker a_0");
    HKT_OK(hk_future_wait(derived, HK_FOREVER));
    give_derived_back();
    hkt_expect_usable();
}

static void act_in_callback(hk_future *future, void *arg)
{
    (void)future;
    (void)hkt_act(arg);
}

static void set_promise(struct hkt_actor *self)
{
    (void)self;
    HKT_OK(hk_promise_set(pair.promise, NULL, 0));
}

/* What is made of the promise's future after the callback was added, and waits behind it. */
static void then_behind(void)
{
    HKT_OK_FATAL(HKT_AT("behind", hk_then(pair.future, NULL, do_nothing, NULL, &derived)));
}

static void when_all_behind(void)
{
    HKT_OK_FATAL(HKT_AT("behind", hk_when_all(&pair.future, 1, &derived)));
}

static void follow_behind(void)
{
    hk_promise *promise = NULL;

    HKT_OK_FATAL(HKT_AT("behind", hk_promise_create(&promise, &derived)));
    HKT_OK(hk_promise_follow(promise, pair.future));
    hk_promise_destroy(promise);
}

/* The callback waits for what the thread does next that runs it. */
static void what_comes_behind_a_callback(void)
{
    static void (*const make[])(void) = {then_behind, when_all_behind, follow_behind};

    for (int i = 0; i < 3; i++) {
        struct hkt_actor callback = {
            .name = "caller", .start = set_promise, .wait = wait_for_derived};
        struct hkt_actor *actors[] = {&callback};

        hkt_pair_open(&pair);
        HKT_OK_FATAL(hk_future_on_done(pair.future, NULL, act_in_callback, &callback, NULL));
        make[i]();
        hkt_actors_begin(actors, 1);
        hkt_expect_last_refused(actors, 1, (const unsigned[]){0});
        HKT_REPORT(i < 2 ? "thread caller (#) waits for future 0x.. (made at "
                           "test_hidden_cycles.c:{behind}) to be started by thread caller (#)"
                         : "thread caller (#) waits for future 0x.. (made at "
                           "test_hidden_cycles.c:{behind}) run by thread caller (#)");
        HKT_OK(hk_future_wait(derived, HK_FOREVER));
        give_derived_back();
    }
}

/* --- Futures that have ended, and were not enough --- */

static struct hkt_actor second; /* Wants accounts. */

static struct hkt_actor gatherer_that(hk_status (*wait)(void))
{
    return (struct hkt_actor){.name = "gatherer",
                              .prepare = hkt_take_accounts,
                              .wait = wait,
                              .release = hkt_give_accounts};
}

static hk_status wait_for_first_error(void)
{
    hk_future *futures[] = {pair.future, second.future};

    return hk_wait(futures, 2, HK_FIRST_ERROR, HK_FOREVER, NULL, NULL);
}

static hk_status wait_for_when_any(void)
{
    hk_future *futures[] = {pair.future, second.future};
    hk_status status;

    HKT_OK_FATAL(HKT_AT("when_any", hk_when_any(futures, 2, &derived)));
    status = hk_future_wait(derived, HK_FOREVER);
    hk_future_unref(derived);
    return status;
}

#define SECOND                                                                                     \
    "future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0" WHICH                               \
    "lock 0x.. (accounts) held by thread gatherer (#) since " HKT_TAKEN

static void prepare_second(void)
{
    second = (struct hkt_actor){
        .pool = hkt_b, .task = audit, .wait = hkt_want_accounts, .release = hkt_give_accounts};
}

static void expect_not_enough(hk_status (*wait)(void), hk_state state, const char *expected)
{
    struct hkt_actor gatherer = gatherer_that(wait);
    struct hkt_actor *actors[] = {&second, &gatherer};

    prepare_second();
    hkt_pair_open_in(&pair, state);
    hkt_actors_begin(actors, 2);
    hkt_expect_last_refused(actors, 2, (const unsigned[]){0, 1});
    HKT_REPORT(expected);
    hkt_pair_close(&pair);
}

static void what_has_ended_and_was_not_enough(void)
{
    expect_not_enough(wait_for_first_error, HK_DONE,
                      "thread gatherer (#) waits for any of 2 futures including " SECOND);
    expect_not_enough(wait_for_when_any, HK_FAILED,
                      "thread gatherer (#) waits for future 0x.. (made at "
                      "test_hidden_cycles.c:{when_any}) waiting for " SECOND);
}

/* It might have been enough when the wait began. */
static void what_ends_and_is_not_enough(void)
{
    struct hkt_actor gatherer = gatherer_that(wait_for_first_error);
    struct hkt_actor *actors[] = {&second, &gatherer};

    prepare_second();
    hkt_pair_open(&pair);
    hkt_actors_begin(actors, 2);
    hkt_actor_sleeps(&second);
    hkt_actor_sleeps(&gatherer);
    HKT_EQ_INT(hkt_refusals_count(), 0);
    hkt_pair_end(&pair, HK_DONE);
    hkt_actors_end(actors, 2);
    HKT_STATUS(gatherer.status, HK_EDEADLK);
    HKT_OK(second.status);
    HKT_REPORT("thread gatherer (#) waits for any of 2 futures including " SECOND);
    hkt_pair_close(&pair);
}

/* --- Tasks on the threads of their submitters --- */

static hk_executor *here;

static void submit_here(struct hkt_actor *self)
{
    HKT_OK(HKT_AT("here", hk_submit_ref(here, sum, self, NULL, NULL, NULL)));
}

static hk_status join_here(void)
{
    return hk_executor_shutdown(here, HK_SHUTDOWN_DRAIN, HK_FOREVER);
}

#define HERE                                                                                       \
    "the end of executor h held up by future 0x.. (sum, submitted at "                             \
    "test_hidden_cycles.c:{here}) run by thread submitter (#)"
#define ACCOUNTS "lock 0x.. (accounts) held by thread joiner (#) since " HKT_TAKEN

/* A lock, and the join of an executor that runs a task on the thread that submits it. */
static void expect_join_refused(hk_executor *executor, bool joiner_last)
{
    struct hkt_actor joiner = {.name = "joiner",
                               .prepare = hkt_take_accounts,
                               .wait = join_here,
                               .release = hkt_give_accounts};
    struct hkt_actor submitter = {.name = "submitter",
                                  .start = submit_here,
                                  .wait = hkt_want_accounts,
                                  .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&joiner, &submitter};

    here = executor;
    hkt_actors_begin(actors, 2);
    hkt_expect_last_refused(actors, 2, (const unsigned[]){joiner_last, !joiner_last});
    HKT_REPORT(joiner_last ? "thread joiner (#) waits for " HERE WHICH ACCOUNTS
                           : "thread submitter (#) waits for " ACCOUNTS WHICH HERE);
}

static void a_task_inline(void)
{
    for (int last = 0; last < 2; last++) {
        hk_executor *executor = NULL;

        HKT_OK_FATAL(hk_inline_create(&(hk_executor_options){.name = "h"}, &executor));
        expect_join_refused(executor, last != 0);
        HKT_OK(hk_executor_destroy(executor));
    }
}

/* The queue is full, so the caller runs it; the worker only stands at a gate. */
static void a_task_that_its_caller_runs(void)
{
    hk_executor *executor = hkt_pool_create((hk_executor_options){
        .name = "h", .workers = 1, .queue_capacity = 1, .when_full = HK_FULL_CALLER_RUNS});
    struct hkt_plug plug;
    hk_future *queued = NULL;

    hkt_plug_insert(&plug, executor, 1);
    HKT_OK_FATAL(hk_submit(executor, hkt_nothing, NULL, 0, NULL, &queued));
    expect_join_refused(executor, true);
    hkt_plug_pull(&plug);
    hkt_expect_end(queued, HK_OK);
    HKT_OK(hk_executor_destroy(executor));
}

/* --- Serial executors --- */

static hk_executor *serial;

static hk_status wait_for_serial(void)
{
    hk_future *future = NULL;
    hk_status status;

    HKT_OK_FATAL(HKT_AT("serial", hk_submit(serial, hkt_nothing, NULL, 0, NULL, &future)));
    status = hk_future_wait(future, HK_FOREVER);
    hk_future_unref(future);
    return status;
}

/* Nothing of the serial executor runs: its errand is queued behind the task that waits. */
static void a_serial_executor_on_the_pool_that_waits_for_it(void)
{
    struct hkt_actor task = {.pool = hkt_a, .task = sum, .wait = wait_for_serial};
    struct hkt_actor *actors[] = {&task};

    HKT_OK_FATAL(hk_serial_create(hkt_a, NULL, &serial));
    hkt_actors_begin(actors, 1);
    hkt_expect_last_refused(actors, 1, (const unsigned[]){0});
    HKT_REPORT("worker a_0 waits for future 0x.. (hkt_nothing, submitted at "
               "test_hidden_cycles.c:{serial}) waiting for executor a served by worker a_0");
    HKT_OK(hk_executor_destroy(serial));
}

/* --- A place that another one takes --- */

#if HKT_CAN_FREEZE

static hk_executor *narrow; /* One worker, and a queue for one task. */

static hk_status submit_to_narrow(void)
{
    return hk_submit(narrow, hkt_nothing, NULL, 0, NULL, NULL);
}

/* The worker of the narrow pool takes a task out, which makes room, and that task waits for
 * one that waits for room. It has room, but before it runs another submit takes it. */
static void room_that_another_takes(void)
{
    struct hkt_actor sender = {
        .pool = hkt_b, .task = audit, .prepare = hkt_allow_freezing, .wait = submit_to_narrow};
    struct hkt_actor waiter = {.task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor *actors[] = {&sender, &waiter};
    struct hkt_plug plug;

    narrow = hkt_pool_create((hk_executor_options){
        .name = "n", .workers = 1, .spare_workers = HK_NO_SPARES, .queue_capacity = 1});
    waiter.pool = narrow;
    hkt_await_actors(&sender, NULL);
    hkt_plug_insert(&plug, narrow, 1);
    hkt_actors_begin(actors, 1);
    hkt_gate_init(&waiter.go, "the waiter");
    hkt_gate_open(&waiter.go);
    HKT_OK_FATAL(HKT_AT("waiter", hk_submit_ref(narrow, sum, &waiter, NULL, NULL, &waiter.future)));
    hkt_actor_sleeps(&sender);
    hkt_freeze(&sender);
    hkt_plug_pull(&plug);
    HKT_TRUE(hkt_becomes(narrow, hkt_blocked, 1)); /* The waiter was let into its wait. */
    HKT_TRUE(hkt_falls_asleep(atomic_load(&waiter.id)));
    HKT_OK(submit_to_narrow());
    hkt_thaw();
    hkt_actors_end(actors, 2);
    HKT_STATUS(sender.status, HK_EDEADLK);
    HKT_OK(waiter.status);
    HKT_REPORT("worker b_0 waits for room in the queue of executor n to be made by worker n_0" WHICH
               "future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0");
    HKT_OK(hk_executor_destroy(narrow));
}

#endif

static CU_TestInfo tests[] = {
    HKT_CASE("a step on the executor that waits for it", a_step_on_the_executor_that_waits_for_it),
    HKT_CASE("what comes behind a callback", what_comes_behind_a_callback),
    HKT_CASE("what has ended and was not enough", what_has_ended_and_was_not_enough),
    HKT_CASE("what ends and is not enough", what_ends_and_is_not_enough),
    HKT_CASE("a task inline", a_task_inline),
    HKT_CASE("a task that its caller runs", a_task_that_its_caller_runs),
    HKT_CASE("a serial executor on the pool that waits for it",
             a_serial_executor_on_the_pool_that_waits_for_it),
#if HKT_CAN_FREEZE
    HKT_CASE("room that another one takes", room_that_another_takes),
#endif
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "hidden_cycles",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
