/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "gunzip.h"

bool unit_is_named_gz(struct span path)
{
    return path.size >= 3 && memcmp(path.data + path.size - 3, ".gz", 3) == 0;
}

/* Reads plain text up to a limit into the splitter. */
static void count_plain(struct input *input, struct line_splitter *lines, uint64_t limit)
{
    while (input->offset < limit) {
        uint64_t left = limit - input->offset;
        char *room;
        size_t got;
        size_t size =
            lines_room(lines, left < LINES_PIECE_SIZE ? (size_t)left : LINES_PIECE_SIZE, &room);

        if (size == 0) {
            input_complain(input, "no memory for a long line");
            return;
        }
        got = input_read(input, room, size);
        if (got == 0) {
            return;
        }
        lines_commit(lines, got);
    }
}

/* Finishes a line that began inside a slice and ends behind it. */
static void count_overhang(struct input *input, struct line_splitter *lines)
{
    while (lines_pending(lines)) {
        char *room, *newline;
        size_t size = lines_room(lines, 4096, &room);
        size_t got = size == 0 ? 0 : input_read(input, room, size);

        if (got == 0) {
            return;
        }
        newline = memchr(room, '\n', got);
        lines_commit(lines, newline == NULL ? got : (size_t)(newline + 1 - room));
    }
}

static void count_slice_of_file(const struct unit *unit, struct input *input,
                                struct line_splitter *lines)
{
    /* The byte before the slice tells whether a line starts at its beginning. */
    input->offset = unit->offset > 0 ? unit->offset - 1 : 0;
    count_plain(input, lines, unit->offset + unit->length);
    count_overhang(input, lines);
}

static void count_file(const struct unit *unit, struct input *input, struct line_splitter *lines)
{
    unsigned char magic[2];
    size_t got = input_read(input, magic, sizeof(magic));

    input->offset = 0;
    input->read_bytes = 0;
    if (gunzip_knows(magic, got) || unit_is_named_gz(unit->path)) {
        struct inflate_choice choice;

        if (!inflate_choose(unit->job.inflate.data, unit->job.inflate.size, &choice)) {
            input_complain(input, "this worker cannot inflate with '%.*s'; it has %s",
                           (int)unit->job.inflate.size, unit->job.inflate.data, inflate_names());
            return;
        }
        gunzip_count(input, unit->length, choice, lines);
    } else {
        count_plain(input, lines, UINT64_MAX);
    }
}

void unit_count(const struct unit *unit, struct input_watch watch, struct input *input,
                struct tally *tally, struct outcome *outcome)
{
    struct line_splitter lines;

    *outcome = (struct outcome){.number = unit->number, .path = unit->path};
    if (input_open(input, unit->path.data, watch)) {
        bool is_inside = unit->kind == UNIT_SLICE && unit->offset > 0;

        if (!lines_init(&lines, tally, &unit->job, unit->number, is_inside)) {
            input_complain(input, "no memory to read it");
        } else if (unit->kind == UNIT_SLICE) {
            count_slice_of_file(unit, input, &lines);
        } else {
            count_file(unit, input, &lines);
        }
        if (!input->is_stopped) {
            lines_finish(&lines);
        }
        lines_fini(&lines);
        input_close(input);
    }
    if (tally->out_of_memory) {
        input_complain(input, "no memory for all its names: the numbers are too low");
    }
    outcome->read_bytes = input->read_bytes;
    outcome->is_stopped = input->is_stopped;
    outcome->error = (struct span){input->error, strlen(input->error)};
}

void unit_pack(struct packer *packer, const struct unit *unit)
{
    pack_number(packer, unit->number);
    pack_number(packer, (uint64_t)unit->kind);
    pack_number(packer, unit->offset);
    pack_number(packer, unit->length);
    /* With its zero byte, so that the path can be opened where it lies. */
    pack_text(packer, (struct span){unit->path.data, unit->path.size + 1});
    job_pack(packer, &unit->job);
}

bool unit_unpack(struct unpacker *unpacker, struct unit *unit)
{
    unit->number = unpack_number(unpacker);
    unit->kind = (enum unit_kind)unpack_number_up_to(unpacker, UNIT_KIND_COUNT - 1);
    unit->offset = unpack_number(unpacker);
    unit->length = unpack_number(unpacker);
    unit->path = unpack_text(unpacker);
    job_unpack(unpacker, &unit->job);
    if (unpacker->failed || unit->path.size == 0 || unit->path.data[unit->path.size - 1] != '\0') {
        return false;
    }
    unit->path.size--;
    return unit->length <= UINT64_MAX - unit->offset;
}

void outcome_pack(struct packer *packer, const struct outcome *outcome)
{
    pack_number(packer, outcome->number);
    pack_number(packer, outcome->read_bytes);
    pack_number(packer, outcome->is_stopped);
    pack_text(packer, outcome->error);
    pack_text(packer, outcome->path);
}

void outcome_unpack(struct unpacker *unpacker, struct outcome *outcome)
{
    outcome->number = unpack_number(unpacker);
    outcome->read_bytes = unpack_number(unpacker);
    outcome->is_stopped = unpack_number_up_to(unpacker, 1) != 0;
    outcome->error = unpack_text(unpacker);
    outcome->path = unpack_text(unpacker);
}
