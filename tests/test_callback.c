/* SPDX-License-Identifier: MIT */
/* Callbacks: what they see, in which order, and what they may do. Cases CB of
 * docs/contract.md; removal is in test_hook.c, executors in test_callback_where.c. */
#include <stdlib.h>
#include <string.h>

#include "tests/promise_fixture.h"

/* --- CB01 to CB06: what a callback sees --- */

static void expect_seen(const struct hkt_seen *seen, hk_state state)
{
    HKT_EQ_INT(seen->calls, 1);
    HKT_EQ_INT(seen->state, state);
    HKT_TRUE(pthread_equal(seen->thread, pthread_self()));
    switch (state) {
    case HK_DONE:
        HKT_OK(seen->status);
        HKT_EQ_INT(seen->value, HKT_VALUE);
        break;
    case HK_FAILED:
        HKT_STATUS(seen->status, HK_EFAILED);
        HKT_EQ_INT(seen->app_code, HKT_APP_CODE);
        break;
    default:
        HKT_STATUS(seen->status, HK_ECANCELED);
        break;
    }
}

static void see_the_end(hk_state state)
{
    struct hkt_seen seen = {0};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    hkt_watch(pair.future, &seen);
    HKT_EQ_INT(seen.calls, 0);
    hkt_pair_end(&pair, state);
    /* It ran before the call that ended the future returned. */
    expect_seen(&seen, state);
    hkt_pair_close(&pair);
    HKT_EQ_INT(seen.calls, 1);
}

static void a_callback_sees_the_value(void)
{
    see_the_end(HK_DONE);
}

static void a_callback_sees_the_error(void)
{
    see_the_end(HK_FAILED);
}

static void a_cancel_runs_the_callbacks_before_it_returns(void)
{
    see_the_end(HK_CANCELLED);
}

static void see_what_has_ended(hk_state state)
{
    struct hkt_seen seen = {0};
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, state);
    hkt_watch(pair.future, &seen);
    expect_seen(&seen, state);
    hkt_pair_close(&pair);
    HKT_EQ_INT(seen.calls, 1);
}

static void added_after_success_it_runs_at_once(void)
{
    see_what_has_ended(HK_DONE);
}

static void added_after_failure_it_runs_at_once(void)
{
    see_what_has_ended(HK_FAILED);
}

static void added_after_a_cancel_it_runs_at_once(void)
{
    see_what_has_ended(HK_CANCELLED);
}

static void the_start_runs_no_callback(void)
{
    struct hkt_seen seen = {0};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    hkt_watch(pair.future, &seen);
    HKT_OK(hk_promise_start(pair.promise));
    HKT_STATUS(hk_future_cancel(pair.future, HK_CANCEL_PENDING), HK_ESTATE);
    HKT_OK(hk_future_cancel(pair.future, HK_CANCEL_REQUEST));
    HKT_EQ_INT(seen.calls, 0);
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(seen.calls, 1);
    hkt_pair_close(&pair);
}

static void nothing_to_call_is_refused(void)
{
    struct hkt_seen seen = {0};
    hk_hook *hook = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_STATUS(hk_future_on_done(NULL, NULL, hkt_see, &seen, &hook), HK_EINVAL);
    HKT_STATUS(hk_future_on_done(pair.future, NULL, NULL, &seen, &hook), HK_EINVAL);
    HKT_EQ_PTR(hook, NULL);
    hkt_pair_close(&pair);
    HKT_EQ_INT(seen.calls, 0);
}

/* --- CB07, CB08: callbacks that misbehave --- */

/* One that does whatever a callback may do. */
struct rogue {
    struct hkt_order *order;
    hk_future *own; /* A reference of the rogue's. */
    struct hkt_pair *other;
    hk_hook *victim;
    struct hkt_seen *late;
};

static void misbehave(hk_future *future, void *arg)
{
    struct rogue *rogue = arg;

    hkt_order_note(rogue->order, 1);
    HKT_STATUS(hk_future_cancel(future, HK_CANCEL_KILL), HK_ESTATE);
    HKT_OK(hk_future_cancel(rogue->other->future, HK_CANCEL_PENDING));
    HKT_OK(hk_hook_remove(rogue->victim));
    hkt_watch(future, rogue->late);
    HKT_EQ_INT(rogue->late->calls, 0);
    hk_future_unref(rogue->own);
}

static void a_misbehaving_callback_stops_no_later_one(void)
{
    static const int expected[] = {1, 5, 3, 4};
    struct hkt_order order = {.count = 0};
    struct hkt_seen victim = {.order = &order, .who = 2};
    struct hkt_seen last = {.order = &order, .who = 3};
    struct hkt_seen late = {.order = &order, .who = 4};
    struct hkt_seen nested = {.order = &order, .who = 5};
    struct hkt_pair other;
    struct hkt_pair pair;
    struct rogue rogue = {.order = &order, .other = &other, .late = &late};

    hkt_pair_open(&other);
    hkt_watch(other.future, &nested);
    hkt_pair_open(&pair);
    rogue.own = hk_future_ref(pair.future);
    HKT_OK(hk_future_on_done(pair.future, NULL, misbehave, &rogue, NULL));
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &victim, &rogue.victim));
    hkt_watch(pair.future, &last);
    hkt_pair_end(&pair, HK_DONE);
    hkt_order_expect(&order, 4, expected);
    HKT_EQ_INT(victim.calls, 0);
    hkt_pair_close(&pair);
    hkt_pair_close(&other);
}

static void drop_a_failure_unread(hk_future *future, void *arg)
{
    hk_future *unread = arg;

    (void)future;
    hk_future_unref(unread);
}

static void trouble_in_an_immediate_callback_goes_to_the_log(void)
{
    struct hkt_log log;
    struct hkt_pair failed;
    struct hkt_pair pair;

    hkt_pair_open_in(&failed, HK_FAILED);
    hk_promise_destroy(failed.promise);
    hkt_pair_open_in(&pair, HK_DONE);
    hkt_log_begin(&log);
    HKT_OK(hk_future_on_done(pair.future, NULL, drop_a_failure_unread, failed.future, NULL));
    HKT_EQ_INT(log.lines, 1);
    HKT_TRUE(hkt_log_has(&log, HKT_MESSAGE));
    hkt_log_end(&log);
    hkt_pair_close(&pair);
}

/* --- CB09: order --- */

enum { MANY = 20 };

static void callbacks_run_in_the_order_added_each_once(void)
{
    struct hkt_order order = {.count = 0};
    struct hkt_seen seen[MANY];
    int expected[MANY];
    struct hkt_pair pair;

    memset(seen, 0, sizeof(seen));
    hkt_pair_open(&pair);
    for (int i = 0; i < MANY; i++) {
        seen[i].order = &order;
        seen[i].who = expected[i] = i;
        hkt_watch(pair.future, &seen[i]);
    }
    hkt_pair_end(&pair, HK_DONE);
    hkt_order_expect(&order, MANY, expected);
    hkt_pair_close(&pair);
    HKT_EQ_INT(order.count, MANY);
}

static void the_same_callback_twice_runs_twice(void)
{
    atomic_uint calls = 0;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_count_call, &calls, NULL));
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_count_call, &calls, NULL));
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(atomic_load(&calls), 2);
    hkt_pair_close(&pair);
}

/* A callback that stands still until the test lets it go on. */
struct held {
    struct hkt_gate gate;
    struct hkt_order *order;
    struct hkt_pair pair;
    struct hkt_thread thread;
};

static void stand_at_gate(hk_future *future, void *arg)
{
    struct held *held = arg;

    (void)future;
    hkt_order_note(held->order, 1);
    hkt_gate_wait(&held->gate);
}

static void end_with_value(void *arg)
{
    hkt_pair_end(arg, HK_DONE);
}

/* Returns while another thread stands inside a callback of a DONE future. */
static void held_open(struct held *held, struct hkt_order *order)
{
    held->order = order;
    hkt_gate_init(&held->gate, "a callback that is held");
    hkt_pair_open(&held->pair);
    HKT_OK(hk_future_on_done(held->pair.future, NULL, stand_at_gate, held, NULL));
}

static void held_run(struct held *held)
{
    hkt_thread_start(&held->thread, end_with_value, &held->pair);
    hkt_gate_await_arrivals(&held->gate, 1);
}

static void held_close(struct held *held)
{
    hkt_gate_open(&held->gate);
    hkt_thread_join(&held->thread);
    hkt_pair_close(&held->pair);
    hkt_gate_fini(&held->gate);
}

static void a_callback_added_while_others_run_joins_behind(void)
{
    static const int expected[] = {1, 2, 3};
    struct hkt_order order = {.count = 0};
    struct hkt_seen second = {.order = &order, .who = 2};
    struct hkt_seen late = {.order = &order, .who = 3};
    struct held held;

    held_open(&held, &order);
    hkt_watch(held.pair.future, &second);
    held_run(&held);
    /* The future has ended, so waiters go on; but its callbacks are not through. */
    HKT_OK(hk_future_wait(held.pair.future, HK_FOREVER));
    hkt_watch(held.pair.future, &late);
    HKT_EQ_INT(order.count, 1);
    held_close(&held);
    hkt_order_expect(&order, 3, expected);
    HKT_TRUE(!pthread_equal(late.thread, pthread_self()));
    HKT_TRUE(pthread_equal(late.thread, second.thread));
}

/* --- CB11: no lock is held --- */

/* Everything that could want a lock that the callback's thread might hold. */
static void a_held_callback_holds_nobody_else_up(void)
{
    struct hkt_order order = {.count = 0};
    hk_completion *completion = NULL;
    hk_future *derived = NULL;
    hk_future *next = NULL;
    hk_future_view view;
    struct held held;
    struct hkt_pair other;
    char text[64];
    int fd;

    held_open(&held, &order);
    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, held.pair.future, 1));
    held_run(&held);
    HKT_EQ_INT(hkt_peek_int(held.pair.future), HKT_VALUE);
    HKT_OK(hk_future_snapshot(held.pair.future, &view));
    HKT_TRUE(hk_future_describe(held.pair.future, text, sizeof(text)) > 0);
    HKT_OK(hk_future_fd(held.pair.future, &fd));
    HKT_STATUS(hk_future_cancel(held.pair.future, HK_CANCEL_PENDING), HK_ESTATE);
    HKT_OK(hk_wait(&held.pair.future, 1, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL));
    HKT_OK(hk_completion_next(completion, HK_FOREVER, &next, NULL));
    HKT_EQ_PTR(next, held.pair.future);
    hk_future_unref(next);
    HKT_OK(hk_completion_add(completion, held.pair.future, 2));
    HKT_OK(hk_settle_all(&held.pair.future, 1, &derived));
    /* Other futures go on as well, on this thread and with callbacks of their own. */
    hkt_pair_open_in(&other, HK_DONE);
    hkt_pair_close(&other);
    HKT_EQ_INT(order.count, 1);
    held_close(&held);
    HKT_OK(hk_future_wait(derived, HK_FOREVER));
    hk_future_unref(derived);
    HKT_OK(hk_completion_next(completion, HK_FOREVER, NULL, NULL));
    hk_completion_destroy(completion);
}

static void use_everything(hk_future *future, void *arg)
{
    atomic_uint *calls = arg;
    struct hkt_pair pair;
    hk_completion *completion = NULL;
    hk_future *derived = NULL;
    hk_cancel_token *token = NULL;
    int fd;

    HKT_OK(hk_future_wait(future, HK_FOREVER));
    HKT_OK(hk_wait(&future, 1, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL));
    HKT_OK(hk_future_fd(future, &fd));
    HKT_OK(hk_cancel_token_create(NULL, &token));
    HKT_OK(hk_cancel_token_fire(token, "because"));
    hk_cancel_token_unref(token);
    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_count_call, calls, NULL));
    HKT_OK(hk_when_all(&pair.future, 1, &derived));
    HKT_OK(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, future, 0));
    HKT_OK(hk_completion_add(completion, pair.future, 1));
    HKT_OK(hk_completion_next(completion, HK_FOREVER, NULL, NULL));
    hkt_pair_end(&pair, HK_DONE);
    HKT_OK(hk_completion_next(completion, HK_FOREVER, NULL, NULL));
    HKT_OK(hk_future_wait(derived, HK_FOREVER));
    hk_completion_destroy(completion);
    hk_future_unref(derived);
    hkt_pair_close(&pair);
}

static void a_callback_may_use_everything(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 3; i++) {
        atomic_uint calls = 0;
        struct hkt_pair pair;

        hkt_pair_open(&pair);
        HKT_OK(hk_future_on_done(pair.future, NULL, use_everything, &calls, NULL));
        HKT_OK(hk_future_on_done(pair.future, NULL, hkt_count_call, &calls, NULL));
        hkt_pair_end(&pair, ends[i]);
        HKT_EQ_INT(atomic_load(&calls), 2);
        hkt_pair_close(&pair);
    }
}

static void close_the_pair(hk_future *future, void *arg)
{
    struct hkt_pair *pair = arg;

    HKT_EQ_PTR(future, pair->future);
    hkt_pair_close(pair);
    /* Still borrowed, though nobody else holds it. */
    HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
}

static void a_callback_may_drop_the_last_reference(void)
{
    atomic_uint calls = 0;
    struct hkt_pair pair;
    hk_future *future;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, close_the_pair, &pair, NULL));
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_count_call, &calls, NULL));
    future = pair.future;
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    HKT_EQ_PTR(pair.future, NULL);
    HKT_EQ_INT(atomic_load(&calls), 1);
}

static void drop_reference(hk_future *future, void *arg)
{
    hk_future **held = arg;

    HKT_EQ_PTR(future, *held);
    hk_future_unref(*held);
    *held = NULL;
}

static void a_broken_promise_runs_the_callbacks(void)
{
    struct hkt_seen seen = {0};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen, NULL));
    HKT_OK(hk_future_on_done(pair.future, NULL, drop_reference, &pair.future, NULL));
    hk_promise_destroy(pair.promise);
    HKT_EQ_PTR(pair.future, NULL);
    HKT_EQ_INT(seen.calls, 1);
    HKT_STATUS(seen.status, HK_EBROKEN);
}

static void free_the_argument(hk_future *future, void *arg)
{
    (void)future;
    free(arg);
}

static void an_argument_is_not_touched_after_the_call(void)
{
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, free_the_argument, malloc(64), NULL));
    hkt_pair_end(&pair, HK_DONE);
    hkt_pair_close(&pair);
}

static CU_TestInfo tests[] = {
    HKT_CASE("CB01 a callback sees the value", a_callback_sees_the_value),
    HKT_CASE("CB02 a callback sees the error", a_callback_sees_the_error),
    HKT_CASE("CB03 a cancel runs the callbacks before it returns",
             a_cancel_runs_the_callbacks_before_it_returns),
    HKT_CASE("CB04 added after success it runs at once", added_after_success_it_runs_at_once),
    HKT_CASE("CB05 added after failure it runs at once", added_after_failure_it_runs_at_once),
    HKT_CASE("CB06 added after a cancel it runs at once", added_after_a_cancel_it_runs_at_once),
    HKT_CASE("the start runs no callback", the_start_runs_no_callback),
    HKT_CASE("nothing to call is refused", nothing_to_call_is_refused),
    HKT_CASE("CB07 a misbehaving callback stops no later one",
             a_misbehaving_callback_stops_no_later_one),
    HKT_CASE("CB08 trouble in an immediate callback goes to the log, not to the adder",
             trouble_in_an_immediate_callback_goes_to_the_log),
    HKT_CASE("CB09 callbacks run in the order added, each once",
             callbacks_run_in_the_order_added_each_once),
    HKT_CASE("CB09 the same callback twice runs twice", the_same_callback_twice_runs_twice),
    HKT_CASE("CB09 a callback added while others run joins behind",
             a_callback_added_while_others_run_joins_behind),
    HKT_CASE("CB11 a held callback holds nobody else up", a_held_callback_holds_nobody_else_up),
    HKT_CASE("CB11 a callback may use everything", a_callback_may_use_everything),
    HKT_CASE("CB11 a callback may drop the last reference", a_callback_may_drop_the_last_reference),
    HKT_CASE("a broken promise runs the callbacks", a_broken_promise_runs_the_callbacks),
    HKT_CASE("an argument is not touched after the call",
             an_argument_is_not_touched_after_the_call),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "callback", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
