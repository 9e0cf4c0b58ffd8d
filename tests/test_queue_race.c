/* SPDX-License-Identifier: MIT */
/* Queues and rings under several threads at once, with little room and more threads than
 * processors: every item arrives once, with what its putter wrote, and nobody is left
 * asleep (a watchdog ends the test then). */
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sync/queue_impl.h"
#include "tests/queue_fixture.h"
#include "tests/race_fixture.h"

enum { THREADS_MAX = 4, PER_PUTTER = 300, BATCH = 7 };

struct item {
    size_t who;   /* Plain, as all of it: only the queue orders it. */
    size_t index; /* Of its putter's items. */
    size_t twice; /* Of index, written last. */
    atomic_uint seen;
};

/* How the threads of a round behave. */
struct manner {
    size_t capacity;
    unsigned putters;
    unsigned getters;
    bool batches;
    bool short_waits; /* Waits that run out, again and again. */
    bool early_close; /* Some thread closes it while items are put. */
    bool joins;       /* Getters report; somebody joins. */
};

struct round {
    const struct manner *manner;
    void *queue;
    struct item items[THREADS_MAX][PER_PUTTER];
    size_t accepted[THREADS_MAX]; /* Each putter its own. */
    atomic_size_t got;
    atomic_uint next_putter;
    atomic_uint next_getter;
};

static struct round round_now;

static hk_duration limit(const struct manner *manner, size_t step)
{
    return manner->short_waits ? HK_US(step % 4 * 10) : HK_FOREVER;
}

/* Puts up to count items that follow each other; how many were accepted. */
static size_t put_some(struct round *round, struct item *items, size_t count, hk_status *status)
{
    const struct manner *manner = round->manner;
    void *pointers[BATCH];
    size_t put = 0;

    if (!manner->batches) {
        *status = hkt_kind->put(round->queue, items, limit(manner, items->index));
        return *status == HK_OK ? 1 : 0;
    }
    count = count < BATCH ? count : BATCH;
    for (size_t i = 0; i < count; i++) {
        pointers[i] = &items[i];
    }
    *status = hkt_kind->put_many(round->queue, pointers, count, limit(manner, items->index), &put);
    HKT_TRUE(put == count || *status != HK_OK);
    return put;
}

static void put_all(void *arg)
{
    struct round *round = arg;
    size_t who = atomic_fetch_add(&round->next_putter, 1);
    struct item *items = round->items[who];
    size_t done = 0;

    for (size_t i = 0; i < PER_PUTTER; i++) {
        items[i].who = who;
        items[i].index = i;
        items[i].twice = 2 * i;
    }
    while (done < PER_PUTTER) {
        hk_status status;

        done += put_some(round, &items[done], PER_PUTTER - done, &status);
        if (status == HK_ECLOSED && round->manner->early_close) {
            break;
        }
        if (status != HK_OK && !(status == HK_ETIMEDOUT && round->manner->short_waits)) {
            HKT_OK(status);
            break;
        }
    }
    round->accepted[who] = done;
}

/* Of one putter a getter sees later items later. */
static void account(struct item *item, size_t *next)
{
    HKT_EQ_INT(item->twice, 2 * item->index);
    HKT_EQ_INT(atomic_fetch_add(&item->seen, 1), 0);
    HKT_TRUE(item->index >= next[item->who]);
    next[item->who] = item->index + 1;
}

static void get_all(void *arg)
{
    struct round *round = arg;
    const struct manner *manner = round->manner;
    size_t next[THREADS_MAX] = {0};
    size_t step = atomic_fetch_add(&round->next_getter, 1);
    size_t got = 0;

    for (;; step++) {
        void *items[BATCH];
        size_t count = 1;
        hk_status status =
            manner->batches
                ? hkt_kind->take_many(round->queue, limit(manner, step), items, BATCH, &count)
                : hkt_kind->get(round->queue, limit(manner, step), items);

        if (status == HK_EDONE) {
            break;
        }
        if (status == HK_OK) {
            for (size_t i = 0; i < count; i++) {
                account(items[i], next);
            }
            got += count;
            if (manner->joins) {
                HKT_OK(hkt_kind->task_done(round->queue, count));
            }
        } else {
            HKT_TRUE(status == HK_ETIMEDOUT && manner->short_waits);
        }
    }
    atomic_fetch_add(&round->got, got);
}

static bool has_begun(void *arg)
{
    struct round *round = arg;

    return hkt_kind->length(round->queue) > 0 || atomic_load(&round->next_getter) > 0;
}

/* Everything accepted was seen once, and nothing else. */
static void check(const struct round *round)
{
    size_t accepted = 0;

    for (unsigned who = 0; who < round->manner->putters; who++) {
        accepted += round->accepted[who];
        for (size_t i = 0; i < PER_PUTTER; i++) {
            HKT_EQ_INT(atomic_load(&round->items[who][i].seen), i < round->accepted[who] ? 1 : 0);
        }
    }
    HKT_EQ_INT(atomic_load(&round->got), accepted);
}

static void run(const struct manner *manner)
{
    struct round *round = &round_now;
    struct hkt_thread putters[THREADS_MAX];
    struct hkt_thread getters[THREADS_MAX];

    memset(round, 0, sizeof(*round));
    round->manner = manner;
    round->queue = hkt_queue_open(manner->capacity);
    for (unsigned i = 0; i < manner->getters; i++) {
        hkt_thread_start(&getters[i], get_all, round);
    }
    for (unsigned i = 0; i < manner->putters; i++) {
        hkt_thread_start(&putters[i], put_all, round);
    }
    if (manner->early_close) {
        HKT_TRUE(hkt_eventually(has_begun, round));
        HKT_OK(hkt_kind->close(round->queue));
    }
    for (unsigned i = 0; i < manner->putters; i++) {
        hkt_thread_join(&putters[i]);
    }
    if (manner->joins) { /* Only now: before, all might have been done once already. */
        HKT_OK(hkt_kind->join(round->queue, HK_FOREVER));
        HKT_OK(hkt_kind->join(round->queue, 0));
        HKT_EQ_INT(hkt_kind->length(round->queue), 0);
    }
    HKT_OK(hkt_kind->close(round->queue));
    for (unsigned i = 0; i < manner->getters; i++) {
        hkt_thread_join(&getters[i]);
    }
    check(round);
    hkt_queue_end(round->queue);
}

static void run_all(struct manner manner)
{
    static const size_t capacities[] = {1, 2, 3, 4, 64};
    unsigned repeats = 2 / hkt_slowness() + 1;

    for (unsigned repeat = 0; repeat < repeats; repeat++) {
        for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
            for (unsigned threads = 0; threads < 4; threads++) {
                manner.capacity = capacities[i];
                manner.putters = threads % 2 == 0 ? THREADS_MAX : 1;
                manner.getters = threads / 2 == 0 ? THREADS_MAX : 1;
                run(&manner);
            }
        }
    }
}

static void every_item_arrives_once(void)
{
    run_all((struct manner){.joins = false});
}

static void every_item_of_a_batch_arrives_once(void)
{
    run_all((struct manner){.batches = true});
}

static void waits_that_run_out_lose_nothing(void)
{
    run_all((struct manner){.short_waits = true});
    run_all((struct manner){.short_waits = true, .batches = true});
}

static void an_early_close_loses_nothing(void)
{
    run_all((struct manner){.early_close = true});
    run_all((struct manner){.early_close = true, .batches = true});
    run_all((struct manner){.early_close = true, .short_waits = true});
}

static void a_join_sees_everything_done(void)
{
    run_all((struct manner){.joins = true});
    run_all((struct manner){.joins = true, .batches = true});
}

/* --- To and fro --------------------------------------------------------------------------- */

struct rally {
    void *there;
    void *back;
    size_t strokes;
    int payload; /* Plain: handed to and fro with the item. */
};

static void return_each(void *arg)
{
    struct rally *rally = arg;

    for (size_t i = 0; i < rally->strokes; i++) {
        void *item = NULL;

        HKT_OK(hkt_kind->get(rally->there, HK_FOREVER, &item));
        rally->payload++;
        HKT_OK(hkt_kind->put(rally->back, item, HK_FOREVER));
    }
}

/* Each side sleeps until the other has put: a single lost wake ends it. */
static void nobody_sleeps_through_a_put(void)
{
    struct rally rally = {.there = hkt_queue_open(1), .back = hkt_queue_open(1)};
    struct hkt_thread other;

    rally.strokes = 20000 / hkt_slowness();
    hkt_thread_start(&other, return_each, &rally);
    for (size_t i = 0; i < rally.strokes; i++) {
        void *item = NULL;

        rally.payload++;
        HKT_OK(hkt_kind->put(rally.there, hkt_number(i), HK_FOREVER));
        HKT_OK(hkt_kind->get(rally.back, HK_FOREVER, &item));
        HKT_EQ_PTR(item, hkt_number(i));
    }
    hkt_thread_join(&other);
    HKT_EQ_INT(rally.payload, 2 * rally.strokes);
    hkt_queue_end(rally.there);
    hkt_queue_end(rally.back);
}

/* --- The descriptor ------------------------------------------------------------------------ */

static void put_numbers(void *arg)
{
    struct round *round = arg;
    size_t who = atomic_fetch_add(&round->next_putter, 1);

    for (size_t i = 0; i < PER_PUTTER; i++) {
        HKT_OK(hkt_kind->put(round->queue, &round->items[who][i], HK_FOREVER));
    }
}

/* Gets only what poll tells of. */
static void poll_all(void *arg)
{
    struct round *round = arg;
    struct pollfd wanted = {.events = POLLIN};
    hk_status status = HK_OK;

    HKT_OK(hkt_kind->fd(round->queue, &wanted.fd));
    while (status != HK_EDONE) {
        void *item;

        HKT_EQ_INT(poll(&wanted, 1, -1), 1);
        status = hkt_kind->get(round->queue, 0, &item);
        if (status == HK_OK) {
            atomic_fetch_add(&round->got, 1);
        }
    }
}

static void poll_sleeps_through_nothing(void)
{
    unsigned rounds = 30 / hkt_slowness() + 1;

    for (unsigned i = 0; i < rounds; i++) {
        struct round *round = &round_now;
        struct hkt_thread putters[2];
        struct hkt_thread getters[2];

        memset(round, 0, sizeof(*round));
        round->queue = hkt_queue_open(1 + i % 4);
        for (unsigned who = 0; who < 2; who++) {
            hkt_thread_start(&putters[who], put_numbers, round);
            hkt_thread_start(&getters[who], poll_all, round);
        }
        hkt_thread_join(&putters[0]);
        hkt_thread_join(&putters[1]);
        HKT_OK(hkt_kind->close(round->queue));
        hkt_thread_join(&getters[0]);
        hkt_thread_join(&getters[1]);
        HKT_EQ_INT(atomic_load(&round->got), 2 * PER_PUTTER);
        hkt_queue_end(round->queue);
    }
}

/* --- The end --------------------------------------------------------------------------------- */

struct last {
    hk_queue *queue;
    int payload;
};

static void put_last(void *arg)
{
    struct last *last = arg;

    last->payload = 42;
    HKT_OK(hk_queue_put(last->queue, &last->payload, HK_FOREVER));
}

/* The putter may still be on its way out. Not so with rings. */
static void who_gets_the_last_item_may_destroy_the_queue(void)
{
    unsigned rounds = 600 / hkt_slowness();

    for (unsigned i = 0; i < rounds; i++) {
        struct last last = {.queue = NULL};
        struct hkt_thread putter;
        void *item = NULL;

        HKT_OK_FATAL(hk_queue_create(NULL, &last.queue));
        hkt_thread_start(&putter, put_last, &last);
        HKT_OK(hk_queue_get(last.queue, i % 2 == 0 ? HK_FOREVER : HK_SEC(100), &item));
        HKT_EQ_INT(*(int *)item, 42);
        HKT_OK(hk_queue_destroy(last.queue));
        hkt_thread_join(&putter);
    }
}

struct farewell {
    void *queue;
    int payload; /* Plain: only the close orders it. */
};

static void say_and_close(void *arg)
{
    struct farewell *farewell = arg;

    farewell->payload = 42;
    HKT_OK(hkt_kind->close(farewell->queue));
}

static void who_finds_it_closed_sees_what_came_before(void)
{
    unsigned rounds = 200 / hkt_slowness() + 1;

    for (unsigned i = 0; i < rounds; i++) {
        struct farewell farewell = {.queue = hkt_queue_open(1)};
        struct hkt_thread closer;
        hk_status status;
        void *item;

        hkt_thread_start(&closer, say_and_close, &farewell);
        do {
            status = hkt_kind->get(farewell.queue, i % 2 == 0 ? 0 : HK_FOREVER, &item);
        } while (status == HK_ETIMEDOUT);
        HKT_STATUS(status, HK_EDONE);
        HKT_EQ_INT(farewell.payload, 42);
        hkt_thread_join(&closer);
        hkt_queue_end(farewell.queue);
    }
}

/* The sleepers are on their way out while somebody tries again and again. */
static void a_destroy_that_is_tried_again_comes_after_the_last_sleeper(void)
{
    unsigned rounds = 100 / hkt_slowness() + 1;

    for (unsigned i = 0; i < rounds; i++) {
        void *queue = hkt_queue_open(1);
        struct hkt_caller getters[2];
        hk_status status;

        hkt_start_getter(&getters[0], queue);
        hkt_start_getter(&getters[1], queue);
        HKT_OK(hkt_kind->close(queue));
        while ((status = hkt_kind->destroy(queue)) == HK_ESTATE) {
            sched_yield();
        }
        HKT_OK(status);
        hkt_expect_caller(&getters[0], HK_EDONE);
        hkt_expect_caller(&getters[1], HK_EDONE);
    }
}

/* A sleeper's last touch brings all that it did before, beside the lock. */
static void write_and_leave(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    hki_queue_leave(round->object);
}

static void destroy_and_read(struct hkt_round *round, unsigned who)
{
    while ((round->status[who] = hk_queue_destroy(round->object)) == HK_ESTATE) {
        sched_yield();
    }
    round->payload[who] = round->payload[0];
}

static void open_with_somebody_inside(struct hkt_round *round)
{
    hk_queue *queue = hkt_queue_open(0);

    atomic_fetch_add(&queue->inside, 1);
    round->object = queue;
}

static void it_ended_after_the_last_touch(struct hkt_round *round)
{
    HKT_OK(round->status[1]);
    HKT_EQ_INT(round->payload[1], HKT_PAYLOAD);
}

static void a_destroy_sees_what_was_written_before_the_last_touch(void)
{
    static const struct hkt_race race = {open_with_somebody_inside,
                                         {write_and_leave, destroy_and_read},
                                         it_ended_after_the_last_touch};

    hkt_use_queues();
    hkt_race(&race);
}

static CU_TestInfo tests[] = {
    HKT_TEST(every_item_arrives_once),
    HKT_TEST(every_item_of_a_batch_arrives_once),
    HKT_TEST(waits_that_run_out_lose_nothing),
    HKT_TEST(an_early_close_loses_nothing),
    HKT_TEST(a_join_sees_everything_done),
    HKT_TEST(nobody_sleeps_through_a_put),
    HKT_TEST(poll_sleeps_through_nothing),
    HKT_TEST(who_finds_it_closed_sees_what_came_before),
    HKT_TEST(a_destroy_that_is_tried_again_comes_after_the_last_sleeper),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo queue_tests[] = {
    HKT_TEST(who_gets_the_last_item_may_destroy_the_queue),
    HKT_TEST(a_destroy_sees_what_was_written_before_the_last_touch),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "queue_race.queue_alone", .pTests = queue_tests},
    {.pName = "queue_race.queue", .pSetUpFunc = hkt_use_queues, .pTests = tests},
    {.pName = "queue_race.ring", .pSetUpFunc = hkt_use_rings, .pTests = tests},
    {.pName = "queue_race.ring_without_barrier",
     .pSetUpFunc = hkt_use_rings_without_barrier,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
