/* SPDX-License-Identifier: MIT */
/* Jobs: birth, end, and how they answer for their future. */
#include "executors/job.h"

#include <string.h>

#include "base/magazine.h"
#include "base/memory.h"
#include "base/small_copy.h"
#include "base/time.h"
#include "executors/call.h"
#include "futures/wait_impl.h"

static const struct hki_slab_class jobs = {HKI_SLAB_JOBS, sizeof(hk_job)};
static const struct hki_slab_class slim_jobs = {HKI_SLAB_SLIM_JOBS, HKI_SLIM_BYTES};

static void destroy(hk_future *future)
{
    hk_job *job = hki_job_of(future);

    hki_limits_destroy(job);
    hki_slab_free(&jobs, job);
}

/* Takes a job that will not run out of its back end's queue; the reference comes
 * back. If it has just been taken for running, that thread finds it ended. */
static void withdraw(hk_job *job)
{
    hk_executor *executor = job->executor;

    if (executor->ops->remove != NULL && executor->ops->remove(executor->self, job)) {
        hk_future_unref(&job->future);
    }
}

static void cancelled(hk_future *future)
{
    hk_job *job = hki_job_of(future);

    withdraw(job);
    hki_job_drop_input(job);
    hki_job_ended(job, HKI_CANCELLED);
}

static void published(hk_future *future)
{
    hki_executor_resolved(hki_job_of(future)->executor);
}

static bool claimable(hk_future *future, const struct hki_agent *agent)
{
    hk_job *job = hki_job_of(future);

    /* Without host_ops it is in its finaliser, and serves no more. */
    return hki_phase(hki_future_state(future)) == HKI_PENDING &&
           agent->host_owner == job->executor && agent->host_ops != NULL &&
           job->executor->traits->claims && hki_agent_may_nest(agent) && !hki_limits_timed(job);
}

static bool claim(hk_future *future, struct hki_agent *agent)
{
    hk_job *job = hki_job_of(future);
    hk_executor *executor = job->executor;

    bool ran = true;

    if (!claimable(future, agent)) {
        return false;
    }
    agent->claim_depth++;
    if (executor->traits->claim_here != NULL) {
        ran = executor->traits->claim_here(executor->self, job, agent);
    } else if (executor->ops->remove(executor->self, job)) {
        executor->traits->run_here(executor->self, job, agent);
    } else {
        ran = false;
    }
    agent->claim_depth--;
    return ran;
}

static struct hki_agent *runner_of(hk_job *job)
{
    return hki_job_is_slim(job) ? job->executor->traits->runner(job->executor->self, job)
                                : hki_future_runner(&job->future);
}

/* A running job depends on the thread that runs it; one that has not started on
 * its pool. One with a limit in time that counts already is ended by the clock. */
static enum hki_wait_kind look(hk_future *future, size_t *count)
{
    hk_job *job = hki_job_of(future);
    unsigned phase = hki_phase(hki_future_state_now(future));

    const struct hki_limits *limits = hki_job_limits(job);

    if (limits != NULL &&
        (limits->deadline_ns != HKI_NEVER || (phase == HKI_RUNNING && limits->timeout != 0))) {
        return HKI_WAIT_MOVES;
    }
    if (phase == HKI_RUNNING) {
        *count = 1;
        return runner_of(job) == NULL ? HKI_WAIT_MOVES : HKI_WAIT_ALL;
    }
    if (phase != HKI_PENDING || job->executor->traits->look == NULL) {
        return HKI_WAIT_MOVES;
    }
    return job->executor->traits->look(job->executor->self, count);
}

static struct hki_wait_node next(hk_future *future, size_t i)
{
    hk_job *job = hki_job_of(future);
    struct hki_agent *runner = runner_of(job);
    unsigned phase = hki_phase(hki_future_state_now(future));

    if (phase == HKI_PENDING && job->executor->traits->next != NULL) {
        return job->executor->traits->next(job->executor->self, i);
    }
    /* Still RUNNING after the runner was read, so that thread is inside the task
     * and waits for this look before it leaves. */
    if (phase == HKI_RUNNING && runner != NULL) {
        return hki_agent_node(runner);
    }
    return (struct hki_wait_node){NULL, NULL};
}

static const char *name(const hk_future *future)
{
    return hki_job_named(hki_job_of((hk_future *)future))->name;
}

static const hk_site *site(const hk_future *future)
{
    return hki_job_of((hk_future *)future)->site;
}

/* --- jobs of remote back ends --- */

static void destroy_remote(hk_future *future)
{
    hk_executor *executor = hki_job_of(future)->executor;

    destroy(future);
    hki_executor_unref(executor);
}

/* The count first, then the state; who destroys has seen all futures end, then reads the count.
 * Both in the one order of all seq_cst operations: one of the two sees the other. */
bool hki_job_enter(hk_job *job)
{
    atomic_fetch_add(&job->executor->guests, 1);
    if (hki_phase_ended(hki_future_state_now(&job->future))) {
        hki_executor_leave(job->executor);
        return false;
    }
    return true;
}

static void refresh(hk_future *future)
{
    hk_job *job = hki_job_of(future);

    if (hki_job_enter(job)) {
        job->executor->traits->remote->refresh(job->executor->self, job);
        hki_executor_leave(job->executor);
    }
}

static bool recall(hk_future *future, bool *removed)
{
    hk_job *job = hki_job_of(future);

    bool claimed = false;

    if (hki_job_enter(job)) {
        claimed = job->executor->traits->remote->recall(job->executor->self, job, removed);
        hki_executor_leave(job->executor);
    }
    return claimed;
}

/* It comes back when the future ends, also if its caller waits for others, too: see
 * futures/wait.c. So who destroys waits for a moment. */
static bool park(hk_future *future, struct hki_parker *parker, int64_t deadline_ns)
{
    hk_job *job = hki_job_of(future);
    bool woken = true;

    if (hki_job_enter(job)) {
        woken = job->executor->traits->remote->park(job->executor->self, job, parker, deadline_ns);
        hki_executor_leave(job->executor);
    }
    return woken;
}

static void assist(hk_future *future, int64_t deadline_ns)
{
    hk_job *job = hki_job_of(future);

    if (hki_job_enter(job)) {
        job->executor->traits->remote->assist(job->executor->self, job, deadline_ns);
        hki_executor_leave(job->executor);
    }
}

static void stop(hk_future *future, hk_cancel_level level)
{
    hk_job *job = hki_job_of(future);

    (void)level;
    if (hki_job_enter(job)) {
        job->executor->traits->remote->stop(job->executor->self, job);
        hki_executor_leave(job->executor);
    }
}

void hki_job_force(hk_job *job, enum hki_force (*by)(void *self, hk_job *job))
{
    enum hki_force result = by(job->executor->self, job);

    if (result == HKI_FORCE_REMOVED) {
        hk_future_unref(&job->future); /* Of who would have run it. */
    }
    if (result != HKI_FORCE_STOPS) {
        hki_job_drop_input(job);
    }
}

static hk_status kill_running(hk_future *future, const char *why)
{
    hk_job *job = hki_job_of(future);

    if (!hki_future_claim_cancel(future, false)) {
        /* It has just ended in another way, perhaps by another kill. */
        return hki_future_is_cancelled(future) ? HK_OK : HK_ESTATE;
    }
    hki_future_set_reason(future, why == NULL ? "killed" : why);
    hki_job_force(job, job->executor->traits->remote->kill);
    hki_job_ended(job, HKI_CANCELLED);
    hki_future_publish(future, HKI_CANCELLED);
    return HK_OK;
}

bool hki_job_conclude_remote(hk_job *job, struct hki_outcome *outcome, const void *left,
                             size_t left_size, struct hki_agent *drainer)
{
    hk_future *future = &job->future;
    unsigned phase;

    if (!hki_future_claim(future, outcome->phase, false)) {
        hki_outcome_drop(outcome);
        hki_job_drop_input(job);
        return false;
    }
    phase = hki_job_put_outcome(job, outcome);
    if (left != NULL && job->salvage != NULL) {
        job->salvage(job, left, left_size);
    }
    hki_job_drop_input(job);
    hki_job_ended(job, hki_phase(phase));
    return hki_future_publish_only(future, phase, drainer);
}

static const struct hki_origin remote_job_origin = {
    .destroy = destroy_remote,
    .cancelled = cancelled,
    .published = published,
    .stop = stop,
    .look = look,
    .next = next,
    .refresh = refresh,
    .recall = recall,
    .kill = kill_running,
    .park = park,
    .assist = assist,
    .name = name,
    .site = site,
};

bool hki_job_is_remote(const hk_job *job)
{
    return job->future.origin == &remote_job_origin;
}

static void destroy_slim(hk_future *future)
{
    hki_magazine_free(&slim_jobs, hki_job_of(future));
}

/* A worker's wait for its own pool's task: no limits stand against it, and no queue holds it. */
static bool claimable_slim(hk_future *future, const struct hki_agent *agent)
{
    hk_job *job = hki_job_of(future);

    /* Without host_ops it is in its finaliser, and serves no more. */
    return agent->host_owner == job->executor && agent->host_ops != NULL &&
           hki_phase(hki_future_state(future)) == HKI_PENDING && hki_agent_may_nest(agent);
}

static bool claim_slim(hk_future *future, struct hki_agent *agent)
{
    hk_job *job = hki_job_of(future);
    bool ran;

    if (!claimable_slim(future, agent)) {
        return false;
    }
    agent->claim_depth++;
    ran = job->executor->traits->claim_here(job->executor->self, job, agent);
    agent->claim_depth--;
    return ran;
}

const struct hki_origin hki_slim_origin = {
    .destroy = destroy_slim,
    .cancelled = cancelled,
    .published = published,
    .claimable = claimable_slim,
    .claim = claim_slim,
    .look = look,
    .next = next,
    .name = name,
    .site = site,
};

static const struct hki_origin job_origin = {
    .destroy = destroy,
    .cancelled = cancelled,
    .published = published,
    .claimable = claimable,
    .claim = claim,
    .look = look,
    .next = next,
    .name = name,
    .site = site,
};

static hk_status set_input(hk_job *job, const struct hki_request *request)
{
    void *block;

    if (request->moves) {
        job->input = request->given;
        return HK_OK;
    }
    if (request->size <= HKI_INLINE_INPUT) {
        job->input =
            (struct hki_value){request->size == 0 ? NULL : job->bytes, request->size, NULL, NULL};
    } else {
        if ((block = hki_block_alloc(request->size)) == NULL) {
            return HK_ENOMEM;
        }
        job->input = (struct hki_value){block, request->size, hki_block_free, block};
    }
    if (request->size != 0) {
        memcpy(job->input.data, request->bytes, request->size);
    }
    return HK_OK;
}

/* A task that killed three workers is not tried again, whatever was asked for. */
static uint16_t attempts(const struct hki_request *request)
{
    enum { ATTEMPTS_MOST = 3 };
    const hk_task *task = request->named != NULL ? request->named : request->task;
    unsigned retries = request->options != NULL && request->options->retries != 0
                           ? request->options->retries
                           : request->executor->retries;

    if ((task->flags & HK_TASK_IDEMPOTENT) == 0) {
        return 1;
    }
    return (uint16_t)(retries >= ATTEMPTS_MOST ? ATTEMPTS_MOST : retries + 1);
}

unsigned hki_job_put_outcome(hk_job *job, struct hki_outcome *outcome)
{
    unsigned phase = outcome->phase;

    if (phase == HKI_FAILED) {
        job->future.body.error = outcome->error;
    } else if (phase == HKI_DONE && !hki_future_put_value(&job->future, &outcome->value, &phase)) {
        hki_value_drop(&outcome->value);
        job->future.body.error =
            hki_job_error(job, HK_ENOMEM, "", "there was no memory for its value", NULL);
        phase = HKI_FAILED;
    }
    return phase;
}

/* Whether the first part of a job is enough. */
static bool may_be_slim(const struct hki_request *request)
{
    return request->executor->takes_slim && request->options == NULL && !request->moves &&
           request->size <= HKI_BODY_BYTES && !request->forced && request->named == NULL &&
           request->salvage == NULL;
}

hk_job *hki_job_make_slim(hk_executor *executor, const hk_site *site, const hk_task *task,
                          const void *bytes, size_t size)
{
    hk_job *job = hki_magazine_alloc(&slim_jobs);

    if (__builtin_expect(job == NULL, false)) {
        return NULL;
    }
    hki_future_init_plain(&job->future, &hki_slim_origin, 2,
                          (unsigned)size << HKI_INPUT_SIZE_SHIFT);
    hki_small_copy(job->future.body.bytes, bytes, size);
    job->executor = executor;
    job->task = task;
    job->site = site;
    return job;
}

hk_job *hki_job_create_slim(hk_executor *executor, const hk_site *site, const hk_task *task,
                            const void *bytes, size_t size)
{
    hk_job *job = hki_job_make_slim(executor, site, task, bytes, size);

    if (job != NULL) {
        hki_executor_count(executor, HKI_ACCEPTED);
    }
    return job;
}

static hk_job *create_whole(const struct hki_request *request)
{
    hk_job *job = hki_slab_alloc(&jobs);

    if (job == NULL) {
        return NULL;
    }
    if (set_input(job, request) != HK_OK) {
        hki_slab_free(&jobs, job);
        return NULL;
    }
    hki_future_init(&job->future, &job->rest,
                    request->executor->traits->remote == NULL ? &job_origin : &remote_job_origin,
                    2);
    job->executor = request->executor;
    if (hki_job_is_remote(job)) {
        hki_executor_ref(job->executor);
    }
    hki_executor_count(job->executor, HKI_ACCEPTED);
    if (request->forced) {
        hki_executor_count(job->executor, HKI_UNCOUNTED);
    }
    job->task = request->task;
    job->named = request->named != NULL ? request->named : request->task;
    job->site = request->site;
    hki_list_init(&job->link);
    job->queued = false;
    job->slot = NULL;
    job->limits = NULL;
    job->priority = request->options == NULL ? HK_PRIORITY_NORMAL : request->options->priority;
    job->forced = request->forced;
    job->in_lane = job->executor->has_lane && !job->forced;
    job->copied = !request->moves;
    job->expects = request->expects;
    job->salvage = request->salvage;
    job->taken = false;
    job->attempt = 1;
    job->attempts_max = attempts(request);
    job->next_at_death = 0;
    return job;
}

hk_job *hki_job_create(const struct hki_request *request)
{
    return may_be_slim(request) ? hki_job_create_slim(request->executor, request->site,
                                                      request->task, request->bytes, request->size)
                                : create_whole(request);
}

void hki_job_drop_input(hk_job *job)
{
    if (hki_job_is_slim(job)) {
        return; /* A few bytes of its own. */
    }
    hki_value_drop(&job->input);
    hki_job_fds_close(hki_job_fds(job));
}

void hki_job_ended(hk_job *job, unsigned phase)
{
    hki_limits_disarm(job);
    if (!hki_job_forced(job)) {
        hki_executor_count(job->executor, phase == HKI_DONE     ? HKI_ENDED_WELL
                                          : phase == HKI_FAILED ? HKI_ENDED_ILL
                                                                : HKI_ENDED_EARLY);
    }
}

struct hki_error *hki_job_error(const hk_job *job, hk_status status, const char *where,
                                const char *message, struct hki_error *cause)
{
    return hki_error_make(&(struct hki_error_facts){
        .status = status,
        .message = message,
        .task = hki_job_named(job)->name,
        .label = hki_job_label(job),
        .submit_site = job->site,
        .where = where,
        .cause = cause,
    });
}

hk_priority hk_job_priority(const hk_job *job)
{
    return job == NULL ? HK_PRIORITY_NORMAL : job->priority;
}

void **hk_job_slot(hk_job *job)
{
    return job == NULL ? NULL : &job->slot;
}
