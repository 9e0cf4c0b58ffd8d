/* SPDX-License-Identifier: MIT */
/*
 * From the queue to the workers: first to one that has nothing to do, the last that worked
 * before others, for it may still be looking for work; then to a new one; then, a few ahead,
 * to the one with the least.
 */
#include "executors/process_pool/pool.h"

#include "base/time.h"
#include "executors/room.h"

enum { SHORT_NS = 50000, LONG_RUN_NS = 200000 };

/* --- choosing --- */

static bool takes_more(const struct seat *seat, unsigned depth)
{
    return seat->life == SEAT_READY && seat->tasks_left != 0 &&
           hki_seat_outstanding(seat) < depth && !seat->broke_rules;
}

static struct seat *idle_seat(struct process_pool *pool)
{
    for (struct hki_list *at = pool->idle.next; at != &pool->idle; at = at->next) {
        struct seat *seat = HKI_CONTAINER(at, struct seat, idle);

        if (takes_more(seat, 1)) {
            return seat;
        }
    }
    return NULL;
}

static struct seat *least_loaded(struct process_pool *pool)
{
    struct seat *best = NULL;

    if (pool->crowded) {
        return NULL;
    }
    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[(pool->rotation + i) % pool->high_seat];

        if (takes_more(seat, pool->depth) &&
            (best == NULL || hki_seat_outstanding(seat) < hki_seat_outstanding(best))) {
            best = seat;
        }
    }
    pool->crowded = best == NULL;
    pool->rotation = best == NULL ? pool->rotation : best->index + 1;
    return best;
}

static struct seat *choose(struct process_pool *pool, const hk_job *job)
{
    struct seat *seat = idle_seat(pool);

    if (seat != NULL) {
        return seat;
    }
    /* Descriptors wait in the worker's socket, so only a few may be on their way. And a job
     * with a limit on its run is given to none but who can begin at once. */
    return hki_job_needs_socket(pool, job) ? NULL : least_loaded(pool);
}

/* --- giving --- */

/* Under the lock, which is released for a moment. */
static void refuse(struct process_pool *pool, hk_job *job, hk_status status)
{
    pool->concluding++;
    pthread_mutex_unlock(&pool->lock);
    hk_job_discard(job, status, "it could not be sent to a worker process");
    pthread_mutex_lock(&pool->lock);
    pool->concluding--;
    hki_condition_broadcast(&pool->settled);
}

/* One that was ended before it began: its reference goes, as hk_job_run() would let it. */
static bool is_over(const hk_job *job)
{
    return hki_phase(hki_future_state(&job->future)) >= HKI_ENDING;
}

static void let_go(struct process_pool *pool, hk_job *job)
{
    pool->concluding++;
    pthread_mutex_unlock(&pool->lock);
    hk_future_unref(&job->future);
    pthread_mutex_lock(&pool->lock);
    pool->concluding--;
    hki_condition_broadcast(&pool->settled);
}

/* Whether what waits for this worker will have begun before another one could wake up: its
 * tasks are short, and the one that runs has not been at it for long. */
static bool runs_soon(const struct seat *seat)
{
    int64_t started_ns;

    if (seat->pool->mean_ns == 0 || seat->pool->mean_ns >= SHORT_NS) {
        return false;
    }
    /* relaxed: a time, to compare with. */
    started_ns = atomic_load_explicit(
        &hki_seat_cell(seat, atomic_load(&((struct seat *)seat)->done))->started_ns,
        memory_order_relaxed);
    return started_ns == 0 || hk_now_ns() - started_ns < LONG_RUN_NS;
}

/* How many jobs a worker has beside the one it is at; those withdrawn are not counted, though
 * they are outstanding until the worker has passed over them. */
static unsigned count_waiting(struct seat *seat)
{
    unsigned count = 0;

    for (uint32_t i = 1; i < hki_seat_outstanding(seat); i++) {
        /* relaxed: under the lock. */
        uint32_t request = atomic_load_explicit(&seat->done, memory_order_relaxed) + i;

        count += hki_seat_entry(seat, request)->job != NULL ? 1 : 0;
    }
    return count;
}

/* The last given of those, unless it begins just now. */
static hk_job *recall_from(struct process_pool *pool, struct seat *seat)
{
    for (uint32_t i = hki_seat_outstanding(seat); i > 1; i--) {
        /* relaxed: under the lock. */
        uint32_t request = atomic_load_explicit(&seat->done, memory_order_relaxed) + i - 1;
        hk_job *job = hki_seat_entry(seat, request)->job;

        if (job != NULL && !hki_job_needs_socket(pool, job) && hki_seat_withdraw(seat, request)) {
            return job;
        }
    }
    return NULL;
}

/* A job that a busy worker has, and has not begun, goes to one that has nothing to do. */
static hk_job *recall_for(struct process_pool *pool, const struct seat *idle)
{
    struct seat *most = NULL;
    unsigned most_waiting = 0;

    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[i];
        unsigned waiting;

        if (seat != idle && hki_seat_outstanding(seat) > most_waiting + 1 &&
            (waiting = count_waiting(seat)) > most_waiting) {
            most = seat;
            most_waiting = waiting;
        }
    }
    if (most != NULL && runs_soon(most)) {
        pool->unbalanced = true; /* Look again later: see attend.c. */
        return NULL;
    }
    return most == NULL ? NULL : recall_from(pool, most);
}

static void balance(struct process_pool *pool)
{
    bool was_unbalanced = pool->unbalanced;
    struct seat *seat;

    pool->unbalanced = false;

    while (pool->queue.length == 0 && !pool->closing && pool->outstanding > pool->busy &&
           (seat = idle_seat(pool)) != NULL) {
        hk_job *job = recall_for(pool, seat);

        if (job == NULL) {
            if (pool->unbalanced && !was_unbalanced) {
                hki_zygote_ring();
            }
            return;
        }
        if (hki_seat_give(seat, job) != HK_OK) {
            hki_task_queue_push_front(&pool->queue, job);
            return;
        }
    }
}

void hki_pool_dispatch(struct process_pool *pool)
{
    while (pool->queue.length != 0) {
        hk_job *job = hki_task_queue_peek(&pool->queue);
        struct seat *seat = choose(pool, job);
        hk_status status;

        if (seat == NULL) {
            break;
        }
        job = hki_task_queue_pop(&pool->queue);
        if (is_over(job)) {
            let_go(pool, job);
            continue;
        }
        status = hki_seat_give(seat, job);
        if (status == HK_EFULL) {
            pool->stalled++;
            hki_task_queue_push_front(&pool->queue, job);
            break;
        }
        if (status != HK_OK) {
            refuse(pool, job, status);
        }
    }
    balance(pool);
    hki_pool_staff(pool);
}

/* --- submitting --- */

static bool takes_nothing(const void *self)
{
    const struct process_pool *pool = self;

    return pool->closing || pool->broken;
}

/* Under the lock: HK_OK, or why the pool takes nothing. */
static hk_status open_state(const struct process_pool *pool)
{
    if (pool->broken) {
        const struct hki_error *error = atomic_load(&pool->executor->broken);

        return error == NULL ? HK_EBROKEN : error->shown.status;
    }
    return pool->closing ? HK_ECLOSED : HK_OK;
}

static hk_status make_room(struct process_pool *pool, hk_duration queue_wait, hk_job **victim)
{
    hk_status status;

    switch (pool->queue.when_full) {
    case HK_FULL_FAILS:
    case HK_FULL_CALLER_RUNS: /* Not in this process: it asked for others. */
        return HK_EFULL;
    case HK_FULL_DROPS_OLDEST:
        *victim = hki_task_queue_pop_oldest(&pool->queue);
        return HK_OK;
    default:
        status = hki_room_await(pool->executor, &pool->queue, &pool->lock, takes_nothing,
                                hki_deadline(queue_wait));
        return status == HK_OK ? open_state(pool) : status;
    }
}

hk_status hki_pool_submit(void *self, hk_job *job, hk_duration queue_wait)
{
    struct process_pool *pool = self;
    hk_job *victim = NULL;
    hk_status status;

    pthread_mutex_lock(&pool->lock);
    status = open_state(pool);
    if (status == HK_OK && !job->forced && hki_task_queue_full(&pool->queue)) {
        status = make_room(pool, queue_wait, &victim);
    }
    if (status == HK_OK) {
        hki_task_queue_push(&pool->queue, job);
        hki_pool_dispatch(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    if (victim != NULL) {
        hk_job_discard(victim, HK_EFULL, "the queue was full and it was the oldest");
    }
    return status;
}
