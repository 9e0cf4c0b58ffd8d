/* SPDX-License-Identifier: MIT */
/*
 * A slim job on the stack of a pool's worker: what hki_job_run() does for any job, with all that
 * such a job cannot have left out, and without a locked operation where another one serves.
 *
 * The words that others read, and when they are written:
 *
 *     running   the job joins the chain of the worker's deck before it starts, and leaves it
 *               after its task has returned, before its end is published. Both are plain
 *               stores (`is_quiet`): who reads the chain of another thread makes every thread
 *               pass a barrier between the word that he writes before, and the chain.
 *     start     then `how` of the executor is read: either it says that all is to be stopped,
 *               or who has written that finds the job in the chain.
 *     end       `scans` is read between the leaving of the chain and the publishing: who still
 *               sees the job in the chain has set it, and is waited for. So the publishing may
 *               give up the reference of the run, and whoever has the last one frees the job.
 *               The locked operation that publishes comes before the look at the graph's
 *               count of looks, see hki_wait_graph_settle().
 */
#include "base/assert.h"
#include "base/small_copy.h"
#include "executors/call.h"
#include "executors/thread_pool_impl.h"
#include "sync/holder.h"

/* The order of a store to the chain, see above. */
static inline void set_running(struct worker *worker, struct running *chain)
{
    if (worker->pool->is_quiet) {
        /* release: pairs with the load of who walks the chain: what the record holds. */
        atomic_store_explicit(&worker->deck->running, chain, memory_order_release);
        /* The compiler keeps what comes next behind it; the processor does when the other side
         * says so. */
        __asm__ __volatile__("" : : : "memory");
    } else {
        atomic_store(&worker->deck->running, chain);
    }
}

/* After the leaving: from here on nobody who walks the chains for a shutdown has the job. */
static inline void await_scan(struct thread_pool *pool)
{
    if (__builtin_expect(atomic_load(&pool->scans), false)) {
        pthread_mutex_lock(&pool->lock);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* What the task left: what to publish. */
static inline unsigned put_outcome(hk_job *job, hk_call *call, hk_status returned)
{
    struct hki_outcome outcome;

    if (returned == HK_OK && call->refused == HK_OK && call->value.drop == NULL &&
        call->value.size <= HKI_BODY_BYTES && call->error == NULL) {
        hki_small_copy(job->future.body.bytes, call->value.data, call->value.size);
        return HKI_DONE | ((unsigned)call->value.size + 1) << HKI_BODY_SIZE_SHIFT;
    }
    hki_call_outcome(call, returned, &outcome);
    return hki_job_put_outcome(job, &outcome);
}

static inline void count_end(struct hki_work_counts *counts, unsigned phase)
{
    hki_work_count_own(counts, HKI_STOPPED);
    hki_work_count_own(counts, phase == HKI_DONE     ? HKI_ENDED_WELL
                               : phase == HKI_FAILED ? HKI_ENDED_ILL
                                                     : HKI_ENDED_EARLY);
}

/* Tells everybody, and gives up the reference. */
static inline void publish(struct worker *worker, hk_job *job, unsigned phase)
{
    bool last;

    if (hki_future_publish_and_let_go(&job->future, phase, &last)) {
        hki_work_count_own(&worker->deck->counts, HKI_RESOLVED);
        hki_wait_graph_settle();
        if (last) {
            hki_future_destroy(&job->future);
        }
        return;
    }
    hki_future_publish(&job->future, phase);
    hki_wait_graph_settle();
    hk_future_unref(&job->future);
}

static inline hk_status run_task(struct worker *worker, hk_job *job, hk_call *call, unsigned state)
{
    struct hki_agent *agent = hki_agent_self();
    size_t size = state >> HKI_INPUT_SIZE_SHIFT & HKI_INPUT_SIZE_MAX;
    uint32_t held = hki_holder_depth(agent);
    unsigned scopes = worker->scopes;
    /* A copy: its value will come to lie where the input is. */
    _Alignas(16) unsigned char input[HKI_BODY_BYTES];
    hk_status returned;

    memcpy(input, job->future.body.bytes, sizeof(input));
    returned = job->task->run(call, size == 0 ? NULL : input, size);
    if (__builtin_expect(hki_holder_depth(agent) > held, false)) {
        hki_holder_tell_kept(agent, held, job->task->name);
    }
    HKI_ASSERT(worker->scopes == scopes); /* Else the task did not end one, see hk_scope_end(). */
    return returned;
}

bool hki_worker_run_slim(struct worker *worker, hk_job *job)
{
    _Alignas(16) unsigned char small[HKI_SMALL_VALUE];
    struct hki_agent *agent = hki_agent_self();
    struct deck *deck = worker->deck;
    /* relaxed: written by this thread alone. */
    struct running here = {job, atomic_load_explicit(&deck->running, memory_order_relaxed)};
    hk_executor *executor = worker->pool->executor;
    unsigned state;
    unsigned phase;
    hk_call call;

    set_running(worker, &here);
    if (!hki_future_start_quickly(&job->future, &state)) {
        atomic_store(&deck->running, here.outer); /* No locked operation need come after it. */
        await_scan(worker->pool);
        hki_wait_graph_settle();
        hk_future_unref(&job->future);
        return false;
    }
    hki_call_init(&call, executor);
    call.job = job;
    call.task = job->task;
    call.where = worker->where;
    call.local = worker->local;
    call.small = small;
    hki_agent_enter(agent);
    hki_call_enter(&call);
    hki_work_count_own(&deck->counts, HKI_STARTED);
    if (__builtin_expect(atomic_load(&executor->how) >= HK_SHUTDOWN_CANCEL_ALL, false)) {
        /* A hard shutdown may have passed between the queue and this moment. */
        (void)hki_future_request_stop(&job->future, "the executor is shut down");
    }
    phase = put_outcome(job, &call, run_task(worker, job, &call, state));
    count_end(&deck->counts, hki_phase(phase));
    if (agent->depth == 1) {
        hki_worker_is_finishing(worker);
    }
    set_running(worker, here.outer);
    await_scan(worker->pool);
    hki_call_leave(&call); /* It may watch the token of the future, which goes with it. */
    publish(worker, job, phase);
    hki_agent_leave(agent);
    return true;
}
