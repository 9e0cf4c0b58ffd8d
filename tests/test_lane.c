/* SPDX-License-Identifier: MIT */
/* The lane: a queue of many producers and one consumer at a time. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "sync/lane.h"
#include "tests/fixture.h"
#include "tests/promise_fixture.h"

/* --- Alone --- */

enum { NODES = 20 };

static struct hki_lane lane;
static struct hki_lane_node nodes[NODES];

static void put(int from, int to)
{
    for (int i = from; i < to; i++) {
        hki_lane_put(&lane, &nodes[i]);
    }
}

/* Takes at most so many at once, and expects these. */
static void take(size_t max, int from, int to)
{
    struct hki_lane_node *got[NODES] = {NULL};

    HKT_EQ_INT(hki_lane_take(&lane, got, max), to - from);
    for (int i = from; i < to; i++) {
        HKT_EQ_PTR(got[i - from], &nodes[i]);
    }
}

static void first_in_is_first_out(void)
{
    hki_lane_init(&lane);
    take(NODES, 0, 0);
    put(0, 1);
    take(NODES, 0, 1);
    take(NODES, 0, 0);
    put(0, 5);
    HKT_EQ_INT(hki_lane_count(&lane), 5);
    take(2, 0, 2);
    put(5, 9);
    HKT_EQ_INT(hki_lane_count(&lane), 7);
    take(NODES, 2, 9);
    HKT_EQ_INT(hki_lane_count(&lane), 0);
    take(NODES, 0, 0);
}

/* Linked by whoever puts it. */
static void put_chain(int from, int to)
{
    for (int i = from; i + 1 < to; i++) {
        atomic_store(&nodes[i].next, &nodes[i + 1]);
    }
    hki_lane_put_chain(&lane, &nodes[from], &nodes[to - 1], (size_t)(to - from));
}

static void a_chain_is_put_at_once(void)
{
    hki_lane_init(&lane);
    put_chain(0, 5);
    HKT_EQ_INT(hki_lane_count(&lane), 5);
    put(5, 7);
    take(3, 0, 3);
    put_chain(7, 8);
    put_chain(8, 12);
    take(NODES, 3, 12);
    HKT_EQ_INT(hki_lane_count(&lane), 0);
    put_chain(0, NODES);
    take(NODES, 0, NODES);
    take(1, 0, 0);
}

static void it_goes_empty_and_on_at_any_length(void)
{
    hki_lane_init(&lane);
    for (int round = 0; round < 100; round++) {
        int length = round % NODES;

        put(0, length);
        for (int i = 0; i < length; i++) {
            take(1, i, i + 1);
        }
        take(1, 0, 0);
    }
}

static void it_knows_the_most_it_has_met(void)
{
    hki_lane_init(&lane);
    put(0, 3);
    take(1, 0, 1);
    put(3, 7);
    take(NODES, 1, 7);
    put(0, 2);
    take(NODES, 0, 2);
    HKT_EQ_INT(lane.most, 6);
}

/* A producer that stops between its two steps, here by hand: it has counted and exchanged
 * the tail, and not linked. */
static struct hki_lane_node *stop_in_the_gap(struct hki_lane_node *node)
{
    atomic_fetch_add(&lane.put, 1);
    atomic_store(&node->next, NULL);
    return atomic_exchange(&lane.tail, node);
}

static void leave_the_gap(struct hki_lane_node *before, struct hki_lane_node *node)
{
    atomic_store(&before->next, node);
}

static void who_is_behind_a_gap_waits_but_is_counted(void)
{
    struct hki_lane_node *before;

    hki_lane_init(&lane);
    put(0, 2);
    before = stop_in_the_gap(&nodes[2]);
    put(3, 6);
    HKT_EQ_INT(hki_lane_count(&lane), 6);
    /* The one before the gap has no successor yet: it stays, too. */
    take(NODES, 0, 1);
    take(NODES, 0, 0);
    HKT_EQ_INT(hki_lane_count(&lane), 5);
    leave_the_gap(before, &nodes[2]);
    take(NODES, 1, 6);
    HKT_EQ_INT(hki_lane_count(&lane), 0);
}

static void the_gap_may_be_the_first_place(void)
{
    struct hki_lane_node *before;

    hki_lane_init(&lane);
    before = stop_in_the_gap(&nodes[0]);
    take(NODES, 0, 0);
    HKT_EQ_INT(hki_lane_count(&lane), 1);
    put(1, 2);
    take(NODES, 0, 0);
    leave_the_gap(before, &nodes[0]);
    take(NODES, 0, 2);
}

/* A producer comes while the consumer puts the stub behind the last node. */
static void the_gap_may_be_behind_the_stub(void)
{
    struct hki_lane_node *before;

    hki_lane_init(&lane);
    put(0, 1);
    take(NODES, 0, 1); /* Only the stub is left in it. */
    put(1, 2);
    before = stop_in_the_gap(&nodes[2]);
    HKT_EQ_PTR(before, &nodes[1]);
    take(NODES, 1, 1);
    leave_the_gap(before, &nodes[2]);
    take(NODES, 1, 3);
    HKT_EQ_INT(hki_lane_count(&lane), 0);
}

/* --- Several producers, and consumers in turn --- */

enum { PRODUCERS = 3, CONSUMERS = 2, EACH = 3000, CHAIN = 5, BATCH = 7 };

struct parcel {
    struct hki_lane_node node; /* First: the two convert. */
    unsigned from;             /* Plain, both: only the lane brings them. */
    unsigned number;
    atomic_uint seen;
};

struct depot {
    struct hki_lane lane;
    struct parcel parcels[PRODUCERS][EACH];
    unsigned next[PRODUCERS]; /* Plain: the consumer's lock guards it. */
    atomic_uint next_producer;
    atomic_uint left;
};

/* One of them in chains. */
static void produce(void *arg)
{
    struct depot *depot = arg;
    unsigned who = atomic_fetch_add(&depot->next_producer, 1);

    for (unsigned i = 0; i < EACH; i++) {
        depot->parcels[who][i].from = who;
        depot->parcels[who][i].number = i;
        if (who != 0) {
            hki_lane_put(&depot->lane, &depot->parcels[who][i].node);
        } else if (i % CHAIN == CHAIN - 1) {
            hki_lane_put_chain(&depot->lane, &depot->parcels[who][i - (CHAIN - 1)].node,
                               &depot->parcels[who][i].node, CHAIN);
        } else {
            atomic_store(&depot->parcels[who][i].node.next, &depot->parcels[who][i + 1].node);
        }
    }
}

/* What one producer has put comes out in its order. */
static size_t take_some(struct depot *depot)
{
    struct hki_lane_node *got[BATCH];
    size_t count;

    if (!hki_brief_lock_try(&depot->lane.consumer)) {
        return 0;
    }
    count = hki_lane_take(&depot->lane, got, BATCH);
    for (size_t i = 0; i < count; i++) {
        struct parcel *parcel = (struct parcel *)(void *)got[i];

        HKT_TRUE(parcel->from < PRODUCERS);
        HKT_EQ_INT(parcel->number, depot->next[parcel->from]);
        depot->next[parcel->from]++;
        HKT_EQ_INT(atomic_fetch_add(&parcel->seen, 1), 0);
    }
    hki_brief_lock_release(&depot->lane.consumer);
    return count;
}

static void consume(void *arg)
{
    struct depot *depot = arg;

    /* relaxed: it says nothing of the parcels. */
    while (atomic_load_explicit(&depot->left, memory_order_relaxed) != 0) {
        size_t count = take_some(depot);

        /* relaxed: as above. */
        atomic_fetch_sub_explicit(&depot->left, (unsigned)count, memory_order_relaxed);
        if (count == 0) {
            sched_yield();
        }
        HKT_TRUE(hki_lane_count(&depot->lane) <= PRODUCERS * EACH);
    }
}

static void every_node_comes_out_once_and_in_its_producers_order(void)
{
    static struct depot depot;
    unsigned rounds = 60 / hkt_slowness() + 1;

    for (unsigned round = 0; round < rounds; round++) {
        struct hkt_thread producers[PRODUCERS];
        struct hkt_thread consumers[CONSUMERS];

        memset(&depot, 0, sizeof(depot));
        hki_lane_init(&depot.lane);
        atomic_store(&depot.left, PRODUCERS * EACH);
        for (int i = 0; i < CONSUMERS; i++) {
            hkt_thread_start(&consumers[i], consume, &depot);
        }
        for (int i = 0; i < PRODUCERS; i++) {
            hkt_thread_start(&producers[i], produce, &depot);
        }
        for (int i = 0; i < PRODUCERS; i++) {
            hkt_thread_join(&producers[i]);
        }
        for (int i = 0; i < CONSUMERS; i++) {
            hkt_thread_join(&consumers[i]);
        }
        for (int i = 0; i < PRODUCERS; i++) {
            HKT_EQ_INT(depot.next[i], EACH);
        }
        HKT_EQ_INT(hki_lane_count(&depot.lane), 0);
        HKT_TRUE(depot.lane.most >= 1 && depot.lane.most <= PRODUCERS * EACH);
    }
}

/* Without the counts, which bring nearly as much; and two or three at a time, since what comes
 * behind brings as much, too. */
static void link_by_few(void *arg)
{
    static const struct parcel empty;
    struct depot *depot = arg;

    for (unsigned i = 0; i < EACH; i++) {
        struct parcel *parcel = &depot->parcels[0][i];

        *parcel = empty; /* A plain write: the node, too, is brought. */
        parcel->number = i + 1;
        hki_lane_link(&depot->lane, &parcel->node);
        while ((i % 5 == 1 || i % 5 == 4) && atomic_load(&depot->left) != i + 1) {
            sched_yield();
        }
    }
}

static void a_link_brings_what_was_written_before(void)
{
    static struct depot depot;
    struct hkt_thread producer;
    unsigned taken = 0;

    memset(&depot, 0, sizeof(depot));
    hki_lane_init(&depot.lane);
    hkt_thread_start(&producer, link_by_few, &depot);
    while (taken < EACH) {
        const void *node = hki_lane_unlink(&depot.lane);

        if (node == NULL) {
            sched_yield();
            continue;
        }
        taken++;
        HKT_EQ_INT(((const struct parcel *)node)->number, taken);
        atomic_store(&depot.left, taken);
    }
    hkt_thread_join(&producer);
}

/* --- L1: who puts and then asks, who asks and then looks --- */

enum { MEETINGS = 20000 };

struct meeting {
    struct hki_lane lane;
    struct hki_lane_node node;
    atomic_uint sleeps;
    bool was_seen;
    bool was_called;
};

static struct meeting meetings[MEETINGS];
static struct hkt_barrier edge;

static void put_and_ask(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < MEETINGS / hkt_slowness(); i++) {
        if (i % 8 == 0) {
            hkt_barrier_wait(&edge);
        }
        hki_lane_put(&meetings[i].lane, &meetings[i].node);
        meetings[i].was_called = atomic_load(&meetings[i].sleeps) != 0;
    }
}

static void say_and_look(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < MEETINGS / hkt_slowness(); i++) {
        if (i % 8 == 0) {
            hkt_barrier_wait(&edge);
        }
        atomic_store(&meetings[i].sleeps, 1);
        meetings[i].was_seen = hki_lane_count(&meetings[i].lane) != 0;
    }
}

static void one_of_putter_and_sleeper_sees_the_other(void)
{
    struct hkt_thread threads[2];

    memset(meetings, 0, sizeof(meetings));
    for (unsigned i = 0; i < MEETINGS; i++) {
        hki_lane_init(&meetings[i].lane);
    }
    hkt_barrier_init(&edge, 2, "both are there");
    hkt_thread_start(&threads[0], put_and_ask, NULL);
    hkt_thread_start(&threads[1], say_and_look, NULL);
    hkt_thread_join(&threads[0]);
    hkt_thread_join(&threads[1]);
    hkt_barrier_fini(&edge);
    for (unsigned i = 0; i < MEETINGS / hkt_slowness(); i++) {
        HKT_TRUE(meetings[i].was_seen || meetings[i].was_called);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("first in is first out", first_in_is_first_out),
    HKT_CASE("a chain is put at once", a_chain_is_put_at_once),
    HKT_CASE("it goes empty and on at any length", it_goes_empty_and_on_at_any_length),
    HKT_CASE("it knows the most it has met", it_knows_the_most_it_has_met),
    HKT_CASE("who is behind a gap waits but is counted", who_is_behind_a_gap_waits_but_is_counted),
    HKT_CASE("the gap may be the first place", the_gap_may_be_the_first_place),
    HKT_CASE("the gap may be behind the stub", the_gap_may_be_behind_the_stub),
    HKT_CASE("every node comes out once and in its producer's order",
             every_node_comes_out_once_and_in_its_producers_order),
    HKT_TEST(a_link_brings_what_was_written_before),
    HKT_CASE("one of putter and sleeper sees the other", one_of_putter_and_sleeper_sees_the_other),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "lane", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
