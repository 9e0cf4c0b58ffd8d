/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_executor Executors
 * @brief Places where tasks run: one interface, chosen by one line.
 *
 * | made by | runs tasks |
 * |---|---|
 * | hk_inline_create() | within the submit |
 * | hk_thread_pool_create() | on threads of this process |
 * | hk_process_pool_create() | in worker processes, which may crash |
 * | hk_serial_create() | one at a time, on another executor |
 * | hk_replay_create() | in an order that a seed chooses, in virtual time |
 * | hk_executor_create() | wherever your own back end likes |
 * | hk_executor_open() | where a line of text says |
 *
 * All of them are ended by hk_executor_destroy().
 *
 * **What is accepted ends.** A submit either refuses, in the caller and with
 * nothing changed, or returns a future that ends exactly once.
 *
 * **Waiting inside a task.** When a task waits for futures without a time limit
 * and an awaited task of the same pool has not started, it runs here, on this
 * stack. Otherwise the worker counts as blocked and the pool starts a spare one
 * while tasks are queued. A wait that can never end returns HK_EDEADLK.
 * Blocked is a worker in any wait of the library: for a future, an event, a queue, a
 * semaphore, a lock; but not in hk_sleep(). So `workers` bounds how many tasks compute at
 * a time, not how many have begun: with one worker, too, others begin while one waits. Where
 * one at a time is meant, hk_serial_create() or #HK_NO_SPARES see to it.
 *
 * **Thread safety.** Every function may be called from any thread, except that
 * hk_executor_destroy() must be the last call; and never in a signal handler, which may have
 * interrupted the very same call. A handler sets an event or releases a semaphore (hk_event_set(),
 * hk_semaphore_release()) that a thread waits for, who then submits.
 * No call of the library is a point at which pthread_cancel() ends a thread.
 * **Ownership.** The creator owns the executor. Futures outlive it.
 * **Fork.** In a forked child every call on the parent's executors gives HK_EFORKED.
 * @{
 */
#ifndef HOCKET_EXECUTOR_H
#define HOCKET_EXECUTOR_H

#include <stdint.h>

#include <hocket/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a submit does when the queue is full. */
typedef enum hk_when_full {
    HK_FULL_BLOCK = 0,       /**< Wait for room, at most queue_wait; a worker of the pool itself
                                   never waits: the task runs inside its submit, nested at most
                                   256 deep; beyond that HK_EFULL. */
    HK_FULL_FAIL = 1,        /**< HK_EFULL. */
    HK_FULL_CALLER_RUNS = 2, /**< The task runs inside the submit; hk_call_worker_local() is NULL
                                  there, unless the caller is a worker. */
    HK_FULL_DROP_OLDEST = 3  /**< The oldest queued task ends FAILED with HK_EFULL. */
} hk_when_full;

/** Three lanes; a busy higher lane slows a lower one down but never starves it. */
typedef enum hk_priority {
    HK_PRIORITY_LOW = -1,   /**< Takes turns 1 in 21 while all lanes are busy. */
    HK_PRIORITY_NORMAL = 0, /**< 4 in 21. */
    HK_PRIORITY_HIGH = 1    /**< 16 in 21. */
} hk_priority;

/**
 * Runs once in each worker before its first task.
 *
 * It may use hk_fail(), hk_sleep() and hk_should_stop(). A failure breaks the
 * executor: queued tasks end FAILED with HK_EINIT and every submit gives it.
 *
 * @param call        The run.
 * @param arg         worker_arg of the options.
 * @param[out] local  What hk_call_worker_local() will give in this worker; NULL before.
 */
typedef hk_status hk_worker_initializer_fn(hk_call *call, void *arg, void **local);

/** Runs once in each worker after its last task, if its initialiser succeeded. */
typedef void hk_worker_finalizer_fn(void *local, void *arg);

/** No spare workers: a value for spare_workers. */
#define HK_NO_SPARES ((unsigned)-1)

/** A limit of the system for worker processes, as for setrlimit(). */
typedef struct hk_worker_limit {
    int resource;  /**< RLIMIT_AS, RLIMIT_CPU, RLIMIT_NOFILE ... */
    uint64_t soft; /**< UINT64_MAX: none. */
    uint64_t hard; /**< UINT64_MAX: none. */
} hk_worker_limit;

/** What worker processes may still ask of the system; see @ref processes_guide. */
typedef enum hk_sandbox {
    HK_SANDBOX_NONE = 0,       /**< All that the application may. */
    HK_SANDBOX_READ_FILES = 1, /**< Computing, memory, threads, time, the descriptors that they
                                    have, and files to read. */
    HK_SANDBOX_COMPUTE = 2     /**< The same without files: to open one gives EACCES. */
} hk_sandbox;

/** One step of a filter of system calls: the kernel's struct sock_filter, field by field. */
typedef struct hk_filter_step {
    uint16_t code;      /**< BPF_LD + BPF_W + BPF_ABS ... */
    uint8_t jump_true;  /**< Steps to leave out. */
    uint8_t jump_false; /**< Likewise. */
    uint32_t value;     /**< The number that the code is about. */
} hk_filter_step;

/** How an executor is made; all zero means defaults. Each executor says what it uses. */
typedef struct hk_executor_options {
    size_t size;            /**< sizeof this struct; 0: the fields of version 1.0. In every struct
                                 of options: what a later version has added is 0 for who does not
                                 know it, and HK_EINVAL from who does where the library does not. */
    const char *name;       /**< Copied, cut to 31 bytes; workers are named NAME_0, NAME_1 ... */
    unsigned workers;       /**< 0: the CPUs this process may use, by affinity and cgroup. At
                                 most 4096. Those blocked in waits do not count, see
                                 spare_workers. */
    size_t queue_capacity;  /**< Tasks accepted and not started, exactly; 0: about 2^20. */
    hk_when_full when_full; /**< What a submit does then. */
    hk_duration idle_exit;  /**< A worker idle for so long leaves; 0: never. */
    unsigned spare_workers; /**< Most extra workers while others are blocked in waits; 0: 64;
                                 #HK_NO_SPARES: none. */
    unsigned tasks_per_worker; /**< A worker is replaced after so many; 0: never. */
    size_t stack_size;         /**< Bytes of a worker's stack; 0: the system's default. */
    const int *cpus;           /**< CPUs the workers may run on; copied. */
    size_t cpu_count;          /**< How many; 0: as the process. */
    hk_duration task_timeout;  /**< Run limit of a task that brings none; 0: none. */
    size_t max_payload;        /**< Most bytes of an input or value; 0: 1 GiB. */
    hk_worker_initializer_fn *initializer; /**< May be NULL. */
    hk_worker_finalizer_fn *finalizer;     /**< May be NULL. */
    void *worker_arg;                      /**< For both. */
    bool roundtrip;     /**< Refuse references, as a process pool would: proves in a unit test that
                             a program may move to processes. */
    bool drain_at_exit; /**< At the exit of the process finish what is queued; else a line tells
                             that it was left behind. */
    unsigned retries;   /**< Further tries of an idempotent task after HK_EWORKER, for tasks that
                             bring no number of their own; at most 2 help, as a task that killed
                             3 workers fails for good. */
    hk_duration kill_grace;         /**< Processes: between asking a task that overran, or was
                                         killed, and SIGKILL to its worker; 0: at once. */
    size_t worker_rss_limit;        /**< Processes: a worker that keeps more bytes resident is
                                         replaced after its task; 0: none. */
    size_t memory_bytes;            /**< Processes: most bytes that buffers, large inputs and large
                                         results may take at a time; 0: 256 MiB. */
    const char *const *environment; /**< Processes: NAME=VALUE to set, NAME to remove in workers;
                                         NULL ends it. Copied. */
    const hk_worker_limit *limits;  /**< Processes: set after the initialiser. Copied. */
    size_t limit_count;             /**< How many; at most 16. */
    int nice_increment;             /**< Processes: added to the workers' nice value. */
    hk_duration start_timeout;      /**< Processes: queued tasks fail with HK_EBROKEN when there was
                                         no worker, and none could be started, for so long; 0:
                                         30 s. */
    unsigned max_nesting;           /**< Processes: how deep pools may be made inside workers of
                                         pools; 0: 10. */
    bool no_new_privs;              /**< Processes: an exec gives workers no more privileges; set
                                         before the initialiser. Every other executor refuses this
                                         and the next three with HK_EINVAL. */
    hk_sandbox sandbox;             /**< Processes: set after the initialiser and the limits; a
                                         forbidden call ends the worker by SIGSYS. Implies
                                         no_new_privs. */
    const hk_filter_step *filter;   /**< Processes: a filter of the application's own, in addition
                                         and likewise; it has to allow what a worker's loop needs.
                                         Copied. */
    size_t filter_count;            /**< How many steps; at most 1024. */
} hk_executor_options;

/**
 * How a task is submitted; NULL or all zero means defaults. In limits of time #HK_FOREVER is the
 * same as none. As 0 is, too, what hk_call_time_left() gave is no limit to hand on: see there.
 *
 * A task that overruns ends FAILED with HK_EDEADLINE at that moment. On threads it is asked to
 * stop and keeps its worker until it does; in a worker process it is killed after kill_grace.
 */
typedef struct hk_submit_options {
    size_t size;            /**< sizeof this struct, or 0. */
    const char *label;      /**< Copied, cut to 63 bytes; shown in errors. */
    hk_priority priority;   /**< Lane. */
    hk_duration timeout;    /**< Run limit, from the start; 0: the executor's. */
    hk_duration deadline;   /**< Limit for queue and run, from the submit; 0: none. */
    hk_duration queue_wait; /**< Most time a blocking submit may wait for room; 0: no limit. */
    hk_cancel_token *token; /**< Borrowed; kept as long as needed. */
    unsigned retries;       /**< Further tries after HK_EWORKER for idempotent tasks; 0: the
                                 executor's. */
    const int *fds;         /**< Descriptors for the task, see hk_call_take_fd(); duplicated on
                                 every executor, so that the caller's are his to close after the
                                 submit, whatever it returned. */
    size_t fd_count;        /**< How many; at most 16. */
} hk_submit_options;

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_submit_at(const hk_site *site, hk_executor *executor,
                                            const hk_task *task, const void *in, size_t in_size,
                                            const hk_submit_options *options, hk_future **future);
HK_API HK_MUST_CHECK hk_status hk_submit_ref_at(const hk_site *site, hk_executor *executor,
                                                const hk_task *task, void *arg, hk_drop_fn *drop,
                                                const hk_submit_options *options,
                                                hk_future **future);
HK_API HK_MUST_CHECK hk_status hk_submit_buffer_at(const hk_site *site, hk_executor *executor,
                                                   const hk_task *task, hk_buffer *buffer,
                                                   const hk_submit_options *options,
                                                   hk_future **future);
HK_API HK_MUST_CHECK hk_status hk_submit_many_at(const hk_site *site, hk_executor *executor,
                                                 const hk_task *task, const void *items,
                                                 size_t count, size_t stride,
                                                 const hk_submit_options *options,
                                                 hk_future **futures, size_t *accepted);
/** @endcond */

/**
 * Hand a task over: hk_submit(hk_executor *executor, const hk_task *task, const
 * void *in, size_t in_size, const hk_submit_options *options, hk_future **future).
 *
 * The input is copied: up to 48 bytes into the task itself, in the one
 * allocation a submit makes; larger ones into a second.
 *
 * @param executor  Borrowed.
 * @param task      Must outlive the future.
 * @param in        @p in_size bytes; NULL if there are none.
 * @param in_size   Bytes.
 * @param options   Borrowed for the call; NULL for defaults.
 * @param future    Receives a new reference; NULL to let it go (a failure then goes to the hook
 *                  of hk_on_unobserved()).
 * @return HK_OK; or, with nothing changed: HK_EINVAL (NULL task, bytes missing, absurd options,
 *         a descriptor that is not open), HK_ENOMEM, HK_ECLOSED (after a shutdown), HK_EFULL and
 *         HK_ETIMEDOUT (no room), HK_ETOOBIG, HK_EINIT (the initialiser failed), HK_EBROKEN
 *         (processes: none can be started any more), HK_EFORKED, HK_ESTATE (replay: from a thread
 *         that is none of its world),
 *         HK_ESYS (no worker could be started, no descriptor was left), HK_ECANCELED (the token
 *         was fired before), HK_EDEADLK (waiting for room could never end), HK_ENOTASK (processes:
 *         the function was loaded after the zygote's fork).
 */
#define hk_submit(executor, task, in, in_size, options, future)                                    \
    hk_submit_at(HK_SITE, (executor), (task), (in), (in_size), (options), (future))

/**
 * Hand a task over with a reference, where memory is shared:
 * hk_submit_ref(hk_executor *executor, const hk_task *task, void *arg, hk_drop_fn
 * *drop, const hk_submit_options *options, hk_future **future).
 *
 * @param executor  Borrowed.
 * @param task      Sees in = @p arg and in_size = #HK_BY_REF.
 * @param arg       Passes to the library on HK_OK; the caller's otherwise.
 * @param drop      Releases @p arg once, right after the task ended; may be NULL.
 * @param options   As in hk_submit().
 * @param future    As in hk_submit().
 * @return as hk_submit(); HK_EPORTABLE where references cannot be passed.
 */
#define hk_submit_ref(executor, task, arg, drop, options, future)                                  \
    hk_submit_ref_at(HK_SITE, (executor), (task), (arg), (drop), (options), (future))

/**
 * Hand a task over with a buffer, without copying it:
 * hk_submit_buffer(hk_executor *executor, const hk_task *task, hk_buffer *buffer,
 * const hk_submit_options *options, hk_future **future).
 *
 * @param executor  Borrowed; must be the one the buffer was made for.
 * @param task      Sees the buffer's bytes.
 * @param buffer    Taken on HK_OK; the caller's otherwise.
 * @param options   As in hk_submit().
 * @param future    As in hk_submit().
 * @return as hk_submit(); HK_EINVAL for the buffer of another executor.
 */
#define hk_submit_buffer(executor, task, buffer, options, future)                                  \
    hk_submit_buffer_at(HK_SITE, (executor), (task), (buffer), (options), (future))

/**
 * Hand over one task for each element of an array: hk_submit_many(hk_executor
 * *executor, const hk_task *task, const void *items, size_t count, size_t stride,
 * const hk_submit_options *options, hk_future **futures, size_t *accepted).
 *
 * @param executor  Borrowed.
 * @param task      Sees one element's bytes.
 * @param items     @p count elements of @p stride bytes.
 * @param count     How many.
 * @param stride    Bytes of one.
 * @param options   For each, as in hk_submit().
 * @param futures   Receives @p count references, NULL from the first refused on; may be NULL.
 * @param accepted  Receives how many were accepted; may be NULL.
 * @return HK_OK when all were; else why the first refused one was. Those before it were accepted,
 *         and run. HK_EINVAL also for more elements than memory could hold; then @p futures is
 *         left as it was.
 *
 * Cost: on a thread pool elements of up to 8 bytes without options go in batches of 64, each of
 * which is put and calls for a worker at the price of one task.
 */
#define hk_submit_many(executor, task, items, count, stride, options, futures, accepted)           \
    hk_submit_many_at(HK_SITE, (executor), (task), (items), (count), (stride), (options),          \
                      (futures), (accepted))

/** How an executor ends; a later call may only be harder. */
typedef enum hk_shutdown_how {
    HK_SHUTDOWN_DRAIN = 0,         /**< Finish what was accepted. */
    HK_SHUTDOWN_CANCEL_QUEUED = 1, /**< Cancel what has not started. */
    HK_SHUTDOWN_CANCEL_ALL = 2,    /**< And ask what runs to stop. */
    HK_SHUTDOWN_KILL = 3           /**< And kill the worker processes; on threads as CANCEL_ALL. */
} hk_shutdown_how;

/**
 * Take no more tasks, and end.
 *
 * May be called again, also from other threads, to wait or to be harder. From a
 * worker or a callback of the executor only without waiting.
 *
 * @param executor  Borrowed.
 * @param how       What happens to accepted tasks.
 * @param timeout   How long to wait for the end of all tasks and workers; 0 does not wait.
 * @retval HK_OK         Ended; or begun, if @p timeout is 0.
 * @retval HK_ETIMEDOUT  Begun and not ended yet: call again, or harder.
 * @retval HK_EDEADLK    This is one of its own workers, which waits for itself; or one of its tasks
 *                       waits for what the caller holds. Begun all the same: give that up and
 *                       call again.
 * @retval HK_EINVAL     NULL, an unknown @p how, a negative @p timeout.
 * @retval HK_EFORKED    It belongs to the parent process.
 */
HK_API hk_status hk_executor_shutdown(hk_executor *executor, hk_shutdown_how how,
                                      hk_duration timeout);

/**
 * Shut down with HK_SHUTDOWN_DRAIN, wait for the end, and release it.
 *
 * @param executor  Taken on HK_OK; NULL is allowed.
 * @retval HK_OK
 * @retval HK_EDEADLK  This is one of its own workers or callbacks, or one of its tasks waits for
 *                     what the caller holds; it is shut down, not released.
 * @retval HK_EFORKED  It belongs to the parent process. Nothing is released: the copy goes with
 *                     this process.
 */
HK_API hk_status hk_executor_destroy(hk_executor *executor);

/** Counters of one executor. */
typedef struct hk_executor_statistics {
    uint64_t submitted;       /**< Tasks accepted. */
    uint64_t done;            /**< Ended DONE. */
    uint64_t failed;          /**< Ended FAILED. */
    uint64_t cancelled;       /**< Ended CANCELLED. */
    uint64_t refused;         /**< Submits refused. */
    size_t queued;            /**< Accepted, not started. */
    size_t queued_most;       /**< Highest value of queued so far. */
    size_t running;           /**< Tasks under way. */
    size_t straggling;        /**< Tasks still under way though their future has ended. */
    unsigned workers;         /**< Live workers, spares included. */
    unsigned workers_idle;    /**< Of these, waiting for work. */
    unsigned workers_blocked; /**< Of these, waiting inside a task. */
    uint64_t workers_started; /**< Ever. */
    uint64_t reserved[8];     /**< For later versions; 0. */
} hk_executor_statistics;

/**
 * Read the counters.
 *
 * @param executor         Borrowed.
 * @param[out] statistics  Filled in; single values are exact, together they are no one moment.
 * @retval HK_OK
 * @retval HK_EINVAL   A pointer is NULL.
 * @retval HK_EFORKED  It belongs to the parent process.
 */
HK_API hk_status hk_executor_stats(hk_executor *executor, hk_executor_statistics *statistics);

/**
 * Change the number of workers. Superfluous ones leave after their task.
 *
 * @param executor  Borrowed.
 * @param workers   1 to 4096; 0 asks for the default again.
 * @retval HK_OK
 * @retval HK_EINVAL   Out of range, or the executor has no workers of its own (inline, serial,
 *                     replay). Processes: more than twice as many as it was made with, and more
 *                     than 16; or more than 1024.
 * @retval HK_ECLOSED  Shut down.
 * @retval HK_EFORKED  It belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_executor_resize(hk_executor *executor, unsigned workers);

/**
 * Start all workers now instead of when tasks come.
 *
 * @param executor  Borrowed.
 * @param timeout   How long to wait until their initialisers have run; 0 does not wait. Inline the
 *                  first such call runs the initialiser itself, however long that takes; others
 *                  wait for it.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  Not all are ready yet; they go on.
 * @retval HK_EINIT      An initialiser failed.
 * @retval HK_EDEADLK    An initialiser waits for the caller, in the end.
 * @retval HK_ENOMEM     Also: no memory to find out whether the wait can end.
 * @retval HK_ESYS       A worker could not be started.
 * @retval HK_EBROKEN    Processes: there was no worker, and none could be started, for
 *                       start_timeout; or the zygote is gone.
 * @retval HK_ECLOSED    Shut down.
 * @retval HK_EINVAL     NULL or a negative @p timeout.
 * @retval HK_EFORKED    It belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_executor_prestart(hk_executor *executor, hk_duration timeout);

/**
 * Replace all workers: each leaves after the task it runs, one that has nothing to do at once.
 *
 * For fresh ones: memory that tasks kept, state that they spoilt. What was accepted is run as
 * ever: tasks that a worker had been handed and had not begun go to others. Finalisers and
 * initialisers run as always when workers go and come; new threads start when tasks come, new
 * processes as soon as old ones are gone. Does not wait. What begins afterwards begins on
 * workers that ran nothing before; but a task under way still runs what it waits for itself.
 *
 * @param executor  Borrowed.
 * @retval HK_OK
 * @retval HK_EINVAL   NULL, or the executor has no workers of its own (inline, serial, replay).
 * @retval HK_ECLOSED  Shut down.
 * @retval HK_EFORKED  It belongs to the parent process.
 *
 * Cost: the start of the workers, while the queue waits for the first of them.
 */
HK_API HK_MUST_CHECK hk_status hk_executor_restart_workers(hk_executor *executor);

/**
 * Its name.
 *
 * @param executor  Borrowed.
 * @return borrowed from the executor; "" for NULL.
 */
HK_API const char *hk_executor_name(const hk_executor *executor);

/**
 * Make an executor from a line of text, so that a program's user may choose:
 * "inline", "threads", "threads:4", "threads:4?queue_capacity=1000&when_full=fail",
 * "processes", "processes:4?retries=2", "serial", "serial:threads:2", "replay:SEED". "serial"
 * alone is "serial:threads:1", "replay" alone "replay:1".
 *
 * After '?' come NAME=VALUE pairs joined by '&', named as the fields of hk_executor_options:
 * name, workers, queue_capacity, when_full (block, fail, caller_runs, drop_oldest), idle_exit,
 * spare_workers, tasks_per_worker, stack_size, cpus (0,2-3), task_timeout, max_payload,
 * roundtrip (0, 1), drain_at_exit (0, 1), retries, kill_grace, worker_rss_limit, memory_bytes,
 * nice_increment, start_timeout, no_new_privs (0, 1), sandbox (none, read_files, compute).
 * Times take ns, us, ms, s or min; sizes take k, m or g. "spare_workers=none" is #HK_NO_SPARES.
 *
 * @param spec      Borrowed.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_EINVAL  Not understood, or absurd; hk_executor_check_spec() tells why.
 * @retval HK_EPORTABLE  A serial executor on processes, whose tasks see no memory of the caller.
 * @retval HK_ENOMEM
 * @retval HK_ESYS    The system refused; errno tells.
 * @retval HK_ESTATE  A replay executor, opened by a task of one.
 * @retval HK_ECLOSED The process is ending, see hk_executor_create().
 * @return also what hk_process_pool_create() gives.
 */
HK_API HK_MUST_CHECK hk_status hk_executor_open(const char *spec, hk_executor **out);

/**
 * Say what is wrong with the text of an executor.
 *
 * @param text     Borrowed.
 * @param message  Receives a sentence for people, "" if all is well; may be NULL if @p size is 0.
 * @param size     Bytes at @p message.
 * @retval HK_OK      hk_executor_open() understands it; what the system says to it shows then.
 * @retval HK_EINVAL  It does not.
 */
HK_API hk_status hk_executor_check_spec(const char *text, char *message, size_t size);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
