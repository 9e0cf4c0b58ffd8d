/* SPDX-License-Identifier: MIT */
/* Taking jobs back, stopping those that run, and shutting down. */
#include <signal.h>

#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/pool.h"

/* --- before it begins --- */

void hki_entry_unforce(struct entry *entry)
{
    struct process_pool *pool = entry->seat->pool;

    if (entry->forced) {
        entry->forced = false;
        pool->forced--;
        atomic_fetch_sub(&pool->executor->straggling, 1);
    }
}

bool hki_seat_withdraw(struct seat *seat, uint32_t request)
{
    struct process_pool *pool = seat->pool;
    struct entry *entry = hki_seat_entry(seat, request);
    uint32_t word = hki_cell_word(request, HKI_CELL_QUEUED);

    if (!atomic_compare_exchange_strong(&hki_seat_cell(seat, request)->state, &word,
                                        hki_cell_word(request, HKI_CELL_WITHDRAWN))) {
        return false;
    }
    entry->job->slot = NULL;
    /* A task may have forged its state after its time was over: then nobody else drops its input.
     */
    entry->job->taken = entry->job->taken || entry->forced;
    hki_entry_unforce(entry);
    pool->given--;
    hki_seat_clear(seat, request); /* The cell stays taken until the worker passes over it. */
    if (hki_seat_has_to_pass(seat)) {
        hki_zygote_ring();
    }
    if (seat->tasks_left != UINT_MAX) {
        seat->tasks_left++;
    }
    return true;
}

void hki_pool_withdraw_queued(struct seat *seat)
{
    for (uint32_t i = hki_seat_outstanding(seat); i > 0; i--) {
        uint32_t request = atomic_load(&seat->done) + i - 1;
        hk_job *job = hki_seat_entry(seat, request)->job;

        if (job != NULL && hki_seat_withdraw(seat, request)) {
            hki_task_queue_push_front(&seat->pool->queue, job);
            seat->pool->may_pass = true;
        }
    }
}

/* Under the lock. */
static bool take_back(struct process_pool *pool, hk_job *job)
{
    struct entry *entry = hki_pool_find(job);
    bool removed;

    removed = hki_task_queue_remove(&pool->queue, job) ||
              (entry != NULL && hki_seat_withdraw(entry->seat, entry->request));
    if (removed && pool->closing) {
        hki_condition_broadcast(&pool->settled);
        hki_pool_staff(pool);
    }
    if (removed && pool->stalled) {
        hki_zygote_ring(); /* It may be the one that kept the others: the supervisor looks. */
    }
    return removed;
}

bool hki_pool_remove(void *self, hk_job *job)
{
    struct process_pool *pool = self;
    bool removed;

    pthread_mutex_lock(&pool->lock);
    removed = take_back(pool, job);
    pthread_mutex_unlock(&pool->lock);
    return removed;
}

/* Under the lock: brings the future up to date with what the worker says. */
static void show(hk_job *job, const struct entry *entry)
{
    struct hki_cell *cell = hki_seat_cell(entry->seat, entry->request);

    /* Also what makes no sense: it was written by a task that runs. */
    if (atomic_load(&cell->state) != hki_cell_word(entry->request, HKI_CELL_QUEUED)) {
        (void)hki_future_start(&job->future, NULL);
    }
    hki_cell_show_progress(cell, job);
}

void hki_pool_refresh(void *self, hk_job *job)
{
    struct process_pool *pool = self;
    const struct entry *entry;

    pthread_mutex_lock(&pool->lock);
    if ((entry = hki_pool_find(job)) != NULL) {
        show(job, entry);
    } else if (job->taken) {
        /* It is in no cell any more, and its end is on its way: too late for a cancel. */
        (void)hki_future_start(&job->future, NULL);
    }
    pthread_mutex_unlock(&pool->lock);
}

/* A task that is tried again is in the queue, and its future may be RUNNING since the first try:
 * who cannot cancel it any more may not take it away. Futures become RUNNING under this lock, and
 * jobs come into the queue under it, which are not over then: one whose submit is not there yet is
 * claimed before, and one that was given to a worker meanwhile is not. */
bool hki_pool_recall(void *self, hk_job *job, bool *removed)
{
    struct process_pool *pool = self;
    bool claimed = false;

    pthread_mutex_lock(&pool->lock);
    if (hki_phase(hki_future_state(&job->future)) == HKI_PENDING) {
        *removed = take_back(pool, job);
        if (!*removed && (hki_pool_find(job) != NULL || job->taken)) {
            /* It has begun, whatever its cell, which a task may write to, says by now. */
            (void)hki_future_start(&job->future, NULL);
        }
        claimed = hki_future_claim_cancel(&job->future, true);
    }
    pthread_mutex_unlock(&pool->lock);
    return claimed;
}

/* --- while it runs --- */

static void ask_to_stop(struct entry *entry)
{
    atomic_store(&hki_seat_cell(entry->seat, entry->request)->stop, 1);
    hki_os_futex_wake_shared(&hki_seat_cell(entry->seat, entry->request)->stop, 1);
    hki_os_event_signal(entry->seat->stop_event);
}

void hki_pool_stop(void *self, hk_job *job)
{
    struct process_pool *pool = self;
    struct entry *entry;

    pthread_mutex_lock(&pool->lock);
    if ((entry = hki_pool_find(job)) != NULL) {
        ask_to_stop(entry);
    }
    pthread_mutex_unlock(&pool->lock);
}

/* Under the lock: its result will not be wanted. */
static void force(struct entry *entry)
{
    struct process_pool *pool = entry->seat->pool;

    if (!entry->forced) {
        entry->forced = true;
        pool->forced++;
        atomic_fetch_add(&pool->executor->straggling, 1);
    }
    ask_to_stop(entry);
}

/* Whether a task that runs wrote this into its own cell: what neither side ever writes; that its
 * job was withdrawn, which the parent says, and takes the job out of the entry; or that it is
 * being killed, while its worker is not. It cannot get to DONE from any of them. */
static bool is_forged(const struct entry *entry, uint32_t word)
{
    switch (hki_cell_phase(word)) {
    case HKI_CELL_WITHDRAWN:
        return true;
    case HKI_CELL_KILLING:
        return entry->seat->life != SEAT_DYING;
    default:
        return !hki_cell_word_possible(entry->request, word);
    }
}

/* Under the lock, while the job is in its entry: only if it still runs, and then it will run on
 * to no end. */
static bool condemn(struct entry *entry)
{
    uint32_t word = hki_cell_word(entry->request, HKI_CELL_RUNNING);

    if (atomic_compare_exchange_strong(&hki_seat_cell(entry->seat, entry->request)->state, &word,
                                       hki_cell_word(entry->request, HKI_CELL_KILLING))) {
        return true;
    }
    if (!is_forged(entry, word)) {
        return false;
    }
    entry->seat->broke_rules = true;
    return true;
}

/* Takes a job out, or stops its worker if one has it. */
static enum hki_force end_by_force(struct process_pool *pool, hk_job *job,
                                   void (*stop)(struct entry *entry))
{
    enum hki_force result = HKI_FORCE_ABSENT;
    struct entry *entry;

    (void)HKI_FAULT("before_force");
    pthread_mutex_lock(&pool->lock);
    if (take_back(pool, job)) {
        result = HKI_FORCE_REMOVED;
    } else if ((entry = hki_pool_find(job)) != NULL) {
        force(entry);
        stop(entry);
        result = HKI_FORCE_STOPS;
    } else if (job->taken) {
        result = HKI_FORCE_STOPS;
    }
    pthread_mutex_unlock(&pool->lock);
    return result;
}

/* Under the lock: SIGKILL after the grace, if it still runs then; without one at once. */
static void overrun_entry(struct entry *entry)
{
    struct process_pool *pool = entry->seat->pool;

    if (pool->kill_grace > 0) {
        hki_seat_signal(entry->seat, SIGKILL, pool->kill_grace);
        entry->seat->signal_request = entry->request;
    } else if (condemn(entry)) {
        hki_seat_signal(entry->seat, SIGKILL, 0);
    }
}

enum hki_force hki_pool_overrun(void *self, hk_job *job)
{
    return end_by_force(self, job, overrun_entry);
}

/* Under the lock. SIGTERM, and SIGKILL after the grace; without one SIGKILL at once. */
static void kill_entry(struct entry *entry)
{
    struct process_pool *pool = entry->seat->pool;

    if (!condemn(entry)) {
        return; /* Just done: the worker may live. */
    }
    if (pool->kill_grace > 0) {
        hki_seat_signal(entry->seat, SIGTERM, 0);
        hki_seat_signal(entry->seat, SIGKILL, pool->kill_grace);
        entry->seat->signal_request = entry->request;
    } else {
        hki_seat_signal(entry->seat, SIGKILL, 0);
    }
}

enum hki_force hki_pool_kill(void *self, hk_job *job)
{
    return end_by_force(self, job, kill_entry);
}

void hki_seat_carry_out(struct seat *seat)
{
    struct entry *entry = hki_seat_entry(seat, seat->signal_request);

    /* DYING: it did not heed the first. Else only if what it was for still runs. */
    if (seat->life == SEAT_DYING ||
        (entry->job != NULL && entry->request == seat->signal_request && condemn(entry))) {
        hki_seat_signal(seat, seat->signal, 0);
    } else {
        seat->signal = 0; /* What it was for has ended. */
    }
}

int64_t hki_pool_run_end_ns(void *self, hk_job *job, hk_duration timeout)
{
    struct process_pool *pool = self;
    const struct entry *entry;
    int64_t started_ns = 0;
    int64_t end_ns;

    pthread_mutex_lock(&pool->lock);
    if ((entry = hki_pool_find(job)) != NULL) {
        /* relaxed: a time; the worker writes it once for each run. */
        started_ns = atomic_load_explicit(&hki_seat_cell(entry->seat, entry->request)->started_ns,
                                          memory_order_relaxed);
    }
    pthread_mutex_unlock(&pool->lock);
    (void)HKI_FAULT("run_end_read");
    /* A worker's word: it may be nonsense, but never longer than from now on. */
    if (started_ns <= 0 || started_ns > hk_now_ns()) {
        return hki_deadline(timeout);
    }
    return __builtin_add_overflow(started_ns, timeout, &end_ns) ? HKI_NEVER : end_ns;
}

/* --- shutting down --- */

/* Under the lock: all that has not begun, into the list. */
static void take_queued(struct process_pool *pool, struct hki_list *jobs)
{
    for (unsigned i = 0; i < pool->high_seat; i++) {
        hki_pool_withdraw_queued(&pool->seats[i]);
    }
    hki_task_queue_take_all(&pool->queue, jobs);
}

/* Under the lock: a job that runs, with a reference; those that were asked are passed over. */
static hk_job *find_running(struct process_pool *pool)
{
    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[i];

        for (uint32_t n = 0; n < hki_seat_outstanding(seat); n++) {
            struct entry *entry = hki_seat_entry(seat, atomic_load(&seat->done) + n);

            if (entry->job != NULL && !entry->told && !entry->forced) {
                entry->told = true;
                hk_future_ref(&entry->job->future);
                return entry->job;
            }
        }
    }
    return NULL;
}

static void stop_running(struct process_pool *pool, hk_cancel_level level)
{
    hk_job *job;

    do {
        pthread_mutex_lock(&pool->lock);
        job = find_running(pool);
        pthread_mutex_unlock(&pool->lock);
        if (job != NULL) {
            (void)hki_future_cancel_why(&job->future, level, "the executor is shut down");
            hk_future_unref(&job->future);
        }
    } while (job != NULL);
}

/* All of them, or those alone that are still in their initialisers: these have no task, and
 * no other way to be asked to stop. */
static void kill_workers(struct process_pool *pool, bool all)
{
    struct hki_list jobs;

    hki_list_init(&jobs);
    pthread_mutex_lock(&pool->lock);
    pool->killing = pool->killing || all;
    if (all) {
        take_queued(pool, &jobs); /* What came back from a lost worker since it was taken last. */
    }
    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[i];

        if (seat->life == SEAT_EMPTY || seat->life == SEAT_DYING ||
            (!all && seat->life != SEAT_STARTING)) {
            continue;
        }
        if (pool->kill_grace > 0) {
            hki_seat_signal(seat, SIGTERM, 0);
            hki_seat_signal(seat, SIGKILL, pool->kill_grace);
        } else {
            hki_seat_signal(seat, SIGKILL, 0);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    hki_discard_all(&jobs, HK_ECANCELED, "the executor is shut down");
}

void hki_pool_shutdown(void *self, hk_shutdown_how how)
{
    struct process_pool *pool = self;
    struct hki_list jobs;

    hki_list_init(&jobs);
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    for (unsigned i = 0; i < pool->high_seat; i++) { /* A harder shutdown tells them again. */
        for (unsigned n = 0; n < HKI_CELLS; n++) {
            pool->seats[i].entries[n].told = false;
        }
    }
    if (how >= HK_SHUTDOWN_CANCEL_QUEUED) {
        take_queued(pool, &jobs);
    }
    hki_condition_broadcast(&pool->queue.room);
    pthread_mutex_unlock(&pool->lock);
    hki_discard_all(&jobs, HK_ECANCELED, "the executor is shut down");
    if (how >= HK_SHUTDOWN_CANCEL_ALL) {
        stop_running(pool, how == HK_SHUTDOWN_KILL ? HK_CANCEL_KILL : HK_CANCEL_REQUEST);
    }
    if (how >= HK_SHUTDOWN_CANCEL_ALL) {
        kill_workers(pool, how == HK_SHUTDOWN_KILL);
    }
    pthread_mutex_lock(&pool->lock);
    hki_pool_dispatch(pool); /* Tells those that have nothing to do to leave. */
    /* What was taken may have been all that an earlier shutdown waits for, with no worker there
     * whose end would tell it. */
    hki_condition_broadcast(&pool->settled);
    pthread_mutex_unlock(&pool->lock);
}
