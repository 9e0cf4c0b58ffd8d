/* SPDX-License-Identifier: MIT */
/*
 * Once.
 *
 * UNDONE -> RUNNING (-> WAITED) -> DONE, or back to UNDONE when the function failed. Who
 * runs it holds the state word alone. Its agent is in runner_, under the graph's lock, so
 * that a look never reads the record of a thread that has ended; and it runs the function
 * one level deeper, as any callback, so that what it waits for can be seen.
 *
 * RUNNING and WAITED carry the generation of the process: in a child of fork it tells that
 * whoever runs it does so elsewhere.
 */
#include <hocket/once.h>

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/fork.h"
#include "base/os.h"
#include "base/time.h"
#include "sync/word.h"

enum { UNDONE = 0, RUNNING = 1, WAITED = 2, DONE = HK_ONCE_DONE_, PHASE = 3, PHASE_BITS = 2 };

struct wait {
    struct hki_sleep sleep;
    hk_once *once;
};

static _Atomic(struct hki_agent *) *runner_of(const hk_once *once)
{
    return (_Atomic(struct hki_agent *) *)(void *)&once->runner_;
}

static uint32_t running_here(void)
{
    return hki_fork_generation() << PHASE_BITS | RUNNING;
}

/* --- Waiting for the one who runs it --- */

static bool is_over(struct hki_sleep *sleep, uint32_t *expected)
{
    /* relaxed, all three: when it is over, hk_once_run() looks again with acquire. */
    uint32_t state = atomic_load_explicit(sleep->word, memory_order_relaxed);
    uint32_t waited = (state & ~(uint32_t)PHASE) | WAITED;

    if ((state & PHASE) == RUNNING &&
        atomic_compare_exchange_strong_explicit(sleep->word, &state, waited, memory_order_relaxed,
                                                memory_order_relaxed)) {
        state = waited;
    }
    *expected = state;
    return (state & PHASE) != WAITED;
}

/* It moves as its runner does; without one it has ended, or is about to. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    const struct wait *wait = object;

    *count = 1;
    return atomic_load(runner_of(wait->once)) == NULL ? HKI_WAIT_MOVES : HKI_WAIT_ALL;
}

static struct hki_wait_node next(void *object, size_t i)
{
    const struct wait *wait = object;
    struct hki_agent *runner = atomic_load(runner_of(wait->once));

    (void)i;
    return runner == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(runner);
}

static void describe(void *object, char *text, size_t size)
{
    const struct wait *wait = object;

    snprintf(text, size, "once %p (%s)", (void *)wait->once,
             wait->once->name_ == NULL ? "unnamed" : wait->once->name_);
}

static hk_status await(hk_once *once, uint32_t state)
{
    static const struct hki_wait_ops ops = {
        .look = look, .next = next, .describe = describe, .verb = "run by"};
    struct wait wait = {.once = once};

    /* relaxed: it is this thread only if this thread wrote it. */
    if (atomic_load_explicit(runner_of(once), memory_order_relaxed) == hki_agent_self()) {
        return HK_EDEADLK;
    }
    if ((state ^ running_here()) >> PHASE_BITS != 0) {
        return HK_EFORKED;
    }
    wait.sleep.node = (struct hki_wait_node){&ops, &wait};
    wait.sleep.ready = is_over;
    wait.sleep.word = hki_word(&once->state_);
    wait.sleep.deadline_ns = HKI_NEVER;
    return hki_sleep(&wait.sleep);
}

/* --- Running it --- */

static void set_runner(hk_once *once, struct hki_agent *agent)
{
    hki_wait_graph_lock();
    atomic_store(runner_of(once), agent);
    hki_wait_graph_unlock();
}

/* The caller has brought it from UNDONE to RUNNING. */
static hk_status run(hk_once *once, hk_once_fn *fn, void *arg)
{
    struct hki_agent *agent = hki_agent_self();
    _Atomic(uint32_t) *word = hki_word(&once->state_);
    hk_status status;

    set_runner(once, agent);
    hki_agent_enter(agent);
    status = fn(arg);
    set_runner(once, NULL);
    hki_agent_leave(agent);
    /* release: pairs with the acquire of those who find it done, or undone again. After it
     * the once may be freed memory. */
    if ((atomic_exchange_explicit(word, status == HK_OK ? DONE : UNDONE, memory_order_release) &
         PHASE) == WAITED) {
        hki_os_futex_wake(word, INT_MAX);
    }
    return status;
}

hk_status hk_once_run(hk_once *once, hk_once_fn *fn, void *arg)
{
    _Atomic(uint32_t) *word;

    if (once == NULL || fn == NULL) {
        return HK_EINVAL;
    }
    word = hki_word(&once->state_);
    for (;;) {
        /* acquire: pairs with the end of run(). */
        uint32_t state = atomic_load_explicit(word, memory_order_acquire);
        hk_status status;

        if (state == DONE) {
            return HK_OK;
        }
        if (state != UNDONE) {
            status = await(once, state);
            if (status != HK_OK) {
                return status;
            }
            continue;
        }
        /* acquire: pairs with the end of run(), when it failed. The lock in set_runner()
         * orders the two as well, so no test tells this from relaxed; but the word should not
         * lean on that. relaxed: a failure only looks again. */
        if (atomic_compare_exchange_strong_explicit(word, &state, running_here(),
                                                    memory_order_acquire, memory_order_relaxed)) {
            return run(once, fn, arg);
        }
    }
}

bool hk_once_is_done(const hk_once *once)
{
    /* acquire: pairs with the end of run(). */
    return once != NULL &&
           atomic_load_explicit(hki_word(&once->state_), memory_order_acquire) == DONE;
}

/* --- Lazy values --- */

static hk_status make_value(void *arg)
{
    hk_lazy *lazy = arg;
    void *value = NULL;
    hk_status status = lazy->make_(lazy->arg_, &value);

    if (status == HK_OK) {
        lazy->value_ = value;
    }
    return status;
}

hk_status hk_lazy_build_(hk_lazy *lazy, void **value)
{
    hk_status status;

    if (lazy == NULL || value == NULL || lazy->make_ == NULL) {
        return HK_EINVAL;
    }
    status = hk_once_run(&lazy->once_, make_value, lazy);
    if (status == HK_OK) {
        *value = lazy->value_;
    }
    return status;
}

void hk_lazy_destroy(hk_lazy *lazy)
{
    if (lazy == NULL || !hk_once_is_done(&lazy->once_)) {
        return;
    }
    if (lazy->drop_ != NULL) {
        lazy->drop_(lazy->value_);
    }
    lazy->value_ = NULL;
    lazy->once_ = (hk_once)HK_ONCE_INIT(lazy->once_.name_);
}
