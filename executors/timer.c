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
#include <string.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/world.h"
#include "sync/condition.h"

static struct {
    pthread_mutex_t lock;
    struct hki_condition changed; /* The earliest deadline, or the epoch. */
    struct hki_timer_heap heap;   /* The timer thread's. */
    unsigned holders;
    bool running;
    uintptr_t epoch; /* A thread serves while this is the number it was started with. */
    pthread_t thread;
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

static void *serve(void *epoch)
{
    hki_os_thread_name("hocket_timer");
    pthread_mutex_lock(&timers.lock);
    while (timers.epoch == (uintptr_t)epoch) {
        struct hki_timer *first = timers.heap.count == 0 ? NULL : timers.heap.timers[1];

        if (first == NULL || first->deadline_ns > hk_now_ns()) {
            hki_condition_wait(&timers.changed, &timers.lock,
                               first == NULL ? HKI_NEVER : first->deadline_ns);
            continue;
        }
        take(first);
        pthread_mutex_unlock(&timers.lock);
        first->fire(first);
        pthread_mutex_lock(&timers.lock);
    }
    pthread_mutex_unlock(&timers.lock);
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

void hki_timers_release(void)
{
    pthread_t thread;
    bool last;

    pthread_mutex_lock(&timers.lock);
    HKI_ASSERT(timers.holders > 0);
    last = --timers.holders == 0;
    thread = timers.thread;
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
    if (pthread_equal(thread, pthread_self())) {
        pthread_detach(thread); /* A timer fired the last holder away. */
    } else {
        pthread_join(thread, NULL);
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
    hki_condition_init(&timers.changed);
    pthread_mutex_unlock(&timers.lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, in_parent, in_child);
}
