/* SPDX-License-Identifier: MIT */
/* Waiting until all that was put into a queue is done with. */
#include <limits.h>

#include "base/os.h"
#include "sync/block.h"
#include "sync/queue_impl.h"

hk_status hk_queue_task_done(hk_queue *queue, size_t count)
{
    hk_status status = hki_queue_usable(queue, 0);
    bool wake = false;

    if (status != HK_OK || count == 0) {
        return status;
    }
    hki_queue_lock(queue);
    if (count > queue->unfinished) {
        hki_brief_lock_release(&queue->lock);
        return HK_ESTATE;
    }
    queue->unfinished -= count;
    if (queue->unfinished == 0) {
        hki_waiters_advance(&queue->joiners);
        wake = queue->joiners.count != 0;
    }
    hki_brief_lock_release(&queue->lock);
    if (wake) {
        hki_os_futex_wake(&queue->joiners.epoch, INT_MAX);
    }
    return HK_OK;
}

/* A wait until all is done. The epoch says whether it was since, even if more has been put
 * by now: for the waiter, and for who looks at its wait. */
struct join {
    hk_queue *queue;
    uint32_t begun;
};

/* Under the lock. */
static bool was_done(const struct join *join)
{
    return hki_waiters_epoch(&join->queue->joiners) != join->begun;
}

/* --- For the wait-for graph --- */

static enum hki_wait_kind look(void *object, size_t *count)
{
    const struct join *join = object;
    bool done;

    hki_queue_lock(join->queue);
    done = was_done(join);
    hki_brief_lock_release(&join->queue->lock);
    return done ? HKI_WAIT_MOVES
                : hki_parties_look(&join->queue->sides.getters, HKI_WAIT_ANY, count);
}

static struct hki_wait_node next(void *object, size_t i)
{
    return hki_parties_next(&((const struct join *)object)->queue->sides.getters, i);
}

static void describe(void *object, char *text, size_t size)
{
    hki_queue_describe("all of", ((const struct join *)object)->queue, text, size);
}

static const struct hki_wait_ops ops = {
    .look = look, .next = next, .describe = describe, .verb = "held up by"};

/* --- The wait --- */

/* In a wait that has begun. */
static hk_status sleep_until_done(const struct join *join, int64_t deadline_ns)
{
    hk_queue *queue = join->queue;
    bool in_time = true;
    bool done;

    hki_queue_lock(queue);
    while (!(done = was_done(join)) && in_time) {
        in_time = hki_queue_sleep(queue, &queue->joiners, deadline_ns);
    }
    hki_block_served(hki_agent_self());
    hki_queue_unlock(queue);
    return done ? HK_OK : HK_ETIMEDOUT;
}

hk_status hk_queue_join(hk_queue *queue, hk_duration timeout)
{
    hk_status status = hki_queue_usable(queue, timeout);
    struct join join = {.queue = queue};
    int64_t deadline_ns;

    if (status != HK_OK) {
        return status;
    }
    hki_queue_lock(queue);
    if (queue->unfinished == 0 || timeout == 0) {
        status = queue->unfinished == 0 ? HK_OK : HK_ETIMEDOUT;
        hki_brief_lock_release(&queue->lock);
        return status;
    }
    join.begun = hki_waiters_epoch(&queue->joiners);
    atomic_fetch_add(&queue->inside, 1);
    hki_brief_lock_release(&queue->lock);
    deadline_ns = hki_deadline(timeout);
    status = hki_block_begin(hki_agent_self(), (struct hki_wait_node){&ops, &join},
                             deadline_ns != HKI_NEVER);
    if (status == HK_OK) {
        status = sleep_until_done(&join, deadline_ns);
        hki_queue_end_wait();
    }
    hki_queue_leave(queue);
    return status;
}
