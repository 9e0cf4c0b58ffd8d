/* SPDX-License-Identifier: MIT */
/*
 * completion, callbacks, timers: what can be done with futures.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/own.h"
#include "bench/hocket_bench/peer_hocket.h"

static hk_future **make_futures(uint64_t n)
{
    hk_future **futures = calloc(n, sizeof(hk_future *));

    if (futures == NULL) {
        bench_die("no memory");
    }
    return futures;
}

static void drop_futures(hk_future **futures, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        hk_future_unref(futures[i]);
    }
    free(futures);
}

/* --- Completion --------------------------------------------------------------------- */

int64_t repeat_completion(struct trial *trial, uint64_t n)
{
    hk_future **futures = make_futures(n);
    int64_t began_ns = bench_now_ns(), elapsed_ns;
    hk_completion *completion;
    uint64_t sum = 0, tags = 0;

    for (uint64_t i = 0; i < n; i++) {
        hocket_submit(trial->pool, WORK_TRIVIAL, i, &futures[i]);
    }
    hocket_must(hk_as_completed(futures, n, HK_FOREVER, &completion), "hk_as_completed");
    for (uint64_t i = 0; i < n; i++) {
        hk_future *future;
        uintptr_t tag;

        hocket_must(hk_completion_next(completion, HK_FOREVER, &future, &tag),
                    "hk_completion_next");
        sum += hocket_result(trial->pool, &future);
        tags += tag;
    }
    if (hk_completion_next(completion, 0, NULL, NULL) != HK_EDONE) {
        tags = UINT64_MAX;
    }
    hk_completion_destroy(completion);
    elapsed_ns = bench_now_ns() - began_ns;
    drop_futures(futures, n);
    return sum == sum_of_trivial(n) && tags == n * (n - 1) / 2 ? elapsed_ns : -1;
}

/* --- Callbacks ---------------------------------------------------------------------- */

static void add_value(hk_future *future, void *arg)
{
    hk_future_view view;
    uint64_t value;

    if (hk_future_snapshot(future, &view) == HK_OK && view.value != NULL) {
        memcpy(&value, view.value, sizeof(value));
        *(uint64_t *)arg += value;
    }
}

int64_t repeat_callbacks(struct trial *trial, uint64_t n)
{
    int64_t began_ns = bench_now_ns();
    uint64_t sum = 0;

    (void)trial;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t value = work_trivial(i);
        hk_promise *promise;
        hk_future *future;

        hocket_must(hk_promise_create(&promise, &future), "hk_promise_create");
        hocket_must(hk_future_on_done(future, NULL, add_value, &sum, NULL), "hk_future_on_done");
        hocket_must(hk_promise_set(promise, &value, sizeof(value)), "hk_promise_set");
        hk_promise_destroy(promise);
        hk_future_unref(future);
    }
    return sum == sum_of_trivial(n) ? bench_now_ns() - began_ns : -1;
}

/* --- Timers ------------------------------------------------------------------------- */

/* All of them are pending before the first one is taken back. */
int64_t repeat_timers(struct trial *trial, uint64_t n)
{
    hk_future **sources = make_futures(n), **limited = make_futures(n);
    hk_promise **promises = calloc(n, sizeof(hk_promise *));
    int64_t began_ns, elapsed_ns;
    bool is_right = true;

    (void)trial;
    if (promises == NULL) {
        bench_die("no memory");
    }
    for (uint64_t i = 0; i < n; i++) {
        hocket_must(hk_promise_create(&promises[i], &sources[i]), "hk_promise_create");
    }
    began_ns = bench_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        hocket_must(hk_within(sources[i], HK_SEC(3600), &limited[i]), "hk_within");
    }
    for (uint64_t i = 0; i < n; i++) {
        hocket_must(hk_promise_set(promises[i], NULL, 0), "hk_promise_set");
    }
    elapsed_ns = bench_now_ns() - began_ns;
    for (uint64_t i = 0; i < n; i++) {
        is_right = is_right && hk_future_state(limited[i]) == HK_DONE;
        hk_promise_destroy(promises[i]);
    }
    free(promises);
    drop_futures(sources, n);
    drop_futures(limited, n);
    return is_right ? elapsed_ns : -1;
}

/* How late a limit came. */
struct lateness {
    hk_promise *promise;
    /* Ends after the time was noted. */
    hk_future *noted;
    int64_t due_ns, came_ns;
};

static hk_status note_time(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    ((struct lateness *)arg)->came_ns = bench_now_ns();
    return HK_OK;
}

static void set_limit(struct lateness *lateness, int64_t limit_ns)
{
    hk_future *source, *limited;

    hocket_must(hk_promise_create(&lateness->promise, &source), "hk_promise_create");
    lateness->due_ns = bench_now_ns() + limit_ns;
    hocket_must(hk_within(source, limit_ns, &limited), "hk_within");
    hocket_must(hk_catch(limited, NULL, note_time, lateness, &lateness->noted), "hk_catch");
    hk_future_unref(source);
    hk_future_unref(limited);
}

static bool take_lateness(struct lateness *lateness, double *late_us)
{
    hocket_must(hk_future_result(lateness->noted, HK_FOREVER, NULL, NULL), "hk_future_result");
    hk_promise_destroy(lateness->promise);
    hk_future_unref(lateness->noted);
    *late_us = (double)(lateness->came_ns - lateness->due_ns) / 1000;
    /* Without a failure it was not noted; never may it come too early. */
    return lateness->came_ns >= lateness->due_ns;
}

bool run_timer_lateness(struct trial *trial)
{
    static const uint64_t range_ns = 50 * 1000 * 1000;
    struct lateness *all = calloc(trial->n, sizeof(*all));
    double *late_us = calloc(trial->n, sizeof(*late_us));
    bool is_right = true;

    if (all == NULL || late_us == NULL) {
        bench_die("no memory");
    }
    for (uint64_t i = 0; i < trial->n; i++) {
        set_limit(&all[i], (int64_t)((i + 1) * range_ns / trial->n));
    }
    for (uint64_t i = 0; i < trial->n; i++) {
        is_right = take_lateness(&all[i], &late_us[i]) && is_right;
    }
    tell_quantiles(trial, late_us, trial->n);
    free(all);
    free(late_us);
    return is_right;
}
