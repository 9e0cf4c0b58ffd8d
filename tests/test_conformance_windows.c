/* SPDX-License-Identifier: MIT */
/*
 * What follows from "map" for every executor, beside the cases MP: cases MO of docs/contract.md.
 */
#include <pthread.h>
#include <string.h>

#include "tests/led_fixture.h"

/* --- A source that watches how it is pulled --- */

struct pulled {
    int next;
    int end; /* HK_EDONE there. */
    pthread_t reader;
    bool inside;
    unsigned elsewhere;      /* Pulls by another thread. */
    unsigned concurrent;     /* Pulls within a pull. */
    hk_map_iterator *victim; /* Cancelled within the pull of item 3. */
    hk_status cancel;
    hk_cancel_token *token; /* Fired within the pull of item 3. */
    hk_status fails;        /* In place of HK_EDONE. */
};

static struct pulled pulled_up_to(int end)
{
    return (struct pulled){.end = end, .reader = pthread_self(), .cancel = HK_EINVAL};
}

static hk_status pull(void *state, hk_map_input *input)
{
    struct pulled *pulled = state;

    pulled->elsewhere += !pthread_equal(pulled->reader, pthread_self());
    pulled->concurrent += pulled->inside;
    pulled->inside = true;
    if (pulled->next == 3 && pulled->victim != NULL) {
        pulled->cancel = hk_map_cancel(pulled->victim);
        pulled->victim = NULL;
    }
    if (pulled->next == 3 && pulled->token != NULL) {
        HKT_OK(hk_cancel_token_fire(pulled->token, "the source has had enough"));
    }
    pulled->inside = false;
    if (pulled->next == pulled->end) {
        return pulled->fails != HK_OK ? pulled->fails : HK_EDONE;
    }
    pulled->next++;
    input->data = &pulled->next;
    input->size = sizeof(pulled->next);
    return HK_OK;
}

static hk_map_iterator *start(const hk_task *task, struct pulled *pulled, hk_map_options options)
{
    hk_map_iterator *iterator = NULL;

    HKT_OK_FATAL(hk_map(hkt_executor, task, pull, pulled, &options, &iterator));
    return iterator;
}

static int value_of(const hk_map_item *item)
{
    int value = -1;

    if (item->status == HK_OK && HKT_EQ_INT(item->size, sizeof(value))) {
        memcpy(&value, item->data, sizeof(value));
    }
    return value;
}

/* --- MO01, MO02: pulling --- */

static void the_reader_alone_pulls_one_at_a_time(void)
{
    enum { ITEMS = 200 };

    for (size_t chunk = 0; chunk <= 3; chunk += 3) {
        for (int unordered = 0; unordered < 2; unordered++) {
            struct pulled pulled = pulled_up_to(ITEMS);
            hk_map_iterator *iterator =
                start(hkt_square, &pulled,
                      (hk_map_options){.chunk = chunk, .window = 4, .unordered = unordered != 0});
            hk_map_item item;
            int items = 0;

            while (hk_map_next(iterator, HK_FOREVER, &item) == HK_OK) {
                int number = (int)item.index + 1;

                HKT_EQ_INT(value_of(&item), number * number);
                hk_map_item_drop(&item);
                items++;
            }
            HKT_EQ_INT(items, ITEMS);
            HKT_EQ_INT(pulled.elsewhere, 0);
            HKT_EQ_INT(pulled.concurrent, 0);
            hk_map_destroy(iterator);
        }
    }
}

static void no_more_than_the_window_is_undelivered(void)
{
    enum { ITEMS = 40, WINDOW = 3, CHUNK = 2 };
    struct pulled pulled = pulled_up_to(ITEMS);
    hk_map_iterator *iterator =
        start(hkt_square, &pulled, (hk_map_options){.chunk = CHUNK, .window = WINDOW});
    hk_map_item item;

    for (int i = 0; i < ITEMS; i++) {
        HKT_TRUE(pulled.next <= (i / CHUNK + WINDOW) * CHUNK);
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_EQ_INT(item.index, i);
        hk_map_item_drop(&item);
    }
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
}

/* --- MO03 to MO05: ends from within --- */

static void a_source_may_cancel_its_map(void)
{
    for (size_t chunk = 1; chunk <= 4; chunk += 3) {
        struct pulled pulled = pulled_up_to(100);
        hk_map_iterator *iterator =
            start(hkt_square, &pulled, (hk_map_options){.chunk = chunk, .window = 1});
        hk_map_item item;
        hk_status status;
        int items = 0;

        if (pulled.next > 3) {
            hk_map_destroy(iterator); /* Item 3 was pulled with the call: it knew no iterator. */
            continue;
        }
        pulled.victim = iterator;
        while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK && items < 100) {
            hk_map_item_drop(&item);
            items++;
        }
        HKT_OK(pulled.cancel);
        HKT_STATUS(status, HK_EDONE);
        HKT_TRUE(items <= 4);
        HKT_TRUE(pulled.next <= 4); /* Nothing was pulled after that. */
        HKT_STATUS(hk_map_next(iterator, 0, &item), HK_EDONE);
        hk_map_destroy(iterator);
    }
}

static void a_token_fired_by_the_source_cancels_what_follows(void)
{
    struct pulled pulled = pulled_up_to(6);
    hk_map_iterator *iterator;
    hk_map_item item;
    hk_status status;
    int items = 0;

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &pulled.token));
    iterator = start(hkt_square, &pulled,
                     (hk_map_options){.chunk = 1, .window = 1, .token = pulled.token});
    while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK && items < 100) {
        if (items < 3) {
            HKT_EQ_INT(value_of(&item), (items + 1) * (items + 1));
        } else {
            HKT_STATUS(item.status, HK_ECANCELED);
        }
        hk_map_item_drop(&item);
        items++;
    }
    HKT_TRUE(status == HK_EDONE || status == HK_ECANCELED); /* Told by the items, or once. */
    HKT_TRUE(items >= 3 && items <= 6);
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
    hk_cancel_token_unref(pulled.token);
}

static void a_source_that_fails_is_told_once(void)
{
    static const hk_status failures[] = {HK_ECANCELED, HK_ETIMEDOUT, HK_ENOMEM, HK_EDEADLINE};

    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct pulled pulled = pulled_up_to(4);
        hk_map_iterator *iterator;
        hk_map_item item;

        pulled.fails = failures[i];
        iterator = start(hkt_square, &pulled, (hk_map_options){.chunk = 1 + i % 3, .window = 8});
        for (int n = 0; n < 4; n++) {
            HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
            HKT_EQ_INT(value_of(&item), (n + 1) * (n + 1));
            hk_map_item_drop(&item);
        }
        HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), failures[i]);
        HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
        HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
        hk_map_destroy(iterator);
    }
}

/* --- MO06: bad items --- */

HK_TASK(fails_every_third)
{
    int n = 0;

    memcpy(&n, in, sizeof(n));
    if (n % 3 == 0) {
        return hk_fail(call, n, "item %d", n);
    }
    if (n % 3 == 1) {
        return HK_ECANCELED;
    }
    return hk_return(call, &n, sizeof(n));
}

static void items_end_each_in_its_own_way(void)
{
    enum { ITEMS = 30 };

    for (size_t chunk = 1; chunk <= 7; chunk += 3) {
        struct pulled pulled = pulled_up_to(ITEMS);
        hk_map_iterator *iterator =
            start(fails_every_third, &pulled, (hk_map_options){.chunk = chunk});
        hk_map_item item;

        for (int n = 1; n <= ITEMS; n++) {
            HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
            HKT_STATUS(item.status, n % 3 == 0 ? HK_EFAILED : n % 3 == 1 ? HK_ECANCELED : HK_OK);
            if (n % 3 == 0) {
                HKT_TRUE_FATAL(item.error != NULL);
                HKT_EQ_INT(item.error->app_code, n);
            } else if (n % 3 == 2) {
                HKT_EQ_INT(value_of(&item), n);
            }
            hk_map_item_drop(&item);
        }
        HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
        hk_map_destroy(iterator);
    }
}

/* --- MO07, MO08: limits, and an executor that goes --- */

HK_TASK(overruns_if_third)
{
    int n = 0;

    memcpy(&n, in, sizeof(n));
    while (n == 3 && hk_call_time_left(call) > 0) {
        hkt_give_turn();
    }
    return hk_return(call, &n, sizeof(n));
}

static void a_limit_of_items_lets_the_map_go_on(void)
{
    struct pulled pulled = pulled_up_to(6);
    hk_map_iterator *iterator =
        start(overruns_if_third, &pulled,
              (hk_map_options){.timeout = HK_MS(300) * hkt_slowness(), .limit = HK_SEC(3000)});
    hk_map_item item;

    for (int n = 1; n <= 6; n++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_STATUS(item.status, n == 3 ? HK_EDEADLINE : HK_OK);
        hk_map_item_drop(&item);
    }
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
    HKT_TRUE(hkt_becomes(hkt_executor, hkt_straggling, 0));
}

static void a_map_left_behind_holds_no_executor_up(void)
{
    struct pulled pulled = pulled_up_to(1000);
    hk_map_iterator *iterator = start(hkt_square, &pulled, (hk_map_options){.window = 6});
    hk_map_item item;
    hk_map_item second;

    HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_QUEUED, HK_FOREVER));
    HKT_EQ_INT(value_of(&item), 1); /* It is the reader's own. */
    hk_map_item_drop(&item);
    if (hk_map_next(iterator, HK_FOREVER, &second) == HK_OK) {
        hk_map_item_drop(&second);
    }
    hk_map_destroy(iterator);
    HKT_EQ_INT(hkt_stats(hkt_executor).queued, 0);
}

static hk_status stop_at_five(void *accumulator, const hk_map_item *item)
{
    int *count = accumulator;

    (void)item;
    return ++*count == 5 ? HK_ETOOBIG : HK_OK;
}

static void a_reducer_may_stop_it(void)
{
    struct pulled pulled = pulled_up_to(1000);
    hk_map_options options = {.window = 4, .chunk = 1};
    int count = 0;

    HKT_STATUS(
        hk_map_reduce(hkt_executor, hkt_square, pull, &pulled, stop_at_five, &count, &options),
        HK_ETOOBIG);
    HKT_EQ_INT(count, 5);
    HKT_TRUE(pulled.next <= 5 + 4);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 8)), 64);
}

static CU_TestInfo tests[] = {
    HKT_CASE("MO01 the reader alone pulls, one at a time", the_reader_alone_pulls_one_at_a_time),
    HKT_CASE("MO02 no more than the window is undelivered", no_more_than_the_window_is_undelivered),
    HKT_CASE("MO03 a source may cancel its map", a_source_may_cancel_its_map),
    HKT_CASE("MO04 a token fired by the source cancels what follows",
             a_token_fired_by_the_source_cancels_what_follows),
    HKT_CASE("MO05 a source that fails is told once", a_source_that_fails_is_told_once),
    HKT_CASE("MO06 items end each in its own way", items_end_each_in_its_own_way),
    HKT_CASE("MO07 a limit of items lets the map go on", a_limit_of_items_lets_the_map_go_on),
    HKT_CASE("MO08 a map left behind holds no executor up", a_map_left_behind_holds_no_executor_up),
    HKT_CASE("MO09 a reducer may stop it", a_reducer_may_stop_it),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_windows",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
