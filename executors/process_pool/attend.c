/* SPDX-License-Identifier: MIT */
/*
 * The pool on the supervisor's thread: collecting when no caller does, and whatever has a
 * time.
 *
 * After something was collected it naps: workers ring only when they run dry, have half a
 * ring full, or somebody waits; else it looks again by itself. After a nap in which nothing
 * came it sleeps until the next result rings. So busy workers do not pay for a wake with
 * every task, a result that nobody waits for is reported 0.3 ms late at most, and an idle
 * pool wakes nobody.
 *
 * Callers that wait again and again, and collect meanwhile, count as such a find: between two
 * of their waits the supervisor naps, and need not be rung at all.
 */
#include <signal.h>

#include "base/time.h"
#include "executors/process_pool/pool.h"

#define ANSWER_NS HK_SEC(5)  /* Which the zygote has. */
#define PASS_NS   HK_SEC(5)  /* Which a worker has to pass over what was taken back. */
#define HEAR_NS   HK_MS(200) /* To find what was said or done meanwhile. */

/* Under the lock: until when it has to have passed over it. HKI_NEVER: over nothing. A task that
 * runs may write into its cell that it has not begun, and looks as if it could be taken back:
 * then its worker stays where it is, and would be waited for by every shutdown. */
static int64_t mind_passing(struct seat *seat, int64_t now_ns)
{
    if (!hki_seat_has_to_pass(seat)) {
        seat->passes_since_ns = 0;
        return HKI_NEVER;
    }
    if (seat->passes_since_ns == 0 || seat->passes != seat->done) {
        seat->passes = seat->done;
        seat->passes_since_ns = now_ns;
        seat->suspected_at_ns = 0;
    }
    if (now_ns - seat->passes_since_ns < PASS_NS) {
        return seat->passes_since_ns + PASS_NS;
    }
    if (seat->suspected_at_ns == 0) { /* Both it and this process may just have been stopped. */
        seat->suspected_at_ns = now_ns;
    }
    if (now_ns - seat->suspected_at_ns < HEAR_NS) {
        return seat->suspected_at_ns + HEAR_NS;
    }
    hki_seat_expel(seat);
    return HKI_NEVER;
}

/* Under the lock: workers that have told of their state, and those whose time has come. */
static int64_t see_to_seats(struct process_pool *pool, int64_t now_ns)
{
    int64_t until_ns = HKI_NEVER;

    pool->idle_look_at_ns = HKI_NEVER;

    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[i];

        hki_seat_check_stage(seat);
        until_ns = hki_earlier(until_ns, mind_passing(seat, now_ns));
        if (seat->signal != 0 && seat->life != SEAT_EMPTY) {
            if (seat->signal_at_ns <= now_ns) {
                hki_seat_carry_out(seat);
            } else {
                until_ns = hki_earlier(until_ns, seat->signal_at_ns);
            }
        }
        if (seat->life == SEAT_READY && pool->idle_exit != HK_FOREVER &&
            hki_seat_outstanding(seat) == 0) {
            int64_t leaves_ns;

            if (__builtin_add_overflow(seat->idle_since_ns, pool->idle_exit, &leaves_ns)) {
                continue;
            }
            if (leaves_ns <= now_ns) {
                pool->standing -= pool->standing != 0 ? 1 : 0;
                hki_seat_retire(seat);
            } else {
                pool->idle_look_at_ns = hki_earlier(pool->idle_look_at_ns, leaves_ns);
            }
        }
    }
    return hki_earlier(until_ns, pool->idle_look_at_ns);
}

/* Under the lock: until when the zygote has to have told of a birth or a death. HKI_NEVER:
 * nothing is owed. */
static int64_t answer_due_ns(const struct process_pool *pool)
{
    int64_t since_ns = HKI_NEVER;

    for (unsigned i = 0; i < pool->high_seat; i++) {
        const struct seat *seat = &pool->seats[i];

        if (seat->life != SEAT_EMPTY && !seat->born) {
            since_ns = hki_earlier(since_ns, seat->started_ns);
        }
        /* A worker may be slow to die, in the hands of some device. */
        if (seat->life == SEAT_DYING && seat->killed_ns != 0 &&
            (hk_now_ns() - seat->killed_ns < ANSWER_NS || hki_zygote_is_stopped())) {
            since_ns = hki_earlier(since_ns, seat->killed_ns);
        }
    }
    if (since_ns == HKI_NEVER) {
        return HKI_NEVER;
    }
    return (since_ns > pool->heard_ns ? since_ns : pool->heard_ns) + ANSWER_NS;
}

/* Under the lock. A zygote that does not answer is as good as dead, and is made so: else
 * tasks would wait for workers, and a shutdown for deaths, that nobody tells of. */
static int64_t mind_zygote(struct process_pool *pool, int64_t now_ns, bool *is_severed)
{
    int64_t due_ns = pool->lost ? HKI_NEVER : answer_due_ns(pool);

    if (due_ns > now_ns) {
        pool->suspected_at_ns = 0;
        return due_ns;
    }
    if (pool->suspected_at_ns == 0) { /* It may be this process that was stopped: first hear. */
        pool->suspected_at_ns = now_ns;
    }
    if (now_ns - pool->suspected_at_ns < HEAR_NS) {
        return pool->suspected_at_ns + HEAR_NS;
    }
    hki_zygote_sever();
    *is_severed = true;
    return HKI_NEVER;
}

/* Under the lock: how to sleep. */
static int64_t lie_down(struct process_pool *pool, int64_t now_ns, bool found)
{
    bool is_lively = found || pool->left != pool->left_seen;

    pool->left_seen = pool->left;
    pool->minded = is_lively && pool->outstanding != 0;
    if (!pool->has_leader) { /* Else it will say so when it leaves. */
        pool->quiet = false;
        hki_pool_set_attention(pool, pool->minded ? HKI_RING_COALESCED : HKI_RING_FIRST);
    }
    return pool->minded ? now_ns + HKI_NAP_NS : HKI_NEVER;
}

/* Under the lock: workers that are still not ready never will be. */
static void give_up_starting(struct process_pool *pool)
{
    for (unsigned i = 0; i < pool->high_seat; i++) {
        if (pool->seats[i].life == SEAT_STARTING) {
            hki_seat_signal(&pool->seats[i], SIGKILL, 0);
        }
    }
}

/* Under the lock: workers are wanted, none is ready, and none became so. */
static int64_t despair(struct process_pool *pool, int64_t now_ns, struct hki_list *jobs)
{
    bool is_wanted = pool->starting != 0 || pool->queue.length != 0 || pool->prestarting != 0;
    int64_t limit_ns;

    if (pool->live > pool->starting || !is_wanted) {
        pool->no_worker_since_ns = 0;
        return HKI_NEVER;
    }
    pool->no_worker_since_ns = pool->no_worker_since_ns == 0 ? now_ns : pool->no_worker_since_ns;
    if (__builtin_add_overflow(pool->no_worker_since_ns, pool->start_timeout, &limit_ns)) {
        return HKI_NEVER;
    }
    if (now_ns < limit_ns) {
        return limit_ns;
    }
    pool->no_worker_since_ns = 0;
    give_up_starting(pool);
    if (pool->broken || (pool->closing && pool->queue.length == 0)) {
        return HKI_NEVER;
    }
    hki_pool_break(pool,
                   hki_error_make(&(struct hki_error_facts){
                       .status = HK_EBROKEN,
                       .task = pool->executor->name,
                       .message = "no worker process could be started for start_timeout"}),
                   jobs);
    return HKI_NEVER;
}

/* Whether a caller collects, and the supervisor would only be in its way. One that rests may
 * not be rung by a worker whose memory was overwritten, so that is looked at here. */
static bool is_led(struct process_pool *pool)
{
    bool led;

    pthread_mutex_lock(&pool->lock);
    led = pool->has_leader && !pool->leader_rests;
    pthread_mutex_unlock(&pool->lock);
    return led;
}

int64_t hki_pool_attend(struct hki_zygote_client *client)
{
    struct process_pool *pool = hki_pool_of_client(client);
    bool found = !is_led(pool) && hki_pool_collect(pool);
    bool looks;
    int64_t now_ns = hk_now_ns();
    bool is_severed = false;
    bool gives_up;
    struct hki_list jobs;
    int64_t until_ns;

    hki_list_init(&jobs);
    pthread_mutex_lock(&pool->lock);
    until_ns = see_to_seats(pool, now_ns);
    if (pool->respawn_at_ns <= now_ns) {
        pool->respawn_at_ns = HKI_NEVER;
    }
    if (pool->rebalance_at_ns <= now_ns) {
        pool->rebalance_at_ns = HKI_NEVER;
    }
    pool->minded = true; /* By this very look, until it lies down. */
    pool->attended = true;
    hki_pool_dispatch(pool);
    pool->attended = false;
    until_ns = hki_earlier(until_ns, pool->respawn_at_ns);
    until_ns = hki_earlier(until_ns, mind_zygote(pool, now_ns, &is_severed));
    until_ns = hki_earlier(until_ns, despair(pool, now_ns, &jobs));
    until_ns = hki_earlier(until_ns, pool->rebalance_at_ns);
    until_ns = hki_earlier(until_ns, lie_down(pool, now_ns, found));
    looks = !pool->has_leader;
    gives_up = !hki_list_empty(&jobs);
    pool->concluding += gives_up ? 1 : 0; /* Nobody else counts these. */
    pthread_mutex_unlock(&pool->lock);
    if (is_severed) {
        hki_courier_say(pool, HK_LOG_ERROR, "the zygote has not answered for %d s; it is killed",
                        (int)(ANSWER_NS / HK_SEC(1)));
    }
    hki_courier_discard_all(pool, &jobs, HK_EBROKEN,
                            "no worker process could be started to run it");
    if (gives_up) {
        pthread_mutex_lock(&pool->lock);
        hki_pool_concluded(pool, 1);
        pthread_mutex_unlock(&pool->lock);
    }
    /* What ended before the workers were told to ring. */
    if (looks && hki_pool_has_results(pool)) {
        return 0;
    }
    return until_ns;
}
