/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_task Tasks
 * @brief Functions with a name that run on any executor, and what they may call.
 *
 * A task takes bytes and returns bytes, so that the same one runs inline, on a
 * thread, in another process or on another machine:
 *
 *     HK_TASK(square)
 *     {
 *         int n;
 *         if (in_size != sizeof n)
 *             return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof n, in_size);
 *         memcpy(&n, in, sizeof n);
 *         n *= n;
 *         return hk_return(call, &n, sizeof n);
 *     }
 *
 * **Thread safety.** A task may run on several workers at once. A hk_call is
 * used by the thread that runs the task alone. NULL stands for no run: what returns a status gives
 * HK_EINVAL (hk_fail() HK_EFAILED, as ever), and nobody wants it to stop.
 * **Ownership.** `in` is borrowed until the task returns.
 * **A task returns**, and so does every function of the application that the library calls
 * (callbacks, forked functions, bodies of ranges and so on). A thread that ends inside of one, by
 * pthread_exit() or because it was cancelled, stops the program with a line in the log: others
 * count on what it took with it. In a worker process that costs the task, as a crash does. Worker
 * threads do not react to pthread_cancel(), unless a task allows it. exit() is fine everywhere.
 * @{
 */
#ifndef HOCKET_TASK_H
#define HOCKET_TASK_H

#include <hocket/buffer.h>
#include <hocket/cancel.h>
#include <hocket/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. One run of a task; valid until the task returns. */
typedef struct hk_call hk_call;

/**
 * The body of a task.
 *
 * @param call     The run.
 * @param in       The input, aligned for any type; the argument itself if @p in_size is #HK_BY_REF.
 * @param in_size  Its bytes.
 * @return HK_OK (a value, empty unless one was returned), what hk_fail() gave, HK_ECANCELED to
 *         end CANCELLED. Any other status ends the task FAILED with HK_EFAILED, caused by it.
 */
typedef hk_status hk_task_fn(hk_call *call, const void *in, size_t in_size);

/** May be run again after a worker was lost. */
#define HK_TASK_IDEMPOTENT 1U

/** A task. Made by HK_TASK(), or filled in by hand; must outlive its futures. */
typedef struct hk_task {
    const char *name; /**< Unique in the program; how a remote worker finds it. */
    hk_task_fn *run;  /**< The body. */
    unsigned flags;   /**< 0 or #HK_TASK_IDEMPOTENT. */
    const char *file; /**< Where it is defined. */
    int line;         /**< Where it is defined. */
} hk_task;

/** @cond */
#if defined(__has_attribute)
#if __has_attribute(retain)
#define HK_TASK_KEEP_ __attribute__((used, retain, section("hk_tasks")))
#endif
#endif
#ifndef HK_TASK_KEEP_
#define HK_TASK_KEEP_ __attribute__((used, section("hk_tasks")))
#endif
/** @endcond */

/**
 * Define a task: followed by its body, in which call, in and in_size are the
 * parameters of #hk_task_fn. The name then stands for a `const hk_task *`. It is a global
 * name of the program, for HK_TASK_DECLARE() in other files: no two tasks may share one.
 *
 * The descriptor is also listed in the linker section hk_tasks, which survives
 * link-time optimisation and the collection of unused sections.
 */
#define HK_TASK(name) HK_TASK_FLAGS(name, 0U)

/** HK_TASK() with flags, such as #HK_TASK_IDEMPOTENT. */
#define HK_TASK_FLAGS(name, flags)                                                                 \
    static hk_status name##_run_(hk_call *call, const void *in, size_t in_size);                   \
    HK_TASK_DECLARE(name);                                                                         \
    const hk_task name[1] = {{#name, name##_run_, (flags), __FILE__, __LINE__}};                   \
    HK_TASK_KEEP_ static const hk_task *const name##_entry_ = name;                                \
    static hk_status name##_run_(__attribute__((unused)) hk_call *call,                            \
                                 __attribute__((unused)) const void *in,                           \
                                 __attribute__((unused)) size_t in_size)

/** Declare a task that another file defines. */
#define HK_TASK_DECLARE(name) extern const hk_task name[1]

/**
 * Find a task of this program, or of a loaded library, by its name.
 *
 * @param name  Borrowed.
 * @return the descriptor, or NULL. Cost: a search through all tasks.
 */
HK_API const hk_task *hk_task_find(const char *name);

/**
 * Return a copy of some bytes.
 *
 * @param call   The run.
 * @param value  Copied; may be NULL if @p size is 0. An earlier value is dropped.
 * @param size   Bytes.
 * @retval HK_OK       To be returned by the task.
 * @retval HK_EINVAL   A pointer is NULL; returned by the task, it ends FAILED with this cause.
 * @retval HK_ENOMEM   No memory; likewise.
 * @retval HK_ETOOBIG  Over the executor's max_payload; likewise.
 */
HK_API HK_MUST_CHECK hk_status hk_return(hk_call *call, const void *value, size_t size);

/**
 * Reserve the value and write it in place: no copy.
 *
 * @param call      The run.
 * @param size      Bytes.
 * @param[out] out  Where to write them before the task returns; aligned for any type.
 * @retval HK_OK
 * @retval HK_EINVAL   A pointer is NULL.
 * @retval HK_ENOMEM
 * @retval HK_ETOOBIG  Over the executor's max_payload.
 */
HK_API HK_MUST_CHECK hk_status hk_return_reserve(hk_call *call, size_t size, void **out);

/**
 * Return a buffer without copying it; in a worker process it is copied.
 *
 * @param call    The run.
 * @param buffer  Taken, also on failure.
 * @retval HK_OK
 * @retval HK_EINVAL   A pointer is NULL.
 * @retval HK_ENOMEM   No room for the copy.
 * @retval HK_ETOOBIG  Over the executor's max_payload, which the copy may not be.
 */
HK_API HK_MUST_CHECK hk_status hk_return_buffer(hk_call *call, hk_buffer *buffer);

/**
 * Return a reference. Only where memory is shared: elsewhere, and with the
 * option roundtrip, the task ends FAILED with cause HK_EPORTABLE.
 *
 * @param call   The run.
 * @param value  Taken, also on failure.
 * @param drop   Releases @p value unless somebody takes it; may be NULL.
 * @retval HK_OK
 * @retval HK_EINVAL     @p call is NULL; @p value has been dropped.
 * @retval HK_EPORTABLE  References cannot leave here; likewise.
 */
HK_API HK_MUST_CHECK hk_status hk_return_ref(hk_call *call, void *value, hk_drop_fn *drop);

/** @cond */
HK_API HK_MUST_CHECK HK_PRINTF(4, 5) hk_status
    hk_fail_errno_at(const hk_site *site, hk_call *call, int error, const char *format, ...);
HK_API HK_MUST_CHECK HK_PRINTF(4, 5) hk_status
    hk_fail_at(const hk_site *site, hk_call *call, int app_code, const char *format, ...);
/** @endcond */

/**
 * Say why the task fails, and on which line: `return hk_fail(call, 1, "...")`.
 *
 * @param call      The run.
 * @param app_code  Any number, also 0; hk_error shows it. Behind it a format as for printf(), with
 *                  what it asks for; NULL says nothing.
 * @return HK_EFAILED, to be returned by the task.
 */
#define hk_fail(call, app_code, ...) hk_fail_at(HK_SITE, (call), (app_code), __VA_ARGS__)

/**
 * The same after a call to the system that failed: `return hk_fail_errno(call, "open %s", path)`.
 * The error has errno as its sys_errno, and its message ends with what that means.
 *
 * @param call  The run.
 * @return HK_EFAILED, to be returned by the task.
 */
#define hk_fail_errno(call, ...)                                                                   \
    (__extension__({                                                                               \
        int hk_errno_ = errno; /* Before the arguments, which may make calls of their own. */      \
        hk_fail_errno_at(HK_SITE, (call), hk_errno_, __VA_ARGS__);                                 \
    }))

/**
 * What a task was given by reference (hk_submit_ref(), an item of a map): the same pointer.
 *
 * @param in       As the task has it.
 * @param in_size  As the task has it.
 * @return the reference; NULL if the task was given bytes.
 */
static inline void *hk_input_ref(const void *in, size_t in_size)
{
    void *reference = NULL;

    if (in_size == HK_BY_REF) {
        __builtin_memcpy(&reference, &in, sizeof(reference)); /* No cast that C++ or C warns of. */
    }
    return reference;
}

/**
 * Whether somebody wants the task to stop: a cancel, a fired token, a time limit
 * or a shutdown.
 *
 * On threads nothing stops a task but itself (a worker process may be killed). hk_sleep() and a
 * poll() with hk_call_stop_fd() are cut short; a wait for a queue, a semaphore, an event or a lock
 * is not: who cancels such a task also closes the queue or sets the event.
 *
 * @param call  The run.
 * @return true from then on. Cost: one atomic load; inline and in worker processes, with a
 *         time limit, also the clock.
 */
HK_API bool hk_should_stop(hk_call *call);

/**
 * A descriptor that becomes readable when the task should stop, for poll().
 *
 * In a worker process it says no more than that it is time to ask hk_should_stop(): a stop
 * that came too late for the task before may still make it readable, until it is asked for
 * again.
 *
 * @param call     The run.
 * @param[out] fd  Belongs to the call; do not read or close it.
 * @retval HK_OK
 * @retval HK_ESYS    No descriptor to be had; errno tells.
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  A pointer is NULL, or this is a worker's initialiser.
 */
HK_API HK_MUST_CHECK hk_status hk_call_stop_fd(hk_call *call, int *fd);

/**
 * The token that fires when this task should stop; hand it to nested submits so
 * that a cancel reaches them.
 *
 * In a worker process it fires when the task, or one that it runs inside, asks: by
 * hk_should_stop() or hk_sleep(). A nested hk_sleep() is not cut short there.
 *
 * @param call      The run.
 * @param[out] out  Borrowed from the call.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  A pointer is NULL, or this is a worker's initialiser.
 */
HK_API HK_MUST_CHECK hk_status hk_call_token(hk_call *call, hk_cancel_token **out);

/**
 * Sleep, unless the task should stop.
 *
 * @param call      The run.
 * @param duration  How long; #HK_FOREVER until asked to stop.
 * @retval HK_OK         Slept through.
 * @retval HK_ECANCELED  Cut short: return it to end CANCELLED.
 * @retval HK_EDEADLK    Without limit in a replay, where nothing is left that could cut it short.
 * @retval HK_ENOMEM     No memory to be woken by a cancel; slept nothing.
 * @retval HK_EINVAL     @p call is NULL, or a negative @p duration.
 */
HK_API HK_MUST_CHECK hk_status hk_sleep(hk_call *call, hk_duration duration);

/**
 * Time left until the nearest limit of this task: how long it may still wait.
 *
 * It fits every wait as it is, but no limit of an option: there 0 is no limit at all. Nested
 * submits need none if they get the token of hk_call_token(), which fires with the limit.
 *
 * @param call  The run.
 * @return nanoseconds, 0 when it is over, #HK_FOREVER without a limit and for NULL.
 */
HK_API hk_duration hk_call_time_left(hk_call *call);

/**
 * What the worker's initialiser made.
 *
 * @param call  The run.
 * @return the pointer, or NULL.
 */
HK_API void *hk_call_worker_local(hk_call *call);

/**
 * The executor that runs the task, for nested submits.
 *
 * @param call  The run.
 * @return borrowed; NULL for NULL alone.
 */
HK_API hk_executor *hk_call_executor(hk_call *call);

/**
 * Which try this is: 1 for the first, higher when an idempotent task is tried again because
 * its worker died (retries of the options).
 *
 * A chunk of a map is tried again as a whole: then this is higher for all its items, also for
 * those that the worker had not come to, or had finished, before it died.
 *
 * @param call  The run.
 * @return from 1; 1 in a worker's initialiser, and for NULL.
 */
HK_API unsigned hk_call_attempt(hk_call *call);

/**
 * Take one of the descriptors that were sent with the task (fds of the options).
 *
 * What a task does not take is closed after it has returned.
 *
 * @param call     The run.
 * @param index    From 0, in the order of the submit.
 * @param[out] fd  The caller's to close; close-on-exec.
 * @retval HK_OK
 * @retval HK_EINVAL  There is no such descriptor, or a pointer is NULL.
 * @retval HK_ESTATE  It was taken before.
 */
HK_API HK_MUST_CHECK hk_status hk_call_take_fd(hk_call *call, size_t index, int *fd);

/**
 * Report progress, for hk_future_progress().
 *
 * @param call   The run.
 * @param done   Units done.
 * @param total  Units in all; 0 when unknown.
 *
 * Cost: two atomic stores.
 */
HK_API void hk_progress(hk_call *call, uint64_t done, uint64_t total);

/** @cond */
HK_API void hk_task_section_add_(const hk_task *const *first, const hk_task *const *end);
HK_API void hk_task_section_remove_(const hk_task *const *first);

/* Each program and library that defines tasks has a section of its own. Its
 * constructors name it to the library (once for each source file: repeats are
 * ignored), its destructors take it back, so that a library can be unloaded. */
extern const hk_task *const __start_hk_tasks[] __attribute__((weak, visibility("hidden")));
extern const hk_task *const __stop_hk_tasks[] __attribute__((weak, visibility("hidden")));

__attribute__((constructor, unused)) static void hk_task_section_arrives_(void)
{
    hk_task_section_add_(__start_hk_tasks, __stop_hk_tasks);
}

__attribute__((destructor, unused)) static void hk_task_section_leaves_(void)
{
    hk_task_section_remove_(__start_hk_tasks);
}
/** @endcond */

#ifdef __cplusplus
}
#endif

/** @} */
#endif
