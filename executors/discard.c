/* SPDX-License-Identifier: MIT */
/* Jobs that will not be run: how each of them ends all the same. */
#include "executors/call.h"
#include "executors/job.h"

struct discarding {
    hk_status status;
    const char *message;
    struct hki_error *cause;   /* NULL: what broke its executor, if anything did. */
    struct hki_agent *drainer; /* NULL: its callbacks run. Else they are left to this one... */
    bool *drain;               /* ...and here it says whether there are any. */
};

static void end_unrun(hk_job *job, unsigned phase, const struct discarding *how)
{
    hk_future *future = &job->future;
    struct hki_error *broken = atomic_load(&job->executor->broken);

    if (phase == HKI_CANCELLED) {
        hki_future_set_reason(future, how->message);
    } else {
        future->body.error = hki_job_error(job, how->status, "", how->message,
                                           hki_error_ref(how->cause != NULL ? how->cause : broken));
    }
    hki_job_drop_input(job);
    hki_job_ended(job, phase);
    if (how->drainer != NULL) {
        *how->drain = hki_future_publish_only(future, phase, how->drainer);
    } else {
        hki_future_publish(future, phase);
    }
}

/* True: it has not ended in another way before. */
static bool discard(hk_job *job, const struct discarding *how)
{
    unsigned phase = how->status == HK_ECANCELED ? HKI_CANCELLED : HKI_FAILED;
    bool is_remote = hki_job_is_remote(job);
    bool was_mine;
    /* Its callbacks are callbacks of the executor, which may wait for this end. */
    hk_call call = {.executor = job->executor};

    hki_call_enter(&call);
    /* One that is to be tried again in another process is RUNNING since its first try. */
    was_mine = hki_future_claim(&job->future, phase, !is_remote);
    if (was_mine) {
        end_unrun(job, phase, how);
    } else if (is_remote && job->taken) {
        hki_job_drop_input(job);
    }
    hki_call_leave(&call);
    return was_mine;
}

bool hki_job_discard(hk_job *job, hk_status status, const char *message)
{
    bool was_mine = discard(job, &(struct discarding){status, message, NULL, NULL, NULL});

    hk_future_unref(&job->future);
    return was_mine;
}

/* Whether who waits for a future would take its end for something else: for a value, or for an
 * answer about the wait itself. */
static bool is_ambiguous(hk_status status)
{
    return status >= HK_OK || status == HK_ETIMEDOUT || status == HK_EDEADLK ||
           status == HK_EFORKED || status == HK_EINVAL;
}

static void discard_clearly(hk_job *job, hk_status status, const char *message,
                            struct hki_agent *drainer, bool *drain)
{
    struct hki_error *cause = NULL;

    if (is_ambiguous(status)) {
        cause = status >= HK_OK ? NULL : hki_error_plain(status);
        status = HK_EFAILED;
    }
    (void)discard(job, &(struct discarding){status, message, cause, drainer, drain});
    hki_error_unref(cause);
}

void hk_job_discard(hk_job *job, hk_status status, const char *message)
{
    if (job != NULL) {
        discard_clearly(job, status, message, NULL, NULL);
        hk_future_unref(&job->future);
    }
}

bool hki_job_discard_quietly(hk_job *job, hk_status status, const char *message,
                             struct hki_agent *drainer)
{
    bool drain = false;

    discard_clearly(job, status, message, drainer, &drain);
    return drain;
}
