/* SPDX-License-Identifier: MIT */
/* Bad arguments for futures, promises, chains, completion queues and tokens; and for what is
 * about none of these: status, log, memory. */
#include "tests/misuse/rows.h"

static hk_future *made;
static hk_promise *promised;
static const hk_error *error;
static const void *view;
static void *completion; /* hk_completion *, hk_cancel_token *. */
static size_t size;
static uint64_t units;
static int fd;
static hk_value taken;
static char text[4];
static const hk_future *const nothing;

static void calls_back(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
}

static hk_status steps(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)arg;
    return hk_promise_set(result, NULL, 0);
}

static hk_status drop_made(hk_status status)
{
    if (status == HK_OK) {
        hk_future_unref(made);
    }
    return status;
}

/* A pair of which one is none: nothing of the other may have changed. */
#define PAIR ((hk_future *[]){m.done, NULL})

ROW(hk_future_cancel, future, hk_future_cancel(NULL, HK_CANCEL_PENDING) == HK_EINVAL);
ROW(hk_future_cancel, level,
    hk_future_cancel(m.pending, (hk_cancel_level)3) == HK_EINVAL &&
        hk_future_cancel(m.pending, (hk_cancel_level)-1) == HK_EINVAL &&
        hk_future_state(m.pending) == HK_PENDING);
ROW(hk_future_describe, future, hk_future_describe(NULL, text, sizeof(text)) > 0);
ROW(hk_future_describe, text, hk_future_describe(m.pending, NULL, 0) > 0);
ROW(hk_future_describe, size,
    hk_future_describe(m.pending, text, 0) > 0 && hk_future_describe(m.pending, text, 1) > 0 &&
        text[0] == '\0' && hk_future_describe(m.pending, NULL, SIZE_MAX) > 0);
ROW(hk_future_has_ended, future,
    hk_future_has_ended(NULL) == (hk_future_state(NULL) == HK_CANCELLED));
ROW(hk_future_error, future, hk_future_error(NULL, 0, &error) == HK_EINVAL);
ROW(hk_future_error, timeout, REFUSES_DURATIONS(hk_future_error(m.pending, bad, &error)));
ROW(hk_future_error, error, hk_future_error(m.done, 0, NULL) == HK_EINVAL);
ROW(hk_future_fd, future, hk_future_fd(NULL, &fd) == HK_EINVAL);
ROW(hk_future_fd, fd, hk_future_fd(m.pending, NULL) == HK_EINVAL);
ROW(hk_future_on_done, future, hk_future_on_done(NULL, NULL, calls_back, NULL, NULL) == HK_EINVAL);
ROW(hk_future_on_done, where, hk_future_on_done(m.done, NULL, calls_back, NULL, NULL) == HK_OK);
ROW(hk_future_on_done, fn, hk_future_on_done(m.pending, NULL, NULL, NULL, NULL) == HK_EINVAL);
ROW(hk_future_on_done, hook, hk_future_on_done(m.pending, NULL, calls_back, NULL, NULL) == HK_OK);
ROW(hk_future_progress, future, hk_future_progress(NULL, &units, &units) == HK_EINVAL);
ROW(hk_future_progress, done, hk_future_progress(m.done, NULL, &units) == HK_EINVAL);
ROW(hk_future_progress, total, hk_future_progress(m.done, &units, NULL) == HK_EINVAL);
ROW(hk_future_ref, future, hk_future_ref(NULL) == NULL);
ROW(hk_future_result, future, hk_future_result(NULL, 0, &view, &size) == HK_EINVAL);
ROW(hk_future_result, timeout,
    REFUSES_DURATIONS(hk_future_result(m.pending, bad, &view, &size)) &&
        hk_future_result(m.done, INT64_MAX, &view, &size) == HK_OK);
ROW(hk_future_result, value, hk_future_result(m.done, 0, NULL, &size) == HK_OK);
ROW(hk_future_result, size, hk_future_result(m.done, 0, &view, NULL) == HK_OK);
ROW(hk_future_snapshot, future, hk_future_snapshot(NULL, &(hk_future_view){0}) == HK_EINVAL);
ROW(hk_future_snapshot, view, hk_future_snapshot(m.done, NULL) == HK_EINVAL);
ROW(hk_future_state, future, hk_future_state(NULL) == HK_CANCELLED);
ROW(hk_future_take, future, hk_future_take(NULL, 0, &taken) == HK_EINVAL);
ROW(hk_future_take, timeout, REFUSES_DURATIONS(hk_future_take(m.pending, bad, &taken)));
ROW(hk_future_take, value,
    hk_future_take(m.done, 0, NULL) == HK_EINVAL &&
        hk_future_result(m.done, 0, NULL, NULL) == HK_OK);
ROW(hk_future_unref, future, DOES_NOTHING(hk_future_unref(NULL)));
ROW(hk_future_wait, future, hk_future_wait(NULL, 0) == HK_EINVAL);
ROW(hk_future_wait, timeout,
    REFUSES_DURATIONS(hk_future_wait(m.pending, bad)) &&
        REFUSES_DURATIONS(hk_future_wait(m.done, bad)) &&
        hk_future_wait(m.done, INT64_MAX) == HK_OK);
ROW(hk_future_why, future, strcmp(hk_future_why(NULL), "") == 0);
ROW(hk_hook_forget, hook, DOES_NOTHING(hk_hook_forget(NULL)));
ROW(hk_hook_remove, hook, hk_hook_remove(NULL) == HK_EINVAL);
ROW(hk_value_drop, value,
    DOES_NOTHING((hk_value_drop(NULL), hk_value_drop(&(hk_value){NULL, 0, NULL, NULL}))));

/* --- several --- */

ROW(hk_wait, futures,
    hk_wait(NULL, 1, HK_ALL_COMPLETED, 0, NULL, NULL) == HK_EINVAL &&
        hk_wait(PAIR, 2, HK_ALL_COMPLETED, 0, NULL, NULL) == HK_EINVAL &&
        hk_wait(PAIR, 2, HK_FIRST_COMPLETED, 0, NULL, NULL) == HK_EINVAL &&
        hk_wait(NULL, 0, HK_ALL_COMPLETED, 0, NULL, NULL) == HK_OK);
ROW(hk_wait, count,
    REFUSES_SIZES(hk_wait(&m.done, bad, HK_ALL_COMPLETED, 0, NULL, NULL), HK_EINVAL) &&
        REFUSES_SIZES(hk_wait(&m.done, bad, HK_FIRST_COMPLETED, 0, NULL, NULL), HK_EINVAL));
ROW(hk_wait, what,
    hk_wait(&m.done, 1, (hk_wait_for)3, 0, NULL, NULL) == HK_EINVAL &&
        hk_wait(&m.done, 1, (hk_wait_for)-1, 0, NULL, NULL) == HK_EINVAL);
ROW(hk_wait, timeout,
    REFUSES_DURATIONS(hk_wait(&m.done, 1, HK_ALL_COMPLETED, bad, NULL, NULL)) &&
        hk_wait(&m.done, 1, HK_ALL_COMPLETED, INT64_MAX, NULL, NULL) == HK_OK);
ROW(hk_wait, ended, hk_wait(&m.done, 1, HK_ALL_COMPLETED, 0, NULL, &size) == HK_OK && size == 1);
ROW(hk_wait, ended_count, hk_wait(&m.done, 1, HK_ALL_COMPLETED, 0, &(bool){false}, NULL) == HK_OK);
ROW(hk_as_completed, futures,
    hk_as_completed(NULL, 1, 0, (hk_completion **)&completion) == HK_EINVAL &&
        hk_as_completed(PAIR, 2, 0, (hk_completion **)&completion) == HK_EINVAL);
ROW(hk_as_completed, count,
    REFUSES_SIZES(hk_as_completed(&m.done, bad, 0, (hk_completion **)&completion), HK_EINVAL));
ROW(hk_as_completed, limit,
    REFUSES_DURATIONS(hk_as_completed(&m.done, 1, bad, (hk_completion **)&completion)));
ROW(hk_as_completed, out, hk_as_completed(&m.done, 1, 0, NULL) == HK_EINVAL);
ROW(hk_completion_add, completion, hk_completion_add(NULL, m.done, 0) == HK_EINVAL);
ROW(hk_completion_add, future,
    hk_completion_add(m.completion, NULL, 0) == HK_EINVAL &&
        hk_completion_outstanding(m.completion) == 0);
ROW(hk_completion_create, out, hk_completion_create(NULL) == HK_EINVAL);
ROW(hk_completion_destroy, completion, DOES_NOTHING(hk_completion_destroy(NULL)));
ROW(hk_completion_fd, completion, hk_completion_fd(NULL, &fd) == HK_EINVAL);
ROW(hk_completion_fd, fd, hk_completion_fd(m.completion, NULL) == HK_EINVAL);
ROW(hk_completion_next, completion, hk_completion_next(NULL, 0, &made, NULL) == HK_EINVAL);
ROW(hk_completion_next, timeout,
    REFUSES_DURATIONS(hk_completion_next(m.completion, bad, &made, NULL)));
ROW(hk_completion_next, future,
    hk_completion_add(m.completion, m.done, 7) == HK_OK &&
        hk_completion_next(m.completion, 0, NULL, &(uintptr_t){0}) == HK_OK &&
        hk_completion_next(m.completion, 0, NULL, NULL) == HK_EDONE);
ROW(hk_completion_next, tag,
    hk_completion_add(m.completion, m.done, UINTPTR_MAX) == HK_OK &&
        drop_made(hk_completion_next(m.completion, 0, &made, NULL)) == HK_OK);
ROW(hk_completion_outstanding, completion, hk_completion_outstanding(NULL) == 0);

/* --- chains --- */

ROW(hk_then_at, source, hk_then(NULL, NULL, steps, NULL, &made) == HK_EINVAL);
ROW(hk_then_at, where, drop_made(hk_then(m.done, NULL, steps, NULL, &made)) == HK_OK);
ROW(hk_then_at, fn, hk_then(m.done, NULL, NULL, NULL, &made) == HK_EINVAL);
ROW(hk_then_at, out, hk_then(m.done, NULL, steps, NULL, NULL) == HK_EINVAL);
ROW(hk_catch_at, source, hk_catch(NULL, NULL, steps, NULL, &made) == HK_EINVAL);
ROW(hk_catch_at, where, drop_made(hk_catch(m.done, NULL, steps, NULL, &made)) == HK_OK);
ROW(hk_catch_at, fn, hk_catch(m.done, NULL, NULL, NULL, &made) == HK_EINVAL);
ROW(hk_catch_at, out, hk_catch(m.done, NULL, steps, NULL, NULL) == HK_EINVAL);
ROW(hk_when_all_at, futures,
    hk_when_all(NULL, 1, &made) == HK_EINVAL && hk_when_all(PAIR, 2, &made) == HK_EINVAL &&
        drop_made(hk_when_all(NULL, 0, &made)) == HK_OK);
ROW(hk_when_all_at, count, REFUSES_SIZES(hk_when_all(&m.done, bad, &made), HK_EINVAL));
ROW(hk_when_all_at, out, hk_when_all(&m.done, 1, NULL) == HK_EINVAL);
ROW(hk_settle_all_at, futures,
    hk_settle_all(NULL, 1, &made) == HK_EINVAL && hk_settle_all(PAIR, 2, &made) == HK_EINVAL);
ROW(hk_settle_all_at, count, REFUSES_SIZES(hk_settle_all(&m.done, bad, &made), HK_EINVAL));
ROW(hk_settle_all_at, out, hk_settle_all(&m.done, 1, NULL) == HK_EINVAL);
ROW(hk_when_any_at, futures,
    hk_when_any(NULL, 1, &made) == HK_EINVAL && hk_when_any(PAIR, 2, &made) == HK_EINVAL);
ROW(hk_when_any_at, count,
    hk_when_any(&m.done, 0, &made) == HK_EINVAL &&
        REFUSES_SIZES(hk_when_any(&m.done, bad, &made), HK_EINVAL));
ROW(hk_when_any_at, out, hk_when_any(&m.done, 1, NULL) == HK_EINVAL);
ROW(hk_within_at, source, hk_within(NULL, 0, &made) == HK_EINVAL);
ROW(hk_within_at, limit,
    REFUSES_DURATIONS(hk_within(m.pending, bad, &made)) &&
        drop_made(hk_within(m.done, INT64_MAX, &made)) == HK_OK);
ROW(hk_within_at, out, hk_within(m.done, 0, NULL) == HK_EINVAL);

/* --- promises and tokens --- */

ROW(hk_promise_create_at, promise, hk_promise_create(NULL, &made) == HK_EINVAL);
ROW(hk_promise_create_at, future, hk_promise_create(&promised, NULL) == HK_EINVAL);
ROW(hk_promise_destroy, promise, DOES_NOTHING(hk_promise_destroy(NULL)));
ROW(hk_promise_fail_at, promise, hk_promise_fail(NULL, 1, "no %d", 1) == HK_EINVAL);
ROW(hk_promise_fail_at, format,
    hk_promise_fail_at(HK_SITE, m.promise, 1, NULL) == HK_EINVAL &&
        hk_future_state(m.pending) == HK_PENDING);
ROW(hk_promise_follow, promise, hk_promise_follow(NULL, m.done) == HK_EINVAL);
ROW(hk_promise_follow, source,
    hk_promise_follow(m.promise, NULL) == HK_EINVAL && hk_future_state(m.pending) == HK_PENDING);
ROW(hk_promise_set, promise, hk_promise_set(NULL, "x", 1) == HK_EINVAL);
ROW(hk_promise_set, value,
    hk_promise_set(m.promise, NULL, 1) == HK_EINVAL && hk_future_state(m.pending) == HK_PENDING &&
        hk_promise_set(m.promise, NULL, 0) == HK_OK);
ROW(hk_promise_set, size,
    REFUSES_SIZES(hk_promise_set(m.promise, "x", bad), bad == HK_BY_REF ? HK_EINVAL : HK_ENOMEM) &&
        hk_future_state(m.pending) == HK_PENDING);
ROW(hk_promise_set_ref, promise, hk_promise_set_ref(NULL, text, NULL) == HK_EINVAL);
ROW(hk_promise_set_ref, value, hk_promise_set_ref(m.promise, NULL, NULL) == HK_OK);
ROW(hk_promise_set_ref, drop, hk_promise_set_ref(m.promise, text, NULL) == HK_OK);
ROW(hk_promise_start, promise, hk_promise_start(NULL) == HK_EINVAL);
ROW(hk_promise_token, promise,
    hk_promise_token(NULL, (hk_cancel_token **)&completion) == HK_EINVAL);
ROW(hk_promise_token, out, hk_promise_token(m.promise, NULL) == HK_EINVAL);
ROW(hk_cancel_token_create, parent,
    hk_cancel_token_create(NULL, (hk_cancel_token **)&completion) == HK_OK &&
        DOES_NOTHING(hk_cancel_token_unref(completion)));
ROW(hk_cancel_token_create, out, hk_cancel_token_create(m.token, NULL) == HK_EINVAL);
ROW(hk_cancel_token_fd, token, hk_cancel_token_fd(NULL, &fd) == HK_EINVAL);
ROW(hk_cancel_token_fd, fd, hk_cancel_token_fd(m.token, NULL) == HK_EINVAL);
ROW(hk_cancel_token_fire, token, hk_cancel_token_fire(NULL, "why") == HK_EINVAL);
ROW(hk_cancel_token_fire, why,
    hk_cancel_token_fire(m.token, NULL) == HK_OK && strcmp(hk_cancel_token_why(m.token), "") == 0);
ROW(hk_cancel_token_is_fired, token, !hk_cancel_token_is_fired(NULL));
ROW(hk_cancel_token_ref, token, hk_cancel_token_ref(NULL) == NULL);
ROW(hk_cancel_token_unref, token, DOES_NOTHING(hk_cancel_token_unref(NULL)));
ROW(hk_cancel_token_why, token, strcmp(hk_cancel_token_why(NULL), "") == 0);

/* --- errors, log, memory, status --- */

ROW(hk_error_format, error, hk_error_format(NULL, text, sizeof(text)) == strlen("no error"));
ROW(hk_error_format, text, hk_error_format(NULL, NULL, 0) == strlen("no error"));
ROW(hk_error_format, size,
    hk_error_format(NULL, text, 0) > 0 && hk_error_format(NULL, text, 1) > 0 && text[0] == '\0' &&
        hk_error_format(NULL, NULL, SIZE_MAX) > 0);
ROW(hk_on_unobserved, fn, DOES_NOTHING(hk_on_unobserved(NULL, NULL)));
ROW(hk_on_log, fn, DOES_NOTHING(hk_on_log(NULL, NULL)));
ROW(hk_allocator_set, allocator,
    hk_allocator_set(&(hk_allocator){NULL, NULL, NULL}) == HK_EINVAL &&
        hk_allocator_set(NULL) == HK_ESTATE);
ROW(hk_memory_stats, statistics, hk_memory_stats(NULL) == HK_EINVAL);
ROW(hk_status_name, status,
    strcmp(hk_status_name((hk_status)1), "HK_?") == 0 &&
        strcmp(hk_status_name((hk_status)INT_MIN), "HK_?") == 0);
ROW(hk_strerror, status,
    hk_strerror((hk_status)INT_MAX) != NULL && hk_strerror((hk_status)INT_MIN) != NULL);
ROW(hk_task_find, name, hk_task_find(NULL) == NULL && hk_task_find("") == NULL && nothing == NULL);
