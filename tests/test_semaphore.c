/* SPDX-License-Identifier: MIT */
/* Semaphores: every status, units that never get lost or double, and sleepers that are
 * never forgotten. */
#include <stdlib.h>
#include <string.h>

#include "tests/child_fixture.h"
#include "tests/race_fixture.h"

static void units_are_taken_and_given_back(void)
{
    static hk_semaphore semaphore = HK_SEMAPHORE_INIT("statuses", 2, 3);

    HKT_EQ_INT(hk_semaphore_value(&semaphore), 2);
    HKT_STATUS(hk_semaphore_acquire(&semaphore, 3, 0), HK_ETIMEDOUT);
    HKT_STATUS(hk_semaphore_acquire(&semaphore, 3, HK_US(50)), HK_ETIMEDOUT);
    HKT_EQ_INT(hk_semaphore_value(&semaphore), 2);
    HKT_OK(hk_semaphore_acquire(&semaphore, 2, 0));
    HKT_STATUS(hk_semaphore_acquire(&semaphore, 1, 0), HK_ETIMEDOUT);
    HKT_OK(hk_semaphore_release(&semaphore, 2));
    HKT_STATUS(hk_semaphore_release(&semaphore, 2), HK_ESTATE);
    HKT_EQ_INT(hk_semaphore_value(&semaphore), 2);
    HKT_OK(hk_semaphore_release(&semaphore, 1));
    HKT_STATUS(hk_semaphore_release(&semaphore, 1), HK_ESTATE);
    HKT_OK(hk_semaphore_acquire(&semaphore, 3, HK_FOREVER));
    HKT_EQ_INT(hk_semaphore_value(&semaphore), 0);
}

static void wrong_arguments_are_refused(void)
{
    hk_semaphore semaphore;

    HKT_STATUS(hk_semaphore_init(NULL, NULL, 0, 0), HK_EINVAL);
    HKT_STATUS(hk_semaphore_init(&semaphore, NULL, 3, 2), HK_EINVAL);
    HKT_STATUS(hk_semaphore_init(&semaphore, NULL, 0, HK_SEMAPHORE_MAX + 1), HK_EINVAL);
    HKT_STATUS(hk_semaphore_init(&semaphore, NULL, HK_SEMAPHORE_MAX + 1, 0), HK_EINVAL);
    HKT_OK(hk_semaphore_init(&semaphore, "two", 1, 2));
    HKT_STATUS(hk_semaphore_acquire(NULL, 1, 0), HK_EINVAL);
    HKT_STATUS(hk_semaphore_acquire(&semaphore, 0, 0), HK_EINVAL);
    HKT_STATUS(hk_semaphore_acquire(&semaphore, 3, 0), HK_EINVAL);
    HKT_STATUS(hk_semaphore_acquire(&semaphore, 1, -2), HK_EINVAL);
    HKT_STATUS(hk_semaphore_release(NULL, 1), HK_EINVAL);
    HKT_STATUS(hk_semaphore_release(&semaphore, 0), HK_EINVAL);
    HKT_EQ_INT(hk_semaphore_value(NULL), 0);
    HKT_EQ_INT(hk_semaphore_value(&semaphore), 1);
}

static void without_a_bound_there_is_still_a_last_unit(void)
{
    hk_semaphore *semaphore = calloc(1, sizeof(*semaphore));

    HKT_TRUE_FATAL(semaphore != NULL);
    HKT_STATUS(hk_semaphore_acquire(semaphore, 1, 0), HK_ETIMEDOUT);
    HKT_OK(hk_semaphore_release(semaphore, HK_SEMAPHORE_MAX));
    HKT_STATUS(hk_semaphore_release(semaphore, 1), HK_ESTATE);
    HKT_STATUS(hk_semaphore_release(semaphore, UINT32_MAX), HK_ESTATE);
    HKT_EQ_INT(hk_semaphore_value(semaphore), HK_SEMAPHORE_MAX);
    HKT_OK(hk_semaphore_acquire(semaphore, HK_SEMAPHORE_MAX, 0));
    free(semaphore);
}

/* --- Sleepers --- */

enum { SLEEPERS = 4 };

static hk_semaphore door;

struct sleeper {
    struct hkt_thread thread;
    uint32_t count;
    hk_duration timeout;
    hk_status expected;
};

static void take_units(void *arg)
{
    const struct sleeper *sleeper = arg;

    HKT_STATUS(hk_semaphore_acquire(&door, sleeper->count, sleeper->timeout), sleeper->expected);
}

static void start_sleepers(struct sleeper *sleepers, int count)
{
    for (int i = 0; i < count; i++) {
        hkt_thread_start(&sleepers[i].thread, take_units, &sleepers[i]);
        hkt_thread_await_sleep(&sleepers[i].thread);
    }
}

static void join_sleepers(struct sleeper *sleepers, int count)
{
    for (int i = 0; i < count; i++) {
        hkt_thread_join(&sleepers[i].thread);
    }
}

/* A sleeper that is still counted would cost every later release a system call. */
static void expect_no_sleepers(void)
{
    HKT_EQ_INT(door.state_ >> 32, 0);
}

static void so_many_units_wake_so_many_sleepers(void)
{
    struct sleeper sleepers[SLEEPERS];

    door = (hk_semaphore)HK_SEMAPHORE_INIT("door", 0, 0);
    for (int i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (struct sleeper){.count = 1, .timeout = HK_FOREVER};
    }
    start_sleepers(sleepers, SLEEPERS);
    HKT_OK(hk_semaphore_release(&door, 1));
    HKT_OK(hk_semaphore_release(&door, SLEEPERS - 1));
    join_sleepers(sleepers, SLEEPERS);
    HKT_EQ_INT(hk_semaphore_value(&door), 0);
    expect_no_sleepers();
}

/* The one that wants much sleeps first, so the kernel would wake it first. */
static void a_large_request_does_not_keep_a_small_one_asleep(void)
{
    for (int round = 0; round < 20; round++) {
        struct sleeper large = {.count = 5, .timeout = HK_FOREVER};
        struct sleeper small = {.count = 1, .timeout = HK_FOREVER};

        door = (hk_semaphore)HK_SEMAPHORE_INIT("door", 0, 0);
        start_sleepers(&large, 1);
        start_sleepers(&small, 1);
        HKT_OK(hk_semaphore_release(&door, 1));
        join_sleepers(&small, 1);
        for (int i = 0; i < 5; i++) {
            HKT_OK(hk_semaphore_release(&door, 1));
        }
        join_sleepers(&large, 1);
        HKT_EQ_INT(hk_semaphore_value(&door), 0);
    }
}

static void who_runs_out_of_time_takes_nothing(void)
{
    struct sleeper sleepers[2] = {
        {.count = 3, .timeout = HK_MS(1), .expected = HK_ETIMEDOUT},
        {.count = 2, .timeout = HK_FOREVER, .expected = HK_OK},
    };

    door = (hk_semaphore)HK_SEMAPHORE_INIT("door", 1, 0);
    for (int i = 0; i < 2; i++) {
        hkt_thread_start(&sleepers[i].thread, take_units, &sleepers[i]);
    }
    join_sleepers(sleepers, 1);
    HKT_EQ_INT(hk_semaphore_value(&door), 1);
    HKT_OK(hk_semaphore_release(&door, 1));
    join_sleepers(sleepers + 1, 1);
    HKT_EQ_INT(hk_semaphore_value(&door), 0);
    expect_no_sleepers();
}

/* --- Mutual exclusion, and no lost wake-up --- */

enum { WORKERS = 4, TURNS = 4000 };

static hk_semaphore room;
static int inside; /* Plain: units order it. */

static void take_turns(void *arg)
{
    const hk_duration *timeout = arg;
    int turns = TURNS / (int)hkt_slowness();

    for (int i = 0; i < turns; i++) {
        hk_status status = hk_semaphore_acquire(&room, 1, *timeout);

        if (status == HK_ETIMEDOUT) {
            i--;
            continue;
        }
        HKT_OK(status);
        inside++;
        HKT_OK(hk_semaphore_release(&room, 1));
    }
}

static void one_unit_is_a_mutual_exclusion(void)
{
    static hk_duration timeouts[WORKERS] = {HK_FOREVER, HK_FOREVER, HK_US(1), HK_US(20)};
    struct hkt_thread threads[WORKERS];

    room = (hk_semaphore)HK_SEMAPHORE_INIT("room", 1, 1);
    inside = 0;
    for (int i = 0; i < WORKERS; i++) {
        hkt_thread_start(&threads[i], take_turns, &timeouts[i]);
    }
    for (int i = 0; i < WORKERS; i++) {
        hkt_thread_join(&threads[i]);
    }
    HKT_EQ_INT(inside, WORKERS * (TURNS / (int)hkt_slowness()));
    HKT_EQ_INT(hk_semaphore_value(&room), 1);
}

/* Tokens go around between two semaphores in lots of several sizes; one lost wake-up, and
 * it stands still. */
static hk_semaphore here;
static hk_semaphore there;

struct carrier {
    struct hkt_thread thread;
    hk_semaphore *from;
    hk_semaphore *to;
    uint32_t lot;
};

static void carry(void *arg)
{
    const struct carrier *carrier = arg;
    int turns = TURNS / (int)hkt_slowness();

    for (int i = 0; i < turns; i++) {
        HKT_OK(hk_semaphore_acquire(carrier->from, carrier->lot, HK_FOREVER));
        HKT_OK(hk_semaphore_release(carrier->to, carrier->lot));
    }
}

static void lots_of_every_size_get_through(void)
{
    struct carrier carriers[] = {
        {.from = &here, .to = &there, .lot = 1},
        {.from = &there, .to = &here, .lot = 1},
        {.from = &here, .to = &there, .lot = 3},
        {.from = &there, .to = &here, .lot = 3},
    };

    here = (hk_semaphore)HK_SEMAPHORE_INIT("here", 3, 0);
    there = (hk_semaphore)HK_SEMAPHORE_INIT("there", 0, 0);
    for (int i = 0; i < 4; i++) {
        hkt_thread_start(&carriers[i].thread, carry, &carriers[i]);
    }
    for (int i = 0; i < 4; i++) {
        hkt_thread_join(&carriers[i].thread);
    }
    HKT_EQ_INT(hk_semaphore_value(&here) + hk_semaphore_value(&there), 3);
}

/* --- Who got its units may free it --- */

static void open_semaphore(struct hkt_round *round)
{
    round->object = calloc(1, sizeof(hk_semaphore));
    HKT_TRUE_FATAL(round->object != NULL);
}

static void acquire_and_free(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_semaphore_acquire(round->object, 2, HK_FOREVER);
    HKT_EQ_INT(round->payload[1], HKT_PAYLOAD);
    HKT_EQ_INT(round->payload[2], HKT_PAYLOAD);
    memset(round->object, 0x55, sizeof(hk_semaphore));
    free(round->object);
}

static void write_and_release(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_semaphore_release(round->object, 1);
}

static void all_are_fine(struct hkt_round *round)
{
    for (int i = 0; i < 3; i++) {
        HKT_OK(round->status[i]);
    }
}

static void a_release_announces_and_does_not_touch_what_is_freed(void)
{
    static const struct hkt_race race = {
        open_semaphore, {acquire_and_free, write_and_release, write_and_release}, all_are_fine};

    hkt_race(&race);
}

/* --- Forks --- */

static void use_in_child(void *arg)
{
    (void)arg;
    HKT_CHILD_STATUS(hk_semaphore_acquire(&door, 1, 0), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_semaphore_release(&door, 2), HK_OK);
    HKT_CHILD_STATUS(hk_semaphore_acquire(&door, 2, HK_FOREVER), HK_OK);
}

static void a_child_has_a_copy(void)
{
    struct sleeper sleeper = {.count = 1, .timeout = HK_FOREVER};

    door = (hk_semaphore)HK_SEMAPHORE_INIT("door", 0, 0);
    start_sleepers(&sleeper, 1);
    hkt_expect_good_child(use_in_child, NULL);
    HKT_OK(hk_semaphore_release(&door, 1));
    join_sleepers(&sleeper, 1);
}

static CU_TestInfo tests[] = {
    HKT_TEST(units_are_taken_and_given_back),
    HKT_TEST(wrong_arguments_are_refused),
    HKT_TEST(without_a_bound_there_is_still_a_last_unit),
    HKT_TEST(so_many_units_wake_so_many_sleepers),
    HKT_TEST(a_large_request_does_not_keep_a_small_one_asleep),
    HKT_TEST(who_runs_out_of_time_takes_nothing),
    HKT_TEST(one_unit_is_a_mutual_exclusion),
    HKT_TEST(lots_of_every_size_get_through),
    HKT_TEST(a_release_announces_and_does_not_touch_what_is_freed),
    HKT_TEST(a_child_has_a_copy),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "semaphore", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
