/* SPDX-License-Identifier: MIT */
/* Sets of locks, taken at once: in an order that all agree on, or not at all. */
#include <string.h>

#include "tests/lock_fixture.h"
#include "tests/race_fixture.h"

#define SET(...) ((hk_lock *[]){__VA_ARGS__})

struct three {
    hk_lock a;
    hk_lock b;
    hk_lock c;
};

#define THREE_INIT                                                                                 \
    {                                                                                              \
        HK_LOCK_INIT("a"), HK_LOCK_INIT("b"), HK_LOCK_INIT("c")                                    \
    }

static void forget(struct three *locks)
{
    HKT_OK(hk_lock_destroy(&locks->a));
    HKT_OK(hk_lock_destroy(&locks->b));
    HKT_OK(hk_lock_destroy(&locks->c));
}

static bool holds_any(const struct three *locks)
{
    return hk_lock_is_held_by_me(&locks->a) || hk_lock_is_held_by_me(&locks->b) ||
           hk_lock_is_held_by_me(&locks->c);
}

static bool holds_all(const struct three *locks)
{
    return hk_lock_is_held_by_me(&locks->a) && hk_lock_is_held_by_me(&locks->b) &&
           hk_lock_is_held_by_me(&locks->c);
}

/* Takes all three as named, and gives them back as named otherwise. */
static void take_and_give(struct three *locks, hk_lock *const *take, hk_lock *const *give)
{
    HKT_OK(hk_lock_acquire_many(take, 3));
    HKT_TRUE(holds_all(locks));
    HKT_OK(hk_lock_release_many(give, 3));
    HKT_TRUE(!holds_any(locks));
}

/* --- Orders --------------------------------------------------------------------------- */

static void a_set_may_be_named_in_any_order(void)
{
    struct three locks = THREE_INIT;
    hk_lock *const orders[][3] = {
        {&locks.a, &locks.b, &locks.c}, {&locks.c, &locks.b, &locks.a},
        {&locks.b, &locks.a, &locks.c}, {&locks.b, &locks.c, &locks.a},
        {&locks.a, &locks.c, &locks.b}, {&locks.c, &locks.a, &locks.b},
    };
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 6; k++) {
            take_and_give(&locks, orders[i], orders[k]);
        }
    }
    HKT_EQ_INT(reports.count, 0);
    hkt_reports_end(&reports);
    forget(&locks);
}

static void a_set_follows_what_was_learned(void)
{
    struct three locks = THREE_INIT;
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(hkt_nest(&locks.c, &locks.a));
    HKT_OK(hkt_nest(&locks.a, &locks.b));
    take_and_give(&locks, SET(&locks.a, &locks.b, &locks.c), SET(&locks.b, &locks.c, &locks.a));
    take_and_give(&locks, SET(&locks.b, &locks.c, &locks.a), SET(&locks.b, &locks.c, &locks.a));
    HKT_OK(hkt_nest(&locks.c, &locks.b));
    HKT_OK(hkt_nest(&locks.c, &locks.a));
    HKT_OK(hkt_nest(&locks.a, &locks.b));
    HKT_EQ_INT(reports.count, 0);
    HKT_STATUS(hkt_nest(&locks.b, &locks.c), HK_EORDER);
    hkt_reports_end(&reports);
    forget(&locks);
}

static void a_set_teaches_its_order(void)
{
    struct three locks = THREE_INIT;
    struct hkt_reports reports;
    hk_status one_way;
    hk_status other_way;

    hkt_reports_begin(&reports);
    HKT_OK(hk_lock_acquire_many(SET(&locks.b, &locks.a), 2));
    HKT_OK(hk_lock_release_many(SET(&locks.b, &locks.a), 2));
    one_way = hkt_nest(&locks.a, &locks.b);
    other_way = hkt_nest(&locks.b, &locks.a);
    HKT_TRUE((one_way == HK_OK && other_way == HK_EORDER) ||
             (one_way == HK_EORDER && other_way == HK_OK));
    HKT_EQ_INT(reports.count, 1);
    hkt_reports_end(&reports);
    forget(&locks);
}

static void what_is_held_comes_before_a_set(void)
{
    struct three locks = THREE_INIT;
    hk_lock off = HK_LOCK_INIT_AS("off", 0, HK_LOCK_OFF, NULL, 0);
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(hkt_nest(&locks.a, &locks.b));
    HKT_OK(hk_lock_acquire(&locks.b));
    HKT_STATUS(hk_lock_acquire_many(SET(&locks.c, &locks.a), 2), HK_EORDER);
    HKT_TRUE(!hk_lock_is_held_by_me(&locks.a) && !hk_lock_is_held_by_me(&locks.c));
    HKT_TRUE(hk_lock_is_held_by_me(&locks.b));
    HKT_EQ_INT(reports.count, 1);
    HKT_EQ_PTR(reports.edges[0].from_lock, &locks.b);
    HKT_EQ_PTR(reports.edges[0].to_lock, &locks.a);
    HKT_STATUS(hk_lock_acquire_many_timed(SET(&locks.a), 1, HKT_LONG), HK_EORDER);
    /* One that nobody checks does not excuse the others. */
    HKT_STATUS(hk_lock_acquire_many(SET(&off, &locks.a), 2), HK_EORDER);
    HKT_TRUE(!hk_lock_is_held_by_me(&off));
    /* Who only polls does not wait, and so is not wrong. */
    HKT_OK(hk_lock_acquire_many_timed(SET(&locks.c, &locks.a), 2, 0));
    HKT_OK(hk_lock_release_many(SET(&locks.c, &locks.a), 2));
    HKT_OK(hk_lock_acquire_many(SET(&locks.c), 1));
    HKT_OK(hk_lock_release(&locks.c));
    HKT_OK(hk_lock_release(&locks.b));
    HKT_EQ_INT(reports.count, 1);
    hkt_reports_end(&reports);
    HKT_OK(hk_lock_destroy(&off));
    forget(&locks);
}

/* --- One lock more than once ----------------------------------------------------------- */

static void a_lock_named_twice_counts_once(void)
{
    struct three locks = THREE_INIT;
    hk_lock *const twice[] = {&locks.c, &locks.a, &locks.c, &locks.b, &locks.a, &locks.c};

    HKT_OK(hk_lock_acquire_many(twice, 6));
    HKT_TRUE(holds_all(&locks));
    HKT_OK(hk_lock_release(&locks.a));
    HKT_TRUE(!hk_lock_is_held_by_me(&locks.a));
    HKT_STATUS(hk_lock_release_many(twice, 6), HK_EPERM);
    HKT_TRUE(hk_lock_is_held_by_me(&locks.b) && hk_lock_is_held_by_me(&locks.c));
    HKT_OK(hk_lock_try(&locks.a));
    HKT_OK(hk_lock_release_many(twice, 6));
    HKT_TRUE(!holds_any(&locks));
    forget(&locks);
}

static void a_recursive_lock_may_be_held_before(void)
{
    hk_lock recursive = HK_LOCK_INIT_AS("recursive", HK_LOCK_RECURSIVE, HK_LOCK_DEFAULT, NULL, 0);
    struct three locks = THREE_INIT;
    struct hkt_reports reports;
    hk_lock *const set[] = {&locks.a, &recursive, &locks.b, &recursive};

    hkt_reports_begin(&reports);
    HKT_OK(hkt_nest(&recursive, &locks.b));
    HKT_OK(hk_lock_acquire(&recursive));
    HKT_OK(hk_lock_acquire(&locks.c));
    HKT_OK(hk_lock_acquire_many(set, 4));
    HKT_OK(hk_lock_release_many(set, 4));
    HKT_TRUE(hk_lock_is_held_by_me(&recursive)); /* As often as before. */
    /* A lock that fails leaves its depth as it was. */
    HKT_STATUS(hk_lock_acquire_many(SET(&recursive, &locks.c, &locks.a), 3), HK_EDEADLK);
    HKT_TRUE(!hk_lock_is_held_by_me(&locks.a));
    HKT_TRUE(hk_lock_is_held_by_me(&locks.c));
    HKT_OK(hk_lock_release(&recursive));
    HKT_STATUS(hk_lock_release(&recursive), HK_EPERM);
    HKT_OK(hk_lock_release(&locks.c));
    HKT_EQ_INT(reports.count, 0);
    hkt_reports_end(&reports);
    HKT_OK(hk_lock_destroy(&recursive));
    forget(&locks);
}

/* --- Failing, and waiting --------------------------------------------------------------- */

static void a_set_that_is_not_to_be_had_is_not_held(void)
{
    struct three locks = THREE_INIT;
    hk_lock *const set[] = {&locks.c, &locks.b, &locks.a};
    struct hkt_puppet other;
    struct hkt_log log;

    hkt_puppet_make(&other);
    HKT_OK(hkt_nest(&locks.a, &locks.b)); /* The middle one is the one that fails. */
    HKT_OK(hkt_nest(&locks.b, &locks.c));
    HKT_OK(hkt_puppet_do(&other, hkt_acquire, &locks.b));
    HKT_STATUS(hk_lock_acquire_many_timed(set, 3, 0), HK_ETIMEDOUT);
    HKT_TRUE(!holds_any(&locks));
    HKT_STATUS(hk_lock_acquire_many_timed(set, 3, HK_MS(2)), HK_ETIMEDOUT);
    HKT_TRUE(!holds_any(&locks));
    HKT_OK(hkt_puppet_do(&other, hkt_try, &locks.a));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &locks.a));
    hkt_log_begin(&log);
    hkt_puppet_retire(&other);
    hkt_log_end(&log);
    HKT_STATUS(hk_lock_acquire_many(set, 3), HK_EBROKEN);
    HKT_TRUE(!holds_any(&locks));
    HKT_OK(hk_lock_acquire(&locks.a));
    HKT_OK(hk_lock_release(&locks.a));
    HKT_OK(hk_lock_destroy(&locks.a));
    HKT_OK(hk_lock_destroy(&locks.c));
}

static hk_status take_three_long(void *arg)
{
    struct three *locks = arg;

    return hk_lock_acquire_many_timed(SET(&locks->b, &locks->c, &locks->a), 3, HKT_LONG);
}

static hk_status take_three(void *arg)
{
    struct three *locks = arg;

    return hk_lock_acquire_many(SET(&locks->b, &locks->c, &locks->a), 3);
}

static hk_status give_three(void *arg)
{
    struct three *locks = arg;

    return hk_lock_release_many(SET(&locks->a, &locks->b, &locks->c), 3);
}

static void a_set_waits_for_each_of_its_locks(void)
{
    static hkt_act_fn *const ways[] = {take_three, take_three_long};
    struct three locks = THREE_INIT;
    hk_lock *const each[] = {&locks.a, &locks.b, &locks.c};
    struct hkt_puppet other;

    hkt_puppet_make(&other);
    for (int i = 0; i < 6; i++) {
        HKT_OK(hk_lock_acquire(each[i % 3]));
        hkt_puppet_begin_asleep(&other, ways[i % 2], &locks);
        HKT_OK(hk_lock_release(each[i % 3]));
        HKT_OK(hkt_puppet_finish(&other));
        HKT_STATUS(hk_lock_acquire_many_timed(each, 3, 0), HK_ETIMEDOUT);
        HKT_OK(hkt_puppet_do(&other, give_three, &locks));
    }
    hkt_puppet_retire(&other);
    forget(&locks);
}

static void the_time_is_that_of_the_whole_set(void)
{
    enum { COUNT = 20 };
    hk_lock locks[COUNT];
    hk_lock *set[COUNT];
    struct hkt_puppet other;
    int64_t start_ns;

    hkt_puppet_make(&other);
    for (int i = 0; i < COUNT; i++) {
        HKT_OK(hk_lock_init(&locks[i], NULL));
        set[i] = &locks[COUNT - 1 - i];
    }
    HKT_OK(hk_lock_acquire_many(set, COUNT));
    HKT_OK(hk_lock_release_many(set, COUNT));
    HKT_OK(hkt_puppet_do(&other, hkt_acquire, &locks[7]));
    start_ns = hk_now_ns();
    HKT_STATUS(hk_lock_acquire_many_timed(set, COUNT, HK_MS(5)), HK_ETIMEDOUT);
    HKT_TRUE(hk_now_ns() - start_ns >= HK_MS(5));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &locks[7]));
    HKT_OK(hk_lock_acquire_many_timed(set, COUNT, 1));
    HKT_OK(hk_lock_release_many(set, COUNT));
    for (int i = 0; i < COUNT; i++) {
        HKT_OK(hk_lock_destroy(&locks[i]));
    }
    hkt_puppet_retire(&other);
}

/* --- Two threads at the same moment -------------------------------------------------------- */

static struct three racing[HKT_ROUNDS];
static hk_lock_class racing_class;
static unsigned racing_flags;
static hk_lock_class *racing_of;
static atomic_uint racing_used;

static void open_three(struct hkt_round *round)
{
    struct three *locks = &racing[atomic_fetch_add(&racing_used, 1)];
    const hk_lock_options options = {.flags = racing_flags, .lock_class = racing_of};

    HKT_OK(hk_lock_init(&locks->a, &options));
    HKT_OK(hk_lock_init(&locks->b, &options));
    HKT_OK(hk_lock_init(&locks->c, &options));
    round->object = locks;
}

static void take_as_named(struct hkt_round *round, unsigned who)
{
    struct three *locks = round->object;
    hk_lock *const orders[][3] = {
        {&locks->a, &locks->b, &locks->c},
        {&locks->c, &locks->b, &locks->a},
        {&locks->b, &locks->c, &locks->a},
    };

    round->status[who] = hk_lock_acquire_many(orders[who], 3);
    if (round->status[who] == HK_OK) {
        round->payload[0]++;
        HKT_OK(hk_lock_release_many(orders[who], 3));
    }
}

static void all_had_their_turn(struct hkt_round *round)
{
    for (int i = 0; i < 3; i++) {
        HKT_OK(round->status[i]);
    }
    HKT_EQ_INT(round->payload[0], 3);
    forget(round->object);
}

static void threads_that_name_a_set_differently_do_not_meet(void)
{
    static const struct hkt_race race = {
        open_three, {take_as_named, take_as_named, take_as_named}, all_had_their_turn};
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    for (int i = 0; i < 3; i++) {
        racing_of = i == 1 ? &racing_class : NULL;
        racing_flags = i == 2 ? HK_LOCK_NOORDER : 0;
        atomic_store(&racing_used, 0);
        hkt_race(&race);
    }
    racing_of = NULL;
    racing_flags = 0;
    HKT_EQ_INT(reports.count, 0);
    hkt_reports_end(&reports);
}

/* One lock after the other, while others take the set: it is refused, or goes along. */
static void take_one_by_one(struct hkt_round *round, unsigned who)
{
    struct three *locks = round->object;
    hk_status status = hkt_nest(who == 0 ? &locks->a : &locks->c, &locks->b);

    HKT_TRUE(status == HK_OK || status == HK_EORDER);
}

static void the_set_had_its_turn(struct hkt_round *round)
{
    HKT_OK(round->status[1]);
    forget(round->object);
}

static void a_set_goes_along_with_those_who_nest(void)
{
    static const struct hkt_race race = {
        open_three, {take_one_by_one, take_as_named, take_one_by_one}, the_set_had_its_turn};
    struct hkt_reports reports;

    hkt_reports_begin(&reports);
    atomic_store(&racing_used, 0);
    hkt_race(&race);
    hkt_reports_end(&reports);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a set may be named in any order", a_set_may_be_named_in_any_order),
    HKT_CASE("a set follows what was learned", a_set_follows_what_was_learned),
    HKT_CASE("a set teaches its order", a_set_teaches_its_order),
    HKT_CASE("what is held comes before a set", what_is_held_comes_before_a_set),
    HKT_CASE("a lock named twice counts once", a_lock_named_twice_counts_once),
    HKT_CASE("a recursive lock may be held before", a_recursive_lock_may_be_held_before),
    HKT_CASE("a set that is not to be had is not held", a_set_that_is_not_to_be_had_is_not_held),
    HKT_CASE("a set waits for each of its locks", a_set_waits_for_each_of_its_locks),
    HKT_CASE("the time is that of the whole set", the_time_is_that_of_the_whole_set),
    HKT_CASE("threads that name a set differently do not meet",
             threads_that_name_a_set_differently_do_not_meet),
    HKT_CASE("a set goes along with those who nest", a_set_goes_along_with_those_who_nest),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "lock_many", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
