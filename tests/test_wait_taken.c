/* SPDX-License-Identifier: MIT */
/* What is waited for can come and go while somebody sleeps: taken by a thread that is in
 * no graph. Who waited for the sleeper may have looked in that moment. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sanitizers.h"
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

/* --- A thread that is slow to wake -------------------------------------------- */

#define HAS_PROMPT_SIGNALS (HKI_THREAD_SANITIZER == 0)

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

/* --- Room for tasks, and futures that ended -------------------------------------- */

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

/* --- Items ------------------------------------------------------------------------- */

/* A queue or a ring, and one of its calls. */
static hk_queue *queue;
static hk_ring *ring;

static hk_status get_from_queue(void *unused)
{
    void *item;

    (void)unused;
    return hk_queue_get(queue, HK_FOREVER, &item);
}

static hk_status select_from_queue(void *unused)
{
    size_t which;
    void *item;

    (void)unused;
    return hk_queue_get_any(&queue, 1, HK_FOREVER, &item, &which);
}

static hk_status get_from_ring(void *unused)
{
    void *item;

    (void)unused;
    return hk_ring_get(ring, HK_FOREVER, &item);
}

static hk_status bind_as_putter(void *unused)
{
    hk_status status = hk_queue_bind(queue, HK_QUEUE_PUTTER);

    (void)unused;
    return status == HK_OK ? hk_ring_bind(ring, HK_QUEUE_PUTTER) : status;
}

static hk_status put_into_both(void *unused)
{
    static int item;
    hk_status status = hk_queue_put(queue, &item, HK_FOREVER);

    (void)unused;
    return status == HK_OK ? hk_ring_put(ring, &item, HK_FOREVER) : status;
}

static hk_status put_and_acquire(void *lock)
{
    hk_status status = put_into_both(NULL);

    if (status == HK_OK && (status = hkt_acquire(lock)) == HK_EDEADLK) {
        HKT_OK(put_into_both(NULL)); /* For the holder. */
    }
    return status;
}

static void take_from_both(void)
{
    void *item;

    HKT_OK(hk_queue_get(queue, 0, &item));
    HKT_OK(hk_ring_get(ring, 0, &item));
}

struct stage {
    struct hkt_puppet getter; /* Holds the lock. */
    struct hkt_puppet putter; /* The only one. */
};

static void set_stage(struct stage *stage)
{
    HKT_OK_FATAL(hk_queue_create(NULL, &queue));
    HKT_OK_FATAL(hk_ring_create(NULL, &ring));
    hkt_puppet_make(&stage->getter);
    hkt_puppet_make(&stage->putter);
    HKT_OK(hkt_puppet_do(&stage->putter, bind_as_putter, NULL));
    HKT_OK(hkt_puppet_do(&stage->getter, hkt_acquire, &ring_lock));
}

static void clear_stage(struct stage *stage)
{
    hkt_puppet_retire(&stage->getter);
    hkt_puppet_retire(&stage->putter);
    HKT_OK(hk_queue_destroy(queue));
    HKT_OK(hk_ring_destroy(ring));
}

static void an_item_that_another_took_is_not_waited_for_in_vain(void)
{
    static hkt_act_fn *const gets[] = {get_from_queue, select_from_queue, get_from_ring};

    for (size_t i = 0; HAS_PROMPT_SIGNALS && i < sizeof(gets) / sizeof(gets[0]); i++) {
        struct stage stage;

        set_stage(&stage);
        hkt_puppet_begin_asleep(&stage.getter, gets[i], NULL);
        hold_in_handler(&stage.getter);
        HKT_OK(hkt_puppet_do(&stage.putter, put_into_both, NULL));
        hkt_puppet_begin_asleep(&stage.putter, hkt_acquire, &ring_lock);
        take_from_both();
        let_go_of_handler();
        HKT_STATUS(hkt_puppet_finish(&stage.getter), HK_EDEADLK);
        HKT_OK(hkt_puppet_do(&stage.getter, hkt_release, &ring_lock));
        HKT_OK(hkt_puppet_finish(&stage.putter));
        HKT_OK(hkt_puppet_do(&stage.putter, hkt_release, &ring_lock));
        clear_stage(&stage);
        forget_handler();
    }
}

/* Who was not woken for it does not sleep through it either. */
static void one_of_two_gets(hkt_act_fn *get)
{
    struct stage stage;
    struct hkt_puppet quick;
    hk_status got;
    hk_status acquired;

    set_stage(&stage);
    hkt_puppet_make(&quick);
    hkt_puppet_begin_asleep(&quick, get, NULL);
    hkt_puppet_begin_asleep(&stage.getter, get, NULL);
    hkt_puppet_begin(&stage.putter, put_and_acquire, &ring_lock);
    HKT_TRUE(hkt_falls_asleep(stage.putter.thread.id));
    if ((got = hkt_puppet_finish(&stage.getter)) == HK_OK) {
        HKT_OK(hkt_puppet_do(&stage.getter, put_into_both, NULL)); /* For the other. */
    }
    HKT_OK(hkt_puppet_do(&stage.getter, hkt_release, &ring_lock));
    if ((acquired = hkt_puppet_finish(&stage.putter)) == HK_OK) {
        HKT_OK(hkt_puppet_do(&stage.putter, hkt_release, &ring_lock));
    }
    HKT_OK(hkt_puppet_finish(&quick));
    hkt_puppet_retire(&quick);
    HKT_TRUE(got == HK_OK || got == HK_EDEADLK);
    HKT_TRUE(acquired == HK_OK || (acquired == HK_EDEADLK && got == HK_OK));
    clear_stage(&stage);
}

static void an_item_that_one_of_two_got_is_not_waited_for_in_vain(void)
{
    for (unsigned round = 0; round < 20 / hkt_slowness() + 1; round++) {
        one_of_two_gets(get_from_queue);
        one_of_two_gets(select_from_queue);
        one_of_two_gets(get_from_ring);
    }
}

static hk_status unbind(void *unused)
{
    hk_status status = hk_queue_unbind(queue, HK_QUEUE_PUTTER);

    (void)unused;
    return status == HK_OK ? hk_ring_unbind(ring, HK_QUEUE_PUTTER) : status;
}

/* While another could put the only putter's wait is none of a ring; then it cannot. */
static void a_putter_that_is_none_any_more_is_not_counted_on(void)
{
    static hkt_act_fn *const gets[] = {get_from_queue, select_from_queue, get_from_ring};

    for (size_t i = 0; i < sizeof(gets) / sizeof(gets[0]); i++) {
        struct hkt_puppet another;
        struct stage stage;

        set_stage(&stage);
        hkt_puppet_make(&another);
        HKT_OK(hkt_puppet_do(&another, bind_as_putter, NULL));
        hkt_puppet_begin_asleep(&stage.getter, gets[i], NULL);
        hkt_puppet_begin_asleep(&stage.putter, hkt_acquire, &ring_lock);
        HKT_OK(hkt_puppet_do(&another, unbind, NULL));
        HKT_STATUS(hkt_puppet_finish(&stage.getter), HK_EDEADLK);
        HKT_OK(hkt_puppet_do(&stage.getter, hkt_release, &ring_lock));
        HKT_OK(hkt_puppet_finish(&stage.putter));
        HKT_OK(hkt_puppet_do(&stage.putter, hkt_release, &ring_lock));
        hkt_puppet_retire(&another);
        clear_stage(&stage);
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(room_that_another_took_is_not_waited_for_in_vain),
    HKT_TEST(room_that_one_of_two_got_is_not_waited_for_in_vain),
    HKT_TEST(a_completion_that_another_took_is_not_waited_for_in_vain),
    HKT_TEST(an_item_that_another_took_is_not_waited_for_in_vain),
    HKT_TEST(an_item_that_one_of_two_got_is_not_waited_for_in_vain),
    HKT_TEST(a_putter_that_is_none_any_more_is_not_counted_on),
    CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    static CU_SuiteInfo suites[] = {{.pName = "wait taken", .pTests = tests}, CU_SUITE_INFO_NULL};

    return hkt_main(argc, argv, suites);
}
