/* SPDX-License-Identifier: MIT */
/*
 * JSON by jansson. Its functions take NULL for a value that could not be made and
 * then fail, so each function here makes all it can and tells at the end.
 */
#include <jansson.h>
#include <stdlib.h>

#include "report.h"
#include "show.h"

/* A JSON string of any bytes; NULL: no memory. */
static json_t *string_of(struct span text)
{
    size_t size;
    char *utf8 = show_as_utf8(text, &size);
    json_t *string = utf8 == NULL ? NULL : json_stringn(utf8, size);

    free(utf8);
    return string;
}

/* JSON's integers are signed here; a count of lines never gets near the end. */
static json_t *number_of(uint64_t number)
{
    return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

/* A status is a number; its name is three digits. */
static json_t *status_of(struct span name)
{
    return json_integer((name.data[0] - '0') * 100 + (name.data[1] - '0') * 10 +
                        (name.data[2] - '0'));
}

static bool set_number(json_t *object, const char *key, uint64_t number)
{
    return json_object_set_new(object, key, number_of(number)) == 0;
}

static bool add_malformed(json_t *root, const struct tally *tally)
{
    json_t *kinds = json_array();
    bool is_fine = json_object_set_new(root, "malformed", kinds) == 0;

    for (unsigned i = 0; i < LINE_FAULT_COUNT && is_fine; i++) {
        const struct malformed *kind = &tally->malformed[i];
        json_t *object;

        if (kind->count == 0) {
            continue;
        }
        object = json_object();
        is_fine =
            json_array_append_new(kinds, object) == 0 &&
            json_object_set_new(object, "kind", json_string(line_fault_name((enum line_fault)i))) ==
                0 &&
            set_number(object, "count", kind->count) &&
            json_object_set_new(object, "example",
                                string_of((struct span){kind->example, kind->example_size})) == 0;
    }
    return is_fine;
}

static bool add_hosts(json_t *root, const struct rows *rows)
{
    json_t *hosts = json_array();
    bool is_fine = json_object_set_new(root, "hosts", hosts) == 0;

    for (size_t i = 0; i < rows->count && is_fine; i++) {
        is_fine = json_array_append_new(hosts, string_of(rows->list[i].name)) == 0;
    }
    return is_fine;
}

/* make turns a row's name into the value of the key. */
static bool add_rows(json_t *root, const struct rows *rows, const char *key,
                     json_t *(*make)(struct span name))
{
    json_t *array = json_array();
    bool is_fine = json_object_set_new(root, "rows", array) == 0;

    for (size_t i = 0; i < rows->count && is_fine; i++) {
        json_t *object = json_object();

        is_fine = json_array_append_new(array, object) == 0 &&
                  json_object_set_new(object, key, make(rows->list[i].name)) == 0 &&
                  set_number(object, "count", rows->list[i].count);
    }
    return is_fine;
}

static bool add_bytes(json_t *root, const struct tally *tally)
{
    double mean =
        tally->bytes_given > 0 ? (double)tally->bytes_sum / (double)tally->bytes_given : 0.0;

    return set_number(root, "with_size", tally->bytes_given) &&
           set_number(root, "bytes", tally->bytes_sum) &&
           json_object_set_new(root, "mean", json_real(mean)) == 0 &&
           set_number(root, "largest", tally->bytes_most);
}

static bool add_answer(json_t *root, const struct answer *answer, const struct rows *rows)
{
    switch (answer->options->job.report) {
    case REPORT_ROBOTS:
        return add_hosts(root, rows);
    case REPORT_BYTES:
        return add_bytes(root, answer->tally);
    case REPORT_STATUS:
        return add_rows(root, rows, "status", status_of);
    case REPORT_HOURLY:
        return add_rows(root, rows, "hour", string_of);
    case REPORT_TOP_HOSTS:
    case REPORT_TOP_PATHS:
    case REPORT_TOP_AGENTS:
    case REPORT_TOP_REFERRERS:
    case REPORT_COUNT:
        break;
    }
    return add_rows(root, rows, "name", string_of);
}

bool report_json(const struct answer *answer, const struct rows *rows)
{
    const struct tally *tally = answer->tally;
    json_t *root = json_object();
    bool is_fine =
        json_object_set_new(root, "report",
                            json_string(job_report_name(answer->options->job.report))) == 0 &&
        json_object_set_new(root, "complete", json_boolean(!answer->is_interrupted)) == 0 &&
        set_number(root, "files", answer->files) &&
        set_number(root, "files_failed", answer->files_failed) &&
        set_number(root, "lines", tally->lines) && set_number(root, "requests", tally->matched) &&
        add_malformed(root, tally) && add_answer(root, answer, rows);

    if (is_fine) {
        /* A failed write is seen by the caller, on the stream. */
        (void)json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(root);
    return is_fine;
}
