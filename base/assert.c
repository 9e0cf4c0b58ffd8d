/* SPDX-License-Identifier: MIT */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void hki_assert_failed(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "hocket: broken invariant \"%s\" in %s at %s:%d; stopping\n", condition,
            function, file, line);
    abort();
}
