/* SPDX-License-Identifier: MIT */
/*
 * Programs run in a child process, which may crash, hang or leak as it likes. The parent has one
 * thread, looks on, and tells why it ended.
 */
#ifndef HKT_RANDOM_TRIAL_H
#define HKT_RANDOM_TRIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/random/stage.h"

struct hkt_trial {
    struct hkt_stage *stage;
    pid_t pid;                     /* 0: none runs. */
    int ask;                       /* The parent's ends: a byte asks for the waits, */
    int told;                      /* and comes back when they have been printed. */
    char failure[HKT_FAILURE_MAX]; /* "" if all was well. */
};

/* How it is run. */
struct hkt_trial_setup {
    uint64_t seed;          /* Draws from here on, unless is_given. */
    unsigned programs;      /* So many; or the given one so many times. */
    int64_t until_ns;       /* And none begins after this; 0: no limit. */
    bool is_given;          /* The program is in the stage. */
    bool is_quiet;          /* Nothing is printed of one that hangs. */
    unsigned limit_seconds; /* For one program. */
};

void hkt_trial_prepare(struct hkt_trial *trial);
void hkt_trial_begin(struct hkt_trial *trial, const struct hkt_trial_setup *setup);

/* Waits a moment for the end of one of several, at most until then; sees to those that hang.
 * Gives its place, or -1. */
int hkt_trial_await(struct hkt_trial *trials, unsigned count, const struct hkt_trial_setup *setup);

/* Begin and wait. True: all was well. */
bool hkt_trial_run(struct hkt_trial *trial, const struct hkt_trial_setup *setup);

int64_t hkt_clock_ns(void);

#endif
