/* SPDX-License-Identifier: MIT */
/*
 * A job: a task on its way, together with its future, in one allocation.
 *
 * References to the future inside: one belongs to whoever will run it (the back
 * end, from its submit on), one to the caller, if he wants the future; further
 * ones to an armed timer or a firing token, while they are about to act on it.
 *
 * The input is dropped by whoever ends the job, if it never ran; by the thread
 * that ran it, right after the task returned, otherwise.
 */
#ifndef HOCKET_EXECUTORS_JOB_H
#define HOCKET_EXECUTORS_JOB_H

#include <stddef.h>

#include "executors/executor_impl.h"
#include "executors/job_fds.h"
#include "executors/timer.h"
#include "futures/cancel_impl.h"
#include "futures/future_impl.h"
#include "sync/lane.h"

enum { HKI_INLINE_INPUT = 48, HKI_LABEL_MAX = 64 };

struct hki_outcome;

/* Limits, labels and descriptors: few tasks have them. */
struct hki_limits {
    hk_job *job;
    char label[HKI_LABEL_MAX];
    hk_duration timeout;        /* Run limit; 0: none. */
    int64_t deadline_ns;        /* For queue and run; HKI_NEVER: none. */
    _Atomic int64_t run_end_ns; /* Start plus timeout, once it runs. */
    struct hki_timer deadline_timer;
    struct hki_timer run_timer;
    bool run_armed; /* Once for a job, also if its worker dies and another one begins again. */
    struct hki_job_fds *fds; /* NULL: none. Dropped with the input. */
    hk_cancel_token *token;  /* One reference, or NULL. */
    struct hki_cancel_watch token_watch;
};

/*
 * The first part, one line of the cache, is all there is of a slim job: one without limits and
 * options, with an input of at most HKI_BODY_BYTES, on a back end that can do with it. Its input
 * lies in the body of its future until it is started. What is said of the second part is asked
 * for through the functions below wherever a job may be slim: on threads with a lane.
 */
struct hk_job {
    struct {
        hk_future future; /* First: the two convert. */
        hk_executor *executor;
        const hk_task *task;
        const hk_site *site;
        struct hki_lane_node node;
    };
    struct hki_future_rest rest;
    const hk_task *named; /* What texts call it: for a chunk, the task of its items. */
    struct hki_list link; /* In the back end's queue, then among its running jobs. */
    uint64_t sequence;    /* Order of arrival in the queue. */
    bool queued;          /* link is in a queue. Under the back end's lock. */
    bool in_lane;         /* It goes to a lane, or to a worker's deque: who does not run it
                           * leaves it there, and it is let go of when it is taken. */
    void *slot;           /* For a user's back end. */
    struct hki_limits *limits;
    struct hki_value input; /* drop(owner) releases it; data is what the task sees. */
    hk_priority priority;
    bool forced;    /* An errand of the library: no capacity applies, nothing is counted. */
    bool copied;    /* input is our copy of the caller's bytes. */
    size_t expects; /* Bytes of value it is likely to give, for who reserves room; 0: unknown. */
    /* NULL, or: its worker died, and these bytes are in the room that was reserved for its
     * value. Called by who has claimed the job's end, before he drops the input. */
    void (*salvage)(hk_job *job, const void *bytes, size_t size);
    /* For a remote back end. */
    bool drain;            /* Callbacks are left to run: see process_pool/courier.c. */
    bool taken;            /* It has come back from a worker, or its time was over before it was
                            * taken back: its input is dropped by who has it. Under the back end's
                            * lock. */
    uint16_t attempt;      /* From 1. */
    uint16_t attempts_max; /* Tries it may have when workers die. */
    uint8_t next_at_death; /* Workers that died by themselves when it was the next to begin. */
    unsigned char bytes[HKI_INLINE_INPUT] __attribute__((aligned(16)));
};

/* Whether a task can be run, and told of. */
static inline bool hki_task_valid(const hk_task *task)
{
    return task != NULL && task->run != NULL && task->name != NULL;
}

/* What a submit asks for; the input is one of bytes (copied), or given. */
struct hki_request {
    hk_executor *executor;
    const hk_site *site;
    const hk_task *task;
    const hk_task *named; /* NULL: as task. */
    const void *bytes;
    size_t size;
    struct hki_value given; /* When size is HK_BY_REF or a buffer moves. */
    bool moves;
    bool internal; /* The reference is the library's own: allowed, of any size. */
    bool forced;   /* An errand of the library: no capacity applies, nothing is counted. */
    size_t expects;
    void (*salvage)(hk_job *job, const void *bytes, size_t size);
    const hk_submit_options *options;
};

static inline hk_job *hki_job_of(hk_future *future)
{
    return (hk_job *)(void *)future;
}

enum { HKI_SLIM_BYTES = offsetof(struct hk_job, rest) };

extern const struct hki_origin hki_slim_origin;

static inline bool hki_job_is_slim(const hk_job *job)
{
    return job->future.origin == &hki_slim_origin;
}

static inline struct hki_limits *hki_job_limits(const hk_job *job)
{
    return hki_job_is_slim(job) ? NULL : job->limits;
}

static inline const char *hki_job_label(const hk_job *job)
{
    const struct hki_limits *limits = hki_job_limits(job);

    return limits == NULL ? "" : limits->label;
}

static inline const hk_task *hki_job_named(const hk_job *job)
{
    return hki_job_is_slim(job) ? job->task : job->named;
}

static inline bool hki_job_forced(const hk_job *job)
{
    return !hki_job_is_slim(job) && job->forced;
}

static inline bool hki_job_in_lane(const hk_job *job)
{
    return hki_job_is_slim(job) || job->in_lane;
}

/* What is submitted most: a few bytes, and nothing asked for. Of all checks none may fail;
 * where one does, the general way finds out and says why. */
static inline bool hki_is_plain(hk_executor *executor, const hk_task *task, const void *in,
                                size_t in_size)
{
    return executor != NULL && executor->takes_slim && task != NULL && task->run != NULL &&
           task->name != NULL && in_size <= HKI_BODY_BYTES && (in != NULL || in_size == 0) &&
           !hki_fork_foreign(executor->generation) && atomic_load(&executor->broken) == NULL &&
           atomic_load(&executor->how) == HKI_OPEN && !hki_exiting();
}

/* --- submit.c --- */

/* Hands a job over. On any status but HK_OK nothing happened. */
hk_status hki_submit(const struct hki_request *request, hk_future **future);

/* --- job.c --- */

/* One reference for the back end, one for the caller. NULL without memory. */
hk_job *hki_job_create(const struct hki_request *request);

/* The same, where the first part is enough. */
hk_job *hki_job_create_slim(hk_executor *executor, const hk_site *site, const hk_task *task,
                            const void *bytes, size_t size);

/* The same, which the caller counts as accepted. */
hk_job *hki_job_make_slim(hk_executor *executor, const hk_site *site, const hk_task *task,
                          const void *bytes, size_t size);

/* For the winner of the claim, before it publishes: counts the end, and lets go
 * of the limits. */
void hki_job_ended(hk_job *job, unsigned phase);

/* For the winner of the claim: puts what the task said in its place; what to publish. */
unsigned hki_job_put_outcome(hk_job *job, struct hki_outcome *outcome);

/* The bytes, and the descriptors that the task has not taken. */
void hki_job_drop_input(hk_job *job);

bool hki_job_is_remote(const hk_job *job);

/* hk_job_discard() without callbacks, which are left for the drainer, see
 * hki_future_publish_only(); true: there are any. The reference of who would have run it is left to
 * the caller. */
bool hki_job_discard_quietly(hk_job *job, hk_status status, const char *message,
                             struct hki_agent *drainer);

/* For a thread that was sent by nobody who keeps the executor: a timer, who asks, waits or cancels.
 * Its future may end at any time, and the executor be destroyed behind that: from here until
 * hki_executor_leave() it is not; so a guest comes back soon after the future has ended. False:
 * the future has ended, and perhaps the executor. Of remote jobs alone, each of which keeps the
 * executor's record. */
bool hki_job_enter(hk_job *job);

/* Of a job of a remote back end whose future is about to be ended by force: takes it out, or has
 * its worker stopped. */
void hki_job_force(hk_job *job, enum hki_force (*by)(void *self, hk_job *job));

/* Ends a job that has come back from a remote worker; takes the outcome over. left:
 * what it had written of a result when its worker died, or NULL. Runs no callbacks: true if there
 * are any for the drainer, see hki_future_publish_only(). The reference stays. */
bool hki_job_conclude_remote(hk_job *job, struct hki_outcome *outcome, const void *left,
                             size_t left_size, struct hki_agent *drainer);

static inline struct hki_job_fds *hki_job_fds(const hk_job *job)
{
    const struct hki_limits *limits = hki_job_limits(job);

    return limits == NULL ? NULL : limits->fds;
}

/* As hk_job_discard(); false: it had ended, or begun, before. */
bool hki_job_discard(hk_job *job, hk_status status, const char *message);

/* As hk_job_run(), but the reference stays with the caller. */
bool hki_job_run(hk_job *job, void *local, const char *where);

/* An error of the library's about a job. */
struct hki_error *hki_job_error(const hk_job *job, hk_status status, const char *where,
                                const char *message, struct hki_error *cause);

/* --- limits.c --- */

/* Whether options ask for any; then limits are made and armed. */
hk_status hki_limits_create(hk_job *job, const hk_submit_options *options);
hk_status hki_limits_arm(hk_job *job);
hk_status hki_limits_started(hk_job *job);
void hki_limits_disarm(hk_job *job);
void hki_limits_destroy(hk_job *job);

/* Whether the job can be ended by the clock. */
bool hki_limits_timed(const hk_job *job);

/* The nearest end of its time, HKI_NEVER without one. */
int64_t hki_limits_end_ns(const hk_job *job);

/* What to say about a job that ran over. */
void hki_limits_explain(const hk_job *job, bool started, char *text, size_t size);

#endif
