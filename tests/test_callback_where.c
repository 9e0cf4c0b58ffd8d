/* SPDX-License-Identifier: MIT */
/* Callbacks that run on an executor, and callbacks that use one. Cases CB11 of
 * docs/contract.md. Each case says what is left of it where tasks run inline. */
#include <string.h>

#include "tests/promise_fixture.h"

/* --- Where a callback runs -------------------------------------------------------- */

/* A callback that tells when it ran. */
struct notice {
    struct hkt_gate ran;
    struct hkt_seen seen;
};

static void see_and_tell(hk_future *future, void *arg)
{
    struct notice *notice = arg;

    hkt_see(future, &notice->seen);
    hkt_gate_open(&notice->ran);
}

static void notice_init(struct notice *notice)
{
    memset(notice, 0, sizeof(*notice));
    hkt_gate_init(&notice->ran, "a callback on an executor");
}

/* On the inline executor that thread is the one that ends the future. */
static void a_callback_runs_on_a_thread_of_its_executor(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};

    for (int i = 0; i < 3; i++) {
        struct notice notice;
        struct hkt_pair pair;

        notice_init(&notice);
        hkt_pair_open(&pair);
        HKT_OK(hk_future_on_done(pair.future, hkt_executor, see_and_tell, &notice, NULL));
        hkt_pair_end(&pair, ends[i]);
        hkt_gate_wait(&notice.ran);
        HKT_EQ_INT(notice.seen.calls, 1);
        HKT_EQ_INT(notice.seen.state, ends[i]);
        HKT_EQ_INT(pthread_equal(notice.seen.thread, pthread_self()) != 0, hkt_is_inline());
        hkt_pair_close(&pair);
        hkt_gate_fini(&notice.ran);
    }
}

static void added_late_it_runs_there_too(void)
{
    struct notice notice;
    struct hkt_pair pair;

    notice_init(&notice);
    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK(hk_future_on_done(pair.future, hkt_executor, see_and_tell, &notice, NULL));
    hkt_gate_wait(&notice.ran);
    HKT_EQ_INT(notice.seen.value, HKT_VALUE);
    HKT_EQ_INT(pthread_equal(notice.seen.thread, pthread_self()) != 0, hkt_is_inline());
    hkt_pair_close(&pair);
    hkt_gate_fini(&notice.ran);
}

static void a_callback_keeps_the_future_until_it_has_run(void)
{
    struct notice notice;
    struct hkt_plug plug;
    struct hkt_pair pair;

    notice_init(&notice);
    if (!hkt_is_inline()) { /* Nothing could be queued behind a plug there. */
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    }
    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, hkt_executor, see_and_tell, &notice, NULL));
    hkt_pair_end(&pair, HK_DONE);
    hkt_pair_close(&pair);
    HKT_EQ_INT(notice.seen.calls, hkt_is_inline());
    if (!hkt_is_inline()) {
        hkt_plug_pull(&plug);
    }
    hkt_gate_wait(&notice.ran);
    HKT_EQ_INT(notice.seen.value, HKT_VALUE);
    /* The last worker may still be inside see_and_tell(): see it leave. */
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_gate_fini(&notice.ran);
}

static void an_executor_that_refuses_leaves_it_to_the_ending_thread(void)
{
    struct hkt_seen before = {0};
    struct hkt_seen after = {0};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, hkt_executor, hkt_see, &before, NULL));
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(before.calls, 1);
    HKT_TRUE(pthread_equal(before.thread, pthread_self()));
    HKT_OK(hk_future_on_done(pair.future, hkt_executor, hkt_see, &after, NULL));
    HKT_EQ_INT(after.calls, 1);
    HKT_TRUE(pthread_equal(after.thread, pthread_self()));
    hkt_pair_close(&pair);
}

/* With one worker the order can be seen; with more they overlap, and each runs once. */
static void callbacks_are_handed_over_in_the_order_added(void)
{
    enum { COUNT = 8 };
    struct hkt_order order = {.count = 0};
    struct hkt_seen seen[COUNT];
    int expected[COUNT];
    struct hkt_pair pair;

    memset(seen, 0, sizeof(seen));
    hkt_pair_open(&pair);
    for (int i = 0; i < COUNT; i++) {
        seen[i].order = hkt_worker_count() == 1 ? &order : NULL;
        seen[i].who = expected[i] = i;
        HKT_OK(hk_future_on_done(pair.future, hkt_executor, hkt_see, &seen[i], NULL));
    }
    hkt_pair_end(&pair, HK_DONE);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    for (int i = 0; i < COUNT; i++) {
        HKT_EQ_INT(seen[i].calls, 1);
        HKT_EQ_INT(seen[i].value, HKT_VALUE);
    }
    if (hkt_worker_count() == 1) {
        hkt_order_expect(&order, COUNT, expected);
    }
    hkt_pair_close(&pair);
}

/* --- Removal ---------------------------------------------------------------------- */

/* Inline it cannot be queued: there it has run, and the removal is too late. */
static void a_callback_that_is_queued_can_still_be_removed(void)
{
    struct hkt_seen seen = {0};
    struct hkt_plug plug;
    hk_hook *hook = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, hkt_executor, hkt_see, &seen, &hook));
    if (hkt_is_inline()) {
        hkt_pair_end(&pair, HK_DONE);
        HKT_STATUS(hk_hook_remove(hook), HK_ESTATE);
        HKT_EQ_INT(seen.calls, 1);
    } else {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
        hkt_pair_end(&pair, HK_DONE);
        HKT_OK(hk_hook_remove(hook));
        hkt_plug_pull(&plug);
        HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
        HKT_EQ_INT(seen.calls, 0);
    }
    hkt_pair_close(&pair);
}

struct standing {
    struct hkt_gate gate;
    hk_hook *hook;
    hk_status status;
    int payload; /* Plain: the removal orders it. */
};

static void stand(hk_future *future, void *arg)
{
    struct standing *standing = arg;

    (void)future;
    hkt_gate_wait(&standing->gate);
    standing->payload = 23;
}

static void remove_standing(void *arg)
{
    struct standing *standing = arg;

    standing->status = hk_hook_remove(standing->hook);
    HKT_EQ_INT(standing->payload, 23);
}

static void end_pair(void *arg)
{
    hkt_pair_end(arg, HK_DONE);
}

/* Inline the callback stands in the thread that ends the future. */
static void removing_one_that_runs_on_a_worker_waits_for_its_end(void)
{
    struct standing standing = {.hook = NULL};
    struct hkt_thread remover;
    struct hkt_thread ender;
    struct hkt_pair pair;

    hkt_gate_init(&standing.gate, "a callback on a worker");
    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, hkt_executor, stand, &standing, &standing.hook));
    hkt_thread_start(&ender, end_pair, &pair);
    hkt_gate_await_arrivals(&standing.gate, 1);
    hkt_thread_start(&remover, remove_standing, &standing);
    hkt_thread_await_sleep(&remover);
    hkt_gate_open(&standing.gate);
    hkt_thread_join(&remover);
    hkt_thread_join(&ender);
    HKT_STATUS(standing.status, HK_ESTATE);
    hkt_pair_close(&pair);
    hkt_gate_fini(&standing.gate);
}

/* --- CB11: callbacks that use an executor ----------------------------------------- */

struct follow_up {
    struct hkt_gate ran;
    hk_executor *executor;
    hk_future *next;
    hk_status statuses[3];
};

static void follow_up_init(struct follow_up *follow_up)
{
    memset(follow_up, 0, sizeof(*follow_up));
    hkt_gate_init(&follow_up->ran, "a callback that uses an executor");
    follow_up->executor = hkt_executor;
}

static void submit_once_more(hk_future *future, void *arg)
{
    struct follow_up *follow_up = arg;
    int value = hkt_peek_int(future);

    follow_up->statuses[0] =
        hk_submit(follow_up->executor, hkt_square, &value, sizeof(value), NULL, &follow_up->next);
    hkt_gate_open(&follow_up->ran);
}

static void a_callback_may_submit(void)
{
    hk_executor *const places[] = {NULL, hkt_executor};

    for (int i = 0; i < 2; i++) {
        struct follow_up follow_up;
        hk_future *first = hkt_submit_int(hkt_executor, hkt_square, 3);

        follow_up_init(&follow_up);
        HKT_OK(hk_future_on_done(first, places[i], submit_once_more, &follow_up, NULL));
        hkt_gate_wait(&follow_up.ran);
        HKT_OK(follow_up.statuses[0]);
        HKT_EQ_INT(hkt_take_int(follow_up.next), 81);
        HKT_EQ_INT(hkt_take_int(first), 9);
        hkt_gate_fini(&follow_up.ran);
    }
}

static void shut_down(hk_future *future, void *arg)
{
    struct follow_up *follow_up = arg;

    (void)future;
    follow_up->statuses[0] =
        hk_executor_shutdown(follow_up->executor, HK_SHUTDOWN_CANCEL_QUEUED, 0);
    follow_up->statuses[1] =
        hk_submit(follow_up->executor, hkt_nothing, NULL, 0, NULL, &follow_up->next);
    follow_up->statuses[2] = hk_executor_destroy(follow_up->executor);
    hkt_gate_open(&follow_up->ran);
}

/* On its own worker a callback cannot wait for the end of that worker. Inline the
 * callback runs within a submit to the executor, which is as much within it. */
static void a_callback_may_shut_its_executor_down_without_waiting(void)
{
    struct follow_up follow_up;
    struct hkt_pair pair;

    follow_up_init(&follow_up);
    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, hkt_executor, shut_down, &follow_up, NULL));
    hkt_pair_end(&pair, HK_DONE);
    hkt_gate_wait(&follow_up.ran);
    HKT_OK(follow_up.statuses[0]);
    HKT_STATUS(follow_up.statuses[1], HK_ECLOSED);
    HKT_STATUS(follow_up.statuses[2], HK_EDEADLK);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_pair_close(&pair);
    hkt_gate_fini(&follow_up.ran);
}

struct wait_for_own {
    struct hkt_gate ran;
    hk_status status;
};

static void shut_down_and_wait(hk_future *future, void *arg)
{
    struct wait_for_own *own = arg;

    (void)future;
    own->status = hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER);
    hkt_gate_open(&own->ran);
}

static void waiting_for_its_own_worker_is_refused(void)
{
    struct wait_for_own own = {.status = HK_OK};
    struct hkt_pair pair;

    hkt_gate_init(&own.ran, "a callback that waits for its own worker");
    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, hkt_executor, shut_down_and_wait, &own, NULL));
    hkt_pair_end(&pair, HK_DONE);
    hkt_gate_wait(&own.ran);
    HKT_STATUS(own.status, HK_EDEADLK);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_pair_close(&pair);
    hkt_gate_fini(&own.ran);
}

/* The task's own reference is the last one when the callback runs. */
static void a_task_nobody_holds_still_runs_its_callbacks(void)
{
    atomic_uint calls = 0;
    hk_future *future = hkt_submit_int(hkt_executor, hkt_square, 5);

    HKT_OK(hk_future_on_done(future, NULL, hkt_count_call, &calls, NULL));
    HKT_OK(hk_future_on_done(future, hkt_executor, hkt_count_call, &calls, NULL));
    hk_future_unref(future);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&calls), 2);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a callback runs on a thread of its executor",
             a_callback_runs_on_a_thread_of_its_executor),
    HKT_CASE("added late it runs there too", added_late_it_runs_there_too),
    HKT_CASE("a callback keeps the future until it has run",
             a_callback_keeps_the_future_until_it_has_run),
    HKT_CASE("CB08 PR10 an executor that refuses leaves the callback to the ending thread",
             an_executor_that_refuses_leaves_it_to_the_ending_thread),
    HKT_CASE("CB09 callbacks are handed over in the order added",
             callbacks_are_handed_over_in_the_order_added),
    HKT_CASE("a callback that is queued can still be removed",
             a_callback_that_is_queued_can_still_be_removed),
    HKT_CASE("removing one that runs on a worker waits for its end",
             removing_one_that_runs_on_a_worker_waits_for_its_end),
    HKT_CASE("CB11 a callback may submit", a_callback_may_submit),
    HKT_CASE("CB11 a callback may shut its executor down without waiting",
             a_callback_may_shut_its_executor_down_without_waiting),
    HKT_CASE("CB11 waiting for its own worker is refused", waiting_for_its_own_worker_is_refused),
    HKT_CASE("a task nobody holds still runs its callbacks",
             a_task_nobody_holds_still_runs_its_callbacks),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "callback_where",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
