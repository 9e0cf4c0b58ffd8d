/* SPDX-License-Identifier: MIT */
/*
 * Cases CB of docs/contract.md with the futures of every executor; test_callback.c asks the same
 * of promises. A callback runs in the thread that ends the future, or that adds it late, always
 * in the process of the test.
 */
#include <string.h>

#include "tests/led_fixture.h"

/* Callbacks of a future end after those who wait for it have been woken: what they leave is
 * looked at when they have said that they are through. */
static bool has_run(void *arg)
{
    return atomic_load((atomic_uint *)arg) != 0;
}

static void expect_run(atomic_uint *calls)
{
    hkt_until(has_run, calls);
    HKT_EQ_INT(atomic_load(calls), 1);
}

struct view {
    hk_state state;
    hk_status status;
    int value;
    int app_code;
    atomic_uint calls; /* The last to be written. */
};

static void look(hk_future *future, void *arg)
{
    struct view *view = arg;
    const hk_error *error = NULL;
    const void *value = NULL;

    view->state = hk_future_state(future);
    view->status = hk_future_result(future, 0, &value, NULL);
    if (view->state == HK_DONE) {
        memcpy(&view->value, value, sizeof(view->value));
    } else if (hk_future_error(future, 0, &error) == HK_OK) {
        view->app_code = error->app_code;
    }
    atomic_fetch_add(&view->calls, 1);
}

static void expect_view(struct view *view, hk_state end)
{
    expect_run(&view->calls);
    HKT_EQ_INT(view->state, end);
    HKT_EQ_INT(view->value, end == HK_DONE ? HKT_VALUE : 0);
    HKT_EQ_INT(view->app_code, end == HK_FAILED ? HKT_APP_CODE : 0);
}

/* --- CB01 to CB06: before and after the end --- */

static void see_the_end(hk_state end)
{
    struct view view = {.value = 0};
    struct hkt_led led;

    hkt_led_begin(&led);
    HKT_OK(hk_future_on_done(led.future, NULL, look, &view, NULL));
    HKT_EQ_INT(atomic_load(&view.calls), 0);
    hkt_led_end(&led, end);
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    expect_view(&view, end);
    hkt_led_close(&led);
}

static void one_added_before_sees_the_value(void)
{
    see_the_end(HK_DONE);
}

static void one_added_before_sees_the_error(void)
{
    see_the_end(HK_FAILED);
}

static void a_cancel_has_run_them_when_it_returns(void)
{
    struct view view = {.value = 0};
    struct hkt_plug plug;
    hk_future *future = NULL;

    if (hkt_is_inline()) {
        hkt_not_here("inline a task has ended before its future is handed out");
        return;
    }
    hkt_fill(&plug);
    future = hkt_submit_int(hkt_executor, hkt_square, 2);
    HKT_OK(hk_future_on_done(future, NULL, look, &view, NULL));
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    HKT_EQ_INT(atomic_load(&view.calls), 1); /* Not soon: now. */
    HKT_EQ_INT(view.state, HK_CANCELLED);
    HKT_STATUS(view.status, HK_ECANCELED);
    hkt_plug_pull(&plug);
    hk_future_unref(future);
}

struct thread_note {
    pthread_t thread;
    unsigned calls;
};

static void note_thread(hk_future *future, void *arg)
{
    struct thread_note *note = arg;

    (void)future;
    note->thread = pthread_self();
    note->calls++;
}

static void see_what_has_ended(hk_state end)
{
    struct thread_note note = {.calls = 0};
    struct hkt_led led;

    hkt_led_through(&led, end);
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    HKT_OK(hk_future_on_done(led.future, NULL, note_thread, &note, NULL));
    HKT_EQ_INT(note.calls, 1);
    HKT_TRUE(pthread_equal(note.thread, pthread_self()));
    hkt_led_close(&led);
    HKT_EQ_INT(note.calls, 1);
}

static void added_after_a_value_it_runs_at_once(void)
{
    see_what_has_ended(HK_DONE);
}

static void added_after_a_failure_it_runs_at_once(void)
{
    see_what_has_ended(HK_FAILED);
}

static void added_after_a_cancel_it_runs_at_once(void)
{
    see_what_has_ended(HK_CANCELLED);
}

/* --- CB07, CB08: trouble --- */

struct trouble {
    atomic_uint late; /* Of the callback that it adds. */
    hk_hook *victim;
    hk_status cancel;
    hk_status add;
    hk_status remove;
    hk_status submit;
};

static void make_trouble(hk_future *future, void *arg)
{
    struct trouble *trouble = arg;
    hk_future *own = hk_future_ref(future);

    trouble->cancel = hk_future_cancel(future, HK_CANCEL_KILL);
    trouble->add = hk_future_on_done(future, NULL, hkt_count_call, &trouble->late, NULL);
    trouble->remove = trouble->victim != NULL ? hk_hook_remove(trouble->victim) : HK_EINVAL;
    trouble->submit = hk_submit(hkt_executor, NULL, NULL, 0, NULL, NULL);
    hk_future_unref(own);
}

static void whatever_one_does_later_ones_run(void)
{
    struct trouble trouble = {.cancel = HK_OK};
    atomic_uint victim = 0;
    atomic_uint last = 0;
    struct hkt_led led;

    hkt_led_begin(&led);
    HKT_OK(hk_future_on_done(led.future, NULL, make_trouble, &trouble, NULL));
    HKT_OK(hk_future_on_done(led.future, NULL, hkt_count_call, &victim, &trouble.victim));
    HKT_OK(hk_future_on_done(led.future, NULL, hkt_count_call, &last, NULL));
    hkt_led_end(&led, HK_DONE);
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    expect_run(&last);
    expect_run(&trouble.late);
    HKT_STATUS(trouble.cancel, HK_ESTATE);
    HKT_OK(trouble.add);
    HKT_OK(trouble.remove);
    HKT_EQ_INT(atomic_load(&victim), 0);
    HKT_EQ_INT(hkt_peek_int(led.future), HKT_VALUE);
    hkt_led_close(&led);
}

static void trouble_is_not_told_to_who_adds(void)
{
    struct trouble trouble = {.victim = NULL};
    struct hkt_led led;

    hkt_led_through(&led, HK_DONE);
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    HKT_OK(hk_future_on_done(led.future, NULL, make_trouble, &trouble, NULL));
    HKT_STATUS(trouble.submit, HK_EINVAL);
    HKT_STATUS(trouble.remove, HK_EINVAL);
    expect_run(&trouble.late);
    hkt_led_close(&led);
}

/* --- CB09: order --- */

enum { CALLBACKS = 20 };

struct order {
    unsigned next; /* Plain: callbacks of a future run one after the other. */
    unsigned wrong;
    atomic_uint through;
};

struct place {
    struct order *order;
    unsigned number;
};

static void take_place(hk_future *future, void *arg)
{
    struct place *place = arg;

    (void)future;
    place->order->wrong += place->order->next++ != place->number;
    if (place->order->next == CALLBACKS) {
        atomic_fetch_add(&place->order->through, 1);
    }
}

static void they_run_in_the_order_added(void)
{
    struct order order = {.next = 0};
    struct place places[CALLBACKS];
    struct hkt_led led;

    hkt_led_begin(&led);
    for (unsigned i = 0; i < CALLBACKS; i++) {
        places[i] = (struct place){&order, i};
        HKT_OK(hk_future_on_done(led.future, NULL, take_place, &places[i], NULL));
        if (i == CALLBACKS / 2) {
            hkt_led_end(&led, HK_FAILED); /* The rest may come before, while, or after. */
        }
    }
    HKT_OK(hk_future_wait(led.future, HK_FOREVER));
    expect_run(&order.through);
    HKT_EQ_INT(order.wrong, 0);
    HKT_EQ_INT(order.next, CALLBACKS);
    hkt_led_close(&led);
}

/* --- CB11: no lock is held --- */

struct user {
    atomic_uint through;
    hk_status status;
    hk_future *own; /* The last reference. */
    hk_future *next;
};

static void use_everything(hk_future *future, void *arg)
{
    struct user *user = arg;
    hk_executor_statistics statistics;
    int value = 6;

    (void)future;
    user->status = hk_executor_stats(hkt_executor, &statistics);
    if (user->status == HK_OK) {
        user->status =
            hk_submit(hkt_executor, hkt_square, &value, sizeof(value), NULL, &user->next);
    }
    hk_future_unref(user->own);
    atomic_fetch_add(&user->through, 1);
}

static void one_may_submit_and_drop_the_last_reference(void)
{
    struct user user = {.status = HK_EINVAL};
    struct hkt_led led;

    hkt_led_begin(&led);
    user.own = led.future;
    HKT_OK(hk_future_on_done(led.future, NULL, use_everything, &user, NULL));
    hkt_led_end(&led, HK_DONE);
    expect_run(&user.through);
    hk_promise_destroy(led.promise);
    HKT_OK(user.status);
    HKT_EQ_INT(hkt_take_int(user.next), 36);
}

struct closer {
    atomic_uint through;
    hk_status cancel;
    hk_status shutdown;
    hk_future *queued;
};

static void close_all(hk_future *future, void *arg)
{
    struct closer *closer = arg;

    (void)future;
    closer->cancel = hk_future_cancel(closer->queued, HK_CANCEL_PENDING);
    closer->shutdown = hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, 0);
    atomic_fetch_add(&closer->through, 1);
}

static void one_may_cancel_and_shut_down(void)
{
    struct closer closer = {.cancel = HK_EINVAL};
    struct hkt_led led;
    struct hkt_led queued;

    hkt_led_begin(&led);
    hkt_led_begin(&queued);
    closer.queued = queued.future;
    HKT_OK(hk_future_on_done(led.future, NULL, close_all, &closer, NULL));
    hkt_led_end(&led, HK_DONE);
    expect_run(&closer.through);
    HKT_TRUE(closer.cancel == HK_OK || closer.cancel == HK_ESTATE); /* It may have begun. */
    HKT_OK(closer.shutdown);
    HKT_STATUS(hk_submit(hkt_executor, hkt_nothing, NULL, 0, NULL, NULL), HK_ECLOSED);
    hkt_led_close(&led);
    hkt_led_close(&queued);
}

static CU_TestInfo tests[] = {
    HKT_CASE("CB01 one added before sees the value", one_added_before_sees_the_value),
    HKT_CASE("CB02 one added before sees the error", one_added_before_sees_the_error),
    HKT_CASE("CB03 a cancel has run them when it returns", a_cancel_has_run_them_when_it_returns),
    HKT_CASE("CB04 added after a value it runs at once", added_after_a_value_it_runs_at_once),
    HKT_CASE("CB05 added after a failure it runs at once", added_after_a_failure_it_runs_at_once),
    HKT_CASE("CB06 added after a cancel it runs at once", added_after_a_cancel_it_runs_at_once),
    HKT_CASE("CB07 whatever one does later ones run", whatever_one_does_later_ones_run),
    HKT_CASE("CB08 trouble is not told to who adds", trouble_is_not_told_to_who_adds),
    HKT_CASE("CB09 they run in the order added", they_run_in_the_order_added),
    HKT_CASE("CB11 one may submit and drop the last reference",
             one_may_submit_and_drop_the_last_reference),
    HKT_CASE("CB11 one may cancel and shut down", one_may_cancel_and_shut_down),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_callback",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
