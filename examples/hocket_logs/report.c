/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <errno.h>
#include <stdlib.h>

#include "show.h"

enum { STATUS_NAME_SIZE = 4 };

static int by_name(const void *a, const void *b)
{
    const struct name_count *x = a, *y = b;

    return span_compare(x->name, y->name);
}

static int by_falling_count(const void *a, const void *b)
{
    const struct name_count *x = a, *y = b;

    if (x->count != y->count) {
        return x->count < y->count ? 1 : -1;
    }
    return by_name(a, b);
}

static bool make_status_rows(struct rows *rows, const struct tally *tally)
{
    rows->list = calloc(1000, sizeof(*rows->list));
    rows->status_names = calloc(1000, STATUS_NAME_SIZE);
    if (rows->list == NULL || rows->status_names == NULL) {
        return false;
    }
    for (unsigned i = 0; i < 1000; i++) {
        char *name = rows->status_names + (size_t)i * STATUS_NAME_SIZE;

        if (tally->status[i] > 0) {
            (void)snprintf(name, STATUS_NAME_SIZE, "%03u", i);
            rows->list[rows->count++] =
                (struct name_count){.name = {name, 3}, .count = tally->status[i]};
        }
    }
    return true;
}

bool rows_make(struct rows *rows, const struct answer *answer)
{
    const struct options *options = answer->options;

    *rows = (struct rows){.list = NULL};
    switch (options->job.report) {
    case REPORT_STATUS:
        return make_status_rows(rows, answer->tally);
    case REPORT_BYTES:
        return true;
    case REPORT_ROBOTS:
    case REPORT_HOURLY:
    case REPORT_TOP_HOSTS:
    case REPORT_TOP_PATHS:
    case REPORT_TOP_AGENTS:
    case REPORT_TOP_REFERRERS:
    case REPORT_COUNT:
        break;
    }
    rows->list = names_list(&answer->tally->names);
    if (rows->list == NULL) {
        return false;
    }
    rows->count = answer->tally->names.used;
    if (options->job.report == REPORT_ROBOTS || options->job.report == REPORT_HOURLY) {
        qsort(rows->list, rows->count, sizeof(*rows->list), by_name);
    } else {
        qsort(rows->list, rows->count, sizeof(*rows->list), by_falling_count);
        if (options->top_count > 0 && rows->count > options->top_count) {
            rows->count = options->top_count;
        }
    }
    return true;
}

void rows_fini(struct rows *rows)
{
    free(rows->list);
    free(rows->status_names);
}

bool report_print(const struct answer *answer)
{
    struct rows rows;
    bool is_made = rows_make(&rows, answer);

    if (is_made) {
        switch (answer->options->format) {
        case FORMAT_TEXT:
            is_made = report_text(answer, &rows);
            break;
        case FORMAT_CSV:
            is_made = report_csv(answer, &rows);
            break;
        case FORMAT_JSON:
            is_made = report_json(answer, &rows);
            break;
        }
    }
    rows_fini(&rows);
    if (!is_made) {
        fprintf(stderr, "hocket-logs: no memory to print the report\n");
        return false;
    }
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "hocket-logs: cannot write the report: %s\n",
                errno != 0 ? strerror(errno) : "an earlier write failed");
        return false;
    }
    return true;
}

void report_malformed(const struct tally *tally)
{
    uint64_t malformed = tally->lines - tally->requests;

    if (malformed == 0) {
        return;
    }
    fprintf(stderr, "hocket-logs: %llu of %llu lines malformed and not counted:\n",
            (unsigned long long)malformed, (unsigned long long)tally->lines);
    for (unsigned i = 0; i < LINE_FAULT_COUNT; i++) {
        const struct malformed *kind = &tally->malformed[i];

        if (kind->count > 0) {
            fprintf(stderr, "  %8llu  %s, such as: ", (unsigned long long)kind->count,
                    line_fault_name((enum line_fault)i));
            show_escaped(stderr, (struct span){kind->example, kind->example_size});
            fputs(kind->example_size == TALLY_EXAMPLE_SIZE ? "...\n" : "\n", stderr);
        }
    }
}
