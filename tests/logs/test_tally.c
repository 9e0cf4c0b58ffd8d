/* SPDX-License-Identifier: MIT */
/* Tallies and the tables of names in them: counting, travelling, adding up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tally.h"
#include "tests/harness.h"

#define LINE(host, path, status, size)                                                             \
    host " - - [10/Jul/2012:00:18:50 -0500] \"GET " path " HTTP/1.1\" " status " " size "\n"

static struct tally tally, sum;
static struct job job;

static void set_up(void)
{
    tally_init(&tally);
    tally_init(&sum);
    job = (struct job){.report = REPORT_TOP_HOSTS};
}

static void tear_down(void)
{
    tally_fini(&tally);
    tally_fini(&sum);
}

static void count(const char *text, uint64_t unit)
{
    tally_lines(&tally, &job, unit, text, strlen(text));
}

static uint64_t count_of(const struct tally *of, const char *name)
{
    return names_get(&of->names, (struct span){name, strlen(name)});
}

/* Packs the tally into bytes of exactly its size, to be freed by the caller. */
static unsigned char *pack(size_t *size)
{
    struct packer packer = {.data = NULL};
    unsigned char *bytes;

    tally_pack(&packer, &tally);
    *size = packer.used;
    bytes = malloc(packer.used);
    HKT_TRUE_FATAL(bytes != NULL);
    packer = (struct packer){bytes, *size, 0};
    tally_pack(&packer, &tally);
    HKT_EQ_INT_FATAL(packer.used, *size);
    return bytes;
}

static void names_are_counted(void)
{
    char name[32];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5000; i++) {
            struct span span = {name, (size_t)snprintf(name, sizeof(name), "name %d", i)};

            HKT_TRUE_FATAL(names_add(&tally.names, span, (uint64_t)i));
        }
    }
    HKT_EQ_INT(tally.names.used, 5000);
    HKT_EQ_INT(count_of(&tally, "name 0"), 0);
    HKT_EQ_INT(count_of(&tally, "name 4999"), 3 * 4999);
    HKT_EQ_INT(count_of(&tally, "name 5000"), 0);
}

static void names_may_be_empty_or_long_or_have_zero_bytes(void)
{
    size_t size = (size_t)3 << 20;
    char *text = calloc(1, size);

    HKT_TRUE_FATAL(text != NULL);
    HKT_TRUE(names_add(&tally.names, SPAN(""), 2));
    HKT_TRUE(names_add(&tally.names, SPAN("\0"), 3));
    HKT_TRUE(names_add(&tally.names, SPAN("\0\0"), 4));
    HKT_TRUE(names_add(&tally.names, (struct span){text, size}, 5));
    HKT_EQ_INT(names_get(&tally.names, SPAN("")), 2);
    HKT_EQ_INT(names_get(&tally.names, SPAN("\0")), 3);
    HKT_EQ_INT(names_get(&tally.names, SPAN("\0\0")), 4);
    HKT_EQ_INT(names_get(&tally.names, (struct span){text, size}), 5);
    free(text);
}

static void each_report_counts_its_own(void)
{
    static const char text[] = LINE("a", "/x", "200", "5") LINE("b", "/robots.txt", "404", "-")
        LINE("a", "/x", "200", "7");

    job.report = REPORT_ROBOTS;
    count(text, 0);
    HKT_EQ_INT(tally.names.used, 1);
    HKT_EQ_INT(count_of(&tally, "b"), 1);
    tear_down();
    set_up();
    count(text, 0);
    HKT_EQ_INT(count_of(&tally, "a"), 2);
    tear_down();
    set_up();
    job.report = REPORT_TOP_PATHS;
    count(text, 0);
    HKT_EQ_INT(count_of(&tally, "/x"), 2);
    tear_down();
    set_up();
    job.report = REPORT_STATUS;
    count(text, 0);
    HKT_EQ_INT(tally.status[200], 2);
    HKT_EQ_INT(tally.status[404], 1);
    tear_down();
    set_up();
    job.report = REPORT_BYTES;
    count(text, 0);
    HKT_EQ_INT(tally.bytes_sum, 12);
    HKT_EQ_INT(tally.bytes_most, 7);
    HKT_EQ_INT(tally.bytes_given, 2);
    tear_down();
    set_up();
    job.report = REPORT_HOURLY;
    count(text, 0);
    HKT_EQ_INT(count_of(&tally, "2012-07-10T00"), 3);
}

static void malformed_lines_are_counted_beside_the_good_ones(void)
{
    count("bad one\n" LINE("a", "/", "200", "1") "bad two\n\n", 3);
    HKT_EQ_INT(tally.lines, 4);
    HKT_EQ_INT(tally.requests, 1);
    HKT_EQ_INT(tally.malformed[LINE_FIELDS_MISSING].count, 2);
    HKT_EQ_INT(tally.malformed[LINE_EMPTY].count, 1);
    HKT_EQ_INT(strncmp(tally.malformed[LINE_FIELDS_MISSING].example, "bad one", 7), 0);
}

/* Adds the tally to the sum by way of bytes, and begins a new one. */
static void send(void)
{
    size_t size;
    unsigned char *bytes = pack(&size);
    struct unpacker unpacker = {bytes, size, false};

    tally_merge_packed(&unpacker, &sum);
    HKT_TRUE(!unpacker.failed);
    HKT_EQ_INT(unpacker.left, 0);
    free(bytes);
    tally_fini(&tally);
    tally_init(&tally);
}

static void parts_add_up_in_any_order(void)
{
    count("later\n" LINE("a", "/", "200", "1") LINE("b", "/", "200", "1"), 7);
    tally.status[503] = 2;
    tally.bytes_most = 5;
    send();
    count("earlier\n" LINE("a", "/", "200", "1"), 2);
    tally.status[503] = 1;
    tally.bytes_most = 9;
    send();
    HKT_EQ_INT(sum.lines, 5);
    HKT_EQ_INT(sum.requests, 3);
    HKT_EQ_INT(count_of(&sum, "a"), 2);
    HKT_EQ_INT(count_of(&sum, "b"), 1);
    HKT_EQ_INT(sum.status[503], 3);
    HKT_EQ_INT(sum.bytes_most, 9);
    HKT_EQ_INT(sum.malformed[LINE_FIELDS_MISSING].count, 2);
    HKT_EQ_INT(strncmp(sum.malformed[LINE_FIELDS_MISSING].example, "earlier", 7), 0);
}

static void cut_or_wild_bytes_are_refused(void)
{
    size_t size;
    unsigned char *bytes;

    count("bad\n" LINE("a", "/", "200", "1"), 0);
    tally.status[200] = 1;
    bytes = pack(&size);
    for (size_t cut = 0; cut < size; cut++) {
        /* A block of exactly this size, for a memory checker to see. */
        unsigned char *copy = malloc(cut + 1);
        struct unpacker unpacker;

        if (copy == NULL) {
            abort();
        }
        memcpy(copy + 1, bytes, cut);
        unpacker = (struct unpacker){copy + 1, cut, false};
        tally_merge_packed(&unpacker, &sum);
        HKT_TRUE(unpacker.failed);
        free(copy);
    }
    for (size_t i = 0; i < size; i++) {
        struct unpacker unpacker = {bytes, size, false};

        /* Refused or not: it only has to end without a fault. */
        bytes[i] ^= 0xff;
        tally_merge_packed(&unpacker, &sum);
        bytes[i] ^= 0xff;
    }
    free(bytes);
}

static CU_TestInfo tests[] = {
    HKT_TEST(names_are_counted),
    HKT_TEST(names_may_be_empty_or_long_or_have_zero_bytes),
    HKT_TEST(each_report_counts_its_own),
    HKT_TEST(malformed_lines_are_counted_beside_the_good_ones),
    HKT_TEST(parts_add_up_in_any_order),
    HKT_TEST(cut_or_wild_bytes_are_refused),
    CU_TEST_INFO_NULL,
};
static CU_SuiteInfo suites[] = {
    {.pName = "tally", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
