/* SPDX-License-Identifier: MIT */
/* Callbacks, hooks and chains, several threads at once. */
#include <stdlib.h>
#include <string.h>

#include "tests/race_fixture.h"

static void open_pair(struct hkt_round *round)
{
    hkt_pair_open(&round->pair);
}

static void set_value(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hkt_set_int(round->pair.promise, HKT_VALUE);
}

static void cancel(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_future_cancel(round->pair.future, HK_CANCEL_PENDING);
}

/* --- Callbacks --------------------------------------------------------------------------- */

enum { PER_ADDER = 6 };

/* The payload first, before any call that could order it for the library. */
static void read_and_count(hk_future *future, void *arg)
{
    struct hkt_round *round = arg;

    HKT_EQ_INT(round->payload[0], HKT_PAYLOAD);
    HKT_EQ_INT(hkt_peek_int(future), HKT_VALUE);
    atomic_fetch_add(&round->calls[0], 1);
}

static void add_callbacks(struct hkt_round *round, unsigned who)
{
    for (int i = 0; i < PER_ADDER; i++) {
        HKT_OK(hk_future_on_done(round->pair.future, NULL, read_and_count, round, NULL));
    }
    round->status[who] = HK_OK;
}

static void check_all_called(struct hkt_round *round)
{
    HKT_OK(round->status[0]);
    HKT_EQ_INT(atomic_load(&round->calls[0]), 3 * PER_ADDER);
    hkt_pair_close(&round->pair);
}

static void every_callback_runs_once_when_its_adding_races_with_the_end(void)
{
    hkt_race(&(struct hkt_race){
        open_pair, {set_value, add_callbacks, add_callbacks, add_callbacks}, check_all_called});
}

/* Callbacks of one adder: in its own order, whoever runs them. */
struct line {
    int next;  /* Plain: callbacks of one future run one after the other. */
    int wrong; /* Likewise. */
};

struct place {
    struct line *line;
    int number;
};

static void stand_in_line(hk_future *future, void *arg)
{
    struct place *place = arg;

    (void)future;
    place->line->wrong += place->line->next++ != place->number;
    free(place);
}

static void open_line(struct hkt_round *round)
{
    hkt_pair_open(&round->pair);
    round->object = calloc(1, sizeof(struct line));
    HKT_TRUE_FATAL(round->object != NULL);
}

static void queue_up(struct hkt_round *round, unsigned who)
{
    for (int i = 0; i < PER_ADDER; i++) {
        struct place *place = malloc(sizeof(*place));

        HKT_TRUE_FATAL(place != NULL);
        *place = (struct place){round->object, i};
        HKT_OK(hk_future_on_done(round->pair.future, NULL, stand_in_line, place, NULL));
    }
    round->status[who] = HK_OK;
}

static void check_line(struct hkt_round *round)
{
    struct line *line = round->object;

    HKT_EQ_INT(line->next, PER_ADDER);
    HKT_EQ_INT(line->wrong, 0);
    free(line);
    hkt_pair_close(&round->pair);
}

static void callbacks_keep_the_order_in_which_one_thread_added_them(void)
{
    hkt_race(&(struct hkt_race){open_line, {set_value, queue_up}, check_line});
}

/* --- Hooks --------------------------------------------------------------------------------- */

/* What the callback works on; freed by who removed it, at once. */
struct argument {
    struct hkt_round *round;
    int calls; /* Plain: the removal orders it. */
};

static void work_on_argument(hk_future *future, void *arg)
{
    struct argument *argument = arg;

    (void)future;
    argument->calls++;
    atomic_fetch_add(&argument->round->calls[0], 1);
}

static void open_hook(struct hkt_round *round)
{
    struct argument *argument = calloc(1, sizeof(*argument));

    HKT_TRUE_FATAL(argument != NULL);
    argument->round = round;
    round->object = argument;
    hkt_pair_open(&round->pair);
    HKT_OK(hk_future_on_done(round->pair.future, NULL, work_on_argument, argument, &round->hook));
}

static void remove_and_free(struct hkt_round *round, unsigned who)
{
    struct argument *argument = round->object;

    round->status[who] = hk_hook_remove(round->hook);
    HKT_EQ_INT(argument->calls, round->status[who] == HK_OK ? 0 : 1);
    free(argument);
}

static void check_removed_or_run(struct hkt_round *round)
{
    HKT_TRUE(round->status[1] == HK_OK || round->status[1] == HK_ESTATE);
    HKT_EQ_INT(atomic_load(&round->calls[0]), round->status[1] == HK_OK ? 0 : 1);
    hkt_pair_close(&round->pair);
}

static void after_the_removal_the_argument_may_be_freed(void)
{
    hkt_race(&(struct hkt_race){open_hook, {set_value, remove_and_free}, check_removed_or_run});
    hkt_race(&(struct hkt_race){open_hook, {cancel, remove_and_free}, check_removed_or_run});
    hkt_race(
        &(struct hkt_race){open_hook, {set_value, remove_and_free, cancel}, check_removed_or_run});
}

/* Adds and removes as fast as it can, while others end, wait and add. */
static void add_and_remove(struct hkt_round *round, unsigned who)
{
    (void)who;
    for (int i = 0; i < PER_ADDER; i++) {
        struct argument argument = {.round = round, .calls = 0};
        hk_hook *hook = NULL;
        hk_status status;

        HKT_OK(hk_future_on_done(round->pair.future, NULL, work_on_argument, &argument, &hook));
        status = hk_hook_remove(hook);
        HKT_EQ_INT(argument.calls, status == HK_OK ? 0 : 1);
        atomic_fetch_add(&round->calls[1], status == HK_OK ? 0 : 1);
    }
}

static void add_and_forget(struct hkt_round *round, unsigned who)
{
    hk_hook *hook = NULL;

    HKT_OK(hk_future_on_done(round->pair.future, NULL, hkt_count_call, &round->calls[who], &hook));
    hk_hook_forget(hook);
}

static void wait_for_value(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_wait(round->pair.future, HK_FOREVER);
    HKT_EQ_INT(round->payload[0], HKT_PAYLOAD);
}

static void check_churn(struct hkt_round *round)
{
    HKT_OK(round->status[0]);
    HKT_OK(round->status[3]);
    HKT_EQ_INT(atomic_load(&round->calls[0]), atomic_load(&round->calls[1]));
    HKT_EQ_INT(atomic_load(&round->calls[4]), 1);
    hkt_pair_close(&round->pair);
}

static void setting_waiting_adding_and_removing_race(void)
{
    hkt_race(&(struct hkt_race){
        open_pair,
        {set_value, add_and_remove, add_and_remove, wait_for_value, add_and_forget},
        check_churn});
}

/* --- Steps ----------------------------------------------------------------------------------- */

static hk_status add_one(hk_future *source, hk_promise *result, void *arg)
{
    struct hkt_round *round = arg;

    HKT_EQ_INT(round->payload[0], HKT_PAYLOAD);
    atomic_fetch_add(&round->calls[0], 1);
    return hkt_set_int(result, hkt_peek_int(source) + 1);
}

static void open_step(struct hkt_round *round)
{
    hkt_pair_open(&round->pair);
    HKT_OK_FATAL(hk_then(round->pair.future, NULL, add_one, round, &round->out));
}

static void cancel_the_step(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_cancel(round->out, HK_CANCEL_REQUEST);
}

static void wait_for_the_step(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_result(round->out, HK_FOREVER, NULL, NULL);
    if (round->status[who] == HK_OK) {
        HKT_EQ_INT(round->payload[0], HKT_PAYLOAD);
    }
}

/* The step ran or not; and if the source was cancelled, it was by the step. */
static void check_step(struct hkt_round *round)
{
    hk_status end = round->status[2];

    HKT_TRUE(end == HK_OK || end == HK_ECANCELED);
    HKT_TRUE(round->status[1] == HK_OK || round->status[1] == HK_ESTATE);
    HKT_TRUE(end != HK_ECANCELED || round->status[1] == HK_OK);
    HKT_TRUE(round->status[0] == HK_OK || hk_future_state(round->pair.future) == HK_CANCELLED);
    HKT_TRUE(end != HK_OK || atomic_load(&round->calls[0]) == 1);
    if (end == HK_OK) {
        HKT_EQ_INT(hkt_peek_int(round->out), HKT_VALUE + 1);
    }
    hk_future_unref(round->out);
    hkt_pair_close(&round->pair);
}

static void cancelling_a_step_races_with_its_source(void)
{
    hkt_race(
        &(struct hkt_race){open_step, {set_value, cancel_the_step, wait_for_the_step}, check_step});
}

/* --- Followers ---------------------------------------------------------------------------------
 */

static void open_two(struct hkt_round *round)
{
    hkt_pair_open(&round->pair);
    hkt_pair_open(&round->second);
}

static void follow_first(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_promise_follow(round->second.promise, round->pair.future);
}

static void cancel_follower(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_cancel(round->second.future, HK_CANCEL_REQUEST);
}

static void wait_for_follower(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_result(round->second.future, HK_FOREVER, NULL, NULL);
    if (round->status[who] == HK_OK) {
        HKT_EQ_INT(round->payload[0], HKT_PAYLOAD);
    }
}

static void check_follower(struct hkt_round *round)
{
    hk_status end = round->status[3];

    HKT_TRUE(round->status[0] == HK_OK || round->status[0] == HK_ESTATE);
    /* Cancelled before it followed: then it follows no more. */
    HKT_TRUE(round->status[1] == HK_OK || (round->status[1] == HK_ESTATE && end == HK_ECANCELED));
    HKT_TRUE(end == HK_OK || end == HK_ECANCELED);
    if (end == HK_OK) {
        HKT_EQ_INT(hkt_peek_int(round->second.future), HKT_VALUE);
    }
    hkt_pair_close(&round->second);
    hkt_pair_close(&round->pair);
}

static void following_cancelling_and_ending_race(void)
{
    hkt_race(&(struct hkt_race){
        open_two, {set_value, follow_first, cancel_follower, wait_for_follower}, check_follower});
}

static void follow_second(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_promise_follow(round->pair.promise, round->second.future);
}

/* One or both are refused, and never both follow. */
static void check_ring(struct hkt_round *round)
{
    unsigned following = 0;

    for (unsigned i = 0; i < 2; i++) {
        following += round->status[i] == HK_OK;
        HKT_TRUE(round->status[i] == HK_OK || round->status[i] == HK_EDEADLK);
    }
    HKT_TRUE(following <= 1);
    /* Whoever was refused can be set, and ends the other one that follows it. */
    if (round->status[0] != HK_OK) {
        HKT_OK(hkt_set_int(round->second.promise, 1));
    }
    if (round->status[1] != HK_OK) {
        HKT_OK(hkt_set_int(round->pair.promise, 1));
    }
    HKT_TRUE(hk_future_has_ended(round->pair.future));
    HKT_TRUE(hk_future_has_ended(round->second.future));
    hkt_pair_close(&round->second);
    hkt_pair_close(&round->pair);
}

static void two_that_would_follow_each_other_are_told(void)
{
    hkt_race(&(struct hkt_race){open_two, {follow_first, follow_second}, check_ring});
}

/* --- Several sources
 * ------------------------------------------------------------------------------ */

static void open_all(struct hkt_round *round)
{
    open_two(round);
    round->futures[0] = round->pair.future;
    round->futures[1] = round->second.future;
    HKT_OK_FATAL(hk_when_all(round->futures, 2, &round->out));
}

static void open_any(struct hkt_round *round)
{
    open_two(round);
    round->futures[0] = round->pair.future;
    round->futures[1] = round->second.future;
    HKT_OK_FATAL(hk_when_any(round->futures, 2, &round->out));
}

static void set_second(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hkt_set_int(round->second.promise, HKT_VALUE);
}

static void fail_second(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_promise_fail(round->second.promise, HKT_APP_CODE, "%s", HKT_MESSAGE);
}

static void wait_for_out(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_result(round->out, HK_FOREVER, NULL, NULL);
}

static void wait_for_all(struct hkt_round *round, unsigned who)
{
    wait_for_out(round, who);
    if (round->status[who] == HK_OK) {
        HKT_EQ_INT(round->payload[0], HKT_PAYLOAD);
        HKT_EQ_INT(round->payload[1], HKT_PAYLOAD);
    }
}

static void check_group(struct hkt_round *round)
{
    (void)hk_future_why(round->out);
    hk_future_unref(round->out);
    hkt_pair_close(&round->second);
    hkt_pair_close(&round->pair);
}

static void check_all_done(struct hkt_round *round)
{
    HKT_OK(round->status[2]);
    check_group(round);
}

static void check_all_failed(struct hkt_round *round)
{
    HKT_OK(round->status[1]);
    HKT_STATUS(round->status[2], HK_EFAILED);
    /* The other one ended first, or was cancelled by the failure. */
    HKT_TRUE(hk_future_state(round->pair.future) ==
             (round->status[0] == HK_OK ? HK_DONE : HK_CANCELLED));
    check_group(round);
}

static void check_all_cancelled(struct hkt_round *round)
{
    HKT_TRUE(round->status[2] == HK_OK || round->status[2] == HK_ECANCELED);
    HKT_TRUE(round->status[2] == HK_OK || round->status[3] == HK_OK);
    check_group(round);
}

static void the_ends_of_all_race(void)
{
    hkt_race(&(struct hkt_race){open_all, {set_value, set_second, wait_for_all}, check_all_done});
    hkt_race(
        &(struct hkt_race){open_all, {set_value, fail_second, wait_for_all}, check_all_failed});
    hkt_race(&(struct hkt_race){
        open_all, {set_value, set_second, wait_for_all, cancel_the_step}, check_all_cancelled});
}

static void wait_for_any(struct hkt_round *round, unsigned who)
{
    const void *value = NULL;
    size_t place = 9;

    round->status[who] = hk_future_result(round->out, HK_FOREVER, &value, NULL);
    if (round->status[who] == HK_OK) {
        memcpy(&place, value, sizeof(place));
        HKT_TRUE_FATAL(place < 2);
        HKT_EQ_INT(round->payload[place], HKT_PAYLOAD);
        HKT_EQ_INT(hk_future_state(round->futures[place]), HK_DONE);
    }
}

static void the_ends_of_any_race(void)
{
    hkt_race(&(struct hkt_race){open_any, {set_value, set_second, wait_for_any}, check_all_done});
    hkt_race(&(struct hkt_race){open_any, {set_value, fail_second, wait_for_any}, check_all_done});
}

static CU_TestInfo tests[] = {
    HKT_CASE("CB09 every callback runs once when its adding races with the end",
             every_callback_runs_once_when_its_adding_races_with_the_end),
    HKT_CASE("CB09 callbacks keep the order in which one thread added them",
             callbacks_keep_the_order_in_which_one_thread_added_them),
    HKT_CASE("after the removal the argument may be freed",
             after_the_removal_the_argument_may_be_freed),
    HKT_CASE("setting, waiting, adding and removing race",
             setting_waiting_adding_and_removing_race),
    HKT_CASE("cancelling a step races with its source", cancelling_a_step_races_with_its_source),
    HKT_CASE("following, cancelling and ending race", following_cancelling_and_ending_race),
    HKT_CASE("XM04 two that would follow each other are told",
             two_that_would_follow_each_other_are_told),
    HKT_CASE("XM05 the ends of all race", the_ends_of_all_race),
    HKT_CASE("the ends of any race", the_ends_of_any_race),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "chain_race", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
