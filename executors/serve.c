/* SPDX-License-Identifier: MIT */
/* What a worker of a thread pool does all day: take, run, search, sleep. */
#include "base/assert.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/thread_pool_impl.h"

/* How long a spare worker stays when it is not needed any more: nested waits come
 * in series, and starting a thread costs more than keeping one for a moment. */
#define SPARE_LINGER HK_MS(100)

enum {
    SEARCH_YIELDS = 32, /* After the pauses, see HKI_SEARCH_PAUSES. */
    SEARCH_TURN = 25,
};

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
    hki_pool_count_busy(pool, -1);
    pool->blocked++;
    hki_pool_update_wants(pool);
    hki_pool_grow(pool);
    pthread_mutex_unlock(&pool->lock);
}

static void unblock(void *host)
{
    struct thread_pool *pool = ((struct worker *)host)->pool;

    pthread_mutex_lock(&pool->lock);
    pool->blocked--;
    hki_pool_count_busy(pool, 1);
    hki_pool_update_wants(pool);
    if (pool->busy > pool->target) {
        hki_pool_alert(pool); /* One of them rests, when its task has ended. */
    } else if (pool->idle != 0 && is_superfluous(pool)) {
        /* The one that has slept for longest learns that it need not stay. */
        hki_condition_signal(
            &HKI_CONTAINER(pool->sleepers.previous, struct worker, idle_link)->wake);
    }
    pthread_mutex_unlock(&pool->lock);
}

static void finishing(void *host)
{
    hki_worker_is_finishing(host);
}

static void finished(struct worker *worker)
{
    /* relaxed: written by this thread alone. */
    if (atomic_load_explicit(&worker->deck->is_finishing, memory_order_relaxed)) {
        atomic_store(&worker->deck->is_finishing, false);
    }
}

static void occupied(void *host)
{
    struct worker *worker = host;
    struct thread_pool *pool = worker->pool;

    /* relaxed: written by this thread alone. */
    if (atomic_load_explicit(&worker->deck->is_finishing, memory_order_relaxed)) {
        finished(worker);
        /* A submit may have counted on it. */
        pthread_mutex_lock(&pool->lock);
        hki_pool_grow(pool);
        pthread_mutex_unlock(&pool->lock);
    }
}

const struct hki_agent_host_ops hki_worker_host_ops = {block, unblock, finishing, occupied};

/* --- running --- */

/* For a whole job; a slim one has a quicker way. */
static bool run_whole(struct worker *worker, hk_job *job)
{
    struct thread_pool *pool = worker->pool;
    struct deck *deck = worker->deck;
    /* relaxed: written by this thread alone. */
    struct running here = {job, atomic_load_explicit(&deck->running, memory_order_relaxed)};
    unsigned scopes = worker->scopes;
    bool ran;

    /* seq_cst, like the executor's state that hki_job_run() reads next: either it sees a hard
     * shutdown, or the shutdown sees the job here. */
    atomic_store(&deck->running, &here);
    ran = hki_job_run(job, worker->local, worker->where);
    HKI_ASSERT(worker->scopes == scopes); /* Else the task did not end one, see hk_scope_end(). */
    /* seq_cst: who still sees the job here has set `scans` before, and is waited for. */
    atomic_store(&deck->running, here.outer);
    if (atomic_load(&pool->scans)) {
        pthread_mutex_lock(&pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
    hki_wait_graph_settle();
    hk_future_unref(&job->future);
    return ran;
}

bool hki_worker_run_job(struct worker *worker, hk_job *job)
{
    return hki_job_is_slim(job) ? hki_worker_run_slim(worker, job) : run_whole(worker, job);
}

/* One that was taken out of the lane or a deck may have ended there. */
bool hki_worker_run_taken(struct worker *worker, hk_job *job)
{
    bool in_lane = hki_job_in_lane(job);
    bool ran = hki_worker_run_job(worker, job);

    if (__builtin_expect(!ran && in_lane, false)) {
        atomic_fetch_sub(&worker->pool->dead, 1);
    }
    return ran;
}

/* The same for whatever was taken. */
static bool run_item(struct worker *worker, void *item)
{
    if (hki_item_is_fork(item)) {
        hki_fork_run(worker, hki_item_forked(item));
        return false; /* No task. */
    }
    return hki_worker_run_taken(worker, item);
}

/* Under no lock. Else somebody has just taken it. */
static bool take_out_of_queue(struct thread_pool *pool, hk_job *job)
{
    bool is_out;

    pthread_mutex_lock(&pool->lock);
    is_out = hki_task_queue_remove(&pool->queue, job);
    pthread_mutex_unlock(&pool->lock);
    return is_out;
}

bool hki_worker_claim(struct worker *worker, hk_job *job)
{
    if (!hki_job_in_lane(job)) {
        return take_out_of_queue(worker->pool, job) && run_whole(worker, job);
    }
    if (!hki_deque_take_back(&worker->deck->deque, job)) {
        /* It stays where it is, with its reference; this one is for the run. */
        hk_future_ref(&job->future);
        atomic_fetch_add(&worker->pool->dead, 1);
    }
    return hki_worker_run_taken(worker, job);
}

/* --- searching --- */

/* Whether one more may search: half of them at most, for searchers take the memory's time
 * from those who work. */
static bool begin_search(struct thread_pool *pool)
{
    unsigned most = pool->target / 2 == 0 ? 1 : pool->target / 2;

    if (hki_crew_searching(atomic_load(&pool->crew.word)) >= most) {
        return false;
    }
    hki_crew_add(&pool->crew, HKI_CREW_SEARCHING);
    return true;
}

static bool is_alerted(const struct worker *worker)
{
    /* relaxed: who alerts, and sleeps until it is heard, is answered under the lock. */
    return atomic_load_explicit(&worker->pool->attention, memory_order_relaxed) !=
           worker->attention;
}

static void *search(struct worker *worker)
{
    struct thread_pool *pool = worker->pool;

    for (int i = 0; i < pool->search_pauses + SEARCH_YIELDS; i++) {
        void *item = NULL;

        if (hki_lane_count(&pool->lane) != 0 || i % 8 == 0) {
            item = hki_pool_take(pool, worker);
        }
        if (item != NULL || is_alerted(worker)) {
            return item;
        }
        /* Who brings something may wait for this very processor. */
        if (i < pool->search_pauses && i % SEARCH_TURN != SEARCH_TURN - 1) {
            hki_os_pause();
        } else {
            hki_os_yield();
        }
    }
    return NULL;
}

/* A worker has found something, perhaps the last one that searched, perhaps one that was
 * counted on as it was finishing: if there is more, another is to come. */
static void found(struct thread_pool *pool, bool searching)
{
    if (searching) {
        (void)hki_crew_remove(&pool->crew, HKI_CREW_SEARCHING);
    }
    if (hki_crew_calls(&pool->crew) && hki_pool_has_work(pool)) {
        hki_pool_call(pool);
    }
}

/* The next one, if need be after a search. */
static void *find(struct worker *worker, bool *searching)
{
    struct thread_pool *pool = worker->pool;
    void *item = hki_pool_take(pool, worker);

    if (item == NULL && !*searching) {
        *searching = begin_search(pool);
    }
    return item == NULL && *searching ? search(worker) : item;
}

/* From task to task, without the lock; counted as searching at first. */
static void work(struct worker *worker)
{
    bool searching = true;
    bool may_go_on = true;
    void *item;

    while (may_go_on && (item = find(worker, &searching)) != NULL) {
        if (is_alerted(worker)) {
            /* The pool has changed before it was brought, or while it was: it may be that this
             * worker is not to run it. */
            hki_pool_give_back(worker->pool, item);
            break;
        }
        finished(worker);
        found(worker->pool, searching);
        searching = false;
        worker->idle_since_ns = 0;
        if (run_item(worker, item) && worker->tasks_left != 0) {
            may_go_on = --worker->tasks_left != 0;
            worker->is_worn = !may_go_on;
        }
    }
    finished(worker);
    if (searching) {
        (void)hki_crew_remove(&worker->pool->crew, HKI_CREW_SEARCHING);
    }
}

/* --- sleeping --- */

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

/* Under the lock: sleeps until it is called, or there is something to look at. False when it
 * has been idle for as long as it may; waking up without a cause does not start that time
 * again. */
static bool sleep_for_a_while(struct worker *worker)
{
    struct thread_pool *pool = worker->pool;
    bool in_time = true;

    if (worker->idle_since_ns == 0) {
        worker->idle_since_ns = hk_now_ns();
    }
    worker->woken = false;
    pool->idle++;
    hki_list_append(pool->sleepers.next, &worker->idle_link); /* In front. */
    hki_crew_add(&pool->crew, HKI_CREW_SLEEPING);
    hki_pool_meet_forks(pool);
    /* Who brought something before that was counted has not called. */
    hki_pool_grow(pool);
    while (!worker->woken && in_time && !is_alerted(worker)) {
        in_time = hki_condition_wait(&worker->wake, &pool->lock, leaves_at(worker));
    }
    if (!worker->woken) {
        hki_list_remove(&worker->idle_link);
        (void)hki_crew_remove(&pool->crew, HKI_CREW_SLEEPING);
        pool->idle--;
    }
    /* What it waited for may have changed while it slept, and with it how long it may stay. */
    return in_time || worker->woken || hk_now_ns() < leaves_at(worker);
}

void hki_worker_serve(struct worker *worker)
{
    struct thread_pool *pool = worker->pool;

    while (!worker->is_worn && worker->restarts == pool->restarts) {
        /* relaxed: written under the lock. */
        worker->attention = atomic_load_explicit(&pool->attention, memory_order_relaxed);
        if (worker->woken || (pool->busy < pool->target && hki_pool_has_work(pool))) {
            if (!worker->woken) { /* Else who woke it has counted it. */
                hki_pool_count_busy(pool, 1);
                hki_crew_add(&pool->crew, HKI_CREW_SEARCHING);
            }
            worker->woken = false;
            pthread_mutex_unlock(&pool->lock);
            work(worker);
            pthread_mutex_lock(&pool->lock);
            hki_pool_count_busy(pool, -1);
            continue;
        }
        if ((pool->closing || pool->broken) && !hki_pool_has_work(pool)) {
            return;
        }
        if (!sleep_for_a_while(worker)) {
            return; /* Too many, or idle for as long as it may. */
        }
    }
    if (worker->woken) {
        /* Called for, but it leaves. */
        worker->woken = false;
        hki_pool_count_busy(pool, -1);
        (void)hki_crew_remove(&pool->crew, HKI_CREW_SEARCHING);
    }
}
