/* SPDX-License-Identifier: MIT */
/* Where the tasks of a thread pool wait, and in what order they are taken. */
#include "base/os.h"
#include "executors/thread_pool_impl.h"

enum {
    BATCH_MAX = 32,
    /* So many of what its own tasks submitted may a worker take before it looks at the lane
     * again: else tasks that submit their like would keep others waiting for ever. */
    LANE_FIRST = 61,
};

static hk_job *job_of(struct hki_lane_node *node)
{
    return HKI_CONTAINER(node, hk_job, node);
}

static void put_prior(struct thread_pool *pool, hk_job *job)
{
    /* relaxed: the store decides. */
    if (!atomic_load_explicit(&pool->has_priors, memory_order_relaxed)) {
        atomic_store(&pool->has_priors, true); /* Before it is put: who counts it asks here. */
    }
    hki_lane_put(&pool->prior[job->priority > HK_PRIORITY_NORMAL ? HKI_PRIOR_HIGH : HKI_PRIOR_LOW],
                 &job->node);
}

void hki_pool_put(struct thread_pool *pool, struct worker *worker, hk_job *job)
{
    if (!hki_job_is_slim(job) && job->priority != HK_PRIORITY_NORMAL) {
        put_prior(pool, job);
    } else if (worker == NULL || !hki_deque_put(&worker->deck->deque, job)) {
        hki_lane_put(&pool->lane, &job->node);
    }
}

void hki_pool_put_many(struct thread_pool *pool, struct worker *worker, void *const *jobs,
                       size_t count)
{
    size_t put = worker == NULL ? 0 : hki_deque_put_many(&worker->deck->deque, jobs, count);
    hk_job *const last = jobs[count - 1];

    if (put == count) {
        return;
    }
    for (size_t i = put; i + 1 < count; i++) {
        hk_job *job = jobs[i];
        hk_job *next = jobs[i + 1];

        /* relaxed: reached only once the chain is in the lane. */
        atomic_store_explicit(&job->node.next, &next->node, memory_order_relaxed);
    }
    hki_lane_put_chain(&pool->lane, &((hk_job *)jobs[put])->node, &last->node, count - put);
}

static size_t in_decks(struct thread_pool *pool)
{
    size_t sum = 0;

    for (struct deck *deck = atomic_load(&pool->decks); deck != NULL; deck = deck->next) {
        sum += hki_deque_count(&deck->deque);
    }
    return sum;
}

static size_t in_priors(struct thread_pool *pool)
{
    size_t sum = 0;

    /* seq_cst: set before the first one was put. */
    for (int i = 0; i < HKI_PRIORS && atomic_load(&pool->has_priors); i++) {
        sum += hki_lane_count(&pool->prior[i]);
    }
    return sum;
}

size_t hki_pool_in_lanes(struct thread_pool *pool)
{
    return hki_lane_count(&pool->lane) + in_priors(pool);
}

static size_t without_lock(struct thread_pool *pool)
{
    return hki_pool_in_lanes(pool) + in_decks(pool) + atomic_load(&pool->returned_count);
}

bool hki_pool_has_work(struct thread_pool *pool)
{
    return pool->queue.length != 0 || without_lock(pool) != 0;
}

/* Forks are work, but no tasks. */
static size_t forks_in_decks(struct thread_pool *pool)
{
    size_t sum = 0;

    for (struct deck *deck = atomic_load(&pool->decks); deck != NULL; deck = deck->next) {
        sum += hki_deque_count_if(&deck->deque, hki_item_is_fork);
    }
    return sum;
}

size_t hki_pool_pending(struct thread_pool *pool, bool counted)
{
    long dead = atomic_load(&pool->dead);
    size_t count = (counted ? pool->queue.counted : pool->queue.length) + without_lock(pool);
    size_t forks = counted ? forks_in_decks(pool) : 0;

    count -= forks < count ? forks : count;

    return dead > 0 ? count - ((size_t)dead < count ? (size_t)dead : count) : count;
}

static void made_room(struct thread_pool *pool)
{
    /* seq_cst: pairs with who waits for room, see executors/room.c. */
    if (atomic_load(&pool->queue.awaited) != 0) {
        pthread_mutex_lock(&pool->lock);
        hki_task_queue_made_room(&pool->queue);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Takes as many as there are for each worker to have its share, so that few take the
 * consumer's lock; the rest goes where others can steal it. */
static hk_job *take_from_lane(struct thread_pool *pool, struct worker *worker)
{
    struct hki_lane_node *nodes[BATCH_MAX];
    void *jobs[BATCH_MAX];
    size_t count = hki_lane_count(&pool->lane);
    size_t room = HKI_DEQUE_PLACES - hki_deque_count(&worker->deck->deque);
    size_t wanted = count / (2 * (size_t)pool->target) + 1;
    size_t got;

    if (count == 0 || !hki_brief_lock_try(&pool->lane.consumer)) {
        return NULL;
    }
    wanted = wanted < BATCH_MAX ? wanted : BATCH_MAX;
    wanted = worker->tasks_left != 0 && worker->tasks_left < wanted ? worker->tasks_left : wanted;
    wanted = wanted <= room ? wanted : room + 1; /* The first is not put anywhere. */
    got = hki_lane_take(&pool->lane, nodes, wanted);
    /* Before another can take: so what one worker takes is older than what the next does. */
    for (size_t i = 1; i < got; i++) {
        jobs[i - 1] = job_of(nodes[i]);
    }
    if (got > 1) {
        (void)hki_deque_put_many(&worker->deck->deque, jobs, got - 1);
    }
    worker->batch_end = hki_deque_end(&worker->deck->deque);
    hki_brief_lock_release(&pool->lane.consumer);
    made_room(pool);
    if (got > 1) {
        hki_pool_call(pool); /* What it has taken may look like nothing to who went to sleep. */
    }
    return got == 0 ? NULL : job_of(nodes[0]);
}

static hk_job *take_prior(struct thread_pool *pool, int which)
{
    struct hki_lane *lane = &pool->prior[which];
    struct hki_lane_node *node;
    size_t got;

    if (hki_lane_count(lane) == 0 || !hki_brief_lock_try(&lane->consumer)) {
        return NULL;
    }
    got = hki_lane_take(lane, &node, 1);
    hki_brief_lock_release(&lane->consumer);
    if (got == 0) {
        return NULL;
    }
    made_room(pool);
    return job_of(node);
}

/*
 * The turns of task_queue.c, which each worker counts for itself: so of the starts of every
 * one of them 16 of 21 are for high tasks, and one for a low one, as long as there are such.
 * NULL: it is the turn of a normal one, or there is none but these.
 */
static hk_job *take_in_turn(struct thread_pool *pool, struct worker *worker)
{
    hk_priority priority = hki_priority_of_turn(worker->turn++);
    bool has_normal = hki_lane_count(&pool->lane) != 0 || in_decks(pool) != 0;
    hk_job *job = NULL;

    if (priority == HK_PRIORITY_LOW) {
        job = take_prior(pool, HKI_PRIOR_LOW);
    }
    if (job == NULL && (priority != HK_PRIORITY_NORMAL || !has_normal)) {
        job = take_prior(pool, HKI_PRIOR_HIGH);
    }
    return job != NULL || has_normal ? job : take_prior(pool, HKI_PRIOR_LOW);
}

static void *steal(struct thread_pool *pool, const struct worker *worker)
{
    if (pool->topology != NULL) {
        /* relaxed: a hint. */
        atomic_store_explicit(&worker->deck->cpu, hki_os_cpu_here(), memory_order_relaxed);
    }
    // cppcheck-suppress CastIntegerToAddressAtReturn ; it is a pointer that is returned
    return hki_deck_steal(&pool->decks, worker->deck, pool->topology);
}

/* Under the lock: in front of what was returned before. */
static void give_back(struct thread_pool *pool, struct hki_lane_node *node)
{
    /* relaxed: guarded by the lock. */
    atomic_store_explicit(&node->next, pool->returned, memory_order_relaxed);
    pool->returned = node;
    pool->returned_count++;
}

void hki_pool_give_back(struct thread_pool *pool, void *item)
{
    pthread_mutex_lock(&pool->lock);
    if (hki_item_is_fork(item)) {
        hki_fork_give_back(hki_item_forked(item));
    } else if (hki_job_in_lane(item)) {
        give_back(pool, &((hk_job *)item)->node);
    } else {
        hki_task_queue_push_front(&pool->queue, item);
    }
    pthread_mutex_unlock(&pool->lock);
}

/* Under the lock. */
static hk_job *take_returned(struct thread_pool *pool)
{
    struct hki_lane_node *node = pool->returned;

    if (node == NULL) {
        return NULL;
    }
    /* relaxed: guarded by the lock. */
    pool->returned = atomic_load_explicit(&node->next, memory_order_relaxed);
    pool->returned_count--;
    return job_of(node);
}

/* One of the above, or of the queue, if it is their turn. */
static hk_job *take_with_lock(struct thread_pool *pool)
{
    hk_job *job;

    pthread_mutex_lock(&pool->lock);
    job = hki_task_queue_pop_beside(&pool->queue, without_lock(pool) != 0);
    if (job == NULL) {
        job = take_returned(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

/* Not before a batch of earlier ones is through. */
static bool is_lanes_turn(struct worker *worker)
{
    return hki_deque_start(&worker->deck->deque) >= worker->batch_end &&
           ++worker->tick % LANE_FIRST == 0;
}

void *hki_pool_take(struct thread_pool *pool, struct worker *worker)
{
    void *item = NULL;

    /* relaxed: one that comes at this moment is found later, if need be under the lock. */
    if (atomic_load_explicit(&pool->queue.length, memory_order_relaxed) != 0 ||
        /* relaxed: as above. */
        atomic_load_explicit(&pool->returned_count, memory_order_relaxed) != 0) {
        item = take_with_lock(pool);
    }
    /* relaxed: as above. */
    if (item == NULL && atomic_load_explicit(&pool->has_priors, memory_order_relaxed) &&
        in_priors(pool) != 0) {
        item = take_in_turn(pool, worker);
    }
    if (item == NULL && is_lanes_turn(worker)) {
        item = take_from_lane(pool, worker);
    }
    if (item == NULL) {
        item = hki_deque_take(&worker->deck->deque);
    }
    if (item == NULL) {
        item = take_from_lane(pool, worker);
    }
    return item != NULL ? item : steal(pool, worker);
}

/* --- all at once --- */

static void add(struct taken *taken, hk_job *job)
{
    /* relaxed: the caller's list. */
    atomic_store_explicit(&job->node.next, taken->others, memory_order_relaxed);
    taken->others = &job->node;
}

/* All that was put before; a producer that has counted its node, but not linked it yet, is
 * between two instructions. */
static void take_all_from_lane(struct hki_lane *lane, struct taken *taken)
{
    struct hki_lane_node *node;

    hki_brief_lock_take(&lane->consumer);
    for (size_t left = hki_lane_count(lane); left != 0;) {
        if (hki_lane_take(lane, &node, 1) != 0) {
            add(taken, job_of(node));
            left--;
        } else {
            hki_os_yield();
        }
    }
    hki_brief_lock_release(&lane->consumer);
}

/* The next task; forks that lie before it go back to those who wait for them. */
static hk_job *take_job(struct hki_deque *deque)
{
    void *item;

    while ((item = hki_deque_take(deque)) != NULL && hki_item_is_fork(item)) {
        hki_fork_give_back(hki_item_forked(item));
    }
    return item;
}

void hki_pool_take_all(struct thread_pool *pool, struct taken *taken)
{
    hk_job *job;

    hki_list_init(&taken->queued);
    taken->others = NULL;
    /* The lane first: what a worker takes from it meanwhile is in a deck by then, but for the
     * one it runs next. */
    for (int i = 0; i < HKI_PRIORS; i++) {
        take_all_from_lane(&pool->prior[i], taken);
    }
    take_all_from_lane(&pool->lane, taken);
    hki_task_queue_take_all(&pool->queue, &taken->queued);
    while ((job = take_returned(pool)) != NULL) {
        add(taken, job);
    }
    for (struct deck *deck = atomic_load(&pool->decks); deck != NULL; deck = deck->next) {
        while ((job = take_job(&deck->deque)) != NULL) {
            add(taken, job);
        }
    }
    hki_task_queue_made_room(&pool->queue);
}

void hki_pool_discard_all(struct thread_pool *pool, struct taken *taken, hk_status status,
                          const char *message)
{
    hki_discard_all(&taken->queued, status, message);
    while (taken->others != NULL) {
        hk_job *job = job_of(taken->others);

        /* relaxed: the caller's list. */
        taken->others = atomic_load_explicit(&job->node.next, memory_order_relaxed);
        if (!hki_job_discard(job, status, message)) {
            atomic_fetch_sub(&pool->dead, 1);
        }
    }
}

void hki_pool_empty_deck(struct thread_pool *pool, struct deck *deck)
{
    struct hki_lane_node *newest = NULL;
    hk_job *job;

    while ((job = take_job(&deck->deque)) != NULL) {
        /* relaxed: this thread's list. */
        atomic_store_explicit(&job->node.next, newest, memory_order_relaxed);
        newest = &job->node;
    }
    while (newest != NULL) {
        struct hki_lane_node *node = newest;

        /* relaxed: as above. */
        newest = atomic_load_explicit(&node->next, memory_order_relaxed);
        give_back(pool, node);
    }
}
