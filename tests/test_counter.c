/* SPDX-License-Identifier: MIT */
/* Counters: exact after joins, nothing lost in a reset. */
#include <stdlib.h>

#include "tests/promise_fixture.h"

static void a_counter_adds_up(void)
{
    static hk_counter counter = HK_COUNTER_INIT;

    HKT_EQ_INT(hk_counter_sum(&counter), 0);
    hk_counter_add(&counter, 5);
    hk_counter_add(&counter, -7);
    hk_counter_add(&counter, 0);
    HKT_EQ_INT(hk_counter_sum(&counter), -2);
    HKT_EQ_INT(hk_counter_reset(&counter), -2);
    HKT_EQ_INT(hk_counter_sum(&counter), 0);
    HKT_EQ_INT(hk_counter_reset(&counter), 0);
}

static void no_counter_counts_nothing(void)
{
    hk_counter_add(NULL, 5);
    HKT_EQ_INT(hk_counter_sum(NULL), 0);
    HKT_EQ_INT(hk_counter_reset(NULL), 0);
}

static void sums_wrap_around(void)
{
    hk_counter *counter = calloc(1, sizeof(*counter));

    HKT_TRUE_FATAL(counter != NULL);
    hk_counter_add(counter, INT64_MAX);
    hk_counter_add(counter, 1);
    HKT_EQ_INT(hk_counter_sum(counter), INT64_MIN);
    free(counter);
}

/* More threads than stripes, so some share one. */
enum { THREADS = 2 * HK_COUNTER_STRIPES + 1, ADDITIONS = 20000 };

static hk_counter shared;
static atomic_uint at_work;

static void add_up_and_down(void *arg)
{
    int additions = ADDITIONS / (int)hkt_slowness();

    (void)arg;
    for (int i = 0; i < additions; i++) {
        hk_counter_add(&shared, i % 3 == 2 ? -1 : 1);
    }
    atomic_fetch_sub(&at_work, 1);
}

static int64_t sum_of_one(void)
{
    int64_t sum = 0;

    for (int i = 0; i < ADDITIONS / (int)hkt_slowness(); i++) {
        sum += i % 3 == 2 ? -1 : 1;
    }
    return sum;
}

static void sums_are_exact_after_joins_and_resets_lose_nothing(void)
{
    struct hkt_thread threads[THREADS];
    int64_t taken = 0;

    shared = (hk_counter)HK_COUNTER_INIT;
    atomic_store(&at_work, THREADS);
    for (int i = 0; i < THREADS; i++) {
        hkt_thread_start(&threads[i], add_up_and_down, NULL);
    }
    while (atomic_load(&at_work) != 0) {
        taken += hk_counter_reset(&shared);
    }
    for (int i = 0; i < THREADS; i++) {
        hkt_thread_join(&threads[i]);
    }
    HKT_EQ_INT(taken + hk_counter_sum(&shared), THREADS * sum_of_one());
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_counter_adds_up), HKT_TEST(no_counter_counts_nothing),
    HKT_TEST(sums_wrap_around),  HKT_TEST(sums_are_exact_after_joins_and_resets_lose_nothing),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "counter", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
