/* SPDX-License-Identifier: MIT */
/* Where the tasks of a thread pool wait, and in what order they are taken. */
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

void hki_pool_put(struct thread_pool *pool, struct worker *worker, hk_job *job)
{
    if (worker == NULL || !hki_deque_put(&worker->deck->deque, job)) {
        hki_lane_put(&pool->lane, &job->node);
    }
}

static size_t in_decks(struct thread_pool *pool)
{
    size_t sum = 0;

    for (struct deck *deck = atomic_load(&pool->decks); deck != NULL; deck = deck->next) {
        sum += hki_deque_count(&deck->deque);
    }
    return sum;
}

static size_t without_lock(struct thread_pool *pool)
{
    return hki_lane_count(&pool->lane) + in_decks(pool);
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

/* Takes as many as there are for each worker to have its share, so that few take the
 * consumer's lock; the rest goes where others can steal it. */
static hk_job *take_from_lane(struct thread_pool *pool, struct worker *worker)
{
    struct hki_lane_node *nodes[BATCH_MAX];
    size_t count = hki_lane_count(&pool->lane);
    size_t room = HKI_DEQUE_PLACES - hki_deque_count(&worker->deck->deque);
    size_t wanted = count / (2 * (size_t)pool->target) + 1;
    size_t got;

    if (count == 0 || !hki_brief_lock_try(&pool->lane.consumer)) {
        return NULL;
    }
    wanted = wanted < BATCH_MAX ? wanted : BATCH_MAX;
    wanted = wanted < room ? wanted : room + 1;
    got = hki_lane_take(&pool->lane, nodes, wanted);
    /* Before another can take: so what one worker takes is older than what the next does. */
    for (size_t i = 1; i < got; i++) {
        (void)hki_deque_put(&worker->deck->deque, job_of(nodes[i]));
    }
    worker->batch_end = hki_deque_end(&worker->deck->deque);
    hki_brief_lock_release(&pool->lane.consumer);
    /* seq_cst: pairs with who waits for room, see executors/room.c. */
    if (atomic_load(&pool->queue.awaited) != 0) {
        pthread_mutex_lock(&pool->lock);
        hki_task_queue_made_room(&pool->queue);
        pthread_mutex_unlock(&pool->lock);
    }
    if (got > 1) {
        hki_pool_call(pool); /* What it has taken may look like nothing to who went to sleep. */
    }
    return got == 0 ? NULL : job_of(nodes[0]);
}

static void *steal(struct thread_pool *pool, const struct worker *worker)
{
    struct deck *own = worker->deck;

    /* From its own neighbour on, so that not all go for the same. */
    for (struct deck *deck = own->next; deck != NULL; deck = deck->next) {
        void *item = hki_deque_take(&deck->deque);

        if (item != NULL) {
            return item;
        }
    }
    for (struct deck *deck = atomic_load(&pool->decks); deck != own; deck = deck->next) {
        void *item = hki_deque_take(&deck->deque);

        if (item != NULL) {
            return item;
        }
    }
    return NULL;
}

static hk_job *take_from_queue(struct thread_pool *pool)
{
    hk_job *job;

    pthread_mutex_lock(&pool->lock);
    job = hki_task_queue_pop_beside(&pool->queue, without_lock(pool) != 0);
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
    if (atomic_load_explicit(&pool->queue.length, memory_order_relaxed) != 0) {
        item = take_from_queue(pool);
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

/* Tasks go to a list; forks go back to those who wait for them. */
static void empty_deque(struct hki_deque *deque, struct hki_list *jobs)
{
    void *item;

    while ((item = hki_deque_take(deque)) != NULL) {
        if (hki_item_is_fork(item)) {
            hki_fork_give_back(hki_item_forked(item));
        } else {
            hki_list_append(jobs, &((hk_job *)item)->link);
        }
    }
}

void hki_pool_take_all(struct thread_pool *pool, struct hki_list *jobs)
{
    struct hki_lane_node *node;

    hki_task_queue_take_all(&pool->queue, jobs);
    for (struct deck *deck = atomic_load(&pool->decks); deck != NULL; deck = deck->next) {
        empty_deque(&deck->deque, jobs);
    }
    hki_brief_lock_take(&pool->lane.consumer);
    while (hki_lane_take(&pool->lane, &node, 1) != 0) {
        hki_list_append(jobs, &job_of(node)->link);
    }
    hki_brief_lock_release(&pool->lane.consumer);
    hki_task_queue_made_room(&pool->queue);
}

void hki_pool_empty_deck(struct thread_pool *pool, struct deck *deck)
{
    struct hki_list jobs;
    struct hki_list *at;

    hki_list_init(&jobs);
    empty_deque(&deck->deque, &jobs);
    while ((at = jobs.previous) != &jobs) {
        hki_list_remove(at);
        hki_task_queue_push_front(&pool->queue, HKI_CONTAINER(at, hk_job, link));
    }
}

void hki_pool_discard_all(struct thread_pool *pool, struct hki_list *jobs, hk_status status,
                          const char *message)
{
    struct hki_list *first;

    while ((first = hki_list_take_first(jobs)) != NULL) {
        hk_job *job = HKI_CONTAINER(first, hk_job, link);
        bool in_lane = job->in_lane;

        if (!hki_job_discard(job, status, message) && in_lane) {
            atomic_fetch_sub(&pool->dead, 1);
        }
    }
}
