/* SPDX-License-Identifier: MIT */
/* Running a job: from PENDING to its end, on the thread of the caller. */
#include "base/assert.h"
#include "base/time.h"
#include "executors/call.h"
#include "sync/holder.h"

/* A late value is not a value: also when the timer thread was slow to say so, and
 * where limits are judged on return there is no timer. */
static void judge(hk_job *job, struct hki_outcome *outcome)
{
    char text[128];

    if (hki_limits_end_ns(job) == HKI_NEVER || hk_now_ns() < hki_limits_end_ns(job)) {
        return;
    }
    hki_outcome_drop(outcome);
    outcome->phase = HKI_FAILED;
    hki_limits_explain(job, true, text, sizeof(text));
    outcome->error = hki_job_error(job, HK_EDEADLINE, "", text, NULL);
}

/* The task returned. Competes with a deadline for the right to end the future. */
static void conclude(hk_job *job, struct hki_outcome *outcome)
{
    hk_future *future = &job->future;
    struct hki_agent *agent = hki_agent_self();
    unsigned phase;

    judge(job, outcome);
    if (!hki_future_claim(future, outcome->phase, false)) {
        atomic_fetch_sub(&job->executor->straggling, 1);
        hki_outcome_drop(outcome);
        hki_job_drop_input(job);
        return;
    }
    phase = hki_job_put_outcome(job, outcome);
    hki_job_drop_input(job);
    hki_job_ended(job, hki_phase(phase));
    if (agent->host_ops != NULL && agent->depth == 1) {
        agent->host_ops->finishing(agent->host);
    }
    hki_future_publish(future, phase);
}

/* The time limit could not be armed: better not run than run without it. */
static bool arm_limits(hk_job *job)
{
    struct hki_outcome outcome = {.phase = HKI_FAILED};
    hk_status status = hki_limits_started(job);

    if (status == HK_OK) {
        return true;
    }
    outcome.error = hki_job_error(job, status, "", "its time limit could not be set", NULL);
    conclude(job, &outcome);
    return false;
}

static void count_running(const hk_job *job, enum hki_counted what)
{
    if (!job->forced) {
        hki_executor_count(job->executor, what);
    }
}

bool hki_job_run(hk_job *job, void *local, const char *where)
{
    struct hki_agent *agent = hki_agent_self();
    hk_executor *executor = job->executor;
    hk_call call;
    struct hki_outcome outcome;
    bool ran = false;

    HKI_ASSERT(!hki_job_is_slim(job)); /* Workers of threads run those: slim_run.c. */
    hki_call_init(&call, executor);
    call.job = job;
    call.task = job->task;
    call.where = where;
    call.local = local;
    call.small = job->rest.small;
    hki_agent_enter(agent);
    hki_call_enter(&call);
    if (hki_future_start(&job->future, agent) == HK_OK) {
        count_running(job, HKI_STARTED);
        /* A hard shutdown may have passed between the queue and this moment. */
        if (atomic_load(&executor->how) >= HK_SHUTDOWN_CANCEL_ALL) {
            (void)hki_future_request_stop(&job->future, "the executor is shut down");
        }
        if (arm_limits(job)) {
            uint32_t held = hki_holder_depth(agent);
            hk_status returned = job->task->run(&call, job->input.data, job->input.size);

            if (hki_holder_depth(agent) > held) {
                hki_holder_tell_kept(agent, held, job->named->name);
            }
            hki_call_outcome(&call, returned, &outcome);
            count_running(job, HKI_STOPPED);
            conclude(job, &outcome);
            ran = true;
        } else {
            count_running(job, HKI_STOPPED);
        }
    }
    hki_call_leave(&call);
    hki_agent_leave(agent);
    return ran;
}

bool hk_job_run(hk_job *job, void *local, const char *where)
{
    bool ran;

    if (job == NULL) {
        return false;
    }
    ran = hki_job_run(job, local, where);
    hk_future_unref(&job->future);
    return ran;
}
