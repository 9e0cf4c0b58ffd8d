/* SPDX-License-Identifier: MIT */
/*
 * What was wrong with files: one line each on standard error, in the order of the
 * input although the files end in any order.
 *
 * So that a million bad files cost no memory, at most COMPLAINTS_HELD are held
 * back; when there are more, those held are printed and the order begins anew.
 */
#ifndef HOCKET_LOGS_COMPLAINTS_H
#define HOCKET_LOGS_COMPLAINTS_H

#include <stdint.h>

#include "span.h"

#define COMPLAINTS_HELD 4096

struct complaint {
    uint64_t number; /* Of the unit. */
    char *text;      /* "path: what is wrong". */
};

struct complaints {
    struct complaint held[COMPLAINTS_HELD];
    size_t held_count;
    uint64_t count; /* All of them. */
};

/* A zeroed struct is valid and empty. */
void complaints_fini(struct complaints *complaints);

void complaints_add(struct complaints *complaints, uint64_t number, struct span path,
                    struct span what);

/* Prints what is held. */
void complaints_print(struct complaints *complaints);

#endif
