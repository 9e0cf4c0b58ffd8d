/* SPDX-License-Identifier: MIT */
/*
 * Many tasks at once: submitted by one thread, which waits for all.
 */
#include <stdlib.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/countdown.h"
#include "bench/hocket_bench/workload.h"

/* Either futures or slots. */
struct batch {
    const struct peer *peer;
    void *pool;
    uint64_t count;
    unsigned char *futures;
    struct slot *slots;
    struct countdown countdown;
    /* Of the run under way, for peers that call it themselves. */
    enum work_kind kind;
    int64_t submit_ns;
    uint64_t sum;
};

struct batch *batch_create(const struct trial *trial, uint64_t count)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    size_t future_size = trial->peer->future_size;

    if (batch == NULL) {
        bench_die("no memory");
    }
    batch->peer = trial->peer;
    batch->pool = trial->pool;
    batch->count = count;
    countdown_init(&batch->countdown);
    if (trial->peer->submit != NULL) {
        batch->futures = calloc(count, future_size);
    } else {
        batch->slots = calloc(count, sizeof(*batch->slots));
    }
    if (batch->futures == NULL && batch->slots == NULL) {
        bench_die("no memory");
    }
    return batch;
}

void batch_destroy(struct batch *batch)
{
    countdown_destroy(&batch->countdown);
    free(batch->futures);
    free(batch->slots);
    free(batch);
}

static void *future_of(struct batch *batch, uint64_t i)
{
    return batch->futures + i * batch->peer->future_size;
}

static void run_futures(struct batch *batch)
{
    const struct peer *peer = batch->peer;
    uint64_t window = peer->window == 0 ? batch->count : peer->window;
    uint64_t read = 0;

    for (uint64_t i = 0; i < batch->count; i++) {
        if (i - read == window) {
            batch->sum += peer->result(batch->pool, future_of(batch, read++));
        }
        peer->submit(batch->pool, batch->kind, i, future_of(batch, i));
    }
    batch->submit_ns = bench_now_ns();
    if (peer->wait_all != NULL) {
        peer->wait_all(batch->pool, future_of(batch, read), batch->count - read);
    }
    while (read < batch->count) {
        batch->sum += peer->result(batch->pool, future_of(batch, read++));
    }
}

static void run_slots(struct batch *batch)
{
    const struct peer *peer = batch->peer;

    countdown_set(&batch->countdown, batch->count);
    for (uint64_t i = 0; i < batch->count; i++) {
        struct slot *slot = &batch->slots[i];

        *slot = (struct slot){work_bodies[batch->kind], i, 0, &batch->countdown};
        peer->post(batch->pool, slot);
    }
    batch->submit_ns = bench_now_ns();
    if (peer->join != NULL) {
        peer->join(batch->pool);
    } else {
        countdown_wait(&batch->countdown);
    }
    for (uint64_t i = 0; i < batch->count; i++) {
        batch->sum += batch->slots[i].answer;
    }
}

static void run_inside(void *arg)
{
    struct batch *batch = arg;

    if (batch->peer->submit != NULL) {
        run_futures(batch);
    } else {
        run_slots(batch);
    }
}

uint64_t batch_run(struct batch *batch, enum work_kind kind, int64_t *submit_ns)
{
    int64_t began_ns = bench_now_ns();

    batch->kind = kind;
    batch->sum = 0;
    if (batch->peer->enclose != NULL) {
        batch->peer->enclose(batch->pool, run_inside, batch);
    } else {
        run_inside(batch);
    }
    if (submit_ns != NULL) {
        *submit_ns = batch->submit_ns - began_ns;
    }
    return batch->sum;
}

uint64_t batch_run_once(const struct trial *trial, enum work_kind kind, uint64_t count,
                        int64_t *elapsed_ns)
{
    struct batch *batch = batch_create(trial, count);
    int64_t began_ns = bench_now_ns();
    uint64_t sum = batch_run(batch, kind, NULL);

    *elapsed_ns = bench_now_ns() - began_ns;
    batch_destroy(batch);
    return sum;
}
