/* SPDX-License-Identifier: MIT */
/*
 * Starts and warms the pool, runs the workload, tells what was found.
 *
 * What is repeated grows until a repetition takes long enough; then come 11 repetitions,
 * of which median and quartiles are told.
 */
#include "bench/hocket_bench/execute.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "bench/harness/harness.h"

enum { REPEATS = 11, GROWTH_MAX = 16, WARM_UP_TASKS = 1000 };

static const int64_t repeat_min_ns = 20 * 1000 * 1000;

void tell(const struct trial *trial, const char *metric, double value, const char *unit)
{
    printf("%s,%s,%u,%llu,%s,%.6g,%s\n", trial->peer->name, trial->workload, trial->threads,
           (unsigned long long)trial->n, metric, value, unit);
}

void tell_quantiles(const struct trial *trial, double *times, uint64_t count)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50", 0.5},  {"p99", 0.99}, {"p1", 0.01}, {"p10", 0.1},
                     {"p25", 0.25}, {"p75", 0.75}, {"p90", 0.9}, {"p99.9", 0.999}};

    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        tell(trial, quantiles[i].name, bench_quantile(times, count, quantiles[i].q), "us");
    }
}

/* --- Repetitions -------------------------------------------------------------------- */

/* The n of a repetition that takes long enough; 0: a wrong result. */
static uint64_t grow(const struct workload *workload, struct trial *trial)
{
    uint64_t n = trial->n;

    for (;;) {
        int64_t elapsed_ns = workload->repeat(trial, n);
        double factor;

        if (elapsed_ns < 0) {
            return 0;
        }
        if (elapsed_ns >= repeat_min_ns) {
            return n;
        }
        factor = 1.2 * (double)repeat_min_ns / (double)(elapsed_ns + 1);
        n = (uint64_t)((double)n * fmin(fmax(factor, 1.2), GROWTH_MAX)) + 1;
    }
}

static bool run_repeats(const struct workload *workload, struct trial *trial, bool is_n_given)
{
    double times[REPEATS];
    char name[64];

    if (!workload->is_fixed && !is_n_given) {
        trial->n = grow(workload, trial);
        if (trial->n == 0) {
            return false;
        }
    }
    for (int i = 0; i < REPEATS; i++) {
        int64_t elapsed_ns = workload->repeat(trial, trial->n);

        if (elapsed_ns < 0) {
            return false;
        }
        times[i] = (double)elapsed_ns / (double)trial->n;
    }
    tell(trial, workload->metric, bench_quantile(times, REPEATS, 0.5), "ns");
    snprintf(name, sizeof(name), "%s.q1", workload->metric);
    tell(trial, name, bench_quantile(times, REPEATS, 0.25), "ns");
    snprintf(name, sizeof(name), "%s.q3", workload->metric);
    tell(trial, name, bench_quantile(times, REPEATS, 0.75), "ns");
    return true;
}

/* --- One workload ------------------------------------------------------------------- */

static bool warm_up(const struct trial *trial)
{
    uint64_t tasks = trial->n < WARM_UP_TASKS ? trial->n : WARM_UP_TASKS;
    int64_t elapsed_ns;

    return batch_run_once(trial, WORK_TRIVIAL, tasks, &elapsed_ns) == sum_of_trivial(tasks);
}

static void *do_nothing(void *arg)
{
    return arg;
}

bool execute(const struct workload *workload, struct trial *trial, bool is_n_given)
{
    const struct peer *peer = trial->peer;
    pthread_t thread;
    bool is_right;

    if (workload->prepare != NULL) {
        workload->prepare(trial);
    }
    trial->pool = peer->start(trial->threads);
    /* A process that never had a second thread takes shorter ways in the C library, which
     * no concurrent program ever sees. */
    if (pthread_create(&thread, NULL, do_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0) {
        bench_die("no thread");
    }
    is_right = warm_up(trial);
    if (workload->repeat != NULL) {
        is_right = run_repeats(workload, trial, is_n_given) && is_right;
    } else {
        is_right = workload->run(trial) && is_right;
    }
    peer->stop(trial->pool);
    return is_right;
}
