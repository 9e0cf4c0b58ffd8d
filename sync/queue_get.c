/* SPDX-License-Identifier: MIT */
/* Getting out of a queue. */
#include "base/array.h"
#include "sync/block.h"
#include "sync/queue_impl.h"

/* Only what is due. */
static size_t take_delayed(hk_queue *queue, void **items, size_t max)
{
    struct hki_store *store = &queue->store;
    int64_t now_ns = hk_now_ns();
    size_t taken = 0;

    while (taken < max && store->count != 0 && hki_store_first_key(store) <= now_ns) {
        items[taken++] = hki_store_pop(store);
    }
    return taken;
}

size_t hki_queue_take(hk_queue *queue, void **items, size_t max)
{
    struct hki_store *store = &queue->store;
    size_t taken = store->count < max ? store->count : max;

    if (taken == 0) {
        return 0;
    }
    if (store->order == HK_QUEUE_DELAY) {
        taken = take_delayed(queue, items, max);
    } else {
        for (size_t i = 0; i < taken; i++) {
            items[i] = hki_store_pop(store);
        }
    }
    return taken;
}

bool hki_queue_can_get(const hk_queue *queue)
{
    if (queue->store.count == 0) {
        return queue->closed;
    }
    return queue->store.order != HK_QUEUE_DELAY ||
           hki_store_first_key(&queue->store) <= hk_now_ns();
}

/* Sleeps until there may be something. The leader of a delay queue sleeps until its first
 * item is due, the others until they are woken; a leader that leaves is followed. */
static bool sleep_for_item(hk_queue *queue, int64_t deadline_ns, struct hki_queue_looks *looks)
{
    int64_t until_ns = deadline_ns;
    bool in_time;

    if (queue->store.count != 0 && queue->leader == NULL) {
        /* Taken back below, before this returns; it is compared with, and nothing else. */
        // cppcheck-suppress autoVariables
        queue->leader = &until_ns;
        until_ns = hki_earlier(deadline_ns, hki_store_first_key(&queue->store));
    }
    in_time = hki_queue_look_and_sleep(queue, &hki_queue_getter_ops, until_ns, looks);
    if (queue->leader == &until_ns) {
        queue->leader = NULL;
    }
    return in_time || until_ns < deadline_ns;
}

/* In a wait that has begun. */
static hk_status sleep_and_take(hk_queue *queue, int64_t deadline_ns, void **items, size_t max,
                                size_t *taken)
{
    struct hki_queue_looks looks = {0, HK_OK};
    hk_status status = HK_OK;
    bool in_time = true;

    hki_queue_lock(queue);
    while ((*taken = hki_queue_take(queue, items, max)) == 0) {
        if (hki_queue_drained(queue)) {
            status = HK_EDONE;
        } else if (!in_time) {
            status = HK_ETIMEDOUT;
        }
        if (status != HK_OK) {
            break;
        }
        in_time = sleep_for_item(queue, deadline_ns, &looks);
        status = looks.status;
    }
    hki_block_served(hki_agent_self());
    hki_queue_unlock(queue);
    return *taken != 0 ? HK_OK : status; /* Also what came when its wait was refused. */
}

/* Comes with the lock and leaves without it. */
static hk_status wait_and_take(hk_queue *queue, hk_duration timeout, void **items, size_t max,
                               size_t *taken)
{
    int64_t deadline_ns = hki_deadline(timeout);
    hk_status status;

    atomic_fetch_add(&queue->inside, 1);
    hki_queue_unlock(queue);
    status = hki_queue_begin_wait(queue, &hki_queue_getter_ops, deadline_ns);
    if (status == HK_OK) {
        status = sleep_and_take(queue, deadline_ns, items, max, taken);
        hki_queue_end_wait();
    }
    hki_queue_leave(queue);
    return status;
}

/* Comes with the lock and leaves without it. */
static hk_status take_locked(hk_queue *queue, hk_duration timeout, void **items, size_t max,
                             size_t *taken)
{
    hk_status status = HK_OK;

    *taken = hki_queue_take(queue, items, max);
    if (*taken == 0) {
        if (hki_queue_drained(queue)) {
            status = HK_EDONE;
        } else if (timeout == 0) {
            status = HK_ETIMEDOUT;
        } else {
            return wait_and_take(queue, timeout, items, max, taken);
        }
    }
    hki_queue_unlock(queue);
    return status;
}

/* When it is not as simple as in hk_queue_get(); comes with the lock. */
__attribute__((noinline)) static hk_status get_locked(hk_queue *queue, hk_duration timeout,
                                                      void **item)
{
    size_t taken;

    return take_locked(queue, timeout, item, 1, &taken);
}

hk_status hk_queue_get(hk_queue *queue, hk_duration timeout, void **item)
{
    hk_status status = hki_queue_usable(queue, timeout);

    if (item == NULL) {
        return HK_EINVAL;
    }
    if (status != HK_OK) {
        return status;
    }
    hki_queue_lock(queue);
    if (queue->store.count == 0 || hki_store_is_heap(&queue->store)) {
        return get_locked(queue, timeout, item);
    }
    *item = hki_store_pop(&queue->store);
    hki_queue_unlock(queue);
    return HK_OK;
}

hk_status hk_queue_get_many(hk_queue *queue, hk_duration timeout, void **items, size_t max,
                            size_t *taken)
{
    hk_status status = hki_queue_usable(queue, timeout);

    if (taken == NULL) {
        return HK_EINVAL;
    }
    *taken = 0;
    if (items == NULL || max == 0 || !hki_array_exists(max, sizeof(*items))) {
        return HK_EINVAL;
    }
    if (status != HK_OK) {
        return status;
    }
    hki_queue_lock(queue);
    return take_locked(queue, timeout, items, max, taken);
}
