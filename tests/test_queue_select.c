/* SPDX-License-Identifier: MIT */
/* Waiting for several queues at once. */
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/allocation_fixture.h"
#include "tests/queue_fixture.h"

enum { THREE = 3, MANY = 40, UNCHANGED = 99 };

static void open_all(hk_queue **queues, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        queues[i] = NULL;
        HKT_OK_FATAL(hk_queue_create(NULL, &queues[i]));
    }
}

static void end_all(hk_queue **queues, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        HKT_OK(hk_queue_destroy(queues[i]));
    }
}

static void put(hk_queue *queue, size_t number)
{
    HKT_OK(hk_queue_put(queue, hkt_number(number), 0));
}

static void expect_item(hk_queue *const *queues, size_t count, size_t number, size_t place)
{
    size_t which = UNCHANGED;
    void *item = NULL;

    HKT_OK(hk_queue_get_any(queues, count, 0, &item, &which));
    HKT_EQ_PTR(item, hkt_number(number));
    HKT_EQ_INT(which, place);
}

/* --- Without waiting ---------------------------------------------------------------------- */

static void it_says_which_queue_has_an_item(void)
{
    hk_queue *queues[THREE];
    size_t which = UNCHANGED;
    void *item = &which;

    open_all(queues, THREE);
    HKT_STATUS(hk_queue_select(queues, THREE, 0, &which), HK_ETIMEDOUT);
    HKT_STATUS(hk_queue_get_any(queues, THREE, 0, &item, &which), HK_ETIMEDOUT);
    HKT_STATUS(hk_queue_select(queues, THREE, HK_MS(2), &which), HK_ETIMEDOUT);
    HKT_STATUS(hk_queue_get_any(queues, THREE, HK_MS(2), &item, &which), HK_ETIMEDOUT);
    HKT_EQ_INT(which, UNCHANGED);
    HKT_EQ_PTR(item, &which);
    for (size_t i = 0; i < THREE; i++) {
        put(queues[i], 10 + i);
        for (int round = 0; round < 5; round++) { /* Wherever a look begins. */
            HKT_OK(hk_queue_select(queues, THREE, 0, &which));
            HKT_EQ_INT(which, i);
        }
        HKT_EQ_INT(hk_queue_length(queues[i]), 1); /* It took nothing. */
        expect_item(queues, THREE, 10 + i, i);
    }
    put(queues[1], 7);
    HKT_OK(hk_queue_get_any(queues, THREE, HK_FOREVER, &item, NULL));
    HKT_EQ_PTR(item, hkt_number(7));
    end_all(queues, THREE);
}

static void no_queue_is_forgotten(void)
{
    enum { ROUNDS = 60 };
    hk_queue *queues[THREE];
    size_t selected[THREE] = {0};
    size_t got[THREE] = {0};

    open_all(queues, THREE);
    for (size_t i = 0; i < ROUNDS * THREE; i++) {
        put(queues[i % THREE], i);
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t which = 0;

        HKT_OK(hk_queue_select(queues, THREE, HK_FOREVER, &which));
        selected[which]++;
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t which = 0;
        void *item;

        HKT_OK(hk_queue_get_any(queues, THREE, HK_FOREVER, &item, &which));
        got[which]++;
    }
    for (size_t i = 0; i < THREE; i++) {
        HKT_EQ_INT(selected[i], ROUNDS / THREE);
        HKT_EQ_INT(got[i], ROUNDS / THREE);
    }
    end_all(queues, THREE);
}

static void a_closed_queue_is_told_and_passed_over(void)
{
    hk_queue *queues[THREE];
    hk_queue *without_first[THREE];
    size_t which = UNCHANGED;
    void *item;

    open_all(queues, THREE);
    put(queues[0], 5);
    HKT_OK(hk_queue_close(queues[0]));
    expect_item(queues, THREE, 5, 0); /* Drained first. */
    HKT_OK(hk_queue_select(queues, THREE, HK_FOREVER, &which));
    HKT_EQ_INT(which, 0);
    HKT_STATUS(hk_queue_get_any(queues, THREE, 0, &item, &which), HK_ETIMEDOUT);
    without_first[0] = NULL; /* Struck out. */
    without_first[1] = queues[1];
    without_first[2] = queues[2];
    HKT_STATUS(hk_queue_select(without_first, THREE, 0, &which), HK_ETIMEDOUT);
    put(queues[2], 6);
    HKT_OK(hk_queue_select(without_first, THREE, HK_FOREVER, &which));
    HKT_EQ_INT(which, 2);
    expect_item(queues, THREE, 6, 2);
    HKT_OK(hk_queue_close(queues[1]));
    HKT_OK(hk_queue_close(queues[2]));
    HKT_STATUS(hk_queue_get_any(queues, THREE, HK_FOREVER, &item, &which), HK_EDONE);
    HKT_STATUS(hk_queue_get_any(queues, THREE, 0, &item, &which), HK_EDONE);
    end_all(queues, THREE);
}

static void what_makes_no_sense_is_refused(void)
{
    hk_queue *queues[THREE];
    hk_queue *none[2] = {NULL, NULL};
    size_t which;
    void *item;

    open_all(queues, THREE);
    HKT_STATUS(hk_queue_select(NULL, 1, 0, &which), HK_EINVAL);
    HKT_STATUS(hk_queue_select(queues, 0, 0, &which), HK_EINVAL);
    HKT_STATUS(hk_queue_select(queues, THREE, -2, &which), HK_EINVAL);
    HKT_STATUS(hk_queue_select(queues, THREE, 0, NULL), HK_EINVAL);
    HKT_STATUS(hk_queue_select(none, 2, HK_FOREVER, &which), HK_EINVAL);
    HKT_STATUS(hk_queue_get_any(NULL, 1, 0, &item, &which), HK_EINVAL);
    HKT_STATUS(hk_queue_get_any(queues, 0, 0, &item, &which), HK_EINVAL);
    HKT_STATUS(hk_queue_get_any(queues, THREE, -2, &item, &which), HK_EINVAL);
    HKT_STATUS(hk_queue_get_any(queues, THREE, 0, NULL, &which), HK_EINVAL);
    HKT_STATUS(hk_queue_get_any(none, 2, HK_FOREVER, &item, &which), HK_EINVAL);
    end_all(queues, THREE);
}

/* --- Waiting --------------------------------------------------------------------------------- */

struct chooser {
    struct hkt_thread thread;
    hk_queue **queues;
    size_t count;
    bool wants_item;
    void *item;
    size_t which;
    hk_status status;
};

static void choose(void *arg)
{
    struct chooser *chooser = arg;

    if (chooser->wants_item) {
        chooser->status = hk_queue_get_any(chooser->queues, chooser->count, HK_FOREVER,
                                           &chooser->item, &chooser->which);
    } else {
        chooser->status =
            hk_queue_select(chooser->queues, chooser->count, HK_FOREVER, &chooser->which);
    }
}

static void begin_chooser(struct chooser *chooser, hk_queue **queues, size_t count, bool wants_item)
{
    *chooser = (struct chooser){
        .queues = queues, .count = count, .wants_item = wants_item, .which = UNCHANGED};
    hkt_thread_start(&chooser->thread, choose, chooser);
}

static void start_chooser(struct chooser *chooser, hk_queue **queues, size_t count, bool wants_item)
{
    begin_chooser(chooser, queues, count, wants_item);
    hkt_thread_await_sleep(&chooser->thread);
}

static void expect_choice(struct chooser *chooser, hk_status status, size_t which)
{
    hkt_thread_join(&chooser->thread);
    HKT_STATUS(chooser->status, status);
    HKT_EQ_INT(chooser->which, which);
}

static void a_put_into_any_queue_wakes(void)
{
    static const size_t counts[] = {1, THREE, MANY}; /* MANY: more than fit on the stack. */
    hk_queue *queues[MANY];

    open_all(queues, MANY);
    for (size_t i = 0; i < 3; i++) {
        for (size_t place = 0; place < counts[i]; place += 1 + counts[i] / 3) {
            struct chooser chooser;
            int value;

            start_chooser(&chooser, queues, counts[i], true);
            value = 42; /* Plain: only the queue orders it. */
            HKT_OK(hk_queue_put(queues[place], &value, 0));
            expect_choice(&chooser, HK_OK, place);
            HKT_EQ_INT(*(int *)chooser.item, 42);
            start_chooser(&chooser, queues, counts[i], false);
            put(queues[place], 1);
            expect_choice(&chooser, HK_OK, place);
            expect_item(&queues[place], 1, 1, 0);
        }
    }
    end_all(queues, MANY);
}

static void a_close_wakes(void)
{
    hk_queue *queues[THREE];
    struct chooser select;
    struct chooser get;

    open_all(queues, THREE);
    start_chooser(&select, queues, THREE, false);
    start_chooser(&get, queues, THREE, true);
    HKT_OK(hk_queue_close(queues[1]));
    expect_choice(&select, HK_OK, 1);
    HKT_OK(hk_queue_close(queues[0]));
    HKT_OK(hk_queue_close(queues[2]));
    expect_choice(&get, HK_EDONE, UNCHANGED);
    end_all(queues, THREE);
}

/* The last item of a closed queue is taken by another: then it is empty for good. */
static void the_last_item_of_a_closed_queue_wakes(void)
{
    hk_queue_options options = {.order = HK_QUEUE_DELAY};
    hk_queue *queue = NULL;
    struct chooser chooser;
    void *item = NULL;

    HKT_OK_FATAL(hk_queue_create(&options, &queue));
    HKT_OK(hk_queue_put_delayed(queue, hkt_number(1), HK_MS(5), 0));
    HKT_OK(hk_queue_close(queue));
    begin_chooser(&chooser, &queue, 1, false); /* It may be slower than the delay. */
    HKT_OK(hk_queue_get(queue, HK_FOREVER, &item));
    expect_choice(&chooser, HK_OK, 0);
    HKT_OK(hk_queue_destroy(queue));
}

static void the_first_delayed_item_of_any_queue_wakes(void)
{
    hk_queue_options options = {.order = HK_QUEUE_DELAY};
    hk_queue *queues[2] = {NULL, NULL};
    struct chooser chooser;

    HKT_OK_FATAL(hk_queue_create(&options, &queues[0]));
    HKT_OK_FATAL(hk_queue_create(&options, &queues[1]));
    HKT_OK(hk_queue_put_delayed(queues[0], hkt_number(1), HK_SEC(1000), 0));
    HKT_OK(hk_queue_put_delayed(queues[1], hkt_number(2), HK_MS(5), 0));
    choose(&(struct chooser){.queues = queues, .count = 2});
    expect_item(queues, 2, 2, 1);
    start_chooser(&chooser, queues, 2, true); /* Earlier than what it sleeps for. */
    HKT_OK(hk_queue_put_delayed(queues[0], hkt_number(3), HK_MS(1), 0));
    expect_choice(&chooser, HK_OK, 0);
    HKT_EQ_PTR(chooser.item, hkt_number(3));
    end_all(queues, 2);
}

static void who_chooses_prevents_the_end(void)
{
    hk_queue *queues[THREE];
    struct chooser chooser;

    open_all(queues, THREE);
    start_chooser(&chooser, queues, THREE, true);
    for (size_t i = 0; i < THREE; i++) {
        HKT_STATUS(hk_queue_destroy(queues[i]), HK_ESTATE);
    }
    put(queues[2], 1);
    expect_choice(&chooser, HK_OK, 2);
    end_all(queues, THREE);
}

/* The same queue twice is looked at twice, no more. */
static void a_queue_may_stand_there_twice(void)
{
    hk_queue *queues[THREE];
    hk_queue *twice[4];
    struct chooser chooser;

    open_all(queues, THREE);
    twice[0] = queues[0];
    twice[1] = queues[1];
    twice[2] = queues[0];
    twice[3] = NULL;
    start_chooser(&chooser, twice, 4, true);
    put(queues[0], 1);
    hkt_thread_join(&chooser.thread);
    HKT_OK(chooser.status);
    HKT_TRUE(chooser.which == 0 || chooser.which == 2);
    HKT_EQ_INT(hk_queue_length(queues[0]), 0);
    end_all(queues, THREE);
}

/* --- Without memory, and in another process ----------------------------------------------------
 */

static hk_queue *short_queues[MANY];

static void prepare_many(void)
{
    open_all(short_queues, MANY);
}

/* The wait ends with its time; until then it needs links. */
static hk_status choose_among_many(void)
{
    size_t which;
    hk_status status = hk_queue_select(short_queues, MANY, HK_NS(1), &which);

    return status == HK_ETIMEDOUT ? HK_OK : status;
}

static void clean_many(void)
{
    end_all(short_queues, MANY);
}

static void without_memory_for_many_it_says_so(void)
{
    static const struct hkt_allocation_case one = {
        .name = "select", .prepare = prepare_many, .call = choose_among_many, .clean = clean_many};

    hkt_fail_each_allocation(&one);
}

static void choose_inherited(void *arg)
{
    hk_queue *queues[2] = {arg, NULL};
    size_t which;
    void *item;

    if (hk_queue_create(NULL, &queues[1]) != HK_OK ||
        hk_queue_select(queues, 2, HK_FOREVER, &which) != HK_EFORKED ||
        hk_queue_get_any(queues, 2, HK_FOREVER, &item, &which) != HK_EFORKED ||
        hk_queue_destroy(queues[1]) != HK_OK) {
        _Exit(8);
    }
    _Exit(7);
}

static void in_a_forked_child_the_parents_queues_are_refused(void)
{
    struct hkt_child child;
    hk_queue *queue = NULL;

    open_all(&queue, 1);
    hkt_run_in_child(choose_inherited, queue, &child);
    HKT_EQ_INT(child.exit_status, 7);
    end_all(&queue, 1);
}

/* --- Many at once --------------------------------------------------------------------------------
 */

enum { CHOOSERS = 3, PUTTERS = 3, PER_PUTTER = 400 };

struct crowd {
    hk_queue *queues[THREE];
    int values[PUTTERS][PER_PUTTER]; /* Plain: only the queues order them. */
    atomic_int seen[PUTTERS][PER_PUTTER];
    atomic_size_t next_putter;
    atomic_size_t next_chooser;
};

static void put_all(void *arg)
{
    struct crowd *crowd = arg;
    size_t who = atomic_fetch_add(&crowd->next_putter, 1);

    for (size_t i = 0; i < PER_PUTTER; i++) {
        crowd->values[who][i] = (int)(who * PER_PUTTER + i + 1);
        HKT_OK(hk_queue_put(crowd->queues[(who + i) % THREE], &crowd->values[who][i], HK_FOREVER));
    }
}

static void account(struct crowd *crowd, const int *value)
{
    ptrdiff_t at = value - &crowd->values[0][0];

    HKT_EQ_INT(*value, at + 1);
    HKT_EQ_INT(atomic_fetch_add(&crowd->seen[at / PER_PUTTER][at % PER_PUTTER], 1), 0);
}

/* One gets from any, one waits and then tries, one gets from a single queue. */
static void take_all(void *arg)
{
    struct crowd *crowd = arg;
    size_t who = atomic_fetch_add(&crowd->next_chooser, 1);
    hk_queue *left[THREE] = {crowd->queues[0], crowd->queues[1], crowd->queues[2]};
    hk_status status = HK_OK;
    size_t open = THREE;

    while (open != 0 && status != HK_EDONE) {
        size_t which = 0;
        void *item = NULL;

        if (who == 0) {
            status = hk_queue_get_any(left, THREE, HK_FOREVER, &item, NULL);
        } else if (who == 1) {
            HKT_OK(hk_queue_select(left, THREE, HK_FOREVER, &which));
            status = hk_queue_get(left[which], 0, &item);
            if (status == HK_EDONE) {
                left[which] = NULL;
                open--;
                status = HK_ETIMEDOUT;
            }
        } else {
            status = hk_queue_get(left[1], HK_FOREVER, &item);
        }
        if (status == HK_OK) {
            account(crowd, item);
        }
    }
}

static void every_item_goes_to_one_of_the_choosers(void)
{
    static struct crowd crowd;
    unsigned rounds = 20 / hkt_slowness() + 1;

    for (unsigned round = 0; round < rounds; round++) {
        struct hkt_thread putters[PUTTERS];
        struct hkt_thread choosers[CHOOSERS];
        hk_queue_options options = {.capacity = 1 + round % 4};

        crowd = (struct crowd){.next_putter = 0};
        for (size_t i = 0; i < THREE; i++) {
            HKT_OK_FATAL(hk_queue_create(&options, &crowd.queues[i]));
        }
        for (int i = 0; i < PUTTERS; i++) {
            hkt_thread_start(&putters[i], put_all, &crowd);
        }
        for (int i = 0; i < CHOOSERS; i++) {
            hkt_thread_start(&choosers[i], take_all, &crowd);
        }
        for (int i = 0; i < PUTTERS; i++) {
            hkt_thread_join(&putters[i]);
        }
        for (size_t i = 0; i < THREE; i++) {
            HKT_OK(hk_queue_close(crowd.queues[i]));
        }
        for (int i = 0; i < CHOOSERS; i++) {
            hkt_thread_join(&choosers[i]);
        }
        for (size_t i = 0; i < (size_t)PUTTERS * PER_PUTTER; i++) {
            HKT_EQ_INT(atomic_load(&crowd.seen[i / PER_PUTTER][i % PER_PUTTER]), 1);
        }
        end_all(crowd.queues, THREE);
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(it_says_which_queue_has_an_item),
    HKT_TEST(no_queue_is_forgotten),
    HKT_TEST(a_closed_queue_is_told_and_passed_over),
    HKT_TEST(what_makes_no_sense_is_refused),
    HKT_TEST(a_put_into_any_queue_wakes),
    HKT_TEST(a_close_wakes),
    HKT_TEST(the_last_item_of_a_closed_queue_wakes),
    HKT_TEST(the_first_delayed_item_of_any_queue_wakes),
    HKT_TEST(who_chooses_prevents_the_end),
    HKT_TEST(a_queue_may_stand_there_twice),
    HKT_TEST(without_memory_for_many_it_says_so),
    HKT_TEST(in_a_forked_child_the_parents_queues_are_refused),
    HKT_TEST(every_item_goes_to_one_of_the_choosers),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "queue_select", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
