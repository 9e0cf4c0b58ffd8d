/* SPDX-License-Identifier: MIT */
/*
 * when_all, settle_all, when_any: a future made from several.
 *
 * One object holds the promise and a part for each source. References: one for
 * the caller, one for the work of each part (given back when that source ended).
 * A part whose source ends counts `missing` down; who ends the group is decided
 * by the claim of its promise, so late parts do no harm.
 */
#include <hocket/chain.h>

#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "futures/promise_impl.h"
#include "futures/relay.h"
#include "futures/wait_impl.h"

enum rule { WHEN_ALL, SETTLE_ALL, WHEN_ANY };

struct group;

struct part {
    struct hki_watch watch;
    struct group *group;
    hk_future *source; /* One reference, kept to the end for looks. */
    atomic_bool told;  /* The source has ended, and the group has made of it what it can. */
};

struct group {
    hk_promise promise; /* First: the future converts. */
    enum rule rule;
    size_t count;
    atomic_size_t missing;
    _Atomic(hk_future *) last_failure; /* Borrowed from a part. */
    struct part parts[];
};

static struct group *group_of(hk_future *future)
{
    return (struct group *)(void *)future;
}

static size_t size_of(size_t count)
{
    return sizeof(struct group) + count * sizeof(struct part);
}

static void destroy(hk_future *future)
{
    struct group *group = group_of(future);

    for (size_t i = 0; i < group->count; i++) {
        hk_future_unref(group->parts[i].source);
    }
    hki_free(group, size_of(group->count));
}

static void stop(hk_future *future, hk_cancel_level level)
{
    struct group *group = group_of(future);

    for (size_t i = 0; i < group->count; i++) {
        hki_relay_cancel(group->parts[i].source, level);
    }
}

/* Whether a part has still something to bring: of when_any, one that has ended and was told
 * of has not, or the group would have ended with it. */
static bool is_expected(const struct group *group, const struct part *part)
{
    return group->rule != WHEN_ANY || !atomic_load(&part->told);
}

static enum hki_wait_kind look(hk_future *future, size_t *count)
{
    const struct group *group = group_of(future);
    size_t at = 0;

    *count = group->count;
    if (group->rule != WHEN_ANY) {
        return HKI_WAIT_ALL;
    }
    while (at < group->count && !is_expected(group, &group->parts[at])) {
        at++;
    }
    return at == group->count ? HKI_WAIT_MOVES : HKI_WAIT_ANY; /* None left: about to end. */
}

/* A part that brings nothing to who wants any stands there as if the group waited for itself. */
static struct hki_wait_node next(hk_future *future, size_t i)
{
    struct group *group = group_of(future);
    struct part *part = &group->parts[i];

    return is_expected(group, part) ? hki_source_node(part->source) : hki_future_node(future);
}

static hk_future *kept(hk_future *future, size_t i)
{
    return i < group_of(future)->count ? group_of(future)->parts[i].source : NULL;
}

static const struct hki_origin group_origin = {
    .is_derived = true,
    .destroy = destroy,
    .stop = stop,
    .look = look,
    .next = next,
    .kept = kept,
    .site = hki_promise_site,
};

static void end_empty(struct group *group)
{
    (void)hki_future_end_done(&group->promise.future, &(struct hki_value){NULL, 0, NULL, NULL});
}

static void end_with_index(struct group *group, size_t index)
{
    hk_future *future = &group->promise.future;

    if (hki_future_claim_end(future, false, NULL)) {
        unsigned phase = HKI_DONE;

        (void)hki_future_put_value(future, &(struct hki_value){&index, sizeof(index), NULL, NULL},
                                   &phase); /* It has a rest: it fits. */
        hki_future_publish(future, phase);
    }
}

/* The first that does not end well decides, and takes the others along. */
static void decide_all(struct group *group, hk_future *source, unsigned phase)
{
    hk_future *future = &group->promise.future;
    hk_status decided;

    if (phase == HKI_FAILED) {
        hki_future_observe(source);
        decided = hki_future_end_failed(future, hki_error_ref(source->body.error));
    } else {
        decided = hki_future_end_cancelled(future);
    }
    /* Now, and not when a cancel that is under way on this thread comes to it. */
    for (size_t i = 0; decided == HK_OK && i < group->count; i++) {
        hki_relay_take_along(group->parts[i].source);
    }
}

/* None ended well: the last failure tells why, if there was one. */
static void conclude_any(struct group *group)
{
    hk_future *failure = atomic_load(&group->last_failure);

    if (failure == NULL) {
        (void)hki_future_end_cancelled(&group->promise.future);
    } else {
        (void)hki_promise_break(&group->promise, HK_EFAILED, "none of the futures ended well",
                                hki_error_ref(failure->body.error));
    }
}

/* What a part decides by itself. */
static void decide(struct group *group, struct part *part, unsigned phase)
{
    if (group->rule == WHEN_ALL && phase != HKI_DONE) {
        decide_all(group, part->source, phase);
    } else if (group->rule == WHEN_ANY && phase == HKI_DONE) {
        end_with_index(group, (size_t)(part - group->parts));
    } else if (group->rule == WHEN_ANY && phase == HKI_FAILED) {
        hki_future_observe(part->source);
        atomic_store(&group->last_failure, part->source);
    }
}

static void part_ended(struct hki_watch *watch)
{
    struct part *part = HKI_CONTAINER(watch, struct part, watch);
    struct group *group = part->group;

    hki_relay_expect(&group->promise.future);
    /* Decide first, count down second: whoever counts the last one finds all that
     * the others decided, and concludes only if that was nothing. */
    decide(group, part, hki_phase(hki_future_state(part->source)));
    atomic_store(&part->told, true);
    if (atomic_fetch_sub(&group->missing, 1) == 1 && !hki_future_ended(&group->promise.future)) {
        if (group->rule == WHEN_ANY) {
            conclude_any(group);
        } else {
            end_empty(group);
        }
    }
    hk_future_unref(&group->promise.future);
}

static hk_status check(hk_future *const *futures, size_t count, hk_future **out)
{
    if (out == NULL || (futures == NULL && count != 0) ||
        !hki_array_exists(count, sizeof(struct part))) {
        return HK_EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        hk_status status = futures[i] == NULL ? HK_EINVAL : hki_future_usable(futures[i]);

        if (status != HK_OK) {
            return status;
        }
    }
    return HK_OK;
}

static hk_status gather(const hk_site *site, hk_future *const *futures, size_t count,
                        enum rule rule, hk_future **out)
{
    struct group *group;
    hk_status status = check(futures, count, out);

    if (status != HK_OK) {
        return status;
    }
    if ((group = hki_zalloc(size_of(count))) == NULL) {
        return HK_ENOMEM;
    }
    hki_promise_init(&group->promise, &group_origin, site);
    group->rule = rule;
    group->count = count;
    atomic_init(&group->missing, count);
    atomic_init(&group->last_failure, NULL);
    for (size_t i = 0; i < count; i++) {
        group->parts[i].group = group;
        group->parts[i].source = hk_future_ref(futures[i]);
        group->parts[i].watch.run = part_ended;
        hk_future_ref(&group->promise.future);
    }
    *out = &group->promise.future;
    /* All parts stand before the first is linked: any may end at once. */
    for (size_t i = 0; i < count; i++) {
        if (hki_future_watch(futures[i], &group->parts[i].watch) == HKI_WATCH_ENDED) {
            hki_relay_watch(&group->promise.future, &group->parts[i].watch);
        }
    }
    if (count == 0) {
        end_empty(group);
    }
    hk_future_unref(&group->promise.future); /* The promise's own: the parts hold theirs. */
    return HK_OK;
}

hk_status hk_when_all_at(const hk_site *site, hk_future *const *futures, size_t count,
                         hk_future **out)
{
    return gather(site, futures, count, WHEN_ALL, out);
}

hk_status hk_settle_all_at(const hk_site *site, hk_future *const *futures, size_t count,
                           hk_future **out)
{
    return gather(site, futures, count, SETTLE_ALL, out);
}

hk_status hk_when_any_at(const hk_site *site, hk_future *const *futures, size_t count,
                         hk_future **out)
{
    return count == 0 ? HK_EINVAL : gather(site, futures, count, WHEN_ANY, out);
}
