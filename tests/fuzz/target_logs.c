/* SPDX-License-Identifier: MIT */
/*
 * The parts of hocket-logs that read what others wrote: lines, filters, times, and the bytes
 * in which tallies and units travel. Wanted besides no step beyond: a text gives one answer,
 * in whatever pieces it comes, and what is packed comes back.
 */
#include <stdlib.h>

#include "lines.h"
#include "tests/fuzz/fuzz.h"
#include "unit.h"
#include "when.h"

enum { FILTER_MAX = 200, PIECES_MAX = 64 };

static void touch(struct span span)
{
    hkf_touch(span.data, span.size);
}

static void read_line(const char *text, size_t size)
{
    struct log_line line;
    char hour[WHEN_HOUR_SIZE];

    if (line_parse(text, size, &line) != LINE_GOOD) {
        return;
    }
    touch(line.host);
    touch(line.request);
    touch(line.tail);
    touch(line_path(&line));
    touch(line_referrer(&line));
    touch(line_agent(&line));
    (void)line_asks_for(&line, SPAN("/robots.txt"));
    (void)when_of_line(line.time);
    (void)when_zone_of_line(line.time);
    when_hour_of_line(line.time, hour);
    HKF_WANT(line.status <= 999);
}

/* The tally of a text as one piece, packed. */
static unsigned char *pack(const struct tally *tally, size_t *size)
{
    struct packer packer = {NULL, 0, 0};
    unsigned char *bytes;

    tally_pack(&packer, tally);
    *size = packer.used;
    bytes = malloc(packer.used);
    HKF_WANT(bytes != NULL);
    packer = (struct packer){bytes, *size, 0};
    tally_pack(&packer, tally);
    HKF_WANT(packer.used == *size);
    return bytes;
}

static void feed(struct line_splitter *splitter, struct hkf_input pieces, const char *text,
                 size_t size)
{
    char *room;

    while (size != 0) {
        size_t piece = 1 + hkf_pick(&pieces, PIECES_MAX);

        piece = piece < size ? piece : size;
        HKF_WANT(lines_room(splitter, piece, &room) >= piece);
        memcpy(room, text, piece);
        lines_commit(splitter, piece);
        text += piece;
        size -= piece;
    }
    lines_finish(splitter);
}

static void count(const struct job *job, const char *text, size_t size, struct hkf_input pieces)
{
    struct tally whole;
    struct tally parts;
    struct tally back;
    struct line_splitter splitter;
    unsigned char *packed;
    size_t packed_size;
    struct unpacker unpacker;

    tally_init(&whole);
    tally_init(&parts);
    tally_init(&back);
    tally_lines(&whole, job, 0, text, size);
    HKF_WANT(lines_init(&splitter, &parts, job, 0, false));
    feed(&splitter, pieces, text, size);
    lines_fini(&splitter);
    HKF_WANT(whole.lines == parts.lines && whole.requests == parts.requests);
    HKF_WANT(whole.matched == parts.matched && whole.bytes_sum == parts.bytes_sum);
    packed = pack(&whole, &packed_size);
    unpacker = (struct unpacker){packed, packed_size, false};
    tally_merge_packed(&unpacker, &back);
    HKF_WANT(!unpacker.failed && unpacker.left == 0);
    HKF_WANT(back.lines == whole.lines && back.matched == whole.matched);
    free(packed);
    tally_fini(&whole);
    tally_fini(&parts);
    tally_fini(&back);
}

static void read_packed(const uint8_t *bytes, size_t size)
{
    struct unpacker unpacker = {bytes, size, false};
    struct tally tally;
    struct unit unit;
    struct outcome outcome;

    if (unit_unpack(&unpacker, &unit)) {
        touch(unit.path);
        HKF_WANT(unit.path.data[unit.path.size] == '\0');
        HKF_WANT(unit.kind < UNIT_KIND_COUNT && unit.job.report < REPORT_COUNT);
        HKF_WANT(unit.job.filters.count <= FILTER_COUNT_MAX);
    }
    unpacker = (struct unpacker){bytes, size, false};
    outcome_unpack(&unpacker, &outcome);
    touch(outcome.path);
    touch(outcome.error);
    tally_init(&tally);
    tally_merge_packed(&unpacker, &tally);
    tally_fini(&tally);
}

/* Every line is a filter or a moment. */
static void read_filter(const uint8_t *bytes, size_t size, struct filter_set *set,
                        char text[FILTER_MAX])
{
    const char *why = NULL;
    struct moment moment;

    size = size < FILTER_MAX ? size : FILTER_MAX - 1;
    memcpy(text, bytes, size);
    text[size] = '\0';
    if (when_parse((struct span){text, size}, &moment)) {
        HKF_WANT(moment.width > 0);
    }
    HKF_WANT(filter_parse(set, text, &why) || why != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct hkf_input input = {bytes, size};
    struct job job = {.inflate = SPAN("auto")};
    char filter[FILTER_MAX];
    const uint8_t *newline;
    unsigned kind = hkf_pick(&input, 4);

    job.report = (enum report)hkf_pick(&input, REPORT_COUNT);
    if (input.left == 0) {
        return 0;
    }
    if (kind == 0) {
        read_packed(input.at, input.left);
        return 0;
    }
    newline = memchr(input.at, '\n', input.left);
    if (kind == 1 && newline != NULL) { /* A filter, then what it is for. */
        size_t length = (size_t)(newline - input.at);

        read_filter(input.at, length, &job.filters, filter);
        input.at += length + 1;
        input.left -= length + 1;
    }
    read_line((const char *)input.at, input.left);
    count(&job, (const char *)input.at, input.left, (struct hkf_input){bytes, size});
    return 0;
}
