/* SPDX-License-Identifier: MIT */
/*
 * Larger rings of waits of different kinds, closed at every place; and rings through serial
 * executors, derived futures, sets and completion queues. Rings of two are in
 * test_mixed_cycles.c.
 */
#include "tests/ring_fixture.h"

/* --- Closed at every place --- */

/* A thread that holds accounts waits for a task, which waits to write the table, which a
 * thread reads that waits for the end of pool b, whose task wants accounts. */
static void expect_refused_at(unsigned last, const char *expected)
{
    struct hkt_actor ledger = {.name = "ledger",
                               .prepare = hkt_take_accounts,
                               .wait = hkt_wait_for_one,
                               .release = hkt_give_accounts};
    struct hkt_actor writer = {
        .pool = hkt_a, .task = sum, .wait = hkt_want_to_write, .release = hkt_give_table};
    struct hkt_actor joiner = {
        .name = "joiner", .prepare = hkt_read_table, .wait = hkt_join_b, .release = hkt_give_table};
    struct hkt_actor auditor = {
        .pool = hkt_b, .task = audit, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&ledger, &writer, &joiner, &auditor};
    unsigned order[4];

    for (unsigned i = 0; i < 4; i++) {
        order[i] = (last + 1 + i) % 4;
    }
    hkt_await_actors(&writer, NULL);
    hkt_actors_begin(actors, 4);
    hkt_expect_last_refused(actors, 4, order);
    HKT_REPORT(expected);
    hkt_renew(&hkt_b, "b");
    hkt_expect_usable();
}

#define FUTURE   "future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0"
#define TABLE    "read-write lock 0x.. (table) held by thread joiner (#) as a reader since " HKT_READ
#define END      "the end of executor b held up by worker b_0"
#define ACCOUNTS "lock 0x.. (accounts) held by thread ledger (#) since " HKT_TAKEN
#define WHICH    ", which waits for "

static void a_ring_of_four_kinds(void)
{
    expect_refused_at(0,
                      "thread ledger (#) waits for " FUTURE WHICH TABLE WHICH END WHICH ACCOUNTS);
    expect_refused_at(1, "worker a_0 waits for " TABLE WHICH END WHICH ACCOUNTS WHICH FUTURE);
    expect_refused_at(2,
                      "thread joiner (#) waits for " END WHICH ACCOUNTS WHICH FUTURE WHICH TABLE);
    expect_refused_at(3, "worker b_0 waits for " ACCOUNTS WHICH FUTURE WHICH TABLE WHICH END);
}

/* --- A writer that waits keeps readers out --- */

static void expect_reader_refused(const unsigned order[3], const char *expected)
{
    struct hkt_actor reader = {.name = "reader",
                               .prepare = hkt_read_table,
                               .wait = hkt_wait_for_one,
                               .release = hkt_give_table};
    struct hkt_actor task = {
        .pool = hkt_a, .task = sum, .wait = hkt_want_to_read, .release = hkt_give_table};
    struct hkt_actor writer = {
        .name = "writer", .wait = hkt_want_to_write, .release = hkt_give_table};
    struct hkt_actor *actors[] = {&reader, &task, &writer};

    hkt_await_actors(&task, NULL);
    hkt_actors_begin(actors, 3);
    hkt_expect_last_refused(actors, 3, order);
    HKT_REPORT(expected);
    hkt_expect_usable();
}

static void a_reader_behind_a_writer_and_a_future(void)
{
    static const char task_refused[] =
        "worker a_0 waits for read-write lock 0x.. (table) held by thread reader (#) as a reader "
        "since " HKT_READ ", which waits for " FUTURE;

    expect_reader_refused((const unsigned[]){2, 1, 0},
                          "thread reader (#) waits for " FUTURE
                          ", which waits for read-write lock 0x.. (table) held by thread reader "
                          "(#) as a reader since " HKT_READ);
    expect_reader_refused((const unsigned[]){2, 0, 1}, task_refused);
    expect_reader_refused((const unsigned[]){0, 2, 1}, task_refused);
}

/* --- Serial executors --- */

static hk_executor *serial;
static hk_future *behind;

static void open_serial(const hk_executor_options *options)
{
    HKT_OK_FATAL(hk_serial_create(hkt_a, options, &serial));
}

static void submit_behind(void)
{
    HKT_OK_FATAL(HKT_AT("behind", hk_submit(serial, hkt_nothing, NULL, 0, NULL, &behind)));
}

static hk_status wait_for_behind(void)
{
    return hk_future_wait(behind, HK_FOREVER);
}

/* A task of the serial executor waits for one of b, which waits for the next one of the
 * serial executor. */
static void a_serial_executor_and_futures(void)
{
    struct hkt_actor first = {.workers = hkt_a, .task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor other = {
        .pool = hkt_b, .task = audit, .prepare = submit_behind, .wait = wait_for_behind};
    struct hkt_actor *actors[] = {&first, &other};

    open_serial(NULL);
    first.pool = serial;
    hkt_await_actors(&other, NULL);
    for (unsigned last = 0; last < 2; last++) {
        hkt_actors_begin(actors, 2);
        hkt_expect_last_refused(actors, 2, (const unsigned[]){!last, last});
        HKT_REPORT(last == 0
                       ? "worker a_0 waits for future 0x.. (audit, " HKT_SUBMITTED ") run by "
                         "worker b_0, which waits for future 0x.. (hkt_nothing, submitted at "
                         "test_mixed_rings.c:{behind}) to be started by worker a_0"
                       : "worker b_0 waits for future 0x.. (hkt_nothing, submitted at "
                         "test_mixed_rings.c:{behind}) to be started by worker a_0, which waits "
                         "for future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0");
        hkt_expect_end(behind, HK_OK);
        hkt_expect_usable();
    }
    HKT_OK(hk_executor_destroy(serial));
}

static hk_status join_serial(void)
{
    return hk_executor_shutdown(serial, HK_SHUTDOWN_DRAIN, HK_FOREVER);
}

/* A task of b waits for the end of the serial executor, whose task waits for it. */
static void the_end_of_a_serial_executor_and_a_future(void)
{
    struct hkt_actor task = {.workers = hkt_a, .task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor joiner = {.pool = hkt_b, .task = audit, .wait = join_serial};
    struct hkt_actor *actors[] = {&task, &joiner};

    hkt_await_actors(&joiner, NULL);
    for (unsigned last = 0; last < 2; last++) {
        open_serial(&(hk_executor_options){.name = "s"});
        task.pool = serial;
        hkt_actors_begin(actors, 2);
        hkt_expect_last_refused(actors, 2, (const unsigned[]){!last, last});
        HKT_REPORT(last == 0
                       ? "worker a_0 waits for future 0x.. (audit, " HKT_SUBMITTED ") run by "
                         "worker b_0, which waits for the end of executor s held up by worker a_0"
                       : "worker b_0 waits for the end of executor s held up by worker a_0, which "
                         "waits for future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0");
        HKT_OK(hk_executor_destroy(serial));
        hkt_expect_usable();
    }
}

static void fill_serial_and_take_accounts(void)
{
    HKT_OK(hk_submit(serial, hkt_nothing, NULL, 0, NULL, NULL));
    hkt_take_accounts();
}

static hk_status submit_to_serial(void)
{
    return hk_submit(serial, hkt_nothing, NULL, 0, NULL, NULL);
}

static void room_in_a_serial_executor_and_a_lock(void)
{
    struct hkt_actor task = {
        .workers = hkt_a, .task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor sender = {.name = "sender",
                               .prepare = fill_serial_and_take_accounts,
                               .wait = submit_to_serial,
                               .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&task, &sender};

    open_serial(&(hk_executor_options){.name = "s", .queue_capacity = 1});
    task.pool = serial;
    for (unsigned last = 0; last < 2; last++) {
        hkt_actors_begin(actors, 2);
        hkt_expect_last_refused(actors, 2, (const unsigned[]){!last, last});
        HKT_REPORT(last == 0 ? "worker a_0 waits for lock 0x.. (accounts) held by thread sender "
                               "(#) since " HKT_TAKEN ", which waits for room in the queue of "
                               "executor s to be made by worker a_0"
                             : "thread sender (#) waits for room in the queue of executor s to be "
                               "made by worker a_0, which waits for lock 0x.. (accounts) held by "
                               "thread sender (#) since " HKT_TAKEN);
    }
    HKT_OK(hk_executor_destroy(serial));
}

/* --- Several futures at once --- */

static struct hkt_actor first;
static struct hkt_actor second;
static struct hkt_pair pair; /* A promise, which anybody might set. */
static hk_future *derived;
static hk_completion *completion;

/* Two tasks want accounts, which a thread holds that waits for them in some way. */
static void expect_gatherer(hk_status (*wait)(void), const unsigned order[3], const char *expected)
{
    struct hkt_actor gatherer = {.name = "gatherer",
                                 .prepare = hkt_take_accounts,
                                 .wait = wait,
                                 .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&first, &second, &gatherer};

    first = (struct hkt_actor){
        .pool = hkt_a, .task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    second = (struct hkt_actor){
        .pool = hkt_b, .task = audit, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    hkt_actors_begin(actors, 3);
    hkt_expect_last_refused(actors, 3, order);
    HKT_REPORT(expected);
    hkt_expect_usable();
}

static const unsigned gatherer_last[] = {0, 1, 2};
static const unsigned second_last[] = {2, 0, 1};
static const unsigned second_after_gatherer[] = {0, 2, 1};

#define FIRST     "future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0"
#define SECOND    "future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0"
#define GATHERING "lock 0x.. (accounts) held by thread gatherer (#) since " HKT_TAKEN

static hk_status wait_for_any(void)
{
    hk_future *futures[] = {first.future, second.future};

    return hk_wait(futures, 2, HK_FIRST_COMPLETED, HK_FOREVER, NULL, NULL);
}

/* The last one to wait is refused; only its own part of the ring is told. */
static void a_lock_and_any_of_two_futures(void)
{
    expect_gatherer(
        wait_for_any, gatherer_last,
        "thread gatherer (#) waits for any of 2 futures including " FIRST WHICH GATHERING);
    expect_gatherer(wait_for_any, second_last,
                    "worker b_0 waits for " GATHERING WHICH "any of 2 futures including " SECOND);
    expect_gatherer(wait_for_any, second_after_gatherer,
                    "worker b_0 waits for " GATHERING WHICH "any of 2 futures including " SECOND);
}

static hk_status wait_for_all(void)
{
    hk_future *futures[] = {pair.future, second.future};

    return hk_wait(futures, 2, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL);
}

static void expect_pair_refused(hk_status (*wait)(void), unsigned last, const char *expected)
{
    struct hkt_actor gatherer = {.name = "gatherer",
                                 .prepare = hkt_take_accounts,
                                 .wait = wait,
                                 .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&second, &gatherer};

    second = (struct hkt_actor){
        .pool = hkt_b, .task = audit, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    hkt_actors_begin(actors, 2);
    if (last == 0) {
        hkt_actor_sleeps(&gatherer);
        hkt_actor_goes(&second);
        HKT_STATUS(hk_future_result(second.future, HK_FOREVER, NULL, NULL), HK_OK);
        HKT_OK(hk_promise_set(pair.promise, NULL, 0));
    } else {
        hkt_actor_sleeps(&second);
        hkt_actor_goes(&gatherer);
    }
    hkt_actors_end(actors, 2);
    HKT_STATUS(actors[last]->status, HK_EDEADLK);
    HKT_OK(actors[1 - last]->status);
    HKT_REPORT(expected);
    hkt_expect_usable();
}

/* One that cannot end is enough: that the promise might be set helps nobody. */
static void a_lock_and_all_of_two_futures(void)
{
    for (unsigned last = 0; last < 2; last++) {
        hkt_pair_open(&pair);
        expect_pair_refused(
            wait_for_all, last,
            last == 0 ? "worker b_0 waits for " GATHERING WHICH "all of 2 futures including " SECOND
                      : "thread gatherer (#) waits for all of 2 futures including " SECOND WHICH
                            GATHERING);
        hkt_pair_close(&pair);
    }
}

static hk_status wait_for_derived(void)
{
    hk_future *futures[] = {pair.future, second.future};
    hk_status status;

    HKT_OK_FATAL(HKT_AT("when_all", hk_when_all(futures, 2, &derived)));
    status = hk_future_wait(derived, HK_FOREVER);
    hk_future_unref(derived);
    return status;
}

#define WHEN_ALL "future 0x.. (made at test_mixed_rings.c:{when_all}) waiting for " SECOND

static void a_lock_and_when_all(void)
{
    for (unsigned last = 0; last < 2; last++) {
        hkt_pair_open(&pair);
        expect_pair_refused(wait_for_derived, last,
                            last == 0 ? "worker b_0 waits for " GATHERING WHICH WHEN_ALL
                                      : "thread gatherer (#) waits for " WHEN_ALL WHICH GATHERING);
        hkt_pair_close(&pair);
    }
}

static hk_status wait_for_next(void)
{
    hk_future *next = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, first.future, 1));
    HKT_OK(hk_completion_add(completion, second.future, 2));
    status = hk_completion_next(completion, HK_FOREVER, &next, NULL);
    hk_future_unref(next);
    hk_completion_destroy(completion);
    return status;
}

#define NEXT "the next of completion queue 0x.. awaiting "

static void a_lock_and_a_completion_queue(void)
{
    expect_gatherer(wait_for_next, gatherer_last,
                    "thread gatherer (#) waits for " NEXT FIRST WHICH GATHERING);
    expect_gatherer(wait_for_next, second_last,
                    "worker b_0 waits for " GATHERING WHICH NEXT SECOND);
    expect_gatherer(wait_for_next, second_after_gatherer,
                    "worker b_0 waits for " GATHERING WHICH NEXT SECOND);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a ring of four kinds, closed at every place", a_ring_of_four_kinds),
    HKT_CASE("a reader behind a writer, and a future", a_reader_behind_a_writer_and_a_future),
    HKT_CASE("a serial executor and futures", a_serial_executor_and_futures),
    HKT_CASE("the end of a serial executor and a future",
             the_end_of_a_serial_executor_and_a_future),
    HKT_CASE("room in a serial executor and a lock", room_in_a_serial_executor_and_a_lock),
    HKT_CASE("a lock and any of two futures", a_lock_and_any_of_two_futures),
    HKT_CASE("a lock and all of two futures", a_lock_and_all_of_two_futures),
    HKT_CASE("a lock and when_all", a_lock_and_when_all),
    HKT_CASE("a lock and a completion queue", a_lock_and_a_completion_queue),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "mixed_rings",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
