/* SPDX-License-Identifier: MIT */
/* Log data for people and for JSON: control characters, bytes that are no UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "show.h"
#include "tests/harness.h"

static void expect_utf8(struct span text, const char *expected)
{
    size_t size = 0;
    char *utf8 = show_as_utf8(text, &size);

    HKT_TRUE_FATAL(utf8 != NULL);
    HKT_EQ_STR(utf8, expected);
    HKT_EQ_INT(size, strlen(expected));
    free(utf8);
}

static void valid_utf8_stays(void)
{
    expect_utf8(SPAN("caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80"),
                "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80");
    expect_utf8(SPAN(""), "");
}

static void other_bytes_are_read_as_latin_1(void)
{
    expect_utf8(SPAN("caf\xe9"), "caf\xc3\xa9");
    expect_utf8(SPAN("\xff\xfe"), "\xc3\xbf\xc3\xbe");
    expect_utf8(SPAN("\xc0\xaf"), "\xc3\x80\xc2\xaf");             /* Too long a form. */
    expect_utf8(SPAN("\xed\xa0\x80"), "\xc3\xad\xc2\xa0\xc2\x80"); /* A surrogate. */
    expect_utf8(SPAN("\xf4\x90\x80\x80"), "\xc3\xb4\xc2\x90\xc2\x80\xc2\x80"); /* Past the end. */
    expect_utf8(SPAN("\xe6\x97"), "\xc3\xa6\xc2\x97");                         /* Cut off. */
}

static void control_characters_never_reach_a_terminal(void)
{
    char text[64] = "";
    FILE *stream = fmemopen(text, sizeof(text), "w");

    HKT_TRUE_FATAL(stream != NULL);
    show_escaped(stream, SPAN("a\x1b[31m\0b\x7f\xc3\xa9"));
    fclose(stream);
    HKT_EQ_STR(text, "a\\x1b[31m\\x00b\\x7f\xc3\xa9");
}

static void amounts_of_bytes_are_rounded(void)
{
    char buffer[SHOW_BYTES_SIZE];

    HKT_EQ_STR(show_bytes(0, buffer), "0 bytes");
    HKT_EQ_STR(show_bytes(999, buffer), "999 bytes");
    HKT_EQ_STR(show_bytes(1234567, buffer), "1.2 MB");
    HKT_EQ_STR(show_bytes(1e15, buffer), "1.0 PB");
}

static CU_TestInfo tests[] = {
    HKT_TEST(valid_utf8_stays),
    HKT_TEST(other_bytes_are_read_as_latin_1),
    HKT_TEST(control_characters_never_reach_a_terminal),
    HKT_TEST(amounts_of_bytes_are_rounded),
    CU_TEST_INFO_NULL,
};
static CU_SuiteInfo suites[] = {{.pName = "show", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
