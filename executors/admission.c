/* SPDX-License-Identifier: MIT */
/*
 * How a task comes into a thread pool: into the lane or the worker's own deck without a lock; or,
 * where that does not do, into the queue. What to do when it is full is decided here.
 */
#include "executors/room.h"
#include "executors/thread_pool_impl.h"
#include "sync/condition.h"

/* Under the lock. What the policy says about a full queue. */
enum decision { QUEUE_IT, RUN_IT_HERE, REFUSE_IT };

static bool takes_nothing(const void *self)
{
    const struct thread_pool *pool = self;

    return pool->closing || pool->broken;
}

static enum decision wait_for_room(struct thread_pool *pool, hk_duration queue_wait,
                                   hk_status *status)
{
    *status = hki_room_await(pool->executor, &pool->queue, &pool->lock, takes_nothing,
                             hki_deadline(queue_wait));
    return *status == HK_OK ? QUEUE_IT : REFUSE_IT;
}

static enum decision decide(struct thread_pool *pool, hk_duration queue_wait, hk_job **victim,
                            hk_status *status)
{
    switch (pool->queue.when_full) {
    case HK_FULL_FAIL:
        *status = HK_EFULL;
        return REFUSE_IT;
    case HK_FULL_CALLER_RUNS:
        return RUN_IT_HERE;
    case HK_FULL_DROP_OLDEST:
        *victim = hki_task_queue_pop_oldest(&pool->queue);
        return QUEUE_IT;
    default:
        /* A worker never waits for its own pool: it might be all there is. */
        if (hki_pool_own_worker(pool) == NULL) {
            return wait_for_room(pool, queue_wait, status);
        }
        if (hki_agent_may_nest(hki_agent_self())) {
            return RUN_IT_HERE;
        }
        *status = HK_EFULL; /* Tasks that submit tasks would nest without end. */
        return REFUSE_IT;
    }
}

static void run_here(struct thread_pool *pool, hk_job *job)
{
    struct worker *worker = hki_pool_own_worker(pool);

    if (worker != NULL) {
        hki_agent_self()->claim_depth++;
        (void)hki_worker_run_taken(worker, job);
        hki_agent_self()->claim_depth--;
        return;
    }
    pthread_mutex_lock(&pool->lock);
    hki_running_add(&pool->running, job);
    pthread_mutex_unlock(&pool->lock);
    (void)hk_job_run(job, NULL, "the submitting thread");
    pthread_mutex_lock(&pool->lock);
    hki_running_remove(job, &pool->lock);
    hki_condition_broadcast(&pool->settled); /* A join waits for this, too. */
    pthread_mutex_unlock(&pool->lock);
}

/* Under the lock: HK_OK, or why the pool takes nothing. */
static hk_status open_state(const struct thread_pool *pool)
{
    if (pool->broken) {
        return HK_EINIT;
    }
    return pool->closing ? HK_ECLOSED : HK_OK;
}

/* Under the lock: puts it in the queue, and sees to it that somebody serves it. */
static hk_status enqueue(struct thread_pool *pool, hk_job *job)
{
    hk_status status = pool->live == 0 ? hki_pool_start_worker(pool) : HK_OK;

    if (status == HK_OK) {
        hki_task_queue_push(&pool->queue, job);
        hki_pool_grow(pool);
    }
    return status;
}

static hk_status submit_to_queue(struct thread_pool *pool, hk_job *job, hk_duration queue_wait)
{
    enum decision decision = QUEUE_IT;
    hk_job *victim = NULL;
    hk_status status;

    pthread_mutex_lock(&pool->lock);
    status = open_state(pool);
    if (status == HK_OK && !job->forced && hki_task_queue_full(&pool->queue)) {
        decision = decide(pool, queue_wait, &victim, &status);
        if (decision == QUEUE_IT) {
            status = open_state(pool); /* It may have been closed during the wait. */
        }
    }
    if (status == HK_OK && decision == QUEUE_IT) {
        status = enqueue(pool, job);
    }
    pthread_mutex_unlock(&pool->lock);
    if (victim != NULL) {
        hk_job_discard(victim, HK_EFULL, "the queue was full and it was the oldest");
    }
    if (status == HK_OK && decision == RUN_IT_HERE) {
        run_here(pool, job);
    }
    return status;
}

/* Where it could not be put without a thought: no worker lives, or the lane is full. True:
 * it may be put now. */
static bool prepare_lane(struct thread_pool *pool, hk_job *job, hk_duration queue_wait,
                         hk_status *status)
{
    enum decision decision = QUEUE_IT;
    hk_job *victim = NULL; /* Not by this policy. */

    pthread_mutex_lock(&pool->lock);
    *status = open_state(pool);
    if (*status == HK_OK && hki_task_queue_full(&pool->queue)) {
        decision = decide(pool, queue_wait, &victim, status);
        if (decision == QUEUE_IT) {
            *status = open_state(pool);
        }
    }
    if (*status == HK_OK && decision == QUEUE_IT && pool->live == 0) {
        *status = hki_pool_start_worker(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    if (*status == HK_OK && decision == RUN_IT_HERE) {
        run_here(pool, job);
    }
    return *status == HK_OK && decision == QUEUE_IT;
}

/* Work was brought, and nobody looks for it: it may also be that the pool was closed, or the
 * last worker left, since it was seen open and manned. What is here by now was accepted: it is
 * run, or ended. */
__attribute__((noinline)) static void call_for_help(struct thread_pool *pool)
{
    struct taken taken;
    bool broken;

    pthread_mutex_lock(&pool->lock);
    hki_pool_grow(pool);
    hki_pool_abandon(pool, &taken);
    broken = pool->broken;
    pthread_mutex_unlock(&pool->lock);
    hki_pool_discard_abandoned(pool, &taken, broken);
}

bool hki_thread_pool_may_put(void *self)
{
    struct thread_pool *pool = self;

    /* relaxed: a hint; what changes meanwhile is seen after the put. */
    return atomic_load_explicit(&pool->is_manned, memory_order_relaxed) &&
           hki_pool_in_lanes(pool) < pool->queue.capacity;
}

static hk_status submit_to_lane(struct thread_pool *pool, hk_job *job, hk_duration queue_wait)
{
    hk_status status = HK_OK;

    if (!hki_thread_pool_may_put(pool)) {
        if (!prepare_lane(pool, job, queue_wait, &status)) {
            return status;
        }
    }
    hki_pool_put(pool, hki_pool_own_worker(pool), job);
    if (hki_crew_calls(&pool->crew)) {
        call_for_help(pool);
    }
    return HK_OK;
}

/* A worker is in no need of the lane's checks: its pool is manned, and its deck has its own
 * bound. */
hk_status hki_thread_pool_submit_slim(void *self, hk_job *job)
{
    struct thread_pool *pool = self;
    struct worker *worker = hki_pool_own_worker(pool);

    if (worker == NULL) {
        atomic_fetch_add(&pool->executor->counts.of[HKI_ACCEPTED], 1);
        return submit_to_lane(pool, job, HK_FOREVER);
    }
    hki_work_count_own(&worker->deck->counts, HKI_ACCEPTED);
    if (!hki_deque_put(&worker->deck->deque, job)) {
        return submit_to_lane(pool, job, HK_FOREVER);
    }
    if (hki_crew_calls(&pool->crew)) {
        call_for_help(pool);
    }
    return HK_OK;
}

hk_status hki_thread_pool_submit(void *self, hk_job *job, hk_duration queue_wait)
{
    struct thread_pool *pool = self;

    return hki_job_in_lane(job) ? submit_to_lane(pool, job, queue_wait)
                                : submit_to_queue(pool, job, queue_wait);
}

void hki_thread_pool_put_many(void *self, void *const *jobs, size_t count)
{
    struct thread_pool *pool = self;

    hki_pool_put_many(pool, hki_pool_own_worker(pool), jobs, count);
    if (hki_crew_calls(&pool->crew)) {
        call_for_help(pool);
    }
}
