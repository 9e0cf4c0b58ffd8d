/* SPDX-License-Identifier: MIT */
/* Loops in the place of recursion, for chains of any length: see relay.h. */
#include "futures/relay.h"

/* Sources that are derived futures themselves, and wait to be cancelled. A tree that is both
 * deep and wide may not find room: then it goes on by a call, which has as much again. */
enum { CANCELS_MAX = 16 };

struct hki_cancels {
    bool along; /* With a failure: the callbacks are left to the loop of the drains. */
    size_t count;
    struct {
        hk_future *future; /* One reference. */
        hk_cancel_level level;
    } waiting[CANCELS_MAX];
};

/* Takes out the first callback; ends the draining if there is none. */
static struct hki_watch *take_callback(hk_future *future)
{
    struct hki_stripe *stripe = hki_stripe_of(future);
    struct hki_watch *watch;

    pthread_mutex_lock(&stripe->lock);
    watch = hki_future_first_watch(future);
    if (watch != NULL) {
        hki_future_unlink_watch(future, watch);
    } else {
        /* Under the lock (I4): nobody can join behind a drain that has ended. */
        uint64_t word = hki_future_word(future);

        while (!hki_future_swap(future, &word, (unsigned)word & ~(unsigned)HKI_DRAINING)) {
        }
    }
    pthread_mutex_unlock(&stripe->lock);
    return watch;
}

static void begin_drain(hk_future *future, struct hki_agent *agent)
{
    hki_future_set_drainer(future, agent);
    if (agent->host_ops != NULL) {
        agent->host_ops->occupied(agent->host);
    }
}

/* Until nothing is left. What a callback brings up comes before the callbacks behind it, as if
 * it were drained by the call that ended it. */
static void work_off(struct hki_drains *drains)
{
    hk_future *future;

    while ((future = drains->first != NULL ? drains->first : drains->bottom) != NULL) {
        struct hki_watch *watch = take_callback(future);

        drains->relayed = NULL;
        if (watch != NULL) {
            watch->run(watch);
            continue;
        }
        hki_wait_graph_settle(); /* A look may still read this thread's record. */
        if (drains->first == NULL) {
            drains->bottom = NULL;
        } else {
            drains->first = hki_future_rest(future)->below;
            hk_future_unref(future);
        }
    }
}

void hki_future_drain(hk_future *future)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_drains drains = {.bottom = future};
    struct hki_drains *outer = agent->drains;

    begin_drain(future, agent);
    agent->drains = &drains;
    work_off(&drains);
    agent->drains = outer;
}

void hki_relay_expect(hk_future *derived)
{
    struct hki_drains *drains = hki_agent_self()->drains;

    if (drains != NULL) {
        drains->relayed = derived;
    }
}

bool hki_relay_takes(hk_future *future)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_drains *drains = agent->drains;

    if (drains == NULL || drains->relayed != future) {
        return false;
    }
    begin_drain(future, agent);
    hki_future_rest(future)->below = drains->first;
    drains->first = hk_future_ref(future);
    drains->relayed = NULL;
    return true;
}

void hki_relay_publish(hk_future *future, unsigned phase)
{
    struct hki_drains *drains = hki_agent_self()->drains;
    hk_future *before;

    if (drains == NULL || (hki_future_state(future) & HKI_WATCHED) == 0 ||
        hki_future_need_rest(future) == NULL) {
        hki_future_publish(future, phase);
        return;
    }
    before = drains->relayed;
    drains->relayed = future;
    hki_future_publish(future, phase);
    drains->relayed = before;
}

void hki_relay_run(hk_future *derived, void (*run)(void *arg), void *arg)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_drains drains = {.relayed = derived};
    struct hki_drains *outer = agent->drains;

    if (outer != NULL && outer->relayed == derived) {
        run(arg); /* An executor that ran at once what a watch posted to it. */
        return;
    }
    agent->drains = &drains;
    run(arg);
    work_off(&drains);
    agent->drains = outer;
}

static void run_watch(void *arg)
{
    struct hki_watch *watch = arg;

    watch->run(watch);
}

void hki_relay_watch(hk_future *derived, struct hki_watch *watch)
{
    hki_relay_run(derived, run_watch, watch);
}

/* --- cancels --- */

static bool put(struct hki_cancels *cancels, hk_future *future, hk_cancel_level level)
{
    if (cancels == NULL || cancels->count == CANCELS_MAX) {
        return false;
    }
    cancels->waiting[cancels->count].future = hk_future_ref(future);
    cancels->waiting[cancels->count].level = level;
    cancels->count++;
    return true;
}

static hk_status cancel_all(hk_future *future, hk_cancel_level level, const char *why, bool along)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_cancels *outer = agent->cancels;
    struct hki_cancels cancels;
    hk_status status;

    /* One that has no sources needs no loop. */
    if (!future->origin->is_derived) {
        return hki_future_cancel_this(future, level, why, along);
    }
    cancels.along = along;
    cancels.count = 0;
    agent->cancels = &cancels;
    status = hki_future_cancel_this(future, level, why, along);
    while (cancels.count > 0) {
        hk_future *source = cancels.waiting[--cancels.count].future;

        (void)hki_future_cancel_this(source, cancels.waiting[cancels.count].level, NULL, along);
        hk_future_unref(source);
    }
    agent->cancels = outer;
    return status;
}

hk_status hki_future_cancel_why(hk_future *future, hk_cancel_level level, const char *why)
{
    return cancel_all(future, level, why, false);
}

void hki_relay_take_along(hk_future *source)
{
    (void)cancel_all(source, HK_CANCEL_REQUEST, NULL, true);
}

void hki_relay_cancel(hk_future *source, hk_cancel_level level)
{
    struct hki_cancels *cancels = hki_agent_self()->cancels;

    if (!source->origin->is_derived || !put(cancels, source, level)) {
        (void)cancel_all(source, level, NULL, cancels != NULL && cancels->along);
    }
}
