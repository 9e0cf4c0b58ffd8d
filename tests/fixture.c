/* SPDX-License-Identifier: MIT */
/* The executor under test, common tasks, plugs and counters. */
#include "tests/fixture.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/world.h"
#include "executors/serial_impl.h"

hk_executor *hkt_executor;

void hkt_executor_set_up(void)
{
    HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &hkt_executor));
}

void hkt_executor_tear_down(void)
{
    HKT_OK(hk_executor_destroy(hkt_executor));
    hkt_executor = NULL;
}

bool hkt_is_inline(void)
{
    return strncmp(hkt_executor_spec(), "inline", strlen("inline")) == 0;
}

bool hkt_is_processes(void)
{
    return strncmp(hkt_executor_spec(), "processes", strlen("processes")) == 0;
}

bool hkt_is_replay(void)
{
    return strncmp(hkt_executor_spec(), "replay", strlen("replay")) == 0;
}

bool hkt_is_serial(void)
{
    return strncmp(hkt_executor_spec(), "serial", strlen("serial")) == 0;
}

void hkt_give_turn(void)
{
    hki_world_poll();
    sched_yield();
}

static unsigned long count_behind_colon(void)
{
    const char *colon = strchr(hkt_executor_spec(), ':');

    return colon != NULL ? strtoul(colon + 1, NULL, 10) : 1;
}

unsigned hkt_worker_count(void)
{
    unsigned long count = hkt_is_replay() ? 4 : hkt_is_serial() ? 1 : count_behind_colon();

    HKT_TRUE_FATAL(count >= 1 && count <= HKT_PLUG_MAX);
    return (unsigned)count;
}

/* What is about workers is its base's, a pool of four threads; the rest is its own. */
static hk_status create_serial(const hk_executor_options *options, hk_executor **out)
{
    hk_executor_options below = {
        .workers = options->workers != 0 ? options->workers : 4,
        .tasks_per_worker = options->tasks_per_worker,
        .initializer = options->initializer,
        .finalizer = options->finalizer,
        .worker_arg = options->worker_arg,
    };
    hk_executor *base = NULL;
    hk_status status = hk_thread_pool_create(&below, &base);

    if (status == HK_OK && (status = hki_serial_create(base, true, options, out)) != HK_OK) {
        HKT_OK(hk_executor_destroy(base));
    }
    return status;
}

hk_status hkt_executor_create(hk_executor_options options, hk_executor **out)
{
    if (hkt_is_serial()) {
        return create_serial(&options, out);
    }
    if (hkt_is_inline()) {
        return hk_inline_create(&options, out);
    }
    if (hkt_is_replay()) {
        return hk_replay_create(1, &options, out);
    }
    if (options.workers == 0) {
        options.workers = hkt_worker_count();
    }
    return hkt_is_processes() ? hk_process_pool_create(&options, out)
                              : hk_thread_pool_create(&options, out);
}

hk_status hkt_executor_create_default(hk_executor **out)
{
    if (hkt_is_serial()) {
        return hk_executor_open("serial", out);
    }
    if (hkt_is_inline()) {
        return hk_inline_create(NULL, out);
    }
    if (hkt_is_replay()) {
        return hk_replay_create(1, NULL, out);
    }
    return hkt_is_processes() ? hk_process_pool_create(NULL, out)
                              : hk_thread_pool_create(NULL, out);
}

hk_executor *hkt_pool_create(hk_executor_options options)
{
    hk_executor *pool = NULL;

    HKT_OK_FATAL(hk_thread_pool_create(&options, &pool));
    return pool;
}

/* --- Counters --- */

hk_executor_statistics hkt_stats(hk_executor *executor)
{
    hk_executor_statistics statistics = {0};

    HKT_OK(hk_executor_stats(executor, &statistics));
    return statistics;
}

uint64_t hkt_queued(const hk_executor_statistics *statistics)
{
    return statistics->queued;
}

uint64_t hkt_running(const hk_executor_statistics *statistics)
{
    return statistics->running;
}

uint64_t hkt_straggling(const hk_executor_statistics *statistics)
{
    return statistics->straggling;
}

uint64_t hkt_workers(const hk_executor_statistics *statistics)
{
    return statistics->workers;
}

uint64_t hkt_idle(const hk_executor_statistics *statistics)
{
    return statistics->workers_idle;
}

uint64_t hkt_blocked(const hk_executor_statistics *statistics)
{
    return statistics->workers_blocked;
}

uint64_t hkt_started(const hk_executor_statistics *statistics)
{
    return statistics->workers_started;
}

struct expectation {
    hk_executor *executor;
    hkt_counter_fn *counter;
    uint64_t value;
};

static bool is_met(void *arg)
{
    struct expectation *expectation = arg;
    hk_executor_statistics statistics = hkt_stats(expectation->executor);

    return expectation->counter(&statistics) == expectation->value;
}

bool hkt_becomes(hk_executor *executor, hkt_counter_fn *counter, uint64_t value)
{
    struct expectation expectation = {executor, counter, value};

    return hkt_eventually(is_met, &expectation);
}

/* --- Tasks --- */

HK_TASK(hkt_square)
{
    int n;

    if (in_size != sizeof(n)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(n), in_size);
    }
    memcpy(&n, in, sizeof(n));
    n *= n;
    return hk_return(call, &n, sizeof(n));
}

HK_TASK(hkt_echo)
{
    return hk_return(call, in, in_size);
}

HK_TASK(hkt_nothing)
{
    return HK_OK;
}

HK_TASK(hkt_fails)
{
    return hk_fail(call, 7, "no %s", "luck");
}

HK_TASK(hkt_cancels)
{
    return HK_ECANCELED;
}

HK_TASK(hkt_counts)
{
    atomic_uint *counter = hkt_pointer(in, in_size);

    atomic_fetch_add(counter, 1);
    return HK_OK;
}

HK_TASK(hkt_stands_at_gate)
{
    hkt_gate_wait(hkt_pointer(in, in_size));
    return HK_OK;
}

HK_TASK(hkt_sleeps)
{
    return hk_sleep(call, HK_FOREVER);
}

HK_TASK(hkt_thread_id)
{
    pid_t id = gettid();

    return hk_return(call, &id, sizeof(id));
}

void hkt_count_drop(void *counter)
{
    atomic_fetch_add((atomic_uint *)counter, 1);
}

hk_future *hkt_submit_int(hk_executor *executor, const hk_task *task, int value)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(executor, task, &value, sizeof(value), NULL, &future));
    return future;
}

hk_future *hkt_submit_ref(hk_executor *executor, const hk_task *task, void *arg)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit_ref(executor, task, arg, NULL, NULL, &future));
    return future;
}

hk_status hkt_try_pointer_with(hk_executor *executor, const hk_task *task, void *arg,
                               const hk_submit_options *options, hk_future **future)
{
    return hkt_is_processes() ? hk_submit(executor, task, &arg, sizeof(arg), options, future)
                              : hk_submit_ref(executor, task, arg, NULL, options, future);
}

hk_status hkt_try_pointer(hk_executor *executor, const hk_task *task, void *arg, hk_future **future)
{
    return hkt_try_pointer_with(executor, task, arg, NULL, future);
}

hk_future *hkt_submit_pointer(hk_executor *executor, const hk_task *task, void *arg)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hkt_try_pointer(executor, task, arg, &future));
    return future;
}

void *hkt_pointer(const void *in, size_t in_size)
{
    void *pointer = (void *)(uintptr_t)in;

    if (in_size != HK_BY_REF) {
        HKT_EQ_INT_FATAL(in_size, sizeof(pointer));
        memcpy(&pointer, in, sizeof(pointer));
    }
    return pointer;
}

int hkt_take_int(hk_future *future)
{
    const void *value = NULL;
    size_t size = 0;
    int result = INT_MIN;

    if (HKT_OK(hk_future_result(future, HK_FOREVER, &value, &size)) &&
        HKT_EQ_INT(size, sizeof(result))) {
        memcpy(&result, value, sizeof(result));
    }
    hk_future_unref(future);
    return result;
}

void hkt_expect_end(hk_future *future, hk_status expected)
{
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), expected);
    hk_future_unref(future);
}

/* --- Holding workers still --- */

void hkt_plug_insert(struct hkt_plug *plug, hk_executor *executor, unsigned count)
{
    HKT_TRUE_FATAL(count <= HKT_PLUG_MAX);
    plug->gate = hkt_shared_new(sizeof(*plug->gate));
    hkt_gate_init(plug->gate, "the plug of the workers");
    plug->count = count;
    for (unsigned i = 0; i < count; i++) {
        plug->futures[i] = hkt_submit_pointer(executor, hkt_stands_at_gate, plug->gate);
    }
    hkt_gate_await_arrivals(plug->gate, count);
}

void hkt_plug_pull(struct hkt_plug *plug)
{
    hkt_gate_open(plug->gate);
    for (unsigned i = 0; i < plug->count; i++) {
        hkt_expect_end(plug->futures[i], HK_OK);
    }
    hkt_gate_fini(plug->gate);
}

/* Of a stat file: "id (name) S ...", where the name may hold anything but is closed last. */
static char state_in(const char *path)
{
    char text[256] = "";
    const char *state;
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return '\0';
    }
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    state = strrchr(text, ')');
    return state != NULL && state[1] == ' ' ? state[2] : '\0';
}

char hkt_process_state(pid_t process)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/stat", process);
    return state_in(path);
}

bool hkt_is_asleep(pid_t thread)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
    return state_in(path) == 'S';
}

static bool is_asleep(void *arg)
{
    return hkt_is_asleep(*(const pid_t *)arg);
}

bool hkt_falls_asleep(pid_t thread)
{
    return hkt_eventually(is_asleep, &thread);
}

/* --- An executor of one's own --- */

bool hkt_own_remove(void *self, hk_job *job)
{
    (void)self;
    (void)job;
    return false;
}

void hkt_own_shutdown(void *self, hk_shutdown_how how)
{
    (void)self;
    (void)how;
}

hk_status hkt_own_join(void *self, hk_duration timeout)
{
    (void)self;
    (void)timeout;
    return HK_OK;
}

void hkt_own_destroy(void *self)
{
    (void)self;
}

/* --- Quiet --- */

static void ignore_line(hk_log_level level, const char *text, void *arg)
{
    (void)level;
    (void)text;
    (void)arg;
}

static void ignore_failure(const hk_error *error, void *arg)
{
    (void)error;
    (void)arg;
}

void hkt_be_quiet(void)
{
    hk_on_log(ignore_line, NULL);
    hk_on_unobserved(ignore_failure, NULL);
}

void hkt_be_loud(void)
{
    hki_memory_fail_at(0);
    hk_on_log(NULL, NULL);
    hk_on_unobserved(NULL, NULL);
}
