/* SPDX-License-Identifier: MIT */
/*
 * The harness of the benchmarks that compare with peers.
 *
 * A program has cases: a workload with its threads and its parameter. Each case is
 * run for several rows: peers, of which Hocket is one. For each row the number of
 * operations is grown until a run takes long enough; then come rounds. A round runs
 * every row of the case once, in an order that rotates, so that a machine that is
 * now fast and now slow is so for all. What counts are medians, and medians of the
 * ratios within a round.
 *
 * A run checks what it has computed. A wrong result ends the program with 1.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_METRICS_MAX = 3, BENCH_ROWS_MAX = 40 };

enum bench_outcome {
    BENCH_OK,
    BENCH_CANNOT,  /* the peer has no such operation */
    BENCH_STALLED, /* it did not get ready in time */
    BENCH_WRONG    /* it computed something else than it should */
};

struct bench_metric {
    const char *name, *unit;
};

struct bench_run;

/* How a workload is run. begin and end may be NULL; they are called once for a row. */
struct bench_driver {
    void (*begin)(struct bench_run *run);
    enum bench_outcome (*run)(struct bench_run *run);
    void (*end)(struct bench_run *run);
    /* The length of a run is duration_ns, not n: nothing grows. */
    bool is_timed;
};

/* A workload, and what is measured of it; the first metric is the main one. */
struct bench_family {
    const char *name, *title;
    const struct bench_driver *driver;
    struct bench_metric metrics[BENCH_METRICS_MAX];
    size_t metric_count;
    /* The row that the others are divided by; NULL for none. */
    const char *base;
    /* Whether peers in processes of their own are asked too. */
    bool is_for_processes;
    /* Whether these tell the first metric too; else it is the time of an operation. */
    bool is_first_told;
    /* Whether the metrics are rates: more is better. */
    bool is_rate;
};

struct bench_case {
    const struct bench_family *family;
    const char *label;
    unsigned threads;
    size_t parameter;
    /* 0: grown until a run takes long enough. */
    uint64_t n_fixed;
};

struct bench_run {
    const struct bench_case *what;
    const void *peer;
    /* Whatever begin has made. */
    void *state;
    /* How long a run takes whose length is a time. */
    int64_t duration_ns;
    /* Very little work is wanted. */
    bool is_quick;
    /* Operations: first those wanted, then those done. */
    uint64_t n;
    /* What the run found. */
    int64_t elapsed_ns;
    double values[BENCH_METRICS_MAX];
};

/* What is wanted of a row: metric (or metric / that of base, or metric - that of base,
 * each in the same round) is at most limit; of a rate it is at least. */
enum bench_relation { BENCH_ABSOLUTE, BENCH_RATIO, BENCH_DIFFERENCE };

struct bench_target {
    const char *family;
    /* NULL: every case of the family. */
    const char *label;
    const char *row;
    const char *base;
    enum bench_relation relation;
    double limit;
    size_t metric;
};

struct bench_rows;

/* Adds a row to a case. A peer that is not here (NULL) needs the package. */
void bench_add_row(struct bench_rows *rows, const char *name, const void *peer,
                   const char *package);

struct bench_program {
    const char *name, *summary;
    const struct bench_case *cases;
    size_t case_count;
    void (*add_rows)(struct bench_rows *rows, const struct bench_case *what);
    const struct bench_target *targets;
    size_t target_count;
    /* Lines for the reader of the table; ends with NULL. */
    const char *const *notes;
};

int bench_main(int argc, char **argv, const struct bench_program *program);

/* --- For the workloads ---------------------------------------------------------- */

/* Nanoseconds of a clock that never jumps. */
int64_t bench_now_ns(void);

/* What a run took for run->n operations: elapsed_ns and the first value. */
void bench_took(struct bench_run *run, int64_t elapsed_ns);

/* Whether the run has taken so long that it must end; for loops that only spin. */
bool bench_is_late(void);

/* Ends the program with 1: a peer has failed where it must not. */
__attribute__((noreturn)) void bench_die(const char *what);

/* calloc() that does not fail, for cells of at most 64 bytes: cache lines. */
void *bench_lines(size_t count);

/* Sorts; q from 0 (least) to 1 (greatest), 0.5 is the median. NaN for no values. */
double bench_quantile(double *values, size_t count, double q);

/* A small pseudo-random sequence; never 0 if it did not begin with 0. */
static inline uint32_t bench_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Work that the compiler cannot take away. */
static inline void bench_spin(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        __asm__ volatile("" : : : "memory");
    }
}

#ifdef __cplusplus
}
#endif

#endif
