/* SPDX-License-Identifier: MIT */
#include "tally.h"

#include "when.h"

void tally_init(struct tally *tally)
{
    memset(tally, 0, sizeof(*tally));
    names_init(&tally->names);
}

void tally_fini(struct tally *tally)
{
    names_fini(&tally->names);
}

static void keep_example(struct malformed *malformed, uint64_t unit, const char *text, size_t size)
{
    malformed->unit = unit;
    malformed->example_size = size < TALLY_EXAMPLE_SIZE ? size : TALLY_EXAMPLE_SIZE;
    if (malformed->example_size > 0) {
        memcpy(malformed->example, text, malformed->example_size);
    }
}

void tally_malformed(struct tally *tally, enum line_fault fault, uint64_t unit, const char *text,
                     size_t size)
{
    struct malformed *malformed = &tally->malformed[fault];

    tally->lines++;
    if (malformed->count++ == 0) {
        keep_example(malformed, unit, text, size);
    }
}

static void add_name(struct tally *tally, struct span name)
{
    if (!names_add(&tally->names, name, 1)) {
        tally->out_of_memory = true;
    }
}

static void add_hour(struct tally *tally, const struct log_line *line)
{
    char hour[WHEN_HOUR_SIZE];

    when_hour_of_line(line->time, hour);
    add_name(tally, (struct span){hour, sizeof(hour)});
}

static void add_size(struct tally *tally, const struct log_line *line)
{
    tally->bytes_sum += line->size_bytes;
    tally->bytes_given += line->has_size;
    if (line->size_bytes > tally->bytes_most) {
        tally->bytes_most = line->size_bytes;
    }
}

static void count_line(struct tally *tally, const struct job *job, const struct log_line *line)
{
    struct span path;

    switch (job->report) {
    case REPORT_ROBOTS:
        if (line_asks_for(line, SPAN("/robots.txt"))) {
            add_name(tally, line->host);
        }
        break;
    case REPORT_TOP_HOSTS:
        add_name(tally, line->host);
        break;
    case REPORT_TOP_PATHS:
        path = line_path(line);
        add_name(tally, path.data == NULL ? SPAN("-") : path);
        break;
    case REPORT_TOP_AGENTS:
        add_name(tally, line_agent(line));
        break;
    case REPORT_TOP_REFERRERS:
        add_name(tally, line_referrer(line));
        break;
    case REPORT_STATUS:
        tally->status[line->status]++;
        break;
    case REPORT_BYTES:
        add_size(tally, line);
        break;
    case REPORT_HOURLY:
        add_hour(tally, line);
        break;
    case REPORT_COUNT:
        break;
    }
}

void tally_lines(struct tally *tally, const struct job *job, uint64_t unit, const char *text,
                 size_t size)
{
    const char *end = text + size;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline == NULL ? end : newline;
        struct log_line line;
        enum line_fault fault = line_parse(text, (size_t)(line_end - text), &line);

        if (fault != LINE_GOOD) {
            tally_malformed(tally, fault, unit, text, (size_t)(line_end - text));
        } else {
            tally->lines++;
            tally->requests++;
            if (job->filters.count == 0 || filter_matches(&job->filters, &line)) {
                tally->matched++;
                count_line(tally, job, &line);
            }
        }
        text = line_end + 1;
    }
}

static void merge_malformed(struct malformed *into, const struct malformed *from)
{
    if (from->count > 0 && (into->count == 0 || from->unit < into->unit)) {
        keep_example(into, from->unit, from->example, from->example_size);
    }
    into->count += from->count;
}

/* All of a tally but its names. */
static void merge_numbers(struct tally *into, const struct tally *from)
{
    into->lines += from->lines;
    into->requests += from->requests;
    into->matched += from->matched;
    for (size_t i = 0; i < LINE_FAULT_COUNT; i++) {
        merge_malformed(&into->malformed[i], &from->malformed[i]);
    }
    into->bytes_sum += from->bytes_sum;
    into->bytes_given += from->bytes_given;
    if (from->bytes_most > into->bytes_most) {
        into->bytes_most = from->bytes_most;
    }
    for (size_t i = 0; i < 1000; i++) {
        into->status[i] += from->status[i];
    }
    into->out_of_memory = into->out_of_memory || from->out_of_memory;
}

/* Most statuses and kinds of malformed lines never occur: each list is led by the
 * number of its entries, and an entry by its place. */
static void pack_statuses(struct packer *packer, const struct tally *tally)
{
    size_t used = 0;

    for (size_t i = 0; i < 1000; i++) {
        used += tally->status[i] > 0;
    }
    pack_number(packer, used);
    for (size_t i = 0; i < 1000; i++) {
        if (tally->status[i] > 0) {
            pack_number(packer, i);
            pack_number(packer, tally->status[i]);
        }
    }
}

static void pack_malformed(struct packer *packer, const struct tally *tally)
{
    size_t used = 0;

    for (size_t i = 0; i < LINE_FAULT_COUNT; i++) {
        used += tally->malformed[i].count > 0;
    }
    pack_number(packer, used);
    for (size_t i = 0; i < LINE_FAULT_COUNT; i++) {
        const struct malformed *malformed = &tally->malformed[i];

        if (malformed->count > 0) {
            pack_number(packer, i);
            pack_number(packer, malformed->count);
            pack_number(packer, malformed->unit);
            pack_text(packer, (struct span){malformed->example, malformed->example_size});
        }
    }
}

void tally_pack(struct packer *packer, const struct tally *tally)
{
    pack_number(packer, tally->lines);
    pack_number(packer, tally->requests);
    pack_number(packer, tally->matched);
    pack_number(packer, tally->bytes_sum);
    pack_number(packer, tally->bytes_most);
    pack_number(packer, tally->bytes_given);
    pack_number(packer, tally->out_of_memory);
    pack_statuses(packer, tally);
    pack_malformed(packer, tally);
    pack_number(packer, tally->names.used);
    for (size_t i = 0; i < tally->names.slot_count; i++) {
        const struct name_count *slot = &tally->names.slots[i];

        if (slot->name.data != NULL) {
            pack_text(packer, slot->name);
            pack_number(packer, slot->count);
        }
    }
}

static void unpack_malformed(struct unpacker *unpacker, struct tally *tally)
{
    size_t used = (size_t)unpack_number_up_to(unpacker, LINE_FAULT_COUNT);

    for (size_t i = 0; i < used && !unpacker->failed; i++) {
        size_t kind = (size_t)unpack_number_up_to(unpacker, LINE_FAULT_COUNT - 1);
        struct malformed *malformed = &tally->malformed[kind];
        struct span example;

        malformed->count = unpack_number(unpacker);
        uint64_t unit = unpack_number(unpacker);
        example = unpack_text(unpacker);
        keep_example(malformed, unit, example.data, example.size);
    }
}

void tally_merge_packed(struct unpacker *unpacker, struct tally *into)
{
    struct tally from;
    size_t used;
    uint64_t names;

    tally_init(&from);
    from.lines = unpack_number(unpacker);
    from.requests = unpack_number(unpacker);
    from.matched = unpack_number(unpacker);
    from.bytes_sum = unpack_number(unpacker);
    from.bytes_most = unpack_number(unpacker);
    from.bytes_given = unpack_number(unpacker);
    from.out_of_memory = unpack_number_up_to(unpacker, 1) != 0;
    used = (size_t)unpack_number_up_to(unpacker, 1000);
    for (size_t i = 0; i < used && !unpacker->failed; i++) {
        size_t status = (size_t)unpack_number_up_to(unpacker, 999);

        from.status[status] = unpack_number(unpacker);
    }
    unpack_malformed(unpacker, &from);
    names = unpack_number(unpacker);
    if (unpacker->failed) {
        return;
    }
    merge_numbers(into, &from);
    for (uint64_t i = 0; i < names && !unpacker->failed; i++) {
        struct span name = unpack_text(unpacker);
        uint64_t count = unpack_number(unpacker);

        if (!unpacker->failed && !names_add(&into->names, name, count)) {
            into->out_of_memory = true;
        }
    }
}
