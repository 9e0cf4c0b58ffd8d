/* SPDX-License-Identifier: MIT */
/* Fails the allocations of a call one after another. */
#include "tests/allocation_fixture.h"

#include <stdio.h>

#include "base/live.h"
#include "base/memory.h"
#include "tests/harness.h"

enum { ALLOCATIONS_MAX = 1000 }; /* More than any single call makes. */

/* What the library holds. Workers let go of things a moment after their futures
 * have ended, so it is compared again and again. */
struct holdings {
    uint64_t blocks;
    size_t objects;
};

/* The case is to be named, which the watchdog cannot do; so it gives up before. */
struct comparison {
    struct holdings before;
    int64_t deadline_ns;
};

static struct holdings held_now(void)
{
    hk_memory_statistics statistics = {0};

    HKT_OK(hk_memory_stats(&statistics));
    return (struct holdings){statistics.live_blocks, hki_live_total(NULL, 0)};
}

static bool is_same(const struct holdings *before)
{
    struct holdings now = held_now();

    return now.blocks == before->blocks && now.objects == before->objects;
}

static bool is_over(void *arg)
{
    const struct comparison *comparison = arg;

    return is_same(&comparison->before) || hk_now_ns() > comparison->deadline_ns;
}

static bool comes_back_to(const struct holdings *before)
{
    struct comparison comparison = {*before, hk_now_ns() + HK_SEC(2) * hkt_slowness()};

    (void)hkt_eventually(is_over, &comparison);
    return is_same(before);
}

/* A failure is told with the case and the allocation, which no line number tells. */
static void expect(bool holds, const struct hkt_allocation_case *one, long nth, const char *what)
{
    char text[200];

    snprintf(text, sizeof(text), "%s, allocation %ld: %s", one->name, nth, what);
    if (!holds) {
        fprintf(stderr, "%s\n", text); /* At once: a hang may follow. */
    }
    hkt_check_true(HKT_SITE(false), holds, text);
}

/* One round; true when the call did not get as far as the nth allocation. */
static bool fail_nth(const struct hkt_allocation_case *one, long nth)
{
    hk_status status;
    long left;

    one->prepare();
    hki_memory_fail_at(nth);
    status = one->call();
    left = hki_memory_fail_at(0);
    if (left > 0) {
        expect(status == HK_OK, one, nth, "with enough memory it succeeds");
    } else {
        expect(status == HK_ENOMEM || (status == HK_OK && one->copes), one, nth,
               "without memory it says HK_ENOMEM");
    }
    if (status == HK_OK && one->changed != NULL) {
        one->changed();
    } else if (status != HK_OK && one->unchanged != NULL) {
        one->unchanged();
    }
    one->clean();
    return left > 0;
}

long hkt_fail_each_allocation(const struct hkt_allocation_case *one)
{
    struct holdings before;
    long nth = 1;
    bool through = false;

    /* What is made once in a process must not look like a leak of the first round. */
    one->prepare();
    expect(one->call() == HK_OK, one, 0, "with all memory it succeeds");
    one->clean();

    before = held_now();
    while (!through && nth < ALLOCATIONS_MAX) {
        through = fail_nth(one, nth);
        if (!comes_back_to(&before)) {
            struct holdings now = held_now();
            char text[100];

            snprintf(text, sizeof(text), "nothing is left behind, but %+lld blocks, %+ld objects",
                     (long long)(now.blocks - before.blocks), (long)(now.objects - before.objects));
            expect(false, one, nth, text);
            return nth;
        }
        nth++;
    }
    expect(through, one, nth, "it ends after some allocations");
    return nth - 2;
}
