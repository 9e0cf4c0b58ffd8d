/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at every allocation in turn: nothing leaks, nothing is lost,
 * and what was refused is still the caller's.
 *
 * Each scenario is run with its first allocation failing, then its second, and so
 * on, until it runs through without meeting the failure.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/live.h"
#include "base/memory.h"
#include "tests/fixture.h"

/* One try; every status it meets must be HK_OK or one that says "no memory". */
typedef void scenario_fn(void);

enum { TRIES_MAX = 2000 };

static bool is_as_before(void *arg)
{
    return hki_live_total(NULL, 0) == *(const size_t *)arg;
}

static void run_until_memory_suffices(scenario_fn *scenario)
{
    size_t live = hki_live_total(NULL, 0);
    long left = 0;
    long nth = 0;

    while (left == 0 && nth < TRIES_MAX) {
        hki_memory_fail_at(++nth);
        scenario();
        left = hki_memory_fail_at(0);
        if (!HKT_TRUE(hkt_eventually(is_as_before, &live))) {
            char text[512];

            hki_live_total(text, sizeof(text));
            hkt_fail(HKT_SITE(true), text);
        }
    }
    HKT_TRUE(nth > 1); /* It did need memory. */
    HKT_TRUE(nth < TRIES_MAX);
}

static bool succeeded(hk_status status)
{
    HKT_TRUE(status == HK_OK || status == HK_ENOMEM);
    return status == HK_OK;
}

/* Refuses nothing silently: what did not come to be is not written. */
static hk_executor *open_or_not(const char *spec)
{
    hk_executor *executor = NULL;

    if (!succeeded(hk_executor_open(spec, &executor))) {
        HKT_EQ_PTR(executor, NULL);
    }
    return executor;
}

/* However a task ended under memory pressure, it did end. */
static hk_status end_of(hk_future *future)
{
    hk_status status;

    if (future == NULL) {
        return HK_ENOMEM;
    }
    status = hk_future_wait(future, HK_FOREVER);
    HKT_OK(status);
    status = hk_future_result(future, 0, NULL, NULL);
    (void)hk_future_why(future);
    hk_future_unref(future);
    return status;
}

/* --- Executors --- */

static void make_executors(void)
{
    static const char *const specs[] = {"inline?name=a", "threads:2", "replay:1",
                                        "serial:threads:2"};

    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        HKT_OK(hk_executor_destroy(open_or_not(specs[i])));
    }
}

static void prestart_workers(void)
{
    hk_executor *executor = open_or_not("threads:3");

    if (executor != NULL) {
        (void)succeeded(hk_executor_prestart(executor, HK_FOREVER));
        HKT_OK(hk_executor_destroy(executor));
    }
}

/* --- Submits --- */

static const char *scenario_spec;

static void submit_references(void)
{
    hk_executor *executor = open_or_not(scenario_spec);
    atomic_uint counters[6];
    bool accepted[6];

    memset(counters, 0, sizeof(counters));
    if (executor == NULL) {
        return;
    }
    for (int i = 0; i < 6; i++) {
        accepted[i] = succeeded(
            hk_submit_ref(executor, hkt_counts, &counters[i], hkt_count_drop, NULL, NULL));
    }
    HKT_OK(hk_executor_destroy(executor));
    for (int i = 0; i < 6; i++) {
        /* It ran and was dropped, or it is as it was. */
        HKT_EQ_INT(atomic_load(&counters[i]), accepted[i] ? 2 : 0);
    }
}

static void submit_bytes(void)
{
    static const size_t sizes[] = {4, 48, 49, 5000};
    static const unsigned char bytes[5000] = {1, 2, 3};
    hk_executor *executor = open_or_not(scenario_spec);

    for (size_t i = 0; executor != NULL && i < 4; i++) {
        hk_future *future = NULL;
        hk_value value = {0};
        hk_status status = hk_submit(executor, hkt_echo, bytes, sizes[i], NULL, &future);

        if (!succeeded(status)) {
            HKT_EQ_PTR(future, NULL);
            continue;
        }
        status = hk_future_take(future, HK_FOREVER, &value);
        /* The task may not have found room for its value, or the take for its copy. */
        HKT_TRUE(status == HK_OK || status == HK_EFAILED || status == HK_ENOMEM);
        if (status == HK_OK) {
            HKT_EQ_INT(value.size, sizes[i]);
            HKT_TRUE(memcmp(value.data, bytes, sizes[i]) == 0);
        }
        hk_value_drop(&value);
        (void)end_of(future);
    }
    HKT_OK(hk_executor_destroy(executor));
}

static void submit_with_everything(void)
{
    hk_executor *executor = open_or_not(scenario_spec);
    hk_submit_options options = {
        .label = "with everything", .timeout = HK_SEC(3600), .deadline = HK_SEC(3600)};
    atomic_uint counter = 0;

    if (executor != NULL && succeeded(hk_cancel_token_create(NULL, &options.token))) {
        hk_future *future = NULL;

        if (succeeded(
                hk_submit_ref(executor, hkt_counts, &counter, hkt_count_drop, &options, &future))) {
            /* A limit that cannot be set fails the task rather than being forgotten. */
            unsigned expected = end_of(future) == HK_OK ? 2 : 1;

            HKT_EQ_INT(atomic_load(&counter), expected);
        } else {
            HKT_EQ_INT(atomic_load(&counter), 0);
        }
        hk_cancel_token_unref(options.token);
    }
    HKT_OK(hk_executor_destroy(executor));
}

static void submit_failures(void)
{
    hk_executor *executor = open_or_not(scenario_spec);

    for (int i = 0; executor != NULL && i < 3; i++) {
        hk_future *future = NULL;

        if (succeeded(hk_submit(executor, hkt_fails, NULL, 0, NULL, &future))) {
            HKT_STATUS(end_of(future), HK_EFAILED); /* Even without its words. */
        }
    }
    HKT_OK(hk_executor_destroy(executor));
}

static void submit_buffers(void)
{
    hk_executor *executor = open_or_not(scenario_spec);
    hk_buffer *buffer = NULL;

    if (executor != NULL && succeeded(hk_buffer_create(executor, 1000, &buffer))) {
        hk_future *future = NULL;

        memset(hk_buffer_data(buffer), 1, 1000);
        if (succeeded(hk_submit_buffer(executor, hkt_nothing, buffer, NULL, &future))) {
            HKT_OK(end_of(future));
        } else {
            hk_buffer_destroy(buffer);
        }
    }
    HKT_OK(hk_executor_destroy(executor));
}

static void submit_many(void)
{
    static const int numbers[] = {1, 2, 3, 4, 5};
    hk_executor *executor = open_or_not(scenario_spec);
    hk_future *futures[5];
    size_t accepted = 0;

    if (executor == NULL) {
        return;
    }
    if (succeeded(hk_submit_many(executor, hkt_square, numbers, 5, sizeof(int), NULL, futures,
                                 &accepted))) {
        HKT_EQ_INT(accepted, 5);
    }
    for (size_t i = 0; i < 5; i++) {
        HKT_TRUE((futures[i] != NULL) == (i < accepted));
        if (futures[i] != NULL) {
            hk_status status = end_of(futures[i]);

            HKT_TRUE(status == HK_OK || status == HK_EFAILED);
        }
    }
    HKT_OK(hk_executor_destroy(executor));
}

enum { TURNS = 300 };

static hk_status take_turns(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)range;
    for (size_t i = begin; i < end; i++) {
        ((int *)context)[i]++;
    }
    return HK_OK;
}

/* With more workers than a range has room for by itself. */
static void run_range(void)
{
    hk_executor *executor = open_or_not(scenario_spec);
    int turns[TURNS] = {0};
    hk_range range;
    bool ran;
    int wrong = 0;

    if (executor == NULL) {
        return;
    }
    ran = succeeded(hk_parallel_for(&range, executor, 0, TURNS, take_turns, turns, NULL));
    HKT_TRUE(hk_range_has_ended(&range));
    for (int i = 0; i < TURNS; i++) {
        wrong += turns[i] != (ran ? 1 : 0);
    }
    HKT_EQ_INT(wrong, 0);
    HKT_OK(hk_executor_destroy(executor));
}

/* --- Inside a task --- */

enum { INNER = 20 }; /* More than a wait watches without memory. */

HK_TASK(waits_for_many)
{
    hk_future *futures[INNER] = {NULL};
    size_t count = 0;
    hk_status status = HK_OK;

    while (count < INNER && status == HK_OK) {
        status = hk_submit(hk_call_executor(call), hkt_nothing, NULL, 0, NULL, &futures[count]);
        count += status == HK_OK;
    }
    if (status == HK_OK) {
        status = hk_wait(futures, count, HK_FIRST_COMPLETED, HK_FOREVER, NULL, NULL);
    }
    if (status == HK_OK) {
        status = hk_wait(futures, count, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        hk_status one = hk_future_wait(futures[i], HK_FOREVER);

        /* One at a time needs no memory; a serial's next task waits for this one. */
        HKT_TRUE(one == (strncmp(scenario_spec, "serial", 6) == 0 ? HK_EDEADLK : HK_OK));
        hk_future_unref(futures[i]);
    }
    return status;
}

HK_TASK(uses_its_token)
{
    hk_cancel_token *token = NULL;
    int fd = -1;
    hk_status status = hk_call_token(call, &token);

    if (status == HK_OK) {
        status = hk_call_stop_fd(call, &fd);
    }
    return status == HK_OK ? hk_sleep(call, HK_US(10)) : status;
}

static void run_inside(const hk_task *task)
{
    hk_executor *executor = open_or_not(scenario_spec);
    hk_future *future = NULL;

    if (executor != NULL && succeeded(hk_submit(executor, task, NULL, 0, NULL, &future))) {
        hk_status status = end_of(future);

        HKT_TRUE(status == HK_OK || status == HK_EFAILED);
    }
    HKT_OK(hk_executor_destroy(executor));
}

static void wait_inside(void)
{
    run_inside(waits_for_many);
}

static void use_tokens_inside(void)
{
    run_inside(uses_its_token);
}

/* --- Maps --- */

enum { ITEMS = 12 };

static atomic_uint items[ITEMS];
static int items_next;

static hk_status next_item(void *state, hk_map_input *input)
{
    (void)state;
    if (items_next == ITEMS) {
        return HK_EDONE;
    }
    input->data = &items[items_next++];
    input->size = HK_BY_REF;
    input->drop = hkt_count_drop;
    return HK_OK;
}

static void map_with(bool unordered)
{
    hk_executor *executor = open_or_not(scenario_spec);
    hk_map_options options = {.chunk = 3, .window = 2, .unordered = unordered, .label = "items"};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    hk_status status;

    memset(items, 0, sizeof(items));
    items_next = 0;
    if (executor == NULL) {
        return;
    }
    if (succeeded(hk_map(executor, hkt_nothing, next_item, NULL, &options, &iterator))) {
        while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK) {
            HKT_OK(item.status);
            hk_map_item_drop(&item);
        }
        HKT_TRUE(status == HK_EDONE || status == HK_ENOMEM);
        HKT_TRUE(status != HK_EDONE || items_next == ITEMS);
        hk_map_destroy(iterator);
    }
    HKT_OK(hk_executor_destroy(executor));
    for (int i = 0; i < ITEMS; i++) {
        HKT_EQ_INT(atomic_load(&items[i]), i < items_next); /* Pulled: dropped once. */
    }
}

static void map_in_order(void)
{
    map_with(false);
}

static void map_unordered(void)
{
    map_with(true);
}

/* --- The tests --- */

static void executors_are_made_or_not(void)
{
    run_until_memory_suffices(make_executors);
    run_until_memory_suffices(prestart_workers);
}

static void on_every_spec(scenario_fn *scenario)
{
    static const char *const specs[] = {"inline", "threads:1", "threads:2", "serial:threads:1",
                                        "replay:1"};

    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        scenario_spec = specs[i];
        run_until_memory_suffices(scenario);
    }
}

static void references_are_accepted_or_not(void)
{
    on_every_spec(submit_references);
}

static void bytes_arrive_or_not(void)
{
    on_every_spec(submit_bytes);
}

static void limits_are_kept_or_refused(void)
{
    on_every_spec(submit_with_everything);
}

static void failures_stay_failures(void)
{
    on_every_spec(submit_failures);
}

static void buffers_and_arrays_are_accepted_or_not(void)
{
    on_every_spec(submit_buffers);
    on_every_spec(submit_many);
}

static void tasks_see_that_there_is_no_memory(void)
{
    on_every_spec(wait_inside);
    on_every_spec(use_tokens_inside);
}

static void ranges_run_or_not(void)
{
    on_every_spec(run_range);
    scenario_spec = "threads:20";
    run_until_memory_suffices(run_range);
}

static void maps_drop_every_item_once(void)
{
    on_every_spec(map_in_order);
    on_every_spec(map_unordered);
}

static CU_TestInfo tests[] = {
    HKT_CASE("executors are made, or not", executors_are_made_or_not),
    HKT_CASE("references are accepted, or not", references_are_accepted_or_not),
    HKT_CASE("bytes arrive, or not", bytes_arrive_or_not),
    HKT_CASE("limits are kept, or refused", limits_are_kept_or_refused),
    HKT_CASE("failures stay failures", failures_stay_failures),
    HKT_CASE("buffers and arrays are accepted, or not", buffers_and_arrays_are_accepted_or_not),
    HKT_CASE("tasks see that there is no memory", tasks_see_that_there_is_no_memory),
    HKT_CASE("maps drop every item once", maps_drop_every_item_once),
    HKT_CASE("ranges run, or not", ranges_run_or_not),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "executor_allocation",
     .pSetUpFunc = hkt_be_quiet,
     .pTearDownFunc = hkt_be_loud,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
