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

/*
 * One wait, until there was room; somebody else may be quicker to use it. It looks at the
 * graph before every sleep, and sleeps only if no room came and went since: one who took
 * it need not be in the graph, and who looked in that moment thought that this thread moves.
 */
static hk_status sleep_for(struct room *room, int64_t deadline_ns, bool *in_time)
{
    struct hki_agent *agent = hki_agent_self();
    struct hki_wait_node node = {&ops, room};
    hk_status status = HK_OK;
    unsigned looks = 0;
    bool begun = false;

    while (status == HK_OK && *in_time && must_wait(room)) {
        uint64_t openings = room->queue->openings;

        pthread_mutex_unlock(room->lock); /* A look takes it. */
        status = begun ? hki_block_look_again(agent, node, deadline_ns != HKI_NEVER)
                       : hki_block_begin(agent, node, deadline_ns != HKI_NEVER);
        begun = status == HK_OK;
        pthread_mutex_lock(room->lock);
        if (begun && must_wait(room) && room->queue->openings == openings) {
            unsigned one = hki_block_is_looked_at(agent) ? 1 : 0;
            int64_t until_ns = hki_block_until(agent, deadline_ns, &looks);

            room->queue->looked_at += one;
            *in_time = hki_condition_wait(&room->queue->room, room->lock, until_ns) ||
                       until_ns != deadline_ns;
            room->queue->looked_at -= one;
        }
    }
    if (begun) {
        pthread_mutex_unlock(room->lock);
        hki_block_end(agent);
        pthread_mutex_lock(room->lock);
    }
    return status;
}

hk_status hki_room_await(hk_executor *executor, struct hki_task_queue *queue, pthread_mutex_t *lock,
                         bool (*closing)(const void *self), int64_t deadline_ns)
{
    struct room room = {executor, queue, lock, closing};
    hk_status status = HK_OK;
    bool in_time = true;

    /* Told before it looks: who makes room without the lock looks after that. */
    atomic_fetch_add(&queue->awaited, 1);
    while (status == HK_OK && must_wait(&room)) {
        status = in_time ? sleep_for(&room, deadline_ns, &in_time) : HK_ETIMEDOUT;
    }
    atomic_fetch_sub(&queue->awaited, 1);
    return status;
}
