/* SPDX-License-Identifier: MIT */
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

hk_status hki_room_await(hk_executor *executor, struct hki_task_queue *queue, pthread_mutex_t *lock,
                         bool (*closing)(const void *self), int64_t deadline_ns)
{
    struct room room = {executor, queue, lock, closing};
    struct hki_agent *agent = hki_agent_self();
    bool in_time = true;

    while (must_wait(&room)) {
        hk_status status;

        if (!in_time) {
            return HK_ETIMEDOUT;
        }
        pthread_mutex_unlock(lock); /* A look takes it. */
        status =
            hki_block_begin(agent, (struct hki_wait_node){&ops, &room}, deadline_ns != HKI_NEVER);
        pthread_mutex_lock(lock);
        if (status != HK_OK) {
            return status;
        }
        while (must_wait(&room) && in_time) {
            in_time = hki_condition_wait(&queue->room, lock, deadline_ns);
        }
        pthread_mutex_unlock(lock);
        hki_block_end(agent);
        pthread_mutex_lock(lock); /* Somebody else may have been quicker. */
    }
    return HK_OK;
}
