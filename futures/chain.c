/* SPDX-License-Identifier: MIT */
/*
 * then and catch: a future made from one other.
 *
 * A step is a promise that watches its source. References: one for the caller,
 * one for the linked watch, which passes to the step's run and is given back when
 * the step has ended.
 */
#include <hocket/chain.h>

#include "base/slab.h"
#include "futures/place.h"
#include "futures/promise_impl.h"
#include "futures/relay.h"
#include "futures/wait_impl.h"

struct step {
    hk_promise promise; /* First: the future converts. */
    hk_future *source;  /* One reference, kept to the end for looks. */
    struct hki_watch watch;
    unsigned when; /* The phase that the step is for. */
    hk_executor *where;
    atomic_bool posted; /* Handed to `where`. */
    hk_chain_fn *fn;
    void *arg;
};

static const struct hki_slab_class steps = {HKI_SLAB_STEPS, sizeof(struct step)};

static struct step *step_of(hk_future *future)
{
    return (struct step *)(void *)future;
}

static void destroy(hk_future *future)
{
    struct step *step = step_of(future);

    hki_promise_release(&step->promise);
    hk_future_unref(step->source);
    hki_slab_free(&steps, step);
}

static void stop(hk_future *future, hk_cancel_level level)
{
    hki_promise_stop(future, level);
    hki_relay_cancel(step_of(future)->source, level);
}

static struct hki_place *place_of(const struct step *step)
{
    return (struct hki_place *)(void *)step->where;
}

/* PENDING: its source must end, then the place must run it. RUNNING: what it follows, or
 * the thread that runs the function. */
static enum hki_wait_kind look(hk_future *future, size_t *count)
{
    unsigned phase = hki_phase(hki_future_state_now(future));

    if (phase == HKI_PENDING && atomic_load(&step_of(future)->posted)) {
        return place_of(step_of(future))->look(place_of(step_of(future)), count);
    }
    if (phase == HKI_PENDING) {
        *count = 1;
        return HKI_WAIT_ALL;
    }
    if (atomic_load(&step_of(future)->promise.source) != NULL) {
        return hki_promise_look(future, count);
    }
    if (hki_future_runner(future) == NULL) {
        return HKI_WAIT_MOVES;
    }
    *count = 1;
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next(hk_future *future, size_t i)
{
    struct hki_agent *runner = hki_future_runner(future);
    unsigned phase = hki_phase(hki_future_state_now(future));

    if (phase == HKI_PENDING && atomic_load(&step_of(future)->posted)) {
        return place_of(step_of(future))->next(place_of(step_of(future)), i);
    }
    if (phase == HKI_PENDING) {
        return hki_source_node(step_of(future)->source);
    }
    if (atomic_load(&step_of(future)->promise.source) != NULL) {
        return hki_promise_next(future, i);
    }
    /* RUNNING was read after the runner, so that thread is still inside. */
    return phase != HKI_RUNNING || runner == NULL ? (struct hki_wait_node){NULL, NULL}
                                                  : hki_agent_node(runner);
}

static hk_future *kept(hk_future *future, size_t i)
{
    return i == 0 ? step_of(future)->source : hki_promise_kept(future, i - 1);
}

static const struct hki_origin step_origin = {
    .is_derived = true,
    .destroy = destroy,
    .stop = stop,
    .look = look,
    .next = next,
    .kept = kept,
    .site = hki_promise_site,
};

/* Ends the step as its function said, unless it has ended or follows. */
static void conclude(struct step *step, hk_status status)
{
    hk_promise *promise = &step->promise;

    if (hki_future_ended(&promise->future) || atomic_load(&promise->following)) {
        return;
    }
    if (status == HK_OK) {
        (void)hki_future_end_done(&promise->future, &(struct hki_value){NULL, 0, NULL, NULL});
    } else if (status == HK_ECANCELED) {
        (void)hki_future_end_cancelled(&promise->future);
    } else {
        (void)hki_promise_break(promise, HK_EFAILED, "a step of a chain returned a failure",
                                hki_error_plain(status));
    }
}

static void run_step(void *arg)
{
    struct step *step = arg;
    struct hki_agent *agent = hki_agent_self();

    hki_agent_enter(agent);
    if (hki_future_start(&step->promise.future, agent) == HK_OK) {
        conclude(step, step->fn(step->source, &step->promise, step->arg));
    }
    hki_agent_leave(agent);
    hk_future_unref(&step->promise.future);
}

static void run_posted(void *arg)
{
    hki_relay_run(&((struct step *)arg)->promise.future, run_step, arg);
}

static void source_ended(struct hki_watch *watch)
{
    struct step *step = HKI_CONTAINER(watch, struct step, watch);

    hki_relay_expect(&step->promise.future);
    if (hki_phase(hki_future_state(step->source)) != step->when) {
        hki_promise_end_as(&step->promise, step->source);
        hk_future_unref(&step->promise.future);
    } else {
        hki_future_observe(step->source);
        if (step->where != NULL) {
            atomic_store(&step->posted, true);
            if (hki_place_post(step->where, run_posted, step) == HK_OK) {
                return; /* It may be gone. */
            }
            atomic_store(&step->posted, false);
        }
        run_step(step);
    }
}

static hk_status chain(const hk_site *site, hk_future *source, unsigned when, hk_executor *where,
                       hk_chain_fn *fn, void *arg, hk_future **out)
{
    struct step *step;
    hk_status status;

    if (source == NULL || fn == NULL || out == NULL) {
        return HK_EINVAL;
    }
    if ((status = hki_future_usable(source)) != HK_OK ||
        (status = hki_place_check(where)) != HK_OK) {
        return status;
    }
    if ((step = hki_slab_zalloc(&steps)) == NULL) {
        return HK_ENOMEM;
    }
    hki_promise_init(&step->promise, &step_origin, site);
    step->source = hk_future_ref(source);
    step->when = when;
    step->where = where;
    step->fn = fn;
    step->arg = arg;
    step->watch.run = source_ended;
    *out = &step->promise.future;
    if (hki_future_watch(source, &step->watch) == HKI_WATCH_ENDED) {
        hki_relay_watch(&step->promise.future, &step->watch);
    }
    return HK_OK;
}

hk_status hk_then_at(const hk_site *site, hk_future *source, hk_executor *where, hk_chain_fn *fn,
                     void *arg, hk_future **out)
{
    return chain(site, source, HKI_DONE, where, fn, arg, out);
}

hk_status hk_catch_at(const hk_site *site, hk_future *source, hk_executor *where, hk_chain_fn *fn,
                      void *arg, hk_future **out)
{
    return chain(site, source, HKI_FAILED, where, fn, arg, out);
}
