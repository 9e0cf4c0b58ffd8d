/* SPDX-License-Identifier: MIT */
/* Real cycles of waits for locks: of those who close one exactly one is refused, and
 * the others go on. The order is not checked here, so that cycles come about. Many at
 * random are in test_lock_storm.c. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tests/lock_fixture.h"

/* The suite's set-up: no order is checked, and refusals are expected in the log. */
static struct hkt_log log_of_suite;

static void begin_without_order(void)
{
    HKT_OK(hk_lock_policy_set(HK_LOCK_OFF));
    hkt_log_begin(&log_of_suite);
}

static void end_without_order(void)
{
    hkt_log_end(&log_of_suite);
    HKT_OK(hk_lock_policy_set(HK_LOCK_DEFAULT));
}

/* --- Rings -------------------------------------------------------------------------- */

enum { RING_MAX = 8, RING_ROUNDS = 200 };

union any_lock {
    hk_lock lock;
    hk_rwlock rw;
};

struct ring {
    unsigned count;
    hkt_act_fn *hold; /* Each thread its own lock, */
    hkt_act_fn *want; /* and then its neighbour's. */
    hkt_act_fn *give;
    struct hkt_barrier barrier;
    union any_lock locks[RING_MAX];
    long data[RING_MAX]; /* Plain: a lock's own. */
};

struct member {
    struct hkt_thread thread;
    struct ring *ring;
    unsigned place;
    unsigned refused;
    hk_status status[RING_ROUNDS];
};

static void close_ring(struct member *member, unsigned round)
{
    struct ring *ring = member->ring;
    unsigned next = (member->place + 1) % ring->count;

    HKT_OK(ring->hold(&ring->locks[member->place]));
    hkt_barrier_wait(&ring->barrier); /* All hold one: the ring will close. */
    member->status[round] = ring->want(&ring->locks[next]);
    if (member->status[round] == HK_OK) {
        if (ring->want != hkt_read) {
            ring->data[next]++;
        }
        HKT_OK(ring->give(&ring->locks[next]));
    }
    HKT_OK(ring->give(&ring->locks[member->place]));
    hkt_barrier_wait(&ring->barrier);
}

static void be_member(void *arg)
{
    struct member *member = arg;

    for (unsigned round = 0; round < RING_ROUNDS; round++) {
        close_ring(member, round);
    }
}

static void check_rounds(const struct member *members, unsigned count)
{
    for (unsigned round = 0; round < RING_ROUNDS; round++) {
        unsigned refused = 0;

        for (unsigned i = 0; i < count; i++) {
            refused += members[i].status[round] == HK_EDEADLK;
            HKT_TRUE(members[i].status[round] == HK_OK || members[i].status[round] == HK_EDEADLK);
        }
        HKT_EQ_INT(refused, 1);
    }
}

static void run_ring(unsigned count, hkt_act_fn *hold, hkt_act_fn *want, hkt_act_fn *give)
{
    static struct member members[RING_MAX];
    struct ring ring = {.count = count, .hold = hold, .want = want, .give = give};

    memset(members, 0, sizeof(members));
    hkt_barrier_init(&ring.barrier, count, "a ring that closes");
    for (unsigned i = 0; i < count; i++) {
        members[i].ring = &ring;
        members[i].place = i;
        hkt_thread_start(&members[i].thread, be_member, &members[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        hkt_thread_join(&members[i].thread);
    }
    check_rounds(members, count);
    hkt_barrier_fini(&ring.barrier);
}

static void in_a_ring_of_locks_exactly_one_is_refused(void)
{
    run_ring(2, hkt_acquire, hkt_acquire, hkt_release);
    run_ring(3, hkt_acquire, hkt_acquire, hkt_release);
    run_ring(8, hkt_acquire, hkt_acquire, hkt_release);
}

static void in_a_ring_of_writers_exactly_one_is_refused(void)
{
    run_ring(2, hkt_write, hkt_write, hkt_rw_release);
    run_ring(8, hkt_write, hkt_write, hkt_rw_release);
}

static void in_a_ring_of_readers_that_write_exactly_one_is_refused(void)
{
    run_ring(2, hkt_read, hkt_write, hkt_rw_release);
    run_ring(3, hkt_read, hkt_write, hkt_rw_release);
    run_ring(8, hkt_read, hkt_write, hkt_rw_release);
}

static void in_a_ring_of_writers_that_read_exactly_one_is_refused(void)
{
    run_ring(2, hkt_write, hkt_read, hkt_rw_release);
    run_ring(3, hkt_write, hkt_read, hkt_rw_release);
    run_ring(8, hkt_write, hkt_read, hkt_rw_release);
}

/* --- What is said ----------------------------------------------------------------------- */

static void the_log_tells_the_whole_ring(void)
{
    hk_lock locks[2] = {HK_LOCK_INIT("accounts"), HK_LOCK_INIT("journal")};
    struct hkt_puppet other;
    char owner[64];

    hkt_puppet_make(&other);
    HKT_OK(hk_lock_acquire(&locks[0]));
    HKT_OK(hkt_puppet_do(&other, hkt_acquire, &locks[1]));
    hkt_puppet_begin_asleep(&other, hkt_acquire, &locks[0]);
    HKT_EQ_INT(log_of_suite.lines, 0);
    HKT_STATUS(hk_lock_acquire(&locks[1]), HK_EDEADLK);
    HKT_EQ_INT(log_of_suite.lines, 1);
    HKT_EQ_INT(log_of_suite.level, HK_LOG_WARNING);
    HKT_TRUE(hkt_log_has(&log_of_suite, "(accounts)"));
    HKT_TRUE(hkt_log_has(&log_of_suite, "(journal)"));
    HKT_TRUE(hkt_log_has(&log_of_suite, "lock_fixture.c:"));
    HKT_TRUE(hkt_log_has(&log_of_suite, "test_lock_cycle.c:"));
    snprintf(owner, sizeof(owner), "(%d)", other.thread.id);
    HKT_TRUE(hkt_log_has(&log_of_suite, owner));
    HKT_OK(hk_lock_release(&locks[0]));
    HKT_OK(hkt_puppet_finish(&other));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &locks[0]));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &locks[1]));
    hkt_puppet_retire(&other);
}

/* --- Time limits --------------------------------------------------------------------------- */

static hk_status acquire_briefly(void *arg)
{
    return hk_lock_acquire_timed((hk_lock *)arg, HK_MS(20));
}

/* Two threads that hold one lock each, and what comes of their wants. */
static void expect_of_two(hkt_act_fn *first, hk_status of_first, hkt_act_fn *second,
                          hk_status of_second)
{
    hk_lock locks[2] = {HK_LOCK_INIT("first"), HK_LOCK_INIT("second")};
    struct hkt_puppet puppets[2];
    hk_status status[2];

    for (int i = 0; i < 2; i++) {
        hkt_puppet_make(&puppets[i]);
        HKT_OK(hkt_puppet_do(&puppets[i], hkt_acquire, &locks[i]));
    }
    hkt_puppet_begin_asleep(&puppets[0], first, &locks[1]);
    hkt_puppet_begin(&puppets[1], second, &locks[0]);
    /* Whoever is not served gives way. */
    if (of_second != HK_OK) {
        status[1] = hkt_puppet_finish(&puppets[1]);
        HKT_OK(hkt_puppet_do(&puppets[1], hkt_release, &locks[1]));
        status[0] = hkt_puppet_finish(&puppets[0]);
    } else {
        status[0] = hkt_puppet_finish(&puppets[0]);
        HKT_OK(hkt_puppet_do(&puppets[0], hkt_release, &locks[0]));
        status[1] = hkt_puppet_finish(&puppets[1]);
    }
    HKT_STATUS(status[0], of_first);
    HKT_STATUS(status[1], of_second);
    for (int i = 0; i < 2; i++) {
        (void)hkt_puppet_do(&puppets[i], hkt_release, &locks[0]);
        (void)hkt_puppet_do(&puppets[i], hkt_release, &locks[1]);
        hkt_puppet_retire(&puppets[i]);
    }
    HKT_OK(hk_lock_destroy(&locks[0]));
    HKT_OK(hk_lock_destroy(&locks[1]));
}

static void a_timed_waiter_in_a_ring_excuses_the_others(void)
{
    expect_of_two(acquire_briefly, HK_ETIMEDOUT, hkt_acquire, HK_OK);
    HKT_EQ_INT(log_of_suite.lines, 0);
}

static void a_timed_waiter_that_closes_a_ring_of_untimed_ones_is_refused(void)
{
    expect_of_two(hkt_acquire, HK_OK, hkt_acquire_long, HK_EDEADLK);
    expect_of_two(hkt_acquire, HK_OK, acquire_briefly, HK_EDEADLK);
    HKT_EQ_INT(log_of_suite.lines, 2);
}

static void timed_waiters_among_themselves_run_out(void)
{
    expect_of_two(hkt_acquire_long, HK_OK, acquire_briefly, HK_ETIMEDOUT);
    HKT_EQ_INT(log_of_suite.lines, 0);
}

static void a_poll_is_never_refused(void)
{
    expect_of_two(hkt_acquire, HK_OK, hkt_try, HK_ETIMEDOUT);
    HKT_EQ_INT(log_of_suite.lines, 0);
}

/* --- Read-write locks ------------------------------------------------------------------------ */

/* Readers that come later let a writer pass, and so wait for those whom it waits for. */
static void two_readers_kept_out_by_writers_are_a_ring(void)
{
    hk_rwlock x = HK_RWLOCK_INIT("x");
    hk_rwlock y = HK_RWLOCK_INIT("y");
    struct hkt_puppet readers[2];
    struct hkt_puppet writers[2];

    for (int i = 0; i < 2; i++) {
        hkt_puppet_make(&readers[i]);
        hkt_puppet_make(&writers[i]);
    }
    HKT_OK(hkt_puppet_do(&readers[0], hkt_read, &x));
    HKT_OK(hkt_puppet_do(&readers[1], hkt_read, &y));
    hkt_puppet_begin_asleep(&writers[0], hkt_write, &x);
    hkt_puppet_begin_asleep(&writers[1], hkt_write, &y);
    hkt_puppet_begin_asleep(&readers[0], hkt_read, &y);
    HKT_STATUS(hkt_puppet_do(&readers[1], hkt_read, &x), HK_EDEADLK);
    HKT_OK(hkt_puppet_do(&readers[1], hkt_rw_release, &y));
    HKT_OK(hkt_puppet_finish(&writers[1]));
    HKT_OK(hkt_puppet_do(&writers[1], hkt_rw_release, &y));
    HKT_OK(hkt_puppet_finish(&readers[0]));
    HKT_OK(hkt_puppet_do(&readers[0], hkt_rw_release, &y));
    HKT_OK(hkt_puppet_do(&readers[0], hkt_rw_release, &x));
    HKT_OK(hkt_puppet_finish(&writers[0]));
    HKT_OK(hkt_puppet_do(&writers[0], hkt_rw_release, &x));
    for (int i = 0; i < 2; i++) {
        hkt_puppet_retire(&readers[i]);
        hkt_puppet_retire(&writers[i]);
    }
    HKT_EQ_INT(log_of_suite.lines, 1);
}

static void a_writer_waits_for_all_who_read(void)
{
    hk_rwlock x = HK_RWLOCK_INIT("x");
    hk_lock y = HK_LOCK_INIT("y");
    struct hkt_puppet readers[2];

    hkt_puppet_make(&readers[0]);
    hkt_puppet_make(&readers[1]);
    HKT_OK(hk_lock_acquire(&y));
    HKT_OK(hkt_puppet_do(&readers[0], hkt_read, &x));
    HKT_OK(hkt_puppet_do(&readers[1], hkt_read, &x));
    hkt_puppet_begin_asleep(&readers[0], hkt_acquire, &y);
    /* One of them is enough, though the other could go on. */
    HKT_STATUS(hk_rwlock_write(&x), HK_EDEADLK);
    HKT_STATUS(hk_rwlock_write_timed(&x, HKT_LONG), HK_EDEADLK);
    HKT_STATUS(hk_rwlock_write_timed(&x, 0), HK_ETIMEDOUT);
    HKT_OK(hk_rwlock_read(&x)); /* It kept nobody out. */
    HKT_OK(hk_rwlock_release(&x));
    HKT_OK(hk_lock_release(&y));
    HKT_OK(hkt_puppet_finish(&readers[0]));
    HKT_OK(hkt_puppet_do(&readers[0], hkt_release, &y));
    HKT_OK(hkt_puppet_do(&readers[0], hkt_rw_release, &x));
    HKT_OK(hkt_puppet_do(&readers[1], hkt_rw_release, &x));
    hkt_puppet_retire(&readers[0]);
    hkt_puppet_retire(&readers[1]);
    HKT_EQ_INT(log_of_suite.lines, 2);
}

/*
 * A writer leaves and lets two readers in. The quicker one goes on to a lock whose owner
 * waits for the slower one, who has only not run yet: nobody is stuck.
 */
static hk_status read_then_acquire(void *arg)
{
    void **locks = arg;
    hk_status status = hk_rwlock_read((hk_rwlock *)locks[0]);

    if (status == HK_OK) {
        status = hk_lock_acquire((hk_lock *)locks[1]);
    }
    if (status == HK_OK) {
        HKT_OK(hk_lock_release(locks[1]));
    }
    HKT_OK(hk_rwlock_release(locks[0]));
    return status;
}

static void a_reader_that_was_let_in_is_not_waited_for(void)
{
    hk_rwlock x = HK_RWLOCK_INIT("x");
    hk_lock y = HK_LOCK_INIT("y");
    hk_lock z = HK_LOCK_INIT("z");
    void *locks[] = {&x, &z};
    struct hkt_puppet slow;
    struct hkt_puppet quick;
    struct hkt_puppet owner;

    hkt_puppet_make(&slow);
    hkt_puppet_make(&quick);
    hkt_puppet_make(&owner);
    for (unsigned round = 0; round < 100 / hkt_slowness(); round++) {
        HKT_OK(hk_rwlock_write(&x));
        HKT_OK(hkt_puppet_do(&slow, hkt_acquire, &y));
        HKT_OK(hkt_puppet_do(&owner, hkt_acquire, &z));
        hkt_puppet_begin_asleep(&slow, hkt_read, &x);
        hkt_puppet_begin_asleep(&quick, read_then_acquire, locks);
        hkt_puppet_begin_asleep(&owner, hkt_acquire, &y);
        HKT_OK(hk_rwlock_release(&x));
        HKT_OK(hkt_puppet_finish(&slow));
        HKT_OK(hkt_puppet_do(&slow, hkt_rw_release, &x));
        HKT_OK(hkt_puppet_do(&slow, hkt_release, &y));
        HKT_OK(hkt_puppet_finish(&owner));
        HKT_OK(hkt_puppet_do(&owner, hkt_release, &y));
        HKT_OK(hkt_puppet_do(&owner, hkt_release, &z));
        HKT_OK(hkt_puppet_finish(&quick));
    }
    hkt_puppet_retire(&slow);
    hkt_puppet_retire(&quick);
    hkt_puppet_retire(&owner);
    HKT_EQ_INT(log_of_suite.lines, 0);
}

/* --- Without memory ----------------------------------------------------------------------------
 */

/* A chain of so many waits that a look at it needs memory. */
static void a_wait_that_cannot_be_judged_is_not_begun(void)
{
    enum { LENGTH = 20 };
    static hk_lock locks[LENGTH];
    static struct hkt_puppet puppets[LENGTH];

    for (int i = LENGTH - 1; i >= 0; i--) {
        hkt_puppet_make(&puppets[i]);
        HKT_OK(hkt_puppet_do(&puppets[i], hkt_acquire, &locks[i]));
        if (i != 0 && i != LENGTH - 1) {
            hkt_puppet_begin_asleep(&puppets[i], hkt_acquire, &locks[i + 1]);
        }
    }
    hki_memory_fail_at(1);
    HKT_STATUS(hkt_puppet_do(&puppets[0], hkt_acquire, &locks[1]), HK_ENOMEM);
    HKT_EQ_INT(hki_memory_fail_at(0), 0);
    hkt_puppet_begin_asleep(&puppets[0], hkt_acquire, &locks[1]);
    HKT_STATUS(hkt_puppet_do(&puppets[LENGTH - 1], hkt_acquire, &locks[0]), HK_EDEADLK);
    for (int i = LENGTH - 1; i >= 0; i--) {
        if (i != LENGTH - 1) {
            HKT_OK(hkt_puppet_finish(&puppets[i]));
            HKT_OK(hkt_puppet_do(&puppets[i], hkt_release, &locks[i + 1]));
        }
        HKT_OK(hkt_puppet_do(&puppets[i], hkt_release, &locks[i]));
        hkt_puppet_retire(&puppets[i]);
    }
    HKT_EQ_INT(log_of_suite.lines, 1);
}

static CU_TestInfo tests[] = {
    HKT_CASE("in a ring of locks exactly one is refused",
             in_a_ring_of_locks_exactly_one_is_refused),
    HKT_CASE("in a ring of writers exactly one is refused",
             in_a_ring_of_writers_exactly_one_is_refused),
    HKT_CASE("in a ring of readers that write exactly one is refused",
             in_a_ring_of_readers_that_write_exactly_one_is_refused),
    HKT_CASE("in a ring of writers that read exactly one is refused",
             in_a_ring_of_writers_that_read_exactly_one_is_refused),
    HKT_CASE("the log tells the whole ring", the_log_tells_the_whole_ring),
    HKT_CASE("a timed waiter in a ring excuses the others",
             a_timed_waiter_in_a_ring_excuses_the_others),
    HKT_CASE("a timed waiter that closes a ring of untimed ones is refused",
             a_timed_waiter_that_closes_a_ring_of_untimed_ones_is_refused),
    HKT_CASE("timed waiters among themselves run out", timed_waiters_among_themselves_run_out),
    HKT_CASE("a poll is never refused", a_poll_is_never_refused),
    HKT_CASE("two readers kept out by writers are a ring",
             two_readers_kept_out_by_writers_are_a_ring),
    HKT_CASE("a writer waits for all who read", a_writer_waits_for_all_who_read),
    HKT_CASE("a reader that was let in is not waited for",
             a_reader_that_was_let_in_is_not_waited_for),
    HKT_CASE("a wait that cannot be judged is not begun",
             a_wait_that_cannot_be_judged_is_not_begun),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "lock_cycle",
                                 .pSetUpFunc = begin_without_order,
                                 .pTearDownFunc = end_without_order,
                                 .pTests = tests},
                                CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
