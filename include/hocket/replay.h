/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_replay Replay
 * @brief One order of events, chosen by a seed: for tests of your own code.
 *
 * A program whose tasks disagree about their order fails once in a thousand runs. On
 * this executor the order is drawn from a seed: another seed is another order, and the
 * same seed is the same order, every time and on every machine. Try seeds until one shows
 * the fault, then replay that one until the fault is gone.
 *
 * **What is ordered.** The thread that made the executor and the tasks take turns: one
 * goes on, all others stand still. A turn ends where a call of Hocket sleeps (a wait for a
 * future, a queue, a lock that another one holds, hk_sleep() and so on), where a task
 * submits a task, and where a task ends. There the seed chooses who is next: a sleeper
 * whose wait is over, a queued task, a timer that is due. What was submitted thus starts
 * when its submitter waits, or in hk_replay_run(): not before, if that is the thread that
 * made the executor. Looking at a future (a wait of 0) and hk_should_stop() end a turn, too,
 * and take 10 us of the time below, so that loops around them come to an end. What a task does
 * to the operating system (pthread_mutex_lock(), read()) holds up everybody.
 * Choices come from the seed alone: not from the clock, nor from addresses.
 *
 * **Workers.** As on a thread pool, at most `workers` tasks (4 by default) have begun and
 * not ended, those aside that wait in a call of Hocket. Each has a thread of its own while
 * it runs, so that locks and per-thread objects are what they would be.
 *
 * **Time is virtual** for that thread and the tasks, as long as the executor is there:
 * hk_now_ns(), durations, deadlines, limits of tasks, hk_sleep(), hk_within(). The clock
 * stands still while anything can go on; when nothing can it jumps to the next moment
 * somebody waits for. So a test of a time limit of an hour is over at once, and code that
 * takes long takes no time at all.
 *
 * **Waits that could never end.** When nothing can go on and no moment is waited for, one of
 * the sleepers is refused: the one that went to sleep last, the thread that made the
 * executor after all tasks. It gets HK_EDEADLK (HK_ETIMEDOUT from a lock, queue, ring or
 * barrier), and a line in the log says so. Other threads of the program are not of this world,
 * and their work takes none of its time; while there is a pool with workers, these are given ten
 * real seconds before somebody is refused. hk_replay_run() waits
 * for none of them.
 *
 * **Thread safety.** It serves the thread that made it, and the tasks of its world. Submits from
 * other threads get HK_ESTATE, and so does a shutdown that waits; other threads may cancel, but
 * that is no part of what is replayed.
 * @{
 */
#ifndef HOCKET_REPLAY_H
#define HOCKET_REPLAY_H

#include <hocket/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a step of a replay executor did. */
typedef enum hk_replay_action {
    HK_REPLAY_STARTS,  /**< A task began. */
    HK_REPLAY_GOES_ON, /**< A sleeper's wait was over, and it went on. */
    HK_REPLAY_TIMER,   /**< A time limit came. */
    HK_REPLAY_REFUSES, /**< Nothing could go on: a sleeper was refused. */
} hk_replay_action;

/** One step, as hk_replay_on_step() tells it. */
typedef struct hk_replay_step_info {
    uint64_t number;         /**< From 1. */
    hk_replay_action action; /**< What was chosen. */
    const char *task;        /**< Name of the task; "main" for the thread that made the executor, ""
                                  for a timer. Valid for the call. */
    uint64_t task_number; /**< Which task, in the order they began to be queued, from 1; 0: none. */
    hk_duration now;      /**< Virtual time since the executor was made. */
    unsigned choices;     /**< How many could have been chosen. */
} hk_replay_step_info;

/** Told of each step. Must not call Hocket; a turn's owner runs it, one at a time. */
typedef void hk_replay_step_fn(const hk_replay_step_info *step, void *arg);

/**
 * Make an executor that replays what its seed says.
 *
 * hk_executor_destroy() drains it in virtual time. All replay executors that a thread has at
 * a time share one world, with one order of events: the seed of the first counts. When the last
 * is destroyed every timer that is still set comes; then the thread's time goes on as usual.
 *
 * @param seed      Any number.
 * @param options   name, workers (4 by default), queue_capacity, when_full (a submit that blocks,
 *                  and caller runs, let others go on until there is room), task_timeout,
 *                  max_payload and roundtrip apply; the rest has nothing to act on. NULL for
 *                  defaults.
 * @param[out] out  Owned by the caller, and of the calling thread, which destroys it.
 * @retval HK_OK
 * @retval HK_EINVAL  An option is absurd.
 * @retval HK_ESTATE  Called by a task of one.
 * @retval HK_ECLOSED The process is ending, see hk_executor_create().
 * @retval HK_ENOMEM
 * @retval HK_ESYS    No thread to be had; errno tells.
 */
HK_API HK_MUST_CHECK hk_status hk_replay_create(uint64_t seed, const hk_executor_options *options,
                                                hk_executor **out);

/**
 * Let tasks go on while the calling thread stands aside: until nothing can go on and no
 * moment is waited for, or for a number of steps.
 *
 * @param executor    From hk_replay_create(), called by the thread that made it.
 * @param steps_most  0: no limit.
 * @param[out] steps  How many were made; may be NULL.
 * @retval HK_OK
 * @retval HK_EINVAL  Not a replay executor.
 * @retval HK_ESTATE  Not the thread that made it.
 * @retval HK_EFORKED
 */
HK_API HK_MUST_CHECK hk_status hk_replay_run(hk_executor *executor, uint64_t steps_most,
                                             uint64_t *steps);

/**
 * Make one step: hk_replay_run() with a limit of 1.
 *
 * @param executor     As there.
 * @param[out] stepped False: there was none to make; may be NULL.
 * @return as hk_replay_run().
 */
HK_API HK_MUST_CHECK hk_status hk_replay_step(hk_executor *executor, bool *stepped);

/**
 * Virtual time since the executor was made.
 *
 * @param executor  Any thread.
 * @param[out] now
 * @return HK_OK, HK_EINVAL, HK_EFORKED.
 */
HK_API HK_MUST_CHECK hk_status hk_replay_elapsed(hk_executor *executor, hk_duration *now);

/**
 * Let virtual time pass: tasks go on meanwhile, and what comes in that time comes.
 *
 * @param executor  As for hk_replay_run().
 * @param duration  Not negative, and not #HK_FOREVER.
 * @return as hk_replay_run(); HK_EINVAL also for a bad @p duration.
 */
HK_API HK_MUST_CHECK hk_status hk_replay_advance(hk_executor *executor, hk_duration duration);

/**
 * Be told of each step: two runs are the same if their traces are.
 *
 * @param executor  As for hk_replay_run(), but its tasks may call it as well.
 * @param fn        NULL: no more.
 * @param arg       Handed to it.
 * @return as hk_replay_run().
 */
HK_API HK_MUST_CHECK hk_status hk_replay_on_step(hk_executor *executor, hk_replay_step_fn *fn,
                                                 void *arg);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
