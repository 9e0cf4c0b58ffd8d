/* SPDX-License-Identifier: MIT */
/*
 * Workers come and go: how many, when, and how often again.
 *
 * A worker that dies before it ended any task costs a token; there are twice as many as
 * workers, and one comes back every 100 ms, later and later (up to 5 s) as long as no task
 * ends. So tasks that kill every worker at once cost little, and workers that die now and
 * then are replaced at once.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/fork.h"
#include "base/live.h"
#include "base/log.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/packed_error.h"
#include "executors/process_pool/pool.h"

#define REFILL_LEAST_NS 100000000LL
#define REFILL_MOST_NS  5000000000LL

void hki_seat_where(const struct seat *seat, char *text, size_t size)
{
    snprintf(text, size, "worker %s_%u (pid %d)", seat->pool->executor->name, seat->index,
             (int)seat->pid);
}

/* --- tokens --- */

static void refill(struct process_pool *pool)
{
    int64_t now_ns = hk_now_ns();
    double most = 2.0 * pool->target;

    if (pool->refill_ns == 0) { /* A task has ended since. */
        pool->refill_ns = REFILL_LEAST_NS;
        pool->tokens = most;
        pool->tokens_at_ns = now_ns;
    }
    while (pool->tokens < most && now_ns - pool->tokens_at_ns >= pool->refill_ns) {
        pool->tokens_at_ns += pool->refill_ns;
        pool->tokens += 1.0;
        pool->refill_ns *= 2;
        pool->refill_ns = pool->refill_ns > REFILL_MOST_NS ? REFILL_MOST_NS : pool->refill_ns;
    }
}

/* Of what is there: workers are started on the word of one token, and many may die before the
 * next is asked for. A debt would have to be waited for by those who did nothing. */
void hki_pool_spend_token(struct process_pool *pool)
{
    pool->tokens = pool->tokens > 1.0 ? pool->tokens - 1.0 : 0.0;
}

/* Whether another worker may be started now; if not, respawn_at_ns says when to ask again. */
static bool may_start(struct process_pool *pool)
{
    refill(pool);
    if (pool->tokens >= 1.0) {
        pool->respawn_at_ns = HKI_NEVER;
        return true;
    }
    pool->respawn_at_ns = pool->tokens_at_ns + pool->refill_ns;
    if (!pool->attended) { /* Else it would ring itself, on and on. */
        hki_zygote_ring(); /* The supervisor may sleep for longer. */
    }
    return false;
}

/* --- starting --- */

static struct seat *empty_seat(struct process_pool *pool)
{
    for (unsigned i = 0; i < pool->seat_count; i++) {
        if (pool->seats[i].life == SEAT_EMPTY) {
            return &pool->seats[i];
        }
    }
    return NULL;
}

/* A new worker finds a channel as if nobody had been there. */
static void reset_channel(struct seat *seat)
{
    struct hki_channel *channel = seat->channel;

    seat->generation++;
    atomic_store(&seat->tail, 0);
    atomic_store(&seat->done, 0);
    atomic_store(&channel->tail, 0);
    atomic_store(&channel->done, 0);
    /* What waits for it is given to it as soon as it says that it is ready. */
    atomic_store(&channel->may_spin,
                 seat->pool->queue.length != 0 && seat->pool->busy < seat->pool->cpus ? 1 : 0);
    atomic_store(&channel->retire, 0);
    atomic_store(&channel->sleeping, 0);
    atomic_store(&channel->stage, HKI_WORKER_STARTING);
    atomic_store(&channel->served, 0);
    atomic_store(&channel->rss_bytes, 0);
    atomic_store(&channel->crash.said, 0);
    channel->index = seat->index;
    channel->generation = seat->generation;
    channel->overflow_allowed = atomic_load(&seat->pool->memory->views[seat->index]) == 0;
    channel->failure_size = 0;
    for (unsigned i = 0; i < HKI_CELLS; i++) {
        atomic_store(&channel->cells[i].state, (uint32_t)HKI_CELL_FREE);
    }
}

/* Up to a tenth more or less, so that workers that began together do not leave together. */
static unsigned tasks_for_one(struct process_pool *pool)
{
    enum { JITTER_FROM = 20, TENTH = 10 };
    unsigned limit = pool->tasks_per_worker;

    if (limit == 0) {
        return UINT_MAX;
    }
    if (limit < JITTER_FROM) {
        return limit;
    }
    pool->jitter = pool->jitter * 1664525U + 1013904223U; /* Knuth's generator. */
    return limit - limit / TENTH + (pool->jitter >> 16) % (2 * (limit / TENTH) + 1);
}

static void sit_down(struct seat *seat, int socket, int stop_event)
{
    struct process_pool *pool = seat->pool;

    seat->life = SEAT_STARTING;
    seat->is_ready = false;
    seat->born = false;
    seat->pid = 0;
    seat->socket = socket;
    seat->stop_event = stop_event;
    seat->tasks_left = tasks_for_one(pool);
    seat->ended = 0;
    seat->idle_since_ns = 0;
    seat->started_ns = hk_now_ns();
    seat->killed_ns = 0;
    seat->signal = 0;
    seat->passes_since_ns = 0;
    seat->asked_to_die = false;
    seat->broke_rules = false;
    pool->live++;
    pool->starting++;
    pool->started_ever++;
    if (seat->index >= pool->high_seat) {
        atomic_store(&pool->high_seat, seat->index + 1);
    }
    hki_live_add(HKI_LIVE_WORKERS, 1);
    atomic_fetch_add(&pool->newcomers, 1);
    if (pool->has_leader) {
        hki_os_futex_wake(&pool->newcomers, 1); /* It does not sleep on this one's bell. */
    }
    hki_zygote_ring(); /* The supervisor minds how long it takes. */
}

/* Without descriptors, or a zygote, to be had now: again in a while. */
static bool later(struct process_pool *pool)
{
    hki_pool_spend_token(pool);
    (void)may_start(pool);
    if (pool->respawn_at_ns == HKI_NEVER) {
        pool->respawn_at_ns = hki_deadline(REFILL_LEAST_NS);
        hki_zygote_ring();
    }
    return false;
}

bool hki_pool_hire(struct process_pool *pool)
{
    struct seat *seat = empty_seat(pool);
    int pair[2];
    int stop_event;

    if (seat == NULL || pool->lost || !may_start(pool)) {
        return false;
    }
    if (!hki_socket_pair(pair)) {
        return later(pool);
    }
    if ((stop_event = hki_os_event_create()) < 0) {
        hki_os_close(pair[0]);
        hki_os_close(pair[1]);
        return later(pool);
    }
    reset_channel(seat);
    if (hki_zygote_spawn(&pool->client, seat->index, seat->generation, pair[1], stop_event) !=
        HK_OK) {
        hki_os_close(pair[0]);
        hki_os_close(stop_event);
        return later(pool);
    }
    sit_down(seat, pair[0], stop_event);
    return true;
}

/* How many workers there should be for what there is to do. */
static unsigned wanted(const struct process_pool *pool)
{
    size_t work = pool->queue.length + pool->given;

    if (pool->closing && pool->queue.length == 0) {
        return 0;
    }
    /* One that died is replaced also if nothing waits for it now. */
    work = work < pool->standing ? pool->standing : work;
    return work < pool->target ? (unsigned)work : pool->target;
}

void hki_pool_staff(struct process_pool *pool)
{
    while (!pool->broken && !pool->killing && pool->live < wanted(pool) && hki_pool_hire(pool)) {
    }
    if (pool->closing && pool->queue.length == 0) {
        for (unsigned i = 0; i < pool->high_seat; i++) {
            hki_seat_retire(&pool->seats[i]);
        }
    }
}

/* --- leaving --- */

void hki_seat_retire(struct seat *seat)
{
    if (seat->life == SEAT_READY) {
        seat->life = SEAT_LEAVING;
        hki_list_remove(&seat->idle);
        atomic_store(&seat->channel->retire, 1);
        hki_seat_wake(seat);
    }
}

void hki_seat_signal(struct seat *seat, int signal, hk_duration later_ns)
{
    if (later_ns > 0) {
        seat->signal = signal;
        seat->signal_at_ns = hki_deadline(later_ns);
        hki_zygote_ring();
        return;
    }
    if (seat->life == SEAT_READY) {
        hki_list_remove(&seat->idle);
    }
    seat->life = SEAT_DYING;
    seat->asked_to_die = true;
    seat->signal = 0;
    if (signal == SIGKILL && seat->killed_ns == 0) {
        seat->killed_ns = hk_now_ns();
        hki_zygote_ring(); /* Likewise. */
    }
    (void)hki_zygote_kill(&seat->pool->client, seat->index, seat->generation, signal);
}

void hki_seat_expel(struct seat *seat)
{
    seat->broke_rules = true;       /* Also of one that is dying: nobody may go on reading it. */
    hki_pool_withdraw_queued(seat); /* Or the kill could meet one that has begun by then. */
    if (seat->life != SEAT_DYING) {
        hki_seat_signal(seat, SIGKILL, 0);
    }
}

void hki_seat_rests(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    pool->busy--;
    if (seat->life != SEAT_READY) {
        return;
    }
    hki_list_prepend(&pool->idle, &seat->idle);
    if (pool->idle_exit != HK_FOREVER) {
        seat->idle_since_ns = hk_now_ns();
        /* It may be a caller that found it so, while the supervisor sleeps. */
        if (pool->idle_look_at_ns == HKI_NEVER) {
            pool->idle_look_at_ns = hki_deadline(pool->idle_exit);
            hki_zygote_ring();
        }
    }
}

/* Under the lock: workers that are no longer on their way out. */
static unsigned staying(const struct process_pool *pool)
{
    unsigned count = 0;

    for (unsigned i = 0; i < pool->high_seat; i++) {
        enum seat_life life = pool->seats[i].life;

        count += life == SEAT_STARTING || life == SEAT_READY ? 1 : 0;
    }
    return count;
}

void hki_seat_review(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    if (seat->life != SEAT_READY) {
        return;
    }
    if (seat->tasks_left == 0 ||
        (pool->worker_rss_limit != 0 &&
         atomic_load(&seat->channel->rss_bytes) > pool->worker_rss_limit) ||
        staying(pool) > pool->target) {
        hki_pool_withdraw_queued(seat);
        hki_seat_retire(seat);
    }
}

void hki_seat_vacate(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    if (!seat->is_ready) {
        pool->starting--;
    }
    hki_list_remove(&seat->idle);
    seat->life = SEAT_EMPTY;
    seat->signal = 0;
    pool->live--;
    if (seat->socket >= 0) {
        hki_os_close(seat->socket);
        hki_os_close(seat->stop_event);
        seat->socket = -1;
        seat->stop_event = -1;
    }
    hki_live_add(HKI_LIVE_WORKERS, -1);
    hki_condition_broadcast(&pool->settled);
}

void hki_seat_check_stage(struct seat *seat)
{
    struct process_pool *pool = seat->pool;

    if (seat->life != SEAT_STARTING || seat->is_ready ||
        atomic_load(&seat->channel->stage) != HKI_WORKER_READY) {
        return;
    }
    seat->life = SEAT_READY;
    seat->is_ready = true;
    seat->idle_since_ns = hk_now_ns();
    pool->starting--;
    pool->init_failures = 0;
    pool->crowded = false;
    hki_list_prepend(&pool->idle, &seat->idle);
    hki_condition_broadcast(&pool->settled);
    if (pool->standing < pool->live) {
        pool->standing = pool->live;
    }
    hki_seat_review(seat); /* Fewer may be wanted by now. */
}
