/* SPDX-License-Identifier: MIT */
/*
 * What follows from "shutdown, fork, exit" and the decisions about order, for every executor:
 * cases SE of docs/contract.md.
 */
#include <string.h>
#include <unistd.h>

#include "tests/led_fixture.h"

enum { TASKS = 6 };

static bool is_inline_here(void)
{
    if (hkt_is_inline()) {
        hkt_not_here("inline nothing is ever queued, and nothing runs outside a submit");
    }
    return hkt_is_inline();
}

/* --- SE01, SE02: only harder --- */

static void a_softer_shutdown_softens_nothing(void)
{
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    hk_future *futures[TASKS];
    struct hkt_plug plug;

    if (is_inline_here()) {
        return;
    }
    hkt_fill(&plug);
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_pointer(hkt_executor, hkt_counts, runs);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, 0));
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hk_future_state(futures[i]), HK_CANCELLED);
        hk_future_unref(futures[i]);
    }
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(runs), 0);
}

static void a_harder_one_cancels_what_a_drain_would_have_run(void)
{
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    hk_future *futures[TASKS];
    struct hkt_plug plug;

    if (is_inline_here()) {
        return;
    }
    hkt_fill(&plug);
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_submit_pointer(hkt_executor, hkt_counts, runs);
    }
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, 0));
    HKT_EQ_INT(hk_future_state(futures[0]), HK_PENDING);
    HKT_STATUS(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, HK_MS(1)),
               HK_ETIMEDOUT);
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(hk_future_state(futures[i]), HK_CANCELLED);
        hk_future_unref(futures[i]);
    }
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(runs), 0);
}

/* --- SE03: after one that waited --- */

static void after_one_that_waited_all_have_ended(void)
{
    static const hk_shutdown_how hows[] = {HK_SHUTDOWN_DRAIN, HK_SHUTDOWN_CANCEL_QUEUED,
                                           HK_SHUTDOWN_CANCEL_ALL, HK_SHUTDOWN_KILL};

    for (size_t i = 0; i < 4; i++) {
        hk_executor *executor = NULL;
        hk_executor_statistics statistics;
        hk_future *futures[TASKS];
        hk_state states[TASKS];

        HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &executor));
        for (int n = 0; n < TASKS; n++) {
            futures[n] = hkt_submit_int(executor, n % 2 == 0 ? hkt_square : hkt_fails, n);
        }
        HKT_OK(hk_executor_shutdown(executor, hows[i], HK_FOREVER));
        statistics = hkt_stats(executor);
        for (int n = 0; n < TASKS; n++) {
            states[n] = hk_future_state(futures[n]);
            HKT_TRUE(hk_future_has_ended(futures[n]));
            HKT_TRUE(states[n] == (n % 2 == 0 ? HK_DONE : HK_FAILED) ||
                     (states[n] == HK_CANCELLED && hows[i] != HK_SHUTDOWN_DRAIN));
            (void)hk_future_why(futures[n]);
            hk_future_unref(futures[n]);
        }
        HKT_EQ_INT(statistics.done + statistics.failed + statistics.cancelled, TASKS);
        HKT_EQ_INT(statistics.workers, 0);
        HKT_EQ_INT(statistics.running, 0);
        HKT_OK(hk_executor_destroy(executor));
    }
}

/* --- SE04: from within --- */

struct within {
    atomic_int hard;
    atomic_int wait;
};

HK_TASK(shuts_its_executor_down_hard)
{
    struct within *within = hkt_pointer(in, in_size);
    hk_executor *executor = hk_call_executor(call);

    atomic_store(&within->hard, hk_executor_shutdown(executor, HK_SHUTDOWN_CANCEL_ALL, 0));
    atomic_store(&within->wait, hk_executor_shutdown(executor, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
    return HK_OK;
}

static void a_task_may_shut_down_hard_but_not_wait(void)
{
    struct within *within = hkt_shared_new(sizeof(*within));
    hk_future *future = hkt_submit_pointer(hkt_executor, shuts_its_executor_down_hard, within);

    HKT_OK(hk_future_wait(future, HK_FOREVER));
    HKT_OK(atomic_load(&within->hard));
    HKT_STATUS(atomic_load(&within->wait), HK_EDEADLK);
    HKT_EQ_INT(hk_future_state(future), HK_DONE); /* It was asked to stop, and gave its value. */
    hk_future_unref(future);
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
}

/* --- SE05: order --- */

struct sequence {
    atomic_uint next;
    atomic_uint wrong;
    atomic_uint at_once; /* Tasks under way. */
};

struct turn {
    struct sequence *sequence;
    unsigned number;
};

HK_TASK(takes_its_turn)
{
    struct turn turn;

    memcpy(&turn, in, sizeof(turn));
    if (atomic_fetch_add(&turn.sequence->at_once, 1) != 0) {
        atomic_fetch_add(&turn.sequence->wrong, 1);
    }
    if (turn.number < atomic_load(&turn.sequence->next)) {
        atomic_fetch_add(&turn.sequence->wrong, 1);
    }
    atomic_store(&turn.sequence->next, turn.number + 1);
    atomic_fetch_sub(&turn.sequence->at_once, 1);
    return HK_OK;
}

static void one_worker_keeps_the_order_whatever_is_cancelled(void)
{
    enum { MANY = 60 };
    struct sequence *sequence = hkt_shared_new(sizeof(*sequence));
    hk_future *futures[MANY];
    struct hkt_plug plug = {.count = 0};
    unsigned ran = 0;

    if (hkt_worker_count() > 1) {
        hkt_not_here("several workers keep no order");
        return;
    }
    if (!hkt_is_inline()) {
        hkt_fill(&plug);
    }
    for (unsigned i = 0; i < MANY; i++) {
        const struct turn turn = {sequence, i};

        HKT_OK_FATAL(
            hk_submit(hkt_executor, takes_its_turn, &turn, sizeof(turn), NULL, &futures[i]));
    }
    for (unsigned i = 0; i < MANY; i += 3) {
        (void)hk_future_cancel(futures[i], (hk_cancel_level)(i % 2 * 2)); /* PENDING or KILL. */
    }
    if (plug.count != 0) {
        hkt_plug_pull(&plug);
    }
    for (unsigned i = 0; i < MANY; i++) {
        HKT_OK(hk_future_wait(futures[i], HK_FOREVER));
        ran += hk_future_state(futures[i]) == HK_DONE;
        hk_future_unref(futures[i]);
    }
    HKT_EQ_INT(ran, hkt_is_inline() ? MANY : MANY - MANY / 3);
    HKT_EQ_INT(atomic_load(&sequence->wrong), 0);
}

/* --- SE06: forks --- */

struct parents {
    hk_future *finished;
    hk_future *failed;
    hk_future *unfinished;
    hk_cancel_token *token;
};

static void use_in_child(void *arg)
{
    struct parents *parents = arg;
    hk_executor_statistics statistics;
    hk_future *future = NULL;
    hk_map_iterator *iterator = NULL;
    hk_array_source source = {0};
    int value = 3;

    HKT_EQ_INT(hkt_peek_int(parents->finished), 49);
    HKT_STATUS(hk_future_result(parents->failed, HK_FOREVER, NULL, NULL), HK_EFAILED);
    if (parents->unfinished != NULL) {
        HKT_STATUS(hk_future_wait(parents->unfinished, HK_FOREVER), HK_EFORKED);
        HKT_STATUS(hk_future_result(parents->unfinished, 0, NULL, NULL), HK_EFORKED);
        HKT_STATUS(hk_future_cancel(parents->unfinished, HK_CANCEL_KILL), HK_EFORKED);
        HKT_STATUS(hk_future_on_done(parents->unfinished, NULL, hkt_see, NULL, NULL), HK_EFORKED);
        HKT_STATUS(hk_then(parents->unfinished, NULL, NULL, NULL, &future), HK_EINVAL);
    }
    HKT_STATUS(hk_submit(hkt_executor, hkt_square, &value, sizeof(value), NULL, &future),
               HK_EFORKED);
    HKT_EQ_PTR(future, NULL);
    HKT_STATUS(hk_map(hkt_executor, hkt_square, hk_array_source_next, &source, NULL, &iterator),
               HK_EFORKED);
    HKT_STATUS(hk_executor_stats(hkt_executor, &statistics), HK_EFORKED);
    HKT_STATUS(hk_executor_prestart(hkt_executor, HK_FOREVER), HK_EFORKED);
    HKT_STATUS(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_KILL, HK_FOREVER), HK_EFORKED);
    HKT_STATUS(hk_executor_destroy(hkt_executor), HK_EFORKED);
    if (CU_get_number_of_failure_records() > 0 || hkt_fail_count() > 0) {
        _exit(7);
    }
}

static void a_forked_child_is_told_and_nothing_blocks(void)
{
    struct parents parents = {.finished = hkt_submit_int(hkt_executor, hkt_square, 7),
                              .failed = hkt_submit_int(hkt_executor, hkt_fails, 0)};
    struct hkt_child child;
    struct hkt_led led = {.future = NULL};

    HKT_OK(hk_future_wait(parents.finished, HK_FOREVER));
    HKT_OK(hk_future_wait(parents.failed, HK_FOREVER));
    if (!hkt_is_inline()) {
        hkt_led_begin(&led);
        hkt_led_runs(&led);
        parents.unfinished = led.future;
    }
    hkt_run_in_child(use_in_child, &parents, &child);
    HKT_EQ_INT(child.exit_status, 0);
    HKT_EQ_INT(child.term_signal, 0);
    HKT_EQ_STR(child.output, ""); /* No word on executors that are not its own. */
    hkt_led_close(&led);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 4)), 16);
    (void)hk_future_why(parents.failed);
    hk_future_unref(parents.finished);
    hk_future_unref(parents.failed);
}

/* --- SE07: callbacks that remove each other --- */

struct pair_of_hooks {
    hk_hook *hooks[2];
    hk_status statuses[2];
    struct hkt_gate inside[2];
    atomic_uint through;
};

struct half {
    struct pair_of_hooks *both;
    int number;
};

static void remove_the_other(hk_future *future, void *arg)
{
    struct half *half = arg;

    (void)future;
    hkt_gate_open(&half->both->inside[half->number]);
    hkt_gate_wait(&half->both->inside[1 - half->number]);
    half->both->statuses[half->number] = hk_hook_remove(half->both->hooks[1 - half->number]);
    atomic_fetch_add(&half->both->through, 1);
}

static bool both_are_through(void *through)
{
    return atomic_load((atomic_uint *)through) == 2;
}

static void of_two_that_remove_each_other_one_is_refused(void)
{
    struct pair_of_hooks both = {.statuses = {HK_EINVAL, HK_EINVAL}};
    struct half halves[2] = {{&both, 0}, {&both, 1}};
    struct hkt_led led;
    struct hkt_pair pair;

    if (hkt_is_replay() || hkt_is_inline()) {
        hkt_not_here("callbacks of one thread run one after the other");
        return;
    }
    hkt_be_quiet();
    hkt_gate_init(&both.inside[0], "the first callback runs");
    hkt_gate_init(&both.inside[1], "the second callback runs");
    hkt_led_begin(&led);
    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(led.future, NULL, remove_the_other, &halves[0], &both.hooks[0]));
    HKT_OK(hk_future_on_done(pair.future, NULL, remove_the_other, &halves[1], &both.hooks[1]));
    hkt_led_end(&led, HK_DONE); /* One in a thread of the executor, the other in ours. */
    hkt_pair_end(&pair, HK_DONE);
    hkt_until(both_are_through, &both.through);
    HKT_TRUE((both.statuses[0] == HK_EDEADLK) != (both.statuses[1] == HK_EDEADLK));
    for (int i = 0; i < 2; i++) {
        if (both.statuses[i] == HK_EDEADLK) {
            hk_hook_forget(both.hooks[1 - i]); /* Not taken by the call that was refused. */
        }
    }
    hkt_be_loud();
    hkt_led_close(&led);
    hkt_pair_close(&pair);
}

static CU_TestInfo tests[] = {
    HKT_CASE("SE01 a softer shutdown softens nothing", a_softer_shutdown_softens_nothing),
    HKT_CASE("SE02 a harder one cancels what a drain would have run",
             a_harder_one_cancels_what_a_drain_would_have_run),
    HKT_CASE("SE03 after one that waited all have ended", after_one_that_waited_all_have_ended),
    HKT_CASE("SE04 a task may shut down hard, but not wait",
             a_task_may_shut_down_hard_but_not_wait),
    HKT_CASE("SE05 one worker keeps the order, whatever is cancelled",
             one_worker_keeps_the_order_whatever_is_cancelled),
    HKT_CASE("SE06 a forked child is told, and nothing blocks",
             a_forked_child_is_told_and_nothing_blocks),
    HKT_CASE("SE07 of two that remove each other one is refused",
             of_two_that_remove_each_other_one_is_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_endings",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
