/* SPDX-License-Identifier: MIT */
/* Waits of the pool of processes as part of the wait-for graph. */
#include <hocket/lock.h>

#include <hocket/process_pool.h>
#include <hocket/replay.h>

#include "base/os.h"
#include "tests/process_fixture.h"
#include "tests/promise_fixture.h"

/* A callback that needs the lock of who waits for the pool. */
struct ring {
    hk_lock lock;
    struct hkt_gate inside; /* The callback runs. */
    hk_status callback;
};

static void needs_the_lock(hk_future *future, void *arg)
{
    struct ring *ring = arg;

    (void)future;
    hkt_gate_wait(&ring->inside);
    ring->callback = hk_lock_acquire(&ring->lock);
    if (ring->callback == HK_OK) {
        HKT_OK(hk_lock_release(&ring->lock));
    }
}

/* Whoever closes the ring last is refused; either way both go on. */
static void a_callback_that_needs_the_joiners_lock_is_no_hang(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct hkt_stand *stand = hkt_stand_new();
    struct ring ring = {.callback = HK_OK};
    hk_future *future;
    hk_status joined;

    HKT_OK_FATAL(hk_lock_init(&ring.lock, NULL));
    hkt_gate_init(&ring.inside, "inside");
    HKT_OK(hk_lock_acquire(&ring.lock));
    future = hkt_stand_submit(pool, stand); /* Or the callback might be ours to run. */
    HKT_OK(hk_future_on_done(future, NULL, needs_the_lock, &ring, NULL));
    hkt_gate_open(&stand->gate);
    hkt_gate_await_arrivals(&ring.inside, 1);
    hkt_gate_open(&ring.inside);
    joined = hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER);
    HKT_OK(hk_lock_release(&ring.lock));
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_TRUE((joined == HK_EDEADLK) != (ring.callback == HK_EDEADLK));
    hk_future_unref(future);
    hkt_processes_end(pool);
    hkt_gate_fini(&ring.inside);
    HKT_OK(hk_lock_destroy(&ring.lock));
}

/* Nobody here holds up the start, whatever the caller holds. */
static void workers_may_be_awaited_with_a_lock_held(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    hk_lock lock;

    HKT_OK_FATAL(hk_lock_init(&lock, NULL));
    HKT_OK(hk_lock_acquire(&lock));
    HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_OK(hk_lock_release(&lock));
    HKT_OK(hk_lock_destroy(&lock));
    hkt_processes_end(pool);
}

/* A callback that waits for the chain of another task: that is for the same thread to run. */
struct behind {
    hk_future *second;
    hk_future *chained;
    struct hkt_gate inside; /* The callback runs. */
    hk_status callback;
};

static void waits_for_what_is_behind_it(hk_future *future, void *arg)
{
    struct behind *behind = arg;

    (void)future;
    hkt_gate_wait(&behind->inside);
    while (!hk_future_has_ended(behind->second)) {
        hki_os_yield();
    }
    behind->callback = hk_future_result(behind->chained, HK_FOREVER, NULL, NULL);
}

static hk_status goes_on(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    (void)arg;
    return HK_OK;
}

static void a_callback_that_waits_for_what_is_behind_it_is_no_hang(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    struct behind behind = {.callback = HK_OK};
    struct hkt_stand *stands[] = {hkt_stand_new(), hkt_stand_new()};
    hk_future *first = hkt_stand_submit(pool, stands[0]);

    hkt_gate_init(&behind.inside, "inside");
    behind.second = hkt_stand_submit(pool, stands[1]);
    HKT_OK(hk_then(behind.second, NULL, goes_on, NULL, &behind.chained));
    HKT_OK(hk_future_on_done(first, NULL, waits_for_what_is_behind_it, &behind, NULL));
    hkt_gate_open(&stands[0]->gate);
    hkt_gate_await_arrivals(&behind.inside, 1);
    hkt_gate_open(&stands[1]->gate);
    hkt_gate_open(&behind.inside);
    while (!hk_future_has_ended(behind.chained)) {
        hki_os_yield();
    }
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_STATUS(behind.callback, HK_EDEADLK);
    hk_future_unref(first);
    hk_future_unref(behind.second);
    hk_future_unref(behind.chained);
    hkt_gate_fini(&behind.inside);
    hkt_processes_end(pool);
}

/* Its threads are none of the world's: what they take must not be a turn there, nor be refused. */
static void a_pool_that_begins_beside_a_replay_takes_no_turn(void)
{
    hk_executor *replay = NULL;
    hk_executor *pool = NULL;
    struct hkt_log log;

    HKT_OK_FATAL(hk_zygote_start());
    hkt_log_begin(&log);
    HKT_OK_FATAL(hk_replay_create(1, NULL, &replay));
    for (int i = 0; i < 20; i++) {
        HKT_OK_FATAL(hk_process_pool_create(&(hk_executor_options){.workers = 1}, &pool));
        HKT_OK(hk_executor_destroy(pool));
    }
    HKT_OK(hk_executor_destroy(replay));
    HKT_EQ_INT(log.lines, 0);
    hkt_log_end(&log);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_callback_that_needs_the_joiners_lock_is_no_hang),
    HKT_TEST(a_callback_that_waits_for_what_is_behind_it_is_no_hang),
    HKT_TEST(a_pool_that_begins_beside_a_replay_takes_no_turn),
    HKT_TEST(workers_may_be_awaited_with_a_lock_held),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_waits", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
