/* SPDX-License-Identifier: MIT */
/*
 * The thread pool: what the table of operations asks of it. The workers are in workers.c, what
 * they do in serve.c, where tasks wait in pending.c.
 *
 * Rank: the pool's lock is a leaf but for the parent's of pthread itself; no job
 * is ended, and no code of the application runs, under it.
 */
#include <hocket/thread_pool.h>

#include <string.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/start.h"
#include "executors/thread_pool_impl.h"
#include "sync/condition.h"

static bool remove_job(void *self, hk_job *job)
{
    struct thread_pool *pool = self;
    bool removed;

    if (hki_job_in_lane(job)) {
        struct worker *worker = hki_pool_own_worker(pool);

        /* What a worker has submitted last it can take back. */
        if (worker != NULL && hki_deque_take_back(&worker->deck->deque, job)) {
            return true;
        }
        atomic_fetch_add(&pool->dead, 1);
        return false;
    }
    pthread_mutex_lock(&pool->lock);
    removed = hki_task_queue_remove(&pool->queue, job);
    pthread_mutex_unlock(&pool->lock);
    return removed;
}

/* Under the lock: one that runs on a worker and was not asked yet, with a reference. A worker
 * whose task has ended looks at `scans` before it lets go of the job, and then waits for the
 * lock. */
static hk_job *find_unasked(struct thread_pool *pool)
{
    hk_job *found = NULL;

    atomic_store(&pool->scans, true);
    if (pool->is_quiet) {
        hki_os_barrier();
    }
    for (struct deck *deck = atomic_load(&pool->decks); deck != NULL && found == NULL;
         deck = deck->next) {
        struct running *at = atomic_load(&deck->running);

        for (; at != NULL && found == NULL; at = at->outer) {
            unsigned state = hki_future_state(&at->job->future);

            if (hki_phase(state) == HKI_RUNNING && (state & HKI_STOP) == 0) {
                hk_future_ref(&at->job->future);
                found = at->job;
            }
        }
    }
    atomic_store(&pool->scans, false);
    return found;
}

static void stop_all(struct thread_pool *pool)
{
    hk_job *job;

    do {
        pthread_mutex_lock(&pool->lock);
        job = find_unasked(pool);
        pthread_mutex_unlock(&pool->lock);
        if (job != NULL) {
            (void)hki_future_request_stop(&job->future, "the executor is shut down");
            hk_future_unref(&job->future);
        }
    } while (job != NULL);
    hki_running_stop_all(&pool->running, &pool->lock);
}

static void begin_shutdown(void *self, hk_shutdown_how how)
{
    struct thread_pool *pool = self;
    struct taken taken = {.others = NULL};

    hki_list_init(&taken.queued);
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    if (how >= HK_SHUTDOWN_CANCEL_QUEUED) {
        hki_pool_take_all(pool, &taken);
    }
    hki_pool_update_wants(pool);
    hki_pool_alert(pool);
    hki_condition_broadcast(&pool->queue.room);
    pthread_mutex_unlock(&pool->lock);
    hki_pool_discard_all(pool, &taken, HK_ECANCELED, "the executor is shut down");
    if (how >= HK_SHUTDOWN_CANCEL_ALL) {
        stop_all(pool);
    }
}

static hk_status join(void *self, hk_duration timeout)
{
    struct thread_pool *pool = self;
    int64_t deadline_ns = hki_deadline(timeout);
    struct hki_list departed;
    hk_status status = HK_OK;

    hki_list_init(&departed);
    pthread_mutex_lock(&pool->lock);
    while (pool->present != 0 || !hki_list_empty(&pool->running)) {
        if (!hki_condition_wait(&pool->settled, &pool->lock, deadline_ns)) {
            status = hki_not_in_time(deadline_ns);
            break;
        }
    }
    hki_list_append_all(&departed, &pool->departed);
    pthread_mutex_unlock(&pool->lock);
    hki_pool_join_departed(&departed);
    return status;
}

static void destroy(void *self)
{
    struct thread_pool *pool = self;

    hki_task_queue_destroy(&pool->queue);
    hki_decks_free(&pool->decks);
    pthread_mutex_destroy(&pool->lock);
    hki_free(pool->cpus, pool->cpu_count * sizeof(*pool->cpus));
    hki_free(pool, sizeof(*pool));
}

static size_t met_most(struct hki_lane *lane)
{
    size_t most;

    hki_brief_lock_take(&lane->consumer);
    most = lane->most;
    hki_brief_lock_release(&lane->consumer);
    return most;
}

/* Under the lock. Of a lane it is known what each take has met, and what is there now. */
static size_t queued_most(struct thread_pool *pool)
{
    size_t most = pool->queue.most;
    size_t now = hki_pool_in_lanes(pool);
    size_t met = met_most(&pool->lane);

    for (int i = 0; i < HKI_PRIORS; i++) {
        size_t prior = met_most(&pool->prior[i]);

        met = prior > met ? prior : met;
    }
    most = met > most ? met : most;
    return now > most ? now : most;
}

static uint64_t counted_by_workers(void *self, enum hki_counted what)
{
    return hki_decks_counted(&((struct thread_pool *)self)->decks, what);
}

static void statistics(void *self, hk_executor_statistics *out)
{
    struct thread_pool *pool = self;

    pthread_mutex_lock(&pool->lock);
    out->queued = hki_pool_pending(pool, true);
    out->queued_most = queued_most(pool);
    out->workers = pool->live;
    out->workers_idle = pool->idle;
    out->workers_blocked = pool->blocked;
    out->workers_started = pool->started_ever;
    pthread_mutex_unlock(&pool->lock);
}

static hk_status resize(void *self, unsigned workers)
{
    struct thread_pool *pool = self;

    pthread_mutex_lock(&pool->lock);
    pool->target = workers;
    /* Superfluous ones notice, and others may be needed now. */
    hki_pool_update_wants(pool);
    hki_pool_alert(pool);
    for (unsigned i = 0; i < workers && hki_pool_has_work(pool); i++) {
        hki_pool_grow(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return HK_OK;
}

static hk_status restart(void *self)
{
    struct thread_pool *pool = self;

    pthread_mutex_lock(&pool->lock);
    pool->restarts++;
    hki_pool_alert(pool);
    pthread_mutex_unlock(&pool->lock);
    return HK_OK;
}

/* --- the start of all workers, as a wait: for those in their initialisers --- */

static enum hki_wait_kind look_at_start(void *object, size_t *count)
{
    struct thread_pool *pool = object;

    pthread_mutex_lock(&pool->lock);
    *count = pool->starting;
    pthread_mutex_unlock(&pool->lock);
    return *count == 0 ? HKI_WAIT_MOVES : HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_start(void *object, size_t i)
{
    struct thread_pool *pool = object;
    struct hki_agent *agent = NULL;
    struct hki_list *at;

    pthread_mutex_lock(&pool->lock);
    for (at = pool->workers.next; at != &pool->workers; at = at->next) {
        const struct worker *worker = HKI_CONTAINER(at, struct worker, link);

        if (!worker->is_ready && i-- == 0) {
            agent = worker->agent;
            break;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return agent == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(agent);
}

static bool has_started(const void *self)
{
    return ((const struct thread_pool *)self)->starting == 0;
}

static hk_status prestart(void *self, hk_duration wait)
{
    struct thread_pool *pool = self;
    hk_status status = HK_OK;
    bool waits;

    pthread_mutex_lock(&pool->lock);
    while (status == HK_OK && !pool->closing && !pool->broken &&
           pool->live - pool->blocked < pool->target) {
        status = hki_pool_start_worker(pool);
    }
    waits = status == HK_OK && wait != 0 && pool->starting != 0;
    pthread_mutex_unlock(&pool->lock);
    return waits ? hki_start_await(pool->executor, &pool->lock, &pool->settled, has_started,
                                   hki_deadline(wait))
                 : status;
}

static const hk_executor_ops ops = {
    .size = sizeof(ops),
    .kind = "threads",
    .flags = HK_EXECUTOR_SHARES_MEMORY,
    .submit = hki_thread_pool_submit,
    .remove = remove_job,
    .shutdown = begin_shutdown,
    .join = join,
    .destroy = destroy,
    .statistics = statistics,
    .resize = resize,
    .prestart = prestart,
    .restart = restart,
};

/* --- beyond the table --- */

/* Under the graph's lock: a worker that lets go of a job waits for this look. */
static struct hki_agent *runner(void *self, hk_job *job)
{
    struct thread_pool *pool = self;

    for (struct deck *deck = atomic_load(&pool->decks); deck != NULL; deck = deck->next) {
        struct running *at = atomic_load(&deck->running);

        for (; at != NULL; at = at->outer) {
            if (at->job == job) {
                return atomic_load(&deck->agent);
            }
        }
    }
    return NULL;
}

static void missed(void *self)
{
    atomic_fetch_sub(&((struct thread_pool *)self)->dead, 1);
}

static bool claim_here(void *self, hk_job *job, struct hki_agent *agent)
{
    (void)self;
    return hki_worker_claim(agent->host, job);
}

/* Under the lock. Whether another worker could be started if all wait: those in a task
 * make room for one, also if they wait for a lock and have not told the pool yet (see
 * sync/block.h). Those in their initialiser or finaliser do not, and hki_pool_grow() counts
 * on the former for as many tasks. */
static bool can_grow(struct thread_pool *pool)
{
    return pool->live < pool->target + pool->spares_max && !pool->cannot_grow &&
           pool->leaving + pool->starting < pool->target &&
           hki_pool_pending(pool, false) > pool->starting;
}

/* A queued task moves when any worker does, or when another could be started. One that
 * has just been taken out is in somebody's hands. */
static enum hki_wait_kind look(void *self, size_t *count)
{
    struct thread_pool *pool = self;
    bool moves;

    pthread_mutex_lock(&pool->lock);
    moves = hki_pool_pending(pool, false) == 0 || can_grow(pool);
    *count = pool->live;
    pthread_mutex_unlock(&pool->lock);
    /* Without a worker, and unable to start one, it discards what is queued. */
    return moves || *count == 0 ? HKI_WAIT_MOVES : HKI_WAIT_ANY;
}

static struct hki_wait_node next(void *self, size_t i)
{
    struct thread_pool *pool = self;
    struct hki_wait_node node = {NULL, NULL};
    struct hki_list *at;

    pthread_mutex_lock(&pool->lock);
    for (at = pool->workers.next; at != &pool->workers; at = at->next) {
        if (i-- == 0) {
            struct hki_agent *agent = HKI_CONTAINER(at, struct worker, link)->agent;

            node = agent == NULL ? node : hki_agent_node(agent);
            break;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return node;
}

/* The end waits for every worker, and for what other threads run that submitted it. */
static enum hki_wait_kind look_at_end(void *self, size_t *count)
{
    struct thread_pool *pool = self;

    pthread_mutex_lock(&pool->lock);
    *count = pool->live + hki_running_outsiders(&pool->running, pool->executor);
    pthread_mutex_unlock(&pool->lock);
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_end(void *self, size_t i)
{
    struct thread_pool *pool = self;
    struct hki_wait_node node = {NULL, NULL};

    pthread_mutex_lock(&pool->lock);
    if (i >= pool->live) {
        node = hki_running_outside(&pool->running, pool->executor, i - pool->live);
        pthread_mutex_unlock(&pool->lock);
        return node;
    }
    pthread_mutex_unlock(&pool->lock);
    return next(self, i);
}

static const struct hki_executor_traits traits = {.claims = true,
                                                  .is_any_thread = true,
                                                  .claim_here = claim_here,
                                                  .runner = runner,
                                                  .submit_slim = hki_thread_pool_submit_slim,
                                                  .missed = missed,
                                                  .may_put = hki_thread_pool_may_put,
                                                  .put_many = hki_thread_pool_put_many,
                                                  .counted_by_workers = counted_by_workers,
                                                  .look = look,
                                                  .look_at_end = look_at_end,
                                                  .next_of_end = next_of_end,
                                                  .look_at_start = look_at_start,
                                                  .next_of_start = next_of_start,
                                                  .next = next};

/* --- making one --- */

static hk_status set_up(struct thread_pool *pool, const hk_executor_options *options)
{
    static const hk_executor_options defaults;

    options = options == NULL ? &defaults : options;
    hki_worker_hooks_set(&pool->hooks, options);
    pool->stack_size = options->stack_size;
    pool->idle_exit = options->idle_exit == 0 ? HK_FOREVER : options->idle_exit;
    pool->spares_max = options->spare_workers == 0              ? HKI_SPARES_DEFAULT
                       : options->spare_workers == HK_NO_SPARES ? 0
                                                                : options->spare_workers;
    pool->tasks_per_worker = options->tasks_per_worker;
    pool->target = hki_executor_workers(options);
    pool->is_quiet = hki_os_locked_is_fence() && hki_os_barrier_ready();
    /* Where all share a cache it is all the same who is stolen from. */
    pool->topology = hki_topology_here()->caches > 1 ? hki_topology_here() : NULL;
    pool->search_pauses = hki_os_cpu_count() > 1 ? HKI_SEARCH_PAUSES : 0;
    pool->has_lane = options->queue_capacity == 0 && options->when_full == HK_FULL_BLOCK;
    if (pool->has_lane) {
        pool->queue.beside[0] = &pool->lane;
        pool->queue.beside[1] = &pool->prior[HKI_PRIOR_HIGH];
        pool->queue.beside[2] = &pool->prior[HKI_PRIOR_LOW];
    }
    hki_pool_update_wants(pool);
    if (options->cpu_count != 0) {
        if ((pool->cpus = hki_alloc(options->cpu_count * sizeof(*pool->cpus))) == NULL) {
            return HK_ENOMEM;
        }
        memcpy(pool->cpus, options->cpus, options->cpu_count * sizeof(*pool->cpus));
        pool->cpu_count = options->cpu_count;
    }
    return HK_OK;
}

hk_status hk_thread_pool_create(const hk_executor_options *options, hk_executor **out)
{
    struct thread_pool *pool;
    hk_status status;

    if (out == NULL) {
        return HK_EINVAL;
    }
    if ((status = hki_executor_check_options(options)) != HK_OK) {
        return status;
    }
    if ((pool = hki_zalloc(sizeof(*pool))) == NULL) {
        return HK_ENOMEM;
    }
    pthread_mutex_init(&pool->lock, NULL);
    hki_condition_init(&pool->settled);
    hki_task_queue_init(&pool->queue, options);
    hki_lane_init(&pool->lane);
    for (int i = 0; i < HKI_PRIORS; i++) {
        hki_lane_init(&pool->prior[i]);
    }
    hki_list_init(&pool->running);
    hki_list_init(&pool->workers);
    hki_list_init(&pool->sleepers);
    hki_list_init(&pool->departed);
    if ((status = set_up(pool, options)) != HK_OK ||
        (status = hk_executor_create(&ops, pool, options, &pool->executor)) != HK_OK) {
        destroy(pool);
        return status;
    }
    pool->executor->traits = &traits;
    pool->executor->has_lane = pool->has_lane;
    pool->executor->takes_slim = pool->has_lane && pool->executor->task_timeout == 0 &&
                                 pool->executor->max_payload >= HKI_BODY_BYTES;
    *out = pool->executor;
    return HK_OK;
}
