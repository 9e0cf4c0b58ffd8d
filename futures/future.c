/* SPDX-License-Identifier: MIT */
/* Futures: birth, references, death, and what can be seen without waiting. */
#include <hocket/future.h>

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/os.h"
#include "futures/future_impl.h"

void hki_future_init(hk_future *future, const struct hki_origin *origin, unsigned references)
{
    atomic_init(&future->state, HKI_PENDING);
    atomic_init(&future->references, references);
    future->generation = hki_fork_generation();
    future->value = (struct hki_value){NULL, 0, NULL, NULL};
    future->error = NULL;
    future->origin = origin;
    hki_list_init(&future->watches);
    atomic_init(&future->runner, NULL);
    atomic_init(&future->extra, NULL);
    atomic_init(&future->progress_done, 0);
    atomic_init(&future->progress_total, 0);
    hki_live_add(HKI_LIVE_FUTURES, 1);
}

hk_future *hk_future_ref(hk_future *future)
{
    if (future != NULL) {
        /* relaxed: the caller has a reference, so the object is stable. */
        atomic_fetch_add_explicit(&future->references, 1, memory_order_relaxed);
    }
    return future;
}

static void release_extra(struct hki_future_extra *extra)
{
    int fd;

    if (extra == NULL) {
        return;
    }
    fd = atomic_load(&extra->fd);
    if (fd >= 0) {
        hki_os_close(fd);
    }
    hk_cancel_unref(atomic_load(&extra->stop_token));
    hk_free(atomic_load(&extra->why));
    hk_free(atomic_load(&extra->reason));
    hki_free(extra, sizeof(*extra));
}

bool hki_future_unref_shared(hk_future *future)
{
    /* relaxed: a first guess; the exchange looks again. */
    unsigned references = atomic_load_explicit(&future->references, memory_order_relaxed);

    while (references > 1) {
        /* acq_rel: pairs with hk_future_unref(), whose last owner sees all earlier uses. */
        if (atomic_compare_exchange_weak_explicit(&future->references, &references, references - 1,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void hk_future_unref(hk_future *future)
{
    unsigned state;

    /* acq_rel: pairs with itself; the last owner sees all earlier uses. */
    if (future == NULL ||
        atomic_fetch_sub_explicit(&future->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    state = hki_future_state(future);
    if (hki_phase(state) == HKI_FAILED && (state & HKI_OBSERVED) == 0) {
        hki_agent_enter_late(hki_agent_self()); /* A hook of the application. */
        hki_error_unobserved(&future->error->shown);
        hki_agent_leave(hki_agent_self());
    }
    if ((state & HKI_TAKEN) == 0) {
        hki_value_drop(&future->value);
    }
    hki_error_unref(future->error);
    release_extra(atomic_load(&future->extra));
    hki_live_add(HKI_LIVE_FUTURES, -1);
    future->origin->destroy(future);
}

hk_status hki_future_usable(const hk_future *future)
{
    return hki_fork_foreign(future->generation) && !hki_future_ended(future) ? HK_EFORKED : HK_OK;
}

hk_state hk_future_state(const hk_future *future)
{
    static const hk_state shown[] = {
        [HKI_PENDING] = HK_PENDING, [HKI_RUNNING] = HK_RUNNING, [HKI_ENDING] = HK_RUNNING,
        [HKI_DONE] = HK_DONE,       [HKI_FAILED] = HK_FAILED,   [HKI_CANCELLED] = HK_CANCELLED,
    };

    if (future == NULL) {
        return HK_CANCELLED;
    }
    hki_future_refresh(future);
    return shown[hki_phase(hki_future_state(future))];
}

bool hk_future_done(const hk_future *future)
{
    return future == NULL || hki_future_ended(future);
}

struct hki_future_extra *hki_future_extra(hk_future *future)
{
    struct hki_future_extra *extra = atomic_load(&future->extra);
    struct hki_future_extra *mine;

    if (extra != NULL || (mine = hki_zalloc(sizeof(*mine))) == NULL) {
        return extra;
    }
    atomic_init(&mine->fd, -1);
    mine->future = future;
    if (atomic_compare_exchange_strong(&future->extra, &extra, mine)) {
        return mine;
    }
    hki_free(mine, sizeof(*mine));
    return extra; /* Somebody else was first. */
}

hk_cancel *hki_future_stop_token(hk_future *future)
{
    struct hki_future_extra *extra = hki_future_extra(future);
    hk_cancel *token = extra == NULL ? NULL : atomic_load(&extra->stop_token);
    hk_cancel *mine;

    if (extra == NULL || token != NULL) {
        return token;
    }
    if (hk_cancel_create(NULL, &mine) != HK_OK) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&extra->stop_token, &token, mine)) {
        hk_cancel_unref(mine);
        mine = token;
    }
    /* The token first, then STOP: the other half of hki_future_request_stop(). */
    if ((atomic_load(&future->state) & HKI_STOP) != 0) {
        (void)hk_cancel_fire(mine, atomic_load(&extra->reason));
    }
    return mine;
}

void hki_future_observe(hk_future *future)
{
    if ((hki_future_state(future) & HKI_OBSERVED) == 0) {
        (void)hki_future_set_flag(future, HKI_OBSERVED, HKI_OBSERVED);
    }
}

const char *hki_future_name(const hk_future *future)
{
    const char *name = future->origin->name == NULL ? NULL : future->origin->name(future);

    return name == NULL ? "" : name;
}

hk_status hk_future_cancel(hk_future *future, hk_cancel_level level)
{
    hk_status status;

    if (future == NULL || level < HK_CANCEL_PENDING || level > HK_CANCEL_KILL) {
        return HK_EINVAL;
    }
    status = hki_future_usable(future);
    return status != HK_OK ? status : hki_future_cancel_why(future, level, NULL);
}

hk_status hk_future_progress(const hk_future *future, uint64_t *done, uint64_t *total)
{
    hk_future *counted = (hk_future *)future;

    if (future == NULL || done == NULL || total == NULL) {
        return HK_EINVAL;
    }
    hki_future_refresh(future);
    /* relaxed: a figure to look at; the two need not be of one moment. */
    *done = atomic_load_explicit(&counted->progress_done, memory_order_relaxed);
    /* relaxed: likewise. */
    *total = atomic_load_explicit(&counted->progress_total, memory_order_relaxed);
    return HK_OK;
}

hk_status hk_future_snapshot(hk_future *future, hk_future_view *view)
{
    unsigned state;

    if (future == NULL || view == NULL) {
        return HK_EINVAL;
    }
    memset(view, 0, sizeof(*view));
    view->state = hk_future_state(future);
    state = hki_future_state(future);
    if (view->state == HK_DONE && (state & HKI_TAKEN) == 0) {
        view->value = future->value.data;
        view->value_size = future->value.size;
    } else if (view->state == HK_FAILED) {
        hki_future_observe(future);
        view->error = &future->error->shown;
    }
    return HK_OK;
}

size_t hk_future_describe(hk_future *future, char *text, size_t size)
{
    char rest[64];
    const char *name;
    int length;

    if (future == NULL) {
        return (size_t)snprintf(text, size, "no future");
    }
    switch (hk_future_state(future)) {
    case HK_PENDING:
        snprintf(rest, sizeof(rest), "pending");
        break;
    case HK_RUNNING:
        snprintf(rest, sizeof(rest), "running");
        break;
    case HK_CANCELLED:
        snprintf(rest, sizeof(rest), "cancelled");
        break;
    case HK_FAILED:
        snprintf(rest, sizeof(rest), "finished, failed: %s",
                 hk_status_name(future->error->shown.status));
        break;
    case HK_DONE:
        if ((hki_future_state(future) & HKI_TAKEN) != 0) {
            snprintf(rest, sizeof(rest), "finished, value taken");
        } else if (future->value.size == HK_BY_REF) {
            snprintf(rest, sizeof(rest), "finished, a reference");
        } else {
            snprintf(rest, sizeof(rest), "finished, %zu bytes", future->value.size);
        }
        break;
    }
    name = hki_future_name(future);
    length = snprintf(text, size, "future %p%s%s %s", (void *)future, name[0] == '\0' ? "" : " ",
                      name, rest);
    return length > 0 ? (size_t)length : 0;
}

/* The text for a future that ended without a value; a block, NULL without memory. */
static char *explain(hk_future *future, unsigned phase)
{
    struct hki_future_extra *extra = atomic_load(&future->extra);
    const char *reason = extra == NULL ? NULL : atomic_load(&extra->reason);
    size_t size;
    char *text;

    if (phase == HKI_FAILED) {
        size = hk_error_format(&future->error->shown, NULL, 0) + 1;
        if ((text = hki_block_alloc(size)) != NULL) {
            hk_error_format(&future->error->shown, text, size);
        }
        return text;
    }
    size = sizeof("cancelled: ") + (reason == NULL ? 0 : strlen(reason));
    if ((text = hki_block_alloc(size)) != NULL) {
        snprintf(text, size, "cancelled%s%s", reason == NULL ? "" : ": ",
                 reason == NULL ? "" : reason);
    }
    return text;
}

const char *hk_future_why(hk_future *future)
{
    struct hki_future_extra *extra;
    unsigned phase;
    char *known = NULL;
    char *mine;

    if (future == NULL) {
        return "";
    }
    phase = hki_phase(hki_future_state(future));
    if (phase != HKI_FAILED && phase != HKI_CANCELLED) {
        return "";
    }
    hki_future_observe(future);
    if ((extra = hki_future_extra(future)) != NULL && (known = atomic_load(&extra->why)) == NULL &&
        (mine = explain(future, phase)) != NULL) {
        if (atomic_compare_exchange_strong(&extra->why, &known, mine)) {
            return mine;
        }
        hk_free(mine);
    }
    if (known != NULL) {
        return known;
    }
    return phase == HKI_FAILED ? future->error->shown.message : "cancelled";
}
