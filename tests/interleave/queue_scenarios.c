/* SPDX-License-Identifier: MIT */
/* The queue of sync/queue*.c, on the machine's mutex. */
#include <hocket/queue.h>

#include <stdlib.h>
#include <string.h>

#include "tests/interleave/scenario.h"

static hk_queue *queue;
static int items[4];    /* Put by address, so that each is known. */
static unsigned got[4]; /* How often each came out. */
static unsigned done;   /* Reported before the join looks. */

static void set_up(size_t capacity)
{
    hk_queue_options options = {.capacity = capacity};

    memset(got, 0, sizeof(got));
    done = 0;
    if (hk_queue_create(&options, &queue) != HK_OK) {
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
    /* A run that failed may have left threads inside; its queue stays behind. */
    (void)hk_queue_destroy(queue);
}

static void put(int which)
{
    hk_status status = hk_queue_put(queue, &items[which], HK_FOREVER);

    HKT_MUST(status == HK_OK || status == HK_ECLOSED);
}

static void put_first(void)
{
    put(0);
}

static void put_second(void)
{
    put(1);
}

static void put_two(void)
{
    put_first();
    put_second();
}

static void put_two_at_once(void)
{
    void *both[] = {&items[0], &items[1]};
    size_t count;

    HKT_MUST(hk_queue_put_many(queue, both, 2, HK_FOREVER, &count) == HK_OK);
    HKT_MUST(count == 2);
}

/* True: it was an item. */
static bool get(hk_duration timeout)
{
    void *item = NULL;
    hk_status status = hk_queue_get(queue, timeout, &item);

    HKT_MUST(status == HK_OK || status == HK_EDONE || (status == HK_ETIMEDOUT && timeout >= 0));
    if (status == HK_OK) {
        HKT_MUST(++got[(int *)item - items] == 1);
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
    HKT_MUST(hk_queue_length(queue) == 0);
}

static void close_it(void)
{
    HKT_MUST(hk_queue_close(queue) == HK_OK);
}

static void get_two_and_report(void)
{
    for (int i = 0; i < 2; i++) {
        get_one();
        done++;
        HKT_MUST(hk_queue_task_done(queue, 1) == HK_OK);
    }
}

static void put_and_join(void)
{
    put_two();
    HKT_MUST(hk_queue_join(queue, HK_FOREVER) == HK_OK);
    HKT_MUST(done == 2);
}

#define LOST_WAKES (HKT_FAULT(HKT_SLEEPS_BLINDLY) | HKT_FAULT(HKT_WAKES_NOBODY))

const struct hkt_scenario hkt_queue_scenarios[] = {
    {"queue_hand_over", one_place, tear_down, {put_two, get_two}, {3, 0, 0}, true, LOST_WAKES},
    {"queue_two_putters",
     one_place,
     tear_down,
     {put_first, put_second, get_two},
     {3, 0, 0},
     true,
     HKT_FAULT(HKT_WAKES_NOBODY)},
    {"queue_two_getters", two_places, tear_down, {put_two, get_one, get_one}, {3, 0, 0}, true, 0},
    {"queue_impatient_getter",
     two_places,
     tear_down,
     {put_two, get_one, get_one_impatiently},
     {2, 0, 1},
     true,
     0},
    {"queue_many", two_places, tear_down, {put_two_at_once, get_one, get_one}, {3, 0, 0}, true, 0},
    {"queue_close",
     two_places,
     tear_down,
     {put_first, get_until_closed, get_until_closed, close_it},
     {2, 0, 0},
     true,
     LOST_WAKES},
    {"queue_join",
     two_places,
     tear_down,
     {put_and_join, get_two_and_report},
     {3, 0, 0},
     true,
     LOST_WAKES},
    {.name = NULL},
};
