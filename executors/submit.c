/* SPDX-License-Identifier: MIT */
/*
 * Submitting: check, make the job, arm its limits, hand it to the back end.
 *
 * Refusals happen here, in the caller, and leave nothing behind: the input is
 * still the caller's. One case needs thought: a token or a deadline may end the
 * job while the back end is about to refuse it. Then it was accepted, in effect,
 * and has ended; so the caller gets that future and HK_OK.
 */
#include <string.h>

#include "base/extensible.h"
#include "base/memory.h"
#include "base/time.h"
#include "executors/buffer_impl.h"
#include "executors/call.h"

static bool options_valid(const hk_submit_options *options)
{
    return options == NULL ||
           (HKI_OPTIONS_VALID(options, 80) && options->priority >= HK_PRIORITY_LOW &&
            options->priority <= HK_PRIORITY_HIGH && hki_duration_valid(options->timeout) &&
            hki_duration_valid(options->deadline) && hki_duration_valid(options->queue_wait) &&
            hki_job_fds_valid(options));
}

static hk_status check(const struct hki_request *request)
{
    hk_executor *executor = request->executor;
    const hk_submit_options *options = request->options;
    hk_status status;

    if (executor == NULL || !hki_task_valid(request->task) ||
        (!request->moves &&
         (request->size == HK_BY_REF || (request->bytes == NULL && request->size != 0))) ||
        !options_valid(options)) {
        return HK_EINVAL;
    }
    if ((status = hki_executor_usable(executor)) != HK_OK) {
        return status;
    }
    if (!request->internal && request->size != HK_BY_REF && request->size > executor->max_payload) {
        return HK_ETOOBIG;
    }
    if (executor->traits->remote != NULL &&
        (status = executor->traits->remote->check(executor->self, request)) != HK_OK) {
        return status;
    }
    return hki_executor_takes(executor, options == NULL ? NULL : options->token);
}

/* Takes a job that the back end refused to pieces. The status to return: HK_OK
 * if it was ended by somebody else meanwhile. */
static hk_status take_back(hk_job *job, hk_status refused)
{
    if (!hki_future_claim_end(&job->future, false, NULL)) {
        if (hki_job_in_lane(job)) {
            job->executor->traits->missed(job->executor->self);
        }
        hk_future_unref(&job->future); /* What the back end did not take. */
        return HK_OK;
    }
    hki_limits_disarm(job);
    if (hki_job_is_slim(job) || job->copied) {
        hki_job_drop_input(job); /* Anything else is the caller's again. */
    }
    if (!hki_job_forced(job)) {
        hki_executor_count(job->executor, HKI_UNCOUNTED);
    }
    hki_future_publish(&job->future, HKI_CANCELLED); /* Nobody can see it. */
    hk_future_unref(&job->future);
    hk_future_unref(&job->future);
    return refused;
}

static hk_status hand_over(hk_job *job, const hk_submit_options *options)
{
    hk_executor *executor = job->executor;
    hk_duration wait =
        options == NULL || options->queue_wait == 0 ? HK_FOREVER : options->queue_wait;
    hk_status status = hki_limits_arm(job);

    if (status == HK_OK) {
        status = executor->ops->submit(executor->self, job, wait);
    }
    return status == HK_OK ? HK_OK : take_back(job, status);
}

hk_status hki_submit(const struct hki_request *request, hk_future **future)
{
    hk_executor *executor = request->executor;
    hk_status status = check(request);
    hk_job *job;

    if (status != HK_OK) {
        goto refused;
    }
    if ((job = hki_job_create(request)) == NULL) {
        status = HK_ENOMEM;
        goto refused;
    }
    if (!hki_job_is_slim(job) && (status = hki_limits_create(job, request->options)) != HK_OK) {
        status = take_back(job, status);
        goto refused;
    }
    if ((status = hand_over(job, request->options)) != HK_OK) {
        goto refused;
    }
    if (future != NULL) {
        *future = &job->future;
    } else {
        hk_future_unref(&job->future);
    }
    return HK_OK;

refused:
    if (executor != NULL && !request->forced && hki_executor_usable(executor) == HK_OK) {
        atomic_fetch_add(&executor->refused, 1);
    }
    return status;
}

static inline hk_status submit_plain(hk_executor *executor, hk_job *job, hk_future **future)
{
    hk_status status = HK_ENOMEM;

    if (job != NULL && (status = executor->traits->submit_slim(executor->self, job)) != HK_OK) {
        status = take_back(job, status);
    }
    if (__builtin_expect(status != HK_OK, false)) {
        atomic_fetch_add(&executor->refused, 1);
        return status;
    }
    if (future != NULL) {
        *future = &job->future;
    } else {
        hk_future_unref(&job->future);
    }
    return HK_OK;
}

hk_status hk_submit_at(const hk_site *site, hk_executor *executor, const hk_task *task,
                       const void *in, size_t in_size, const hk_submit_options *options,
                       hk_future **future)
{
    if (options == NULL && hki_is_plain(executor, task, in, in_size)) {
        return submit_plain(executor, hki_job_make_slim(executor, site, task, in, in_size), future);
    }
    return hki_submit(&(struct hki_request){.executor = executor,
                                            .site = site,
                                            .task = task,
                                            .bytes = in,
                                            .size = in_size,
                                            .options = options},
                      future);
}

hk_status hk_submit_ref_at(const hk_site *site, hk_executor *executor, const hk_task *task,
                           void *arg, hk_drop_fn *drop, const hk_submit_options *options,
                           hk_future **future)
{
    hk_status status = hki_executor_usable(executor);

    if (status != HK_OK) {
        return status;
    }
    /* What is wrong everywhere is said everywhere: hki_submit() finds it. */
    if (task != NULL &&
        (executor->roundtrip || (executor->ops->flags & HK_EXECUTOR_SHARES_MEMORY) == 0)) {
        atomic_fetch_add(&executor->refused, 1);
        return HK_EPORTABLE;
    }
    return hki_submit(&(struct hki_request){.executor = executor,
                                            .site = site,
                                            .task = task,
                                            .size = HK_BY_REF,
                                            .given = {arg, HK_BY_REF, drop, arg},
                                            .moves = true,
                                            .options = options},
                      future);
}

static void drop_buffer(void *buffer)
{
    hk_buffer_destroy(buffer);
}

hk_status hk_submit_buffer_at(const hk_site *site, hk_executor *executor, const hk_task *task,
                              hk_buffer *buffer, const hk_submit_options *options,
                              hk_future **future)
{
    if (buffer == NULL || buffer->executor != executor) {
        return HK_EINVAL;
    }
    return hki_submit(&(struct hki_request){.executor = executor,
                                            .site = site,
                                            .task = task,
                                            .size = hk_buffer_size(buffer),
                                            .given = {hk_buffer_data(buffer),
                                                      hk_buffer_size(buffer), drop_buffer, buffer},
                                            .moves = true,
                                            .options = options},
                      future);
}
