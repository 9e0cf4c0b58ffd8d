/* SPDX-License-Identifier: MIT */
/*
 * A thread's cells are in its thread-local memory, so they must be out of the list before that
 * goes. Its key's destructor sees to it; what the thread counts afterwards, in destructors of
 * other keys, goes straight to the common cells, as no destructor need come a second time.
 */
#include "base/tally.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/fork.h"

_Thread_local struct hki_tally hki_own_tally __attribute__((tls_model("initial-exec")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hki_list threads = {&threads, &threads}; /* Under the lock. */
static atomic_int_fast64_t common[HKI_TALLIES];        /* Of those that have no cells. */

static pthread_key_t key;
static atomic_bool has_key;

/* Under the lock. */
static void fold(struct hki_tally *tally)
{
    for (unsigned i = 0; i < HKI_TALLIES; i++) {
        /* relaxed: statistics; the lock keeps readers from seeing them twice or not at all. */
        int64_t left = atomic_load_explicit(&tally->cells[i], memory_order_relaxed);

        atomic_fetch_add_explicit(&common[i], left, memory_order_relaxed);
        atomic_store_explicit(&tally->cells[i], 0, memory_order_relaxed);
    }
    hki_list_remove(&tally->link);
}

static void leave(void *value)
{
    struct hki_tally *own = value;

    pthread_mutex_lock(&lock);
    fold(own);
    pthread_mutex_unlock(&lock);
    own->is_listed = false;
    own->has_ended = true;
}

static bool enlist(struct hki_tally *own)
{
    if (own->has_ended || !atomic_load(&has_key) || pthread_setspecific(key, own) != 0) {
        return false;
    }
    pthread_mutex_lock(&lock);
    hki_list_append(&threads, &own->link);
    pthread_mutex_unlock(&lock);
    own->is_listed = true;
    return true;
}

void hki_tally_add_slowly(unsigned counter, int64_t change)
{
    if (enlist(&hki_own_tally)) {
        hki_tally_add(counter, change);
        return;
    }
    /* relaxed: as in hki_tally_add(). */
    atomic_fetch_add_explicit(&common[counter], change, memory_order_relaxed);
}

int64_t hki_tally_sum(unsigned counter)
{
    int64_t sum;

    pthread_mutex_lock(&lock);
    /* relaxed: as in hki_tally_add(). */
    sum = atomic_load_explicit(&common[counter], memory_order_relaxed);
    for (struct hki_list *link = threads.next; link != &threads; link = link->next) {
        struct hki_tally *tally = HKI_CONTAINER(link, struct hki_tally, link);

        sum += atomic_load_explicit(&tally->cells[counter], memory_order_relaxed);
    }
    pthread_mutex_unlock(&lock);
    return sum;
}

static void before_fork(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static void fold_others(void)
{
    struct hki_list *next;

    for (struct hki_list *link = threads.next; link != &threads; link = next) {
        next = link->next;
        if (link != &hki_own_tally.link) {
            fold(HKI_CONTAINER(link, struct hki_tally, link));
        }
    }
}

/* The other threads are not here, but what they had counted is; their memory is given to
 * new threads soon. */
static void in_child(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    fold_others();
    pthread_mutex_unlock(&lock);
}

/* The priority lets constructors of the application count. And the handlers that are registered
 * first are called last before a fork: this lock may be wanted by who holds another. */
__attribute__((constructor(101))) static void set_up(void)
{
    atomic_store(&has_key, pthread_key_create(&key, leave) == 0);
    (void)pthread_atfork(before_fork, in_parent, in_child);
}

/* A library that is unloaded must leave no key behind whose destructor is gone. No thread is
 * taken out of the list at its end from here on, so none may stay in it; what the others count
 * while the process ends is lost. */
__attribute__((destructor(101))) static void give_key_back(void)
{
    if (atomic_exchange(&has_key, false)) {
        pthread_mutex_lock(&lock);
        fold_others();
        pthread_mutex_unlock(&lock);
        pthread_key_delete(key);
    }
}
