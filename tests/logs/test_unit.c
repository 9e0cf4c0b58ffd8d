/* SPDX-License-Identifier: MIT */
/*
 * Units of work over real files: slices that own exactly their lines, gzip files
 * whole and damaged, with every inflate library of this build.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "inflate.h"
#include "lines.h"
#include "tests/harness.h"
#include "unit.h"

#define LINE(host) host " - - [10/Jul/2012:00:18:50 -0500] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\"\n"

static char path[64];
static struct tally tally;
static struct input input;
static struct outcome outcome;
static struct unit unit;
static size_t stop_after; /* Bytes of input; 0: never. */

static bool should_stop(void *arg, size_t bytes_read)
{
    size_t *seen = arg;

    *seen += bytes_read;
    return stop_after > 0 && *seen >= stop_after;
}

static void write_file(const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    HKT_TRUE_FATAL(fd >= 0);
    HKT_EQ_INT_FATAL(write(fd, bytes, size), size);
    close(fd);
}

/* Counts the unit anew. */
static void count(void)
{
    size_t seen = 0;

    tally_fini(&tally);
    tally_init(&tally);
    unit_count(&unit, (struct input_watch){should_stop, &seen}, &input, &tally, &outcome);
}

static void set_up(void)
{
    int fd;

    (void)snprintf(path, sizeof(path), "/tmp/hocket_logs_test_XXXXXX");
    fd = mkstemp(path);
    HKT_TRUE_FATAL(fd >= 0);
    close(fd);
    tally_init(&tally);
    stop_after = 0;
    unit = (struct unit){.path = {path, strlen(path)}};
    unit.job.report = REPORT_TOP_HOSTS;
    unit.job.inflate = SPAN("auto");
}

static void tear_down(void)
{
    tally_fini(&tally);
    unlink(path);
}

static void a_plain_file_is_counted(void)
{
    static const char text[] = LINE("a") LINE("b") "a - - no newline";

    write_file(text, sizeof(text) - 1);
    count();
    HKT_EQ_INT(outcome.error.size, 0);
    HKT_EQ_INT(outcome.read_bytes, sizeof(text) - 1);
    HKT_EQ_INT(tally.lines, 3);
    HKT_EQ_INT(tally.requests, 2);
}

static void an_empty_file_has_no_lines(void)
{
    count();
    HKT_EQ_INT(outcome.error.size, 0);
    HKT_EQ_INT(tally.lines, 0);
}

static void a_missing_file_is_one_error(void)
{
    unlink(path);
    count();
    HKT_TRUE(outcome.error.size > 0);
    HKT_EQ_INT(tally.lines, 0);
}

/* Every size of slice gives every line exactly once. */
static void slices_share_the_lines_of_a_file(void)
{
    static const char text[] = LINE("a") "\n" LINE("bb") "x\n\n" LINE("ccc") LINE("a") "tail";
    const uint64_t size = sizeof(text) - 1;

    write_file(text, (size_t)size);
    unit.kind = UNIT_SLICE;
    for (uint64_t slice = 1; slice <= size; slice++) {
        uint64_t lines = 0, requests = 0, hosts = 0;

        for (uint64_t offset = 0; offset < size; offset += slice) {
            unit.offset = offset;
            unit.length = size - offset < slice ? size - offset : slice;
            count();
            lines += tally.lines;
            requests += tally.requests;
            hosts += names_get(&tally.names, SPAN("a"));
        }
        HKT_EQ_INT(lines, 8);
        HKT_EQ_INT(requests, 4);
        HKT_EQ_INT(hosts, 2);
    }
}

/* Lines around the limits of a piece and of a line. */
static void long_lines_are_counted_or_said_to_be_too_long(void)
{
    static const char head[] =
        "h - - [10/Jul/2012:00:18:50 -0500] \"GET / HTTP/1.1\" 200 5 \"-\" \"";
    static const size_t sizes[] = {
        65536,
        LINES_PIECE_SIZE - 1,
        LINES_PIECE_SIZE,
        LINES_PIECE_SIZE + 1,
        3 * LINES_PIECE_SIZE,
        LINE_SIZE_MAX - 1,
        LINE_SIZE_MAX,
        LINE_SIZE_MAX + 1,
        2 * LINE_SIZE_MAX,
    };
    char *text = malloc(2 * LINE_SIZE_MAX + 1024);

    if (text == NULL) {
        abort();
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        bool is_long = size > LINE_SIZE_MAX;

        memset(text, 'x', size);
        memcpy(text, head, sizeof(head) - 1);
        text[size - 1] = '"';
        text[size] = '\n';
        memcpy(text + size + 1, LINE("after"), sizeof(LINE("after")) - 1);
        write_file(text, size + sizeof(LINE("after")));
        count();
        HKT_EQ_INT(tally.lines, 2);
        HKT_EQ_INT(tally.malformed[LINE_TOO_LONG].count, is_long);
        HKT_EQ_INT(names_get(&tally.names, SPAN("h")), !is_long);
        HKT_EQ_INT(names_get(&tally.names, SPAN("after")), 1);
    }
    free(text);
}

/* --- gzip ------------------------------------------------------------------- */

enum { TEXT_LINES = 300, GZIP_CAPACITY = 1 << 16 };

static const char *const libraries[] = {"zlib", "isal", "libdeflate", "auto"};

/* Makes a gzip member of TEXT_LINES lines. Gives its size. */
static size_t make_member(unsigned char *out, int lines)
{
    z_stream stream = {.avail_out = GZIP_CAPACITY};
    size_t size;

    stream.next_out = out;
    HKT_EQ_INT_FATAL(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0), Z_OK);
    for (int i = 0; i < lines; i++) {
        char line[256];

        stream.next_in = (unsigned char *)line;
        stream.avail_in = (uInt)snprintf(line, sizeof(line), LINE("host-%d"), i * i % 97);
        HKT_EQ_INT_FATAL(deflate(&stream, Z_NO_FLUSH), Z_OK);
    }
    HKT_EQ_INT_FATAL(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size = GZIP_CAPACITY - stream.avail_out;
    deflateEnd(&stream);
    return size;
}

/* Selects a library; false: this build does not have it. */
static bool use(const char *library)
{
    struct inflate_choice choice;

    unit.job.inflate = (struct span){library, strlen(library)};
    return inflate_choose(library, strlen(library), &choice);
}

static void gzip_is_known_by_its_first_bytes(void)
{
    unsigned char bytes[GZIP_CAPACITY];
    size_t size = make_member(bytes, TEXT_LINES);

    write_file(bytes, size);
    unit.length = size;
    for (size_t i = 0; i < 4; i++) {
        if (use(libraries[i])) {
            count();
            HKT_EQ_INT(outcome.error.size, 0);
            HKT_EQ_INT(tally.requests, TEXT_LINES);
        }
    }
}

/* Many small members, so that every library has to give back what it read too far. */
static void members_follow_one_another(void)
{
    static unsigned char all[400 * 300];
    unsigned char bytes[GZIP_CAPACITY];
    size_t size = 0;

    for (int i = 0; i < 400; i++) {
        size_t member = make_member(bytes, i % 7);

        memcpy(all + size, bytes, member);
        size += member;
    }
    write_file(all, size);
    unit.length = size;
    for (size_t i = 0; i < 4; i++) {
        if (use(libraries[i])) {
            count();
            HKT_EQ_INT(outcome.error.size, 0);
            HKT_EQ_INT(tally.requests, 57 * 21); /* 400 is 57 times 7 and 1. */
        }
    }
}

/* Whatever is cut off or flipped: every library gives what zlib gives, and one error
 * exactly when zlib does. */
static void expect_the_same_from_all(const char *what, size_t place)
{
    uint64_t lines, requests, host;
    bool has_error;

    HKT_TRUE_FATAL(use("zlib"));
    count();
    lines = tally.lines;
    requests = tally.requests;
    host = names_get(&tally.names, SPAN("host-1"));
    has_error = outcome.error.size > 0;
    for (size_t i = 1; i < 4; i++) {
        if (use(libraries[i])) {
            count();
            if (tally.lines != lines || tally.requests != requests ||
                names_get(&tally.names, SPAN("host-1")) != host ||
                (outcome.error.size > 0) != has_error) {
                fprintf(stderr, "%s, %s at %zu\n", libraries[i], what, place);
                hkt_fail(HKT_SITE(false), "another answer than zlib's");
            }
        }
    }
}

static void a_cut_at_any_byte_leaves_what_came_before(void)
{
    unsigned char bytes[GZIP_CAPACITY];
    size_t size = make_member(bytes, TEXT_LINES);

    for (size_t cut = 2; cut < size; cut++) {
        write_file(bytes, cut);
        unit.length = cut;
        expect_the_same_from_all("cut", cut);
        HKT_TRUE(outcome.error.size > 0);
    }
}

static void a_flipped_bit_anywhere_gives_the_same_everywhere(void)
{
    unsigned char bytes[GZIP_CAPACITY];
    size_t size = make_member(bytes, TEXT_LINES);

    unit.length = size;
    for (size_t i = 2; i < size; i++) {
        bytes[i] ^= (unsigned char)(1 << i % 8);
        write_file(bytes, size);
        expect_the_same_from_all("flip", i);
        bytes[i] ^= (unsigned char)(1 << i % 8);
    }
}

static void a_stop_ends_the_reading_without_an_error(void)
{
    unsigned char bytes[GZIP_CAPACITY];
    size_t size = make_member(bytes, TEXT_LINES);

    write_file(bytes, size);
    unit.length = size;
    stop_after = 1;
    count();
    HKT_TRUE(outcome.is_stopped);
    HKT_EQ_INT(outcome.error.size, 0);
    HKT_TRUE(tally.requests < TEXT_LINES);
}

static void a_unit_survives_the_journey(void)
{
    unsigned char bytes[512];
    struct packer packer = {bytes, sizeof(bytes), 0};
    struct unit back;

    unit.number = 7;
    unit.kind = UNIT_SLICE;
    unit.offset = 100;
    unit.length = 200;
    unit_pack(&packer, &unit);
    HKT_TRUE_FATAL(packer.used <= sizeof(bytes));
    for (size_t size = 0; size <= packer.used; size++) {
        struct unpacker unpacker = {bytes, size, false};

        HKT_EQ_INT(unit_unpack(&unpacker, &back), size == packer.used);
    }
    HKT_EQ_INT(back.number, 7);
    HKT_EQ_INT(back.offset, 100);
    HKT_EQ_INT(back.length, 200);
    HKT_EQ_STR(back.path.data, path);
    HKT_EQ_INT(back.job.report, REPORT_TOP_HOSTS);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_plain_file_is_counted),
    HKT_TEST(an_empty_file_has_no_lines),
    HKT_TEST(a_missing_file_is_one_error),
    HKT_TEST(slices_share_the_lines_of_a_file),
    HKT_TEST(long_lines_are_counted_or_said_to_be_too_long),
    HKT_TEST(gzip_is_known_by_its_first_bytes),
    HKT_TEST(members_follow_one_another),
    HKT_TEST(a_cut_at_any_byte_leaves_what_came_before),
    HKT_TEST(a_flipped_bit_anywhere_gives_the_same_everywhere),
    HKT_TEST(a_stop_ends_the_reading_without_an_error),
    HKT_TEST(a_unit_survives_the_journey),
    CU_TEST_INFO_NULL,
};
static CU_SuiteInfo suites[] = {
    {.pName = "unit", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
