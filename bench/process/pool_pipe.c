/* SPDX-License-Identifier: MIT */
/*
 * The plain pool of pipes as a peer.
 */
#include <string.h>

#include "bench/process/pipe_pool.h"
#include "bench/process/pool_peer.h"

enum { BATCH = 16, LARGE_PIPE_SIZE = 1 << 20 };

static struct pipe_pool *create(const struct pool_wish *wish, unsigned batch, size_t pipe_size)
{
    struct pipe_pool *pool = pipe_pool_create(&(struct pipe_pool_options){
        .workers = wish->workers,
        .worker_cpu = wish->worker_cpu,
        .batch = batch,
        .pipe_size = pipe_size,
        .echo_size = wish->echo_size,
    });

    /* Each worker has least to do once: so all have started. */
    for (unsigned i = 0; i < wish->workers && wish->echo_size == 0; i++) {
        pipe_pool_put(pool, &(struct pipe_message){0}, 1);
    }
    if (wish->echo_size == 0) {
        pipe_pool_get(pool, wish->workers);
    }
    return pool;
}

static void *create_plain(const struct pool_wish *wish)
{
    return create(wish, 1, 0);
}

static void *create_batch(const struct pool_wish *wish)
{
    return create(wish, BATCH, 0);
}

static void *create_large(const struct pool_wish *wish)
{
    return create(wish, 1, LARGE_PIPE_SIZE);
}

static void destroy(void *pool)
{
    pipe_pool_destroy(pool);
}

static void put(void *pool, const struct pool_task *tasks, unsigned count)
{
    struct pipe_message messages[POOL_DEPTH_MAX];

    for (unsigned i = 0; i < count; i++) {
        messages[i] = (struct pipe_message){tasks[i].number, tasks[i].turns};
    }
    pipe_pool_put(pool, messages, count);
}

static uint64_t get(void *pool, unsigned count)
{
    return pipe_pool_get(pool, count);
}

static bool echo(void *pool, enum pool_echo how, void *payload, size_t size)
{
    uint64_t sent;

    (void)how; /* A pipe knows one way only. */
    (void)size;
    memcpy(&sent, payload, sizeof(sent));
    pipe_pool_echo(pool, payload);
    return memcmp(&sent, payload, sizeof(sent)) == 0;
}

static void add_worker(void *pool)
{
    pipe_pool_add_worker(pool);
}

const struct pool_peer pool_pipe = {.create = create_plain,
                                    .destroy = destroy,
                                    .batch = 1,
                                    .put = put,
                                    .get = get,
                                    .echo = echo,
                                    .add_worker = add_worker};
const struct pool_peer pool_pipe_batch = {
    .create = create_batch, .destroy = destroy, .batch = BATCH, .put = put, .get = get};
const struct pool_peer pool_pipe_large = {
    .create = create_large, .destroy = destroy, .batch = 1, .put = put, .get = get, .echo = echo};
const struct pool_peer pool_pipe_ballast = {.create = create_plain,
                                            .destroy = destroy,
                                            .batch = 1,
                                            .put = put,
                                            .get = get,
                                            .add_worker = add_worker,
                                            .ballast_size = POOL_BALLAST_SIZE};
