/* SPDX-License-Identifier: MIT */
/*
 * burst and producers: many trivial tasks, from one thread, again and again, and from
 * several.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness/crew.h"
#include "bench/harness/futex_counter.h"
#include "bench/harness/harness.h"
#include "bench/hocket_bench/workload.h"

enum { PRODUCERS = 4, RECYCLED = 5, KIB = 1024 };

/* A line of /proc/self/status, in bytes. Not getrusage(): what that tells outlives an
 * exec, so that a large parent would be counted. */
static double status_bytes(const char *field)
{
    FILE *status = fopen("/proc/self/status", "re");
    double kib = 0;
    char line[256];

    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            kib = strtod(line + strlen(field), NULL);
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return kib * KIB;
}

bool run_burst(struct trial *trial)
{
    double resident = status_bytes("VmRSS:"), peak;
    struct batch *batch = batch_create(trial, trial->n);
    int64_t began_ns = bench_now_ns(), submit_ns, elapsed_ns;
    uint64_t sum = batch_run(batch, WORK_TRIVIAL, &submit_ns);

    elapsed_ns = bench_now_ns() - began_ns;
    peak = status_bytes("VmHWM:");
    batch_destroy(batch);
    tell(trial, "time_per_task", (double)elapsed_ns / (double)trial->n, "ns");
    tell(trial, "submit_per_task", (double)submit_ns / (double)trial->n, "ns");
    tell(trial, "peak_rss", peak / KIB / KIB, "MiB");
    tell(trial, "rss_per_task", (peak - resident) / (double)trial->n, "B");
    return sum == sum_of_trivial(trial->n);
}

/* The first one finds no memory that was used before, those that follow find nothing else. */
bool run_burst_recycled(struct trial *trial)
{
    struct batch *batch = batch_create(trial, trial->n);
    double times[RECYCLED], first = 0;
    bool is_right = true;

    for (int i = 0; i <= RECYCLED; i++) {
        int64_t began_ns = bench_now_ns();
        uint64_t sum = batch_run(batch, WORK_TRIVIAL, NULL);
        double time = (double)(bench_now_ns() - began_ns) / (double)trial->n;

        is_right = is_right && sum == sum_of_trivial(trial->n);
        if (i == 0) {
            first = time;
        } else {
            times[i - 1] = time;
        }
    }
    batch_destroy(batch);
    tell(trial, "time_per_task", bench_quantile(times, RECYCLED, 0.5), "ns");
    tell(trial, "first_per_task", first, "ns");
    return is_right;
}

/* Whom the kernel does not let count has no such workload. */
bool is_for_counted(const struct peer *peer)
{
    return is_for_threads(peer) && futex_counter_is_allowed();
}

/* The counter counts for threads that start after it was opened: those of the pool. */
void prepare_counter(struct trial *trial)
{
    (void)trial;
    futex_counter_open(FUTEX_COUNT_ALL);
}

/* Not told with the times: a tracepoint makes every system call slower. */
bool run_burst_futex(struct trial *trial)
{
    struct batch *batch = batch_create(trial, trial->n);
    bool is_counting = futex_counter_begin();
    uint64_t sum = batch_run(batch, WORK_TRIVIAL, NULL), calls;

    if (!is_counting) {
        bench_die("futex calls cannot be counted");
    }
    calls = futex_counter_end();
    futex_counter_close();
    batch_destroy(batch);
    tell(trial, "futex_per_million", 1e6 * (double)calls / (double)trial->n, "calls");
    return sum == sum_of_trivial(trial->n);
}

struct producers {
    const struct trial *trial;
    uint64_t share;
    atomic_bool is_wrong;
};

static void produce(void *arg, unsigned index)
{
    struct producers *producers = arg;
    struct batch *batch = batch_create(producers->trial, producers->share);

    (void)index;
    if (batch_run(batch, WORK_TRIVIAL, NULL) != sum_of_trivial(producers->share)) {
        atomic_store(&producers->is_wrong, true);
    }
    batch_destroy(batch);
}

bool run_producers(struct trial *trial)
{
    struct producers producers = {.trial = trial, .share = trial->n / PRODUCERS};
    int64_t elapsed_ns;

    if (producers.share == 0) {
        producers.share = 1;
    }
    elapsed_ns = crew_run(PRODUCERS, produce, &producers);
    tell(trial, "time_per_task", (double)elapsed_ns / (double)(PRODUCERS * producers.share), "ns");
    return !atomic_load(&producers.is_wrong);
}
