/* SPDX-License-Identifier: MIT */
/* Putting into a queue. */
#include "base/array.h"
#include "sync/block.h"
#include "sync/queue_impl.h"

/* What is to be put, and how far it has come. */
struct offer {
    void *const *items;
    size_t count;
    size_t put;
    int64_t key; /* Of all of them; see hki_store_push(). */
};

/* Puts as many as fit, under the lock. HK_ETIMEDOUT: there was no room for all. */
static hk_status put_what_fits(hk_queue *queue, struct offer *offer)
{
    struct hki_store *store = &queue->store;
    size_t left = offer->count - offer->put;
    size_t fit = queue->capacity - store->count;
    hk_status status = HK_OK;

    if (queue->closed) {
        return HK_ECLOSED;
    }
    if (fit < left) {
        status = HK_ETIMEDOUT;
    } else {
        fit = left;
    }
    if (!hki_store_reserve(store, fit)) {
        fit = store->room - store->count;
        status = HK_ENOMEM;
    }
    if (fit == 0) {
        return status;
    }
    if (store->order == HK_QUEUE_DELAY &&
        (store->count == 0 || offer->key < hki_store_first_key(store))) {
        queue->leader = NULL; /* It would sleep too long: another wake is due. */
    }
    for (size_t i = 0; i < fit; i++) {
        hki_store_push(store, offer->items[offer->put + i], offer->key);
    }
    offer->put += fit;
    queue->unfinished += fit;
    queue->news = true;
    return status;
}

/* In a wait that has begun. */
static hk_status sleep_and_put(hk_queue *queue, struct offer *offer, int64_t deadline_ns)
{
    struct hki_queue_looks looks = {0, HK_OK};
    bool in_time = true;
    hk_status status;

    hki_queue_lock(queue);
    while ((status = put_what_fits(queue, offer)) == HK_ETIMEDOUT) {
        if (looks.status != HK_OK || !in_time) {
            status = looks.status != HK_OK ? looks.status : HK_ETIMEDOUT;
            break;
        }
        in_time = hki_queue_look_and_sleep(queue, &hki_queue_putter_ops, deadline_ns, &looks);
    }
    hki_block_served(hki_agent_self());
    hki_queue_unlock(queue);
    return status;
}

/* Comes with the lock and leaves without it. */
static hk_status wait_and_put(hk_queue *queue, struct offer *offer, hk_duration timeout)
{
    int64_t deadline_ns = hki_deadline(timeout);
    hk_status status;

    atomic_fetch_add(&queue->inside, 1);
    hki_queue_unlock(queue);
    status = hki_queue_begin_wait(queue, &hki_queue_putter_ops, deadline_ns);
    if (status == HK_OK) {
        status = sleep_and_put(queue, offer, deadline_ns);
        hki_queue_end_wait();
    }
    hki_queue_leave(queue);
    return status;
}

/* Comes with the lock and leaves without it. */
static hk_status put_locked(hk_queue *queue, struct offer *offer, hk_duration timeout)
{
    hk_status status = put_what_fits(queue, offer);

    if (status == HK_ETIMEDOUT && timeout != 0) {
        return wait_and_put(queue, offer, timeout);
    }
    hki_queue_unlock(queue);
    return status;
}

static hk_status put(hk_queue *queue, struct offer *offer, hk_duration timeout)
{
    hki_queue_lock(queue);
    return put_locked(queue, offer, timeout);
}

/* The key of an item without one of its own. */
static int64_t plain_key(const hk_queue *queue)
{
    return queue->store.order == HK_QUEUE_DELAY ? hk_now_ns() : 0;
}

/* When it is not as simple as in hk_queue_put(); comes with the lock. */
__attribute__((noinline)) static hk_status put_one_locked(hk_queue *queue, void *item,
                                                          hk_duration timeout)
{
    struct offer offer = {.items = &item, .count = 1, .key = plain_key(queue)};

    return put_locked(queue, &offer, timeout);
}

hk_status hk_queue_put(hk_queue *queue, void *item, hk_duration timeout)
{
    hk_status status = hki_queue_usable(queue, timeout);
    struct hki_store *store;

    if (status != HK_OK) {
        return status;
    }
    store = &queue->store;
    hki_queue_lock(queue);
    if (store->count >= queue->capacity || store->count >= store->room ||
        hki_store_is_heap(store) || (queue->attention != 0 && queue->closed)) {
        return put_one_locked(queue, item, timeout);
    }
    hki_store_push(store, item, 0);
    queue->unfinished++;
    if (queue->attention != 0) {
        queue->news = true;
    }
    hki_queue_unlock(queue);
    return HK_OK;
}

hk_status hk_queue_put_priority(hk_queue *queue, void *item, int priority, hk_duration timeout)
{
    struct offer offer = {.items = &item, .count = 1, .key = -(int64_t)priority};
    hk_status status = hki_queue_usable(queue, timeout);

    if (status != HK_OK) {
        return status;
    }
    return queue->store.order == HK_QUEUE_PRIORITY ? put(queue, &offer, timeout) : HK_EINVAL;
}

hk_status hk_queue_put_delayed(hk_queue *queue, void *item, hk_duration delay, hk_duration timeout)
{
    struct offer offer = {.items = &item, .count = 1};
    hk_status status = hki_queue_usable(queue, timeout);

    if (status != HK_OK) {
        return status;
    }
    if (queue->store.order != HK_QUEUE_DELAY || delay < 0) {
        return HK_EINVAL;
    }
    offer.key = hki_deadline(delay);
    return put(queue, &offer, timeout);
}

hk_status hk_queue_put_many(hk_queue *queue, void *const *items, size_t count, hk_duration timeout,
                            size_t *put_count)
{
    struct offer offer = {.items = items, .count = count};
    hk_status status = hki_queue_usable(queue, timeout);

    if (put_count == NULL) {
        return HK_EINVAL;
    }
    *put_count = 0;
    if (status != HK_OK || count == 0) {
        return status;
    }
    if (items == NULL || !hki_array_exists(count, sizeof(*items))) {
        return HK_EINVAL;
    }
    offer.key = plain_key(queue);
    status = put(queue, &offer, timeout);
    *put_count = offer.put;
    return status;
}
