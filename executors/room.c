/* SPDX-License-Identifier: MIT */
/*
 * Room may come and be taken by somebody else, while a look in between has found it and
 * counted on the one who waits. So whoever fills the queue wakes all who wait if a
 * look can find one of them, and who is woken for nothing looks again.
 */
#include "executors/room.h"

#include <stdio.h>

#include "base/time.h"
#include "sync/block.h"
#include "sync/condition.h"

/* The node: one for each who waits, on its stack. */
struct room {
    hk_executor *executor;
    struct hki_task_queue *queue;
    pthread_mutex_t *lock;
    bool (*closing)(const void *self);
};

/* Under the back end's lock. */
static bool must_wait(const struct room *room)
{
    return hki_task_queue_full(room->queue) && !room->closing(room->executor->self);
}

/* Room comes when a queued task is taken out, which any worker can do. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    const struct room *room = object;
    const struct hki_executor_traits *traits = room->executor->traits;
    bool waits;

    pthread_mutex_lock(room->lock);
    waits = must_wait(room);
    pthread_mutex_unlock(room->lock);
    return waits && traits->look != NULL ? traits->look(room->executor->self, count)
                                         : HKI_WAIT_MOVES;
}

static struct hki_wait_node next(void *object, size_t i)
{
    const struct room *room = object;

    return room->executor->traits->next(room->executor->self, i);
}

static void describe(void *object, char *text, size_t size)
{
    const struct room *room = object;

    snprintf(text, size, "room in the queue of executor %s", room->executor->name);
}

static const struct hki_wait_ops ops = {
    .look = look, .next = next, .describe = describe, .verb = "to be made by"};

/* Under the lock, which is free meanwhile. Looks at the graph before every sleep, and sleeps
 * only if no room came since. *begun: the block has begun. */
static hk_status sleep_until_room(struct room *room, int64_t deadline_ns, bool *begun)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_wait_node node = {&ops, room};
    struct hki_task_queue *queue = room->queue;
    unsigned published = 0;
    hk_status status = HK_OK;
    bool in_time = true;

    while (status == HK_OK && in_time && must_wait(room)) {
        uint64_t openings = queue->openings;

        pthread_mutex_unlock(room->lock); /* A look takes it. */
        status = *begun ? hki_block_look_again(agent, node, deadline_ns != HKI_NEVER)
                        : hki_block_begin(agent, node, deadline_ns != HKI_NEVER);
        *begun = status == HK_OK;
        pthread_mutex_lock(room->lock);
        if (published == 0 && *begun && hki_block_is_published(agent)) {
            published = 1;
            queue->published++;
        }
        if (*begun && must_wait(room) && queue->openings == openings) {
            in_time = hki_condition_wait(&queue->room, room->lock, deadline_ns);
        }
    }
    queue->published -= published;
    return status == HK_OK && must_wait(room) ? HK_ETIMEDOUT : status;
}

hk_status hki_room_await(hk_executor *executor, struct hki_task_queue *queue, pthread_mutex_t *lock,
                         bool (*closing)(const void *self), int64_t deadline_ns)
{
    struct room room = {executor, queue, lock, closing};
    bool begun = false;
    hk_status status = sleep_until_room(&room, deadline_ns, &begun);

    if (!begun) {
        return status;
    }
    /* It is the caller's from this moment on, in which it waits no more. */
    if (status == HK_OK) {
        hki_task_queue_reserve(queue, 1);
        hki_block_served(hki_agent_self());
    }
    pthread_mutex_unlock(lock);
    hki_block_end(hki_agent_self());
    pthread_mutex_lock(lock);
    if (status == HK_OK) {
        hki_task_queue_reserve(queue, -1); /* The caller puts its job there. */
    }
    return status;
}
