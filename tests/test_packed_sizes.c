/* SPDX-License-Identifier: MIT */
/* Maps whose chunks travel as bytes: items and values of one size, and of several. */
#include <string.h>

#include "tests/elsewhere_fixture.h"

enum { ITEMS = 40, BYTES = 100, ALIGN = 16 };

static struct hkt_elsewhere elsewhere;

static void set_up(void)
{
    hkt_elsewhere_open(&elsewhere, NULL);
}

static void tear_down(void)
{
    hkt_elsewhere_close(&elsewhere);
}

/* Sizes of items, over and over; and bytes to take them from. */
struct sizes {
    const size_t *sizes;
    size_t period;
    size_t next;
};

static unsigned char bytes[BYTES + ITEMS];

static hk_status next_of_some_size(void *state, hk_map_input *input)
{
    struct sizes *sizes = state;

    if (sizes->next == ITEMS) {
        return HK_EDONE;
    }
    input->data = bytes + sizes->next;
    input->size = sizes->sizes[sizes->next % sizes->period];
    sizes->next++;
    return HK_OK;
}

/* Bytes -> the same, made in the place for a value; every other time after a larger one. */
HK_TASK(copies)
{
    void *out = NULL;
    hk_status status = HK_OK;

    HKT_EQ_INT((uintptr_t)in % ALIGN, 0);
    if (in_size % 2 == 1) {
        status = hk_return_reserve(call, 2 * in_size, &out);
    }
    if (status == HK_OK && (status = hk_return_reserve(call, in_size, &out)) == HK_OK &&
        in_size != 0) {
        HKT_EQ_INT((uintptr_t)out % ALIGN, 0);
        memcpy(out, in, in_size);
    }
    return status;
}

/* Bytes -> the same. */
HK_TASK(returns)
{
    return hk_return(call, in, in_size);
}

static void expect_echoes(const hk_task *task, const size_t *list, size_t period, size_t chunk)
{
    struct sizes sizes = {list, period, 0};
    struct sizes check = {list, period, 0};
    hk_map_options options = {.chunk = chunk};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_OK_FATAL(hk_map(elsewhere.executor, task, next_of_some_size, &sizes, &options, &iterator));
    while (hk_map_next(iterator, HK_FOREVER, &item) == HK_OK) {
        hk_map_input input = {NULL, 0, NULL};

        HKT_OK_FATAL(item.status);
        HKT_OK_FATAL(next_of_some_size(&check, &input));
        HKT_EQ_INT_FATAL(item.size, input.size);
        HKT_EQ_INT(input.size == 0 ? 0 : memcmp(item.data, input.data, input.size), 0);
        hk_map_item_drop(&item);
    }
    HKT_EQ_INT(check.next, ITEMS);
    hk_map_destroy(iterator);
}

static void expect_echoes_in_chunks(const size_t *list, size_t period)
{
    for (size_t i = 0; i < BYTES + ITEMS; i++) {
        bytes[i] = (unsigned char)i;
    }
    for (size_t chunk = 0; chunk <= ITEMS; chunk += 1 + chunk / 4) {
        expect_echoes(copies, list, period, chunk);
        expect_echoes(returns, list, period, chunk);
    }
}

static void items_of_one_size_travel(void)
{
    for (size_t size = 0; size <= BYTES; size += 1 + size / 8) {
        expect_echoes_in_chunks(&size, 1);
    }
}

static void items_of_several_sizes_travel(void)
{
    static const size_t one_at_the_end[] = {8, 8, 8, 8, 8, 9};
    static const size_t empty_ones[] = {0, 0, 0, 5, 0};
    static const size_t all_kinds[] = {5, 5, 5, 17, 0, 5, 5, 48, 100, 16, 15};

    expect_echoes_in_chunks(one_at_the_end, 6);
    expect_echoes_in_chunks(empty_ones, 5);
    expect_echoes_in_chunks(all_kinds, 11);
}

/* The same from an array, whose elements are taken many at a time. */
static void arrays_travel(void)
{
    for (size_t stride = 0; stride <= BYTES / ITEMS * ALIGN; stride++) {
        static unsigned char elements[ITEMS * BYTES];
        hk_array_source source = {.items = elements, .count = ITEMS, .stride = stride};
        hk_map_options options = {.chunk = stride % 9, .window = 3};
        hk_map_iterator *iterator = NULL;
        hk_map_item item;
        size_t came = 0;

        for (size_t i = 0; i < sizeof(elements); i++) {
            elements[i] = (unsigned char)(i % 251);
        }
        HKT_OK_FATAL(
            hk_map(elsewhere.executor, copies, hk_array_source_next, &source, &options, &iterator));
        while (hk_map_next(iterator, HK_FOREVER, &item) == HK_OK) {
            HKT_OK_FATAL(item.status);
            HKT_EQ_INT(item.index, came);
            HKT_EQ_INT_FATAL(item.size, stride);
            HKT_EQ_INT(stride == 0 ? 0 : memcmp(item.data, elements + came * stride, stride), 0);
            hk_map_item_drop(&item);
            came++;
        }
        HKT_EQ_INT(came, ITEMS);
        HKT_EQ_INT(source.next, ITEMS);
        hk_map_destroy(iterator);
    }
}

static void an_array_that_cannot_be_is_refused(void)
{
    hk_array_source source = {.items = NULL, .count = 3, .stride = 4};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_OK_FATAL(
        hk_map(elsewhere.executor, copies, hk_array_source_next, &source, NULL, &iterator));
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EINVAL);
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
}

static CU_TestInfo tests[] = {
    HKT_TEST(items_of_one_size_travel),
    HKT_TEST(items_of_several_sizes_travel),
    HKT_TEST(arrays_travel),
    HKT_TEST(an_array_that_cannot_be_is_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "packed_sizes", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
