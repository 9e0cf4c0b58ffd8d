/* SPDX-License-Identifier: MIT */
#include "tests/no_allocation_fixture.h"

#include <limits.h>

#include "base/memory.h"

void hkt_allocations_begin(void)
{
    (void)hki_memory_fail_at(LONG_MAX);
}

long hkt_allocations_end(void)
{
    return LONG_MAX - hki_memory_fail_at(0);
}
