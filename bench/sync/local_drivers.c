/* SPDX-License-Identifier: MIT */
/*
 * The workloads of per-thread objects.
 */
#include "bench/sync/local_drivers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bench/harness/crew.h"
#include "bench/sync/local_peer.h"

/* Objects are made and dropped by several threads, but not while the clock runs. */
static atomic_size_t made, dropped;

struct local_object *local_make(void)
{
    struct local_object *object = calloc(1, sizeof(*object));

    if (object == NULL) {
        bench_die("no memory");
    }
    /* The order is relaxed: only the sums count, when all threads have ended. */
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    return object;
}

void local_drop(void *object)
{
    if (object != NULL) {
        /* The order is relaxed: only the sums count, when all threads have ended. */
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
        free(object);
    }
}

size_t local_live(void)
{
    return atomic_load(&made) - atomic_load(&dropped);
}

/* --- Access ---------------------------------------------------------------------------- */

static void begin_get(struct bench_run *run)
{
    const struct local_peer *peer = run->peer;

    peer->begin(1);
}

static void end_get(struct bench_run *run)
{
    const struct local_peer *peer = run->peer;

    peer->end();
}

static enum bench_outcome run_get(struct bench_run *run)
{
    const struct local_peer *peer = run->peer;
    uint64_t before = peer->count_up(1);
    int64_t began_ns = bench_now_ns();
    uint64_t after = peer->count_up(run->n);

    bench_took(run, bench_now_ns() - began_ns);
    return after - before == run->n ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver local_get_driver = {begin_get, run_get, end_get, false};

/* --- Building ---------------------------------------------------------------------------- */

struct building {
    const struct local_peer *peer;
    size_t count;
    int64_t elapsed_ns;
};

static void build(void *arg, unsigned index)
{
    struct building *building = arg;
    int64_t began_ns = bench_now_ns();

    (void)index;
    building->peer->touch(building->count);
    building->elapsed_ns += bench_now_ns() - began_ns;
    if (building->peer->leave != NULL) {
        building->peer->leave();
    }
}

/* Threads one after the other, each of which builds all of them, and they are new ones:
 * tbb would find the objects of an ended thread that had the same id. */
static enum bench_outcome run_build(struct bench_run *run)
{
    struct building building = {.peer = run->peer, .count = run->what->parameter};
    size_t live = local_live();
    uint64_t threads = run->n / building.count;
    bool is_right = true;

    for (uint64_t i = 0; i < threads; i++) {
        size_t before = atomic_load(&made);

        building.peer->begin(building.count);
        crew_run(1, build, &building);
        building.peer->end();
        is_right = is_right && atomic_load(&made) - before == building.count;
    }
    run->n = threads * building.count;
    bench_took(run, building.elapsed_ns);
    return is_right && local_live() == live ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver local_build_driver = {.run = run_build};

/* --- Looking at all of them ------------------------------------------------------------- */

struct holders {
    const struct local_peer *peer;
    pthread_barrier_t all_have, all_leave;
};

/* Holds an object that says 1. */
static void *hold(void *arg)
{
    struct holders *holders = arg;

    holders->peer->count_up(1);
    pthread_barrier_wait(&holders->all_have);
    pthread_barrier_wait(&holders->all_leave);
    return NULL;
}

static enum bench_outcome run_each(struct bench_run *run)
{
    struct holders holders = {.peer = run->peer};
    unsigned count = run->what->threads;
    pthread_t *threads = calloc(count, sizeof(*threads));
    uint64_t turns = run->n / count + 1, sum = 0;
    int64_t began_ns;

    if (threads == NULL || pthread_barrier_init(&holders.all_have, NULL, count + 1) != 0 ||
        pthread_barrier_init(&holders.all_leave, NULL, count + 1) != 0) {
        bench_die("no memory");
    }
    holders.peer->begin(1);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, hold, &holders) != 0) {
            bench_die("no thread");
        }
    }
    pthread_barrier_wait(&holders.all_have);
    began_ns = bench_now_ns();
    for (uint64_t i = 0; i < turns; i++) {
        sum += holders.peer->add_up();
    }
    run->n = turns * count;
    bench_took(run, bench_now_ns() - began_ns);
    pthread_barrier_wait(&holders.all_leave);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    holders.peer->end();
    pthread_barrier_destroy(&holders.all_have);
    pthread_barrier_destroy(&holders.all_leave);
    free(threads);
    return sum == run->n ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver local_each_driver = {.run = run_each};
