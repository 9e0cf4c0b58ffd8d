/* SPDX-License-Identifier: MIT */
/* Futures made of futures, and promises. */
#include "tests/random/closer.h"
#include "tests/random/perform.h"

enum { STEP_CODE = 8, PROMISE_CODE = 9 };

static uint32_t value_of(int op)
{
    return hkt_mix((uint32_t)hkt_stage->program.ops[op].numbers[HKT_VALUE]);
}

static hk_status set_bytes(hk_promise *promise, uint32_t hash)
{
    unsigned char value[HKT_VALUE_BYTES];

    hkt_fill(value, sizeof(value), hash);
    return hk_promise_set(promise, value, sizeof(value));
}

/* The reference counts for the operation whose future it is. */
static hk_status set_reference(hk_promise *promise, int future_op, uint32_t hash)
{
    struct hkt_object *object = hkt_object_new(future_op, 0, hash, false);
    hk_status status = hk_promise_set_ref(promise, object, hkt_object_drop);

    if (status != HK_OK) {
        hkt_object_drop(object);
    }
    return status;
}

static hk_status step(hk_future *source, hk_promise *result, void *arg)
{
    int op = (int)(uintptr_t)arg;
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    struct hkt_known *known = &hkt_stage->known[op];
    struct hkt_place before = hkt_place;
    hk_future *followed = NULL;
    hk_status status = HK_OK;

    HKT_MUST(atomic_fetch_add(&known->calls, 1) == 0);
    HKT_MUST(hk_future_state(source) == (at->kind == HKT_THEN ? HK_DONE : HK_FAILED));
    hkt_look_at(at->refs[HKT_TARGET], 0, source);
    hkt_place.callbacks++;
    hkt_run_place(op);
    hkt_place = before;
    atomic_fetch_add(&hkt_unit(op, 0)->began, 1);
    switch ((enum hkt_step)at->numbers[HKT_HOW]) {
    case HKT_STEP_SET:
        status = set_bytes(result, value_of(op));
        break;
    case HKT_STEP_REF:
        status = set_reference(result, op, value_of(op));
        break;
    case HKT_STEP_FAIL:
        status = hk_promise_fail(result, STEP_CODE, "a step fails");
        break;
    case HKT_STEP_STATUS:
        return HK_EDONE;
    case HKT_STEP_EMPTY:
        return HK_OK;
    case HKT_STEP_FOLLOW:
        if ((followed = hkt_future_get(at->refs[HKT_FOLLOWED], 0)) != NULL) {
            atomic_store(&known->sets, 1);
            status = hk_promise_follow(result, followed);
            hk_future_unref(followed);
            if (status == HK_EDEADLK) {
                HKT_MUST(hkt_may_follow_itself(at->refs[HKT_FOLLOWED], op));
                atomic_store(&known->sets, 0);
                return HK_OK;
            }
        }
        break;
    }
    HKT_ONE_OF(op, status, HK_OK, HKT_IF(atomic_load(&hkt_unit(op, 0)->may_cancel), HK_ESTATE));
    return HK_OK;
}

static void made(int op, hk_status status, hk_future *future)
{
    if (status == HK_OK) {
        atomic_store(&hkt_stage->known[op].is_made, true);
        atomic_store(&hkt_unit(op, 0)->is_accepted, true);
        hkt_future_put(op, 0, future);
    } else {
        HKT_MUST(future == NULL);
    }
}

void hkt_perform_chain(int op, const struct hkt_op *at)
{
    int where = at->refs[HKT_WHERE];
    hk_future *source = hkt_future_get(at->refs[HKT_TARGET], 0);
    hk_executor *executor = NULL;
    hk_future *future = NULL;
    void *arg = (void *)(uintptr_t)op;
    hk_status status;

    if (source != NULL && (where < 0 || (executor = hkt_executor_get(where)) != NULL)) {
        status = at->kind == HKT_THEN ? hk_then(source, executor, step, arg, &future)
                                      : hk_catch(source, executor, step, arg, &future);
        HKT_ONE_OF(op, status, where >= 0 && hkt_is_far(where) ? HK_EPORTABLE : HK_OK);
        made(op, status, future);
        if (executor != NULL) {
            hkt_executor_release(where);
        }
    }
    hk_future_unref(source);
}

void hkt_perform_group(int op, const struct hkt_op *at)
{
    hk_future *futures[HKT_REFS_MAX * HKT_UNITS_OF_OP];
    hk_future *future = NULL;
    size_t count = 0;
    hk_status status = HK_OK;

    for (int ref = 0; ref < HKT_REFS_MAX; ref++) {
        int of = at->refs[ref];

        for (unsigned i = 0; of >= 0 && i < hkt_unit_count(of); i++) {
            if ((futures[count] = hkt_future_get(of, i)) == NULL) {
                goto release; /* A group of all or of none: so it is known what it is of. */
            }
            count++;
        }
    }
    switch ((enum hkt_group)at->numbers[HKT_HOW]) {
    case HKT_WHEN_ALL:
        /* Its first failure cancels the others, whenever that will be. */
        for (int ref = 0; ref < HKT_REFS_MAX; ref++) {
            for (unsigned i = 0; at->refs[ref] >= 0 && i < hkt_unit_count(at->refs[ref]); i++) {
                hkt_may_cancel(at->refs[ref], i, HK_CANCEL_REQUEST);
            }
        }
        status = hk_when_all(futures, count, &future);
        break;
    case HKT_SETTLE_ALL:
        status = hk_settle_all(futures, count, &future);
        break;
    case HKT_WHEN_ANY:
        status = count == 0 ? HK_OK : hk_when_any(futures, count, &future);
        break;
    }
    HKT_ONE_OF(op, status, HK_OK);
    if (future != NULL) {
        made(op, status, future);
    }
release:
    while (count > 0) {
        hk_future_unref(futures[--count]);
    }
}

void hkt_perform_within(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    hk_future *source = hkt_future_get(of, 0);
    hk_future *future = NULL;
    hk_status status;

    if (source != NULL) {
        hkt_may_cancel(of, 0, HK_CANCEL_REQUEST);
        status = hk_within(source, HK_US(at->numbers[HKT_TIME]), &future);
        HKT_ONE_OF(op, status, HK_OK);
        made(op, status, future);
        hk_future_unref(source);
    }
}

/* --- Promises --- */

void hkt_perform_promise(int op, const struct hkt_op *at)
{
    hk_promise *promise = NULL;
    hk_future *future = NULL;
    hk_status status = hk_promise_create(&promise, &future);

    (void)at;
    HKT_ONE_OF(op, status, HK_OK);
    made(op, status, future);
    if (status == HK_OK) {
        hkt_put(op, promise);
        hkt_closer_watch(op);
    }
}

void hkt_promise_give_up(int op)
{
    atomic_store(&hkt_unit(op, 0)->may_break, true);
    hkt_promise_condemn(op);
}

static hk_status follow(hk_promise *promise, int followed_op)
{
    hk_future *followed = hkt_future_get(followed_op, 0);
    hk_status status = HK_ESTATE; /* As if somebody had been faster. */

    if (followed != NULL) {
        status = hk_promise_follow(promise, followed);
        hk_future_unref(followed);
    }
    return status;
}

void hkt_perform_promise_end(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    hk_promise *promise = hkt_use(of, HKT_SLOT_PROMISE);
    hk_status status = HK_ESTATE;
    bool starts = at->numbers[HKT_HOW] == HKT_PROMISE_START;
    bool follows = at->numbers[HKT_HOW] == HKT_PROMISE_FOLLOW;

    if (promise == NULL) {
        return;
    }
    switch ((enum hkt_promise_end)at->numbers[HKT_HOW]) {
    case HKT_PROMISE_START:
        status = hk_promise_start(promise);
        break;
    case HKT_PROMISE_SET:
        status = set_bytes(promise, value_of(op));
        break;
    case HKT_PROMISE_SET_REF:
        status = set_reference(promise, of, value_of(op));
        break;
    case HKT_PROMISE_FAIL:
        status = hk_promise_fail(promise, PROMISE_CODE, "a promise fails");
        break;
    case HKT_PROMISE_FOLLOW:
        status = follow(promise, at->refs[HKT_FOLLOWED]);
        break;
    case HKT_PROMISE_DESTROY:
        hkt_promise_give_up(of);
        break;
    }
    HKT_ONE_OF(op, status, HK_OK, HK_ESTATE, HKT_IF(starts, HK_ECANCELED),
               HKT_IF(follows && hkt_may_follow_itself(at->refs[HKT_FOLLOWED], of), HK_EDEADLK));
    if (status == HK_OK && !starts) {
        HKT_MUST(atomic_fetch_add(&hkt_stage->known[of].sets, 1) == 0);
        atomic_store(&hkt_stage->known[of].ended_by, op + 1);
    }
    hkt_release(of);
}
