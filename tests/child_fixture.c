/* SPDX-License-Identifier: MIT */
#include "tests/child_fixture.h"

#include <stdio.h>
#include <unistd.h>

enum { WRONG = 3 };

void hkt_child_is_wrong(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: not so in the child: %s\n", file, line, text);
    fflush(NULL);
    _exit(WRONG);
}

void hkt_expect_child_output(void (*fn)(void *arg), void *arg, const char *output)
{
    struct hkt_child child;

    hkt_run_in_child(fn, arg, &child);
    HKT_EQ_STR(child.output, output);
    HKT_EQ_INT(child.exit_status, 0);
    HKT_EQ_INT(child.term_signal, 0);
}

void hkt_expect_good_child(void (*fn)(void *arg), void *arg)
{
    hkt_expect_child_output(fn, arg, "");
}
