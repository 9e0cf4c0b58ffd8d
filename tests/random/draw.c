/* SPDX-License-Identifier: MIT */
/* Programs drawn from seeds. */
#include <string.h>

#include <hocket/executor.h>

#include "tests/random/program.h"

enum { OPS_LEAST = 6, CRASHES_MOST = 2, WAITS_US = 1500, SLEEP_US = 4000, SPIN_US = 300 };

/* What the program is like. */
struct drawing {
    struct hkt_program *program;
    uint64_t state;
    bool is_replay;
    bool has_processes;
    bool takes;
    bool is_rough; /* Shutdowns in the middle, kills, crashes. */
    unsigned crashes;
};

static uint32_t draw(struct drawing *drawing, uint32_t below)
{
    uint64_t z = drawing->state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (uint32_t)((z ^ z >> 31) >> 16) % below;
}

static bool happens(struct drawing *drawing, uint32_t percent)
{
    return draw(drawing, 100) < percent;
}

static int draw_time(struct drawing *drawing, int most_us)
{
    return 1 + (int)draw(drawing, (uint32_t)most_us);
}

/* Of a wait: a poll, for ever, or a while. */
static int draw_wait(struct drawing *drawing)
{
    uint32_t kind = draw(drawing, 10);

    return kind < 2 ? 0 : kind < 7 ? -1 : draw_time(drawing, WAITS_US);
}

typedef bool filter(const struct hkt_op *op);

static bool is_executor(const struct hkt_op *op)
{
    return op->kind == HKT_EXECUTOR;
}

static bool is_future(const struct hkt_op *op)
{
    return hkt_makes_future(op->kind);
}

static bool is_token(const struct hkt_op *op)
{
    return op->kind == HKT_TOKEN;
}

static bool is_callback(const struct hkt_op *op)
{
    return op->kind == HKT_CALLBACK;
}

static bool is_completion(const struct hkt_op *op)
{
    return op->kind == HKT_COMPLETION;
}

static bool is_promise(const struct hkt_op *op)
{
    return op->kind == HKT_PROMISE;
}

/* One of those before; mostly one of the last, which have not ended yet. */
static int pick(struct drawing *drawing, filter *fits)
{
    const struct hkt_program *program = drawing->program;
    int found[HKT_OPS_MAX];
    uint32_t count = 0;

    for (unsigned i = 0; i < program->count; i++) {
        if (fits(&program->ops[i])) {
            found[count++] = (int)i;
        }
    }
    if (count == 0) {
        return HKT_NO_REF;
    }
    if (count > 3 && happens(drawing, 60)) {
        return found[count - 1 - draw(drawing, 3)];
    }
    return found[draw(drawing, count)];
}

static int pick_sometimes(struct drawing *drawing, filter *fits, uint32_t percent)
{
    return happens(drawing, percent) ? pick(drawing, fits) : HKT_NO_REF;
}

/* --- Operations --- */

static void draw_executor(struct drawing *drawing, struct hkt_op *op)
{
    uint32_t kind = draw(drawing, 10);
    int base = pick(drawing, is_executor);

    op->numbers[HKT_HOW] = kind < 1 ? HKT_INLINE : HKT_THREADS;
    if (drawing->is_replay) {
        op->numbers[HKT_HOW] = HKT_REPLAY;
    } else if (drawing->has_processes && kind >= 5) {
        op->numbers[HKT_HOW] = HKT_PROCESSES;
    }
    if (base != HKT_NO_REF && happens(drawing, 25)) {
        op->numbers[HKT_HOW] = HKT_SERIAL;
        op->refs[HKT_TARGET] = base;
    }
    op->numbers[HKT_VALUE] = (int)draw(drawing, 1000);
    op->numbers[HKT_WORKERS] =
        1 + (int)draw(drawing, op->numbers[HKT_HOW] == HKT_PROCESSES ? 3 : 4);
    op->numbers[HKT_QUEUE] = happens(drawing, 20) ? 1 + (int)draw(drawing, 6) : 0;
    op->numbers[HKT_WHEN_FULL] = (int)draw(drawing, 4);
    if (op->numbers[HKT_HOW] == HKT_PROCESSES &&
        op->numbers[HKT_WHEN_FULL] == HK_FULL_CALLER_RUNS) {
        op->numbers[HKT_WHEN_FULL] = HK_FULL_BLOCK; /* The caller is no worker process. */
    }
    op->numbers[HKT_TIMEOUT] = happens(drawing, 7) ? draw_time(drawing, SLEEP_US) : 0;
    op->numbers[HKT_NO_SPARES] = happens(drawing, 15) ? 1 : 0;
    op->numbers[HKT_END] = (int)draw(drawing, HKT_DESTROYED + 1);
}

static void draw_task(struct drawing *drawing, struct hkt_op *op, bool may_have_body)
{
    uint32_t kind = draw(drawing, 100);
    uint32_t rough = draw(drawing, 12);

    op->numbers[HKT_HOW] = kind < 24   ? HKT_GIVES
                           : kind < 30 ? HKT_GIVES_LARGE
                           : kind < 36 ? HKT_GIVES_REF
                           : kind < 42 ? HKT_GIVES_BUFFER
                           : kind < 50 ? HKT_FAILS
                           : kind < 54 ? HKT_CANCELS
                           : kind < 64 ? HKT_SPINS
                           : kind < 72 ? HKT_SLEEPS
                           : kind < 76 ? HKT_FORKS
                                       : HKT_RUNS_BODY;
    if (op->numbers[HKT_HOW] == HKT_RUNS_BODY && !may_have_body) {
        op->numbers[HKT_HOW] = HKT_GIVES;
    }
    /* The pool starts workers ever more slowly when one after the other dies. */
    if (drawing->is_rough && drawing->has_processes && rough < 2 && op->kind == HKT_SUBMIT &&
        drawing->crashes++ < CRASHES_MOST) {
        op->numbers[HKT_HOW] = rough == 0 ? HKT_CRASHES : HKT_CRASHES_ONCE;
    }
    op->numbers[HKT_TIME] =
        draw_time(drawing, op->numbers[HKT_HOW] == HKT_SLEEPS ? SLEEP_US : SPIN_US);
    /* A body is run once: it is not tried again. */
    if (drawing->has_processes && op->numbers[HKT_HOW] != HKT_RUNS_BODY && happens(drawing, 30)) {
        op->numbers[HKT_RETRIES] = 2;
    }
}

static void draw_submit(struct drawing *drawing, struct hkt_op *op)
{
    bool is_far_body = drawing->has_processes && op->in >= 0;

    op->refs[HKT_TARGET] = op->in >= 0 && happens(drawing, is_far_body ? 60 : 15)
                               ? HKT_NO_REF
                               : pick(drawing, is_executor);
    op->refs[HKT_TOKEN_REF] = pick_sometimes(drawing, is_token, 30);
    op->numbers[HKT_VALUE] = (int)draw(drawing, 1000000);
    op->numbers[HKT_TIMEOUT] = happens(drawing, 7) ? draw_time(drawing, SLEEP_US) : 0;
    op->numbers[HKT_DEADLINE] = happens(drawing, 7) ? draw_time(drawing, SLEEP_US) : 0;
    op->numbers[HKT_PRIORITY] = happens(drawing, 20) ? (int)draw(drawing, 3) - 1 : 0;
    draw_task(drawing, op, op->kind == HKT_SUBMIT);
    if (op->kind == HKT_SUBMIT) {
        uint32_t form = draw(drawing, 10);

        op->numbers[HKT_FORM] = form < 5   ? HKT_COPY
                                : form < 6 ? HKT_LARGE_COPY
                                : form < 8 ? HKT_REF
                                           : HKT_BUFFER;
        op->numbers[HKT_FORGOTTEN] = happens(drawing, 4) ? 1 : 0;
    } else {
        op->numbers[HKT_COUNT] = (int)draw(drawing, 4);
    }
}

static void draw_refs(struct drawing *drawing, struct hkt_op *op)
{
    op->refs[0] = pick(drawing, is_future);
    for (int ref = 1; ref < HKT_REFS_MAX; ref++) {
        op->refs[ref] = pick_sometimes(drawing, is_future, 60);
    }
}

static void draw_chain(struct drawing *drawing, struct hkt_op *op)
{
    op->refs[HKT_TARGET] = pick(drawing, is_future);
    op->refs[HKT_WHERE] = pick_sometimes(drawing, is_executor, 30);
    op->refs[HKT_FOLLOWED] = pick(drawing, is_future);
    op->numbers[HKT_HOW] = (int)draw(drawing, HKT_STEP_FOLLOW + 1);
    op->numbers[HKT_VALUE] = (int)draw(drawing, 1000000);
}

static void draw_promise_end(struct drawing *drawing, struct hkt_op *op)
{
    op->refs[HKT_TARGET] = pick(drawing, is_promise);
    op->refs[HKT_FOLLOWED] = pick(drawing, is_future);
    op->numbers[HKT_HOW] = (int)draw(drawing, HKT_PROMISE_DESTROY + 1);
    op->numbers[HKT_VALUE] = (int)draw(drawing, 1000000);
    if (op->refs[HKT_FOLLOWED] >= op->refs[HKT_TARGET]) {
        op->refs[HKT_FOLLOWED] = HKT_NO_REF; /* Promises that follow each other never end. */
    }
}

static void draw_map(struct drawing *drawing, struct hkt_op *op)
{
    op->refs[HKT_TARGET] = pick(drawing, is_executor);
    op->refs[HKT_TOKEN_REF] = pick_sometimes(drawing, is_token, 20);
    op->numbers[HKT_VALUE] = (int)draw(drawing, 1000000);
    op->numbers[HKT_TIME] = happens(drawing, 50) ? draw_time(drawing, 50) : 0;
    op->numbers[HKT_COUNT] = (int)draw(drawing, 30);
    op->numbers[HKT_CHUNK] = happens(drawing, 60) ? 1 + (int)draw(drawing, 7) : 0;
    op->numbers[HKT_TIMEOUT] = happens(drawing, 10) ? draw_time(drawing, SLEEP_US) : 0;
    op->numbers[HKT_BAD] = happens(drawing, 40) ? 1 + (int)draw(drawing, 9) : 0;
    if (op->kind == HKT_MAP) {
        op->numbers[HKT_WINDOW] = happens(drawing, 50) ? 1 + (int)draw(drawing, 4) : 0;
        op->numbers[HKT_UNORDERED] = happens(drawing, 50) ? 1 : 0;
        op->numbers[HKT_READS] = happens(drawing, 30) ? 1 + (int)draw(drawing, 20) : 0;
    }
}

static enum hkt_kind draw_kind(struct drawing *drawing)
{
    static const struct {
        enum hkt_kind kind;
        uint32_t weight;
    } weights[] = {
        {HKT_SUBMIT, 22},      {HKT_MANY, 4},       {HKT_READ, 10},  {HKT_WAIT, 6},
        {HKT_AS_COMPLETED, 3}, {HKT_COMPLETION, 2}, {HKT_ADD, 3},    {HKT_NEXT, 3},
        {HKT_CANCEL, 8},       {HKT_TOKEN, 3},      {HKT_FIRE, 2},   {HKT_CALLBACK, 8},
        {HKT_REMOVE, 4},       {HKT_FORGET, 1},     {HKT_UNREF, 2},  {HKT_THEN, 4},
        {HKT_CATCH, 2},        {HKT_GROUP, 4},      {HKT_WITHIN, 2}, {HKT_PROMISE, 3},
        {HKT_PROMISE_END, 4},  {HKT_MAP, 3},        {HKT_RANGE, 3},  {HKT_SHUTDOWN, 2},
        {HKT_KILL_WORKER, 2},  {HKT_CHANGE, 3},     {HKT_PAUSE, 4},
    };
    uint32_t sum = 0;
    uint32_t at;

    for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
        sum += weights[i].weight;
    }
    at = draw(drawing, sum);
    for (size_t i = 0;; i++) {
        if (at < weights[i].weight) {
            return weights[i].kind;
        }
        at -= weights[i].weight;
    }
}

/* Those that are about one object, and little else. */
static bool fill_in_about(struct drawing *drawing, struct hkt_op *op)
{
    filter *target = is_future;

    op->numbers[HKT_TIME] =
        op->kind == HKT_WITHIN ? draw_time(drawing, WAITS_US) : draw_wait(drawing);
    switch (op->kind) {
    case HKT_READ:
        do {
            op->numbers[HKT_HOW] = (int)draw(drawing, HKT_READ_FD + 1);
        } while (op->numbers[HKT_HOW] == HKT_READ_TAKE && !drawing->takes);
        break;
    case HKT_ADD:
        op->refs[HKT_ADDED] = pick(drawing, is_future);
        target = is_completion;
        break;
    case HKT_NEXT:
        target = is_completion;
        break;
    case HKT_CANCEL:
        op->numbers[HKT_HOW] = (int)draw(drawing, 3);
        break;
    case HKT_FIRE:
        target = is_token;
        break;
    case HKT_CALLBACK:
        op->refs[HKT_WHERE] = pick_sometimes(drawing, is_executor, 25);
        break;
    case HKT_REMOVE:
    case HKT_FORGET:
        target = is_callback;
        break;
    case HKT_SHUTDOWN:
        op->numbers[HKT_HOW] = (int)draw(drawing, 4);
        target = is_executor;
        break;
    case HKT_KILL_WORKER:
        op->numbers[HKT_VALUE] = (int)draw(drawing, 10);
        target = is_executor;
        break;
    case HKT_CHANGE:
        op->numbers[HKT_HOW] = (int)draw(drawing, HKT_LOOK + 1);
        op->numbers[HKT_COUNT] = (int)draw(drawing, 4);
        target = is_executor;
        break;
    default:
        break;
    }
    op->refs[HKT_TARGET] = pick(drawing, target);
    return op->refs[HKT_TARGET] != HKT_NO_REF;
}

/* False: there is nothing that it could be about. */
static bool fill_in(struct drawing *drawing, struct hkt_op *op)
{
    switch (op->kind) {
    case HKT_EXECUTOR:
        draw_executor(drawing, op);
        return true;
    case HKT_SUBMIT:
    case HKT_MANY:
        draw_submit(drawing, op);
        return true;
    case HKT_WAIT:
    case HKT_AS_COMPLETED:
        draw_refs(drawing, op);
        op->numbers[HKT_HOW] = op->kind == HKT_WAIT ? (int)draw(drawing, 3) : 0;
        op->numbers[HKT_COUNT] = (int)draw(drawing, 10);
        op->numbers[HKT_TIME] = draw_wait(drawing);
        return op->refs[0] != HKT_NO_REF;
    case HKT_GROUP:
        draw_refs(drawing, op);
        op->numbers[HKT_HOW] = (int)draw(drawing, HKT_WHEN_ANY + 1);
        return op->refs[0] != HKT_NO_REF;
    case HKT_THEN:
    case HKT_CATCH:
        draw_chain(drawing, op);
        return op->refs[HKT_TARGET] != HKT_NO_REF;
    case HKT_PROMISE_END:
        draw_promise_end(drawing, op);
        return op->refs[HKT_TARGET] != HKT_NO_REF;
    case HKT_MAP:
    case HKT_RANGE:
        draw_map(drawing, op);
        return true;
    case HKT_COMPLETION:
    case HKT_PROMISE:
        return true;
    case HKT_TOKEN:
        op->refs[HKT_TARGET] = pick_sometimes(drawing, is_token, 40);
        return true;
    case HKT_PAUSE:
        op->numbers[HKT_TIME] = draw_time(drawing, SPIN_US);
        return true;
    default:
        return fill_in_about(drawing, op);
    }
}

/* Some operations run in the threads, some in bodies, callbacks and steps. */
static int draw_place(struct drawing *drawing)
{
    uint32_t kind = draw(drawing, 100);

    if (kind < 35) {
        int in = pick(drawing, hkt_has_body);

        if (in != HKT_NO_REF) {
            return in;
        }
    }
    if (kind < 65 && !drawing->is_replay) {
        return HKT_FIRST_THREAD - 1 - (int)draw(drawing, HKT_PLACES_OF_THREADS - 1);
    }
    return HKT_FIRST_THREAD;
}

static void add(struct drawing *drawing, enum hkt_kind kind, int in)
{
    struct hkt_op op = hkt_op_of(kind, in);

    if (fill_in(drawing, &op)) {
        hkt_op_trim(&op);
        drawing->program->ops[drawing->program->count++] = op;
    }
}

void hkt_program_draw(struct hkt_program *program, uint64_t seed)
{
    struct drawing drawing = {.program = program, .state = seed * 0x2545f4914f6cdd1dULL};
    uint32_t kind = draw(&drawing, 100);
    unsigned count = OPS_LEAST + draw(&drawing, HKT_OPS_MAX - OPS_LEAST);

    memset(program, 0, sizeof(*program));
    drawing.is_replay = kind < 12;
    drawing.has_processes = kind >= 65;
    drawing.takes = happens(&drawing, 15);
    drawing.is_rough = happens(&drawing, 40);
    for (uint32_t i = 1 + draw(&drawing, 3); i > 0; i--) {
        add(&drawing, HKT_EXECUTOR, HKT_FIRST_THREAD);
    }
    while (program->count < count) {
        enum hkt_kind next = draw_kind(&drawing);

        if ((next == HKT_SHUTDOWN && !drawing.is_rough) ||
            (next == HKT_KILL_WORKER && !(drawing.is_rough && drawing.has_processes))) {
            next = HKT_SUBMIT;
        }
        add(&drawing, next, draw_place(&drawing));
    }
}
