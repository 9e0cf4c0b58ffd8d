/* SPDX-License-Identifier: MIT */
/* Cancelling, tokens, callbacks, and letting go. */
#include "tests/random/perform.h"

static void may_cancel_op(int op, hk_cancel_level level)
{
    for (unsigned i = 0; op >= 0 && i < hkt_unit_count(op); i++) {
        hkt_may_cancel(op, i, level);
    }
}

/* A derived future hands its cancel on to what it was made of, and what it follows. */
void hkt_may_cancel(int op, unsigned index, hk_cancel_level level)
{
    const struct hkt_program *program = &hkt_stage->program;
    const struct hkt_op *at = &program->ops[op];
    struct hkt_unit *unit = hkt_unit(op, index);

    atomic_store(&unit->may_cancel, true);
    if (level == HK_CANCEL_KILL) {
        atomic_store(&unit->may_lose, true);
    }
    if (at->kind == HKT_SUBMIT || at->kind == HKT_MANY) {
        return;
    }
    if (at->kind == HKT_GROUP) {
        for (int ref = 0; ref < HKT_REFS_MAX; ref++) {
            may_cancel_op(at->refs[ref], level);
        }
    } else if (at->kind != HKT_PROMISE) {
        may_cancel_op(at->refs[HKT_TARGET], level);
        may_cancel_op(at->refs[HKT_FOLLOWED], level);
    }
    for (unsigned i = 0; at->kind == HKT_PROMISE && i < program->count; i++) {
        const struct hkt_op *end = &program->ops[i];

        if (end->kind == HKT_PROMISE_END && end->refs[HKT_TARGET] == op) {
            may_cancel_op(end->refs[HKT_FOLLOWED], level);
        }
    }
}

/* Whether only what has begun is beyond a cancel, and stays so: a task that is tried again waits
 * once more, and what is made of futures hears from those. */
static bool must_have_begun(int op)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];

    return (at->kind == HKT_SUBMIT || at->kind == HKT_MANY) && at->numbers[HKT_RETRIES] == 0;
}

void hkt_perform_cancel(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    unsigned index = of < 0 ? 0 : (unsigned)op % hkt_unit_count(of);
    hk_cancel_level level = (hk_cancel_level)at->numbers[HKT_HOW];
    hk_future *future = hkt_future_get(of, index);
    hk_status status;

    if (future == NULL) {
        return;
    }
    hkt_may_cancel(of, index, level);
    status = hk_future_cancel(future, level);
    HKT_ONE_OF(op, status, HK_OK, HK_ESTATE);
    if (level == HK_CANCEL_PENDING && status == HK_OK) {
        /* Another thread that cancels it may not have come to its end yet. */
        HKT_MUST(hk_future_state(future) == HK_CANCELLED || hk_future_state(future) == HK_RUNNING);
        atomic_store(&hkt_unit(of, index)->must_be_cancelled, true);
    }
    if (level == HK_CANCEL_PENDING && status == HK_ESTATE && must_have_begun(of)) {
        HKT_MUST(hk_future_state(future) > HK_PENDING);
    }
    if (level != HK_CANCEL_PENDING && status == HK_ESTATE) {
        HKT_MUST(hk_future_state(future) > HK_PENDING);
        atomic_store(&hkt_unit(of, index)->must_not_be_cancelled, true);
    }
    hk_future_unref(future);
}

void hkt_perform_token(int op, const struct hkt_op *at)
{
    hk_cancel_token *parent = hkt_token_get(at->refs[HKT_TARGET]);
    hk_cancel_token *token = NULL;

    HKT_MUST(hk_cancel_token_create(parent, &token) == HK_OK);
    hk_cancel_token_unref(parent);
    hkt_token_put(op, token);
}

void hkt_perform_fire(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    hk_cancel_token *token = hkt_token_get(of);

    (void)op;
    if (token != NULL) {
        atomic_store(&hkt_stage->known[of].may_fire, true);
        HKT_MUST(hk_cancel_token_fire(token, "the program says so") == HK_OK);
        HKT_MUST(hk_cancel_token_is_fired(token));
        atomic_store(&hkt_stage->known[of].is_fired, true);
        hk_cancel_token_unref(token);
    }
}

/* --- Callbacks --- */

static void call_back(hk_future *future, void *arg)
{
    int op = (int)(uintptr_t)arg;
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    struct hkt_known *known = &hkt_stage->known[op];
    struct hkt_place before = hkt_place;

    HKT_MUST(atomic_fetch_add(&known->calls, 1) == 0);
    HKT_MUST(!atomic_load(&known->is_removed));
    HKT_MUST(hk_future_has_ended(future));
    hkt_look_at(at->refs[HKT_TARGET], 0, future);
    hkt_place.callbacks++;
    hkt_run_place(op);
    hkt_place = before;
    atomic_store(&known->is_through, true);
}

void hkt_perform_callback(int op, const struct hkt_op *at)
{
    int where = at->refs[HKT_WHERE];
    hk_future *future = hkt_future_get(at->refs[HKT_TARGET], 0);
    hk_executor *executor = NULL;
    hk_hook *hook = NULL;
    hk_status status;

    if (future != NULL && (where < 0 || (executor = hkt_executor_get(where)) != NULL)) {
        status = hk_future_on_done(future, executor, call_back, (void *)(uintptr_t)op, &hook);
        HKT_ONE_OF(op, status, HKT_IF(where >= 0 && hkt_is_far(where), HK_EPORTABLE), HK_OK);
        if (status == HK_OK) {
            HKT_MUST(where < 0 || !hkt_is_far(where));
            atomic_store(&hkt_stage->known[op].is_made, true);
            hkt_hook_put(op, hook);
        }
        if (executor != NULL) {
            hkt_executor_release(where);
        }
    }
    hk_future_unref(future);
}

void hkt_perform_remove(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    hk_hook *hook = hkt_hook_take(of);
    struct hkt_known *known;
    bool may_ring;
    hk_status status;

    if (hook == NULL) {
        return;
    }
    known = &hkt_stage->known[of];
    may_ring = hkt_place.callbacks > 0 || hkt_may_ring(op);
    status = hk_hook_remove(hook);
    HKT_ONE_OF(op, status, HK_OK, HK_ESTATE, HKT_IF(may_ring, HK_EDEADLK));
    if (status == HK_OK) {
        atomic_store(&known->is_removed, true);
        HKT_MUST(atomic_load(&known->calls) == 0);
    } else if (status == HK_ESTATE) {
        HKT_MUST(atomic_load(&known->calls) == 1);
        /* In the callback itself, or behind its end. */
        HKT_MUST(atomic_load(&known->is_through) || hkt_place.callbacks > 0);
    } else {
        hk_hook_forget(hook);
    }
}

void hkt_perform_forget(int op, const struct hkt_op *at)
{
    (void)op;
    hk_hook_forget(hkt_hook_take(at->refs[HKT_TARGET]));
}

void hkt_perform_unref(int op, const struct hkt_op *at)
{
    (void)op;
    for (unsigned i = 0; at->refs[HKT_TARGET] >= 0 && i < hkt_unit_count(at->refs[HKT_TARGET]);
         i++) {
        hk_future_unref(hkt_future_take(at->refs[HKT_TARGET], i));
    }
}
