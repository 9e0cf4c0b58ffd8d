/* SPDX-License-Identifier: MIT */
/* Which try of a task this is: hk_call_attempt(), and retries of tasks and of maps. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture.h"

static bool has_processes(void)
{
    return strncmp(hkt_executor_spec(), "processes", strlen("processes")) == 0;
}

static hk_executor *open_with(const char *setting)
{
    char spec[128];
    hk_executor *executor = NULL;

    snprintf(spec, sizeof(spec), "%s?%s", hkt_executor_spec(), setting);
    HKT_OK_FATAL(hk_executor_open(spec, &executor));
    return executor;
}

/* --- Tasks --- */

static hk_status return_attempt(hk_call *call)
{
    int attempt = (int)hk_call_attempt(call);

    return hk_return(call, &attempt, sizeof(attempt));
}

HK_TASK(tells_its_attempt)
{
    return return_attempt(call);
}

/* Dies on as many tries as the input says. */
static hk_status die_and_tell(hk_call *call, const void *in)
{
    int deaths;

    memcpy(&deaths, in, sizeof(deaths));
    if ((int)hk_call_attempt(call) <= deaths) {
        (void)raise(SIGKILL);
    }
    return return_attempt(call);
}

HK_TASK_FLAGS(dies_at_first, HK_TASK_IDEMPOTENT)
{
    return die_and_tell(call, in);
}

HK_TASK(dies_for_good)
{
    return die_and_tell(call, in);
}

static hk_future *submit_with_retries(hk_executor *executor, const hk_task *task, int deaths,
                                      unsigned retries)
{
    hk_submit_options options = {.size = sizeof(options), .retries = retries};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(executor, task, &deaths, sizeof(deaths), &options, &future));
    return future;
}

/* --- On any executor --- */

static void the_first_try_is_1(void)
{
    hk_executor *executor = open_with("retries=2");

    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, tells_its_attempt, 0)), 1);
    HKT_EQ_INT(hkt_take_int(submit_with_retries(hkt_executor, dies_at_first, 0, 2)), 1);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, dies_at_first, 0)), 1);
    HKT_OK(hk_executor_destroy(executor));
}

static hk_status keep_attempt(hk_call *call, void *arg, void **local)
{
    static unsigned kept; /* Each worker process has its own; threads write the same. */

    (void)arg;
    __atomic_store_n(&kept, hk_call_attempt(call), __ATOMIC_SEQ_CST);
    *local = &kept;
    return HK_OK;
}

HK_TASK(tells_the_initialisers_attempt)
{
    const unsigned *kept = hk_call_worker_local(call);
    int attempt = (int)__atomic_load_n(kept, __ATOMIC_SEQ_CST);

    return hk_return(call, &attempt, sizeof(attempt));
}

static void an_initialiser_sees_1(void)
{
    hk_executor_options options = {
        .size = sizeof(options), .workers = 1, .initializer = keep_attempt};
    hk_executor *executor = NULL;

    HKT_OK_FATAL(has_processes() ? hk_process_pool_create(&options, &executor)
                                 : hkt_executor_create(options, &executor));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, tells_the_initialisers_attempt, 0)), 1);
    HKT_OK(hk_executor_destroy(executor));
}

enum { ITEMS = 40, IN_A_CHUNK = 8, HIT = 13 };

/* Maps over items of which one dies so often, and reads the attempts, or 0 for failures. */
static void map_attempts(hk_executor *executor, int deaths, int *attempts)
{
    hk_map_options options = {.size = sizeof(options), .chunk = IN_A_CHUNK};
    int inputs[ITEMS] = {[HIT] = deaths};
    hk_array_source source = {.items = inputs, .count = ITEMS, .stride = sizeof(int)};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_OK_FATAL(
        hk_map(executor, dies_at_first, hk_array_source_next, &source, &options, &iterator));
    for (int i = 0; i < ITEMS; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_EQ_INT(item.index, i);
        attempts[i] = 0;
        if (item.status == HK_OK) {
            HKT_EQ_INT_FATAL(item.size, sizeof(int));
            memcpy(&attempts[i], item.data, sizeof(int));
        } else {
            HKT_STATUS(item.status, HK_EWORKER);
        }
        hk_map_item_drop(&item);
    }
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
}

static void items_of_a_map_see_1(void)
{
    int attempts[ITEMS];

    map_attempts(hkt_executor, 0, attempts);
    for (int i = 0; i < ITEMS; i++) {
        HKT_EQ_INT(attempts[i], 1);
    }
}

/* --- Where workers die --- */

static void the_third_try_is_3(void)
{
    hk_executor *executor;

    if (!has_processes()) {
        return;
    }
    HKT_EQ_INT(hkt_take_int(submit_with_retries(hkt_executor, dies_at_first, 1, 2)), 2);
    HKT_EQ_INT(hkt_take_int(submit_with_retries(hkt_executor, dies_at_first, 2, 2)), 3);
    executor = open_with("retries=2");
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, dies_at_first, 2)), 3);
    /* Its own number counts. */
    hkt_expect_end(submit_with_retries(executor, dies_at_first, 2, 1), HK_EWORKER);
    HKT_OK(hk_executor_destroy(executor));
}

static void check_lost(const hk_task *task, int attempt)
{
    hk_future *future = submit_with_retries(hkt_executor, task, 100, 100);
    const hk_error *error = NULL;

    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EWORKER);
    HKT_EQ_INT(error->attempt, attempt);
    HKT_EQ_INT(error->term_signal, SIGKILL);
    hk_future_unref(future);
}

static void the_error_of_a_lost_task_tells_its_last_try(void)
{
    if (has_processes()) {
        check_lost(dies_at_first, 3);
        check_lost(dies_for_good, 1);
    }
}

static void a_maps_chunk_is_tried_again_as_a_whole(void)
{
    int attempts[ITEMS];
    hk_executor *executor;

    if (!has_processes()) {
        return;
    }
    executor = open_with("retries=2");
    for (int deaths = 1; deaths <= 2; deaths++) {
        map_attempts(executor, deaths, attempts);
        for (int i = 0; i < ITEMS; i++) {
            HKT_EQ_INT(attempts[i], i / IN_A_CHUNK == HIT / IN_A_CHUNK ? deaths + 1 : 1);
        }
    }
    HKT_OK(hk_executor_destroy(executor));
}

/* What was finished before the last death is not lost with it. */
static void a_map_keeps_what_the_last_try_finished(void)
{
    int attempts[ITEMS];
    hk_executor *executor;

    if (!has_processes()) {
        return;
    }
    executor = open_with("retries=1");
    map_attempts(executor, 2, attempts);
    for (int i = 0; i < ITEMS; i++) {
        if (i / IN_A_CHUNK != HIT / IN_A_CHUNK) {
            HKT_EQ_INT(attempts[i], 1);
        } else if (i < HIT) {
            HKT_TRUE(attempts[i] == 2 || attempts[i] == 0); /* 0: there was no room to see it. */
        } else {
            HKT_EQ_INT(attempts[i], 0);
        }
    }
    HKT_OK(hk_executor_destroy(executor));
}

static CU_TestInfo tests[] = {
    HKT_CASE("the first try is 1", the_first_try_is_1),
    HKT_CASE("an initialiser sees 1", an_initialiser_sees_1),
    HKT_CASE("items of a map see 1", items_of_a_map_see_1),
    HKT_CASE("the third try is 3", the_third_try_is_3),
    HKT_CASE("the error of a lost task tells its last try",
             the_error_of_a_lost_task_tells_its_last_try),
    HKT_CASE("a map's chunk is tried again as a whole", a_maps_chunk_is_tried_again_as_a_whole),
    HKT_CASE("a map keeps what the last try finished", a_map_keeps_what_the_last_try_finished),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {"attempt", NULL, NULL, hkt_executor_set_up, hkt_executor_tear_down, tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hk_zygote_start() == HK_OK ? hkt_main(argc, argv, suites) : EXIT_FAILURE;
}
