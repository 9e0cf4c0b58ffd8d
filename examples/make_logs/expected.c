/* SPDX-License-Identifier: MIT */
#include "expected.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

/* Time never goes back, so an hour is new or the last one. */
static bool add_hour(struct expected *expected, const struct request *request)
{
    char hour[16];

    request_hour(request, hour);
    if (expected->hour_count > 0 &&
        strcmp(expected->hours[expected->hour_count - 1].hour, hour) == 0) {
        expected->hours[expected->hour_count - 1].count++;
        return true;
    }
    if (expected->hour_count == expected->hour_capacity) {
        size_t capacity = expected->hour_capacity == 0 ? 64 : expected->hour_capacity * 2;
        struct hour_count *larger = realloc(expected->hours, capacity * sizeof(*larger));

        if (larger == NULL) {
            return false;
        }
        expected->hours = larger;
        expected->hour_capacity = capacity;
    }
    struct hour_count *last = &expected->hours[expected->hour_count++];
    memcpy(last->hour, hour, sizeof(hour));
    last->count = 1;
    return true;
}

bool expected_add(struct expected *expected, const struct request *request)
{
    uint64_t size = request->size_bytes < 0 ? 0 : (uint64_t)request->size_bytes;

    expected->lines++;
    expected->requests++;
    expected->hosts[request->host]++;
    expected->paths[request->path]++;
    /* Referrer 0 and agent 0 are "-". */
    expected->referrers[expected->is_combined ? request->referrer : 0]++;
    expected->agents[expected->is_combined ? request->agent : 0]++;
    expected->status[request->status]++;
    expected->bytes_sum += size;
    expected->bytes_given += request->size_bytes >= 0;
    expected->bytes_most = size > expected->bytes_most ? size : expected->bytes_most;
    if (request->path == PATH_ROBOTS) {
        expected->robots[request->host] = true;
    }
    return add_hour(expected, request);
}

struct row {
    char name[WORD_SIZE];
    uint64_t count;
};

static int by_falling_count(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->count != y->count) {
        return x->count < y->count ? 1 : -1;
    }
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static void print_quoted(FILE *file, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, file);
        return;
    }
    putc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            putc('"', file);
        }
        putc(*text, file);
    }
    putc('"', file);
}

typedef void text_fn(unsigned number, char text[WORD_SIZE]);

/* The texts of some numbers with their counts; texts that several numbers share are
 * one row. */
static bool write_top(const char *folder, const char *name, text_fn *text, const uint64_t *counts,
                      unsigned count)
{
    FILE *file = files_create(folder, name);
    struct row *rows = calloc(count, sizeof(*rows));
    size_t used = 0;

    if (file == NULL || rows == NULL) {
        free(rows);
        return files_close(file, folder, name) && rows != NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        text(i, rows[i].name);
        rows[i].count = counts[i];
    }
    qsort(rows, count, sizeof(*rows), by_name);
    for (size_t i = 0; i < count; i++) {
        if (used > 0 && strcmp(rows[used - 1].name, rows[i].name) == 0) {
            rows[used - 1].count += rows[i].count;
        } else {
            rows[used++] = rows[i];
        }
    }
    qsort(rows, used, sizeof(*rows), by_falling_count);
    fputs("name,count\n", file);
    for (size_t i = 0; i < used && rows[i].count > 0; i++) {
        print_quoted(file, rows[i].name);
        fprintf(file, ",%" PRIu64 "\n", rows[i].count);
    }
    free(rows);
    return files_close(file, folder, name);
}

static bool write_robots(const struct expected *expected, const char *folder)
{
    FILE *file = files_create(folder, "expected-robots.txt");
    struct row *rows = calloc(HOST_COUNT, sizeof(*rows));
    size_t used = 0;

    if (file != NULL && rows != NULL) {
        for (unsigned i = 0; i < HOST_COUNT; i++) {
            if (expected->robots[i]) {
                host_text(i, rows[used++].name);
            }
        }
        qsort(rows, used, sizeof(*rows), by_name);
        for (size_t i = 0; i < used; i++) {
            fprintf(file, "%s\n", rows[i].name);
        }
    }
    free(rows);
    return files_close(file, folder, "expected-robots.txt");
}

static bool write_numbers(const struct expected *expected, const char *folder)
{
    FILE *file = files_create(folder, "expected-status.csv");
    bool is_fine;

    if (file != NULL) {
        fputs("status,count\n", file);
        for (unsigned i = 0; i < 1000; i++) {
            if (expected->status[i] > 0) {
                fprintf(file, "%03u,%" PRIu64 "\n", i, expected->status[i]);
            }
        }
    }
    is_fine = files_close(file, folder, "expected-status.csv");
    file = files_create(folder, "expected-hourly.csv");
    if (file != NULL) {
        fputs("hour,count\n", file);
        for (size_t i = 0; i < expected->hour_count; i++) {
            fprintf(file, "%s,%" PRIu64 "\n", expected->hours[i].hour, expected->hours[i].count);
        }
    }
    is_fine = files_close(file, folder, "expected-hourly.csv") && is_fine;
    file = files_create(folder, "expected-bytes.csv");
    if (file != NULL) {
        fprintf(file,
                "requests,with_size,bytes,mean,largest\n%" PRIu64 ",%" PRIu64 ",%" PRIu64
                ",%.1f,%" PRIu64 "\n",
                expected->requests, expected->bytes_given, expected->bytes_sum,
                expected->bytes_given > 0
                    ? (double)expected->bytes_sum / (double)expected->bytes_given
                    : 0.0,
                expected->bytes_most);
    }
    is_fine = files_close(file, folder, "expected-bytes.csv") && is_fine;
    file = files_create(folder, "expected-lines.csv");
    if (file != NULL) {
        fprintf(file, "lines,requests,malformed\n%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n",
                expected->lines, expected->requests, expected->malformed);
    }
    return files_close(file, folder, "expected-lines.csv") && is_fine;
}

bool expected_write(const struct expected *expected, const char *folder)
{
    return write_top(folder, "expected-hosts.csv", host_text, expected->hosts, HOST_COUNT) &&
           write_top(folder, "expected-paths.csv", path_text, expected->paths, PATH_COUNT) &&
           write_top(folder, "expected-referrers.csv", referrer_text, expected->referrers,
                     REFERRER_COUNT) &&
           write_top(folder, "expected-agents.csv", agent_text, expected->agents, AGENT_COUNT) &&
           write_robots(expected, folder) && write_numbers(expected, folder);
}

void expected_fini(struct expected *expected)
{
    free(expected->hours);
}
