/* SPDX-License-Identifier: MIT */
/* Locks: every call and every answer. Cycles are in test_lock_cycle.c, the order in
 * test_lock_order_locks.c, ends of threads and forks in test_lock_end.c. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/allocation_fixture.h"
#include "tests/lock_fixture.h"

/* --- Ways to make one -------------------------------------------------------------- */

static hk_lock zero_filled;
static hk_lock named = HK_LOCK_INIT("named");
static hk_lock recursive = HK_LOCK_INIT_AS("recursive", HK_LOCK_RECURSIVE, HK_LOCK_REFUSE, NULL, 0);
static hk_lock_class accounts;
static hk_lock classed = HK_LOCK_INIT_AS("classed", 0, HK_LOCK_DEFAULT, &accounts, 7);

static void expect_usable(hk_lock *lock)
{
    HKT_TRUE(!hk_lock_is_held_by_me(lock));
    HKT_STATUS(hk_lock_release(lock), HK_EPERM);
    HKT_OK(hk_lock_acquire(lock));
    HKT_TRUE(hk_lock_is_held_by_me(lock));
    hk_lock_assert_held(lock);
    HKT_OK(hk_lock_release(lock));
    HKT_TRUE(!hk_lock_is_held_by_me(lock));
    HKT_OK(hk_lock_try(lock));
    HKT_OK(hk_lock_release(lock));
    HKT_OK(hk_lock_acquire_timed(lock, HK_FOREVER));
    HKT_OK(hk_lock_release(lock));
    HKT_OK(hk_lock_acquire_timed(lock, INT64_MAX));
    HKT_OK(hk_lock_release(lock));
    HKT_STATUS(hk_lock_release(lock), HK_EPERM);
}

static void a_lock_is_ready_however_it_was_made(void)
{
    const hk_lock_options all = {
        .name = "all",
        .flags = HK_LOCK_RECURSIVE | HK_LOCK_NOORDER,
        .policy = HK_LOCK_ABORT,
        .lock_class = &accounts,
        .subclass = HK_LOCK_SUBCLASSES - 1,
    };
    hk_lock *from_calloc = calloc(1, sizeof(*from_calloc));
    hk_lock made;

    HKT_TRUE_FATAL(from_calloc != NULL);
    memset(&made, 0xA5, sizeof(made));
    HKT_OK(hk_lock_init(&made, NULL));
    expect_usable(&made);
    memset(&made, 0xA5, sizeof(made));
    HKT_OK(hk_lock_init(&made, &all));
    expect_usable(&made);
    expect_usable(&zero_filled);
    expect_usable(&named);
    expect_usable(&recursive);
    expect_usable(&classed);
    expect_usable(from_calloc);
    HKT_OK(hk_lock_destroy(from_calloc));
    free(from_calloc);
}

static void what_makes_no_sense_is_refused(void)
{
    hk_lock lock = HK_LOCK_INIT(NULL);
    hk_lock *with_null[] = {&lock, NULL};
    hk_lock_contention line;

    HKT_STATUS(hk_lock_init(NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_lock_init(&lock, &(hk_lock_options){.flags = 4}), HK_EINVAL);
    HKT_STATUS(hk_lock_init(&lock, &(hk_lock_options){.flags = UINT_MAX}), HK_EINVAL);
    HKT_STATUS(hk_lock_init(&lock, &(hk_lock_options){.policy = HK_LOCK_ABORT + 1}), HK_EINVAL);
    HKT_STATUS(hk_lock_init(&lock, &(hk_lock_options){.subclass = HK_LOCK_SUBCLASSES}), HK_EINVAL);
    HKT_STATUS(hk_lock_acquire(NULL), HK_EINVAL);
    HKT_STATUS(hk_lock_acquire_at(NULL, &lock), HK_EINVAL); /* Reports show the site. */
    HKT_STATUS(hk_lock_acquire_timed_at(NULL, &lock, HK_FOREVER), HK_EINVAL);
    HKT_TRUE(!hk_lock_is_held_by_me(&lock));
    HKT_STATUS(hk_lock_try(NULL), HK_EINVAL);
    HKT_STATUS(hk_lock_acquire_timed(NULL, HK_FOREVER), HK_EINVAL);
    HKT_STATUS(hk_lock_acquire_timed(&lock, -2), HK_EINVAL);
    HKT_STATUS(hk_lock_acquire_timed(&lock, INT64_MIN), HK_EINVAL);
    HKT_STATUS(hk_lock_release(NULL), HK_EINVAL);
    HKT_STATUS(hk_lock_acquire_many(NULL, 1), HK_EINVAL);
    HKT_STATUS(hk_lock_acquire_many(with_null, 2), HK_EINVAL);
    HKT_STATUS(hk_lock_acquire_many_timed(with_null, 1, -2), HK_EINVAL);
    HKT_STATUS(hk_lock_release_many(NULL, 1), HK_EINVAL);
    HKT_STATUS(hk_lock_release_many(with_null, 2), HK_EINVAL);
    HKT_STATUS(hk_lock_allow(NULL, &lock), HK_EINVAL);
    HKT_STATUS(hk_lock_allow(&lock, NULL), HK_EINVAL);
    HKT_OK(hk_lock_acquire_many(NULL, 0));
    HKT_OK(hk_lock_release_many(NULL, 0));
    HKT_OK(hk_lock_destroy(NULL));
    HKT_TRUE(!hk_lock_is_held_by_me(NULL));
    HKT_TRUE(!hk_lock_is_held_by_me(&lock));
    HKT_EQ_INT(hk_lock_contentions(NULL, 5), 0);
    HKT_EQ_INT(hk_lock_contentions(&line, 0), 0);
}

/* --- Who may do what ----------------------------------------------------------------- */

static void taking_ones_own_lock_again_is_a_deadlock(void)
{
    hk_lock lock = HK_LOCK_INIT("own");

    HKT_OK(hk_lock_acquire(&lock));
    HKT_STATUS(hk_lock_acquire(&lock), HK_EDEADLK);
    HKT_STATUS(hk_lock_try(&lock), HK_EDEADLK);
    HKT_STATUS(hk_lock_acquire_timed(&lock, HK_MS(1)), HK_EDEADLK);
    HKT_STATUS(hk_lock_acquire_many(&(hk_lock *){&lock}, 1), HK_EDEADLK);
    HKT_TRUE(hk_lock_is_held_by_me(&lock));
    HKT_OK(hk_lock_release(&lock));
    HKT_STATUS(hk_lock_release(&lock), HK_EPERM);
    HKT_OK(hk_lock_destroy(&lock));
}

static void a_recursive_lock_is_released_as_often_as_taken(void)
{
    hk_lock inner = HK_LOCK_INIT("inner");
    struct hkt_puppet other;

    hkt_puppet_make(&other);
    HKT_OK(hk_lock_acquire(&recursive));
    HKT_OK(hk_lock_acquire(&inner));
    HKT_OK(hk_lock_acquire(&recursive));
    HKT_OK(hk_lock_try(&recursive));
    HKT_OK(hk_lock_acquire_timed(&recursive, HK_MS(1)));
    HKT_OK(hk_lock_acquire_many(&(hk_lock *){&recursive}, 1));
    for (int i = 0; i < 5; i++) {
        HKT_STATUS(hkt_puppet_do(&other, hkt_try, &recursive), HK_ETIMEDOUT);
        HKT_TRUE(hk_lock_is_held_by_me(&recursive));
        HKT_OK(hk_lock_release(&recursive));
    }
    HKT_TRUE(!hk_lock_is_held_by_me(&recursive));
    HKT_TRUE(hk_lock_is_held_by_me(&inner));
    HKT_STATUS(hk_lock_release(&recursive), HK_EPERM);
    HKT_OK(hkt_puppet_do(&other, hkt_try, &recursive));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &recursive));
    HKT_OK(hk_lock_release(&inner));
    HKT_OK(hk_lock_destroy(&inner));
    hkt_puppet_retire(&other);
}

static void only_its_owner_releases_a_lock(void)
{
    hk_lock lock = HK_LOCK_INIT("of another");
    hk_lock own = HK_LOCK_INIT("own");
    struct hkt_puppet owner;

    hkt_puppet_make(&owner);
    HKT_OK(hkt_puppet_do(&owner, hkt_acquire, &lock));
    HKT_STATUS(hk_lock_release(&lock), HK_EPERM);
    HKT_STATUS(hk_lock_try(&lock), HK_ETIMEDOUT);
    HKT_TRUE(!hk_lock_is_held_by_me(&lock));
    HKT_STATUS(hk_lock_destroy(&lock), HK_ESTATE);
    HKT_OK(hk_lock_acquire(&own));
    HKT_STATUS(hk_lock_release(&lock), HK_EPERM);
    HKT_STATUS(hk_lock_release_many((hk_lock *[]){&own, &lock}, 2), HK_EPERM);
    HKT_TRUE(hk_lock_is_held_by_me(&own));
    HKT_OK(hk_lock_release(&own));
    HKT_OK(hkt_puppet_do(&owner, hkt_release, &lock));
    HKT_STATUS(hkt_puppet_do(&owner, hkt_release, &lock), HK_EPERM);
    HKT_OK(hk_lock_destroy(&lock));
    HKT_OK(hk_lock_destroy(&own));
    hkt_puppet_retire(&owner);
}

static void a_held_lock_is_not_destroyed(void)
{
    hk_lock lock = HK_LOCK_INIT("held");

    HKT_OK(hk_lock_acquire(&lock));
    HKT_STATUS(hk_lock_destroy(&lock), HK_ESTATE);
    HKT_TRUE(hk_lock_is_held_by_me(&lock));
    HKT_OK(hk_lock_release(&lock));
    HKT_OK(hk_lock_destroy(&lock));
    expect_usable(&lock); /* It is like new. */
    HKT_OK(hk_lock_destroy(&lock));
}

/* --- Waiting -------------------------------------------------------------------------- */

static void a_timed_wait_ends_in_time_or_with_the_lock(void)
{
    hk_lock lock = HK_LOCK_INIT("timed");
    struct hkt_puppet other;
    int64_t start_ns;

    hkt_puppet_make(&other);
    HKT_OK(hk_lock_acquire(&lock));
    hkt_puppet_begin_asleep(&other, hkt_acquire_long, &lock);
    HKT_OK(hk_lock_release(&lock));
    HKT_OK(hkt_puppet_finish(&other));
    HKT_STATUS(hk_lock_try(&lock), HK_ETIMEDOUT);
    HKT_STATUS(hk_lock_acquire_timed(&lock, 0), HK_ETIMEDOUT);
    start_ns = hk_now_ns();
    HKT_STATUS(hk_lock_acquire_timed(&lock, HK_MS(5)), HK_ETIMEDOUT);
    HKT_TRUE(hk_now_ns() - start_ns >= HK_MS(5));
    HKT_TRUE(!hk_lock_is_held_by_me(&lock));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &lock));
    HKT_OK(hk_lock_acquire_timed(&lock, 1));
    HKT_OK(hk_lock_release(&lock));
    HKT_OK(hk_lock_destroy(&lock));
    hkt_puppet_retire(&other);
}

enum { WAITERS = 4 };

struct account {
    hk_lock lock;
    long balance; /* Plain: the lock orders it. */
    unsigned inside;
};

static hk_status take_add_and_give(void *arg)
{
    struct account *account = arg;
    hk_status status = hk_lock_acquire(&account->lock);

    if (status == HK_OK) {
        account->balance++;
        status = hk_lock_release(&account->lock);
    }
    return status;
}

static void all_who_sleep_for_a_lock_get_it(void)
{
    struct account account = {.lock = HK_LOCK_INIT("account")};
    struct hkt_puppet others[WAITERS];

    HKT_OK(hk_lock_acquire(&account.lock));
    for (int i = 0; i < WAITERS; i++) {
        hkt_puppet_make(&others[i]);
        hkt_puppet_begin_asleep(&others[i], take_add_and_give, &account);
    }
    HKT_EQ_INT(account.balance, 0);
    HKT_OK(hk_lock_release(&account.lock));
    for (int i = 0; i < WAITERS; i++) {
        HKT_OK(hkt_puppet_finish(&others[i]));
        hkt_puppet_retire(&others[i]);
    }
    HKT_EQ_INT(account.balance, WAITERS);
    HKT_OK(hk_lock_destroy(&account.lock));
}

/* One way in after another; a wait of a microsecond may run out. */
static hk_status take_somehow(hk_lock *lock, unsigned turn)
{
    switch (turn % 4) {
    case 0:
        return hk_lock_acquire(lock);
    case 1:
        return hk_lock_try(lock);
    case 2:
        return hk_lock_acquire_timed(lock, HK_US(1));
    default:
        return hk_lock_acquire_timed(lock, HK_FOREVER);
    }
}

static unsigned turns(void)
{
    return 40000 / hkt_slowness();
}

static hk_status add_many_times(void *arg)
{
    struct account *account = arg;

    for (unsigned turn = 0, added = 0; added < turns(); turn++) {
        hk_status status = take_somehow(&account->lock, turn);

        if (status == HK_OK) {
            HKT_EQ_INT(account->inside++, 0);
            account->balance++;
            account->inside--;
            added++;
            status = hk_lock_release(&account->lock);
        }
        if (status != HK_OK && !HKT_STATUS(status, HK_ETIMEDOUT)) {
            return status;
        }
    }
    return HK_OK;
}

static void one_at_a_time_is_inside(void)
{
    struct account account = {.lock = HK_LOCK_INIT("account")};
    struct hkt_puppet others[WAITERS];

    for (int i = 0; i < WAITERS; i++) {
        hkt_puppet_make(&others[i]);
        hkt_puppet_begin(&others[i], add_many_times, &account);
    }
    for (int i = 0; i < WAITERS; i++) {
        HKT_OK(hkt_puppet_finish(&others[i]));
        hkt_puppet_retire(&others[i]);
    }
    HKT_EQ_INT(account.balance, (long)WAITERS * turns());
    HKT_OK(hk_lock_destroy(&account.lock));
}

/* --- Many at once ---------------------------------------------------------------------- */

enum { MANY = 1200 };

static hk_lock many[MANY];

/* Takes them in their order and gives them back with a stride, which has no divisor in
 * common with their count, so that it comes to all of them. */
static hk_status take_and_stride(size_t count, size_t stride)
{
    hk_status status = HK_OK;

    for (size_t i = 0; i < count && status == HK_OK; i++) {
        status = hk_lock_acquire(&many[i]);
    }
    for (size_t i = 0, at = 0; i < count && status == HK_OK; i++, at = (at + stride) % count) {
        HKT_TRUE(hk_lock_is_held_by_me(&many[at]));
        status = hk_lock_release(&many[at]);
        HKT_TRUE(!hk_lock_is_held_by_me(&many[at]));
    }
    return status;
}

static void a_thread_holds_as_many_as_it_likes(void)
{
    HKT_OK(hk_lock_policy_set(HK_LOCK_OFF)); /* Each pair of them would be an edge. */
    HKT_OK(take_and_stride(MANY, 7));
    HKT_OK(take_and_stride(MANY, 1199));
    HKT_OK(hk_lock_policy_set(HK_LOCK_DEFAULT));
    for (size_t stride = 1; stride <= 99; stride += 98) {
        HKT_OK(take_and_stride(100, stride));
    }
    for (size_t i = 0; i < MANY; i++) {
        HKT_OK(hk_lock_destroy(&many[i]));
    }
}

static void locks_are_released_in_any_order(void)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}};
    hk_lock locks[3] = {HK_LOCK_INIT("a"), HK_LOCK_INIT("b"), HK_LOCK_INIT("c")};

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        for (int k = 0; k < 3; k++) {
            HKT_OK(hk_lock_acquire(&locks[k]));
        }
        for (int k = 0; k < 3; k++) {
            HKT_OK(hk_lock_release(&locks[orders[i][k]]));
            HKT_STATUS(hk_lock_release(&locks[orders[i][k]]), HK_EPERM);
            HKT_EQ_INT(hk_lock_is_held_by_me(&locks[orders[i][2]]), k < 2);
        }
    }
    for (int k = 0; k < 3; k++) {
        HKT_OK(hk_lock_destroy(&locks[k]));
    }
}

/* --- HK_WITH_LOCK ------------------------------------------------------------------------- */

static int leave_by_return(hk_lock *lock)
{
    hk_status status;

    HK_WITH_LOCK(lock, status) {
        if (hk_lock_is_held_by_me(lock)) {
            return 1;
        }
    }
    return 2;
}

static int leave_by_goto(hk_lock *lock)
{
    hk_status status;

    HK_WITH_LOCK(lock, status) {
        if (status == HK_OK) {
            goto out;
        }
    }
    return 2;
out:
    return hk_lock_is_held_by_me(lock) ? 3 : 1;
}

static void a_block_releases_its_lock_however_it_is_left(void)
{
    hk_lock lock = HK_LOCK_INIT("block");
    hk_lock inner = HK_LOCK_INIT("inner");
    hk_status inner_status = HK_EFAILED;
    hk_status status = HK_EFAILED;
    int runs = 0;

    HK_WITH_LOCK(&lock, status) {
        HK_WITH_LOCK(&inner, inner_status) {
            runs += hk_lock_is_held_by_me(&lock) && hk_lock_is_held_by_me(&inner);
        }
        HKT_TRUE(hk_lock_is_held_by_me(&lock) && !hk_lock_is_held_by_me(&inner));
    }
    HKT_OK(status);
    HKT_OK(inner_status);
    HKT_TRUE(!hk_lock_is_held_by_me(&lock));
    HK_WITH_LOCK(&lock, status) {
        runs++;
        break;
    }
    HKT_TRUE(!hk_lock_is_held_by_me(&lock));
    HK_WITH_LOCK(&lock, status) {
        runs++;
        if (status == HK_OK) {
            continue; /* Ends the block, once. */
        }
        runs += 100;
    }
    HKT_TRUE(!hk_lock_is_held_by_me(&lock));
    HKT_EQ_INT(runs, 3);
    HKT_EQ_INT(leave_by_return(&lock), 1);
    HKT_TRUE(!hk_lock_is_held_by_me(&lock));
    HKT_EQ_INT(leave_by_goto(&lock), 1);
    HKT_OK(hk_lock_destroy(&lock));
    HKT_OK(hk_lock_destroy(&inner));
}

static void a_block_without_its_lock_does_not_run(void)
{
    hk_lock lock = HK_LOCK_INIT("block");
    hk_status status = HK_OK;
    int runs = 0;

    HKT_OK(hk_lock_acquire(&lock));
    HK_WITH_LOCK(&lock, status) {
        runs++;
    }
    HKT_STATUS(status, HK_EDEADLK);
    HKT_EQ_INT(runs, 0);
    HKT_TRUE(hk_lock_is_held_by_me(&lock)); /* It was not the block's to release. */
    HKT_OK(hk_lock_release(&lock));
    HKT_OK(hk_lock_destroy(&lock));
}

/* --- Without memory ------------------------------------------------------------------------- */

static hk_lock some[40];
static hk_lock *const all_some[] = {
    &some[19], &some[18], &some[17], &some[16], &some[15], &some[14], &some[13],
    &some[12], &some[11], &some[10], &some[9],  &some[8],  &some[7],  &some[6],
    &some[5],  &some[4],  &some[3],  &some[2],  &some[1],  &some[0],
};
static hk_rwlock some_rw;
static hkt_act_fn *act;

static void nothing(void)
{
}

/* In a thread of its own, whose first lock it is. */
static hk_status act_in_new_thread(void)
{
    struct hkt_puppet puppet;
    hk_status status;

    hkt_puppet_make(&puppet);
    status = hkt_puppet_do(&puppet, act, NULL);
    hkt_puppet_retire(&puppet);
    return status;
}

static hk_status take_first(void *arg)
{
    hk_status status = hk_lock_acquire(&some[0]);

    (void)arg;
    HKT_EQ_INT(hk_lock_is_held_by_me(&some[0]), status == HK_OK);
    return status == HK_OK ? hk_lock_release(&some[0]) : status;
}

static hk_status take_33(void *arg)
{
    hk_status status = HK_OK;
    size_t taken = 0;

    (void)arg;
    while (taken < 33 && (status = hk_lock_try(&some[taken])) == HK_OK) {
        taken++;
    }
    HKT_TRUE(taken == 33 || !hk_lock_is_held_by_me(&some[taken]));
    while (taken-- != 0) {
        HKT_OK(hk_lock_release(&some[taken]));
    }
    return status;
}

static hk_status take_a_set(void *arg)
{
    const size_t count = sizeof(all_some) / sizeof(all_some[0]);
    hk_status status = hk_lock_acquire_many(all_some, count);

    (void)arg;
    for (size_t i = 0; i < count; i++) {
        HKT_EQ_INT(hk_lock_is_held_by_me(all_some[i]), status == HK_OK);
    }
    return status == HK_OK ? hk_lock_release_many(all_some, count) : status;
}

static hk_status take_rwlock(void *arg)
{
    hk_status status = hk_rwlock_write(&some_rw);

    (void)arg;
    HKT_EQ_INT(hk_rwlock_is_held_by_me(&some_rw, false), status == HK_OK);
    return status == HK_OK ? hk_rwlock_release(&some_rw) : status;
}

static void every_call_survives_without_memory(void)
{
    static const struct {
        const char *name;
        hkt_act_fn *act;
    } calls[] = {
        {"the first lock of a thread", take_first},
        {"the 33rd lock", take_33},
        {"hk_lock_acquire_many", take_a_set},
        {"the first read-write lock", take_rwlock},
    };

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        const struct hkt_allocation_case one = {
            calls[i].name, nothing, act_in_new_thread, NULL, NULL, nothing, false,
        };

        act = calls[i].act;
        hkt_fail_each_allocation(&one);
    }
}

static void a_nested_pair_is_taken_without_memory(void)
{
    hk_lock outer = HK_LOCK_INIT("outer");
    hk_lock inner = HK_LOCK_INIT("inner");

    HKT_OK(hk_lock_acquire(&outer));
    hki_memory_fail_at(1);
    HKT_OK(hk_lock_acquire(&inner)); /* At worst it is not learned. */
    (void)hki_memory_fail_at(0);
    HKT_OK(hk_lock_release(&inner));
    HKT_OK(hk_lock_release(&outer));
    HKT_OK(hk_lock_destroy(&inner));
    HKT_OK(hk_lock_destroy(&outer));
}

static CU_TestInfo tests[] = {
    HKT_CASE("a lock is ready however it was made", a_lock_is_ready_however_it_was_made),
    HKT_CASE("what makes no sense is refused", what_makes_no_sense_is_refused),
    HKT_CASE("taking one's own lock again is a deadlock", taking_ones_own_lock_again_is_a_deadlock),
    HKT_CASE("a recursive lock is released as often as it was taken",
             a_recursive_lock_is_released_as_often_as_taken),
    HKT_CASE("only its owner releases a lock", only_its_owner_releases_a_lock),
    HKT_CASE("a held lock is not destroyed", a_held_lock_is_not_destroyed),
    HKT_CASE("a timed wait ends in time or with the lock",
             a_timed_wait_ends_in_time_or_with_the_lock),
    HKT_CASE("all who sleep for a lock get it", all_who_sleep_for_a_lock_get_it),
    HKT_CASE("one at a time is inside", one_at_a_time_is_inside),
    HKT_CASE("a thread holds as many as it likes", a_thread_holds_as_many_as_it_likes),
    HKT_CASE("locks are released in any order", locks_are_released_in_any_order),
    HKT_CASE("a block releases its lock however it is left",
             a_block_releases_its_lock_however_it_is_left),
    HKT_CASE("a block without its lock does not run", a_block_without_its_lock_does_not_run),
    HKT_CASE("every call that allocates survives without memory",
             every_call_survives_without_memory),
    HKT_CASE("a nested pair is taken without memory", a_nested_pair_is_taken_without_memory),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "lock", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
