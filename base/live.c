/* SPDX-License-Identifier: MIT */
#include "base/live.h"

#include <stdio.h>

#include "base/tally.h"

static const char *const names[HKI_LIVE_KINDS] = {
    [HKI_LIVE_FUTURES] = "futures",
    [HKI_LIVE_ERRORS] = "errors",
    [HKI_LIVE_HOOKS] = "hooks",
    [HKI_LIVE_TOKENS] = "tokens",
    [HKI_LIVE_COMPLETIONS] = "completions",
    [HKI_LIVE_BUFFERS] = "buffers",
    [HKI_LIVE_EXECUTORS] = "executors",
    [HKI_LIVE_WORKERS] = "workers",
    [HKI_LIVE_TIMERS] = "timers",
    [HKI_LIVE_MAPS] = "maps",
    [HKI_LIVE_QUEUES] = "queues",
    [HKI_LIVE_RINGS] = "rings",
    [HKI_LIVE_LOCALS] = "locals",
    [HKI_LIVE_POOL_MEMORY] = "pool memories",
};

void hki_live_add(enum hki_live_kind kind, long change)
{
    hki_tally_add(HKI_TALLY_LIVE + (unsigned)kind, change);
}

long hki_live_count(enum hki_live_kind kind)
{
    return (long)hki_tally_sum(HKI_TALLY_LIVE + (unsigned)kind);
}

size_t hki_live_total(char *text, size_t size)
{
    long sum = 0;
    size_t used = 0;

    for (int kind = 0; kind < HKI_LIVE_KINDS; kind++) {
        long count = hki_live_count((enum hki_live_kind)kind);

        sum += count;
        if (used < size) {
            used += (size_t)snprintf(text + used, size - used, "%s%s %ld", kind == 0 ? "" : ", ",
                                     names[kind], count);
        }
    }
    return (size_t)sum;
}
