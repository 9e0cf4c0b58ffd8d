/* SPDX-License-Identifier: MIT */
/* What every executor has in common: life, name, shutdown, statistics. */
#include "executors/executor_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/extensible.h"
#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/call.h"
#include "executors/post.h"
#include "executors/timer.h"
#include "sync/block.h"
#include "sync/condition.h"

static const struct hki_executor_traits plain_traits = {.claims = false};

hk_status hki_executor_check_options(const hk_executor_options *options)
{
    if (options == NULL) {
        return HK_OK;
    }
    if (!HKI_OPTIONS_VALID(options, 224) || options->workers > HKI_WORKERS_MAX ||
        options->when_full < HK_FULL_BLOCK || options->when_full > HK_FULL_DROP_OLDEST ||
        !hki_duration_valid(options->idle_exit) || !hki_duration_valid(options->task_timeout) ||
        (options->spare_workers > HKI_WORKERS_MAX && options->spare_workers != HK_NO_SPARES) ||
        (options->stack_size != 0 &&
         (options->stack_size < HKI_STACK_MIN || options->stack_size > HKI_STACK_MAX)) ||
        (options->cpu_count != 0 && options->cpus == NULL) || options->max_payload == HK_BY_REF ||
        options->queue_capacity == SIZE_MAX) {
        return HK_EINVAL;
    }
    for (size_t i = 0; i < options->cpu_count; i++) {
        if (!hki_os_cpu_usable(options->cpus[i])) {
            return HK_EINVAL;
        }
    }
    return HK_OK;
}

unsigned hki_executor_workers(const hk_executor_options *options)
{
    unsigned workers =
        options == NULL || options->workers == 0 ? hki_os_cpu_count() : options->workers;

    return workers > HKI_WORKERS_MAX ? HKI_WORKERS_MAX : workers;
}

void hki_executor_name(const hk_executor_options *options, const char *kind,
                       char name[HKI_NAME_MAX])
{
    static atomic_uint count;

    if (options != NULL && options->name != NULL && options->name[0] != '\0') {
        snprintf(name, HKI_NAME_MAX, "%s", options->name);
    } else {
        snprintf(name, HKI_NAME_MAX, "%s-%u", kind, atomic_fetch_add(&count, 1) + 1);
    }
}

static bool ops_complete(const hk_executor_ops *ops)
{
    return ops != NULL && ops->size >= sizeof(*ops) && ops->kind != NULL && ops->submit != NULL &&
           ops->shutdown != NULL && ops->join != NULL && ops->destroy != NULL;
}

/* What was posted moves as a task does that has not started. */
static enum hki_wait_kind look_at_place(struct hki_place *place, size_t *count)
{
    const hk_executor *executor = (const hk_executor *)(const void *)place;

    return executor->traits->look == NULL ? HKI_WAIT_MOVES
                                          : executor->traits->look(executor->self, count);
}

static struct hki_wait_node next_of_place(struct hki_place *place, size_t i)
{
    const hk_executor *executor = (const hk_executor *)(const void *)place;

    return executor->traits->next == NULL ? (struct hki_wait_node){NULL, NULL}
                                          : executor->traits->next(executor->self, i);
}

hk_status hk_executor_create(const hk_executor_ops *ops, void *self,
                             const hk_executor_options *options, hk_executor **out)
{
    hk_executor *executor;
    hk_status status;

    if (!ops_complete(ops) || out == NULL) {
        return HK_EINVAL;
    }
    if ((status = hki_executor_check_options(options)) != HK_OK) {
        return status;
    }
    if (options != NULL && hki_executor_confines(options)) {
        return HK_EINVAL; /* To take no notice would leave the caller in false safety. */
    }
    if ((executor = hki_zalloc(sizeof(*executor))) == NULL) {
        return HK_ENOMEM;
    }
    executor->place = (struct hki_place){.post = hki_post_to_executor,
                                         .is_here = (ops->flags & HK_EXECUTOR_SHARES_MEMORY) != 0,
                                         .look = look_at_place,
                                         .next = next_of_place};
    executor->ops = ops;
    executor->self = self;
    executor->traits = &plain_traits;
    atomic_init(&executor->references, 1);
    executor->generation = hki_fork_generation();
    hki_executor_name(options, ops->kind, executor->name);
    atomic_init(&executor->width, hki_executor_workers(options));
    executor->max_payload = HKI_PAYLOAD_DEFAULT;
    if (options != NULL) {
        executor->task_timeout = options->task_timeout;
        executor->retries = options->retries;
        executor->roundtrip = options->roundtrip;
        executor->drain_at_exit = options->drain_at_exit;
        if (options->max_payload != 0) {
            executor->max_payload = options->max_payload;
        }
    }
    atomic_init(&executor->how, HKI_OPEN);
    if ((status = hki_live_executors_add(executor)) != HK_OK) {
        hki_free(executor, sizeof(*executor));
        return status;
    }
    hki_live_add(HKI_LIVE_EXECUTORS, 1);
    *out = executor;
    return HK_OK;
}

hk_executor *hki_executor_ref(hk_executor *executor)
{
    atomic_fetch_add(&executor->references, 1);
    return executor;
}

void hki_executor_unref(hk_executor *executor)
{
    if (atomic_fetch_sub(&executor->references, 1) != 1) {
        return;
    }
    hki_error_unref(atomic_load(&executor->broken));
    hki_free(executor, sizeof(*executor));
    hki_live_add(HKI_LIVE_EXECUTORS, -1);
}

hk_status hki_executor_usable(const hk_executor *executor)
{
    if (executor == NULL) {
        return HK_EINVAL;
    }
    return hki_fork_foreign(executor->generation) ? HK_EFORKED : HK_OK;
}

hk_status hki_executor_takes(hk_executor *executor, const hk_cancel_token *token)
{
    const struct hki_error *broken = atomic_load(&executor->broken);

    if (broken != NULL) {
        return broken->shown.status;
    }
    if (atomic_load(&executor->how) != HKI_OPEN || hki_exiting()) {
        return HK_ECLOSED;
    }
    return hk_cancel_token_is_fired(token) ? HK_ECANCELED : HK_OK;
}

void hki_executor_break(hk_executor *executor, struct hki_error *error)
{
    struct hki_error *none = NULL;

    if (!atomic_compare_exchange_strong(&executor->broken, &none, error)) {
        hki_error_unref(error);
    }
}

void hki_executor_close(hk_executor *executor, hk_shutdown_how how)
{
    int before = atomic_load(&executor->how);

    /* Only ever harder. */
    while (before < (int)how) {
        if (atomic_compare_exchange_weak(&executor->how, &before, (int)how)) {
            executor->ops->shutdown(executor->self, how);
            return;
        }
    }
}

/* --- counting --- */

uint64_t hki_executor_counted(const hk_executor *executor, enum hki_counted what)
{
    uint64_t workers = executor->traits->counted_by_workers == NULL
                           ? 0
                           : executor->traits->counted_by_workers(executor->self, what);

    return workers + hki_work_count_read(&executor->counts, what);
}

/*
 * A back end has done its part once no worker is left; but a thread that cancels
 * a task, or the timer thread, may still be about to publish its end. Every such
 * thread counts the job as resolved when it is done with the executor, and touches
 * it no more. So a join that waits for the count must sleep on something that is
 * not in the executor: one pair for all, as such waits are rare and short.
 */
static pthread_mutex_t resolve_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hki_condition resolved = HKI_CONDITION_INIT;

/* seq_cst with the counts that all share: either the counter sees the sleeper or the sleeper
 * the count. Workers with counts of their own have gone before anybody sleeps here, but for one
 * that was started for a task which came last: it tells when it leaves. */
static atomic_uint sleepers;

void hki_executor_wake_joins(void)
{
    pthread_mutex_lock(&resolve_lock);
    hki_condition_broadcast(&resolved);
    pthread_mutex_unlock(&resolve_lock);
}

void hki_executor_resolved(hk_executor *executor)
{
    struct hki_work_counts *own = hki_executor_own_counts(executor);

    if (own != NULL) {
        hki_work_count_own(own, HKI_RESOLVED);
        return;
    }
    atomic_fetch_add(&executor->counts.of[HKI_RESOLVED], 1);
    if (atomic_load(&sleepers) != 0) {
        hki_executor_wake_joins();
    }
}

/* RESOLVED is read first: it never runs ahead. */
static bool is_resolved(const hk_executor *executor)
{
    uint64_t ended = hki_executor_counted(executor, HKI_RESOLVED);

    return ended == hki_executor_counted(executor, HKI_ACCEPTED);
}

void hki_executor_leave(hk_executor *executor)
{
    if (atomic_fetch_sub(&executor->guests, 1) == 1 && atomic_load(&sleepers) != 0) {
        hki_executor_wake_joins();
    }
}

/* All futures have ended: who comes now sees that, and does not enter; and who is inside has but
 * a few steps of the library's to go, so this wait is no part of the wait-for graph. Callbacks run
 * there belong to futures that the join has waited for. */
static void await_guests(hk_executor *executor)
{
    pthread_mutex_lock(&resolve_lock);
    atomic_fetch_add(&sleepers, 1);
    while (atomic_load(&executor->guests) != 0) {
        (void)hki_condition_wait(&resolved, &resolve_lock, HKI_NEVER);
    }
    atomic_fetch_sub(&sleepers, 1);
    pthread_mutex_unlock(&resolve_lock);
}

static hk_status await_resolved(hk_executor *executor, int64_t deadline_ns)
{
    hk_status status = HK_OK;

    pthread_mutex_lock(&resolve_lock);
    atomic_fetch_add(&sleepers, 1);
    while (!is_resolved(executor) && status == HK_OK) {
        if (!hki_condition_wait(&resolved, &resolve_lock, deadline_ns)) {
            status = hki_not_in_time(deadline_ns);
        }
    }
    atomic_fetch_sub(&sleepers, 1);
    pthread_mutex_unlock(&resolve_lock);
    return status;
}

/* --- the end of an executor as a node of the wait-for graph --- */

static enum hki_wait_kind look_at_end(void *object, size_t *count)
{
    const hk_executor *executor = object;

    return executor->traits->look_at_end(executor->self, count);
}

static struct hki_wait_node next_of_end(void *object, size_t i)
{
    const hk_executor *executor = object;

    return executor->traits->next_of_end(executor->self, i);
}

static void describe_end(void *object, char *text, size_t size)
{
    snprintf(text, size, "the end of executor %s", ((const hk_executor *)object)->name);
}

static hk_duration left_until(int64_t deadline_ns)
{
    int64_t now_ns = hk_now_ns();

    return deadline_ns == HKI_NEVER ? HK_FOREVER : deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

static hk_status await_end(hk_executor *executor, hk_duration wait)
{
    int64_t deadline_ns = hki_deadline(wait);
    hk_status status = executor->ops->join(executor->self, wait);

    if (status == HK_OK) {
        status = await_resolved(executor, deadline_ns);
    }
    if (status == HK_OK && executor->traits->counted_by_workers != NULL) {
        /* A task that came last may have had a worker of its own, after the others had gone. */
        status = executor->ops->join(executor->self, left_until(deadline_ns));
    }
    return status;
}

static hk_status join(hk_executor *executor, hk_duration wait)
{
    static const struct hki_wait_ops ops = {
        .look = look_at_end, .next = next_of_end, .describe = describe_end, .verb = "held up by"};
    struct hki_agent *agent = hki_agent_self();
    hk_status status;

    /* A back end of the application may wait in Hocket's ways; each tells for itself. */
    if (executor->traits->look_at_end == NULL) {
        return await_end(executor, wait);
    }
    status = hki_block_begin(agent, (struct hki_wait_node){&ops, executor}, wait != HK_FOREVER);
    if (status == HK_OK) {
        status = await_end(executor, wait);
        hki_block_end(agent);
    }
    return status;
}

/* Its own worker, or a callback that one of its tasks is ending in. */
static bool inside(const hk_executor *executor)
{
    return hki_call_inside(executor) || hki_agent_self()->host_owner == executor;
}

hk_status hk_executor_shutdown(hk_executor *executor, hk_shutdown_how how, hk_duration timeout)
{
    hk_status status = hki_executor_usable(executor);
    HKI_NO_CANCEL;

    if (status != HK_OK) {
        return status;
    }
    if (how < HK_SHUTDOWN_DRAIN || how > HK_SHUTDOWN_KILL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    hki_executor_close(executor, how);
    if (timeout == 0) {
        return HK_OK;
    }
    return inside(executor) ? HK_EDEADLK : join(executor, timeout);
}

hk_status hk_executor_destroy(hk_executor *executor)
{
    hk_status status;
    HKI_NO_CANCEL;

    if (executor == NULL) {
        return HK_OK;
    }
    if (hki_fork_foreign(executor->generation)) {
        /* Its threads are not here, nor are its locks known to be free: the memory
         * goes with the process. */
        hki_live_executors_remove(executor);
        return HK_EFORKED;
    }
    if ((status = hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER)) != HK_OK) {
        return status;
    }
    hki_live_executors_remove(executor);
    /* A look at the wait-for graph may still read the back end. */
    hki_wait_graph_settle();
    if (atomic_load(&executor->guests) != 0) {
        await_guests(executor);
    }
    executor->ops->destroy(executor->self);
    if (atomic_load(&executor->holds_timers)) {
        hki_timers_release(true);
    }
    hki_executor_unref(executor);
    return HK_OK;
}

hk_status hk_executor_stats(hk_executor *executor, hk_executor_statistics *statistics)
{
    hk_status status = hki_executor_usable(executor);
    uint64_t stopped;
    uint64_t started;
    uint64_t uncounted;
    long straggling;

    if (status != HK_OK || statistics == NULL) {
        return status != HK_OK ? status : HK_EINVAL;
    }
    memset(statistics, 0, sizeof(*statistics));
    /* What ended first, what was submitted last: the sum never runs ahead. */
    statistics->done = hki_executor_counted(executor, HKI_ENDED_WELL);
    statistics->failed = hki_executor_counted(executor, HKI_ENDED_ILL);
    statistics->cancelled = hki_executor_counted(executor, HKI_ENDED_EARLY);
    stopped = hki_executor_counted(executor, HKI_STOPPED);
    started = hki_executor_counted(executor, HKI_STARTED);
    straggling = atomic_load(&executor->straggling);
    uncounted = hki_executor_counted(executor, HKI_UNCOUNTED);
    statistics->submitted = hki_executor_counted(executor, HKI_ACCEPTED) - uncounted;
    statistics->refused = atomic_load(&executor->refused);
    statistics->running = (size_t)(started - stopped);
    statistics->straggling = straggling > 0 ? (size_t)straggling : 0;
    if (executor->ops->statistics != NULL) {
        executor->ops->statistics(executor->self, statistics);
    }
    return HK_OK;
}

hk_status hk_executor_resize(hk_executor *executor, unsigned workers)
{
    hk_status status = hki_executor_usable(executor);
    HKI_NO_CANCEL;

    if (status != HK_OK) {
        return status;
    }
    if (workers > HKI_WORKERS_MAX || executor->ops->resize == NULL) {
        return HK_EINVAL;
    }
    if (atomic_load(&executor->how) != HKI_OPEN) {
        return HK_ECLOSED;
    }
    workers = workers == 0 ? hki_os_cpu_count() : workers;
    if ((status = executor->ops->resize(executor->self, workers)) == HK_OK) {
        atomic_store(&executor->width, workers);
    }
    return status;
}

hk_status hk_executor_restart_workers(hk_executor *executor)
{
    hk_status status = hki_executor_usable(executor);
    HKI_NO_CANCEL;

    if (status != HK_OK) {
        return status;
    }
    if (executor->ops->restart == NULL) {
        return HK_EINVAL;
    }
    if (atomic_load(&executor->how) != HKI_OPEN) {
        return HK_ECLOSED;
    }
    return executor->ops->restart(executor->self);
}

hk_status hk_executor_prestart(hk_executor *executor, hk_duration timeout)
{
    hk_status status = hki_executor_usable(executor);
    struct hki_error *broken;
    HKI_NO_CANCEL;

    if (status != HK_OK) {
        return status;
    }
    if (!hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    if (atomic_load(&executor->how) != HKI_OPEN) {
        return HK_ECLOSED;
    }
    status =
        executor->ops->prestart == NULL ? HK_OK : executor->ops->prestart(executor->self, timeout);
    broken = atomic_load(&executor->broken);
    return broken != NULL ? broken->shown.status : status;
}

const char *hk_executor_name(const hk_executor *executor)
{
    return executor == NULL ? "" : executor->name;
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&resolve_lock);
}
