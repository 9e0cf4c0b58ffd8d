/* SPDX-License-Identifier: MIT */
/* Condition variables: every answer, no wake-up lost, and what becomes of the lock. */
#include <stdatomic.h>
#include <string.h>

#include "tests/lock_fixture.h"

/* Something to wait for, under a lock. */
struct box {
    hk_lock lock;
    hk_cond filled;
    hk_cond emptied;
    int items; /* Plain, as all of the box. */
    int waiting;
    long put;
    long taken;
    atomic_int left; /* Items that are still to be put. */
    hk_duration timeout;
};

#define BOX_INIT                                                                                   \
    {                                                                                              \
        .lock = HK_LOCK_INIT("box"), .filled = HK_COND_INIT("filled"),                             \
        .emptied = HK_COND_INIT("emptied"), .timeout = HK_FOREVER                                  \
    }

/* Takes an item, waiting for it. */
static hk_status take(void *arg)
{
    struct box *box = arg;
    hk_status status = hk_lock_acquire(&box->lock);

    if (status != HK_OK) {
        return status;
    }
    box->waiting++;
    while (status == HK_OK && box->items == 0) {
        status = hk_cond_wait(&box->filled, &box->lock, box->timeout);
        HKT_TRUE(hk_lock_is_held_by_me(&box->lock));
    }
    box->waiting--;
    if (status == HK_OK) {
        box->items--;
        box->taken++;
    }
    HKT_OK(hk_lock_release(&box->lock));
    return status;
}

static void put(struct box *box, int items)
{
    HKT_OK(hk_lock_acquire(&box->lock));
    box->items += items;
    HKT_OK(items == 1 ? hk_cond_signal(&box->filled) : hk_cond_broadcast(&box->filled));
    HKT_OK(hk_lock_release(&box->lock));
}

/* --- Answers ------------------------------------------------------------------------ */

static void what_makes_no_sense_is_refused(void)
{
    hk_lock recursive = HK_LOCK_INIT_AS("recursive", HK_LOCK_RECURSIVE, HK_LOCK_DEFAULT, NULL, 0);
    hk_lock lock = HK_LOCK_INIT("lock");
    hk_cond cond = HK_COND_INIT(NULL);

    HKT_STATUS(hk_cond_signal(NULL), HK_EINVAL);
    HKT_STATUS(hk_cond_broadcast(NULL), HK_EINVAL);
    HKT_STATUS(hk_cond_wait(NULL, &lock, 0), HK_EINVAL);
    HKT_STATUS(hk_cond_wait(&cond, NULL, 0), HK_EINVAL);
    HKT_STATUS(hk_cond_wait(&cond, &lock, -2), HK_EINVAL);
    HKT_STATUS(hk_cond_wait(&cond, &lock, INT64_MIN), HK_EINVAL);
    HKT_STATUS(hk_cond_wait(&cond, &lock, HK_FOREVER), HK_EPERM);
    HKT_OK(hk_lock_acquire(&recursive));
    HKT_STATUS(hk_cond_wait(&cond, &lock, HK_FOREVER), HK_EPERM);
    HKT_OK(hk_lock_acquire(&recursive));
    HKT_STATUS(hk_cond_wait(&cond, &recursive, HK_FOREVER), HK_ESTATE);
    HKT_OK(hk_lock_release(&recursive));
    HKT_STATUS(hk_cond_wait(&cond, &recursive, 0), HK_ETIMEDOUT);
    HKT_OK(hk_lock_release(&recursive));
    HKT_OK(hk_lock_destroy(&recursive));
    HKT_OK(hk_lock_destroy(&lock));
}

static hk_status wait_without_a_lock(void *arg)
{
    struct box *box = arg;

    return hk_cond_wait(&box->filled, &box->lock, HK_FOREVER); /* Its first call of all. */
}

static void only_the_owner_may_wait(void)
{
    struct box box = BOX_INIT;
    struct hkt_puppet other;

    hkt_puppet_make(&other);
    HKT_OK(hk_lock_acquire(&box.lock));
    HKT_STATUS(hkt_puppet_do(&other, wait_without_a_lock, &box), HK_EPERM);
    HKT_TRUE(hk_lock_is_held_by_me(&box.lock));
    HKT_OK(hk_lock_release(&box.lock));
    hkt_puppet_retire(&other);
}

static void time_runs_out_with_the_lock_held(void)
{
    static struct box zero_filled;
    int64_t start_ns;

    HKT_OK(hk_lock_acquire(&zero_filled.lock));
    HKT_STATUS(hk_cond_wait(&zero_filled.filled, &zero_filled.lock, 0), HK_ETIMEDOUT);
    HKT_TRUE(hk_lock_is_held_by_me(&zero_filled.lock));
    start_ns = hk_now_ns();
    HKT_STATUS(hk_cond_wait(&zero_filled.filled, &zero_filled.lock, HK_MS(5)), HK_ETIMEDOUT);
    HKT_TRUE(hk_now_ns() - start_ns >= HK_MS(5));
    HKT_TRUE(hk_lock_is_held_by_me(&zero_filled.lock));
    HKT_OK(hk_lock_release(&zero_filled.lock));
}

static void a_signal_is_not_kept(void)
{
    struct box box = BOX_INIT;

    HKT_OK(hk_cond_signal(&box.filled));
    HKT_OK(hk_cond_broadcast(&box.filled));
    HKT_OK(hk_lock_acquire(&box.lock));
    HKT_OK(hk_cond_signal(&box.filled));
    HKT_STATUS(hk_cond_wait(&box.filled, &box.lock, HK_MS(1)), HK_ETIMEDOUT);
    HKT_OK(hk_lock_release(&box.lock));
}

/* --- Waiting and waking ------------------------------------------------------------------ */

enum { WAITERS = 4 };

static void who_waits_gives_up_the_lock(void)
{
    struct box box = BOX_INIT;
    hk_lock another = HK_LOCK_INIT("another");
    struct hkt_puppet waiter;

    hkt_puppet_make(&waiter);
    hkt_puppet_begin_asleep(&waiter, take, &box);
    HKT_OK(hk_lock_try(&box.lock));
    HKT_EQ_INT(box.waiting, 1);
    HKT_OK(hk_lock_release(&box.lock));
    /* All who wait at a time name the same lock. */
    HKT_OK(hk_lock_acquire(&another));
    HKT_STATUS(hk_cond_wait(&box.filled, &another, 0), HK_EINVAL);
    HKT_TRUE(hk_lock_is_held_by_me(&another));
    put(&box, 1);
    HKT_OK(hkt_puppet_finish(&waiter));
    HKT_STATUS(hk_cond_wait(&box.filled, &another, 0), HK_ETIMEDOUT);
    HKT_OK(hk_lock_release(&another));
    hkt_puppet_retire(&waiter);
}

static void begin_waiters(struct hkt_puppet *waiters, struct box *box)
{
    for (int i = 0; i < WAITERS; i++) {
        hkt_puppet_make(&waiters[i]);
        hkt_puppet_begin_asleep(&waiters[i], take, box);
    }
}

static void finish_waiters(struct hkt_puppet *waiters, const struct box *box)
{
    for (int i = 0; i < WAITERS; i++) {
        HKT_OK(hkt_puppet_finish(&waiters[i]));
        hkt_puppet_retire(&waiters[i]);
    }
    HKT_EQ_INT(box->items, 0);
    HKT_EQ_INT(box->waiting, 0);
    HKT_EQ_INT(box->taken, WAITERS);
}

static void a_signal_wakes_one(void)
{
    struct hkt_puppet waiters[WAITERS];
    struct box box = BOX_INIT;

    begin_waiters(waiters, &box);
    for (int i = 0; i < WAITERS; i++) {
        put(&box, 1); /* If one signal woke nobody, one of them would stay. */
    }
    finish_waiters(waiters, &box);
}

static void a_broadcast_wakes_all(void)
{
    struct hkt_puppet waiters[WAITERS];
    struct box box = BOX_INIT;

    begin_waiters(waiters, &box);
    put(&box, WAITERS);
    finish_waiters(waiters, &box);
}

static void a_signal_may_come_after_the_lock_was_released(void)
{
    struct hkt_puppet waiters[WAITERS];
    struct box box = BOX_INIT;

    begin_waiters(waiters, &box);
    for (int i = 0; i < WAITERS; i++) {
        HKT_OK(hk_lock_acquire(&box.lock));
        box.items++;
        HKT_OK(hk_lock_release(&box.lock));
        HKT_OK(hk_cond_signal(&box.filled));
    }
    finish_waiters(waiters, &box);
}

/* --- No wake-up is lost -------------------------------------------------------------------- */

static int rounds(int plain)
{
    return plain / (int)hkt_slowness();
}

/* Each side waits for the other one's turn on a condition of its own. */
static hk_status play(struct box *box, int mine, hk_cond *my_turn, hk_cond *other_turn)
{
    hk_status status = hk_lock_acquire(&box->lock);

    for (int i = 0; i < rounds(20000) && status == HK_OK; i++) {
        while (box->items != mine && status == HK_OK) {
            status = hk_cond_wait(my_turn, &box->lock, HK_FOREVER);
        }
        box->items = 1 - mine;
        box->taken++;
        HKT_OK(hk_cond_signal(other_turn));
    }
    HKT_OK(hk_lock_release(&box->lock));
    return status;
}

static hk_status ping(void *arg)
{
    struct box *box = arg;

    return play(box, 0, &box->filled, &box->emptied);
}

static hk_status pong(void *arg)
{
    struct box *box = arg;

    return play(box, 1, &box->emptied, &box->filled);
}

static void two_play_ping_pong(void)
{
    struct box box = BOX_INIT;
    struct hkt_puppet players[2];

    hkt_puppet_make(&players[0]);
    hkt_puppet_make(&players[1]);
    hkt_puppet_begin(&players[0], ping, &box);
    hkt_puppet_begin(&players[1], pong, &box);
    HKT_OK(hkt_puppet_finish(&players[0]));
    HKT_OK(hkt_puppet_finish(&players[1]));
    HKT_EQ_INT(box.taken, 2L * rounds(20000));
    hkt_puppet_retire(&players[0]);
    hkt_puppet_retire(&players[1]);
}

/* A box for one item, and one signal for each change: all of them are needed. */
static hk_status produce(void *arg)
{
    struct box *box = arg;
    hk_status status = HK_OK;

    while (status == HK_OK && atomic_fetch_sub(&box->left, 1) > 0) {
        status = hk_lock_acquire(&box->lock);
        while (status == HK_OK && box->items != 0) {
            status = hk_cond_wait(&box->emptied, &box->lock, HK_FOREVER);
        }
        box->items = 1;
        box->put++;
        HKT_OK(hk_cond_signal(&box->filled));
        HKT_OK(hk_lock_release(&box->lock));
    }
    return status;
}

/* Ends with an item below 0, which each consumer hands on to the next. */
static hk_status consume(void *arg)
{
    struct box *box = arg;
    hk_duration timeout = box->timeout;
    bool over = false;

    HKT_OK(hk_lock_acquire(&box->lock));
    while (!over) {
        hk_status status = HK_OK;

        while (box->items == 0 && (status == HK_OK || status == HK_ETIMEDOUT)) {
            status = hk_cond_wait(&box->filled, &box->lock, timeout);
        }
        over = box->items < 0;
        if (box->items > 0) {
            box->items = 0;
            box->taken++;
        }
        HKT_OK(over ? hk_cond_signal(&box->filled) : hk_cond_signal(&box->emptied));
        if (status != HK_OK && status != HK_ETIMEDOUT) {
            over = true;
            HKT_OK(status);
        }
    }
    HKT_OK(hk_lock_release(&box->lock));
    return HK_OK;
}

static void end_production(struct box *box)
{
    HKT_OK(hk_lock_acquire(&box->lock));
    while (box->items != 0) {
        HKT_OK(hk_cond_wait(&box->emptied, &box->lock, HK_FOREVER));
    }
    box->items = -1;
    HKT_OK(hk_cond_signal(&box->filled));
    HKT_OK(hk_lock_release(&box->lock));
}

static void run_market(hk_duration timeout)
{
    struct box box = BOX_INIT;
    struct hkt_puppet producers[WAITERS];
    struct hkt_puppet consumers[WAITERS];

    box.timeout = timeout;
    atomic_store(&box.left, rounds(40000));
    for (int i = 0; i < WAITERS; i++) {
        hkt_puppet_make(&producers[i]);
        hkt_puppet_make(&consumers[i]);
        hkt_puppet_begin(&consumers[i], consume, &box);
        hkt_puppet_begin(&producers[i], produce, &box);
    }
    for (int i = 0; i < WAITERS; i++) {
        HKT_OK(hkt_puppet_finish(&producers[i]));
        hkt_puppet_retire(&producers[i]);
    }
    end_production(&box);
    for (int i = 0; i < WAITERS; i++) {
        HKT_OK(hkt_puppet_finish(&consumers[i]));
        hkt_puppet_retire(&consumers[i]);
    }
    HKT_EQ_INT(box.put, rounds(40000));
    HKT_EQ_INT(box.taken, rounds(40000));
}

static void no_signal_is_lost(void)
{
    run_market(HK_FOREVER);
}

/* A waiter whose time runs out takes nobody's signal with it. */
static void no_signal_is_lost_to_who_leaves(void)
{
    run_market(HK_US(20));
}

/* --- With other locks held ----------------------------------------------------------------- */

struct two {
    struct box box;
    hk_lock outer; /* Held all the time. */
    hk_rwlock rw;
    atomic_bool stop;
};

static hk_status take_under_outer(void *arg)
{
    struct two *two = arg;
    hk_status status;

    HKT_OK(hk_lock_acquire(&two->outer));
    HKT_OK(hk_lock_acquire(&two->box.lock));
    status = hk_cond_wait(&two->box.filled, &two->box.lock, HK_FOREVER);
    HKT_TRUE(hk_lock_is_held_by_me(&two->outer));
    HKT_EQ_INT(hk_lock_is_held_by_me(&two->box.lock), status == HK_OK);
    if (status == HK_OK) {
        HKT_OK(hk_lock_release(&two->box.lock));
    }
    HKT_OK(hk_lock_release(&two->outer));
    return status;
}

static void the_way_back_to_the_lock_may_be_a_deadlock(void)
{
    struct two two = {.box = BOX_INIT};
    struct hkt_puppet waiter;
    struct hkt_puppet other;
    struct hkt_log log;

    hkt_log_begin(&log);
    HKT_OK(hk_lock_policy_set(HK_LOCK_OFF));
    hkt_puppet_make(&waiter);
    hkt_puppet_make(&other);
    hkt_puppet_begin_asleep(&waiter, take_under_outer, &two);
    HKT_OK(hkt_puppet_do(&other, hkt_acquire, &two.box.lock));
    hkt_puppet_begin_asleep(&other, hkt_acquire, &two.outer);
    HKT_OK(hk_cond_signal(&two.box.filled));
    HKT_STATUS(hkt_puppet_finish(&waiter), HK_EDEADLK);
    HKT_OK(hkt_puppet_finish(&other));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &two.outer));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &two.box.lock));
    HKT_EQ_INT(log.lines, 1);
    hkt_puppet_retire(&waiter);
    hkt_puppet_retire(&other);
    HKT_OK(hk_lock_policy_set(HK_LOCK_DEFAULT));
    hkt_log_end(&log);
}

static void a_lock_that_is_broken_meanwhile_is_not_held(void)
{
    struct two two = {.box = BOX_INIT};
    struct hkt_puppet waiters[2];
    struct hkt_puppet other;
    struct hkt_log log;

    hkt_log_begin(&log);
    hkt_puppet_make(&waiters[0]);
    hkt_puppet_make(&waiters[1]);
    hkt_puppet_make(&other);
    hkt_puppet_begin_asleep(&waiters[0], take_under_outer, &two);
    HKT_OK(hkt_puppet_do(&other, hkt_acquire, &two.box.lock));
    hkt_puppet_retire(&other);
    HKT_OK(hk_cond_broadcast(&two.box.filled));
    HKT_STATUS(hkt_puppet_finish(&waiters[0]), HK_EBROKEN);
    HKT_STATUS(hkt_puppet_do(&waiters[1], take, &two.box), HK_EBROKEN);
    hkt_puppet_retire(&waiters[0]);
    hkt_puppet_retire(&waiters[1]);
    hkt_log_end(&log);
}

/* Who waits is read by those who look for cycles, while it gives up its lock. */
static hk_status wait_as_reader(void *arg)
{
    struct two *two = arg;

    HKT_OK(hk_rwlock_read(&two->rw));
    for (int i = 0; i < rounds(3000); i++) {
        HKT_OK(hk_lock_acquire(&two->box.lock));
        HKT_STATUS(hk_cond_wait(&two->box.filled, &two->box.lock, HK_NS(1)), HK_ETIMEDOUT);
        HKT_OK(hk_lock_release(&two->box.lock));
    }
    atomic_store(&two->stop, true);
    HKT_OK(hk_rwlock_release(&two->rw));
    return HK_OK;
}

static void a_waiter_may_be_looked_at(void)
{
    struct two two = {.box = BOX_INIT};
    struct hkt_puppet waiter;

    hkt_puppet_make(&waiter);
    hkt_puppet_begin(&waiter, wait_as_reader, &two);
    HKT_OK(hk_lock_acquire(&two.outer));
    while (!atomic_load(&two.stop)) {
        hk_status status = hk_rwlock_write_timed(&two.rw, HK_US(1));

        if (status == HK_OK) {
            HKT_OK(hk_rwlock_release(&two.rw));
        }
    }
    HKT_OK(hk_lock_release(&two.outer));
    HKT_OK(hkt_puppet_finish(&waiter));
    hkt_puppet_retire(&waiter);
}

/* --- Elsewhere --------------------------------------------------------------------------- */

static struct box shared = BOX_INIT;

HK_TASK(take_from_shared)
{
    (void)in;
    (void)in_size;
    (void)call;
    return take(&shared);
}

HK_TASK(put_into_shared)
{
    (void)in;
    (void)in_size;
    (void)call;
    put(&shared, 1);
    return HK_OK;
}

/* The pool makes up for a worker that waits, so that one may come who signals. */
static void a_worker_that_waits_is_made_up_for(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_future *takes = hkt_submit_ref(pool, take_from_shared, NULL);
    hk_future *puts;

    HKT_TRUE(hkt_becomes(pool, hkt_blocked, 1));
    puts = hkt_submit_ref(pool, put_into_shared, NULL);
    hkt_expect_end(puts, HK_OK);
    hkt_expect_end(takes, HK_OK);
    HKT_OK(hk_executor_destroy(pool));
}

static void use_in_child(void *arg)
{
    struct box *box = arg;

    /* The thread that waits for it stayed behind. */
    HKT_CHILD_STATUS(hk_lock_acquire(&box->lock), HK_OK);
    HKT_CHILD_STATUS(hk_cond_signal(&box->filled), HK_OK);
    HKT_CHILD_STATUS(hk_cond_broadcast(&box->filled), HK_OK);
    HKT_CHILD_STATUS(hk_cond_wait(&box->filled, &box->lock, HK_MS(1)), HK_ETIMEDOUT);
    HKT_CHILD_TRUE(hk_lock_is_held_by_me(&box->lock));
    HKT_CHILD_STATUS(hk_lock_release(&box->lock), HK_OK);
}

static void a_child_may_use_a_condition_of_its_parent(void)
{
    struct box box = BOX_INIT;
    struct hkt_puppet waiter;

    hkt_puppet_make(&waiter);
    hkt_puppet_begin_asleep(&waiter, take, &box);
    hkt_expect_good_child(use_in_child, &box);
    put(&box, 1);
    HKT_OK(hkt_puppet_finish(&waiter));
    hkt_puppet_retire(&waiter);
}

static CU_TestInfo tests[] = {
    HKT_CASE("what makes no sense is refused", what_makes_no_sense_is_refused),
    HKT_CASE("only the owner may wait", only_the_owner_may_wait),
    HKT_CASE("time runs out with the lock held", time_runs_out_with_the_lock_held),
    HKT_CASE("a signal is not kept", a_signal_is_not_kept),
    HKT_CASE("who waits gives up the lock", who_waits_gives_up_the_lock),
    HKT_CASE("a signal wakes one", a_signal_wakes_one),
    HKT_CASE("a broadcast wakes all", a_broadcast_wakes_all),
    HKT_CASE("a signal may come after the lock was released",
             a_signal_may_come_after_the_lock_was_released),
    HKT_CASE("two play ping-pong", two_play_ping_pong),
    HKT_CASE("no signal is lost", no_signal_is_lost),
    HKT_CASE("no signal is lost to who leaves", no_signal_is_lost_to_who_leaves),
    HKT_CASE("the way back to the lock may be a deadlock",
             the_way_back_to_the_lock_may_be_a_deadlock),
    HKT_CASE("a lock that is broken meanwhile is not held",
             a_lock_that_is_broken_meanwhile_is_not_held),
    HKT_CASE("a waiter may be looked at", a_waiter_may_be_looked_at),
    HKT_CASE("a worker that waits is made up for", a_worker_that_waits_is_made_up_for),
    HKT_CASE("a child may use a condition of its parent",
             a_child_may_use_a_condition_of_its_parent),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "cond", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
