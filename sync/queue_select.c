/* SPDX-License-Identifier: MIT */
/*
 * Waiting for several queues at once.
 *
 * The waiting thread puts a link into each queue, looks at all of them, and sleeps on a
 * word of its own, which every queue with news sets. It clears the word before it looks,
 * so news of a queue that it has already looked at are not missed.
 */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/os.h"
#include "sync/block.h"
#include "sync/queue_watch.h"

enum { LINKS_ON_STACK = 16 };

struct choice {
    hk_queue *const *queues;
    size_t count;
    size_t first;    /* Where this call begins to look. */
    bool wants_item; /* Get it, or only say where it is. */
    void *item;
    size_t which;
    int64_t due_ns; /* After a look: when the first delayed item is due. */
    struct hki_selector selector;
};

/* Where the calling thread's next call begins to look: one further each time. */
static _Thread_local size_t turn;

/* HK_ETIMEDOUT: nothing there now. HK_EDONE: nor ever. */
static hk_status look_at_queue(struct choice *choice, size_t place)
{
    hk_queue *queue = choice->queues[place];
    hk_status status = HK_ETIMEDOUT;

    hki_queue_lock(queue);
    if (choice->wants_item) {
        if (hki_queue_take(queue, &choice->item, 1) != 0) {
            hki_block_served(hki_agent_self());
            status = HK_OK;
        } else if (hki_queue_drained(queue)) {
            status = HK_EDONE;
        }
    } else if (hki_queue_can_get(queue)) {
        status = HK_OK;
    }
    if (status == HK_ETIMEDOUT && queue->store.count != 0) {
        choice->due_ns = hki_earlier(choice->due_ns, hki_store_first_key(&queue->store));
    }
    hki_queue_unlock(queue);
    return status;
}

/* HK_EDONE: all of them are. */
static hk_status look_at_all(struct choice *choice)
{
    hk_status overall = HK_EDONE;

    choice->due_ns = HKI_NEVER;
    for (size_t i = 0; i < choice->count; i++) {
        size_t place = (choice->first + i) % choice->count;
        hk_status status;

        if (choice->queues[place] == NULL) {
            continue;
        }
        status = look_at_queue(choice, place);
        if (status == HK_OK) {
            choice->which = place;
            return HK_OK;
        }
        if (status == HK_ETIMEDOUT) {
            overall = HK_ETIMEDOUT;
        }
    }
    return overall;
}

static void enter_all(struct choice *choice, struct hki_selector_link *links)
{
    for (size_t i = 0; i < choice->count; i++) {
        hk_queue *queue = choice->queues[i];

        if (queue != NULL) {
            links[i].selector = &choice->selector;
            hki_queue_lock(queue);
            hki_queue_add_selector(queue, &links[i]);
            hki_queue_unlock(queue);
        }
    }
}

static void leave_all(struct choice *choice, struct hki_selector_link *links)
{
    for (size_t i = 0; i < choice->count; i++) {
        hk_queue *queue = choice->queues[i];

        if (queue != NULL) {
            hki_queue_lock(queue);
            hki_queue_remove_selector(queue, &links[i]);
            hki_queue_unlock(queue);
        }
    }
}

/* --- For the wait-for graph: any putter of any queue ------------------------------ */

/* Whether the queue may yet bring what the choice wants. Of those that cannot, a plain
 * select tells; who wants an item passes them over. */
static bool is_candidate(const struct choice *choice, size_t place)
{
    hk_queue *queue = choice->queues[place];
    bool drained;

    if (queue == NULL || !choice->wants_item) {
        return queue != NULL;
    }
    hki_queue_lock(queue);
    drained = hki_queue_drained(queue);
    hki_brief_lock_release(&queue->lock);
    return !drained;
}

static enum hki_wait_kind look_for_any(void *object, size_t *count)
{
    const struct choice *choice = object;

    *count = 0;
    for (size_t i = 0; i < choice->count; i++) {
        *count += is_candidate(choice, i) ? 1 : 0;
    }
    return *count == 0 ? HKI_WAIT_MOVES : HKI_WAIT_ANY;
}

static struct hki_wait_node next_of_any(void *object, size_t i)
{
    const struct choice *choice = object;

    for (size_t place = 0; place < choice->count; place++) {
        if (is_candidate(choice, place) && i-- == 0) {
            return (struct hki_wait_node){&hki_queue_getter_ops, choice->queues[place]};
        }
    }
    return (struct hki_wait_node){NULL, NULL}; /* One was closed meanwhile: it moves. */
}

static void describe_any(void *object, char *text, size_t size)
{
    (void)object;
    snprintf(text, size, "an item of one of several queues");
}

static const struct hki_wait_ops any_ops = {
    .look = look_for_any, .next = next_of_any, .describe = describe_any, .verb = "to be put by"};

/* In a wait that has begun, with links in all queues: it looks at the graph before every
 * sleep, for another may have taken what woke it. */
static hk_status sleep_and_look(struct choice *choice, int64_t deadline_ns)
{
    _Atomic(uint32_t) *told = &choice->selector.told;
    struct hki_agent *agent = hki_agent_self();
    unsigned looks = 0;
    bool in_time = true;

    for (;;) {
        hk_status status;
        int64_t until_ns;

        /* relaxed: the locks of the look that follows order it. */
        atomic_store_explicit(told, 0, memory_order_relaxed);
        status = look_at_all(choice);
        if (status != HK_ETIMEDOUT || !in_time) {
            return status;
        }
        if (hki_block_is_looked_at(agent) &&
            (status = hki_block_look_again(agent, (struct hki_wait_node){&any_ops, choice},
                                           false)) != HK_OK) {
            return status;
        }
        until_ns = hki_block_until(agent, hki_earlier(deadline_ns, choice->due_ns), &looks);
        in_time = hki_os_futex_wait(told, 0, until_ns) || until_ns < deadline_ns;
    }
}

/* --- The calls --------------------------------------------------------------------- */

static hk_status wait_for_any(struct choice *choice, hk_duration timeout)
{
    struct hki_selector_link few[LINKS_ON_STACK];
    struct hki_selector_link *links = few;
    struct hki_agent *agent = hki_agent_self();
    struct hki_wait_node node = {&any_ops, choice};
    int64_t deadline_ns = hki_deadline(timeout);
    hk_status status;

    if (choice->count > LINKS_ON_STACK) {
        if ((links = hki_alloc(choice->count * sizeof(*links))) == NULL) {
            return HK_ENOMEM;
        }
    }
    enter_all(choice, links);
    status = hki_block_begin(agent, node, deadline_ns != HKI_NEVER);
    if (status == HK_OK) {
        status = sleep_and_look(choice, deadline_ns);
        hki_block_end(agent);
    }
    leave_all(choice, links);
    if (links != few) {
        hki_free(links, choice->count * sizeof(*links));
    }
    return status;
}

static hk_status choose(struct choice *choice, hk_duration timeout)
{
    bool is_any = false;
    hk_status status;

    if (choice->queues == NULL ||
        !hki_array_exists(choice->count, sizeof(struct hki_selector_link))) {
        return HK_EINVAL;
    }
    for (size_t i = 0; i < choice->count; i++) {
        if (choice->queues[i] != NULL) {
            is_any = true;
            if ((status = hki_queue_usable(choice->queues[i], timeout)) != HK_OK) {
                return status;
            }
        }
    }
    if (!is_any) {
        return HK_EINVAL;
    }
    choice->first = turn++ % choice->count;
    status = look_at_all(choice);
    return status != HK_ETIMEDOUT || timeout == 0 ? status : wait_for_any(choice, timeout);
}

hk_status hk_queue_select(hk_queue *const *queues, size_t count, hk_duration timeout, size_t *which)
{
    struct choice choice = {.queues = queues, .count = count};
    hk_status status;

    if (which == NULL) {
        return HK_EINVAL;
    }
    status = choose(&choice, timeout);
    if (status == HK_OK) {
        *which = choice.which;
    }
    return status;
}

hk_status hk_queue_get_any(hk_queue *const *queues, size_t count, hk_duration timeout, void **item,
                           size_t *which)
{
    struct choice choice = {.queues = queues, .count = count, .wants_item = true};
    hk_status status;

    if (item == NULL) {
        return HK_EINVAL;
    }
    status = choose(&choice, timeout);
    if (status == HK_OK) {
        *item = choice.item;
        if (which != NULL) {
            *which = choice.which;
        }
    }
    return status;
}
