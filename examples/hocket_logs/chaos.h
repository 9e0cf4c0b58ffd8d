/* SPDX-License-Identifier: MIT */
/*
 * Deaths on purpose, for --chaos: every so many units the worker process that counts one is
 * killed, and the answer must be the same all the same.
 */
#ifndef HOCKET_LOGS_CHAOS_H
#define HOCKET_LOGS_CHAOS_H

#include "wire.h"

enum {
    CHAOS_PERIOD = 10,  /* The usual one. */
    CHAOS_ATTEMPTS = 3, /* The last one is left to live. */
};

/* It travels with the job. */
struct chaos {
    uint64_t period; /* One unit in so many is hit; 0: none. */
    uint64_t seed;
};

enum chaos_moment {
    CHAOS_NEVER,
    CHAOS_BEFORE, /* The task has done nothing. */
    CHAOS_AMID,   /* It has read some bytes. */
    CHAOS_AFTER,  /* It has written its result, and not returned. */
};

struct fate {
    enum chaos_moment moment;
    uint64_t bytes; /* With CHAOS_AMID: how many; perhaps more than there are. */
};

/* Draws a new seed. */
void chaos_init(struct chaos *chaos, uint64_t period);

/* What is to become of a try of a unit; attempt as hk_call_attempt() tells it. */
struct fate chaos_fate(const struct chaos *chaos, uint64_t unit_number, uint64_t unit_length,
                       unsigned attempt);

/* Kills this process, as a crash or the kernel might. */
_Noreturn void chaos_strike(void);

void chaos_pack(struct packer *packer, const struct chaos *chaos);
void chaos_unpack(struct unpacker *unpacker, struct chaos *chaos);

#endif
