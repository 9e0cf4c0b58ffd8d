/* SPDX-License-Identifier: MIT */
/* From an operation to the function that does it. */
#include "tests/random/perform.h"

static void pause_for(int op, const struct hkt_op *at)
{
    (void)op;
    hkt_work_for(at->numbers[HKT_TIME]);
}

static hkt_perform_fn *const table[HKT_KINDS] = {
    [HKT_EXECUTOR] = hkt_perform_executor,
    [HKT_SUBMIT] = hkt_perform_submit,
    [HKT_MANY] = hkt_perform_many,
    [HKT_READ] = hkt_perform_read,
    [HKT_WAIT] = hkt_perform_wait,
    [HKT_AS_COMPLETED] = hkt_perform_as_completed,
    [HKT_COMPLETION] = hkt_perform_completion,
    [HKT_ADD] = hkt_perform_add,
    [HKT_NEXT] = hkt_perform_next,
    [HKT_CANCEL] = hkt_perform_cancel,
    [HKT_TOKEN] = hkt_perform_token,
    [HKT_FIRE] = hkt_perform_fire,
    [HKT_CALLBACK] = hkt_perform_callback,
    [HKT_REMOVE] = hkt_perform_remove,
    [HKT_FORGET] = hkt_perform_forget,
    [HKT_UNREF] = hkt_perform_unref,
    [HKT_THEN] = hkt_perform_chain,
    [HKT_CATCH] = hkt_perform_chain,
    [HKT_GROUP] = hkt_perform_group,
    [HKT_WITHIN] = hkt_perform_within,
    [HKT_PROMISE] = hkt_perform_promise,
    [HKT_PROMISE_END] = hkt_perform_promise_end,
    [HKT_MAP] = hkt_perform_map,
    [HKT_RANGE] = hkt_perform_range,
    [HKT_SHUTDOWN] = hkt_perform_shutdown,
    [HKT_KILL_WORKER] = hkt_perform_kill_worker,
    [HKT_CHANGE] = hkt_perform_change,
    [HKT_PAUSE] = pause_for,
};

void hkt_perform(int op)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];

    bool is_far = hkt_is_worker_process();

    if (is_far && (at->kind == HKT_PROMISE || at->kind == HKT_EXECUTOR)) {
        return; /* Nobody would ever end them there. */
    }
    if (!atomic_exchange(&hkt_stage->known[op].is_claimed, true)) {
        atomic_fetch_add(&hkt_stage->ops_run, 1);
        atomic_store(&hkt_stage->known[op].is_far, is_far);
        table[at->kind](op, at);
    }
}

enum hkt_executor_kind hkt_kind_of(int executor_op)
{
    return executor_op < 0
               ? HKT_INLINE
               : (enum hkt_executor_kind)hkt_stage->program.ops[executor_op].numbers[HKT_HOW];
}

/* In a callback, what task is being called back in cannot be known. */
bool hkt_has_own_executor(int op)
{
    int in = hkt_stage->program.ops[op].in;

    return in >= 0 && hkt_stage->program.ops[in].kind == HKT_SUBMIT;
}

int hkt_home_of(int op)
{
    while (op >= 0 && hkt_stage->program.ops[op].refs[HKT_TARGET] < 0) {
        op = hkt_is_worker_process() || !hkt_has_own_executor(op) ? HKT_NO_REF
                                                                  : hkt_stage->program.ops[op].in;
    }
    return op < 0 ? HKT_NO_REF : hkt_stage->program.ops[op].refs[HKT_TARGET];
}

int hkt_base_of(int executor_op)
{
    while (executor_op >= 0 && hkt_kind_of(executor_op) == HKT_SERIAL) {
        executor_op = hkt_stage->program.ops[executor_op].refs[HKT_TARGET];
    }
    return executor_op;
}

bool hkt_is_far(int executor_op)
{
    return executor_op >= 0 && hkt_kind_of(hkt_base_of(executor_op)) == HKT_PROCESSES;
}

bool hkt_may_be_closed(int executor_op)
{
    while (executor_op >= 0) {
        if (atomic_load(&hkt_stage->known[executor_op].may_be_closed)) {
            return true;
        }
        executor_op = hkt_kind_of(executor_op) == HKT_SERIAL
                          ? hkt_stage->program.ops[executor_op].refs[HKT_TARGET]
                          : HKT_NO_REF;
    }
    return false;
}
