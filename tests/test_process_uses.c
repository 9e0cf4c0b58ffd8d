/* SPDX-License-Identifier: MIT */
/*
 * What is built on a pool of processes: maps, several pools at once, chains and groups: cases
 * MP21 and XM02 to XM05 of docs/contract.md, and IS01 for code that the workers do not have.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/process_fixture.h"

/* --- XM02, XM03: maps, and several pools --- */

static void an_unordered_map_gives_each_result_once(void)
{
    enum { ITEMS = 200 };
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 3});
    int numbers[ITEMS];
    hk_array_source source = {.items = numbers, .count = ITEMS, .stride = sizeof(numbers[0])};
    hk_map_options options = {.unordered = true, .window = 6};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    bool seen[ITEMS] = {false};
    int count = 0;

    for (int i = 0; i < ITEMS; i++) {
        numbers[i] = i;
    }
    HKT_OK_FATAL(hk_map(pool, hkt_square, hk_array_source_next, &source, &options, &iterator));
    while (hk_map_next(iterator, HK_FOREVER, &item) == HK_OK) {
        int square = (int)(item.index * item.index);

        HKT_TRUE_FATAL(item.index < ITEMS && !seen[item.index]);
        HKT_TRUE(item.status == HK_OK && memcmp(item.data, &square, sizeof(square)) == 0);
        seen[item.index] = true;
        count++;
        hk_map_item_drop(&item);
    }
    HKT_EQ_INT(count, ITEMS);
    hk_map_destroy(iterator);
    hkt_processes_end(pool);
}

enum { LARGE_BYTES = 1 << 20 };

HK_TASK(returns_large)
{
    void *out = NULL;
    hk_status status = hk_return_reserve(call, LARGE_BYTES, &out);

    if (status == HK_OK) {
        memset(out, in_size == 0 ? 0 : *(const unsigned char *)in, LARGE_BYTES);
    }
    return status;
}

/* Counts what this process has mapped. */
static size_t count_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    size_t lines = 0;

    HKT_TRUE_FATAL(file != NULL);
    for (int c; (c = fgetc(file)) != EOF;) {
        lines += c == '\n';
    }
    fclose(file);
    return lines;
}

/* Values of bytes have no drop that could count. But the pool has memory for few of these,
 * and beyond that each would be a mapping of its own, so that one kept for long shows. */
static void a_map_keeps_no_delivered_value(void)
{
    enum { ITEMS = 100, ROOM = 8 };
    hk_map_options map_options = {.chunk = 1, .window = 1};
    int numbers[ITEMS];
    hk_array_source source = {.items = numbers, .count = ITEMS, .stride = sizeof(numbers[0])};
    hk_map_iterator *iterator = NULL;
    hk_executor *pool =
        hkt_processes((hk_executor_options){.workers = 1, .memory_bytes = ROOM * LARGE_BYTES});
    hk_map_item item;
    size_t mappings = 0;

    for (int i = 0; i < ITEMS; i++) {
        numbers[i] = i;
    }
    HKT_OK_FATAL(
        hk_map(pool, returns_large, hk_array_source_next, &source, &map_options, &iterator));
    for (int i = 0; i < ITEMS; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        if (HKT_OK(item.status) && HKT_EQ_INT(item.size, LARGE_BYTES)) {
            HKT_EQ_INT(((const unsigned char *)item.data)[LARGE_BYTES - 1], i);
        }
        hk_map_item_drop(&item);
        mappings = i == ROOM ? count_mappings() : mappings;
    }
    HKT_TRUE(count_mappings() <= mappings + ROOM);
    hk_map_destroy(iterator);
    hkt_processes_end(pool);
}

/* A number -> itself; the third one never returns. */
HK_TASK(dies_at_three)
{
    int n;

    memcpy(&n, in, sizeof(n));
    if (n == 3) {
        (void)raise(SIGKILL);
    }
    return hk_return(call, &n, sizeof(n));
}

/* Also of a chunk whose whole result is smaller than a page. */
static void a_death_costs_what_had_not_ended(void)
{
    const int numbers[] = {0, 1, 2, 3, 4, 5};
    hk_array_source source = {.items = numbers, .count = 6, .stride = sizeof(numbers[0])};
    hk_map_options options = {.chunk = 6};
    hk_map_iterator *iterator = NULL;
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    hk_map_item item;

    HKT_OK_FATAL(hk_map(pool, dies_at_three, hk_array_source_next, &source, &options, &iterator));
    for (int i = 0; i < 6; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_STATUS(item.status, i < 3 ? HK_OK : HK_EWORKER);
        if (item.status == HK_OK && HKT_EQ_INT(item.size, sizeof(int))) {
            HKT_EQ_INT(memcmp(item.data, &numbers[i], sizeof(int)), 0);
        }
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    hkt_processes_end(pool);
}

static void several_pools_interleave(void)
{
    enum { POOLS = 3, TASKS = 30 };
    hk_executor *pools[POOLS];
    hk_future *futures[POOLS][TASKS];

    for (int pool = 0; pool < POOLS; pool++) {
        pools[pool] = hkt_processes((hk_executor_options){.workers = 1 + (unsigned)pool});
    }
    for (int i = 0; i < TASKS; i++) {
        for (int pool = 0; pool < POOLS; pool++) {
            futures[pool][i] = hkt_submit_int(pools[pool], hkt_square, i + pool);
        }
    }
    hkt_expect_lost(hkt_submit_int(pools[1], hkt_ends_by, SIGKILL), SIGKILL, 0);
    for (int i = TASKS; i-- > 0;) {
        for (int pool = 0; pool < POOLS; pool++) {
            HKT_EQ_INT(hkt_take_int(futures[pool][i]), (i + pool) * (i + pool));
        }
    }
    HKT_EQ_INT(hkt_stats(pools[0]).workers_started, 1);
    for (int pool = 0; pool < POOLS; pool++) {
        hkt_processes_end(pools[pool]);
    }
}

/* --- XM04, XM05: chains and groups over workers --- */

static hk_status halve(hk_future *source, hk_promise *result, void *arg)
{
    const void *value = NULL;
    size_t size = 0;
    int half;
    hk_status status = hk_future_result(source, 0, &value, &size);

    (void)arg;
    if (status != HK_OK || size != sizeof(half)) {
        return hk_promise_fail(result, 1, "no number to halve");
    }
    memcpy(&half, value, sizeof(half));
    half /= 2;
    return hk_promise_set(result, &half, sizeof(half));
}

static hk_status explain(hk_future *source, hk_promise *result, void *arg)
{
    const hk_error *error = NULL;
    int signal = 0;

    (void)arg;
    if (hk_future_error(source, 0, &error) == HK_OK && error != NULL) {
        signal = error->term_signal;
    }
    return hk_promise_set(result, &signal, sizeof(signal));
}

static void chains_follow_values_and_deaths(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    hk_future *good = hkt_submit_int(pool, hkt_square, 4);
    hk_future *bad = hkt_submit_int(pool, hkt_ends_by, SIGKILL);
    hk_future *half = NULL;
    hk_future *skipped = NULL;
    hk_future *reason = NULL;

    HKT_OK_FATAL(hk_then(good, NULL, halve, NULL, &half));
    HKT_OK_FATAL(hk_then(bad, NULL, halve, NULL, &skipped));
    HKT_OK_FATAL(hk_catch(skipped, NULL, explain, NULL, &reason));
    HKT_EQ_INT(hkt_take_int(half), 8);
    HKT_STATUS(hk_future_result(skipped, HK_FOREVER, NULL, NULL), HK_EWORKER);
    HKT_EQ_INT(hkt_take_int(reason), SIGKILL);
    hk_future_unref(skipped);
    hk_future_unref(good);
    hk_future_unref(bad);
    hkt_processes_end(pool);
}

static void a_death_fails_the_group_and_cancels_the_rest(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *parts[4];
    hk_future *group = NULL;

    HKT_OK_FATAL(hk_when_all(NULL, 0, &group));
    hkt_expect_end(group, HK_OK);
    parts[0] = hkt_stand_submit(pool, stand);
    parts[1] = hkt_stand_submit(pool, stand);
    parts[2] = hkt_submit_int(pool, hkt_square, 1);
    parts[3] = hkt_submit_int(pool, hkt_square, 2);
    HKT_OK_FATAL(hk_when_all(parts, 4, &group));
    HKT_EQ_INT(kill(atomic_load(&stand->pid), SIGKILL), 0);
    hkt_expect_end(group, HK_EWORKER);
    hkt_gate_open(&stand->gate);
    for (int i = 0; i < 4; i++) {
        HKT_OK(hk_future_wait(parts[i], HK_FOREVER));
        hk_future_unref(parts[i]);
    }
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void cancelling_a_group_cancels_its_parts(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *first = hkt_stand_submit(pool, stand);
    hk_future *parts[3];
    hk_future *group = NULL;

    for (int i = 0; i < 3; i++) {
        parts[i] = hkt_submit_int(pool, hkt_square, i);
    }
    HKT_OK_FATAL(hk_when_all(parts, 3, &group));
    HKT_OK(hk_future_cancel(group, HK_CANCEL_PENDING));
    hkt_expect_end(group, HK_ECANCELED);
    for (int i = 0; i < 3; i++) {
        hkt_expect_end(parts[i], HK_ECANCELED);
    }
    hkt_gate_open(&stand->gate);
    hkt_expect_end(first, HK_OK);
    hkt_processes_end(pool);
}

/* --- IS01: code that the workers do not have --- */

static void code_loaded_later_is_refused_at_submit(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    void *plugin = dlopen(PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL);
    hk_task task = {.name = "late"};
    hk_future *future = NULL;

    HKT_TRUE_FATAL(plugin != NULL);
    *(void **)&task.run = dlsym(plugin, "plugin_run");
    HKT_TRUE_FATAL(task.run != NULL);
    HKT_STATUS(hk_submit(pool, &task, NULL, 0, NULL, &future), HK_ENOTASK);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(hkt_stats(pool).refused, 1);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
    HKT_EQ_INT(dlclose(plugin), 0);
}

static CU_TestInfo tests[] = {
    HKT_CASE("XM02 an unordered map gives each result once",
             an_unordered_map_gives_each_result_once),
    HKT_CASE("MP21 a map keeps no delivered value", a_map_keeps_no_delivered_value),
    HKT_CASE("a death costs what had not ended", a_death_costs_what_had_not_ended),
    HKT_CASE("XM03 several pools interleave", several_pools_interleave),
    HKT_CASE("XM04 chains follow values and deaths", chains_follow_values_and_deaths),
    HKT_CASE("XM05 a death fails the group and cancels the rest",
             a_death_fails_the_group_and_cancels_the_rest),
    HKT_CASE("XM05 cancelling a group cancels its parts", cancelling_a_group_cancels_its_parts),
    HKT_CASE("IS01 code loaded later is refused at submit", code_loaded_later_is_refused_at_submit),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_uses", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
