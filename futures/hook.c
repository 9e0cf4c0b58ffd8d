/* SPDX-License-Identifier: MIT */
/*
 * Callbacks: run in the order added, each exactly once, with no lock held.
 *
 * Life of a callback (under the stripe lock of its future)
 *   WAITING   linked; or handed to an executor, which has not begun it
 *   RUNNING   its function runs; runner is the thread
 *   GONE      ran, or was removed
 *
 * One reference belongs to the list (or to the executor that will run it), one
 * to the caller's handle, if he wanted one. While DRAINING is set exactly one
 * thread runs callbacks of the future; a callback that was placed on an executor
 * counts as run, for the order, once it was handed over.
 */
#include <hocket/future.h>

#include <stdio.h>

#include "base/fork.h"
#include "base/live.h"
#include "base/slab.h"
#include "futures/future_impl.h"
#include "futures/place.h"
#include "futures/wait_impl.h"

enum life { WAITING, RUNNING, GONE };

struct hk_hook {
    struct hki_watch watch; /* Link: stripe lock. */
    hk_future *future;      /* One reference. */
    hk_executor *where;
    hk_done_fn *fn;
    void *arg;
    atomic_uint references;
    enum life life;                     /* Stripe lock. */
    _Atomic(struct hki_agent *) runner; /* While RUNNING. */
};

static const struct hki_slab_class hooks = {HKI_SLAB_HOOKS, sizeof(hk_hook)};

static void release(hk_hook *hook)
{
    /* acq_rel: pairs with itself; the last owner sees all earlier uses. */
    if (atomic_fetch_sub_explicit(&hook->references, 1, memory_order_acq_rel) == 1) {
        hk_future_unref(hook->future);
        hki_slab_free(&hooks, hook);
        hki_live_add(HKI_LIVE_HOOKS, -1);
    }
}

/* WAITING -> RUNNING, unless it was removed. */
static bool begin(hk_hook *hook, struct hki_agent *agent)
{
    struct hki_stripe *stripe = hki_stripe_of(hook->future);
    bool begun;

    pthread_mutex_lock(&stripe->lock);
    begun = hook->life == WAITING;
    if (begun) {
        hook->life = RUNNING;
        atomic_store(&hook->runner, agent);
    }
    pthread_mutex_unlock(&stripe->lock);
    return begun;
}

/* RUNNING -> GONE, and tells a remover that waits. */
static void finish(hk_hook *hook)
{
    struct hki_stripe *stripe = hki_stripe_of(hook->future);

    pthread_mutex_lock(&stripe->lock);
    hook->life = GONE;
    atomic_store(&hook->runner, NULL);
    hki_condition_broadcast(&stripe->changed);
    pthread_mutex_unlock(&stripe->lock);
}

/* Runs a callback here and gives the list's reference back. */
static void run(hk_hook *hook)
{
    struct hki_agent *agent = hki_agent_self();

    hki_agent_enter(agent);
    if (begin(hook, agent)) {
        hook->fn(hook->future, hook->arg);
        finish(hook);
    }
    hki_agent_leave(agent);
    release(hook);
}

static void run_posted(void *arg)
{
    run(arg);
}

static void run_or_post(struct hki_watch *watch)
{
    hk_hook *hook = HKI_CONTAINER(watch, hk_hook, watch);

    if (hook->where == NULL || hki_place_post(hook->where, run_posted, hook) != HK_OK) {
        run(hook);
    }
}

hk_status hk_future_on_done(hk_future *future, hk_executor *where, hk_done_fn *fn, void *arg,
                            hk_hook **out)
{
    hk_hook *hook;
    hk_status status;

    if (future == NULL || fn == NULL) {
        return HK_EINVAL;
    }
    if ((status = hki_future_usable(future)) != HK_OK ||
        (status = hki_place_check(where)) != HK_OK) {
        return status;
    }
    if ((hook = hki_slab_zalloc(&hooks)) == NULL) {
        return HK_ENOMEM;
    }
    hki_live_add(HKI_LIVE_HOOKS, 1);
    hook->future = hk_future_ref(future);
    hook->where = where;
    hook->fn = fn;
    hook->arg = arg;
    hook->watch.run = run_or_post;
    atomic_init(&hook->references, out == NULL ? 1 : 2);
    if (out != NULL) {
        /* Before it can run: the callback may look for its own handle. */
        *out = hook;
    }
    if (hki_future_watch(future, &hook->watch) == HKI_WATCH_ENDED) {
        run_or_post(&hook->watch);
    }
    return HK_OK;
}

/* Waiting for the end of a callback is waiting for the thread that runs it. */
static enum hki_wait_kind look_at_hook(void *object, size_t *count)
{
    hk_hook *hook = object;

    if (atomic_load(&hook->runner) == NULL) {
        return HKI_WAIT_MOVES;
    }
    *count = 1;
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_hook(void *object, size_t i)
{
    hk_hook *hook = object;
    struct hki_agent *runner = atomic_load(&hook->runner);

    (void)i;
    return runner == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(runner);
}

static void describe_hook(void *object, char *text, size_t size)
{
    snprintf(text, size, "the end of a callback of future %p", (void *)((hk_hook *)object)->future);
}

static hk_status wait_for_end(hk_hook *hook, struct hki_agent *self)
{
    static const struct hki_wait_ops ops = {
        .look = look_at_hook, .next = next_of_hook, .describe = describe_hook, .verb = "run by"};
    struct hki_stripe *stripe = hki_stripe_of(hook->future);

    hk_status status = hki_block_begin(self, (struct hki_wait_node){&ops, hook}, false);

    if (status != HK_OK) {
        return status;
    }
    pthread_mutex_lock(&stripe->lock);
    while (hook->life == RUNNING) {
        (void)hki_condition_wait(&stripe->changed, &stripe->lock, HKI_NEVER);
    }
    pthread_mutex_unlock(&stripe->lock);
    hki_block_end(self);
    return HK_OK;
}

hk_status hk_hook_remove(hk_hook *hook)
{
    struct hki_agent *self = hki_agent_self();
    struct hki_stripe *stripe;
    enum life life;
    bool linked;

    if (hook == NULL) {
        return HK_EINVAL;
    }
    stripe = hki_stripe_of(hook->future);
    pthread_mutex_lock(&stripe->lock);
    life = hook->life;
    linked = hook->watch.previous != NULL;
    if (life == WAITING) {
        hook->life = GONE;
        if (linked) {
            hki_future_unlink_watch(hook->future, &hook->watch);
        }
    }
    pthread_mutex_unlock(&stripe->lock);
    if (life == RUNNING && atomic_load(&hook->runner) != self &&
        !hki_future_foreign(hook->future)) {
        hk_status status = wait_for_end(hook, self);

        if (status != HK_OK) {
            return status;
        }
    }
    if (life == WAITING && linked) {
        release(hook); /* The list's. */
    }
    release(hook);
    return life == WAITING ? HK_OK : HK_ESTATE;
}

void hk_hook_forget(hk_hook *hook)
{
    if (hook != NULL) {
        release(hook);
    }
}
