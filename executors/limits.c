/* SPDX-License-Identifier: MIT */
/*
 * What few jobs have: a deadline, a run time, a cancel token; a label, descriptors.
 *
 * An armed timer holds a reference to the future; whoever disarms it (true)
 * gives that back, otherwise the timer does after it has acted. A linked token
 * watch holds none: it takes one at the moment it fires. Both may be let go of
 * several times, by whoever ends the job and by a submit or start that armed
 * them too late to matter.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "base/world.h"
#include "executors/call.h"

bool hki_limits_timed(const hk_job *job)
{
    const struct hki_limits *limits = hki_job_limits(job);

    return limits != NULL && (limits->timeout != 0 || limits->deadline_ns != HKI_NEVER);
}

int64_t hki_limits_end_ns(const hk_job *job)
{
    struct hki_limits *limits = hki_job_limits(job);

    if (limits == NULL) {
        return HKI_NEVER;
    }
    return hki_earlier(limits->deadline_ns, atomic_load(&limits->run_end_ns));
}

void hki_limits_explain(const hk_job *job, bool started, char *text, size_t size)
{
    const struct hki_limits *limits = hki_job_limits(job);

    if (limits == NULL) {
        snprintf(text, size, "its time was over");
    } else if (!started) {
        snprintf(text, size, "its deadline came before it was started");
    } else if (limits->timeout != 0 &&
               atomic_load(&((struct hki_limits *)limits)->run_end_ns) <= limits->deadline_ns) {
        snprintf(text, size, "it ran longer than its limit of %.3f ms",
                 (double)limits->timeout / 1e6);
    } else {
        snprintf(text, size, "it was still running at its deadline");
    }
}

static void run_ended(struct hki_timer *timer);

/* On the timer thread, with the timer's reference. */
static void out_of_time(hk_job *job)
{
    hk_future *future = &job->future;
    unsigned was;
    char text[128];

    hki_future_refresh(future);
    if (hki_future_claim_end(future, false, &was)) {
        hk_executor *executor = job->executor; /* Waits for this end. */

        /* After the claim: a task that heeds it at once must not end the future first. */
        (void)hki_future_request_stop(future, "out of time");
        hki_limits_explain(job, was == HKI_RUNNING, text, sizeof(text));
        future->body.error = hki_job_error(job, HK_EDEADLINE, "", text, NULL);
        if (hki_job_is_remote(job)) {
            hki_job_force(job, executor->traits->remote->overrun);
        } else if (was == HKI_RUNNING) {
            /* Its thread takes this back when the task returns, late. */
            atomic_fetch_add(&executor->straggling, 1);
        } else {
            if (executor->ops->remove != NULL && executor->ops->remove(executor->self, job)) {
                hk_future_unref(future);
            }
            hki_job_drop_input(job);
        }
        hki_job_ended(job, HKI_FAILED);
        hki_future_publish(future, HKI_FAILED);
    }
    hk_future_unref(future);
}

/* Another limit may have claimed the end, and let go of all limits, just before
 * this one was armed: then it is ours to let go. */
static void let_go_if_over(hk_job *job)
{
    if (hki_phase(hki_future_state_now(&job->future)) >= HKI_ENDING) {
        hki_limits_disarm(job);
    }
}

static void deadline_came(struct hki_timer *timer)
{
    struct hki_limits *limits = HKI_CONTAINER(timer, struct hki_limits, deadline_timer);

    out_of_time(limits->job);
}

/* Of a remote job: whether its time is not over, and the timer armed again. It was armed when the
 * task was sent off; that may have started later, or not yet. */
static bool has_time_left(hk_job *job)
{
    struct hki_limits *limits = hki_job_limits(job);
    const struct hki_remote_traits *remote = job->executor->traits->remote;
    int64_t end_ns = remote->run_end_ns(job->executor->self, job, limits->timeout);

    if (end_ns <= hk_now_ns()) {
        return false;
    }
    atomic_store(&limits->run_end_ns, end_ns);
    if (hki_timer_arm(&limits->run_timer, end_ns, run_ended) != HK_OK) {
        return false;
    }
    let_go_if_over(job);
    return true;
}

static void run_ended(struct hki_timer *timer)
{
    hk_job *job = HKI_CONTAINER(timer, struct hki_limits, run_timer)->job;

    if (hki_job_is_remote(job) && hki_job_enter(job)) {
        bool goes_on;

        /* The timer keeps the one reference there is, and once armed may be disarmed at once. Given
         * back from outside: the last one runs what drops the value, which may take its time. */
        hk_future_ref(&job->future);
        goes_on = has_time_left(job);
        hki_executor_leave(job->executor);
        hk_future_unref(&job->future);
        if (goes_on) {
            return;
        }
    }
    out_of_time(job);
}

static void token_hold(struct hki_cancel_watch *watch)
{
    hk_future_ref(&HKI_CONTAINER(watch, struct hki_limits, token_watch)->job->future);
}

static void token_act(struct hki_cancel_watch *watch, const char *why)
{
    hk_future *future = &HKI_CONTAINER(watch, struct hki_limits, token_watch)->job->future;

    (void)hki_future_cancel_why(future, HK_CANCEL_REQUEST, why);
    hk_future_unref(future);
}

/* The executor holds the timer thread from its first timed task to its end. */
static hk_status hold_timers(hk_executor *executor)
{
    hk_status status;

    if (hki_world_self() != NULL || atomic_load(&executor->holds_timers)) {
        return HK_OK; /* A world's timers need no thread. */
    }
    if ((status = hki_timers_hold()) != HK_OK) {
        return status;
    }
    if (atomic_exchange(&executor->holds_timers, true)) {
        hki_timers_release(false); /* Somebody else was first. */
    }
    return HK_OK;
}

hk_status hki_limits_create(hk_job *job, const hk_submit_options *options)
{
    hk_duration timeout =
        options != NULL && options->timeout != 0 ? options->timeout : job->executor->task_timeout;
    struct hki_job_fds *fds;
    struct hki_limits *limits;
    hk_status status;

    if (job->forced && options == NULL) {
        timeout = 0; /* The library's own errands have no limit. */
    }
    if (timeout == 0 && (options == NULL || (options->label == NULL && options->deadline == 0 &&
                                             options->token == NULL && options->fd_count == 0))) {
        return HK_OK;
    }
    if ((status = hki_job_fds_create(options, &fds)) != HK_OK) {
        return status;
    }
    if ((limits = hki_zalloc(sizeof(*limits))) == NULL) {
        hki_job_fds_destroy(fds);
        return HK_ENOMEM;
    }
    limits->job = job;
    limits->fds = fds;
    limits->timeout = timeout == HK_FOREVER ? 0 : timeout;
    limits->deadline_ns = HKI_NEVER;
    atomic_init(&limits->run_end_ns, HKI_NEVER);
    hki_list_init(&limits->token_watch.link);
    if (options != NULL) {
        snprintf(limits->label, sizeof(limits->label), "%s",
                 options->label == NULL ? "" : options->label);
        limits->token = hk_cancel_token_ref(options->token);
        if (options->deadline != 0) {
            limits->deadline_ns = hki_deadline(options->deadline);
        }
    }
    job->limits = limits;
    return HK_OK;
}

static hk_status arm(hk_job *job, struct hki_timer *timer, int64_t deadline_ns,
                     void (*fire)(struct hki_timer *))
{
    hk_status status = hold_timers(job->executor);

    if (status != HK_OK) {
        return status;
    }
    hk_future_ref(&job->future);
    if ((status = hki_timer_arm(timer, deadline_ns, fire)) != HK_OK) {
        hk_future_unref(&job->future);
    }
    return status;
}

hk_status hki_limits_arm(hk_job *job)
{
    struct hki_limits *limits = hki_job_limits(job);
    bool on_return = job->executor->traits->judged_on_return;
    hk_status status = HK_OK;

    if (limits == NULL) {
        return HK_OK;
    }
    if (limits->token != NULL) {
        limits->token_watch = (struct hki_cancel_watch){.hold = token_hold, .act = token_act};
        if (!hki_cancel_watch(limits->token, &limits->token_watch)) {
            return HK_ECANCELED;
        }
    }
    if (limits->timeout != 0 && !on_return) {
        /* Now, where a failure can still be told. */
        status = hold_timers(job->executor);
    }
    if (status == HK_OK && limits->deadline_ns != HKI_NEVER && !on_return) {
        status = arm(job, &limits->deadline_timer, limits->deadline_ns, deadline_came);
        let_go_if_over(job);
    }
    return status;
}

hk_status hki_limits_started(hk_job *job)
{
    struct hki_limits *limits = hki_job_limits(job);
    hk_status status = HK_OK;

    if (limits == NULL || limits->timeout == 0 || limits->run_armed) {
        return HK_OK;
    }
    limits->run_armed = true;
    atomic_store(&limits->run_end_ns, hki_deadline(limits->timeout));
    if (!job->executor->traits->judged_on_return) {
        status = arm(job, &limits->run_timer, atomic_load(&limits->run_end_ns), run_ended);
        let_go_if_over(job);
    }
    return status;
}

void hki_limits_disarm(hk_job *job)
{
    struct hki_limits *limits = hki_job_limits(job);

    if (limits == NULL) {
        return;
    }
    if (limits->token != NULL) {
        (void)hki_cancel_unwatch(&limits->token_watch);
    }
    if (hki_timer_disarm(&limits->deadline_timer)) {
        hk_future_unref(&job->future);
    }
    if (hki_timer_disarm(&limits->run_timer)) {
        hk_future_unref(&job->future);
    }
}

void hki_limits_destroy(hk_job *job)
{
    if (job->limits != NULL) {
        hk_cancel_token_unref(job->limits->token);
        hki_job_fds_destroy(job->limits->fds);
        hki_free(job->limits, sizeof(*job->limits));
    }
}
