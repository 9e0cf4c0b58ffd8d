/* SPDX-License-Identifier: MIT */
/* Birth, end and settings of a queue, and how its calls sleep. */
#include <stdio.h>

#include "base/extensible.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/os.h"
#include "sync/block.h"
#include "sync/queue_impl.h"

enum { MEMORY_BYTES = sizeof(hk_queue) + HKI_CACHE_LINE };

hk_status hk_queue_create(const hk_queue_options *options, hk_queue **out)
{
    static const hk_queue_options defaults;
    hk_queue *queue;
    void *memory;

    options = options == NULL ? &defaults : options;
    if (out == NULL || !HKI_OPTIONS_VALID(options, 48) ||
        (unsigned)options->order > HK_QUEUE_DELAY ||
        options->capacity > SIZE_MAX / 4 / sizeof(struct hki_store_entry)) {
        return HK_EINVAL;
    }
    if ((memory = hki_zalloc(MEMORY_BYTES)) == NULL) {
        return HK_ENOMEM;
    }
    queue =
        (hk_queue *)(((uintptr_t)memory + HKI_CACHE_LINE - 1) & ~(uintptr_t)(HKI_CACHE_LINE - 1));
    queue->memory = memory;
    queue->store.order = options->order;
    queue->capacity = options->capacity == 0 ? SIZE_MAX : options->capacity;
    queue->drop = options->drop;
    queue->drop_arg = options->drop_arg;
    queue->fd = -1;
    queue->generation = hki_fork_generation();
    hki_list_init(&queue->selectors);
    if (options->name != NULL) {
        snprintf(queue->name, sizeof(queue->name), "%s", options->name);
    }
    hki_live_add(HKI_LIVE_QUEUES, 1);
    *out = queue;
    return HK_OK;
}

hk_status hk_queue_destroy(hk_queue *queue)
{
    bool is_used;

    if (queue == NULL) {
        return HK_OK;
    }
    if (hki_fork_foreign(queue->generation)) {
        return HK_EFORKED;
    }
    /* Under the lock: who is about to sleep counted itself before it let go. */
    hki_queue_lock(queue);
    /* acquire, pairs with hki_queue_leave(): whoever slept here has left for good. */
    is_used = atomic_load_explicit(&queue->inside, memory_order_acquire) != 0 ||
              !hki_list_empty(&queue->selectors);
    hki_brief_lock_release(&queue->lock);
    if (is_used) {
        return HK_ESTATE;
    }
    hki_sides_clear(&queue->sides);
    while (queue->store.count != 0) {
        void *item = hki_store_pop(&queue->store);

        if (queue->drop != NULL) {
            queue->drop(item, queue->drop_arg);
        }
    }
    hki_store_release(&queue->store);
    if (queue->fd >= 0) {
        hki_os_close(queue->fd);
    }
    hki_free(queue->memory, MEMORY_BYTES);
    hki_live_add(HKI_LIVE_QUEUES, -1);
    return HK_OK;
}

hk_status hk_queue_close(hk_queue *queue)
{
    hk_status status = hki_queue_usable(queue, 0);

    if (status != HK_OK) {
        return status;
    }
    hki_queue_lock(queue);
    queue->attention += queue->closed ? 0 : 1;
    queue->closed = true;
    queue->news = true;
    hki_queue_unlock(queue); /* Wakes one of each side, who wakes the next. */
    return HK_OK;
}

size_t hk_queue_length(const hk_queue *queue)
{
    hk_queue *counted = (hk_queue *)queue;
    size_t count;

    if (hki_queue_usable(queue, 0) != HK_OK) {
        return 0;
    }
    hki_queue_lock(counted);
    count = counted->store.count;
    hki_brief_lock_release(&counted->lock);
    return count;
}

size_t hk_queue_capacity(const hk_queue *queue)
{
    return queue == NULL || queue->capacity == SIZE_MAX ? 0 : queue->capacity;
}

hk_status hk_queue_bind(hk_queue *queue, unsigned sides)
{
    hk_status status = hki_queue_usable(queue, 0);

    return status != HK_OK ? status : hki_sides_bind(&queue->sides, sides);
}

hk_status hk_queue_unbind(hk_queue *queue, unsigned sides)
{
    hk_status status = hki_queue_usable(queue, 0);

    return status != HK_OK ? status : hki_sides_unbind(&queue->sides, sides);
}

/* --- Sleeping ----------------------------------------------------------------- */

hk_status hki_queue_begin_wait(hk_queue *queue, const struct hki_wait_ops *ops, int64_t deadline_ns)
{
    struct hki_wait_node node = {ops, queue};

    return hki_block_begin(hki_agent_self(), node, deadline_ns != HKI_NEVER);
}

void hki_queue_end_wait(void)
{
    hki_block_end(hki_agent_self());
}

bool hki_queue_sleep(hk_queue *queue, struct hki_waiters *waiters, int64_t deadline_ns)
{
    uint32_t epoch = hki_waiters_enter(waiters);
    bool in_time;

    queue->attention++;
    hki_queue_unlock(queue);
    in_time = hki_os_futex_wait(&waiters->epoch, epoch, deadline_ns);
    hki_queue_lock(queue);
    hki_waiters_leave(waiters);
    queue->attention--;
    return in_time;
}

/* Counted before it looks, so that it is woken for all that comes after. */
bool hki_queue_look_and_sleep(hk_queue *queue, const struct hki_wait_ops *ops, int64_t deadline_ns,
                              struct hki_queue_looks *looks)
{
    bool gets = ops == &hki_queue_getter_ops;
    struct hki_waiters *waiters = gets ? &queue->getters : &queue->putters;
    struct hki_agent *agent = hki_agent_self();
    uint32_t epoch;
    bool in_time = true;

    if (!hki_parties_any(gets ? &queue->sides.putters : &queue->sides.getters) ||
        !hki_block_is_looked_at(agent)) {
        return hki_queue_sleep(queue, waiters, deadline_ns);
    }
    epoch = hki_waiters_enter(waiters);
    waiters->looked_at = true;
    queue->attention++;
    hki_queue_unlock(queue);
    looks->status = hki_block_look_again(agent, (struct hki_wait_node){ops, queue}, false);
    if (looks->status == HK_OK) {
        int64_t until_ns = hki_block_until(agent, deadline_ns, &looks->count);

        in_time = hki_os_futex_wait(&waiters->epoch, epoch, until_ns) || until_ns != deadline_ns;
    }
    hki_queue_lock(queue);
    hki_waiters_leave(waiters);
    queue->attention--;
    return in_time;
}

/* --- For the wait-for graph ---------------------------------------------------- */

/* With the graph's lock held, which comes before the queue's. */
static bool holds(hk_queue *queue, bool (*what)(const hk_queue *queue))
{
    bool answer;

    hki_queue_lock(queue);
    answer = what(queue);
    hki_brief_lock_release(&queue->lock);
    return answer;
}

/* What is delayed comes by itself, so it need not be due. */
static bool has_something(const hk_queue *queue)
{
    return queue->store.count != 0 || queue->closed;
}

static enum hki_wait_kind look_for_item(void *object, size_t *count)
{
    hk_queue *queue = object;

    if (holds(queue, has_something)) {
        return HKI_WAIT_MOVES;
    }
    return hki_parties_look(&queue->sides.putters, HKI_WAIT_ANY, count);
}

static enum hki_wait_kind look_for_room(void *object, size_t *count)
{
    hk_queue *queue = object;

    if (holds(queue, hki_queue_owes_putter)) {
        return HKI_WAIT_MOVES;
    }
    return hki_parties_look(&queue->sides.getters, HKI_WAIT_ANY, count);
}

static struct hki_wait_node next_putter(void *object, size_t i)
{
    const hk_queue *queue = object;

    return hki_parties_next(&queue->sides.putters, i);
}

static struct hki_wait_node next_getter(void *object, size_t i)
{
    const hk_queue *queue = object;

    return hki_parties_next(&queue->sides.getters, i);
}

void hki_queue_describe(const char *what, const hk_queue *queue, char *text, size_t size)
{
    snprintf(text, size, "%s queue %p%s%s%s", what, (const void *)queue,
             queue->name[0] == '\0' ? "" : " (", queue->name, queue->name[0] == '\0' ? "" : ")");
}

static void describe_item(void *object, char *text, size_t size)
{
    hki_queue_describe("an item of", object, text, size);
}

static void describe_room(void *object, char *text, size_t size)
{
    hki_queue_describe("room in", object, text, size);
}

const struct hki_wait_ops hki_queue_getter_ops = {
    .look = look_for_item, .next = next_putter, .describe = describe_item, .verb = "to be put by"};
const struct hki_wait_ops hki_queue_putter_ops = {
    .look = look_for_room, .next = next_getter, .describe = describe_room, .verb = "to be made by"};
