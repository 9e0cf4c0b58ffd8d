/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <stdio.h>

static unsigned make_status(struct random *random)
{
    static const unsigned rare[] = {206, 301, 302, 304, 400, 403, 404,
                                    405, 412, 416, 499, 500, 503};

    if (random_percent(random, 80)) {
        return 200;
    }
    return rare[random_skewed(random, sizeof(rare) / sizeof(rare[0]))];
}

void request_make(struct request *request, struct random *random, time_t *clock)
{
    static const char *const methods[] = {"GET", "GET", "GET", "GET", "HEAD", "POST", "M-SEARCH"};
    static const char *const versions[] = {" HTTP/1.1", " HTTP/1.1", " HTTP/1.0", " HTTP/2.0"};
    static const char *const users[] = {"-", "-", "-", "-", "-", "-", "frank", "john doe"};

    *clock += (time_t)random_below(random, 9);
    *request = (struct request){
        .host = random_skewed(random, HOST_COUNT),
        .path =
            random_percent(random, 2) ? (unsigned)PATH_ROBOTS : random_skewed(random, PATH_COUNT),
        .referrer = random_skewed(random, REFERRER_COUNT),
        .agent = random_skewed(random, AGENT_COUNT),
        .when = *clock,
        .status = make_status(random),
        .size_bytes = (long)random_skewed(random, 200000),
        .user = users[random_below(random, 8)],
        .method = methods[random_below(random, 7)],
        .version = versions[random_below(random, 4)],
    };
    if (request->status == 304 || random_percent(random, 2)) {
        request->size_bytes = -1;
    }
    if (request->path == PATH_ROBOTS && random_percent(random, 10)) {
        request->version = "";
    }
}

static void write_request_field(const struct request *request, char *text, size_t size)
{
    /* What servers log for clients that speak no HTTP. */
    static const char *const rubbish[] = {"-", "\\x16\\x03\\x01\\x02", "\xff\xfe\x01 rubbish",
                                          "HELP"};
    char path[WORD_SIZE];

    if (request->path == PATH_RUBBISH) {
        (void)snprintf(text, size, "%s", rubbish[request->host % 4]);
    } else {
        path_text(request->path, path);
        (void)snprintf(text, size, "%s %s%s", request->method, path, request->version);
    }
}

size_t request_write(const struct request *request, bool is_combined, char line[REQUEST_LINE_SIZE])
{
    char host[WORD_SIZE], field[2 * WORD_SIZE], referrer[WORD_SIZE], agent[WORD_SIZE];
    char when[64], size[24];
    struct tm tm;
    int used;

    gmtime_r(&request->when, &tm);
    (void)strftime(when, sizeof(when), "%d/%b/%Y:%H:%M:%S +0100", &tm);
    host_text(request->host, host);
    write_request_field(request, field, sizeof(field));
    if (request->size_bytes < 0) {
        (void)snprintf(size, sizeof(size), "-");
    } else {
        (void)snprintf(size, sizeof(size), "%ld", request->size_bytes);
    }
    used = snprintf(line, REQUEST_LINE_SIZE, "%s - %s [%s] \"%s\" %u %s", host, request->user, when,
                    field, request->status, size);
    if (is_combined) {
        referrer_text(request->referrer, referrer);
        agent_text(request->agent, agent);
        used += snprintf(line + used, REQUEST_LINE_SIZE - (size_t)used, " \"%s\" \"%s\"", referrer,
                         agent);
    }
    return (size_t)used;
}

void request_hour(const struct request *request, char hour[16])
{
    struct tm tm;

    gmtime_r(&request->when, &tm);
    (void)strftime(hour, 16, "%Y-%m-%dT%H", &tm);
}
