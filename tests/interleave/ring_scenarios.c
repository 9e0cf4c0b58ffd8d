/* SPDX-License-Identifier: MIT */
/* The ring of sync/ring*.c with its eventcount. */
#include <hocket/ring.h>

#include <stdlib.h>
#include <string.h>

#include "tests/interleave/scenario.h"

static hk_ring *ring;
static int items[4];      /* Put by address, so that each is known. */
static unsigned got[4];   /* How often each came out. */
static unsigned accepted; /* Puts that were let in. */
static unsigned taken;
static unsigned done; /* Reported before the join looks. */

static void set_up(size_t capacity)
{
    hk_ring_options options = {.capacity = capacity};

    memset(got, 0, sizeof(got));
    accepted = 0;
    taken = 0;
    done = 0;
    if (hk_ring_create(&options, &ring) != HK_OK) {
        abort();
    }
}

static void one_place(void)
{
    set_up(1);
}

static void two_places(void)
{
    set_up(2);
}

static void tear_down(void)
{
    /* A run that failed may have left threads inside; its ring stays behind. */
    (void)hk_ring_destroy(ring);
}

static void put(int which, hk_duration timeout)
{
    hk_status status = hk_ring_put(ring, &items[which], timeout);

    HKT_MUST(status == HK_OK || status == HK_ECLOSED || (status == HK_ETIMEDOUT && timeout >= 0));
    accepted += status == HK_OK ? 1 : 0;
}

static void put_first(void)
{
    put(0, HK_FOREVER);
}

static void put_second(void)
{
    put(1, HK_FOREVER);
}

static void put_two(void)
{
    put_first();
    put_second();
}

static void put_two_at_once(void)
{
    void *both[] = {&items[0], &items[1]};
    size_t put_count;

    HKT_MUST(hk_ring_put_many(ring, both, 2, HK_FOREVER, &put_count) == HK_OK);
    HKT_MUST(put_count == 2);
}

/* True: it was an item. */
static bool get(hk_duration timeout)
{
    void *item = NULL;
    hk_status status = hk_ring_get(ring, timeout, &item);

    HKT_MUST(status == HK_OK || status == HK_EDONE || (status == HK_ETIMEDOUT && timeout >= 0));
    if (status == HK_OK) {
        HKT_MUST(++got[(int *)item - items] == 1);
        taken++;
    }
    return status == HK_OK;
}

static void get_one(void)
{
    HKT_MUST(get(HK_FOREVER));
}

static void get_two(void)
{
    get_one();
    get_one();
}

/* Gives up, and asks again. */
static void get_one_impatiently(void)
{
    while (!get(1)) {
    }
}

static void get_until_closed(void)
{
    while (get(HK_FOREVER)) {
    }
    HKT_MUST(hk_ring_length(ring) == 0);
}

static void close_it(void)
{
    HKT_MUST(hk_ring_close(ring) == HK_OK);
}

static void get_and_report(void)
{
    get_one();
    done++;
    HKT_MUST(hk_ring_task_done(ring, 1) == HK_OK);
}

static void get_two_and_report(void)
{
    get_and_report();
    get_and_report();
}

static void put_and_join(void)
{
    put_two();
    HKT_MUST(hk_ring_join(ring, HK_FOREVER) == HK_OK);
    HKT_MUST(done == 2);
}

#define LOST_WAKES (HKT_FAULT(HKT_SLEEPS_BLINDLY) | HKT_FAULT(HKT_WAKES_NOBODY))

const struct hkt_scenario hkt_ring_scenarios[] = {
    {"ring_hand_over",
     one_place,
     tear_down,
     {put_two, get_two},
     {3, 1, 0},
     true,
     LOST_WAKES | HKT_FAULT(HKT_NO_BARRIER)},
    {"ring_without_barrier",
     one_place,
     tear_down,
     {put_two, get_two},
     {3, 1, 0},
     false,
     LOST_WAKES | HKT_FAULT(HKT_ADD_ZERO_IS_LOAD)},
    {"ring_two_putters",
     one_place,
     tear_down,
     {put_first, put_second, get_two},
     {2, 1, 0},
     true,
     0},
    {"ring_two_getters",
     two_places,
     tear_down,
     {put_two, get_one, get_one},
     {2, 1, 0},
     true,
     LOST_WAKES},
    {"ring_impatient_getter",
     two_places,
     tear_down,
     {put_two, get_one, get_one_impatiently},
     {2, 1, 1},
     true,
     HKT_FAULT(HKT_ADD_ZERO_IS_LOAD)},
    {"ring_many", two_places, tear_down, {put_two_at_once, get_one, get_one}, {2, 1, 0}, true, 0},
    {"ring_close",
     two_places,
     tear_down,
     {put_first, get_until_closed, get_until_closed, close_it},
     {2, 0, 0},
     true,
     LOST_WAKES},
    {"ring_close_putters",
     one_place,
     tear_down,
     {put_first, put_second, close_it},
     {3, 1, 0},
     true,
     HKT_FAULT(HKT_WAKES_NOBODY)},
    {"ring_join", two_places, tear_down, {put_and_join, get_two_and_report}, {3, 1, 0}, true, 0},
    {.name = NULL},
};
