/* SPDX-License-Identifier: MIT */
/*
 * Runs the cases: rows grow, then rounds. Also what workloads ask of the harness.
 */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/harness/harness_impl.h"

enum { WATCHDOG_S = 120, LATE_S = 3, N_FIRST = 64, GROWTH_MAX = 16, CALM_TRIES = 5 };

static const int64_t second_ns = 1000000000;

/* What the watchdog names, and when a run that only spins must end. */
static char under_way[160];
static int64_t late_ns;

int64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * second_ns + now.tv_nsec;
}

bool bench_is_late(void)
{
    return bench_now_ns() > late_ns;
}

void bench_took(struct bench_run *run, int64_t elapsed_ns)
{
    run->elapsed_ns = elapsed_ns;
    run->values[0] = (double)elapsed_ns / (double)run->n;
}

void bench_die(const char *what)
{
    fprintf(stderr, "%s: failed: %s\n", under_way, what);
    exit(1);
}

void *bench_lines(size_t count)
{
    enum { LINE_SIZE = 64 };
    void *lines = aligned_alloc(LINE_SIZE, count * LINE_SIZE);

    if (lines == NULL) {
        bench_die("no memory");
    }
    memset(lines, 0, count * LINE_SIZE);
    return lines;
}

/* Only what a signal handler may call. */
static void bark(int signal)
{
    static const char text[] = ": hangs\n";

    (void)signal;
    (void)!write(STDERR_FILENO, under_way, strlen(under_way));
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

/* With a single thread glibc's locks take a shorter way, which no concurrent program
 * ever sees. */
static void *be_there(void *arg)
{
    for (;;) {
        pause();
    }
    return arg;
}

void bench_add_row(struct bench_rows *rows, const char *name, const void *peer, const char *package)
{
    if (rows->count == BENCH_ROWS_MAX) {
        bench_die("too many rows");
    }
    rows->rows[rows->count++] = (struct bench_row){
        .name = name,
        .package = package,
        .driver = rows->what->family->driver,
        .run = {.what = rows->what, .peer = peer},
        .is_here = peer != NULL,
    };
}

const struct bench_row *bench_find_row(const struct bench_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->rows[i].name, name) == 0) {
            return &rows->rows[i];
        }
    }
    return NULL;
}

/* --- One case ------------------------------------------------------------------- */

static enum bench_outcome run_once(struct bench_row *row, uint64_t n, int64_t duration_ns)
{
    char name[128];
    enum bench_outcome outcome;

    bench_workload_name(row->run.what, name, sizeof(name));
    snprintf(under_way, sizeof(under_way), "%s, %s", name, row->name);
    late_ns = bench_now_ns() + LATE_S * second_ns;
    row->run.n = n;
    row->run.duration_ns = duration_ns;
    alarm(WATCHDOG_S);
    outcome = row->driver->run(&row->run);
    alarm(0);
    if (outcome == BENCH_WRONG) {
        fprintf(stderr, "%s: WRONG RESULT\n", under_way);
    } else if (outcome == BENCH_STALLED) {
        fprintf(stderr, "%s: stalled\n", under_way);
    }
    return outcome;
}

/* Finds how many operations take long enough, and warms up on the way. */
static void grow(struct bench_row *row, const struct bench_options *options)
{
    const struct bench_case *what = row->run.what;
    bool is_fixed = what->n_fixed != 0 || what->family->driver->is_timed;

    row->n = what->n_fixed != 0 ? what->n_fixed : N_FIRST;
    for (;;) {
        double factor;

        row->outcome = run_once(row, row->n, options->min_ns);
        if (row->outcome != BENCH_OK || is_fixed || row->run.elapsed_ns >= options->min_ns) {
            break;
        }
        factor = 1.2 * (double)options->min_ns / (double)(row->run.elapsed_ns + 1);
        factor = fmin(fmax(factor, 1.2), GROWTH_MAX);
        row->n = (uint64_t)((double)row->n * factor) + 1;
    }
}

static void allocate(struct bench_rows *rows)
{
    size_t metrics = rows->what->family->metric_count;

    rows->foreign = calloc(rows->rounds, sizeof(double));
    for (size_t i = 0; i < rows->count; i++) {
        struct bench_row *row = &rows->rows[i];

        row->samples = calloc(metrics * rows->rounds, sizeof(double));
        if (row->samples == NULL || rows->foreign == NULL) {
            bench_die("no memory");
        }
        for (size_t k = 0; k < metrics * rows->rounds; k++) {
            row->samples[k] = (double)NAN;
        }
    }
}

static void run_round(struct bench_rows *rows, unsigned round, const struct bench_options *options)
{
    struct bench_load before = bench_load_now();

    for (size_t i = 0; i < rows->count; i++) {
        struct bench_row *row = &rows->rows[(i + round) % rows->count];

        if (!row->is_here || row->outcome != BENCH_OK) {
            continue;
        }
        row->outcome = run_once(row, row->n, options->min_ns);
        if (row->outcome == BENCH_OK) {
            for (size_t k = 0; k < rows->what->family->metric_count; k++) {
                bench_samples(rows, row, k)[round] = row->run.values[k];
            }
            row->n_done = row->run.n;
        }
    }
    rows->foreign[round] = bench_foreign_load(&before);
}

static void run_case(struct bench_rows *rows, const struct bench_options *options)
{
    for (size_t i = 0; i < rows->count; i++) {
        struct bench_row *row = &rows->rows[i];

        if (row->is_here) {
            row->run.is_quick = options->is_quick;
            if (row->driver->begin != NULL) {
                row->driver->begin(&row->run);
            }
            grow(row, options);
        }
    }
    for (unsigned round = 0; round < rows->rounds; round++) {
        unsigned tries = 0;

        do {
            run_round(rows, round, options);
        } while (rows->foreign[round] > options->calm_percent && ++tries <= CALM_TRIES);
    }
    for (size_t i = 0; i < rows->count; i++) {
        struct bench_row *row = &rows->rows[i];

        if (row->is_here && row->driver->end != NULL) {
            row->driver->end(&row->run);
        }
    }
}

/* Keeps the rows that were asked for. */
static void select_rows(struct bench_rows *rows, const struct bench_options *options)
{
    size_t kept = 0;

    for (size_t i = 0; i < rows->count; i++) {
        if (bench_is_peer_wanted(options, rows->rows[i].name)) {
            rows->rows[kept++] = rows->rows[i];
        }
    }
    rows->count = kept;
}

static bool has_wrong(const struct bench_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->rows[i].is_here && rows->rows[i].outcome == BENCH_WRONG) {
            return true;
        }
    }
    return false;
}

/* --- The program ---------------------------------------------------------------- */

static bool run_all(struct bench_results *results, const struct bench_program *program,
                    const struct bench_options *options)
{
    int64_t began_ns = bench_now_ns();
    bool is_right = true;
    size_t wanted = 0;

    for (size_t i = 0; i < program->case_count; i++) {
        wanted += bench_is_wanted(options, &program->cases[i]);
    }
    for (size_t i = 0; i < program->case_count; i++) {
        struct bench_rows *rows = &results->cases[results->count];
        char name[128];

        if (!bench_is_wanted(options, &program->cases[i])) {
            continue;
        }
        rows->what = &program->cases[i];
        rows->rounds = options->rounds;
        program->add_rows(rows, rows->what);
        if (rows->what->family->is_for_processes) {
            bench_process_rows(rows);
        }
        select_rows(rows, options);
        allocate(rows);
        results->count++;
        bench_workload_name(rows->what, name, sizeof(name));
        fprintf(stderr, "%s: %zu of %zu: %s, %u rounds (%.0f s so far)\n", program->name,
                results->count, wanted, name, rows->rounds,
                (double)(bench_now_ns() - began_ns) / (double)second_ns);
        run_case(rows, options);
        is_right = is_right && !has_wrong(rows);
    }
    return is_right;
}

static void free_results(struct bench_results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        for (size_t k = 0; k < results->cases[i].count; k++) {
            free(results->cases[i].rows[k].samples);
        }
        free(results->cases[i].foreign);
    }
    free(results->cases);
}

static FILE *output(const char *path)
{
    FILE *file = path == NULL ? stdout : fopen(path, "we");

    if (file == NULL) {
        bench_die(path);
    }
    return file;
}

static void close_output(FILE *file)
{
    if (fflush(file) != 0 || (file != stdout && fclose(file) != 0)) {
        bench_die("cannot write the results");
    }
}

int bench_main(int argc, char **argv, const struct bench_program *program)
{
    struct bench_options options;
    struct bench_results results = {0};
    pthread_t second;
    bool is_right;
    size_t missed;
    FILE *file;

    bench_parse(argc, argv, program, &options);
    results.cases = calloc(program->case_count, sizeof(*results.cases));
    if (results.cases == NULL || pthread_create(&second, NULL, be_there, NULL) != 0) {
        bench_die("no memory, or no thread");
    }
    signal(SIGALRM, bark);
    signal(SIGPIPE, SIG_IGN);
    is_right = run_all(&results, program, &options);
    bench_process_end_all();
    file = output(options.csv_path);
    bench_write_csv(file, &results);
    close_output(file);
    file = output(options.markdown_path);
    missed = bench_write_markdown(file, &results, program, &options);
    close_output(file);
    free_results(&results);
    pthread_cancel(second);
    pthread_join(second, NULL);
    return !is_right || (options.is_strict && missed > 0) ? 1 : 0;
}
