/* SPDX-License-Identifier: MIT */
/*
 * Small tasks: one at a time, many at a time, and as a map.
 */
#include <stdlib.h>

#include "bench/harness/crew.h"
#include "bench/process/pool_bench.h"
#include "bench/process/pool_drivers.h"

/* --- One at a time ------------------------------------------------------------------ */

static bool time_round_trip(const struct bench_run *run, uint64_t number, struct pool_times *times)
{
    int64_t began_ns = bench_now_ns();
    bool is_right = pool_round_trip(run->peer, run->state, number);

    pool_time_add(times, bench_now_ns() - began_ns);
    return is_right;
}

static enum bench_outcome run_hot(struct bench_run *run)
{
    struct pool_times times = {0};
    bool is_right = true;
    int64_t began_ns;

    if (run->state == NULL) {
        return BENCH_CANNOT;
    }
    pool_take_place(run);
    began_ns = bench_now_ns();
    for (uint64_t i = 0; i < run->n; i++) {
        is_right = time_round_trip(run, i, &times) && is_right;
    }
    run->elapsed_ns = bench_now_ns() - began_ns;
    pool_leave_place(run);
    pool_times_tell(&times, &run->values[0], &run->values[1]);
    return is_right ? BENCH_OK : BENCH_WRONG;
}

/* Long enough for whoever spins to have given up. */
static const int64_t pause_ns = 1000 * 1000;

static enum bench_outcome run_cold(struct bench_run *run)
{
    enum { LENGTHS = 10 };
    struct pool_times times = {0};
    bool is_right = true;
    int64_t end_ns;

    if (run->state == NULL) {
        return BENCH_CANNOT;
    }
    pool_take_place(run);
    end_ns = bench_now_ns() + LENGTHS * run->duration_ns;
    for (run->n = 0; run->n == 0 || bench_now_ns() < end_ns; run->n++) {
        crew_rest(pause_ns);
        is_right = time_round_trip(run, run->n, &times) && is_right;
    }
    pool_leave_place(run);
    pool_times_tell(&times, &run->values[0], &run->values[1]);
    return is_right ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver pool_hot_driver = {pool_begin, run_hot, pool_end, false};
const struct bench_driver pool_cold_driver = {pool_begin, run_cold, pool_end, true};

/* --- Many at a time ----------------------------------------------------------------- */

static void put_next(const struct pool_peer *peer, void *pool, uint64_t first, uint64_t turns)
{
    struct pool_task tasks[POOL_DEPTH_MAX];

    for (unsigned i = 0; i < peer->batch; i++) {
        tasks[i] = (struct pool_task){first + i, turns};
    }
    peer->put(pool, tasks, peer->batch);
}

/* Keeps so many tasks under way. Rounds run->n up to whole batches. */
static bool keep_busy(struct bench_run *run, unsigned depth, uint64_t turns)
{
    const struct pool_peer *peer = run->peer;
    unsigned batch = peer->batch;
    uint64_t put = 0, got = 0, sum = 0;

    run->n += batch - 1;
    run->n -= run->n % batch;
    while (got < run->n) {
        while (put < run->n && put - got + batch <= depth) {
            put_next(peer, run->state, put, turns);
            put += batch;
        }
        sum += peer->get(run->state, batch);
        got += batch;
    }
    /* The answers to 0, 1 ... n - 1 are the odd numbers, whose sum is a square. */
    return sum == run->n * run->n;
}

static enum bench_outcome run_throughput(struct bench_run *run)
{
    int64_t began_ns;
    bool is_right;

    if (run->state == NULL) {
        return BENCH_CANNOT;
    }
    pool_take_place(run);
    began_ns = bench_now_ns();
    is_right = keep_busy(run, POOL_DEPTH_MAX, 0);
    run->elapsed_ns = bench_now_ns() - began_ns;
    pool_leave_place(run);
    run->values[0] = 1e3 * (double)run->n / (double)run->elapsed_ns;
    return is_right ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver pool_throughput_driver = {pool_begin, run_throughput, pool_end, false};

/* --- Tasks of a known length --------------------------------------------------------- */

/* How many turns of bench_spin() take so long on a CPU that nobody disturbs: the
 * fastest of some tries. */
static uint64_t turns_of(size_t length_ns)
{
    enum { TRIES = 25, TURNS = 100000 };
    static int64_t best_ns = INT64_MAX;

    for (int i = 0; i < TRIES; i++) {
        int64_t began_ns = bench_now_ns(), took_ns;

        bench_spin(TURNS);
        took_ns = bench_now_ns() - began_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    return (uint64_t)TURNS * length_ns / (uint64_t)best_ns;
}

struct share {
    uint64_t tasks;
    unsigned turns;
    bool is_pinned;
};

static void do_share(void *arg, unsigned index)
{
    const struct share *share = arg;

    /* A new thread may have to share a CPU for longer than a run. */
    if (share->is_pinned) {
        crew_pin((int)index);
    }
    for (uint64_t i = 0; i < share->tasks; i++) {
        bench_spin(share->turns);
    }
}

static enum bench_outcome run_tasks(struct bench_run *run)
{
    enum { SHORT_NS = 50000, DEPTH_OF_LONG = 8 };
    static uint64_t turns;
    static size_t length_ns;
    const struct pool_peer *peer = run->peer;
    unsigned workers = run->what->threads;
    bool is_right = true;
    int64_t began_ns;

    /* All rows of a case do the same. */
    if (length_ns != run->what->parameter) {
        length_ns = run->what->parameter;
        turns = turns_of(length_ns);
    }
    began_ns = bench_now_ns();
    if (peer->put == NULL) {
        struct share share = {run->n / workers + 1, (unsigned)turns, crew_has_cpus((int)workers)};

        run->n = share.tasks * workers;
        run->elapsed_ns = crew_run(workers, do_share, &share);
    } else {
        is_right = keep_busy(run, length_ns < SHORT_NS ? POOL_DEPTH_MAX : DEPTH_OF_LONG, turns);
        run->elapsed_ns = bench_now_ns() - began_ns;
    }
    run->values[0] = 1e6 * (double)run->n / (double)run->elapsed_ns;
    run->values[1] = 100 * run->values[0] / (1e6 * workers / (double)length_ns);
    return is_right ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver pool_tasks_driver = {pool_begin, run_tasks, pool_end, false};
const struct pool_peer pool_none = {0};

/* --- A map -------------------------------------------------------------------------- */

static enum bench_outcome run_map(struct bench_run *run)
{
    const struct pool_peer *peer = run->peer;
    struct pool_item *items;
    uint64_t wanted = 0, sum;
    int64_t began_ns;

    if (run->state == NULL || peer->map == NULL) {
        return BENCH_CANNOT;
    }
    items = calloc(run->n, sizeof(*items));
    if (items == NULL) {
        bench_die("no memory");
    }
    for (uint64_t i = 0; i < run->n; i++) {
        items[i] = (struct pool_item){{i, i + 1, i + 2, i + 3}};
        wanted += 4 * i + 6;
    }
    pool_take_place(run);
    began_ns = bench_now_ns();
    sum = peer->map(run->state, items, run->n);
    run->elapsed_ns = bench_now_ns() - began_ns;
    pool_leave_place(run);
    run->values[0] = 1e3 * (double)run->n / (double)run->elapsed_ns;
    free(items);
    return sum == wanted ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver pool_map_driver = {pool_begin, run_map, pool_end, false};
