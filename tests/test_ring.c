/* SPDX-License-Identifier: MIT */
/* What rings do otherwise than queues. What they have in common is in test_queue.c. */
#include <stdint.h>

#include "sync/ring_cells.h"
#include "tests/allocation_fixture.h"
#include "tests/queue_fixture.h"

static hk_ring *open_ring(size_t capacity)
{
    hk_ring_options options = {.capacity = capacity};
    hk_ring *ring = NULL;

    HKT_OK_FATAL(hk_ring_create(&options, &ring));
    return ring;
}

static void a_capacity_is_rounded_up_to_a_power_of_two(void)
{
    static const size_t asked[] = {0, 1, 2, 3, 4, 5, 1000, 1024, 1025};
    static const size_t given[] = {1024, 1, 2, 4, 4, 8, 1024, 1024, 2048};

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        hk_ring *ring = open_ring(asked[i]);

        HKT_EQ_INT(hk_ring_capacity(ring), given[i]);
        for (size_t put = 0; put < given[i]; put++) {
            HKT_OK(hk_ring_put(ring, NULL, 0));
        }
        HKT_STATUS(hk_ring_put(ring, NULL, 0), HK_ETIMEDOUT);
        HKT_EQ_INT(hk_ring_length(ring), given[i]);
        HKT_OK(hk_ring_destroy(ring));
    }
}

static void without_options_there_are_defaults(void)
{
    hk_ring *ring = NULL;

    HKT_OK_FATAL(hk_ring_create(NULL, &ring));
    HKT_EQ_INT(hk_ring_capacity(ring), 1024);
    HKT_OK(hk_ring_destroy(ring));
    HKT_STATUS(hk_ring_create(NULL, NULL), HK_EINVAL);
}

static hk_ring *short_ring;

static void nothing_to_prepare(void)
{
}

static void open_short(void)
{
    short_ring = open_ring(4);
}

static hk_status create_short(void)
{
    return hk_ring_create(NULL, &short_ring);
}

static hk_status bind_short(void)
{
    return hk_ring_bind(short_ring, HK_QUEUE_PUTTER | HK_QUEUE_GETTER);
}

static void expect_unbound(void)
{
    HKT_STATUS(hk_ring_unbind(short_ring, HK_QUEUE_PUTTER), HK_ESTATE);
    HKT_STATUS(hk_ring_unbind(short_ring, HK_QUEUE_GETTER), HK_ESTATE);
}

static void end_short(void)
{
    HKT_OK(hk_ring_destroy(short_ring));
    short_ring = NULL;
}

/* Only these need any: the rest of a ring lives on what it got at its creation. */
static void memory_that_is_not_there_changes_nothing(void)
{
    static const struct hkt_allocation_case cases[] = {
        {.name = "create", .prepare = nothing_to_prepare, .call = create_short, .clean = end_short},
        {.name = "bind",
         .prepare = open_short,
         .call = bind_short,
         .unchanged = expect_unbound,
         .clean = end_short},
    };

    hkt_fail_each_allocation(&cases[0]);
    hkt_fail_each_allocation(&cases[1]);
}

/* --- The cells -------------------------------------------------------------------------------- */

enum { CELLS = 4 };

struct array {
    struct hki_cell cell[CELLS];
    struct hki_cells cells;
};

/* As a new ring's, but with so many tickets behind it. */
static void open_cells(struct array *array, uint64_t tickets)
{
    array->cells = (struct hki_cells){.cell = array->cell, .mask = CELLS - 1};
    atomic_store(&array->cells.tail, tickets);
    atomic_store(&array->cells.head, tickets);
    for (uint64_t i = 0; i < CELLS; i++) {
        atomic_store(&array->cell[(tickets + i) % CELLS].sequence, 2 * (tickets + i));
    }
}

static size_t put(struct array *array, size_t first, size_t count, enum hki_cells_result expected)
{
    void *items[2 * CELLS];
    size_t done = 0;

    for (size_t i = 0; i < count; i++) {
        items[i] = hkt_number(first + i);
    }
    HKT_EQ_INT(hki_cells_put(&array->cells, items, count, &done), expected);
    return done;
}

static void take(struct array *array, size_t first, size_t count)
{
    void *items[2 * CELLS];
    size_t done = 0;

    HKT_EQ_INT(hki_cells_take(&array->cells, items, count, &done), HKI_CELLS_DONE);
    HKT_EQ_INT(done, count);
    for (size_t i = 0; i < done; i++) {
        HKT_EQ_PTR(items[i], hkt_number(first + i));
    }
}

static void tickets_run_on_past_the_array(void)
{
    static const uint64_t starts[] = {0, 3, UINT64_C(1) << 32, (UINT64_C(1) << 62) + 1};
    struct array array;

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        open_cells(&array, starts[i]);
        for (size_t round = 0; round < 5; round++) {
            HKT_TRUE(hki_cells_can_put(&array.cells));
            HKT_TRUE(!hki_cells_can_take(&array.cells));
            HKT_EQ_INT(put(&array, 0, 3, HKI_CELLS_DONE), 3);
            HKT_EQ_INT(put(&array, 3, 3, HKI_CELLS_DONE), 1);
            HKT_EQ_INT(put(&array, 4, 1, HKI_CELLS_NOT_NOW), 0);
            HKT_TRUE(!hki_cells_can_put(&array.cells));
            HKT_TRUE(hki_cells_can_take(&array.cells));
            take(&array, 0, 4);
        }
        HKT_EQ_INT(hki_cells_tickets(&array.cells), starts[i] + 20);
    }
}

/* A get that has its ticket and has not read its cell yet: as if it were held up there. */
static void a_getter_that_is_held_up_hides_its_cell(void)
{
    struct array array;
    struct hki_cell *held;

    open_cells(&array, 0);
    HKT_EQ_INT(put(&array, 0, CELLS, HKI_CELLS_DONE), CELLS);
    held = hki_cell_of(&array.cells, atomic_fetch_add(&array.cells.head, 1));
    take(&array, 1, 2); /* Passed by another. */
    HKT_EQ_INT(put(&array, 4, 2, HKI_CELLS_NOT_NOW), 0);
    HKT_TRUE(!hki_cells_can_put(&array.cells));
    atomic_store(&held->sequence, 2 * CELLS);
    HKT_EQ_INT(put(&array, 4, CELLS, HKI_CELLS_DONE), 3);
    take(&array, 3, CELLS);
}

/* A put that has its ticket and has not filled its cell yet. */
static void a_putter_that_is_held_up_hides_later_items(void)
{
    struct array array;
    struct hki_cell *held;
    void *item;
    size_t done;

    open_cells(&array, 0);
    held = hki_cell_of(&array.cells, atomic_fetch_add(&array.cells.tail, 1));
    HKT_EQ_INT(put(&array, 1, 2, HKI_CELLS_DONE), 2);
    HKT_EQ_INT(hki_cells_take(&array.cells, &item, 1, &done), HKI_CELLS_NOT_NOW);
    HKT_TRUE(!hki_cells_can_take(&array.cells));
    hki_cells_close(&array.cells); /* It has its ticket, so its item comes all the same. */
    HKT_EQ_INT(hki_cells_take(&array.cells, &item, 1, &done), HKI_CELLS_NOT_NOW);
    held->item = hkt_number(0);
    atomic_store(&held->sequence, 1);
    take(&array, 0, 3);
    HKT_EQ_INT(hki_cells_take(&array.cells, &item, 1, &done), HKI_CELLS_CLOSED_FOR_GOOD);
    HKT_TRUE(hki_cells_can_take(&array.cells));
    HKT_EQ_INT(put(&array, 0, 1, HKI_CELLS_CLOSED_FOR_GOOD), 0);
    HKT_TRUE(hki_cells_can_put(&array.cells));
    HKT_EQ_INT(hki_cells_tickets(&array.cells), 3);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_capacity_is_rounded_up_to_a_power_of_two),
    HKT_TEST(without_options_there_are_defaults),
    HKT_TEST(memory_that_is_not_there_changes_nothing),
    HKT_TEST(tickets_run_on_past_the_array),
    HKT_TEST(a_getter_that_is_held_up_hides_its_cell),
    HKT_TEST(a_putter_that_is_held_up_hides_later_items),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "ring", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
