/* SPDX-License-Identifier: MIT */
/*
 * Odd gzip files with answers that are known without inflating them: where a file
 * is damaged, the damage stands right behind a full flush, so that all before it,
 * and nothing after it, can be read.
 */
#include <stdlib.h>
#include <string.h>

#include "odd.h"

enum { PART_LINES = 100, PART_CAPACITY = PART_LINES * REQUEST_LINE_SIZE };

struct bytes {
    unsigned char data[PART_CAPACITY];
    size_t size;
};

/* The pieces that the files are put together from. */
struct pieces {
    struct bytes text;    /* PART_LINES lines. */
    struct bytes flushed; /* Deflate data of the text, flushed but not ended. */
    struct bytes whole;   /* A whole gzip member of the text. */
};

static void append(struct bytes *bytes, const void *data, size_t size)
{
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

/* Compresses the text; flush is Z_FULL_FLUSH or Z_FINISH. */
static bool compress_text(const struct bytes *text, struct bytes *out, int window_bits, int flush)
{
    z_stream stream = {.next_in = text->data, .avail_in = (uInt)text->size};
    int result;

    if (deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    stream.next_out = out->data;
    stream.avail_out = sizeof(out->data);
    result = deflate(&stream, flush);
    out->size = sizeof(out->data) - stream.avail_out;
    deflateEnd(&stream);
    return result == (flush == Z_FINISH ? Z_STREAM_END : Z_OK);
}

static bool make_pieces(struct pieces *pieces, struct random *random, time_t *clock)
{
    for (int i = 0; i < PART_LINES; i++) {
        char line[REQUEST_LINE_SIZE];
        struct request request;

        request_make(&request, random, clock);
        append(&pieces->text, line, request_write(&request, true, line));
        append(&pieces->text, "\n", 1);
    }
    return compress_text(&pieces->text, &pieces->flushed, -MAX_WBITS, Z_FULL_FLUSH) &&
           compress_text(&pieces->text, &pieces->whole, MAX_WBITS + 16, Z_FINISH);
}

struct odd_writer {
    const char *folder;
    FILE *expected;
};

/* Writes one file of up to three parts and the line about it. */
static bool write_file(const struct odd_writer *writer, const char *name, int lines, bool is_error,
                       const struct bytes *parts, size_t part_count)
{
    FILE *file = files_create(writer->folder, name);

    for (size_t i = 0; i < part_count && file != NULL; i++) {
        fwrite(parts[i].data, 1, parts[i].size, file);
    }
    fprintf(writer->expected, "%s,%d,%d\n", name, lines, is_error);
    return files_close(file, writer->folder, name);
}

static const unsigned char plain_header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};

/* Files that are whole. */
static bool write_good(const struct odd_writer *writer, const struct pieces *pieces,
                       struct bytes *parts)
{
    unsigned char header[] = {0x1f, 0x8b, 8,   2 + 4 + 8 + 16,
                              0,    0,    0,   0,
                              0,    3,    2,   0,
                              'x',  'y', /* An extra field of two bytes. */
                              'n',  0,    'c', 0 /* A name and a comment. */};
    uint32_t crc = (uint32_t)crc32(0, header, sizeof(header));
    unsigned char header_crc[2] = {(unsigned char)crc, (unsigned char)(crc >> 8)};
    bool is_fine = write_file(writer, "whole.log.gz", PART_LINES, false, &pieces->whole, 1);

    memcpy(&parts[0], &pieces->whole, sizeof(parts[0]));
    memcpy(&parts[1], &pieces->whole, sizeof(parts[1]));
    memcpy(&parts[2], &pieces->whole, sizeof(parts[2]));
    is_fine = write_file(writer, "multi-member.log.gz", 3 * PART_LINES, false, parts, 3) && is_fine;
    memset(parts[1].data, 0, 512);
    parts[1].size = 512;
    is_fine = write_file(writer, "zero-padded.log.gz", PART_LINES, false, parts, 2) && is_fine;
    /* The same member behind a header with all optional fields. */
    parts[0].size = 0;
    append(&parts[0], header, sizeof(header));
    append(&parts[0], header_crc, 2);
    append(&parts[0], pieces->whole.data + 10, pieces->whole.size - 10);
    is_fine = write_file(writer, "full-header.log.gz", PART_LINES, false, parts, 1) && is_fine;
    /* A gzip file is known by its first bytes too. */
    is_fine = write_file(writer, "gzip-without-name.log", PART_LINES, false, &pieces->whole, 1) &&
              is_fine;
    is_fine = write_file(writer, "plain.log", PART_LINES, false, &pieces->text, 1) && is_fine;
    return write_file(writer, "empty.log", 0, false, NULL, 0) && is_fine;
}

/* Files of which one clear error is due. */
static bool write_bad(const struct odd_writer *writer, const struct pieces *pieces,
                      struct bytes *parts)
{
    static const char garbage[] = "this is not a member";
    bool is_fine = write_file(writer, "zero-bytes.log.gz", 0, true, NULL, 0);

    is_fine = write_file(writer, "not-gzip.log.gz", 0, true, &pieces->text, 1) && is_fine;
    memcpy(&parts[0], &pieces->whole, sizeof(parts[0]));
    parts[0].size -= 8;
    is_fine = write_file(writer, "no-trailer.log.gz", PART_LINES, true, parts, 1) && is_fine;
    parts[0].size += 8;
    parts[0].data[parts[0].size - 8] ^= 1;
    is_fine = write_file(writer, "bad-crc.log.gz", PART_LINES, true, parts, 1) && is_fine;
    parts[0].data[parts[0].size - 8] ^= 1;
    parts[0].data[parts[0].size - 1] ^= 1;
    is_fine = write_file(writer, "bad-length.log.gz", PART_LINES, true, parts, 1) && is_fine;
    parts[0].data[parts[0].size - 1] ^= 1;
    append(&parts[0], garbage, sizeof(garbage) - 1);
    is_fine = write_file(writer, "trailing-garbage.log.gz", PART_LINES, true, parts, 1) && is_fine;
    parts[0].size = 0;
    append(&parts[0], plain_header, sizeof(plain_header));
    append(&parts[0], pieces->flushed.data, pieces->flushed.size);
    is_fine = write_file(writer, "truncated.log.gz", PART_LINES, true, parts, 1) && is_fine;
    /* A block of the type that does not exist. */
    append(&parts[0], "\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07", 12);
    is_fine = write_file(writer, "bad-body.log.gz", PART_LINES, true, parts, 1) && is_fine;
    parts[0].size = 5;
    return write_file(writer, "bad-header.log.gz", 0, true, parts, 1) && is_fine;
}

bool odd_files(const char *folder_above, const char *folder, struct random *random, time_t *clock)
{
    struct odd_writer writer = {.folder = folder};
    struct pieces *pieces = calloc(1, sizeof(*pieces));
    struct bytes *parts = calloc(3, sizeof(*parts));
    bool is_fine = false;

    if (pieces == NULL || parts == NULL || !make_pieces(pieces, random, clock)) {
        fprintf(stderr, "hocket-logs-sample: no memory for the odd files\n");
    } else {
        writer.expected = files_create(folder_above, "expected-odd.csv");
        if (writer.expected != NULL) {
            fputs("file,lines,error\n", writer.expected);
            is_fine = write_good(&writer, pieces, parts);
            is_fine = write_bad(&writer, pieces, parts) && is_fine;
            is_fine = files_close(writer.expected, folder_above, "expected-odd.csv") && is_fine;
        }
    }
    free(pieces);
    free(parts);
    return is_fine;
}
