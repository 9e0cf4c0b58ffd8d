/* SPDX-License-Identifier: MIT */
/*
 * Ranges on a thread pool: who takes part, who waits for whom, and what is left behind.
 */
#include <string.h>
#include <unistd.h>

#include "base/live.h"
#include "tests/child_fixture.h"
#include "tests/fixture.h"

enum { PLACES = 512, MEETING_MOST = 24 };

/* --- Who takes part --- */

struct meeting {
    struct hkt_barrier barrier;
    atomic_int alone;
    unsigned round;
    unsigned wrote[MEETING_MOST]; /* Plain: the edge is the range's. */
};

/* Each piece waits until all others run, too; so what it writes then is written by as many threads
 * at the same time, while the caller has nothing left to do. */
static hk_status meet(hk_range *range, size_t begin, size_t end, void *context)
{
    struct meeting *meeting = context;

    (void)range;
    atomic_fetch_add(&meeting->alone, end - begin == 1 ? 1 : 0);
    hkt_barrier_wait(&meeting->barrier);
    meeting->wrote[begin] = meeting->round;
    return HK_OK;
}

static void expect_meeting(hk_executor *pool, struct meeting *meeting, unsigned count)
{
    unsigned wrong = 0;
    hk_range range;

    meeting->round++;
    HKT_OK(hk_parallel_for(&range, pool, 0, count, meet, meeting, NULL));
    for (unsigned i = 0; i < count; i++) {
        wrong += meeting->wrote[i] != meeting->round;
    }
    HKT_EQ_INT(wrong, 0);
}

HK_TASK(range_meet)
{
    struct meeting *meeting = (struct meeting *)(uintptr_t)in;
    hk_range range;

    return hk_parallel_for(&range, hk_call_executor(call), 0, meeting->barrier.count, meet, meeting,
                           NULL);
}

static void as_many_take_part_as_there_are_workers(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 4});
    struct meeting meeting = {.alone = 0};
    unsigned rounds = 2000 / hkt_slowness();

    hkt_barrier_init(&meeting.barrier, 4, "four pieces");
    for (unsigned i = 0; i < rounds; i++) {
        expect_meeting(pool, &meeting, 4);
    }
    HKT_EQ_INT(meeting.alone, 4 * rounds);
    hkt_expect_end(hkt_submit_ref(pool, range_meet, &meeting), HK_OK);
    HKT_EQ_INT(meeting.alone, 4 * rounds + 4);
    hkt_barrier_fini(&meeting.barrier);
    HKT_OK(hk_executor_destroy(pool));
}

/* More runners than a range has room for by itself. */
static void a_wide_pool_takes_part_as_a_whole(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = MEETING_MOST});
    struct meeting meeting = {.alone = 0};

    hkt_barrier_init(&meeting.barrier, MEETING_MOST, "many pieces");
    expect_meeting(pool, &meeting, MEETING_MOST);
    HKT_EQ_INT(meeting.alone, MEETING_MOST);
    hkt_barrier_fini(&meeting.barrier);
    HKT_OK(hk_executor_destroy(pool));
}

struct squares {
    long of[PLACES]; /* Plain: the edge is the range's. */
    long from[PLACES];
};

static hk_status square_some(hk_range *range, size_t begin, size_t end, void *context)
{
    struct squares *squares = context;

    (void)range;
    for (size_t i = begin; i < end; i++) {
        squares->of[i] = squares->from[i] * squares->from[i];
    }
    return HK_OK;
}

static void expect_squares(hk_executor *pool, const hk_range_options *options, long seed)
{
    struct squares squares = {.of = {0}};
    size_t wrong = 0;
    hk_range range;

    for (long i = 0; i < PLACES; i++) {
        squares.from[i] = i + seed;
    }
    HKT_OK(hk_parallel_for(&range, pool, 0, PLACES, square_some, &squares, options));
    for (long i = 0; i < PLACES; i++) {
        wrong += squares.of[i] != (i + seed) * (i + seed);
    }
    HKT_EQ_INT(wrong, 0);
}

static void what_pieces_write_is_there_when_a_range_has_ended(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 4});
    unsigned rounds = 20000 / hkt_slowness();

    for (unsigned i = 0; i < rounds; i++) {
        expect_squares(pool, &(hk_range_options){.grain = i % 40}, i);
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void a_range_goes_on_though_no_worker_is_free(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct hkt_plug plug;

    hkt_plug_insert(&plug, pool, 2);
    expect_squares(pool, NULL, 1);
    expect_squares(pool, &(hk_range_options){.priority = HK_PRIORITY_HIGH}, 2);
    expect_squares(pool, &(hk_range_options){.priority = HK_PRIORITY_LOW}, 3);
    HKT_EQ_INT(hkt_stats(pool).queued, 0); /* Who was asked to come is not expected any more. */
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
}

static void a_full_queue_does_not_refuse_a_range(void)
{
    static const hk_when_full policies[] = {HK_FULL_BLOCK, HK_FULL_FAIL, HK_FULL_CALLER_RUNS,
                                            HK_FULL_DROP_OLDEST};

    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        hk_executor *pool = hkt_pool_create(
            (hk_executor_options){.workers = 2, .queue_capacity = 2, .when_full = policies[i]});
        struct hkt_plug plug;
        hk_future *oldest;
        hk_future *other;

        hkt_plug_insert(&plug, pool, 2);
        oldest = hkt_submit_int(pool, hkt_square, 3);
        other = hkt_submit_int(pool, hkt_square, 4);
        expect_squares(pool, NULL, 1);
        hkt_plug_pull(&plug);
        if (policies[i] == HK_FULL_DROP_OLDEST) {
            hkt_expect_end(oldest, HK_EFULL); /* A worker that is asked to come is a task, too. */
        } else {
            HKT_EQ_INT(hkt_take_int(oldest), 9);
        }
        HKT_EQ_INT(hkt_take_int(other), 16);
        HKT_OK(hk_executor_destroy(pool));
    }
}

static void a_run_limit_of_the_pool_is_not_one_of_its_ranges(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 4, .task_timeout = 1});

    for (int i = 0; i < 100; i++) {
        expect_squares(pool, NULL, i);
    }
    HKT_OK(hk_executor_destroy(pool));
}

HK_TASK(range_after_range)
{
    const unsigned *rounds = in;
    hk_executor *pool = hk_call_executor(call);
    long before = hki_live_count(HKI_LIVE_FUTURES);
    long most = 0;

    for (unsigned i = 0; i < *rounds; i++) {
        long more;

        expect_squares(pool, NULL, i);
        more = hki_live_count(HKI_LIVE_FUTURES) - before;
        most = more > most ? more : most;
    }
    HKT_TRUE(most <= 4);
    return HK_OK;
}

static void ranges_of_a_task_leave_nothing_in_the_queue(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 4});
    unsigned rounds = 2000 / hkt_slowness();
    struct hkt_plug plug;

    hkt_plug_insert(&plug, pool, 3);
    hkt_expect_end(hkt_submit_ref(pool, range_after_range, &rounds), HK_OK);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Who waits for whom --- */

struct quarrel {
    hk_lock lock;
    struct hkt_gate gate;
    pid_t caller;
    atomic_int runner;
    hk_status refused; /* Of the piece. */
};

/* The caller's piece returns at once, the other one wants what the caller holds. */
static hk_status want_lock(hk_range *range, size_t begin, size_t end, void *context)
{
    struct quarrel *quarrel = context;

    (void)range;
    (void)begin;
    (void)end;
    if (gettid() == quarrel->caller) {
        return HK_OK;
    }
    atomic_store(&quarrel->runner, gettid());
    hkt_gate_wait(&quarrel->gate);
    quarrel->refused = hk_lock_acquire(&quarrel->lock);
    if (quarrel->refused == HK_OK) {
        HKT_OK(hk_lock_release(&quarrel->lock));
    }
    return quarrel->refused;
}

static bool has_a_runner(void *arg)
{
    return atomic_load(&((struct quarrel *)arg)->runner) != 0;
}

static void quarrel_begin(struct quarrel *quarrel, hk_executor *pool, hk_range *range)
{
    memset(quarrel, 0, sizeof(*quarrel));
    quarrel->caller = gettid();
    HKT_OK(hk_lock_init(&quarrel->lock, NULL));
    hkt_gate_init(&quarrel->gate, "in front of the lock");
    HKT_OK(hk_lock_acquire(&quarrel->lock));
    HKT_OK_FATAL(hk_range_begin(range, pool, 0, 2, want_lock, quarrel, NULL));
    HKT_TRUE_FATAL(hkt_eventually(has_a_runner, quarrel));
}

static void quarrel_end(struct quarrel *quarrel)
{
    hkt_gate_fini(&quarrel->gate);
    HKT_OK(hk_lock_destroy(&quarrel->lock));
}

static void a_caller_that_closes_a_ring_is_refused_and_ends_later(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct quarrel quarrel;
    hk_range range;

    quarrel_begin(&quarrel, pool, &range);
    hkt_gate_open(&quarrel.gate);
    HKT_TRUE(hkt_falls_asleep(atomic_load(&quarrel.runner)));
    HKT_STATUS(hk_range_end(&range), HK_EDEADLK);
    HKT_TRUE(!hk_range_has_ended(&range));
    HKT_OK(hk_lock_release(&quarrel.lock));
    HKT_OK(hk_range_end(&range));
    HKT_TRUE(hk_range_has_ended(&range));
    HKT_OK(quarrel.refused);
    quarrel_end(&quarrel);
    HKT_OK(hk_executor_destroy(pool));
}

static void *open_when_asleep(void *arg)
{
    struct quarrel *quarrel = arg;

    HKT_TRUE(hkt_falls_asleep(quarrel->caller));
    hkt_gate_open(&quarrel->gate);
    return NULL;
}

static void a_piece_that_closes_a_ring_is_refused(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct quarrel quarrel;
    pthread_t opener;
    hk_range range;

    quarrel_begin(&quarrel, pool, &range);
    HKT_EQ_INT_FATAL(pthread_create(&opener, NULL, open_when_asleep, &quarrel), 0);
    HKT_STATUS(hk_range_end(&range), HK_EDEADLK);
    HKT_TRUE(hk_range_has_ended(&range));
    HKT_STATUS(quarrel.refused, HK_EDEADLK);
    HKT_EQ_INT(pthread_join(opener, NULL), 0);
    HKT_OK(hk_lock_release(&quarrel.lock));
    quarrel_end(&quarrel);
    HKT_OK(hk_executor_destroy(pool));
}

/* Of two workers one waits for a range and the other one stands in its piece: what lets that go
 * on is a task for a third. */
struct exchange {
    hk_executor *pool;
    struct hkt_gate reached;
    struct hkt_gate gate;
    pid_t caller;
};

static hk_status stand_unless_caller(hk_range *range, size_t begin, size_t end, void *context)
{
    struct exchange *exchange = context;

    (void)range;
    (void)begin;
    (void)end;
    if (gettid() == exchange->caller) {
        hkt_gate_await_arrivals(&exchange->gate, 1);
        return HK_OK;
    }
    hkt_gate_wait(&exchange->gate);
    return HK_OK;
}

HK_TASK(range_in_exchange)
{
    struct exchange *exchange = (struct exchange *)(uintptr_t)in;
    hk_range range;

    exchange->caller = gettid();
    return hk_parallel_for(&range, hk_call_executor(call), 0, 2, stand_unless_caller, exchange,
                           NULL);
}

HK_TASK(range_opens)
{
    struct exchange *exchange = (struct exchange *)(uintptr_t)in;

    hkt_gate_open(&exchange->gate);
    return HK_OK;
}

static void the_pool_makes_up_for_a_task_that_waits_for_its_range(void)
{
    struct exchange exchange = {.pool = hkt_pool_create((hk_executor_options){.workers = 2})};
    hk_future *waits;

    hkt_gate_init(&exchange.gate, "the piece of the other worker");
    waits = hkt_submit_ref(exchange.pool, range_in_exchange, &exchange);
    hkt_gate_await_arrivals(&exchange.gate, 1);
    /* One worker stands in the piece, the other one waits for that. */
    hkt_expect_end(hkt_submit_ref(exchange.pool, range_opens, &exchange), HK_OK);
    hkt_expect_end(waits, HK_OK);
    hkt_gate_fini(&exchange.gate);
    HKT_OK(hk_executor_destroy(exchange.pool));
}

/* --- Ends --- */

static hk_status fail_initialiser(hk_call *call, void *arg, void **local)
{
    (void)arg;
    (void)local;
    return hk_fail(call, 1, "this worker does not start");
}

static bool is_broken(void *arg)
{
    struct squares squares = {.of = {0}};
    hk_range range;

    return hk_parallel_for(&range, arg, 0, PLACES, square_some, &squares, NULL) == HK_EINIT;
}

static void a_broken_pool_refuses_a_range(void)
{
    hk_executor *pool =
        hkt_pool_create((hk_executor_options){.workers = 2, .initializer = fail_initialiser});

    /* Until the first worker has failed, the caller runs what there is. */
    HKT_TRUE(hkt_eventually(is_broken, pool));
    HKT_OK(hk_executor_destroy(pool));
}

struct closing {
    hk_executor *pool;
    hk_shutdown_how how;
    atomic_size_t turns;
};

static hk_status count_turns(hk_range *range, size_t begin, size_t end, void *context)
{
    struct closing *closing = context;

    (void)range;
    atomic_fetch_add(&closing->turns, end - begin);
    return HK_OK;
}

static void *close_pool(void *arg)
{
    struct closing *closing = arg;

    HKT_OK(hk_executor_shutdown(closing->pool, closing->how, 0));
    return NULL;
}

/* Whatever comes when: all of it, none of it, or HK_ECANCELED. */
static void a_shutdown_in_between_ends_a_range_once(void)
{
    unsigned rounds = 600 / hkt_slowness();

    for (unsigned i = 0; i < rounds; i++) {
        struct closing closing = {.pool = hkt_pool_create((hk_executor_options){.workers = 3}),
                                  .how = (hk_shutdown_how)(i % 3)};
        pthread_t closer;
        hk_range range;
        hk_status status;

        HKT_EQ_INT_FATAL(pthread_create(&closer, NULL, close_pool, &closing), 0);
        do {
            atomic_store(&closing.turns, 0);
            status = hk_parallel_for(&range, closing.pool, 0, 1000, count_turns, &closing, NULL);
            if (status == HK_OK) {
                HKT_EQ_INT(closing.turns, 1000);
            }
        } while (status == HK_OK);
        HKT_TRUE(status == HK_ECLOSED ||
                 (status == HK_ECANCELED && closing.how == HK_SHUTDOWN_CANCEL_ALL));
        HKT_TRUE(status != HK_ECLOSED || closing.turns == 0);
        HKT_EQ_INT(pthread_join(closer, NULL), 0);
        HKT_OK(hk_executor_destroy(closing.pool));
    }
}

static hk_status fork_once(hk_range *range, size_t begin, size_t end, void *context)
{
    atomic_size_t *turns = context;

    (void)range;
    (void)begin;
    atomic_fetch_add(turns, end - begin);
    return HK_OK;
}

static void range_in_child(void *arg)
{
    hk_range *range = arg;
    hk_range another;
    atomic_size_t turns = 0;

    HKT_CHILD_STATUS(hk_parallel_for(&another, range->executor_, 0, 10, fork_once, &turns, NULL),
                     HK_EFORKED);
    HKT_CHILD_STATUS(hk_range_end(range), HK_EFORKED);
    HKT_CHILD_TRUE(hk_range_has_ended(range));
}

static void a_child_has_no_part_in_a_range(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    atomic_size_t turns = 0;
    struct hkt_plug plug;
    hk_range range;

    hkt_plug_insert(&plug, pool, 2);
    HKT_OK_FATAL(hk_range_begin(&range, pool, 0, 100, fork_once, &turns, NULL));
    hkt_expect_good_child(range_in_child, &range);
    HKT_OK(hk_range_end(&range));
    HKT_EQ_INT(turns, 100);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
}

static CU_TestInfo tests[] = {
    HKT_TEST(as_many_take_part_as_there_are_workers),
    HKT_TEST(a_wide_pool_takes_part_as_a_whole),
    HKT_TEST(what_pieces_write_is_there_when_a_range_has_ended),
    HKT_TEST(a_range_goes_on_though_no_worker_is_free),
    HKT_TEST(a_full_queue_does_not_refuse_a_range),
    HKT_TEST(a_run_limit_of_the_pool_is_not_one_of_its_ranges),
    HKT_TEST(ranges_of_a_task_leave_nothing_in_the_queue),
    HKT_TEST(a_caller_that_closes_a_ring_is_refused_and_ends_later),
    HKT_TEST(a_piece_that_closes_a_ring_is_refused),
    HKT_TEST(the_pool_makes_up_for_a_task_that_waits_for_its_range),
    HKT_TEST(a_broken_pool_refuses_a_range),
    HKT_TEST(a_shutdown_in_between_ends_a_range_once),
    HKT_TEST(a_child_has_no_part_in_a_range),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "range_pool", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
