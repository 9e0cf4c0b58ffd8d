/* SPDX-License-Identifier: MIT */
/*
 * The workloads of locks.
 */
#include "bench/sync/lock_drivers.h"

#include <stdlib.h>

#include "bench/harness/crew.h"
#include "bench/sync/lock_peer.h"

static void prepare(const struct lock_peer *peer)
{
    if (peer->prepare != NULL) {
        peer->prepare();
    }
}

static void end_locks(struct bench_run *run, size_t count)
{
    const struct lock_peer *peer = run->peer;

    peer->loops.destroy(run->state, count);
    run->state = NULL;
}

/* --- Locks that nobody else wants ----------------------------------------------- */

static void begin_nested(struct bench_run *run)
{
    const struct lock_peer *peer = run->peer;

    run->state = peer->loops.create(run->what->parameter);
}

static void end_nested(struct bench_run *run)
{
    end_locks(run, run->what->parameter);
}

static enum bench_outcome run_nested(struct bench_run *run)
{
    const struct lock_peer *peer = run->peer;
    unsigned depth = (unsigned)run->what->parameter;
    uint64_t turns = run->n / depth + 1;
    int64_t began_ns;

    prepare(peer);
    began_ns = bench_now_ns();
    peer->loops.nest(run->state, depth, turns);
    run->n = turns * depth;
    bench_took(run, bench_now_ns() - began_ns);
    return BENCH_OK;
}

/* Every child is taken once before the clock starts: what is timed is an order that
 * the peer may know. */
static void begin_child(struct bench_run *run)
{
    const struct lock_peer *peer = run->peer;

    run->state = peer->loops.create(run->what->parameter + 1);
    prepare(peer);
    for (size_t i = 1; i <= run->what->parameter; i++) {
        peer->loops.take_two(run->state, 0, i);
    }
}

static void end_child(struct bench_run *run)
{
    end_locks(run, run->what->parameter + 1);
}

static enum bench_outcome run_child(struct bench_run *run)
{
    const struct lock_peer *peer = run->peer;
    uint64_t turns = run->n / 2 + 1;
    int64_t began_ns;

    prepare(peer);
    began_ns = bench_now_ns();
    peer->loops.take_child(run->state, run->what->parameter, turns);
    run->n = turns * 2;
    bench_took(run, bench_now_ns() - began_ns);
    return BENCH_OK;
}

static enum bench_outcome run_many(struct bench_run *run)
{
    const struct lock_peer *peer = run->peer;
    int64_t began_ns;

    prepare(peer);
    began_ns = bench_now_ns();
    if (peer->take_many != NULL) {
        peer->take_many(run->state, run->what->parameter, run->n);
    } else {
        peer->loops.nest(run->state, (unsigned)run->what->parameter, run->n);
    }
    bench_took(run, bench_now_ns() - began_ns);
    return BENCH_OK;
}

const struct bench_driver lock_nested_driver = {begin_nested, run_nested, end_nested, false};
const struct bench_driver lock_child_driver = {begin_child, run_child, end_child, false};
const struct bench_driver lock_many_driver = {begin_nested, run_many, end_nested, false};

/* --- Orders that were never seen -------------------------------------------------- */

enum { EDGE_LOCKS = 200 };

struct edge {
    uint32_t first, second;
};

/* Distinct pairs of which the first is the lower, so that no order closes a ring. */
static struct edge *random_edges(uint32_t seed)
{
    const size_t all = (size_t)EDGE_LOCKS * (EDGE_LOCKS - 1) / 2;
    struct edge *edges = calloc(all, sizeof(*edges));
    size_t count = 0;

    if (edges == NULL) {
        bench_die("no memory");
    }
    for (uint32_t i = 0; i < EDGE_LOCKS; i++) {
        for (uint32_t k = i + 1; k < EDGE_LOCKS; k++) {
            edges[count++] = (struct edge){i, k};
        }
    }
    for (size_t i = 0; i < LOCK_EDGES; i++) {
        size_t other = i + bench_random(&seed) % (all - i);
        struct edge edge = edges[i];

        edges[i] = edges[other];
        edges[other] = edge;
    }
    return edges;
}

static enum bench_outcome run_first_edge(struct bench_run *run)
{
    const struct lock_peer *peer = run->peer;
    static uint32_t seed = 88675123;
    struct edge *edges = random_edges(bench_random(&seed));
    void *locks = peer->loops.create(EDGE_LOCKS);
    int64_t began_ns;

    prepare(peer);
    began_ns = bench_now_ns();
    for (uint64_t i = 0; i < run->n; i++) {
        peer->loops.take_two(locks, edges[i].first, edges[i].second);
    }
    bench_took(run, bench_now_ns() - began_ns);
    peer->loops.destroy(locks, EDGE_LOCKS);
    free(edges);
    return BENCH_OK;
}

const struct bench_driver lock_first_edge_driver = {.run = run_first_edge};

/* --- Locks that others want too ---------------------------------------------------- */

struct contest {
    const struct lock_peer *peer;
    void *locks;
    struct lock_contest rules;
    uint64_t turns[CREW_MAX];
};

static void contend(void *arg, unsigned index)
{
    struct contest *contest = arg;

    contest->turns[index] = contest->peer->loops.contend(contest->locks, &contest->rules);
}

/* A run takes several times as long as others, so that each thread gets its turns of
 * the CPU. The second value is the share of the thread that got least; 1 is its due. */
static enum bench_outcome run_contest(struct bench_run *run, unsigned inside, unsigned outside)
{
    enum { TIMES = 4 };
    const struct lock_peer *peer = run->peer;
    struct contest contest = {.peer = peer};
    unsigned threads = run->what->threads;
    uint64_t least = UINT64_MAX;
    enum bench_outcome outcome;
    int64_t elapsed_ns;
    int stop = 0;

    prepare(peer);
    contest.locks = peer->loops.create(1);
    contest.rules = (struct lock_contest){inside, outside, &stop};
    elapsed_ns = crew_run_for(threads, contend, &contest, TIMES * run->duration_ns, &stop);
    run->n = 0;
    for (unsigned i = 0; i < threads; i++) {
        run->n += contest.turns[i];
        least = contest.turns[i] < least ? contest.turns[i] : least;
    }
    outcome = peer->loops.counter(contest.locks) == run->n ? BENCH_OK : BENCH_WRONG;
    bench_took(run, elapsed_ns);
    run->values[1] = (double)least * threads / (double)run->n;
    peer->loops.destroy(contest.locks, 1);
    return outcome;
}

static enum bench_outcome run_contended(struct bench_run *run)
{
    return run_contest(run, 0, 0);
}

static enum bench_outcome run_realistic(struct bench_run *run)
{
    enum { INSIDE = 30, OUTSIDE = 300 };

    return run_contest(run, INSIDE, OUTSIDE);
}

const struct bench_driver lock_contended_driver = {.run = run_contended, .is_timed = true};
const struct bench_driver lock_realistic_driver = {.run = run_realistic, .is_timed = true};
