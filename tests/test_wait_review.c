/* SPDX-License-Identifier: MIT */
/* What code of the application waits for beside its tasks: in initialisers, finalisers and
 * drop functions; and waits for one of two, of which one drops out. */
#include <unistd.h>

#include "tests/lock_fixture.h"

static hk_executor *pool_of(unsigned workers)
{
    return hkt_pool_create(
        (hk_executor_options){.workers = workers, .spare_workers = HK_NO_SPARES});
}

/* The lock that closes the ring; held by a puppet. */
static hk_lock ring_lock = HK_LOCK_INIT("ring");

static hk_status take_and_give(void)
{
    hk_status status = hk_lock_acquire(&ring_lock);

    if (status == HK_OK) {
        HKT_OK(hk_lock_release(&ring_lock));
    }
    return status;
}

/* Who asks for the lock, and what came of it. */
static _Atomic pid_t wanting;
static _Atomic(hk_status) wanted;

/* The pool knows that it waits, after which it looked once more, and sleeps. */
static void await_wanting(hk_executor *pool)
{
    HKT_TRUE(hkt_becomes(pool, hkt_blocked, 1));
    HKT_TRUE(hkt_falls_asleep(atomic_load(&wanting)));
}

/* Of two who wait for each other. */
static void expect_one_refusal(hk_status one, hk_status other)
{
    HKT_TRUE(one == HK_OK || one == HK_EDEADLK);
    HKT_TRUE(other == HK_OK || other == HK_EDEADLK);
    HKT_EQ_INT((one == HK_EDEADLK) + (other == HK_EDEADLK), 1);
}

static hk_status await_future(void *future)
{
    return hk_future_wait(future, HK_FOREVER);
}

/* --- What drops out ---------------------------------------------------------------- */

/* One waits for an error, or for the first that ends well, of two: something, and the
 * other, who waits for it. */
struct pair {
    bool wants_error;
    hk_future *something;
    hk_future *futures[2];
    struct hkt_gate go[2];
    hk_status status[2];
};

static struct pair pair;

static hk_status await_either(hk_future *one, hk_future *other)
{
    hk_future *both[2] = {one, other};
    hk_future *first;
    hk_status status;

    if (pair.wants_error) {
        return hk_wait(both, 2, HK_FIRST_ERROR, HK_FOREVER, NULL, NULL);
    }
    status = hk_when_any(both, 2, &first);
    if (status == HK_OK) {
        status = hk_future_wait(first, HK_FOREVER);
        hk_future_unref(first);
    }
    return status;
}

HK_TASK(awaits_either)
{
    (void)call;
    (void)in;
    (void)in_size;
    hkt_gate_wait(&pair.go[0]);
    pair.status[0] = await_either(pair.something, pair.futures[1]);
    return HK_OK;
}

HK_TASK(awaits_the_other)
{
    (void)call;
    (void)in;
    (void)in_size;
    hkt_gate_wait(&pair.go[1]);
    pair.status[1] = hk_future_wait(pair.futures[0], HK_FOREVER);
    return HK_OK;
}

/* By reference: a gate; then it ends as the pair does not want it. */
HK_TASK(drops_out)
{
    (void)in_size;
    hkt_gate_wait((struct hkt_gate *)(uintptr_t)in);
    return pair.wants_error ? HK_OK : hk_fail(call, 1, "not this one");
}

static void expect_refusal_in_pair(bool wants_error, bool drops_out_late)
{
    hk_executor *pool = pool_of(3);
    struct hkt_gate gate;

    pair.wants_error = wants_error;
    hkt_gate_init(&gate, "what drops out");
    hkt_gate_init(&pair.go[0], "who awaits either");
    hkt_gate_init(&pair.go[1], "who awaits the other");
    pair.something = hkt_submit_ref(pool, drops_out, &gate);
    if (!drops_out_late) {
        hkt_gate_open(&gate);
        HKT_OK(hk_future_wait(pair.something, HK_FOREVER));
    }
    pair.futures[0] = hkt_submit_int(pool, awaits_either, 0);
    pair.futures[1] = hkt_submit_int(pool, awaits_the_other, 0);
    hkt_gate_open(&pair.go[0]);
    HKT_TRUE(hkt_becomes(pool, hkt_blocked, 1));
    hkt_gate_open(&pair.go[1]);
    if (drops_out_late) {
        HKT_TRUE(hkt_becomes(pool, hkt_blocked, 2));
        hkt_gate_open(&gate);
    }
    HKT_OK(hk_future_wait(pair.futures[0], HK_FOREVER));
    HKT_OK(hk_future_wait(pair.futures[1], HK_FOREVER));
    for (int i = 0; i < 2; i++) {
        hk_future_unref(pair.futures[i]);
        hkt_gate_fini(&pair.go[i]);
    }
    hkt_expect_end(pair.something, wants_error ? HK_OK : HK_EFAILED);
    HKT_OK(hk_executor_destroy(pool));
    hkt_gate_fini(&gate);
    expect_one_refusal(pair.status[0], pair.status[1]);
}

static void what_ended_well_brings_no_error(void)
{
    expect_refusal_in_pair(true, false);
}

static void what_ends_well_brings_no_error_any_more(void)
{
    expect_refusal_in_pair(true, true);
}

static void what_failed_is_not_the_first(void)
{
    expect_refusal_in_pair(false, false);
}

static void what_fails_is_not_the_first_any_more(void)
{
    expect_refusal_in_pair(false, true);
}

/* --- Drop functions ------------------------------------------------------------------ */

/* What a task leaves behind for nobody. */
struct legacy {
    struct hkt_gate submitted; /* So that the worker gives back the last reference. */
    struct hkt_gate dropping;
    bool wants_lock;
};

static void drop_legacy(void *arg)
{
    struct legacy *legacy = arg;

    if (legacy->wants_lock) {
        atomic_store(&wanting, gettid());
        atomic_store(&wanted, take_and_give());
    }
    hkt_gate_wait(&legacy->dropping);
}

HK_TASK(leaves_a_legacy)
{
    struct legacy *legacy = (struct legacy *)(uintptr_t)in;

    (void)in_size;
    hkt_gate_wait(&legacy->submitted);
    return hk_return_ref(call, legacy, drop_legacy);
}

static void leave_legacy(struct legacy *legacy, hk_executor *pool)
{
    hkt_gate_init(&legacy->submitted, "submitted");
    hkt_gate_init(&legacy->dropping, "dropping");
    HKT_OK(hk_submit_ref(pool, leaves_a_legacy, legacy, NULL, NULL, NULL));
    hkt_gate_open(&legacy->submitted);
}

static void forget_legacy(struct legacy *legacy)
{
    hkt_gate_fini(&legacy->submitted);
    hkt_gate_fini(&legacy->dropping);
}

/* A worker whose task has ended is as good as idle, but not if it drops what is left. */
static void a_worker_that_drops_a_value_is_not_counted_on(void)
{
    hk_executor *pool = pool_of(2);
    struct legacy legacy = {.wants_lock = false};
    hk_future *next;

    leave_legacy(&legacy, pool);
    hkt_gate_await_arrivals(&legacy.dropping, 1);
    next = hkt_submit_int(pool, hkt_nothing, 0);
    HKT_OK(hk_future_wait(next, HK_SEC(20)));
    hkt_gate_open(&legacy.dropping);
    hkt_expect_end(next, HK_OK);
    HKT_OK(hk_executor_destroy(pool));
    forget_legacy(&legacy);
}

static void a_drop_function_is_seen_to_wait(void)
{
    hk_executor *pool = pool_of(1);
    struct legacy legacy = {.wants_lock = true};
    struct hkt_puppet puppet;
    hk_future *next;
    hk_status status;

    hkt_puppet_make(&puppet);
    HKT_OK(hkt_puppet_do(&puppet, hkt_acquire, &ring_lock));
    leave_legacy(&legacy, pool);
    hkt_gate_open(&legacy.dropping);
    await_wanting(pool);
    next = hkt_submit_int(pool, hkt_nothing, 0);
    status = hkt_puppet_do(&puppet, await_future, next);
    HKT_OK(hkt_puppet_do(&puppet, hkt_release, &ring_lock));
    hkt_expect_end(next, HK_OK);
    hkt_puppet_retire(&puppet);
    HKT_OK(hk_executor_destroy(pool));
    expect_one_refusal(status, atomic_load(&wanted));
    forget_legacy(&legacy);
}

/* --- Initialisers and finalisers -------------------------------------------------------- */

static _Atomic pid_t taker;
static _Atomic(hk_status) taken;

static hk_status take_in_initialiser(hk_call *call, void *arg, void **local)
{
    (void)call;
    (void)arg;
    (void)local;
    atomic_store(&taker, gettid());
    atomic_store(&taken, take_and_give());
    return HK_OK;
}

static void take_in_finaliser(void *local, void *arg)
{
    (void)local;
    (void)arg;
    atomic_store(&taker, gettid());
    atomic_store(&taken, take_and_give());
}

static bool taker_has_come(void *unused)
{
    (void)unused;
    return atomic_load(&taker) != 0;
}

static void await_taker(void)
{
    HKT_TRUE(hkt_eventually(taker_has_come, NULL));
    HKT_TRUE(hkt_falls_asleep(atomic_load(&taker)));
}

/* A task waits for a worker, which waits for the puppet, which waits for the task. */
static void expect_refusal(hk_executor *pool, struct hkt_puppet *puppet, hk_future *future)
{
    await_taker();
    HKT_STATUS(hkt_puppet_do(puppet, await_future, future), HK_EDEADLK);
    HKT_OK(hkt_puppet_do(puppet, hkt_release, &ring_lock));
    hkt_expect_end(future, HK_OK);
    hkt_puppet_retire(puppet);
    HKT_OK(hk_executor_destroy(pool));
    HKT_OK(atomic_load(&taken));
}

static void begin_taking(struct hkt_puppet *puppet)
{
    atomic_store(&taker, 0);
    hkt_puppet_make(puppet);
    HKT_OK(hkt_puppet_do(puppet, hkt_acquire, &ring_lock));
}

/* With spares, too: one in its initialiser is counted on, so no other is started. */
static void an_initialiser_is_seen_to_wait(void)
{
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        hk_executor *pool = hkt_pool_create(
            (hk_executor_options){.workers = workers, .initializer = take_in_initialiser});
        struct hkt_puppet puppet;

        begin_taking(&puppet);
        expect_refusal(pool, &puppet, hkt_submit_int(pool, hkt_nothing, 0));
    }
}

static void a_finaliser_is_seen_to_wait(void)
{
    hk_executor *pool = hkt_pool_create(
        (hk_executor_options){.workers = 1, .tasks_per_worker = 1, .finalizer = take_in_finaliser});
    struct hkt_puppet puppet;

    begin_taking(&puppet);
    hkt_expect_end(hkt_submit_int(pool, hkt_nothing, 0), HK_OK);
    await_taker();
    expect_refusal(pool, &puppet, hkt_submit_int(pool, hkt_nothing, 0));
}

static hk_status submit_nothing(void *executor)
{
    return hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL);
}

static hk_status prestart(void *pool)
{
    return hk_executor_prestart(pool, HK_FOREVER);
}

/* Either of the two may be the one that closes the ring. */
static void a_start_is_not_waited_for_in_vain(void)
{
    hk_executor *pool =
        hkt_pool_create((hk_executor_options){.workers = 1, .initializer = take_in_initialiser});
    struct hkt_puppet puppet;
    hk_status status;

    begin_taking(&puppet);
    atomic_store(&taken, HK_OK);
    status = hkt_puppet_do(&puppet, prestart, pool);
    HKT_OK(hkt_puppet_do(&puppet, hkt_release, &ring_lock));
    hkt_puppet_retire(&puppet);
    HKT_OK(hk_executor_destroy(pool));
    HKT_EQ_INT((status == HK_EDEADLK) + (atomic_load(&taken) == HK_EDEADLK), 1);
}

static void the_initialiser_of_an_inline_executor_is_seen_to_wait(void)
{
    hk_executor_options options = {.initializer = take_in_initialiser};
    hk_executor *executor;
    struct hkt_puppet owner;
    struct hkt_puppet other;

    HKT_OK_FATAL(hk_inline_create(&options, &executor));
    begin_taking(&owner);
    hkt_puppet_make(&other);
    hkt_puppet_begin(&other, submit_nothing, executor);
    await_taker();
    HKT_STATUS(hkt_puppet_do(&owner, submit_nothing, executor), HK_EDEADLK);
    HKT_OK(hkt_puppet_do(&owner, hkt_release, &ring_lock));
    HKT_OK(hkt_puppet_finish(&other));
    HKT_OK(hkt_puppet_do(&owner, submit_nothing, executor));
    hkt_puppet_retire(&owner);
    hkt_puppet_retire(&other);
    HKT_OK(hk_executor_destroy(executor));
}

static CU_TestInfo tests[] = {
    HKT_TEST(what_ended_well_brings_no_error),
    HKT_TEST(what_ends_well_brings_no_error_any_more),
    HKT_TEST(what_failed_is_not_the_first),
    HKT_TEST(what_fails_is_not_the_first_any_more),
    HKT_TEST(a_worker_that_drops_a_value_is_not_counted_on),
    HKT_TEST(a_drop_function_is_seen_to_wait),
    HKT_TEST(an_initialiser_is_seen_to_wait),
    HKT_TEST(a_finaliser_is_seen_to_wait),
    HKT_TEST(a_start_is_not_waited_for_in_vain),
    HKT_TEST(the_initialiser_of_an_inline_executor_is_seen_to_wait),
    CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    static CU_SuiteInfo suites[] = {{.pName = "wait review", .pTests = tests}, CU_SUITE_INFO_NULL};

    return hkt_main(argc, argv, suites);
}
