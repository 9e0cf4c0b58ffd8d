/* SPDX-License-Identifier: MIT */
/* Futures: birth, references, death, and what can be seen without waiting. */
#include <hocket/future.h>

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/slab.h"
#include "futures/future_impl.h"

static const struct hki_slab_class rests = {HKI_SLAB_RESTS, sizeof(struct hki_future_rest)};

static void init_rest(struct hki_future_rest *rest, bool is_apart)
{
    memset(rest, 0, sizeof(*rest));
    atomic_init(&rest->fd, -1);
    rest->is_apart = is_apart;
}

void hki_future_init(hk_future *future, struct hki_future_rest *rest,
                     const struct hki_origin *origin, unsigned references)
{
    hki_future_init_plain(future, origin, references, 0);
    if (rest != NULL) {
        init_rest(rest, false);
        atomic_init(&future->more, (uintptr_t)rest | HKI_HAS_REST);
    }
}

struct hki_future_rest *hki_future_need_rest(hk_future *future)
{
    struct hki_stripe *stripe = hki_stripe_of(future);
    struct hki_future_rest *rest = hki_future_rest(future);
    struct hki_future_rest *mine;

    if (rest != NULL || (mine = hki_slab_alloc(&rests)) == NULL) {
        return rest;
    }
    init_rest(mine, true);
    pthread_mutex_lock(&stripe->lock); /* I4: the watches move. */
    if ((rest = hki_future_rest(future)) == NULL) {
        mine->watches = hki_future_first_watch(future);
        /* seq_cst, for hki_future_request_stop(); else release, pairs with hki_future_rest(). */
        atomic_store(&future->more, (uintptr_t)mine | HKI_HAS_REST);
    }
    pthread_mutex_unlock(&stripe->lock);
    if (rest != NULL) {
        hki_slab_free(&rests, mine); /* Somebody else was first. */
        return rest;
    }
    return mine;
}

struct hki_agent *hki_future_runner(const hk_future *future)
{
    struct hki_future_rest *rest = hki_future_rest(future);

    return rest == NULL ? NULL : atomic_load(&rest->runner);
}

struct hki_agent *hki_future_drainer(const hk_future *future)
{
    struct hki_future_rest *rest = hki_future_rest(future);

    return rest == NULL ? NULL : atomic_load(&rest->drainer);
}

void hki_future_set_drainer(hk_future *future, struct hki_agent *drainer)
{
    struct hki_future_rest *rest = hki_future_rest(future);

    if (rest != NULL) {
        atomic_store(&rest->drainer, drainer);
    }
}

hk_future *hk_future_ref(hk_future *future)
{
    if (future != NULL) {
        hki_life_hold(&future->life);
    }
    return future;
}

static void release_rest(struct hki_future_rest *rest)
{
    int fd = atomic_load(&rest->fd);

    if (fd >= 0) {
        hki_os_close(fd);
    }
    hk_cancel_token_unref(atomic_load(&rest->stop_token));
    hki_block_free(atomic_load(&rest->why));
    hki_block_free(atomic_load(&rest->reason));
    if (rest->is_apart) {
        hki_slab_free(&rests, rest);
    }
}

/* What it ended with. */
static void release_outcome(hk_future *future, unsigned state)
{
    struct hki_future_rest *rest = hki_future_rest(future);

    if (hki_phase(state) == HKI_FAILED) {
        if ((state & HKI_OBSERVED) == 0) {
            struct hki_agent *agent = hki_agent_self();
            hk_future **burials = agent->burials;

            agent->burials = NULL;       /* As in hki_value_drop(). */
            hki_agent_enter_late(agent); /* A hook of the application. */
            hki_error_unobserved(&future->body.error->shown);
            hki_agent_leave(agent);
            agent->burials = burials;
        }
        hki_error_unref(future->body.error);
    }
    if (rest != NULL) {
        if ((state & HKI_TAKEN) == 0) {
            hki_value_drop(&rest->value);
        }
        release_rest(rest);
    }
}

bool hki_future_unref_shared(hk_future *future)
{
    return hki_life_let_go_shared(&future->life);
}

static void bury(hk_future *future)
{
    unsigned state = hki_future_state(future);

    /* Most have done well, and have nothing but themselves. */
    if (hki_phase(state) == HKI_FAILED || hki_future_rest(future) != NULL) {
        release_outcome(future, state);
    }
    hki_tally_add(HKI_TALLY_LIVE + HKI_LIVE_FUTURES, -1);
    future->origin->destroy(future);
}

void hki_future_destroy(hk_future *future)
{
    struct hki_agent *agent;
    hk_future *waiting = NULL;

    if (!future->origin->is_derived) {
        bury(future);
        return;
    }
    agent = hki_agent_self();
    if (agent->burials != NULL) {
        hki_future_rest(future)->below = *agent->burials;
        *agent->burials = future;
        return;
    }
    agent->burials = &waiting;
    do {
        bury(future);
        if ((future = waiting) != NULL) {
            waiting = hki_future_rest(future)->below;
        }
    } while (future != NULL);
    agent->burials = NULL;
}

void hk_future_unref(hk_future *future)
{
    if (future != NULL && hki_life_let_go(&future->life)) {
        hki_future_destroy(future);
    }
}

hk_status hki_future_usable(const hk_future *future)
{
    return hki_future_foreign(future) && !hki_future_ended(future) ? HK_EFORKED : HK_OK;
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

bool hk_future_has_ended(const hk_future *future)
{
    return future == NULL || hki_future_ended(future);
}

hk_cancel_token *hki_future_stop_token(hk_future *future)
{
    struct hki_future_rest *rest = hki_future_need_rest(future);
    hk_cancel_token *token = rest == NULL ? NULL : atomic_load(&rest->stop_token);
    hk_cancel_token *mine;

    if (rest == NULL || token != NULL) {
        return token;
    }
    if (hk_cancel_token_create(NULL, &mine) != HK_OK) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&rest->stop_token, &token, mine)) {
        hk_cancel_token_unref(mine);
        mine = token;
    }
    /* The token first, then STOP: the other half of hki_future_request_stop(). */
    if ((hki_future_state_now(future) & HKI_STOP) != 0) {
        (void)hk_cancel_token_fire(mine, atomic_load(&rest->reason));
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
    struct hki_future_rest *rest;

    if (future == NULL || done == NULL || total == NULL) {
        return HK_EINVAL;
    }
    hki_future_refresh(future);
    rest = hki_future_rest(future);
    /* relaxed: a figure to look at; the two need not be of one moment. */
    *done = rest == NULL ? 0 : atomic_load_explicit(&rest->progress_done, memory_order_relaxed);
    /* relaxed: likewise. */
    *total = rest == NULL ? 0 : atomic_load_explicit(&rest->progress_total, memory_order_relaxed);
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
        view->value = hki_future_value(future).data;
        view->value_size = hki_future_value(future).size;
    } else if (view->state == HK_FAILED) {
        hki_future_observe(future);
        view->error = &future->body.error->shown;
    }
    return HK_OK;
}

size_t hk_future_describe(hk_future *future, char *text, size_t size)
{
    char rest[64];
    const char *name;
    int length;

    size = text == NULL ? 0 : size;
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
                 hk_status_name(future->body.error->shown.status));
        break;
    case HK_DONE:
        if ((hki_future_state(future) & HKI_TAKEN) != 0) {
            snprintf(rest, sizeof(rest), "finished, value taken");
        } else if (hki_future_value(future).size == HK_BY_REF) {
            snprintf(rest, sizeof(rest), "finished, a reference");
        } else {
            snprintf(rest, sizeof(rest), "finished, %zu bytes", hki_future_value(future).size);
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
    struct hki_future_rest *rest = hki_future_rest(future);
    const char *reason = rest == NULL ? NULL : atomic_load(&rest->reason);
    size_t size;
    char *text;

    if (phase == HKI_FAILED) {
        size = hk_error_format(&future->body.error->shown, NULL, 0) + 1;
        if ((text = hki_block_alloc(size)) != NULL) {
            hk_error_format(&future->body.error->shown, text, size);
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
    struct hki_future_rest *rest;
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
    if ((rest = hki_future_need_rest(future)) != NULL &&
        (known = atomic_load(&rest->why)) == NULL && (mine = explain(future, phase)) != NULL) {
        if (atomic_compare_exchange_strong(&rest->why, &known, mine)) {
            return mine;
        }
        hki_block_free(mine);
    }
    if (known != NULL) {
        return known;
    }
    return phase == HKI_FAILED ? future->body.error->shown.message : "cancelled";
}
