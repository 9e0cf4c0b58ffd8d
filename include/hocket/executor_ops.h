/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_executor_ops Executors of your own
 * @brief The table behind every executor, for users who write one.
 *
 * Submission, options, limits in time, cancelling, callbacks, statistics and
 * error texts are Hocket's and the same for all. A back end takes jobs, runs
 * each with hk_job_run() wherever it likes, and knows how to stop.
 *
 * **Thread safety.** The library may call every function of the table from any
 * thread, several at once, except destroy, which is last and alone.
 * **Ownership.** A job belongs to the back end from a submit that returned HK_OK
 * until it ends the job with hk_job_run() or hk_job_discard(): exactly one of
 * them, exactly once.
 * @{
 */
#ifndef HOCKET_EXECUTOR_OPS_H
#define HOCKET_EXECUTOR_OPS_H

#include <hocket/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. One accepted task on its way to a worker. */
typedef struct hk_job hk_job;

/** Workers see the caller's memory: references may be passed. */
#define HK_EXECUTOR_SHARES_MEMORY 1U

/** What a back end can do. Functions marked optional may be NULL. */
typedef struct hk_executor_ops {
    size_t size;      /**< sizeof this struct. */
    const char *kind; /**< For names and messages: "threads". Static. */
    unsigned flags;   /**< #HK_EXECUTOR_SHARES_MEMORY or 0. */
    /**
     * Take a job. May block only for room in the queue, at most @p queue_wait
     * (#HK_FOREVER for no limit). On any status but HK_OK the job is not taken.
     */
    hk_status (*submit)(void *self, hk_job *job, hk_duration queue_wait);
    /**
     * Optional. A job was cancelled or ran elsewhere before its turn: take it out
     * of the queue. True gives the job back to the library; false (it is not in
     * the queue any more) leaves it with the back end, which still ends it as
     * usual: hk_job_run() then does nothing but release it.
     */
    bool (*remove)(void *self, hk_job *job);
    /**
     * Begin to end as told; must not wait. Called again for each harder @p how. Of two threads
     * that shut down at once the one with the milder may come last: then that is to be ignored.
     */
    void (*shutdown)(void *self, hk_shutdown_how how);
    /**
     * Wait until every job has ended and no worker is left. HK_EDEADLK from one of
     * its own workers.
     */
    hk_status (*join)(void *self, hk_duration timeout);
    /** Release everything; joined before. */
    void (*destroy)(void *self);
    /** Optional. Fill in queued and the fields about workers. */
    void (*statistics)(void *self, hk_executor_statistics *statistics);
    /** Optional. */
    hk_status (*resize)(void *self, unsigned workers);
    /** Optional. */
    hk_status (*prestart)(void *self, hk_duration wait);
    /** Optional. Every worker leaves after the task it runs; must not wait for that. */
    hk_status (*restart)(void *self);
} hk_executor_ops;

/**
 * Make an executor from a back end.
 *
 * @param ops       Must outlive the executor.
 * @param self      Handed to its functions.
 * @param options   Name, task_timeout, max_payload, retries, roundtrip, drain_at_exit and workers
 *                  (as a hint for hk_map()) are used here; the rest is the back end's, but for
 *                  no_new_privs, sandbox and filter, which it cannot keep. NULL for defaults.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_EINVAL  A needed function is missing, or an option is absurd, or one of those last
 *                    three is set. @p self is untouched.
 * @retval HK_ENOMEM  Likewise.
 * @retval HK_ECLOSED Likewise. The library's destructor has run, at the end of the process: no
 *                    executor of any kind is made after it.
 */
HK_API HK_MUST_CHECK hk_status hk_executor_create(const hk_executor_ops *ops, void *self,
                                                  const hk_executor_options *options,
                                                  hk_executor **out);

/**
 * Run a job here and now, and end it. Does nothing but release it if it was
 * cancelled or run before.
 *
 * @param job     Taken; NULL is allowed.
 * @param local   What hk_call_worker_local() shall give.
 * @param where   Who runs it, for errors: "worker 3"; borrowed for the call. May be NULL.
 * @return true if the task really ran here.
 */
HK_API bool hk_job_run(hk_job *job, void *local, const char *where);

/**
 * End a job without running it.
 *
 * @param job      Taken; NULL is allowed.
 * @param status   HK_ECANCELED ends it CANCELLED, any other failure FAILED. What is no failure
 *                 counts as HK_EFAILED; so do HK_ETIMEDOUT, HK_EDEADLK, HK_EFORKED and
 *                 HK_EINVAL, which tell of a wait and not of an end: they become the cause.
 * @param message  For people; copied. May be NULL.
 */
HK_API void hk_job_discard(hk_job *job, hk_status status, const char *message);

/**
 * The lane a job was submitted to.
 *
 * @param job  Borrowed.
 * @return the priority; normal for NULL.
 */
HK_API hk_priority hk_job_priority(const hk_job *job);

/**
 * A pointer of the back end's own in each job, so that a queue needs no memory.
 *
 * @param job  Borrowed.
 * @return where to keep it; it is NULL at first. NULL for NULL.
 */
HK_API void **hk_job_slot(hk_job *job);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
