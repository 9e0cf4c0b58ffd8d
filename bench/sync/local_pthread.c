/* SPDX-License-Identifier: MIT */
/*
 * Keys of POSIX and of C11; and objects that are only built, which the cost of building
 * them is measured against.
 */
#include <pthread.h>
#include <threads.h>

#include "bench/harness/harness.h"
#include "bench/sync/local_peer.h"

/* --- POSIX --------------------------------------------------------------------------- */

static pthread_key_t keys[LOCALS_MAX];
static size_t key_count;

static void begin(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pthread_key_create(&keys[i], local_drop) != 0) {
            bench_die("pthread_key_create");
        }
    }
    key_count = count;
}

static void end(void)
{
    for (size_t i = 0; i < key_count; i++) {
        local_drop(pthread_getspecific(keys[i]));
        pthread_key_delete(keys[i]);
    }
}

static inline struct local_object *local_get(size_t place)
{
    struct local_object *object = pthread_getspecific(keys[place]);

    if (object == NULL) {
        object = local_make();
        if (pthread_setspecific(keys[place], object) != 0) {
            bench_die("pthread_setspecific");
        }
    }
    return object;
}

#include "bench/sync/local_loops.h"

const struct local_peer local_pthread = {begin, end, local_count_up, local_touch, NULL, NULL};

/* --- C11 ------------------------------------------------------------------------------- */

static tss_t c11_key;

static void c11_begin(size_t count)
{
    (void)count;
    if (tss_create(&c11_key, local_drop) != thrd_success) {
        bench_die("tss_create");
    }
}

static void c11_end(void)
{
    local_drop(tss_get(c11_key));
    tss_delete(c11_key);
}

static uint64_t c11_count_up(uint64_t times)
{
    uint64_t counter = 0;

    for (uint64_t i = 0; i < times; i++) {
        struct local_object *object = tss_get(c11_key);

        if (object == NULL) {
            object = local_make();
            if (tss_set(c11_key, object) != thrd_success) {
                bench_die("tss_set");
            }
        }
        counter = ++object->counter;
        __asm__ volatile("" : : : "memory");
    }
    return counter;
}

const struct local_peer local_c11 = {c11_begin, c11_end, c11_count_up, NULL, NULL, NULL};

/* --- Only built ------------------------------------------------------------------------- */

static void alone_begin(size_t count)
{
    (void)count;
}

static void alone_end(void)
{
}

static __thread struct local_object *alone[LOCALS_MAX];

static void alone_touch(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        alone[i] = local_make();
    }
}

static void alone_leave(void)
{
    for (size_t i = 0; i < LOCALS_MAX; i++) {
        local_drop(alone[i]);
        alone[i] = NULL;
    }
}

const struct local_peer local_alone = {alone_begin, alone_end,   NULL,
                                       alone_touch, alone_leave, NULL};
