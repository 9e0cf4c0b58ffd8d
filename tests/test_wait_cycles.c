/* SPDX-License-Identifier: MIT */
/*
 * Waits that can never end are refused, and no others. The order in which tasks
 * begin to wait is seen from outside: a thread has begun when it sleeps.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

static hk_executor *single(unsigned spares)
{
    return hkt_pool_create((hk_executor_options){.workers = 1, .spare_workers = spares});
}

/* --- Rings --- */

enum { RING_MAX = 3 };

/* Tasks that wait for one another. */
struct ring {
    hk_future *futures[RING_MAX];
    hk_status statuses[RING_MAX];
    unsigned count;
    struct hkt_gate complete; /* All are submitted, and have begun. */
};

static struct ring ring;

HK_TASK(waits_in_ring)
{
    unsigned index;

    memcpy(&index, in, sizeof(index));
    hkt_gate_wait(&ring.complete);
    ring.statuses[index] = hk_future_wait(ring.futures[(index + 1) % ring.count], HK_FOREVER);
    return HK_OK;
}

/* Runs a ring over some pools, in turn; exactly one of its waits is refused. */
static void expect_one_refusal(hk_executor *const *pools, unsigned pool_count, unsigned count)
{
    unsigned refused = 0;

    memset(&ring, 0, sizeof(ring));
    ring.count = count;
    hkt_gate_init(&ring.complete, "the ring is complete");
    for (unsigned i = 0; i < count; i++) {
        HKT_OK_FATAL(
            hk_submit(pools[i % pool_count], waits_in_ring, &i, sizeof(i), NULL, &ring.futures[i]));
    }
    hkt_gate_await_arrivals(&ring.complete, count);
    hkt_gate_open(&ring.complete);
    for (unsigned i = 0; i < count; i++) {
        HKT_OK(hk_future_wait(ring.futures[i], HK_FOREVER));
    }
    for (unsigned i = 0; i < count; i++) {
        HKT_TRUE(ring.statuses[i] == HK_OK || ring.statuses[i] == HK_EDEADLK);
        refused += ring.statuses[i] == HK_EDEADLK;
        hk_future_unref(ring.futures[i]);
    }
    HKT_EQ_INT(refused, 1);
    hkt_gate_fini(&ring.complete);
}

/* What the library said, to be read when its threads are gone. */
static char said[8192];
static pthread_mutex_t said_mutex = PTHREAD_MUTEX_INITIALIZER;

static void keep_line(hk_log_level level, const char *text, void *arg)
{
    size_t used;

    (void)level;
    (void)arg;
    pthread_mutex_lock(&said_mutex);
    used = strlen(said);
    snprintf(said + used, sizeof(said) - used, "%s\n", text);
    pthread_mutex_unlock(&said_mutex);
}

static void quiet(void)
{
    said[0] = '\0';
    hk_on_log(keep_line, NULL);
}

static void loud(void)
{
    hk_on_log(NULL, NULL);
}

static void a_wait_for_oneself_is_refused(void)
{
    hk_executor *pool = single(0);

    expect_one_refusal(&pool, 1, 1);
    HKT_OK(hk_executor_destroy(pool));
}

static void rings_are_refused_once(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = RING_MAX});

    for (unsigned i = 0; i < 300 / hkt_slowness(); i++) {
        expect_one_refusal(&pool, 1, 2 + i % 2);
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void rings_over_two_pools_are_refused_once(void)
{
    hk_executor *pools[2];

    for (int i = 0; i < 2; i++) {
        pools[i] = hkt_pool_create((hk_executor_options){.workers = 2});
    }
    for (unsigned i = 0; i < 300 / hkt_slowness(); i++) {
        expect_one_refusal(pools, 2, 2 + i % 2);
    }
    for (int i = 0; i < 2; i++) {
        HKT_OK(hk_executor_destroy(pools[i]));
    }
}

static void the_report_names_the_tasks_and_their_lines(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});

    said[0] = '\0';
    expect_one_refusal(&pool, 1, 2);
    HKT_OK(hk_executor_destroy(pool));
    HKT_TRUE(strstr(said, "waits_in_ring") != NULL);
    HKT_TRUE(strstr(said, "test_wait_cycles.c:") != NULL);
}

/* The ring of a task and its own child, which a claim runs on the same stack. */
static hk_future *parent_future;
static hk_status child_status;

HK_TASK(waits_for_its_parent)
{
    child_status = hk_future_wait(parent_future, HK_FOREVER);
    return HK_OK;
}

HK_TASK(has_a_child_that_waits_for_it)
{
    hk_future *child = NULL;
    hk_status status;

    hkt_gate_wait(&ring.complete);
    status = hk_submit(hk_call_executor(call), waits_for_its_parent, NULL, 0, NULL, &child);
    if (status == HK_OK) {
        status = hk_future_wait(child, HK_FOREVER);
    }
    hk_future_unref(child);
    return status;
}

static void a_claimed_child_may_not_wait_for_its_parent(void)
{
    hk_executor *pool = single(0);

    hkt_gate_init(&ring.complete, "the parent's future is known");
    HKT_OK_FATAL(hk_submit(pool, has_a_child_that_waits_for_it, NULL, 0, NULL, &parent_future));
    hkt_gate_open(&ring.complete);
    hkt_expect_end(parent_future, HK_OK);
    HKT_STATUS(child_status, HK_EDEADLK);
    HKT_OK(hk_executor_destroy(pool));
    hkt_gate_fini(&ring.complete);
}

/* --- Waits that look like deadlocks, some of which are --- */

/* A task that waits for some of several futures when it is told to. */
struct waiter {
    hk_future *own;
    hk_future *futures[2];
    size_t count;
    hk_wait_for what;
    hk_duration timeout;
    struct hkt_gate go;
    _Atomic pid_t thread; /* Set right before the wait. */
    hk_status status;
};

HK_TASK(waits_when_told)
{
    struct waiter *waiter = (struct waiter *)(uintptr_t)in;

    hkt_gate_wait(&waiter->go);
    atomic_store(&waiter->thread, gettid());
    waiter->status =
        hk_wait(waiter->futures, waiter->count, waiter->what, waiter->timeout, NULL, NULL);
    return HK_OK;
}

static void waiter_submit(struct waiter *waiter, hk_executor *pool)
{
    hkt_gate_init(&waiter->go, "a waiter may begin");
    waiter->own = hkt_submit_ref(pool, waits_when_told, waiter);
    hkt_gate_await_arrivals(&waiter->go, 1);
}

static bool has_passed_its_gate(void *arg)
{
    struct waiter *waiter = arg;

    return atomic_load(&waiter->thread) != 0;
}

/* Lets it begin, and returns when it sleeps in its wait. */
static void waiter_begin(struct waiter *waiter)
{
    hkt_gate_open(&waiter->go);
    HKT_TRUE(hkt_eventually(has_passed_its_gate, waiter));
    HKT_TRUE(hkt_falls_asleep(atomic_load(&waiter->thread)));
}

/* Released after the test: another waiter may still be looking at it. */
static hk_future *kept[16];
static size_t kept_count;

static void release_kept(void)
{
    while (kept_count > 0) {
        hk_future_unref(kept[--kept_count]);
    }
}

static void waiter_end(struct waiter *waiter, hk_status expected)
{
    HKT_TRUE_FATAL(kept_count < sizeof(kept) / sizeof(kept[0]));
    kept[kept_count++] = waiter->own;
    HKT_OK(hk_future_result(waiter->own, HK_FOREVER, NULL, NULL));
    HKT_STATUS(waiter->status, expected);
    hkt_gate_fini(&waiter->go);
}

static void make_them_wait_for_each_other(struct waiter *first, struct waiter *second)
{
    first->futures[0] = second->own;
    second->futures[0] = first->own;
    first->count = second->count = 1;
}

static void a_cycle_with_a_timed_waiter_refuses_nobody(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct waiter timed = {.timeout = HK_MS(100)};
    struct waiter untimed = {.timeout = HK_FOREVER};

    waiter_submit(&timed, pool);
    waiter_submit(&untimed, pool);
    make_them_wait_for_each_other(&timed, &untimed);
    waiter_begin(&timed);
    hkt_gate_open(&untimed.go); /* Closes the cycle, and may. */
    hkt_expect_end(hk_future_ref(untimed.own), HK_OK);
    waiter_end(&timed, HK_ETIMEDOUT);
    waiter_end(&untimed, HK_OK);
    HKT_OK(hk_executor_destroy(pool));
    release_kept();
}

static void a_timed_waiter_that_closes_a_cycle_is_refused(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct waiter timed = {.timeout = HK_SEC(3600)};
    struct waiter untimed = {.timeout = HK_FOREVER};

    waiter_submit(&timed, pool);
    waiter_submit(&untimed, pool);
    make_them_wait_for_each_other(&timed, &untimed);
    waiter_begin(&untimed);
    hkt_gate_open(&timed.go);
    hkt_expect_end(hk_future_ref(timed.own), HK_OK);
    waiter_end(&timed, HK_EDEADLK);
    waiter_end(&untimed, HK_OK);
    HKT_OK(hk_executor_destroy(pool));
    release_kept();
}

static void a_poll_is_never_refused(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct waiter poll = {.timeout = 0};
    struct waiter untimed = {.timeout = HK_FOREVER};

    waiter_submit(&poll, pool);
    waiter_submit(&untimed, pool);
    make_them_wait_for_each_other(&poll, &untimed);
    waiter_begin(&untimed);
    hkt_gate_open(&poll.go);
    hkt_expect_end(hk_future_ref(poll.own), HK_OK);
    waiter_end(&poll, HK_ETIMEDOUT);
    waiter_end(&untimed, HK_OK);
    HKT_OK(hk_executor_destroy(pool));
    release_kept();
}

/* One waits for two others, of which one (or both) waits for it. */
static void expect_of_two(hk_wait_for what, bool both_wait, hk_status expected)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 3});
    struct waiter middle = {.timeout = HK_FOREVER, .what = what, .count = 2};
    struct waiter bound = {.timeout = HK_FOREVER, .count = 1};
    struct waiter other = {.timeout = HK_FOREVER, .count = both_wait ? 1 : 0};

    waiter_submit(&middle, pool);
    waiter_submit(&bound, pool);
    waiter_submit(&other, pool);
    middle.futures[0] = bound.own;
    middle.futures[1] = other.own;
    bound.futures[0] = other.futures[0] = middle.own;
    waiter_begin(&bound);
    if (both_wait) {
        waiter_begin(&other);
    }
    if (expected == HK_OK) {
        waiter_begin(&middle); /* Sleeps: the other one may still move. */
    } else {
        hkt_gate_open(&middle.go);
        hkt_expect_end(hk_future_ref(middle.own), HK_OK); /* Though the other stands. */
    }
    hkt_gate_open(&other.go);
    waiter_end(&middle, expected);
    waiter_end(&bound, HK_OK);
    waiter_end(&other, HK_OK);
    HKT_OK(hk_executor_destroy(pool));
    release_kept();
}

static void a_wait_for_any_needs_one_that_can_move(void)
{
    expect_of_two(HK_FIRST_COMPLETED, false, HK_OK);
    expect_of_two(HK_FIRST_COMPLETED, true, HK_EDEADLK);
}

static void a_wait_for_all_needs_all_to_move(void)
{
    expect_of_two(HK_ALL_COMPLETED, false, HK_EDEADLK);
    expect_of_two(HK_ALL_COMPLETED, true, HK_EDEADLK);
}

static hk_status do_nothing(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    (void)arg;
    return HK_OK;
}

static void a_wait_for_what_follows_from_oneself_is_refused(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct waiter chained = {.timeout = HK_FOREVER, .count = 1};
    struct waiter grouped = {.timeout = HK_FOREVER, .count = 1};

    waiter_submit(&chained, pool);
    waiter_submit(&grouped, pool);
    HKT_OK_FATAL(hk_then(chained.own, NULL, do_nothing, NULL, &chained.futures[0]));
    HKT_OK_FATAL(hk_settle_all(&grouped.own, 1, &grouped.futures[0]));
    hkt_gate_open(&chained.go);
    hkt_gate_open(&grouped.go);
    hkt_expect_end(hk_future_ref(chained.own), HK_OK);
    hkt_expect_end(hk_future_ref(grouped.own), HK_OK);
    hkt_expect_end(chained.futures[0], HK_OK);
    hkt_expect_end(grouped.futures[0], HK_OK);
    waiter_end(&chained, HK_EDEADLK);
    waiter_end(&grouped, HK_EDEADLK);
    HKT_OK(hk_executor_destroy(pool));
    release_kept();
}

/* A promise has no owner: anybody might set it, so a wait for it is never refused. */
static void a_wait_for_a_promise_is_not_refused(void)
{
    hk_executor *pool = single(HK_NO_SPARES);
    struct waiter waiter = {.timeout = HK_FOREVER, .count = 1};
    hk_promise *promise = NULL;

    HKT_OK_FATAL(hk_promise_create(&promise, &waiter.futures[0]));
    waiter_submit(&waiter, pool);
    waiter_begin(&waiter);
    HKT_OK(hk_promise_set(promise, NULL, 0));
    hk_promise_destroy(promise);
    waiter_end(&waiter, HK_OK);
    hk_future_unref(waiter.futures[0]);
    HKT_OK(hk_executor_destroy(pool));
    release_kept();
}

static CU_TestInfo tests[] = {
    HKT_CASE("a wait for oneself is refused", a_wait_for_oneself_is_refused),
    HKT_CASE("rings are refused once", rings_are_refused_once),
    HKT_CASE("rings over two pools are refused once", rings_over_two_pools_are_refused_once),
    HKT_CASE("the report names the tasks and their lines",
             the_report_names_the_tasks_and_their_lines),
    HKT_CASE("a claimed child may not wait for its parent",
             a_claimed_child_may_not_wait_for_its_parent),
    HKT_CASE("a cycle with a timed waiter refuses nobody",
             a_cycle_with_a_timed_waiter_refuses_nobody),
    HKT_CASE("a timed waiter that closes a cycle is refused",
             a_timed_waiter_that_closes_a_cycle_is_refused),
    HKT_CASE("a poll is never refused", a_poll_is_never_refused),
    HKT_CASE("a wait for any needs one that can move", a_wait_for_any_needs_one_that_can_move),
    HKT_CASE("a wait for all needs all to move", a_wait_for_all_needs_all_to_move),
    HKT_CASE("a wait for what follows from oneself is refused",
             a_wait_for_what_follows_from_oneself_is_refused),
    HKT_CASE("a wait for a promise is not refused", a_wait_for_a_promise_is_not_refused),
    CU_TEST_INFO_NULL,
};

/* Refusals are what is tested here, so their reports do not go to the terminal. */
static CU_SuiteInfo suites[] = {
    {.pName = "wait_cycles", .pSetUpFunc = quiet, .pTearDownFunc = loud, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
