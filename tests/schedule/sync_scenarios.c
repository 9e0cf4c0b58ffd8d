/* SPDX-License-Identifier: MIT */
/* Locks and queues together with the wait-for graph. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/schedule/scenario.h"

/* --- rings of locks --- */

static hk_lock locks[2];
static int inside[2];
static int refused;

static void make_locks(void)
{
    hk_lock_options options = {.flags = HK_LOCK_NOORDER};

    refused = 0;
    for (int i = 0; i < 2; i++) {
        inside[i] = 0;
        HKT_IS(hk_lock_init(&locks[i], &options), HK_OK);
    }
}

static void drop_locks(void)
{
    HKT_IS(hk_lock_destroy(&locks[0]), HK_OK);
    HKT_IS(hk_lock_destroy(&locks[1]), HK_OK);
}

/* One lock, then the other. Of those who close a ring one is refused, and nobody hangs. */
static void take_both(void *arg)
{
    int first = (int)(intptr_t)arg;
    hk_status status;

    HKT_IS(hk_lock_acquire(&locks[first]), HK_OK);
    HKT_MUST(++inside[first] == 1);
    status = hk_lock_acquire(&locks[1 - first]);
    HKT_MUST(status == HK_OK || status == HK_EDEADLK);
    if (status == HK_OK) {
        HKT_MUST(++inside[1 - first] == 1);
        HKT_MUST(--inside[1 - first] == 0);
        HKT_IS(hk_lock_release(&locks[1 - first]), HK_OK);
    } else {
        refused++;
    }
    HKT_MUST(--inside[first] == 0);
    HKT_IS(hk_lock_release(&locks[first]), HK_OK);
}

static void ring_of_locks(void)
{
    struct hkt_actor actor;

    make_locks();
    actor = hkt_act(take_both, (void *)1);
    take_both((void *)0);
    hkt_await(actor);
    HKT_MUST(refused <= 1);
    drop_locks();
}

static void locks_of_three(void)
{
    struct hkt_actor actors[2];

    make_locks();
    actors[0] = hkt_act(take_both, (void *)0);
    actors[1] = hkt_act(take_both, (void *)0);
    take_both((void *)0);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    HKT_MUST(refused == 0);
    drop_locks();
}

/* --- a lock and a task --- */

static hk_executor *pool;

HK_TASK(hkt_locks)
{
    hk_status status = hk_lock_acquire(&locks[0]);

    (void)in;
    HKT_MUST(status == HK_OK || status == HK_EDEADLK);
    if (status == HK_OK) {
        HKT_MUST(++inside[0] == 1);
        HKT_MUST(--inside[0] == 0);
        HKT_IS(hk_lock_release(&locks[0]), HK_OK);
    }
    refused += status != HK_OK;
    return HK_OK;
}

/* Who waits for a task while it holds what the task wants: one of both is refused. */
static void lock_and_task(void)
{
    hk_future *future;
    hk_status status;

    make_locks();
    pool = hkt_pool((hk_executor_options){.workers = 1});
    HKT_IS(hk_lock_acquire(&locks[0]), HK_OK);
    future = hkt_give(pool, hkt_locks, 0);
    status = hk_future_wait(future, HK_FOREVER);
    HKT_MUST(status == HK_OK || status == HK_EDEADLK);
    HKT_MUST(status == HK_EDEADLK || refused == 1);
    HKT_IS(hk_lock_release(&locks[0]), HK_OK);
    hkt_ends(future, HK_OK);
    HKT_MUST((status == HK_EDEADLK) + refused == 1);
    hkt_pool_end(pool);
    drop_locks();
}

/* --- queues of threads that declared themselves --- */

static hk_queue *queue;

static void get_two(void *unused)
{
    void *item;

    (void)unused;
    HKT_IS(hk_queue_bind(queue, HK_QUEUE_GETTER), HK_OK);
    for (int i = 0; i < 2; i++) {
        HKT_IS(hk_queue_get(queue, HK_FOREVER, &item), HK_OK);
        HKT_IS(hk_queue_task_done(queue, 1), HK_OK);
    }
    HKT_IS(hk_queue_unbind(queue, HK_QUEUE_GETTER), HK_OK);
}

static void queue_and_join(void)
{
    hk_queue_options options = {.capacity = 1};
    struct hkt_actor actor;
    int items[2];

    HKT_IS(hk_queue_create(&options, &queue), HK_OK);
    actor = hkt_act(get_two, NULL);
    for (int i = 0; i < 2; i++) {
        HKT_IS(hk_queue_put(queue, &items[i], HK_FOREVER), HK_OK);
    }
    HKT_IS(hk_queue_join(queue, HK_FOREVER), HK_OK);
    hkt_await(actor);
    HKT_IS(hk_queue_destroy(queue), HK_OK);
}

/* --- readers and writers --- */

static hk_rwlock rwlock;
static int readers;
static int writers;

static void read_once(void *unused)
{
    (void)unused;
    HKT_IS(hk_rwlock_read(&rwlock), HK_OK);
    readers++;
    HKT_MUST(writers == 0 && hk_rwlock_is_held_by_me(&rwlock, false));
    readers--;
    HKT_IS(hk_rwlock_release(&rwlock), HK_OK);
}

static void write_once(void *unused)
{
    (void)unused;
    HKT_IS(hk_rwlock_write(&rwlock), HK_OK);
    HKT_MUST(++writers == 1 && readers == 0);
    HKT_MUST(hk_rwlock_is_held_by_me(&rwlock, true));
    HKT_MUST(--writers == 0 && readers == 0);
    HKT_IS(hk_rwlock_release(&rwlock), HK_OK);
}

static void readers_and_writers(void)
{
    struct hkt_actor actors[3];

    memset(&rwlock, 0, sizeof(rwlock));
    readers = 0;
    writers = 0;
    actors[0] = hkt_act(read_once, NULL);
    actors[1] = hkt_act(write_once, NULL);
    actors[2] = hkt_act(write_once, NULL);
    read_once(NULL);
    for (int i = 0; i < 3; i++) {
        hkt_await(actors[i]);
    }
    HKT_IS(hk_rwlock_destroy(&rwlock), HK_OK);
}

/* --- conditions --- */

static hk_cond cond;
static int turn;

static void wait_for_turn(void *arg)
{
    int wanted = (int)(intptr_t)arg;

    HKT_IS(hk_lock_acquire(&locks[0]), HK_OK);
    while (turn != wanted) {
        HKT_IS(hk_cond_wait(&cond, &locks[0], HK_FOREVER), HK_OK);
    }
    turn++;
    hk_cond_broadcast(&cond);
    HKT_IS(hk_lock_release(&locks[0]), HK_OK);
}

static void conditions(void)
{
    struct hkt_actor actors[2];

    make_locks();
    memset(&cond, 0, sizeof(cond));
    turn = 0;
    actors[0] = hkt_act(wait_for_turn, (void *)2);
    actors[1] = hkt_act(wait_for_turn, (void *)1);
    wait_for_turn((void *)0);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    HKT_MUST(turn == 3);
    drop_locks();
}

/* --- a look at all waits, while threads come and go --- */

static void dump(void *unused)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)unused;
    for (int i = 0; i < 3; i++) {
        HKT_IS(hk_waits_dump(fd), HK_OK);
    }
    close(fd);
}

static void dump_waits(void)
{
    hk_promise *promise;
    hk_future *future;
    struct hkt_actor actors[2];

    HKT_IS(hk_promise_create(&promise, &future), HK_OK);
    make_locks();
    actors[0] = hkt_act(dump, NULL);
    actors[1] = hkt_act(take_both, (void *)1);
    take_both((void *)0);
    HKT_IS(hk_promise_set(promise, NULL, 0), HK_OK);
    hk_promise_destroy(promise);
    hkt_ends(future, HK_OK);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    drop_locks();
}

/* --- a look at what ends and goes meanwhile --- */

static hk_promise *looked_at;

static void end_it(void *unused)
{
    (void)unused;
    HKT_IS(hk_promise_set(looked_at, NULL, 0), HK_OK);
    hk_promise_destroy(looked_at);
}

static void look_at_the_end(void)
{
    hk_future *future;
    hk_future *task;
    struct hkt_actor actors[2];

    make_locks();
    pool = hkt_pool((hk_executor_options){.workers = 1});
    HKT_IS(hk_promise_create(&looked_at, &future), HK_OK);
    actors[0] = hkt_act(dump, NULL);
    actors[1] = hkt_act(end_it, NULL);
    hkt_ends(future, HK_OK);
    task = hkt_give(pool, hkt_locks, 1);
    hkt_ends(task, HK_OK);
    hkt_await(actors[0]);
    hkt_await(actors[1]);
    hkt_pool_end(pool);
    drop_locks();
}

#define LOST_WAKES (HKT_FAULT(HKT_LOSES_WAKES) | HKT_FAULT(HKT_SLEEPS_BLINDLY))

const struct hkt_scenario hkt_sync_scenarios[] = {
    {"ring-of-locks", ring_of_locks, false, HKT_FAULT(HKT_LOSES_WAKES)},
    {"locks-of-three", locks_of_three, false, 0},
    {"lock-and-task", lock_and_task, false, 0},
    {"queue-and-join", queue_and_join, true, LOST_WAKES},
    {"readers-and-writers", readers_and_writers, true, LOST_WAKES},
    {"conditions", conditions, true, LOST_WAKES},
    {"dump-waits", dump_waits, false, 0},
    {"look-at-the-end", look_at_the_end, true, HKT_FAULT(HKT_FREES_TOO_SOON)},
    {0}};
