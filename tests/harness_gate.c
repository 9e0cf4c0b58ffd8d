/* SPDX-License-Identifier: MIT */
/*
 * Gates and barriers on pthreads alone: a test of Hocket's own primitives must
 * not wait on them. Every wait is bounded by the watchdog's limit and then says
 * which gate it stood at: a hang with a name.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "tests/harness.h"
#include "tests/harness_impl.h"

static struct timespec limit_from_now(void)
{
    struct timespec limit;

    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += (time_t)hkt_watchdog_seconds();
    return limit;
}

static void init_pair(pthread_mutex_t *mutex, pthread_cond_t *changed)
{
    pthread_condattr_t attributes;

    if (pthread_mutex_init(mutex, NULL) != 0 || pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(changed, &attributes) != 0) {
        hkt_die("pthreads refused a mutex or a condition variable", "hkt_gate_init");
    }
    pthread_condattr_destroy(&attributes);
}

static void wait_or_die(pthread_cond_t *changed, pthread_mutex_t *mutex,
                        const struct timespec *limit, const char *name)
{
    if (pthread_cond_timedwait(changed, mutex, limit) == ETIMEDOUT) {
        hkt_die("waited too long at a gate or barrier", name);
    }
}

void hkt_gate_init(struct hkt_gate *gate, const char *name)
{
    init_pair(&gate->mutex, &gate->changed);
    gate->arrived = 0;
    gate->is_open = false;
    gate->name = name;
}

void hkt_gate_fini(struct hkt_gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
}

void hkt_gate_open(struct hkt_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void hkt_gate_wait(struct hkt_gate *gate)
{
    struct timespec limit = limit_from_now();

    pthread_mutex_lock(&gate->mutex);
    gate->arrived++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open) {
        wait_or_die(&gate->changed, &gate->mutex, &limit, gate->name);
    }
    pthread_mutex_unlock(&gate->mutex);
}

void hkt_gate_await_arrivals(struct hkt_gate *gate, unsigned count)
{
    struct timespec limit = limit_from_now();

    pthread_mutex_lock(&gate->mutex);
    while (gate->arrived < count) {
        wait_or_die(&gate->changed, &gate->mutex, &limit, gate->name);
    }
    pthread_mutex_unlock(&gate->mutex);
}

void hkt_barrier_init(struct hkt_barrier *barrier, unsigned count, const char *name)
{
    init_pair(&barrier->mutex, &barrier->changed);
    barrier->count = count;
    barrier->arrived = 0;
    barrier->round = 0;
    barrier->name = name;
}

void hkt_barrier_fini(struct hkt_barrier *barrier)
{
    pthread_cond_destroy(&barrier->changed);
    pthread_mutex_destroy(&barrier->mutex);
}

void hkt_barrier_wait(struct hkt_barrier *barrier)
{
    struct timespec limit = limit_from_now();

    pthread_mutex_lock(&barrier->mutex);
    if (++barrier->arrived == barrier->count) {
        barrier->arrived = 0;
        barrier->round++;
        pthread_cond_broadcast(&barrier->changed);
    } else {
        /* The round, not the number, tells that everybody came: the number is
         * already counting the next round when a slow thread looks at it. */
        for (unsigned round = barrier->round; round == barrier->round;) {
            wait_or_die(&barrier->changed, &barrier->mutex, &limit, barrier->name);
        }
    }
    pthread_mutex_unlock(&barrier->mutex);
}

bool hkt_eventually(bool (*done)(void *arg), void *arg)
{
    int64_t limit_ns = hkt_now_ns() + (int64_t)hkt_watchdog_seconds() * 1000000000 / 2;

    while (!done(arg)) {
        if (hkt_now_ns() > limit_ns) {
            return false;
        }
        sched_yield();
    }
    return true;
}
