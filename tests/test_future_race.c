/* SPDX-License-Identifier: MIT */
/* One future, several threads at once: who ends it, who reads it, who lets it go.
 * Callbacks and chains race in test_chain_race.c. */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "futures/future_impl.h"
#include "tests/race_fixture.h"

/* --- Actors ---------------------------------------------------------------------------- */

static void open_pair(struct hkt_round *round)
{
    hkt_pair_open(&round->pair);
}

static void close_pair(struct hkt_round *round)
{
    hkt_pair_close(&round->pair);
}

static void set_value(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hkt_set_int(round->pair.promise, (int)who);
}

static void set_reference(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_promise_set_ref(round->pair.promise, &round->drops, hkt_count_drop);
}

static void fail(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_promise_fail(round->pair.promise, (int)who, "%s", HKT_MESSAGE);
}

static void cancel(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_future_cancel(round->pair.future, HK_CANCEL_PENDING);
}

static void start(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_promise_start(round->pair.promise);
}

/* Of the actors that try to end the future, which one did: by its value, its code,
 * or its number among those that cancel. */
static unsigned ender_of(struct hkt_round *round, unsigned canceller)
{
    const hk_error *error = NULL;

    switch (hk_future_state(round->pair.future)) {
    case HK_DONE:
        return (unsigned)hkt_peek_int(round->pair.future);
    case HK_FAILED:
        HKT_OK(hk_future_error(round->pair.future, 0, &error));
        return (unsigned)error->app_code;
    default:
        HKT_EQ_INT(hk_future_state(round->pair.future), HK_CANCELLED);
        return canceller;
    }
}

enum { SETTER = 0, FAILER = 1, CANCELLER = 2 };

/* Whoever waits sees what the one who ended it had written before. */
static void expect_payload_of_ender(struct hkt_round *round)
{
    HKT_EQ_INT(round->payload[ender_of(round, CANCELLER)], HKT_PAYLOAD);
}

static void wait_for_end(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_wait(round->pair.future, HK_FOREVER);
    expect_payload_of_ender(round);
}

static void poll_for_end(struct hkt_round *round, unsigned who)
{
    hk_future_view view;

    do {
        HKT_OK(hk_future_snapshot(round->pair.future, &view));
        HKT_TRUE((view.state == HK_DONE) == (view.value != NULL));
        HKT_TRUE((view.state == HK_FAILED) == (view.error != NULL));
    } while (!hk_future_has_ended(round->pair.future));
    expect_payload_of_ender(round);
    round->status[who] = HK_OK;
}

/* --- Who ends it ------------------------------------------------------------------------- */

static void check_one_ender(struct hkt_round *round)
{
    unsigned ender = ender_of(round, CANCELLER);

    for (unsigned i = SETTER; i <= CANCELLER; i++) {
        HKT_STATUS(round->status[i], i == ender ? HK_OK : HK_ESTATE);
    }
    HKT_OK(round->status[3]);
    HKT_OK(round->status[4]);
    close_pair(round);
}

static void of_all_who_end_it_exactly_one_does(void)
{
    hkt_race(&(struct hkt_race){
        open_pair, {set_value, fail, cancel, wait_for_end, poll_for_end}, check_one_ender});
}

static void check_one_value(struct hkt_round *round)
{
    unsigned won = 0;

    for (unsigned i = 0; i < 3; i++) {
        won += round->status[i] == HK_OK;
        HKT_TRUE(round->status[i] == HK_OK || round->status[i] == HK_ESTATE);
    }
    HKT_EQ_INT(won, 1);
    HKT_EQ_INT(atomic_load(&round->drops), 0);
    close_pair(round);
    /* What was refused is still the caller's; what was taken is dropped once. */
    HKT_EQ_INT(atomic_load(&round->drops), 1);
}

static void of_several_references_one_is_taken(void)
{
    hkt_race(&(struct hkt_race){
        open_pair, {set_reference, set_reference, set_reference}, check_one_value});
}

static void start_and_set(struct hkt_round *round, unsigned who)
{
    start(round, who);
    if (round->status[who] == HK_OK) {
        HKT_OK(hkt_set_int(round->pair.promise, (int)who));
    }
}

static void check_start_or_cancel(struct hkt_round *round)
{
    bool started = round->status[0] == HK_OK;

    HKT_STATUS(round->status[0], started ? HK_OK : HK_ECANCELED);
    HKT_STATUS(round->status[1], started ? HK_ESTATE : HK_OK);
    HKT_EQ_INT(hk_future_state(round->pair.future), started ? HK_DONE : HK_CANCELLED);
    close_pair(round);
}

static void what_was_cancelled_is_not_started(void)
{
    hkt_race(&(struct hkt_race){open_pair, {start_and_set, cancel}, check_start_or_cancel});
}

static void check_both_cancelled(struct hkt_round *round)
{
    HKT_OK(round->status[0]);
    HKT_OK(round->status[1]);
    HKT_EQ_INT(hk_future_state(round->pair.future), HK_CANCELLED);
    close_pair(round);
}

static void of_two_who_cancel_both_are_right(void)
{
    hkt_race(&(struct hkt_race){open_pair, {cancel, cancel}, check_both_cancelled});
}

/* --- Who waits ---------------------------------------------------------------------------- */

static void wait_in_short_steps(struct hkt_round *round, unsigned who)
{
    do {
        round->status[who] = hk_future_wait(round->pair.future, HK_US(1));
    } while (round->status[who] == HK_ETIMEDOUT);
    HKT_EQ_INT(round->payload[SETTER], HKT_PAYLOAD);
}

static void wait_among_others(struct hkt_round *round, unsigned who)
{
    hk_future *both[2] = {round->second.future, round->pair.future};
    bool done[2] = {false, false};

    round->status[who] = hk_wait(both, 2, HK_FIRST_COMPLETED, HK_FOREVER, done, NULL);
    HKT_TRUE(done[1] && !done[0]);
    HKT_EQ_INT(round->payload[SETTER], HKT_PAYLOAD);
}

static void wait_in_a_queue(struct hkt_round *round, unsigned who)
{
    HKT_OK(hk_completion_add(round->completion, round->pair.future, who));
    round->status[who] = hk_completion_next(round->completion, HK_FOREVER, NULL, NULL);
    HKT_EQ_INT(round->payload[SETTER], HKT_PAYLOAD);
}

static void wait_at_the_descriptor(struct hkt_round *round, unsigned who)
{
    struct pollfd entry = {.events = POLLIN};

    round->status[who] = hk_future_fd(round->pair.future, &entry.fd);
    HKT_EQ_INT(poll(&entry, 1, -1), 1);
    /* The kernel's own order is not seen by every checker: ask the future too. */
    HKT_TRUE(hk_future_has_ended(round->pair.future));
    HKT_EQ_INT(round->payload[SETTER], HKT_PAYLOAD);
}

static void open_for_waiters(struct hkt_round *round)
{
    hkt_pair_open(&round->pair);
    hkt_pair_open(&round->second);
    HKT_OK_FATAL(hk_completion_create(&round->completion));
}

static void check_waiters(struct hkt_round *round)
{
    for (unsigned i = 0; i < HKT_ACTORS_MAX; i++) {
        HKT_OK(round->status[i]);
    }
    hk_completion_destroy(round->completion);
    hkt_pair_close(&round->second);
    close_pair(round);
}

static void every_way_to_wait_sees_the_end(void)
{
    hkt_race(&(struct hkt_race){open_for_waiters,
                                {set_value, wait_in_short_steps, wait_among_others, wait_in_a_queue,
                                 wait_at_the_descriptor},
                                check_waiters});
}

/* Leaves its watch behind, or not, at the moment of the end. */
static void give_up_waiting(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_wait(round->pair.future, HK_NS(1));
    HKT_TRUE(round->status[who] == HK_OK || round->status[who] == HK_ETIMEDOUT);
    round->status[who] = HK_OK;
}

static void join_and_leave_a_queue(struct hkt_round *round, unsigned who)
{
    hk_completion *completion = NULL;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, round->pair.future, who));
    HKT_OK(hk_completion_add(completion, round->second.future, who));
    hk_completion_destroy(completion);
    round->status[who] = HK_OK;
}

static void leaving_early_races_with_the_end(void)
{
    hkt_race(&(struct hkt_race){open_for_waiters,
                                {set_value, give_up_waiting, join_and_leave_a_queue,
                                 give_up_waiting, join_and_leave_a_queue},
                                check_waiters});
}

/* --- Who lets it go ------------------------------------------------------------------------ */

static void drop_and_look(void *value)
{
    struct hkt_round *round = value;

    /* The last owner sees what all others did while they held it. */
    for (unsigned i = 0; i < 3; i++) {
        HKT_EQ_INT(round->payload[i], HKT_PAYLOAD);
    }
    atomic_fetch_add(&round->drops, 1);
}

static void open_with_references(struct hkt_round *round)
{
    hkt_pair_open(&round->pair);
    HKT_OK(hk_promise_set_ref(round->pair.promise, round, drop_and_look));
    round->futures[0] = round->pair.future;
    round->futures[1] = hk_future_ref(round->pair.future);
}

static void let_go(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    hk_future_unref(round->futures[who]);
}

static void let_promise_go(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    hk_promise_destroy(round->pair.promise);
}

static void check_dropped(struct hkt_round *round)
{
    HKT_EQ_INT(atomic_load(&round->drops), 1);
}

static void the_last_owner_frees_it_whoever_that_is(void)
{
    hkt_race(
        &(struct hkt_race){open_with_references, {let_go, let_go, let_promise_go}, check_dropped});
}

static void break_it(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    hk_promise_destroy(round->pair.promise);
    round->pair.promise = NULL;
}

static void wait_for_break(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_future_result(round->pair.future, HK_FOREVER, NULL, NULL);
    if (round->status[who] == HK_EBROKEN) {
        HKT_EQ_INT(round->payload[0], HKT_PAYLOAD);
    }
}

static void check_broken_or_cancelled(struct hkt_round *round)
{
    bool cancelled = round->status[2] == HK_OK;

    HKT_STATUS(round->status[1], cancelled ? HK_ECANCELED : HK_EBROKEN);
    HKT_STATUS(round->status[2], cancelled ? HK_OK : HK_ESTATE);
    close_pair(round);
}

static void breaking_and_cancelling_race(void)
{
    hkt_race(&(struct hkt_race){
        open_pair, {break_it, wait_for_break, cancel}, check_broken_or_cancelled});
}

/* --- Who takes it --------------------------------------------------------------------------- */

static void open_large(struct hkt_round *round)
{
    static const unsigned char bytes[100];

    hkt_pair_open(&round->pair);
    HKT_OK(hk_promise_set(round->pair.promise, bytes, sizeof(bytes)));
}

static void open_small(struct hkt_round *round)
{
    hkt_pair_open_in(&round->pair, HK_DONE);
}

static void take(struct hkt_round *round, unsigned who)
{
    hk_value value = {0};

    round->status[who] = hk_future_take(round->pair.future, 0, &value);
    HKT_EQ_INT(value.data != NULL, round->status[who] == HK_OK);
    hk_value_drop(&value);
}

static void check_taken_once(struct hkt_round *round)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < 3; i++) {
        taken += round->status[i] == HK_OK;
        HKT_TRUE(round->status[i] == HK_OK || round->status[i] == HK_ESTATE);
    }
    HKT_EQ_INT(taken, 1);
    close_pair(round);
}

static void a_value_is_taken_once(void)
{
    hkt_race(&(struct hkt_race){open_large, {take, take, take}, check_taken_once});
    hkt_race(&(struct hkt_race){open_small, {take, take, take}, check_taken_once});
}

/* --- What is made when first asked for ---------------------------------------------------------
 */

static void ask_for_token(struct hkt_round *round, unsigned who)
{
    hk_cancel_token *token = NULL;

    HKT_OK(hk_promise_token(round->pair.promise, &token));
    /* Who sees it fired sees what was written before the cancel. */
    if (hk_cancel_token_is_fired(token)) {
        HKT_EQ_INT(round->payload[0], HKT_PAYLOAD);
    }
    if (who == 1) {
        round->token = token;
    }
}

static void request(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_future_cancel(round->pair.future, HK_CANCEL_REQUEST);
}

static void open_running(struct hkt_round *round)
{
    hkt_pair_open_in(&round->pair, HK_RUNNING);
}

static void check_token(struct hkt_round *round)
{
    hk_cancel_token *token = NULL;

    HKT_OK(round->status[0]);
    HKT_OK(hk_promise_token(round->pair.promise, &token));
    HKT_EQ_PTR(token, round->token); /* All of them got the same one. */
    HKT_TRUE(hk_cancel_token_is_fired(token));
    close_pair(round);
}

static void a_token_made_while_somebody_cancels_is_fired(void)
{
    hkt_race(
        &(struct hkt_race){open_running, {request, ask_for_token, ask_for_token}, check_token});
    hkt_race(&(struct hkt_race){open_pair, {request, ask_for_token, ask_for_token}, check_token});
}

static void open_failed(struct hkt_round *round)
{
    hkt_pair_open_in(&round->pair, HK_FAILED);
}

static void ask_why(struct hkt_round *round, unsigned who)
{
    const char *why = hk_future_why(round->pair.future);

    HKT_TRUE(strstr(why, HKT_MESSAGE) != NULL);
    HKT_EQ_PTR(hk_future_why(round->pair.future), why);
    round->status[who] = HK_OK;
}

static void everybody_gets_the_same_reason(void)
{
    hkt_race(&(struct hkt_race){open_failed, {ask_why, ask_why, ask_why}, close_pair});
}

/* --- What is made later, when it is first asked for ------------------------------------------ */

static void free_future(hk_future *future)
{
    free(future);
}

static void open_slim(struct hkt_round *round)
{
    static const struct hki_origin slim = {.destroy = free_future};
    hk_future *future = malloc(sizeof(*future));

    HKT_TRUE_FATAL(future != NULL);
    hki_future_init(future, NULL, &slim, 1);
    round->futures[0] = future;
}

static void make_rest(struct hkt_round *round, unsigned who)
{
    struct hki_future_rest *rest = hki_future_need_rest(round->futures[0]);

    HKT_TRUE_FATAL(rest != NULL);
    round->payload[who] = rest->is_apart;
}

/* Takes no lock: the pointer alone brings what is in it. */
static void await_rest(struct hkt_round *round, unsigned who)
{
    const struct hki_future_rest *rest;

    while ((rest = hki_future_rest(round->futures[0])) == NULL) {
        sched_yield();
    }
    round->payload[who] = rest->is_apart;
}

static void check_rest(struct hkt_round *round)
{
    for (int i = 0; i < 3; i++) {
        HKT_TRUE(round->payload[i]);
    }
    hk_future_unref(round->futures[0]);
}

static void what_is_made_later_is_whole_when_it_is_seen(void)
{
    hkt_race(&(struct hkt_race){open_slim, {make_rest, make_rest, await_rest}, check_rest});
}

static CU_TestInfo tests[] = {
    HKT_CASE("FS20 FS21 of all who end it exactly one does", of_all_who_end_it_exactly_one_does),
    HKT_CASE("FS20 of several references one is taken", of_several_references_one_is_taken),
    HKT_CASE("FS23 what was cancelled is not started", what_was_cancelled_is_not_started),
    HKT_CASE("FS08 of two who cancel both are right", of_two_who_cancel_both_are_right),
    HKT_CASE("every way to wait sees the end", every_way_to_wait_sees_the_end),
    HKT_CASE("leaving early races with the end", leaving_early_races_with_the_end),
    HKT_CASE("the last owner frees it, whoever that is", the_last_owner_frees_it_whoever_that_is),
    HKT_CASE("breaking and cancelling race", breaking_and_cancelling_race),
    HKT_CASE("a value is taken once", a_value_is_taken_once),
    HKT_CASE("a token made while somebody cancels is fired",
             a_token_made_while_somebody_cancels_is_fired),
    HKT_CASE("everybody gets the same reason", everybody_gets_the_same_reason),
    HKT_TEST(what_is_made_later_is_whole_when_it_is_seen),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "future_race", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
