/* SPDX-License-Identifier: MIT */
#include "tests/queue_fixture.h"

#include "sync/eventcount.h"

const struct hkt_queue_kind *hkt_kind;

/* --- Queues --- */

static hk_status create_queue(size_t capacity, hk_item_drop_fn *drop, void *arg, void **out)
{
    hk_queue_options options = {
        .capacity = capacity, .name = "tested", .drop = drop, .drop_arg = arg};
    hk_queue *queue = NULL;
    hk_status status = hk_queue_create(&options, &queue);

    *out = queue;
    return status;
}

static hk_status destroy_queue(void *queue)
{
    return hk_queue_destroy(queue);
}

static hk_status put_queue(void *queue, void *item, hk_duration timeout)
{
    return hk_queue_put(queue, item, timeout);
}

static hk_status put_many_queue(void *queue, void *const *items, size_t count, hk_duration timeout,
                                size_t *put)
{
    return hk_queue_put_many(queue, items, count, timeout, put);
}

static hk_status get_queue(void *queue, hk_duration timeout, void **item)
{
    return hk_queue_get(queue, timeout, item);
}

static hk_status take_many_queue(void *queue, hk_duration timeout, void **items, size_t max,
                                 size_t *taken)
{
    return hk_queue_get_many(queue, timeout, items, max, taken);
}

static hk_status close_queue(void *queue)
{
    return hk_queue_close(queue);
}

static hk_status task_done_queue(void *queue, size_t count)
{
    return hk_queue_task_done(queue, count);
}

static hk_status join_queue(void *queue, hk_duration timeout)
{
    return hk_queue_join(queue, timeout);
}

static size_t length_queue(void *queue)
{
    return hk_queue_length(queue);
}

static size_t capacity_queue(void *queue)
{
    return hk_queue_capacity(queue);
}

static hk_status fd_queue(void *queue, int *fd)
{
    return hk_queue_fd(queue, fd);
}

static hk_status bind_queue(void *queue, unsigned sides)
{
    return hk_queue_bind(queue, sides);
}

static hk_status unbind_queue(void *queue, unsigned sides)
{
    return hk_queue_unbind(queue, sides);
}

static const struct hkt_queue_kind queues = {
    .name = "queue",
    .create = create_queue,
    .destroy = destroy_queue,
    .put = put_queue,
    .put_many = put_many_queue,
    .get = get_queue,
    .take_many = take_many_queue,
    .close = close_queue,
    .task_done = task_done_queue,
    .join = join_queue,
    .length = length_queue,
    .capacity = capacity_queue,
    .fd = fd_queue,
    .bind = bind_queue,
    .unbind = unbind_queue,
};

/* --- Rings --- */

static hk_status create_ring(size_t capacity, hk_item_drop_fn *drop, void *arg, void **out)
{
    hk_ring_options options = {
        .capacity = capacity, .name = "tested", .drop = drop, .drop_arg = arg};
    hk_ring *ring = NULL;
    hk_status status = hk_ring_create(&options, &ring);

    *out = ring;
    return status;
}

static hk_status destroy_ring(void *queue)
{
    return hk_ring_destroy(queue);
}

static hk_status put_ring(void *queue, void *item, hk_duration timeout)
{
    return hk_ring_put(queue, item, timeout);
}

static hk_status put_many_ring(void *queue, void *const *items, size_t count, hk_duration timeout,
                               size_t *put)
{
    return hk_ring_put_many(queue, items, count, timeout, put);
}

static hk_status get_ring(void *queue, hk_duration timeout, void **item)
{
    return hk_ring_get(queue, timeout, item);
}

static hk_status take_many_ring(void *queue, hk_duration timeout, void **items, size_t max,
                                size_t *taken)
{
    return hk_ring_get_many(queue, timeout, items, max, taken);
}

static hk_status close_ring(void *queue)
{
    return hk_ring_close(queue);
}

static hk_status task_done_ring(void *queue, size_t count)
{
    return hk_ring_task_done(queue, count);
}

static hk_status join_ring(void *queue, hk_duration timeout)
{
    return hk_ring_join(queue, timeout);
}

static size_t length_ring(void *queue)
{
    return hk_ring_length(queue);
}

static size_t capacity_ring(void *queue)
{
    return hk_ring_capacity(queue);
}

static hk_status fd_ring(void *queue, int *fd)
{
    return hk_ring_fd(queue, fd);
}

static hk_status bind_ring(void *queue, unsigned sides)
{
    return hk_ring_bind(queue, sides);
}

static hk_status unbind_ring(void *queue, unsigned sides)
{
    return hk_ring_unbind(queue, sides);
}

static const struct hkt_queue_kind rings = {
    .name = "ring",
    .create = create_ring,
    .destroy = destroy_ring,
    .put = put_ring,
    .put_many = put_many_ring,
    .get = get_ring,
    .take_many = take_many_ring,
    .close = close_ring,
    .task_done = task_done_ring,
    .join = join_ring,
    .length = length_ring,
    .capacity = capacity_ring,
    .fd = fd_ring,
    .bind = bind_ring,
    .unbind = unbind_ring,
};

/* --- The kind under test --- */

void hkt_use_queues(void)
{
    hkt_kind = &queues;
}

void hkt_use_rings(void)
{
    hkt_kind = &rings;
    hki_eventcount_refuse_barrier(false);
}

void hkt_use_rings_without_barrier(void)
{
    hkt_kind = &rings;
    hki_eventcount_refuse_barrier(true);
}

void *hkt_queue_open(size_t capacity)
{
    void *queue = NULL;

    HKT_OK_FATAL(hkt_kind->create(capacity, NULL, NULL, &queue));
    return queue;
}

void hkt_queue_end(void *queue)
{
    HKT_OK(hkt_kind->destroy(queue));
}

void *hkt_number(size_t number)
{
    return (void *)(uintptr_t)number;
}

void hkt_put_numbers(void *queue, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        HKT_OK(hkt_kind->put(queue, hkt_number(first + i), 0));
    }
}

void hkt_expect_numbers(void *queue, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *item = NULL;

        HKT_OK(hkt_kind->get(queue, 0, &item));
        HKT_EQ_PTR(item, hkt_number(first + i));
    }
}

/* --- Threads that make one call --- */

static void get_one(void *arg)
{
    struct hkt_caller *caller = arg;

    caller->status = hkt_kind->get(caller->queue, caller->timeout, &caller->item);
}

static void put_one(void *arg)
{
    struct hkt_caller *caller = arg;

    caller->status = hkt_kind->put(caller->queue, caller->item, caller->timeout);
}

static void join_once(void *arg)
{
    struct hkt_caller *caller = arg;

    caller->status = hkt_kind->join(caller->queue, caller->timeout);
}

static void start(struct hkt_caller *caller, void (*call)(void *arg))
{
    hkt_thread_start(&caller->thread, call, caller);
    hkt_thread_await_sleep(&caller->thread);
}

void hkt_start_getter(struct hkt_caller *caller, void *queue)
{
    *caller = (struct hkt_caller){.queue = queue, .timeout = HK_FOREVER};
    start(caller, get_one);
}

void hkt_start_putter(struct hkt_caller *caller, void *queue, void *item)
{
    *caller = (struct hkt_caller){.queue = queue, .timeout = HK_FOREVER, .item = item};
    start(caller, put_one);
}

void hkt_start_joiner(struct hkt_caller *caller, void *queue)
{
    *caller = (struct hkt_caller){.queue = queue, .timeout = HK_FOREVER};
    start(caller, join_once);
}

void hkt_expect_caller(struct hkt_caller *caller, hk_status status)
{
    hkt_thread_join(&caller->thread);
    HKT_STATUS(caller->status, status);
}
