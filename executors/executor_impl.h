/* SPDX-License-Identifier: MIT */
/*
 * An executor from the inside: the part that is the same for all back ends.
 *
 * Submission, limits in time, cancelling, statistics, shutdown order and error
 * texts are written once, against the public table of operations. What Hocket's
 * own back ends can do beyond that table is in struct hki_executor_traits.
 */
#ifndef HOCKET_EXECUTORS_EXECUTOR_IMPL_H
#define HOCKET_EXECUTORS_EXECUTOR_IMPL_H

#include <hocket/executor_ops.h>

#include <stdatomic.h>

#include "base/list.h"
#include "base/time.h"
#include "executors/work_counts.h"
#include "futures/error_impl.h"
#include "futures/place.h"
#include "sync/parker.h"
#include "sync/wait_graph.h"

enum {
    HKI_NAME_MAX = 32,
    HKI_WORKERS_MAX = 4096,
    HKI_QUEUE_DEFAULT = 1 << 20,
    HKI_OPEN = -1, /* No shutdown yet: below every hk_shutdown_how. */
};

#define HKI_PAYLOAD_DEFAULT ((size_t)1 << 30)
#define HKI_STACK_MIN       ((size_t)64 << 10)
#define HKI_STACK_MAX       ((size_t)1 << 40)

struct hki_request;

/* What became of a job whose future was ended by force. */
enum hki_force {
    HKI_FORCE_ABSENT,  /* The back end does not have it: the caller drops the input. */
    HKI_FORCE_REMOVED, /* It had not begun, or was to be tried again, and is taken out: likewise,
                        * and the reference of who would have run it is the caller's. */
    HKI_FORCE_STOPS,   /* Its worker is being stopped, or its end is on its way: the back end drops
                        * the input once nothing can read it any more. */
};

/*
 * Of a back end whose workers are not threads of this process: a task may start, and end,
 * without the state word of its future knowing at once.
 */
struct hki_remote_traits {
    /* Whether it could run what is asked for; HK_OK, or why not. Quick. */
    hk_status (*check)(void *self, const struct hki_request *request);
    /* See struct hki_origin for these. */
    void (*refresh)(void *self, hk_job *job);
    bool (*recall)(void *self, hk_job *job, bool *removed);
    bool (*park)(void *self, hk_job *job, struct hki_parker *parker, int64_t deadline_ns);
    void (*assist)(void *self, hk_job *job, int64_t deadline_ns);
    /* Tells a task that runs to stop. */
    void (*stop)(void *self, hk_job *job);
    /* The job's future was ended by force: it must not run, and the worker that runs it is to be
     * stopped, after a grace if it overran, at once if it was killed. One look for both: between
     * two a job that was running may come back to be tried again. */
    enum hki_force (*overrun)(void *self, hk_job *job);
    enum hki_force (*kill)(void *self, hk_job *job);
    /* When the time of a task with this limit is over, as far as is known of its start. */
    int64_t (*run_end_ns)(void *self, hk_job *job, hk_duration timeout);
    /* Room for a buffer that the workers see: HK_ENOMEM when there is none now. */
    hk_status (*buffer_create)(void *self, size_t size, hk_buffer **out);
};

struct hki_executor_traits {
    /* A wait on one of its workers may take over a queued task. */
    bool claims;
    /* Runs a job that was taken out of the queue, on the worker's stack. */
    void (*run_here)(void *self, hk_job *job, struct hki_agent *agent);
    /* How a task that has not started can move (see sync/wait_graph.h). */
    enum hki_wait_kind (*look)(void *self, size_t *count);
    struct hki_wait_node (*next)(void *self, size_t i);
    /* The same for the end of all it has taken. NULL for back ends of the application, which
     * wait in their own ways. */
    enum hki_wait_kind (*look_at_end)(void *self, size_t *count);
    struct hki_wait_node (*next_of_end)(void *self, size_t i);
    /* The same for the start of its workers. NULL: that moves by itself. */
    enum hki_wait_kind (*look_at_start)(void *self, size_t *count);
    struct hki_wait_node (*next_of_start)(void *self, size_t i);
    /* For back ends without a list of queued jobs to take one from (see remove): runs a queued
     * job on the worker's stack, if nobody else has begun it. NULL: remove, then run_here. */
    bool (*claim_here)(void *self, hk_job *job, struct hki_agent *agent);
    /* The sum of its workers' tallies. NULL: they have none. */
    uint64_t (*counted_by_workers)(void *self, enum hki_counted what);
    /* As submit of the table, for a slim job, which it counts as accepted. NULL: no slim jobs. */
    hk_status (*submit_slim)(void *self, hk_job *job);
    /* A job for its lane was ended before it came there, and will not come. */
    void (*missed)(void *self);
    /* Takes count slim jobs, like as many submits, but at once; a job whose future has ended by
     * then as well. Only after may_put(): whether one would now be taken without a wait. NULL,
     * both: it takes them one by one. */
    bool (*may_put)(void *self);
    void (*put_many)(void *self, void *const *jobs, size_t count);
    /* The worker that runs a slim job; NULL: none does now. For looks. NULL: no slim jobs. */
    struct hki_agent *(*runner)(void *self, hk_job *job);
    /* Its workers are threads like any other: who waits for a range may run pieces of it. */
    bool is_any_thread;
    /* Limits in time are judged when the task returns. */
    bool judged_on_return;
    /* NULL: the workers are threads of this process. */
    const struct hki_remote_traits *remote;
};

struct hk_executor {
    struct hki_place place; /* First: see futures/place.h. */
    const hk_executor_ops *ops;
    void *self;
    const struct hki_executor_traits *traits; /* Never NULL. */
    uint32_t generation;                      /* See base/fork.h. */
    char name[HKI_NAME_MAX];
    atomic_uint width; /* Tasks that can run at once: the map's measure. */
    hk_duration task_timeout;
    unsigned retries;
    size_t max_payload;
    bool roundtrip;
    /* Set once. Plain jobs go to a lane; and may be slim, see executors/job.h, if no limit stands
     * against it. */
    bool has_lane;
    bool takes_slim;
    bool drain_at_exit;
    struct hki_list live;               /* In the list of live executors (live_executors.c). */
    atomic_int how;                     /* HKI_OPEN, or the hardest shutdown so far. */
    _Atomic(struct hki_error *) broken; /* Why it can serve no more; set once. */
    atomic_bool holds_timers;
    /* Written by every submit from outside, and so on lines of their own: all else is read by
     * every task. */
    char apart_1[64];
    struct hki_work_counts counts; /* Of all threads that have none of their own. */
    atomic_uint_fast64_t refused;
    atomic_long straggling;
    atomic_uint references; /* The owner's, of those built on it, and of its remote jobs. */
    atomic_uint guests;     /* Threads inside its back end for a remote job, see job.c. */
    char apart_2[64];
};

/* --- executor.c --- */

hk_executor *hki_executor_ref(hk_executor *executor);
void hki_executor_unref(hk_executor *executor);

/* For who was inside its back end; wakes who destroys it. */
void hki_executor_leave(hk_executor *executor);

/* HK_OK, or why a call on it is refused: EINVAL, EFORKED. */
hk_status hki_executor_usable(const hk_executor *executor);

/* What a wait gives that was not woken in time. One without a limit is only given up where a world
 * has nothing left that could go on: see hocket/replay.h. */
static inline hk_status hki_not_in_time(int64_t deadline_ns)
{
    return deadline_ns == HKI_NEVER ? HK_EDEADLK : HK_ETIMEDOUT;
}

/* HK_OK, or why it takes nothing more: broken, closed, or the token (may be NULL) was fired. */
hk_status hki_executor_takes(hk_executor *executor, const hk_cancel_token *token);

/* Marks it broken (error taken over); later ones do nothing. Every submit then
 * gives the error's status. */
void hki_executor_break(hk_executor *executor, struct hki_error *error);

/* Whether options are within their domains; back ends call it first. */
hk_status hki_executor_check_options(const hk_executor_options *options);

/* Whether they ask for less than the application may, which only processes can hold to. */
static inline bool hki_executor_confines(const hk_executor_options *options)
{
    return options->no_new_privs || options->sandbox != HK_SANDBOX_NONE ||
           options->filter != NULL || options->filter_count != 0;
}

/* Workers asked for, or the default. */
unsigned hki_executor_workers(const hk_executor_options *options);

/* "threads-3" and so on, unless a name was asked for. */
void hki_executor_name(const hk_executor_options *options, const char *kind,
                       char name[HKI_NAME_MAX]);

/* The calling thread's own counts, or NULL. */
static inline struct hki_work_counts *hki_executor_own_counts(const hk_executor *executor)
{
    struct hki_agent *agent = hki_agent_self();

    return agent->host_owner == executor ? agent->counts : NULL;
}

static inline void hki_executor_count_many(hk_executor *executor, enum hki_counted what,
                                           uint64_t count)
{
    struct hki_work_counts *own = hki_executor_own_counts(executor);

    if (own != NULL) {
        hki_work_count_own_many(own, what, count);
    } else {
        atomic_fetch_add(&executor->counts.of[what], count);
    }
}

/* Counts one. */
static inline void hki_executor_count(hk_executor *executor, enum hki_counted what)
{
    hki_executor_count_many(executor, what, 1);
}

/* The counts of all threads. */
uint64_t hki_executor_counted(const hk_executor *executor, enum hki_counted what);

/* One job less is unresolved: the last touch of the executor by who ended it. */
void hki_executor_resolved(hk_executor *executor);

/* By a worker that leaves, and has counts of its own: who waits for jobs to be resolved looks
 * at them again. */
void hki_executor_wake_joins(void);

/* Begins a shutdown without the checks of the public call. */
void hki_executor_close(hk_executor *executor, hk_shutdown_how how);

/* --- live_executors.c --- */

/* HK_ECLOSED once the process is past the library's destructor. */
hk_status hki_live_executors_add(hk_executor *executor);
void hki_live_executors_remove(hk_executor *executor);
/* At the exit of the process executor is closed, and drained if it was asked for, while base
 * still takes tasks: else what it has queued would be lost with the base. */
void hki_live_executors_close_before(hk_executor *executor, hk_executor *base);

extern atomic_bool hki_exiting_;

/* Whether the library's destructor has run: nothing is accepted any more. */
static inline bool hki_exiting(void)
{
    /* relaxed: set once, at exit; a submit that just missed it is as if earlier. */
    return atomic_load_explicit(&hki_exiting_, memory_order_relaxed);
}

#endif
