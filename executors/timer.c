/* SPDX-License-Identifier: MIT */
/*
 * The timer thread and its heap.
 *
 * A binary heap by deadline (one more for each world, see base/world.h); each timer knows its
 * place, so that disarming takes no search. One lock guards heap, places and the thread's state; it
 * is a leaf, and not held while a timer fires.
 */
#include "executors/timer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "base/world.h"
#include "sync/block.h"
#include "sync/condition.h"

/* A timer thread, on its own stack. More than one are there while one that nobody needs any more
 * still lets a timer fire. */
struct server {
    uintptr_t epoch;
    struct hki_agent *firing; /* The thread itself while a timer fires; else NULL. */
    struct server *next;
};

static struct {
    pthread_mutex_t lock;
    struct hki_condition changed; /* The earliest deadline, or the epoch. */
    struct hki_timer_heap heap;   /* The timer thread's. */
    unsigned holders;
    bool running;
    uintptr_t epoch; /* A thread serves while this is the number it was started with. */
    pthread_t thread;
    struct server *servers;
} timers = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = HKI_CONDITION_INIT};

static void put(struct hki_timer_heap *heap, size_t place, struct hki_timer *timer)
{
    heap->timers[place] = timer;
    timer->place = place;
}

static void sift_up(struct hki_timer_heap *heap, size_t place)
{
    struct hki_timer *timer = heap->timers[place];

    while (place > 1 && heap->timers[place / 2]->deadline_ns > timer->deadline_ns) {
        put(heap, place, heap->timers[place / 2]);
        place /= 2;
    }
    put(heap, place, timer);
}

static void sift_down(struct hki_timer_heap *heap, size_t place)
{
    struct hki_timer *timer = heap->timers[place];

    for (;;) {
        size_t child = place * 2;

        if (child < heap->count &&
            heap->timers[child + 1]->deadline_ns < heap->timers[child]->deadline_ns) {
            child++;
        }
        if (child > heap->count || heap->timers[child]->deadline_ns >= timer->deadline_ns) {
            break;
        }
        put(heap, place, heap->timers[child]);
        place = child;
    }
    put(heap, place, timer);
}

static void take(struct hki_timer *timer)
{
    struct hki_timer_heap *heap = timer->heap;
    size_t place = timer->place;
    struct hki_timer *last = heap->timers[heap->count--];

    timer->place = 0;
    hki_live_add(HKI_LIVE_TIMERS, -1);
    if (last != timer) {
        put(heap, place, last);
        sift_up(heap, place);
        sift_down(heap, last->place);
    }
}

static bool make_room(struct hki_timer_heap *heap)
{
    size_t room = heap->room == 0 ? 64 : heap->room * 2;
    struct hki_timer **more;

    if (heap->count + 1 < heap->room) {
        return true;
    }
    if ((more = hki_alloc(room * sizeof(struct hki_timer *))) == NULL) {
        return false;
    }
    if (heap->room != 0) {
        memcpy(more, heap->timers, heap->room * sizeof(struct hki_timer *));
        hki_free(heap->timers, heap->room * sizeof(struct hki_timer *));
    }
    heap->timers = more;
    heap->room = room;
    return true;
}

void hki_timer_heap_free(struct hki_timer_heap *heap)
{
    HKI_ASSERT(heap->count == 0);
    if (heap->room != 0) {
        hki_free(heap->timers, heap->room * sizeof(struct hki_timer *));
    }
    heap->timers = NULL;
    heap->room = 0;
}

int64_t hki_timer_heap_next_ns(struct hki_timer_heap *heap)
{
    int64_t next_ns;

    pthread_mutex_lock(&timers.lock);
    next_ns = heap->count == 0 ? HKI_NEVER : heap->timers[1]->deadline_ns;
    pthread_mutex_unlock(&timers.lock);
    return next_ns;
}

struct hki_timer *hki_timer_heap_take_due(struct hki_timer_heap *heap, int64_t now_ns)
{
    struct hki_timer *first = NULL;

    pthread_mutex_lock(&timers.lock);
    if (heap->count != 0 && heap->timers[1]->deadline_ns <= now_ns) {
        first = heap->timers[1];
        take(first);
    }
    pthread_mutex_unlock(&timers.lock);
    return first;
}

/* Under the lock. Of a thread that went on in a forked child there is no entry. */
static void remove_server(const struct server *server)
{
    struct server **link = &timers.servers;

    while (*link != NULL && *link != server) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = server->next;
    }
}

/* Under the lock, which is free meanwhile. */
static void let_fire(struct server *server, struct hki_timer *timer)
{
    take(timer);
    server->firing = hki_agent_self();
    pthread_mutex_unlock(&timers.lock);
    timer->fire(timer);
    pthread_mutex_lock(&timers.lock);
    server->firing = NULL;
}

/* After a timer has fired nobody may be left who holds the thread: then it touches what is
 * static, and no more. */
static void *serve(void *epoch)
{
    struct server self = {.epoch = (uintptr_t)epoch};

    hki_os_thread_name("hocket_timer");
    pthread_mutex_lock(&timers.lock);
    self.next = timers.servers;
    timers.servers = &self;
    while (timers.epoch == self.epoch) {
        struct hki_timer *first = timers.heap.count == 0 ? NULL : timers.heap.timers[1];

        if (first == NULL || first->deadline_ns > hk_now_ns()) {
            hki_condition_wait(&timers.changed, &timers.lock,
                               first == NULL ? HKI_NEVER : first->deadline_ns);
            continue;
        }
        let_fire(&self, first);
    }
    remove_server(&self);
    pthread_mutex_unlock(&timers.lock);
    hki_wait_graph_settle(); /* A look may have found this thread firing. */
    return NULL;
}

/* Under the lock. The application's signals are not for this thread. */
static hk_status start(void)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    timers.epoch++;
    failed = pthread_create(&timers.thread, NULL, serve, (void *)timers.epoch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        errno = failed;
        return HK_ESYS;
    }
    timers.running = true;
    return HK_OK;
}

hk_status hki_timers_hold(void)
{
    hk_status status = HK_OK;

    pthread_mutex_lock(&timers.lock);
    if (!timers.running) {
        status = start();
    }
    if (status == HK_OK) {
        timers.holders++;
    }
    pthread_mutex_unlock(&timers.lock);
    return status;
}

/* --- The end of a timer thread as a node of the wait-for graph --- */

/* Under the lock: the thread of an epoch if it lets a timer fire, or NULL. */
static struct hki_agent *firing_in(uintptr_t epoch)
{
    for (struct server *server = timers.servers; server != NULL; server = server->next) {
        if (server->epoch == epoch) {
            return server->firing;
        }
    }
    return NULL;
}

static struct hki_agent *firing_now(void *epoch)
{
    struct hki_agent *agent;

    pthread_mutex_lock(&timers.lock);
    agent = firing_in((uintptr_t)epoch);
    pthread_mutex_unlock(&timers.lock);
    return agent;
}

static enum hki_wait_kind look_at_end(void *epoch, size_t *count)
{
    *count = 1;
    return firing_now(epoch) == NULL ? HKI_WAIT_MOVES : HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_end(void *epoch, size_t i)
{
    struct hki_agent *agent = firing_now(epoch);

    (void)i;
    return agent == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(agent);
}

static void describe_end(void *epoch, char *text, size_t size)
{
    (void)epoch;
    snprintf(text, size, "the end of the timer thread");
}

/* Joins the thread of an epoch, unless it waits for what the caller holds: the callbacks of a
 * future that ran out of time are still to be run when all tasks have ended. */
static void await_thread(pthread_t thread, uintptr_t epoch)
{
    static const struct hki_wait_ops ops = {
        .look = look_at_end, .next = next_of_end, .describe = describe_end, .verb = "held up by"};
    struct hki_agent *agent = hki_agent_self();
    HKI_NO_CANCEL;

    if (hki_block_begin(agent, (struct hki_wait_node){&ops, (void *)epoch}, false) == HK_OK) {
        pthread_join(thread, NULL);
        hki_block_end(agent);
    } else {
        pthread_detach(thread);
    }
}

void hki_timers_release(bool may_wait)
{
    pthread_t thread;
    uintptr_t epoch;
    bool last;
    bool fires;

    pthread_mutex_lock(&timers.lock);
    HKI_ASSERT(timers.holders > 0);
    last = --timers.holders == 0;
    thread = timers.thread;
    epoch = timers.epoch;
    fires = firing_in(epoch) != NULL;
    if (last) {
        hki_timer_heap_free(&timers.heap);
        timers.epoch++;
        timers.running = false;
        hki_condition_broadcast(&timers.changed);
    }
    pthread_mutex_unlock(&timers.lock);
    if (!last) {
        return;
    }
    /* A timer may have fired the last holder away. */
    if (pthread_equal(thread, pthread_self()) || (fires && !may_wait)) {
        pthread_detach(thread);
    } else {
        await_thread(thread, epoch);
    }
}

hk_status hki_timer_arm(struct hki_timer *timer, int64_t deadline_ns,
                        void (*fire)(struct hki_timer *timer))
{
    struct hki_world *world = hki_world_self();
    struct hki_timer_heap *heap = world == NULL ? &timers.heap : world->timers;
    hk_status status = HK_OK;

    pthread_mutex_lock(&timers.lock);
    HKI_ASSERT(timer->place == 0 && (world != NULL || timers.holders > 0));
    if (make_room(heap)) {
        timer->deadline_ns = deadline_ns;
        timer->fire = fire;
        timer->heap = heap;
        heap->count++;
        put(heap, heap->count, timer);
        sift_up(heap, heap->count);
        hki_live_add(HKI_LIVE_TIMERS, 1);
        if (timer->place == 1 && world == NULL) {
            hki_condition_signal(&timers.changed);
        }
    } else {
        status = HK_ENOMEM;
    }
    pthread_mutex_unlock(&timers.lock);
    return status;
}

bool hki_timer_disarm(struct hki_timer *timer)
{
    bool armed;

    pthread_mutex_lock(&timers.lock);
    armed = timer->place != 0;
    if (armed) {
        take(timer);
    }
    pthread_mutex_unlock(&timers.lock);
    return armed;
}

static void before_fork(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_lock(&timers.lock);
}

static void in_parent(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_unlock(&timers.lock);
}

/* The child has no timer thread, and its parent's timers are not its own. */
static void in_child(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    hki_live_add(HKI_LIVE_TIMERS, -(long)timers.heap.count);
    for (size_t i = 1; i <= timers.heap.count; i++) {
        timers.heap.timers[i]->place = 0;
    }
    timers.heap.count = 0;
    timers.holders = 0;
    timers.running = false;
    timers.servers = NULL;
    hki_condition_init(&timers.changed);
    pthread_mutex_unlock(&timers.lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, in_parent, in_child);
}
