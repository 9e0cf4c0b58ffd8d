/* SPDX-License-Identifier: MIT */
/* Taking log lines apart: fields, and what is wrong with lines that are none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "tests/harness.h"

#define AT "[10/Jul/2012:00:18:50 -0500]"

static struct log_line line;

static enum line_fault parse(const char *text)
{
    return line_parse(text, strlen(text), &line);
}

static bool is_text(struct span span, const char *text)
{
    return span.data != NULL && span_equal(span, (struct span){text, strlen(text)});
}

static void a_combined_line_gives_all_fields(void)
{
    HKT_EQ_INT(parse("192.0.2.1 - frank " AT " \"GET /a?b=c HTTP/1.1\" 404 512 \"http://x/\" "
                     "\"curl/7.1\""),
               LINE_GOOD);
    HKT_TRUE(is_text(line.host, "192.0.2.1"));
    HKT_EQ_INT(strncmp(line.time, "10/Jul/2012:00:18:50 -0500", LINE_TIME_SIZE), 0);
    HKT_TRUE(is_text(line.request, "GET /a?b=c HTTP/1.1"));
    HKT_TRUE(is_text(line_path(&line), "/a?b=c"));
    HKT_EQ_INT(line.status, 404);
    HKT_TRUE(line.has_size);
    HKT_EQ_INT(line.size_bytes, 512);
    HKT_TRUE(is_text(line_referrer(&line), "http://x/"));
    HKT_TRUE(is_text(line_agent(&line), "curl/7.1"));
}

static void a_common_line_has_no_referrer_or_agent(void)
{
    HKT_EQ_INT(parse("h - - " AT " \"GET / HTTP/1.0\" 304 -"), LINE_GOOD);
    HKT_TRUE(!line.has_size);
    HKT_TRUE(is_text(line_referrer(&line), "-"));
    HKT_TRUE(is_text(line_agent(&line), "-"));
}

static void hosts_of_all_kinds_are_taken(void)
{
    static const struct {
        const char *text, *host;
    } cases[] = {
        {"2001:db8::1 - - " AT " \"GET / HTTP/1.0\" 200 1", "2001:db8::1"},
        {"::ffff:192.0.2.3 - - " AT " \"GET / HTTP/1.0\" 200 1", "::ffff:192.0.2.3"},
        {"name.example.org - - " AT " \"GET / HTTP/1.0\" 200 1", "name.example.org"},
        {"  192.0.2.1 - - " AT " \"GET / HTTP/1.0\" 200 1", "192.0.2.1"},
        {"192.0.2.1\t-\t-\t" AT "\t\"GET\t/\tHTTP/1.0\"\t200\t1", "192.0.2.1"},
        {"192.0.2.1 - john doe " AT " \"GET / HTTP/1.0\" 200 1", "192.0.2.1"},
        {"192.0.2.1 - \"\" " AT " \"GET / HTTP/1.0\" 200 1", "192.0.2.1"},
        {"192.0.2.1 - a [b] c " AT " \"GET / HTTP/1.0\" 200 1", "192.0.2.1"},
        {"www.example.org:443 192.0.2.1 - - " AT " \"GET / HTTP/1.0\" 200 1", "192.0.2.1"},
        {"www.example.org 192.0.2.1 - frank " AT " \"GET / HTTP/1.0\" 200 1", "192.0.2.1"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        HKT_EQ_INT(parse(cases[i].text), LINE_GOOD);
        HKT_TRUE(is_text(line.host, cases[i].host));
    }
}

static void what_is_wrong_is_told_apart(void)
{
    static const struct {
        const char *text;
        enum line_fault fault;
    } cases[] = {
        {"", LINE_EMPTY},
        {"\r", LINE_EMPTY},
        {" \t ", LINE_EMPTY},
        {"too few fields", LINE_FIELDS_MISSING},
        {"h - " AT " \"GET / HTTP/1.0\" 200 1", LINE_FIELDS_MISSING},
        {"h - - [10/Jul/2012:24:00:00 -0500] \"GET / HTTP/1.0\" 200 1", LINE_BAD_TIME},
        {"h - - [10/Xyz/2012:00:00:00 -0500] \"GET / HTTP/1.0\" 200 1", LINE_BAD_TIME},
        {"h - - [10/Jul/2012:00:00:00 -0500 \"GET / HTTP/1.0\" 200 1", LINE_BAD_TIME},
        {"[error] something else", LINE_BAD_TIME},
        {"\"", LINE_BAD_TIME},
        {"h - - \"GET / HTTP/1.0\" 200 1", LINE_FIELDS_MISSING},
        {"h - - [now] \"GET / HTTP/1.0\" 200 1 " AT " \"GET / HTTP/1.0\" 200 1", LINE_BAD_TIME},
        {"h - - " AT, LINE_NO_REQUEST},
        {"h - - " AT " GET / HTTP/1.0 200 1", LINE_NO_REQUEST},
        {"h - - " AT " \"GET / HTTP/1.0 200 1", LINE_OPEN_REQUEST},
        {"h - - " AT " \"GET / HTTP/1.0\\\" 200 1", LINE_OPEN_REQUEST},
        {"h - - " AT " \"GET / HTTP/1.0\"", LINE_BAD_STATUS},
        {"h - - " AT " \"GET / HTTP/1.0\" - 1", LINE_BAD_STATUS},
        {"h - - " AT " \"GET / HTTP/1.0\" 20 1", LINE_BAD_STATUS},
        {"h - - " AT " \"GET / HTTP/1.0\" 2000 1", LINE_BAD_STATUS},
        {"h - - " AT " \"GET / HTTP/1.0\" 200", LINE_BAD_SIZE},
        {"h - - " AT " \"GET / HTTP/1.0\" 200 x", LINE_BAD_SIZE},
        {"h - - " AT " \"GET / HTTP/1.0\" 200 1x", LINE_BAD_SIZE},
        {"h - - " AT " \"GET / HTTP/1.0\" 200 -1", LINE_BAD_SIZE},
        {"h - - " AT " \"GET / HTTP/1.0\" 200 12345678901234567890", LINE_BAD_SIZE},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!HKT_EQ_INT(parse(cases[i].text), cases[i].fault)) {
            hkt_fail(HKT_SITE(false), cases[i].text);
        }
    }
}

static void the_end_of_a_request_is_found_among_quotes(void)
{
    static const struct {
        const char *text, *request;
    } cases[] = {
        {"h - - " AT " \"GET /a\\\"b HTTP/1.1\" 200 1", "GET /a\\\"b HTTP/1.1"},
        {"h - - " AT " \"GET /a\\\\\" 200 1", "GET /a\\\\"},
        {"h - - " AT " \"GET /a\"b HTTP/1.1\" 200 1", "GET /a\"b HTTP/1.1"},
        {"h - - " AT " \"GET /a\" b HTTP/1.1\" 200 1", "GET /a\" b HTTP/1.1"},
        {"h - - " AT " \"\" 400 0 \"-\" \"x\"", ""},
        {"h - - " AT " \"-\" 408 0 \"-\" \"-\"", "-"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        HKT_EQ_INT(parse(cases[i].text), LINE_GOOD);
        HKT_TRUE(is_text(line.request, cases[i].request));
    }
}

static void a_bad_status_is_not_looked_for_in_the_agent(void)
{
    HKT_EQ_INT(parse("h - - " AT " \"GET / HTTP/1.1\" - 12 \"http://x/\" 200 \"agent\""),
               LINE_BAD_STATUS);
}

static void paths_are_what_was_asked_for(void)
{
    static const struct {
        const char *request, *path; /* path NULL: the request is no HTTP request. */
    } cases[] = {
        {"GET /robots.txt HTTP/1.1", "/robots.txt"},
        {"GET /robots.txt", "/robots.txt"},
        {"GET   /robots.txt   HTTP/1.1", "/robots.txt"},
        {"get /robots.txt HTTP/1.1", "/robots.txt"},
        {"GET /robots.txt?x=1 HTTP/1.1", "/robots.txt?x=1"},
        {"GET //robots.txt HTTP/1.1", "//robots.txt"},
        {"GET http://www.example.com/robots.txt HTTP/1.1", "http://www.example.com/robots.txt"},
        {"GET /a b c HTTP/1.1", "/a b c"},
        {"GET /a b c", "/a b c"},
        {"OPTIONS * HTTP/1.1", "*"},
        {"M-SEARCH * HTTP/1.1", "*"},
        {"-", NULL},
        {"", NULL},
        {"GET", NULL},
        {"GET ", NULL},
        {"HELP me", NULL},
        {"\\x16\\x03\\x01", NULL},
        {"145.ll|'|'|Win 7", NULL},
    };
    char text[256];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span path;

        (void)snprintf(text, sizeof(text), "h - - " AT " \"%s\" 200 1", cases[i].request);
        HKT_EQ_INT(parse(text), LINE_GOOD);
        path = line_path(&line);
        HKT_TRUE(cases[i].path == NULL ? path.data == NULL : is_text(path, cases[i].path));
        HKT_EQ_INT(line_asks_for(&line, SPAN("/robots.txt")),
                   cases[i].path != NULL && strcmp(cases[i].path, "/robots.txt") == 0);
    }
}

static void any_byte_may_stand_in_a_field(void)
{
    static const char text[] = "h - - " AT " \"GET /a\0b\xff HTTP/1.1\" 200 1 \"-\" \"\xe9\0\"\r";

    HKT_EQ_INT(line_parse(text, sizeof(text) - 1, &line), LINE_GOOD);
    HKT_TRUE(span_equal(line_path(&line), SPAN("/a\0b\xff")));
    HKT_TRUE(span_equal(line_agent(&line), SPAN("\xe9\0")));
}

static void an_agent_that_is_cut_off_still_counts(void)
{
    HKT_EQ_INT(parse("h - - " AT " \"GET / HTTP/1.1\" 200 1 \"-\" \"says \\\"hi\\\" and"),
               LINE_GOOD);
    HKT_TRUE(is_text(line_agent(&line), "says \\\"hi\\\" and"));
}

/* No line may make the parser read past its end: each beginning of each of some
 * lines is parsed from a block of exactly its size, for a memory checker to see. */
static void every_beginning_of_a_line_is_parsed(void)
{
    static const char text[] = "w h - a [b " AT " \"GET /\\\"a\" b HTTP/1.1\" 200 12 \"x\" \"y\" z";

    for (size_t size = 0; size < sizeof(text); size++) {
        char *copy = malloc(size + 1);

        if (copy == NULL) {
            abort();
        }
        memmove(copy + 1, text, size);
        if (line_parse(copy + 1, size, &line) == LINE_GOOD) {
            (void)line_path(&line);
            (void)line_agent(&line);
        }
        free(copy);
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_combined_line_gives_all_fields),
    HKT_TEST(a_common_line_has_no_referrer_or_agent),
    HKT_TEST(hosts_of_all_kinds_are_taken),
    HKT_TEST(what_is_wrong_is_told_apart),
    HKT_TEST(the_end_of_a_request_is_found_among_quotes),
    HKT_TEST(a_bad_status_is_not_looked_for_in_the_agent),
    HKT_TEST(paths_are_what_was_asked_for),
    HKT_TEST(any_byte_may_stand_in_a_field),
    HKT_TEST(an_agent_that_is_cut_off_still_counts),
    HKT_TEST(every_beginning_of_a_line_is_parsed),
    CU_TEST_INFO_NULL,
};
static CU_SuiteInfo suites[] = {{.pName = "line", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
