/* SPDX-License-Identifier: MIT */
/*
 * The workloads of queues.
 */
#include "bench/sync/queue_drivers.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "bench/harness/crew.h"
#include "bench/harness/futex_counter.h"
#include "bench/sync/queue_peer.h"

/* --- Streams ------------------------------------------------------------------------ */

struct stream {
    const struct queue_peer *peer;
    void *queue;
    /* As many producers as consumers. */
    unsigned pairs;
    uint64_t share;
    uint64_t sums[CREW_MAX];
    bool is_done[CREW_MAX];
    /* Producers stay on CPU 0, consumers on CPU 1. */
    bool is_apart;
};

/* Even numbers produce, odd ones consume. */
static void flow(void *arg, unsigned index)
{
    struct stream *stream = arg;

    if (stream->is_apart && !crew_pin((int)index % 2)) {
        bench_die("no CPU to stay on");
    }
    if (index % 2 == 0) {
        stream->is_done[index] =
            stream->peer->produce(stream->queue, 1 + index / 2 * stream->share, stream->share);
    } else {
        stream->is_done[index] =
            stream->peer->consume(stream->queue, stream->share, &stream->sums[index]);
    }
}

static enum bench_outcome check(const struct stream *stream, uint64_t n)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 2 * stream->pairs; i++) {
        if (!stream->is_done[i]) {
            return BENCH_STALLED;
        }
        sum += stream->sums[i];
    }
    return sum == n * (n + 1) / 2 ? BENCH_OK : BENCH_WRONG;
}

static enum bench_outcome flow_through(struct bench_run *run, bool is_apart)
{
    struct stream stream = {
        .peer = run->peer, .pairs = run->what->threads / 2, .is_apart = is_apart};
    enum bench_outcome outcome;

    stream.share = run->n / stream.pairs + 1;
    stream.queue = stream.peer->create(QUEUE_CAPACITY);
    run->n = stream.share * stream.pairs;
    bench_took(run, crew_run(run->what->threads, flow, &stream));
    outcome = check(&stream, run->n);
    stream.peer->destroy(stream.queue);
    return outcome;
}

static enum bench_outcome run_stream(struct bench_run *run)
{
    return flow_through(run, false);
}

static enum bench_outcome run_apart(struct bench_run *run)
{
    return crew_has_cpus(2) ? flow_through(run, true) : BENCH_CANNOT;
}

static void begin_wakes(struct bench_run *run)
{
    (void)run;
    futex_counter_open(FUTEX_COUNT_WAKES);
}

static void end_wakes(struct bench_run *run)
{
    (void)run;
    futex_counter_close();
}

static enum bench_outcome run_wakes(struct bench_run *run)
{
    enum bench_outcome outcome;

    if (!futex_counter_begin()) {
        return BENCH_CANNOT;
    }
    outcome = run_stream(run);
    run->values[0] = (double)futex_counter_end() / (double)run->n;
    return outcome;
}

const struct bench_driver queue_stream_driver = {.run = run_stream};
const struct bench_driver queue_apart_driver = {.run = run_apart};
const struct bench_driver queue_wakes_driver = {begin_wakes, run_wakes, end_wakes, false};

/* --- Nothing to do ------------------------------------------------------------------- */

static double cpu_seconds(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

struct idler {
    const struct queue_peer *peer;
    void *queue;
    pthread_barrier_t start;
};

static void *idle(void *arg)
{
    struct idler *idler = arg;
    uint64_t sum = 0;

    pthread_barrier_wait(&idler->start);
    if (!idler->peer->consume(idler->queue, 1, &sum)) {
        bench_die("a consumer gave up");
    }
    return NULL;
}

static enum bench_outcome run_idle(struct bench_run *run)
{
    enum { IDLERS_MAX = 16 };
    struct idler idler = {.peer = run->peer};
    pthread_t threads[IDLERS_MAX];
    unsigned count = run->what->threads;
    int64_t began_ns;
    double used_s;

    idler.queue = idler.peer->create(QUEUE_CAPACITY);
    if (count > IDLERS_MAX || pthread_barrier_init(&idler.start, NULL, count + 1) != 0) {
        bench_die("no barrier");
    }
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, idle, &idler) != 0) {
            bench_die("no thread");
        }
    }
    pthread_barrier_wait(&idler.start);
    /* They fall asleep. */
    crew_rest(run->duration_ns);
    used_s = cpu_seconds();
    began_ns = bench_now_ns();
    crew_rest(4 * run->duration_ns);
    run->n = count;
    run->elapsed_ns = bench_now_ns() - began_ns;
    run->values[0] = 100 * (cpu_seconds() - used_s) / ((double)run->elapsed_ns / 1e9);
    for (unsigned i = 0; i < count; i++) {
        if (!idler.peer->produce(idler.queue, i + 1, 1)) {
            bench_die("a consumer gave up");
        }
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&idler.start);
    idler.peer->destroy(idler.queue);
    return BENCH_OK;
}

const struct bench_driver queue_idle_driver = {.run = run_idle, .is_timed = true};

/* --- One item back and forth ----------------------------------------------------------- */

struct table_tennis {
    const struct queue_peer *peer;
    void *forth, *back;
    uint64_t n, sum;
    bool is_on_one_cpu;
    int cpu;
    double *times_us;
};

static void serve(struct table_tennis *game)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < game->n; i++) {
        int64_t began_ns = bench_now_ns();

        game->peer->produce(game->forth, i + 1, 1);
        game->peer->consume(game->back, 1, &sum);
        /* Half of there and back. */
        game->times_us[i] = (double)(bench_now_ns() - began_ns) / 2000;
    }
    game->sum += sum;
}

static void play(void *arg, unsigned index)
{
    struct table_tennis *game = arg;

    if (game->is_on_one_cpu && !crew_pin(game->cpu)) {
        bench_die("no CPU to stay on");
    }
    if (index == 0) {
        serve(game);
        return;
    }
    for (uint64_t i = 0; i < game->n; i++) {
        uint64_t got = 0;

        game->peer->consume(game->forth, 1, &got);
        game->peer->produce(game->back, got, 1);
    }
}

static enum bench_outcome run_wake(struct bench_run *run)
{
    struct table_tennis game = {.peer = run->peer,
                                .n = run->n,
                                .is_on_one_cpu = run->what->parameter == 1,
                                .cpu = sched_getcpu(),
                                .times_us = calloc(run->n, sizeof(double))};
    double used_s = cpu_seconds();

    if (game.times_us == NULL) {
        bench_die("no memory");
    }
    game.forth = game.peer->create(QUEUE_CAPACITY);
    game.back = game.peer->create(QUEUE_CAPACITY);
    run->elapsed_ns = crew_run(2, play, &game);
    run->values[0] = bench_quantile(game.times_us, run->n, 0.5);
    run->values[1] = bench_quantile(game.times_us, run->n, 0.99);
    run->values[2] = 1e6 * (cpu_seconds() - used_s) / (2 * (double)run->n);
    game.peer->destroy(game.back);
    game.peer->destroy(game.forth);
    free(game.times_us);
    return game.sum == run->n * (run->n + 1) / 2 ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver queue_wake_driver = {.run = run_wake};
