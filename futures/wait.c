/* SPDX-License-Identifier: MIT */
/*
 * Waiting for futures: look, claim, compensate, refuse, sleep; in this order.
 *
 * A waiter hangs one watch on each future and sleeps once. Whoever ends a future
 * counts the group down and wakes the sleeper only when the group has what it
 * wants, or when he has to go and sleep elsewhere (see park()). All watches are taken off
 * under the stripe locks before the wait returns, so the group may live on the waiter's
 * stack.
 */
#include "futures/wait_impl.h"

#include <stdio.h>

#include "base/array.h"
#include "base/fork.h"
#include "base/memory.h"
#include "base/time.h"
#include "base/world.h"
#include "sync/luck.h"
#include "sync/parker.h"

enum { FEW = 16 }; /* Watches that need no memory. */

struct group {
    struct hki_parker *parker;
    hk_wait_for what;
    size_t count;
    atomic_size_t missing;
    atomic_bool failed;
    atomic_bool looks; /* Woken by each end, to look at the graph: see sleep_for(). */
    /* Of the future whose runner has the waiter inside: woken by its end, see park(). */
    _Atomic(const struct hki_watch *) inside;
    size_t passed; /* Futures that park() need not look at again. */
};

struct waiter {
    struct hki_watch watch;
    struct group *group;
};

static bool group_has_enough(struct group *group)
{
    size_t missing = atomic_load(&group->missing);

    switch (group->what) {
    case HK_FIRST_COMPLETED:
        return missing < group->count;
    case HK_FIRST_ERROR:
        return missing == 0 || atomic_load(&group->failed);
    default:
        return missing == 0;
    }
}

/* Counts one end; true if the group has enough from now on. */
static bool count_down(struct group *group, unsigned phase)
{
    size_t before;
    bool first_failure = phase == HKI_FAILED && !atomic_exchange(&group->failed, true);

    before = atomic_fetch_sub(&group->missing, 1);
    switch (group->what) {
    case HK_FIRST_COMPLETED:
        return before == group->count;
    case HK_FIRST_ERROR:
        return first_failure || before == 1;
    default:
        return before == 1;
    }
}

static void fire(struct hki_watch *watch, unsigned phase)
{
    struct group *group = HKI_CONTAINER(watch, struct waiter, watch)->group;

    /* seq_cst: see park(). */
    if (count_down(group, phase) || atomic_load(&group->looks) ||
        atomic_load(&group->inside) == watch) {
        hki_parker_wake(group->parker);
    }
}

/* --- how waits look in the wait-for graph --- */

static enum hki_wait_kind look_at_future(void *object, size_t *count)
{
    hk_future *future = object;

    /* seq_cst: see hki_agent_leave(). */
    if (hki_phase(hki_future_state_now(future)) >= HKI_ENDING || future->origin->look == NULL) {
        return HKI_WAIT_MOVES;
    }
    return future->origin->look(future, count);
}

static struct hki_wait_node next_of_future(void *object, size_t i)
{
    hk_future *future = object;

    if (hki_phase(hki_future_state_now(future)) >= HKI_ENDING) {
        return (struct hki_wait_node){NULL, NULL};
    }
    return future->origin->next(future, i);
}

static void describe_future(void *object, char *text, size_t size)
{
    const hk_future *future = object;
    const hk_site *site = future->origin->site == NULL ? NULL : future->origin->site(future);
    const char *name = hki_future_name(future);

    if (site == NULL) {
        snprintf(text, size, "future %p (%s)", object, name[0] == '\0' ? "unnamed" : name);
    } else if (name[0] == '\0') {
        snprintf(text, size, "future %p (made at %s:%d)", object, site->file, site->line);
    } else {
        snprintf(text, size, "future %p (%s, submitted at %s:%d)", object, name, site->file,
                 site->line);
    }
}

/* A running one is run by a thread, one that has not started must be by some worker,
 * a derived one waits for its sources. */
static void relate_future(void *object, struct hki_wait_node next, const char *words, char *text,
                          size_t size)
{
    hk_future *future = object;

    snprintf(text, size, "%s %s",
             !hki_agent_is_node(next)                                 ? "waiting for"
             : hki_phase(hki_future_state_now(future)) == HKI_RUNNING ? "run by"
                                                                      : "to be started by",
             words);
}

struct hki_wait_node hki_future_node(hk_future *future)
{
    static const struct hki_wait_ops ops = {.look = look_at_future,
                                            .next = next_of_future,
                                            .describe = describe_future,
                                            .relate = relate_future};

    return (struct hki_wait_node){&ops, future};
}

struct hki_wait_node hki_source_node(hk_future *source)
{
    unsigned state = hki_future_state_now(source);
    struct hki_agent *drainer;

    if (hki_phase(state) < HKI_ENDING) {
        return hki_future_node(source);
    }
    if ((state & HKI_DRAINING) == 0) {
        return (struct hki_wait_node){NULL, NULL};
    }
    drainer = hki_future_drainer(source);
    /* DRAINING before and after that was read: so it is the thread that drains, and waits for
     * this look before it goes on. */
    return (hki_future_state_now(source) & HKI_DRAINING) == 0 || drainer == NULL
               ? (struct hki_wait_node){NULL, NULL}
               : hki_agent_node(drainer);
}

struct set {
    hk_future *const *futures;
    size_t count;
    hk_wait_for what;
};

static bool enough(const struct set *set)
{
    size_t ended = 0;

    for (size_t i = 0; i < set->count; i++) {
        unsigned state = hki_future_state(set->futures[i]);

        if (hki_phase_ended(state)) {
            ended++;
            if (set->what == HK_FIRST_COMPLETED ||
                (set->what == HK_FIRST_ERROR && hki_phase(state) == HKI_FAILED)) {
                return true;
            }
        } else if (set->what == HK_ALL_COMPLETED) {
            return false;
        }
    }
    return ended == set->count;
}

static const struct hki_wait_ops set_ops;

static enum hki_wait_kind look_at_set(void *object, size_t *count)
{
    const struct set *set = object;

    if (enough(set)) {
        return HKI_WAIT_MOVES;
    }
    *count = set->count;
    return set->what == HK_ALL_COMPLETED ? HKI_WAIT_ALL : HKI_WAIT_ANY;
}

/* Who waits for an error waits for those that have not ended; one that ended without
 * brings nothing any more, as if it waited for the set itself. */
static struct hki_wait_node next_of_set(void *object, size_t i)
{
    const struct set *set = object;
    unsigned state = hki_future_state(set->futures[i]);

    if (set->what == HK_FIRST_ERROR && hki_phase_ended(state) && hki_phase(state) != HKI_FAILED) {
        return (struct hki_wait_node){&set_ops, object};
    }
    return hki_future_node(set->futures[i]);
}

static void describe_set(void *object, char *text, size_t size)
{
    const struct set *set = object;

    snprintf(text, size, "%s of %zu futures", set->what == HK_ALL_COMPLETED ? "all" : "any",
             set->count);
}

static const struct hki_wait_ops set_ops = {
    .look = look_at_set, .next = next_of_set, .describe = describe_set, .verb = "including"};

/* --- the wait --- */

/* Runs what may run on this stack: awaited tasks of this pool, never strangers. */
static void claim_all(const struct set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        (void)hki_wait_claim(set->futures[i]);
    }
}

/* Of which future the runner is visited next. The last one mostly ends last, and the first one
 * first. */
static size_t to_visit(const struct group *group)
{
    return group->what == HK_FIRST_COMPLETED ? group->passed : group->count - 1 - group->passed;
}

/* Sleeps; or, if who runs a future has something for a waiting thread to do, does that. But
 * nobody is to stay with a runner that has given all it had, for it may be destroyed then: so
 * the end of the future he went there for sends him on. `inside` is stored before the runner
 * looks whether the future has ended, and an end reads it after it is published, all seq_cst:
 * one of the two sees the other. */
static bool park(struct group *group, const struct set *set, struct waiter *waiters,
                 int64_t until_ns)
{
    for (; group->passed < group->count; group->passed++) {
        size_t i = to_visit(group);
        hk_future *future = set->futures[i];

        if (future->origin->park != NULL && !hki_future_ended(future)) {
            bool woken;

            if (group->count > 1) { /* The end of a single one wakes in any case. */
                atomic_store(&group->inside, &waiters[i].watch);
            }
            woken = future->origin->park(future, group->parker, until_ns);
            if (group->count > 1) {
                atomic_store(&group->inside, NULL);
            }
            return woken;
        }
    }
    return hki_parker_park(group->parker, until_ns);
}

/* What ends without the error that is waited for may leave the others stuck, and need not
 * look; so a wait for an error looks whenever something ended. */
static hk_status sleep_for(struct group *group, const struct set *set, struct waiter *waiters,
                           int64_t deadline_ns)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_wait_node node = set->count == 1 ? hki_future_node(set->futures[0])
                                                : (struct hki_wait_node){&set_ops, (void *)set};
    bool for_error = set->what == HK_FIRST_ERROR && set->count > 1;
    unsigned looks = 0;
    hk_status status;

    if (group_has_enough(group)) {
        return HK_OK;
    }
    if (for_error) {
        atomic_store(&group->looks, true);
    }
    status = hki_block_begin(agent, node, deadline_ns != HKI_NEVER);
    if (status != HK_OK) {
        return status;
    }
    if (for_error && !hki_block_is_looked_at(agent)) {
        atomic_store(&group->looks, false);
    }
    while (!group_has_enough(group)) {
        int64_t until_ns = hki_block_until(agent, deadline_ns, &looks);
        bool woken = park(group, set, waiters, until_ns);

        if (group_has_enough(group) || (woken && !atomic_load(&group->looks))) {
            continue;
        }
        if (!woken && until_ns == deadline_ns) {
            hki_block_end(agent);
            return hki_block_ran_out(deadline_ns);
        }
        if ((status = hki_block_look_again(agent, node, false)) != HK_OK) {
            return group_has_enough(group) ? HK_OK : status; /* Not blocked any more. */
        }
    }
    hki_block_end(agent);
    return HK_OK;
}

static hk_status watch_and_sleep(const struct set *set, struct waiter *waiters, int64_t deadline_ns)
{
    struct group group = {.parker = hki_parker_self(), .what = set->what, .count = set->count};
    hk_status status;

    atomic_init(&group.missing, set->count);
    atomic_init(&group.failed, false);
    atomic_init(&group.looks, false);
    atomic_init(&group.inside, NULL);
    for (size_t i = 0; i < set->count; i++) {
        waiters[i].watch = (struct hki_watch){.fire = fire};
        waiters[i].group = &group;
        if (hki_future_watch(set->futures[i], &waiters[i].watch) == HKI_WATCH_ENDED) {
            (void)count_down(&group, hki_phase(hki_future_state(set->futures[i])));
        }
    }
    status = sleep_for(&group, set, waiters, deadline_ns);
    for (size_t i = 0; i < set->count; i++) {
        (void)hki_future_unwatch(set->futures[i], &waiters[i].watch);
    }
    return status;
}

static bool has_ended(const void *future)
{
    return hki_future_ended(future);
}

/* What was claimed has ended; and what others do may be over in a moment. A task does not try
 * its luck, for its worker is wanted, nor does a thread whose time is not the clock's. */
static bool soon_enough(const struct set *set, const struct hki_agent *agent, int64_t deadline_ns)
{
    if (agent->depth > 0) {
        return enough(set);
    }
    return set->count == 1 && deadline_ns == HKI_NEVER && set->futures[0]->origin->park == NULL &&
           hki_world_self() == NULL && hki_luck_look(has_ended, set->futures[0]);
}

/* All of many, for a thread that cannot be part of a cycle: one after the other, from the last
 * on, which mostly ends last; so it is woken seldom, and needs no memory. */
static hk_status wait_for_each(hk_future *const *futures, size_t count, int64_t deadline_ns)
{
    struct hki_agent *agent = hki_agent_self();
    hk_status status = HK_OK;

    for (size_t i = count; i-- > 0 && status == HK_OK;) {
        struct set one = {&futures[i], 1, HK_ALL_COMPLETED};
        struct waiter waiter;

        if (!hki_future_ended(futures[i]) && !soon_enough(&one, agent, deadline_ns)) {
            status = watch_and_sleep(&one, &waiter, deadline_ns);
        }
    }
    return status;
}

hk_status hki_wait(hk_future *const *futures, size_t count, hk_wait_for what, int64_t deadline_ns,
                   bool poll)
{
    struct set set = {futures, count, what};
    struct hki_agent *agent = hki_agent_self();
    struct waiter few[FEW];
    struct waiter *waiters = few;
    hk_status status;

    if (enough(&set)) {
        return HK_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if ((status = hki_future_usable(futures[i])) != HK_OK) {
            return status;
        }
    }
    if (poll) {
        hki_world_poll();
        return enough(&set) ? HK_OK : HK_ETIMEDOUT;
    }
    if (agent->depth > 0 && deadline_ns == HKI_NEVER && what == HK_ALL_COMPLETED) {
        claim_all(&set);
    }
    if (soon_enough(&set, agent, deadline_ns)) {
        return HK_OK;
    }
    if (count > FEW && what == HK_ALL_COMPLETED && !hki_block_is_awaited(agent)) {
        return wait_for_each(futures, count, deadline_ns);
    }
    if (count > FEW && (waiters = hki_alloc(count * sizeof(*waiters))) == NULL) {
        return HK_ENOMEM;
    }
    status = watch_and_sleep(&set, waiters, deadline_ns);
    if (waiters != few) {
        hki_free(waiters, count * sizeof(*waiters));
    }
    return status;
}

/* True: what it tells is enough. */
static bool fill_in(const struct set *set, bool *done, size_t *ended)
{
    bool has_error = false;
    size_t sum = 0;

    for (size_t i = 0; i < set->count; i++) {
        unsigned state = hki_future_state(set->futures[i]);
        bool is_done = hki_phase_ended(state);

        sum += is_done ? 1 : 0;
        has_error = has_error || (is_done && hki_phase(state) == HKI_FAILED);
        if (done != NULL) {
            done[i] = is_done;
        }
    }
    if (ended != NULL) {
        *ended = sum;
    }
    return sum == set->count || (set->what == HK_FIRST_COMPLETED && sum != 0) ||
           (set->what == HK_FIRST_ERROR && has_error);
}

hk_status hk_wait(hk_future *const *futures, size_t count, hk_wait_for what, hk_duration timeout,
                  bool *ended, size_t *ended_count)
{
    hk_status status;

    if (what < HK_ALL_COMPLETED || what > HK_FIRST_ERROR || !hki_duration_valid(timeout) ||
        (futures == NULL && count != 0) || !hki_array_exists(count, sizeof(hk_future *))) {
        return HK_EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (futures[i] == NULL) {
            return HK_EINVAL;
        }
    }
    status = hki_wait(futures, count, what, hki_deadline(timeout), timeout == 0);
    /* Not for nobody: with many futures it is a look at a line of the cache each. */
    if ((status == HK_OK || status == HK_ETIMEDOUT) && (ended != NULL || ended_count != NULL)) {
        const struct set set = {futures, count, what};

        if (fill_in(&set, ended, ended_count)) {
            status = HK_OK; /* It ended since: status and flags are of one moment. */
        }
    }
    return status;
}
