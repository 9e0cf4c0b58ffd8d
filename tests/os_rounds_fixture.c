/* SPDX-License-Identifier: MIT */
#include "tests/os_rounds_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fault_fixture.h"

enum { ROUNDS_MAX = 300, SECONDS_MAX = 10 };

/* The round, and what it does; a child has them from its parent. */
static struct hkt_os_fault fault;
static long nth;
static bool lasts;
static void (*inside)(void);

void hkt_os_arm(void)
{
    hkt_os_fail(fault.call, fault.error, nth, lasts);
}

static void run_round(void)
{
    (void)signal(SIGALRM, SIG_DFL); /* A round that hangs is told with its name. */
    alarm(SECONDS_MAX * hkt_slowness());
    inside();
    alarm(0);
}

/* False: it failed, and is told. */
static bool is_good(void)
{
    unsigned failures = CU_get_number_of_failures();
    char place[300];

    (void)hkt_os_relent(); /* A child that was wrong did not. */
    hkt_fault_run(run_round);
    if (CU_get_number_of_failures() == failures) {
        return true;
    }
    hkt_os_place(place, sizeof(place));
    fprintf(stderr, "%s: %s%s from number %ld on, at %s\n", hkt_os_call_name(fault.call),
            strerror(fault.error), lasts ? " for ever" : "", nth, place);
    return false;
}

/* Until a round does not come so far. What lasts is as good as another failure a little later, so
 * its rounds take larger steps. */
static void run_rounds(const struct hkt_os_fault *one, bool for_ever, void (*what)(void))
{
    fault = *one;
    lasts = for_ever;
    inside = what;
    nth = 1;
    while (nth < ROUNDS_MAX && is_good() && hkt_os_relent() != 0) {
        nth = lasts ? 2 * nth : nth + 1;
    }
    HKT_TRUE(nth < ROUNDS_MAX);
    if (!lasts) {
        printf("%s %ld, ", hkt_os_call_name(fault.call), nth - 1);
        fflush(stdout);
    }
}

void hkt_os_fail_each_once(const struct hkt_os_fault *faults, size_t count, void (*what)(void))
{
    for (size_t i = 0; i < count; i++) {
        run_rounds(&faults[i], false, what);
    }
}

void hkt_os_fail_each(const struct hkt_os_fault *faults, size_t count, void (*what)(void))
{
    hkt_os_fail_each_once(faults, count, what);
    for (size_t i = 0; i < count; i++) {
        run_rounds(&faults[i], true, what);
    }
}
