/* SPDX-License-Identifier: MIT */
/* One future, and who ends it, waits for it, or adds a callback. */
#include "tests/schedule/point.h"
#include "tests/schedule/scenario.h"

static hk_promise *promise;
static hk_future *future;

/* A promise with one more reference for each of two actors. */
static void make(void)
{
    HKT_IS(hk_promise_create(&promise, &future), HK_OK);
}

static void set_five(void *unused)
{
    hk_status status;
    int five = 5;

    (void)unused;
    status = hk_promise_start(promise);
    if (status == HK_OK) {
        status = hk_promise_set(promise, &five, sizeof(five));
    }
    HKT_MUST(status == HK_OK || (status == HK_ECANCELED || status == HK_ESTATE));
    hk_promise_destroy(promise);
}

static void expect_five(hk_status status, const void *value, size_t size)
{
    HKT_IS(status, HK_OK);
    HKT_MUST(size == sizeof(int) && *(const int *)value == 5);
}

/* --- who waits owns the promise --- */

static void only_set(void *unused)
{
    int five = 5;

    (void)unused;
    HKT_IS(hk_promise_set(promise, &five, sizeof(five)), HK_OK);
}

/* Once it has ended, nothing more is needed of it; the one who sets it may not be back yet. */
static void wait_and_destroy(void)
{
    struct hkt_actor setter;
    const void *value;
    size_t size;
    hk_status status;

    make();
    setter = hkt_act(only_set, NULL);
    status = hk_future_result(future, HK_FOREVER, &value, &size);
    expect_five(status, value, size);
    hk_promise_destroy(promise);
    hk_future_unref(future);
    hkt_await(setter);
}

/* --- cancel against complete --- */

static void cancel(void *arg)
{
    hk_status status = hk_future_cancel(future, HK_CANCEL_PENDING);

    HKT_MUST(status == HK_OK || status == HK_ESTATE);
    *(hk_status *)arg = status;
}

static void cancel_or_complete(void)
{
    hk_status cancelled = HK_EINVAL;
    hk_status status;
    const void *value;
    size_t size;
    struct hkt_actor setter;
    struct hkt_actor canceller;

    make();
    setter = hkt_act(set_five, NULL);
    canceller = hkt_act(cancel, &cancelled);
    status = hk_future_result(future, HK_FOREVER, &value, &size);
    hkt_await(setter);
    hkt_await(canceller);
    HKT_IS(status, cancelled == HK_OK ? HK_ECANCELED : HK_OK);
    if (status == HK_OK) {
        expect_five(status, value, size);
    }
    hk_future_unref(future);
}

/* --- several who wait --- */

static void wait_for_five(void *unused)
{
    const void *value;
    size_t size;
    hk_status status = hk_future_result(future, HK_FOREVER, &value, &size);

    (void)unused;
    expect_five(status, value, size);
    hk_future_unref(future);
}

static void two_wait(void)
{
    struct hkt_actor actors[3];

    make();
    hk_future_ref(future);
    hk_future_ref(future);
    actors[0] = hkt_act(wait_for_five, NULL);
    actors[1] = hkt_act(wait_for_five, NULL);
    actors[2] = hkt_act(set_five, NULL);
    wait_for_five(NULL);
    for (int i = 0; i < 3; i++) {
        hkt_await(actors[i]);
    }
}

/* --- a wait that may run out --- */

static void wait_or_run_out(void)
{
    struct hkt_actor setter;
    const void *value;
    size_t size;
    hk_status status;

    make();
    setter = hkt_act(set_five, NULL);
    status = hk_future_result(future, HK_US(3), &value, &size);
    HKT_MUST(status == HK_OK || status == HK_ETIMEDOUT);
    status = hk_future_result(future, HK_FOREVER, &value, &size);
    expect_five(status, value, size);
    hk_future_unref(future);
    hkt_await(setter);
}

/* --- the last references, let go at once --- */

static void let_go(void *unused)
{
    (void)unused;
    (void)hk_future_state(future);
    hk_future_unref(future);
}

static void last_reference(void)
{
    struct hkt_actor actors[2];

    make();
    hk_future_ref(future);
    actors[0] = hkt_act(set_five, NULL);
    actors[1] = hkt_act(let_go, NULL);
    let_go(NULL);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
}

/* --- callbacks --- */

enum { CALLBACKS = 3 };

static volatile int noting;       /* Callbacks that have begun. */
static unsigned called;           /* Callbacks that were called. */
static unsigned order[CALLBACKS]; /* When each was, from 1. */

static void note(hk_future *ended, void *arg)
{
    unsigned *at = arg;

    noting++;
    for (int i = 0; i < 4; i++) {
        hkt_point("note", at, HKT_SITE); /* It takes its time. */
        HKT_MUST(hk_future_has_ended(ended));
    }
    HKT_MUST(*at == 0);
    *at = ++called;
}

static void reset_callbacks(void)
{
    noting = 0;
    called = 0;
    for (unsigned i = 0; i < CALLBACKS; i++) {
        order[i] = 0;
    }
}

/* In the order in which one thread adds them, each exactly once, whenever the end comes. */
static void callbacks_in_order(void)
{
    struct hkt_actor setter;

    make();
    reset_callbacks();
    setter = hkt_act(set_five, NULL);
    for (unsigned i = 0; i < CALLBACKS; i++) {
        HKT_IS(hk_future_on_done(future, NULL, note, &order[i], NULL), HK_OK);
    }
    hkt_await(setter);
    HKT_MUST(called == CALLBACKS);
    for (unsigned i = 0; i < CALLBACKS; i++) {
        HKT_MUST(order[i] == i + 1);
    }
    hk_future_unref(future);
}

static void add_one(void *arg)
{
    HKT_IS(hk_future_on_done(future, NULL, note, arg, NULL), HK_OK);
}

static void callbacks_of_two(void)
{
    struct hkt_actor actors[2];

    make();
    reset_callbacks();
    actors[0] = hkt_act(set_five, NULL);
    actors[1] = hkt_act(add_one, &order[0]);
    add_one(&order[1]);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    HKT_MUST(called == 2);
    hk_future_unref(future);
}

/* After the remove has returned, the argument is not touched. */
static void remove_callback(void)
{
    struct hkt_actor setter;
    hk_hook *hook;
    hk_status status;
    unsigned before;

    make();
    reset_callbacks();
    setter = hkt_act(set_five, NULL);
    HKT_IS(hk_future_on_done(future, NULL, note, &order[0], &hook), HK_OK);
    if (hkt_chance(2) == 0) {
        hkt_machine_wait_for(&noting, 1);
    }
    status = hk_hook_remove(hook);
    before = order[0];
    HKT_MUST((status == HK_OK) == (before == 0));
    hkt_await(setter);
    HKT_MUST(order[0] == before);
    hk_future_unref(future);
}

/* --- waits for several --- */

static hk_promise *promises[2];
static hk_future *futures[2];

static void make_two(void)
{
    for (int i = 0; i < 2; i++) {
        HKT_IS(hk_promise_create(&promises[i], &futures[i]), HK_OK);
    }
}

static void drop_two(void)
{
    for (int i = 0; i < 2; i++) {
        hk_future_unref(futures[i]);
    }
}

static void set_one_of_two(void *arg)
{
    uintptr_t i = (uintptr_t)arg;
    int value = (int)i;

    HKT_IS(hk_promise_set(promises[i], &value, sizeof(value)), HK_OK);
    hk_promise_destroy(promises[i]);
}

static void wait_any(void)
{
    struct hkt_actor actors[2];
    bool done[2];
    size_t ended;

    make_two();
    actors[0] = hkt_act(set_one_of_two, (void *)0);
    actors[1] = hkt_act(set_one_of_two, (void *)1);
    HKT_IS(hk_wait(futures, 2, HK_FIRST_COMPLETED, HK_FOREVER, done, &ended), HK_OK);
    HKT_MUST(ended >= 1 && ended == (size_t)done[0] + done[1]);
    HKT_MUST(done[0] == false || hk_future_has_ended(futures[0]));
    HKT_MUST(done[1] == false || hk_future_has_ended(futures[1]));
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    drop_two();
}

static void wait_all(void)
{
    struct hkt_actor actors[2];
    bool done[2];
    size_t ended;

    make_two();
    actors[0] = hkt_act(set_one_of_two, (void *)0);
    actors[1] = hkt_act(set_one_of_two, (void *)1);
    HKT_IS(hk_wait(futures, 2, HK_ALL_COMPLETED, HK_FOREVER, done, &ended), HK_OK);
    HKT_MUST(ended == 2 && done[0] && done[1]);
    drop_two();
    hkt_await(actors[0]);
    hkt_await(actors[1]);
}

/* Each is delivered once, and its value can be read. */
static void as_completed(void)
{
    struct hkt_actor actors[2];
    hk_completion *completion;
    hk_future *next;
    uintptr_t place;
    bool seen[2] = {false, false};

    make_two();
    actors[0] = hkt_act(set_one_of_two, (void *)0);
    actors[1] = hkt_act(set_one_of_two, (void *)1);
    HKT_IS(hk_as_completed(futures, 2, HK_FOREVER, &completion), HK_OK);
    drop_two();
    for (int i = 0; i < 2; i++) {
        HKT_IS(hk_completion_next(completion, HK_FOREVER, &next, &place), HK_OK);
        HKT_MUST(place < 2 && !seen[place]);
        seen[place] = true;
        hkt_gives(next, (int)place);
    }
    HKT_IS(hk_completion_next(completion, HK_FOREVER, &next, &place), HK_EDONE);
    hk_completion_destroy(completion);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
}

/* What a poll says and what its flags say are of one moment. */
static void poll_of_two(void)
{
    struct hkt_actor actors[2];

    make_two();
    actors[0] = hkt_act(set_one_of_two, (void *)0);
    actors[1] = hkt_act(set_one_of_two, (void *)1);
    for (int what = HK_ALL_COMPLETED; what <= HK_FIRST_COMPLETED; what++) {
        bool done[2] = {false, false};
        size_t ended = 0;
        hk_status status = hk_wait(futures, 2, (hk_wait_for)what, 0, done, &ended);

        HKT_MUST(ended == (size_t)done[0] + (size_t)done[1]);
        HKT_MUST((status == HK_OK) == (ended >= (what == HK_ALL_COMPLETED ? 2 : 1)));
    }
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    drop_two();
}

/* The queue goes while futures of it end. */
static void completion_destroyed(void)
{
    struct hkt_actor actors[2];
    hk_completion *completion;
    hk_future *next;
    uintptr_t place;

    make_two();
    HKT_IS(hk_as_completed(futures, 2, HK_FOREVER, &completion), HK_OK);
    actors[0] = hkt_act(set_one_of_two, (void *)0);
    actors[1] = hkt_act(set_one_of_two, (void *)1);
    HKT_IS(hk_completion_next(completion, HK_FOREVER, &next, &place), HK_OK);
    hkt_gives(next, (int)place);
    hk_completion_destroy(completion);
    drop_two();
    hkt_await(actors[0]);
    hkt_await(actors[1]);
}

#define LOST_WAKES (HKT_FAULT(HKT_LOSES_WAKES) | HKT_FAULT(HKT_SLEEPS_BLINDLY))

const struct hkt_scenario hkt_future_scenarios[] = {
    {"cancel-or-complete", cancel_or_complete, true, LOST_WAKES},
    {"wait-and-destroy", wait_and_destroy, true, LOST_WAKES},
    {"two-wait", two_wait, true, LOST_WAKES},
    {"wait-or-run-out", wait_or_run_out, false, HKT_FAULT(HKT_LOSES_WAKES)},
    {"last-reference", last_reference, true, 0},
    {"callbacks-in-order", callbacks_in_order, true, 0},
    {"callbacks-of-two", callbacks_of_two, true, 0},
    {"remove-callback", remove_callback, true, 0},
    {"wait-any", wait_any, true, LOST_WAKES},
    {"wait-all", wait_all, true, LOST_WAKES},
    {"as-completed", as_completed, true, LOST_WAKES},
    {"poll-of-two", poll_of_two, true, 0},
    {"completion-destroyed", completion_destroyed, true, 0},
    {0}};
