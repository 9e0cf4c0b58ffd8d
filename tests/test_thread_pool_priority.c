/* SPDX-License-Identifier: MIT */
/*
 * Priorities on a thread pool, whose lanes have no lock: how often each gets its turn, that none
 * is starved, and that tasks there are as any others are: stolen, claimed, cancelled, called for.
 */
#include <string.h>

#include "tests/fixture.h"
#include "tests/promise_fixture.h"

enum { LOW, NORMAL, HIGH, PRIORITIES, TURNS = 21 };

static hk_submit_options of_priority(int which)
{
    return (hk_submit_options){.priority = (hk_priority)(which - NORMAL)};
}

static hk_executor *pool;
static struct hkt_plug plug;

static void start(unsigned workers)
{
    pool = hkt_pool_create((hk_executor_options){.workers = workers});
}

static void stop(void)
{
    HKT_OK(hk_executor_destroy(pool));
}

/* --- Turns --- */

enum { PLACES = 2000 };

static atomic_uint places;
static unsigned who[PLACES]; /* Number and priority of the task that began there. */

HK_TASK(priority_place)
{
    unsigned number;
    unsigned place = atomic_fetch_add(&places, 1);

    memcpy(&number, in, sizeof(number));
    who[place] = number;
    return HK_OK;
}

static void submit_place(int which, unsigned number)
{
    hk_submit_options options = of_priority(which);

    number = number * PRIORITIES + (unsigned)which;
    HKT_OK_FATAL(hk_submit(pool, priority_place, &number, sizeof(number), &options, NULL));
}

/* Of one worker it is exact. */
static void each_lane_has_its_turns_and_its_order(void)
{
    enum { EACH = 16 * TURNS };
    unsigned next[PRIORITIES] = {0};
    unsigned first[PRIORITIES] = {0};
    unsigned wrong = 0;

    start(1);
    atomic_store(&places, 0);
    hkt_plug_insert(&plug, pool, 1);
    for (unsigned i = 0; i < EACH; i++) {
        for (int which = LOW; which < PRIORITIES; which++) {
            submit_place(which, i);
        }
    }
    hkt_plug_pull(&plug);
    stop();
    HKT_EQ_INT_FATAL(places, PRIORITIES * EACH);
    for (unsigned i = 0; i < PRIORITIES * EACH; i++) {
        unsigned which = who[i] % PRIORITIES;

        wrong += who[i] / PRIORITIES != next[which]++;
        first[which] += i < 10 * TURNS;
    }
    HKT_EQ_INT(wrong, 0);
    HKT_EQ_INT(first[HIGH], 160);
    HKT_EQ_INT(first[NORMAL], 40);
    HKT_EQ_INT(first[LOW], 10);
}

static void a_lane_that_is_empty_gives_its_turn_away(void)
{
    enum { EACH = 100 };

    start(1);
    atomic_store(&places, 0);
    hkt_plug_insert(&plug, pool, 1);
    for (unsigned i = 0; i < EACH; i++) {
        submit_place(LOW, i);
    }
    submit_place(HIGH, 0);
    hkt_plug_pull(&plug);
    stop();
    HKT_EQ_INT_FATAL(places, EACH + 1);
    HKT_TRUE(who[0] % PRIORITIES == HIGH || who[1] % PRIORITIES == HIGH);
}

/* Each high task brings the next ones, so that there always are some; until the low one, or
 * the normal one, has run. */
struct stream {
    hk_executor *pool;
    atomic_uint ran;
    atomic_uint ran_before; /* Those that began before the victim. */
    atomic_bool victim_ran;
};

HK_TASK(priority_stream)
{
    struct stream *stream = (struct stream *)(uintptr_t)in;
    hk_submit_options options = of_priority(HIGH);

    (void)call;
    atomic_fetch_add(&stream->ran, 1);
    if (atomic_load(&stream->victim_ran)) {
        return HK_OK;
    }
    return hk_submit_ref(stream->pool, priority_stream, stream, NULL, &options, NULL);
}

HK_TASK(priority_victim)
{
    struct stream *stream = (struct stream *)(uintptr_t)in;

    atomic_store(&stream->ran_before, atomic_load(&stream->ran));
    atomic_store(&stream->victim_ran, true);
    return HK_OK;
}

/* With one worker the bound is known: his turns. */
static void a_stream_of_high_tasks_starves_nobody(void)
{
    enum { WORKERS = 4 };
    unsigned counts[] = {1, WORKERS};

    for (int i = 0; i < 2; i++) {
        for (int which = LOW; which <= NORMAL; which++) {
            struct stream stream = {.ran = 0};
            hk_submit_options high = of_priority(HIGH);
            hk_submit_options other = of_priority(which);
            hk_future *victim;

            start(counts[i]);
            stream.pool = pool;
            hkt_plug_insert(&plug, pool, counts[i]);
            for (unsigned j = 0; j < 4 * counts[i]; j++) {
                HKT_OK_FATAL(hk_submit_ref(pool, priority_stream, &stream, NULL, &high, NULL));
            }
            HKT_OK_FATAL(hk_submit_ref(pool, priority_victim, &stream, NULL, &other, &victim));
            hkt_plug_pull(&plug);
            hkt_expect_end(victim, HK_OK); /* The watchdog says when it does not. */
            if (counts[i] == 1) {
                HKT_TRUE(stream.ran_before <= TURNS);
            }
            stop();
        }
    }
}

/* --- As any other task --- */

static struct hkt_barrier barrier;

HK_TASK(priority_meet)
{
    hkt_barrier_wait(&barrier);
    return HK_OK;
}

/* One worker that sleeps though there is work, and this hangs. */
static void as_many_run_as_there_are_workers_whatever_their_priority(void)
{
    enum { WORKERS = 4 };
    hk_future *futures[WORKERS];

    start(WORKERS);
    hkt_barrier_init(&barrier, WORKERS, "tasks of all priorities");
    for (unsigned round = 0; round < 2000 / hkt_slowness(); round++) {
        for (unsigned i = 0; i < WORKERS; i++) {
            hk_submit_options options = of_priority((int)((round >> i) % PRIORITIES));

            HKT_OK_FATAL(hk_submit(pool, priority_meet, NULL, 0, &options, &futures[i]));
        }
        for (unsigned i = 0; i < WORKERS; i++) {
            hkt_expect_end(futures[i], HK_OK);
        }
    }
    hkt_barrier_fini(&barrier);
    stop();
}

HK_TASK(priority_nested)
{
    hk_future *futures[PRIORITIES];
    int sum = 0;

    for (int which = LOW; which < PRIORITIES; which++) {
        hk_submit_options options = of_priority(which);

        HKT_OK_FATAL(hk_submit(hk_call_executor(call), hkt_square, &which, sizeof(which), &options,
                               &futures[which]));
    }
    for (int which = HIGH; which >= LOW; which--) {
        sum += hkt_take_int(futures[which]);
    }
    return hk_return(call, &sum, sizeof(sum));
}

static void a_wait_runs_what_it_waits_for_from_any_lane(void)
{
    start(1);
    for (int i = 0; i < 50; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, priority_nested, 0)), 0 + 1 + 4);
    }
    HKT_EQ_INT(hkt_stats(pool).queued, 0); /* What was run from the middle is not counted. */
    stop();
}

static void what_waits_in_any_lane_can_be_cancelled(void)
{
    enum { EACH = 50 };
    hk_future *futures[PRIORITIES * EACH];
    atomic_uint runs = 0;

    start(1);
    hkt_plug_insert(&plug, pool, 1);
    for (int i = 0; i < PRIORITIES * EACH; i++) {
        hk_submit_options options = of_priority(i % PRIORITIES);

        HKT_OK_FATAL(hk_submit_ref(pool, hkt_counts, &runs, NULL, &options, &futures[i]));
    }
    HKT_EQ_INT(hkt_stats(pool).queued, PRIORITIES * EACH);
    for (int i = 0; i < PRIORITIES * EACH; i += 2) {
        HKT_OK(hk_future_cancel(futures[i], HK_CANCEL_PENDING));
    }
    HKT_EQ_INT(hkt_stats(pool).queued, PRIORITIES * EACH / 2);
    hkt_plug_pull(&plug);
    for (int i = 0; i < PRIORITIES * EACH; i++) {
        hkt_expect_end(futures[i], i % 2 == 0 ? HK_ECANCELED : HK_OK);
    }
    HKT_EQ_INT(runs, PRIORITIES * EACH / 2);
    HKT_EQ_INT(hkt_stats(pool).queued, 0);
    stop();
}

static void a_deadline_ends_what_waits_in_any_lane(void)
{
    hk_future *futures[PRIORITIES];

    start(1);
    hkt_plug_insert(&plug, pool, 1);
    for (int which = LOW; which < PRIORITIES; which++) {
        hk_submit_options options = of_priority(which);

        options.deadline = HK_MS(1);
        HKT_OK_FATAL(hk_submit(pool, hkt_nothing, NULL, 0, &options, &futures[which]));
    }
    for (int which = LOW; which < PRIORITIES; which++) {
        hkt_expect_end(futures[which], HK_EDEADLINE);
    }
    HKT_EQ_INT(hkt_stats(pool).queued, 0);
    hkt_plug_pull(&plug);
    stop();
}

/* --- Under load --- */

struct load {
    atomic_size_t accepted;
    atomic_size_t ended;
    hk_shutdown_how how;
};

static void submit_all_kinds(void *arg)
{
    enum { AT_ONCE = 12 };
    struct load *load = arg;
    hk_status status = HK_OK;

    while (status == HK_OK) {
        hk_future *futures[AT_ONCE];
        int count = 0;

        while (count < AT_ONCE && status == HK_OK) {
            hk_submit_options options = of_priority(count % PRIORITIES);

            status = hk_submit(pool, hkt_square, &count, sizeof(count), &options, &futures[count]);
            count += status == HK_OK ? 1 : 0;
        }
        atomic_fetch_add(&load->accepted, (size_t)count);
        for (int i = 0; i < count; i++) {
            hk_status end = hk_future_result(futures[i], HK_FOREVER, NULL, NULL);

            HKT_TRUE(end == HK_OK || (end == HK_ECANCELED && load->how != HK_SHUTDOWN_DRAIN));
            atomic_fetch_add(&load->ended, 1);
            hk_future_unref(futures[i]);
        }
    }
    HKT_STATUS(status, HK_ECLOSED);
}

static bool has_run_some(void *arg)
{
    (void)arg;
    return hkt_stats(pool).done >= 200;
}

static void tasks_of_all_lanes_end_once(void)
{
    enum { SUBMITTERS = 3 };

    for (unsigned round = 0; round < 60 / hkt_slowness() + 3; round++) {
        struct load load = {.how = (hk_shutdown_how)(round % 3)};
        struct hkt_thread submitters[SUBMITTERS];
        hk_executor_statistics end;

        start(1 + round % 4);
        for (int i = 0; i < SUBMITTERS; i++) {
            hkt_thread_start(&submitters[i], submit_all_kinds, &load);
        }
        HKT_TRUE(hkt_eventually(has_run_some, NULL));
        HKT_OK(hk_executor_shutdown(pool, load.how, HK_FOREVER));
        for (int i = 0; i < SUBMITTERS; i++) {
            hkt_thread_join(&submitters[i]);
        }
        end = hkt_stats(pool);
        HKT_EQ_INT(load.accepted, load.ended);
        HKT_EQ_INT(end.submitted, load.accepted);
        HKT_EQ_INT(end.done + end.cancelled, end.submitted);
        HKT_EQ_INT(end.queued, 0);
        stop();
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(each_lane_has_its_turns_and_its_order),
    HKT_TEST(a_lane_that_is_empty_gives_its_turn_away),
    HKT_TEST(a_stream_of_high_tasks_starves_nobody),
    HKT_TEST(as_many_run_as_there_are_workers_whatever_their_priority),
    HKT_TEST(a_wait_runs_what_it_waits_for_from_any_lane),
    HKT_TEST(what_waits_in_any_lane_can_be_cancelled),
    HKT_TEST(a_deadline_ends_what_waits_in_any_lane),
    HKT_TEST(tasks_of_all_lanes_end_once),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "thread_pool_priority", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
