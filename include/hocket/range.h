/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_range Ranges
 * @brief A loop whose turns run beside each other: the parallel for.
 *
 * hk_map() gives every item a result of its own. A loop over an array needs less: its turns
 * write where they belong, and a few pieces of the range are enough to keep all workers busy.
 *
 *     struct scale { double *values; double factor; };
 *
 *     static hk_status scale_some(hk_range *range, size_t begin, size_t end, void *arg)
 *     {
 *         const struct scale *scale = arg;
 *
 *         for (size_t i = begin; i < end; i++)
 *             scale->values[i] *= scale->factor;
 *         return HK_OK;
 *     }
 *
 *     hk_range range;
 *     status = hk_parallel_for(&range, executor, 0, count, scale_some, &scale, NULL);
 *
 * **Pieces.** Whoever is free takes the next piece: large ones at first, then ever smaller ones,
 * so that all are done at nearly the same time, also if some turns are dearer than others. Each
 * index is in exactly one piece, pieces begin in the order of the range, and those that run at
 * the same time are run by different threads. A piece costs one atomic operation.
 *
 * **Who runs them.** As many threads as the executor has workers, at most. On a thread pool,
 * and wherever the caller itself runs a task of the executor, the caller is one of them, so
 * that a range goes on also if no worker is free, and a task may run a range on its own pool.
 * Otherwise (a serial executor, replay, one of your own) the caller waits, and the pieces run
 * only where tasks of that executor do; inline, that is within hk_range_begin(). On processes,
 * and where the option roundtrip is set, there are no ranges: HK_EPORTABLE, as they see the
 * caller's memory. That is what hk_map() is for; a task in a worker process may run one on its
 * hk_call_executor().
 *
 * Workers are asked to come by tasks of the executor, which its statistics count. A bounded queue
 * that is full refuses no range in which the caller takes part; but with HK_FULL_DROP_OLDEST such
 * a task may take another's place.
 *
 * **Failures.** A piece that returns anything but HK_OK ends the range with that status: of
 * several the first in time counts. No piece begins after it; those under way see
 * hk_range_should_stop().
 *
 * **Shutdown.** A range that has begun is finished by HK_SHUTDOWN_DRAIN. With
 * HK_SHUTDOWN_CANCEL_QUEUED it is, too, if the caller takes part; otherwise what no worker has
 * begun is skipped. HK_SHUTDOWN_CANCEL_ALL and HK_SHUTDOWN_KILL skip the rest. Whatever is skipped
 * shows as HK_ECANCELED.
 *
 * **Thread safety.** The thread that began a range ends it. Bodies run on several threads at
 * once, and share what the caller gave them.
 * **Ownership.** A hk_range is the caller's memory, as a rule of his stack, and stays where it
 * is until it has ended; so does what @p arg points to. No body runs after that.
 * @{
 */
#ifndef HOCKET_RANGE_H
#define HOCKET_RANGE_H

#include <hocket/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hk_range hk_range;

/**
 * Runs the turns of a loop from @p begin on, up to but not including @p end.
 *
 * It may submit and wait, as a task may, and run ranges of its own. It runs in no task of its
 * own: what a task asks of its hk_call, such as hk_call_worker_local(), is not to be had.
 *
 * @param range    To ask hk_range_should_stop().
 * @param begin    The first index.
 * @param end      Behind the last one; at least @p begin + 1.
 * @param arg  As given.
 * @return HK_OK, or anything else to end the range with.
 */
typedef hk_status hk_range_fn(hk_range *range, size_t begin, size_t end, void *arg);

/** How a range runs; NULL or all zero means defaults. */
typedef struct hk_range_options {
    size_t size;            /**< sizeof this struct, or 0. */
    size_t grain;           /**< Fewest turns in a piece, but for the last one; 0: 1. A range of no
                                 more than that is one piece, which the caller runs. */
    hk_duration limit;      /**< For all of it, from the call; 0: none. Turns under way are not cut
                                 short, but may ask hk_range_should_stop(). */
    hk_priority priority;   /**< Lane in which workers are asked to come. */
    hk_cancel_token *token; /**< Skips what has not begun; borrowed until the range has ended. */
} hk_range_options;

enum {
    /** @cond */
    HK_RANGE_FEW_ = 8
    /** @endcond */
};

/** A range under way; its fields are private. */
struct hk_range {
    /** @cond */
    hk_executor *executor_;
    hk_range_fn *body_;
    void *context_;
    hk_cancel_token *token_;
    int64_t deadline_ns_;
    uint64_t next_;
    uint64_t end_;
    uint64_t grain_;
    uint64_t shares_;
    uint32_t failure_;
    uint32_t generation_;
    uint32_t is_open_;
    uint32_t takes_part_;
    hk_status lost_;
    uint32_t room_;
    uint32_t runner_count_;
    hk_future **runners_;
    hk_future *few_[HK_RANGE_FEW_];
    /** @endcond */
};

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_range_begin_at(const hk_site *site, hk_range *range,
                                                 hk_executor *executor, size_t begin, size_t end,
                                                 hk_range_fn *body, void *arg,
                                                 const hk_range_options *options);
HK_API HK_MUST_CHECK hk_status hk_parallel_for_at(const hk_site *site, hk_range *range,
                                                  hk_executor *executor, size_t begin, size_t end,
                                                  hk_range_fn *body, void *arg,
                                                  const hk_range_options *options);
/** @endcond */

/**
 * Run a loop, and wait for its end: hk_parallel_for(hk_range *range, hk_executor *executor,
 * size_t begin, size_t end, hk_range_fn *body, void *arg, const hk_range_options *options).
 *
 * hk_range_begin() and hk_range_end() in one.
 *
 * @param range     Filled in; free again when the call returns, but for two statuses.
 * @param executor  Borrowed.
 * @param begin     The first index.
 * @param end       Behind the last one.
 * @param body      Runs the pieces.
 * @param arg   For @p body.
 * @param options   NULL for defaults.
 * @retval HK_OK         Every index has been in a piece that returned HK_OK; also if there is none.
 * @retval HK_EINVAL     A pointer is NULL, @p end is below @p begin, absurd options. Nothing ran;
 *                       so with HK_EPORTABLE, HK_ECLOSED, HK_EINIT, and where only a submit could
 *                       bring it to a worker, whatever hk_submit() gives.
 * @retval HK_EPORTABLE  The executor's tasks do not see this memory, or it is to be as if.
 * @retval HK_ECLOSED    It is shut down.
 * @retval HK_ECANCELED  The token was fired, or the executor shut down: what had not begun by then
 *                       was skipped.
 * @retval HK_EDEADLINE  The limit ran out: likewise.
 * @retval HK_EFORKED    The executor belongs to the parent process; or the fork was in a piece that
 *                       this thread ran: what other threads had taken is not done here.
 * @retval HK_EDEADLK    A piece waits, in the end, for the caller. As a rule the piece is refused
 *                       its wait; if it was there first, the caller is refused this one. Then the
 *                       range has not ended, see hk_range_has_ended(): give up what is waited for
 *                       and call hk_range_end().
 * @retval HK_ENOMEM     No memory to find out whether the wait can end: likewise. Or nothing ran.
 * @return otherwise what a piece returned. Where that may be one of these, too,
 *         hk_range_has_ended() tells.
 *
 * Cost: a submit for each worker that is asked to come, at most one wake of the caller, and
 * one atomic operation for a piece, of which there are about four for each worker each time the
 * rest halves. No memory, beyond eight workers, but for their futures.
 */
#define hk_parallel_for(range, executor, begin, end, body, arg, options)                           \
    hk_parallel_for_at(HK_SITE, (range), (executor), (begin), (end), (body), (arg), (options))

/**
 * Begin to run a loop: hk_range_begin(hk_range *range, hk_executor *executor, size_t begin,
 * size_t end, hk_range_fn *body, void *arg, const hk_range_options *options).
 *
 * Workers that are free begin at once.
 *
 * @param range     Filled in; in use until hk_range_end() has ended it.
 * @param executor  Borrowed.
 * @param begin     The first index.
 * @param end       Behind the last one.
 * @param body      Runs the pieces.
 * @param arg   For @p body.
 * @param options   NULL for defaults.
 * @retval HK_OK  To be ended by hk_range_end(), by the same thread.
 * @return otherwise nothing ran: HK_EINVAL, HK_EPORTABLE, HK_ECLOSED, HK_EINIT, HK_EFORKED,
 *         HK_ECANCELED (the token was fired before), and what hk_submit() gives where the caller
 *         takes no part.
 */
#define hk_range_begin(range, executor, begin, end, body, arg, options)                            \
    hk_range_begin_at(HK_SITE, (range), (executor), (begin), (end), (body), (arg), (options))

/**
 * Take part in a range, if the caller may, and wait until all of it has ended.
 *
 * @param range  Begun by this thread.
 * @retval HK_EINVAL  NULL, or it has ended before.
 * @return as hk_parallel_for(). After HK_EDEADLK and HK_ENOMEM it may have to be called again.
 */
HK_API HK_MUST_CHECK hk_status hk_range_end(hk_range *range);

/**
 * Whether a range has ended, so that its memory is free.
 *
 * @param range  Was given to hk_range_begin() or hk_parallel_for(); NULL, and one that was refused,
 *               has ended.
 * @return true from its end on.
 */
HK_API bool hk_range_has_ended(const hk_range *range);

/**
 * For a body: whether the rest is to be skipped, so that it may return early.
 *
 * @param range  As given to the body; NULL: false.
 * @return true once a piece has failed, the token was fired, the limit ran out, or the executor
 *         was shut down so that tasks are asked to stop. Cost: a few loads; with a limit also
 *         the clock.
 */
HK_API bool hk_range_should_stop(hk_range *range);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
