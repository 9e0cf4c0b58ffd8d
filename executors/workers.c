/* SPDX-License-Identifier: MIT */
/* The workers of a thread pool: starting, being called for, leaving. What they do in between is
 * in serve.c. */
#include <signal.h>
#include <stdio.h>

#include "base/live.h"
#include "base/memory.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/thread_pool_impl.h"
#include "sync/condition.h"
#include "sync/luck.h"

void hki_pool_abandon(struct thread_pool *pool, struct taken *taken)
{
    hki_list_init(&taken->queued);
    taken->others = NULL;
    /* Something may have come since the pool last grew: who brings it takes no lock. So a worker
     * is tried for once more, before all is given up. */
    if (pool->broken ||
        (pool->live == 0 && hki_pool_has_work(pool) && hki_pool_start_worker(pool) != HK_OK)) {
        hki_pool_take_all(pool, taken);
    }
}

void hki_pool_discard_abandoned(struct thread_pool *pool, struct taken *taken, bool broken)
{
    if (broken) {
        hki_pool_discard_all(pool, taken, HK_EINIT,
                             "the worker initialiser failed before it could start");
    } else {
        hki_pool_discard_all(pool, taken, HK_EBROKEN,
                             "no worker thread could be started to run it");
    }
}

/* Takes the worker out of the pool and joins those who left before. */
static void leave(struct worker *worker)
{
    struct thread_pool *pool = worker->pool;
    struct hki_list earlier;
    struct taken taken;
    bool broken;

    hki_list_init(&earlier);
    worker->agent->counts = NULL;   /* The deck's: the next one counts there. */
    worker->agent->host_ops = NULL; /* It is not busy: a wait below is none of the pool's. */
    hki_list_remove(&worker->link);
    pool->live--;
    /* What it submitted and did not run comes before what others bring. */
    hki_pool_empty_deck(pool, worker->deck);
    atomic_store(&worker->deck->agent, NULL);
    worker->deck->is_taken = false;
    worker->deck = NULL; /* From here on another worker may have it. */
    hki_pool_update_wants(pool);
    hki_pool_meet_forks(pool); /* Some may have counted on its search. */
    hki_pool_grow(pool);
    hki_pool_abandon(pool, &taken);
    broken = pool->broken;
    if ((pool->closing || broken) && pool->idle != 0) {
        /* Since the shutdown they may have gone to sleep again while there was work, which is
         * done now. Else they would linger, and the join with them. */
        hki_pool_alert(pool);
    }
    pthread_mutex_unlock(&pool->lock);

    hki_pool_discard_abandoned(pool, &taken, broken);
    hki_executor_wake_joins();
    /* Under the graph's lock, for a look may still read this thread's record, and the name
     * in the worker's. */
    hki_wait_graph_lock();
    worker->agent->name = NULL;
    worker->agent->host_owner = NULL;
    hki_wait_graph_unlock();

    pthread_mutex_lock(&pool->lock);
    hki_list_append_all(&earlier, &pool->departed);
    hki_list_append(&pool->departed, &worker->link);
    pool->present--;
    hki_condition_broadcast(&pool->settled);
    pthread_mutex_unlock(&pool->lock);
    hki_pool_join_departed(&earlier);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct thread_pool *pool = worker->pool;
    struct hki_agent *agent = hki_agent_self();
    hk_status status;
    HKI_NO_CANCEL; /* Nor are tasks: nobody has asked them. */

    hki_os_thread_name(worker->name);
    if (pool->cpu_count != 0) {
        (void)hki_os_thread_affinity(pool->cpus, pool->cpu_count);
    }
    agent->stack_low = hki_os_stack_low();
    agent->name = worker->where;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&worker->deck->agent, agent);
    worker->agent = agent; /* So that a look sees what the initialiser waits for. */
    pthread_mutex_unlock(&pool->lock);
    status = hki_worker_initialise(pool->executor, &pool->hooks, worker->where, &worker->local);
    /* Only now: a wait in the initialiser is none of a worker that is busy. */
    agent->host_ops = &hki_worker_host_ops;
    agent->counts = &worker->deck->counts;
    agent->host = worker;
    agent->host_owner = pool->executor;

    pthread_mutex_lock(&pool->lock);
    worker->is_ready = true;
    pool->starting--;
    pool->broken = pool->broken || status != HK_OK;
    hki_condition_broadcast(&pool->settled);
    if (status == HK_OK) {
        hki_worker_serve(worker);
        pool->leaving++;
        hki_pool_update_wants(pool);
        hki_pool_grow(pool); /* Somebody may have counted on it. Its finaliser may be long. */
        pthread_mutex_unlock(&pool->lock);
        agent->host_ops = NULL; /* Nor is a wait in the finaliser. */
        hki_worker_finish(&pool->hooks, worker->local);
        pthread_mutex_lock(&pool->lock);
        pool->leaving--;
    } else {
        hki_pool_alert(pool); /* The others leave too. */
        hki_condition_broadcast(&pool->queue.room);
    }
    leave(worker);
    return NULL;
}

/* --- starting --- */

/* The lowest index that no live worker has, so that names stay few. */
static unsigned free_index(const struct thread_pool *pool)
{
    for (unsigned index = 0;; index++) {
        const struct hki_list *at = &pool->workers;
        bool taken = false;

        while (!taken && (at = at->next) != &pool->workers) {
            taken = HKI_CONTAINER(at, struct worker, link)->index == index;
        }
        if (!taken) {
            return index;
        }
    }
}

static void name_worker(struct worker *worker)
{
    const char *pool_name = worker->pool->executor->name;
    char suffix[12];
    int suffix_length = snprintf(suffix, sizeof(suffix), "_%u", worker->index);

    /* The kernel keeps 15 bytes: cut the pool's name, not the number. */
    snprintf(worker->name, sizeof(worker->name), "%.*s%s", 15 - suffix_length, pool_name, suffix);
    snprintf(worker->where, sizeof(worker->where), "worker %s%s", pool_name, suffix);
}

static int create_thread(struct worker *worker)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int failed = pthread_attr_init(&attributes);

    if (failed != 0) {
        return failed;
    }
    if (worker->pool->stack_size != 0) {
        failed = pthread_attr_setstacksize(&attributes, worker->pool->stack_size);
    }
    if (failed == 0) {
        /* The application's signals are for its own threads. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        failed = pthread_create(&worker->thread, &attributes, worker_main, worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return failed;
}

hk_status hki_pool_start_worker(struct thread_pool *pool)
{
    struct worker *worker = hki_zalloc(sizeof(*worker));
    struct deck *deck = worker == NULL ? NULL : hki_deck_take(&pool->decks);
    int failed;

    if (deck == NULL) {
        hki_free(worker, sizeof(*worker));
        pool->cannot_grow = true;
        return HK_ENOMEM;
    }
    worker->pool = pool;
    worker->deck = deck;
    worker->index = free_index(pool);
    worker->tasks_left = pool->tasks_per_worker;
    worker->restarts = pool->restarts;
    name_worker(worker);
    hki_list_append(&pool->workers, &worker->link);
    pool->live++;
    pool->present++;
    pool->starting++;
    if ((failed = create_thread(worker)) != 0) {
        hki_list_remove(&worker->link);
        pool->live--;
        pool->present--;
        pool->starting--;
        deck->is_taken = false;
        hki_free(worker, sizeof(*worker));
        pool->cannot_grow = true;
        errno = failed;
        return HK_ESYS;
    }
    pool->cannot_grow = false;
    pool->started_ever++;
    hki_pool_update_wants(pool);
    hki_live_add(HKI_LIVE_WORKERS, 1);
    return HK_OK;
}

void hki_pool_count_busy(struct thread_pool *pool, int change)
{
    pool->busy += (unsigned)change;
    hki_luck_crowd(change);
}

void hki_pool_update_wants(struct thread_pool *pool)
{
    /* A worker that leaves is replaced once it has left. */
    bool wants =
        pool->closing || pool->broken || pool->live == 0 ||
        (pool->live - pool->blocked < pool->target && pool->live < pool->target + pool->spares_max);

    atomic_store(&pool->is_manned, pool->live != 0);
    if (hki_crew_want(&pool->crew, wants)) {
        hki_pool_meet_forks(pool);
    }
}

void hki_pool_meet_forks(struct thread_pool *pool)
{
    /* seq_cst: pairs with hk_scope_begin(). If it is not set yet, the forks that come after it
     * see the word as it is now. */
    if (atomic_load(&pool->forks_quietly)) {
        hki_os_barrier();
    }
}

void hki_pool_alert(struct thread_pool *pool)
{
    atomic_fetch_add(&pool->attention, 1);
    for (struct hki_list *at = pool->sleepers.next; at != &pool->sleepers; at = at->next) {
        hki_condition_signal(&HKI_CONTAINER(at, struct worker, idle_link)->wake);
    }
}

/* Calls the worker that went to sleep last: its memory is warm. It is counted as busy and
 * searching from now on, so that nobody calls another for the same task. */
static void wake_one(struct thread_pool *pool)
{
    struct worker *worker = HKI_CONTAINER(pool->sleepers.next, struct worker, idle_link);

    hki_list_remove(&worker->idle_link);
    worker->woken = true;
    pool->idle--;
    hki_pool_count_busy(pool, 1);
    hki_crew_add(&pool->crew, HKI_CREW_SEARCHING - HKI_CREW_SLEEPING);
    hki_condition_signal(&worker->wake);
}

static unsigned count_finishing(struct thread_pool *pool)
{
    unsigned count = 0;

    for (struct deck *deck = atomic_load(&pool->decks); deck != NULL; deck = deck->next) {
        /* seq_cst: what was brought before is seen by the worker when it has finished. */
        count += atomic_load(&deck->is_finishing) ? 1 : 0;
    }
    return count;
}

void hki_pool_grow(struct thread_pool *pool)
{
    unsigned searching = hki_crew_searching(atomic_load(&pool->crew.word));
    size_t wanted;

    if (pool->busy >= pool->target || pool->broken || !hki_pool_has_work(pool)) {
        return;
    }
    if (pool->idle != 0) {
        /* A searcher finds it, and calls for another if there is more. */
        if (searching == 0) {
            wake_one(pool);
        }
        return;
    }
    wanted = hki_pool_pending(pool, false);
    wanted = pool->target - pool->busy < wanted ? pool->target - pool->busy : wanted;
    if (wanted > pool->starting + searching + count_finishing(pool) &&
        pool->live - pool->blocked < pool->target && pool->live < pool->target + pool->spares_max) {
        (void)hki_pool_start_worker(pool);
    }
}

void hki_pool_call(struct thread_pool *pool)
{
    if (hki_crew_calls(&pool->crew)) {
        pthread_mutex_lock(&pool->lock);
        hki_pool_grow(pool);
        pthread_mutex_unlock(&pool->lock);
    }
}

void hki_pool_join_departed(struct hki_list *departed)
{
    struct hki_list *first;
    HKI_NO_CANCEL;

    while ((first = hki_list_take_first(departed)) != NULL) {
        struct worker *worker = HKI_CONTAINER(first, struct worker, link);

        pthread_join(worker->thread, NULL);
        hki_free(worker, sizeof(*worker));
        hki_live_add(HKI_LIVE_WORKERS, -1);
    }
}
