/* SPDX-License-Identifier: MIT */
/* The order of locks as those who take them see it: what is refused, what the report
 * says, and what keeps quiet. Classes and policies are in test_lock_policy.c, sets of
 * locks in test_lock_many.c. */
#include <string.h>
#include <unistd.h>

#include "tests/lock_fixture.h"
#include "tests/race_fixture.h"

/* Two locks, taken one in the other in either order. */
struct both {
    hk_lock a;
    hk_lock b;
    pid_t thread; /* Who took them last. */
};

#define BOTH_INIT                                                                                  \
    {                                                                                              \
        HK_LOCK_INIT("a"), HK_LOCK_INIT("b"), 0                                                    \
    }

/* The lines of the four calls. */
static int a_first, b_second, b_first, a_second;

static hk_status a_then_b(void *arg)
{
    struct both *both = arg;
    hk_status status;

    both->thread = gettid();
    a_first = __LINE__ + 1;
    HKT_OK(hk_lock_acquire(&both->a));
    b_second = __LINE__ + 1;
    status = hk_lock_acquire(&both->b);
    HKT_EQ_INT(hk_lock_is_held_by_me(&both->b), status == HK_OK);
    if (status == HK_OK) {
        HKT_OK(hk_lock_release(&both->b));
    }
    HKT_OK(hk_lock_release(&both->a));
    return status;
}

static hk_status b_then_a(void *arg)
{
    struct both *both = arg;
    hk_status status;

    both->thread = gettid();
    b_first = __LINE__ + 1;
    HKT_OK(hk_lock_acquire(&both->b));
    a_second = __LINE__ + 1;
    status = hk_lock_acquire(&both->a);
    HKT_EQ_INT(hk_lock_is_held_by_me(&both->a), status == HK_OK);
    if (status == HK_OK) {
        HKT_OK(hk_lock_release(&both->a));
    }
    HKT_OK(hk_lock_release(&both->b));
    return status;
}

static void forget(struct both *both)
{
    HKT_OK(hk_lock_destroy(&both->a));
    HKT_OK(hk_lock_destroy(&both->b));
}

/* --- Two threads, one after the other ---------------------------------------------- */

static void expect_edge(const hk_lock_edge *edge, const hk_lock *from, int from_line,
                        const hk_lock *to, int to_line)
{
    HKT_EQ_PTR(edge->from_lock, from);
    HKT_EQ_PTR(edge->to_lock, to);
    HKT_TRUE_FATAL(edge->from_site != NULL);
    HKT_EQ_STR(edge->from_site->file, __FILE__);
    HKT_EQ_INT(edge->from_site->line, from_line);
    HKT_TRUE_FATAL(edge->to_site != NULL);
    HKT_EQ_STR(edge->to_site->file, __FILE__);
    HKT_EQ_INT(edge->to_site->line, to_line);
    HKT_TRUE(edge->frame_count > 0 && edge->frame_count <= HK_LOCK_FRAMES);
}

static void expect_report_of(const struct hkt_reports *reports, struct both *both, pid_t teacher)
{
    const hk_lock_edge *wrong = &reports->edges[0];
    const hk_lock_edge *learned = &reports->edges[1];

    HKT_EQ_INT(reports->count, 1);
    HKT_EQ_INT(reports->kind, HK_LOCK_INVERSION);
    HKT_EQ_INT(reports->policy, HK_LOCK_REFUSE);
    HKT_EQ_INT(reports->edge_count, 2);
    HKT_EQ_INT(reports->thread_id, both->thread);
    expect_edge(wrong, &both->b, b_first, &both->a, a_second);
    expect_edge(learned, &both->a, a_first, &both->b, b_second);
    HKT_EQ_STR(wrong->from_name, "b");
    HKT_EQ_STR(wrong->to_name, "a");
    HKT_EQ_STR(learned->from_name, "a");
    HKT_EQ_STR(learned->to_name, "b");
    HKT_EQ_INT(wrong->thread_id, both->thread);
    HKT_EQ_INT(learned->thread_id, teacher);
    HKT_TRUE(strstr(reports->text, "inversion") != NULL);
    HKT_TRUE(strstr(reports->text, "a_then_b") != NULL);
    HKT_TRUE(strstr(reports->text, "b_then_a") != NULL);
}

static void the_other_order_is_refused_though_nobody_meets(void)
{
    struct both both = BOTH_INIT;
    struct hkt_puppet threads[2];
    struct hkt_reports reports;
    pid_t teacher;

    hkt_reports_begin(&reports);
    hkt_puppet_make(&threads[0]);
    hkt_puppet_make(&threads[1]);
    HKT_OK(hkt_puppet_do(&threads[0], a_then_b, &both));
    teacher = both.thread;
    hkt_puppet_retire(&threads[0]);
    HKT_EQ_INT(hkt_reports_count(&reports), 0);
    HKT_STATUS(hkt_puppet_do(&threads[1], b_then_a, &both), HK_EORDER);
    expect_report_of(&reports, &both, teacher);
    /* Again it is refused, but not reported; and the right order stays right. */
    HKT_STATUS(hkt_puppet_do(&threads[1], b_then_a, &both), HK_EORDER);
    HKT_STATUS(b_then_a(&both), HK_EORDER);
    HKT_OK(hkt_puppet_do(&threads[1], a_then_b, &both));
    HKT_OK(a_then_b(&both));
    HKT_EQ_INT(hkt_reports_count(&reports), 1);
    hkt_puppet_retire(&threads[1]);
    hkt_reports_end(&reports);
    forget(&both);
}

static void one_thread_is_enough_to_show_both_orders(void)
{
    struct both both = BOTH_INIT;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(a_then_b(&both));
    HKT_STATUS(b_then_a(&both), HK_EORDER);
    expect_report_of(&reports, &both, gettid());
    hkt_reports_end(&reports);
    forget(&both);
}

static void a_refusal_does_not_wait_for_the_lock(void)
{
    struct both both = BOTH_INIT;
    struct hkt_reports reports;
    struct hkt_puppet other;

    hkt_reports_begin(&reports);
    hkt_puppet_make(&other);
    HKT_OK(a_then_b(&both));
    HKT_OK(hkt_puppet_do(&other, hkt_acquire, &both.a));
    HKT_STATUS(b_then_a(&both), HK_EORDER); /* Else it would hang here. */
    HKT_OK(hkt_puppet_do(&other, hkt_release, &both.a));
    hkt_puppet_retire(&other);
    hkt_reports_end(&reports);
    forget(&both);
}

/* --- Two threads at the same moment --- */

static struct both pairs[HKT_ROUNDS];
static atomic_uint pairs_used;
static struct hkt_reports race_reports;

static void open_pair(struct hkt_round *round)
{
    struct both *both = &pairs[atomic_fetch_add(&pairs_used, 1)];

    *both = (struct both)BOTH_INIT;
    round->object = both;
}

static void nest_ab(struct hkt_round *round, unsigned who)
{
    struct both *both = round->object;

    HKT_OK(hk_lock_acquire(&both->a));
    round->status[who] = hk_lock_acquire(&both->b);
    if (round->status[who] == HK_OK) {
        round->payload[0]++;
        HKT_OK(hk_lock_release(&both->b));
    }
    HKT_OK(hk_lock_release(&both->a));
}

static void nest_ba(struct hkt_round *round, unsigned who)
{
    struct both *both = round->object;

    HKT_OK(hk_lock_acquire(&both->b));
    round->status[who] = hk_lock_acquire(&both->a);
    if (round->status[who] == HK_OK) {
        round->payload[0]++;
        HKT_OK(hk_lock_release(&both->a));
    }
    HKT_OK(hk_lock_release(&both->b));
}

static void check_pair(struct hkt_round *round)
{
    bool first_won = round->status[0] == HK_OK;

    HKT_STATUS(round->status[0], first_won ? HK_OK : HK_EORDER);
    HKT_STATUS(round->status[1], first_won ? HK_EORDER : HK_OK);
    HKT_EQ_INT(round->payload[0], 1);
    forget(round->object);
}

static void of_two_that_meet_exactly_one_is_refused(void)
{
    static const struct hkt_race race = {open_pair, {nest_ab, nest_ba}, check_pair};

    atomic_store(&pairs_used, 0);
    hkt_reports_begin(&race_reports);
    hkt_race(&race);
    HKT_EQ_INT(race_reports.count, HKT_ROUNDS);
    hkt_reports_end(&race_reports);
}

/* --- Longer ways round -------------------------------------------------------------- */

enum { RING = 6 };

static void a_way_over_other_locks_counts(void)
{
    hk_lock ring[RING];
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    for (int i = 0; i < RING; i++) {
        HKT_OK(hk_lock_init(&ring[i], NULL));
    }
    for (int i = 0; i + 1 < RING; i++) {
        HKT_OK(hkt_nest(&ring[i], &ring[i + 1]));
    }
    HKT_STATUS(hkt_nest(&ring[RING - 1], &ring[0]), HK_EORDER);
    HKT_EQ_INT(reports.edge_count, RING);
    HKT_EQ_PTR(reports.edges[0].from_lock, &ring[RING - 1]);
    HKT_EQ_PTR(reports.edges[0].to_lock, &ring[0]);
    for (int i = 1; i < RING; i++) {
        HKT_EQ_PTR(reports.edges[i].from_lock, &ring[i - 1]);
        HKT_EQ_PTR(reports.edges[i].to_lock, &ring[i]);
    }
    HKT_OK(hkt_nest(&ring[0], &ring[RING - 1]));
    /* Without the middle one nothing leads round any more. */
    HKT_OK(hk_lock_destroy(&ring[0]));
    HKT_OK(hkt_nest(&ring[RING - 1], &ring[0]));
    for (int i = 0; i < RING; i++) {
        HKT_OK(hk_lock_destroy(&ring[i]));
    }
    HKT_EQ_INT(reports.count, 1);
    hkt_reports_end(&reports);
}

static void a_destroyed_lock_has_no_order(void)
{
    struct both both = BOTH_INIT;

    HKT_OK(a_then_b(&both));
    HKT_OK(hk_lock_destroy(&both.a));
    HKT_OK(b_then_a(&both));
    forget(&both);
}

/* --- Ways to take a lock --------------------------------------------------------------- */

static void a_try_is_not_judged_but_teaches_what_comes_after_it(void)
{
    struct both both = BOTH_INIT;
    struct both fresh = BOTH_INIT;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(a_then_b(&both));
    HKT_OK(hk_lock_acquire(&both.b));
    HKT_OK(hk_lock_try(&both.a)); /* It cannot wait, so it is not wrong. */
    HKT_OK(hk_lock_release(&both.a));
    HKT_OK(hk_lock_acquire_timed(&both.a, 0));
    HKT_OK(hk_lock_release(&both.a));
    HKT_OK(hk_lock_release(&both.b));
    HKT_OK(a_then_b(&both));

    HKT_OK(hk_lock_acquire(&fresh.a)); /* Nor does it teach "a before b". */
    HKT_OK(hk_lock_try(&fresh.b));
    HKT_OK(hk_lock_release(&fresh.b));
    HKT_OK(hk_lock_release(&fresh.a));
    HKT_OK(hk_lock_try(&fresh.b)); /* But this does: "b before a". */
    HKT_OK(hk_lock_acquire(&fresh.a));
    HKT_OK(hk_lock_release(&fresh.a));
    HKT_OK(hk_lock_release(&fresh.b));
    HKT_EQ_INT(reports.count, 0);
    HKT_STATUS(a_then_b(&fresh), HK_EORDER);
    hkt_reports_end(&reports);
    forget(&both);
    forget(&fresh);
}

static void a_timed_wait_is_judged_and_teaches(void)
{
    struct both both = BOTH_INIT;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(hk_lock_acquire_timed(&both.a, HKT_LONG));
    HKT_OK(hk_lock_acquire_timed(&both.b, HKT_LONG));
    HKT_OK(hk_lock_release(&both.a));
    HKT_STATUS(hk_lock_acquire_timed(&both.a, HKT_LONG), HK_EORDER);
    HKT_STATUS(hk_lock_acquire_timed(&both.a, HK_FOREVER), HK_EORDER);
    HKT_TRUE(!hk_lock_is_held_by_me(&both.a));
    HKT_OK(hk_lock_release(&both.b));
    HKT_EQ_INT(reports.count, 1);
    hkt_reports_end(&reports);
    forget(&both);
}

/* What was given back earlier stands in no order to what is taken then. */
static void only_what_is_still_held_comes_before(void)
{
    struct both both = BOTH_INIT;
    hk_lock c = HK_LOCK_INIT("c");
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(hk_lock_acquire(&both.a));
    HKT_OK(hk_lock_try(&both.b));
    HKT_OK(hk_lock_release(&both.a));
    HKT_OK(hk_lock_acquire(&c)); /* b before c. */
    HKT_OK(hk_lock_release(&both.b));
    HKT_OK(hk_lock_acquire(&both.a)); /* c before a. */
    HKT_EQ_INT(reports.count, 0);
    HKT_STATUS(hk_lock_acquire(&both.b), HK_EORDER);
    HKT_OK(hk_lock_release(&c));
    HKT_STATUS(hk_lock_acquire(&both.b), HK_EORDER); /* Over c all the same. */
    HKT_OK(hk_lock_release(&both.a));
    HKT_OK(hk_lock_destroy(&c));
    hkt_reports_end(&reports);
    forget(&both);
}

static void a_condition_takes_its_lock_again_in_order(void)
{
    struct both both = BOTH_INIT;
    hk_cond cond = HK_COND_INIT("changed");
    struct hkt_reports reports;
    struct hkt_puppet other;

    hkt_reports_begin(&reports);
    hkt_puppet_make(&other);
    HKT_OK(hk_lock_acquire(&both.a));
    HKT_OK(hk_lock_acquire(&both.b));
    /* The lock on top comes back to where it was. */
    HKT_STATUS(hk_cond_wait(&cond, &both.b, 0), HK_ETIMEDOUT);
    HKT_EQ_INT(reports.count, 0);
    /* That below would be taken under the other one. */
    HKT_STATUS(hk_cond_wait(&cond, &both.a, HK_FOREVER), HK_EORDER);
    HKT_EQ_INT(reports.count, 1);
    HKT_EQ_PTR(reports.edges[0].from_lock, &both.b);
    HKT_EQ_PTR(reports.edges[0].to_lock, &both.a);
    HKT_TRUE(hk_lock_is_held_by_me(&both.a) && hk_lock_is_held_by_me(&both.b));
    HKT_STATUS(hkt_puppet_do(&other, hkt_try, &both.a), HK_ETIMEDOUT);
    HKT_OK(hk_lock_release(&both.a));
    HKT_OK(hk_lock_release(&both.b));
    hkt_puppet_retire(&other);
    hkt_reports_end(&reports);
    forget(&both);
}

static void a_condition_teaches_the_order_in_which_it_takes_its_lock_again(void)
{
    struct both both = BOTH_INIT;
    hk_cond cond = HK_COND_INIT("changed");
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(hk_lock_acquire(&both.a));
    HKT_OK(hk_lock_try(&both.b));
    HKT_STATUS(hk_cond_wait(&cond, &both.a, 0), HK_ETIMEDOUT); /* b before a. */
    HKT_EQ_INT(reports.count, 0);
    HKT_OK(hk_lock_release(&both.b));
    HKT_STATUS(hk_lock_acquire(&both.b), HK_EORDER);
    HKT_OK(hk_lock_release(&both.a));
    hkt_reports_end(&reports);
    forget(&both);
}

/* --- Read-write locks -------------------------------------------------------------------- */

struct way {
    hkt_act_fn *take;
    hkt_act_fn *give;
};

static hk_status nest_ways(struct way outer, void *first, struct way inner, void *second)
{
    hk_status status;

    HKT_OK(outer.take(first));
    status = inner.take(second);
    if (status == HK_OK) {
        HKT_OK(inner.give(second));
    }
    HKT_OK(outer.give(first));
    return status;
}

static void readers_and_writers_stand_in_the_order(void)
{
    static const struct way lock = {hkt_acquire, hkt_release};
    static const struct way ways[] = {
        {hkt_read, hkt_rw_release},
        {hkt_write, hkt_rw_release},
        {hkt_read_long, hkt_rw_release},
        {hkt_write_long, hkt_rw_release},
    };
    struct hkt_reports reports;
    unsigned expected = 0;

    hkt_reports_begin(&reports);
    for (unsigned i = 0; i < 16; i++) {
        hk_rwlock one = HK_RWLOCK_INIT("one");
        hk_rwlock other = HK_RWLOCK_INIT("other");
        hk_lock plain = HK_LOCK_INIT("plain");
        struct way first = ways[i / 4];
        struct way second = ways[i % 4];

        /* Two readers may share it, but a writer may come between them. */
        HKT_OK(nest_ways(first, &one, second, &other));
        HKT_STATUS(nest_ways(second, &other, first, &one), HK_EORDER);
        HKT_EQ_INT(reports.count, ++expected);
        HKT_EQ_STR(reports.edges[0].from_name, "other");
        HKT_EQ_STR(reports.edges[0].to_name, "one");
        HKT_OK(nest_ways(first, &other, lock, &plain));
        HKT_STATUS(nest_ways(lock, &plain, second, &one), HK_EORDER);
        HKT_EQ_INT(reports.count, ++expected);
        HKT_EQ_INT(reports.edge_count, 3);
        HKT_OK(hk_rwlock_destroy(&one));
        HKT_OK(hk_rwlock_destroy(&other));
        HKT_OK(hk_lock_destroy(&plain));
    }
    hkt_reports_end(&reports);
}

static void a_polling_reader_is_not_judged(void)
{
    hk_rwlock rw = HK_RWLOCK_INIT("rw");
    hk_lock lock = HK_LOCK_INIT("lock");

    HKT_OK(hk_rwlock_read(&rw));
    HKT_OK(hk_lock_acquire(&lock));
    HKT_OK(hk_rwlock_release(&rw));
    HKT_OK(hk_rwlock_read_timed(&rw, 0));
    HKT_OK(hk_rwlock_release(&rw));
    HKT_OK(hk_rwlock_write_timed(&rw, 0));
    HKT_OK(hk_rwlock_release(&rw));
    HKT_OK(hk_lock_release(&lock));
    HKT_OK(hk_rwlock_destroy(&rw));
    HKT_OK(hk_lock_destroy(&lock));
}

static CU_TestInfo tests[] = {
    HKT_CASE("the other order is refused though nobody meets",
             the_other_order_is_refused_though_nobody_meets),
    HKT_CASE("one thread is enough to show both orders", one_thread_is_enough_to_show_both_orders),
    HKT_CASE("a refusal does not wait for the lock", a_refusal_does_not_wait_for_the_lock),
    HKT_CASE("of two that meet exactly one is refused", of_two_that_meet_exactly_one_is_refused),
    HKT_CASE("a way over other locks counts", a_way_over_other_locks_counts),
    HKT_CASE("a destroyed lock has no order", a_destroyed_lock_has_no_order),
    HKT_CASE("a try is not judged but teaches what comes after it",
             a_try_is_not_judged_but_teaches_what_comes_after_it),
    HKT_CASE("a timed wait is judged and teaches", a_timed_wait_is_judged_and_teaches),
    HKT_CASE("only what is still held comes before", only_what_is_still_held_comes_before),
    HKT_CASE("a condition takes its lock again in order",
             a_condition_takes_its_lock_again_in_order),
    HKT_CASE("a condition teaches the order in which it takes its lock again",
             a_condition_teaches_the_order_in_which_it_takes_its_lock_again),
    HKT_CASE("readers and writers stand in the order", readers_and_writers_stand_in_the_order),
    HKT_CASE("a polling reader is not judged", a_polling_reader_is_not_judged),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "lock_order_locks", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
