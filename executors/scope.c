/* SPDX-License-Identifier: MIT */
/*
 * Fork and join on the stack. What a worker forks goes to its own deque, as a record that lies
 * on its stack; its join takes it back and calls it, as long as nobody else has taken it.
 *
 * The state of a record (state_)
 *
 *     PENDING --- taken back ----------------> JOINED   by its owner, who then runs it
 *        |------- taken by another worker ---> RUNNING -> DONE -> JOINED
 *        '------- taken, to be given back ---> RETURNED -> JOINED, as taken back
 *
 *     WAITED   beside PENDING and RUNNING: the owner sleeps, or is about to. Then who ends or
 *              returns it does so under the pool's lock, and signals.
 *
 * Invariants
 *   F1  Who has taken a record out of a deque has it alone (D2), so PENDING needs no
 *       compare-and-swap.
 *   F2  After DONE or RETURNED the record is its owner's, who may be gone: nobody else touches
 *       it, nor its scope, nor its worker; but for one that was WAITED, until the lock is
 *       released.
 *   F3  When a worker begins to run a record of another's, its own deque is empty: it steals
 *       from top only when it found nothing there, and it helps in a join only if the newest of
 *       its own was taken, and so were, as the oldest is taken first, all others. So all that is
 *       in its deque while the record is RUNNING comes from that record; and who waits for it
 *       may take forks from there, for they are what he waits for.
 */
#include <hocket/scope.h>

#include <stdio.h>

#include "base/assert.h"
#include "base/os.h"
#include "executors/call.h"
#include "executors/thread_pool_impl.h"
#include "sync/block.h"
#include "sync/condition.h"
#include "sync/eventcount.h"
#include "sync/holder.h"
#include "sync/word.h"

enum {
    PENDING = 1,
    RUNNING = 2,
    RETURNED = 3,
    DONE = 4,
    JOINED = 5,
    PHASES = 7, /* Mask. */
    WAITED = 8,
};

enum { HELP_YIELDS = 32 /* After the pauses, see HKI_SEARCH_PAUSES. */ };

static _Atomic(uint32_t) *state_of(const hk_forked *record)
{
    return hki_word(&record->state_);
}

static unsigned phase_of(const hk_forked *record)
{
    /* acquire: pairs with who set it; what the function has written is seen. */
    return atomic_load_explicit(state_of(record), memory_order_acquire) & PHASES;
}

static struct worker *worker_of(const hk_scope *scope)
{
    return scope->worker_;
}

static void set_up(hk_scope *scope, struct worker *worker, hk_call *call)
{
    const struct hki_agent *agent = worker == NULL ? NULL : worker->agent;

    *scope = (hk_scope){.call_ = call, .worker_ = worker, .is_open_ = 1};
    if (worker != NULL) {
        scope->deque_ = &worker->deck->deque;
        scope->crew_ = &worker->pool->crew;
        scope->is_quiet_ = hki_eventcount_has_barrier();
        scope->stack_end_ =
            agent->stack_low == NULL ? NULL : agent->stack_low + HKI_NEST_STACK_BYTES;
    }
}

/* --- running --- */

static inline bool has_room(const hk_scope *scope)
{
    return (char *)__builtin_frame_address(0) > scope->stack_end_;
}

/* In the owner's scope, on his stack. It has been taken out of the deque, and of the scope's
 * list if it is to be joined at once. */
static inline hk_status call_here(hk_forked *record)
{
    hk_scope *scope = record->scope_;
    const hk_forked *before = scope->newest_;
    hk_status status = record->run_(scope, record->arg_);

    HKI_ASSERT(scope->newest_ == before); /* Else it did not join all that it forked. */
    record->status_ = status;
    return status;
}

static void set_phase(hk_forked *record, unsigned phase)
{
    /* relaxed: nobody else reads it (F2). */
    atomic_store_explicit(state_of(record), phase, memory_order_relaxed);
}

static void run_as_owner(hk_forked *record)
{
    (void)call_here(record);
    set_phase(record, DONE);
}

/* Under the lock: the record is its owner's from now on. */
static void hand_over_slowly(struct worker *owner, hk_forked *record, unsigned phase)
{
    /* Release, pairs with phase_of(); and seq_cst, see hand_over(). */
    if ((atomic_exchange(state_of(record), phase) & WAITED) != 0) {
        hki_condition_signal(&owner->wake);
    }
}

static void hand_over(struct worker *owner, hk_forked *record, unsigned phase)
{
    struct thread_pool *pool = owner->pool;
    uint32_t state = RUNNING;

    /* Release, pairs with phase_of(); and seq_cst with the looks that hki_agent_leave() waits for:
     * either next_of_record() sees that it has ended, or the thread sees the look. */
    if (atomic_compare_exchange_strong(state_of(record), &state, phase)) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    hand_over_slowly(owner, record, phase);
    pthread_mutex_unlock(&pool->lock);
}

void hki_fork_give_back(hk_forked *record)
{
    hand_over_slowly(worker_of(record->scope_), record, RETURNED);
}

void hki_fork_run(struct worker *worker, hk_forked *record)
{
    struct hki_agent *agent = worker->agent;
    struct worker *owner = worker_of(record->scope_);
    uint32_t held = hki_holder_depth(agent);
    hk_scope scope;

    HKI_ASSERT(hki_deque_newest(&worker->deck->deque) == NULL); /* F3 */
    hki_agent_enter(agent);
    record->agent_ = agent;
    record->deck_ = worker->deck;
    /* seq_cst: see next_of_record(). */
    atomic_fetch_add(state_of(record), RUNNING - PENDING);
    set_up(&scope, worker, record->scope_->call_);
    record->status_ = record->run_(&scope, record->arg_);
    HKI_ASSERT(scope.newest_ == NULL); /* Else it did not join all that it forked. */
    if (hki_holder_depth(agent) > held) {
        hki_holder_tell_kept(agent, held, "a forked function");
    }
    hand_over(owner, record, DONE);
    hki_agent_leave(agent);
}

/* --- forking --- */

/* Out of the way of hk_fork(): somebody sleeps, or is wanted. */
__attribute__((noinline, cold)) static void call_for_help(struct worker *worker)
{
    /* The lock of a parent process may never be released. */
    if (hki_executor_usable(worker->pool->executor) == HK_OK) {
        hki_pool_call(worker->pool);
    }
}

__attribute__((noinline, cold)) static hk_status run_at_once(hk_scope *scope, hk_forked *record)
{
    if (scope->is_open_ == 0) {
        return HK_EINVAL;
    }
    set_phase(record, JOINED);
    if (has_room(scope)) {
        (void)call_here(record);
    } else {
        record->status_ = HK_ENOMEM;
    }
    return HK_OK;
}

static inline bool put(const hk_scope *scope, hk_forked *record)
{
    if (scope->is_quiet_ != 0) {
        bool is_in = hki_deque_put_quietly(scope->deque_, hki_fork_item(record));

        /* The compiler keeps the order; the processor is made to, see hki_pool_meet_forks(). */
        __asm__ volatile("" : : : "memory");
        return is_in;
    }
    return hki_deque_put(scope->deque_, hki_fork_item(record));
}

hk_status hk_fork(hk_scope *scope, hk_forked *record, hk_fork_fn *fn, void *arg)
{
    if (scope == NULL || record == NULL || fn == NULL) {
        return HK_EINVAL;
    }
    record->run_ = fn;
    record->arg_ = arg;
    record->scope_ = scope;
    record->before_ = scope->newest_;
    set_phase(record, PENDING);
    if (scope->worker_ == NULL || !put(scope, record)) {
        return run_at_once(scope, record);
    }
    scope->newest_ = record;
    if (__builtin_expect(hki_crew_calls(scope->crew_), 0)) {
        call_for_help(scope->worker_);
    }
    return HK_OK;
}

/* --- joining --- */

/* Takes back what is newest in the own deque: a task that came after the fork goes where others
 * find it, a fork is run. False: there is nothing that may be run here. */
static bool settle_newest(struct worker *worker)
{
    struct hki_deque *deque = &worker->deck->deque;
    void *item = hki_deque_newest(deque);
    hk_forked *record;

    if (item == NULL) {
        return false;
    }
    if (!hki_item_is_fork(item)) {
        if (hki_deque_take_back(deque, item)) {
            hki_lane_put(&worker->pool->lane, &((hk_job *)item)->node);
            call_for_help(worker);
        }
        return true;
    }
    record = hki_item_forked(item);
    if (!has_room(record->scope_)) {
        return false;
    }
    if (hki_deque_take_back(deque, item)) {
        run_as_owner(record);
    }
    return true;
}

/* Runs what came from this record, if the one that runs it has not begun it. */
static bool help(struct worker *worker, hk_forked *record)
{
    struct hki_agent *agent = worker->agent;
    struct deck *deck;
    void *item;

    if (phase_of(record) != RUNNING || hki_holder_depth(agent) != 0 ||
        hki_deque_newest(&worker->deck->deque) != NULL || !hki_agent_may_nest(agent)) {
        return false;
    }
    deck = record->deck_;
    item = hki_deque_take_if(&deck->deque, hki_item_is_fork);
    if (item == NULL) {
        return false;
    }
    if (phase_of(record) != RUNNING) {
        /* It may have been a stranger's: F3 holds only until it is done. */
        pthread_mutex_lock(&worker->pool->lock);
        hki_fork_give_back(hki_item_forked(item));
        pthread_mutex_unlock(&worker->pool->lock);
        return true;
    }
    agent->claim_depth++;
    hki_fork_run(worker, hki_item_forked(item));
    agent->claim_depth--;
    return true;
}

static bool is_over(const hk_forked *record)
{
    return phase_of(record) >= RETURNED;
}

/* --- as a node --- */

/* One that nobody has begun is like a task that waits in the pool. */
static enum hki_wait_kind look_at_record(void *object, size_t *count)
{
    const hk_forked *record = object;
    hk_executor *executor = worker_of(record->scope_)->pool->executor;

    switch (atomic_load(state_of(record)) & PHASES) {
    case PENDING:
        return executor->traits->look(executor->self, count);
    case RUNNING:
        *count = 1;
        return HKI_WAIT_ALL;
    default:
        return HKI_WAIT_MOVES;
    }
}

static struct hki_wait_node next_of_record(void *object, size_t i)
{
    const hk_forked *record = object;
    hk_executor *executor = worker_of(record->scope_)->pool->executor;

    switch (atomic_load(state_of(record)) & PHASES) {
    case PENDING:
        return executor->traits->next(executor->self, i);
    case RUNNING: {
        struct hki_agent *agent = record->agent_;

        /* Still RUNNING after it was read, so that thread is inside the function and waits
         * for this look before it leaves. */
        if ((atomic_load(state_of(record)) & PHASES) == RUNNING) {
            return hki_agent_node(agent);
        }
        break;
    }
    default:
        break;
    }
    return (struct hki_wait_node){NULL, NULL};
}

static void describe_record(void *object, char *text, size_t size)
{
    snprintf(text, size, "fork %p of executor %s", object,
             worker_of(((const hk_forked *)object)->scope_)->pool->executor->name);
}

static const struct hki_wait_ops record_ops = {.look = look_at_record,
                                               .next = next_of_record,
                                               .describe = describe_record,
                                               .verb = "to be run by"};

/* --- waiting --- */

/* What another worker runs may be over soon, and there may be something to help with. */
static bool comes_soon(struct worker *worker, hk_forked *record)
{
    int pauses = worker->pool->search_pauses;

    for (int i = 0; i < pauses + HELP_YIELDS; i++) {
        if (is_over(record) || (i % 8 == 0 && help(worker, record))) {
            return true;
        }
        if (i < pauses) {
            hki_os_pause();
        } else {
            hki_os_yield();
        }
    }
    return false;
}

/* Under the lock, in a wait that has begun. Unless it gives HK_OK, the wait has ended. */
static hk_status sleep_until_over(struct worker *worker, hk_forked *record,
                                  struct hki_wait_node node)
{
    struct thread_pool *pool = worker->pool;
    hk_status status = HK_OK;
    unsigned looks = 0;

    /* relaxed: hand_over() fails now and takes the lock, which orders the rest; what the record
     * brings is seen by is_over(). */
    atomic_fetch_or_explicit(state_of(record), WAITED, memory_order_relaxed);
    while (status == HK_OK && !is_over(record)) {
        int64_t until_ns = hki_block_until(worker->agent, HKI_NEVER, &looks);

        if (!hki_condition_wait(&worker->wake, &pool->lock, until_ns) && !is_over(record)) {
            pthread_mutex_unlock(&pool->lock); /* A look takes it. */
            status = hki_block_look_again(worker->agent, node, false);
            pthread_mutex_lock(&pool->lock);
        }
    }
    /* relaxed: it goes on without this whether over or not, and phase_of() will tell. */
    atomic_fetch_and_explicit(state_of(record), ~(uint32_t)WAITED, memory_order_relaxed);
    return status;
}

/* Until something has changed that is worth another look. */
static hk_status await(struct worker *worker, hk_forked *record)
{
    struct hki_wait_node node = {&record_ops, record};
    struct hki_agent *agent = worker->agent;
    hk_status status = hki_executor_usable(worker->pool->executor);

    if (status != HK_OK || comes_soon(worker, record)) {
        return status;
    }
    if ((status = hki_block_begin(agent, node, false)) != HK_OK) {
        return status;
    }
    pthread_mutex_lock(&worker->pool->lock);
    status = sleep_until_over(worker, record, node);
    pthread_mutex_unlock(&worker->pool->lock);
    if (status == HK_OK) {
        hki_block_end(agent);
    }
    return status;
}

/* Until it has ended. */
static hk_status finish(struct worker *worker, hk_forked *record)
{
    hk_status status = HK_OK;

    while (status == HK_OK && phase_of(record) != DONE) {
        if (phase_of(record) == RETURNED) {
            run_as_owner(record);
        } else if (!settle_newest(worker)) {
            status = await(worker, record);
        }
    }
    if ((status == HK_EDEADLK || status == HK_ENOMEM) &&
        hki_deque_take_back(&worker->deck->deque, hki_fork_item(record))) {
        /* There was no room, and nobody else can run it. */
        record->status_ = HK_ENOMEM;
        set_phase(record, DONE);
        return HK_OK;
    }
    return status == HK_OK || phase_of(record) != DONE ? status : HK_OK;
}

/* The newest of a scope. */
static hk_status join_newest(hk_scope *scope)
{
    hk_forked *record = scope->newest_;
    hk_status status = finish(worker_of(scope), record);

    if (status == HK_OK) {
        scope->newest_ = record->before_;
        set_phase(record, JOINED);
    }
    return status;
}

__attribute__((noinline)) static hk_status join_slowly(hk_scope *scope, hk_forked *record)
{
    hk_status status = HK_OK;

    if (record->scope_ != scope || scope->is_open_ == 0) {
        return HK_EINVAL;
    }
    while (status == HK_OK && phase_of(record) != JOINED) {
        status = scope->newest_ == NULL ? HK_EINVAL : join_newest(scope);
    }
    return status == HK_OK ? record->status_ : status;
}

hk_status hk_join(hk_scope *scope, hk_forked *record)
{
    if (scope == NULL || record == NULL) {
        return HK_EINVAL;
    }
    if (record != scope->newest_ || !has_room(scope) ||
        !hki_deque_take_back(scope->deque_, hki_fork_item(record))) {
        return join_slowly(scope, record);
    }
    scope->newest_ = record->before_;
    set_phase(record, JOINED);
    return call_here(record);
}

bool hk_forked_is_joined(const hk_forked *record)
{
    return record != NULL && phase_of(record) == JOINED;
}

/* --- scopes --- */

hk_status hk_scope_begin(hk_scope *scope, hk_call *call)
{
    struct hki_agent *agent = hki_agent_self();
    struct worker *worker = NULL;

    if (scope == NULL || call == NULL) {
        return HK_EINVAL;
    }
    if (agent->host_ops == &hki_worker_host_ops && agent->host_owner == call->executor) {
        worker = agent->host;
        worker->scopes++;
    }
    set_up(scope, worker, call);
    if (worker != NULL && scope->is_quiet_ != 0 && !atomic_load(&worker->pool->forks_quietly)) {
        /* seq_cst: pairs with hki_pool_meet_forks(). */
        atomic_store(&worker->pool->forks_quietly, true);
    }
    return HK_OK;
}

bool hk_scope_should_stop(const hk_scope *scope)
{
    return scope != NULL && scope->is_open_ != 0 && hk_should_stop(scope->call_);
}

hk_status hk_scope_end(hk_scope *scope)
{
    hk_status failure = HK_OK;
    hk_status status = HK_OK;

    if (scope == NULL || scope->is_open_ == 0) {
        return HK_EINVAL;
    }
    while (scope->newest_ != NULL && status == HK_OK) {
        const hk_forked *record = scope->newest_;

        status = join_newest(scope);
        failure = failure == HK_OK && status == HK_OK ? record->status_ : failure;
    }
    if (status != HK_OK && status != HK_EFORKED) {
        return status;
    }
    if (scope->worker_ != NULL) {
        worker_of(scope)->scopes--;
    }
    *scope = (hk_scope){.is_open_ = 0};
    return status == HK_OK ? failure : status;
}
