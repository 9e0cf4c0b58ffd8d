/* SPDX-License-Identifier: MIT */
/* Several locks at once: the order in which all threads take them. */
#include <string.h>

#include "tests/harness.h"
#include "tests/order_fixture.h"

static struct hkt_reports reports;

static void a_sort_follows_what_was_learned(void)
{
    struct hkt_lock locks[4];
    struct hkt_lock *wanted[] = {&locks[0], &locks[1], &locks[2], &locks[3]};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 4);
    HKT_OK(hkt_order_nest(&locks[3], &locks[1]));
    HKT_OK(hkt_order_nest(&locks[1], &locks[0]));
    HKT_OK(hkt_order_nest(&locks[2], &locks[3]));
    HKT_OK(hkt_order_sort(NULL, wanted, 4));
    HKT_EQ_PTR(wanted[0], &locks[2]);
    HKT_EQ_PTR(wanted[1], &locks[3]);
    HKT_EQ_PTR(wanted[2], &locks[1]);
    HKT_EQ_PTR(wanted[3], &locks[0]);
    HKT_EQ_INT(hkt_order_stats().edges, 6);
    HKT_EQ_INT(reports.count, 0);
    hkt_order_close();
}

static void a_sort_is_learned_and_known(void)
{
    struct hkt_lock locks[3];
    struct hkt_lock *wanted[] = {&locks[1], &locks[2], &locks[0]};
    struct hkt_lock *again[] = {&locks[0], &locks[2]};
    hk_lock_order_statistics before;

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    HKT_OK(hkt_order_sort(NULL, wanted, 3));
    HKT_EQ_INT(hkt_order_stats().edges, 3);
    for (size_t i = 0; i < 2; i++) {
        HKT_OK(hkt_order_nest(wanted[i], wanted[i + 1]));
        HKT_STATUS(hkt_order_nest(wanted[i + 1], wanted[i]), HK_EORDER);
    }
    /* Any part of them stays in that order, whatever is learned later. */
    HKT_OK(hkt_order_sort(NULL, again, 2));
    HKT_TRUE((again[0] == &locks[0]) == (wanted[0] == &locks[0] || wanted[2] == &locks[2]));
    before = hkt_order_stats();
    HKT_OK(hkt_order_sort(NULL, wanted, 3));
    HKT_EQ_INT(hkt_order_stats().checks, before.checks);
    hkt_order_close();
}

static void a_sort_goes_by_address_within_a_class(void)
{
    struct hkt_lock locks[5];
    struct hkt_lock *wanted[] = {&locks[4], &locks[2], &locks[3], &locks[0], &locks[1]};
    struct hkt_lock *other[] = {&locks[3], &locks[4], &locks[0], &locks[1], &locks[2]};

    hkt_order_open(&reports);
    hkt_lock_init(&locks[0], "node");
    locks[1] = locks[3] = locks[4] = locks[0];
    locks[2] = (struct hkt_lock){.name = "none"};
    HKT_OK(hkt_order_sort(NULL, wanted, 5));
    HKT_OK(hkt_order_sort(NULL, other, 5));
    HKT_TRUE(memcmp(wanted, other, sizeof(wanted)) == 0);
    HKT_EQ_PTR(wanted[0], &locks[0]);
    HKT_EQ_PTR(wanted[1], &locks[1]);
    HKT_EQ_PTR(wanted[2], &locks[3]);
    HKT_EQ_PTR(wanted[3], &locks[4]);
    HKT_EQ_PTR(wanted[4], &locks[2]); /* Without identity: last. */
    /* One after the other they are still two of one class at once. */
    HKT_STATUS(hkt_order_nest(&locks[0], &locks[1]), HK_EORDER);
    hkt_order_close();
}

static void a_sort_against_what_is_held_is_refused(void)
{
    struct hkt_lock locks[3];
    struct hkt_lock *wanted[] = {&locks[2], &locks[0]};
    struct hkt_holder holder = {.count = 0};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_take(&holder, &locks[1]));
    HKT_STATUS(hkt_order_sort(&holder, wanted, 2), HK_EORDER);
    HKT_EQ_PTR(wanted[0], &locks[2]);
    HKT_EQ_PTR(wanted[1], &locks[0]);
    HKT_EQ_INT(hkt_order_stats().edges, 1);
    HKT_EQ_INT(reports.count, 1);
    holder.policy = HK_LOCK_REPORT;
    HKT_OK(hkt_order_sort(&holder, wanted, 2));
    HKT_EQ_INT(hkt_order_stats().edges, 3); /* 1 before 2, and the two. */
    /* Off: nothing is judged, but both orders agree. */
    holder.policy = HK_LOCK_OFF;
    HKT_OK(hkt_order_sort(&holder, wanted, 2));
    hkt_order_close();
}

static void a_held_lock_comes_before_sorted_ones(void)
{
    struct hkt_lock locks[3];
    struct hkt_lock *wanted[] = {&locks[0], &locks[1]};
    struct hkt_holder holder = {.count = 0};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1])); /* So they have earlier places than 2. */
    HKT_OK(hkt_take(&holder, &locks[2]));
    HKT_OK(hkt_order_sort(&holder, wanted, 2));
    HKT_STATUS(hkt_order_nest(&locks[0], &locks[2]), HK_EORDER);
    HKT_STATUS(hkt_order_nest(&locks[1], &locks[2]), HK_EORDER);
    hkt_order_close();
}

/* What an allowed pair is learned to be must not turn while another thread is at it. */
static void allowed_locks_are_sorted_alike_for_ever(void)
{
    struct hkt_lock locks[2];
    struct hkt_lock *wanted[] = {&locks[0], &locks[1]};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 2);
    HKT_OK(hki_order_allow(locks[0].identity, locks[1].identity));
    HKT_OK(hkt_order_sort(NULL, wanted, 2));
    for (int i = 0; i < 2; i++) {
        struct hkt_lock *again[] = {wanted[1], wanted[0]};
        struct hkt_lock between;

        HKT_OK(hki_order_allow(locks[1].identity, locks[0].identity));
        /* Would turn them round, if nothing held them. */
        hkt_lock_init(&between, "between");
        HKT_OK(hkt_order_nest(wanted[1], &between));
        HKT_STATUS(hkt_order_nest(&between, wanted[0]), HK_EORDER);
        HKT_OK(hkt_order_sort(NULL, again, 2));
        HKT_EQ_PTR(again[0], wanted[0]);
        HKT_OK(hkt_order_nest(wanted[1], wanted[0]));
    }
    hkt_order_close();
}

static void many_are_sorted_too(void)
{
    struct hkt_lock locks[60];
    struct hkt_lock *wanted[60];
    struct hkt_lock *again[60];

    hkt_order_open(&reports);
    hkt_locks_init(locks, 60);
    for (size_t i = 0; i < 60; i++) {
        wanted[i] = &locks[i * 7 % 60];
        again[i] = &locks[i * 11 % 60];
    }
    for (size_t i = 0; i + 5 < 60; i += 5) {
        HKT_OK(hkt_order_nest(&locks[i + 5], &locks[i]));
    }
    HKT_OK(hkt_order_sort(NULL, wanted, 60));
    HKT_OK(hkt_order_sort(NULL, again, 60));
    HKT_TRUE(memcmp(wanted, again, sizeof(wanted)) == 0);
    HKT_TRUE(hkt_order_stats().edges < 60 + 12);
    HKT_EQ_INT(reports.count, 0);
    hkt_order_close();
}

static CU_TestInfo sorts[] = {
    HKT_TEST(a_sort_follows_what_was_learned),
    HKT_TEST(a_sort_is_learned_and_known),
    HKT_TEST(a_sort_goes_by_address_within_a_class),
    HKT_TEST(a_sort_against_what_is_held_is_refused),
    HKT_TEST(a_held_lock_comes_before_sorted_ones),
    HKT_TEST(allowed_locks_are_sorted_alike_for_ever),
    HKT_TEST(many_are_sorted_too),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "several at once", .pTests = sorts},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
