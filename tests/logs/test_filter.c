/* SPDX-License-Identifier: MIT */
/* Filters: what they accept as text, and which lines they let through. */
#include <stdio.h>
#include <string.h>

#include "filter.h"
#include "tests/harness.h"
#include "when.h"

static struct filter_set set;

static bool parse(const char *text)
{
    const char *why = NULL;
    bool is_fine = filter_parse(&set, text, &why);

    HKT_TRUE(is_fine || why != NULL);
    return is_fine;
}

/* Whether one filter lets a line of this time, status and path through. */
static bool lets_through(const char *time, const char *status, const char *path)
{
    char text[256];
    struct log_line line;
    int size =
        snprintf(text, sizeof(text), "h - - [%s] \"GET %s HTTP/1.1\" %s 1", time, path, status);

    HKT_EQ_INT_FATAL(line_parse(text, (size_t)size, &line), LINE_GOOD);
    return filter_matches(&set, &line);
}

static void set_up(void)
{
    set = (struct filter_set){.count = 0};
}

static void an_empty_set_lets_all_through(void)
{
    HKT_TRUE(lets_through("17/May/2015:10:05:03 +0000", "200", "/"));
}

static void a_range_includes_its_beginning_only(void)
{
    HKT_TRUE(parse("time=2015-05-17T00:00:00..2015-05-18"));
    HKT_TRUE(!lets_through("16/May/2015:23:59:59 +0000", "200", "/"));
    HKT_TRUE(lets_through("17/May/2015:00:00:00 +0000", "200", "/"));
    HKT_TRUE(lets_through("17/May/2015:23:59:59 +0000", "200", "/"));
    HKT_TRUE(!lets_through("18/May/2015:00:00:00 +0000", "200", "/"));
}

static void either_end_of_a_range_may_be_open(void)
{
    HKT_TRUE(parse("time=2015-05-17T10.."));
    HKT_TRUE(!lets_through("17/May/2015:09:59:59 +0000", "200", "/"));
    HKT_TRUE(lets_through("17/May/2035:00:00:00 +0000", "200", "/"));
    set_up();
    HKT_TRUE(parse("time=..2015-05-17T10:30"));
    HKT_TRUE(lets_through("17/May/2015:10:29:59 +0000", "200", "/"));
    HKT_TRUE(!lets_through("17/May/2015:10:30:00 +0000", "200", "/"));
}

static void one_moment_means_all_of_it(void)
{
    HKT_TRUE(parse("time=2016-02-29"));
    HKT_TRUE(lets_through("29/Feb/2016:23:59:59 +0000", "200", "/"));
    HKT_TRUE(!lets_through("01/Mar/2016:00:00:00 +0000", "200", "/"));
    set_up();
    HKT_TRUE(parse("time=2016-02-29T12:30"));
    HKT_TRUE(lets_through("29/Feb/2016:12:30:59 +0000", "200", "/"));
    HKT_TRUE(!lets_through("29/Feb/2016:12:31:00 +0000", "200", "/"));
}

static void a_zone_makes_the_comparison_in_utc(void)
{
    HKT_TRUE(parse("time=2015-05-17T10:00+02:00..2015-05-17T09:00Z"));
    HKT_TRUE(!lets_through("17/May/2015:03:59:59 -0400", "200", "/"));
    HKT_TRUE(lets_through("17/May/2015:04:00:00 -0400", "200", "/"));
    HKT_TRUE(lets_through("17/May/2015:14:29:59 +0530", "200", "/"));
    HKT_TRUE(!lets_through("17/May/2015:09:00:00 +0000", "200", "/"));
}

static void statuses_match_one_or_a_hundred(void)
{
    HKT_TRUE(parse("status=404"));
    HKT_TRUE(lets_through("17/May/2015:10:00:00 +0000", "404", "/"));
    HKT_TRUE(!lets_through("17/May/2015:10:00:00 +0000", "405", "/"));
    HKT_TRUE(parse("status=5xx"));
    HKT_TRUE(lets_through("17/May/2015:10:00:00 +0000", "500", "/"));
    HKT_TRUE(lets_through("17/May/2015:10:00:00 +0000", "599", "/"));
    HKT_TRUE(lets_through("17/May/2015:10:00:00 +0000", "404", "/"));
    HKT_TRUE(!lets_through("17/May/2015:10:00:00 +0000", "600", "/"));
}

static void kinds_must_all_match(void)
{
    HKT_TRUE(parse("path=/blog/"));
    HKT_TRUE(parse("path=/wiki"));
    HKT_TRUE(parse("status=200"));
    HKT_TRUE(lets_through("17/May/2015:10:00:00 +0000", "200", "/blog/a"));
    HKT_TRUE(lets_through("17/May/2015:10:00:00 +0000", "200", "/wiki"));
    HKT_TRUE(!lets_through("17/May/2015:10:00:00 +0000", "200", "/blog"));
    HKT_TRUE(!lets_through("17/May/2015:10:00:00 +0000", "404", "/blog/a"));
}

static void nonsense_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "time=",
        "time=..",
        "time=2015",
        "status=",
        "time=2015-02-29",
        "time=2015-13-01",
        "time=2015-05-17T24",
        "status=4x",
        "status=x04",
        "status=4x4",
        "status=4044",
        "path=",
        "color=red",
        "time=2015-05-17T10:05:03+",
        "2015-05-17",
        "time=2015-05-17x",
        "time=2015-05-17..x",
        "status=404 ",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!HKT_TRUE(!parse(texts[i]))) {
            hkt_fail(HKT_SITE(false), texts[i]);
        }
    }
    HKT_EQ_INT(set.count, 0);
}

static void a_set_has_an_end(void)
{
    for (int i = 0; i < FILTER_COUNT_MAX; i++) {
        HKT_TRUE(parse("status=404"));
    }
    HKT_TRUE(!parse("status=404"));
}

static void a_set_survives_the_journey(void)
{
    unsigned char bytes[1024];
    struct packer packer = {bytes, sizeof(bytes), 0};
    struct unpacker unpacker;

    HKT_TRUE(parse("time=2015-05-17T10Z.."));
    HKT_TRUE(parse("status=4xx"));
    HKT_TRUE(parse("path=/blog/"));
    filter_pack(&packer, &set);
    unpacker = (struct unpacker){bytes, packer.used, false};
    filter_unpack(&unpacker, &set);
    HKT_TRUE(!unpacker.failed);
    HKT_EQ_INT(unpacker.left, 0);
    HKT_TRUE(lets_through("17/May/2015:12:00:00 +0200", "404", "/blog/x"));
    HKT_TRUE(!lets_through("17/May/2015:11:59:59 +0200", "404", "/blog/x"));
    HKT_TRUE(!lets_through("17/May/2015:12:00:00 +0200", "200", "/blog/x"));
    for (size_t size = 0; size < packer.used; size++) {
        unpacker = (struct unpacker){bytes, size, false};
        filter_unpack(&unpacker, &set);
        HKT_TRUE(unpacker.failed);
    }
}

static void hours_are_written_to_sort_by_time(void)
{
    char hour[WHEN_HOUR_SIZE + 1] = "";

    when_hour_of_line("01/Dec/2015:09:05:03 +0000", hour);
    HKT_EQ_STR(hour, "2015-12-01T09");
}

static void times_are_seconds_since_1970(void)
{
    HKT_EQ_INT(when_of_line("01/Jan/1970:00:00:00 +0000"), 0);
    HKT_EQ_INT(when_of_line("29/Feb/2000:12:00:01 -0500"), 951825601);
    HKT_EQ_INT(when_zone_of_line("29/Feb/2000:12:00:01 -0530"), -19800);
    HKT_EQ_INT(when_of_line("31/Dec/2037:23:59:59 +0000"), 2145916799);
}

static CU_TestInfo tests[] = {
    HKT_TEST(an_empty_set_lets_all_through),
    HKT_TEST(a_range_includes_its_beginning_only),
    HKT_TEST(either_end_of_a_range_may_be_open),
    HKT_TEST(one_moment_means_all_of_it),
    HKT_TEST(a_zone_makes_the_comparison_in_utc),
    HKT_TEST(statuses_match_one_or_a_hundred),
    HKT_TEST(kinds_must_all_match),
    HKT_TEST(nonsense_is_refused),
    HKT_TEST(a_set_has_an_end),
    HKT_TEST(a_set_survives_the_journey),
    HKT_TEST(hours_are_written_to_sort_by_time),
    HKT_TEST(times_are_seconds_since_1970),
    CU_TEST_INFO_NULL,
};
static CU_SuiteInfo suites[] = {{.pName = "filter", .pSetUpFunc = set_up, .pTests = tests},
                                CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
