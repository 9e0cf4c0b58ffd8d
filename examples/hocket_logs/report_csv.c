/* SPDX-License-Identifier: MIT */
/*
 * CSV after RFC 4180, with a newline alone at the end of a line, as on Unix.
 */
#include <inttypes.h>
#include <stdio.h>

#include "report.h"

/* Any byte may stand in a quoted field; only quotes are doubled. */
static void print_field(struct span text)
{
    bool needs_quotes = false;

    for (size_t i = 0; i < text.size && !needs_quotes; i++) {
        char c = text.data[i];

        needs_quotes = c == ',' || c == '"' || c == '\n' || c == '\r';
    }
    if (!needs_quotes) {
        fwrite(text.data, 1, text.size, stdout);
        return;
    }
    putchar('"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"') {
            putchar('"');
        }
        putchar(text.data[i]);
    }
    putchar('"');
}

static void print_bytes(const struct tally *tally)
{
    printf("requests,with_size,bytes,mean,largest\n");
    printf("%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.1f,%" PRIu64 "\n", tally->matched,
           tally->bytes_given, tally->bytes_sum,
           tally->bytes_given > 0 ? (double)tally->bytes_sum / (double)tally->bytes_given : 0.0,
           tally->bytes_most);
}

bool report_csv(const struct answer *answer, const struct rows *rows)
{
    enum report report = answer->options->job.report;

    if (report == REPORT_BYTES) {
        print_bytes(answer->tally);
        return true;
    }
    printf("%s\n", report == REPORT_ROBOTS   ? "host"
                   : report == REPORT_STATUS ? "status,count"
                   : report == REPORT_HOURLY ? "hour,count"
                                             : "name,count");
    for (size_t i = 0; i < rows->count; i++) {
        print_field(rows->list[i].name);
        if (report != REPORT_ROBOTS) {
            printf(",%" PRIu64, rows->list[i].count);
        }
        putchar('\n');
    }
    return true;
}
