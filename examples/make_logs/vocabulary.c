/* SPDX-License-Identifier: MIT */
#include "vocabulary.h"

#include <stdio.h>

/* Addresses and names are those that are set aside for documentation. */
void host_text(unsigned host, char text[WORD_SIZE])
{
    static const char *const networks[] = {"192.0.2", "198.51.100", "203.0.113"};

    if (host % 10 == 3) {
        (void)snprintf(text, WORD_SIZE, "2001:db8:%x::%x", host / 10, host);
    } else if (host % 10 == 7) {
        (void)snprintf(text, WORD_SIZE, "crawler-%u.example.org", host);
    } else {
        (void)snprintf(text, WORD_SIZE, "%s.%u", networks[host / 200], host % 200 + 1);
    }
}

void path_text(unsigned path, char text[WORD_SIZE])
{
    /* Near misses of /robots.txt, and what is hard to parse or to print. */
    static const char *const special[] = {
        [PATH_ROBOTS] = "/robots.txt",
        [PATH_RUBBISH] = "-",
        "/robots.txt?x=1",
        "//robots.txt",
        "/ROBOTS.TXT",
        "/robots.txt/",
        "http://www.example.com/robots.txt",
        "/",
        "/with a blank/page.html",
        "/caf\xc3\xa9/",
        "/latin1/caf\xe9",
        "/quoted/\\\"name\\\".html",
        "/a,b;c.html",
        "*",
    };
    enum { SPECIAL_COUNT = sizeof(special) / sizeof(special[0]) };

    if (path < SPECIAL_COUNT) {
        (void)snprintf(text, WORD_SIZE, "%s", special[path]);
    } else {
        (void)snprintf(text, WORD_SIZE, "/section-%u/article-%u.html", path % 17, path);
    }
}

void referrer_text(unsigned referrer, char text[WORD_SIZE])
{
    if (referrer % 4 == 0) {
        (void)snprintf(text, WORD_SIZE, "-");
    } else {
        (void)snprintf(text, WORD_SIZE, "http://www.example.com/section-%u/", referrer);
    }
}

void agent_text(unsigned agent, char text[WORD_SIZE])
{
    static const char *const special[] = {
        "-",
        "says \\\"GET /robots.txt HTTP/1.1\\\" here",
        "one, two, three",
        "agent of caf\xe9",
        "\xe6\x97\xa5\xe6\x9c\xac",
        "",
        "ends in a backslash \\\\",
    };
    enum { SPECIAL_COUNT = sizeof(special) / sizeof(special[0]) };

    if (agent < SPECIAL_COUNT) {
        (void)snprintf(text, WORD_SIZE, "%s", special[agent]);
    } else {
        (void)snprintf(text, WORD_SIZE,
                       "Mozilla/5.0 (X11; Linux x86_64; rv:%u.0) Gecko/20100101 Firefox/%u.0",
                       agent + 60, agent + 60);
    }
}
