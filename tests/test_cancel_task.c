/* SPDX-License-Identifier: MIT */
/* Tasks that carry a cancel token. Inline nothing is ever queued, and what runs is
 * on the caller's own stack: there a task fires its own token. */
#include <string.h>

#include "tests/promise_fixture.h"

static hk_cancel_token *create(hk_cancel_token *parent)
{
    hk_cancel_token *token = NULL;

    HKT_OK_FATAL(hk_cancel_token_create(parent, &token));
    return token;
}

static hk_future *submit_with(hk_cancel_token *token, const hk_task *task, void *arg,
                              hk_drop_fn *drop)
{
    const hk_submit_options options = {.token = token};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit_ref(hkt_executor, task, arg, drop, &options, &future));
    return future;
}

static void a_fired_token_refuses_the_submit(void)
{
    hk_cancel_token *token = create(NULL);
    const hk_submit_options options = {.token = token};
    hk_future *future = NULL;
    atomic_uint drops = 0;

    HKT_OK(hk_cancel_token_fire(token, "too late"));
    HKT_STATUS(hk_submit(hkt_executor, hkt_nothing, NULL, 0, &options, &future), HK_ECANCELED);
    HKT_STATUS(hk_submit_ref(hkt_executor, hkt_counts, &drops, hkt_count_drop, &options, &future),
               HK_ECANCELED);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(atomic_load(&drops), 0);
    HKT_EQ_INT(hkt_stats(hkt_executor).submitted, 0);
    hk_cancel_token_unref(token);
}

enum { QUEUED = 6 };

static void firing_cancels_what_has_not_started(void)
{
    hk_cancel_token *token = create(NULL);
    hk_cancel_token *child = create(token);
    hk_future *futures[QUEUED];
    struct hkt_plug plug;
    atomic_uint drops = 0;

    if (hkt_is_inline()) {
        /* It has started, and ended, within its submit: the fire comes too late. */
        hk_future *future = submit_with(token, hkt_nothing, &drops, hkt_count_drop);

        HKT_OK(hk_cancel_token_fire(token, "enough"));
        hkt_expect_end(future, HK_OK);
    } else {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
        for (int i = 0; i < QUEUED; i++) {
            futures[i] =
                submit_with(i % 2 == 0 ? token : child, hkt_counts, &drops, hkt_count_drop);
        }
        HKT_OK(hk_cancel_token_fire(token, "enough"));
        /* All of it is true when the fire returns, though no worker was free. */
        HKT_EQ_INT(atomic_load(&drops), QUEUED);
        for (int i = 0; i < QUEUED; i++) {
            HKT_EQ_INT(hk_future_state(futures[i]), HK_CANCELLED);
            HKT_EQ_STR(hk_future_why(futures[i]), "cancelled: enough");
            hk_future_unref(futures[i]);
        }
        hkt_plug_pull(&plug);
    }
    hk_cancel_token_unref(child);
    hk_cancel_token_unref(token);
}

struct stopper {
    hk_cancel_token *token;
    struct hkt_gate runs;
    bool stop_before;
    bool stop_after;
};

/* Tells that it runs, then works until it is asked to stop. */
HK_TASK(runs_until_asked)
{
    struct stopper *stopper = (struct stopper *)(uintptr_t)in;
    hk_status status;

    hkt_gate_open(&stopper->runs);
    status = hk_sleep(call, HK_FOREVER);
    stopper->stop_after = hk_should_stop(call);
    return status;
}

/* Asks itself. */
HK_TASK(fires_its_token)
{
    struct stopper *stopper = (struct stopper *)(uintptr_t)in;

    stopper->stop_before = hk_should_stop(call);
    HKT_OK(hk_cancel_token_fire(stopper->token, "from within"));
    stopper->stop_after = hk_should_stop(call);
    return hk_sleep(call, HK_FOREVER);
}

static void firing_asks_what_runs_to_stop(void)
{
    struct stopper stopper = {.token = create(NULL)};
    hk_future *future;

    hkt_gate_init(&stopper.runs, "a task that waits to be asked");
    if (hkt_is_inline()) {
        future = submit_with(stopper.token, fires_its_token, &stopper, NULL);
        HKT_TRUE(!stopper.stop_before);
    } else {
        future = submit_with(stopper.token, runs_until_asked, &stopper, NULL);
        hkt_gate_wait(&stopper.runs);
        HKT_OK(hk_cancel_token_fire(stopper.token, "from outside"));
    }
    HKT_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
    HKT_TRUE(stopper.stop_after);
    HKT_TRUE(strstr(hk_future_why(future), hkt_is_inline() ? "from within" : "from outside") !=
             NULL);
    hkt_expect_end(future, HK_ECANCELED);
    hk_cancel_token_unref(stopper.token);
    hkt_gate_fini(&stopper.runs);
}

static void firing_leaves_what_has_ended(void)
{
    hk_cancel_token *token = create(NULL);
    const hk_submit_options options = {.token = token};
    hk_future *future = NULL;
    int three = 3;

    HKT_OK_FATAL(hk_submit(hkt_executor, hkt_square, &three, sizeof(three), &options, &future));
    HKT_OK(hk_future_wait(future, HK_FOREVER));
    HKT_OK(hk_cancel_token_fire(token, "too late"));
    HKT_EQ_INT(hkt_take_int(future), 9);
    hk_cancel_token_unref(token);
}

static void cancelling_a_future_does_not_fire_its_token(void)
{
    struct stopper stopper = {.token = create(NULL)};
    hk_future *future;

    hkt_gate_init(&stopper.runs, "a task that waits to be asked");
    if (hkt_is_inline()) {
        future = submit_with(stopper.token, hkt_nothing, &stopper, NULL);
        HKT_STATUS(hk_future_cancel(future, HK_CANCEL_REQUEST), HK_ESTATE);
        hkt_expect_end(future, HK_OK);
    } else {
        future = submit_with(stopper.token, runs_until_asked, &stopper, NULL);
        hkt_gate_wait(&stopper.runs);
        HKT_OK(hk_future_cancel(future, HK_CANCEL_REQUEST));
        hkt_expect_end(future, HK_ECANCELED);
    }
    HKT_TRUE(!hk_cancel_token_is_fired(stopper.token));
    hk_cancel_token_unref(stopper.token);
    hkt_gate_fini(&stopper.runs);
}

/* Hands its own token down, asks itself to stop, and sees the nested submit refused. */
HK_TASK(hands_its_token_down)
{
    struct stopper *stopper = (struct stopper *)(uintptr_t)in;
    hk_cancel_token *own = NULL;
    hk_future *nested = NULL;

    HKT_OK(hk_call_token(call, &own));
    HKT_TRUE(!hk_cancel_token_is_fired(own));
    HKT_OK(hk_cancel_token_fire(stopper->token, "the whole family"));
    HKT_TRUE(hk_cancel_token_is_fired(own));
    HKT_STATUS(hk_submit(hk_call_executor(call), hkt_nothing, NULL, 0,
                         &(hk_submit_options){.token = own}, &nested),
               HK_ECANCELED);
    return HK_ECANCELED;
}

static void the_token_of_a_call_fires_with_it(void)
{
    struct stopper stopper = {.token = create(NULL)};

    hkt_expect_end(submit_with(stopper.token, hands_its_token_down, &stopper, NULL), HK_ECANCELED);
    hk_cancel_token_unref(stopper.token);
}

static void a_task_keeps_its_token(void)
{
    hk_cancel_token *token = create(NULL);
    struct hkt_plug plug;
    hk_future *future;

    if (!hkt_is_inline()) {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    }
    future = submit_with(token, hkt_nothing, NULL, NULL);
    hk_cancel_token_unref(token);
    if (!hkt_is_inline()) {
        hkt_plug_pull(&plug);
    }
    hkt_expect_end(future, HK_OK);
}

/* --- What a cancel is told while its future ends --- */

struct asker {
    hk_future *future;
    hk_status status;
};

/* A drop function: the input goes when it has been decided how the future ends, and nobody has
 * been told yet. */
static void ask_for_a_cancel(void *arg)
{
    struct asker *asker = arg;

    asker->status = hk_future_cancel(asker->future, HK_CANCEL_PENDING);
}

enum how { BY_ITSELF, BY_SHUTDOWN };

static void end_cancelled(enum how how)
{
    struct asker asker = {.status = HK_EFAILED};
    struct hkt_plug plug;

    hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    asker.future = submit_with(NULL, hkt_cancels, &asker, ask_for_a_cancel);
    if (how == BY_SHUTDOWN) {
        HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    }
    hkt_plug_pull(&plug);
    HKT_STATUS(hk_future_wait(asker.future, HK_FOREVER), HK_OK);
    HKT_EQ_INT(hk_future_state(asker.future), HK_CANCELLED);
    /* The same as afterwards. */
    HKT_OK(asker.status);
    HKT_OK(hk_future_cancel(asker.future, HK_CANCEL_PENDING));
    hk_future_unref(asker.future);
}

static void what_ends_cancelled_is_cancelled_already(void)
{
    if (!hkt_is_inline()) { /* There nobody has a future before it has ended. */
        end_cancelled(BY_ITSELF);
        end_cancelled(BY_SHUTDOWN);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("a fired token refuses the submit", a_fired_token_refuses_the_submit),
    HKT_CASE("firing cancels what has not started", firing_cancels_what_has_not_started),
    HKT_CASE("firing asks what runs to stop", firing_asks_what_runs_to_stop),
    HKT_CASE("firing leaves what has ended", firing_leaves_what_has_ended),
    HKT_CASE("cancelling a future does not fire its token",
             cancelling_a_future_does_not_fire_its_token),
    HKT_CASE("the token of a call fires with it", the_token_of_a_call_fires_with_it),
    HKT_CASE("a task keeps its token", a_task_keeps_its_token),
    HKT_CASE("FS08 what is about to end cancelled answers as if it had",
             what_ends_cancelled_is_cancelled_already),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "cancel_task",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
