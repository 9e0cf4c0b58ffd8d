/* SPDX-License-Identifier: MIT */
/*
 * within: a future with a time limit of the reader's own.
 *
 * A promise that watches its source and a timer. References: the caller's, the
 * watch's, and the timer's while it is armed. Whoever comes first ends the
 * promise; the other finds it ended.
 */
#include <hocket/within.h>

#include <stdio.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/time.h"
#include "base/world.h"
#include "executors/timer.h"
#include "futures/promise_impl.h"
#include "futures/relay.h"
#include "futures/wait_impl.h"

struct within {
    hk_promise promise; /* First: the future converts. */
    hk_future *source;  /* One reference, kept to the end for looks. */
    struct hki_watch watch;
    struct hki_timer timer;
    hk_duration limit;
    bool holds; /* The timer thread. */
};

static struct within *within_of(hk_future *future)
{
    return (struct within *)(void *)future;
}

static void destroy(hk_future *future)
{
    struct within *within = within_of(future);
    /* The parent's hold stayed with the parent. */
    bool holds = within->holds && !hki_future_foreign(future);

    hk_future_unref(within->source);
    hki_free(within, sizeof(*within));
    if (holds) {
        hki_timers_release(false); /* A thread that unrefs waits for no callback of others. */
    }
}

static void stop(hk_future *future, hk_cancel_level level)
{
    hki_relay_cancel(within_of(future)->source, level);
}

/* The clock moves it; without a limit its source alone does. */
static enum hki_wait_kind look(hk_future *future, size_t *count)
{
    if (within_of(future)->limit != HK_FOREVER) {
        return HKI_WAIT_MOVES;
    }
    *count = 1;
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next(hk_future *future, size_t i)
{
    (void)i;
    return hki_source_node(within_of(future)->source);
}

static hk_future *kept(hk_future *future, size_t i)
{
    return i == 0 ? within_of(future)->source : NULL;
}

static const struct hki_origin within_origin = {
    .is_derived = true,
    .destroy = destroy,
    .stop = stop,
    .look = look,
    .next = next,
    .kept = kept,
    .site = hki_promise_site,
};

static void time_is_up(struct hki_timer *timer)
{
    struct within *within = HKI_CONTAINER(timer, struct within, timer);
    char text[96];

    snprintf(text, sizeof(text), "it did not end within %.3f ms", (double)within->limit / 1e6);
    if (hki_promise_break(&within->promise, HK_EDEADLINE, text, NULL) == HK_OK) {
        (void)hki_future_cancel_why(within->source, HK_CANCEL_REQUEST, "out of time");
    }
    hk_future_unref(&within->promise.future);
}

static void source_ended(struct hki_watch *watch)
{
    struct within *within = HKI_CONTAINER(watch, struct within, watch);

    hki_relay_expect(&within->promise.future);
    if (hki_timer_disarm(&within->timer)) {
        hk_future_unref(&within->promise.future);
    }
    hki_promise_end_as(&within->promise, within->source);
    hk_future_unref(&within->promise.future);
}

/* Ends one whose limit is 0, or arms its timer. */
static hk_status begin(struct within *within)
{
    hk_future *future = &within->promise.future;
    hk_status status = HK_OK;

    hk_future_ref(future); /* The timer's. */
    if (within->limit == 0) {
        if (!hki_future_ended(within->source)) {
            time_is_up(&within->timer);
        } else {
            hk_future_unref(future);
        }
    } else if (within->limit == HK_FOREVER) {
        hk_future_unref(future);
    } else {
        status = hki_timer_arm(&within->timer, hki_deadline(within->limit), time_is_up);
        if (status != HK_OK) {
            hk_future_unref(future);
        }
    }
    return status;
}

hk_status hk_within_at(const hk_site *site, hk_future *source, hk_duration limit, hk_future **out)
{
    struct within *within;
    hk_status status;

    if (source == NULL || out == NULL || !hki_duration_valid(limit)) {
        return HK_EINVAL;
    }
    if ((status = hki_future_usable(source)) != HK_OK) {
        return status;
    }
    if ((within = hki_zalloc(sizeof(*within))) == NULL) {
        return HK_ENOMEM;
    }
    within->holds = hki_world_self() == NULL; /* A world's timers need no thread. */
    if (within->holds && (status = hki_timers_hold()) != HK_OK) {
        hki_free(within, sizeof(*within));
        return status;
    }
    hki_promise_init(&within->promise, &within_origin, site);
    within->source = hk_future_ref(source);
    within->watch.run = source_ended;
    within->limit = limit;
    if ((status = begin(within)) != HK_OK) {
        (void)hki_future_end_cancelled(&within->promise.future); /* Nobody can see it. */
        hk_future_unref(&within->promise.future);
        hk_future_unref(&within->promise.future);
        return status;
    }
    *out = &within->promise.future;
    if (hki_future_watch(source, &within->watch) == HKI_WATCH_ENDED) {
        hki_relay_watch(&within->promise.future, &within->watch);
    }
    return HK_OK;
}
