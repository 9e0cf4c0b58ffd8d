/* SPDX-License-Identifier: MIT */
/* Executors, and handing tasks over. */
#include <string.h>

#include "tests/random/perform.h"

enum { ROOM_WAIT_US = 2000 };

void hkt_perform_executor(int op, const struct hkt_op *at)
{
    const int *numbers = at->numbers;
    hk_executor_options options = {
        .workers = (unsigned)numbers[HKT_WORKERS],
        .queue_capacity = (size_t)numbers[HKT_QUEUE],
        .when_full = (hk_when_full)numbers[HKT_WHEN_FULL],
        .spare_workers = numbers[HKT_NO_SPARES] != 0 ? HK_NO_SPARES : 0,
        .task_timeout = HK_US(numbers[HKT_TIMEOUT]),
    };
    hk_executor *base = NULL;
    hk_executor *executor = NULL;
    hk_status status = HK_EINVAL;

    switch (hkt_kind_of(op)) {
    case HKT_INLINE:
        status = hk_inline_create(&options, &executor);
        break;
    case HKT_THREADS:
        status = hk_thread_pool_create(&options, &executor);
        break;
    case HKT_PROCESSES:
        options.spare_workers = 0;
        status = hk_process_pool_create(&options, &executor);
        break;
    case HKT_REPLAY:
        status = hk_replay_create((uint64_t)numbers[HKT_VALUE], &options, &executor);
        break;
    case HKT_SERIAL:
        if ((base = hkt_executor_get(at->refs[HKT_TARGET])) == NULL) {
            return;
        }
        status = hk_serial_create(base, &options, &executor);
        hkt_executor_release(at->refs[HKT_TARGET]);
        if (hkt_is_far(at->refs[HKT_TARGET])) {
            HKT_ONE_OF(op, status, HK_EPORTABLE);
            return;
        }
        break;
    }
    HKT_ONE_OF(op, status, HK_OK);
    if (status == HK_OK) {
        atomic_store(&hkt_stage->known[op].is_made, true);
        hkt_put(op, executor);
    }
}

/* What a submit knew before it was called. */
struct submission {
    int op;
    int to;
    int home; /* Where it goes, also if that is the task's own. */
    int token_op;
    hk_executor *executor;
    hk_cancel_token *token;
    hk_submit_options options;
    bool must_refuse;
};

static bool is_bounded(int to)
{
    return to >= 0 && hkt_stage->program.ops[to].numbers[HKT_QUEUE] != 0;
}

bool hkt_waits_for_room(int to)
{
    int full = to < 0 ? HK_FULL_FAIL : hkt_stage->program.ops[to].numbers[HKT_WHEN_FULL];

    return is_bounded(to) && (full == HK_FULL_BLOCK ||
                              (full == HK_FULL_CALLER_RUNS && hkt_kind_of(to) >= HKT_SERIAL));
}

static bool prepare(struct submission *submission, int op, const struct hkt_op *at)
{
    const int *numbers = at->numbers;
    int to = at->refs[HKT_TARGET];
    hk_executor *executor = to >= 0 || hkt_has_own_executor(op) ? hkt_executor_get(to) : NULL;

    if (executor == NULL) {
        return false;
    }
    *submission = (struct submission){.op = op,
                                      .to = to,
                                      .home = hkt_home_of(op),
                                      .token_op = at->refs[HKT_TOKEN_REF],
                                      .executor = executor,
                                      .token = hkt_token_get(at->refs[HKT_TOKEN_REF])};
    submission->options =
        (hk_submit_options){.priority = (hk_priority)numbers[HKT_PRIORITY],
                            .timeout = HK_US(numbers[HKT_TIMEOUT]),
                            .deadline = HK_US(numbers[HKT_DEADLINE]),
                            .queue_wait = hkt_place.callbacks > 0 ? HK_US(ROOM_WAIT_US) : 0,
                            .token = submission->token,
                            .retries = (unsigned)numbers[HKT_RETRIES]};
    HKT_MUST(submission->token == NULL ||
             !atomic_load(&hkt_stage->known[submission->token_op].is_fired) ||
             hk_cancel_token_is_fired(submission->token));
    submission->must_refuse =
        (submission->home >= 0 && atomic_load(&hkt_stage->known[submission->home].is_closed)) ||
        hk_cancel_token_is_fired(submission->token);
    return true;
}

static void judge(const struct submission *submission, hk_status status, bool by_reference)
{
    int to = submission->home;
    int full = to < 0 ? 0 : hkt_stage->program.ops[to].numbers[HKT_WHEN_FULL];
    bool is_bound = is_bounded(to);
    bool waits = hkt_waits_for_room(to);
    bool is_within = hkt_place.task >= 0 || hkt_place.callbacks > 0;
    bool is_replay = to >= 0 && hkt_kind_of(hkt_base_of(to)) == HKT_REPLAY;

    if (by_reference && hkt_is_far(to)) {
        HKT_MUST(status != HK_OK);
    }
    if (submission->must_refuse) {
        HKT_MUST(status != HK_OK);
    }
    HKT_ONE_OF(submission->op, status, HK_OK, HKT_IF(hkt_may_be_closed(to), HK_ECLOSED),
               HKT_IF(submission->token != NULL && hk_cancel_token_is_fired(submission->token),
                      HK_ECANCELED),
               HKT_IF(is_bound && (full == HK_FULL_FAIL || is_within), HK_EFULL),
               HKT_IF(waits && submission->options.queue_wait != 0, HK_ETIMEDOUT),
               HKT_IF(waits && (is_within || is_replay), HK_EDEADLK), HKT_IF(is_replay, HK_ESTATE),
               HKT_IF(by_reference && hkt_is_far(to), HK_EPORTABLE));
}

static void accepted(const struct submission *submission, unsigned index, hk_future *future)
{
    atomic_store(&hkt_unit(submission->op, index)->is_accepted, true);
    if (submission->home >= 0) {
        atomic_fetch_add(&hkt_stage->known[submission->home].accepted, 1);
    }
    if (future != NULL) {
        hkt_future_put(submission->op, index, future);
    }
}

static void finish(struct submission *submission)
{
    hk_cancel_token_unref(submission->token);
    hkt_executor_release(submission->to);
}

static hk_status submit_ref(struct submission *submission, const hk_task *task, hk_future **future)
{
    struct hkt_object *object =
        hkt_object_new(submission->op, 0, hkt_mix((uint32_t)submission->op), true);
    hk_status status = hk_submit_ref(submission->executor, task, object, hkt_object_drop,
                                     &submission->options, future);

    if (status != HK_OK) { /* It is still ours; and so it says if it is not. */
        hkt_object_drop(object);
    }
    return status;
}

static hk_status submit_buffer(struct submission *submission, const hk_task *task,
                               hk_future **future)
{
    struct hkt_input input = hkt_input_of(submission->op, 0);
    size_t size = sizeof(input) + HKT_LARGE_INPUT;
    hk_buffer *buffer = NULL;
    hk_status status = hk_buffer_create(submission->executor, size, &buffer);

    if (status != HK_OK) {
        HKT_ONE_OF(submission->op, status, HKT_IF(hkt_may_be_closed(submission->home), HK_EBROKEN));
        return HK_ECLOSED;
    }
    memcpy(hk_buffer_data(buffer), &input, sizeof(input));
    hkt_fill((char *)hk_buffer_data(buffer) + sizeof(input), HKT_LARGE_INPUT, input.check);
    status = hk_submit_buffer(submission->executor, task, buffer, &submission->options, future);
    if (status != HK_OK) {
        hk_buffer_destroy(buffer);
    }
    return status;
}

static hk_status submit_copy(struct submission *submission, const hk_task *task, bool is_large,
                             hk_future **future)
{
    struct hkt_input input = hkt_input_of(submission->op, 0);
    unsigned char bytes[sizeof(input) + HKT_LARGE_INPUT];
    size_t size = is_large ? sizeof(bytes) : sizeof(input);
    hk_status status;

    memcpy(bytes, &input, sizeof(input));
    hkt_fill(bytes + sizeof(input), HKT_LARGE_INPUT, input.check);
    status = hk_submit(submission->executor, task, bytes, size, &submission->options, future);
    memset(bytes, 0, sizeof(bytes)); /* They were copied, or are not needed. */
    return status;
}

void hkt_perform_submit(int op, const struct hkt_op *at)
{
    const hk_task *task = at->numbers[HKT_RETRIES] > 0 ? &hkt_task_idempotent : &hkt_task_plain;
    enum hkt_form form = (enum hkt_form)at->numbers[HKT_FORM];
    struct submission submission;
    hk_future *future = NULL;
    hk_future **wanted = at->numbers[HKT_FORGOTTEN] != 0 ? NULL : &future;
    hk_status status;

    if (!prepare(&submission, op, at)) {
        return;
    }
    switch (form) {
    case HKT_REF:
        status = submit_ref(&submission, task, wanted);
        break;
    case HKT_BUFFER:
        status = submit_buffer(&submission, task, wanted);
        break;
    default:
        status = submit_copy(&submission, task, form == HKT_LARGE_COPY, wanted);
        break;
    }
    judge(&submission, status, form == HKT_REF);
    if (status == HK_OK) {
        accepted(&submission, 0, future);
    } else {
        HKT_MUST(future == NULL);
    }
    finish(&submission);
}

void hkt_perform_many(int op, const struct hkt_op *at)
{
    const hk_task *task = at->numbers[HKT_RETRIES] > 0 ? &hkt_task_idempotent : &hkt_task_plain;
    unsigned count = hkt_unit_count(op);
    struct hkt_input inputs[HKT_UNITS_OF_OP];
    hk_future *futures[HKT_UNITS_OF_OP] = {NULL};
    struct submission submission;
    size_t taken = 0;
    hk_status status;
    bool has_options;

    if (!prepare(&submission, op, at)) {
        return;
    }
    /* Without any they go in batches. */
    has_options = submission.token != NULL || submission.options.priority != 0 ||
                  submission.options.timeout != 0 || submission.options.deadline != 0 ||
                  submission.options.queue_wait != 0 || submission.options.retries != 0;
    for (unsigned i = 0; i < count; i++) {
        inputs[i] = hkt_input_of(op, i);
    }
    status = hk_submit_many(submission.executor, task, inputs, count, sizeof(inputs[0]),
                            has_options ? &submission.options : NULL, futures, &taken);
    judge(&submission, status, false);
    HKT_MUST(status == HK_OK ? taken == count : taken < count);
    for (unsigned i = 0; i < count; i++) {
        HKT_MUST((futures[i] != NULL) == (i < taken));
        if (futures[i] != NULL) {
            accepted(&submission, i, futures[i]);
        }
    }
    finish(&submission);
}
