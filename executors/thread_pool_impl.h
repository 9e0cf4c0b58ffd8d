/* SPDX-License-Identifier: MIT */
/*
 * The thread pool from the inside.
 *
 * Where tasks wait
 *   lane    what other threads submit, first in first out; no lock (sync/lane.h)
 *   decks   one a worker: what its tasks submit, and what it took from the lane in one go;
 *           others steal from it (sync/deque.h)
 *   returned  what a worker took from these, and is not to run after all. Under `lock`.
 *   prior   like the lane, for tasks of high and of low priority; never more than one is taken
 *           from there at a time, so that none waits in a deck behind others
 *   queue   all that needs more: errands, and every task of a pool whose capacity or policy was
 *           asked for, for these are exact. Under `lock`.
 * A task that is cancelled, or that a wait takes over, stays in the lane or deck until it is
 * taken from there; `dead` counts those.
 *
 * Workers (counted under `lock`)
 *   live      threads between their start and their end
 *   starting  of these, not in their loop yet
 *   idle      of these, asleep for want of work: the list `sleepers`, newest first
 *   busy      of these, at work or looking for it, and not blocked in a wait
 *   blocked   of these, inside a wait of a task
 *   leaving   of the live ones, those that have decided to leave
 *   present   threads that have not handed themselves over to be joined
 *   A worker works only while busy <= target. So with blocked workers there may be more
 *   threads than target, but no more than target compute, but for a moment when a blocked
 *   one returns.
 *
 * A busy worker goes from task to task without the lock, until it finds none, or `attention`
 * says that something has changed. Who brings work asks the crew word whether to call for
 * help, see executors/crew.h.
 *
 * A worker leaves when it is superfluous (live - leaving - blocked > target) and has been
 * idle for a moment, when it has been idle for idle_exit, when it has run
 * tasks_per_worker tasks, when all are restarted, or when the pool is closed and nothing is
 * left. Its thread is joined by the next one that leaves, or by a join of the pool.
 */
#ifndef HOCKET_EXECUTORS_THREAD_POOL_IMPL_H
#define HOCKET_EXECUTORS_THREAD_POOL_IMPL_H

#include <pthread.h>

#include "executors/crew.h"
#include "executors/deck.h"
#include "executors/fork_item.h"
#include "executors/running.h"
#include "executors/task_queue.h"
#include "executors/worker_init.h"
#include "sync/lane.h"

enum { HKI_PRIOR_HIGH, HKI_PRIOR_LOW, HKI_PRIORS };

enum {
    HKI_SPARES_DEFAULT = 64,
    HKI_WHERE_MAX = 64,
    /* A search is worth its time as long as it is cheaper than being woken, some 20 us: it
     * pays in latency alone, between a submit and the one after it. */
    HKI_SEARCH_PAUSES = 200,
};

struct thread_pool {
    /* Set once. */
    hk_executor *executor;
    struct hki_worker_hooks hooks;
    size_t stack_size;
    int *cpus;
    size_t cpu_count;
    hk_duration idle_exit; /* HK_FOREVER: never. */
    unsigned spares_max;
    unsigned tasks_per_worker;           /* 0: no limit. */
    bool has_lane;                       /* Neither capacity nor policy was asked for. */
    bool is_quiet;                       /* Its chains need no locked stores, see slim_run.c. */
    const struct hki_topology *topology; /* Whom to steal from first; NULL: it does not matter. */
    int search_pauses; /* 0 on a single processor: nothing comes while one looks. */

    /* Read by all, changed seldom. The apart_N keep what is written often on other lines. */
    char apart_1[HKI_LANE_LINE];
    atomic_uint attention;     /* Busy workers look at the rest again. */
    atomic_bool scans;         /* Somebody reads the running chains. */
    atomic_bool is_manned;     /* live is not 0. */
    atomic_bool forks_quietly; /* See hki_pool_meet_forks(). */
    atomic_bool has_priors;    /* A task of high or low priority has ever come. */
    _Atomic(struct deck *) decks;
    atomic_long dead;

    char apart_2[HKI_LANE_LINE];
    struct hki_crew crew;
    char apart_3[HKI_LANE_LINE];
    struct hki_lane lane;
    char apart_4[HKI_LANE_LINE];
    struct hki_lane prior[HKI_PRIORS];
    char apart_5[HKI_LANE_LINE];

    pthread_mutex_t lock;
    struct hki_condition settled; /* starting fell to 0, or live did. */
    struct hki_task_queue queue;
    /* What was taken, and given back: it comes before all else in the lane. */
    struct hki_lane_node *returned;
    atomic_size_t returned_count;
    struct hki_list running; /* Jobs under way on threads that are no workers. */
    struct hki_list workers;
    struct hki_list sleepers;
    struct hki_list departed; /* Workers whose threads wait to be joined. */
    atomic_uint target;       /* Read without the lock by who wants a rough figure. */
    unsigned live;
    unsigned leaving;
    unsigned present;
    unsigned starting;
    unsigned idle;
    unsigned busy;
    unsigned blocked;
    uint64_t started_ever;
    uint64_t restarts; /* Workers that were started before the last one leave. */
    bool closing;
    bool broken;      /* An initialiser failed: no more workers. */
    bool cannot_grow; /* The last attempt to start a thread failed. */
};

struct worker {
    struct hki_list link; /* workers or departed. */
    struct thread_pool *pool;
    struct deck *deck; /* Its own; NULL once it has left. */
    pthread_t thread;
    unsigned index;
    unsigned tasks_left;   /* 0: no limit. */
    bool is_worn;          /* It has run as many as it may. Own thread only. */
    unsigned attention;    /* Of the pool, when it last looked. */
    unsigned tick;         /* Tasks of its own that it has taken. */
    unsigned turn;         /* Of high, normal and low, while there are any but normal ones. */
    unsigned scopes;       /* That its tasks have begun and not ended. Own thread only. */
    int64_t batch_end;     /* What is in its deck before this place came from the lane. */
    uint64_t restarts;     /* Of the pool, when this one was started. */
    int64_t idle_since_ns; /* Own thread only. 0: it has just worked. */
    /* Under the pool's lock: */
    struct hki_list idle_link; /* sleepers. */
    struct hki_condition wake;
    bool woken;              /* Called for: it is counted as busy, and as searching. */
    struct hki_agent *agent; /* NULL until it runs. */
    bool is_ready;           /* Its initialiser has returned. */
    void *local;
    char name[HKI_NAME_MAX + 12];
    char where[HKI_WHERE_MAX];
};

/* All that waited. */
struct taken {
    struct hki_list queued;
    struct hki_lane_node *others; /* By next. */
};

/* The calling thread as a worker of this pool, or NULL: also for one that has given its deck
 * back, and its counts with it, and still ends what nobody will run. */
static inline struct worker *hki_pool_own_worker(const struct thread_pool *pool)
{
    struct hki_agent *agent = hki_agent_self();

    return agent->host_owner == pool->executor && agent->counts != NULL ? agent->host : NULL;
}

/* --- workers.c --- */

/* Under the lock: one more, or one less, is busy. */
void hki_pool_count_busy(struct thread_pool *pool, int change);

/* Under the lock: starts one more thread. HK_ENOMEM, HK_ESYS: none. */
hk_status hki_pool_start_worker(struct thread_pool *pool);

/* Under the lock: after a change, wakes or starts a worker if there is work for it. */
void hki_pool_grow(struct thread_pool *pool);

/* The same, taking the lock, if the crew word asks for it. */
void hki_pool_call(struct thread_pool *pool);

/*
 * Between a change of the crew word after which forks are to call, and the look for forks that
 * did not: a fork is published, and reads the word, without an order between the two, since
 * that would be half of its price. Who changes the word makes every thread keep it instead.
 */
void hki_pool_meet_forks(struct thread_pool *pool);

/* Under the lock: every worker looks at the state of the pool again. */
void hki_pool_alert(struct thread_pool *pool);

/* Under the lock: whether who brings work has to ask there, after a change. */
void hki_pool_update_wants(struct thread_pool *pool);

/* Under the lock: takes over what nobody will serve. */
void hki_pool_abandon(struct thread_pool *pool, struct taken *taken);

/* Without the lock: ends what was taken over. */
void hki_pool_discard_abandoned(struct thread_pool *pool, struct taken *taken, bool broken);

/* Joins the threads of a list of departed workers and frees the records. */
void hki_pool_join_departed(struct hki_list *departed);

/* --- serve.c --- */

/* Under the lock: serves until the worker has a reason to leave. The caller counts
 * it as leaving before the lock is released, so that others do not leave, too, for
 * the same reason. */
void hki_worker_serve(struct worker *worker);

/* Runs a job that has been taken on the stack of a worker, and lets go of it. False: it had
 * ended, or begun, before. */
bool hki_worker_run_job(struct worker *worker, hk_job *job);

/* Its outermost task has ended, all but for telling: see struct hki_agent_host_ops. */
static inline void hki_worker_is_finishing(struct worker *worker)
{
    /* relaxed: a hint for who would start another worker; that it is taken back matters. */
    atomic_store_explicit(&worker->deck->is_finishing, true, memory_order_relaxed);
}

/* --- slim_run.c --- */

/* As hki_worker_run_job(), for a slim one. */
bool hki_worker_run_slim(struct worker *worker, hk_job *job);

/* --- serve.c, again --- */

/* The same, for one that was to be in a lane or deck. */
bool hki_worker_run_taken(struct worker *worker, hk_job *job);

/* A queued job that a wait of this worker wants, see claim_here in executor_impl.h. */
bool hki_worker_claim(struct worker *worker, hk_job *job);

extern const struct hki_agent_host_ops hki_worker_host_ops;

/* --- admission.c --- */

/* The back end's submit. */
hk_status hki_thread_pool_submit(void *self, hk_job *job, hk_duration queue_wait);

/* The same for a slim job. */
hk_status hki_thread_pool_submit_slim(void *self, hk_job *job);
/* The same for many, see struct hki_executor_traits. */
bool hki_thread_pool_may_put(void *self);
void hki_thread_pool_put_many(void *self, void *const *jobs, size_t count);

/* --- pending.c: all places where tasks wait, as one --- */

/* A job for its lane or the worker's own deck. Lock-free. */
void hki_pool_put(struct thread_pool *pool, struct worker *worker, hk_job *job);

/* The same for several; at least one. */
void hki_pool_put_many(struct thread_pool *pool, struct worker *worker, void *const *jobs,
                       size_t count);

/* The next for this worker, a job or a fork (see fork_item.h); NULL: it met none. */
void *hki_pool_take(struct thread_pool *pool, struct worker *worker);

/* How many wait in the lanes, as one that comes to them without a lock sees it. */
size_t hki_pool_in_lanes(struct thread_pool *pool);

/* Whether anything waits. seq_cst. */
bool hki_pool_has_work(struct thread_pool *pool);

/* How many wait, dead ones not counted; those that count for the capacity alone, or all.
 * Under the lock. */
size_t hki_pool_pending(struct thread_pool *pool, bool counted);

/* Under the lock: takes everything out; without any lock: ends it. */
void hki_pool_take_all(struct thread_pool *pool, struct taken *taken);
void hki_pool_discard_all(struct thread_pool *pool, struct taken *taken, hk_status status,
                          const char *message);

/* A job that was taken, back where it came from; a fork, to its owner. Takes the lock. */
void hki_pool_give_back(struct thread_pool *pool, void *item);

/* Under the lock: what is in a deck is returned. */
void hki_pool_empty_deck(struct thread_pool *pool, struct deck *deck);

#endif
