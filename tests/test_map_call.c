/* SPDX-License-Identifier: MIT */
/* What an item of a chunk may ask of its call, wherever it runs. */
#include <poll.h>
#include <string.h>

#include "tests/fixture.h"

enum { ITEMS = 40, CHUNK = 8 };

/* What did not hold, as a bit; 0 is all well. */
HK_TASK(asks_its_call)
{
    struct pollfd stop = {.events = POLLIN};
    hk_cancel_token *token = NULL;
    int wrong = 0;
    int fd = -1;

    hk_progress(call, 1, 2);
    wrong |= hk_should_stop(call) ? 1 : 0;
    wrong |= hk_sleep(call, HK_US(10)) != HK_OK ? 2 : 0;
    wrong |= hk_sleep(call, -HK_US(10)) != HK_EINVAL ? 4 : 0;
    wrong |= hk_call_time_left(call) != HK_FOREVER ? 8 : 0;
    wrong |= hk_call_take_fd(call, 0, &fd) != HK_EINVAL ? 16 : 0;
    wrong |= hk_call_attempt(call) != 1 ? 32 : 0;
    wrong |= hk_call_stop_fd(call, &stop.fd) != HK_OK || poll(&stop, 1, 0) != 0 ? 64 : 0;
    wrong |= hk_call_token(call, &token) != HK_OK || hk_cancel_token_is_fired(token) ? 128 : 0;
    return hk_return(call, &wrong, sizeof(wrong));
}

/* Sleeps until it is asked to stop; the first one says that it has begun. */
HK_TASK(sleeps_on)
{
    struct hkt_gate *gate = hkt_pointer(in, in_size);

    hkt_gate_wait(gate); /* Open: it only counts. */
    return hk_sleep(call, HK_FOREVER);
}

static void every_item_of_a_chunk_may_ask_its_call(void)
{
    int numbers[ITEMS] = {0};
    hk_array_source source = {numbers, ITEMS, sizeof(numbers[0]), 0};
    hk_map_options options = {.chunk = CHUNK};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_OK_FATAL(
        hk_map(hkt_executor, asks_its_call, hk_array_source_next, &source, &options, &iterator));
    for (int i = 0; i < ITEMS; i++) {
        int wrong = -1;

        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_OK(item.status);
        if (HKT_EQ_INT(item.size, sizeof(wrong))) {
            memcpy(&wrong, item.data, sizeof(wrong));
        }
        HKT_EQ_INT(wrong, 0);
        hk_map_item_drop(&item);
    }
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
}

static void items_that_sleep_wake_when_they_are_to_stop(void)
{
    struct hkt_gate *gate = hkt_shared_new(sizeof(*gate));
    void *pointers[CHUNK];
    hk_array_source source = {pointers, CHUNK, sizeof(pointers[0]), 0};
    hk_map_options options = {.chunk = CHUNK};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    hkt_gate_init(gate, "an item has begun");
    hkt_gate_open(gate);
    for (int i = 0; i < CHUNK; i++) {
        pointers[i] = gate;
    }
    HKT_OK_FATAL(hk_cancel_token_create(NULL, &options.token));
    HKT_OK_FATAL(
        hk_map(hkt_executor, sleeps_on, hk_array_source_next, &source, &options, &iterator));
    hkt_gate_await_arrivals(gate, 1);
    HKT_OK(hk_cancel_token_fire(options.token, "enough"));
    for (int i = 0; i < CHUNK; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_STATUS(item.status, HK_ECANCELED);
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    hk_cancel_token_unref(options.token);
}

static CU_TestInfo tests[] = {
    HKT_TEST(every_item_of_a_chunk_may_ask_its_call),
    HKT_TEST(items_that_sleep_wake_when_they_are_to_stop),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "map_call",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
