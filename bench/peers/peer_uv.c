/* SPDX-License-Identifier: MIT */
/*
 * uv_queue_work(): threads behind a loop. Each thread that submits has a loop of its own,
 * and runs it to wait.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/peer.h"

static pthread_key_t loop_key;

static void close_loop(void *loop)
{
    uv_loop_close(loop);
    free(loop);
}

static uv_loop_t *own_loop(void)
{
    uv_loop_t *loop = pthread_getspecific(loop_key);

    if (loop == NULL) {
        loop = malloc(sizeof(*loop));
        if (loop == NULL || uv_loop_init(loop) != 0 || pthread_setspecific(loop_key, loop) != 0) {
            bench_die("uv_loop_init");
        }
    }
    return loop;
}

/* The library has one pool, which takes its size from the environment. */
static void *start(unsigned workers)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", workers);
    if (setenv("UV_THREADPOOL_SIZE", text, 1) != 0 ||
        pthread_key_create(&loop_key, close_loop) != 0) {
        bench_die("no key");
    }
    return own_loop();
}

static void stop(void *loop)
{
    close_loop(loop);
    pthread_setspecific(loop_key, NULL);
}

static void run(uv_work_t *request)
{
    slot_answer(request->data);
}

static void release(uv_work_t *request, int status)
{
    if (status != 0) {
        bench_die("uv_queue_work");
    }
    free(request);
}

static void post(void *pool, struct slot *slot)
{
    uv_work_t *request = malloc(sizeof(*request));

    (void)pool;
    if (request == NULL) {
        bench_die("no memory");
    }
    request->data = slot;
    if (uv_queue_work(own_loop(), request, run, release) != 0) {
        bench_die("uv_queue_work");
    }
}

static void join(void *pool)
{
    (void)pool;
    if (uv_run(own_loop(), UV_RUN_DEFAULT) != 0) {
        bench_die("uv_run");
    }
}

static const struct peer libuv = {
    .name = "libuv", .start = start, .stop = stop, .post = post, .join = join};

const char *const peer_program_name = "peer-uv";
const struct peer *const peers[] = {&libuv, NULL};
