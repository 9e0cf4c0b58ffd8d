/* SPDX-License-Identifier: MIT */
/*
 * From the queue to the workers: first to one that has nothing to do, the last that worked
 * before others, for it may still be looking for work; then to a new one; then, a few ahead,
 * to the one with the least.
 */
#include <signal.h>

#include "base/time.h"
#include "executors/process_pool/pool.h"
#include "executors/room.h"

enum { WAKE_NS = 30000, SHORT_NS = 50000, LONG_RUN_NS = 200000, LOOK_EVERY = 8 };

/* --- choosing --- */

static bool takes_more(const struct seat *seat, unsigned depth)
{
    return seat->life == SEAT_READY && seat->tasks_left != 0 &&
           hki_seat_outstanding(seat) < depth && !seat->broke_rules;
}

/* Whether the task that runs there has been at it for longer than such tasks are. */
static bool runs_for_long(const struct seat *seat)
{
    uint32_t request = atomic_load(&((struct seat *)seat)->done);
    /* relaxed: a time, to compare with; of an earlier request until this one begins. */
    int64_t started_ns =
        atomic_load_explicit(&hki_seat_cell(seat, request)->started_ns, memory_order_relaxed);

    return started_ns > 0 && /* Its word; what was never is no time. */
           hki_cell_phase(atomic_load(&hki_seat_cell(seat, request)->state)) == HKI_CELL_RUNNING &&
           hk_now_ns() - started_ns > LONG_RUN_NS;
}

/* One that has nothing to do, awake if there is such a one. */
static struct seat *idle_seat(struct process_pool *pool)
{
    struct seat *asleep = NULL;

    for (struct hki_list *at = pool->idle.next; at != &pool->idle; at = at->next) {
        struct seat *seat = HKI_CONTAINER(at, struct seat, idle);

        if (!takes_more(seat, 1)) {
            continue;
        }
        if (atomic_load(&seat->channel->sleeping) == 0) {
            return seat;
        }
        asleep = asleep == NULL ? seat : asleep;
    }
    return asleep;
}

/* Of those that have something to do. */
static struct seat *least_loaded(struct process_pool *pool)
{
    struct seat *best = NULL;

    if (pool->crowded || pool->exact || pool->busy == 0) {
        return NULL;
    }
    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[(pool->rotation + i) % pool->high_seat];

        if (takes_more(seat, pool->depth) && hki_seat_outstanding(seat) != 0 &&
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
    struct seat *idle = idle_seat(pool);
    struct seat *busy;

    /* Descriptors wait in the worker's socket, so only a few may be on their way. */
    if (hki_job_needs_socket(pool, job)) {
        return idle;
    }
    if (idle != NULL && (pool->mean_ns == 0 || atomic_load(&idle->channel->sleeping) == 0)) {
        return idle;
    }
    busy = least_loaded(pool);
    /* Tasks that are done before another worker could wake up are not worth the wake. */
    if (idle != NULL &&
        (busy == NULL || (hki_seat_outstanding(busy) + 1) * pool->mean_ns > WAKE_NS ||
         runs_for_long(busy))) {
        return idle;
    }
    return busy;
}

/* --- giving --- */

/* Under the lock, which is released for a moment. */
static void refuse(struct process_pool *pool, hk_job *job, hk_status status)
{
    pool->concluding++;
    pthread_mutex_unlock(&pool->lock);
    hki_courier_discard(pool, job, status, "it could not be sent to a worker process");
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
    if (job->taken) {
        hki_job_drop_input(job);
    }
    hki_courier_give_back(pool, job, false);
    pthread_mutex_lock(&pool->lock);
    pool->concluding--;
    hki_condition_broadcast(&pool->settled);
}

/* Whether what waits for this worker will have begun before another one could wake up. */
static bool runs_soon(const struct seat *seat)
{
    return seat->pool->mean_ns != 0 && seat->pool->mean_ns < SHORT_NS && !runs_for_long(seat);
}

/* Whether a request behind the one that runs could go elsewhere. One that was taken back has no
 * job any more, though its cell stays taken. */
static hk_job *movable(struct process_pool *pool, struct seat *seat, uint32_t place)
{
    /* relaxed: under the lock. */
    uint32_t done = atomic_load_explicit(&seat->done, memory_order_relaxed);
    hk_job *job = hki_seat_entry(seat, done + place)->job;

    return job == NULL || hki_job_needs_socket(pool, job) ? NULL : job;
}

static unsigned count_movable(struct process_pool *pool, struct seat *seat)
{
    unsigned count = 0;

    for (uint32_t place = 1; place < hki_seat_outstanding(seat); place++) {
        count += movable(pool, seat, place) != NULL ? 1 : 0;
    }
    return count;
}

/* The worker that has most to give away; *soon: one was passed over that needs no help yet. */
static struct seat *most_loaded(struct process_pool *pool, const struct seat *idle, bool *soon)
{
    struct seat *most = NULL;
    unsigned count = 0;

    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[i];
        unsigned movables;

        if (seat == idle || hki_seat_outstanding(seat) < 2) {
            continue;
        }
        if (runs_soon(seat)) {
            *soon = true;
        } else if ((movables = count_movable(pool, seat)) > count) {
            most = seat;
            count = movables;
        }
    }
    return most;
}

/* A job that a busy worker has, and has not begun, goes to one that has nothing to do. */
static hk_job *recall_for(struct process_pool *pool, const struct seat *idle, bool *soon)
{
    struct seat *most = most_loaded(pool, idle, soon);

    for (uint32_t place = most == NULL ? 0 : hki_seat_outstanding(most); place > 1; place--) {
        hk_job *job = movable(pool, most, place - 1);

        if (job != NULL && hki_seat_withdraw(most, atomic_load(&most->done) + place - 1)) {
            return job;
        }
    }
    return NULL;
}

/* It will be looked at again by the supervisor, soon, and once. */
static void look_later(struct process_pool *pool)
{
    if (pool->rebalance_at_ns == HKI_NEVER) {
        pool->rebalance_at_ns = hk_now_ns() + HKI_NAP_NS;
        if (!pool->minded) { /* Else it is awake before that. */
            hki_zygote_ring();
        }
    }
}

static void balance(struct process_pool *pool)
{
    struct seat *seat;
    bool soon = false;

    while (pool->queue.length == 0 && !pool->closing && pool->outstanding > pool->busy &&
           (seat = idle_seat(pool)) != NULL) {
        hk_job *job = recall_for(pool, seat, &soon);

        if (job == NULL) {
            if (soon) {
                look_later(pool);
            }
            return;
        }
        if (is_over(job)) {
            let_go(pool, job);
            continue;
        }
        if (hki_seat_give(seat, job) != HK_OK) {
            hki_task_queue_push_front(&pool->queue, job);
            pool->may_pass = true;
            return;
        }
    }
}

/* A worker that nothing can be sent to: it is dead, and nobody has told us yet, or a task of it has
 * closed what was not its own, or reads nothing any more. */
static void send_away(struct seat *seat)
{
    if (seat->ended == 0) {
        hki_pool_spend_token(seat->pool); /* As for one that died by itself: see seats.c. */
    }
    hki_seat_signal(seat, SIGKILL, 0);
}

/* False: it, or one before it, waits for memory. */
static bool give_or_wait(struct process_pool *pool, struct seat *seat, hk_job *job)
{
    hk_status status;

    if (is_over(job)) {
        let_go(pool, job);
        return true;
    }
    status = hki_seat_give(seat, job);
    switch (status) {
    case HK_OK:
        return true;
    case HK_EFULL:
        hki_task_queue_push_front(&pool->queue, job);
        return false;
    case HK_EWORKER:
        send_away(seat);
        hki_task_queue_push_front(&pool->queue, job);
        pool->may_pass = true;
        return true;
    default:
        refuse(pool, job, status);
        return true;
    }
}

static void give_in_turn(struct process_pool *pool)
{
    struct seat *seat;

    pool->stalled = false;
    while (pool->queue.length != 0 && !pool->stalled &&
           (seat = choose(pool, hki_task_queue_peek(&pool->queue))) != NULL) {
        pool->stalled = !give_or_wait(pool, seat, hki_task_queue_pop(&pool->queue));
    }
}

/* The first in the queue that needs none of the pool's memory. */
static hk_job *find_passer(struct process_pool *pool)
{
    for (int lane = 0; lane < HKI_LANES; lane++) {
        struct hki_list *end = &pool->queue.lanes[lane];

        for (struct hki_list *at = end->next; at != end; at = at->next) {
            hk_job *job = HKI_CONTAINER(at, hk_job, link);

            if (!hki_job_needs_room(pool, job)) {
                return job;
            }
        }
    }
    return NULL;
}

/* Gives a task that stands behind others. False: it, too, waits for memory. */
static bool give_passer(struct process_pool *pool, struct seat *seat, hk_job *job)
{
    (void)hki_task_queue_remove(&pool->queue, job);
    return give_or_wait(pool, seat, job);
}

/* The first in the queue waits for memory, and workers have nothing to do. It may be that only
 * tasks behind it will give some back, which have buffers, or somebody who waits for one of them.
 * So those that need none pass by. newest: just put at the end of its lane, if it is still there;
 * or NULL. Of all others it is known whether one may be among them. */
static void let_pass(struct process_pool *pool, const struct hki_list *lane, const hk_job *newest)
{
    bool is_there = newest != NULL && lane->previous == &newest->link;
    struct seat *seat = pool->stalled ? idle_seat(pool) : NULL;
    hk_job *job = is_there ? HKI_CONTAINER(lane->previous, hk_job, link) : NULL;

    if (job != NULL && !hki_job_needs_room(pool, job)) {
        if (seat != NULL && !pool->may_pass) {
            (void)give_passer(pool, seat, job);
            seat = idle_seat(pool); /* It may have come back, and the seat be gone. */
        } else {
            pool->may_pass = true;
        }
    }
    while (pool->may_pass && seat != NULL) {
        job = find_passer(pool);
        pool->may_pass = job != NULL;
        if (job != NULL && !give_passer(pool, seat, job)) {
            return;
        }
        seat = idle_seat(pool);
    }
}

/* newest: just put at the end of a lane, or NULL. It may be gone before this returns. */
static void dispatch(struct process_pool *pool, const hk_job *newest)
{
    const struct hki_list *lane = newest == NULL ? NULL : newest->link.next;

    give_in_turn(pool);
    let_pass(pool, lane, newest);
    balance(pool);
    hki_pool_staff(pool);
}

void hki_pool_dispatch(struct process_pool *pool)
{
    dispatch(pool, NULL);
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
    case HK_FULL_FAIL:
    case HK_FULL_CALLER_RUNS: /* Not in this process: it asked for others. */
        return HK_EFULL;
    case HK_FULL_DROP_OLDEST:
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
    bool looks = false;
    bool is_over;
    hk_status status;

    pthread_mutex_lock(&pool->lock);
    status = open_state(pool);
    /* A limit or a token may have ended it before it came here, or while it waits for room: then
     * its input has been dropped. Whoever ends it from now on finds it, under this lock. */
    is_over = hki_phase(hki_future_state(&job->future)) >= HKI_ENDING;
    if (status == HK_OK && !is_over && !job->forced && hki_task_queue_full(&pool->queue)) {
        status = make_room(pool, queue_wait, &victim);
    }
    is_over = status == HK_OK && hki_phase(hki_future_state(&job->future)) >= HKI_ENDING;
    if (status == HK_OK && !is_over) {
        hki_task_queue_push(&pool->queue, job);
        dispatch(pool, job);
        /* What no worker takes now waits for the end of another one. */
        looks = pool->queue.length != 0 && hki_pool_end_quiet(pool, HKI_RING_COALESCED);
        /* Who submits more than it waits would leave all results to the supervisor, and would
         * contend with that for every lock. */
        looks = ++pool->submits % LOOK_EVERY == 0 || looks;
    } else if (is_over) {
        /* It may have been woken for room: the next one is. */
        hki_task_queue_made_room(&pool->queue);
    }
    pthread_mutex_unlock(&pool->lock);
    if (is_over) {
        hk_future_unref(&job->future); /* Of who would have run it. */
    }
    if (looks) {
        hki_pool_look(pool);
    }
    if (victim != NULL) {
        hk_job_discard(victim, HK_EFULL, "the queue was full and it was the oldest");
    }
    return status;
}
