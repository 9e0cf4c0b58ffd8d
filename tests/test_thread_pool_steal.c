/* SPDX-License-Identifier: MIT */
/*
 * Tasks of a thread pool on their way through the lane and the workers' decks: no worker
 * sleeps beside a task, nobody's tasks wait for ever behind those of others, and what is
 * cancelled or comes at the last moment is accounted for.
 */
#include <pthread.h>
#include <string.h>

#include "tests/fixture.h"
#include "tests/promise_fixture.h"

enum { WORKERS = 4, MANY = 64 };

/* --- Work conservation: as many tasks as workers, each of which needs all the others --- */

struct crowd {
    struct hkt_gate gate;
    unsigned peers; /* That the first one brings. */
    hk_future *futures[MANY];
};

HK_TASK(brings_its_peers)
{
    struct crowd *crowd = (struct crowd *)(uintptr_t)in;

    for (unsigned i = 0; i < crowd->peers; i++) {
        HKT_OK(hk_submit_ref(hk_call_executor(call), hkt_stands_at_gate, &crowd->gate, NULL, NULL,
                             &crowd->futures[i]));
    }
    hkt_gate_wait(&crowd->gate);
    return HK_OK;
}

static void expect_all(hk_future **futures, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
}

/* From outside one by one, or by a worker for its own pool; between two rounds the workers
 * search, fall asleep, or are just about to. */
static void meet(hk_executor *pool, bool from_inside)
{
    struct crowd crowd = {.peers = WORKERS - 1};

    hkt_gate_init(&crowd.gate, "all workers are there");
    if (from_inside) {
        crowd.futures[WORKERS - 1] = hkt_submit_ref(pool, brings_its_peers, &crowd);
    } else {
        for (unsigned i = 0; i < WORKERS; i++) {
            crowd.futures[i] = hkt_submit_ref(pool, hkt_stands_at_gate, &crowd.gate);
        }
    }
    hkt_gate_await_arrivals(&crowd.gate, WORKERS);
    hkt_gate_open(&crowd.gate);
    expect_all(crowd.futures, WORKERS);
    hkt_gate_fini(&crowd.gate);
}

static void all_workers_come_for_what_others_submit(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = WORKERS});

    for (unsigned i = 0; i < 1000 / hkt_slowness(); i++) {
        meet(pool, false);
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void all_workers_come_for_what_a_task_submits(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = WORKERS});

    for (unsigned i = 0; i < 1000 / hkt_slowness(); i++) {
        meet(pool, true);
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void all_workers_come_when_all_were_asleep(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = WORKERS});

    for (unsigned i = 0; i < 60 / hkt_slowness() + 2; i++) {
        meet(pool, i % 2 == 0);
        HKT_TRUE(hkt_becomes(pool, hkt_idle, WORKERS));
    }
    HKT_OK(hk_executor_destroy(pool));
}

/* Workers that leave when idle, or after some tasks, are started again in time. */
static void all_workers_come_though_they_leave_again_and_again(void)
{
    hk_executor *pool = hkt_pool_create(
        (hk_executor_options){.workers = WORKERS, .idle_exit = HK_US(30), .tasks_per_worker = 3});

    for (unsigned i = 0; i < 300 / hkt_slowness() + 1; i++) {
        meet(pool, i % 2 == 0);
    }
    HKT_OK(hk_executor_destroy(pool));
}

/* Who takes a batch publishes the rest: tasks that need each other are in one. */
static void a_batch_is_shared_by_all_workers(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = WORKERS});

    for (unsigned i = 0; i < 300 / hkt_slowness() + 1; i++) {
        hk_future *nothings[MANY];
        struct hkt_plug plug;
        struct crowd crowd;

        hkt_gate_init(&crowd.gate, "all of a batch run");
        hkt_plug_insert(&plug, pool, WORKERS);
        for (unsigned j = 0; j < WORKERS; j++) {
            crowd.futures[j] = hkt_submit_ref(pool, hkt_stands_at_gate, &crowd.gate);
        }
        for (unsigned j = 0; j < MANY; j++) {
            nothings[j] = hkt_submit_int(pool, hkt_nothing, 0);
        }
        hkt_plug_pull(&plug);
        hkt_gate_await_arrivals(&crowd.gate, WORKERS);
        hkt_gate_open(&crowd.gate);
        expect_all(crowd.futures, WORKERS);
        expect_all(nothings, MANY);
        hkt_gate_fini(&crowd.gate);
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void a_long_task_does_not_keep_its_batch(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});

    for (unsigned i = 0; i < 300 / hkt_slowness() + 1; i++) {
        struct hkt_plug plug;
        struct crowd crowd;
        hk_future *the_long_one;
        atomic_uint runs = 0;

        hkt_gate_init(&crowd.gate, "the long task may end");
        hkt_plug_insert(&plug, pool, 2);
        the_long_one = hkt_submit_ref(pool, hkt_stands_at_gate, &crowd.gate);
        for (unsigned j = 0; j < MANY; j++) {
            crowd.futures[j] = hkt_submit_ref(pool, hkt_counts, &runs);
        }
        hkt_plug_pull(&plug);
        expect_all(crowd.futures, MANY); /* One of the two runs them all. */
        HKT_EQ_INT(atomic_load(&runs), MANY);
        HKT_TRUE(!hk_future_has_ended(the_long_one));
        hkt_gate_open(&crowd.gate);
        hkt_expect_end(the_long_one, HK_OK);
        hkt_gate_fini(&crowd.gate);
    }
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Nobody's tasks wait for ever --- */

struct family {
    atomic_bool is_over;
    atomic_uint alive;
    unsigned children; /* Of each, while there are fewer than most. */
    unsigned most;
};

HK_TASK(submits_its_like)
{
    struct family *family = (struct family *)(uintptr_t)in;

    for (unsigned i = 0; i < family->children && !atomic_load(&family->is_over); i++) {
        if (i == 0 || atomic_load(&family->alive) < family->most) {
            atomic_fetch_add(&family->alive, 1);
            HKT_OK(
                hk_submit_ref(hk_call_executor(call), submits_its_like, family, NULL, NULL, NULL));
        }
    }
    atomic_fetch_sub(&family->alive, 1);
    return HK_OK;
}

HK_TASK(ends_the_family)
{
    (void)call;
    (void)in_size;
    atomic_store(&((struct family *)(uintptr_t)in)->is_over, true);
    return HK_OK;
}

static bool has_died_out(void *family)
{
    return atomic_load(&((struct family *)family)->alive) == 0;
}

static void outlive(unsigned workers, unsigned children, unsigned most)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = workers});

    for (unsigned i = 0; i < 20 / hkt_slowness() + 1; i++) {
        struct family family = {.children = children, .most = most};

        atomic_store(&family.alive, 1);
        HKT_OK(hk_submit_ref(pool, submits_its_like, &family, NULL, NULL, NULL));
        for (int j = 0; j < 3; j++) {
            HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, j)), j * j);
        }
        hkt_expect_end(hkt_submit_ref(pool, ends_the_family, &family), HK_OK);
        HKT_TRUE(hkt_eventually(has_died_out, &family));
        HKT_TRUE(hkt_becomes(pool, hkt_queued, 0));
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void tasks_that_submit_themselves_starve_nobody(void)
{
    outlive(1, 1, 1);
    outlive(2, 1, 1);
}

/* Decks that are never empty, and overflow. */
static void tasks_that_multiply_starve_nobody(void)
{
    outlive(1, 2, 200);
    outlive(2, 2, 600);
}

/* Fills its worker's deck, and the lane with the rest. */
HK_TASK(fills_deck_and_lane)
{
    enum { TASKS = 256 + 100 };

    (void)in;
    (void)in_size;
    for (unsigned i = 0; i < TASKS; i++) {
        HKT_OK(hk_submit(hk_call_executor(call), hkt_nothing, NULL, 0, NULL, NULL));
    }
    return HK_OK;
}

/* When a worker looks at the lane, its deck has any number of free places in one of the rounds:
 * each comes some tasks later than the one before. */
static void a_batch_fits_whatever_room_there_is(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1});
    uint64_t submitted = 0;

    for (unsigned i = 0; i < 128; i++) {
        for (unsigned k = 0; k < i % 64; k++) {
            hkt_expect_end(hkt_submit_int(pool, hkt_nothing, 0), HK_OK);
        }
        hkt_expect_end(hkt_submit_int(pool, fills_deck_and_lane, 0), HK_OK);
        HKT_TRUE(hkt_becomes(pool, hkt_queued, 0));
        submitted += i % 64 + 1 + 256 + 100;
    }
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(hkt_stats(pool).done, submitted);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- What is cancelled leaves no trace --- */

/* Whether the counts still say what is queued. */
static void expect_exact_counts(hk_executor *pool, unsigned workers)
{
    hk_future *futures[MANY];
    struct hkt_plug plug;

    hkt_plug_insert(&plug, pool, workers);
    HKT_EQ_INT(hkt_stats(pool).queued, 0);
    for (unsigned i = 0; i < MANY; i++) {
        futures[i] = hkt_submit_int(pool, hkt_nothing, 0);
    }
    HKT_EQ_INT(hkt_stats(pool).queued, MANY);
    for (unsigned i = 0; i < MANY; i += 2) {
        HKT_OK(hk_future_cancel(futures[i], HK_CANCEL_PENDING));
    }
    HKT_EQ_INT(hkt_stats(pool).queued, MANY / 2);
    hkt_plug_pull(&plug);
    for (unsigned i = 0; i < MANY; i++) {
        hkt_expect_end(futures[i], i % 2 == 0 ? HK_ECANCELED : HK_OK);
    }
    HKT_TRUE(hkt_becomes(pool, hkt_queued, 0));
}

static void cancelled_tasks_do_not_count(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});

    for (unsigned i = 0; i < 200 / hkt_slowness() + 1; i++) {
        expect_exact_counts(pool, 2);
    }
    HKT_OK(hk_executor_destroy(pool));
}

/* More than a deck holds: the rest is in the lane, and each is run once. */
HK_TASK(floods_its_deck)
{
    enum { TASKS = 1000 };
    static hk_future *futures[TASKS];
    atomic_uint *runs = (atomic_uint *)(uintptr_t)in;

    (void)in_size;
    for (unsigned i = 0; i < TASKS; i++) {
        HKT_OK(hk_submit_ref(hk_call_executor(call), hkt_counts, runs, NULL, NULL, &futures[i]));
    }
    for (unsigned i = 0; i < TASKS; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    HKT_EQ_INT(atomic_load(runs), TASKS);
    return HK_OK;
}

static void a_task_may_submit_more_than_its_deck_holds(void)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = workers});

        for (unsigned i = 0; i < 10 / hkt_slowness() + 1; i++) {
            atomic_uint runs = 0;

            hkt_expect_end(hkt_submit_ref(pool, floods_its_deck, &runs), HK_OK);
        }
        expect_exact_counts(pool, workers);
        HKT_OK(hk_executor_destroy(pool));
    }
}

/* In its worker's deck, from inside and while a thief is at it. */
HK_TASK(cancels_what_it_submits)
{
    for (unsigned i = 0; i < MANY; i++) {
        hk_future *future = NULL;

        HKT_OK(hk_submit(hk_call_executor(call), hkt_nothing, NULL, 0, NULL, &future));
        if (hk_future_cancel(future, HK_CANCEL_PENDING) == HK_OK) {
            HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
        }
        hk_future_unref(future);
    }
    (void)in;
    (void)in_size;
    return HK_OK;
}

static void tasks_cancelled_in_a_deck_do_not_count(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});

    for (unsigned i = 0; i < 200 / hkt_slowness() + 1; i++) {
        hkt_expect_end(hkt_submit_int(pool, cancels_what_it_submits, 0), HK_OK);
        HKT_TRUE(hkt_becomes(pool, hkt_queued, 0));
    }
    expect_exact_counts(pool, 2);
    HKT_OK(hk_executor_destroy(pool));
}

/* A token that fires while the submit is still on its way. */
static void fire(void *token)
{
    HKT_OK(hk_cancel_token_fire(token, "at once"));
}

static void submit_until_cancelled(hk_executor *pool)
{
    hk_submit_options options = {0};
    struct hkt_thread thread;
    hk_status status = HK_OK;

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &options.token));
    hkt_thread_start(&thread, fire, options.token);
    while (status == HK_OK) {
        status = hk_submit(pool, hkt_nothing, NULL, 0, &options, NULL);
    }
    HKT_STATUS(status, HK_ECANCELED);
    hkt_thread_join(&thread);
    hk_cancel_token_unref(options.token);
}

static void tasks_cancelled_during_their_submit_do_not_count(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});

    for (unsigned i = 0; i < 1000 / hkt_slowness() + 1; i++) {
        submit_until_cancelled(pool);
    }
    HKT_TRUE(hkt_becomes(pool, hkt_queued, 0));
    expect_exact_counts(pool, 2);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Shutdowns --- */

enum { LATE_MAX = 200 };

struct late {
    hk_executor *pool;
    struct hkt_barrier edge;
    hk_future *futures[2][LATE_MAX];
    unsigned accepted[2];
    atomic_uint next;
    atomic_uint runs;
};

static void submit_until_refused(void *arg)
{
    struct late *late = arg;
    unsigned who = atomic_fetch_add(&late->next, 1);
    unsigned count = 0;
    hk_status status = HK_OK;

    hkt_barrier_wait(&late->edge);
    while (count < LATE_MAX && status == HK_OK) {
        status = hk_submit_ref(late->pool, hkt_counts, &late->runs, NULL, NULL,
                               &late->futures[who][count]);
        count += status == HK_OK ? 1 : 0;
    }
    HKT_TRUE(status == HK_OK || status == HK_ECLOSED);
    late->accepted[who] = count;
}

static void shut_down_beside_submits(hk_shutdown_how how, unsigned round)
{
    struct late late = {.pool = hkt_pool_create((hk_executor_options){.workers = 1 + round % 2})};
    struct hkt_thread threads[2];
    unsigned done = 0;

    hkt_barrier_init(&late.edge, 3, "two submit and one shuts down");
    if (round % 3 != 0) {
        HKT_OK(hk_executor_prestart(late.pool, HK_FOREVER));
    }
    for (int i = 0; i < 2; i++) {
        hkt_thread_start(&threads[i], submit_until_refused, &late);
    }
    hkt_barrier_wait(&late.edge);
    HKT_OK(hk_executor_shutdown(late.pool, how, HK_FOREVER));
    for (int i = 0; i < 2; i++) {
        hkt_thread_join(&threads[i]);
    }
    /* What was accepted while the pool closed may have come after its workers. */
    HKT_OK(hk_executor_shutdown(late.pool, how, HK_FOREVER));
    for (int i = 0; i < 2; i++) {
        for (unsigned j = 0; j < late.accepted[i]; j++) {
            HKT_TRUE(hk_future_has_ended(late.futures[i][j]));
            done += hk_future_state(late.futures[i][j]) == HK_DONE ? 1 : 0;
            hk_future_unref(late.futures[i][j]);
        }
    }
    HKT_EQ_INT(done, atomic_load(&late.runs));
    HKT_TRUE(how != HK_SHUTDOWN_DRAIN || done == late.accepted[0] + late.accepted[1]);
    HKT_EQ_INT(hkt_stats(late.pool).queued, 0);
    HKT_OK(hk_executor_destroy(late.pool));
    hkt_barrier_fini(&late.edge);
}

static void what_a_closing_pool_has_accepted_runs(void)
{
    for (unsigned round = 0; round < 600 / hkt_slowness() + 1; round++) {
        shut_down_beside_submits(HK_SHUTDOWN_DRAIN, round);
    }
}

static void what_a_closing_pool_has_accepted_ends(void)
{
    for (unsigned round = 0; round < 600 / hkt_slowness() + 1; round++) {
        shut_down_beside_submits(HK_SHUTDOWN_CANCEL_QUEUED, round);
    }
}

struct curfew {
    atomic_bool is_on;
    atomic_uint late;
};

HK_TASK(looks_at_the_clock)
{
    struct curfew *curfew = (struct curfew *)(uintptr_t)in;

    (void)call;
    (void)in_size;
    if (atomic_load(&curfew->is_on)) {
        atomic_fetch_add(&curfew->late, 1);
    }
    return HK_OK;
}

/* SD04, also for what is on its way from the lane to a deck: no more than one a worker, which
 * has it in hand, begins after the shutdown has returned. */
static void what_was_queued_does_not_begin_after_a_shutdown(void)
{
    for (unsigned round = 0; round < 600 / hkt_slowness() + 1; round++) {
        hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
        struct curfew curfew = {.late = 0};

        HKT_OK(hk_executor_prestart(pool, HK_FOREVER));
        for (unsigned i = 0; i < 1 + round % 256; i++) {
            HKT_OK(hk_submit_ref(pool, looks_at_the_clock, &curfew, NULL, NULL, NULL));
        }
        HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0));
        atomic_store(&curfew.is_on, true);
        HKT_OK(hk_executor_destroy(pool));
        HKT_TRUE(atomic_load(&curfew.late) <= 2);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("all workers come for what others submit", all_workers_come_for_what_others_submit),
    HKT_CASE("all workers come for what a task submits", all_workers_come_for_what_a_task_submits),
    HKT_CASE("all workers come when all were asleep", all_workers_come_when_all_were_asleep),
    HKT_CASE("all workers come though they leave again and again",
             all_workers_come_though_they_leave_again_and_again),
    HKT_CASE("a batch is shared by all workers", a_batch_is_shared_by_all_workers),
    HKT_CASE("a long task does not keep its batch", a_long_task_does_not_keep_its_batch),
    HKT_CASE("a task may submit more than its deck holds",
             a_task_may_submit_more_than_its_deck_holds),
    HKT_CASE("a batch fits whatever room there is", a_batch_fits_whatever_room_there_is),
    HKT_CASE("tasks that submit themselves starve nobody",
             tasks_that_submit_themselves_starve_nobody),
    HKT_CASE("tasks that multiply starve nobody", tasks_that_multiply_starve_nobody),
    HKT_CASE("cancelled tasks do not count", cancelled_tasks_do_not_count),
    HKT_CASE("tasks cancelled in a deck do not count", tasks_cancelled_in_a_deck_do_not_count),
    HKT_CASE("tasks cancelled during their submit do not count",
             tasks_cancelled_during_their_submit_do_not_count),
    HKT_CASE("what a closing pool has accepted runs", what_a_closing_pool_has_accepted_runs),
    HKT_CASE("what a closing pool has accepted ends", what_a_closing_pool_has_accepted_ends),
    HKT_CASE("SD04 what was queued does not begin after a shutdown",
             what_was_queued_does_not_begin_after_a_shutdown),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "thread_pool_steal", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
