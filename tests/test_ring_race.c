/* SPDX-License-Identifier: MIT */
/* What rings are built of, under several threads at once: the cells without anybody who
 * sleeps, and the eventcount without cells. Rings as a whole are in test_queue_race.c. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "sync/eventcount.h"
#include "sync/ring_cells.h"
#include "tests/queue_fixture.h"

/* --- Cells ------------------------------------------------------------------------------------ */

enum { CELLS_MAX = 4, ITEMS = 500, PUTTERS = 2, GETTERS = 2, BATCH = 3 };

struct thing {
    size_t number; /* Plain: only the cells order it. */
    atomic_uint seen;
};

struct swarm {
    struct hki_cell cell[CELLS_MAX];
    struct hki_cells cells;
    struct thing things[PUTTERS][ITEMS];
    atomic_size_t next_putter;
    atomic_size_t taken;
};

static void put_things(void *arg)
{
    struct swarm *swarm = arg;
    struct thing *things = swarm->things[atomic_fetch_add(&swarm->next_putter, 1)];
    size_t done = 0;

    while (done < ITEMS) {
        void *items[BATCH];
        size_t count = 0;
        size_t put = 0;

        while (count < 1 + done % BATCH && done + count < ITEMS) {
            things[done + count].number = done + count;
            items[count] = &things[done + count];
            count++;
        }
        if (hki_cells_put(&swarm->cells, items, count, &put) != HKI_CELLS_DONE) {
            sched_yield();
        }
        done += put;
    }
}

static void take_things(void *arg)
{
    struct swarm *swarm = arg;
    enum hki_cells_result result;

    do {
        void *items[BATCH];
        size_t count = 0;

        result = hki_cells_take(&swarm->cells, items, BATCH, &count);
        for (size_t i = 0; i < count; i++) {
            struct thing *thing = items[i];

            HKT_TRUE(thing->number < ITEMS);
            HKT_EQ_INT(atomic_fetch_add(&thing->seen, 1), 0);
        }
        atomic_fetch_add(&swarm->taken, count);
        if (count == 0) {
            sched_yield();
        }
    } while (result != HKI_CELLS_CLOSED_FOR_GOOD);
}

static void cells_hand_over_every_item_once(void)
{
    static struct swarm swarm;
    unsigned rounds = 60 / hkt_slowness() + 1;

    for (unsigned round = 0; round < rounds; round++) {
        struct hkt_thread putters[PUTTERS];
        struct hkt_thread getters[GETTERS];
        size_t cells = (size_t)1 << round % 3;

        memset(&swarm, 0, sizeof(swarm));
        swarm.cells.cell = swarm.cell;
        swarm.cells.mask = cells - 1;
        for (size_t i = 0; i < cells; i++) {
            atomic_store(&swarm.cell[i].sequence, 2 * i);
        }
        for (int i = 0; i < GETTERS; i++) {
            hkt_thread_start(&getters[i], take_things, &swarm);
        }
        for (int i = 0; i < PUTTERS; i++) {
            hkt_thread_start(&putters[i], put_things, &swarm);
        }
        for (int i = 0; i < PUTTERS; i++) {
            hkt_thread_join(&putters[i]);
        }
        hki_cells_close(&swarm.cells);
        for (int i = 0; i < GETTERS; i++) {
            hkt_thread_join(&getters[i]);
        }
        HKT_EQ_INT(atomic_load(&swarm.taken), PUTTERS * ITEMS);
    }
}

/* --- The eventcount --------------------------------------------------------------------------- */

enum { SLEEPERS = 3, NOTIFIERS = 2, UNITS = 400 };

/* A counter that sleepers take units from: the least that an eventcount can guard. */
struct pot {
    struct hki_eventcount eventcount;
    atomic_int units;
    atomic_int taken;
};

static bool take_unit(struct pot *pot)
{
    /* relaxed: only the eventcount orders it. */
    int units = atomic_load_explicit(&pot->units, memory_order_relaxed);

    while (units > 0) {
        /* relaxed: as above. */
        if (atomic_compare_exchange_weak_explicit(&pot->units, &units, units - 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* As a ring waits. */
static void sleep_for_units(void *arg)
{
    struct pot *pot = arg;
    unsigned step = 0;

    while (atomic_fetch_add(&pot->taken, 1) < NOTIFIERS * UNITS) {
        bool took = take_unit(pot);

        while (!took) {
            int64_t deadline_ns = step++ % 4 == 0 ? hk_now_ns() + HK_US(20) : INT64_MAX;
            uint32_t key = hki_eventcount_enter(&pot->eventcount);

            took = take_unit(pot);
            if (!took) {
                (void)hki_eventcount_sleep(&pot->eventcount, key, deadline_ns);
            }
            hki_eventcount_leave(&pot->eventcount);
            took = took || take_unit(pot);
        }
        /* relaxed: a sibling that misses it here is notified by who put it. */
        if (atomic_load_explicit(&pot->units, memory_order_relaxed) > 0) {
            hki_eventcount_wake(&pot->eventcount);
        }
    }
}

static void add_units(void *arg)
{
    struct pot *pot = arg;

    for (int i = 0; i < UNITS; i++) {
        /* relaxed: only the eventcount orders it. */
        atomic_fetch_add_explicit(&pot->units, 1, memory_order_relaxed);
        hki_eventcount_notify(&pot->eventcount);
    }
}

static void run_pot(bool refuse_barrier)
{
    unsigned rounds = 60 / hkt_slowness() + 1;

    hki_eventcount_refuse_barrier(refuse_barrier);
    for (unsigned round = 0; round < rounds; round++) {
        struct hkt_thread sleepers[SLEEPERS];
        struct hkt_thread notifiers[NOTIFIERS];
        struct pot pot = {.units = 0};

        hki_eventcount_init(&pot.eventcount);
        for (int i = 0; i < SLEEPERS; i++) {
            hkt_thread_start(&sleepers[i], sleep_for_units, &pot);
        }
        for (int i = 0; i < NOTIFIERS; i++) {
            hkt_thread_start(&notifiers[i], add_units, &pot);
        }
        for (int i = 0; i < NOTIFIERS; i++) {
            hkt_thread_join(&notifiers[i]);
        }
        for (int i = 0; i < SLEEPERS; i++) {
            hkt_thread_join(&sleepers[i]);
        }
        HKT_EQ_INT(atomic_load(&pot.units), 0);
        HKT_EQ_INT(atomic_load(&pot.eventcount.state), 0); /* Nobody counted, nothing pending. */
    }
    hki_eventcount_refuse_barrier(false);
}

static void no_change_is_slept_through(void)
{
    run_pot(false);
}

static void no_change_is_slept_through_without_the_barrier(void)
{
    run_pot(true);
}

/* One writes a number with a plain store and notifies, the other sleeps for it: what lies
 * between its last look and its sleep is met again and again, a little earlier or later. */
enum { LINE = 64, COLD_LINES = 1 << 16, COLD_STORES = 24 };

struct step {
    struct hki_eventcount eventcount;
    char apart_1[LINE];
    atomic_uint written;
    char apart_2[LINE];
    atomic_uint seen;
    unsigned steps;
};

/* Stores that take long to leave the processor, so that what is stored next stays behind
 * for a while: nobody may rely on its being seen. */
static volatile char cold[COLD_LINES * LINE];

static void store_slowly(unsigned step)
{
    unsigned at = step;

    for (int i = 0; i < COLD_STORES; i++) {
        at = at * 1664525 + 1013904223;
        cold[(size_t)(at >> 16) % COLD_LINES * LINE] = (char)step;
    }
}

static void write_numbers(void *arg)
{
    struct step *step = arg;

    for (unsigned i = 1; i <= step->steps; i++) {
        unsigned spins = 0;

        while (atomic_load(&step->seen) < i - 1) {
            if (++spins % 4096 == 0) {
                sched_yield();
            }
        }
        (void)atomic_load(&step->eventcount.state); /* At hand when it is looked at. */
        store_slowly(i);
        /* release, pairs with the load of the sleeper; like the turn of a cell. */
        atomic_store_explicit(&step->written, i, memory_order_release);
        hki_eventcount_notify(&step->eventcount);
    }
}

static void run_steps(bool refuse_barrier)
{
    struct step step = {.steps = 60000 / hkt_slowness()};
    struct hkt_thread writer;

    hki_eventcount_refuse_barrier(refuse_barrier);
    hki_eventcount_init(&step.eventcount);
    hki_eventcount_refuse_barrier(false);
    hkt_thread_start(&writer, write_numbers, &step);
    for (unsigned i = 1; i <= step.steps; i++) {
        volatile unsigned pause = i * 7 % 1009;
        bool there = false;

        atomic_store(&step.seen, i - 1);
        while (pause > 0) {
            pause--;
        }
        while (!there) {
            uint32_t key = hki_eventcount_enter(&step.eventcount);

            /* acquire, pairs with the store of the writer. */
            there = atomic_load_explicit(&step.written, memory_order_acquire) == i;
            if (!there) {
                (void)hki_eventcount_sleep(&step.eventcount, key, INT64_MAX);
            }
            hki_eventcount_leave(&step.eventcount);
        }
    }
    hkt_thread_join(&writer);
    HKT_EQ_INT(atomic_load(&step.eventcount.state), 0);
}

static void nothing_falls_between_look_and_sleep(void)
{
    run_steps(false);
}

static void nothing_falls_between_look_and_sleep_without_the_barrier(void)
{
    run_steps(true);
}

static CU_TestInfo tests[] = {
    HKT_TEST(cells_hand_over_every_item_once),
    HKT_TEST(no_change_is_slept_through),
    HKT_TEST(no_change_is_slept_through_without_the_barrier),
    HKT_TEST(nothing_falls_between_look_and_sleep),
    HKT_TEST(nothing_falls_between_look_and_sleep_without_the_barrier),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "ring_race", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
