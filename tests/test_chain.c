/* SPDX-License-Identifier: MIT */
/* Steps: then and catch, and the rings that they must not close. Case XM04 of
 * docs/contract.md; when_all and its kin are in test_gather.c. */
#include <string.h>

#include "tests/promise_fixture.h"

/* --- Steps to chain --------------------------------------------------------------- */

/* What a step does with its promise, and what it saw. */
struct step {
    int calls;
    hk_status status;     /* To be returned. */
    hk_future *follow;    /* Gone on with, if not NULL. */
    hk_future **own;      /* The step's own future, followed if not NULL. */
    hk_status own_status; /* What came of that. */
    pthread_t thread;
    hk_state seen;
};

static void note(struct step *step, hk_future *source)
{
    step->calls++;
    step->thread = pthread_self();
    step->seen = hk_future_state(source);
}

static hk_status add_one(hk_future *source, hk_promise *result, void *arg)
{
    note(arg, source);
    return hkt_set_int(result, hkt_peek_int(source) + 1);
}

/* The error's code as a value. */
static hk_status recover(hk_future *source, hk_promise *result, void *arg)
{
    const hk_error *error = NULL;

    note(arg, source);
    HKT_OK(hk_future_error(source, 0, &error));
    return hkt_set_int(result, error->app_code);
}

static hk_status fail_again(hk_future *source, hk_promise *result, void *arg)
{
    note(arg, source);
    return hk_promise_fail(result, 70, "the handler failed too");
}

static hk_status return_status(hk_future *source, hk_promise *result, void *arg)
{
    struct step *step = arg;

    (void)result;
    note(step, source);
    return step->status;
}

static hk_status go_on_with(hk_future *source, hk_promise *result, void *arg)
{
    struct step *step = arg;

    note(step, source);
    return hk_promise_follow(result, step->follow);
}

static hk_status follow_itself(hk_future *source, hk_promise *result, void *arg)
{
    struct step *step = arg;

    note(step, source);
    step->own_status = hk_promise_follow(result, *step->own);
    return step->own_status;
}

static hk_status wait_for_itself(hk_future *source, hk_promise *result, void *arg)
{
    struct step *step = arg;

    note(step, source);
    step->own_status = hk_future_wait(*step->own, HK_FOREVER);
    return hkt_set_int(result, 1);
}

static void expect_failure(hk_future *future, int app_code, const char *message)
{
    const hk_error *error = NULL;

    HKT_OK(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_EQ_INT(error->app_code, app_code);
    HKT_EQ_STR(error->message, message);
}

/* --- then ------------------------------------------------------------------------- */

/* Before and after the end: the same comes out. */
static void chain_both_ways(hk_state end, bool is_catch, hk_chain_fn *fn, struct step *step,
                            void (*check)(hk_future *out))
{
    for (int late = 0; late < 2; late++) {
        struct hkt_pair pair;
        hk_future *out = NULL;

        step->calls = 0;
        hkt_pair_open_in(&pair, late != 0 ? end : HK_PENDING);
        HKT_OK_FATAL(is_catch ? hk_catch(pair.future, NULL, fn, step, &out)
                              : hk_then(pair.future, NULL, fn, step, &out));
        if (late == 0) {
            HKT_EQ_INT(hk_future_state(out), HK_PENDING);
            hkt_pair_end(&pair, end);
        }
        hkt_pair_close(&pair); /* The chain keeps what it needs. */
        HKT_TRUE_FATAL(hk_future_has_ended(out));
        check(out);
        hk_future_unref(out);
    }
}

static void expect_value(hk_future *out)
{
    HKT_EQ_INT(hkt_peek_int(out), HKT_VALUE);
}

static void expect_value_and_one(hk_future *out)
{
    HKT_EQ_INT(hkt_peek_int(out), HKT_VALUE + 1);
}

static void expect_the_failure(hk_future *out)
{
    expect_failure(out, HKT_APP_CODE, HKT_MESSAGE);
}

static void expect_cancelled(hk_future *out)
{
    HKT_EQ_INT(hk_future_state(out), HK_CANCELLED);
}

static void expect_no_bytes(hk_future *out)
{
    size_t size = 99;

    HKT_OK(hk_future_result(out, 0, NULL, &size));
    HKT_EQ_INT(size, 0);
}

static void a_value_goes_through_the_step(void)
{
    struct step step = {.calls = 0};

    chain_both_ways(HK_DONE, false, add_one, &step, expect_value_and_one);
    HKT_EQ_INT(step.calls, 1);
    HKT_EQ_INT(step.seen, HK_DONE);
    HKT_TRUE(pthread_equal(step.thread, pthread_self()));
}

static void a_failure_and_a_cancel_pass_a_then_by(void)
{
    struct step step = {.calls = 0};

    chain_both_ways(HK_FAILED, false, add_one, &step, expect_the_failure);
    HKT_EQ_INT(step.calls, 0);
    chain_both_ways(HK_CANCELLED, false, add_one, &step, expect_cancelled);
    HKT_EQ_INT(step.calls, 0);
}

static void a_step_that_sets_nothing_ends_with_no_bytes(void)
{
    struct step step = {.status = HK_OK};

    chain_both_ways(HK_DONE, false, return_status, &step, expect_no_bytes);
    HKT_EQ_INT(step.calls, 1);
}

static void a_step_that_returns_cancelled_ends_cancelled(void)
{
    struct step step = {.status = HK_ECANCELED};

    chain_both_ways(HK_DONE, false, return_status, &step, expect_cancelled);
}

static void expect_cause_enomem(hk_future *out)
{
    const hk_error *error = NULL;

    HKT_OK(hk_future_error(out, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_TRUE_FATAL(error->cause != NULL);
    HKT_STATUS(error->cause->status, HK_ENOMEM);
}

static void a_step_that_returns_another_status_fails_with_that_cause(void)
{
    struct step step = {.status = HK_ENOMEM};

    chain_both_ways(HK_DONE, false, return_status, &step, expect_cause_enomem);
}

static void a_step_may_fail(void)
{
    struct step step = {.calls = 0};
    struct hkt_pair pair;
    hk_future *out = NULL;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK_FATAL(hk_then(pair.future, NULL, fail_again, &step, &out));
    expect_failure(out, 70, "the handler failed too");
    hk_future_unref(out);
    hkt_pair_close(&pair);
}

static void a_step_may_go_on_with_another_future(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};
    void (*const checks[])(hk_future * out) = {expect_value, expect_the_failure, expect_cancelled};

    for (int i = 0; i < 3; i++) {
        struct hkt_pair pair;
        struct hkt_pair next;
        hk_future *out = NULL;

        hkt_pair_open_in(&pair, HK_DONE);
        hkt_pair_open(&next);
        HKT_OK_FATAL(
            hk_then(pair.future, NULL, go_on_with, &(struct step){.follow = next.future}, &out));
        HKT_EQ_INT(hk_future_state(out), HK_RUNNING);
        hkt_pair_end(&next, ends[i]);
        checks[i](out);
        hk_future_unref(out);
        hkt_pair_close(&next);
        hkt_pair_close(&pair);
    }
}

/* --- catch ------------------------------------------------------------------------ */

static void expect_code_as_value(hk_future *out)
{
    HKT_EQ_INT(hkt_peek_int(out), HKT_APP_CODE);
}

static void expect_replaced(hk_future *out)
{
    expect_failure(out, 70, "the handler failed too");
}

static void a_handler_turns_a_failure_into_a_value(void)
{
    struct step step = {.calls = 0};

    chain_both_ways(HK_FAILED, true, recover, &step, expect_code_as_value);
    HKT_EQ_INT(step.calls, 1);
    HKT_EQ_INT(step.seen, HK_FAILED);
}

static void a_value_and_a_cancel_pass_a_catch_by(void)
{
    struct step step = {.calls = 0};

    chain_both_ways(HK_DONE, true, recover, &step, expect_value);
    HKT_EQ_INT(step.calls, 0);
    chain_both_ways(HK_CANCELLED, true, recover, &step, expect_cancelled);
    HKT_EQ_INT(step.calls, 0);
}

static void a_handler_that_fails_replaces_the_error(void)
{
    struct step step = {.calls = 0};

    chain_both_ways(HK_FAILED, true, fail_again, &step, expect_replaced);
}

static void steps_follow_one_another(void)
{
    enum { STEPS = 6 };
    struct step steps[STEPS] = {{.calls = 0}};
    hk_future *line[STEPS + 1];
    struct hkt_pair pair;

    /* fail, (skipped), recover, add one, (skipped), add one */
    hkt_pair_open(&pair);
    line[0] = pair.future;
    HKT_OK_FATAL(hk_then(line[0], NULL, fail_again, &steps[0], &line[1]));
    HKT_OK_FATAL(hk_then(line[1], NULL, add_one, &steps[1], &line[2]));
    HKT_OK_FATAL(hk_catch(line[2], NULL, recover, &steps[2], &line[3]));
    HKT_OK_FATAL(hk_then(line[3], NULL, add_one, &steps[3], &line[4]));
    HKT_OK_FATAL(hk_catch(line[4], NULL, recover, &steps[4], &line[5]));
    HKT_OK_FATAL(hk_then(line[5], NULL, add_one, &steps[5], &line[6]));
    for (int i = 1; i < STEPS; i++) {
        hk_future_unref(line[i]); /* The last one keeps the line. */
    }
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(hkt_peek_int(line[STEPS]), 72);
    HKT_EQ_INT(steps[1].calls + steps[4].calls, 0);
    hk_future_unref(line[STEPS]);
    hkt_pair_close(&pair);
}

static void one_source_may_have_many_chains(void)
{
    struct step step = {.calls = 0};
    struct hkt_pair pair;
    hk_future *one = NULL;
    hk_future *other = NULL;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_then(pair.future, NULL, add_one, &step, &one));
    HKT_OK_FATAL(hk_catch(pair.future, NULL, recover, &step, &other));
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(hkt_peek_int(one), HKT_VALUE + 1);
    HKT_EQ_INT(hkt_peek_int(other), HKT_VALUE);
    HKT_EQ_INT(step.calls, 1);
    hk_future_unref(one);
    hk_future_unref(other);
    hkt_pair_close(&pair);
}

/* --- Cancelling ------------------------------------------------------------------- */

static void cancelling_a_step_cancels_its_source(void)
{
    struct step step = {.calls = 0};
    struct hkt_pair pair;
    hk_future *middle = NULL;
    hk_future *out = NULL;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_then(pair.future, NULL, add_one, &step, &middle));
    HKT_OK_FATAL(hk_catch(middle, NULL, recover, &step, &out));
    HKT_OK(hk_future_cancel(out, HK_CANCEL_PENDING));
    HKT_EQ_INT(hk_future_state(out), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(middle), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(pair.future), HK_CANCELLED);
    HKT_EQ_INT(step.calls, 0);
    hk_future_unref(middle);
    hk_future_unref(out);
    hkt_pair_close(&pair);
}

static void cancelling_a_step_asks_a_running_source_to_stop(void)
{
    struct step step = {.calls = 0};
    hk_cancel_token *token = NULL;
    struct hkt_pair pair;
    hk_future *out = NULL;

    hkt_pair_open_in(&pair, HK_RUNNING);
    HKT_OK_FATAL(hk_promise_token(pair.promise, &token));
    HKT_OK_FATAL(hk_then(pair.future, NULL, add_one, &step, &out));
    HKT_OK(hk_future_cancel(out, HK_CANCEL_REQUEST));
    HKT_TRUE(hk_cancel_token_is_fired(token));
    HKT_EQ_INT(hk_future_state(out), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(pair.future), HK_RUNNING);
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(step.calls, 0);
    hk_future_unref(out);
    hkt_pair_close(&pair);
}

static void a_step_nobody_holds_still_runs(void)
{
    struct step step = {.calls = 0};
    struct hkt_pair pair;
    hk_future *out = NULL;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_then(pair.future, NULL, add_one, &step, &out));
    hk_future_unref(out);
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(step.calls, 1);
    hkt_pair_close(&pair);
}

/* --- Rings ------------------------------------------------------------------------ */

static void a_step_cannot_follow_itself(void)
{
    hk_future *out = NULL;
    struct step step = {.own = &out};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_then(pair.future, NULL, follow_itself, &step, &out));
    hkt_pair_end(&pair, HK_DONE);
    HKT_STATUS(step.own_status, HK_EDEADLK);
    HKT_STATUS(hk_future_result(out, 0, NULL, NULL), HK_EFAILED);
    hk_future_unref(out);
    hkt_pair_close(&pair);
}

static void a_step_cannot_wait_for_itself(void)
{
    hk_future *out = NULL;
    struct step step = {.own = &out};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_then(pair.future, NULL, wait_for_itself, &step, &out));
    hkt_pair_end(&pair, HK_DONE);
    HKT_STATUS(step.own_status, HK_EDEADLK);
    HKT_EQ_INT(hkt_peek_int(out), 1);
    hk_future_unref(out);
    hkt_pair_close(&pair);
}

static void a_promise_cannot_follow_what_derives_from_it(void)
{
    struct step step = {.calls = 0};
    struct hkt_pair pair;
    hk_future *out = NULL;
    hk_future *all = NULL;

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_then(pair.future, NULL, add_one, &step, &out));
    HKT_OK_FATAL(hk_settle_all(&out, 1, &all));
    HKT_STATUS(hk_promise_follow(pair.promise, out), HK_EDEADLK);
    HKT_STATUS(hk_promise_follow(pair.promise, all), HK_EDEADLK);
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(hkt_peek_int(out), HKT_VALUE + 1);
    HKT_TRUE(hk_future_has_ended(all));
    hk_future_unref(all);
    hk_future_unref(out);
    hkt_pair_close(&pair);
}

static void what_makes_no_sense_is_refused(void)
{
    struct step step = {.calls = 0};
    struct hkt_pair pair;
    hk_future *out = NULL;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_STATUS(hk_then(NULL, NULL, add_one, &step, &out), HK_EINVAL);
    HKT_STATUS(hk_then(pair.future, NULL, NULL, &step, &out), HK_EINVAL);
    HKT_STATUS(hk_then(pair.future, NULL, add_one, &step, NULL), HK_EINVAL);
    HKT_STATUS(hk_catch(NULL, NULL, recover, &step, &out), HK_EINVAL);
    HKT_STATUS(hk_catch(pair.future, NULL, NULL, &step, &out), HK_EINVAL);
    HKT_STATUS(hk_catch(pair.future, NULL, recover, &step, NULL), HK_EINVAL);
    HKT_EQ_PTR(out, NULL);
    HKT_EQ_INT(step.calls, 0);
    hkt_pair_close(&pair);
}

static CU_TestInfo tests[] = {
    HKT_CASE("XM04 a value goes through the step", a_value_goes_through_the_step),
    HKT_CASE("XM04 a failure and a cancel pass a then by", a_failure_and_a_cancel_pass_a_then_by),
    HKT_CASE("a step that sets nothing ends with no bytes",
             a_step_that_sets_nothing_ends_with_no_bytes),
    HKT_CASE("a step that returns HK_ECANCELED ends cancelled",
             a_step_that_returns_cancelled_ends_cancelled),
    HKT_CASE("a step that returns another status fails with that cause",
             a_step_that_returns_another_status_fails_with_that_cause),
    HKT_CASE("XM04 a step may fail", a_step_may_fail),
    HKT_CASE("XM04 a step may go on with another future", a_step_may_go_on_with_another_future),
    HKT_CASE("XM04 a handler turns a failure into a value", a_handler_turns_a_failure_into_a_value),
    HKT_CASE("XM04 a value and a cancel pass a catch by", a_value_and_a_cancel_pass_a_catch_by),
    HKT_CASE("XM04 a handler that fails replaces the error",
             a_handler_that_fails_replaces_the_error),
    HKT_CASE("steps follow one another", steps_follow_one_another),
    HKT_CASE("one source may have many chains", one_source_may_have_many_chains),
    HKT_CASE("cancelling a step cancels its source", cancelling_a_step_cancels_its_source),
    HKT_CASE("cancelling a step asks a running source to stop",
             cancelling_a_step_asks_a_running_source_to_stop),
    HKT_CASE("a step nobody holds still runs", a_step_nobody_holds_still_runs),
    HKT_CASE("XM04 a step cannot follow itself", a_step_cannot_follow_itself),
    HKT_CASE("XM04 a step cannot wait for itself", a_step_cannot_wait_for_itself),
    HKT_CASE("XM04 a promise cannot follow what derives from it",
             a_promise_cannot_follow_what_derives_from_it),
    HKT_CASE("what makes no sense is refused", what_makes_no_sense_is_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "chain", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
