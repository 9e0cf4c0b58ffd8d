/* SPDX-License-Identifier: MIT */
/* The queue of a thread pool: its exact capacity, what happens at it, and its lanes. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

enum { CAPACITY = 3 };

/* One worker, held still, and a queue that is full of squares of 0, 1, 2. */
static hk_executor *pool;
static struct hkt_plug plug;
static hk_future *queued[CAPACITY];

static void fill(hk_when_full when_full)
{
    pool = hkt_pool_create(
        (hk_executor_options){.workers = 1, .queue_capacity = CAPACITY, .when_full = when_full});
    hkt_plug_insert(&plug, pool, 1);
    for (int i = 0; i < CAPACITY; i++) {
        queued[i] = hkt_submit_int(pool, hkt_square, i);
    }
    HKT_EQ_INT(hkt_stats(pool).queued, CAPACITY);
}

/* The worker has been let go: what is still queued[] ends with its square. */
static void expect_the_rest(void)
{
    for (int i = 0; i < CAPACITY; i++) {
        if (queued[i] != NULL) {
            HKT_EQ_INT(hkt_take_int(queued[i]), i * i);
        }
    }
    HKT_EQ_INT(hkt_stats(pool).queued_most, CAPACITY);
    HKT_OK(hk_executor_destroy(pool));
}

static void finish(void)
{
    hkt_plug_pull(&plug);
    expect_the_rest();
}

/* Gives the reference to a queued future back that has ended otherwise. */
static void forget(int index)
{
    hk_future_unref(queued[index]);
    queued[index] = NULL;
}

static void a_full_queue_fails(void)
{
    hk_future *future = NULL;
    atomic_uint drops = 0;

    fill(HK_FULL_FAIL);
    for (int i = 0; i < 2; i++) {
        HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &future), HK_EFULL);
        HKT_STATUS(hk_submit_ref(pool, hkt_counts, &drops, hkt_count_drop, NULL, &future),
                   HK_EFULL);
    }
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(atomic_load(&drops), 0);
    HKT_EQ_INT(hkt_stats(pool).refused, 4);
    HKT_EQ_INT(hkt_stats(pool).submitted, 1 + CAPACITY);
    finish();
}

static void a_cancelled_task_makes_room(void)
{
    fill(HK_FULL_FAIL);
    HKT_OK(hk_future_cancel(queued[0], HK_CANCEL_PENDING));
    HKT_EQ_INT(hkt_stats(pool).queued, CAPACITY - 1);
    forget(0);
    queued[0] = hkt_submit_int(pool, hkt_square, 0);
    HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 0, NULL, NULL), HK_EFULL);
    finish();
}

static void a_full_queue_makes_the_caller_run(void)
{
    hk_future *future = NULL;

    fill(HK_FULL_CALLER_RUNS);
    HKT_OK_FATAL(hk_submit(pool, hkt_thread_id, NULL, 0, NULL, &future));
    HKT_TRUE(hk_future_has_ended(future)); /* Though the only worker stands still. */
    HKT_EQ_INT(hkt_take_int(future), gettid());
    finish();
}

static void a_full_queue_drops_its_oldest(void)
{
    const hk_error *error = NULL;
    hk_future *newest;

    fill(HK_FULL_DROP_OLDEST);
    newest = hkt_submit_int(pool, hkt_square, 10);
    HKT_STATUS(hk_future_result(queued[0], 0, NULL, NULL), HK_EFULL);
    HKT_EQ_INT(hk_future_state(queued[0]), HK_FAILED);
    HKT_OK(hk_future_error(queued[0], 0, &error));
    HKT_TRUE(error != NULL && error->status == HK_EFULL);
    forget(0);
    HKT_EQ_INT(hk_future_state(queued[1]), HK_PENDING);
    hkt_plug_pull(&plug);
    HKT_EQ_INT(hkt_take_int(newest), 100);
    expect_the_rest();
}

static void a_blocked_submit_may_run_out_of_time(void)
{
    hk_submit_options options = {.queue_wait = HK_MS(2)};
    hk_future *future = NULL;
    atomic_uint drops = 0;

    fill(HK_FULL_BLOCK);
    HKT_STATUS(hk_submit(pool, hkt_nothing, NULL, 0, &options, &future), HK_ETIMEDOUT);
    HKT_STATUS(hk_submit_ref(pool, hkt_counts, &drops, hkt_count_drop, &options, &future),
               HK_ETIMEDOUT);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(atomic_load(&drops), 0);
    HKT_EQ_INT(hkt_stats(pool).queued, CAPACITY);
    finish();
}

struct submitter {
    pthread_t thread;
    _Atomic pid_t id;
    hk_future *future;
    hk_status status;
};

static void *submit_square(void *arg)
{
    struct submitter *submitter = arg;
    int value = 12;

    atomic_store(&submitter->id, gettid());
    submitter->status =
        hk_submit(pool, hkt_square, &value, sizeof(value), NULL, &submitter->future);
    return NULL;
}

static bool has_begun(void *arg)
{
    struct submitter *submitter = arg;

    return atomic_load(&submitter->id) != 0;
}

static void start_submitter(struct submitter *submitter)
{
    *submitter = (struct submitter){.status = HK_ESTATE};
    HKT_EQ_INT_FATAL(pthread_create(&submitter->thread, NULL, submit_square, submitter), 0);
    HKT_TRUE(hkt_eventually(has_begun, submitter));
    HKT_TRUE(hkt_falls_asleep(atomic_load(&submitter->id)));
}

static void a_blocked_submit_goes_on_when_there_is_room(void)
{
    struct submitter submitter;

    fill(HK_FULL_BLOCK);
    start_submitter(&submitter);
    HKT_EQ_INT(hkt_stats(pool).queued, CAPACITY);
    hkt_plug_pull(&plug);
    pthread_join(submitter.thread, NULL);
    HKT_OK_FATAL(submitter.status);
    HKT_EQ_INT(hkt_take_int(submitter.future), 144);
    expect_the_rest();
}

static void a_cancel_lets_a_blocked_submit_go_on(void)
{
    struct submitter submitter;

    fill(HK_FULL_BLOCK);
    start_submitter(&submitter);
    HKT_OK(hk_future_cancel(queued[1], HK_CANCEL_PENDING));
    pthread_join(submitter.thread, NULL); /* The worker still stands. */
    HKT_OK_FATAL(submitter.status);
    forget(1);
    hkt_plug_pull(&plug);
    HKT_EQ_INT(hkt_take_int(submitter.future), 144);
    expect_the_rest();
}

static void a_shutdown_refuses_a_blocked_submit(void)
{
    struct submitter submitter;

    fill(HK_FULL_BLOCK);
    start_submitter(&submitter);
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, 0));
    pthread_join(submitter.thread, NULL);
    HKT_STATUS(submitter.status, HK_ECLOSED);
    HKT_EQ_PTR(submitter.future, NULL);
    finish();
}

/* --- A worker at its own full queue --- */

/* Submits more than the queue holds, from the pool's only worker. */
HK_TASK(floods_its_own_pool)
{
    hk_future *futures[3 * CAPACITY];
    int ran_inside = 0;

    for (int i = 0; i < 3 * CAPACITY; i++) {
        hk_status status =
            hk_submit(hk_call_executor(call), hkt_thread_id, NULL, 0, NULL, &futures[i]);

        if (status != HK_OK) {
            return hk_fail(call, 1, "submit %d gave %s", i, hk_status_name(status));
        }
        ran_inside += hk_future_has_ended(futures[i]);
    }
    for (int i = 0; i < 3 * CAPACITY; i++) {
        hk_future_unref(futures[i]);
    }
    return hk_return(call, &ran_inside, sizeof(ran_inside));
}

static void a_worker_runs_inside_what_its_full_pool_does_not_take(void)
{
    hk_future *future = NULL;

    pool = hkt_pool_create((hk_executor_options){.workers = 1, .queue_capacity = CAPACITY});
    HKT_OK_FATAL(hk_submit(pool, floods_its_own_pool, NULL, 0, NULL, &future));
    HKT_EQ_INT(hkt_take_int(future), 2 * CAPACITY);
    HKT_EQ_INT(hkt_stats(pool).queued_most, CAPACITY);
    HKT_OK(hk_executor_destroy(pool));
}

/* Workers of two pools fill each other's queue: each may block, none for ever. */
static hk_executor *peers[2];

HK_TASK(floods_the_other_pool)
{
    hk_executor *other = hk_call_executor(call) == peers[0] ? peers[1] : peers[0];

    for (int i = 0; i < 50; i++) {
        hk_status status = hk_submit(other, hkt_nothing, NULL, 0,
                                     &(hk_submit_options){.queue_wait = HK_MS(1)}, NULL);

        if (status != HK_OK && status != HK_ETIMEDOUT) {
            return status;
        }
    }
    return HK_OK;
}

static void two_full_pools_do_not_hold_each_other_up(void)
{
    hk_future *futures[2];

    for (int i = 0; i < 2; i++) {
        peers[i] = hkt_pool_create((hk_executor_options){.workers = 1, .queue_capacity = 1});
    }
    for (int i = 0; i < 2; i++) {
        HKT_OK_FATAL(hk_submit(peers[i], floods_the_other_pool, NULL, 0, NULL, &futures[i]));
    }
    for (int i = 0; i < 2; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    for (int i = 0; i < 2; i++) {
        HKT_OK(hk_executor_destroy(peers[i]));
    }
}

/* --- Capacity under load --- */

enum { PRODUCERS = 3, PER_PRODUCER = 400 };

static void *produce(void *arg)
{
    for (int i = 0; i < PER_PRODUCER; i++) {
        HKT_OK(hk_submit_ref(pool, hkt_counts, arg, NULL, NULL, NULL));
    }
    return NULL;
}

static void the_capacity_is_exact_with_many_producers(void)
{
    pthread_t threads[PRODUCERS];
    atomic_uint runs = 0;

    pool = hkt_pool_create((hk_executor_options){.workers = 2, .queue_capacity = 5});
    for (int i = 0; i < PRODUCERS; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, produce, &runs), 0);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
    }
    HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&runs), PRODUCERS * PER_PRODUCER);
    HKT_TRUE(hkt_stats(pool).queued_most <= 5);
    HKT_EQ_INT(hkt_stats(pool).done, PRODUCERS * PER_PRODUCER);
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Order and lanes --- */

enum { LANES = 3, PER_LANE = 210 };

static atomic_uint next_place;
static int lane_of_place[LANES * PER_LANE];

HK_TASK(takes_a_place)
{
    int lane;
    unsigned place = atomic_fetch_add(&next_place, 1);

    memcpy(&lane, in, sizeof(lane));
    lane_of_place[place] = lane;
    return HK_OK;
}

static void submit_to_lane(int lane)
{
    static const hk_priority priorities[LANES] = {HK_PRIORITY_LOW, HK_PRIORITY_NORMAL,
                                                  HK_PRIORITY_HIGH};
    hk_submit_options options = {.priority = priorities[lane]};

    HKT_OK_FATAL(hk_submit(pool, takes_a_place, &lane, sizeof(lane), &options, NULL));
}

static void a_higher_lane_is_faster_and_starves_none(void)
{
    unsigned ran[LANES] = {0};

    pool = hkt_pool_create((hk_executor_options){.workers = 1});
    atomic_store(&next_place, 0);
    hkt_plug_insert(&plug, pool, 1);
    for (int lane = 0; lane < LANES; lane++) {
        for (int i = 0; i < PER_LANE; i++) {
            submit_to_lane(lane);
        }
    }
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
    HKT_EQ_INT_FATAL(atomic_load(&next_place), LANES * PER_LANE);
    /* While all three were busy: ten rounds of 21 turns. */
    for (int place = 0; place < PER_LANE; place++) {
        ran[lane_of_place[place]]++;
    }
    HKT_TRUE(ran[0] >= 5 && ran[0] <= 20);
    HKT_TRUE(ran[1] >= 20 && ran[1] <= 60);
    HKT_TRUE(ran[2] >= 130);
}

static void a_late_high_task_overtakes_the_queue(void)
{
    enum { LOW = 0, HIGH = 2, WAITING = 200 };
    int place = 0;

    pool = hkt_pool_create((hk_executor_options){.workers = 1});
    atomic_store(&next_place, 0);
    hkt_plug_insert(&plug, pool, 1);
    for (int i = 0; i < WAITING; i++) {
        submit_to_lane(LOW);
    }
    submit_to_lane(HIGH);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
    while (lane_of_place[place] != HIGH) {
        place++;
    }
    HKT_TRUE(place < 25); /* At most the low lane's turn, and what was taken with it. */
}

static void one_lane_keeps_its_order(void)
{
    enum { TASKS = 200 };

    pool = hkt_pool_create((hk_executor_options){.workers = 1});
    atomic_store(&next_place, 0);
    hkt_plug_insert(&plug, pool, 1);
    for (int i = 0; i < TASKS; i++) {
        HKT_OK_FATAL(hk_submit(pool, takes_a_place, &i, sizeof(i), NULL, NULL));
    }
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(pool));
    for (int i = 0; i < TASKS; i++) {
        HKT_EQ_INT(lane_of_place[i], i);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("a full queue fails", a_full_queue_fails),
    HKT_CASE("a cancelled task makes room", a_cancelled_task_makes_room),
    HKT_CASE("a full queue makes the caller run", a_full_queue_makes_the_caller_run),
    HKT_CASE("a full queue drops its oldest", a_full_queue_drops_its_oldest),
    HKT_CASE("a blocked submit may run out of time", a_blocked_submit_may_run_out_of_time),
    HKT_CASE("a blocked submit goes on when there is room",
             a_blocked_submit_goes_on_when_there_is_room),
    HKT_CASE("a cancel lets a blocked submit go on", a_cancel_lets_a_blocked_submit_go_on),
    HKT_CASE("a shutdown refuses a blocked submit", a_shutdown_refuses_a_blocked_submit),
    HKT_CASE("a worker runs inside what its full pool does not take",
             a_worker_runs_inside_what_its_full_pool_does_not_take),
    HKT_CASE("two full pools do not hold each other up", two_full_pools_do_not_hold_each_other_up),
    HKT_CASE("the capacity is exact with many producers",
             the_capacity_is_exact_with_many_producers),
    HKT_CASE("a higher lane is faster and starves none", a_higher_lane_is_faster_and_starves_none),
    HKT_CASE("a late high task overtakes the queue", a_late_high_task_overtakes_the_queue),
    HKT_CASE("one lane keeps its order", one_lane_keeps_its_order),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "thread_pool_queue", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
