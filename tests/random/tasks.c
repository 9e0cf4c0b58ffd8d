/* SPDX-License-Identifier: MIT */
/* What tasks do: one plain thing each, or the operations of their body. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/random/stage.h"

enum { FORK_DEPTH = 4, LARGE_BYTES_MAX = 20000, FAILURE_CODE = 7 };

static hk_status gives(hk_call *call, uint32_t hash)
{
    unsigned char value[HKT_VALUE_BYTES];

    hkt_fill(value, sizeof(value), hash);
    return hk_return(call, value, sizeof(value));
}

static hk_status gives_large(hk_call *call, uint32_t hash)
{
    size_t size = 100 + hash % LARGE_BYTES_MAX;
    void *value = NULL;
    hk_status status = hk_return_reserve(call, size, &value);

    if (status == HK_OK) {
        hkt_fill(value, size, hash);
    }
    HKT_MUST(status == HK_OK);
    return status;
}

static hk_status gives_buffer(hk_call *call, uint32_t hash)
{
    hk_buffer *buffer = NULL;
    hk_status status = hk_buffer_create(hk_call_executor(call), 100 + hash % 5000, &buffer);

    HKT_MUST(status == HK_OK);
    if (status != HK_OK) {
        return status;
    }
    hkt_fill(hk_buffer_data(buffer), hk_buffer_size(buffer), hash);
    return hk_return_buffer(call, buffer);
}

static hk_status spins(hk_call *call, int time_us, uint32_t hash)
{
    for (int i = 0; i < time_us; i += 20) {
        if (hk_should_stop(call)) {
            return HK_ECANCELED;
        }
        hkt_work_for(20);
    }
    return gives(call, hash);
}

static hk_status sleeps(hk_call *call, int time_us, uint32_t hash)
{
    for (int i = 0; i <= time_us && !atomic_load(&hkt_stage->mercy); i += 1000) {
        hk_status status = hk_sleep(call, HK_US(time_us - i < 1000 ? time_us - i : 1000));

        if (status != HK_OK) {
            HKT_MUST(status == HK_ECANCELED);
            return status;
        }
    }
    return gives(call, hash);
}

struct branch {
    int depth;
    uint32_t sum;
};

static hk_status add_branches(hk_scope *scope, void *arg)
{
    struct branch *branch = arg;
    struct branch left = {branch->depth - 1, 0};
    struct branch right = {branch->depth - 1, 0};
    hk_forked other;
    hk_status status;

    if (branch->depth == 0) {
        branch->sum = 1;
        return HK_OK;
    }
    HKT_MUST(hk_fork(scope, &other, add_branches, &left) == HK_OK);
    status = add_branches(scope, &right);
    HKT_MUST(hk_join(scope, &other) == HK_OK);
    branch->sum = left.sum + right.sum;
    return status;
}

static hk_status forks(hk_call *call, uint32_t hash)
{
    struct branch branch = {FORK_DEPTH, 0};
    hk_scope scope;

    HKT_MUST(hk_scope_begin(&scope, call) == HK_OK);
    HKT_MUST(add_branches(&scope, &branch) == HK_OK);
    HKT_MUST(hk_scope_end(&scope) == HK_OK);
    HKT_MUST(branch.sum == 1U << FORK_DEPTH);
    return gives(call, hash);
}

static void crash(uint32_t hash)
{
    switch (hash % 4) {
    case 0:
        (void)raise(SIGKILL);
        break;
    case 1:
        _exit(3);
    case 2:
        (void)raise(SIGTERM);
        (void)raise(SIGKILL);
        break;
    default:
        (void)raise(SIGSEGV);
        break;
    }
}

static hk_status act(hk_call *call, int op, unsigned index, unsigned before)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];
    uint32_t hash = hkt_mix((uint32_t)at->numbers[HKT_VALUE]);

    switch ((enum hkt_task)at->numbers[HKT_HOW]) {
    case HKT_GIVES_LARGE:
        return gives_large(call, hash);
    case HKT_GIVES_REF:
        return hk_return_ref(call, hkt_object_new(op, index, hash, false), hkt_object_drop);
    case HKT_GIVES_BUFFER:
        return gives_buffer(call, hash);
    case HKT_FAILS:
        return hk_fail(call, FAILURE_CODE, "as it should");
    case HKT_CANCELS:
        return HK_ECANCELED;
    case HKT_SPINS:
        return spins(call, at->numbers[HKT_TIME], hash);
    case HKT_SLEEPS:
        return sleeps(call, at->numbers[HKT_TIME], hash);
    case HKT_FORKS:
        return forks(call, hash);
    case HKT_RUNS_BODY:
        hkt_run_place(op);
        return gives(call, hash);
    case HKT_CRASHES:
    case HKT_CRASHES_ONCE:
        if (hkt_is_worker_process() && (at->numbers[HKT_HOW] == HKT_CRASHES || before == 0)) {
            crash(hash);
        }
        return at->numbers[HKT_HOW] == HKT_CRASHES ? hk_fail(call, FAILURE_CODE, "no worker")
                                                   : gives(call, hash);
    case HKT_GIVES:
    case HKT_TASKS:
        break;
    }
    return gives(call, hash);
}

static size_t size_of_input(const struct hkt_op *at)
{
    switch ((enum hkt_form)at->numbers[HKT_FORM]) {
    case HKT_REF:
        return HK_BY_REF;
    case HKT_LARGE_COPY:
    case HKT_BUFFER:
        return sizeof(struct hkt_input) + HKT_LARGE_INPUT;
    case HKT_COPY:
        break;
    }
    return sizeof(struct hkt_input);
}

/* False: it names no operation. */
static bool check_input(struct hkt_input input, const void *in, size_t in_size)
{
    if (input.op >= HKT_OPS_MAX || input.index >= HKT_UNITS_OF_OP) {
        hkt_fail_program("an input of operation %u.%u", input.op, input.index);
        return false;
    }
    HKT_MUST(input.check == hkt_input_of(input.op, input.index).check);
    HKT_MUST(in_size == size_of_input(&hkt_stage->program.ops[input.op]));
    if (in_size != HK_BY_REF && in_size > sizeof(input)) {
        const unsigned char *rest = (const unsigned char *)in + sizeof(input);

        HKT_MUST(hkt_hash_of(rest, in_size - sizeof(input)) == input.check);
    }
    return true;
}

static hk_status run(hk_call *call, const void *in, size_t in_size)
{
    struct hkt_place before = hkt_place;
    struct hkt_input input;
    struct hkt_unit *unit;
    hk_status status;
    unsigned began;

    if (in_size == HK_BY_REF) {
        const struct hkt_object *object = in;

        (void)hkt_hash_of(in, in_size);
        input = hkt_input_of(object->op, object->index);
    } else if (in_size >= sizeof(input)) {
        memcpy(&input, in, sizeof(input));
    } else {
        hkt_fail_program("an input of %zu bytes", in_size);
        return HK_EINVAL;
    }
    if (!check_input(input, in, in_size)) {
        return HK_EINVAL;
    }
    unit = hkt_unit(input.op, input.index);
    atomic_fetch_add(&unit->under_way, 1);
    began = atomic_fetch_add(&unit->began, 1);
    atomic_store(&unit->pid, (unsigned)getpid());
    hkt_place.call = call;
    hkt_place.task = input.op;
    status = act(call, input.op, input.index, began);
    hkt_place = before;
    if (in_size == HK_BY_REF) {
        (void)hkt_hash_of(in, in_size); /* It is still there. */
    }
    atomic_fetch_sub(&unit->under_way, 1);
    return status;
}

static hk_status run_item(hk_call *call, const void *in, size_t in_size)
{
    uint32_t numbers[2]; /* Operation and place. */
    const struct hkt_op *at;

    HKT_MUST(in_size == sizeof(numbers));
    memcpy(numbers, in, sizeof(numbers));
    at = &hkt_stage->program.ops[numbers[0] % HKT_OPS_MAX];
    hkt_work_for(at->numbers[HKT_TIME]);
    if (at->numbers[HKT_BAD] > 0 && numbers[1] % (uint32_t)at->numbers[HKT_BAD] == 0) {
        return hk_fail(call, FAILURE_CODE, "a bad item");
    }
    return gives(call, hkt_mix((uint32_t)at->numbers[HKT_VALUE] + numbers[1]));
}

const hk_task hkt_task_plain = {"random_plain", run, 0, __FILE__, __LINE__};
const hk_task hkt_task_idempotent = {"random_idempotent", run, HK_TASK_IDEMPOTENT, __FILE__,
                                     __LINE__};
const hk_task hkt_task_item = {"random_item", run_item, 0, __FILE__, __LINE__};
