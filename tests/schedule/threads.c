/* SPDX-License-Identifier: MIT */
/*
 * Threads, mutexes and keys of the code under test.
 *
 * A real thread is joined when the machine's is, also one that was detached: so what the C
 * library keeps of it for the next one comes and goes in the order of the round.
 */
#include <errno.h>
#include <limits.h>

#include "base/time.h"
#include "tests/schedule/machine.h"
#include "tests/schedule/point.h"

enum { KEYS_MAX = 16, OUTSIDE = 1000 };

static struct {
    bool is_taken;
    void (*destructor)(void *);
} keys[KEYS_MAX];

static _Thread_local const void *values[KEYS_MAX];

/* --- mutexes --- */

/* 0: free; else who has it, from 1. */
static int *owner_of(pthread_mutex_t *mutex)
{
    return (int *)(void *)mutex;
}

static int own_mark(void)
{
    return hkt_is_in_round() ? (int)hkt_machine_self() + 1 : OUTSIDE;
}

int hkt_mutex_init(pthread_mutex_t *mutex)
{
    *owner_of(mutex) = 0;
    return 0;
}

int hkt_mutex_destroy(pthread_mutex_t *mutex, const char *site)
{
    hkt_point("destroy", mutex, site);
    if (*owner_of(mutex) != 0) {
        hkt_fail("a mutex is destroyed while somebody has it, at %s", site);
    }
    return 0;
}

int hkt_mutex_lock(pthread_mutex_t *mutex, const char *site)
{
    enum { NOW_AND_THEN = 8 };
    int *owner = owner_of(mutex);

    hkt_point("lock", mutex, site);
    if (*owner == own_mark()) {
        hkt_fail("a mutex is taken twice, at %s", site);
    }
    if (hkt_has_fault(HKT_OPEN_MUTEXES) && hkt_chance(NOW_AND_THEN) == 0) {
        *owner = own_mark();
    }
    while (*owner != 0 && *owner != own_mark()) {
        if (!hkt_is_in_round()) {
            hkt_fail("a mutex stays taken for ever, at %s", site);
        }
        (void)hkt_machine_wait(HKT_AT_MUTEX, mutex, HKI_NEVER);
    }
    *owner = own_mark();
    return 0;
}

int hkt_mutex_unlock(pthread_mutex_t *mutex, const char *site)
{
    hkt_point("unlock", mutex, site);
    /* A fork takes mutexes in the parent, and lets go of them in the child. */
    if (*owner_of(mutex) != own_mark() && hkt_is_in_round() && !hkt_has_fault(HKT_OPEN_MUTEXES)) {
        hkt_fail("a mutex is let go by who does not have it, at %s", site);
    }
    *owner_of(mutex) = 0;
    return 0;
}

/* --- threads --- */

int hkt_thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *),
                      void *arg, const char *site)
{
    int failed;

    hkt_point("start", thread, site);
    failed = hkt_machine_start(attributes, fn, arg, thread);
    hkt_point("started", thread, site);
    return failed;
}

static struct hkt_thread *find(pthread_t handle)
{
    for (unsigned i = 0; i < hkt_machine_count(); i++) {
        struct hkt_thread *thread = hkt_machine_thread(i);

        if (!thread->is_gone && pthread_equal(thread->handle, handle)) {
            return thread;
        }
    }
    hkt_fail("a thread is joined or detached that is not there");
}

int hkt_thread_join(pthread_t handle, void **result, const char *site)
{
    struct hkt_thread *thread = find(handle);

    hkt_point("join", thread, site);
    while (thread->wait != HKT_ENDED) {
        (void)hkt_machine_wait(HKT_AT_JOIN, thread, HKI_NEVER);
    }
    thread->is_gone = true;
    if (result != NULL) {
        *result = thread->result;
    }
    return pthread_join(handle, NULL);
}

int hkt_thread_detach(pthread_t handle)
{
    find(handle)->is_gone = true;
    return 0;
}

/* --- keys --- */

int hkt_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        if (!keys[i].is_taken) {
            keys[i].is_taken = true;
            keys[i].destructor = destructor;
            *key = i;
            return 0;
        }
    }
    return EAGAIN;
}

int hkt_key_delete(pthread_key_t key)
{
    keys[key].is_taken = false;
    keys[key].destructor = NULL;
    return 0;
}

int hkt_key_set(pthread_key_t key, const void *value)
{
    values[key] = value;
    return 0;
}

void *hkt_key_get(pthread_key_t key)
{
    return (void *)(uintptr_t)values[key];
}

void hkt_keys_end(void)
{
    bool again = true;

    for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS && again; round++) {
        again = false;
        for (unsigned i = 0; i < KEYS_MAX; i++) {
            void *value = hkt_key_get(i);

            if (value != NULL && keys[i].destructor != NULL) {
                values[i] = NULL;
                keys[i].destructor(value);
                again = true;
            }
        }
    }
}
