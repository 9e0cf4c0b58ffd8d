/* SPDX-License-Identifier: MIT */
/* Locks at the end of things: of the thread that holds them, of the process by an
 * assertion, in a forked child; and what is counted of waits for them. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/lock_fixture.h"
#include "tests/race_fixture.h"

/* --- hk_lock_assert_held ------------------------------------------------------------ */

struct assertion {
    hk_lock *lock;
    struct hkt_puppet *owner; /* NULL: nobody. */
    int line;
};

static void assert_in_child(void *arg)
{
    const struct assertion *assertion = arg;
    struct hkt_puppet owner;

    if (assertion->owner != NULL) {
        hkt_puppet_make(&owner);
        HKT_CHILD_STATUS(hkt_puppet_do(&owner, hkt_acquire, assertion->lock), HK_OK);
    }
    hk_lock_assert_held(assertion->lock);
}

enum { ASSERT_LINE = __LINE__ - 3 };

static void expect_abort(const struct assertion *assertion, const char *what, const char *owner)
{
    struct hkt_child child;
    char where[64];

    snprintf(where, sizeof(where), "test_lock_end.c:%d (assert_in_child)", ASSERT_LINE);
    hkt_run_in_child(assert_in_child, (void *)(uintptr_t)assertion, &child);
    HKT_EQ_INT(child.term_signal, SIGABRT);
    HKT_TRUE(strstr(child.output, where) != NULL);
    HKT_TRUE(strstr(child.output, what) != NULL);
    HKT_TRUE(strstr(child.output, owner) != NULL);
}

static void a_lock_that_is_not_held_stops_the_program(void)
{
    static hk_lock lock = HK_LOCK_INIT("accounts");
    static hk_lock unnamed;
    struct hkt_puppet somebody;
    struct assertion assertion = {.lock = &lock};
    char address[32];

    expect_abort(&assertion, "(accounts)", "no thread holds it");
    assertion.owner = &somebody;
    expect_abort(&assertion, "(accounts)", "held by thread test_lock_end");
    snprintf(address, sizeof(address), "lock %p", (void *)&unnamed);
    expect_abort(&(struct assertion){.lock = &unnamed}, address, "no thread holds it");
    expect_abort(&(struct assertion){.lock = NULL}, "", "NULL");
    HKT_OK(hk_lock_acquire(&lock));
    hk_lock_assert_held(&lock);
    HKT_OK(hk_lock_release(&lock));
}

/* --- A thread that ends with a lock --------------------------------------------------- */

static void expect_broken(hk_lock *lock)
{
    HKT_STATUS(hk_lock_acquire(lock), HK_EBROKEN);
    HKT_STATUS(hk_lock_try(lock), HK_EBROKEN);
    HKT_STATUS(hk_lock_acquire_timed(lock, HKT_LONG), HK_EBROKEN);
    HKT_STATUS(hk_lock_acquire_many(&lock, 1), HK_EBROKEN);
    HKT_STATUS(hk_lock_acquire_many_timed(&lock, 1, 0), HK_EBROKEN);
    HKT_STATUS(hk_lock_release(lock), HK_EPERM);
    HKT_STATUS(hk_lock_destroy(lock), HK_ESTATE);
    HKT_TRUE(!hk_lock_is_held_by_me(lock));
}

static void a_lock_left_behind_is_broken(void)
{
    hk_lock locks[2] = {HK_LOCK_INIT("first"), HK_LOCK_INIT(NULL)};
    hk_lock other = HK_LOCK_INIT("other");
    struct hkt_puppet owner;
    struct hkt_log log;

    hkt_puppet_make(&owner);
    HKT_OK(hkt_puppet_do(&owner, hkt_acquire, &locks[0]));
    HKT_OK(hkt_puppet_do(&owner, hkt_acquire, &locks[1]));
    hkt_log_begin(&log);
    hkt_puppet_retire(&owner);
    HKT_EQ_INT(log.lines, 2);
    HKT_EQ_INT(log.level, HK_LOG_ERROR);
    HKT_TRUE(hkt_log_has(&log, "did not release lock"));
    HKT_TRUE(hkt_log_has(&log, "(first)"));
    HKT_TRUE(hkt_log_has(&log, "lock_fixture.c:"));
    HKT_TRUE(hkt_log_has(&log, "HK_EBROKEN"));
    expect_broken(&locks[0]);
    expect_broken(&locks[1]);
    /* Who holds another lock takes part in the search for cycles; this is none. */
    HKT_OK(hk_lock_acquire(&other));
    expect_broken(&locks[0]);
    HKT_OK(hk_lock_release(&other));
    HKT_EQ_INT(log.lines, 2);
    hkt_log_end(&log);
    HKT_OK(hk_lock_destroy(&other));
}

/* The place of the thread that ended is soon another's, which must not be taken for the
 * owner. */
static void who_comes_later_is_not_taken_for_the_owner(void)
{
    hk_lock lock = HK_LOCK_INIT("left behind");
    struct hkt_puppet owner;
    struct hkt_puppet later[4];
    struct hkt_log log;

    hkt_log_begin(&log);
    hkt_puppet_make(&owner);
    HKT_OK(hkt_puppet_do(&owner, hkt_acquire, &lock));
    hkt_puppet_retire(&owner);
    for (int i = 0; i < 4; i++) {
        hk_lock own = HK_LOCK_INIT("own");

        hkt_puppet_make(&later[i]);
        HKT_OK(hkt_puppet_do(&later[i], hkt_acquire, &own));
        HKT_STATUS(hkt_puppet_do(&later[i], hkt_acquire, &lock), HK_EBROKEN);
        HKT_STATUS(hkt_puppet_do(&later[i], hkt_release, &lock), HK_EPERM);
        HKT_OK(hkt_puppet_do(&later[i], hkt_release, &own));
        HKT_OK(hk_lock_destroy(&own));
    }
    for (int i = 0; i < 4; i++) {
        hkt_puppet_retire(&later[i]);
    }
    hkt_log_end(&log);
}

static void those_who_sleep_for_it_are_told(void)
{
    hk_lock lock = HK_LOCK_INIT("left behind");
    hk_lock held = HK_LOCK_INIT("held by a sleeper");
    struct hkt_puppet owner;
    struct hkt_puppet sleepers[3];
    struct hkt_log log;

    hkt_log_begin(&log);
    hkt_puppet_make(&owner);
    HKT_OK(hkt_puppet_do(&owner, hkt_acquire, &lock));
    for (int i = 0; i < 3; i++) {
        hkt_puppet_make(&sleepers[i]);
    }
    HKT_OK(hkt_puppet_do(&sleepers[2], hkt_acquire, &held));
    hkt_puppet_begin_asleep(&sleepers[0], hkt_acquire, &lock);
    hkt_puppet_begin_asleep(&sleepers[1], hkt_acquire_long, &lock);
    hkt_puppet_begin_asleep(&sleepers[2], hkt_acquire, &lock);
    hkt_puppet_retire(&owner);
    for (int i = 0; i < 3; i++) {
        HKT_STATUS(hkt_puppet_finish(&sleepers[i]), HK_EBROKEN);
    }
    HKT_OK(hkt_puppet_do(&sleepers[2], hkt_release, &held));
    for (int i = 0; i < 3; i++) {
        hkt_puppet_retire(&sleepers[i]);
    }
    hkt_log_end(&log);
    HKT_OK(hk_lock_destroy(&held));
}

/* --- The same as a race: who comes to wait while the owner ends --- */

static hk_lock contested[HKT_ROUNDS];
static atomic_uint round_number;

static void open_round(struct hkt_round *round)
{
    round->object = &contested[atomic_fetch_add(&round_number, 1)];
}

static void *take_and_end(void *arg)
{
    struct hkt_round *round = arg;

    round->status[0] = hk_lock_acquire((hk_lock *)round->object);
    atomic_store(&round->calls[0], 1);
    return NULL;
}

static void let_a_thread_end(struct hkt_round *round, unsigned who)
{
    pthread_t thread;

    (void)who;
    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, take_and_end, round), 0);
    HKT_EQ_INT(pthread_join(thread, NULL), 0);
}

static void wait_for_it(struct hkt_round *round, unsigned who)
{
    hk_lock own = HK_LOCK_INIT("own");

    while (atomic_load(&round->calls[0]) == 0) {
        sched_yield();
    }
    if (who == 1) {
        HKT_OK(hk_lock_acquire(&own));
    }
    round->status[who] = hk_lock_acquire((hk_lock *)round->object);
    if (who == 1) {
        HKT_OK(hk_lock_release(&own));
        HKT_OK(hk_lock_destroy(&own));
    }
}

static void check_round(struct hkt_round *round)
{
    HKT_OK(round->status[0]);
    HKT_STATUS(round->status[1], HK_EBROKEN);
    HKT_STATUS(round->status[2], HK_EBROKEN);
}

static void nobody_sleeps_past_the_end_of_an_owner(void)
{
    static const struct hkt_race race = {
        open_round, {let_a_thread_end, wait_for_it, wait_for_it}, check_round};
    struct hkt_log log;

    atomic_store(&round_number, 0);
    memset(contested, 0, sizeof(contested));
    hkt_log_begin(&log);
    hkt_race(&race);
    hkt_log_end(&log);
}

/* --- In a child ---------------------------------------------------------------------- */

struct family {
    hk_lock own;    /* Of the thread that forks. */
    hk_lock others; /* Of another thread of the parent. */
    hk_lock free;
    hk_lock left; /* Left behind by a thread that had ended. */
};

static hk_status poll_free_lock(void *arg)
{
    struct family *family = arg;
    hk_status status = hk_lock_acquire(&family->free);

    return status == HK_OK ? hk_lock_release(&family->free) : status;
}

/* The forking thread is the owner here, too: threads of the child wait for it. */
static void use_locks_with_sibling(struct family *family)
{
    struct hkt_puppet sibling;

    hkt_puppet_make(&sibling);
    HKT_CHILD_STATUS(hkt_puppet_do(&sibling, hkt_acquire, &family->others), HK_EFORKED);
    hkt_puppet_begin_asleep(&sibling, hkt_acquire, &family->own);
    HKT_CHILD_STATUS(hk_lock_release(&family->own), HK_OK);
    HKT_CHILD_STATUS(hkt_puppet_finish(&sibling), HK_OK);
    HKT_CHILD_STATUS(hkt_puppet_do(&sibling, poll_free_lock, family), HK_OK);
    HKT_CHILD_STATUS(hkt_puppet_do(&sibling, hkt_release, &family->own), HK_OK);
    hkt_puppet_retire(&sibling);
    HKT_CHILD_STATUS(hk_lock_acquire(&family->own), HK_OK);
}

static void use_locks_in_child(void *arg)
{
    struct family *family = arg;

    HKT_CHILD_STATUS(hk_lock_acquire(&family->others), HK_EFORKED);
    HKT_CHILD_STATUS(hk_lock_try(&family->others), HK_EFORKED);
    HKT_CHILD_STATUS(hk_lock_acquire_timed(&family->others, HKT_LONG), HK_EFORKED);
    HKT_CHILD_STATUS(hk_lock_release(&family->others), HK_EPERM);
    HKT_CHILD_STATUS(hk_lock_destroy(&family->others), HK_ESTATE);
    HKT_CHILD_STATUS(hk_lock_acquire(&family->left), HK_EBROKEN);
    HKT_CHILD_TRUE(hk_lock_is_held_by_me(&family->own));
    HKT_CHILD_STATUS(hk_lock_acquire(&family->own), HK_EDEADLK);
    HKT_CHILD_STATUS(poll_free_lock(family), HK_OK);
    if (HKT_CHILDREN_START_THREADS) {
        use_locks_with_sibling(family);
    }
    HKT_CHILD_STATUS(hk_lock_release(&family->own), HK_OK);
    HKT_CHILD_STATUS(hk_lock_release(&family->own), HK_EPERM);
}

static void in_a_child_only_ones_own_locks_are_released(void)
{
    struct family family = {HK_LOCK_INIT("own"), HK_LOCK_INIT("others"), HK_LOCK_INIT("free"),
                            HK_LOCK_INIT("left")};
    struct hkt_puppet other;
    struct hkt_log log;

    hkt_log_begin(&log);
    hkt_puppet_make(&other);
    HKT_OK(hkt_puppet_do(&other, hkt_acquire, &family.left));
    hkt_puppet_retire(&other);
    hkt_log_end(&log);

    hkt_puppet_make(&other);
    HKT_OK(hkt_puppet_do(&other, hkt_acquire, &family.others));
    HKT_OK(hk_lock_acquire(&family.own));
    hkt_expect_good_child(use_locks_in_child, &family);
    /* The parent saw nothing of it. */
    HKT_TRUE(hk_lock_is_held_by_me(&family.own));
    HKT_OK(hk_lock_release(&family.own));
    HKT_STATUS(hk_lock_try(&family.others), HK_ETIMEDOUT);
    HKT_OK(hkt_puppet_do(&other, hkt_release, &family.others));
    expect_broken(&family.left);
    HKT_OK(hk_lock_destroy(&family.own));
    HKT_OK(hk_lock_destroy(&family.others));
    HKT_OK(hk_lock_destroy(&family.free));
    hkt_puppet_retire(&other);
}

/* --- Where threads waited --------------------------------------------------------------- */

static hk_lock busy = HK_LOCK_INIT("busy");
static int acquire_line;

static hk_status take_busy(void *arg)
{
    hk_status status;

    (void)arg;
    acquire_line = __LINE__ + 1;
    status = hk_lock_acquire(&busy);
    return status == HK_OK ? hk_lock_release(&busy) : status;
}

/* The line's statistics; false if there are none. */
static bool find_line(int line, hk_lock_contention *found)
{
    hk_lock_contention lines[64];
    size_t count = hk_lock_contentions(lines, sizeof(lines) / sizeof(lines[0]));
    bool is_there = false;

    for (size_t i = 0; i < count; i++) {
        HKT_TRUE(i == 0 || lines[i - 1].waited_ns >= lines[i].waited_ns);
        HKT_TRUE(lines[i].waits > 0 && lines[i].longest_ns <= lines[i].waited_ns);
        if (lines[i].site->line == line && strstr(lines[i].site->file, "test_lock_end.c") != NULL) {
            *found = lines[i];
            is_there = true;
        }
    }
    HKT_EQ_INT(hk_lock_contentions(lines, 1), count > 0 ? 1 : 0);
    return is_there;
}

static void waits_are_counted_by_line(void)
{
    enum { WAITS = 3 };
    hk_lock_contention line = {0};
    struct hkt_puppet other;

    hkt_puppet_make(&other);
    HKT_OK(hkt_puppet_do(&other, take_busy, NULL));
    HKT_TRUE(!find_line(acquire_line, &line)); /* It did not wait. */
    for (int i = 0; i < WAITS; i++) {
        int64_t start_ns;

        HKT_OK(hk_lock_acquire(&busy));
        hkt_puppet_begin_asleep(&other, take_busy, NULL);
        start_ns = hk_now_ns();
        while (hk_now_ns() - start_ns < HK_MS(2)) {
            sched_yield();
        }
        HKT_OK(hk_lock_release(&busy));
        HKT_OK(hkt_puppet_finish(&other));
    }
    if (HKT_TRUE(find_line(acquire_line, &line))) {
        HKT_EQ_INT(line.waits, WAITS);
        HKT_EQ_STR(line.name, "busy");
        HKT_TRUE(line.longest_ns >= HK_MS(2));
        HKT_TRUE(line.waited_ns >= WAITS * HK_MS(2));
    }
    hkt_puppet_retire(&other);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a lock that is not held stops the program",
             a_lock_that_is_not_held_stops_the_program),
    HKT_CASE("a lock left behind is broken", a_lock_left_behind_is_broken),
    HKT_CASE("who comes later is not taken for the owner",
             who_comes_later_is_not_taken_for_the_owner),
    HKT_CASE("those who sleep for it are told", those_who_sleep_for_it_are_told),
    HKT_CASE("nobody sleeps past the end of an owner", nobody_sleeps_past_the_end_of_an_owner),
    HKT_CASE("in a child only one's own locks are released",
             in_a_child_only_ones_own_locks_are_released),
    HKT_CASE("waits are counted by line", waits_are_counted_by_line),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "lock_end", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
