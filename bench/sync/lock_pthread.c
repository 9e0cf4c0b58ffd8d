/* SPDX-License-Identifier: MIT */
/*
 * pthread mutexes: default, ERRORCHECK and PRIO_INHERIT. The same calls; what differs
 * is how they are made.
 */
#include <pthread.h>
#include <stdlib.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/sync/lock_peer.h"

typedef pthread_mutex_t lock_type;

static void lock_begin(lock_type *lock)
{
    if (pthread_mutex_init(lock, NULL) != 0) {
        bench_die("pthread_mutex_init");
    }
}

static void lock_end(lock_type *lock)
{
    if (pthread_mutex_destroy(lock) != 0) {
        bench_die("pthread_mutex_destroy: a mutex is still held");
    }
}

static inline void lock_take(lock_type *lock)
{
    if (pthread_mutex_lock(lock) != 0) {
        bench_die("pthread_mutex_lock");
    }
}

static inline void lock_give(lock_type *lock)
{
    if (pthread_mutex_unlock(lock) != 0) {
        bench_die("pthread_mutex_unlock");
    }
}

#include "bench/sync/lock_loops.h"

static void *create_with(size_t count, int type, int protocol)
{
    struct lock_cell *cells = lock_create(count);
    pthread_mutexattr_t attributes;

    if (pthread_mutexattr_init(&attributes) != 0 ||
        pthread_mutexattr_settype(&attributes, type) != 0 ||
        pthread_mutexattr_setprotocol(&attributes, protocol) != 0) {
        bench_die("pthread_mutexattr");
    }
    for (size_t i = 0; i < count; i++) {
        lock_end(&cells[i].lock);
        if (pthread_mutex_init(&cells[i].lock, &attributes) != 0) {
            bench_die("pthread_mutex_init");
        }
    }
    pthread_mutexattr_destroy(&attributes);
    return cells;
}

static void *create_errorcheck(size_t count)
{
    return create_with(count, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE);
}

static void *create_inherit(size_t count)
{
    return create_with(count, PTHREAD_MUTEX_DEFAULT, PTHREAD_PRIO_INHERIT);
}

const struct lock_peer lock_pthread = {.loops = LOCK_LOOPS};
const struct lock_peer lock_pthread_errorcheck = {.loops = LOCK_LOOPS_MADE_BY(create_errorcheck)};
const struct lock_peer lock_pthread_inherit = {.loops = LOCK_LOOPS_MADE_BY(create_inherit)};
