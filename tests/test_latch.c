/* SPDX-License-Identifier: MIT */
/* Latches and wait groups: every status, rounds, and waits that threads bound to a latch
 * make impossible. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/allocation_fixture.h"
#include "tests/child_fixture.h"
#include "tests/race_fixture.h"

/* --- Counting --- */

static void a_latch_opens_at_zero(void)
{
    static hk_latch latch = HK_LATCH_INIT("statuses", 3);

    HKT_EQ_INT(hk_latch_count(&latch), 3);
    HKT_STATUS(hk_latch_wait(&latch, 0), HK_ETIMEDOUT);
    HKT_STATUS(hk_latch_wait(&latch, HK_US(50)), HK_ETIMEDOUT);
    HKT_OK(hk_latch_count_down(&latch, 1));
    HKT_STATUS(hk_latch_count_down(&latch, 3), HK_ESTATE);
    HKT_EQ_INT(hk_latch_count(&latch), 2);
    HKT_OK(hk_latch_count_down(&latch, 2));
    HKT_OK(hk_latch_wait(&latch, 0));
    HKT_OK(hk_latch_wait(&latch, HK_FOREVER));
    HKT_STATUS(hk_latch_count_down(&latch, 1), HK_ESTATE);
}

static void a_wait_group_counts_up_and_down(void)
{
    hk_latch *latch = calloc(1, sizeof(*latch));

    HKT_TRUE_FATAL(latch != NULL);
    HKT_OK(hk_latch_wait(latch, 0));
    for (int round = 0; round < 3; round++) {
        HKT_OK(hk_latch_add(latch, 2));
        HKT_STATUS(hk_latch_wait(latch, 0), HK_ETIMEDOUT);
        HKT_OK(hk_latch_add(latch, 1));
        HKT_OK(hk_latch_count_down(latch, 3));
        HKT_OK(hk_latch_wait(latch, 0));
    }
    HKT_OK(hk_latch_add(latch, HK_LATCH_MAX));
    HKT_STATUS(hk_latch_add(latch, 1), HK_ESTATE);
    HKT_STATUS(hk_latch_add(latch, UINT32_MAX), HK_ESTATE);
    HKT_EQ_INT(hk_latch_count(latch), HK_LATCH_MAX);
    HKT_OK(hk_latch_count_down(latch, HK_LATCH_MAX));
    free(latch);
}

static void wrong_arguments_are_refused(void)
{
    hk_latch latch;

    HKT_STATUS(hk_latch_init(NULL, NULL, 0), HK_EINVAL);
    HKT_STATUS(hk_latch_init(&latch, NULL, HK_LATCH_MAX + 1), HK_EINVAL);
    HKT_OK(hk_latch_init(&latch, "one", 1));
    HKT_STATUS(hk_latch_add(NULL, 1), HK_EINVAL);
    HKT_STATUS(hk_latch_add(&latch, 0), HK_EINVAL);
    HKT_STATUS(hk_latch_count_down(NULL, 1), HK_EINVAL);
    HKT_STATUS(hk_latch_count_down(&latch, 0), HK_EINVAL);
    HKT_STATUS(hk_latch_wait(NULL, 0), HK_EINVAL);
    HKT_STATUS(hk_latch_wait(&latch, -2), HK_EINVAL);
    HKT_STATUS(hk_latch_bind(NULL), HK_EINVAL);
    HKT_STATUS(hk_latch_unbind(NULL), HK_EINVAL);
    HKT_STATUS(hk_latch_unbind(&latch), HK_ESTATE);
    HKT_EQ_INT(hk_latch_count(NULL), 0);
    hk_latch_destroy(NULL);
    HKT_EQ_INT(hk_latch_count(&latch), 1);
    hk_latch_destroy(&latch);
    HKT_EQ_INT(hk_latch_count(&latch), 0);
}

/* --- Threads --- */

enum { WAITERS = 3 };

static hk_latch group;

static void wait_for_group(void *arg)
{
    HKT_STATUS(hk_latch_wait(&group, HK_FOREVER), *(const hk_status *)arg);
}

static void start_waiters(struct hkt_thread *threads)
{
    static hk_status expected = HK_OK;

    for (int i = 0; i < WAITERS; i++) {
        hkt_thread_start(&threads[i], wait_for_group, &expected);
    }
    for (int i = 0; i < WAITERS; i++) {
        hkt_thread_await_sleep(&threads[i]);
    }
}

static void join_all(struct hkt_thread *threads, int count)
{
    for (int i = 0; i < count; i++) {
        hkt_thread_join(&threads[i]);
    }
}

static void a_new_round_does_not_hold_back_waiters_of_the_last(void)
{
    struct hkt_thread threads[WAITERS];

    group = (hk_latch)HK_LATCH_INIT("group", 2);
    for (int round = 0; round < 20; round++) {
        start_waiters(threads);
        HKT_OK(hk_latch_count_down(&group, 1));
        HKT_OK(hk_latch_count_down(&group, 1));
        HKT_OK(hk_latch_add(&group, 2));
        join_all(threads, WAITERS);
        HKT_EQ_INT(hk_latch_count(&group), 2);
    }
}

/* --- Races --- */

static void open_latch(struct hkt_round *round)
{
    hk_latch *latch = calloc(1, sizeof(*latch));

    HKT_TRUE_FATAL(latch != NULL);
    HKT_OK(hk_latch_add(latch, 3));
    round->object = latch;
}

static void write_and_count_down(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_latch_count_down(round->object, 1);
}

static void wait_read_and_free(struct hkt_round *round, unsigned who)
{
    static unsigned rounds;
    /* Every other time it never sleeps: then its first look brings it what was written. */
    hk_duration timeout = rounds++ % 2 == 0 ? HK_FOREVER : 0;

    while ((round->status[who] = hk_latch_wait(round->object, timeout)) == HK_ETIMEDOUT) {
        sched_yield();
    }
    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(round->payload[i], HKT_PAYLOAD);
    }
    memset(round->object, 0x55, sizeof(hk_latch));
    free(round->object);
}

static void all_are_fine(struct hkt_round *round)
{
    for (int i = 0; i < 4; i++) {
        HKT_OK(round->status[i]);
    }
}

static void what_was_written_before_counting_down_is_seen(void)
{
    static const struct hkt_race race = {
        open_latch,
        {write_and_count_down, write_and_count_down, write_and_count_down, wait_read_and_free},
        all_are_fine};

    hkt_race(&race);
}

/* Of many that count down, exactly as many succeed as were counted up. */
enum { COUNTERS = 3, PLENTY = 30000 };

static hk_latch scarce;
static atomic_uint counted_down;

static void count_down_until_refused(void *arg)
{
    hk_status status;

    (void)arg;
    while ((status = hk_latch_count_down(&scarce, 1)) == HK_OK) {
        atomic_fetch_add(&counted_down, 1);
    }
    HKT_STATUS(status, HK_ESTATE);
}

static void the_count_never_goes_below_zero(void)
{
    struct hkt_thread threads[COUNTERS];
    uint32_t count = PLENTY / hkt_slowness();

    for (int round = 0; round < 10; round++) {
        HKT_OK(hk_latch_init(&scarce, "scarce", count));
        atomic_store(&counted_down, 0);
        for (int i = 0; i < COUNTERS; i++) {
            hkt_thread_start(&threads[i], count_down_until_refused, NULL);
        }
        join_all(threads, COUNTERS);
        HKT_EQ_INT(atomic_load(&counted_down), count);
        HKT_EQ_INT(hk_latch_count(&scarce), 0);
    }
}

/* --- Bound threads --- */

static void who_is_bound_cannot_wait_for_itself(void)
{
    struct hkt_log log;

    group = (hk_latch)HK_LATCH_INIT("group", 1);
    HKT_OK(hk_latch_bind(&group));
    HKT_OK(hk_latch_bind(&group));
    hkt_log_begin(&log);
    HKT_STATUS(hk_latch_wait(&group, HK_FOREVER), HK_EDEADLK);
    HKT_TRUE(hkt_log_has(&log, "(group)"));
    hkt_log_end(&log);
    HKT_STATUS(hk_latch_wait(&group, HK_US(50)), HK_ETIMEDOUT);
    HKT_OK(hk_latch_unbind(&group));
    HKT_STATUS(hk_latch_unbind(&group), HK_ESTATE);
    HKT_STATUS(hk_latch_wait(&group, HK_US(50)), HK_ETIMEDOUT);
    hk_latch_destroy(&group);
}

/* Two latches, each bound by the thread that waits for the other. */
static hk_latch ring[2];

struct member {
    struct hkt_thread thread;
    int index;
    bool binds;
    hk_duration timeout;
    hk_status status;
    struct hkt_gate *bound;
};

static void bind_and_wait(void *arg)
{
    struct member *member = arg;

    if (member->binds) {
        HKT_OK(hk_latch_bind(&ring[member->index]));
    }
    hkt_gate_open(member->bound);
    member->status = hk_latch_wait(&ring[1 - member->index], member->timeout);
    if (member->binds) {
        HKT_OK(hk_latch_count_down(&ring[member->index], 1));
    }
}

static void begin_member(struct member *member, int index, bool binds, hk_duration timeout)
{
    struct hkt_gate bound;

    *member = (struct member){.index = index, .binds = binds, .timeout = timeout, .bound = &bound};
    hkt_gate_init(&bound, "a member is bound");
    hkt_thread_start(&member->thread, bind_and_wait, member);
    hkt_gate_wait(&bound);
    hkt_gate_fini(&bound);
}

static void begin_ring(void)
{
    ring[0] = (hk_latch)HK_LATCH_INIT("ring 0", 1);
    ring[1] = (hk_latch)HK_LATCH_INIT("ring 1", 1);
}

static void end_ring(struct member *members)
{
    for (int i = 0; i < 2; i++) {
        hkt_thread_join(&members[i].thread);
    }
    hk_latch_destroy(&ring[0]);
    hk_latch_destroy(&ring[1]);
}

static void a_ring_of_bound_threads_is_refused(void)
{
    for (int round = 0; round < 50; round++) {
        struct hkt_log log;
        struct member members[2];

        hkt_log_begin(&log);
        begin_ring();
        begin_member(&members[0], 0, true, HK_FOREVER);
        begin_member(&members[1], 1, true, HK_FOREVER);
        end_ring(members);
        /* Exactly one; the other got what it waited for. */
        HKT_TRUE((members[0].status == HK_EDEADLK && members[1].status == HK_OK) ||
                 (members[1].status == HK_EDEADLK && members[0].status == HK_OK));
        HKT_TRUE(hkt_log_has(&log, "(ring 0)"));
        HKT_TRUE(hkt_log_has(&log, "(ring 1)"));
        hkt_log_end(&log);
    }
}

/* The same, but nobody has declared itself for one of the two: anybody might open it. */
static void without_a_declaration_nothing_is_refused(void)
{
    struct member members[2];

    begin_ring();
    begin_member(&members[0], 0, true, HK_FOREVER);
    begin_member(&members[1], 1, false, HK_FOREVER);
    hkt_thread_await_sleep(&members[0].thread);
    hkt_thread_await_sleep(&members[1].thread);
    HKT_OK(hk_latch_count_down(&ring[1], 1)); /* As anybody might. */
    end_ring(members);
    HKT_OK(members[0].status);
    HKT_OK(members[1].status);
}

/* A latch needs all who are bound to it: one that can go on is not enough. */
static void one_free_thread_is_not_enough(void)
{
    struct member members[2];
    struct hkt_log log;

    hkt_log_begin(&log);
    begin_ring();
    HKT_OK(hk_latch_add(&ring[0], 1));
    HKT_OK(hk_latch_bind(&ring[0])); /* The test's thread, which can always go on. */
    begin_member(&members[0], 0, true, HK_FOREVER);
    hkt_thread_await_sleep(&members[0].thread);
    begin_member(&members[1], 1, true, HK_FOREVER);
    HKT_OK(hk_latch_count_down(&ring[0], 1));
    end_ring(members);
    hkt_log_end(&log);
    HKT_STATUS(members[1].status, HK_EDEADLK);
    HKT_OK(members[0].status);
}

/* Counting down takes the declaration back; or the wait would be for the waiter itself. */
static void count_down_when_asleep(void *arg)
{
    HKT_TRUE(hkt_falls_asleep(*(const pid_t *)arg));
    HKT_OK(hk_latch_count_down(&group, 1));
}

static void who_has_counted_down_may_wait_for_the_others(void)
{
    pid_t self = gettid();
    struct hkt_thread thread;

    group = (hk_latch)HK_LATCH_INIT("group", 2);
    HKT_OK(hk_latch_bind(&group));
    HKT_OK(hk_latch_count_down(&group, 1));
    HKT_STATUS(hk_latch_unbind(&group), HK_ESTATE);
    hkt_thread_start(&thread, count_down_when_asleep, &self);
    HKT_OK(hk_latch_wait(&group, HK_FOREVER));
    hkt_thread_join(&thread);
    hk_latch_destroy(&group);
}

/* A third one opens the latch that the test's thread is bound to. Who waited for it may
 * still be asleep, but does not wait for the test's thread any more. */
static void open_first(void *arg)
{
    (void)arg;
    HKT_OK(hk_latch_count_down(&ring[0], 1));
}

static void a_latch_that_is_open_holds_up_nobody(void)
{
    for (int round = 0; round < 50; round++) {
        struct member member;
        struct hkt_thread opener;

        begin_ring();
        HKT_OK(hk_latch_bind(&ring[0]));
        begin_member(&member, 1, true, HK_FOREVER);
        hkt_thread_await_sleep(&member.thread);
        hkt_thread_start(&opener, open_first, NULL);
        while (hk_latch_count(&ring[0]) != 0) {
        }
        HKT_OK(hk_latch_wait(&ring[1], HK_FOREVER));
        hkt_thread_join(&opener);
        hkt_thread_join(&member.thread);
        HKT_OK(member.status);
        hk_latch_destroy(&ring[0]);
        hk_latch_destroy(&ring[1]);
    }
}

static void bind_and_end(void *arg)
{
    (void)arg;
    HKT_OK(hk_latch_bind(&group));
}

static void the_end_of_a_thread_takes_its_declaration_back(void)
{
    struct hkt_thread thread;
    hk_memory_statistics before;
    hk_memory_statistics after;

    group = (hk_latch)HK_LATCH_INIT("group", 1);
    HKT_OK(hk_memory_stats(&before));
    hkt_thread_start(&thread, bind_and_end, NULL);
    hkt_thread_join(&thread);
    HKT_OK(hk_memory_stats(&after));
    HKT_EQ_INT(after.live_blocks, before.live_blocks);
    /* A look that still found the thread would read memory that is gone. */
    HKT_OK(hk_latch_bind(&group));
    HKT_OK(hk_latch_count_down(&group, 1));
    hk_latch_destroy(&group);
}

/* --- Tasks --- */

static hk_future *waited_for;

HK_TASK(counts_down_after_a_future)
{
    hk_status status;

    (void)call;
    (void)in;
    (void)in_size;
    HKT_OK(hk_latch_bind(&group));
    status = hk_future_wait(waited_for, HK_FOREVER);
    HKT_OK(hk_latch_count_down(&group, 1));
    return status;
}

HK_TASK(waits_for_group)
{
    (void)call;
    (void)in;
    (void)in_size;
    return hk_latch_wait(&group, HK_FOREVER);
}

/* A waits for B's future, B for the latch that A has bound itself to. */
static void a_ring_through_a_future_is_refused(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2, .spare_workers = 2});
    struct hkt_log log;
    hk_future *counts = NULL;
    hk_promise *promise = NULL;
    hk_future *task = NULL;
    hk_status ends[2];

    hkt_log_begin(&log);
    group = (hk_latch)HK_LATCH_INIT("group", 1);
    HKT_OK_FATAL(hk_promise_create(&promise, &waited_for));
    HKT_OK_FATAL(hk_submit(pool, counts_down_after_a_future, NULL, 0, NULL, &counts));
    HKT_OK_FATAL(hk_submit(pool, waits_for_group, NULL, 0, NULL, &task));
    ends[0] = hk_promise_follow(promise, task);
    if (ends[0] != HK_OK) {
        HKT_OK(hk_promise_fail(promise, 1, "a ring"));
    }
    HKT_OK(hk_future_wait(task, HK_FOREVER));
    HKT_OK(hk_future_wait(counts, HK_FOREVER));
    ends[0] = ends[0] != HK_OK ? ends[0] : hk_future_result(counts, 0, NULL, NULL);
    ends[1] = hk_future_result(task, 0, NULL, NULL);
    HKT_TRUE(ends[0] != HK_OK || ends[1] != HK_OK);
    HKT_TRUE(hk_future_why(counts) != NULL && hk_future_why(waited_for) != NULL);
    hkt_log_end(&log);
    hk_promise_destroy(promise);
    hk_future_unref(waited_for);
    hk_future_unref(counts);
    hk_future_unref(task);
    HKT_OK(hk_executor_destroy(pool));
    hk_latch_destroy(&group);
}

HK_TASK(binds_and_ends)
{
    (void)call;
    (void)in;
    (void)in_size;
    return hk_latch_bind(&group);
}

static void the_end_of_a_task_takes_its_declaration_back(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});

    group = (hk_latch)HK_LATCH_INIT("group", 1);
    hkt_expect_end(hkt_submit_ref(pool, binds_and_ends, NULL), HK_OK);
    /* Nobody is bound, so this waits in vain but is not refused. */
    HKT_STATUS(hk_latch_wait(&group, HK_US(50)), HK_ETIMEDOUT);
    HKT_OK(hk_executor_destroy(pool));
    hk_latch_destroy(&group);
}

/* --- Memory and forks --- */

static void prepare(void)
{
    group = (hk_latch)HK_LATCH_INIT("group", 1);
}

static hk_status bind_once(void)
{
    return hk_latch_bind(&group);
}

static void is_not_bound(void)
{
    HKT_STATUS(hk_latch_unbind(&group), HK_ESTATE);
}

static void clean(void)
{
    hk_latch_destroy(&group);
}

static void binding_survives_without_memory(void)
{
    static const struct hkt_allocation_case one = {
        "hk_latch_bind", prepare, bind_once, is_not_bound, NULL, clean, false};

    hkt_fail_each_allocation(&one);
}

static void use_in_child(void *arg)
{
    (void)arg;
    HKT_CHILD_STATUS(hk_latch_wait(&group, 0), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_latch_count_down(&group, 1), HK_OK);
    HKT_CHILD_STATUS(hk_latch_wait(&group, HK_FOREVER), HK_OK);
}

static void a_child_has_a_copy(void)
{
    struct hkt_thread threads[WAITERS];

    group = (hk_latch)HK_LATCH_INIT("group", 1);
    start_waiters(threads);
    hkt_expect_good_child(use_in_child, NULL);
    HKT_EQ_INT(hk_latch_count(&group), 1);
    HKT_OK(hk_latch_count_down(&group, 1));
    join_all(threads, WAITERS);
}

/* In the parent a bound thread waits for the caller, so the caller's wait would close a ring. In
 * a child that thread is not there, and has declared nothing. */
static void wait_for_absent(void *arg)
{
    (void)arg;
    HKT_CHILD_STATUS(hk_latch_wait(&ring[0], HK_US(50)), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_latch_bind(&ring[0]), HK_OK);
    HKT_CHILD_STATUS(hk_latch_wait(&ring[0], HK_FOREVER), HK_EDEADLK);
    HKT_CHILD_STATUS(hk_latch_count_down(&ring[0], 1), HK_OK);
    HKT_CHILD_STATUS(hk_latch_unbind(&ring[1]), HK_OK); /* The caller's own is still there. */
    HKT_CHILD_STATUS(hk_latch_bind(&ring[1]), HK_OK);
    hk_latch_destroy(&ring[0]);
    hk_latch_destroy(&ring[1]);
}

static void in_a_child_absent_threads_are_not_bound(void)
{
    struct member members[2];
    struct hkt_log log;

    hkt_log_begin(&log);
    begin_ring();
    HKT_OK(hk_latch_bind(&ring[1]));
    begin_member(&members[0], 0, true, HK_FOREVER);
    hkt_thread_await_sleep(&members[0].thread);
    HKT_STATUS(hk_latch_wait(&ring[0], HK_US(50)), HK_EDEADLK);
    hkt_expect_good_child(wait_for_absent, NULL);
    HKT_OK(hk_latch_count_down(&ring[1], 1));
    hkt_thread_join(&members[0].thread);
    HKT_OK(members[0].status);
    hkt_log_end(&log);
    hk_latch_destroy(&ring[0]);
    hk_latch_destroy(&ring[1]);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_latch_opens_at_zero),
    HKT_TEST(a_wait_group_counts_up_and_down),
    HKT_TEST(wrong_arguments_are_refused),
    HKT_TEST(a_new_round_does_not_hold_back_waiters_of_the_last),
    HKT_TEST(what_was_written_before_counting_down_is_seen),
    HKT_TEST(the_count_never_goes_below_zero),
    HKT_TEST(who_is_bound_cannot_wait_for_itself),
    HKT_TEST(a_ring_of_bound_threads_is_refused),
    HKT_TEST(without_a_declaration_nothing_is_refused),
    HKT_TEST(one_free_thread_is_not_enough),
    HKT_TEST(who_has_counted_down_may_wait_for_the_others),
    HKT_TEST(a_latch_that_is_open_holds_up_nobody),
    HKT_TEST(the_end_of_a_thread_takes_its_declaration_back),
    HKT_TEST(a_ring_through_a_future_is_refused),
    HKT_TEST(the_end_of_a_task_takes_its_declaration_back),
    HKT_TEST(binding_survives_without_memory),
    HKT_TEST(a_child_has_a_copy),
    HKT_TEST(in_a_child_absent_threads_are_not_bound),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "latch", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
