/* SPDX-License-Identifier: MIT */
/* What the workers do with a connection: one request, one answer. */
#include "protocol.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "sum 1 2 3" is answered by "6", or by what is wrong with it. */
static void answer_sum(const char *numbers, char *answer, size_t size)
{
    long long sum = 0;

    while (*numbers != '\0') {
        char *end;
        long long number = strtoll(numbers, &end, 10);

        if (end == numbers || __builtin_add_overflow(sum, number, &sum)) {
            snprintf(answer, size, "error: \"%.80s\" cannot be added", numbers);
            return;
        }
        numbers = end;
    }
    snprintf(answer, size, "%lld", sum);
}

/* Tells the client that it has begun, so that a shutdown can be tried in the middle of it. */
static hk_status answer_slow(hk_call *call, int client, char *answer, size_t size)
{
    hk_status status;

    if (!line_write(client, "begun")) {
        return hk_fail(call, 1, "the client has gone");
    }
    status = hk_sleep(call, HK_MS(200));
    snprintf(answer, size, "late but here");
    return status;
}

static hk_status serve(hk_call *call, int client)
{
    char line[LINE_BYTES], answer[LINE_BYTES];
    hk_status status = HK_OK;

    if (!line_read(client, line, sizeof line)) {
        return hk_fail(call, 1, "the client sent no line");
    }
    if (strcmp(line, "crash") == 0) {
        abort(); /* costs this connection, and nothing else */
    } else if (strcmp(line, "hang") == 0) {
        for (;;) {
            pause(); /* the time limit ends it, with the worker */
        }
    } else if (strncmp(line, "sum ", 4) == 0) {
        answer_sum(line + 4, answer, sizeof answer);
    } else if (strcmp(line, "slow") == 0) {
        status = answer_slow(call, client, answer, sizeof answer);
    } else {
        snprintf(answer, sizeof answer, "error: sum NUMBER..., slow, hang or crash");
    }
    if (status != HK_OK) {
        return status;
    }
    return line_write(client, answer) ? HK_OK : hk_fail(call, 1, "the client has gone");
}

HK_TASK(serve_connection)
{
    int client;
    hk_status status = hk_call_take_fd(call, 0, &client);

    if (status == HK_OK) {
        status = serve(call, client);
        close(client);
    }
    return status;
}
