/* SPDX-License-Identifier: MIT */
#include "filter.h"

#include <stdlib.h>

#include "when.h"

static bool add(struct filter_set *set, struct filter filter)
{
    if (set->count == FILTER_COUNT_MAX) {
        return false;
    }
    set->filters[set->count++] = filter;
    set->has_kind[filter.kind] = true;
    return true;
}

/* "A..B", "A..", "..B", or "A" for all of that day, hour, minute or second. */
static bool parse_time(const char *text, struct filter *filter)
{
    const char *dots = strstr(text, "..");
    size_t first_size = dots == NULL ? strlen(text) : (size_t)(dots - text);
    struct moment from, to;

    *filter = (struct filter){.kind = FILTER_TIME, .from = INT64_MIN, .to = INT64_MAX};
    if (first_size > 0) {
        if (!when_parse((struct span){text, first_size}, &from)) {
            return false;
        }
        filter->from = from.seconds;
        filter->from_in_utc = from.in_utc;
        if (dots == NULL) {
            filter->to = from.seconds + from.width;
            filter->to_in_utc = from.in_utc;
            return true;
        }
    }
    if (dots == NULL || (first_size == 0 && dots[2] == '\0')) {
        return false;
    }
    if (dots[2] != '\0') {
        if (!when_parse((struct span){dots + 2, strlen(dots + 2)}, &to)) {
            return false;
        }
        filter->to = to.seconds;
        filter->to_in_utc = to.in_utc;
    }
    return true;
}

/* "404", or "4xx" for a hundred of them. */
static bool parse_status(const char *text, struct filter *filter)
{
    int64_t status = 0, width = 1;

    if (strlen(text) != 3) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        bool is_any = i > 0 && (text[i] == 'x' || text[i] == 'X');

        if (!is_any && (text[i] < '0' || text[i] > '9' || width > 1)) {
            return false;
        }
        status = status * 10 + (is_any ? 0 : text[i] - '0');
        width = is_any ? width * 10 : width;
    }
    *filter = (struct filter){.kind = FILTER_STATUS, .from = status, .to = status + width};
    return true;
}

bool filter_parse(struct filter_set *set, const char *text, const char **why)
{
    struct filter filter;

    if (strncmp(text, "time=", 5) == 0) {
        *why = "a time is FROM..TO, FROM.., ..TO or one moment, each like 2015-05-17, "
               "2015-05-17T10:05 or 2015-05-17T10:05:03+02:00";
        if (!parse_time(text + 5, &filter)) {
            return false;
        }
    } else if (strncmp(text, "status=", 7) == 0) {
        *why = "a status is three digits like 404, or 4xx";
        if (!parse_status(text + 7, &filter)) {
            return false;
        }
    } else if (strncmp(text, "path=", 5) == 0) {
        *why = "a path must not be empty";
        filter = (struct filter){.kind = FILTER_PATH};
        filter.prefix = (struct span){text + 5, strlen(text + 5)};
        if (filter.prefix.size == 0) {
            return false;
        }
    } else {
        *why = "filters are time=FROM..TO, status=404 or status=4xx, path=PREFIX";
        return false;
    }
    *why = "more than 64 filters";
    return add(set, filter);
}

/* What a line offers to its filters, worked out once. */
struct subject {
    int64_t local_seconds, utc_seconds;
    unsigned status;
    struct span path;
};

static bool matches_one(const struct filter *filter, const struct subject *subject)
{
    switch (filter->kind) {
    case FILTER_TIME:
        return (filter->from_in_utc ? subject->utc_seconds : subject->local_seconds) >=
                   filter->from &&
               (filter->to_in_utc ? subject->utc_seconds : subject->local_seconds) < filter->to;
    case FILTER_STATUS:
        return subject->status >= filter->from && subject->status < filter->to;
    case FILTER_PATH:
        return subject->path.data != NULL && span_starts_with(subject->path, filter->prefix);
    case FILTER_KIND_COUNT:
        break;
    }
    return false;
}

bool filter_matches(const struct filter_set *set, const struct log_line *line)
{
    struct subject subject = {.status = line->status};
    bool matched[FILTER_KIND_COUNT] = {false};

    if (set->has_kind[FILTER_TIME]) {
        subject.local_seconds = when_of_line(line->time);
        subject.utc_seconds = subject.local_seconds - when_zone_of_line(line->time);
    }
    if (set->has_kind[FILTER_PATH]) {
        subject.path = line_path(line);
    }
    for (size_t i = 0; i < set->count; i++) {
        enum filter_kind kind = set->filters[i].kind;

        matched[kind] = matched[kind] || matches_one(&set->filters[i], &subject);
    }
    for (size_t kind = 0; kind < FILTER_KIND_COUNT; kind++) {
        if (set->has_kind[kind] && !matched[kind]) {
            return false;
        }
    }
    return true;
}

void filter_pack(struct packer *packer, const struct filter_set *set)
{
    pack_number(packer, set->count);
    for (size_t i = 0; i < set->count; i++) {
        const struct filter *filter = &set->filters[i];

        pack_number(packer, (uint64_t)filter->kind);
        pack_number(packer, (uint64_t)filter->from);
        pack_number(packer, (uint64_t)filter->to);
        pack_number(packer, filter->from_in_utc);
        pack_number(packer, filter->to_in_utc);
        pack_text(packer, filter->prefix);
    }
}

void filter_unpack(struct unpacker *unpacker, struct filter_set *set)
{
    size_t count = (size_t)unpack_number_up_to(unpacker, FILTER_COUNT_MAX);

    *set = (struct filter_set){.count = 0};
    for (size_t i = 0; i < count && !unpacker->failed; i++) {
        struct filter filter;

        filter.kind = (enum filter_kind)unpack_number_up_to(unpacker, FILTER_KIND_COUNT - 1);
        filter.from = (int64_t)unpack_number(unpacker);
        filter.to = (int64_t)unpack_number(unpacker);
        filter.from_in_utc = unpack_number_up_to(unpacker, 1) != 0;
        filter.to_in_utc = unpack_number_up_to(unpacker, 1) != 0;
        filter.prefix = unpack_text(unpacker);
        (void)add(set, filter);
    }
}
