/* SPDX-License-Identifier: MIT */
/* What follows from other edges has none of its own, and counts all the same: also when
 * those it follows from are gone, or never were there. Random orders against a naive checker
 * are in test_lock_order_race.c. */
#include <string.h>

#include "base/memory.h"
#include "tests/harness.h"
#include "tests/order_fixture.h"

static struct hkt_reports reports;

static void open_with(struct hkt_lock *locks, size_t count)
{
    hkt_order_open(&reports);
    hkt_locks_init(locks, count);
}

static void takes_all(struct hkt_lock *locks, size_t count)
{
    struct hkt_holder holder = {.count = 0};

    for (size_t i = 0; i < count; i++) {
        HKT_OK(hkt_take(&holder, &locks[i]));
    }
}

static size_t edges(void)
{
    return hkt_order_stats().edges;
}

/* --- What is left out -------------------------------------------------------------- */

static void nested_locks_have_one_edge_each(void)
{
    enum { DEEP = 12 };
    struct hkt_lock locks[DEEP];

    open_with(locks, DEEP);
    takes_all(locks, DEEP);
    HKT_EQ_INT(edges(), DEEP - 1);
    for (size_t outer = 0; outer + 1 < DEEP; outer++) {
        for (size_t inner = outer + 1; inner < DEEP; inner++) {
            HKT_STATUS(hkt_order_nest(&locks[inner], &locks[outer]), HK_EORDER);
            /* Told in one step, as it was seen. */
            HKT_EQ_INT(reports.edge_count, 2);
            HKT_EQ_PTR(reports.edges[1].from_lock, &locks[outer]);
            HKT_EQ_PTR(reports.edges[1].to_lock, &locks[inner]);
        }
    }
    HKT_EQ_INT(reports.count, DEEP * (DEEP - 1) / 2);
    HKT_EQ_INT(edges(), DEEP - 1);
    hkt_order_close();
}

static void edges_that_were_there_before_are_built_upon(void)
{
    enum { DEEP = 10 };
    struct hkt_lock locks[DEEP];

    open_with(locks, DEEP);
    for (size_t i = 0; i + 1 < DEEP; i++) {
        HKT_OK(hkt_order_nest(&locks[i], &locks[i + 1]));
    }
    takes_all(locks, DEEP);
    HKT_EQ_INT(edges(), DEEP - 1);
    hkt_order_close();
}

/* One step of a report says where both of its locks were taken, in the thread that did. */
static void a_step_that_was_left_out_is_told_as_it_was_seen(void)
{
    struct hkt_lock locks[3];
    struct hkt_holder holder = {.count = 0};
    static const hk_site sites[3] = {
        {"outer.c", 1, "outermost"}, {"middle.c", 2, "between"}, {"inner.c", 3, "innermost"}};

    open_with(locks, 3);
    locks[0].name = "first";
    locks[2].name = "last";
    for (size_t i = 0; i < 3; i++) {
        HKT_OK(hkt_take_at(&sites[i], &holder, &locks[i]));
    }
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[0]), HK_EORDER);
    HKT_EQ_INT(reports.edge_count, 2);
    HKT_EQ_STR(reports.edges[1].from_name, "first");
    HKT_EQ_STR(reports.edges[1].to_name, "last");
    HKT_EQ_PTR(reports.edges[1].from_lock, &locks[0]);
    HKT_EQ_PTR(reports.edges[1].to_lock, &locks[2]);
    HKT_EQ_PTR(reports.edges[1].from_site, &sites[0]);
    HKT_EQ_PTR(reports.edges[1].to_site, &sites[2]);
    HKT_TRUE(strstr(reports.text, "outer.c:1 (outermost)") != NULL);
    HKT_TRUE(strstr(reports.text, "inner.c:3 (innermost)") != NULL);
    HKT_TRUE(strstr(reports.text, "middle.c") == NULL);
    hkt_order_close();
}

/* --- Where nothing follows ---------------------------------------------------------- */

/* Between the outer one and the inner one stands one that the outer one has no edge to. */
static void ends_count(struct hkt_lock *locks)
{
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[1]), HK_EORDER);
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[0]), HK_EORDER);
    HKT_OK(hkt_order_nest(&locks[1], &locks[0]));
    hkt_order_close();
}

static void nothing_follows_over_a_lock_that_was_tried(void)
{
    struct hkt_lock locks[3];
    struct hkt_holder holder = {.count = 0};

    open_with(locks, 3);
    HKT_OK(hkt_take(&holder, &locks[0]));
    hkt_take_by_try(&holder, &locks[1]);
    HKT_OK(hkt_take(&holder, &locks[2]));
    HKT_EQ_INT(edges(), 2);
    ends_count(locks);
}

static void nothing_follows_over_a_lock_that_is_not_checked(void)
{
    struct hkt_lock locks[3];
    struct hkt_holder holder = {.count = 0};

    open_with(locks, 3);
    HKT_OK(hkt_take(&holder, &locks[0]));
    holder.policy = HK_LOCK_OFF;
    HKT_OK(hkt_take(&holder, &locks[1]));
    holder.policy = HK_LOCK_DEFAULT;
    HKT_OK(hkt_take(&holder, &locks[2]));
    HKT_EQ_INT(edges(), 2);
    ends_count(locks);
}

static void nothing_follows_over_an_allowed_pair(void)
{
    struct hkt_lock locks[3];

    open_with(locks, 3);
    HKT_OK(hki_order_allow(locks[0].identity, locks[1].identity));
    takes_all(locks, 3);
    HKT_EQ_INT(edges(), 2);
    ends_count(locks);
}

static void it_follows_over_the_next_below_a_tried_lock(void)
{
    struct hkt_lock locks[4];
    struct hkt_holder holder = {.count = 0};

    open_with(locks, 4);
    HKT_OK(hkt_take(&holder, &locks[0]));
    HKT_OK(hkt_take(&holder, &locks[1]));
    hkt_take_by_try(&holder, &locks[2]);
    HKT_OK(hkt_take(&holder, &locks[3]));
    /* 0 before 1, 2 before 3, 1 before 3; 0 before 3 follows. */
    HKT_EQ_INT(edges(), 3);
    HKT_STATUS(hkt_order_nest(&locks[3], &locks[0]), HK_EORDER);
    HKT_OK(hkt_order_nest(&locks[2], &locks[0]));
    hkt_order_close();
}

/* --- When edges go -------------------------------------------------------------------- */

static void what_followed_outlives_a_lock_between(void)
{
    enum { DEEP = 6 };
    struct hkt_lock locks[DEEP];

    for (size_t gone = 1; gone + 1 < DEEP; gone++) {
        open_with(locks, DEEP);
        takes_all(locks, DEEP);
        hki_order_forget(locks[gone].identity);
        HKT_EQ_INT(edges(), DEEP - 2);
        for (size_t outer = 0; outer + 1 < DEEP; outer++) {
            for (size_t inner = outer + 1; inner < DEEP; inner++) {
                if (outer != gone && inner != gone) {
                    HKT_STATUS(hkt_order_nest(&locks[inner], &locks[outer]), HK_EORDER);
                }
            }
        }
        HKT_EQ_INT(hkt_order_stats().dropped, 0);
        hkt_order_close();
    }
}

static void what_followed_outlives_all_between(void)
{
    enum { DEEP = 6 };
    struct hkt_lock locks[DEEP];

    open_with(locks, DEEP);
    takes_all(locks, DEEP);
    for (size_t i = 1; i + 1 < DEEP; i++) {
        hki_order_forget(locks[i].identity);
    }
    HKT_EQ_INT(edges(), 1);
    HKT_STATUS(hkt_order_nest(&locks[DEEP - 1], &locks[0]), HK_EORDER);
    HKT_EQ_INT(reports.edge_count, 2);
    HKT_EQ_PTR(reports.edges[1].from_lock, &locks[0]);
    HKT_EQ_PTR(reports.edges[1].to_lock, &locks[DEEP - 1]);
    hkt_order_close();
}

/* Two threads showed 0 before 1 and 1 before 2, none 0 before 2. */
static void what_nobody_showed_goes_with_the_lock_between(void)
{
    struct hkt_lock locks[4];

    open_with(locks, 4);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    takes_all(&locks[1], 3);
    hki_order_forget(locks[1].identity);
    HKT_OK(hkt_order_nest(&locks[2], &locks[0]));
    HKT_OK(hkt_order_nest(&locks[3], &locks[0]));
    hkt_order_close();
}

static void what_followed_outlives_an_allowed_pair(void)
{
    enum { DEEP = 5 };
    struct hkt_lock locks[DEEP];

    for (size_t one = 0; one + 1 < DEEP; one++) {
        for (size_t other = one + 1; other < DEEP; other++) {
            open_with(locks, DEEP);
            takes_all(locks, DEEP);
            HKT_OK(hki_order_allow(locks[one].identity, locks[other].identity));
            for (size_t outer = 0; outer + 1 < DEEP; outer++) {
                for (size_t inner = outer + 1; inner < DEEP; inner++) {
                    bool is_pair = outer == one && inner == other;

                    HKT_STATUS(hkt_order_nest(&locks[inner], &locks[outer]),
                               is_pair ? HK_OK : HK_EORDER);
                }
            }
            hkt_order_close();
        }
    }
}

/* --- Room ----------------------------------------------------------------------------- */

enum { NESTED = 1000 };

static struct hkt_lock many[NESTED];
static struct hki_held chain[NESTED];

static void take_many(void)
{
    for (size_t i = 0; i < NESTED; i++) {
        chain[i] = (struct hki_held){
            .lock = &many[i],
            .site = HK_SITE,
            .identity = many[i].identity,
            .key = hki_order_mix(i > 0 ? chain[i - 1].key : hki_order_seed(), many[i].identity),
        };
        if (i > 0) {
            HKT_OK(hki_order_check(chain, i, &chain[i], HK_LOCK_REFUSE));
        }
    }
}

static void a_thousand_nested_locks_take_little_memory(void)
{
    enum { EACH_BYTES = 4096 };
    hk_memory_statistics before;
    hk_memory_statistics after;

    HKT_OK(hk_memory_stats(&before));
    open_with(many, NESTED);
    take_many();
    HKT_OK(hk_memory_stats(&after));
    HKT_EQ_INT(edges(), NESTED - 1);
    HKT_TRUE(after.live_bytes - before.live_bytes < (uint64_t)NESTED * EACH_BYTES);
    HKT_STATUS(hkt_order_nest(&many[NESTED - 1], &many[0]), HK_EORDER);
    HKT_EQ_INT(reports.edge_count, 2);
    /* Each takes what hangs on its edges with it, or hands it on. */
    for (size_t i = 0; i < NESTED; i++) {
        hki_order_forget(many[(i * 7) % NESTED].identity);
    }
    HKT_EQ_INT(hkt_order_stats().nodes, 0);
    HKT_EQ_INT(edges(), 0);
    HKT_EQ_INT(hkt_order_stats().dropped, 0);
    hkt_order_close();
    HKT_OK(hk_memory_stats(&after));
    HKT_EQ_INT(after.live_bytes, before.live_bytes);
}

/* Locks that come and go below ones that stay leave nothing behind. */
static void records_are_used_again(void)
{
    struct hkt_lock locks[3];
    hk_memory_statistics before;
    hk_memory_statistics after;

    open_with(locks, 3);
    takes_all(locks, 3);
    HKT_OK(hk_memory_stats(&before));
    for (int i = 0; i < 5000; i++) {
        struct hkt_lock passing[2];
        struct hkt_lock *way[] = {&passing[0], &locks[0], &passing[1], &locks[1], &locks[2]};

        hkt_locks_init(passing, 2);
        HKT_OK(hkt_order_chain(way, 5));
        hki_order_forget(passing[i % 2].identity);
        hki_order_forget(passing[1 - i % 2].identity);
    }
    HKT_OK(hk_memory_stats(&after));
    HKT_EQ_INT(after.live_bytes, before.live_bytes);
    HKT_EQ_INT(edges(), 2);
    HKT_STATUS(hkt_order_nest(&locks[2], &locks[0]), HK_EORDER);
    hkt_order_close();
}

/* The nth allocation fails: locks go on, and what could not be kept is counted. */
static void without_memory_nothing_is_invented(void)
{
    enum { DEEP = 6 };
    long left = 0;

    for (long nth = 1; left == 0; nth++) {
        struct hkt_lock locks[DEEP];

        open_with(locks, DEEP);
        hki_memory_fail_at(nth);
        takes_all(locks, DEEP);
        left = hki_memory_fail_at(0);
        hki_order_forget(locks[2].identity);
        takes_all(locks, 2);
        takes_all(&locks[3], DEEP - 3);
        HKT_EQ_INT(reports.count, 0);
        if (left != 0) {
            HKT_STATUS(hkt_order_nest(&locks[DEEP - 1], &locks[0]), HK_EORDER);
        }
        hkt_order_close();
        HKT_TRUE_FATAL(nth < 10);
    }
}

static CU_TestInfo left_out[] = {
    HKT_TEST(nested_locks_have_one_edge_each),
    HKT_TEST(edges_that_were_there_before_are_built_upon),
    HKT_TEST(a_step_that_was_left_out_is_told_as_it_was_seen),
    HKT_TEST(nothing_follows_over_a_lock_that_was_tried),
    HKT_TEST(nothing_follows_over_a_lock_that_is_not_checked),
    HKT_TEST(nothing_follows_over_an_allowed_pair),
    HKT_TEST(it_follows_over_the_next_below_a_tried_lock),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo gone[] = {
    HKT_TEST(what_followed_outlives_a_lock_between),
    HKT_TEST(what_followed_outlives_all_between),
    HKT_TEST(what_nobody_showed_goes_with_the_lock_between),
    HKT_TEST(what_followed_outlives_an_allowed_pair),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo room[] = {
    HKT_TEST(a_thousand_nested_locks_take_little_memory),
    HKT_TEST(records_are_used_again),
    HKT_TEST(without_memory_nothing_is_invented),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "left out", .pTests = left_out},
    {.pName = "gone", .pTests = gone},
    {.pName = "room", .pTests = room},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
