/* SPDX-License-Identifier: MIT */
#include "sync/queue_watch.h"

#include "base/os.h"

/* All selectors hear of all news, each at most once until it looks again: an item may be
 * taken by somebody else before, so that one alone would not do. News are puts and the
 * close; when the last item of a closed queue leaves, no selector can be asleep for it, but
 * until it was due. */
static void tell_selectors(hk_queue *queue)
{
    struct hki_list *at;

    for (at = queue->selectors.next; at != &queue->selectors; at = at->next) {
        struct hki_selector *selector = HKI_CONTAINER(at, struct hki_selector_link, link)->selector;

        /* relaxed: what is new is seen under the queue's lock. */
        if (atomic_exchange_explicit(&selector->told, 1, memory_order_relaxed) == 0) {
            hki_os_futex_wake(&selector->told, 1);
        }
    }
}

/* When the first item can be got; 0: not before something happens. */
static int64_t due_ns(const hk_queue *queue)
{
    int64_t first;

    if (queue->store.count == 0) {
        return queue->closed ? 1 : 0;
    }
    first = hki_store_first_key(&queue->store);
    return first < 1 ? 1 : first;
}

static void set_timer(hk_queue *queue)
{
    int64_t due = due_ns(queue);

    if (due != queue->fd_due_ns) {
        queue->fd_due_ns = due;
        hki_os_timer_set(queue->fd, due);
    }
}

static void set_event(hk_queue *queue)
{
    bool raise = hki_queue_can_get(queue);

    if (raise != queue->fd_raised) {
        queue->fd_raised = raise;
        if (raise) {
            hki_os_event_signal(queue->fd);
        } else {
            hki_os_event_drain(queue->fd);
        }
    }
}

static void tell(hk_queue *queue)
{
    if (queue->news) {
        queue->news = false;
        tell_selectors(queue);
    }
    if (queue->fd < 0) {
        return;
    }
    if (queue->store.order == HK_QUEUE_DELAY) {
        set_timer(queue);
    } else {
        set_event(queue);
    }
}

void hki_queue_unlock_watched(hk_queue *queue)
{
    bool wake_getter = queue->getters.count != 0 && hki_queue_owes_getter(queue) &&
                       hki_waiters_claim(&queue->getters);
    bool wake_putter = queue->putters.count != 0 && hki_queue_owes_putter(queue) &&
                       hki_waiters_claim(&queue->putters);

    if (queue->observed) {
        tell(queue);
    }
    hki_brief_lock_release(&queue->lock);
    if (wake_getter) {
        hki_waiters_wake(&queue->getters);
    }
    if (wake_putter) {
        hki_waiters_wake(&queue->putters);
    }
}

static void observe(hk_queue *queue)
{
    bool observed = queue->fd >= 0 || !hki_list_empty(&queue->selectors);

    queue->attention += (unsigned)observed - (unsigned)queue->observed;
    queue->observed = observed;
}

void hki_queue_add_selector(hk_queue *queue, struct hki_selector_link *link)
{
    hki_list_append(&queue->selectors, &link->link);
    observe(queue);
    queue->news = false; /* It is about to look by itself. */
}

void hki_queue_remove_selector(hk_queue *queue, struct hki_selector_link *link)
{
    hki_list_remove(&link->link);
    observe(queue);
}

hk_status hk_queue_fd(hk_queue *queue, int *fd)
{
    hk_status status = hki_queue_usable(queue, 0);

    if (fd == NULL) {
        return HK_EINVAL;
    }
    if (status != HK_OK) {
        return status;
    }
    hki_queue_lock(queue);
    if (queue->fd < 0) {
        queue->fd =
            queue->store.order == HK_QUEUE_DELAY ? hki_os_timer_create() : hki_os_event_create();
        observe(queue);
    }
    if (queue->fd < 0) {
        status = HK_ESYS;
    } else {
        *fd = queue->fd;
    }
    hki_queue_unlock(queue); /* Sets it to what holds now. */
    return status;
}
