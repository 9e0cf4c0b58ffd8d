/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_future Futures
 * @brief Waiting for, reading and cancelling work done elsewhere.
 *
 * A future moves one way and ends exactly once:
 *
 *     PENDING ---> RUNNING ---> DONE | FAILED | CANCELLED
 *        \_______________________________________/
 *
 * For everybody at the same moment: who looks from then on, by whatever call, finds it ended.
 * Whom that moment wakes or calls first is not said: a waiter may go on before callbacks have
 * run; hk_hook_remove() waits for a callback. Cancelled is done.
 *
 * **Thread safety.** Every function may be called from any thread, while the
 * caller holds a reference. Of these only hk_future_has_ended() may be called in signal
 * handlers.
 * **Ownership.** Futures are reference counted. Whoever is handed one marked
 * "new reference" calls hk_future_unref() once. Dropping the last reference
 * neither cancels nor waits. A result may be read after its executor is gone.
 * **Fork.** In a forked child a finished future stays readable; whatever would
 * wait for, cancel or watch an unfinished one of the parent gives HK_EFORKED.
 * @{
 */
#ifndef HOCKET_FUTURE_H
#define HOCKET_FUTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hocket/error.h>
#include <hocket/memory.h>
#include <hocket/status.h>
#include <hocket/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. Made by a submit, a promise or a chain. */
typedef struct hk_future hk_future;
/** Opaque. A place where tasks run; see @ref hk_executor. */
typedef struct hk_executor hk_executor;

/** The size that stands for "a reference, not bytes". */
#define HK_BY_REF SIZE_MAX

/** Where a future stands. */
typedef enum hk_state {
    HK_PENDING = 0,   /**< Not started. */
    HK_RUNNING = 1,   /**< Started, not ended. */
    HK_DONE = 2,      /**< Ended with a value. */
    HK_FAILED = 3,    /**< Ended with an error. */
    HK_CANCELLED = 4, /**< Ended without either. */
} hk_state;

/** How hard to cancel. */
typedef enum hk_cancel_level {
    HK_CANCEL_PENDING = 0, /**< Only what has not started; certain there. */
    HK_CANCEL_REQUEST = 1, /**< Also ask a running task to stop: hk_should_stop() turns true. */
    HK_CANCEL_KILL = 2,    /**< Also kill the worker process; on threads the same as REQUEST. */
} hk_cancel_level;

/**
 * Take one more reference.
 *
 * @param future  Borrowed; NULL is allowed.
 * @return @p future, as a new reference. Cost: one atomic add.
 */
HK_API hk_future *hk_future_ref(hk_future *future);

/**
 * Give one reference back.
 *
 * The last one drops a result nobody took; a failure nobody read goes to the
 * hook of hk_on_unobserved(). Work that is under way goes on.
 *
 * @param future  Taken; NULL is allowed.
 */
HK_API void hk_future_unref(hk_future *future);

/**
 * Where the future stands now.
 *
 * @param future  Borrowed.
 * @return the state; HK_CANCELLED for NULL. Cost: one atomic load; of an unfinished task of a
 *         process pool also a lock.
 */
HK_API hk_state hk_future_state(const hk_future *future);

/**
 * Whether it has ended: DONE, FAILED or CANCELLED.
 *
 * @param future  Borrowed.
 * @return true once ended, for ever. Cost: one atomic load.
 */
HK_API bool hk_future_has_ended(const hk_future *future);

/**
 * Wait until it has ended, however.
 *
 * Called inside a task, an untimed wait may run the awaited task on this stack;
 * see @ref hk_executor for what a wait inside a task does.
 *
 * @param future   Borrowed.
 * @param timeout  0 polls; #HK_FOREVER waits without limit.
 * @retval HK_OK         It has ended.
 * @retval HK_ETIMEDOUT  Not yet; the future is unchanged.
 * @retval HK_EDEADLK    This wait could never end: it waits, over any number of tasks, for itself.
 * @retval HK_ENOMEM     Inside a task: no memory to find out whether it could end (only where
 *                       dozens of tasks wait for each other); nothing happened.
 * @retval HK_EFORKED    Unfinished, and it belongs to the parent process.
 * @retval HK_EINVAL     @p future is NULL or @p timeout negative.
 */
HK_API HK_MUST_CHECK hk_status hk_future_wait(hk_future *future, hk_duration timeout);

/**
 * Wait for the value.
 *
 * @param future      Borrowed.
 * @param timeout     As in hk_future_wait().
 * @param[out] value  On HK_OK a view, valid while the caller holds the future and nobody takes
 *                    the value; aligned for any type of that size; NULL for a value of no bytes;
 *                    may be NULL.
 * @param[out] size   Its bytes, or #HK_BY_REF when @p value is a reference; may be NULL.
 * @retval HK_OK          Ended with a value.
 * @retval HK_ECANCELED   Cancelled.
 * @retval HK_EFAILED     The task said so; hk_future_error() and hk_future_why() tell more.
 * @retval HK_EDEADLINE   The task overran its limit.
 * @retval HK_EWORKER     The worker process died.
 * @retval HK_EINIT       The worker initialiser failed.
 * @retval HK_EBROKEN     The promise was dropped unset.
 * @retval HK_ESTATE      The value was taken away by hk_future_take().
 * @retval HK_ETIMEDOUT   Not ended yet; the future is unchanged.
 * @retval HK_EDEADLK     As in hk_future_wait().
 * @retval HK_EFORKED     As in hk_future_wait().
 * @retval HK_EINVAL      As in hk_future_wait().
 * @return or any other status the future ended with.
 */
HK_API HK_MUST_CHECK hk_status hk_future_result(hk_future *future, hk_duration timeout,
                                                const void **value, size_t *size);

/** A value that left its future. */
typedef struct hk_value {
    void *data;       /**< Bytes, or the reference itself. */
    size_t size;      /**< Bytes at data, or #HK_BY_REF. */
    hk_drop_fn *drop; /**< How to release it; NULL when there is nothing to release. */
    void *owner;      /**< What drop is called with. */
} hk_value;

/**
 * Wait for the value and move it out, once.
 *
 * @param future      Borrowed. Later reads of the value give HK_ESTATE.
 * @param timeout     As in hk_future_wait().
 * @param[out] value  Taken over by the caller, who ends it with hk_value_drop(); untouched on
 *                    failure.
 * @retval HK_OK
 * @retval HK_ESTATE  Taken before, or shown through by a future derived from this one.
 * @retval HK_ENOMEM  The copy of a small value found no memory; the value is still there.
 * @return or any other status of hk_future_result().
 */
HK_API HK_MUST_CHECK hk_status hk_future_take(hk_future *future, hk_duration timeout,
                                              hk_value *value);

/**
 * Release a value that was taken.
 *
 * @param value  Emptied, so that a second call does nothing; NULL is allowed.
 */
HK_API void hk_value_drop(hk_value *value);

/**
 * Wait for the error.
 *
 * @param future      Borrowed.
 * @param timeout     As in hk_future_wait().
 * @param[out] error  On HK_OK the error, borrowed from the future, or NULL if it ended DONE. The
 *                    same pointer at every call.
 * @retval HK_OK         Ended DONE or FAILED.
 * @retval HK_ECANCELED  Cancelled, which is no error value.
 * @retval HK_ETIMEDOUT  Not ended yet.
 * @retval HK_EDEADLK    As in hk_future_wait().
 * @retval HK_ENOMEM     As in hk_future_wait().
 * @retval HK_EFORKED    As in hk_future_wait().
 * @retval HK_EINVAL     A pointer is NULL or @p timeout negative.
 */
HK_API HK_MUST_CHECK hk_status hk_future_error(hk_future *future, hk_duration timeout,
                                               const hk_error **error);

/**
 * Why it ended as it did, in one line for people; never waits.
 *
 * @param future  Borrowed.
 * @return borrowed from the future: the error's line; "cancelled" with the reason; "" while
 *         unfinished or DONE. Cost: formatting, once.
 */
HK_API const char *hk_future_why(hk_future *future);

/**
 * Cancel it.
 *
 * A task that has not started is certain to be cancelled: its input is dropped,
 * waiters wake and callbacks have run when this returns. Cancelling a derived
 * future (then, within, when_all and so on) cancels its sources.
 *
 * @param future  Borrowed.
 * @param level   How hard.
 * @retval HK_OK       CANCELLED now or before; or, running and @p level above PENDING, asked to
 *                     stop. If another thread is just cancelling it, it will be CANCELLED for
 *                     certain, but waiters, callbacks and the state may be a moment behind.
 * @retval HK_ESTATE   DONE, FAILED, or running and @p level is HK_CANCEL_PENDING. Unchanged.
 * @retval HK_EINVAL   NULL or an unknown level.
 * @retval HK_EFORKED  Unfinished, and it belongs to the parent process.
 */
HK_API hk_status hk_future_cancel(hk_future *future, hk_cancel_level level);

/**
 * A descriptor that becomes readable when the future ends, for any event loop.
 *
 * Made at the first call. It belongs to the future: poll it, do not read or
 * close it, and stop watching it before the last reference goes.
 *
 * @param future   Borrowed.
 * @param[out] fd  An eventfd.
 * @retval HK_OK
 * @retval HK_ESYS     No descriptor to be had; errno tells.
 * @retval HK_ENOMEM
 * @retval HK_EFORKED  Unfinished, and it belongs to the parent process.
 * @retval HK_EINVAL   A pointer is NULL.
 *
 * Cost: about 1 us, once.
 */
HK_API HK_MUST_CHECK hk_status hk_future_fd(hk_future *future, int *fd);

/**
 * How far the task says it is; see hk_progress().
 *
 * @param future      Borrowed.
 * @param[out] done   Units done; 0 before the first report.
 * @param[out] total  Units in all; 0 when unknown.
 * @retval HK_OK
 * @retval HK_EINVAL  A pointer is NULL.
 */
HK_API hk_status hk_future_progress(const hk_future *future, uint64_t *done, uint64_t *total);

/** One consistent look at a future. */
typedef struct hk_future_view {
    hk_state state;        /**< Where it stands. */
    const void *value;     /**< DONE and not taken: the value. */
    size_t value_size;     /**< Its bytes or #HK_BY_REF. */
    const hk_error *error; /**< FAILED: the error. */
    uint64_t reserved[4];  /**< For later versions; 0. */
} hk_future_view;

/**
 * Look at state, value and error at one moment; never waits.
 *
 * @param future     Borrowed.
 * @param[out] view  Filled in; its pointers are borrowed from the future.
 * @retval HK_OK
 * @retval HK_EINVAL  A pointer is NULL.
 */
HK_API hk_status hk_future_snapshot(hk_future *future, hk_future_view *view);

/**
 * Write address, task and state for people: "future 0x55... count_errors
 * pending", "... finished, 8 bytes", "... finished, failed: HK_EFAILED".
 *
 * @param future  Borrowed.
 * @param text    Receives the line, cut to fit; may be NULL if @p size is 0.
 * @param size    Bytes at @p text.
 * @return the length of the whole line.
 */
HK_API size_t hk_future_describe(hk_future *future, char *text, size_t size);

/**
 * Called once, when a future ends.
 *
 * No lock of the library is held: it may submit, cancel, add and remove
 * callbacks, drop the last reference, or shut a pool down without waiting.
 *
 * @param future  Borrowed; ended.
 * @param arg     As given.
 */
typedef void hk_done_fn(hk_future *future, void *arg);

/** Opaque. A callback that can still be removed. */
typedef struct hk_hook hk_hook;

/**
 * Have a function called when the future ends.
 *
 * Callbacks of one future run one after the other, in the order added; one that
 * is added while earlier ones run joins behind them. On a future that has ended
 * already (and whose callbacks are through) it runs at once, in this thread.
 *
 * @param future     Borrowed; kept alive until the callback has run.
 * @param where      NULL: the thread that ends the future. Else an executor, which must outlive
 *                   the callback and share the caller's memory; if it refuses, the ending thread
 *                   runs the callback itself.
 * @param fn         The callback.
 * @param arg        Handed to @p fn.
 * @param[out] hook  NULL if it will never be removed. Else a handle that hk_hook_remove() or
 *                   hk_hook_forget() ends.
 * @retval HK_OK
 * @retval HK_ENOMEM   Nothing was added.
 * @retval HK_EINVAL   @p future or @p fn is NULL.
 * @retval HK_EPORTABLE  @p where does not share memory: it could not run the callback.
 * @retval HK_EFORKED  Unfinished, and it belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_future_on_done(hk_future *future, hk_executor *where,
                                                 hk_done_fn *fn, void *arg, hk_hook **hook);

/**
 * Take a callback back. After HK_OK and HK_ESTATE the callback's argument may be
 * freed.
 *
 * If the callback runs in another thread at the moment, this waits for its end;
 * inside the callback itself it returns at once.
 *
 * @param hook  Taken on HK_OK and HK_ESTATE.
 * @retval HK_OK       Removed: it will never run.
 * @retval HK_ESTATE   Too late: it has run, or this is the callback itself.
 * @retval HK_EDEADLK  Two callbacks remove each other: waiting would never end.
 * @retval HK_ENOMEM   Inside a task or callback: as in hk_future_wait().
 * @retval HK_EINVAL   NULL.
 */
HK_API hk_status hk_hook_remove(hk_hook *hook);

/**
 * Give the handle back and let the callback run when its time comes.
 *
 * @param hook  Taken; NULL is allowed.
 */
HK_API void hk_hook_forget(hk_hook *hook);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
