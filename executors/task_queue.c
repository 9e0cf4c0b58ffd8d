/* SPDX-License-Identifier: MIT */
/*
 * Lanes without starvation: of 21 turns the high lane has 16, the normal one 4,
 * the low one 1, spread over the cycle; an empty lane gives its turn away to the
 * highest that is not. Errands of the library come before all: they are short,
 * and somebody waits for their effect.
 */
#include "executors/task_queue.h"

#include "base/assert.h"

enum { ERRANDS, HIGH, NORMAL, LOW, TURNS = 21 };

void hki_task_queue_init(struct hki_task_queue *queue, const hk_executor_options *options)
{
    for (int lane = 0; lane < HKI_LANES; lane++) {
        hki_list_init(&queue->lanes[lane]);
    }
    atomic_init(&queue->length, 0);
    queue->counted = 0;
    queue->most = 0;
    queue->capacity = options == NULL || options->queue_capacity == 0 ? HKI_QUEUE_DEFAULT
                                                                      : options->queue_capacity;
    queue->when_full = options == NULL ? HK_FULL_BLOCK : options->when_full;
    queue->sequence = 0;
    queue->turn = 0;
    hki_condition_init(&queue->room);
    atomic_init(&queue->awaited, 0);
    queue->beside[0] = NULL;
}

void hki_task_queue_destroy(struct hki_task_queue *queue)
{
    HKI_ASSERT(queue->length == 0);
}

bool hki_task_queue_full(const struct hki_task_queue *queue)
{
    size_t count = queue->counted;

    for (int i = 0; i < HKI_LANES_BESIDE && queue->beside[i] != NULL; i++) {
        count += hki_lane_count(queue->beside[i]);
    }
    return count >= queue->capacity;
}

static int lane_of(const hk_job *job)
{
    return job->forced ? ERRANDS : NORMAL - (int)job->priority;
}

void hki_task_queue_push(struct hki_task_queue *queue, hk_job *job)
{
    job->sequence = queue->sequence++;
    job->queued = true;
    hki_list_append(&queue->lanes[lane_of(job)], &job->link);
    queue->length++;
    if (!job->forced) {
        queue->counted++;
        queue->most = queue->counted > queue->most ? queue->counted : queue->most;
    }
}

void hki_task_queue_made_room(struct hki_task_queue *queue)
{
    queue->openings++;
    if (queue->looked_at != 0) {
        hki_condition_broadcast(&queue->room); /* Who does not get it looks again. */
    } else {
        hki_condition_signal(&queue->room);
    }
}

static void take(struct hki_task_queue *queue, hk_job *job)
{
    hki_list_remove(&job->link);
    job->queued = false;
    queue->length--;
    if (!job->forced) {
        queue->counted--;
        hki_task_queue_made_room(queue);
    }
}

/* Turn 20 is the low lane's, every fifth before it the normal one's, the rest are the high
 * lane's. */
hk_priority hki_priority_of_turn(unsigned turn)
{
    turn %= TURNS;
    if (turn == TURNS - 1) {
        return HK_PRIORITY_LOW;
    }
    return turn % 5 == 4 ? HK_PRIORITY_NORMAL : HK_PRIORITY_HIGH;
}

static bool lane_empty(const struct hki_task_queue *queue, int lane, bool elsewhere)
{
    return hki_list_empty(&queue->lanes[lane]) && !(elsewhere && lane == NORMAL);
}

/* The queue is not empty. elsewhere: nor is the normal lane, whatever it looks like here. */
static int next_lane(const struct hki_task_queue *queue, bool elsewhere)
{
    int lane = NORMAL - (int)hki_priority_of_turn(queue->turn);

    if (!hki_list_empty(&queue->lanes[ERRANDS])) {
        return ERRANDS;
    }
    if (lane_empty(queue, lane, elsewhere)) {
        for (lane = HIGH; lane_empty(queue, lane, elsewhere); lane++) {
        }
    }
    return lane;
}

hk_job *hki_task_queue_peek(const struct hki_task_queue *queue)
{
    return queue->length == 0
               ? NULL
               : HKI_CONTAINER(queue->lanes[next_lane(queue, false)].next, hk_job, link);
}

hk_job *hki_task_queue_pop_beside(struct hki_task_queue *queue, bool elsewhere)
{
    hk_job *job = NULL;
    int lane;

    if (queue->length == 0) {
        return NULL;
    }
    lane = next_lane(queue, elsewhere);
    if (lane != ERRANDS) {
        queue->turn = (queue->turn + 1) % TURNS;
    }
    if (!hki_list_empty(&queue->lanes[lane])) {
        job = HKI_CONTAINER(queue->lanes[lane].next, hk_job, link);
        take(queue, job);
    }
    return job;
}

hk_job *hki_task_queue_pop(struct hki_task_queue *queue)
{
    return hki_task_queue_pop_beside(queue, false);
}

void hki_task_queue_push_front(struct hki_task_queue *queue, hk_job *job)
{
    struct hki_list *lane = &queue->lanes[lane_of(job)];

    job->queued = true;
    hki_list_append(lane->next, &job->link);
    queue->length++;
    queue->counted += job->forced ? 0 : 1;
}

hk_job *hki_task_queue_pop_oldest(struct hki_task_queue *queue)
{
    hk_job *oldest = NULL;

    for (int lane = HIGH; lane < HKI_LANES; lane++) {
        hk_job *first = HKI_CONTAINER(queue->lanes[lane].next, hk_job, link);

        if (!hki_list_empty(&queue->lanes[lane]) &&
            (oldest == NULL || first->sequence < oldest->sequence)) {
            oldest = first;
        }
    }
    if (oldest != NULL) {
        take(queue, oldest);
    }
    return oldest;
}

bool hki_task_queue_remove(struct hki_task_queue *queue, hk_job *job)
{
    /* Not by its link: that may be in a list of running or discarded jobs. */
    if (!job->queued) {
        return false;
    }
    take(queue, job);
    return true;
}

void hki_task_queue_take_all(struct hki_task_queue *queue, struct hki_list *jobs)
{
    for (int lane = 0; lane < HKI_LANES; lane++) {
        struct hki_list *at = &queue->lanes[lane];

        while ((at = at->next) != &queue->lanes[lane]) {
            HKI_CONTAINER(at, hk_job, link)->queued = false;
        }
        hki_list_append_all(jobs, &queue->lanes[lane]);
    }
    queue->length = 0;
    queue->counted = 0;
    queue->openings++;
    hki_condition_broadcast(&queue->room);
}

void hki_discard_all(struct hki_list *jobs, hk_status status, const char *message)
{
    struct hki_list *first;

    while ((first = hki_list_take_first(jobs)) != NULL) {
        hk_job_discard(HKI_CONTAINER(first, hk_job, link), status, message);
    }
}
