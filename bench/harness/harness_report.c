/* SPDX-License-Identifier: MIT */
/*
 * What was measured: as CSV for programs, as Markdown for readers.
 *
 * A table is a family: a row for each peer, a column for each case and metric, and
 * at last the targets.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness/harness_impl.h"

static void csv_line(FILE *out, const struct bench_row *row, const char *metric, const char *suffix,
                     double value, const char *unit)
{
    const struct bench_case *what = row->run.what;
    char name[128];

    bench_workload_name(what, name, sizeof(name));
    fprintf(out, "%s,%s,%u,%llu,%s%s,%.6g,%s\n", row->name, name, what->threads,
            (unsigned long long)row->n_done, metric, suffix, value, unit);
}

static void csv_row(FILE *out, const struct bench_rows *rows, const struct bench_row *row)
{
    const struct bench_family *family = rows->what->family;
    const struct bench_row *base = family->base ? bench_find_row(rows, family->base) : NULL;

    for (size_t i = 0; i < family->metric_count; i++) {
        const struct bench_metric *metric = &family->metrics[i];
        struct bench_summary summary = bench_summarise(rows, row, NULL, BENCH_ABSOLUTE, i);

        csv_line(out, row, metric->name, "", summary.median, metric->unit);
        csv_line(out, row, metric->name, ".q1", summary.low, metric->unit);
        csv_line(out, row, metric->name, ".q3", summary.high, metric->unit);
    }
    if (base != NULL && base->is_here && base != row) {
        struct bench_summary ratio = bench_summarise(rows, row, base, BENCH_RATIO, 0);

        csv_line(out, row, family->metrics[0].name, ".ratio", ratio.median, "x");
    }
}

static double greatest_foreign(const struct bench_rows *rows, double q)
{
    return bench_quantile(rows->foreign, rows->rounds, q);
}

void bench_write_csv(FILE *out, const struct bench_results *results)
{
    fprintf(out, "peer,workload,threads,n,metric,value,unit\n");
    for (size_t i = 0; i < results->count; i++) {
        const struct bench_rows *rows = &results->cases[i];
        char name[128];

        for (size_t k = 0; k < rows->count; k++) {
            if (rows->rows[k].is_here && rows->rows[k].outcome == BENCH_OK) {
                csv_row(out, rows, &rows->rows[k]);
            }
        }
        bench_workload_name(rows->what, name, sizeof(name));
        fprintf(out, "(others),%s,,,cpu_share,%.3g,%%\n", name, greatest_foreign(rows, 0.5));
    }
}

/* --- Markdown ------------------------------------------------------------------- */

/* Three digits, which is more than a shared machine can tell. */
static void number_text(double value, char *text, size_t size)
{
    double magnitude = fabs(value);

    if (magnitude >= 100 || value == 0) {
        snprintf(text, size, "%.0f", value);
    } else if (magnitude >= 10) {
        snprintf(text, size, "%.1f", value);
    } else if (magnitude >= 0.095) {
        snprintf(text, size, "%.2f", value);
    } else {
        snprintf(text, size, "%.2g", value);
    }
}

static const char *absence_text(const struct bench_row *row)
{
    if (!row->is_here) {
        return "not here";
    }
    switch (row->outcome) {
    case BENCH_STALLED:
        return "stalls";
    case BENCH_WRONG:
        return "WRONG";
    case BENCH_CANNOT:
    case BENCH_OK:
        break;
    }
    return "-";
}

static void write_cell(FILE *out, const struct bench_rows *rows, const struct bench_row *row,
                       size_t metric)
{
    const char *base_name = rows->what->family->base;
    const struct bench_row *base = base_name ? bench_find_row(rows, base_name) : NULL;
    struct bench_summary summary;
    char value[32], spread[32];

    if (row == NULL || !row->is_here || row->outcome != BENCH_OK) {
        fprintf(out, " %s |", row == NULL ? "-" : absence_text(row));
        return;
    }
    summary = bench_summarise(rows, row, NULL, BENCH_ABSOLUTE, metric);
    number_text(summary.median, value, sizeof(value));
    number_text((summary.high - summary.low) / 2, spread, sizeof(spread));
    fprintf(out, " %s ±%s", value, spread);
    if (base != NULL && base != row && base->is_here && base->outcome == BENCH_OK && metric == 0) {
        struct bench_summary ratio = bench_summarise(rows, row, base, BENCH_RATIO, metric);

        number_text(ratio.median, value, sizeof(value));
        fprintf(out, " (%sx)", value);
    }
    fprintf(out, " |");
}

enum verdict { VERDICT_MET, VERDICT_MISSED, VERDICT_UNKNOWN };

struct judgement {
    enum verdict verdict;
    char wanted[192], found[128];
};

static void want_text(const struct bench_target *target, const struct bench_rows *rows, char *text,
                      size_t size)
{
    const struct bench_metric *metric = &rows->what->family->metrics[target->metric];
    const char *sign = rows->what->family->is_rate ? "≥" : "≤";
    char limit[32];

    number_text(target->limit, limit, sizeof(limit));
    switch (target->relation) {
    case BENCH_RATIO:
        snprintf(text, size, "%s: %s %s %s x `%s`", rows->what->label, metric->name, sign, limit,
                 target->base);
        break;
    case BENCH_DIFFERENCE:
        snprintf(text, size, "%s: %s `%s` + %s %s", rows->what->label, sign, target->base, limit,
                 metric->unit);
        break;
    case BENCH_ABSOLUTE:
        snprintf(text, size, "%s: %s %s %s %s", rows->what->label, metric->name, sign, limit,
                 metric->unit);
        break;
    }
}

static bool has_samples(const struct bench_row *row)
{
    return row != NULL && row->is_here && row->outcome == BENCH_OK;
}

static struct judgement judge(const struct bench_target *target, const struct bench_rows *rows)
{
    const struct bench_row *row = bench_find_row(rows, target->row);
    const struct bench_row *base = target->base ? bench_find_row(rows, target->base) : NULL;
    struct judgement judgement = {.verdict = VERDICT_UNKNOWN, .found = "not measured"};
    struct bench_summary summary;
    char median[32], low[32], high[32];
    bool is_met;

    want_text(target, rows, judgement.wanted, sizeof(judgement.wanted));
    if (!has_samples(row) || (target->relation != BENCH_ABSOLUTE && !has_samples(base))) {
        return judgement;
    }
    summary = bench_summarise(rows, row, base, target->relation, target->metric);
    number_text(summary.median, median, sizeof(median));
    number_text(summary.low, low, sizeof(low));
    number_text(summary.high, high, sizeof(high));
    is_met = rows->what->family->is_rate ? summary.median >= target->limit
                                         : summary.median <= target->limit;
    judgement.verdict = is_met ? VERDICT_MET : VERDICT_MISSED;
    snprintf(judgement.found, sizeof(judgement.found), "%s (%s to %s) %s", median, low, high,
             judgement.verdict == VERDICT_MET ? "met" : "**MISSED**");
    return judgement;
}

static bool concerns(const struct bench_target *target, const struct bench_rows *rows,
                     const char *row_name)
{
    return strcmp(target->family, rows->what->family->name) == 0 &&
           (target->label == NULL || strcmp(target->label, rows->what->label) == 0) &&
           strcmp(target->row, row_name) == 0;
}

/* The cases of one family, which follow each other. */
struct table {
    const struct bench_rows *cases;
    size_t count;
    const struct bench_program *program;
};

/* One of the last two columns: what was wanted, or what was found. Gives the misses. */
static size_t write_targets(FILE *out, const struct table *table, const char *row_name,
                            bool is_found)
{
    const char *between = " ";
    size_t missed = 0;

    for (size_t i = 0; i < table->count; i++) {
        for (size_t k = 0; k < table->program->target_count; k++) {
            const struct bench_target *target = &table->program->targets[k];
            struct judgement judgement;

            if (!concerns(target, &table->cases[i], row_name)) {
                continue;
            }
            judgement = judge(target, &table->cases[i]);
            fprintf(out, "%s%s", between, is_found ? judgement.found : judgement.wanted);
            missed += judgement.verdict == VERDICT_MISSED;
            between = "<br>";
        }
    }
    fprintf(out, " |");
    return missed;
}

static void write_head(FILE *out, const struct table *table)
{
    const struct bench_family *family = table->cases[0].what->family;
    size_t columns = 0;

    fprintf(out, "\n**%s**: %s", family->name, family->title);
    if (family->base != NULL) {
        fprintf(out, "; in brackets: times `%s`", family->base);
    }
    fprintf(out, ".\n\n| peer |");
    for (size_t i = 0; i < table->count; i++) {
        for (size_t k = 0; k < family->metric_count; k++) {
            fprintf(out, " %s %s (%s) |", table->cases[i].what->label, family->metrics[k].name,
                    family->metrics[k].unit);
            columns++;
        }
    }
    fprintf(out, " target | verdict |\n|---|");
    for (size_t i = 0; i < columns; i++) {
        fprintf(out, "---|");
    }
    fprintf(out, "---|---|\n");
}

/* Names of rows in the order in which the cases bring them up, each once. */
static size_t row_names(const struct table *table, const char **names)
{
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        for (size_t k = 0; k < table->cases[i].count; k++) {
            const char *name = table->cases[i].rows[k].name;
            size_t known = 0;

            while (known < count && strcmp(names[known], name) != 0) {
                known++;
            }
            if (known == count && count < BENCH_ROWS_MAX) {
                names[count++] = name;
            }
        }
    }
    return count;
}

static size_t write_table(FILE *out, const struct table *table)
{
    const char *names[BENCH_ROWS_MAX];
    size_t count = row_names(table, names), missed = 0;

    write_head(out, table);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "| `%s` |", names[i]);
        for (size_t k = 0; k < table->count; k++) {
            const struct bench_rows *rows = &table->cases[k];

            for (size_t m = 0; m < rows->what->family->metric_count; m++) {
                write_cell(out, rows, bench_find_row(rows, names[i]), m);
            }
        }
        write_targets(out, table, names[i], false);
        missed += write_targets(out, table, names[i], true);
        fprintf(out, "\n");
    }
    return missed;
}

/* Which packages would bring the peers that are not here. */
static void write_missing(FILE *out, const struct bench_results *results)
{
    const char *told[BENCH_ROWS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < results->count; i++) {
        for (size_t k = 0; k < results->cases[i].count; k++) {
            const struct bench_row *row = &results->cases[i].rows[k];
            size_t known = 0;

            while (known < count && strcmp(told[known], row->package) != 0) {
                known++;
            }
            if (!row->is_here && known == count && count < BENCH_ROWS_MAX) {
                fprintf(out, "%s%s", count == 0 ? "Not here: what comes with " : ", ",
                        row->package);
                told[count++] = row->package;
            }
        }
    }
    if (count > 0) {
        fprintf(out, ".\n");
    }
}

static void write_foreign(FILE *out, const struct bench_results *results)
{
    double greatest = 0, median = 0;

    for (size_t i = 0; i < results->count; i++) {
        greatest = fmax(greatest, greatest_foreign(&results->cases[i], 1));
        median = fmax(median, greatest_foreign(&results->cases[i], 0.5));
    }
    fprintf(out,
            "Other work took %.1f %% of the CPUs in the median round of the most disturbed case, "
            "and %.1f %% in its worst round.\n",
            median, greatest);
}

size_t bench_write_markdown(FILE *out, const struct bench_results *results,
                            const struct bench_program *program,
                            const struct bench_options *options)
{
    size_t missed = 0;

    fprintf(out, "\n### %s\n\n", program->name);
    bench_describe_machine(out);
    fprintf(out, "%u interleaved rounds%s; median ± half the range between the quartiles.\n",
            options->rounds, options->is_quick ? " of very little work (--quick)" : "");
    if (!options->is_quick) {
        write_foreign(out, results);
    }
    write_missing(out, results);
    for (size_t i = 0; program->notes != NULL && program->notes[i] != NULL; i++) {
        fprintf(out, "%s\n", program->notes[i]);
    }
    for (size_t i = 0; i < results->count;) {
        struct table table = {&results->cases[i], 0, program};

        while (i < results->count && results->cases[i].what->family == table.cases->what->family) {
            table.count++;
            i++;
        }
        missed += write_table(out, &table);
    }
    return missed;
}
