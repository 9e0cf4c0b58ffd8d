/* SPDX-License-Identifier: MIT */
/*
 * hk_process_pool as a peer: large payloads and maps.
 */
#include <string.h>

#include "bench/harness/harness.h"
#include "bench/process/pool_hocket.h"

/* --- Echoes ------------------------------------------------------------------------- */

/* Reads every line, and gives the same memory back. */
HK_TASK(pool_read)
{
    uint64_t sum = pool_sum_of_lines(in, in_size);

    __asm__ volatile("" : : "r"(sum));
    return hk_return(call, in, in_size);
}

HK_TASK(pool_write_new)
{
    void *out;
    hk_status status = hk_return_reserve(call, in_size, &out);

    if (status == HK_OK) {
        memcpy(out, in, in_size);
    }
    return status;
}

/* Only the beginning is written: who makes large payloads makes them in the buffer. */
static hk_future *submit_buffer(struct hocket_pool *pool, const hk_task *task, const void *payload,
                                size_t size)
{
    hk_buffer *buffer;
    hk_future *future;

    hocket_must(hk_buffer_create(pool->executor, size, &buffer), "hk_buffer_create");
    memcpy(hk_buffer_data(buffer), payload, POOL_LINE_SIZE);
    hocket_must(hk_submit_buffer(pool->executor, task, buffer, NULL, &future), "hk_submit_buffer");
    return future;
}

static hk_future *submit_bytes(struct hocket_pool *pool, const void *payload, size_t size)
{
    hk_future *future;

    hocket_must(hk_submit(pool->executor, pool_read, payload, size, NULL, &future), "hk_submit");
    return future;
}

bool hocket_echo(void *arg, enum pool_echo how, void *payload, size_t size)
{
    struct hocket_pool *pool = arg;
    hk_future *future = NULL;
    const void *value;
    size_t value_size;
    bool is_right;

    switch (how) {
    case POOL_IN_PLACE:
        future = submit_buffer(pool, pool_read, payload, size);
        break;
    case POOL_ZERO_COPY:
        future = submit_buffer(pool, pool_write_new, payload, size);
        break;
    case POOL_COPIED:
        future = submit_bytes(pool, payload, size);
        break;
    }
    hocket_must(hk_future_result(future, HK_FOREVER, &value, &value_size), "hk_future_result");
    is_right = value_size == size && memcmp(value, payload, POOL_LINE_SIZE) == 0;
    if (is_right && how == POOL_COPIED) {
        memcpy(payload, value, size);
    }
    hk_future_unref(future);
    return is_right;
}

/* --- Maps --------------------------------------------------------------------------- */

HK_TASK(pool_add_up)
{
    struct pool_item item;
    uint64_t sum = 0;

    if (in_size != sizeof(item)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(item), in_size);
    }
    memcpy(&item, in, sizeof(item));
    for (size_t i = 0; i < sizeof(item.numbers) / sizeof(item.numbers[0]); i++) {
        sum += item.numbers[i];
    }
    return hk_return(call, &sum, sizeof(sum));
}

static hk_status add(void *accumulator, const hk_map_item *item)
{
    uint64_t sum;

    if (item->status == HK_OK) {
        memcpy(&sum, item->data, sizeof(sum));
        *(uint64_t *)accumulator += sum;
    }
    return item->status;
}

uint64_t hocket_map(void *arg, const struct pool_item *items, size_t count)
{
    struct hocket_pool *pool = arg;
    hk_array_source source = {items, count, sizeof(*items), 0};
    hk_map_options options = {.chunk = 64, .window = POOL_DEPTH_MAX, .count = count};
    uint64_t sum = 0;

    hocket_must(hk_map_reduce(pool->executor, pool_add_up, hk_array_source_next, &source, add, &sum,
                              &options),
                "hk_map_reduce");
    return sum;
}
