/* SPDX-License-Identifier: MIT */
#include "tests/use_fixture.h"

#include <string.h>
#include <unistd.h>

#include "tests/child_fixture.h"
#include "tests/fixture.h"

enum { ITEMS = 9 };

/* HK_EINIT: what is missing may be missing in three workers in a row. */
bool hkt_is_refusal(hk_status status)
{
    return status == HK_ENOMEM || status == HK_ESYS || status == HK_EBROKEN || status == HK_EINIT;
}

hk_status hkt_end_of(hk_future *future)
{
    hk_status status;

    HKT_CHILD_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
    status = hk_future_result(future, 0, NULL, NULL);
    (void)hk_future_why(future);
    hk_future_unref(future);
    return status;
}

/* --- Tasks --- */

HK_TASK(hkt_use_echo)
{
    return hk_return(call, in, in_size);
}

HK_TASK(hkt_use_speech)
{
    return hk_fail(call, 5, "%.*s", (int)in_size, (const char *)in);
}

HK_TASK(hkt_use_descriptor)
{
    int fd = -1;
    hk_status status = hk_call_take_fd(call, 0, &fd);

    if (status == HK_OK) {
        close(fd);
    }
    return status;
}

HK_TASK(hkt_use_stop)
{
    hk_cancel_token *token = NULL;
    int fd = -1;
    hk_status status = hk_call_stop_fd(call, &fd);

    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    status = hk_call_token(call, &token);
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    hk_progress(call, 1, 2);
    return hk_sleep(call, HK_US(10));
}

/* --- Uses --- */

static void expect_end(hk_future *future)
{
    hk_status status = hkt_end_of(future);

    HKT_CHILD_TRUE(status == HK_OK || status == HK_EFAILED || status == HK_EWORKER ||
                   status == HK_EPORTABLE || hkt_is_refusal(status));
}

void hkt_use_submit(hk_executor *executor, const hk_task *task, size_t size, bool with_fd)
{
    static const int fds[] = {STDERR_FILENO};
    char bytes[HKT_USE_MOST];
    hk_submit_options options = {.fds = fds, .fd_count = with_fd ? 1 : 0, .label = "labelled"};
    hk_future *future = NULL;
    hk_status status;

    memset(bytes, 'x', sizeof(bytes) - 1);
    bytes[sizeof(bytes) - 1] = '\0';
    status = hk_submit(executor, task, bytes, size, &options, &future);
    HKT_CHILD_TRUE((future != NULL) == (status == HK_OK));
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status == HK_OK) {
        expect_end(future);
    }
}

static void use_buffer(hk_executor *executor)
{
    hk_buffer *buffer = NULL;
    hk_future *future = NULL;
    hk_status status = hk_buffer_create(executor, HKT_USE_MOST, &buffer);

    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status == HK_OK) {
        memset(hk_buffer_data(buffer), 1, HKT_USE_MOST);
        status = hk_submit_buffer(executor, hkt_use_echo, buffer, NULL, &future);
        if (status == HK_OK) {
            expect_end(future);
        } else {
            HKT_CHILD_TRUE(hkt_is_refusal(status));
            hk_buffer_destroy(buffer);
        }
    }
}

static void use_map(hk_executor *executor)
{
    int items[ITEMS];
    hk_array_source source = {items, ITEMS, sizeof(int), 0};
    hk_map_options options = {.chunk = 3, .window = 2};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    hk_status status;

    for (int i = 0; i < ITEMS; i++) {
        items[i] = i;
    }
    status = hk_map(executor, hkt_square, hk_array_source_next, &source, &options, &iterator);
    HKT_CHILD_TRUE((iterator != NULL) == (status == HK_OK));
    if (status != HK_OK) {
        HKT_CHILD_TRUE(hkt_is_refusal(status));
        return;
    }
    while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK) {
        HKT_CHILD_TRUE(item.status != HK_OK ||
                       *(const int *)item.data == items[item.index] * items[item.index]);
        hk_map_item_drop(&item);
    }
    HKT_CHILD_TRUE(status == HK_EDONE || hkt_is_refusal(status));
    hk_map_destroy(iterator);
}

/* A limit that no task reaches, so the timer's thread comes and goes. */
static void use_limit(hk_executor *executor)
{
    hk_submit_options options = {.timeout = HK_SEC(1000), .deadline = HK_SEC(1000)};
    hk_future *future = NULL;
    hk_future *within = NULL;
    hk_status status = hk_submit(executor, hkt_use_stop, NULL, 0, &options, &future);

    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status != HK_OK) {
        return;
    }
    status = hk_within(future, HK_SEC(1000), &within);
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status == HK_OK) {
        expect_end(within);
    }
    expect_end(future);
}

static void use_descriptors(hk_executor *executor)
{
    hk_completion *completion = NULL;
    hk_future *future = NULL;
    hk_status status = hk_submit(executor, hkt_use_echo, "four", 4, NULL, &future);
    int fd = -1;

    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status != HK_OK) {
        return;
    }
    status = hk_future_fd(future, &fd);
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    status = hk_as_completed(&future, 1, HK_FOREVER, &completion);
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status == HK_OK) {
        status = hk_completion_fd(completion, &fd);
        HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
        HKT_CHILD_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_OK);
        hk_completion_destroy(completion);
    }
    expect_end(future);
}

static void use_queues(void)
{
    static const hk_queue_order orders[] = {HK_QUEUE_FIFO, HK_QUEUE_DELAY};
    hk_ring *ring = NULL;
    int fd = -1;
    hk_status status;

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        hk_queue *queue = NULL;

        status = hk_queue_create(&(hk_queue_options){.order = orders[i]}, &queue);
        HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
        if (status == HK_OK) {
            status = hk_queue_fd(queue, &fd);
            HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
            HKT_CHILD_STATUS(hk_queue_destroy(queue), HK_OK);
        }
    }
    status = hk_ring_create(NULL, &ring);
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status == HK_OK) {
        status = hk_ring_fd(ring, &fd);
        HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
        HKT_CHILD_STATUS(hk_ring_destroy(ring), HK_OK);
    }
}

void hkt_use(hk_executor *executor)
{
    hkt_use_submit(executor, hkt_use_echo, 4, false);
    hkt_use_submit(executor, hkt_use_echo, HKT_USE_MOST, false);
    hkt_use_submit(executor, hkt_use_speech, 500, false);
    hkt_use_submit(executor, hkt_use_speech, HKT_USE_MOST / 2, false);
    hkt_use_submit(executor, hkt_use_descriptor, 4, true);
    use_buffer(executor);
    use_map(executor);
    use_limit(executor);
    use_descriptors(executor);
    use_queues();
}
