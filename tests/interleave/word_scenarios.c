/* SPDX-License-Identifier: MIT */
/* Small objects on one word: once, semaphores, events, latches; and barriers. */
#include <hocket/barrier.h>
#include <hocket/event.h>
#include <hocket/latch.h>
#include <hocket/once.h>
#include <hocket/semaphore.h>

#include <stdlib.h>
#include <string.h>

#include "sync/stripe.h"
#include "tests/interleave/scenario.h"

#define LOST_WAKES (HKT_FAULT(HKT_SLEEPS_BLINDLY) | HKT_FAULT(HKT_WAKES_NOBODY))

static void nothing(void)
{
}

/* --- once --- */

static hk_once once;
static unsigned failures; /* Runs that are still to fail. */
static unsigned inside;
static unsigned successes;

static void set_up_once(void)
{
    once = (hk_once)HK_ONCE_INIT("once");
    failures = 1;
    inside = 0;
    successes = 0;
}

static hk_status function(void *arg)
{
    (void)arg;
    HKT_MUST(++inside == 1 && successes == 0);
    HKT_MUST(hk_once_run(&once, function, NULL) == HK_EDEADLK);
    inside--;
    if (failures != 0) {
        failures--;
        return HK_ECANCELED;
    }
    successes++;
    return HK_OK;
}

static void run_once(void)
{
    hk_status status;

    do {
        status = hk_once_run(&once, function, NULL);
        HKT_MUST(status == HK_OK || status == HK_ECANCELED);
    } while (status != HK_OK);
    HKT_MUST(successes == 1 && hk_once_is_done(&once));
}

/* --- semaphores --- */

static hk_semaphore semaphore;
static unsigned holders; /* Units that are out. */

static void set_up_semaphore(void)
{
    semaphore = (hk_semaphore)HK_SEMAPHORE_INIT("semaphore", 2, 2);
    holders = 0;
}

/* One of two units is out for good. */
static void set_up_lone_unit(void)
{
    semaphore = (hk_semaphore)HK_SEMAPHORE_INIT("semaphore", 1, 2);
    holders = 1;
}

static void take_and_give(uint32_t count)
{
    HKT_MUST(hk_semaphore_acquire(&semaphore, count, HK_FOREVER) == HK_OK);
    HKT_MUST((holders += count) <= 2);
    holders -= count;
    HKT_MUST(hk_semaphore_release(&semaphore, count) == HK_OK);
}

static void take_one(void)
{
    take_and_give(1);
}

static void take_both(void)
{
    take_and_give(2);
}

static void take_impatiently(uint32_t count)
{
    hk_status status = hk_semaphore_acquire(&semaphore, count, 1);

    HKT_MUST(status == HK_OK || status == HK_ETIMEDOUT);
    if (status == HK_OK) {
        HKT_MUST((holders += count) <= 2);
        holders -= count;
        HKT_MUST(hk_semaphore_release(&semaphore, count) == HK_OK);
    }
}

static void take_one_impatiently(void)
{
    take_impatiently(1);
}

static void take_both_impatiently(void)
{
    take_impatiently(2);
}

/* --- events --- */

static hk_event event;
static bool announced;

static void set_up_event(void)
{
    event = (hk_event)HK_EVENT_INIT("event");
    announced = false;
}

static void set_it(void)
{
    announced = true;
    HKT_MUST(hk_event_set(&event) == HK_OK);
}

static void set_and_reset(void)
{
    set_it();
    HKT_MUST(hk_event_reset(&event) == HK_OK);
    HKT_MUST(hk_event_set(&event) == HK_OK);
}

static void wait_for_it(void)
{
    HKT_MUST(hk_event_wait(&event, HK_FOREVER) == HK_OK);
    HKT_MUST(announced);
}

/* --- latches --- */

static hk_latch latch;
static unsigned counted;

static void set_up_latch(void)
{
    counted = 0;
    if (hk_latch_init(&latch, "latch", 2) != HK_OK) {
        abort();
    }
}

static void count_down(void)
{
    counted++;
    HKT_MUST(hk_latch_count_down(&latch, 1) == HK_OK);
}

static void wait_for_both(void)
{
    HKT_MUST(hk_latch_wait(&latch, HK_FOREVER) == HK_OK);
    HKT_MUST(counted == 2);
}

/* --- barriers --- */

static hk_barrier barrier;
static unsigned arrived;
static unsigned serials;

static void set_up_barrier(void)
{
    arrived = 0;
    serials = 0;
    memset(hki_stripe_of(&barrier), 0, sizeof(struct hki_stripe));
    if (hk_barrier_init(&barrier, "barrier", 2) != HK_OK) {
        abort();
    }
}

static void meet_twice(void)
{
    for (unsigned round = 1; round <= 2; round++) {
        bool serial = false;

        arrived++;
        HKT_MUST(hk_barrier_wait(&barrier, HK_FOREVER, &serial) == HK_OK);
        HKT_MUST(arrived >= 2 * round);
        serials += serial ? 1 : 0;
        HKT_MUST(serials <= round);
    }
}

/* One of them comes in time, or nobody does. */
static void meet_impatiently(void)
{
    hk_status status = hk_barrier_wait(&barrier, 1, NULL);

    HKT_MUST(status == HK_OK || status == HK_ETIMEDOUT || status == HK_EBROKEN);
    arrived += status == HK_OK ? 1 : 0;
}

static void meet_or_break(void)
{
    hk_status status = hk_barrier_wait(&barrier, HK_FOREVER, NULL);

    HKT_MUST(status == HK_OK || status == HK_EBROKEN);
    arrived += status == HK_OK ? 1 : 0;
}

static void break_it(void)
{
    HKT_MUST(hk_barrier_abort(&barrier) == HK_OK);
}

/* Both of a round met, or neither. */
static void all_or_none(void)
{
    if (arrived % 2 != 0) {
        abort();
    }
}

const struct hkt_scenario hkt_word_scenarios[] = {
    {"once",
     set_up_once,
     nothing,
     {run_once, run_once, run_once},
     {3, 1, 0},
     true,
     LOST_WAKES | HKT_FAULT(HKT_WAKES_ONE)},
    {"semaphore",
     set_up_semaphore,
     nothing,
     {take_one, take_both, take_both},
     {3, 0, 0},
     true,
     LOST_WAKES},
    {"semaphore_mixed",
     set_up_semaphore,
     nothing,
     {take_one, take_one, take_both, take_one},
     {2, 0, 0},
     true,
     0},
    {"semaphore_impatient",
     set_up_semaphore,
     nothing,
     {take_both, take_one_impatiently, take_both},
     {3, 0, 1},
     true,
     0},
    {"semaphore_lone_unit",
     set_up_lone_unit,
     nothing,
     {take_one, take_one, take_both_impatiently},
     {3, 0, 1},
     true,
     HKT_FAULT(HKT_WAKES_ONE)},
    {"event",
     set_up_event,
     nothing,
     {wait_for_it, set_and_reset, wait_for_it},
     {3, 0, 0},
     true,
     LOST_WAKES | HKT_FAULT(HKT_WAKES_ONE)},
    {"latch",
     set_up_latch,
     nothing,
     {wait_for_both, count_down, wait_for_both, count_down},
     {3, 0, 0},
     true,
     LOST_WAKES | HKT_FAULT(HKT_WAKES_ONE)},
    {"barrier", set_up_barrier, nothing, {meet_twice, meet_twice}, {3, 1, 0}, true, LOST_WAKES},
    {"barrier_impatient",
     set_up_barrier,
     all_or_none,
     {meet_impatiently, meet_or_break},
     {3, 1, 1},
     true,
     0},
    {"barrier_broken",
     set_up_barrier,
     all_or_none,
     {meet_or_break, meet_or_break, break_it},
     {3, 1, 0},
     true,
     0},
    {.name = NULL},
};
