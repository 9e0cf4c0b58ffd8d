/* SPDX-License-Identifier: MIT */
/* Bad arguments for queues and rings. */
#include "tests/misuse/rows.h"

static void *item;
static size_t count;
static int fd;

static hk_status create_queue(hk_queue_options options)
{
    hk_queue *queue = NULL;
    hk_status status = hk_queue_create(&options, &queue);

    HKT_TRUE((status == HK_OK) == (queue != NULL));
    HKT_OK(hk_queue_destroy(queue));
    return status;
}

static hk_status create_ring(hk_ring_options options)
{
    hk_ring *ring = NULL;
    hk_status status = hk_ring_create(&options, &ring);

    HKT_TRUE((status == HK_OK) == (ring != NULL));
    HKT_OK(hk_ring_destroy(ring));
    return status;
}

static hk_status to_ordered(hk_queue_order order, hk_status (*put)(hk_queue *queue))
{
    hk_queue *queue = NULL;
    hk_status status = hk_queue_create(&(hk_queue_options){.order = order}, &queue);

    HKT_OK_FATAL(status);
    status = put(queue);
    HKT_OK(hk_queue_destroy(queue));
    return status;
}

static hk_duration the_delay;

static hk_status put_later(hk_queue *queue)
{
    return hk_queue_put_delayed(queue, NULL, the_delay, 0);
}

static hk_status delay(hk_duration duration)
{
    the_delay = duration;
    return to_ordered(HK_QUEUE_DELAY, put_later);
}

static hk_status put_with_priority(hk_queue *queue)
{
    return hk_queue_put_priority(queue, NULL, INT_MIN, the_delay);
}

static hk_status prioritise(hk_duration timeout)
{
    the_delay = timeout;
    return to_ordered(HK_QUEUE_PRIORITY, put_with_priority);
}

static hk_status put_later_timed(hk_queue *queue)
{
    return hk_queue_put_delayed(queue, NULL, 0, the_delay);
}

static hk_status delay_timed(hk_duration timeout)
{
    the_delay = timeout;
    return to_ordered(HK_QUEUE_DELAY, put_later_timed);
}

ROW(hk_queue_bind, queue, hk_queue_bind(NULL, HK_QUEUE_PUTTER) == HK_EINVAL);
ROW(hk_queue_bind, sides,
    hk_queue_bind(m.queue, 0) == HK_EINVAL && hk_queue_bind(m.queue, 4) == HK_EINVAL &&
        hk_queue_bind(m.queue, UINT_MAX) == HK_EINVAL &&
        hk_queue_unbind(m.queue, HK_QUEUE_PUTTER) == HK_ESTATE);
ROW(hk_queue_capacity, queue, hk_queue_capacity(NULL) == 0);
ROW(hk_queue_close, queue, hk_queue_close(NULL) == HK_EINVAL);
ROW(hk_queue_create, options,
    hk_queue_create(NULL, (hk_queue **)&item) == HK_OK && hk_queue_destroy(item) == HK_OK &&
        create_queue((hk_queue_options){.order = (hk_queue_order)4}) == HK_EINVAL &&
        create_queue((hk_queue_options){.order = (hk_queue_order)-1}) == HK_EINVAL &&
        REFUSES_SIZES(create_queue((hk_queue_options){.capacity = bad}), HK_EINVAL));
ROW(hk_queue_create, out, hk_queue_create(NULL, NULL) == HK_EINVAL);
ROW(hk_queue_destroy, queue, hk_queue_destroy(NULL) == HK_OK);
ROW(hk_queue_fd, queue, hk_queue_fd(NULL, &fd) == HK_EINVAL);
ROW(hk_queue_fd, fd, hk_queue_fd(m.queue, NULL) == HK_EINVAL);
ROW(hk_queue_get, queue, hk_queue_get(NULL, 0, &item) == HK_EINVAL);
ROW(hk_queue_get, timeout, REFUSES_DURATIONS(hk_queue_get(m.queue, bad, &item)));
ROW(hk_queue_get, item,
    hk_queue_put(m.queue, &item, 0) == HK_OK && hk_queue_get(m.queue, 0, NULL) == HK_EINVAL &&
        hk_queue_length(m.queue) == 1);
ROW(hk_queue_get_any, queues,
    hk_queue_get_any(NULL, 1, 0, &item, &count) == HK_EINVAL &&
        hk_queue_get_any(&(hk_queue *){NULL}, 1, 0, &item, &count) == HK_EINVAL);
ROW(hk_queue_get_any, count,
    hk_queue_get_any(&m.queue, 0, 0, &item, &count) == HK_EINVAL &&
        REFUSES_SIZES(hk_queue_get_any(&m.queue, bad, 0, &item, &count), HK_EINVAL));
ROW(hk_queue_get_any, timeout,
    REFUSES_DURATIONS(hk_queue_get_any(&m.queue, 1, bad, &item, &count)));
ROW(hk_queue_get_any, item, hk_queue_get_any(&m.queue, 1, 0, NULL, &count) == HK_EINVAL);
ROW(hk_queue_get_any, which,
    hk_queue_put(m.queue, &count, 0) == HK_OK &&
        hk_queue_get_any(&m.queue, 1, 0, &item, NULL) == HK_OK && item == &count);
ROW(hk_queue_join, queue, hk_queue_join(NULL, 0) == HK_EINVAL);
ROW(hk_queue_join, timeout,
    REFUSES_DURATIONS(hk_queue_join(m.queue, bad)) && hk_queue_join(m.queue, INT64_MAX) == HK_OK);
ROW(hk_queue_length, queue, hk_queue_length(NULL) == 0);
ROW(hk_queue_put, queue, hk_queue_put(NULL, &item, 0) == HK_EINVAL);
ROW(hk_queue_put, item,
    hk_queue_put(m.queue, NULL, 0) == HK_OK && hk_queue_get(m.queue, 0, &item) == HK_OK &&
        item == NULL);
ROW(hk_queue_put, timeout,
    REFUSES_DURATIONS(hk_queue_put(m.queue, &item, bad)) && hk_queue_length(m.queue) == 0);
ROW(hk_queue_put_delayed, queue, hk_queue_put_delayed(NULL, &item, 0, 0) == HK_EINVAL);
ROW(hk_queue_put_delayed, item, delay(0) == HK_OK);
ROW(hk_queue_put_delayed, delay,
    REFUSES_DURATIONS(delay(bad)) && delay(HK_FOREVER) == HK_EINVAL && delay(INT64_MAX) == HK_OK &&
        hk_queue_put_delayed(m.queue, &item, 0, 0) == HK_EINVAL);
ROW(hk_queue_put_delayed, timeout, REFUSES_DURATIONS(delay_timed(bad)));
ROW(hk_queue_put_many, queue, hk_queue_put_many(NULL, &item, 1, 0, &count) == HK_EINVAL);
ROW(hk_queue_put_many, items,
    hk_queue_put_many(m.queue, NULL, 1, 0, &count) == HK_EINVAL && count == 0 &&
        hk_queue_put_many(m.queue, NULL, 0, 0, &count) == HK_OK);
ROW(hk_queue_put_many, count,
    REFUSES_SIZES(hk_queue_put_many(m.queue, &item, bad, 0, &count), HK_EINVAL) &&
        hk_queue_length(m.queue) == 0);
ROW(hk_queue_put_many, timeout,
    REFUSES_DURATIONS(hk_queue_put_many(m.queue, &item, 1, bad, &count)));
ROW(hk_queue_put_many, put, hk_queue_put_many(m.queue, &item, 1, 0, NULL) == HK_EINVAL);
ROW(hk_queue_put_priority, queue, hk_queue_put_priority(NULL, &item, 0, 0) == HK_EINVAL);
ROW(hk_queue_put_priority, item, prioritise(0) == HK_OK);
ROW(hk_queue_put_priority, timeout,
    REFUSES_DURATIONS(prioritise(bad)) && hk_queue_put_priority(m.queue, &item, 0, 0) == HK_EINVAL);
ROW(hk_queue_select, queues,
    hk_queue_select(NULL, 1, 0, &count) == HK_EINVAL &&
        hk_queue_select((hk_queue *[]){NULL, NULL}, 2, 0, &count) == HK_EINVAL);
ROW(hk_queue_select, count,
    hk_queue_select(&m.queue, 0, 0, &count) == HK_EINVAL &&
        REFUSES_SIZES(hk_queue_select(&m.queue, bad, 0, &count), HK_EINVAL));
ROW(hk_queue_select, timeout, REFUSES_DURATIONS(hk_queue_select(&m.queue, 1, bad, &count)));
ROW(hk_queue_select, which, hk_queue_select(&m.queue, 1, 0, NULL) == HK_EINVAL);
ROW(hk_queue_get_many, queue, hk_queue_get_many(NULL, 0, &item, 1, &count) == HK_EINVAL);
ROW(hk_queue_get_many, timeout,
    REFUSES_DURATIONS(hk_queue_get_many(m.queue, bad, &item, 1, &count)));
ROW(hk_queue_get_many, items, hk_queue_get_many(m.queue, 0, NULL, 1, &count) == HK_EINVAL);
ROW(hk_queue_get_many, max,
    hk_queue_get_many(m.queue, 0, &item, 0, &count) == HK_EINVAL &&
        REFUSES_SIZES(hk_queue_get_many(m.queue, 0, &item, bad, &count), HK_EINVAL));
ROW(hk_queue_get_many, taken, hk_queue_get_many(m.queue, 0, &item, 1, NULL) == HK_EINVAL);
ROW(hk_queue_task_done, queue, hk_queue_task_done(NULL, 1) == HK_EINVAL);
ROW(hk_queue_task_done, count,
    REFUSES_SIZES(hk_queue_task_done(m.queue, bad), HK_ESTATE) &&
        hk_queue_task_done(m.queue, 0) == HK_OK);
ROW(hk_queue_unbind, queue, hk_queue_unbind(NULL, HK_QUEUE_PUTTER) == HK_EINVAL);
ROW(hk_queue_unbind, sides,
    hk_queue_unbind(m.queue, 0) == HK_EINVAL && hk_queue_unbind(m.queue, 8) == HK_EINVAL);

ROW(hk_ring_bind, ring, hk_ring_bind(NULL, HK_QUEUE_PUTTER) == HK_EINVAL);
ROW(hk_ring_bind, sides,
    hk_ring_bind(m.ring, 0) == HK_EINVAL && hk_ring_bind(m.ring, 4) == HK_EINVAL &&
        hk_ring_bind(m.ring, UINT_MAX) == HK_EINVAL);
ROW(hk_ring_capacity, ring, hk_ring_capacity(NULL) == 0);
ROW(hk_ring_close, ring, hk_ring_close(NULL) == HK_EINVAL);
ROW(hk_ring_create, options,
    hk_ring_create(NULL, (hk_ring **)&item) == HK_OK && hk_ring_destroy(item) == HK_OK &&
        REFUSES_SIZES(create_ring((hk_ring_options){.capacity = bad}), HK_EINVAL));
ROW(hk_ring_create, out, hk_ring_create(NULL, NULL) == HK_EINVAL);
ROW(hk_ring_destroy, ring, hk_ring_destroy(NULL) == HK_OK);
ROW(hk_ring_fd, ring, hk_ring_fd(NULL, &fd) == HK_EINVAL);
ROW(hk_ring_fd, fd, hk_ring_fd(m.ring, NULL) == HK_EINVAL);
ROW(hk_ring_get, ring, hk_ring_get(NULL, 0, &item) == HK_EINVAL);
ROW(hk_ring_get, timeout, REFUSES_DURATIONS(hk_ring_get(m.ring, bad, &item)));
ROW(hk_ring_get, item, hk_ring_get(m.ring, 0, NULL) == HK_EINVAL);
ROW(hk_ring_join, ring, hk_ring_join(NULL, 0) == HK_EINVAL);
ROW(hk_ring_join, timeout,
    REFUSES_DURATIONS(hk_ring_join(m.ring, bad)) && hk_ring_join(m.ring, INT64_MAX) == HK_OK);
ROW(hk_ring_length, ring, hk_ring_length(NULL) == 0);
ROW(hk_ring_put, ring, hk_ring_put(NULL, &item, 0) == HK_EINVAL);
ROW(hk_ring_put, item, hk_ring_put(m.ring, NULL, 0) == HK_OK);
ROW(hk_ring_put, timeout,
    REFUSES_DURATIONS(hk_ring_put(m.ring, &item, bad)) && hk_ring_length(m.ring) == 0);
ROW(hk_ring_put_many, ring, hk_ring_put_many(NULL, &item, 1, 0, &count) == HK_EINVAL);
ROW(hk_ring_put_many, items,
    hk_ring_put_many(m.ring, NULL, 1, 0, &count) == HK_EINVAL && count == 0 &&
        hk_ring_put_many(m.ring, NULL, 0, 0, &count) == HK_OK);
ROW(hk_ring_put_many, count,
    REFUSES_SIZES(hk_ring_put_many(m.ring, &item, bad, 0, &count), HK_EINVAL) &&
        hk_ring_length(m.ring) == 0);
ROW(hk_ring_put_many, timeout, REFUSES_DURATIONS(hk_ring_put_many(m.ring, &item, 1, bad, &count)));
ROW(hk_ring_put_many, put, hk_ring_put_many(m.ring, &item, 1, 0, NULL) == HK_EINVAL);
ROW(hk_ring_get_many, ring, hk_ring_get_many(NULL, 0, &item, 1, &count) == HK_EINVAL);
ROW(hk_ring_get_many, timeout, REFUSES_DURATIONS(hk_ring_get_many(m.ring, bad, &item, 1, &count)));
ROW(hk_ring_get_many, items, hk_ring_get_many(m.ring, 0, NULL, 1, &count) == HK_EINVAL);
ROW(hk_ring_get_many, max,
    hk_ring_get_many(m.ring, 0, &item, 0, &count) == HK_EINVAL &&
        REFUSES_SIZES(hk_ring_get_many(m.ring, 0, &item, bad, &count), HK_EINVAL));
ROW(hk_ring_get_many, taken, hk_ring_get_many(m.ring, 0, &item, 1, NULL) == HK_EINVAL);
ROW(hk_ring_task_done, ring, hk_ring_task_done(NULL, 1) == HK_EINVAL);
ROW(hk_ring_task_done, count,
    REFUSES_SIZES(hk_ring_task_done(m.ring, bad), HK_ESTATE) &&
        hk_ring_task_done(m.ring, 0) == HK_OK);
ROW(hk_ring_unbind, ring, hk_ring_unbind(NULL, HK_QUEUE_PUTTER) == HK_EINVAL);
ROW(hk_ring_unbind, sides,
    hk_ring_unbind(m.ring, 0) == HK_EINVAL && hk_ring_unbind(m.ring, 8) == HK_EINVAL);
