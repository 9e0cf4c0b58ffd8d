/* SPDX-License-Identifier: MIT */
/*
 * Medians and quartiles.
 */
#include <math.h>
#include <stdlib.h>

#include "bench/harness/harness_impl.h"

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

double bench_quantile(double *values, size_t count, double q)
{
    double place;
    size_t below;

    if (count == 0) {
        return NAN;
    }
    qsort(values, count, sizeof(*values), compare);
    place = q * (double)(count - 1);
    below = (size_t)place;
    if (below + 1 >= count) {
        return values[count - 1];
    }
    return values[below] + (place - (double)below) * (values[below + 1] - values[below]);
}

double *bench_samples(const struct bench_rows *rows, const struct bench_row *row, size_t metric)
{
    return row->samples + metric * rows->rounds;
}

static double relate(double value, double base, enum bench_relation relation)
{
    switch (relation) {
    case BENCH_RATIO:
        return value / base;
    case BENCH_DIFFERENCE:
        return value - base;
    case BENCH_ABSOLUTE:
        break;
    }
    return value;
}

struct bench_summary bench_summarise(const struct bench_rows *rows, const struct bench_row *row,
                                     const struct bench_row *base, enum bench_relation relation,
                                     size_t metric)
{
    double *values = calloc(rows->rounds, sizeof(*values));
    struct bench_summary summary;
    size_t count = 0;

    if (values == NULL) {
        bench_die("no memory");
    }
    for (unsigned round = 0; round < rows->rounds; round++) {
        double value = bench_samples(rows, row, metric)[round];

        if (base != NULL) {
            value = relate(value, bench_samples(rows, base, metric)[round], relation);
        }
        if (isfinite(value)) {
            values[count++] = value;
        }
    }
    summary.median = bench_quantile(values, count, 0.5);
    summary.low = bench_quantile(values, count, 0.25);
    summary.high = bench_quantile(values, count, 0.75);
    free(values);
    return summary;
}
