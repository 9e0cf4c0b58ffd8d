/* SPDX-License-Identifier: MIT */
#include "tests/random/run.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/random/census.h"
#include "tests/random/closer.h"
#include "tests/random/perform.h"
#include "tests/random/verdict.h"

/* A thread that runs the operations it is handed, in that order. */
struct actor {
    pthread_t thread;
    bool is_started;
    int place;
    int ops[HKT_OPS_MAX];
    unsigned count;
    bool is_over;
};

static struct actor actors[HKT_PLACES_OF_THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *act(void *arg)
{
    struct actor *actor = arg;
    unsigned next = 0;

    hkt_place = (struct hkt_place){NULL, -1, 0, actor->place};
    pthread_mutex_lock(&lock);
    for (;;) {
        if (next < actor->count) {
            int op = actor->ops[next++];

            pthread_mutex_unlock(&lock);
            hkt_perform(op);
            pthread_mutex_lock(&lock);
        } else if (actor->is_over) {
            break;
        } else {
            pthread_cond_wait(&changed, &lock);
        }
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void hand_over(int op, int in)
{
    struct actor *actor = &actors[HKT_FIRST_THREAD - in];

    pthread_mutex_lock(&lock);
    actor->ops[actor->count++] = op;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (!actor->is_started) {
        actor->is_started = true;
        actor->place = in;
        if (pthread_create(&actor->thread, NULL, act, actor) != 0) {
            abort();
        }
    }
}

/* The first thread's own, and those of others when it comes by them: so what they refer to as a
 * rule is there, and they run beside what comes next. */
static void run_threads(void)
{
    const struct hkt_program *program = &hkt_stage->program;

    for (unsigned i = 0; i < HKT_PLACES_OF_THREADS; i++) {
        actors[i] = (struct actor){.is_started = false};
    }
    for (unsigned i = 0; i < program->count; i++) {
        const struct hkt_op *at = &program->ops[i];

        if (at->kind != HKT_NO_OP && at->in == HKT_FIRST_THREAD) {
            hkt_perform((int)i);
        } else if (at->kind != HKT_NO_OP && at->in < 0) {
            hand_over((int)i, at->in);
        }
    }
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < HKT_PLACES_OF_THREADS; i++) {
        actors[i].is_over = true;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < HKT_PLACES_OF_THREADS; i++) {
        if (actors[i].is_started) {
            pthread_join(actors[i].thread, NULL);
        }
    }
}

/* --- The end --- */

/* Whoever is named as the place of callbacks outlives them. */
static bool is_place_of_callbacks(int executor_op)
{
    for (unsigned i = 0; i < hkt_stage->program.count; i++) {
        const struct hkt_op *at = &hkt_stage->program.ops[i];

        if ((at->kind == HKT_CALLBACK || at->kind == HKT_THEN || at->kind == HKT_CATCH) &&
            at->refs[HKT_WHERE] == executor_op) {
            return true;
        }
    }
    return false;
}

/* From the last to the first: a serial one is shut down before what it works on. */
static void end_tasks(void)
{
    for (int op = (int)hkt_stage->program.count - 1; op >= 0; op--) {
        hk_executor *executor = hkt_use(op, HKT_SLOT_EXECUTOR);
        int how = hkt_stage->program.ops[op].numbers[HKT_END];
        hk_status status;

        if (executor != NULL) {
            /* Tasks that are replayed go on only while this thread waits in the library. */
            bool waits =
                how != HKT_DESTROYED || is_place_of_callbacks(op) || hkt_has_executor(HKT_REPLAY);

            status = hkt_shut_down(op, executor,
                                   how == HKT_DESTROYED ? HK_SHUTDOWN_DRAIN : (hk_shutdown_how)how,
                                   waits ? HK_FOREVER : 0);
            HKT_ONE_OF(op, status, HK_OK,
                       HKT_IF(hkt_kind_of(hkt_base_of(op)) == HKT_REPLAY, HK_EDEADLK));
            hkt_release(op);
        }
    }
}

/* Only where a replay executor orders everything may the first thread be refused. */
static void await(int op, hk_future *future)
{
    hk_status status;

    do {
        status = hk_future_wait(future, HK_FOREVER);
        HKT_ONE_OF(op, status, HK_OK, HKT_IF(hkt_has_executor(HKT_REPLAY), HK_EDEADLK));
        (void)sched_yield();
    } while (status == HK_EDEADLK);
}

/* Tasks of a replay executor go on only while the first thread stands aside. */
static void stand_aside(void)
{
    for (int op = 0; op < (int)hkt_stage->program.count; op++) {
        hk_executor *executor = hkt_use(op, HKT_SLOT_EXECUTOR);

        if (executor != NULL) {
            if (hkt_kind_of(op) == HKT_REPLAY) {
                HKT_MUST(hk_replay_run(executor, 0, NULL) == HK_OK);
            }
            hkt_release(op);
        }
    }
    (void)sched_yield();
}

/* Whether all was over at a look: callbacks may make futures and add callbacks. */
static bool await_all(void)
{
    bool was_over = true;

    for (unsigned op = 0; op < hkt_stage->program.count; op++) {
        struct hkt_known *known = &hkt_stage->known[op];

        for (unsigned i = 0;
             hkt_makes_future(hkt_stage->program.ops[op].kind) && i < hkt_unit_count((int)op);
             i++) {
            hk_future *future = hkt_future_get((int)op, i);

            if (future != NULL && !hk_future_has_ended(future)) {
                was_over = false;
                await((int)op, future);
            }
            hk_future_unref(future);
        }
        while (hkt_stage->program.ops[op].kind == HKT_CALLBACK && atomic_load(&known->is_made) &&
               !atomic_load(&known->is_removed) && !atomic_load(&known->is_through)) {
            was_over = false;
            stand_aside(); /* One that never comes is the watchdog's. */
        }
    }
    return was_over;
}

static void release_executors(void)
{
    for (int op = (int)hkt_stage->program.count - 1; op >= 0; op--) {
        hk_executor *executor =
            hkt_stage->program.ops[op].kind == HKT_EXECUTOR ? hkt_take(op) : NULL;
        hk_executor_statistics counts;

        if (executor == NULL) {
            continue;
        }
        if (atomic_load(&hkt_stage->known[op].is_drained)) {
            HKT_MUST(hk_executor_stats(executor, &counts) == HK_OK);
            HKT_MUST(counts.submitted >= atomic_load(&hkt_stage->known[op].accepted));
            HKT_MUST(counts.submitted == counts.done + counts.failed + counts.cancelled);
            HKT_MUST(counts.queued == 0 && counts.running == 0);
        }
        HKT_MUST(hk_executor_destroy(executor) == HK_OK);
    }
}

static void release_future(int op, unsigned index)
{
    hk_future *future = hkt_future_take(op, index);

    if (future != NULL) {
        hkt_look_at(op, index, future);
        hk_future_unref(future);
    }
}

static void release_all(void)
{
    for (unsigned i = 0; i < hkt_stage->program.count; i++) {
        int op = (int)i;
        enum hkt_kind kind = hkt_stage->program.ops[op].kind;
        hk_completion *completion = NULL;

        for (unsigned index = 0; hkt_makes_future(kind) && index < hkt_unit_count(op); index++) {
            release_future(op, index);
        }
        if (kind == HKT_COMPLETION && (completion = hkt_take(op)) != NULL) {
            while (hkt_deliver(op, completion, 0, false)) {
            }
            HKT_MUST(hk_completion_outstanding(completion) == 0);
            hk_completion_destroy(completion);
        }
        if (kind == HKT_TOKEN) {
            hk_cancel_token_unref(hkt_token_take(op));
        }
        if (kind == HKT_CALLBACK) {
            hk_hook_forget(hkt_hook_take(op));
        }
    }
}

/* --- All of it --- */

static void note_takes(void)
{
    bool takes = false;

    for (unsigned i = 0; i < hkt_stage->program.count; i++) {
        const struct hkt_op *at = &hkt_stage->program.ops[i];

        takes = takes || (at->kind == HKT_READ && at->numbers[HKT_HOW] == HKT_READ_TAKE);
    }
    /* Derived futures share values: what one reader takes another one of any may have missed. */
    for (unsigned i = 0; i < HKT_UNITS_MAX; i++) {
        atomic_store(&hkt_stage->units[i].may_take, takes);
    }
}

static void ignore_failure(const hk_error *error, void *arg)
{
    (void)error;
    (void)arg;
}

static void ignore_line(hk_log_level level, const char *text, void *arg)
{
    (void)arg;
    if (level == HK_LOG_ERROR && getenv("RANDOM_PROGRAMS_LOG") != NULL) {
        fprintf(stderr, "log: %s\n", text);
    }
}

void hkt_run_prepare(void)
{
    atomic_store(&hkt_stage->main_pid, getpid());
    hk_on_unobserved(ignore_failure, NULL);
    hk_on_log(ignore_line, NULL);
}

void hkt_run_program(void)
{
    hkt_stage_reset();
    note_takes();
    hkt_place = (struct hkt_place){NULL, -1, 0, HKT_FIRST_THREAD};
    hkt_closer_start();
    run_threads();
    atomic_store(&hkt_stage->mercy, true);
    end_tasks();
    while (!await_all()) {
    }
    release_executors();
    hkt_closer_stop();
    release_all();
    hkt_verdict();
    if (!atomic_load(&hkt_stage->is_failed)) {
        hkt_census_check();
    }
}
