/* SPDX-License-Identifier: MIT */
/* Futures in a state, threads, callbacks that take notes, and the log as text. */
#include "tests/promise_fixture.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- Futures in a state --- */

void hkt_pair_open(struct hkt_pair *pair)
{
    pair->promise = NULL;
    pair->future = NULL;
    HKT_OK_FATAL(hk_promise_create(&pair->promise, &pair->future));
}

hk_status hkt_set_int(hk_promise *promise, int value)
{
    return hk_promise_set(promise, &value, sizeof(value));
}

void hkt_pair_end(struct hkt_pair *pair, hk_state state)
{
    switch (state) {
    case HK_PENDING:
        break;
    case HK_RUNNING:
        HKT_OK(hk_promise_start(pair->promise));
        break;
    case HK_DONE:
        HKT_OK(hkt_set_int(pair->promise, HKT_VALUE));
        break;
    case HK_FAILED:
        HKT_OK(hk_promise_fail(pair->promise, HKT_APP_CODE, "%s", HKT_MESSAGE));
        break;
    case HK_CANCELLED:
        HKT_OK(hk_future_cancel(pair->future, HK_CANCEL_PENDING));
        break;
    }
}

void hkt_pair_open_in(struct hkt_pair *pair, hk_state state)
{
    hkt_pair_open(pair);
    hkt_pair_end(pair, state);
}

void hkt_pair_close(struct hkt_pair *pair)
{
    hk_promise_destroy(pair->promise);
    if (pair->future != NULL) {
        /* Asked for only so that it counts as read. */
        (void)hk_future_why(pair->future);
    }
    hk_future_unref(pair->future);
    pair->promise = NULL;
    pair->future = NULL;
}

void hkt_pairs_open(struct hkt_pair *pairs, hk_future **futures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hkt_pair_open(&pairs[i]);
        futures[i] = pairs[i].future;
    }
}

void hkt_pairs_close(struct hkt_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hkt_pair_close(&pairs[i]);
    }
}

int hkt_peek_int(hk_future *future)
{
    const void *value = NULL;
    size_t size = 0;
    int result = INT_MIN;

    if (HKT_OK(hk_future_result(future, 0, &value, &size)) && HKT_EQ_INT(size, sizeof(result))) {
        memcpy(&result, value, sizeof(result));
    }
    return result;
}

/* --- Threads --- */

static void *begin(void *arg)
{
    struct hkt_thread *thread = arg;

    thread->id = gettid();
    hkt_gate_open(&thread->begun);
    thread->fn(thread->arg);
    return NULL;
}

void hkt_thread_start(struct hkt_thread *thread, void (*fn)(void *arg), void *arg)
{
    thread->fn = fn;
    thread->arg = arg;
    hkt_gate_init(&thread->begun, "the start of a thread");
    HKT_EQ_INT_FATAL(pthread_create(&thread->thread, NULL, begin, thread), 0);
    hkt_gate_wait(&thread->begun);
}

void hkt_thread_await_sleep(struct hkt_thread *thread)
{
    HKT_TRUE(hkt_falls_asleep(thread->id));
}

void hkt_thread_join(struct hkt_thread *thread)
{
    HKT_EQ_INT(pthread_join(thread->thread, NULL), 0);
    hkt_gate_fini(&thread->begun);
}

/* --- Callbacks --- */

void hkt_order_note(struct hkt_order *order, int who)
{
    if (order != NULL && HKT_TRUE(order->count < HKT_ORDER_MAX)) {
        order->who[order->count++] = who;
    }
}

void hkt_order_expect(const struct hkt_order *order, int count, const int *who)
{
    HKT_EQ_INT(order->count, count);
    for (int i = 0; i < count && i < order->count; i++) {
        HKT_EQ_INT(order->who[i], who[i]);
    }
}

void hkt_see(hk_future *future, void *arg)
{
    struct hkt_seen *seen = arg;
    const hk_error *error = NULL;
    const void *value = NULL;
    size_t size = 0;

    seen->calls++;
    seen->thread = pthread_self();
    seen->state = hk_future_state(future);
    seen->status = hk_future_result(future, 0, &value, &size);
    if (seen->status == HK_OK && size == sizeof(seen->value)) {
        memcpy(&seen->value, value, size);
    } else if (hk_future_error(future, 0, &error) == HK_OK && error != NULL) {
        seen->app_code = error->app_code;
    }
    hkt_order_note(seen->order, seen->who);
}

void hkt_watch(hk_future *future, struct hkt_seen *seen)
{
    HKT_OK(hk_future_on_done(future, NULL, hkt_see, seen, NULL));
}

void hkt_count_call(hk_future *future, void *arg)
{
    (void)future;
    atomic_fetch_add((atomic_uint *)arg, 1);
}

/* --- The log --- */

static void take_line(hk_log_level level, const char *text, void *arg)
{
    struct hkt_log *log = arg;
    size_t used;

    pthread_mutex_lock(&log->mutex);
    log->lines++;
    log->level = level;
    used = strlen(log->text);
    snprintf(log->text + used, sizeof(log->text) - used, "%s\n", text);
    pthread_mutex_unlock(&log->mutex);
}

void hkt_log_begin(struct hkt_log *log)
{
    memset(log, 0, sizeof(*log));
    HKT_EQ_INT_FATAL(pthread_mutex_init(&log->mutex, NULL), 0);
    hk_on_log(take_line, log);
}

void hkt_log_end(struct hkt_log *log)
{
    hk_on_log(NULL, NULL);
    pthread_mutex_destroy(&log->mutex);
}

bool hkt_log_has(struct hkt_log *log, const char *text)
{
    bool found;

    pthread_mutex_lock(&log->mutex);
    found = strstr(log->text, text) != NULL;
    pthread_mutex_unlock(&log->mutex);
    return found;
}
