/* SPDX-License-Identifier: MIT */
/*
 * A hundred thousand tasks that take locks, hand out tasks and wait for them while they
 * hold the locks, on pools that run out of workers all the time. By the order in which
 * they do that, no ring is possible; so not one wait may be refused.
 *
 * A task of level v takes locks above v only, from below to above, and a task that it waits
 * for has the level of the highest lock it holds.
 */
#include <string.h>

#include "tests/ring_fixture.h"

enum { TASKS = 100000, PARTS = 4, POOLS = 3, LEVELS = 8, DEPTH = 3, IN_FLIGHT = 8 };

static hk_executor *pools[POOLS];
static hk_lock locks[LEVELS];     /* Odd levels. */
static hk_rwlock rwlocks[LEVELS]; /* Even ones. */
static uint64_t counts[LEVELS];   /* Plain: under the lock of their level. */
static atomic_uint_fast64_t written;

struct work {
    uint32_t seed;
    uint16_t level;
    uint16_t depth;
};

static uint32_t draw(struct work *work)
{
    work->seed = work->seed * UINT32_C(1664525) + UINT32_C(1013904223);
    return work->seed >> 16;
}

static hk_status take(unsigned level, bool write)
{
    if (level % 2 != 0) {
        return hk_lock_acquire(&locks[level]);
    }
    return write ? hk_rwlock_write(&rwlocks[level]) : hk_rwlock_read(&rwlocks[level]);
}

static hk_status give(unsigned level)
{
    return level % 2 != 0 ? hk_lock_release(&locks[level]) : hk_rwlock_release(&rwlocks[level]);
}

HK_TASK_DECLARE(travels);

static hk_status hand_out(struct work *work)
{
    struct work child = {draw(work), work->level, (uint16_t)(work->depth + 1)};
    hk_future *future = NULL;
    hk_status status =
        hk_submit(pools[draw(work) % POOLS], travels, &child, sizeof(child), NULL, &future);

    if (status == HK_OK) {
        status = hk_future_result(future, HK_FOREVER, NULL, NULL);
    }
    hk_future_unref(future);
    return status;
}

HK_TASK(travels)
{
    struct work work;
    bool held[LEVELS] = {false};
    hk_status status = HK_OK;

    memcpy(&work, in, sizeof(work));
    for (unsigned level = work.level + 1U; level < LEVELS && status == HK_OK; level++) {
        bool write = draw(&work) % 2 == 0;

        if (draw(&work) % 3 == 0 && (status = take(level, write)) == HK_OK) {
            held[level] = true;
            work.level = (uint16_t)level;
            if (write || level % 2 != 0) {
                counts[level]++;
                atomic_fetch_add(&written, 1);
            }
        }
    }
    if (status == HK_OK && work.depth < DEPTH && draw(&work) % 2 == 0) {
        status = hand_out(&work);
    }
    for (unsigned level = 0; level < LEVELS; level++) {
        if (held[level]) {
            HKT_OK(give(level));
        }
    }
    return status;
}

/* Each part has the time of a test: most of it they sleep, and wait for somebody to wake up. */
static void no_wait_is_refused(unsigned part)
{
    const unsigned count = TASKS / PARTS / hkt_slowness();
    hk_future *futures[IN_FLIGHT] = {NULL};
    uint64_t counted = 0;

    for (int i = 0; i < POOLS; i++) {
        pools[i] = hkt_pool_create((hk_executor_options){.workers = 1 + (unsigned)i});
    }
    for (unsigned i = part * count; i < (part + 1) * count; i++) {
        struct work work = {i * 2654435761U, 0, 0};
        hk_future **place = &futures[i % IN_FLIGHT];

        if (*place != NULL) {
            hkt_expect_end(*place, HK_OK);
        }
        HKT_OK_FATAL(hk_submit(pools[i % POOLS], travels, &work, sizeof(work), NULL, place));
    }
    for (int i = 0; i < IN_FLIGHT; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    for (int i = 0; i < POOLS; i++) {
        HKT_OK(hk_executor_destroy(pools[i]));
    }
    for (int i = 0; i < LEVELS; i++) {
        counted += counts[i];
    }
    HKT_EQ_INT(counted, atomic_load(&written));
    HKT_EQ_INT(hkt_refusals_count(), 0);
}

static void no_wait_of_a_hundred_thousand_tasks_is_refused(void)
{
    no_wait_is_refused(0);
}

static void nor_in_the_second_part(void)
{
    no_wait_is_refused(1);
}

static void nor_in_the_third(void)
{
    no_wait_is_refused(2);
}

static void nor_in_the_last(void)
{
    no_wait_is_refused(3);
}

static CU_TestInfo tests[] = {
    HKT_CASE("no wait of a hundred thousand tasks is refused",
             no_wait_of_a_hundred_thousand_tasks_is_refused),
    HKT_CASE("nor in the second of four parts", nor_in_the_second_part),
    HKT_CASE("nor in the third", nor_in_the_third),
    HKT_CASE("nor in the last", nor_in_the_last),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "traffic",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
