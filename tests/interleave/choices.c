/* SPDX-License-Identifier: MIT */
#include "tests/interleave/choices.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHOICES_MAX = 100000 };

static struct {
    unsigned char made;
    unsigned char count;
} choices[CHOICES_MAX];

static size_t used;  /* Choices of this run so far. */
static size_t known; /* Choices that this run has to repeat. */

void hkt_choices_reset(void)
{
    used = 0;
    known = 0;
}

unsigned hkt_choose(unsigned count)
{
    if (count <= 1) {
        return 0;
    }
    if (used == CHOICES_MAX) {
        fprintf(stderr, "interleave: a run with more than %d choices\n", CHOICES_MAX);
        abort();
    }
    if (used == known) {
        choices[used].made = 0;
        choices[used].count = (unsigned char)count;
        known++;
    }
    if (choices[used].count != count) {
        fprintf(stderr, "interleave: the same choices led to another run\n");
        abort();
    }
    return choices[used++].made;
}

void hkt_choices_repeat(void)
{
    known = used;
    used = 0;
}

bool hkt_choices_next(void)
{
    known = used;
    used = 0;
    while (known > 0 && choices[known - 1].made + 1 == choices[known - 1].count) {
        known--;
    }
    if (known == 0) {
        return false;
    }
    choices[known - 1].made++;
    return true;
}
