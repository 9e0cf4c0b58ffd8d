/* SPDX-License-Identifier: MIT */
/*
 * Whether a wait can be one of a ring, from the program alone: who may wait for whom. It says yes
 * too often rather than too seldom, as a refusal is right only where it says yes.
 */
#include <string.h>

#include "tests/random/perform.h"

struct walk {
    bool was_seen[HKT_OPS_MAX];
    int stack[HKT_OPS_MAX];
    int depth;
};

static void visit(struct walk *walk, int op)
{
    if (op >= 0 && !walk->was_seen[op]) {
        walk->was_seen[op] = true;
        walk->stack[walk->depth++] = op;
    }
}

static bool is_narrow(int executor_op)
{
    const struct hkt_op *at;

    if (executor_op < 0) {
        return false;
    }
    at = &hkt_stage->program.ops[executor_op];
    switch (hkt_kind_of(executor_op)) {
    case HKT_INLINE:
        return false;
    case HKT_THREADS:
        return at->numbers[HKT_NO_SPARES] != 0 || at->numbers[HKT_QUEUE] != 0;
    default:
        return true;
    }
}

/* What has to go on so that an operation comes to its end. */
static void visit_needs(struct walk *walk, int op)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    bool submits = at->kind == HKT_SUBMIT || at->kind == HKT_MANY;

    if (submits && at->refs[HKT_TARGET] < 0 && is_narrow(hkt_home_of(op))) {
        visit(walk, hkt_home_of(op)); /* That of the task. */
    }
    for (int ref = 0; ref < HKT_REFS_MAX; ref++) {
        if (submits && ref == HKT_TARGET && !is_narrow(at->refs[ref])) {
            continue; /* Others make room for it. */
        }
        if ((at->kind == HKT_CALLBACK || at->kind == HKT_TOKEN || at->kind == HKT_UNREF) ||
            (at->kind == HKT_ADD && ref == HKT_TARGET)) {
            continue; /* It waits for nothing. */
        }
        visit(walk, at->refs[ref]);
    }
}

static void visit_others(struct walk *walk, int op)
{
    const struct hkt_program *program = &hkt_stage->program;
    enum hkt_kind kind = program->ops[op].kind;

    for (unsigned i = 0; i < program->count; i++) {
        const struct hkt_op *other = &program->ops[i];
        bool names_it = other->refs[HKT_TARGET] == op;

        if (other->kind == HKT_NO_OP) {
            continue;
        }
        if (other->in == op || /* What it does itself, */
            (kind == HKT_EXECUTOR && names_it && other->kind != HKT_SHUTDOWN) || /* its tasks, */
            (kind == HKT_PROMISE && names_it && other->kind == HKT_PROMISE_END) ||
            (kind == HKT_COMPLETION && names_it && other->kind == HKT_ADD)) {
            visit(walk, (int)i);
        }
    }
}

/* Whether one may have to wait for the other to come to its end. */
static bool reaches(int from, int to)
{
    struct walk walk;

    memset(&walk, 0, sizeof(walk));
    walk.was_seen[from] = true;
    visit_needs(&walk, from);
    visit_others(&walk, from);
    while (walk.depth > 0) {
        int at = walk.stack[--walk.depth];

        if (at == to) {
            return true;
        }
        visit_needs(&walk, at);
        visit_others(&walk, at);
    }
    return false;
}

bool hkt_may_follow_itself(int followed_op, int op)
{
    return followed_op >= 0 && (hkt_has_executor(HKT_REPLAY) || reaches(followed_op, op));
}

bool hkt_may_ring(int op)
{
    if (hkt_has_executor(HKT_REPLAY) || hkt_place.callbacks > 0) {
        return true;
    }
    return hkt_place.task >= 0 && reaches(op, hkt_place.task);
}
