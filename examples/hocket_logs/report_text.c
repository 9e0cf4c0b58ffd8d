/* SPDX-License-Identifier: MIT */
/*
 * Text for people. Only "robots" is bare, because its lines feed other programs.
 */
#include <inttypes.h>

#include "report.h"
#include "show.h"

static void print_bare(const struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        show_escaped(stdout, rows->list[i].name);
        putchar('\n');
    }
}

static void print_table(const struct answer *answer, const struct rows *rows, const char *heading)
{
    printf("%12s %7s  %s\n", "requests", "share", heading);
    for (size_t i = 0; i < rows->count; i++) {
        const struct name_count *row = &rows->list[i];

        printf("%12" PRIu64 " %6.2f%%  ", row->count,
               100.0 * (double)row->count / (double)answer->tally->matched);
        show_escaped(stdout, row->name);
        putchar('\n');
    }
    printf("%12" PRIu64 " %6.2f%%  all\n", answer->tally->matched,
           answer->tally->matched > 0 ? 100.0 : 0.0);
}

static void print_bytes(const struct tally *tally)
{
    char text[SHOW_BYTES_SIZE];

    printf("requests   %" PRIu64 "\n", tally->matched);
    printf("with size  %" PRIu64 "\n", tally->bytes_given);
    printf("bytes      %" PRIu64 " (%s)\n", tally->bytes_sum,
           show_bytes((double)tally->bytes_sum, text));
    printf("mean       %.1f\n",
           tally->bytes_given > 0 ? (double)tally->bytes_sum / (double)tally->bytes_given : 0.0);
    printf("largest    %" PRIu64 "\n", tally->bytes_most);
}

bool report_text(const struct answer *answer, const struct rows *rows)
{
    switch (answer->options->job.report) {
    case REPORT_ROBOTS:
        print_bare(rows);
        break;
    case REPORT_TOP_HOSTS:
        print_table(answer, rows, "host");
        break;
    case REPORT_TOP_PATHS:
        print_table(answer, rows, "path");
        break;
    case REPORT_TOP_AGENTS:
        print_table(answer, rows, "agent");
        break;
    case REPORT_TOP_REFERRERS:
        print_table(answer, rows, "referrer");
        break;
    case REPORT_STATUS:
        print_table(answer, rows, "status");
        break;
    case REPORT_HOURLY:
        print_table(answer, rows, "hour");
        break;
    case REPORT_BYTES:
        print_bytes(answer->tally);
        break;
    case REPORT_COUNT:
        break;
    }
    return true;
}
