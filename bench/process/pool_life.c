/* SPDX-License-Identifier: MIT */
/*
 * Births, deaths and idleness of workers.
 */
#include <sys/mman.h>

#include "bench/harness/crew.h"
#include "bench/harness/process_tree.h"
#include "bench/process/pool_bench.h"
#include "bench/process/pool_drivers.h"

enum { LENGTHS = 10 };

/* --- Births ------------------------------------------------------------------------- */

static enum bench_outcome run_create(struct bench_run *run)
{
    const struct pool_peer *peer = run->peer;
    const struct pool_wish wish = {.workers = run->what->threads, .worker_cpu = POOL_CPU_ANY};
    int64_t end_ns = bench_now_ns() + LENGTHS * run->duration_ns;
    struct pool_times times = {0};
    bool is_right = true;

    for (run->n = 0; run->n == 0 || bench_now_ns() < end_ns; run->n++) {
        int64_t began_ns = bench_now_ns();
        void *pool = peer->create(&wish);

        is_right = pool_round_trip(peer, pool, run->n) && is_right;
        pool_time_add(&times, bench_now_ns() - began_ns);
        peer->destroy(pool);
    }
    pool_times_tell(&times, &run->values[0], NULL);
    return is_right ? BENCH_OK : BENCH_WRONG;
}

/* Touched, in small pages: what a fork has to copy the tables of. */
static void *take_ballast(size_t size)
{
    void *ballast;

    if (size == 0) {
        return NULL;
    }
    ballast = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ballast == MAP_FAILED || madvise(ballast, size, MADV_NOHUGEPAGE) != 0) {
        bench_die("no memory");
    }
    for (size_t i = 0; i < size; i += 4096) {
        ((volatile char *)ballast)[i] = 1;
    }
    return ballast;
}

static enum bench_outcome run_worker(struct bench_run *run)
{
    enum { QUICK_DIVISOR = 64 };
    const struct pool_peer *peer = run->peer;
    const struct pool_wish wish = {.workers = run->what->threads, .worker_cpu = POOL_CPU_ANY};
    size_t ballast_size = run->is_quick ? peer->ballast_size / QUICK_DIVISOR : peer->ballast_size;
    void *ballast = take_ballast(ballast_size);
    int64_t end_ns = bench_now_ns() + LENGTHS * run->duration_ns;
    struct pool_times times = {0};

    for (run->n = 0; run->n == 0 || bench_now_ns() < end_ns; run->n++) {
        void *pool = peer->create(&wish);
        int64_t began_ns = bench_now_ns();

        peer->add_worker(pool);
        pool_time_add(&times, bench_now_ns() - began_ns);
        peer->destroy(pool);
    }
    if (ballast != NULL) {
        munmap(ballast, ballast_size);
    }
    pool_times_tell(&times, &run->values[0], NULL);
    return BENCH_OK;
}

const struct bench_driver pool_create_driver = {.run = run_create, .is_timed = true};
const struct bench_driver pool_worker_driver = {.run = run_worker, .is_timed = true};

/* --- Deaths ------------------------------------------------------------------------- */

static enum bench_outcome run_kill(struct bench_run *run)
{
    const struct pool_peer *peer = run->peer;
    int64_t end_ns = bench_now_ns() + LENGTHS * run->duration_ns;
    struct pool_times errors = {0}, heals = {0};
    bool is_right = true;

    if (peer->may_harm == NULL || !peer->may_harm(run->state)) {
        return BENCH_CANNOT;
    }
    for (run->n = 0; is_right && (run->n == 0 || bench_now_ns() < end_ns); run->n++) {
        struct pool_harm harm;

        is_right = peer->kill_worker(run->state, &harm);
        pool_time_add(&errors, harm.to_error_ns);
        pool_time_add(&heals, harm.to_heal_ns);
    }
    pool_times_tell(&errors, &run->values[0], &run->values[1]);
    pool_times_tell(&heals, &run->values[2], NULL);
    return is_right ? BENCH_OK : BENCH_WRONG;
}

static enum bench_outcome run_deadline(struct bench_run *run)
{
    static const int64_t limit_ns = 5 * 1000 * 1000;
    const struct pool_peer *peer = run->peer;
    int64_t end_ns = bench_now_ns() + LENGTHS * run->duration_ns;
    struct pool_times times = {0};
    bool is_right = true;

    if (peer->may_harm == NULL || !peer->may_harm(run->state)) {
        return BENCH_CANNOT;
    }
    for (run->n = 0; is_right && (run->n == 0 || bench_now_ns() < end_ns); run->n++) {
        int64_t over_ns = 0;

        is_right = peer->overrun(run->state, limit_ns, &over_ns);
        pool_time_add(&times, over_ns);
    }
    pool_times_tell(&times, &run->values[0], &run->values[1]);
    return is_right ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver pool_kill_driver = {pool_begin, run_kill, pool_end, true};
const struct bench_driver pool_deadline_driver = {pool_begin, run_deadline, pool_end, true};

/* --- Nothing to do ------------------------------------------------------------------ */

static enum bench_outcome run_idle(struct bench_run *run)
{
    /* A helper may look after its last work a few times more before it sleeps without a limit. */
    static const int64_t settle_ns = 2000LL * 1000 * 1000, full_ns = 2000LL * 1000 * 1000;
    const struct pool_peer *peer = run->peer;
    const struct pool_wish wish = {.workers = run->what->threads, .worker_cpu = POOL_CPU_ANY};
    void *pool = peer->create(&wish);
    bool is_right = pool_round_trip(peer, pool, 1);
    struct bench_activity before, after;
    int64_t began_ns;
    double elapsed_s;

    crew_rest(run->is_quick ? settle_ns / 100 : settle_ns);
    before = bench_tree_activity();
    began_ns = bench_now_ns();
    crew_rest(run->is_quick ? full_ns / 100 : full_ns);
    after = bench_tree_activity();
    run->n = 1;
    run->elapsed_ns = bench_now_ns() - began_ns;
    elapsed_s = (double)run->elapsed_ns / 1e9;
    run->values[0] = (double)(after.sleeps - before.sleeps) / elapsed_s;
    run->values[1] = 100 * (double)(after.cpu_ns - before.cpu_ns) / 1e9 / elapsed_s;
    peer->destroy(pool);
    return is_right ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver pool_idle_driver = {.run = run_idle, .is_timed = true};
