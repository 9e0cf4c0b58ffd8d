/* SPDX-License-Identifier: MIT */
/* Read-write locks: every answer, who may be inside with whom, who goes first, and their
 * end. Cycles are in test_lock_cycle.c, the order in test_lock_order_locks.c. */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lock_fixture.h"

static hk_status try_read(void *arg)
{
    return hk_rwlock_read_timed((hk_rwlock *)arg, 0);
}

static hk_status try_write(void *arg)
{
    return hk_rwlock_write_timed((hk_rwlock *)arg, 0);
}

/* --- Answers ------------------------------------------------------------------------- */

static void expect_usable(hk_rwlock *lock)
{
    HKT_STATUS(hk_rwlock_release(lock), HK_EPERM);
    HKT_OK(hk_rwlock_read(lock));
    HKT_TRUE(hk_rwlock_is_held_by_me(lock, false) && !hk_rwlock_is_held_by_me(lock, true));
    HKT_STATUS(hk_rwlock_destroy(lock), HK_ESTATE);
    HKT_OK(hk_rwlock_release(lock));
    HKT_OK(hk_rwlock_write(lock));
    HKT_TRUE(hk_rwlock_is_held_by_me(lock, false) && hk_rwlock_is_held_by_me(lock, true));
    HKT_STATUS(hk_rwlock_destroy(lock), HK_ESTATE);
    HKT_OK(hk_rwlock_release(lock));
    HKT_TRUE(!hk_rwlock_is_held_by_me(lock, false));
    HKT_OK(try_read(lock));
    HKT_OK(hk_rwlock_release(lock));
    HKT_OK(try_write(lock));
    HKT_OK(hk_rwlock_release(lock));
    HKT_OK(hk_rwlock_read_timed(lock, HK_FOREVER));
    HKT_OK(hk_rwlock_release(lock));
    HKT_OK(hk_rwlock_write_timed(lock, INT64_MAX));
    HKT_OK(hk_rwlock_release(lock));
    HKT_STATUS(hk_rwlock_release(lock), HK_EPERM);
}

static void a_lock_is_ready_however_it_was_made(void)
{
    static hk_rwlock zero_filled;
    static hk_rwlock named = HK_RWLOCK_INIT("named");
    hk_rwlock *from_calloc = calloc(1, sizeof(*from_calloc));

    HKT_TRUE_FATAL(from_calloc != NULL);
    expect_usable(&zero_filled);
    expect_usable(&named);
    expect_usable(from_calloc);
    HKT_OK(hk_rwlock_destroy(from_calloc));
    expect_usable(from_calloc); /* It is like new. */
    HKT_OK(hk_rwlock_destroy(from_calloc));
    free(from_calloc);
}

static void what_makes_no_sense_is_refused(void)
{
    hk_rwlock lock = HK_RWLOCK_INIT("lock");

    HKT_STATUS(hk_rwlock_read(NULL), HK_EINVAL);
    HKT_STATUS(hk_rwlock_write(NULL), HK_EINVAL);
    HKT_STATUS(try_read(NULL), HK_EINVAL);
    HKT_STATUS(try_write(NULL), HK_EINVAL);
    HKT_STATUS(hk_rwlock_read_timed(&lock, -2), HK_EINVAL);
    HKT_STATUS(hk_rwlock_write_timed(&lock, INT64_MIN), HK_EINVAL);
    HKT_STATUS(hk_rwlock_release(NULL), HK_EINVAL);
    HKT_TRUE(!hk_rwlock_is_held_by_me(NULL, false));
    HKT_TRUE(!hk_rwlock_is_held_by_me(&lock, false));
    HKT_OK(hk_rwlock_destroy(NULL));
    HKT_OK(hk_rwlock_destroy(&lock));
}

static void a_thread_holds_it_once(void)
{
    static hkt_act_fn *const ways[] = {hkt_read,  hkt_write,     try_read,
                                       try_write, hkt_read_long, hkt_write_long};
    hk_rwlock lock = HK_RWLOCK_INIT("once");

    for (size_t i = 0; i < 6; i++) {
        HKT_OK(ways[i](&lock));
        for (size_t k = 0; k < 6; k++) {
            HKT_STATUS(ways[k](&lock), HK_EDEADLK);
        }
        HKT_EQ_INT(hk_rwlock_is_held_by_me(&lock, true), i % 2);
        HKT_OK(hk_rwlock_release(&lock));
        HKT_STATUS(hk_rwlock_release(&lock), HK_EPERM);
    }
    HKT_OK(hk_rwlock_destroy(&lock));
}

static void who_may_be_inside_with_whom(void)
{
    hk_rwlock lock = HK_RWLOCK_INIT("lock");
    struct hkt_puppet other;

    hkt_puppet_make(&other);
    HKT_OK(hk_rwlock_read(&lock));
    HKT_OK(hkt_puppet_do(&other, try_read, &lock));
    HKT_OK(hkt_puppet_do(&other, hkt_rw_release, &lock));
    HKT_STATUS(hkt_puppet_do(&other, try_write, &lock), HK_ETIMEDOUT);
    HKT_STATUS(hkt_puppet_do(&other, hkt_rw_release, &lock), HK_EPERM);
    HKT_OK(hk_rwlock_release(&lock));
    HKT_OK(hk_rwlock_write(&lock));
    HKT_STATUS(hkt_puppet_do(&other, try_read, &lock), HK_ETIMEDOUT);
    HKT_STATUS(hkt_puppet_do(&other, try_write, &lock), HK_ETIMEDOUT);
    HKT_STATUS(hkt_puppet_do(&other, hkt_rw_release, &lock), HK_EPERM);
    HKT_TRUE(hk_rwlock_is_held_by_me(&lock, true));
    HKT_OK(hk_rwlock_release(&lock));
    HKT_OK(hkt_puppet_do(&other, hkt_write, &lock));
    HKT_STATUS(hk_rwlock_release(&lock), HK_EPERM);
    HKT_OK(hkt_puppet_do(&other, hkt_rw_release, &lock));
    HKT_OK(hk_rwlock_destroy(&lock));
    hkt_puppet_retire(&other);
}

/* --- Waiting ----------------------------------------------------------------------------- */

enum { READERS = 4 };

struct room {
    hk_rwlock lock;
    struct hkt_barrier barrier;
    long one; /* Plain, and always equal to the other when nobody writes. */
    long other;
    int entered; /* Writers so far. */
    atomic_int inside;
    struct hkt_order order;
};

static hk_status meet_inside(void *arg)
{
    struct room *room = arg;
    hk_status status = hk_rwlock_read(&room->lock);

    if (status == HK_OK) {
        hkt_barrier_wait(&room->barrier); /* Nobody leaves before all are in. */
        status = hk_rwlock_release(&room->lock);
    }
    return status;
}

static void readers_are_inside_together(void)
{
    struct room room = {.lock = HK_RWLOCK_INIT("room")};
    struct hkt_puppet readers[READERS];

    hkt_barrier_init(&room.barrier, READERS, "readers inside together");
    for (int i = 0; i < READERS; i++) {
        hkt_puppet_make(&readers[i]);
    }
    for (int round = 0; round < 2; round++) {
        if (round == 1) {
            HKT_OK(hk_rwlock_write(&room.lock));
        }
        for (int i = 0; i < READERS; i++) {
            hkt_puppet_begin(&readers[i], meet_inside, &room);
        }
        if (round == 1) { /* Let in together. */
            HKT_OK(hk_rwlock_release(&room.lock));
        }
        for (int i = 0; i < READERS; i++) {
            HKT_OK(hkt_puppet_finish(&readers[i]));
        }
    }
    for (int i = 0; i < READERS; i++) {
        hkt_puppet_retire(&readers[i]);
    }
    hkt_barrier_fini(&room.barrier);
}

static hk_status note_as_writer(void *arg)
{
    struct room *room = arg;
    hk_status status = hk_rwlock_write(&room->lock);

    if (status == HK_OK) {
        hkt_order_note(&room->order, 1);
        status = hk_rwlock_release(&room->lock);
    }
    return status;
}

/* One reader at most comes after the writer. */
static hk_status note_as_reader(void *arg)
{
    struct room *room = arg;
    hk_status status = hk_rwlock_read(&room->lock);

    if (status == HK_OK) {
        hkt_order_note(&room->order, 2);
        status = hk_rwlock_release(&room->lock);
    }
    return status;
}

static void a_writer_that_waits_goes_first(void)
{
    struct room room = {.lock = HK_RWLOCK_INIT("room")};
    struct hkt_puppet writer;
    struct hkt_puppet reader;

    hkt_puppet_make(&writer);
    hkt_puppet_make(&reader);
    HKT_OK(hk_rwlock_read(&room.lock));
    hkt_puppet_begin_asleep(&writer, note_as_writer, &room);
    HKT_STATUS(hkt_puppet_do(&reader, try_read, &room.lock), HK_ETIMEDOUT);
    hkt_puppet_begin_asleep(&reader, note_as_reader, &room);
    HKT_EQ_INT(room.order.count, 0);
    HKT_OK(hk_rwlock_release(&room.lock));
    HKT_OK(hkt_puppet_finish(&writer));
    HKT_OK(hkt_puppet_finish(&reader));
    hkt_order_expect(&room.order, 2, (const int[]){1, 2});
    hkt_puppet_retire(&writer);
    hkt_puppet_retire(&reader);
}

static void a_timed_writer_keeps_nobody_out(void)
{
    hk_rwlock lock = HK_RWLOCK_INIT("lock");
    struct hkt_puppet writer;
    struct hkt_puppet reader;

    hkt_puppet_make(&writer);
    hkt_puppet_make(&reader);
    HKT_OK(hk_rwlock_read(&lock));
    hkt_puppet_begin_asleep(&writer, hkt_write_long, &lock);
    HKT_OK(hkt_puppet_do(&reader, hkt_read, &lock));
    HKT_OK(hk_rwlock_release(&lock));
    HKT_STATUS(hkt_puppet_do(&reader, hkt_write, &lock), HK_EDEADLK);
    HKT_OK(hkt_puppet_do(&reader, hkt_rw_release, &lock));
    HKT_OK(hkt_puppet_finish(&writer));
    HKT_STATUS(hk_rwlock_read_timed(&lock, HK_MS(1)), HK_ETIMEDOUT);
    HKT_OK(hkt_puppet_do(&writer, hkt_rw_release, &lock));
    hkt_puppet_retire(&writer);
    hkt_puppet_retire(&reader);
}

static void a_timed_wait_ends_in_time_or_with_the_lock(void)
{
    static hkt_act_fn *const ways[] = {hkt_read_long, hkt_write_long, hkt_read, hkt_write};
    hk_rwlock lock = HK_RWLOCK_INIT("timed");
    struct hkt_puppet other;
    int64_t start_ns;

    hkt_puppet_make(&other);
    for (int i = 0; i < 4; i++) {
        HKT_OK(hk_rwlock_write(&lock));
        hkt_puppet_begin_asleep(&other, ways[i], &lock);
        HKT_OK(hk_rwlock_release(&lock));
        HKT_OK(hkt_puppet_finish(&other));
        start_ns = hk_now_ns();
        HKT_STATUS(hk_rwlock_write_timed(&lock, HK_MS(3)), HK_ETIMEDOUT);
        HKT_TRUE(hk_now_ns() - start_ns >= HK_MS(3));
        HKT_STATUS(hk_rwlock_read_timed(&lock, HK_MS(1)), i % 2 == 0 ? HK_OK : HK_ETIMEDOUT);
        HKT_EQ_INT(hk_rwlock_is_held_by_me(&lock, false), i % 2 == 0);
        HKT_STATUS(hk_rwlock_release(&lock), i % 2 == 0 ? HK_OK : HK_EPERM);
        HKT_OK(hkt_puppet_do(&other, hkt_rw_release, &lock));
    }
    HKT_OK(hk_rwlock_destroy(&lock));
    hkt_puppet_retire(&other);
}

/* --- Policies --- */

/* Takes one as the writer within another, and gives both back. */
static hk_status nest(hk_rwlock *outer, hk_rwlock *inner)
{
    hk_status status;

    HKT_OK(hk_rwlock_write(outer));
    status = hk_rwlock_write(inner);
    if (status == HK_OK) {
        HKT_OK(hk_rwlock_release(inner));
    }
    HKT_OK(hk_rwlock_release(outer));
    return status;
}

static void the_policy_of_the_lock_that_is_wanted_counts(void)
{
    hk_rwlock strict = HK_RWLOCK_INIT("strict");
    hk_rwlock free_of_order;

    free_of_order = (hk_rwlock)HK_RWLOCK_INIT_AS("free", HK_LOCK_OFF);
    HKT_OK(nest(&strict, &free_of_order));
    HKT_STATUS(nest(&free_of_order, &strict), HK_OK); /* Off: nothing was learned before. */
    HKT_OK(nest(&strict, &free_of_order));            /* Nor is this looked at. */
    HKT_OK(hk_rwlock_destroy(&strict));
    HKT_OK(hk_rwlock_destroy(&free_of_order));
}

/* --- Blocks ------------------------------------------------------------------------------- */

static int leave_by_return(hk_rwlock *lock)
{
    hk_status status;

    HK_WITH_READ(lock, status) {
        HKT_OK(status);
        return hk_rwlock_is_held_by_me(lock, true) ? 2 : 1;
    }
    return 0;
}

static void a_block_evaluates_its_lock_once(void)
{
    hk_rwlock locks[] = {HK_RWLOCK_INIT("first"), HK_RWLOCK_INIT("second")};
    hk_rwlock *next = locks;
    hk_status status = HK_EFAILED;

    HK_WITH_READ(next++, status) {
        HKT_TRUE(hk_rwlock_is_held_by_me(&locks[0], false));
    }
    HKT_OK(status);
    HKT_EQ_PTR(next, &locks[1]);
    HKT_TRUE(!hk_rwlock_is_held_by_me(&locks[0], false));
    HKT_OK(hk_rwlock_destroy(&locks[0]));
    HKT_OK(hk_rwlock_destroy(&locks[1]));
}

static void a_block_releases_its_lock_however_it_is_left(void)
{
    hk_rwlock lock = HK_RWLOCK_INIT("block");
    hk_rwlock inner = HK_RWLOCK_INIT("inner");
    hk_status inner_status = HK_EFAILED;
    hk_status status = HK_EFAILED;
    int runs = 0;

    HK_WITH_WRITE(&lock, status) {
        HK_WITH_READ(&inner, inner_status) {
            runs += hk_rwlock_is_held_by_me(&lock, true) && hk_rwlock_is_held_by_me(&inner, false);
        }
        HKT_TRUE(!hk_rwlock_is_held_by_me(&inner, false));
        HK_WITH_READ(&lock, inner_status) {
            runs += 100; /* Not entered: it is held. */
        }
        HKT_STATUS(inner_status, HK_EDEADLK);
        HKT_TRUE(hk_rwlock_is_held_by_me(&lock, true));
    }
    HKT_OK(status);
    HK_WITH_READ(&lock, status) {
        runs++;
        break;
    }
    HKT_TRUE(!hk_rwlock_is_held_by_me(&lock, false));
    HK_WITH_WRITE(&lock, status) {
        runs++;
        if (status == HK_OK) {
            continue;
        }
        runs += 100;
    }
    HKT_EQ_INT(leave_by_return(&lock), 1);
    HKT_TRUE(!hk_rwlock_is_held_by_me(&lock, false));
    HKT_EQ_INT(runs, 3);
    HKT_OK(hk_rwlock_destroy(&lock));
    HKT_OK(hk_rwlock_destroy(&inner));
}

/* --- Under load ------------------------------------------------------------------------------ */

static unsigned turns(void)
{
    return 20000 / hkt_slowness();
}

static hk_status read_in_some_way(hk_rwlock *lock, unsigned turn)
{
    return turn % 3 == 0 ? hk_rwlock_read(lock)
                         : hk_rwlock_read_timed(lock, turn % 3 == 1 ? 0 : HK_US(10));
}

static hk_status read_many_times(void *arg)
{
    struct room *room = arg;

    for (unsigned turn = 0; turn < turns(); turn++) {
        hk_status status = read_in_some_way(&room->lock, turn);

        if (status == HK_OK) {
            HKT_TRUE(atomic_fetch_add(&room->inside, 1) >= 0);
            HKT_EQ_INT(room->one, room->other);
            atomic_fetch_sub(&room->inside, 1);
            HKT_OK(hk_rwlock_release(&room->lock));
        } else {
            HKT_STATUS(status, HK_ETIMEDOUT);
        }
    }
    return HK_OK;
}

static hk_status write_many_times(void *arg)
{
    struct room *room = arg;

    for (unsigned turn = 0; turn < turns(); turn++) {
        hk_status status = turn % 2 == 0 ? hk_rwlock_write(&room->lock)
                                         : hk_rwlock_write_timed(&room->lock, HK_US(10));

        if (status == HK_OK) {
            HKT_EQ_INT(atomic_exchange(&room->inside, -1000), 0);
            room->one++;
            if (turn % 64 == 0) {
                sched_yield();
            }
            room->other++;
            HKT_EQ_INT(atomic_exchange(&room->inside, 0), -1000);
            HKT_OK(hk_rwlock_release(&room->lock));
        } else {
            HKT_STATUS(status, HK_ETIMEDOUT);
        }
    }
    return HK_OK;
}

static void writers_are_alone(void)
{
    struct room room = {.lock = HK_RWLOCK_INIT("room")};
    struct hkt_puppet readers[READERS];
    struct hkt_puppet writers[2];

    for (int i = 0; i < READERS; i++) {
        hkt_puppet_make(&readers[i]);
        hkt_puppet_begin(&readers[i], read_many_times, &room);
    }
    for (int i = 0; i < 2; i++) {
        hkt_puppet_make(&writers[i]);
        hkt_puppet_begin(&writers[i], write_many_times, &room);
    }
    for (int i = 0; i < READERS; i++) {
        HKT_OK(hkt_puppet_finish(&readers[i]));
        hkt_puppet_retire(&readers[i]);
    }
    for (int i = 0; i < 2; i++) {
        HKT_OK(hkt_puppet_finish(&writers[i]));
        hkt_puppet_retire(&writers[i]);
    }
    HKT_EQ_INT(room.one, room.other);
    HKT_TRUE(room.one >= (long)turns());
    HKT_OK(hk_rwlock_destroy(&room.lock));
}

/* --- The end of a thread ---------------------------------------------------------------------- */

static void a_lock_that_its_writer_left_behind_is_broken(void)
{
    hk_rwlock lock = HK_RWLOCK_INIT("left behind");
    struct hkt_puppet owner;
    struct hkt_puppet sleepers[4];
    hkt_act_fn *const ways[] = {hkt_read, hkt_write, hkt_read_long, hkt_write_long};
    struct hkt_log log;

    hkt_log_begin(&log);
    hkt_puppet_make(&owner);
    HKT_OK(hkt_puppet_do(&owner, hkt_write, &lock));
    for (int i = 0; i < 4; i++) {
        hkt_puppet_make(&sleepers[i]);
        hkt_puppet_begin_asleep(&sleepers[i], ways[i], &lock);
    }
    hkt_puppet_retire(&owner);
    for (int i = 0; i < 4; i++) {
        HKT_STATUS(hkt_puppet_finish(&sleepers[i]), HK_EBROKEN);
        HKT_STATUS(ways[i](&lock), HK_EBROKEN);
        hkt_puppet_retire(&sleepers[i]);
    }
    HKT_STATUS(try_read(&lock), HK_EBROKEN);
    HKT_STATUS(try_write(&lock), HK_EBROKEN);
    HKT_STATUS(hk_rwlock_release(&lock), HK_EPERM);
    HKT_STATUS(hk_rwlock_destroy(&lock), HK_ESTATE);
    HKT_EQ_INT(log.lines, 1);
    HKT_TRUE(hkt_log_has(&log, "(left behind)"));
    HKT_TRUE(hkt_log_has(&log, "HK_EBROKEN"));
    hkt_log_end(&log);
}

/* Another reader is still inside and may leave; a writer would wait for ever. */
static void a_lock_that_a_reader_left_behind_has_no_writers(void)
{
    hk_rwlock lock = HK_RWLOCK_INIT("left behind");
    hk_lock own = HK_LOCK_INIT("own");
    struct hkt_puppet owner;
    struct hkt_puppet writer;
    struct hkt_log log;

    hkt_log_begin(&log);
    hkt_puppet_make(&owner);
    hkt_puppet_make(&writer);
    HKT_OK(hk_rwlock_read(&lock));
    HKT_OK(hkt_puppet_do(&owner, hkt_read, &lock));
    HKT_OK(hkt_puppet_do(&writer, hkt_acquire, &own));
    hkt_puppet_begin_asleep(&writer, hkt_write, &lock);
    hkt_puppet_retire(&owner);
    HKT_STATUS(hkt_puppet_finish(&writer), HK_EBROKEN);
    HKT_STATUS(hkt_puppet_do(&writer, try_write, &lock), HK_EBROKEN);
    HKT_OK(hk_rwlock_release(&lock));
    HKT_STATUS(hkt_puppet_do(&writer, hkt_write, &lock), HK_EBROKEN);
    HKT_STATUS(hk_rwlock_destroy(&lock), HK_ESTATE);
    HKT_OK(hkt_puppet_do(&writer, hkt_release, &own));
    hkt_puppet_retire(&writer);
    HKT_EQ_INT(log.lines, 1);
    hkt_log_end(&log);
}

/* --- Forks --------------------------------------------------------------------------------------
 */

struct family {
    hk_rwlock own;     /* Of the thread that forks, as the writer. */
    hk_rwlock reads;   /* The same as a reader. */
    hk_rwlock written; /* Another thread of the parent's. */
    hk_rwlock read;    /* The same. */
};

static void use_in_child(void *arg)
{
    struct family *family = arg;

    HKT_CHILD_STATUS(hk_rwlock_read(&family->written), HK_EFORKED);
    HKT_CHILD_STATUS(hk_rwlock_write(&family->written), HK_EFORKED);
    HKT_CHILD_STATUS(try_read(&family->written), HK_EFORKED);
    HKT_CHILD_STATUS(hkt_write_long(&family->written), HK_EFORKED);
    HKT_CHILD_STATUS(hk_rwlock_write(&family->read), HK_EFORKED);
    HKT_CHILD_STATUS(try_write(&family->read), HK_EFORKED);
    HKT_CHILD_STATUS(hk_rwlock_release(&family->read), HK_EPERM);
    HKT_CHILD_STATUS(hk_rwlock_destroy(&family->written), HK_ESTATE);
    HKT_CHILD_TRUE(hk_rwlock_is_held_by_me(&family->own, true));
    HKT_CHILD_STATUS(hk_rwlock_release(&family->reads), HK_OK);
    HKT_CHILD_STATUS(hk_rwlock_release(&family->own), HK_OK);
    HKT_CHILD_STATUS(hk_rwlock_write(&family->reads), HK_OK);
    HKT_CHILD_STATUS(hk_rwlock_release(&family->reads), HK_OK);
    HKT_CHILD_STATUS(hk_rwlock_read(&family->own), HK_OK);
    HKT_CHILD_STATUS(hk_rwlock_release(&family->own), HK_OK);
    HKT_CHILD_STATUS(hk_rwlock_write(&family->own), HK_OK);
    HKT_CHILD_STATUS(hk_rwlock_release(&family->own), HK_OK);
}

static void in_a_child_only_ones_own_locks_are_released(void)
{
    struct family family = {HK_RWLOCK_INIT("own"), HK_RWLOCK_INIT("reads"),
                            HK_RWLOCK_INIT("written"), HK_RWLOCK_INIT("read")};
    struct hkt_puppet other;

    hkt_puppet_make(&other);
    HKT_OK(hkt_puppet_do(&other, hkt_write, &family.written));
    HKT_OK(hkt_puppet_do(&other, hkt_read, &family.read));
    HKT_OK(hk_rwlock_write(&family.own));
    HKT_OK(hk_rwlock_read(&family.reads));
    hkt_expect_good_child(use_in_child, &family);
    /* The parent saw nothing of it. */
    HKT_OK(hk_rwlock_release(&family.own));
    HKT_OK(hk_rwlock_release(&family.reads));
    HKT_OK(hkt_puppet_do(&other, hkt_rw_release, &family.written));
    HKT_OK(hkt_puppet_do(&other, hkt_rw_release, &family.read));
    HKT_OK(hk_rwlock_write(&family.written));
    HKT_OK(hk_rwlock_release(&family.written));
    hkt_puppet_retire(&other);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a lock is ready however it was made", a_lock_is_ready_however_it_was_made),
    HKT_CASE("what makes no sense is refused", what_makes_no_sense_is_refused),
    HKT_CASE("a thread holds it once", a_thread_holds_it_once),
    HKT_CASE("who may be inside with whom", who_may_be_inside_with_whom),
    HKT_CASE("readers are inside together", readers_are_inside_together),
    HKT_CASE("a writer that waits goes first", a_writer_that_waits_goes_first),
    HKT_CASE("a timed writer keeps nobody out", a_timed_writer_keeps_nobody_out),
    HKT_CASE("a timed wait ends in time or with the lock",
             a_timed_wait_ends_in_time_or_with_the_lock),
    HKT_CASE("the policy of the lock that is wanted counts",
             the_policy_of_the_lock_that_is_wanted_counts),
    HKT_CASE("a block evaluates its lock once", a_block_evaluates_its_lock_once),
    HKT_CASE("a block releases its lock however it is left",
             a_block_releases_its_lock_however_it_is_left),
    HKT_CASE("writers are alone", writers_are_alone),
    HKT_CASE("a lock that its writer left behind is broken",
             a_lock_that_its_writer_left_behind_is_broken),
    HKT_CASE("a lock that a reader left behind has no writers",
             a_lock_that_a_reader_left_behind_has_no_writers),
    HKT_CASE("in a child only one's own locks are released",
             in_a_child_only_ones_own_locks_are_released),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "rwlock", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
