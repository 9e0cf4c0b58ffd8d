/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "odd.h"

enum { LONG_LINE_SIZE = 200000, TOO_LONG_LINE_SIZE = (1 << 20) + 1000 };

void odd_line(struct log_file *log, struct random *random, struct expected *expected)
{
    static const char *const lines[] = {
        "",
        "   \t ",
        "too few fields",
        "192.0.2.1 - [29/Feb/2024:10:00:00 +0100] \"GET /robots.txt HTTP/1.1\" 200 1",
        "192.0.2.1 - - [30/Foo/2024:10:00:00 +0100] \"GET /robots.txt HTTP/1.1\" 200 1",
        "192.0.2.1 - - [29/Feb/2024:25:00:00 +0100] \"GET /robots.txt HTTP/1.1\" 200 1",
        "192.0.2.1 - - [29/Feb/2024:10:00:00 +0100] GET /robots.txt HTTP/1.1 200 1",
        "192.0.2.1 - - [29/Feb/2024:10:00:00 +0100] \"GET /robots.txt HTTP/1.1 200 1",
        "192.0.2.1 - - [29/Feb/2024:10:00:00 +0100] \"GET /robots.txt HTTP/1.1\" - 1",
        "192.0.2.1 - - [29/Feb/2024:10:00:00 +0100] \"GET /robots.txt HTTP/1.1\" 200",
        "192.0.2.1 - - [29/Feb/2024:10:00:00 +0100] \"GET /robots.txt HTTP/1.1\" 200 1x",
        "[Thu Feb 29 10:00:00 2024] [error] [client 192.0.2.1] File does not exist",
    };
    const char *line;

    if (!random_percent(random, 3)) {
        return;
    }
    line = lines[random_below(random, sizeof(lines) / sizeof(lines[0]))];
    log_file_write(log, line, strlen(line));
    log_file_write(log, "\n", 1);
    expected->lines++;
    expected->malformed++;
}

bool odd_long_lines(struct log_file *log, struct random *random, time_t *clock,
                    struct expected *expected)
{
    char line[REQUEST_LINE_SIZE];
    char *filler = malloc(TOO_LONG_LINE_SIZE);
    struct request request;
    size_t size;
    bool is_fine;

    if (filler == NULL) {
        return false;
    }
    memset(filler, 'x', TOO_LONG_LINE_SIZE);
    /* Further quoted fields are allowed, so the long one changes no answer. */
    request_make(&request, random, clock);
    size = request_write(&request, expected->is_combined, line);
    log_file_write(log, line, size);
    log_file_write(log, expected->is_combined ? " \"" : " \"-\" \"-\" \"",
                   expected->is_combined ? 2 : 10);
    log_file_write(log, filler, LONG_LINE_SIZE);
    log_file_write(log, "\"\n", 2);
    is_fine = expected_add(expected, &request);
    log_file_write(log, line, size);
    log_file_write(log, filler, TOO_LONG_LINE_SIZE);
    log_file_write(log, "\n", 1);
    expected->lines++;
    expected->malformed++;
    free(filler);
    return is_fine;
}
