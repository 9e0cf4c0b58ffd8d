/* SPDX-License-Identifier: MIT */
/* Waits that only some interleaving makes endless, and code of the application that
 * runs beside tasks: initialisers, finalisers, drop functions. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lock_fixture.h"

static hk_executor *pool_of(unsigned workers, size_t capacity)
{
    return hkt_pool_create((hk_executor_options){
        .workers = workers, .spare_workers = HK_NO_SPARES, .queue_capacity = capacity});
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

/* By reference: a gate to stand at, then the lock. */
static _Atomic pid_t wanting;
static _Atomic(hk_status) wanted;

HK_TASK(wants_lock)
{
    (void)call;
    (void)in_size;
    atomic_store(&wanting, gettid());
    if (in != NULL) {
        hkt_gate_wait((struct hkt_gate *)(uintptr_t)in);
    }
    atomic_store(&wanted, take_and_give());
    return HK_OK;
}

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

/* --- The first error ------------------------------------------------------------ */

struct pair {
    hk_future *ended;
    hk_future *futures[2];
    struct hkt_gate go[2];
    hk_status status[2];
};

static struct pair pair;

HK_TASK(awaits_an_error)
{
    hk_future *both[2];

    (void)call;
    (void)in;
    (void)in_size;
    hkt_gate_wait(&pair.go[0]);
    both[0] = pair.ended;
    both[1] = pair.futures[1];
    pair.status[0] = hk_wait(both, 2, HK_FIRST_ERROR, HK_FOREVER, NULL, NULL);
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

/* A future that ended without an error does not bring one. */
static void what_ended_well_brings_no_error(void)
{
    hk_executor *pool = pool_of(2, 0);

    pair.ended = hkt_submit_int(pool, hkt_nothing, 0);
    HKT_OK(hk_future_wait(pair.ended, HK_FOREVER));
    hkt_gate_init(&pair.go[0], "who awaits an error");
    hkt_gate_init(&pair.go[1], "who awaits the other");
    pair.futures[0] = hkt_submit_int(pool, awaits_an_error, 0);
    pair.futures[1] = hkt_submit_int(pool, awaits_the_other, 0);
    hkt_gate_await_arrivals(&pair.go[1], 1);
    hkt_gate_open(&pair.go[0]);
    HKT_TRUE(hkt_becomes(pool, hkt_blocked, 1));
    hkt_gate_open(&pair.go[1]);
    HKT_OK(hk_future_wait(pair.futures[0], HK_FOREVER));
    hkt_expect_end(pair.futures[1], HK_OK);
    hkt_expect_end(pair.futures[0], HK_OK);
    expect_one_refusal(pair.status[0], pair.status[1]);
    hk_future_unref(pair.ended);
    HKT_OK(hk_executor_destroy(pool));
    hkt_gate_fini(&pair.go[0]);
    hkt_gate_fini(&pair.go[1]);
}

/* --- What came and went while somebody slept --------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#define HAS_PROMPT_SIGNALS false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_PROMPT_SIGNALS false
#endif
#endif
#ifndef HAS_PROMPT_SIGNALS
#define HAS_PROMPT_SIGNALS true
#endif

/* A thread that sleeps is held in a handler, as if it were slow to wake. */
static int came[2];
static int go_on[2];

static void stand_still(int number)
{
    char byte = 0;

    (void)number;
    while (write(came[1], &byte, 1) != 1) {
    }
    while (read(go_on[0], &byte, 1) != 1) {
    }
}

static void hold_in_handler(struct hkt_puppet *puppet)
{
    struct sigaction action = {.sa_handler = stand_still, .sa_flags = SA_RESTART};
    char byte;

    HKT_EQ_INT(pipe(came), 0);
    HKT_EQ_INT(pipe(go_on), 0);
    sigemptyset(&action.sa_mask);
    HKT_EQ_INT(sigaction(SIGUSR1, &action, NULL), 0);
    HKT_EQ_INT(pthread_kill(puppet->thread.thread, SIGUSR1), 0);
    HKT_EQ_INT(read(came[0], &byte, 1), 1);
}

static void let_go_of_handler(void)
{
    HKT_EQ_INT(write(go_on[1], "", 1), 1);
}

static void forget_handler(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 2; i++) {
        close(came[i]);
        close(go_on[i]);
    }
}

static hk_status submit_nothing(void *executor)
{
    return hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL);
}

/* While the puppet slept there was room, for which the worker, which waits for its
 * lock, was let sleep; then somebody took it who is in no graph. */
static void room_that_another_took_is_not_waited_for_in_vain(void)
{
    hk_executor *pool;
    struct hkt_puppet puppet;
    struct hkt_plug plug;
    hk_future *future;
    hk_future *taking;
    hk_status status;

    if (!HAS_PROMPT_SIGNALS) {
        return;
    }
    pool = pool_of(1, 1);
    hkt_plug_insert(&plug, pool, 1);
    future = hkt_submit_ref(pool, wants_lock, NULL);
    hkt_puppet_make(&puppet);
    HKT_OK(hkt_puppet_do(&puppet, hkt_acquire, &ring_lock));
    hkt_puppet_begin_asleep(&puppet, submit_nothing, pool);
    hold_in_handler(&puppet);
    hkt_plug_pull(&plug);
    await_wanting(pool);
    taking = hkt_submit_int(pool, hkt_nothing, 0);
    let_go_of_handler();
    status = hkt_puppet_finish(&puppet);
    HKT_OK(hkt_puppet_do(&puppet, hkt_release, &ring_lock));
    hkt_expect_end(future, HK_OK);
    expect_one_refusal(status, atomic_load(&wanted));
    hkt_expect_end(taking, HK_OK);
    hkt_puppet_retire(&puppet);
    HKT_OK(hk_executor_destroy(pool));
    forget_handler();
}

/* Room that one of two gets: the other must not sleep through it. The worker that made it
 * waits for the other, and may have looked while nobody had it yet. */
struct rivals {
    hk_executor *pool;
    hk_future *submitting; /* A task of another pool, which waits for room. */
    _Atomic(hk_status) submitted;
    _Atomic(hk_status) awaited;
};

static struct rivals rivals;

HK_TASK(submits)
{
    (void)call;
    (void)in;
    (void)in_size;
    atomic_store(&rivals.submitted, submit_nothing(rivals.pool));
    return HK_OK;
}

HK_TASK(awaits_the_submit)
{
    (void)call;
    (void)in;
    (void)in_size;
    atomic_store(&rivals.awaited, hk_future_wait(rivals.submitting, HK_FOREVER));
    return HK_OK;
}

static void two_wait_for_room(void)
{
    hk_executor *others = pool_of(1, 0);
    struct hkt_puppet quick;
    struct hkt_plug plug;

    rivals.pool = pool_of(1, 1);
    hkt_plug_insert(&plug, rivals.pool, 1);
    HKT_OK(hk_submit(rivals.pool, awaits_the_submit, NULL, 0, NULL, NULL));
    hkt_puppet_make(&quick);
    hkt_puppet_begin_asleep(&quick, submit_nothing, rivals.pool);
    rivals.submitting = hkt_submit_int(others, submits, 0);
    HKT_TRUE(hkt_becomes(others, hkt_blocked, 1));
    hkt_plug_pull(&plug);
    HKT_OK(hkt_puppet_finish(&quick));
    hkt_puppet_retire(&quick);
    HKT_OK(hk_future_wait(rivals.submitting, HK_FOREVER));
    HKT_OK(hk_executor_destroy(rivals.pool));
    HKT_OK(hk_executor_destroy(others));
    hk_future_unref(rivals.submitting);
    /* Neither, if it got the room. */
    HKT_TRUE((atomic_load(&rivals.submitted) == HK_EDEADLK) +
                 (atomic_load(&rivals.awaited) == HK_EDEADLK) <=
             1);
}

static void room_that_one_of_two_got_is_not_waited_for_in_vain(void)
{
    for (unsigned round = 0; round < 20 / hkt_slowness() + 1; round++) {
        two_wait_for_room();
    }
}

static hk_status take_next(void *completion)
{
    return hk_completion_next(completion, HK_FOREVER, NULL, NULL);
}

/* The same with a future that another reader took. */
static void a_completion_that_another_took_is_not_waited_for_in_vain(void)
{
    hk_executor *pool;
    hk_completion *completion;
    struct hkt_puppet puppet;
    struct hkt_gate gates[2];
    hk_future *futures[2];
    hk_status status;

    if (!HAS_PROMPT_SIGNALS) {
        return;
    }
    pool = pool_of(2, 0);
    HKT_OK_FATAL(hk_completion_create(&completion));
    hkt_gate_init(&gates[0], "the first");
    hkt_gate_init(&gates[1], "the one that wants the lock");
    futures[0] = hkt_submit_ref(pool, hkt_stands_at_gate, &gates[0]);
    futures[1] = hkt_submit_ref(pool, wants_lock, &gates[1]);
    for (int i = 0; i < 2; i++) {
        HKT_OK(hk_completion_add(completion, futures[i], 0));
        hkt_gate_await_arrivals(&gates[i], 1);
    }
    hkt_puppet_make(&puppet);
    HKT_OK(hkt_puppet_do(&puppet, hkt_acquire, &ring_lock));
    hkt_puppet_begin_asleep(&puppet, take_next, completion);
    hold_in_handler(&puppet);
    hkt_gate_open(&gates[0]);
    HKT_OK(hk_future_wait(futures[0], HK_FOREVER));
    hkt_gate_open(&gates[1]);
    await_wanting(pool);
    HKT_OK(hk_completion_next(completion, 0, NULL, NULL));
    let_go_of_handler();
    status = hkt_puppet_finish(&puppet);
    HKT_OK(hkt_puppet_do(&puppet, hkt_release, &ring_lock));
    hkt_puppet_retire(&puppet);
    for (int i = 0; i < 2; i++) {
        hkt_expect_end(futures[i], HK_OK);
        hkt_gate_fini(&gates[i]);
    }
    expect_one_refusal(status, atomic_load(&wanted));
    hk_completion_destroy(completion);
    HKT_OK(hk_executor_destroy(pool));
    forget_handler();
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
    hk_executor *pool = pool_of(2, 0);
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
    hk_executor *pool = pool_of(1, 0);
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
    HKT_TEST(room_that_another_took_is_not_waited_for_in_vain),
    HKT_TEST(room_that_one_of_two_got_is_not_waited_for_in_vain),
    HKT_TEST(a_completion_that_another_took_is_not_waited_for_in_vain),
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
