/* SPDX-License-Identifier: MIT */
/* The workers of a thread pool: starting, serving, being blocked, leaving. */
#include <signal.h>
#include <stdio.h>

#include "base/live.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/thread_pool_impl.h"
#include "sync/condition.h"

/* How long a spare worker stays when it is not needed any more: nested waits come
 * in series, and starting a thread costs more than keeping one for a moment. */
#define SPARE_LINGER HK_MS(100)

/* Under the lock. */
static bool is_superfluous(const struct thread_pool *pool)
{
    return pool->live - pool->leaving - pool->blocked > pool->target;
}

/* --- what a worker tells its pool while it runs a task --- */

static void block(void *host)
{
    struct thread_pool *pool = ((struct worker *)host)->pool;

    pthread_mutex_lock(&pool->lock);
    pool->busy--;
    pool->blocked++;
    hki_pool_grow(pool);
    pthread_mutex_unlock(&pool->lock);
}

static void unblock(void *host)
{
    struct thread_pool *pool = ((struct worker *)host)->pool;

    pthread_mutex_lock(&pool->lock);
    pool->blocked--;
    pool->busy++;
    if (pool->idle != 0 && is_superfluous(pool)) {
        hki_condition_signal(&pool->work); /* A spare learns that it need not stay. */
    }
    pthread_mutex_unlock(&pool->lock);
}

static void finishing(void *host)
{
    struct worker *worker = host;

    worker->finishing = true;
    atomic_fetch_add(&worker->pool->finishing, 1);
}

static void finished(struct worker *worker)
{
    if (worker->finishing) {
        worker->finishing = false;
        atomic_fetch_sub(&worker->pool->finishing, 1);
    }
}

static void occupied(void *host)
{
    struct worker *worker = host;
    struct thread_pool *pool = worker->pool;

    if (worker->finishing) {
        finished(worker);
        /* A submit may have counted on it. */
        pthread_mutex_lock(&pool->lock);
        hki_pool_grow(pool);
        pthread_mutex_unlock(&pool->lock);
    }
}

static const struct hki_agent_host_ops host_ops = {block, unblock, finishing, occupied};

/* --- serving --- */

void hki_worker_run_job(struct worker *worker, hk_job *job)
{
    struct thread_pool *pool = worker->pool;

    pthread_mutex_lock(&pool->lock);
    hki_running_add(&pool->running, job);
    pthread_mutex_unlock(&pool->lock);
    (void)hk_job_run(job, worker->local, worker->where);
    pthread_mutex_lock(&pool->lock);
    hki_running_remove(job, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

/* Under the lock: when a worker that is idle has been so for as long as it may. */
static int64_t leaves_at(const struct worker *worker)
{
    const struct thread_pool *pool = worker->pool;
    hk_duration limit = is_superfluous(pool) ? SPARE_LINGER : pool->idle_exit;
    int64_t deadline_ns;

    if (limit == HK_FOREVER || __builtin_add_overflow(worker->idle_since_ns, limit, &deadline_ns)) {
        return HKI_NEVER;
    }
    return deadline_ns;
}

/* Under the lock: sleeps until there may be work. False when it has been idle for
 * as long as it may; waking up without a cause does not start that time again. */
static bool idle_for_a_while(struct worker *worker)
{
    struct thread_pool *pool = worker->pool;
    bool woken;

    if (worker->idle_since_ns == 0) {
        worker->idle_since_ns = hk_now_ns();
    }
    pool->idle++;
    woken = hki_condition_wait(&pool->work, &pool->lock, leaves_at(worker));
    pool->idle--;
    return woken || pool->queue.length != 0;
}

/* Under the lock: serves until the worker has a reason to leave. The caller counts
 * it as leaving before the lock is released, so that others do not leave, too, for
 * the same reason. */
static void serve(struct worker *worker)
{
    struct thread_pool *pool = worker->pool;

    while (worker->restarts == pool->restarts) {
        hk_job *job = pool->busy < pool->target ? hki_task_queue_pop(&pool->queue) : NULL;

        if (job != NULL) {
            worker->idle_since_ns = 0;
            pool->busy++;
            hki_pool_grow(pool); /* More is queued than a submit counted on? */
            pthread_mutex_unlock(&pool->lock);
            hki_worker_run_job(worker, job);
            pthread_mutex_lock(&pool->lock);
            finished(worker);
            pool->busy--;
            if (worker->tasks_left != 0 && --worker->tasks_left == 0) {
                return;
            }
        } else if ((pool->closing || pool->broken) && pool->queue.length == 0) {
            return;
        } else {
            bool lingers = is_superfluous(pool);

            if (!idle_for_a_while(worker) && (is_superfluous(pool) || !lingers)) {
                return; /* Too many, or idle for as long as it may. */
            }
        }
    }
}

/* Under the lock: nobody will serve what is queued. */
static void abandon(struct thread_pool *pool, struct hki_list *jobs)
{
    if (pool->broken || (pool->live == 0 && pool->queue.length != 0)) {
        hki_task_queue_take_all(&pool->queue, jobs);
    }
}

/* Without the lock. */
static void discard_abandoned(struct hki_list *jobs, bool broken)
{
    if (broken) {
        hki_discard_all(jobs, HK_EINIT, "the worker initialiser failed before it could start");
    } else {
        hki_discard_all(jobs, HK_EBROKEN, "no worker thread could be started to run it");
    }
}

/* Takes the worker out of the pool and joins those who left before. */
static void leave(struct worker *worker)
{
    struct thread_pool *pool = worker->pool;
    struct hki_list earlier;
    struct hki_list jobs;
    bool broken;

    hki_list_init(&earlier);
    hki_list_init(&jobs);
    hki_list_remove(&worker->link);
    pool->live--;
    hki_pool_grow(pool);
    abandon(pool, &jobs);
    broken = pool->broken;
    pthread_mutex_unlock(&pool->lock);

    discard_abandoned(&jobs, broken);
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

    hki_os_thread_name(worker->name);
    if (pool->cpu_count != 0) {
        (void)hki_os_thread_affinity(pool->cpus, pool->cpu_count);
    }
    agent->stack_low = hki_os_stack_low();
    agent->name = worker->where;
    pthread_mutex_lock(&pool->lock);
    worker->agent = agent; /* So that a look sees what the initialiser waits for. */
    pthread_mutex_unlock(&pool->lock);
    status = hki_worker_initialise(pool->executor, &pool->hooks, worker->where, &worker->local);
    /* Only now: a wait in the initialiser is none of a worker that is busy. */
    agent->host_ops = &host_ops;
    agent->host = worker;
    agent->host_owner = pool->executor;

    pthread_mutex_lock(&pool->lock);
    worker->is_ready = true;
    pool->starting--;
    pool->broken = pool->broken || status != HK_OK;
    hki_condition_broadcast(&pool->settled);
    if (status == HK_OK) {
        serve(worker);
        pool->leaving++;
        pthread_mutex_unlock(&pool->lock);
        agent->host_ops = NULL; /* Nor is a wait in the finaliser. */
        hki_worker_finish(&pool->hooks, worker->local);
        pthread_mutex_lock(&pool->lock);
        pool->leaving--;
    } else {
        hki_condition_broadcast(&pool->work); /* The others leave too. */
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
    int failed;

    if (worker == NULL) {
        pool->cannot_grow = true;
        return HK_ENOMEM;
    }
    worker->pool = pool;
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
        hki_free(worker, sizeof(*worker));
        pool->cannot_grow = true;
        errno = failed;
        return HK_ESYS;
    }
    pool->cannot_grow = false;
    pool->started_ever++;
    hki_live_add(HKI_LIVE_WORKERS, 1);
    return HK_OK;
}

void hki_pool_grow(struct thread_pool *pool)
{
    size_t wanted;
    size_t available;

    if (pool->queue.length == 0 || pool->busy >= pool->target || pool->broken) {
        return;
    }
    if (pool->idle != 0) {
        hki_condition_signal(&pool->work);
    }
    wanted = pool->target - pool->busy;
    wanted = pool->queue.length < wanted ? pool->queue.length : wanted;
    available = (size_t)pool->idle + pool->starting;
    if (wanted > available + atomic_load(&pool->finishing) &&
        pool->live - pool->blocked < pool->target && pool->live < pool->target + pool->spares_max) {
        (void)hki_pool_start_worker(pool);
    }
}

void hki_pool_join_departed(struct hki_list *departed)
{
    struct hki_list *first;

    while ((first = hki_list_take_first(departed)) != NULL) {
        struct worker *worker = HKI_CONTAINER(first, struct worker, link);

        pthread_join(worker->thread, NULL);
        hki_free(worker, sizeof(*worker));
        hki_live_add(HKI_LIVE_WORKERS, -1);
    }
}
