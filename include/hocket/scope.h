/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_scope Fork and join
 * @brief Functions that may run beside the one that forks them, in nanoseconds each.
 *
 * A future costs an allocation and a place in a queue. Where a task splits itself up, again
 * and again, that is too much: a fork is a record on the stack of who forks, and a join of what
 * nobody else has begun is a call.
 *
 *     struct range { const double *at; size_t count; double sum; };
 *
 *     static hk_status add_up(hk_scope *scope, void *arg)
 *     {
 *         struct range *range = arg;
 *         struct range left = {range->at, range->count / 2, 0};
 *         struct range right = {range->at + left.count, range->count - left.count, 0};
 *         hk_forked other;
 *         hk_status status;
 *
 *         if (range->count < 1000)
 *             return add_few(range);
 *         hk_fork(scope, &other, add_up, &left);
 *         status = add_up(scope, &right);
 *         if (hk_join(scope, &other) != HK_OK || status != HK_OK)
 *             return HK_EFAILED;
 *         range->sum = left.sum + right.sum;
 *         return HK_OK;
 *     }
 *
 *     HK_TASK(sum_of)
 *     {
 *         struct range range = {in, in_size / sizeof(double), 0};
 *         hk_scope scope;
 *         hk_status status = hk_scope_begin(&scope, call);
 *
 *         if (status == HK_OK)
 *             status = add_up(&scope, &range);
 *         hk_scope_end(&scope);
 *         return status == HK_OK ? hk_return(call, &range.sum, sizeof range.sum) : status;
 *     }
 *
 * **Where it runs.** In a task of a thread pool, on one of its workers: idle ones take what was
 * forked first, and who joins runs what was not taken himself. Everywhere else (inline and
 * serial executors, worker processes, replay) hk_fork() calls the function at once, and all else
 * is the same. So it does in the pool while 256 forks and tasks of this worker wait to be taken.
 * That what is forked runs at the same time as who forks it is allowed, never promised: it is
 * if a worker is idle.
 *
 * **Joins.** Who joins what another worker runs helps that one: he runs what it forked in turn,
 * unless he holds a hk_lock; never anything else, such as tasks. Then he waits as every wait in
 * a task does: the pool makes up for the worker, and a wait that could never end is refused.
 *
 * **Failures.** What a function returns is what its join returns; a failure stops nobody else.
 * Who wants the others to end early tells them so; hk_scope_should_stop() is one way.
 *
 * **Thread safety.** The thread for which it was begun uses a scope and forks with it: a forked
 * function has a scope of its own as its parameter, and uses no other.
 * **Ownership.** Scopes and records are the caller's memory, as a rule of his stack, and stay where
 * they are until they are ended and joined: a function joins all that it has forked before it
 * returns. One that does not, or a task that ends without having ended its scope, ends the
 * program: what is left could be written to at any time. A scope that was
 * not ended is noticed on the workers of a thread pool alone; elsewhere nothing is left of it.
 * **Forks of the process.** In the child, a scope goes on by itself; what another thread was
 * running at the fork never ends there: HK_EFORKED.
 * @{
 */
#ifndef HOCKET_SCOPE_H
#define HOCKET_SCOPE_H

#include <hocket/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hk_scope hk_scope;
typedef struct hk_forked hk_forked;

/**
 * What is forked.
 *
 * @param scope  To fork with, in this function and in what it calls.
 * @param arg    As given.
 * @return what hk_join() then returns.
 */
typedef hk_status hk_fork_fn(hk_scope *scope, void *arg);

/** Where a thread may fork; its fields are private. */
struct hk_scope {
    /** @cond */
    hk_call *call_;
    void *worker_;
    void *deque_;
    void *crew_;
    hk_forked *newest_;
    char *stack_end_;
    uint32_t is_quiet_;
    uint32_t is_open_;
    /** @endcond */
};

/** A function that was forked; its fields are private, and need not be initialised. */
struct hk_forked {
    /** @cond */
    hk_fork_fn *run_;
    void *arg_;
    hk_scope *scope_;
    hk_forked *before_;
    void *agent_;
    void *deck_;
    uint32_t state_;
    hk_status status_;
    /** @endcond */
};

/**
 * Begin to fork in a task.
 *
 * @param scope  Filled in.
 * @param call   The run of the task; its end comes after that of the scope.
 * @retval HK_OK      To be ended by hk_scope_end(), by the same thread.
 * @retval HK_EINVAL  NULL.
 */
HK_API hk_status hk_scope_begin(hk_scope *scope, hk_call *call);

/**
 * Let a function run beside this one.
 *
 * @param scope   Of this thread.
 * @param record  Filled in; in use until it has been joined, and not yet in use now.
 * @param fn      Runs once: on another worker, in hk_join(), or at once.
 * @param arg     For @p fn.
 * @retval HK_OK      Whatever @p fn returned, if it has.
 * @retval HK_EINVAL  A pointer (but @p arg) is NULL, or the scope has ended.
 *
 * Cost: some nanoseconds, no memory, no lock; when a worker sleeps that could run it, the time
 * to wake it.
 */
HK_API hk_status hk_fork(hk_scope *scope, hk_forked *record, hk_fork_fn *fn, void *arg);

/**
 * Wait for a function's end, or run it.
 *
 * What was forked last should be joined first: what was forked in this scope after @p record is
 * joined with it. What has been joined may be joined again, and gives the same.
 *
 * @param scope   The one it was forked with.
 * @param record  Forked.
 * @retval HK_EINVAL   A pointer is NULL, or the record is none of this scope.
 * @retval HK_EDEADLK  The wait could never end: whoever runs @p record, or what was forked after
 *                     it, waits for the caller in turn. It has not been joined, and is still in
 *                     use: give up what it waits for and join again.
 * @retval HK_ENOMEM   No memory to find out whether the wait can end: likewise. Or, joined: there
 *                     was no room left on the stack, and nobody else to run it; so it did not run.
 * @retval HK_EFORKED  A thread of the parent process ran it.
 * @return otherwise what the function returned. Where that may be one of these, too,
 *         hk_forked_is_joined() tells.
 *
 * Cost: a call and some nanoseconds if nobody else has begun it.
 */
HK_API HK_MUST_CHECK hk_status hk_join(hk_scope *scope, hk_forked *record);

/**
 * Whether a record has been joined, so that its memory is free.
 *
 * @param record  Forked; NULL is not joined.
 * @return true from its join on.
 */
HK_API bool hk_forked_is_joined(const hk_forked *record);

/**
 * Whether somebody wants the task to stop; see hk_should_stop(). The one that began the scope,
 * on whichever thread this is asked.
 *
 * @param scope  Of this thread. NULL, and one that has ended: false.
 * @return true from then on.
 */
HK_API bool hk_scope_should_stop(const hk_scope *scope);

/**
 * Join all that has not been joined, and end the scope.
 *
 * @param scope  Begun by this thread.
 * @retval HK_OK       Nothing was left, or nothing of it failed.
 * @retval HK_EINVAL   NULL, or it has ended before.
 * @retval HK_EDEADLK  As in hk_join(): it has not ended.
 * @retval HK_ENOMEM   Likewise.
 * @retval HK_EFORKED  Likewise; but it has ended.
 * @return otherwise the failure of the function that was forked last, of those that were left and
 *         failed.
 */
HK_API hk_status hk_scope_end(hk_scope *scope);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
