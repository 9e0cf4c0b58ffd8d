/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the harness share.
 */
#ifndef BENCH_HARNESS_IMPL_H
#define BENCH_HARNESS_IMPL_H

#include <stdio.h>

#include "bench/harness/harness.h"

enum { BENCH_PROCESSES_MAX = 8, BENCH_WORDS_MAX = 32 };

/* --- Options -------------------------------------------------------------------- */

struct bench_options {
    unsigned rounds;
    int64_t min_ns;
    bool is_quick, is_strict;
    /* A round is repeated, a few times at most, when others take more of the CPUs than
     * so many percent. */
    unsigned calm_percent;
    const char *csv_path, *markdown_path;
    /* Workloads that were asked for; none means all. */
    const char *workloads[BENCH_WORDS_MAX];
    size_t workload_count;
    /* Likewise the rows. */
    const char *peers[BENCH_WORDS_MAX];
    size_t peer_count;
};

/* Understands the command line; ends the program for --help, --list and mistakes. */
void bench_parse(int argc, char **argv, const struct bench_program *program,
                 struct bench_options *options);

/* Whether the options ask for this case. */
bool bench_is_wanted(const struct bench_options *options, const struct bench_case *what);

/* Whether they ask for a row of this name. */
bool bench_is_peer_wanted(const struct bench_options *options, const char *name);

/* "family.label", as the CSV calls it. */
void bench_workload_name(const struct bench_case *what, char *text, size_t size);

/* --- Results -------------------------------------------------------------------- */

struct bench_row {
    const char *name, *package;
    const struct bench_driver *driver;
    struct bench_run run;
    bool is_here;
    enum bench_outcome outcome;
    /* Operations of a run: those asked for, and those done in the last round. */
    uint64_t n, n_done;
    /* By metric, then by round; NaN where a run gave none. */
    double *samples;
};

struct bench_rows {
    const struct bench_case *what;
    struct bench_row rows[BENCH_ROWS_MAX];
    size_t count;
    unsigned rounds;
    /* Percent of the CPUs that others took, by round. */
    double *foreign;
};

struct bench_results {
    struct bench_rows *cases;
    size_t count;
};

double *bench_samples(const struct bench_rows *rows, const struct bench_row *row, size_t metric);
const struct bench_row *bench_find_row(const struct bench_rows *rows, const char *name);

struct bench_summary {
    double median, low, high;
};

/* Of one metric of one row; in relation to another row unless that is NULL. */
struct bench_summary bench_summarise(const struct bench_rows *rows, const struct bench_row *row,
                                     const struct bench_row *base, enum bench_relation relation,
                                     size_t metric);

void bench_write_csv(FILE *out, const struct bench_results *results);

/* Gives how many targets were missed. */
size_t bench_write_markdown(FILE *out, const struct bench_results *results,
                            const struct bench_program *program,
                            const struct bench_options *options);

/* --- Peers in processes of their own -------------------------------------------- */

extern const struct bench_driver bench_process_driver;

/* "NAME=COMMAND": false if it is not, or there are too many. */
bool bench_process_add(char *text);

/* Adds a row for each process. */
void bench_process_rows(struct bench_rows *rows);

void bench_process_end_all(void);

/* --- The machine ---------------------------------------------------------------- */

/* What the CPUs have done since the machine started, and how much of it was ours. */
struct bench_load {
    double busy_s, total_s, own_s;
};

struct bench_load bench_load_now(void);

/* Percent of the CPUs that others took since then. */
double bench_foreign_load(const struct bench_load *since);

void bench_describe_machine(FILE *out);

#endif
