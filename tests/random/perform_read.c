/* SPDX-License-Identifier: MIT */
/* Looking at futures, and waiting for them. */
#include <poll.h>
#include <string.h>

#include "tests/random/perform.h"

enum { READY_MS = 10000 };

/* A wait that gave this, with this time: not for ever, and refused only where there is a ring. */
static void judge_wait(int op, hk_status status, hk_duration timeout)
{
    HKT_ONE_OF(op, status, HK_OK, HKT_IF(timeout >= 0, HK_ETIMEDOUT),
               HKT_IF(timeout != 0 && hkt_may_ring(op), HK_EDEADLK));
}

static bool is_wait_status(hk_status status)
{
    return status == HK_ETIMEDOUT || status == HK_EDEADLK;
}

static void read_state(int of, unsigned index, hk_future *future)
{
    hk_state state = hk_future_state(future);

    if (state == HK_DONE || state == HK_CANCELLED) {
        hkt_saw_hash(of, index, state == HK_DONE ? HK_OK : HK_ECANCELED, false, 0);
    }
    HKT_MUST(state <= HK_RUNNING || hk_future_has_ended(future));
}

static void read_result(int op, int of, unsigned index, hk_future *future, hk_duration timeout)
{
    const void *value = NULL;
    size_t size = 0;
    hk_status status = hk_future_result(future, timeout, &value, &size);

    if (is_wait_status(status) && !hk_future_has_ended(future)) {
        judge_wait(op, status, timeout);
    } else if (is_wait_status(status)) {
        /* It has ended since, or it ended so: the rest is for others to see. */
        hkt_look_at(of, index, future);
    } else if (status == HK_ESTATE) {
        HKT_MUST(atomic_load(&hkt_unit(of, index)->may_take));
        hkt_saw_hash(of, index, HK_OK, false, 0);
    } else {
        hkt_saw(of, index, status, value, size);
    }
}

static void take_value(int op, int of, unsigned index, hk_future *future, hk_duration timeout)
{
    struct hkt_unit *unit = hkt_unit(of, index);
    hk_value value = {NULL, 0, NULL, NULL};
    hk_status status = hk_future_take(future, timeout, &value);

    if (status == HK_OK) {
        atomic_fetch_add(&unit->takes, 1);
        hkt_saw_hash(of, index, HK_OK, true, hkt_hash_of(value.data, value.size));
        hk_value_drop(&value);
        hk_value_drop(&value);
    } else if (is_wait_status(status)) {
        if (!hk_future_has_ended(future)) {
            judge_wait(op, status, timeout);
        }
    } else if (status != HK_ESTATE) {
        hkt_saw_hash(of, index, status, false, 0);
    }
}

static void read_error(int op, int of, unsigned index, hk_future *future, hk_duration timeout)
{
    const hk_error *error = NULL;
    const hk_error *again = NULL;
    char text[1024];
    hk_status status = hk_future_error(future, timeout, &error);

    if (is_wait_status(status)) {
        judge_wait(op, status, timeout);
        return;
    }
    HKT_ONE_OF(op, status, HK_OK, HK_ECANCELED);
    if (status == HK_OK) {
        HKT_MUST(hk_future_error(future, 0, &again) == HK_OK && again == error);
        HKT_MUST(hk_error_format(error, text, sizeof(text)) > 0);
    }
    hkt_saw_hash(of, index, status != HK_OK || error == NULL ? status : error->status, false, 0);
}

static void read_snapshot(int of, unsigned index, hk_future *future)
{
    hk_future_view view;

    HKT_MUST(hk_future_snapshot(future, &view) == HK_OK);
    HKT_MUST((view.error != NULL) == (view.state == HK_FAILED));
    HKT_MUST(view.value == NULL || view.state == HK_DONE);
    if (view.state == HK_FAILED) {
        hkt_saw_hash(of, index, view.error->status, false, 0);
    } else if (view.state >= HK_DONE) {
        hkt_saw_hash(of, index, view.state == HK_DONE ? HK_OK : HK_ECANCELED, false, 0);
    }
}

static void read_descriptor(hk_future *future, hk_duration timeout)
{
    bool had_ended = hk_future_has_ended(future);
    int fd = -1;
    struct pollfd polled;
    bool is_ready;

    if (hk_future_fd(future, &fd) != HK_OK) {
        hkt_fail_program("a future gave no descriptor");
        return;
    }
    polled = (struct pollfd){.fd = fd, .events = POLLIN};
    /* Whoever ends it may be a moment behind with the descriptor, not more. */
    is_ready = poll(&polled, 1, had_ended ? READY_MS : timeout > 0 ? 1 : 0) == 1;
    HKT_MUST(is_ready || !had_ended);
    HKT_MUST(!is_ready || hk_future_has_ended(future));
}

void hkt_perform_read(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    unsigned index = of < 0 ? 0 : (unsigned)op % hkt_unit_count(of);
    hk_duration timeout = hkt_patience(at->numbers[HKT_TIME]);
    hk_future *future = hkt_future_get(of, index);
    hk_status status;

    if (future == NULL) {
        return;
    }
    switch ((enum hkt_read)at->numbers[HKT_HOW]) {
    case HKT_READ_STATE:
        read_state(of, index, future);
        break;
    case HKT_READ_WAIT:
        status = hk_future_wait(future, timeout);
        judge_wait(op, status, timeout);
        HKT_MUST(status != HK_OK || hk_future_has_ended(future));
        break;
    case HKT_READ_RESULT:
        read_result(op, of, index, future, timeout);
        break;
    case HKT_READ_TAKE:
        take_value(op, of, index, future, timeout);
        break;
    case HKT_READ_ERROR:
        read_error(op, of, index, future, timeout);
        break;
    case HKT_READ_SNAPSHOT:
        read_snapshot(of, index, future);
        break;
    case HKT_READ_WHY:
        HKT_MUST(hk_future_why(future) != NULL);
        HKT_MUST(hk_future_describe(future, NULL, 0) > 0);
        break;
    case HKT_READ_FD:
        read_descriptor(future, timeout);
        break;
    }
    hk_future_unref(future);
}

/* --- Several --- */

struct several {
    hk_future *futures[HKT_REFS_MAX * HKT_UNITS_OF_OP];
    int ops[HKT_REFS_MAX * HKT_UNITS_OF_OP];
    unsigned indexes[HKT_REFS_MAX * HKT_UNITS_OF_OP];
    size_t count;
};

static void gather(struct several *several, const struct hkt_op *at)
{
    several->count = 0;
    for (int ref = 0; ref < HKT_REFS_MAX; ref++) {
        int of = at->refs[ref];

        for (unsigned i = 0; of >= 0 && i < hkt_unit_count(of); i++) {
            hk_future *future = hkt_future_get(of, i);

            if (future != NULL) {
                several->futures[several->count] = future;
                several->ops[several->count] = of;
                several->indexes[several->count++] = i;
            }
        }
    }
}

/* One that was named twice is delivered once. */
static int count_distinct(const struct several *several)
{
    int count = 0;

    for (size_t i = 0; i < several->count; i++) {
        size_t first = 0;

        while (several->futures[first] != several->futures[i]) {
            first++;
        }
        count += first == i ? 1 : 0;
    }
    return count;
}

static void let_go(struct several *several)
{
    for (size_t i = 0; i < several->count; i++) {
        hk_future_unref(several->futures[i]);
    }
}

static void judge_done(const struct several *several, const bool *done, size_t ended,
                       hk_wait_for what, hk_status status)
{
    size_t count = 0;
    bool has_error = false;

    for (size_t i = 0; i < several->count; i++) {
        count += done[i] ? 1 : 0;
        HKT_MUST(!done[i] || hk_future_has_ended(several->futures[i]));
        has_error = has_error || (done[i] && hk_future_state(several->futures[i]) == HK_FAILED);
    }
    HKT_MUST(count == ended);
    if (status == HK_OK) {
        HKT_MUST(what != HK_ALL_COMPLETED || count == several->count);
        HKT_MUST(what != HK_FIRST_COMPLETED || count >= 1 || several->count == 0);
        HKT_MUST(what != HK_FIRST_ERROR || count == several->count || has_error);
    } else {
        HKT_MUST(what != HK_FIRST_COMPLETED || count == 0);
        HKT_MUST(count < several->count);
    }
}

void hkt_perform_wait(int op, const struct hkt_op *at)
{
    hk_duration timeout = hkt_patience(at->numbers[HKT_TIME]);
    hk_wait_for what = (hk_wait_for)at->numbers[HKT_HOW];
    struct several several;
    bool done[HKT_REFS_MAX * HKT_UNITS_OF_OP] = {false};
    size_t ended = 0;
    hk_status status;

    gather(&several, at);
    status = hk_wait(several.futures, several.count, what, timeout, done, &ended);
    judge_wait(op, status, timeout);
    if (status == HK_OK || status == HK_ETIMEDOUT) {
        judge_done(&several, done, ended, what, status);
    }
    for (size_t i = 0; i < several.count; i++) {
        if (done[i]) {
            hkt_look_at(several.ops[i], several.indexes[i], several.futures[i]);
        }
    }
    let_go(&several);
}

void hkt_perform_as_completed(int op, const struct hkt_op *at)
{
    hk_duration timeout = hkt_patience(at->numbers[HKT_TIME]);
    struct several several;
    bool was_delivered[HKT_REFS_MAX * HKT_UNITS_OF_OP] = {false};
    hk_completion *completion = NULL;
    hk_status status;
    int reads = 0;

    gather(&several, at);
    status = hk_as_completed(several.futures, several.count, timeout, &completion);
    HKT_ONE_OF(op, status, HK_OK);
    for (; status == HK_OK && reads < at->numbers[HKT_COUNT]; reads++) {
        hk_future *future = NULL;
        uintptr_t place = 0;

        status = hk_completion_next(completion, HK_FOREVER, &future, &place);
        if (status == HK_EDONE) {
            HKT_MUST(reads == count_distinct(&several));
            break;
        }
        judge_wait(op, status, timeout);
        if (status == HK_OK) {
            HKT_MUST(place < several.count && several.futures[place] == future);
            HKT_MUST(place < several.count && !was_delivered[place]);
            was_delivered[place] = true;
            hkt_look_at(several.ops[place], several.indexes[place], future);
            hk_future_unref(future);
        }
    }
    hk_completion_destroy(completion);
    let_go(&several);
}

/* --- A queue that several use --- */

void hkt_perform_completion(int op, const struct hkt_op *at)
{
    hk_completion *completion = NULL;

    (void)at;
    HKT_MUST(hk_completion_create(&completion) == HK_OK);
    hkt_put(op, completion);
}

void hkt_perform_add(int op, const struct hkt_op *at)
{
    int to = at->refs[HKT_TARGET];
    int of = at->refs[HKT_ADDED];
    hk_future *future = hkt_future_get(of, 0);
    hk_completion *completion = future == NULL ? NULL : hkt_use(to, HKT_SLOT_COMPLETION);

    (void)op;
    if (completion != NULL) {
        struct hkt_known *known = &hkt_stage->known[to];

        atomic_fetch_add(&known->tag_of_op[of], 1);
        HKT_MUST(hk_completion_add(completion, future, (uintptr_t)of) == HK_OK);
        atomic_fetch_add(&known->added, 1);
        hkt_release(to);
    }
    hk_future_unref(future);
}

bool hkt_deliver(int completion_op, hk_completion *completion, hk_duration timeout, bool may_ring)
{
    struct hkt_known *known = &hkt_stage->known[completion_op];
    hk_future *future = NULL;
    uintptr_t tag = 0;
    hk_status status = hk_completion_next(completion, timeout, &future, &tag);

    HKT_ONE_OF(completion_op, status, HK_OK, HK_EDONE, HKT_IF(timeout >= 0, HK_ETIMEDOUT),
               HKT_IF(timeout != 0 && may_ring, HK_EDEADLK));
    if (status != HK_OK) {
        return false;
    }
    HKT_MUST(hk_future_has_ended(future));
    if (tag >= HKT_OPS_MAX || atomic_fetch_sub(&known->tag_of_op[tag], 1) == 0) {
        hkt_fail_program("queue %d delivered %zu once too often", completion_op, (size_t)tag);
    } else {
        hkt_look_at((int)tag, 0, future);
    }
    atomic_fetch_add(&known->delivered, 1);
    hk_future_unref(future);
    return true;
}

void hkt_perform_next(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    hk_completion *completion = hkt_use(of, HKT_SLOT_COMPLETION);

    if (completion != NULL) {
        (void)hkt_deliver(of, completion, hkt_patience(at->numbers[HKT_TIME]), hkt_may_ring(op));
        hkt_release(of);
    }
}
