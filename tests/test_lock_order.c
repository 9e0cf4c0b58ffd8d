/* SPDX-License-Identifier: MIT */
/* What the checker of lock orders learns and refuses. Reports are in
 * test_lock_report.c, several locks at once in test_lock_sort.c, threads and random
 * orders in test_lock_order_race.c. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/harness.h"
#include "tests/order_fixture.h"

enum { EIGHT = 8 };

static struct hkt_reports reports;

/* --- Orders ---------------------------------------------------------------------- */

static void one_order_is_always_fine(void)
{
    struct hkt_lock locks[3];
    hk_lock_order_statistics before;

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    before = hkt_order_stats();
    for (int round = 0; round < 3; round++) {
        struct hkt_lock *chain[] = {&locks[0], &locks[1], &locks[2]};

        HKT_OK(hkt_order_chain(chain, 3));
        HKT_OK(hkt_order_nest(&locks[0], &locks[2]));
        HKT_EQ_INT(hkt_order_stats().edges, 3);
    }
    /* Each chain was looked at once: 01, 012 and 02. */
    HKT_EQ_INT(hkt_order_stats().checks - before.checks, 3);
    HKT_EQ_INT(hkt_order_stats().chains - before.chains, 3);
    HKT_EQ_INT(reports.count, 0);
    hkt_order_close();
}

/* Teaches 0 before 1 before ... before count - 1, each pair by itself; then wants 0
 * while it holds the last. */
static void close_ring(size_t count)
{
    struct hkt_lock locks[EIGHT];

    hkt_order_open(&reports);
    hkt_locks_init(locks, count);
    for (size_t i = 0; i + 1 < count; i++) {
        HKT_OK(hkt_order_nest(&locks[i], &locks[i + 1]));
    }
    HKT_STATUS(hkt_order_nest(&locks[count - 1], &locks[0]), HK_EORDER);
    HKT_EQ_INT(reports.count, 1);
    HKT_EQ_INT(reports.kind, HK_LOCK_INVERSION);
    HKT_EQ_INT(reports.edge_count, count);
    /* The wrong step, and then the ring back to where it began. */
    for (size_t i = 0; i < count; i++) {
        HKT_EQ_PTR(reports.edges[i].from_lock, &locks[(count - 1 + i) % count]);
        HKT_EQ_PTR(reports.edges[i].to_lock, &locks[i]);
    }
    /* Nothing of it was learned, and it stays refused. */
    HKT_EQ_INT(hkt_order_stats().edges, count - 1);
    HKT_STATUS(hkt_order_nest(&locks[count - 1], &locks[0]), HK_EORDER);
    HKT_EQ_INT(reports.count, 1);
    HKT_OK(hkt_order_nest(&locks[0], &locks[count - 1]));
    hkt_order_close();
}

static void a_ring_of_two_is_refused(void)
{
    close_ring(2);
}

static void a_ring_of_three_is_refused(void)
{
    close_ring(3);
}

static void a_ring_of_eight_is_refused(void)
{
    close_ring(EIGHT);
}

static void all_that_is_held_counts(void)
{
    struct hkt_lock locks[4];
    struct hkt_holder holder = {.count = 0};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 4);
    HKT_OK(hkt_order_nest(&locks[3], &locks[0]));
    HKT_OK(hkt_take(&holder, &locks[0]));
    HKT_OK(hkt_take(&holder, &locks[1]));
    HKT_OK(hkt_take(&holder, &locks[2]));
    /* The inversion is with the outermost; the others are not learned either. */
    HKT_STATUS(hkt_take(&holder, &locks[3]), HK_EORDER);
    HKT_EQ_PTR(reports.edges[0].from_lock, &locks[0]);
    HKT_EQ_PTR(reports.edges[0].to_lock, &locks[3]);
    HKT_OK(hkt_order_nest(&locks[3], &locks[2]));
    hkt_order_close();
}

static void the_shortest_way_is_told(void)
{
    struct hkt_lock locks[5];

    hkt_order_open(&reports);
    hkt_locks_init(locks, 5);
    for (size_t i = 0; i < 4; i++) {
        HKT_OK(hkt_order_nest(&locks[i], &locks[i + 1]));
    }
    HKT_OK(hkt_order_nest(&locks[0], &locks[3]));
    HKT_STATUS(hkt_order_nest(&locks[4], &locks[0]), HK_EORDER);
    HKT_EQ_INT(reports.edge_count, 3);
    HKT_EQ_PTR(reports.edges[1].to_lock, &locks[3]);
    hkt_order_close();
}

static void a_try_makes_no_edge_to_it_but_from_it(void)
{
    struct hkt_lock locks[3];
    struct hkt_holder holder = {.count = 0};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    HKT_OK(hkt_order_nest(&locks[1], &locks[0]));
    HKT_OK(hkt_take(&holder, &locks[0]));
    hkt_take_by_try(&holder, &locks[1]);
    HKT_OK(hkt_take(&holder, &locks[2]));
    HKT_EQ_INT(hkt_order_stats().edges, 3);
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[1]), HK_EORDER);
    hkt_order_close();
}

static void who_has_no_identity_takes_no_part(void)
{
    struct hkt_lock locks[3];
    struct hkt_holder holder = {.count = 0};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    locks[1].identity = 0;
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_order_nest(&locks[1], &locks[0]));
    HKT_EQ_INT(hkt_order_stats().nodes, 0);
    /* But those around it do. */
    HKT_OK(hkt_take(&holder, &locks[0]));
    HKT_OK(hkt_take(&holder, &locks[1]));
    HKT_OK(hkt_take(&holder, &locks[2]));
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[0]), HK_EORDER);
    hkt_order_close();
}

static void identities_are_never_alike(void)
{
    enum { SOME = 300 };
    uint64_t seen[SOME];

    for (size_t i = 0; i < SOME; i++) {
        seen[i] = hki_order_new_identity();
        HKT_TRUE(seen[i] != 0);
        for (size_t k = 0; k < i; k++) {
            HKT_TRUE(seen[i] != seen[k]);
        }
    }
}

/* --- Classes --------------------------------------------------------------------- */

static void two_of_one_class_are_refused_unless_allowed(void)
{
    struct hkt_lock locks[2];

    hkt_order_open(&reports);
    hkt_lock_init(&locks[0], "node");
    locks[1] = locks[0];
    for (int round = 0; round < 2; round++) {
        HKT_STATUS(hkt_order_nest(&locks[0], &locks[1]), HK_EORDER);
        HKT_STATUS(hkt_order_nest(&locks[1], &locks[0]), HK_EORDER);
        HKT_EQ_INT(reports.count, 1);
    }
    HKT_EQ_INT(reports.kind, HK_LOCK_SAME_CLASS);
    HKT_EQ_INT(reports.edge_count, 1);
    HKT_EQ_PTR(reports.edges[0].from_lock, &locks[0]);
    HKT_EQ_PTR(reports.edges[0].to_lock, &locks[1]);
    HKT_EQ_STR(reports.edges[0].to_name, "node");
    HKT_OK(hki_order_allow(locks[0].identity, locks[0].identity));
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_order_nest(&locks[1], &locks[0]));
    HKT_EQ_INT(reports.count, 1);
    hkt_order_close();
}

static void what_one_of_a_class_does_counts_for_all(void)
{
    struct hkt_lock nodes[2];
    struct hkt_lock list;

    hkt_order_open(&reports);
    hkt_lock_init(&nodes[0], "node");
    nodes[1] = nodes[0];
    hkt_lock_init(&list, "list");
    HKT_OK(hkt_order_nest(&list, &nodes[0]));
    HKT_STATUS(hkt_order_nest(&nodes[1], &list), HK_EORDER);
    HKT_EQ_PTR(reports.edges[0].from_lock, &nodes[1]);
    HKT_EQ_PTR(reports.edges[1].to_lock, &nodes[0]);
    hkt_order_close();
}

/* --- Allowed pairs --------------------------------------------------------------- */

static void an_allowed_pair_goes_both_ways(void)
{
    struct hkt_lock locks[2];

    for (int learned = 0; learned < 3; learned++) {
        hkt_order_open(&reports);
        hkt_locks_init(locks, 2);
        if (learned > 0) {
            HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
        }
        if (learned > 1) {
            HKT_STATUS(hkt_order_nest(&locks[1], &locks[0]), HK_EORDER);
        }
        HKT_OK(hki_order_allow(locks[1].identity, locks[0].identity));
        HKT_OK(hki_order_allow(locks[0].identity, locks[1].identity));
        HKT_OK(hkt_order_nest(&locks[1], &locks[0]));
        HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
        HKT_EQ_INT(hkt_order_stats().edges, 0);
        HKT_EQ_INT(reports.count, learned > 1);
        hkt_order_close();
    }
}

static void an_allowed_pair_is_not_judged_over_a_third(void)
{
    struct hkt_lock locks[3];

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    HKT_OK(hki_order_allow(locks[0].identity, locks[1].identity));
    HKT_OK(hkt_order_nest(&locks[1], &locks[2]));
    HKT_OK(hkt_order_nest(&locks[2], &locks[0]));
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_STATUS(hkt_order_nest(&locks[0], &locks[2]), HK_EORDER);
    HKT_EQ_INT(hkt_order_stats().edges, 2);
    hkt_order_close();
}

static void an_allowed_pair_does_not_cover_a_third(void)
{
    struct hkt_lock locks[3];
    struct hkt_lock *chain[] = {&locks[0], &locks[1], &locks[2]};

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    HKT_OK(hki_order_allow(locks[0].identity, locks[1].identity));
    HKT_OK(hkt_order_chain(chain, 3));
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[0]), HK_EORDER);
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[1]), HK_EORDER);
    HKT_STATUS(hki_order_allow(0, locks[1].identity), HK_EINVAL);
    HKT_STATUS(hki_order_allow(locks[1].identity, 0), HK_EINVAL);
    hkt_order_close();
}

/* --- Forgetting ------------------------------------------------------------------ */

static void a_destroyed_lock_takes_its_orders_with_it(void)
{
    struct hkt_lock locks[3];

    hkt_order_open(&reports);
    hkt_locks_init(locks, 3);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_OK(hkt_order_nest(&locks[1], &locks[2]));
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[0]), HK_EORDER);
    hki_order_forget(locks[1].identity);
    HKT_EQ_INT(hkt_order_stats().nodes, 2);
    HKT_EQ_INT(hkt_order_stats().edges, 0);
    /* What was refused because of it is an order like any other now. */
    HKT_OK(hkt_order_nest(&locks[2], &locks[0]));
    HKT_STATUS(hkt_order_nest(&locks[0], &locks[2]), HK_EORDER);
    hki_order_forget(locks[1].identity);
    hki_order_forget(0);
    HKT_EQ_INT(reports.count, 2);
    hkt_order_close();
}

static void places_are_used_again(void)
{
    struct hkt_lock outer;
    hk_memory_statistics before;
    hk_memory_statistics after;

    hkt_order_open(&reports);
    hkt_lock_init(&outer, "outer");
    for (int i = 0; i < 10000; i++) {
        struct hkt_lock inner;

        hkt_lock_init(&inner, "inner");
        HKT_OK(hkt_order_nest(&outer, &inner));
        HKT_STATUS(hkt_order_nest(&inner, &outer), HK_EORDER);
        hki_order_forget(inner.identity);
        if (i == 0) {
            HKT_OK(hk_memory_stats(&before));
        }
    }
    HKT_OK(hk_memory_stats(&after));
    HKT_EQ_INT(after.live_bytes, before.live_bytes);
    HKT_EQ_INT(hkt_order_stats().nodes, 1);
    HKT_EQ_INT(hkt_order_stats().edges, 0);
    hkt_order_close();
}

/* --- Room and memory -------------------------------------------------------------- */

static void tables_grow_and_keep_what_they_hold(void)
{
    enum { MANY = 3000, STEPS = 5 };
    static struct hkt_lock locks[MANY];
    hk_memory_statistics before;
    hk_memory_statistics after;

    hkt_order_open(&reports);
    HKT_OK(hk_memory_stats(&before));
    hkt_locks_init(locks, MANY);
    for (size_t i = 0; i < MANY; i++) {
        for (size_t step = 1; step <= STEPS && i + step < MANY; step++) {
            HKT_OK(hkt_order_nest(&locks[i], &locks[i + step]));
        }
    }
    HKT_EQ_INT(hkt_order_stats().nodes, MANY);
    HKT_EQ_INT(hkt_order_stats().edges, STEPS * MANY - STEPS * (STEPS + 1) / 2);
    HKT_EQ_INT(hkt_order_stats().dropped, 0);
    for (size_t i = 0; i + STEPS < MANY; i += 97) {
        HKT_STATUS(hkt_order_nest(&locks[i + STEPS], &locks[i]), HK_EORDER);
    }
    HKT_STATUS(hkt_order_nest(&locks[MANY - 1], &locks[0]), HK_EORDER);
    HKT_EQ_INT(reports.edge_count, (MANY - 1 + STEPS - 1) / STEPS + 1);
    hkt_order_close();
    HKT_OK(hk_memory_stats(&after));
    HKT_EQ_INT(after.live_bytes, before.live_bytes);
}

static void count_warnings(hk_log_level level, const char *text, void *arg)
{
    HKT_EQ_INT(level, HK_LOG_WARNING);
    HKT_TRUE(strstr(text, "order of locks") != NULL);
    ++*(unsigned *)arg;
}

static void at_the_limit_locks_go_on_unchecked(void)
{
    struct hkt_lock locks[EIGHT + 2];
    unsigned warnings = 0;

    hkt_order_open(&reports);
    hki_order_limit(EIGHT);
    hk_on_log(count_warnings, &warnings);
    hkt_locks_init(locks, EIGHT + 2);
    for (size_t i = 0; i + 1 < EIGHT + 2; i++) {
        HKT_OK(hkt_order_nest(&locks[i], &locks[i + 1]));
    }
    HKT_EQ_INT(hkt_order_stats().nodes, EIGHT);
    HKT_EQ_INT(hkt_order_stats().dropped, 2);
    HKT_EQ_INT(warnings, 1);
    HKT_OK(hkt_order_nest(&locks[EIGHT + 1], &locks[EIGHT]));
    HKT_STATUS(hki_order_allow(locks[EIGHT].identity, locks[0].identity), HK_ENOMEM);
    /* What is known is still checked, and room is used again. */
    HKT_STATUS(hkt_order_nest(&locks[EIGHT - 1], &locks[0]), HK_EORDER);
    hki_order_forget(locks[0].identity);
    hki_order_forget(locks[1].identity);
    HKT_OK(hkt_order_nest(&locks[EIGHT - 1], &locks[EIGHT + 1]));
    HKT_STATUS(hkt_order_nest(&locks[EIGHT + 1], &locks[EIGHT - 1]), HK_EORDER);
    HKT_EQ_INT(warnings, 1);
    hk_on_log(NULL, NULL);
    hkt_order_close();
}

/* The nth allocation of learning, reporting and allowing fails, for each n. */
static void without_memory_locks_go_on(void)
{
    enum { RING = 7 }; /* Longer than a report that needs no memory. */
    long left = 0;

    hk_on_log(count_warnings, &(unsigned){0});
    for (long nth = 1; left == 0; nth++) {
        struct hkt_lock locks[RING];
        hk_status status;

        hkt_order_open(&reports);
        hkt_locks_init(locks, RING);
        hki_memory_fail_at(nth);
        HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
        left = hki_memory_fail_at(0);
        HKT_EQ_INT(hkt_order_stats().dropped, left == 0);
        for (size_t i = 0; i + 1 < RING; i++) {
            HKT_OK(hkt_order_nest(&locks[i], &locks[i + 1])); /* Learned now at the latest. */
        }
        HKT_EQ_INT(hkt_order_stats().edges, RING - 1);
        hki_memory_fail_at(nth);
        status = hkt_order_nest(&locks[RING - 1], &locks[0]);
        hki_memory_fail_at(0);
        HKT_STATUS(status, HK_EORDER);
        HKT_EQ_INT(reports.count, 1);
        HKT_TRUE(strstr(reports.text, "lock order inversion") == reports.text);
        HKT_EQ_INT(reports.edge_count, nth == 1 ? 4 : RING);
        HKT_EQ_PTR(reports.edges[0].from_lock, &locks[RING - 1]);
        HKT_EQ_PTR(reports.edges[0].to_lock, &locks[0]);
        hkt_order_close();
        HKT_TRUE_FATAL(nth < 10);
    }
    hki_memory_fail_at(1);
    HKT_STATUS(hki_order_allow(1, 2), HK_ENOMEM);
    hki_memory_fail_at(0);
    HKT_EQ_INT(hkt_order_stats().nodes, 0);
    hk_on_log(NULL, NULL);
}

/* --- An allocator that takes locks ------------------------------------------------- */

static struct hkt_lock allocator_locks[2];
static unsigned allocator_calls;
static bool takes_locks;

static void *allocate(size_t size, void *context)
{
    (void)context;
    allocator_calls++;
    HKT_OK(hkt_order_nest(&allocator_locks[0], &allocator_locks[1]));
    return malloc(size);
}

static void release(void *memory, size_t size, void *context)
{
    (void)size;
    (void)context;
    if (takes_locks) {
        HKT_OK(hkt_order_nest(&allocator_locks[0], &allocator_locks[1]));
    }
    free(memory);
}

static void an_allocator_may_take_locks(void)
{
    const hk_allocator allocator = {allocate, release, NULL};
    struct hkt_lock locks[6];

    hkt_order_open(&reports);
    allocator_calls = 0;
    takes_locks = true;
    hkt_locks_init(allocator_locks, 2);
    hkt_locks_init(locks, 6);
    HKT_OK_FATAL(hk_allocator_set(&allocator));
    for (size_t i = 0; i + 1 < 6; i++) {
        HKT_OK(hkt_order_nest(&locks[i], &locks[i + 1]));
    }
    /* A report that needs memory. */
    HKT_STATUS(hkt_order_nest(&locks[5], &locks[0]), HK_EORDER);
    HKT_EQ_INT(reports.edge_count, 6);
    HKT_TRUE(allocator_calls > 2);
    /* Its own order is learned as soon as there is room. */
    HKT_STATUS(hkt_order_nest(&allocator_locks[1], &allocator_locks[0]), HK_EORDER);
    takes_locks = false;
    hkt_order_close();
    HKT_OK(hk_allocator_set(NULL));
}

static CU_TestInfo orders[] = {
    HKT_TEST(one_order_is_always_fine),
    HKT_TEST(a_ring_of_two_is_refused),
    HKT_TEST(a_ring_of_three_is_refused),
    HKT_TEST(a_ring_of_eight_is_refused),
    HKT_TEST(all_that_is_held_counts),
    HKT_TEST(the_shortest_way_is_told),
    HKT_TEST(a_try_makes_no_edge_to_it_but_from_it),
    HKT_TEST(who_has_no_identity_takes_no_part),
    HKT_TEST(identities_are_never_alike),
    HKT_TEST(two_of_one_class_are_refused_unless_allowed),
    HKT_TEST(what_one_of_a_class_does_counts_for_all),
    HKT_TEST(an_allowed_pair_goes_both_ways),
    HKT_TEST(an_allowed_pair_is_not_judged_over_a_third),
    HKT_TEST(an_allowed_pair_does_not_cover_a_third),
    HKT_TEST(a_destroyed_lock_takes_its_orders_with_it),
    HKT_TEST(places_are_used_again),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo room[] = {
    HKT_TEST(tables_grow_and_keep_what_they_hold),
    HKT_TEST(at_the_limit_locks_go_on_unchecked),
    HKT_TEST(without_memory_locks_go_on),
    HKT_TEST(an_allocator_may_take_locks),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "orders", .pTests = orders},
    {.pName = "room", .pTests = room},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
