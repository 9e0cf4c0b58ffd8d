/* SPDX-License-Identifier: MIT */
/*
 * What sample logs are made of: hosts, paths, referrers and agents by number. A
 * number stands for one text for ever, so counting needs no more than an array.
 */
#ifndef HOCKET_MAKE_LOGS_VOCABULARY_H
#define HOCKET_MAKE_LOGS_VOCABULARY_H

#include <stddef.h>

enum {
    HOST_COUNT = 600,
    PATH_COUNT = 400,
    REFERRER_COUNT = 60,
    AGENT_COUNT = 50,
    WORD_SIZE = 256, /* Room for any text here, its zero byte included. */
};

enum {
    PATH_ROBOTS = 0,  /* Exactly /robots.txt. */
    PATH_RUBBISH = 1, /* The request is no HTTP request; counts as "-". */
};

void host_text(unsigned host, char text[WORD_SIZE]);
void path_text(unsigned path, char text[WORD_SIZE]);
void referrer_text(unsigned referrer, char text[WORD_SIZE]);
void agent_text(unsigned agent, char text[WORD_SIZE]);

#endif
