/* SPDX-License-Identifier: MIT */
/*
 * One thread key for all objects. Its destructor may run several times for a
 * thread: objects that are built by the destructors of other keys set it again. What drop
 * functions build is seen to at once, for the last runs may come when a sanitizer has taken the
 * thread apart already.
 *
 * The main thread has no such destructor when the process exits, and a shared object
 * that is unloaded must leave no key behind whose destructor is gone; so the library's own
 * destructor does both.
 *
 * The priority lets constructors and destructors of the application use what is per thread.
 */
#include "sync/thread_end.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "sync/agent.h"
#include "sync/local_impl.h"

static pthread_key_t key;
static atomic_bool is_ready; /* The key is there. */
static atomic_bool is_over;  /* The library has been taken down. */

static _Thread_local bool watched;
static _Thread_local int rounds;

static void leave(void *unused)
{
    (void)unused;
    watched = false;
    do {
        if (++rounds >= PTHREAD_DESTRUCTOR_ITERATIONS) {
            hki_local_stop_building();
        }
    } while (hki_local_leave());
}

/* Not at the end of the process, which may come inside of a task. */
static void end(void *unused)
{
    hki_agent_stop_if_inside(hki_agent_self());
    leave(unused);
}

bool hki_thread_end_watch(void)
{
    if (watched || atomic_load(&is_over)) {
        return true;
    }
    /* The value only has to be something. */
    watched = atomic_load(&is_ready) && pthread_setspecific(key, &watched) == 0;
    return watched;
}

__attribute__((constructor(101))) static void take_key(void)
{
    atomic_store(&is_ready, pthread_key_create(&key, end) == 0);
}

__attribute__((destructor(101))) static void give_key_back(void)
{
    leave(NULL);
    atomic_store(&is_over, true);
    if (atomic_load(&is_ready)) {
        pthread_key_delete(key);
    }
}
