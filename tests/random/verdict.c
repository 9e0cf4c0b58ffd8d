/* SPDX-License-Identifier: MIT */
#include "tests/random/verdict.h"

#include <stdio.h>

#include "tests/random/perform.h"

enum { RUNS_OF_IDEMPOTENT = 3 };

static void must(bool holds, int op, unsigned index, const char *what)
{
    const struct hkt_unit *unit = hkt_unit(op, index);
    uint64_t seen = atomic_load(&unit->seen);

    if (!holds) {
        hkt_fail_program("future %d.%u: %s (it %s%s, began %u times)", op, index, what,
                         seen != 0 ? "ended with " : "was not looked at",
                         seen != 0 ? hk_status_name(hkt_end_status(seen)) : "",
                         atomic_load(&unit->began));
    }
}

/* What cancels have said of it. */
static void judge_cancels(int op, unsigned index, hk_status status)
{
    const struct hkt_unit *unit = hkt_unit(op, index);

    must(!atomic_load(&unit->must_be_cancelled) || status == HK_ECANCELED, op, index,
         "a cancel that was certain was none");
    must(!atomic_load(&unit->must_not_be_cancelled) || status != HK_ECANCELED, op, index,
         "a cancel that said it came too late did not");
}

static bool has_fired(int token_op)
{
    while (token_op >= 0) {
        if (atomic_load(&hkt_stage->known[token_op].may_fire)) {
            return true;
        }
        token_op = hkt_stage->program.ops[token_op].refs[HKT_TARGET];
    }
    return false;
}

/* What an executor, and those that it works on, can have done to its tasks. */
struct place_facts {
    bool may_cancel_queued;
    bool may_cancel_all;
    bool may_kill;
    bool has_limit;
    bool base_may_be_closed;
    bool drops_oldest;
};

static struct place_facts facts_of(int executor_op)
{
    struct place_facts facts = {.may_kill = false};

    for (int at = executor_op; at >= 0;) {
        const struct hkt_op *op = &hkt_stage->program.ops[at];
        const struct hkt_known *known = &hkt_stage->known[at];

        facts.may_cancel_queued = facts.may_cancel_queued || atomic_load(&known->may_cancel_queued);
        facts.may_cancel_all = facts.may_cancel_all || atomic_load(&known->may_cancel_all);
        facts.may_kill = facts.may_kill || atomic_load(&known->may_kill);
        facts.has_limit = facts.has_limit || op->numbers[HKT_TIMEOUT] > 0;
        facts.base_may_be_closed =
            facts.base_may_be_closed || (at != executor_op && atomic_load(&known->may_be_closed));
        facts.drops_oldest =
            facts.drops_oldest ||
            (op->numbers[HKT_QUEUE] > 0 && op->numbers[HKT_WHEN_FULL] == HK_FULL_DROP_OLDEST);
        at = op->numbers[HKT_HOW] == HKT_SERIAL ? op->refs[HKT_TARGET] : HKT_NO_REF;
    }
    return facts;
}

/* --- Tasks --- */

static bool gives_value(const struct hkt_op *at, bool is_far)
{
    switch ((enum hkt_task)at->numbers[HKT_HOW]) {
    case HKT_FAILS:
    case HKT_CANCELS:
    case HKT_CRASHES:
        return false;
    case HKT_GIVES_REF:
        return !is_far;
    case HKT_CRASHES_ONCE:
        return !is_far || at->numbers[HKT_RETRIES] > 0;
    default:
        return true;
    }
}

static bool fails(const struct hkt_op *at, bool is_far)
{
    return at->numbers[HKT_HOW] == HKT_FAILS || (at->numbers[HKT_HOW] == HKT_CRASHES && !is_far) ||
           (at->numbers[HKT_HOW] == HKT_GIVES_REF && is_far);
}

static bool crashes(const struct hkt_op *at)
{
    return at->numbers[HKT_HOW] == HKT_CRASHES || at->numbers[HKT_HOW] == HKT_CRASHES_ONCE;
}

/* A task in a worker process runs what it submits to its own executor there. */
static bool has_crash_within(int op)
{
    const struct hkt_program *program = &hkt_stage->program;

    for (unsigned i = 0; i < program->count; i++) {
        int in = program->ops[i].in;

        if ((program->ops[i].kind == HKT_SUBMIT || program->ops[i].kind == HKT_MANY) &&
            crashes(&program->ops[i])) {
            while (in >= 0 && in != op) {
                in = program->ops[in].in;
            }
            if (in == op) {
                return true;
            }
        }
    }
    return false;
}

/* Whether the worker process that ran it can have died. */
static bool may_lose_worker(int op, unsigned index)
{
    int to = hkt_home_of(op);

    return hkt_is_far(to) && (crashes(&hkt_stage->program.ops[op]) || has_crash_within(op) ||
                              atomic_load(&hkt_stage->kills) > 0 ||
                              atomic_load(&hkt_unit(op, index)->may_lose) || facts_of(to).may_kill);
}

static bool may_end_cancelled(const struct hkt_op *at)
{
    return at->numbers[HKT_HOW] == HKT_CANCELS || at->numbers[HKT_HOW] == HKT_SPINS ||
           at->numbers[HKT_HOW] == HKT_SLEEPS;
}

static bool value_is(uint64_t seen, uint32_t hash)
{
    return !hkt_end_has_hash(seen) || hkt_end_hash(seen) == hash;
}

static bool task_may_end(int op, unsigned index, uint64_t seen)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    const struct hkt_unit *unit = hkt_unit(op, index);
    int to = hkt_home_of(op);
    bool is_far = hkt_is_far(to);
    struct place_facts facts = facts_of(to);
    bool has_begun = atomic_load(&unit->began) > 0;
    bool waits_again = at->numbers[HKT_RETRIES] > 0 && may_lose_worker(op, index);
    bool may_cancel = atomic_load(&unit->may_cancel) || facts.may_cancel_all ||
                      (facts.may_cancel_queued && (!has_begun || waits_again)) ||
                      has_fired(at->refs[HKT_TOKEN_REF]);

    switch (hkt_end_status(seen)) {
    case HK_OK:
        return gives_value(at, is_far) &&
               value_is(seen, hkt_mix((uint32_t)at->numbers[HKT_VALUE])) && has_begun;
    case HK_EFAILED:
        return fails(at, is_far) && has_begun;
    case HK_ECANCELED:
        return may_cancel || (at->numbers[HKT_HOW] == HKT_CANCELS && has_begun);
    case HK_EDEADLINE:
        return facts.has_limit || at->numbers[HKT_TIMEOUT] > 0 || at->numbers[HKT_DEADLINE] > 0;
    case HK_EWORKER:
        return may_lose_worker(op, index);
    case HK_EFULL:
        return facts.drops_oldest;
    case HK_ECLOSED:
        return facts.base_may_be_closed;
    default:
        return false;
    }
}

static void judge_task(int op, unsigned index)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    const struct hkt_unit *unit = hkt_unit(op, index);
    int to = hkt_home_of(op);
    bool is_far = hkt_is_far(to);
    bool is_tried_again = at->numbers[HKT_RETRIES] > 0 && may_lose_worker(op, index);
    unsigned began = atomic_load(&unit->began);
    uint64_t seen = atomic_load(&unit->seen);

    must(began <= (is_tried_again ? RUNS_OF_IDEMPOTENT : 1), op, index, "ran too often");
    must(is_far || atomic_load(&unit->under_way) == 0, op, index, "still runs");
    must(at->kind != HKT_SUBMIT || at->numbers[HKT_FORM] != HKT_REF ||
             atomic_load(&unit->drops) == 1,
         op, index, "its input was not dropped once");
    if (seen == 0) {
        return;
    }
    must(task_may_end(op, index, seen), op, index, "the model has no such end");
    judge_cancels(op, index, hkt_end_status(seen));
    if (hkt_end_status(seen) == HK_ECANCELED && !may_end_cancelled(at) &&
        !atomic_load(&unit->may_lose) && !facts_of(to).may_kill && !is_tried_again) {
        must(began == 0, op, index, "it was cancelled, and has run");
    }
}

/* --- Derived futures --- */

static uint64_t seen_of(int op, unsigned index)
{
    return op < 0 ? 0 : atomic_load(&hkt_unit(op, index)->seen);
}

static bool is_same(uint64_t seen, uint64_t other)
{
    return hkt_end_status(seen) == hkt_end_status(other) &&
           (!hkt_end_has_hash(seen) || !hkt_end_has_hash(other) ||
            hkt_end_hash(seen) == hkt_end_hash(other));
}

/* What a derived future shares with its source: a value that was taken before is a failure. */
static bool passes_on(uint64_t seen, uint64_t source)
{
    return is_same(seen, source) ||
           (hkt_end_status(source) == HK_OK && hkt_end_status(seen) == HK_EFAILED &&
            atomic_load(&hkt_stage->units[0].may_take));
}

static bool step_may_end(int op, uint64_t seen)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    hk_status status = hkt_end_status(seen);
    uint64_t followed;

    switch ((enum hkt_step)at->numbers[HKT_HOW]) {
    case HKT_STEP_SET:
    case HKT_STEP_REF:
        return status == HK_OK && value_is(seen, hkt_mix((uint32_t)at->numbers[HKT_VALUE]));
    case HKT_STEP_FAIL:
    case HKT_STEP_STATUS:
        return status == HK_EFAILED;
    case HKT_STEP_FOLLOW:
        followed = seen_of(at->refs[HKT_FOLLOWED], 0);
        if (atomic_load(&hkt_stage->known[op].sets) != 0) {
            return followed == 0 || passes_on(seen, followed);
        }
        break;
    case HKT_STEP_EMPTY:
        break;
    }
    return status == HK_OK && value_is(seen, 0);
}

static bool chain_may_end(int op, uint64_t seen)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    uint64_t source = seen_of(at->refs[HKT_TARGET], 0);
    hk_status status = hkt_end_status(source);
    unsigned calls = atomic_load(&hkt_stage->known[op].calls);
    bool steps;

    if (source == 0) {
        return true;
    }
    steps = at->kind == HKT_THEN ? status == HK_OK : status != HK_OK && status != HK_ECANCELED;
    if (hkt_end_status(seen) == HK_ECANCELED && atomic_load(&hkt_unit(op, 0)->may_cancel)) {
        return calls <= (steps ? 1 : 0);
    }
    return steps ? calls == 1 && step_may_end(op, seen) : calls == 0 && passes_on(seen, source);
}

/* What the sources of a group ended with. */
struct sources {
    uint64_t ends[HKT_REFS_MAX * HKT_UNITS_OF_OP];
    unsigned count;
    unsigned good;
    unsigned cancelled;
    bool are_known;
};

static struct sources sources_of(const struct hkt_op *at)
{
    struct sources sources = {.are_known = true};

    for (int ref = 0; ref < HKT_REFS_MAX; ref++) {
        for (unsigned i = 0; at->refs[ref] >= 0 && i < hkt_unit_count(at->refs[ref]); i++) {
            uint64_t seen = seen_of(at->refs[ref], i);

            sources.are_known = sources.are_known && seen != 0;
            sources.good += seen != 0 && hkt_end_status(seen) == HK_OK ? 1 : 0;
            sources.cancelled += seen != 0 && hkt_end_status(seen) == HK_ECANCELED ? 1 : 0;
            sources.ends[sources.count++] = seen;
        }
    }
    return sources;
}

static bool is_end_of_one(const struct sources *sources, hk_status status)
{
    for (unsigned i = 0; i < sources->count; i++) {
        if (hkt_end_status(sources->ends[i]) == status) {
            return true;
        }
    }
    return false;
}

static bool group_may_end(int op, uint64_t seen)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    struct sources sources = sources_of(at);
    hk_status status = hkt_end_status(seen);

    if (status == HK_ECANCELED && atomic_load(&hkt_unit(op, 0)->may_cancel)) {
        return true;
    }
    switch ((enum hkt_group)at->numbers[HKT_HOW]) {
    case HKT_WHEN_ALL:
        return !sources.are_known ||
               (status == HK_OK ? sources.good == sources.count && value_is(seen, 0)
                                : is_end_of_one(&sources, status));
    case HKT_SETTLE_ALL:
        return status == HK_OK && value_is(seen, 0);
    case HKT_WHEN_ANY:
        break;
    }
    if (!sources.are_known) {
        return true;
    }
    if (status == HK_OK) {
        return sources.good > 0 && (!hkt_end_has_hash(seen) ||
                                    (hkt_end_hash(seen) < sources.count &&
                                     hkt_end_status(sources.ends[hkt_end_hash(seen)]) == HK_OK));
    }
    return sources.good == 0 && (status == HK_ECANCELED) == (sources.cancelled == sources.count) &&
           (status == HK_EFAILED || is_end_of_one(&sources, status));
}

static bool promise_may_end(int op, uint64_t seen)
{
    const struct hkt_unit *unit = hkt_unit(op, 0);
    int ended_by = atomic_load(&hkt_stage->known[op].ended_by) - 1;
    const struct hkt_op *end = ended_by < 0 ? NULL : &hkt_stage->program.ops[ended_by];
    hk_status status = hkt_end_status(seen);
    bool is_cancelled = status == HK_ECANCELED && atomic_load(&unit->may_cancel);
    uint64_t followed;

    if (end == NULL) {
        return is_cancelled || (status == HK_EBROKEN && atomic_load(&unit->may_break));
    }
    switch ((enum hkt_promise_end)end->numbers[HKT_HOW]) {
    case HKT_PROMISE_SET:
    case HKT_PROMISE_SET_REF:
        return status == HK_OK && value_is(seen, hkt_mix((uint32_t)end->numbers[HKT_VALUE]));
    case HKT_PROMISE_FAIL:
        return status == HK_EFAILED;
    case HKT_PROMISE_FOLLOW:
        followed = seen_of(end->refs[HKT_FOLLOWED], 0);
        return is_cancelled || followed == 0 || passes_on(seen, followed);
    default:
        return false;
    }
}

static bool within_may_end(int op, uint64_t seen)
{
    uint64_t source = seen_of(hkt_stage->program.ops[op].refs[HKT_TARGET], 0);

    return source == 0 || passes_on(seen, source) || hkt_end_status(seen) == HK_EDEADLINE ||
           (hkt_end_status(seen) == HK_ECANCELED && atomic_load(&hkt_unit(op, 0)->may_cancel));
}

static void judge_derived(int op)
{
    uint64_t seen = seen_of(op, 0);
    bool may_end = true;

    if (seen == 0) {
        return;
    }
    switch (hkt_stage->program.ops[op].kind) {
    case HKT_THEN:
    case HKT_CATCH:
        may_end = chain_may_end(op, seen);
        break;
    case HKT_GROUP:
        may_end = group_may_end(op, seen);
        break;
    case HKT_WITHIN:
        may_end = within_may_end(op, seen);
        break;
    default:
        may_end = promise_may_end(op, seen);
        break;
    }
    must(may_end, op, 0, "the model has no such end");
    judge_cancels(op, 0, hkt_end_status(seen));
}

/* --- The rest --- */

static void judge_op(int op)
{
    enum hkt_kind kind = hkt_stage->program.ops[op].kind;
    const struct hkt_known *known = &hkt_stage->known[op];
    bool is_task = kind == HKT_SUBMIT || kind == HKT_MANY;

    if (atomic_load(&known->is_far)) {
        return; /* Its worker may have died at any point. */
    }
    for (unsigned i = 0; hkt_makes_future(kind) && i < hkt_unit_count(op); i++) {
        const struct hkt_unit *unit = hkt_unit(op, i);

        if (atomic_load(&unit->is_accepted)) {
            if (is_task) {
                judge_task(op, i);
            } else {
                judge_derived(op);
            }
            must(atomic_load(&unit->made) == atomic_load(&unit->dropped) ||
                     (is_task && hkt_is_far(hkt_home_of(op))), /* A worker may have died with it. */
                 op, i, "its values were not dropped once each");
            must(atomic_load(&unit->takes) <= 1, op, i, "its value was taken twice");
        } else {
            must(atomic_load(&unit->began) == 0, op, i, "it was refused, and has run");
        }
    }
    if (kind == HKT_CALLBACK && atomic_load(&known->is_made) &&
        atomic_load(&known->calls) != (atomic_load(&known->is_removed) ? 0 : 1)) {
        hkt_fail_program("callback %d was called %u times", op, atomic_load(&known->calls));
    }
    if (kind == HKT_COMPLETION && atomic_load(&known->added) != atomic_load(&known->delivered)) {
        hkt_fail_program("queue %d delivered %u of %u", op, atomic_load(&known->delivered),
                         atomic_load(&known->added));
    }
}

/* Lost by a kill from outside, and by nothing else. */
static bool is_victim(int op, unsigned index)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    const struct hkt_unit *unit = hkt_unit(op, index);
    uint64_t seen = atomic_load(&unit->seen);

    return (at->kind == HKT_SUBMIT || at->kind == HKT_MANY) && seen != 0 &&
           hkt_end_status(seen) == HK_EWORKER && !crashes(at) && !has_crash_within(op) &&
           !atomic_load(&unit->may_lose) && !facts_of(hkt_home_of(op)).may_kill;
}

/* Who loses a worker loses one task. */
static void judge_losses(void)
{
    unsigned victims = 0;

    for (unsigned i = 0; i < hkt_stage->program.count; i++) {
        for (unsigned index = 0; index < hkt_unit_count((int)i); index++) {
            victims += is_victim((int)i, index) ? 1 : 0;
        }
    }
    if (victims > atomic_load(&hkt_stage->kills)) {
        hkt_fail_program("%u tasks were lost by %u kills", victims, atomic_load(&hkt_stage->kills));
    }
}

void hkt_verdict(void)
{
    judge_losses();
    for (unsigned i = 0; i < hkt_stage->program.count; i++) {
        if (hkt_stage->program.ops[i].kind != HKT_NO_OP) {
            judge_op((int)i);
        }
    }
}
